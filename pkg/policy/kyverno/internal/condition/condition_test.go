package condition

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/oneloop-dev/oneloop/tests/bounds"
)

// itself is a Resolve without variables.
func itself(v any) (any, error) { return v, nil }

// decode reads JSON with int64 and float64, as policies and resources are.
func decode(t *testing.T, text string) any {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return numbers(v)
}

func numbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return i
		}
		f, _ := v.Float64()
		return f
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = numbers(v[k])
		}
	}
	return v
}

// TestOperators compares every operator on every pair of values with what
// Kyverno answered.
func TestOperators(t *testing.T) {
	data, err := os.ReadFile("testdata/operators.txt")
	if err != nil {
		t.Fatal(err)
	}
	var values []any
	var texts []string
	var op string
	row, compared := 0, 0
	for _, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		if text, ok := strings.CutPrefix(line, "value "); ok {
			values, texts = append(values, decode(t, text)), append(texts, text)
			continue
		}
		if name, ok := strings.CutPrefix(line, "operator "); ok {
			op, row = name, 0
			continue
		}
		for column, want := range line {
			c, err := Compile([]any{map[string]any{"key": values[row], "operator": op, "value": values[column]}})
			if err != nil {
				t.Fatal(err)
			}
			ok, _, err := c.Evaluate(itself)
			got := '0'
			if err != nil {
				got = '!'
			} else if ok {
				got = '1'
			}
			if got != want {
				t.Errorf("key %s %s value %s: %c, want %c", texts[row], op, texts[column], got, want)
			}
			compared++
		}
		row++
	}
	if want := len(Operators) * len(values) * len(values); compared != want || len(values) == 0 {
		t.Errorf("compared %d pairs, want %d", compared, want)
	}
}

func TestEvaluate(t *testing.T) {
	const holds = `{"key": "a", "operator": "Equals", "value": "a", "message": "is a"}`
	const fails = `{"key": "a", "operator": "Equals", "value": "b", "message": "is not b"}`
	const quiet = `{"key": 1, "operator": "GreaterThan", "value": 0}`
	tests := []struct {
		conditions string
		want       bool
		message    string
	}{
		{`null`, true, ""},
		{`{}`, true, ""},
		{`[]`, true, ""},
		{`{"any": []}`, false, ""},
		{`{"all": []}`, true, ""},
		{`{"any": null, "all": null}`, true, ""},
		{`[` + holds + `,` + quiet + `,` + holds + `]`, true, "is a;is a"},
		{`[` + holds + `,` + fails + `]`, false, "is not b"},
		{`{"any": [` + fails + `,` + holds + `]}`, true, "is a"},
		{`{"any": [` + fails + `,` + fails + `]}`, false, "is not b; is not b"},
		{`{"all": [` + holds + `,` + holds + `]}`, true, "is a; is a"},
		{`{"all": [` + holds + `,` + fails + `,` + fails + `]}`, false, "is not b"},
		{`{"any": [` + holds + `], "all": [` + fails + `]}`, false, "is not b"},
		{`{"any": [` + fails + `], "all": [` + holds + `]}`, false, "is not b"},
		{`{"any": [` + holds + `], "all": [` + quiet + `]}`, true, "is a"},
	}
	for _, tt := range tests {
		c, err := Compile(decode(t, tt.conditions))
		if err != nil {
			t.Errorf("%s: %v", tt.conditions, err)
			continue
		}
		ok, message, err := c.Evaluate(itself)
		if ok != tt.want || message != tt.message || err != nil {
			t.Errorf("%s: %v %q %v, want %v %q", tt.conditions, ok, message, err, tt.want, tt.message)
		}
	}
}

