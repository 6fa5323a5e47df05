package cel_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oneloop-dev/oneloop/pkg/expr/cel"
)

// TestPatchTypes restates what the API server's own tests say of Object and
// JSONPatch.
func TestPatchTypes(t *testing.T) {
	type m = map[string]any
	env := environment(t, cel.WithPatches())
	for _, tt := range []struct {
		expression string
		want       any
		fails      string // part of the error of compiling or evaluating
	}{
		{`string(114514)`, "114514", ""},
		{`Object{}`, m{}, ""},
		{`Object{spec: Object.spec{replicas: 3}}`, m{"spec": m{"replicas": int64(3)}}, ""},
		{`Object{spec: Object.spec{template: Object.spec.template{spec: Object.spec.template.spec{containers: [
			Object.spec.template.spec.containers{name: "nginx", image: "nginx", args: ["-g"]}]}}}}`,
			m{"spec": m{"template": m{"spec": m{"containers": []any{m{"name": "nginx", "image": "nginx", "args": []any{"-g"}}}}}}}, ""},
		{`Object{intList: [1, 2, 3]}`, m{"intList": []any{int64(1), int64(2), int64(3)}}, ""},
		{`Object{annotations: {"foo": "bar"}}`, m{"annotations": m{"foo": "bar"}}, ""},
		{`Object{intList: [1, 2, 3]}.intList.sum()`, int64(6), ""},
		{`Object{spec: Object.spec{replicas: 3}} == Object{spec: Object.spec{replicas: 1 + 2}}`, true, ""},
		{`Object{spec: Object.spec{replicas: 3}} == Object{spec: Object.spec{replicas: 4}}`, false, ""},
		{`Object.a{} == Object.b{}`, false, "found no matching overload"},
		{`Invalid{}`, nil, "undeclared reference to 'Invalid'"},
		{`(true ? JSONPatch{op: "add", path: "/spec/replicas", value: 3} : JSONPatch{op: "remove", path: "/spec/replicas"}).op`, "add", ""},
		{`JSONPatch{op: "move", from: "/a", path: "/b"}.from`, "/a", ""},
		{`JSONPatch{op: "invalid", path: "/spec/replicas", value: 3}.op`, "invalid", ""}, // the patch fails, not the expression
		{`JSONPatch{op: "add", value: 3}.path`, "", ""},
		{`has(JSONPatch{op: "add", path: "/a"}.value)`, false, ""},
		{`JSONPatch{op: "add", path: "/a", value: Invalid{}}`, nil, "undeclared reference to 'Invalid'"},
		{`JSONPatch{op: "add", path: Invalid{}, value: 3}`, nil, "undeclared reference to 'Invalid'"},
		{`JSONPatch{op: 1, path: "/a"}`, nil, "expected type of field 'op' is 'string' but provided type is 'int'"},
		{`JSONPatch{op: "add", path: 1}`, nil, "expected type of field 'path' is 'string' but provided type is 'int'"},
		{`JSONPatch{op: "move", from: 1, path: "/a"}`, nil, "expected type of field 'from' is 'string' but provided type is 'int'"},
		{`JSONPatch{op: dyn(1), path: "/a"}`, nil, "unexpected type"},
		{`JSONPatch{op: "add"} == JSONPatch{op: "add"}`, true, ""},

		{`Object{?existing: optional.none()}`, m{}, ""},
		{`Object{?spec: optional.ofNonZeroValue(Object.spec{?replicas: Object{}.?replicas})}`, m{}, ""},
		{`Object{?spec: optional.ofNonZeroValue(Object.spec{?replicas: optional.of(1)})}`, m{"spec": m{"replicas": int64(1)}}, ""},
		{`Object{}.?existing.hasValue()`, false, ""},
		{`Object{a: 1}.?a.hasValue()`, false, ""}, // so it is in the API server
		{`{"foo": 1}[?"bar"].hasValue()`, false, ""},
		{`{"foo": 1}[?"foo"].value()`, int64(1), ""},
		{`has({"foo": 1}.bar)`, false, ""},
		{`has({"foo": 1}.foo)`, true, ""},
		{`has(Object{a: 1}.a) && !has(Object{}.a)`, true, ""},
	} {
		t.Run(tt.expression, func(t *testing.T) {
			var got any
			p, err := env.Compile(tt.expression, cel.Any)
			if err == nil {
				value, evalErr := p.Eval(t.Context(), cel.Variables{}, cel.Mutation())
				if err = evalErr; err == nil {
					got, err = cel.JSON(value)
				}
			}
			switch {
			case tt.fails != "" && (err == nil || !strings.Contains(err.Error(), tt.fails)):
				t.Errorf("got %v, %v; want an error about %s", got, err, tt.fails)
			case tt.fails == "" && err != nil:
				t.Error(err)
			case tt.fails == "":
				if d := cmp.Diff(tt.want, got); d != "" {
					t.Errorf("want -, got +:\n%s", d)
				}
			}
		})
	}
}
