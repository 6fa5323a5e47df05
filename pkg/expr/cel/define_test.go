package cel_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	celgo "github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/go-cmp/cmp"

	"github.com/oneloop-dev/oneloop/pkg/expr/cel"
)

func environment(t testing.TB, options ...cel.Option) *cel.Environment {
	t.Helper()
	env, err := cel.New(options...)
	if err != nil {
		t.Fatal(err)
	}
	return env
}

// What an environment knows depends on its options.
func TestOptions(t *testing.T) {
	twice := cel.With(celgo.Function("twice", celgo.Overload("twice_int", []*celgo.Type{celgo.IntType}, celgo.IntType,
		celgo.UnaryBinding(func(v ref.Val) ref.Val { return v.(types.Int).Multiply(types.Int(2)) }))))
	for _, tt := range []struct {
		expression string
		options    []cel.Option
		fails      string
	}{
		{`params.a == 1`, []cel.Option{cel.WithParams()}, ""},
		{`params.a == 1`, nil, "undeclared reference to 'params'"},
		{`authorizer.path('/').check('get').allowed()`, []cel.Option{cel.WithAuthorizer()}, ""},
		{`authorizer.path('/').check('get').allowed()`, nil, "undeclared reference to 'authorizer'"},
		{`Object{} == Object{}`, []cel.Option{cel.WithPatches()}, ""},
		{`Object{} == Object{}`, nil, "undeclared reference to 'Object'"},
		{`jsonpatch.escapeKey('a/b~c') == 'a~1b~0c'`, []cel.Option{cel.WithPatches()}, ""},
		{`jsonpatch.escapeKey('a') == 'a'`, nil, "undeclared reference to 'jsonpatch'"},
		{`request.object == null`, []cel.Option{cel.WithRequestObjects()}, ""},
		{`request.object == null`, nil, "undefined field 'object'"},
		{`twice(2) == 4`, []cel.Option{twice}, ""},
		{`twice(2) == 4`, nil, "undeclared reference to 'twice'"},
		{`variables.x == 1`, nil, "undeclared reference to 'variables'"},
		{`cel.bind(x, 1, x == 1)`, nil, "undeclared reference to 'cel'"},
		{`[1, 'a'].size() == 2`, nil, "expected type 'int' but found 'string'"},
		{`[1, 'a'].size() == 2 && {'a': 1, 'b': 'c'}.b == 'c'`, []cel.Option{cel.WithMixedLiterals()}, ""},
		{`quantity('1Ki').isLessThan(quantity('1Mi')) && isIP('10.0.0.1') && url('https://a.b').getHost() == 'a.b' && sets.contains([1], [1])`, []cel.Option{cel.WithMixedLiterals()}, ""},
		{`{'a': 1}.transformMap(k, v, v + 1).size() == 1`, []cel.Option{cel.WithMixedLiterals()}, "undeclared reference"},
		{`semver('1.2.3').major() == 1`, nil, ""},
		{`semver('1.2.3').major() == 1`, []cel.Option{cel.ForVersion("1.32")}, "undeclared reference to 'semver'"},
		{`semver('1.2.3').major() == 1`, []cel.Option{cel.ForVersion("v1.32.4"), cel.ForStored()}, ""},
		{`ip('10.0.0.1').family() == 4`, []cel.Option{cel.ForVersion("1.31")}, ""},
		{`ip('10.0.0.1').family() == 4`, []cel.Option{cel.ForVersion("1.30")}, "undeclared reference to 'ip'"},
		{`{'a': 1}.transformMap(k, v, v + 1).size() == 1`, []cel.Option{cel.ForVersion("1.99")}, ""},
	} {
		_, err := environment(t, tt.options...).Compile(tt.expression, cel.Bool)
		if tt.fails == "" && err != nil || tt.fails != "" && (err == nil || !strings.Contains(err.Error(), tt.fails)) {
			t.Errorf("%s: %v; want %q", tt.expression, err, tt.fails)
		}
	}
	for _, v := range []string{"new", "1"} {
		if _, err := cel.New(cel.ForVersion(v)); err == nil {
			t.Errorf("version %q was taken", v)
		}
	}
}

