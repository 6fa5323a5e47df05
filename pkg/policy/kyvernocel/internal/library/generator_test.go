package library

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/cel-go/cel"
	"github.com/google/go-cmp/cmp"

	"github.com/oneloop-dev/oneloop/pkg/facts"
)

type generated struct {
	namespace string
	objects   []map[string]any
}

// generate evaluates an expression that generates.
func generate(t *testing.T, namespace, expression string) ([]generated, error) {
	t.Helper()
	options := append([]cel.EnvOption{cel.OptionalTypes(), cel.Variable("object", cel.DynType)}, Options(namespace)...)
	env, err := cel.NewEnv(append(options, Generator(namespace)...)...)
	if err != nil {
		t.Fatal(err)
	}
	checked, issues := env.Compile(expression)
	if issues.Err() != nil {
		return nil, issues.Err()
	}
	program, err := env.Program(checked)
	if err != nil {
		t.Fatal(err)
	}
	var out []generated
	values := (&World{Facts: facts.New(), Namespace: namespace}).Values()
	values["object"] = map[string]any{"n": int64(3), "list": []any{map[string]any{"a": "b"}}, "names": []any{"x", "y"}, "labels": map[string]any{}}
	values["generator"] = Generate(func(namespace string, objects []map[string]any) error {
		if namespace == "forbidden" {
			return fmt.Errorf("namespace %s is forbidden", namespace)
		}
		out = append(out, generated{namespace, objects})
		return nil
	})
	v, _, err := program.Eval(values)
	if err == nil && v.Value() != true {
		t.Errorf("%s = %v, want true", expression, v)
	}
	return out, err
}

func TestGenerator(t *testing.T) {
	type o = map[string]any
	tests := []struct {
		name, namespace, expression string
		want                        []generated
	}{
		{"an object", "", `generator.Apply("shop", [{"kind": dyn("A"), "n": dyn(3)}])`, []generated{{"shop", []o{{"kind": "A", "n": int64(3)}}}}},
		{"the other spelling", "", `generator.apply("shop", [{"kind": "A"}])`, []generated{{"shop", []o{{"kind": "A"}}}}},
		{"no namespace", "", `generator.apply("", [{"kind": "A"}])`, []generated{{"", []o{{"kind": "A"}}}}},
		{"a list", "", `generator.apply("shop", object.list)`, []generated{{"shop", []o{{"a": "b"}}}}},
		{"nothing", "", `generator.apply("shop", [])`, []generated{{"shop", nil}}},
		{"several times", "", `object.names.all(n, generator.apply(n, object.list))`, []generated{{"x", []o{{"a": "b"}}}, {"y", []o{{"a": "b"}}}}},
		{"behind a condition", "", `false || generator.apply("shop", [])`, []generated{{"shop", nil}}},
		{"a field that is not there", "", `generator.apply("shop", [{?"a": object.labels[?"x"], ?"b": optional.of("c")}])`, []generated{{"shop", []o{{"b": "c"}}}}},
		{"of a namespace", "shop", `generator.apply([{"kind": "A"}])`, []generated{{"", []o{{"kind": "A"}}}}},
		{"numbers", "", `generator.apply("shop", [{"a": dyn(1.0), "b": dyn(0.5), "c": dyn(9007199254740993), "d": dyn(7u), "e": dyn(null), "f": dyn(-1), "g": dyn(1e300)}])`,
			[]generated{{"shop", []o{{"a": int64(1), "b": 0.5, "c": "9007199254740993", "d": int64(7), "e": nil, "f": int64(-1), "g": 1e300}}}}},
		{"times and bytes", "", `generator.apply("shop", [{"t": dyn(timestamp("2026-01-31T00:00:00Z")), "d": dyn(duration("90s")), "b": dyn(b"hi")}])`,
			[]generated{{"shop", []o{{"t": "2026-01-31T00:00:00Z", "d": "90s", "b": "aGk="}}}}},
		{"not a number", "", `generator.apply("shop", [{"a": dyn(double("NaN"))}])`, []generated{{"shop", []o{{"a": "NaN"}}}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := generate(t, tt.namespace, tt.expression)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, got, cmp.AllowUnexported(generated{})); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestGeneratorRefuses(t *testing.T) {
	for _, tt := range []struct{ namespace, expression, want string }{
		{"shop", `generator.apply("other", [{"kind": "A"}])`, "found no matching overload"},
		{"", `generator.apply([{"kind": "A"}])`, "found no matching overload"},
		{"", `generator.apply("shop", {"kind": "A"})`, "found no matching overload"},
		{"", `generator.apply("shop", object)`, "no such overload"},
		{"", `generator.apply("shop", ["A"])`, "found no matching overload"},
		{"", `generator.apply("shop", object.names)`, "no such overload"},
		{"", `generator.apply("forbidden", [{"kind": "A"}])`, "generator.Apply: namespace forbidden is forbidden"},
		{"", `generator.apply(object.n, [{"kind": "A"}])`, "no such overload"},
		{"", doubled(40, `generator.apply("shop", [{"kind": x40}])`), "too large"},
	} {
		_, err := generate(t, tt.namespace, tt.expression)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.expression, err, tt.want)
		}
	}
}

// doubled evaluates expression where xN is a list of two of the list before, down to
// [1, 1]: small to make, and 2 to the power of n when it is written out.
func doubled(n int, expression string) string {
	for i := n; i > 0; i-- {
		before := "1"
		if i > 1 {
			before = fmt.Sprintf("x%d", i-1)
		}
		expression = fmt.Sprintf("[[%s, %s]].map(x%d, %s)[0]", before, before, i, expression)
	}
	return expression
}

func TestScalar(t *testing.T) {
	env := environment(t, "")
	for expression, want := range map[string]any{
		`9007199254740993`: int64(9007199254740993), `3.0`: 3.0, `7u`: int64(7), `"a"`: "a", `true`: true, `null`: nil,
		`{"a": 9007199254740993}`: map[string]any{"a": "9007199254740993"}, `[1]`: []any{int64(1)},
		`duration("90s")`: "90s", `18446744073709551615u`: "larger than any whole number", `double("Infinity")`: "JSON has no number",
	} {
		checked, issues := env.Compile(expression)
		if issues.Err() != nil {
			t.Fatal(issues.Err())
		}
		program, err := env.Program(checked)
		if err != nil {
			t.Fatal(err)
		}
		v, _, err := program.Eval(map[string]any{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := Scalar(v)
		if err != nil {
			if text, _ := want.(string); text == "" || !strings.Contains(err.Error(), text) {
				t.Errorf("%s: %v", expression, err)
			}
		} else if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", expression, d)
		}
	}
}
