package rfc6902_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oneloop-dev/oneloop/pkg/patch/rfc6902"
)

func parse(t testing.TB, text string) any {
	t.Helper()
	var out any
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatal(err)
	}
	return ints(out)
}

// ints makes JSON values as they are here: whole numbers are int64.
func ints(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = ints(v[k])
		}
	case []any:
		for i := range v {
			v[i] = ints(v[i])
		}
	case float64:
		if v == float64(int64(v)) {
			return int64(v)
		}
	}
	return v
}

func TestApply(t *testing.T) {
	for _, tt := range []struct{ name, object, patch, want string }{
		{"test that fails", `{"a":1}`, `[{"op":"test","path":"/a","value":2},{"op":"replace","path":"/a","value":3}]`, "JSON Patch: testing value /a failed: test failed"},
		{"test that holds", `{"a":1}`, `[{"op":"test","path":"/a","value":1},{"op":"replace","path":"/a","value":3}]`, `{"a":3}`},
		{"test of a map", `{"a":{"b":[1]}}`, `[{"op":"test","path":"/a","value":{"b":[1]}}]`, `{"a":{"b":[1]}}`},
		{"test of a missing field for null", `{}`, `[{"op":"test","path":"/a","value":null}]`, "JSON Patch: testing value /a failed: test failed"},
		{"remove", `{"a":1,"b":2}`, `[{"op":"remove","path":"/a"}]`, `{"b":2}`},
		{"remove an element", `{"a":[1,2,3]}`, `[{"op":"remove","path":"/a/1"}]`, `{"a":[1,3]}`},
		{"remove from the end", `{"a":[1,2,3]}`, `[{"op":"remove","path":"/a/-1"}]`, `{"a":[1,2]}`},
		{"remove what is not there", `{"a":{}}`, `[{"op":"remove","path":"/a/b"}]`,
			"JSON Patch: error in remove for path: '/a/b': Unable to remove nonexistent key: b: missing value"},
		{"remove below what is not there", `{}`, `[{"op":"remove","path":"/a/b"}]`,
			`JSON Patch: remove operation does not apply: doc is missing path: "/a/b": missing value`},
		{"copy", `{"a":1}`, `[{"op":"copy","from":"/a","path":"/b"}]`, `{"a":1,"b":1}`},
		{"copy to the end", `{"a":[1,2]}`, `[{"op":"copy","from":"/a/0","path":"/a/-"}]`, `{"a":[1,2,1]}`},
		{"copy is deep", `{"a":{"x":1}}`, `[{"op":"copy","from":"/a","path":"/b"},{"op":"add","path":"/b/y","value":2}]`, `{"a":{"x":1},"b":{"x":1,"y":2}}`},
		{"copy of nothing", `{}`, `[{"op":"copy","from":"/a/b","path":"/b"}]`, `JSON Patch: copy operation does not apply: doc is missing from path: /a/b: missing value`},
		{"move", `{"a":1}`, `[{"op":"move","from":"/a","path":"/b"}]`, `{"b":1}`},
		{"move to the end", `{"a":[1,2,3]}`, `[{"op":"move","from":"/a/0","path":"/a/-"}]`, `{"a":[2,3,1]}`},
		{"move without from", `{"a":1}`, `[{"op":"move","path":"/b"}]`, "JSON Patch: move operation failed to decode from: operation, missing from field: missing value"},
		{"add", `{"a":{}}`, `[{"op":"add","path":"/a/b","value":"x"}]`, `{"a":{"b":"x"}}`},
		{"add replaces", `{"a":{"b":1}}`, `[{"op":"add","path":"/a","value":{"c":2}}]`, `{"a":{"c":2}}`},
		{"add without parent", `{}`, `[{"op":"add","path":"/a/b","value":1}]`, `JSON Patch: add operation does not apply: doc is missing path: "/a/b": missing value`},
		{"add first", `{"a":[1]}`, `[{"op":"add","path":"/a/0","value":0}]`, `{"a":[0,1]}`},
		{"add last", `{"a":[1]}`, `[{"op":"add","path":"/a/-","value":2}]`, `{"a":[1,2]}`},
		{"add beyond the end", `{"a":[1]}`, `[{"op":"add","path":"/a/2","value":2}]`, "JSON Patch: error in add for path: '/a/2': Unable to access invalid index: 2: invalid index referenced"},
		{"add null", `{}`, `[{"op":"add","path":"/a","value":null}]`, `{"a":null}`},
		{"replace", `{"a":1}`, `[{"op":"replace","path":"/a","value":"x"}]`, `{"a":"x"}`},
		{"replace what is not there", `{"a":{}}`, `[{"op":"replace","path":"/a/b","value":"x"}]`, `{"a":{"b":"x"}}`},
		{"replace below what is not there", `{}`, `[{"op":"replace","path":"/a/b","value":"x"}]`, "JSON Patch: replace operation does not apply: doc is missing path: /a/b: missing value"},
		{"replace an element", `{"a":[1]}`, `[{"op":"replace","path":"/a/0","value":2}]`, `{"a":[2]}`},
		{"replace the end", `{"a":[1]}`, `[{"op":"replace","path":"/a/-","value":2}]`, "JSON Patch: replace operation does not apply: doc is missing key: /a/-: missing value"},
		{"escapes", `{"a":{}}`, `[{"op":"add","path":"/a/x~1y~0z","value":1}]`, `{"a":{"x/y~z":1}}`},
		{"not an index", `{"a":[1]}`, `[{"op":"add","path":"/a/x","value":1}]`, "value was not a proper array index: 'x'"},
		{"into a scalar", `{"a":1}`, `[{"op":"add","path":"/a/b","value":1}]`, `JSON Patch: add operation does not apply: doc is missing path: "/a/b": missing value`},
		{"unknown operation", `{}`, `[{"op":"frob","path":"/a"}]`, "JSON Patch: Unexpected kind: frob"},
		{"no operation", `{}`, `[{"path":"/a"}]`, "JSON Patch: Unexpected kind: unknown"},
		{"no path", `{}`, `[{"op":"add","value":1}]`, "JSON Patch: add operation failed to decode path: missing value"},
		{"empty path", `{}`, `[{"op":"add","path":"","value":1}]`, "JSON Patch: add operation does not apply: doc is missing path"},
		{"empty", `{"a":1.5}`, `[]`, `{"a":1.5}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			object, _ := parse(t, tt.object).(map[string]any)
			patch, _ := parse(t, tt.patch).([]any)
			got, err := rfc6902.Apply(object, patch)
			if err != nil {
				if strings.HasPrefix(tt.want, "{") || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("got %v; want %s", err, tt.want)
				}
				if errors.Is(err, rfc6902.ErrTestFailed) != strings.Contains(tt.want, "test failed") {
					t.Errorf("%v: wrapping ErrTestFailed is wrong", err)
				}
				return
			}
			if !strings.HasPrefix(tt.want, "{") {
				t.Fatalf("got %v; want the error %s", got, tt.want)
			}
			if d := cmp.Diff(parse(t, tt.want), any(got)); d != "" {
				t.Errorf("want -, got +:\n%s", d)
			}
			if d := cmp.Diff(parse(t, tt.object), any(object)); d != "" {
				t.Errorf("the object was changed:\n%s", d)
			}
		})
	}
}

// Patches that would grow or last without end are refused.
func TestLimits(t *testing.T) {
	var doubles []any
	for i := range 40 {
		doubles = append(doubles, map[string]any{"op": "copy", "from": "/a", "path": fmt.Sprintf("/a/b%d", i)})
	}
	if _, err := rfc6902.Apply(map[string]any{"a": map[string]any{"x": "0123456789"}}, doubles); err == nil || !strings.Contains(err.Error(), "limit") {
		t.Errorf("got %v; want a limit", err)
	}
	many := make([]any, rfc6902.MaxOperations+1)
	if _, err := rfc6902.Apply(map[string]any{}, many); err == nil || !strings.Contains(err.Error(), "at most 10000") {
		t.Errorf("got %v; want a limit", err)
	}
	if _, err := rfc6902.Apply(map[string]any{}, []any{"x"}); err == nil {
		t.Error("a text is no operation")
	}
}

func FuzzApply(f *testing.F) {
	f.Add(`{"a":[1,{"b":"x"}]}`, `[{"op":"add","path":"/a/-","value":{}},{"op":"copy","from":"/a","path":"/a/0"}]`)
	f.Add(`{"a":null}`, `[{"op":"replace","path":"/a/b","value":1},{"op":"test","path":"/a"}]`)
	f.Add(`{}`, `[{"op":"remove","path":"/"},{"op":"move","from":"","path":"/a/-1"}]`)
	f.Fuzz(func(t *testing.T, object, patch string) {
		var o map[string]any
		var p []any
		if json.Unmarshal([]byte(object), &o) != nil || json.Unmarshal([]byte(patch), &p) != nil {
			return
		}
		before := fmt.Sprint(o)
		_, _ = rfc6902.Apply(o, p)
		if fmt.Sprint(o) != before {
			t.Errorf("the object was changed to %v", o)
		}
	})
}
