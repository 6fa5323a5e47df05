package apply

import (
	"sigs.k8s.io/structured-merge-diff/v6/schema"

	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// A Place is what a schema says of a field.
type Place int

// The places.
const (
	Open      Place = iota // nothing is said of it, as of the keys of labels and below fields that are absent
	Mergeable              // a patch may set it
	Atomic                 // a list, map or struct that Merge lets no patch set
	Absent                 // the kind does not have it
)

// Field tells where path, names of fields from the root on, leads in objects of a
// kind; fields of the elements of a list follow the name of the list. For one that
// is Absent, names are those of the fields that there are in its place.
func (s *Schemas) Field(kind resource.Kind, path []string) (place Place, names []string, err error) {
	t, err := s.of(kind)
	if err != nil || t.guessed {
		return Open, nil, err
	}
	exact := t.exact()
	ref := exact.TypeRef
	for i := 0; ; i++ {
		atom, ok := exact.Schema.Resolve(ref)
		if !ok {
			return Open, nil, nil
		}
		if i == len(path) {
			if atom.List != nil && atom.List.ElementRelationship == schema.Atomic || atom.Map != nil && atom.Map.ElementRelationship == schema.Atomic {
				return Atomic, nil, nil
			}
			return Mergeable, nil, nil
		}
		for ok && atom.List != nil && atom.Map == nil {
			atom, ok = exact.Schema.Resolve(atom.List.ElementType)
		}
		if !ok || atom.Map == nil {
			return Open, nil, nil
		}
		field, ok := atom.Map.FindField(path[i])
		switch {
		case ok:
			ref = field.Type
		case !isNothing(atom.Map.ElementType), i < len(path)-1:
			return Open, nil, nil
		default:
			for _, f := range atom.Map.Fields {
				names = append(names, f.Name)
			}
			return Absent, names, nil
		}
	}
}
