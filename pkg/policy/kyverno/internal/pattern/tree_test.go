package pattern

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/oneloop-dev/oneloop/tests/bounds"
)

// parse reads YAML; all numbers come out as float64, as they do in Kyverno.
func parse(t testing.TB, text string) any {
	t.Helper()
	data, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestSatisfies(t *testing.T) {
	tests := []struct {
		value, pattern string
		want           bool
	}{
		{"{a: 1, b: 2}", "{a: 1}", true},
		{"{a: 1}", "{a: 2}", false},
		{"{a: {b: x}}", "{a: {b: '?'}}", true},
		{"{a: x}", "{a: {b: x}}", false},
		{"{a: {}}", "{a: x}", false},
		{"{}", "{a: x}", false},
		{"{}", "{a: null}", true},
		{"{a: null}", "{a: '*'}", false},
		{"{a: {}}", "{a: '*'}", true},
		{"{}", "{}", true},
		{"3", "'>2'", true},

		// Lists: the first element is the pattern of all.
		{"{a: [1, 2]}", "{a: '>0'}", true},
		{"{a: [1, 2]}", "{a: ['>0', 5]}", true},
		{"{a: [1, 2]}", "{a: ['>1']}", false},
		{"{a: []}", "{a: [x]}", true},
		{"{a: [1]}", "{a: []}", false},
		{"{a: x}", "{a: [x]}", false},
		{"{l: [{id: a}, {id: b}]}", "{l: [{id: '?'}]}", true},
		{"{l: [{id: a}, {id: bb}]}", "{l: [{id: '?'}]}", false},
		{"{l: [{id: a}, x]}", "{l: [{id: '?'}]}", false},
		{"{l: [[1], [2]]}", "{l: [[1], [2]]}", true},
		{"{l: [[1], [3]]}", "{l: [[1], [2]]}", false},
		{"{l: [[1]]}", "{l: [[1], [2]]}", false},

		// Condition.
		{"{a: x, b: 1}", "{(a): x, b: 1}", true},
		{"{a: x, b: 2}", "{(a): x, b: 1}", false},
		{"{a: z, b: 1}", "{(a): x, b: 1}", false},
		{"{b: 1}", "{(a): x, b: 1}", false},
		{"{l: [{id: a, v: 1}, {id: b, v: 2}]}", "{l: [{(id): a, v: 1}]}", true},
		{"{l: [{id: a, v: 2}, {id: b, v: 2}]}", "{l: [{(id): a, v: 1}]}", false},
		{"{l: [{id: b, v: 1}]}", "{l: [{(id): a, v: 1}]}", false},
		{"{l: []}", "{l: [{(id): a, v: 1}]}", true},
		{"{a: x, b: z}", "{(a): x, (b): x}", false},

		// Global.
		{"{a: x, b: 1}", "{<(a): x, b: 1}", true},
		{"{a: z, b: 1}", "{<(a): x, b: 1}", false},
		{"{b: 1}", "{<(a): x, b: 1}", true},
		{"{l: [{id: a}, {id: b}]}", "{l: [{<(id): a}]}", true},

		// Equality, negation, existence.
		{"{b: 1}", "{=(a): x, b: 1}", true},
		{"{a: x, b: 1}", "{=(a): x, b: 1}", true},
		{"{a: z, b: 1}", "{=(a): x, b: 1}", false},
		{"{b: 1}", "{X(a): x, b: 1}", true},
		{"{a: x, b: 1}", "{X(a): x, b: 1}", false},
		{"{l: [{id: a}, {id: b}]}", "{^(l): [{id: b}]}", true},
		{"{l: [{id: a}]}", "{^(l): [{id: a}, {id: b}]}", false},
		{"{}", "{^(l): [{id: b}]}", true},
		{"{l: x}", "{^(l): [{id: b}]}", false},
		{"{l: [{id: a}]}", "{^(l): x}", false},
		{"{l: [a]}", "{^(l): [a]}", false},
		{"{a: 1}", "{+(a): 1}", false}, // means nothing here, but is a field

		// Conditions that skip beside others that fail.
		{"{a: z, l: [{id: a}]}", "{(a): x, ^(l): [{id: b}]}", false},
		{"{a: x, b: 1}", "{(a): x, (c): z}", false},
		{"{m: {l: [{id: b}]}, a: x}", "{=(m): {l: [{(id): a}]}, (a): x}", true},
		{"{m: {l: [{id: b}]}}", "{=(m): {l: [{(id): a}]}}", false},

		// Wildcards in the keys of labels and annotations, nowhere else.
		{"{metadata: {labels: {app.io/x: 'y', z: w}}}", "{metadata: {labels: {'app.io/*': 'y'}}}", true},
		{"{metadata: {labels: {app.io/x: 'y'}}}", "{metadata: {labels: {'other/*': 'y'}}}", false},
		{"{metadata: {annotations: {a1: 'y'}}}", "{metadata: {=(annotations): {'=(a?)': 'y'}}}", true},
		{"{metadata: {annotations: {a1: z}}}", "{metadata: {=(annotations): {'=(a?)': 'y'}}}", false},
		{"{metadata: {annotations: {a1: z}}}", "{metadata: {annotations: {'X(a?)': ''}}}", false},
		{"{spec: {labels: {a1: 'y'}}}", "{spec: {labels: {'a?': 'y'}}}", false},
		{"{metadata: {labels: {a: 'y'}}}", "{metadata: {labels: {b: 1}}}", true}, // values that are not strings are left out
	}
	for _, test := range tests {
		p := parse(t, test.pattern)
		if got := Satisfies(parse(t, test.value), p); got != test.want {
			t.Errorf("Satisfies(%s, %s) = %v, want %v", test.value, test.pattern, got, test.want)
		}
		if diff := cmp.Diff(parse(t, test.pattern), p); diff != "" {
			t.Errorf("Satisfies modified %s (-before +after):\n%s", test.pattern, diff)
		}
	}
}

func TestSatisfiesTakesIntegers(t *testing.T) {
	value := map[string]any{"a": int64(3), "l": []any{int64(1)}}
	if !Satisfies(value, map[string]any{"a": int64(3), "l": []any{">0"}}) {
		t.Error("integers in trees must match like floats")
	}
}

func FuzzSatisfies(f *testing.F) {
	f.Add(`{"metadata":{"labels":{"a":"b"}}}`, `{"(metadata)":{"=(labels)":{"a*":"b"}}}`)
	f.Add(`{"l":[{"n":1},[2]]}`, `{"^(l)":[{"<(n)":">0"}],"X(m)":null}`)
	f.Fuzz(func(t *testing.T, value, pattern string) {
		var v, p any
		if json.Unmarshal([]byte(value), &v) != nil || json.Unmarshal([]byte(pattern), &p) != nil {
			return
		}
		bounds.Hold(t)
		Satisfies(v, p)
	})
}
