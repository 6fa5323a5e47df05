package admission_test

import (
	"testing"

	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

func BenchmarkApply(b *testing.B) {
	set := policyOf(b, map[string]any{
		"matchConditions": []any{map[string]any{"name": "c", "expression": "!object.spec.template.spec.containers.exists(c, c.name == 'agent')"}},
		"variables":       []any{map[string]any{"name": "n", "expression": "size(object.spec.template.spec.containers)"}},
		"mutations": []any{
			applied(`Object{spec: Object.spec{template: Object.spec.template{spec: Object.spec.template.spec{containers: [Object.spec.template.spec.containers{name: "agent", image: "example.com/agent:1"}]}}}}`),
			jsonPatch(`[JSONPatch{op: "add", path: "/metadata/labels/n", value: string(variables.n)}]`),
		},
	})
	o, err := parse(b, "in.yaml", deployment)[0].Object()
	if err != nil {
		b.Fatal(err)
	}
	known := facts.New()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := set.Programs[0].Apply(b.Context(), policy.Input{ID: resource.IDOf(o), Object: o, Facts: known}); err != nil {
			b.Fatal(err)
		}
	}
}