// Variables are evaluated when they are first used, once until they are bound
// again, and know each other's types.
func TestDefinitions(t *testing.T) {
	calls := 0
	counted := cel.With(celgo.Function("counted", celgo.Overload("counted_int", []*celgo.Type{celgo.IntType}, celgo.IntType,
		celgo.UnaryBinding(func(v ref.Val) ref.Val { calls++; return v }))))
	definitions := cel.Define()
	env, err := environment(t, counted).With(definitions)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range [][2]string{
		{"size", "counted(size(object.list))"},
		{"twice", "variables.size * 2"},
		{"bad", "object.none + 'x'"},
		{"unused", "1 / 0 == 1"},
		{"names", "object.list.map(x, string(x))"},
		{"fields", "{'a': 1}"},
	} {
		if err := definitions.Add(env, v[0], v[1]); err != nil {
			t.Fatal(err)
		}
	}
	eval := func(v cel.Variables, expression string) (any, error) {
		p, err := env.Compile(expression, cel.Any)
		if err != nil {
			t.Fatal(err)
		}
		value, err := p.Eval(t.Context(), v, cel.Mutation())
		if err != nil {
			return nil, err
		}
		return cel.JSON(value)
	}
	v := definitions.Bind(cel.Variables{"object": map[string]any{"list": []any{int64(1), int64(2)}}})
	if got, err := eval(v, "variables.twice + variables.size"); err != nil || got != int64(6) || calls != 1 {
		t.Errorf("got %v, %v in %d calls", got, err, calls)
	}
	v["object"] = map[string]any{"list": []any{int64(1)}}
	if got, err := eval(v, "variables.size + size(object.list)"); err != nil || got != int64(3) || calls != 1 {
		t.Errorf("memoised: got %v, %v in %d calls", got, err, calls)
	}
	if got, err := eval(definitions.Bind(v), "variables.size"); err != nil || got != int64(1) || calls != 2 {
		t.Errorf("bound again: got %v, %v in %d calls", got, err, calls)
	}
	if got, err := eval(v.Clone(), "object.list.size()"); err != nil || got != int64(1) {
		t.Errorf("clone: got %v, %v", got, err)
	}
	const want = `expression 'variables.bad' resulted in error: composited variable "bad" fails to evaluate: no such key: none`
	for range 2 {
		if _, err := eval(v, "variables.bad"); err == nil || err.Error() != want {
			t.Errorf("got %v; want %s", err, want)
		}
	}
	for expression, fails := range map[string]string{
		"variables.size + 'a'":       "found no matching overload for '_+_' applied to '(int, string)'",
		"variables.names[0] + 1":     "applied to '(string, int)'",
		"variables.fields['a'].b":    "type 'int' does not support field selection",
		"variables.later":            "undefined field 'later'",
		"variables.size.endsWith(1)": "found no matching overload",
	} {
		if _, err := env.Compile(expression, cel.Any); err == nil || !strings.Contains(err.Error(), fails) {
			t.Errorf("%s: got %v; want %s", expression, err, fails)
		}
	}
	// What is not known stays so through a variable.
	v = definitions.Bind(cel.Variables{"object": cel.Unknown(errNobody)})
	if _, err := eval(v, "variables.twice"); !errors.Is(err, errNobody) {
		t.Errorf("%v does not wrap %v", err, errNobody)
	}
}

// What variables cost counts once, for the expression that uses them first.
func TestDefinitionsCost(t *testing.T) {
	definitions := cel.Define()
	env, err := environment(t).With(definitions)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for i := range 30 {
		name := fmt.Sprintf("v%d", i)
		all = append(all, "variables."+name+" != ''")
		if err := definitions.Add(env, name, "string(object) + '"+name+"'"); err != nil {
			t.Fatal(err)
		}
	}
	values := func() cel.Variables {
		return definitions.Bind(cel.Variables{"object": strings.Repeat("x", 4<<20)})
	}
	one, err := env.Compile("has(variables.v0) && variables.v0 != ''", cel.Bool)
	if err != nil {
		t.Fatal(err)
	}
	v, b := values(), cel.Mutation()
	for range 100 {
		if _, err := one.Eval(t.Context(), v, b); err != nil {
			t.Fatal(err)
		}
	}
	every, err := env.Compile(strings.Join(all, " && "), cel.Bool)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := every.Eval(t.Context(), values(), cel.Mutation()); !errors.Is(err, cel.ErrBudget) {
		t.Errorf("got %v; want %v", err, cel.ErrBudget)
	}
	if _, err := every.Eval(t.Context(), values(), nil); err != nil {
		t.Errorf("without a budget: %v", err)
	}
}

