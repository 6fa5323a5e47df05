package gatekeeper

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oneloop-dev/oneloop/pkg/digest"
	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// A counter sets a field to another value each time.
type counter struct{}

func (counter) field(old any, _ bool, _ *admission) (any, bool, error) {
	return fmt.Sprint(old) + "x", true, nil
}

// TestNotConverging: no mutator that Gatekeeper accepts goes on for ever, as far as
// is known; one that did would be found out.
func TestNotConverging(t *testing.T) {
	m := &mutator{ref: policy.Ref{ID: resource.ID{Kind: resource.Kind{Kind: "Assign"}, Name: "again"}, Origin: resource.Origin{File: "m.yaml", Line: 3}},
		at: location{{field: "spec"}, {field: "x"}}, set: counter{}}
	o := resource.Object{"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": "web"}}
	results, err := (&program{mutators: []*mutator{m}}).Apply(t.Context(), policy.Input{ID: resource.IDOf(o), Object: o, Facts: facts.New(), Digests: digest.Off{}})
	if err != nil || len(results) != 1 {
		t.Fatal(results, err)
	}
	want := `m.yaml:3: Assign/again rule "again" on Pod/web: not converging: each round of mutators changes the object again, the last one by Assign/again (m.yaml:3); let none of them build on its own result, or on that of one after it`
	if d := cmp.Diff(want, results[0].Err.Error()); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}
