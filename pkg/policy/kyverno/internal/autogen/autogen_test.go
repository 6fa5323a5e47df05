package autogen

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/spec"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// expand returns the rules of a policy that has the given rules.
func expand(t *testing.T, annotations, rules string) []spec.Rule {
	t.Helper()
	docs, err := resource.Parse("policy.yaml", []byte("apiVersion: kyverno.io/v1\nkind: ClusterPolicy\nmetadata:\n  name: p\n  annotations: "+
		annotations+"\nspec:\n  validationFailureAction: Enforce\n  rules:\n"+rules))
	if err != nil {
		t.Fatal(err)
	}
	p, faults := spec.Parse(docs[0])
	for _, f := range faults {
		t.Error(f)
	}
	if t.Failed() {
		t.FailNow()
	}
	out, err := Expand(p)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func ruleNames(rules []spec.Rule) string {
	var names []string
	for _, r := range rules {
		names = append(names, r.Name)
	}
	return strings.Join(names, " ")
}

const patch = "    mutate: {patchStrategicMerge: {spec: {dnsPolicy: Default}}}\n"

func TestNames(t *testing.T) {
	pod := "  - name: a\n    match: {any: [{resources: {kinds: [Pod]}}]}\n" + patch
	other := "  - name: b\n    match: {any: [{resources: {kinds: [Service]}}]}\n" + patch
	match := func(m string) string { return "  - name: a\n    match: " + m + "\n" + patch }
	const all = "a autogen-a autogen-cronjob-a"
	long := strings.Repeat("n", 60)
	tests := []struct{ name, annotations, rules, want string }{
		{"pod", "{}", pod, all},
		{"order", "{}", pod + other + strings.Replace(pod, "name: a", "name: c", 1), "a b c autogen-a autogen-cronjob-a autogen-c autogen-cronjob-c"},
		{"no pod", "{}", other, "b"},
		{"none", "{pod-policies.kyverno.io/autogen-controllers: none}", pod, "a"},
		{"nothing", `{pod-policies.kyverno.io/autogen-controllers: ""}`, pod, "a"},
		{"some", "{pod-policies.kyverno.io/autogen-controllers: 'Deployment,Job'}", pod, "a autogen-a"},
		{"CronJob only", "{pod-policies.kyverno.io/autogen-controllers: CronJob}", pod, "a autogen-cronjob-a"},
		{"with CronJob", "{pod-policies.kyverno.io/autogen-controllers: 'Deployment,CronJob'}", pod, all},
		{"long names", "{}", strings.Replace(pod, "name: a", "name: "+long, 1), long + " autogen-" + long[:55] + " autogen-cronjob-" + long[:47]},
		{"names of derived rules", "{}", pod + strings.Replace(other, "name: b", "name: autogen-b", 1), all},
		{"names of derived rules alone", "{}", strings.Replace(other, "name: b", "name: autogen-b", 1), "autogen-b"},
		{"old form", "{}", match("{resources: {kinds: [Pod]}}"), all},
		{"all", "{}", match("{all: [{resources: {kinds: [Pod]}}]}"), all},
		{"two filters", "{}", match("{any: [{resources: {kinds: [Pod]}}, {resources: {kinds: [Service]}}]}"), all},
		{"name", "{}", match("{resources: {kinds: [Pod], name: a}}"), "a"},
		{"names", "{}", match("{any: [{resources: {kinds: [Pod], names: [a]}}]}"), "a"},
		{"selector", "{}", match("{any: [{resources: {kinds: [Pod], selector: {matchLabels: {a: b}}}}]}"), "a"},
		{"annotations", "{}", match("{any: [{resources: {kinds: [Pod], annotations: {a: b}}}]}"), "a"},
		{"namespaces", "{}", match("{any: [{resources: {kinds: [Pod], namespaces: [a]}}]}"), all},
		{"mixed kinds", "{}", match("{any: [{resources: {kinds: [Pod, Deployment]}}]}"), "a"},
		{"kind with version only", "{}", match("{any: [{resources: {kinds: [v1/Pod]}}]}"), "a"},
		{"exclude with a selector", "{}", match("{any: [{resources: {kinds: [Pod]}}]}") + "    exclude: {any: [{resources: {selector: {matchLabels: {a: b}}}}]}\n", "a"},
		{"exclude of another kind", "{}", match("{any: [{resources: {kinds: [Pod]}}]}") + "    exclude: {any: [{resources: {kinds: [Service]}}]}\n", "a"},
		{"one rule rules out all", "{}", pod + "  - name: b\n    match: {any: [{resources: {kinds: [Pod], names: [a]}}]}\n" + patch, "a b"},
		{"JSON patch", "{}", "  - name: a\n    match: {any: [{resources: {kinds: [Pod]}}]}\n    mutate: {patchesJson6902: '[{op: remove, path: /a}]'}\n", "a"},
		{"JSON patch in foreach", "{}", "  - name: a\n    match: {any: [{resources: {kinds: [Pod]}}]}\n    mutate: {foreach: [{list: l, patchesJson6902: '[{op: remove, path: /a}]'}]}\n", "a"},
		{"generate", "{}", pod + "  - name: b\n    match: {any: [{resources: {kinds: [Namespace]}}]}\n    generate: {apiVersion: v1, kind: ConfigMap, name: c, namespace: d, data: {}}\n", "a b"},
		{"verifyImages", "{}", "  - name: a\n    match: {any: [{resources: {kinds: [Pod]}}]}\n    verifyImages: [{imageReferences: ['*']}]\n", all},
		{"validate", "{}", "  - name: a\n    match: {any: [{resources: {kinds: [Pod]}}]}\n    validate: {message: m, pattern: {spec: {a: b}}}\n", all},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := ruleNames(expand(t, tt.annotations, tt.rules)); got != tt.want {
				t.Errorf("rules %s\nwant  %s", got, tt.want)
			}
		})
	}
}

