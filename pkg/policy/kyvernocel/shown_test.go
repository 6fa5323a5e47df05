package kyvernocel_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

const bareDeployment = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: web, image: nginx}]
`

// What reaches a webhook was a Go type on its way, whose structs are there also
// when nobody wrote them. They reach no manifest.
func TestShownStructs(t *testing.T) {
	for _, tt := range []struct{ expression, want string }{
		{`has(object.status) && object.status == {}`, "true"},
		{`has(object.spec.strategy)`, "true"},
		{`object.spec.template.spec.containers.all(c, has(c.resources))`, "true"},
		{`has(object.spec.template.spec.containers[0].resources.limits)`, "false"},
		{`has(request.object.status)`, "true"},
		{`has(object.spec.replicas)`, "false"}, // a default, which nobody fills in here
	} {
		results := apply(t, facts.New(), fmt.Sprintf(`
apiVersion: policies.kyverno.io/v1
kind: MutatingPolicy
metadata: {name: p}
spec:
  matchConstraints:
    resourceRules:
    - {apiGroups: [apps], apiVersions: [v1], operations: [CREATE], resources: [deployments]}
  mutations:
  - patchType: JSONPatch
    jsonPatch:
      expression: |
        [JSONPatch{op: "add", path: "/metadata/labels", value: {"seen": string(%s)}}]
`, tt.expression), bareDeployment)
		if len(results) != 1 || results[0].Outcome != policy.Mutated {
			t.Fatalf("%s: %+v", tt.expression, results)
		}
		want := parsed(t, bareDeployment)
		want["metadata"].(map[string]any)["labels"] = map[string]any{"seen": tt.want}
		if d := cmp.Diff(want, results[0].Object); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.expression, d)
		}
	}
}

// A struct that a policy fills stays, and one that was written empty, too.
func TestShownStructsThatStay(t *testing.T) {
	written := strings.Replace(bareDeployment, "spec:\n", "spec:\n  strategy: {}\n", 1)
	results := apply(t, facts.New(), `
apiVersion: policies.kyverno.io/v1
kind: MutatingPolicy
metadata: {name: p}
spec:
  matchConstraints:
    resourceRules:
    - {apiGroups: [apps], apiVersions: [v1], operations: [CREATE], resources: [deployments]}
  mutations:
  - patchType: JSONPatch
    jsonPatch:
      expression: |
        [JSONPatch{op: "add", path: "/spec/template/spec/containers/0/resources/limits", value: {"cpu": "1"}}]
`, written)
	if len(results) != 1 || results[0].Outcome != policy.Mutated {
		t.Fatalf("%+v", results)
	}
	want := parsed(t, written)
	pod := want["spec"].(map[string]any)["template"].(map[string]any)["spec"].(map[string]any)
	pod["containers"].([]any)[0].(map[string]any)["resources"] = map[string]any{"limits": map[string]any{"cpu": "1"}}
	if d := cmp.Diff(want, results[0].Object); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func parsed(t *testing.T, text string) resource.Object {
	t.Helper()
	rs, err := resource.Parse("object.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	o, err := rs[0].Object()
	if err != nil {
		t.Fatal(err)
	}
	return o
}
