package apply

import (
	"maps"
	"slices"
	"strings"

	"sigs.k8s.io/structured-merge-diff/v6/schema"

	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// Prune returns after without the fields that the kind does not have, and their
// paths: the API server drops them when it reads what a webhook answers. A field
// that before has, too, stays, as does all of a kind that no schema is known for.
// Neither object is modified; the result may share parts with after.
func (s *Schemas) Prune(kind resource.Kind, before, after map[string]any) (map[string]any, []string, error) {
	t, err := s.of(kind)
	if err != nil || t.guessed {
		return after, nil, err
	}
	exact := t.exact()
	had := map[string]bool{}
	(&pruner{schema: exact.Schema, found: func(path string) bool { had[path] = true; return false }}).value(exact.TypeRef, "", before)
	var dropped []string
	out := (&pruner{schema: exact.Schema, found: func(path string) bool {
		if had[path] {
			return false
		}
		dropped = append(dropped, strings.TrimPrefix(path, "."))
		return true
	}}).value(exact.TypeRef, "", after)
	object, _ := out.(map[string]any)
	return object, slices.Compact(dropped), nil
}

// A pruner walks through a value along its schema.
type pruner struct {
	schema *schema.Schema
	// found is told the path of a field that no type names, and says whether to
	// drop it. Elements of lists are not told apart.
	found func(path string) (drop bool)
}

func (p *pruner) value(ref schema.TypeRef, path string, v any) any {
	atom, ok := p.schema.Resolve(ref)
	if !ok {
		return v
	}
	switch v := v.(type) {
	case map[string]any:
		if atom.Map == nil {
			return v
		}
		out, copied := v, false
		for _, key := range slices.Sorted(maps.Keys(v)) {
			at := path + "." + key
			element := atom.Map.ElementType
			if field, ok := atom.Map.FindField(key); ok {
				element = field.Type
			} else if isNothing(element) {
				if p.found(at) {
					if !copied {
						out, copied = maps.Clone(v), true
					}
					delete(out, key)
				}
				continue
			}
			after := p.value(element, at, v[key])
			if !same(after, v[key]) {
				if !copied {
					out, copied = maps.Clone(v), true
				}
				out[key] = after
			}
		}
		return out
	case []any:
		if atom.List == nil {
			return v
		}
		out, copied := v, false
		for i, e := range v {
			after := p.value(atom.List.ElementType, path+"[]", e)
			if !same(after, e) {
				if !copied {
					out, copied = slices.Clone(v), true
				}
				out[i] = after
			}
		}
		return out
	}
	return v
}

// same reports whether value returned what it was given, as it does where it
// dropped nothing.
func same(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		return ok && len(a) == len(b) && resource.Equal(a, b)
	case []any:
		b, ok := b.([]any)
		return ok && len(a) == len(b) && resource.Equal(a, b)
	}
	return true
}
