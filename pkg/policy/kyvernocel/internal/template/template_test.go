package template_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oneloop-dev/oneloop/pkg/policy/kyvernocel/internal/template"
)

// values are what the expressions of these tests stand for.
var values = map[string]any{
	"name":    "web",
	"ns":      "shop",
	"port":    int64(8080),
	"half":    0.5,
	"million": 1e6,
	"yes":     true,
	"null":    nil,
	"labels":  map[string]any{"team": "a", "tier": "web"},
	"list":    []any{"x", int64(2)},
	"object":  map[string]any{"kind": "Whole"},

	`f(")", 'it\'s ((')`: "strings",
	"f(g(x))":            "nested",
}

func render(t *template.Template) ([]map[string]any, error) {
	return t.Render(func(i int) (any, error) {
		e := t.Placeholders()[i].Expression
		v, ok := values[e]
		if !ok {
			return nil, fmt.Errorf("no such variable %q", e)
		}
		return v, nil
	})
}

// field puts a value into a document of one field.
func field(v any) []map[string]any { return []map[string]any{{"a": v}} }

func TestScalars(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       any
	}{
		{"no placeholder", `hello`, "hello"},
		{"a whole value", `(( name ))`, "web"},
		{"no spaces needed", `((name))`, "web"},
		{"in single quotes", `'(( name ))'`, "web"},
		{"in double quotes", `"(( name ))"`, "web"},
		{"over two lines", "((\n    name\n  ))", "web"},
		{"in a block", "|-\n    (( name ))", "web"},
		{"a block with its line end is a text", "|\n    (( name ))", "web\n"},
		{"a map", `(( labels ))`, map[string]any{"team": "a", "tier": "web"}},
		{"a list", `(( list ))`, []any{"x", int64(2)}},
		{"a number", `(( port ))`, int64(8080)},
		{"a fraction", `(( half ))`, 0.5},
		{"a boolean", `(( yes ))`, true},
		{"null", `(( null ))`, nil},
		{"within a text", `pre-(( name ))-post`, "pre-web-post"},
		{"two", `(( ns ))/(( name ))`, "shop/web"},
		{"two without a space", `(( ns ))(( name ))`, "shopweb"},
		{"numbers and booleans within a text", `(( port )) (( half )) (( million )) (( yes ))`, "8080 0.5 1e+06 true"},
		{"brackets of the expression", `(( f(g(x)) ))`, "nested"},
		{"brackets of the expression at its end", `((f(g(x))))`, "nested"},
		{"brackets and quotes in strings", `>-` + "\n    " + `(( f(")", 'it\'s ((') ))`, "strings"},
		{"escaped", `\(( name ))`, "(( name ))"},
		{"escaped and not", `\((-(( name ))`, "((-web"},
		{"two backslashes", `\\(( name ))`, `\(( name ))`},
		{"a backslash elsewhere", `a\b(( name ))`, `a\bweb`},
		{"three brackets", `\(((`, "((("},
		{"one bracket", `(a) ( b )`, "(a) ( b )"},
		{"behind brackets", `)) (( name ))`, ")) web"},
		{"in a list", `[(( name )), b]`, []any{"web", "b"}},
		{"in a map in a list", `[{b: (( name )), c: 1}]`, []any{map[string]any{"b": "web", "c": int64(1)}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			read, err := template.Read("a: "+tt.text+"\n", true)
			if err != nil {
				t.Fatal(err)
			}
			got, err := render(read)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(field(tt.want), got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// TestLiterals: what has no placeholder is read as Kyverno reads it, which is
// not as it reads manifests.
func TestLiterals(t *testing.T) {
	for text, want := range map[string]any{
		"yes": "yes", "on": "on", "n": "n", "true": true, "null": nil, "~": nil, "''": "",
		"3": int64(3), "0x10": int64(16), "010": int64(8), "1.5": 1.5, "1e3": 1000.0, "12e": "12e", "1_000": int64(1000),
		"18446744073709551615": 18446744073709551615.0,
		"2024-01-01":           "2024-01-01T00:00:00Z",
		"'2024-01-01'":         "2024-01-01",
		"!!binary aGk=":        "hi",
		"!!str 3":              "3",
		"[]":                   []any{},
		"{b: {}}":              map[string]any{"b": map[string]any{}},
		`"\((" `:               nil, // YAML knows no such escape
	} {
		for _, interpolate := range []bool{true, false} {
			read, err := template.Read("a: "+text, interpolate)
			if strings.Contains(text, `\`) {
				if err == nil {
					t.Errorf("%s: no error", text)
				}
				continue
			}
			if err != nil {
				t.Errorf("%s: %v", text, err)
				continue
			}
			got, err := render(read)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(field(want), got); d != "" {
				t.Errorf("%s (-want +got):\n%s", text, d)
			}
		}
	}
}

func TestDocuments(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		plain      bool
		want       []map[string]any
	}{
		{"placeholders without interpolation", "a: (( name ))", true, field("(( name ))")},
		{"escapes without interpolation", `a: \(( name ))`, true, field(`\(( name ))`)},
		{"keys without interpolation", "(( name )): x", true, []map[string]any{{"(( name ))": "x"}}},
		{"several documents", "a: (( name ))\n---\na: b\n---\na: (( ns ))\n", false,
			[]map[string]any{{"a": "web"}, {"a": "b"}, {"a": "shop"}}},
		{"documents that hold nothing", "---\n# nothing\n---\na: b\n---\n---\n~\n", false, field("b")},
		{"a document that is a placeholder", "(( object ))\n---\na: b", false, []map[string]any{{"kind": "Whole"}, {"a": "b"}}},
		{"a map in braces", `{"a": "(( name ))"}`, false, field("web")},
		{"an anchor", "x: &x {n: (( name ))}\na: *x", false, []map[string]any{{"x": map[string]any{"n": "web"}, "a": map[string]any{"n": "web"}}}},
		{"an anchor without placeholders", "x: &x {n: 1}\na: [*x, (( name ))]", false, []map[string]any{{"x": map[string]any{"n": int64(1)}, "a": []any{map[string]any{"n": int64(1)}, "web"}}}},
		{"merge keys away from placeholders", "a: {<<: &x {n: 1}, m: 2}\nb: (( name ))", false, []map[string]any{{"a": map[string]any{"n": int64(1), "m": int64(2)}, "b": "web"}}},
		{"a number as key beside a placeholder", "a: {1: (( name ))}", false, field(map[string]any{"1": "web"})},
		{"the last of equal keys beside a placeholder", "a: x\na: (( name ))", false, field("web")},
		{"an escape in a key stays", `a: {"x((": 1}` + "\n" + `b: {\((: (( name ))}`, false, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			read, err := template.Read(tt.text, !tt.plain)
			if tt.want == nil {
				if err == nil {
					t.Fatal("no error")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got, err := render(read)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestFaults(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		plain      bool
		want       string
	}{
		{"malformed YAML", "kind: [x", true, "malformed YAML: line 1: did not find"},
		{"nothing", "", false, "expected at least one YAML document, found none"},
		{"only comments", "# x\n---\n", false, "expected at least one YAML document, found none"},
		{"a list", "a: b\n---\n- a\n- b", true, "line 3 of the template: expected a map that describes a resource, found a list"},
		{"a list with a placeholder", "- (( name ))", false, "line 1 of the template: expected a map that describes a resource, found a list"},
		{"a text", "x-(( name ))", false, "expected a map that describes a resource, found a string"},
		{"a scalar", "3", false, "expected a map that describes a resource, found the number 3"},
		{"no end", `a: "(( name"`, false, `line 1 of the template: the placeholder that begins "(( name" does not end; expected ))`},
		{"a string without end", `a: '(( "name ))'`, false, "has a string that does not end"},
		{"a bracket too many", `a: (( f(x)) ) ))`, false, "a closing bracket too many"},
		{"empty", "b: 1\na: x((  ))", false, "line 2 of the template: a placeholder is empty"},
		{"in a key", "a:\n  (( name )): x", false, `line 2 of the template: key "(( name ))": a key is no place for a placeholder`},
		{"a key that is a map", "a:\n  ? {x: y}\n  : (( name ))", false, "line 2 of the template: expected a string as key"},
		{"a merge key beside a placeholder", "x: &x {n: 1}\na:\n  <<: *x\n  m: (( name ))", false, "line 3 of the template: merge keys"},
		{"equal keys", "a: {b: 1, b: 2}", false, `mapping key "b" already defined`},
		{"a number as key", "a: {1: x}", false, "line 1 of the template: field \"a\": a key of a map is no string"},
		{"not a number", "a: .nan", false, "JSON has no number NaN"},
		{"an anchor in itself", "a: &x [*x, (( name ))]", false, `contains itself`},
		{"an anchor in itself without a placeholder", "a: &x [*x]", false, `contains itself`},
		{"all of them", "a: (( ))\n(( b )): x\nc: (( d\n", false, "line 3 of the template"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := template.Read(tt.text, !tt.plain)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			var e *template.Error
			if !errors.As(err, &e) {
				t.Errorf("%v is no *template.Error", err)
			}
		})
	}
}

func TestRenderFails(t *testing.T) {
	for text, want := range map[string]string{
		"a: x-(( labels ))":                        `field "a": placeholder (( labels )) is a part of a text: expected a string, number or boolean, found a map`,
		"a: x-(( null ))":                          `found null`,
		"a: {b: [1, (( nobody ))]}":                `field "a": field "b": item 1: placeholder (( nobody )): no such variable "nobody"`,
		"(( list ))":                               `expected a map that describes a resource, found a list`,
		"a: b\n---\n(( name ))":                    `document 2: expected a map that describes a resource, found the string "web"`,
		"a: x-(( nobody ))":                        `placeholder (( nobody )): no such variable "nobody"`,
		"a: b\n---\na: (( name ))(( nobody ))\n--": `malformed`,
	} {
		read, err := template.Read(text, true)
		if err == nil {
			_, err = render(read)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}

func TestAnchorsHaveABudget(t *testing.T) {
	var b strings.Builder
	b.WriteString("a0: &a0 [(( name ))]\n")
	for i := range 20 {
		fmt.Fprintf(&b, "a%d: &a%d [*a%d, *a%d, *a%d]\n", i+1, i+1, i, i, i)
	}
	if _, err := template.Read(b.String(), true); err == nil || !strings.Contains(err.Error(), "200000 values") {
		t.Errorf("got %v", err)
	}
	if _, err := template.Read(strings.Repeat(" ", 5<<20), true); err == nil {
		t.Error("no error for 5 MiB")
	}
}

func TestPlaceholdersAreListedWithLines(t *testing.T) {
	read, err := template.Read("a: (( one ))\nb:\n- x(( two ))-(( three ))\n---\nc: |\n  text\n  (( four ))\n", true)
	if err != nil {
		t.Fatal(err)
	}
	want := []template.Placeholder{{"one", 1}, {"two", 3}, {"three", 3}, {"four", 5}}
	if d := cmp.Diff(want, read.Placeholders()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func FuzzRead(f *testing.F) {
	for _, s := range []string{
		"a: (( name ))", `a: \(( x ))-((y))`, "a: &x [*x, ((y))]", "(( a ))", "- ((a))", "a: {<<: &b {c: (( d ))}}", "? {a: b}\n: ((c))", "a: ((\"))\"))",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		plain, err := template.Read(text, false)
		if err == nil {
			if n := len(plain.Placeholders()); n > 0 {
				t.Fatalf("%d placeholders without interpolation", n)
			}
			if _, err := plain.Render(nil); err != nil {
				t.Fatalf("a template without placeholders: %v", err)
			}
		}
		read, err := template.Read(text, true)
		if err != nil {
			return
		}
		for _, p := range read.Placeholders() {
			if p.Expression != strings.TrimSpace(p.Expression) || p.Expression == "" {
				t.Fatalf("placeholder %q", p.Expression)
			}
		}
		used := map[int]bool{}
		_, err = read.Render(func(i int) (any, error) {
			used[i] = true
			return "v", nil
		})
		if err == nil && len(used) < len(read.Placeholders()) {
			t.Fatalf("%d of %d placeholders were evaluated", len(used), len(read.Placeholders()))
		}
	})
}
