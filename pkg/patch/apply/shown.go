package apply

import (
	_ "embed"
	"maps"
	"slices"
	"strings"
	"sync"

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

// A walker returns what becomes of a value, which is v itself when it reports that
// nothing changed: so what stays the same is still shared, and compared at once.
type walker func(s *schema.Schema, ref schema.TypeRef, v, written any) (out any, changed bool)

func (s *Schemas) walk(kind resource.Kind, object, written map[string]any, walk walker) (map[string]any, error) {
	if _, ok := builtInType(kind); !ok {
		return object, nil
	}
	t, err := s.of(kind)
	if err != nil {
		return nil, err
	}
	exact := t.exact()
	if out, changed := walk(exact.Schema, exact.TypeRef, object, written); changed {
		object, _ = out.(map[string]any)
	}
	return object, nil
}

// alwaysOf are the fields that maps of a type always have.
func alwaysOf(ref schema.TypeRef) []string {
	if ref.NamedType == nil {
		return nil
	}
	known, ok := alwaysKnown.Load(*ref.NamedType)
	if !ok {
		fields, _ := lookUp(always, *ref.NamedType)
		known, _ = alwaysKnown.LoadOrStore(*ref.NamedType, strings.Fields(fields))
	}
	return known.([]string) //nolint:forcetypeassert // nothing else is stored
}

// alwaysKnown keeps what alwaysOf found, by the name of the type.
var alwaysKnown sync.Map

func shown(s *schema.Schema, ref schema.TypeRef, v, _ any) (out any, changed bool) {
	atom, _ := s.Resolve(ref)
	switch v := v.(type) {
	case map[string]any:
		if atom.Map == nil {
			return v, false
		}
		out := copied{from: v}
		for key, value := range v {
			if value, changed := shown(s, element(atom.Map, key), value, nil); changed {
				out.set(key, value)
			}
		}
		for _, name := range alwaysOf(ref) {
			if v[name] == nil {
				value, _ := shown(s, element(atom.Map, name), map[string]any{}, nil)
				out.set(name, value)
			}
		}
		return out.result()
	case []any:
		if atom.List == nil {
			return v, false
		}
		return each(v, func(_ int, value any) (any, bool) { return shown(s, atom.List.ElementType, value, nil) })
	}
	return v, false
}

func hidden(s *schema.Schema, ref schema.TypeRef, v, written any) (out any, changed bool) {
	atom, _ := s.Resolve(ref)
	switch v := v.(type) {
	case map[string]any:
		if atom.Map == nil {
			return v, false
		}
		was, _ := written.(map[string]any)
		out := copied{from: v}
		fields := alwaysOf(ref)
		for key, value := range v {
			old, there := was[key]
			value, changed := hidden(s, element(atom.Map, key), value, old)
			m, ok := value.(map[string]any)
			wasMap, asWritten := old.(map[string]any)
			switch {
			case ok && len(m) == 0 && slices.Contains(fields, key) && !(asWritten && len(wasMap) == 0):
				if there && old == nil {
					out.set(key, nil) // as it was written
				} else {
					out.remove(key)
				}
			case changed:
				out.set(key, value)
			}
		}
		return out.result()
	case []any:
		if atom.List == nil {
			return v, false
		}
		was, _ := written.([]any)
		return each(v, func(i int, value any) (any, bool) {
			return hidden(s, atom.List.ElementType, value, counterpart(was, value, i))
		})
	}
	return v, false
}

// A copied is a map that is copied when it is first changed.
type copied struct{ from, to map[string]any }

func (c *copied) copy() {
	if c.to == nil {
		c.to = make(map[string]any, len(c.from)+1)
		maps.Copy(c.to, c.from)
	}
}

func (c *copied) set(key string, value any) {
	c.copy()
	c.to[key] = value
}

func (c *copied) remove(key string) {
	c.copy()
	delete(c.to, key)
}

func (c *copied) result() (out any, changed bool) {
	if c.to == nil {
		return c.from, false
	}
	return c.to, true
}

// each returns a list with what becomes of its elements, itself when all stay.
func each(list []any, do func(i int, value any) (any, bool)) (out any, changed bool) {
	after := list
	for i, value := range list {
		if value, is := do(i, value); is {
			if !changed {
				after, changed = slices.Clone(list), true
			}
			after[i] = value
		}
	}
	return after, changed
}

// element is the type of a field of a map.
func element(m *schema.Map, key string) schema.TypeRef {
	if field, ok := m.FindField(key); ok {
		return field.Type
	}
	return m.ElementType
}