// The wanted rules are those of Kyverno 1.19.1.
func TestRules(t *testing.T) {
	tests := []struct{ name, annotations, rules, want string }{
		{
			"strategic merge patch", "{}", `
  - name: a
    match:
      any:
      - resources: {kinds: [Pod], namespaces: [shop]}
      - resources: {kinds: [Service]}
    exclude:
      any:
      - resources: {kinds: [Pod], operations: [DELETE]}
      - resources: {namespaces: [argocd]}
    context:
    - {name: v, variable: {jmesPath: request.object.metadata.labels, default: 1}}
    preconditions:
      all:
      - {key: "{{ request.object.spec.hostNetwork }}", operator: NotEquals, value: true}
    skipBackgroundRequests: false
    mutate:
      mutateExistingOnPolicyUpdate: false
      patchStrategicMerge:
        metadata: {labels: {"{{ request.oldObject.metadata.name }}": "{{ request.oldObject.spec.a }}"}}
        spec: {containers: [{(name): "*", image: "{{ request.object.spec.image }}"}]}
`, `
- name: autogen-a
  match:
    any:
    - resources: {kinds: [apps/v1/DaemonSet, apps/v1/Deployment, batch/v1/Job, apps/v1/ReplicaSet, v1/ReplicationController, apps/v1/StatefulSet], namespaces: [shop]}
    - resources: {kinds: [Service]}
  exclude:
    any:
    - resources: {kinds: [apps/v1/DaemonSet, apps/v1/Deployment, batch/v1/Job, apps/v1/ReplicaSet, v1/ReplicationController, apps/v1/StatefulSet], operations: [DELETE]}
    - resources: {namespaces: [argocd]}
  context:
  - {name: v, variable: {jmesPath: request.object.spec.template.metadata.labels, default: 1}}
  preconditions:
    all:
    - {key: "{{ request.object.spec.template.spec.hostNetwork }}", operator: NotEquals, value: true}
  skipBackgroundRequests: false
  mutate:
    patchStrategicMerge:
      spec:
        template:
          metadata: {labels: {"{{ request.oldObject.spec.template.metadata.name }}": "{{ request.oldObject.spec.template.spec.a }}"}}
          spec: {containers: [{(name): "*", image: "{{ request.object.spec.template.spec.image }}"}]}
- name: autogen-cronjob-a
  match:
    any:
    - resources: {kinds: [batch/v1/CronJob], namespaces: [shop]}
    - resources: {kinds: [batch/v1/CronJob]}
  exclude:
    any:
    - resources: {kinds: [batch/v1/CronJob], operations: [DELETE]}
    - resources: {kinds: [batch/v1/CronJob], namespaces: [argocd]}
  context:
  - {name: v, variable: {jmesPath: request.object.spec.jobTemplate.spec.template.metadata.labels, default: 1}}
  preconditions:
    all:
    - {key: "{{ request.object.spec.jobTemplate.spec.template.spec.hostNetwork }}", operator: NotEquals, value: true}
  skipBackgroundRequests: false
  mutate:
    patchStrategicMerge:
      spec:
        jobTemplate:
          spec:
            template:
              metadata: {labels: {"{{ request.oldObject.spec.jobTemplate.spec.template.metadata.name }}": "{{ request.oldObject.spec.jobTemplate.spec.template.spec.a }}"}}
              spec: {containers: [{(name): "*", image: "{{ request.object.spec.jobTemplate.spec.template.spec.image }}"}]}
`,
		},
		{
			"foreach loses its order", "{pod-policies.kyverno.io/autogen-controllers: 'StatefulSet,Deployment'}", `
  - name: a
    match: {resources: {kinds: [Pod]}}
    mutate:
      foreach:
      - list: request.object.spec.containers
        order: Descending
        context: [{name: v, variable: {value: request.object.spec}}]
        preconditions: {any: [{key: "{{ element.image }}", operator: Equals, value: "*"}]}
        patchStrategicMerge: {spec: {containers: [{name: "{{ element.name }}", image: i}]}}
`, `
- name: autogen-a
  match: {resources: {kinds: [apps/v1/Deployment, apps/v1/StatefulSet]}}
  mutate:
    foreach:
    - list: request.object.spec.template.spec.containers
      context: [{name: v, variable: {value: request.object.spec.template.spec}}]
      preconditions: {any: [{key: "{{ element.image }}", operator: Equals, value: "*"}]}
      patchStrategicMerge: {spec: {template: {spec: {containers: [{name: "{{ element.name }}", image: i}]}}}}
`,
		},
		{
			"verifyImages loses its extractors", "{pod-policies.kyverno.io/autogen-controllers: CronJob}", `
  - name: a
    match: {resources: {kinds: [Pod]}}
    imageExtractors: {Pod: [{path: /spec/a}]}
    verifyImages: [{imageReferences: [ghcr.io/*], required: false}]
`, `
- name: autogen-cronjob-a
  match: {resources: {kinds: [batch/v1/CronJob]}}
  verifyImages: [{imageReferences: [ghcr.io/*], required: false}]
`,
		},
		{
			"an unknown controller alone", "{pod-policies.kyverno.io/autogen-controllers: Rollout}", `
  - name: a
    match: {resources: {kinds: [Pod]}}
    mutate: {patchStrategicMerge: {metadata: {labels: {a: b}}}}
`, `
- name: autogen-a
  match: {resources: {kinds: [Rollout]}}
  mutate: {patchStrategicMerge: {spec: {template: {metadata: {labels: {a: b}}}}}}
`,
		},
		{
			"validate", "{pod-policies.kyverno.io/autogen-controllers: Job}", `
  - name: a
    match: {resources: {kinds: [Pod]}}
    validate: {message: m, failureAction: Audit, anyPattern: [{spec: {a: b}}, {metadata: {c: "{{ request.object.spec }}"}}]}
  - name: b
    match: {resources: {kinds: [Pod]}}
    validate: {cel: {expressions: [{expression: "object.spec.a == oldObject.metadata.b"}]}}
`, `
- name: autogen-a
  match: {resources: {kinds: [batch/v1/Job]}}
  validate: {message: m, failureAction: Audit, anyPattern: [{spec: {template: {spec: {a: b}}}}, {spec: {template: {metadata: {c: "{{ request.object.spec.template.spec }}"}}}}]}
- name: autogen-b
  match: {resources: {kinds: [batch/v1/Job]}}
  validate: {cel: {expressions: [{expression: "object.spec.template.spec.a == oldObject.spec.template.metadata.b"}]}}
`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rules := expand(t, tt.annotations, strings.TrimPrefix(tt.rules, "\n"))
			var got []any
			for _, r := range rules {
				if !strings.HasPrefix(r.Name, prefix) {
					continue
				}
				got = append(got, r.Raw)
				if !strings.HasPrefix(r.Path.String(), "spec.rules[") {
					t.Errorf("%s is at %q", r.Name, r.Path)
				}
			}
			docs, err := resource.Parse("want.yaml", []byte("apiVersion: v1\nkind: Want\nrules:"+tt.want))
			if err != nil {
				t.Fatal(err)
			}
			want, err := docs[0].Object()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want["rules"], any(got)); diff != "" {
				t.Errorf("rules (-want +got):\n%s", diff)
			}
		})
	}
}

