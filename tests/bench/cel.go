package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"text/tabwriter"
	"time"
)

// mutatingPolicies are of the three forms that people write: a field that is
// set, containers that are mapped, and a JSON patch with a condition and a
// variable.
const mutatingPolicies = `apiVersion: policies.kyverno.io/v1
kind: MutatingPolicy
metadata:
  name: no-token
spec:
  matchConstraints:
    resourceRules:
    - {apiGroups: [apps], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [deployments]}
  mutations:
  - patchType: ApplyConfiguration
    applyConfiguration:
      expression: >-
        Object{spec: Object.spec{template: Object.spec.template{spec: Object.spec.template.spec{
          automountServiceAccountToken: false}}}}
---
apiVersion: policies.kyverno.io/v1
kind: MutatingPolicy
metadata:
  name: always-pull
spec:
  matchConstraints:
    resourceRules:
    - {apiGroups: [apps], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [deployments]}
  mutations:
  - patchType: ApplyConfiguration
    applyConfiguration:
      expression: >-
        Object{spec: Object.spec{template: Object.spec.template{spec: Object.spec.template.spec{
          containers: object.spec.template.spec.containers.map(c,
            Object.spec.template.spec.containers{name: c.name, imagePullPolicy: "Always"})}}}}
---
apiVersion: policies.kyverno.io/v1
kind: MutatingPolicy
metadata:
  name: containers
spec:
  matchConstraints:
    resourceRules:
    - {apiGroups: [apps], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [deployments]}
  matchConditions:
  - name: has-containers
    expression: size(object.spec.template.spec.containers) > 0
  variables:
  - name: count
    expression: string(size(object.spec.template.spec.containers))
  mutations:
  - patchType: JSONPatch
    jsonPatch:
      expression: >-
        has(object.metadata.annotations) ?
          [JSONPatch{op: "add", path: "/metadata/annotations/" + jsonpatch.escapeKey("example.com/containers"), value: variables.count}] :
          [JSONPatch{op: "add", path: "/metadata/annotations", value: {"example.com/containers": variables.count}}]
`

// admissionPolicy does what the first of mutatingPolicies does.
const admissionPolicy = `apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata:
  name: no-token
spec:
  failurePolicy: Fail
  reinvocationPolicy: Never
  matchConstraints:
    resourceRules:
    - {apiGroups: [apps], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [deployments]}
  mutations:
  - patchType: ApplyConfiguration
    applyConfiguration:
      expression: >-
        Object{spec: Object.spec{template: Object.spec.template{spec: Object.spec.template.spec{
          automountServiceAccountToken: false}}}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata:
  name: no-token
spec:
  policyName: no-token
`

// mutators are Gatekeeper's, which run beside the others for comparison.
const mutators = `apiVersion: mutations.gatekeeper.sh/v1
kind: Assign
metadata: {name: no-token}
spec:
  applyTo: [{groups: [apps], versions: [v1], kinds: [Deployment]}]
  location: spec.template.spec.automountServiceAccountToken
  parameters: {assign: {value: false}}
---
apiVersion: mutations.gatekeeper.sh/v1
kind: Assign
metadata: {name: always-pull}
spec:
  applyTo: [{groups: [apps], versions: [v1], kinds: [Deployment]}]
  location: "spec.template.spec.containers[name: *].imagePullPolicy"
  parameters: {assign: {value: Always}}
---
apiVersion: mutations.gatekeeper.sh/v1
kind: AssignMetadata
metadata: {name: owner}
spec:
  location: metadata.annotations."example.com/owner"
  parameters: {assign: {value: platform}}
`

// benchCEL measures policies in CEL: the cold start with one, and three of them
// on 1,000 Deployments beside kyaml doing nothing, and three of Gatekeeper's
// mutators. kyverno is a Kyverno CLI to
// measure on the same input, "" for none.
func benchCEL(self, oneloop, kyverno, scratch string, runs int) error {
	const n = 1000
	files := map[string]string{"mutating.yaml": mutatingPolicies, "admission.yaml": admissionPolicy, "mutators.yaml": mutators}
	for name, text := range files {
		files[name] = filepath.Join(scratch, name)
		if err := os.WriteFile(files[name], []byte(text), 0o644); err != nil {
			return err
		}
	}
	one, err := writeFile(scratch, "one.yaml", 1, writePlain)
	if err != nil {
		return err
	}
	list, err := writeFile(scratch, "list.yaml", n, writeList)
	if err != nil {
		return err
	}
	manifests, err := writeFile(scratch, "manifests.yaml", n, writePlain)
	if err != nil {
		return err
	}
	const changed = "automountServiceAccountToken: false"
	render := func(policies string) []string { return []string{oneloop, "render", "-p", files[policies], "-"} }
	programs := []struct {
		name   string
		input  file
		n      int
		args   []string
		want   string
		target func(c, reference cost) string
	}{
		{"kyaml, nothing", list, n, []string{self, "-reference"}, "kind: Deployment", nil},
		{"3 MutatingPolicies", manifests, n, render("mutating.yaml"), changed, func(c, reference cost) string {
			return verdict("at most 2.0 times kyaml", c.wall <= 2*reference.wall)
		}},
		{"1 MutatingAdmissionPolicy", manifests, n, render("admission.yaml"), changed, nil},
		{"3 Gatekeeper mutators", manifests, n, render("mutators.yaml"), changed, func(c, reference cost) string {
			return verdict("at most kyaml", c.wall <= reference.wall)
		}},
		{"1 MutatingAdmissionPolicy", one, 1, render("admission.yaml"), changed, func(c, _ cost) string {
			return verdict("under 40 ms", c.wall < 40*time.Millisecond)
		}},
	}
	best := make([]cost, len(programs))
	for run := range runs {
		for i, p := range programs {
			c, err := measure(p.input, p.args, p.want, p.n)
			if err != nil {
				return err
			}
			if run == 0 {
				best[i] = c
			}
			best[i] = cost{min(best[i].wall, c.wall), min(best[i].cpu, c.cpu), min(best[i].rss, c.rss)}
		}
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\npolicies\tDeployments\twall s\tcpu s\tpeak MB\twall ratio\ttarget\t")
	for i, p := range programs {
		target := ""
		if p.target != nil {
			target = p.target(best[i], best[0])
		}
		fmt.Fprintf(w, "%s\t%d\t%.3f\t%.3f\t%.0f\t%.2f\t%s\t\n", p.name, p.n, best[i].wall.Seconds(), best[i].cpu.Seconds(),
			float64(best[i].rss)/1e6, best[i].wall.Seconds()/best[0].wall.Seconds(), target)
	}
	if err := w.Flush(); err != nil || kyverno == "" {
		return err
	}
	// Once: it takes long.
	start := time.Now()
	cmd := exec.Command(kyverno, "apply", files["mutating.yaml"], "--resource", manifests.path)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", kyverno, err, firstLine(string(out)))
	}
	wall := time.Since(start)
	ratio := wall.Seconds() / best[1].wall.Seconds()
	fmt.Printf("%s apply, the same policies and Deployments: %.2f s, %.0f times as long, %s\n", filepath.Base(kyverno), wall.Seconds(), ratio,
		verdict("at least 10 times", ratio >= 10))
	return nil
}
