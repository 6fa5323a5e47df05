package strategic

import (
	"slices"
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

type kindEntry struct {
	name  string // apiVersion/kind
	shape shape
}

// A shape is the type of a map: an index into shapeFields.
type shape int16

const (
	// unknown is the shape of a map that the OpenAPI document does not describe.
	unknown shape = -1
	// leaf is the shape of a map in which every field is unknown or a scalar.
	leaf shape = 0
)

// A field describes one field of a shape: a map, or a list with merge keys.
type field struct {
	name  string
	shape shape // of the map, or of the elements
	keys  uint8 // index into keyLists; 0 for a map
}

// unknownField is a field that the OpenAPI document does not describe.
var unknownField = field{shape: unknown}

// mergeKeys returns the merge keys of a list, nil when the list is replaced. The
// one key "" means that the elements are scalars.
func (f field) mergeKeys() []string { return keyLists[f.keys] }

func shapeOfKind(apiVersion, kind string) shape {
	i, ok := slices.BinarySearchFunc(kinds[:], 0, func(e kindEntry, _ int) int {
		n := len(apiVersion)
		if len(e.name) > n && e.name[:n] == apiVersion && e.name[n] == '/' {
			return strings.Compare(e.name[n+1:], kind)
		}
		return strings.Compare(e.name, apiVersion+"/"+kind)
	})
	if !ok {
		return unknown
	}
	return kinds[i].shape
}

func (s shape) field(name string) field {
	if s <= leaf {
		return unknownField
	}
	rest := unknownField
	for _, f := range fields[shapeFields[s]:shapeFields[s+1]] {
		switch f.name {
		case name:
			return f
		case "*":
			rest = f
		}
	}
	return rest
}

// MergeKeys returns the merge keys of the list at path in objects of kind. It
// returns nil for a list that a patch replaces, for a list of scalars, and for
// what the OpenAPI document does not describe. A list index in path leads into
// the elements, whichever it is.
func MergeKeys(kind resource.Kind, path fieldpath.Path) []string {
	at := field{shape: shapeOfKind(kind.APIVersion(), kind.Kind)}
	for _, step := range path {
		switch {
		case !step.IsIndex() && at.keys == 0:
			at = at.shape.field(step.Key())
		case step.IsIndex() && at.keys != 0:
			at.keys = 0
		default:
			return nil
		}
	}
	keys := at.mergeKeys()
	if len(keys) == 1 && keys[0] == "" {
		return nil
	}
	return slices.Clone(keys)
}
