// Package schema has the JSON Schemas of oneloop's own kinds, for editors and
// for oneloop explain. They are generated from the Go types of the kinds.
package schema

import (
	"embed"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

//go:generate go run -C ../.. ./tests/tools/schemas pkg/schema

//go:embed *.json
var files embed.FS

// A Field is a kind, or a field of one.
type Field struct {
	Title                string            `json:"title"` // of a kind: its name
	Description          string            `json:"description"`
	Type                 types             `json:"type"`
	Enum                 []string          `json:"enum"`
	Items                *Field            `json:"items"`
	Required             []string          `json:"required"`
	Properties           map[string]*Field `json:"properties"`
	AdditionalProperties json.RawMessage   `json:"additionalProperties"`
}

// types are the types that a value may have. In JSON one stands for itself.
type types []string

// UnmarshalJSON implements json.Unmarshaler.
func (t *types) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '"' {
		*t = types{""}
		return json.Unmarshal(text, &(*t)[0])
	}
	return json.Unmarshal(text, (*[]string)(t))
}

// String says the type in the words of YAML: "a list of maps".
func (f *Field) String() string {
	one := map[string]string{"object": "a map", "array": "a list", "string": "a string", "boolean": "true or false", "integer": "an integer"}
	many := map[string]string{"object": "maps", "string": "strings", "array": "lists"}
	if len(f.Type) == 0 {
		return "any value"
	}
	if f.Type[0] == "array" && f.Items != nil && len(f.Items.Type) > 0 {
		return "a list of " + many[f.Items.Type[0]]
	}
	return one[f.Type[0]]
}

// Words are the values that the field takes, nil for any.
func (f *Field) Words() []string {
	return slices.DeleteFunc(slices.Clone(f.Enum), func(w string) bool { return w == "" })
}

// Fields are the fields right below f, or below the elements of f, by name.
func (f *Field) Fields() map[string]*Field {
	if f.Items != nil {
		return f.Items.Properties
	}
	return f.Properties
}

// Kinds returns the kinds that have a schema, sorted.
func Kinds() ([]string, error) {
	kinds, err := read()
	return slices.Sorted(maps.Keys(kinds)), err
}

// Text returns the JSON Schema of a kind.
func Text(kind string) ([]byte, error) {
	kinds, err := read()
	if err != nil {
		return nil, err
	}
	if kinds[kind] == nil {
		return nil, fmt.Errorf("no schema of kind %q; there are %s", kind, strings.Join(slices.Sorted(maps.Keys(kinds)), ", "))
	}
	return files.ReadFile(kinds[kind].file)
}

// Find returns a kind or a field of one by a path such as
// ApplyPolicies.spec.images.mode. A list is passed through to its elements.
func Find(name string) (*Field, error) {
	kinds, err := read()
	if err != nil {
		return nil, err
	}
	steps := strings.Split(name, ".")
	found := kinds[steps[0]]
	if found == nil {
		return nil, fmt.Errorf("no kind %q; there are %s", steps[0], strings.Join(slices.Sorted(maps.Keys(kinds)), ", "))
	}
	f := &found.Field
	for i, step := range steps[1:] {
		below := f.Fields()
		if below[step] == nil {
			fields := strings.Join(slices.Sorted(maps.Keys(below)), ", ")
			if fields == "" {
				fields = "none"
			}
			return nil, fmt.Errorf("no field %q in %s; its fields are: %s", step, strings.Join(steps[:i+1], "."), fields)
		}
		f = below[step]
	}
	return f, nil
}

// A document is the schema of a kind.
type document struct {
	Field
	file string
}

func read() (map[string]*document, error) {
	entries, err := files.ReadDir(".")
	if err != nil {
		return nil, err
	}
	out := map[string]*document{}
	for _, e := range entries {
		text, err := files.ReadFile(e.Name())
		if err != nil {
			return nil, err
		}
		d := &document{file: e.Name()}
		if err := json.Unmarshal(text, &d.Field); err != nil {
			return nil, fmt.Errorf("%s: %w", e.Name(), err)
		}
		out[d.Title] = d
	}
	return out, nil
}
