package variable_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oneloop-dev/oneloop/pkg/expr/jmespath"
	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/variable"
	"github.com/oneloop-dev/oneloop/tests/bounds"
)

// A scope is plain data.
type scope struct {
	data     map[string]any
	deleting bool
}

func (s scope) Search(e *variable.Expression) (any, error) { return e.Search(s.data, jmespath.Env{}) }
func (s scope) Deleting() bool                             { return s.deleting }

var data = map[string]any{
	"a": "A", "n": int64(3), "f": 1.5, "nothing": nil, "yes": true, "empty": "",
	"list": []any{"x", int64(1)}, "map": map[string]any{"k": "v<w>"},
	"name": "a", "braces": "{{ a }}", "open": "{{", "close": "a }}", "escaped": `\{{ a }}`,
	"deep": map[string]any{"k {{ a }}": []any{"is {{ n }}", `\{{ a }}`}},
	"self": "{{ self }}!", "twice": "{{ twice }}{{ twice }} ", "tree": map[string]any{"a": "{{ tree }}", "b": "{{ tree }}"},
	"request": map[string]any{"object": map[string]any{"here": "now", "l": []any{map[string]any{"x.y": "z"}}}, "oldObject": map[string]any{"here": "then"}},
}

// The results are Kyverno's; see also testdata of package kyverno.
func TestResolve(t *testing.T) {
	for _, tt := range []struct{ in, want any }{
		{"plain", "plain"},
		{"{{ a }}", "A"},
		{"{{a}}", "A"},
		{"{{ n }}", int64(3)},
		{"{{ nothing }}", nil},
		{"{{ list }}", []any{"x", int64(1)}},
		{" {{ n }}", " 3"},
		{"{{ n }} {{ f }} {{ yes }} {{ nothing }}", "3 1.5 true null"},
		{"<{{ list }}{{ map }}>", `<["x",1]{"k":"v\u003cw\u003e"}>`},
		{"{{a}}{{a}}{{a}}", "AAA"},
		{"{{empty}}{{n}}", int64(3)}, // what is left is one variable
		{"{{empty}} {{n}}", " 3"},
		{"{{ {{ name }} }}", "A"},
		{"{{ map.{{ 'k' }} }}", "v<w>"},
		{"{{ {b: a, c: {d: n}} }}", "{{ {b: a, c: {d: n}} }}"}, // braces nest only once
		{"{{ {b: a} }}", map[string]any{"b": "A"}},
		{"{{{b: a}}}", map[string]any{"b": "A"}},
		{"{{ braces }}", "{{ a }}"}, // a whole text is final
		{"x{{ braces }}", "xA"},     // part of one is searched again
		{"x{{- braces }}", "x{{ a }}"},
		{"x{{- n }}", "x3"},
		{"{{ open }}{{ close }}", "A"},
		{"x{{ escaped }}", "x{{ a }}"},
		{`\{{ a }}`, "{{ a }}"},
		{`\{{ a }} {{ a }}`, "{{ a }} A"},
		{"{{ a", "{{ a"},
		{"{ {a} }", "{ {a} }"},
		{"{{ deep }}", map[string]any{"k A": []any{"is 3", "{{ a }}"}}},
		{[]any{"{{ n }}", "x", []any{"{{ a }}"}}, []any{int64(3), "x", []any{"A"}}},
		{map[string]any{"k{{ n }}": "{{ a }}", "x": int64(1)}, map[string]any{"k3": "A", "x": int64(1)}},
		{map[string]any{"{{ nothing }}": "v"}, map[string]any{"{{ nothing }}": "v"}},
		{map[string]any{"{{ n }}": "v"}, errors.New("expected a text, found the number 3")},
		{"x{{ self }}", errors.New("without end")},
		{"x{{ twice }}", errors.New("without end")},
		{"{{ tree }}", errors.New("without end")},
		// Kyverno cuts the é in two and reads its rest as part of the variable.
		{"é{{ a }}", errors.New("follows the character 'é' at once")},
		{"{{ 'é' }}{{ a }}", errors.New("follows the character 'é' at once")},
		{"é {{ a }}é", "é Aé"},
		{"{{ none }}", errors.New("variable {{ none }} is not set")},
		{"{{ none || 'd' }}", "d"},
		{"{{ {{ braces }} }}", errors.New("variable {{ A }} is not set")},
		{"{{ x{{ a }}( }}", errors.New("offset")}, // compiled when it comes to it
		{"a $(b) c", errors.New(`write \$(b)`)},
		{`a \$(b) c`, "a $(b) c"},
		{map[string]any{"a": "$(./../b)!", "b": "{{ n }}"}, map[string]any{"a": "3!", "b": int64(3)}},
		{map[string]any{"a": "$(/+x/0)", "+(+x)": []any{"y"}}, map[string]any{"a": "y", "+(+x)": []any{"y"}}},
		{map[string]any{"a": "$(>/b)", "b": int64(5)}, map[string]any{"a": ">5", "b": int64(5)}},
		{map[string]any{"a": "$(/b)", "b": int64(5)}, errors.New("expected a text at /b, found the number 5")},
	} {
		t.Run(fmt.Sprint(tt.in), func(t *testing.T) {
			got, err := resolve(tt.in, scope{data: data})
			if want, ok := tt.want.(error); ok {
				if err == nil || !strings.Contains(err.Error(), want.Error()) {
					t.Errorf("got %v, %v; want an error with %q", got, err, want)
				}
				return
			}
			if d := cmp.Diff(tt.want, got); d != "" || err != nil {
				t.Errorf("error %v (-want +got):\n%s", err, d)
			}
		})
	}
}

