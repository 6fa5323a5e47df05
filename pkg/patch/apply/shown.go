package apply

import (
	_ "embed"
	"maps"
	"slices"
	"strings"

	"sigs.k8s.io/structured-merge-diff/v6/schema"

	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// always lists the fields of types that are there even when nobody wrote them,
// as {}, one type a line like empty.
//
//go:embed always.txt
var always string

// Shown returns an object of a built-in kind as the API server shows it: with
// the structs that its Go types always have, such as status, or the resources of
// a container, as {} where they are not written. The object is not modified; the
// result may share parts with it. Hidden takes them away again.
func (s *Schemas) Shown(kind resource.Kind, object map[string]any) (map[string]any, error) {
	return s.walk(kind, object, nil, shown)
}

// Hidden returns after without the structs that Shown adds, where they are empty
// and not written so in written.
func (s *Schemas) Hidden(kind resource.Kind, written, after map[string]any) (map[string]any, error) {
	return s.walk(kind, after, written, hidden)
}

type walker func(s *schema.Schema, ref schema.TypeRef, v, written any) any

func (s *Schemas) walk(kind resource.Kind, object, written map[string]any, walk walker) (map[string]any, error) {
	if _, ok := builtInType(kind); !ok {
		return object, nil
	}
	t, err := s.of(kind)
	if err != nil {
		return nil, err
	}
	exact := t.exact()
	out, _ := walk(exact.Schema, exact.TypeRef, object, written).(map[string]any)
	return out, nil
}

// alwaysOf are the fields that maps of a type always have.
func alwaysOf(ref schema.TypeRef) []string {
	if ref.NamedType == nil {
		return nil
	}
	fields, _ := lookUp(always, *ref.NamedType)
	return strings.Fields(fields)
}

func shown(s *schema.Schema, ref schema.TypeRef, v, _ any) any {
	atom, _ := s.Resolve(ref)
	switch v := v.(type) {
	case map[string]any:
		if atom.Map == nil {
			return v
		}
		out := make(map[string]any, len(v)+1)
		for key, value := range v {
			out[key] = shown(s, element(atom.Map, key), value, nil)
		}
		for _, name := range alwaysOf(ref) {
			if out[name] == nil {
				out[name] = shown(s, element(atom.Map, name), map[string]any{}, nil)
			}
		}
		return out
	case []any:
		if atom.List == nil {
			return v
		}
		out := make([]any, len(v))
		for i, value := range v {
			out[i] = shown(s, atom.List.ElementType, value, nil)
		}
		return out
	}
	return v
}

func hidden(s *schema.Schema, ref schema.TypeRef, v, written any) any {
	atom, _ := s.Resolve(ref)
	switch v := v.(type) {
	case map[string]any:
		if atom.Map == nil {
			return v
		}
		was, _ := written.(map[string]any)
		out := maps.Clone(v)
		fields := alwaysOf(ref)
		for key, value := range v {
			old, there := was[key]
			value = hidden(s, element(atom.Map, key), value, old)
			m, ok := value.(map[string]any)
			wasMap, asWritten := old.(map[string]any)
			if ok && len(m) == 0 && slices.Contains(fields, key) && !(asWritten && len(wasMap) == 0) {
				delete(out, key)
				if there && old == nil {
					out[key] = nil // as it was written
				}
				continue
			}
			out[key] = value
		}
		return out
	case []any:
		if atom.List == nil {
			return v
		}
		was, _ := written.([]any)
		out := make([]any, len(v))
		for i, value := range v {
			out[i] = hidden(s, atom.List.ElementType, value, counterpart(was, value, i))
		}
		return out
	}
	return v
}

// element is the type of a field of a map.
func element(m *schema.Map, key string) schema.TypeRef {
	if field, ok := m.FindField(key); ok {
		return field.Type
	}
	return m.ElementType
}
