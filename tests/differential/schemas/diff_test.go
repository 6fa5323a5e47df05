package schemas

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/xeipuuv/gojsonschema"

	"github.com/oneloop-dev/oneloop/pkg/diff"
	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// TestDiffSchema holds what `oneloop diff -o json` prints for random differences
// against the schema that the docs have of it, and what it must not print.
func TestDiffSchema(t *testing.T) {
	text, err := os.ReadFile("../../../docs/diff.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	schema, err := gojsonschema.NewSchema(gojsonschema.NewBytesLoader(text))
	if err != nil {
		t.Fatal(err)
	}
	faults := func(doc []byte) []gojsonschema.ResultError {
		result, err := schema.Validate(gojsonschema.NewBytesLoader(doc))
		if err != nil {
			t.Fatalf("%v in %s", err, doc)
		}
		return result.Errors()
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		var differences []diff.Difference
		for range r.IntN(4) {
			differences = append(differences, difference(r))
		}
		var out bytes.Buffer
		if err := diff.WriteJSON(&out, differences); err != nil {
			t.Fatal(err)
		}
		if f := faults(out.Bytes()); len(f) > 0 {
			t.Fatalf("%v in\n%s", f, out.String())
		}
	}
	const good = `{"apiVersion": "v1", "kind": "A", "name": "a", "path": "b", "before": {"absent": true}, "after": {"value": 1, "policy": "p"}}`
	if f := faults([]byte(`{"differences": [` + good + `]}`)); len(f) > 0 {
		t.Fatal(f)
	}
	for _, change := range []string{`{"kind": null}`, `{"more": 1}`, `{"line": 0}`, `{"before": {"absent": true, "value": 1}}`, `{"before": {"absent": false}}`, `{"after": {"severity": 1}}`} {
		var doc, fault map[string]any
		for text, to := range map[string]*map[string]any{good: &doc, change: &fault} {
			if err := json.Unmarshal([]byte(text), to); err != nil {
				t.Fatal(err)
			}
		}
		for k, v := range fault {
			doc[k] = v
		}
		text, err := json.Marshal(map[string]any{"differences": []any{doc}})
		if err != nil {
			t.Fatal(err)
		}
		if len(faults(text)) == 0 {
			t.Errorf("the schema takes %s", text)
		}
	}
}

// difference makes one as the runs of real policies do.
func difference(r *rand.Rand) diff.Difference {
	values := []any{nil, true, int64(3), 1.5, "text", []any{"a", nil}, map[string]any{"k": int64(1)}, "(redacted)"}
	d := diff.Difference{Resource: resource.ID{Kind: resource.ParseKind("apps/v1", "Deployment"), Name: fmt.Sprint("n", r.IntN(3))}}
	if r.IntN(2) == 0 {
		d.Resource.Namespace = "shop"
	}
	by := func(s *diff.State) {
		s.Policy, s.Rule = policy.Ref{ID: resource.ID{Kind: resource.ParseKind("kyverno.io/v1", "ClusterPolicy"), Name: "p"}}, "rule"
	}
	by(&d.After)
	if r.IntN(4) == 0 { // generated
		d.Before.Absent = true
		return d
	}
	d.Origin = resource.Origin{File: "a.yaml", Line: 1 + r.IntN(9)}
	d.Path = fieldpath.Path{}.Key("spec").Index(r.IntN(3))
	if r.IntN(3) == 0 {
		by(&d.Before) // as compare has it
	}
	switch r.IntN(3) {
	case 0:
		d.Before.Absent, d.After.Value = true, values[r.IntN(len(values))]
	case 1:
		d.After.Absent, d.Before.Value = true, values[r.IntN(len(values))]
	default:
		d.Before.Value, d.After.Value = values[r.IntN(len(values))], values[r.IntN(len(values))]
	}
	return d
}
