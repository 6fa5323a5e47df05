package cel_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/cel-go/common/types/ref"

	"github.com/oneloop-dev/oneloop/pkg/expr/cel"
)

// Results that are small to hold and huge to write down are refused at once.
func TestHugeResults(t *testing.T) {
	path := strings.Split("Object.a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r.s.t.u.v.w.x.y.z", ".")
	type variable [2]string
	chain := func(first string, next func(i int, before string) string) []variable {
		out := []variable{{"v0", first}}
		for i := 1; i < 30; i++ {
			out = append(out, variable{fmt.Sprintf("v%d", i), next(i, fmt.Sprintf("variables.v%d", i-1))})
		}
		return out
	}
	var objects []variable
	for i := len(path); i > 1; i-- {
		inner := "1"
		if i < len(path) {
			inner = fmt.Sprintf("variables.v%d", i+1)
		}
		field := "end"
		if i < len(path) {
			field = path[i]
		}
		objects = append(objects, variable{fmt.Sprintf("v%d", i), fmt.Sprintf("%s{%s: [%s, %s]}", strings.Join(path[:i], "."), field, inner, inner)})
	}
	doubled := func(_ int, before string) string { return "[" + before + ", " + before + "]" }
	text := chain("'0123456789'", func(_ int, before string) string { return before + " + " + before })[:19]
	for _, tt := range []struct {
		name       string
		variables  []variable
		expression string
		convert    func(ref.Val) (any, error)
		fails      string
	}{
		{"lists", chain("[1]", doubled), "variables.v29", cel.JSON, "too large"},
		{"maps", chain("{'a': 1}", func(_ int, before string) string { return "{'a': " + before + ", 'b': " + before + "}" }), "variables.v29", cel.JSON, "too large"},
		{"lists in a patch", chain("[1]", doubled), "[JSONPatch{op: 'add', path: '/a', value: variables.v29}]", func(v ref.Val) (any, error) { return cel.Patch(v) }, "too large"},
		{"concatenations", chain("[1]", func(_ int, before string) string { return before + " + " + before })[:18], "Object{a: variables.v17}", func(v ref.Val) (any, error) { return cel.Object(v) }, "too large"},
		{"a small concatenation", chain("[1]", func(_ int, before string) string { return before + " + " + before })[:10], "Object{a: variables.v9}", func(v ref.Val) (any, error) { return cel.Object(v) }, ""},
		{"objects", objects, "Object{a: variables.v2}", func(v ref.Val) (any, error) { return cel.Object(v) }, "too large"},
		{"comparing lists", chain("[1]", doubled), "variables.v29 == [variables.v28, variables.v28]", cel.JSON, "too large"},
		{"texts", text, "[" + strings.Repeat("variables.v18, ", 9) + "variables.v18]", cel.JSON, "too large"},
		{"one text", text, "variables.v18", cel.JSON, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			definitions := cel.Define()
			env, err := environment(t, cel.WithPatches()).With(definitions)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range tt.variables {
				if err := definitions.Add(env, v[0], v[1]); err != nil {
					t.Fatal(err)
				}
			}
			p, err := env.Compile(tt.expression, cel.Any)
			if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			value, err := p.Eval(t.Context(), definitions.Bind(cel.Variables{}), nil)
			if err == nil {
				_, err = tt.convert(value)
			}
			if tt.fails == "" && err != nil || tt.fails != "" && (err == nil || !strings.Contains(err.Error(), tt.fails)) {
				t.Errorf("got %v; want %q", err, tt.fails)
			}
			if took := time.Since(start); took > 20*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

// Variables stop when they have cost what there is, whatever comes after them.
func TestVariablesStop(t *testing.T) {
	definitions := cel.Define()
	env, err := environment(t).With(definitions)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for i := range 60 {
		name := fmt.Sprintf("v%d", i)
		all = append(all, "variables."+name+" != ''")
		if err := definitions.Add(env, name, "string(object) + '"+name+"'"); err != nil {
			t.Fatal(err)
		}
	}
	p, err := env.Compile(strings.Join(all, " && "), cel.Bool)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("x", 4<<20)
	if _, err := p.Eval(t.Context(), definitions.Bind(cel.Variables{"object": text}), cel.Mutation()); !errors.Is(err, cel.ErrBudget) {
		t.Errorf("got %v; want %v", err, cel.ErrBudget)
	}
}

// What one expression puts together is bounded, too: nothing would end comparing it.
func TestBounded(t *testing.T) {
	// nested evaluates inner where xN is a list of two of the list before.
	nested := func(x string, n int, inner string) string {
		for i := n; i > 0; i-- {
			before := "1"
			if i > 1 {
				before = fmt.Sprintf("%s%d", x, i-1)
			}
			inner = fmt.Sprintf("[[%s, %s]].all(%s%d, %s)", before, before, x, i, inner)
		}
		return inner
	}
	joined := func(n int) string {
		inner := fmt.Sprintf("x%d.size() > 0", n)
		for i := n; i > 0; i-- {
			before := "[1]"
			if i > 1 {
				before = fmt.Sprintf("x%d", i-1)
			}
			inner = fmt.Sprintf("[%s + %s].all(x%d, %s)", before, before, i, inner)
		}
		return inner
	}
	many := "[" + strings.Repeat("object, ", 999) + "object]"
	for _, tt := range []struct{ name, expression, fails string }{
		{"comparing", nested("a", 40, nested("b", 40, "a40 == b40")), "too large"},
		{"looking for", nested("a", 40, "a40 in [a40]"), "too large"},
		{"sets", nested("a", 40, "sets.contains(a40, a40)"), "too large"},
		{"maps", nested("a", 40, "{'a': a40} == {'a': a40}"), "too large"},
		{"maps of comprehensions", "[object].all(a, [{'a': a, 'b': a}].all(b, [[1, 2].transformMap(i, x, b)].all(c, c == c)))", ""},
		{"joined", joined(40), "too large"},
		{"joined a little", joined(8), ""},
		{"a few levels", nested("a", 12, nested("b", 12, "a12 == b12")), ""},
		{"what the input holds does not count", many + " == " + many, ""},
		{"what a comprehension makes", many + ".map(o, {'b': [o]}).size() == 1000", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := environment(t).Compile(tt.expression, cel.Bool)
			if err != nil {
				t.Fatal(err)
			}
			input := map[string]any{"list": []any{"a", "b", map[string]any{"c": "d"}}}
			start := time.Now()
			ok, err := p.EvalBool(t.Context(), cel.Variables{"object": input}, nil)
			if tt.fails == "" && (err != nil || !ok) || tt.fails != "" && (err == nil || !strings.Contains(err.Error(), tt.fails)) {
				t.Errorf("got %t, %v; want %q", ok, err, tt.fails)
			}
			if took := time.Since(start); took > 20*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}
