package apply

import (
	_ "embed"
	"maps"
	"slices"
	"strings"

	"sigs.k8s.io/structured-merge-diff/v6/schema"

	"github.com/oneloop-dev/oneloop/pkg/resource"
)

//go:generate go run -C ../../../tests/differential/admission ./empties -table ../../../pkg/patch/apply/types.txt -omitted ../../../pkg/patch/apply/omitted.txt -always ../../../pkg/patch/apply/always.txt

// empty lists the fields of types that are as good as absent when they are
// empty, one type a line: its name, a tab and the fields.
//
//go:embed omitted.txt
var empty string

// Stored returns after as the API server keeps an object of a built-in kind: it
// has no field that is null, and no empty text, zero, false, empty list or map
// where its Go type can't tell that from nothing; a null in a map such as labels,
// or in a list, is an empty value of its type. What is the same in before
// stays as it is written, as does all of other kinds. Neither object is modified;
// the result may share parts with after.
func (s *Schemas) Stored(kind resource.Kind, before, after map[string]any) (map[string]any, error) {
	if _, ok := builtInType(kind); !ok {
		return after, nil
	}
	t, err := s.of(kind)
	if err != nil {
		return nil, err
	}
	exact := t.exact()
	out, _ := stored(exact.Schema, exact.TypeRef, before, after).(map[string]any)
	return out, nil
}

func stored(s *schema.Schema, ref schema.TypeRef, before, after any) any {
	atom, ok := s.Resolve(ref)
	if !ok {
		return after
	}
	switch after := after.(type) {
	case map[string]any:
		if atom.Map == nil {
			return after
		}
		var omitted []string
		if ref.NamedType != nil {
			text, _ := lookUp(empty, *ref.NamedType)
			omitted = strings.Fields(text)
		}
		was, _ := before.(map[string]any)
		out := maps.Clone(after)
		for key, v := range after {
			element := atom.Map.ElementType
			field, isField := atom.Map.FindField(key)
			if isField {
				element = field.Type
			}
			old, there := was[key]
			if v == nil && !isField && !(there && old == nil) {
				v = zero(s, element)
			}
			v = stored(s, element, old, v)
			if there && resource.Equal(old, v) || !isField && v != nil {
				out[key] = v
				continue
			}
			if v == nil || isEmpty(v) && slices.Contains(omitted, key) {
				delete(out, key)
			} else {
				out[key] = v
			}
		}
		return out
	case []any:
		if atom.List == nil {
			return after
		}
		was, _ := before.([]any)
		out := make([]any, len(after))
		for i, v := range after {
			old := counterpart(was, v, i)
			if v == nil && !(i < len(was) && old == nil) {
				v = zero(s, atom.List.ElementType)
			}
			out[i] = stored(s, atom.List.ElementType, old, v)
		}
		return out
	}
	return after
}

// zero is what a Go map or slice of such elements has for null.
func zero(s *schema.Schema, ref schema.TypeRef) any {
	atom, _ := s.Resolve(ref)
	switch {
	case ref.NamedType != nil && *ref.NamedType == "api.resource.Quantity":
		return "0"
	case atom.Scalar != nil && atom.Map == nil:
		switch *atom.Scalar {
		case schema.String:
			return ""
		case schema.Numeric:
			return int64(0)
		case schema.Boolean:
			return false
		}
	case atom.Map != nil && atom.Scalar == nil && len(atom.Map.Fields) > 0:
		return map[string]any{}
	}
	return nil
}

// counterpart finds what an element was: the one at its place if that has its
// name, else the first of its name, and without a name the one at its place.
func counterpart(was []any, v any, i int) any {
	m, ok := v.(map[string]any)
	if !ok || m["name"] == nil {
		if i < len(was) {
			return was[i]
		}
		return nil
	}
	named := func(old any) bool {
		o, ok := old.(map[string]any)
		return ok && resource.Equal(o["name"], m["name"])
	}
	if i < len(was) && named(was[i]) {
		return was[i]
	}
	if j := slices.IndexFunc(was, named); j >= 0 {
		return was[j]
	}
	return nil
}

func isEmpty(v any) bool {
	switch v := v.(type) {
	case string:
		return v == ""
	case bool:
		return !v
	case int64:
		return v == 0
	case float64:
		return v == 0
	case map[string]any:
		return len(v) == 0
	case []any:
		return len(v) == 0
	}
	return false
}
