package jmespath

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A recorded line is either a document ("data" and "value") or the answer of
// Kyverno 1.19.1 to one expression: a result, or how it failed.
//
// The answers were recorded with Kyverno's own pkg/engine/jmespath. Expressions
// whose answer differs from run to run are left out, as are those that read the
// clock.
type recorded struct {
	Data  string
	Value json.RawMessage

	Expr    string
	On      string          // names a document; empty: null
	Result  json.RawMessage // absent if the outcome says more
	Outcome string          // error, not found, syntax error, panic, not JSON
}

func readRecorded(t testing.TB) (documents map[string]json.RawMessage, cases []recorded) {
	t.Helper()
	text, err := os.ReadFile("testdata/kyverno-1.19.1.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	documents = map[string]json.RawMessage{}
	for i, line := range bytes.Split(bytes.TrimSpace(text), []byte("\n")) {
		var r recorded
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatalf("line %d: %v", i+1, err)
		}
		if r.Data != "" {
			documents[r.Data] = r.Value
		} else {
			cases = append(cases, r)
		}
	}
	return documents, cases
}

// decode reads JSON with all numbers as float64, or with the whole ones as
// int64.
func decode(t testing.TB, text []byte, whole bool) any {
	t.Helper()
	if len(text) == 0 {
		return nil
	}
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	if whole {
		return integers(v)
	}
	return v
}

// panicking says what is given where Kyverno panics: a value as JSON, or an
// error.
var panicking = map[string]string{
	"contains(list,list[0])":                         "true",
	"contains(`[[1]]`,`[1]`)":                        "true",
	"merge(a.x)":                                     "error",
	"merge(a.b,a.s)":                                 "error",
	"merge(items(a.b,'k','v'))":                      "error",
	"sort_by(items(`{\"b\":1,\"a\":2}`,'k','v'),&v)": `[{"k":"b","v":1},{"k":"a","v":2}]`,
	"max_by(items(`{\"b\":1,\"a\":2}`,'k','v'),&v)":  `{"k":"a","v":2}`,
	"map(&k,items(a.b,'k','v'))":                     `["c"]`,
	"reverse(items(a.b,'k','v'))":                    `[{"k":"c","v":"x"}]`,
	"contains(items(a.b,'k','v'),'x')":               "false",
}

func TestKyvernoAnswers(t *testing.T) {
	documents, cases := readRecorded(t)
	if len(cases) < 1000 {
		t.Fatalf("only %d cases", len(cases))
	}
	env := Env{Now: func() time.Time { return time.Unix(0, 0) }}
	for _, c := range cases {
		for _, whole := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/int64=%t", c.Expr, whole), func(t *testing.T) {
				data := decode(t, documents[c.On], whole)
				q, err := Compile(c.Expr)
				if (err != nil) != (c.Outcome == "syntax error") {
					t.Fatalf("Compile: %v, Kyverno: %q", err, c.Outcome)
				}
				if err != nil {
					return
				}
				got, err := q.Search(data, env)
				want, outcome := c.Result, c.Outcome
				if outcome == "panic" {
					outcome = ""
					if want = json.RawMessage(panicking[c.Expr]); string(want) == "error" {
						outcome = "error"
					}
				}
				if err != nil {
					if outcome == "" {
						t.Fatalf("error %v, Kyverno: %s", err, want)
					}
					if IsNotFound(err) != (outcome == "not found") {
						t.Fatalf("error %v, Kyverno: %s", err, outcome)
					}
					return
				}
				if outcome != "" {
					t.Fatalf("got %#v, Kyverno: %s", got, outcome)
				}
				// Through JSON and back, so that only values count.
				text, err := json.Marshal(got)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(decode(t, want, false), decode(t, text, false)); diff != "" {
					t.Errorf("-Kyverno +got:\n%s", diff)
				}
			})
		}
	}
}