func TestEvaluateResolves(t *testing.T) {
	missing := errors.New("no such variable")
	resolve := func(v any) (any, error) {
		switch v {
		case "{{ replicas }}":
			return int64(3), nil
		case "{{ missing }}":
			return nil, missing
		}
		return v, nil
	}
	tests := []struct {
		conditions string
		want       bool
		err        error
	}{
		{`[{"key": "{{ replicas }}", "operator": "GreaterThanOrEquals", "value": 3}]`, true, nil},
		{`[{"key": 3, "operator": "Equals", "value": "{{ replicas }}"}]`, true, nil},
		{`[{"key": "{{ missing }}", "operator": "Equals", "value": 3}]`, false, missing},
		{`[{"key": 3, "operator": "Equals", "value": "{{ missing }}"}]`, false, missing},
		// Neither any nor a list looks further than it needs to ...
		{`{"any": [{"key": 1, "operator": "Equals", "value": 1}, {"key": "{{ missing }}", "operator": "Equals", "value": 1}]}`, true, nil},
		{`[{"key": 1, "operator": "Equals", "value": 2}, {"key": "{{ missing }}", "operator": "Equals", "value": 1}]`, false, nil},
		// ... but all is evaluated even when any has failed.
		{`{"any": [{"key": 1, "operator": "Equals", "value": 2}], "all": [{"key": "{{ missing }}", "operator": "Equals", "value": 1}]}`, false, missing},
	}
	for _, tt := range tests {
		c, err := Compile(decode(t, tt.conditions))
		if err != nil {
			t.Fatal(err)
		}
		ok, _, err := c.Evaluate(resolve)
		if ok != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("%s: %v %v, want %v %v", tt.conditions, ok, err, tt.want, tt.err)
		}
	}
}

func TestCompileFaults(t *testing.T) {
	tests := []struct{ conditions, want string }{
		{`"x"`, "expected any or all with a list of conditions, found the text \"x\""},
		{`{"some": []}`, `unknown field "some"`},
		{`{"any": {"key": 1}}`, `any: expected a list of conditions, found a map; put "- " before key`},
		{`{"all": [1]}`, "all[0]: expected a condition with key, operator and value, found the number 1"},
		{`[{"key": 1, "operater": "Equals"}]`, `[0]: unknown field "operater"; a condition has key, operator, value, message`},
		{`[{"key": 1, "value": 1}]`, "operator: expected one of Equals"},
		{`[{"key": 1, "operator": "equals", "value": 1}]`, `operator: "equals" is not one of Equals`},
		{`[{"key": 1, "operator": "Equals", "value": 1, "message": 1}]`, "message: expected text"},
	}
	for _, tt := range tests {
		_, err := Compile(decode(t, tt.conditions))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", tt.conditions, err, tt.want)
		}
	}
}

// FuzzEvaluate looks for panics and for what takes too long; that the answers
// are right is the business of TestOperators.
func FuzzEvaluate(f *testing.F) {
	f.Add(`"1-10"`, `["a", 1]`)
	f.Add(`"-5Mi-1Gi"`, `"1e3"`)
	f.Add(`[null, {}]`, `"[\"a\"]"`)
	f.Fuzz(func(t *testing.T, key, value string) {
		var k, v any
		if json.Unmarshal([]byte(key), &k) != nil || json.Unmarshal([]byte(value), &v) != nil {
			k, v = key, value
		}
		bounds.Hold(t)
		for _, op := range Operators {
			c, err := Compile([]any{map[string]any{"key": k, "operator": op, "value": v}})
			if err != nil {
				t.Fatal(err)
			}
			c.Evaluate(itself)
		}
	})
}

func BenchmarkEvaluate(b *testing.B) {
	for _, op := range []string{"Equals", "AnyIn", "GreaterThan"} {
		key, value := any("CREATE"), any([]any{"UPDATE", "CREATE"})
		switch op {
		case "Equals":
			value = "UPDATE"
		case "GreaterThan":
			key, value = "512Mi", "1Gi"
		}
		c, err := Compile(map[string]any{"all": []any{map[string]any{"key": key, "operator": op, "value": value}}})
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprint(op), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.Evaluate(itself)
			}
		})
	}
}