func resolve(v any, s variable.Scope) (any, error) {
	template, err := variable.Compile(v, variable.Options{})
	if err != nil {
		return nil, err
	}
	return template.Resolve(s)
}

// {{ @ }} is the object's value at the place of the text below the patch.
func TestHere(t *testing.T) {
	patch := map[string]any{"mutate": map[string]any{"patchStrategicMerge": map[string]any{
		"here": "{{ @ }} and {{@}}",
		"l":    []any{map[string]any{"x.y": "{{ @ }}"}},
	}}}
	got, err := resolve(patch, scope{data: data})
	want := map[string]any{"mutate": map[string]any{"patchStrategicMerge": map[string]any{
		"here": "now and now",
		"l":    []any{map[string]any{"x.y": "z"}},
	}}}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("error %v (-want +got):\n%s", err, d)
	}
}

// When an object is deleted there is only the old one.
func TestDeleting(t *testing.T) {
	got, err := resolve("{{ request.object.here }}", scope{data: data, deleting: true})
	if got != "then" || err != nil {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestFaults(t *testing.T) {
	at := fieldpath.Path{fieldpath.Key("spec")}
	check := func(e *variable.Expression) error {
		if e.Root() == "bad" {
			return errors.New("bad is refused")
		}
		return nil
	}
	_, err := variable.Compile(map[string]any{
		"a": []any{"{{ a }}", "{{ a. }}"}, "b{{ }}": "{{ bad.x }}",
	}, variable.Options{At: at, Check: check})
	var places []string
	for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
		var f *variable.Fault
		if errors.As(e, &f) {
			places = append(places, f.Place().String())
		}
	}
	if d := cmp.Diff([]string{"spec.a[1]", `spec["b{{ }}"]`, `spec["b{{ }}"]`}, places); d != "" {
		t.Errorf("places (-want +got):\n%s\n%v", d, err)
	}
}

func TestUnresolvedKnowsItsPlace(t *testing.T) {
	template, err := variable.Compile([]any{"{{ a }}", "{{ none }}"}, variable.Options{
		Path: fieldpath.Path{fieldpath.Key("patch")}, At: fieldpath.Path{fieldpath.Key("rule")},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = template.Resolve(scope{data: data})
	var u *variable.Unresolved
	if !errors.As(err, &u) || u.Variable != "none" || u.Place().String() != "rule.patch[1]" || !jmespath.IsNotFound(err) {
		t.Errorf("got %#v", err)
	}
}

func TestStatic(t *testing.T) {
	for text, want := range map[string]bool{"a": true, `\{{ a }}`: true, `\$(a)`: true, "{{ a }}": false, "$(a)": false} {
		template, err := variable.Compile(text, variable.Options{})
		if err != nil || template.Static() != want {
			t.Errorf("%s: got %v, %v", text, template.Static(), err)
		}
	}
}

// What is not substituted is shared, what is compiled is never modified.
func TestCopyOnWrite(t *testing.T) {
	in := map[string]any{"static": map[string]any{"a": "b"}, "x": "{{ a }}"}
	got, err := resolve(in, scope{data: data})
	if err != nil {
		t.Fatal(err)
	}
	out := got.(map[string]any)
	in["static"].(map[string]any)["probe"] = true
	if out["static"].(map[string]any)["probe"] != true || in["x"] != "{{ a }}" {
		t.Errorf("got %v from %v", out, in)
	}
}

func TestMentions(t *testing.T) {
	for _, tt := range []struct {
		text, name string
		want       bool
	}{
		{"x", "x", true},
		{"x.y", "x", true},
		{"y.x", "x", false},
		{"y.x.z", "x", false},
		{"yx", "x", false},
		{"xy", "x", false},
		{"x_y", "x", false},
		{"f(x)", "x", true},
		{"'x'", "x", true}, // it goes by the text
		{"a || x", "x", true},
		{`"my-map".data`, "my-map", true},
		{"my-map", "my", true},
		{"ax x", "x", true},
	} {
		e, err := variable.NewExpression(tt.text)
		if err != nil {
			// Kyverno goes by the text before it compiles it.
			e, err = variable.NewExpression("a || " + tt.text)
		}
		if err != nil {
			continue
		}
		if got := e.Mentions(tt.name); got != tt.want {
			t.Errorf("%s mentions %s: got %v", tt.text, tt.name, got)
		}
	}
}

func TestRoot(t *testing.T) {
	for text, want := range map[string]string{
		"request.object": "request", "a || b": "a", "length(a)": "", "'x'": "", "`1`": "", "[a, b]": "", "@": "", "a": "a", "x[0]": "x",
	} {
		e, err := variable.NewExpression(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := e.Root(); got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}

// A template whose expressions are compiled at run time serves many goroutines,
// also when there are more expressions than it remembers.
func TestConcurrentNested(t *testing.T) {
	template, err := variable.Compile("{{ join('', ['{{ a }}', 'x']) }}", variable.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 700 {
				name := fmt.Sprintf("%d-%d", g, i)
				got, err := template.Resolve(scope{data: map[string]any{"a": name}})
				if got != name+"x" || err != nil {
					t.Errorf("got %v, %v", got, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestReferencesAreBounded(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	_, err := resolve(map[string]any{"p": map[string]any{"a": long, "b": "$(./../a) $(./../a) $(./../a)"}}, scope{})
	if err == nil || !strings.Contains(err.Error(), "the text becomes longer than 2 MiB") {
		t.Errorf("got an error of %d bytes", len(fmt.Sprint(err)))
	}
}

func FuzzResolve(f *testing.F) {
	for _, s := range []string{"{{ a }}", "{{{{a}}}}", `\{{a}}`, "{{- braces }}", "{{ {b: a} }}", "$(a)$(./b)", "{{@}}{{ self }}", "{{ {{ name }} }}", "{{open}}{{close}}"} {
		f.Add(s, "{{ a }}")
	}
	for _, s := range []string{"x{{ b }}{{ b }}", "{{ to_string(b) }} {{ request.object.x }}", "x{{ {{ a }} }}", "$(a) $(./../q/x) $(>=b)", "{{ replace_all(a, '', a) }}x"} {
		f.Add(s, "x{{ a }}{{ a }}{{ b }}")
		f.Add(s, "{{ request.object.x }}")
	}
	f.Fuzz(func(t *testing.T, text, value string) {
		bounds.Hold(t)
		known := map[string]any{"a": value, "b": []any{value}, "name": "a", "request": map[string]any{"object": map[string]any{"x": value}}}
		v, err := resolve(map[string]any{"p": map[string]any{"q": map[string]any{"x": text, text: "y"}}}, scope{data: known})
		again, errAgain := resolve(map[string]any{"p": map[string]any{"q": map[string]any{"x": text, text: "y"}}}, scope{data: known})
		if (err == nil) != (errAgain == nil) || !cmp.Equal(v, again) {
			t.Errorf("two results: %v, %v; %v, %v", v, err, again, errAgain)
		}
	})
}

func BenchmarkResolve(b *testing.B) {
	template, err := variable.Compile(map[string]any{
		"metadata": map[string]any{"labels": map[string]any{"a": "{{ request.object.here }}", "b": "x-{{ a }}-{{ n }}"}},
		"spec":     map[string]any{"static": []any{"a", "b"}},
	}, variable.Options{})
	if err != nil {
		b.Fatal(err)
	}
	s := scope{data: data}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := template.Resolve(s); err != nil {
			b.Fatal(err)
		}
	}
}

// A context entry without a name is mentioned by nothing.
func TestMentionsNoName(t *testing.T) {
	e, err := variable.NewExpression("element.name")
	if err != nil {
		t.Fatal(err)
	}
	if e.Mentions("") {
		t.Error("an empty name is mentioned")
	}
}
