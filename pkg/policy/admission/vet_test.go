package admission_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oneloop-dev/oneloop/pkg/pipeline"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/admission"
)

// What documents ask a cluster for, and what is different here, is said at the
// line where it stands.
func TestVet(t *testing.T) {
	docs := parse(t, "p.yaml", `apiVersion: admissionregistration.k8s.io/v1beta1
kind: MutatingAdmissionPolicy
metadata: {name: asks}
spec:
  failurePolicy: Fail
  reinvocationPolicy: IfNeeded
  paramKind: {apiVersion: v1, kind: ConfigMap}
  matchConstraints:
    resourceRules: [{apiGroups: [''], apiVersions: [v1], operations: [UPDATE], resources: [pods]}]
    namespaceSelector: {matchLabels: {env: prod}}
  matchConditions:
  - {name: who, expression: "request.userInfo.username == 'ana'"}
  variables:
  - {name: may, expression: "authorizer.path('/').check('get').allowed()"}
  - {name: authorizers, expression: "object.spec.authorizer == 'authorizer1'"}
  mutations:
  - {patchType: JSONPatch, jsonPatch: {expression: '[JSONPatch{op: "add", path: "/spec/volumes/-", value: Object.spec.volumes{name: namespaceObject.metadata.name}}]'}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {name: one}
spec:
  policyName: asks
  paramRef: {name: settings, parameterNotFoundAction: Allow}
  matchResources:
    namespaceSelector: {matchLabels: {env: prod}}
---
apiVersion: admissionregistration.k8s.io/v1alpha1
kind: MutatingAdmissionPolicyBinding
metadata: {name: two}
spec:
  policyName: asks
  paramRef: {selector: {matchLabels: {a: b}}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: quiet}
spec:
  reinvocationPolicy: IfNeeded
  matchConstraints:
    resourceRules: [{apiGroups: [''], apiVersions: [v1], operations: ['*'], resources: [pods]}]
    namespaceSelector: {}
  mutations:
  - {patchType: ApplyConfiguration, applyConfiguration: {expression: 'Object{metadata: Object.metadata{labels: {"a": "b"}}}'}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {name: quiet}
spec: {policyName: quiet}
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: broken}
spec: {}
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {name: nobody}
spec: {policyName: nobody}
`)
	var got []string
	for _, f := range pipeline.Vet([]policy.Language{admission.Language}, docs) {
		line := fmt.Sprintf("%d: %s: %s", f.Origin().Line, f.Severity, f.Message)
		if f.Needs != nil {
			line += fmt.Sprintf(" (declared, open: %t)", f.Open)
		}
		got = append(got, line)
	}
	want := strings.Split(strings.TrimSpace(`
1: warning: admissionregistration.k8s.io/v1beta1 is no longer the version to write: write admissionregistration.k8s.io/v1, which has the same fields and is served since Kubernetes 1.36
9: note: never applies: rendering creates resources; where it should be UPDATE, declare operation of ClusterFacts (declared, open: false)
10: note: needs the labels of the namespaces it may apply to: give their Namespaces with the manifests, or as resources of ClusterFacts (declared, open: true)
12: note: needs the requester: declare userInfo of ClusterFacts (declared, open: false)
14: warning: authorizer is only known in a cluster: the expression fails when it comes to it
17: warning: it appends to a list, and with reinvocationPolicy: IfNeeded it runs twice: let it look whether its element is there, or write reinvocationPolicy: Never
17: note: needs the namespaces of the resources: give their Namespaces with the manifests, or as resources of ClusterFacts (declared, open: true)
24: note: needs ConfigMap {{ namespace }}/settings: give it with the manifests, or as one of resources of ClusterFacts (declared, open: true)
26: note: needs the labels of the namespaces it may apply to: give their Namespaces with the manifests, or as resources of ClusterFacts (declared, open: true)
28: warning: admissionregistration.k8s.io/v1alpha1 is no longer the version to write: write admissionregistration.k8s.io/v1, which has the same fields and is served since Kubernetes 1.36
33: note: needs the ConfigMap objects that its selector finds: give them with the manifests, or as resources of ClusterFacts
54: error: Required value
54: error: Required value: mutations must contain at least one item
54: error: Required value: expected Never or IfNeeded
56: note: it binds the MutatingAdmissionPolicy nobody, which is not among the policies, and does nothing
`), "\n")
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("want -, got +:\n%s", d)
	}
}

// An annotation that is neither true nor false is a fault.
func TestUnboundAnnotation(t *testing.T) {
	docs := parse(t, "p.yaml", `apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: p, annotations: {oneloop.dev/apply-unbound: "yes"}}
spec:
  reinvocationPolicy: Never
  matchConstraints: {resourceRules: [{apiGroups: [''], apiVersions: [v1], operations: ['*'], resources: [pods]}]}
  mutations: [{patchType: ApplyConfiguration, applyConfiguration: {expression: 'Object{}'}}]
`)
	_, err := admission.Language.Compile(docs)
	if err == nil || !strings.Contains(err.Error(), `p.yaml:3: MutatingAdmissionPolicy/p at metadata.annotations["oneloop.dev/apply-unbound"]: expected "true" or "false", found yes`) {
		t.Errorf("got %v", err)
	}
}

// What a manifest lacks and a cluster has filled in is asked for in vain there.
func TestVetDefaults(t *testing.T) {
	docs := parse(t, "p.yaml", `apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: defaults}
spec:
  failurePolicy: Fail
  reinvocationPolicy: Never
  matchConstraints:
    resourceRules: [{apiGroups: [apps], apiVersions: [v1], operations: [CREATE], resources: [deployments]}]
  matchConditions:
  - {name: absent, expression: "!has(object.spec.replicas) && !has(object.spec.paused)"}
  mutations:
  - {patchType: ApplyConfiguration, applyConfiguration: {expression: "Object{spec: Object.spec{replicas: 2}}"}}
`)
	var got []string
	for _, f := range pipeline.Vet([]policy.Language{admission.Language}, docs) {
		if f.Check == policy.Noted && f.Severity == policy.Warning {
			got = append(got, fmt.Sprintf("%d %s %s", f.Line, f.Severity, f.Message))
		}
	}
	want := []string{"10 warning in a cluster the API server fills in spec.replicas before, so that !has() of it never holds; " +
		"here it does where a manifest lacks it: write the field into the manifests, or set it whatever it is"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
