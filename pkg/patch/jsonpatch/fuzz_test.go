package jsonpatch

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oneloop-dev/oneloop/pkg/jsonvalue"
	"github.com/oneloop-dev/oneloop/tests/bounds"
)

// FuzzBudget feeds any patch as it stands in a policy, JSON or YAML, long lists
// and copies of copies included, for which the library takes too long.
func FuzzBudget(f *testing.F) {
	f.Add(`{"a":{"b":[1,2]}}`, `[{"op":"add","path":"/a/b/65536/x","value":null},{"op":"test","path":"/a/b/2","value":null}]`)
	f.Add(`{"a":{}}`, `[{"op":"copy","from":"/a","path":"/a/x"},{"op":"copy","from":"/a","path":"/a/y"},{"op":"copy","from":"","path":"/a/-"}]`)
	f.Add(`{"a":[[]]}`, "- op: copy\n  from: /a\n  path: /a/-\n- op: move\n  from: /a/0\n  path: /b\n- op: remove\n  path: /c~1d/-1\n- op: replace\n  path: \"\"\n  value: {x: &a [1], y: *a}\n")
	f.Fuzz(func(t *testing.T, object, patch string) {
		v, err := decode("[" + object + "]")
		if err != nil || len(v.([]any)) != 1 {
			return
		}
		o, ok := v.([]any)[0].(map[string]any)
		if !ok {
			return
		}
		before := jsonvalue.Clone(o)
		bounds.Hold(t)
		p, err := Parse(patch)
		if err != nil {
			return
		}
		out, err := p.Apply(o)
		if !cmp.Equal(before, any(o)) {
			t.Errorf("Apply modified the object:\n%s", cmp.Diff(before, any(o)))
		}
		if err != nil {
			if out != nil {
				t.Errorf("an object with the error %v", err)
			}
			return
		}
		if _, err := json.Marshal(out); err != nil { // writes all that is shared
			t.Errorf("the object is not JSON: %v", err)
		}
	})
}
