package decode_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/oneloop-dev/oneloop/pkg/decode"
)

type inner struct {
	Names []string       `json:"names,omitempty"`
	Any   any            `json:"any,omitempty"`
	Map   map[string]int `json:"map,omitempty"`
}

type base struct {
	Kind string `json:"kind"`
}

type outer struct {
	base   `json:",inline"`
	Text   string  `json:"text"`
	Count  int32   `json:"count"`
	Ratio  float64 `json:"ratio"`
	On     *bool   `json:"on"`
	Inner  *inner  `json:"inner"`
	List   []inner `json:"list"`
	Custom custom  `json:"custom"`
}

// custom only takes the word yes.
type custom struct{ ok bool }

func (c *custom) UnmarshalJSON(b []byte) error {
	if c.ok = string(b) == `"yes"`; !c.ok {
		return fmt.Errorf("expected yes, found %s", b)
	}
	return nil
}

func TestStrictFaults(t *testing.T) {
	for _, tt := range []struct {
		name, input string
		want        []string
	}{
		{"fits", `{"kind":"K","text":"t","count":3,"ratio":1,"on":true,"inner":{"names":["a"],"any":[1],"map":{"x":1}},"custom":"yes"}`, nil},
		{"null is absent", `{"text":null,"inner":null,"list":null}`, nil},
		{"a whole float is a whole number", `{"count":3.0}`, nil},
		{"unknown field with a near name", `{"tekst":"x"}`, []string{`tekst: unknown field "tekst"; did you mean "text"?`}},
		{"names are case-sensitive", `{"Text":"x"}`, []string{`Text: unknown field "Text"; did you mean "text"?`}},
		{"unknown field with few known", `{"inner":{"zzzzzz":1}}`, []string{`inner.zzzzzz: unknown field "zzzzzz"; known fields: any, map, names`}},
		{"a map for a list", `{"list":{"names":[]}}`, []string{`list: expected a list, found a map`}},
		{"a list for a map", `{"inner":[]}`, []string{`inner: expected a map, found a list`}},
		{"a number for a string", `{"text":3}`, []string{`text: expected a string, found the number 3`}},
		{"a string for a number", `{"count":"3"}`, []string{`count: expected a whole number, found the string "3"`}},
		{"a fraction for a whole number", `{"count":1.5}`, []string{`count: expected a whole number, found the number 1.5`}},
		{"out of range", `{"count":4294967296}`, []string{`count: expected a whole number, found the number 4294967296`}},
		{"a string for a bool", `{"on":"true"}`, []string{`on: expected true or false, found the string "true"`}},
		{"custom", `{"custom":"no"}`, []string{`custom: expected yes, found "no"`}},
		{"all faults, in path order", `{"text":1,"list":[{},{"names":[1,"b",2]}],"count":true}`, []string{
			`count: expected a whole number, found true`,
			`list[1].names[0]: expected a string, found the number 1`,
			`list[1].names[2]: expected a string, found the number 2`,
			`text: expected a string, found the number 1`,
		}},
		{"not a map at all", `[1]`, []string{`: expected a map, found a list`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var value any
			if err := yaml.Unmarshal([]byte(tt.input), &value); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range decode.Strict(value, &outer{}) {
				got = append(got, f.Path.String()+": "+f.Message)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("faults (-want +got):\n%s", d)
			}
		})
	}
}

func TestStrictStores(t *testing.T) {
	value := map[string]any{
		"kind": "K", "text": "t", "count": int64(7), "ratio": int64(2), "on": true, "custom": "yes",
		"inner": map[string]any{"names": []any{"a", "b"}, "any": map[string]any{"x": nil}, "map": map[string]any{"n": 4.0}},
	}
	var got outer
	if faults := decode.Strict(value, &got); len(faults) > 0 {
		t.Fatal(faults)
	}
	on := true
	want := outer{
		base: base{"K"}, Text: "t", Count: 7, Ratio: 2, On: &on, Custom: custom{true},
		Inner: &inner{Names: []string{"a", "b"}, Any: map[string]any{"x": nil}, Map: map[string]int{"n": 4}},
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(outer{}, base{}, custom{})); d != "" {
		t.Errorf("stored (-want +got):\n%s", d)
	}
}
