package jmespath

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	parser "github.com/kyverno/go-jmespath"
)

// The interpreter of the fork is the reference for everything but Kyverno's
// functions. These tests compare answers on expressions nobody thought of.

// answersCompare reports whether the fork's answer means something: it iterates
// over maps in random order, reorders lists in place, and knows no function of
// Kyverno.
func answersCompare(n parser.ASTNode) bool {
	switch n.NodeType {
	case parser.ASTValueProjection, parser.ASTExpRef:
		return false
	case parser.ASTFunctionExpression:
		name, _ := n.Value.(string)
		switch name {
		case "keys", "values", "sum", "sort_by":
			return false
		case "map", "max_by", "min_by":
			for _, kid := range n.Children {
				if kid.NodeType == parser.ASTExpRef {
					kid = kid.Children[0]
				}
				if !answersCompare(kid) {
					return false
				}
			}
			return true
		}
		if f, known := functionTable()[name]; known && !isStandard(f) {
			return false
		}
	}
	for _, kid := range n.Children {
		if !answersCompare(kid) {
			return false
		}
	}
	return true
}

func isStandard(f *function) bool {
	for i := range standardFunctions {
		if f == &standardFunctions[i] {
			return true
		}
	}
	return false
}

// askReference evaluates with the fork.
func askReference(ast parser.ASTNode, data any) (v any, err error, panicked bool) {
	defer func() { panicked = recover() != nil }()
	v, err = parser.NewInterpreter().Execute(ast, data)
	return v, err, false
}

func compareWithReference(t testing.TB, expr string, data []byte) {
	t.Helper()
	q, err := Compile(expr)
	ast, referenceErr := parser.NewParser().Parse(expr)
	if err != nil {
		if referenceErr == nil && len(expr) < maxCode/2 {
			t.Fatalf("%q: %v, but the parser takes it", expr, err)
		}
		return
	}
	if referenceErr != nil {
		t.Fatalf("%q compiles, but the parser says %v", expr, referenceErr)
	}
	input := decode(t, data, false)
	got, err := q.Search(input, Env{})
	if diff := cmp.Diff(decode(t, data, false), input, cmpopts.EquateNaNs()); diff != "" {
		t.Fatalf("%q modified its input:\n%s", expr, diff)
	}
	gotWhole, errWhole := q.Search(decode(t, data, true), Env{})
	if (err == nil) != (errWhole == nil) || IsNotFound(err) != IsNotFound(errWhole) {
		t.Fatalf("%q with float64: %v; with int64: %v", expr, err, errWhole)
	}
	if diff := cmp.Diff(asJSON(t, got), asJSON(t, gotWhole)); diff != "" {
		t.Fatalf("%q: -float64 +int64:\n%s", expr, diff)
	}
	if !answersCompare(ast) {
		return
	}
	want, referenceErr, panicked := askReference(ast, decode(t, data, false))
	if panicked {
		return
	}
	if _, marshalErr := json.Marshal(want); marshalErr != nil && referenceErr == nil {
		referenceErr = marshalErr
	}
	if (err == nil) != (referenceErr == nil) {
		t.Fatalf("%q on %s: error %v, reference %v", expr, data, err, referenceErr)
	}
	_, notFound := referenceErr.(parser.NotFoundError)
	if IsNotFound(err) != notFound {
		t.Fatalf("%q on %s: error %v, reference %v", expr, data, err, referenceErr)
	}
	if err == nil {
		if diff := cmp.Diff(asJSON(t, want), asJSON(t, got)); diff != "" {
			t.Fatalf("%q on %s: -reference +got:\n%s", expr, data, diff)
		}
	}
}

// asJSON takes v through JSON, so that only values count.
func asJSON(t testing.TB, v any) any {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, text, false)
}

const sample = `{"a":{"b":[1,2.5,{"c":"x","n":null}],"c":"abc","d":{"e":true}},"b":[{"a":1,"c":"z"},{"a":3,"c":"y"},{"b":[1]}],"c":3,"d":null,"e":["p","q",""]}`

func TestAgainstReference(t *testing.T) {
	g := generator{rand.New(rand.NewPCG(1, 2))}
	for range 5000 {
		compareWithReference(t, g.expression(4), []byte(sample))
	}
}

// A generator makes random expressions that mostly parse.
type generator struct{ *rand.Rand }

func (g generator) pick(of ...string) string { return of[g.IntN(len(of))] }

func (g generator) expression(depth int) string {
	if depth == 0 {
		return g.pick("a", "b", "c", "d", "e", "a.b", "a.c", "a.d.e", "b[0].a", "@", "zz", "a.zz", "`1`", "`3.0`", "'x'", "`[1,2]`", "`{\"a\":1}`", "`null`", "`\"abc\"`", "e[1]", "c")
	}
	sub := func() string { return g.expression(g.IntN(depth)) }
	switch g.IntN(24) {
	case 0, 1:
		return sub() + "." + g.pick("a", "b", "c", "d", "e", "zz", "[a, b]", "{x: a, y: zz}", "length(@)", "to_string(@)", "type(@)", "not_null(@, 'n')")
	case 2:
		return sub() + fmt.Sprintf("[%d]", g.IntN(5)-2)
	case 3:
		return sub() + g.pick("[*]", "[]", "[::-1]", "[1:]", "[:2]", "[::2]", "[-2:]", "[5:0:-2]")
	case 4:
		return sub() + g.pick("[*]", "[]") + "." + g.pick("a", "b", "c", "[a]", "to_string(@)")
	case 5, 6:
		return sub() + "[?" + sub() + "]" + g.pick("", ".a", "[0]", " | [0]")
	case 7:
		return sub() + g.pick(" || ", " && ", " | ") + sub()
	case 8:
		return "!" + sub()
	case 9, 10:
		return sub() + g.pick(" == ", " != ", " < ", " <= ", " > ", " >= ") + sub()
	case 11:
		return "[" + sub() + ", " + sub() + "]"
	case 12:
		return "{k: " + sub() + ", l: " + sub() + "}"
	case 13:
		return "(" + sub() + ")"
	case 14, 15, 16, 17, 18:
		return g.pick("length", "abs", "avg", "ceil", "floor", "max", "min", "merge", "not_null", "reverse", "sort", "to_array", "to_number", "to_string", "type", "nosuch") + "(" + sub() + ")"
	case 19, 20:
		return g.pick("contains", "ends_with", "starts_with", "join", "merge", "not_null") + "(" + sub() + ", " + sub() + ")"
	case 21:
		return g.pick("max_by", "min_by", "sort_by") + "(" + sub() + ", &" + sub() + ")"
	case 22:
		return "map(&" + sub() + ", " + sub() + ")"
	default:
		return sub() + g.pick(".*", ".*.to_string(@)", "[*].*")
	}
}

// FuzzSearch feeds any expression and any data: no panic, and the answers of
// the reference.
func FuzzSearch(f *testing.F) {
	_, cases := readRecorded(f)
	for _, c := range cases {
		f.Add(c.Expr, sample)
	}
	f.Add(strings.Repeat("(", 100), "1")
	f.Fuzz(func(t *testing.T, expr, data string) {
		var v any
		if json.Unmarshal([]byte(data), &v) != nil {
			return
		}
		compareWithReference(t, expr, []byte(data))
	})
}
