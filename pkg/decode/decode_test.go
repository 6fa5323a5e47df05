package decode_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/oneloop-dev/oneloop/pkg/decode"
	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
)

type inner struct {
	Value  string `json:"value"`
	Shadow string `json:"shadow"`
}

type level int

func (l *level) UnmarshalText(text []byte) error {
	switch string(text) {
	case "low":
		*l = 1
	case "high":
		*l = 2
	default:
		return errors.New("expected low or high")
	}
	return nil
}

// Either is a list of strings, or one string.
type either []string

func (e *either) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*e = either{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(e))
}

type target struct {
	inner
	Embedded *pointed            `json:",inline"`
	Shadow   int64               `json:"shadow"`
	Text     string              `json:"text,omitempty"`
	Flag     *bool               `json:"flag"`
	Small    int8                `json:"small"`
	Port     uint16              `json:"port"`
	Ratio    float64             `json:"ratio"`
	List     []inner             `json:"list"`
	Pointers []*inner            `json:"pointers"`
	Map      map[string]inner    `json:"map"`
	Lists    map[string][]string `json:"lists"`
	Any      any                 `json:"any"`
	Anys     []any               `json:"anys"`
	Raw      json.RawMessage     `json:"raw"`
	Either   either              `json:"either"`
	Level    level               `json:"level"`
	Time     time.Time           `json:"time"`
	Untagged string
	Hidden   string `json:"-"`
	private  string
}

type pointed struct {
	Deep string `json:"deep"`
}

func values(t *testing.T, text string) map[string]any {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v map[string]any
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return numbers(v).(map[string]any)
}

func numbers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			v[k] = numbers(e)
		}
	case []any:
		for i, e := range v {
			v[i] = numbers(e)
		}
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return i
		}
		f, _ := v.Float64()
		return f
	}
	return v
}