// A long evaluation ends when its context does.
func TestInterrupted(t *testing.T) {
	p, err := environment(t).Compile("object.list.all(a, object.list.all(b, a == b || true))", cel.Bool)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	list := make([]any, 500)
	for i := range list {
		list[i] = int64(i)
	}
	if _, err := p.Eval(ctx, cel.Variables{"object": map[string]any{"list": list}}, nil); err == nil || !strings.Contains(err.Error(), "interrupted") {
		t.Errorf("got %v; want an interrupted operation", err)
	}
}

// Results become what the API server makes of them.
func TestResults(t *testing.T) {
	env := environment(t, cel.WithPatches())
	v := cel.Variables{"object": map[string]any{"list": []any{map[string]any{"n": "a"}}, "labels": map[string]any{"a": "b"}, "n": int64(3)}}
	object := func(v ref.Val) (any, error) { return cel.Object(v) }
	patch := func(v ref.Val) (any, error) { return cel.Patch(v) }
	type m = map[string]any
	for _, tt := range []struct {
		expression string
		convert    func(ref.Val) (any, error)
		want       any
		fails      string
	}{
		{`Object{}`, object, m{}, ""},
		{`Object{spec: Object.spec{replicas: 3, on: true, name: "x", f: 1.5}}`, object,
			m{"spec": m{"replicas": int64(3), "on": true, "name": "x", "f": 1.5}}, ""},
		{`Object{list: [Object.list{a: 1}, Object.list{b: Object.list.b{c: [1, 2]}}]}`, object,
			m{"list": []any{m{"a": int64(1)}, m{"b": m{"c": []any{int64(1), int64(2)}}}}}, ""},
		{`Object{list: object.list.map(x, Object.list{n: x.n})}`, object, m{"list": []any{m{"n": "a"}}}, ""},
		{`Object{list: object.list, labels: object.labels}`, object, m{"list": []any{m{"n": "a"}}, "labels": m{"a": "b"}}, ""},
		{`Object{list: object.list + object.list}`, object, m{"list": []any{m{"n": "a"}, m{"n": "a"}}}, ""},
		{`Object{labels: {"a": "b"}, ?gone: optional.none(), ?there: optional.of(1)}`, object, m{"labels": m{"a": "b"}, "there": int64(1)}, ""},
		{`Object{list: object.list.filter(x, false), spec: Object.spec{a: [], b: object.list.map(x, Object.spec.b{c: []})}}`, object,
			m{"list": []any{}, "spec": m{"a": []any{}, "b": []any{m{"c": []any{}}}}}, ""},
		{`Object{labels: {1: "b"}}`, object, nil, "invalid return type"},
		{`Object{spec: Object.metadata{name: "x"}}`, object, nil,
			`type mismatch: unexpected type name "Object.metadata", expected "Object.spec", which matches field name path from root Object type`},
		{`Object{list: [Object.list.item{}]}`, object, nil, `unexpected type name "Object.list.item", expected "Object.list"`},
		{`Object{map: {"k": Object.wrong{}}}`, object, nil, `unexpected type name "Object.wrong", expected "Object.map"`},
		{`object.labels`, object, nil, "unsupported return type"},

		{`[JSONPatch{op: "add", path: "/a", value: 1}, JSONPatch{op: "move", from: "/a", path: "/b"}]`, patch,
			[]any{m{"op": "add", "path": "/a", "value": int64(1)}, m{"op": "move", "from": "/a", "path": "/b"}}, ""},
		{`[JSONPatch{op: "add", path: "/a", value: null}, JSONPatch{}]`, patch,
			[]any{m{"op": "add", "path": "/a", "value": nil}, m{"op": "", "path": ""}}, ""},
		{`[JSONPatch{op: "add", path: "/a", value: 9007199254740993}, JSONPatch{op: "add", path: "/b", value: 1.5}]`, patch,
			[]any{m{"op": "add", "path": "/a", "value": "9007199254740993"}, m{"op": "add", "path": "/b", "value": 1.5}}, ""},
		{`[JSONPatch{op: "add", path: "/a", value: Object.spec{a: 1, b: [1]}}]`, patch,
			[]any{m{"op": "add", "path": "/a", "value": m{"a": int64(1), "b": []any{int64(1)}}}}, ""},
		{`[JSONPatch{op: "add", path: "/a", value: {"a": {"b": [true]}}}]`, patch,
			[]any{m{"op": "add", "path": "/a", "value": m{"a": m{"b": []any{true}}}}}, ""},
		{`[JSONPatch{op: "add", path: "/a", value: object}]`, patch,
			[]any{m{"op": "add", "path": "/a", "value": v["object"]}}, ""},
		{`[JSONPatch{op: "add", path: "/a", value: bytes("a")}]`, patch, []any{m{"op": "add", "path": "/a", "value": "YQ=="}}, ""},
		{`[JSONPatch{op: "add", path: "/a", value: duration("90s")}]`, patch, []any{m{"op": "add", "path": "/a", "value": "90s"}}, ""},
		{`[JSONPatch{op: "add", path: "/a", value: Object.spec{a: Object.wrong{}}}]`, patch, nil, "type mismatch: unexpected type name"},
		{`[JSONPatch{op: "add", path: "/a\u0007"}]`, patch, nil, "characters that the API server does not take"},
		{`object`, patch, nil, "type mismatch"},
		{`object.list`, patch, nil, "should evaluate to array of JSONPatch"},

		{`object`, cel.JSON, v["object"], ""},
		{`[1, 2].map(x, {"a": x})`, cel.JSON, []any{m{"a": int64(1)}, m{"a": int64(2)}}, ""},
		{`Object{a: [Object.a{b: 1}]}`, cel.JSON, m{"a": []any{m{"b": int64(1)}}}, ""},
		{`[bytes("a")]`, cel.JSON, []any{"YQ=="}, ""},
		{`[duration("90s"), duration("1ms")]`, cel.JSON, []any{"90s", "0.001s"}, ""},
		{`timestamp("2024-01-02T03:04:05Z")`, cel.JSON, "2024-01-02T03:04:05Z", ""},
		{`optional.none()`, cel.JSON, nil, ""},
		{`optional.of(1u)`, cel.JSON, int64(1), ""},
		{`18446744073709551615u`, cel.JSON, nil, "too large"},
		{`9007199254740993`, cel.JSON, int64(9007199254740993), ""},
		{`1.0 / 0.0`, cel.JSON, nil, "no number of JSON"},
		{`{1: 2}`, cel.JSON, nil, "of type int, not string"},
		{`type(1)`, cel.JSON, nil, "can't be converted"},
	} {
		t.Run(tt.expression, func(t *testing.T) {
			p, err := env.Compile(tt.expression, cel.Any)
			if err != nil {
				t.Fatal(err)
			}
			value, err := p.Eval(t.Context(), v, nil)
			if err != nil {
				t.Fatal(err)
			}
			got, err := tt.convert(value)
			if tt.fails != "" {
				if err == nil || !strings.Contains(err.Error(), tt.fails) {
					t.Errorf("got %v, %v; want an error about %s", got, err, tt.fails)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("want -, got +:\n%s", d)
			}
		})
	}
}

// The types of results are those that the API server asks for.
func TestResultTypes(t *testing.T) {
	env := environment(t, cel.WithPatches())
	for _, tt := range []struct {
		expression string
		want       *celgo.Type
		fails      string
	}{
		{`Object{}`, cel.ObjectResult, ""},
		{`true ? Object{spec: Object.spec{}} : Object{}`, cel.ObjectResult, ""},
		{`Object.spec{}`, cel.ObjectResult, "must evaluate to Object but got Object.spec"},
		{`{"spec": {"replicas": 3}}`, cel.ObjectResult, "must evaluate to Object but got map(string, map(string, int))"},
		{`object`, cel.ObjectResult, "must evaluate to Object but got dyn"},
		{`[JSONPatch{op: "add"}]`, cel.PatchResult, ""},
		{`[]`, cel.PatchResult, "must evaluate to list(JSONPatch) but got list(dyn)"},
		{`true ? [JSONPatch{op: "add"}] : []`, cel.PatchResult, ""},
		{`JSONPatch{op: 1}`, cel.Any, "expected type of field 'op' is 'string' but provided type is 'int'"},
	} {
		_, err := env.Compile(tt.expression, tt.want)
		if tt.fails == "" && err != nil || tt.fails != "" && (err == nil || !strings.Contains(err.Error(), tt.fails)) {
			t.Errorf("%s: %v; want %q", tt.expression, err, tt.fails)
		}
	}
}

// With exact types a variable may be a patch, and knows what it is not.
func TestDefineExact(t *testing.T) {
	base := environment(t, cel.WithPatches(), cel.ForStored())
	d := cel.DefineExact()
	env, err := base.With(d)
	if err != nil {
		t.Fatal(err)
	}
	for name, expression := range map[string]string{"patch": `[JSONPatch{op: "test"}]`, "object": `Object{}`, "text": `"a"`} {
		if err := d.Add(env, name, expression); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := env.Compile("variables.patch", cel.PatchResult); err != nil {
		t.Error(err)
	}
	if _, err := env.Compile("variables.object", cel.ObjectResult); err != nil {
		t.Error(err)
	}
	if _, err := env.Compile("variables.other", cel.Any); err == nil || !strings.Contains(err.Error(), "undefined field 'other'") {
		t.Errorf("an unknown variable: %v", err)
	}
	if _, err := env.Compile("variables.text.size() == variables.text", cel.Any); err == nil {
		t.Error("a text is compared with a number")
	}
	p, err := env.Compile(`variables.text == "a" && variables.object == Object{}`, cel.Bool)
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := p.EvalBool(context.Background(), d.Bind(cel.Variables{}), nil); !ok || err != nil {
		t.Errorf("%t, %v", ok, err)
	}
	// The API server takes patches for any type.
	d = cel.Define()
	if env, err = base.With(d); err != nil {
		t.Fatal(err)
	}
	if err := d.Add(env, "patch", `[JSONPatch{op: "test"}]`); err != nil {
		t.Fatal(err)
	}
	if _, err := env.Compile("variables.patch", cel.PatchResult); err == nil {
		t.Error("a patch that the API server does not know as one")
	}
}

// Maps are walked through in the order of their keys, so that the same expression
// gives the same each time.
func TestMapsAreOrdered(t *testing.T) {
	object := map[string]any{}
	for _, k := range strings.Split("qwertyuiopasdfghjklzxcvbnm", "") {
		object[k] = map[string]any{"b": int64(1), "a": int64(2), "c": []any{map[string]any{"z": nil, "y": nil}}}
	}
	env := environment(t)
	d := cel.Define()
	with, err := env.With(d)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Add(with, "keys", `object.map(k, k)`); err != nil {
		t.Fatal(err)
	}
	for expression, want := range map[string]any{
		`object.map(k, k)[0] + object.map(k, k)[25]`: "az",
		`object.q.map(k, k)`:                         []any{"a", "b", "c"},
		`object.q.c[0].map(k, k)`:                    []any{"y", "z"},
		`{"b": 1, "c": 2, "a": 3}.map(k, k)`:         []any{"a", "b", "c"},
		`{3: 1, 1: 2, 2: 3}.map(k, k)`:               []any{int64(1), int64(2), int64(3)},
		`{true: 1, false: 2}.map(k, k)`:              []any{false, true},
		`{"b": 1, "a": 2}.transformList(k, v, v)`:    []any{int64(2), int64(1)},
		`variables.keys[1]`:                          "b",
		`object.size() == 26 && "q" in object`:       true,
		`object.q == {"a": dyn(2), "b": dyn(1), "c": dyn([{"y": null, "z": null}])}`: true,
	} {
		p, err := with.Compile(expression, cel.Any)
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			v, err := p.Eval(context.Background(), d.Bind(cel.Variables{"object": object}), nil)
			if err != nil {
				t.Fatalf("%s: %v", expression, err)
			}
			got, err := cel.JSON(v)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("%s (-want +got):\n%s", expression, d)
				break
			}
		}
	}
}