// The rules of the policy itself must stay as they are.
func TestExpandLeavesThePolicyAlone(t *testing.T) {
	rules := expand(t, "{}", "  - name: a\n    match: {any: [{resources: {kinds: [Pod]}}]}\n"+patch)
	want := map[string]any{
		"name":   "a",
		"match":  map[string]any{"any": []any{map[string]any{"resources": map[string]any{"kinds": []any{"Pod"}}}}},
		"mutate": map[string]any{"patchStrategicMerge": map[string]any{"spec": map[string]any{"dnsPolicy": "Default"}}},
	}
	if diff := cmp.Diff(want, rules[0].Raw); diff != "" {
		t.Error(diff)
	}
}

// Kyverno makes rules out of a nested foreach that remove the pod template.
func TestNestedForEachIsAFault(t *testing.T) {
	rules := expand(t, "{}", `  - name: a
    match: {any: [{resources: {kinds: [Pod]}}]}
    mutate:
      foreach:
      - list: request.object.spec.containers
        foreach:
        - list: element0.env
          patchesJson6902: "[{op: remove, path: /spec/a}]"
`)
	for _, r := range rules {
		if derived := strings.HasPrefix(r.Name, prefix); derived != (r.Fault != nil) {
			t.Errorf("rule %s: fault %v", r.Name, r.Fault)
		}
	}
	if len(rules) != 3 {
		t.Errorf("rules %s", ruleNames(rules))
	}
}