func TestStrict(t *testing.T) {
	var got target
	faults := decode.Strict(values(t, `{
		"value": "v", "deep": "d", "shadow": 7, "text": "t", "flag": true, "small": -128, "port": 65535, "ratio": 2,
		"list": [{"value": "a"}, {"value": "b"}], "pointers": [{"value": "p"}, null], "map": {"k": {"value": "m"}},
		"lists": {"l": ["x", "y"], "n": null}, "any": {"x": [1, 1.5]}, "anys": ["s", null], "raw": {"b": 1, "a": [true]},
		"either": "one", "level": "high", "time": "2026-01-31T00:00:00Z", "Untagged": "u"}`), &got)
	if len(faults) > 0 {
		t.Fatalf("faults: %v", faults)
	}
	yes := true
	want := target{
		inner: inner{Value: "v"}, private: "", Embedded: &pointed{"d"}, Shadow: 7, Text: "t", Flag: &yes, Small: -128, Port: 65535, Ratio: 2,
		List: []inner{{Value: "a"}, {Value: "b"}}, Pointers: []*inner{{Value: "p"}, nil}, Map: map[string]inner{"k": {Value: "m"}},
		Lists: map[string][]string{"l": {"x", "y"}, "n": nil}, Any: map[string]any{"x": []any{int64(1), 1.5}}, Anys: []any{"s", nil},
		Raw: json.RawMessage(`{"a":[true],"b":1}`), Either: either{"one"}, Level: 2,
		Time: time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC), Untagged: "u",
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(target{}, inner{})); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestStrictFaults(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"misspelt", `{"txet": "x"}`, `txet: unknown field "txet"; did you mean "text"?`},
		{"another case", `{"Text": "x"}`, `Text: unknown field "Text"; did you mean "text"?`},
		{"nothing near", `{"zzzzzz": "x"}`, `zzzzzz: unknown field "zzzzzz"`},
		{"nothing near, few fields", `{"list": [{"zzzzzz": 1}]}`, `list[0].zzzzzz: unknown field "zzzzzz"; expected shadow or value`},
		{"hidden", `{"Hidden": "x"}`, `Hidden: unknown field "Hidden"`},
		{"private", `{"private": "x"}`, `private: unknown field "private"`},
		{"number for string", `{"text": 1}`, `text: expected a string, found the number 1; quote it`},
		{"boolean for string", `{"lists": {"a.b": [true]}}`, `lists["a.b"][0]: expected a string, found the boolean true; quote it`},
		{"map for string", `{"text": {}}`, `text: expected a string, found a map`},
		{"map for list", `{"list": {"value": "x"}}`, `list: expected a list, found a map`},
		{"list for map", `{"map": []}`, `map: expected a map, found a list`},
		{"string for struct", `{"pointers": ["x"]}`, `pointers[0]: expected a map, found the string "x"`},
		{"string for boolean", `{"flag": "true"}`, `flag: expected true or false, found the string "true"`},
		{"fraction for integer", `{"small": 1.5}`, `small: expected an integer, found the number 1.5`},
		{"integer too large", `{"small": 128}`, `small: the integer 128 is out of range`},
		{"negative", `{"port": -1}`, `port: the integer -1 is out of range`},
		{"string for number", `{"ratio": "2"}`, `ratio: expected a number, found the string "2"`},
		{"custom text", `{"level": "middle"}`, `level: expected low or high`},
		{"custom JSON", `{"either": {"a": 1}}`, `either: expected a list, found a map`},
		{"all of them", `{"text": 1, "list": [{"value": 2}, {"x": 1}], "any": 3, "port": "x"}`,
			"list[0].value: expected a string, found the number 2; quote it\n" +
				"list[1].x: unknown field \"x\"; expected shadow or value\n" +
				"port: expected an integer, found the string \"x\"\n" +
				"text: expected a string, found the number 1; quote it"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var into target
			var got []string
			for _, f := range decode.Strict(values(t, tt.in), &into) {
				got = append(got, f.Path.String()+": "+f.Message)
			}
			if d := cmp.Diff(tt.want, strings.Join(got, "\n")); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestStrictTakesWhatFitsBesideFaults(t *testing.T) {
	var into target
	faults := decode.Strict(values(t, `{"text": "x", "port": "y", "nothing": null, "flag": null}`), &into)
	if len(faults) != 2 || into.Text != "x" || into.Flag != nil {
		t.Errorf("faults %v, decoded %+v", faults, into)
	}
}

func TestStrictWords(t *testing.T) {
	type part struct {
		Mode string `json:"mode,omitempty" enum:"On,Off,Auto"`
	}
	for value, want := range map[string]string{"Off": "", "": "", "off": `mode: expected On, Off or Auto, found "off"`} {
		var into part
		got := ""
		for _, f := range decode.Strict(map[string]any{"mode": value}, &into) {
			got += f.Path.String() + ": " + f.Message
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", value, got, want)
		}
	}
	if got := decode.Words[part]("mode"); !slices.Equal(got, []string{"On", "Off", "Auto"}) {
		t.Errorf("Words: %q", got)
	}
}

func TestDocument(t *testing.T) {
	type part struct {
		Name string `json:"name"`
		Flag bool   `json:"flag"`
		List []part `json:"list"`
	}
	var into part
	faults := decode.Document(values(t, `{"name": true, "flag": true, "list": [{"name": false}, {"name": false}]}`), &into,
		func(p fieldpath.Path) (string, bool) {
			word, ok := map[string]string{"name": "y", "flag": "on", "list[1].name": "no"}[p.String()]
			return word, ok
		})
	want := part{Name: "y", Flag: true, List: []part{{}, {Name: "no"}}}
	if d := cmp.Diff(want, into); d != "" {
		t.Error(d)
	}
	if len(faults) != 1 || faults[0].Path.String() != "list[0].name" {
		t.Errorf("faults %v, want one at list[0].name", faults)
	}
}

// What stands on the wrong level is told its own.
func TestStrictFieldsElsewhere(t *testing.T) {
	type rule struct {
		Name  string `json:"name"`
		Patch *struct {
			Target string `json:"target"`
			Where  string `json:"where"`
		} `json:"patch"`
		Match struct {
			Where string `json:"where"`
		} `json:"match"`
		Conditions []string `json:"conditions"`
	}
	type document struct {
		Kind string `json:"kind"`
		Spec struct {
			Rules  []rule          `json:"rules"`
			ByName map[string]rule `json:"byName"`
			Strict bool            `json:"strict"`
		} `json:"spec"`
	}
	for name, tt := range map[string]struct{ in, want string }{
		"below":              {`{"strict": true}`, `strict: unknown field "strict"; it belongs into spec`},
		"below in a list":    {`{"spec": {"rules": [{"target": "x"}]}}`, `spec.rules[0].target: unknown field "target"; it belongs into patch`},
		"below two":          {`{"spec": {"rules": [{"where": "x"}]}}`, `spec.rules[0].where: unknown field "where"; it belongs into match or patch`},
		"above":              {`{"spec": {"rules": [{"patch": {"conditions": []}}]}}`, `spec.rules[0].patch.conditions: unknown field "conditions"; it belongs beside patch`},
		"further above":      {`{"spec": {"byName": {"a": {"patch": {"strict": true}}}}}`, `spec.byName.a.patch.strict: unknown field "strict"; it belongs beside byName`},
		"in itself":          {`{"spec": {"rules": [{"patch": {"patch": {}}}]}}`, `spec.rules[0].patch.patch: unknown field "patch"; expected target or where`},
		"no list is entered": {`{"conditions": []}`, `conditions: unknown field "conditions"; expected kind or spec`},
		"misspelt":           {`{"spec": {"rules": [{"patch": {"targets": ""}}]}}`, `spec.rules[0].patch.targets: unknown field "targets"; did you mean "target"?`},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, f := range decode.Strict(values(t, tt.in), &document{}) {
				got = append(got, fmt.Sprintf("%s: %s", f.Path, f.Message))
			}
			if d := cmp.Diff([]string{tt.want}, got); d != "" {
				t.Error(d)
			}
		})
	}
}
