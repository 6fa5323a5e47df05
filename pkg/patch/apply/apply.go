// Package apply merges an apply configuration into an object, as the API server
// of Kubernetes 1.36 does for a MutatingAdmissionPolicy: a structured merge,
// which knows from the schema of the kind which lists have keys, which are sets
// and which are atomic.
//
// The schemas of the built-in kinds are in the program, those of custom
// resources come from their CustomResourceDefinitions.
package apply

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"sigs.k8s.io/structured-merge-diff/v6/schema"
	"sigs.k8s.io/structured-merge-diff/v6/typed"
	"sigs.k8s.io/structured-merge-diff/v6/value"

	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// Merge returns live with the fields that patch sets, as the API server merges
// the result of an ApplyConfiguration. The patch need not have an apiVersion
// and a kind.
//
// The patch must fit the schema of the kind: a field that the kind does not
// have, a value of another type, two elements with the same keys and an atomic
// list or map ("may not mutate atomic arrays, maps or structs: PATH") are
// errors, with the words of the API server. The live object may have fields that
// the kind does not have, which stay, and elements with the same keys.
//
// Of a kind that no schema is known for, metadata is merged by its schema and
// all else map by map; a patch with a list is an error.
//
// Neither argument is modified; the result may share parts with both.
func (s *Schemas) Merge(kind resource.Kind, live, patch map[string]any) (map[string]any, error) {
	return s.merge(kind, live, patch, false)
}

// MergeAtomics is Merge with atomic lists and maps allowed in the patch: they
// replace those of the live object. So Kyverno merges for a MutatingPolicy with
// evaluation.useServerSideApply.
func (s *Schemas) MergeAtomics(kind resource.Kind, live, patch map[string]any) (map[string]any, error) {
	return s.merge(kind, live, patch, true)
}

func (s *Schemas) merge(kind resource.Kind, live, patch map[string]any, atomics bool) (map[string]any, error) {
	t, err := s.of(kind)
	if err != nil {
		return nil, err
	}
	if patch["apiVersion"] != kind.APIVersion() || patch["kind"] != kind.Kind {
		patch = maps.Clone(patch)
		if patch == nil {
			patch = map[string]any{}
		}
		patch["apiVersion"], patch["kind"] = kind.APIVersion(), kind.Kind
	}

	exact := t.exact()
	typedPatch, err := convert(exact, patch)
	if err != nil {
		return nil, fmt.Errorf("failed to convert patch object to typed object: %w", err)
	}
	if t.guessed {
		if at := firstList(patch); at != "" {
			return nil, fmt.Errorf("the patch has a list at %s, and whether lists of %s are merged or replaced is not known: give its CustomResourceDefinition", at, kind)
		}
	}
	if !atomics {
		if found := findAtomics(exact.Schema, exact.TypeRef, nil, patch); len(found) > 0 {
			return nil, fmt.Errorf("invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: %s", strings.Join(found, ", "))
		}
	}

	typedLive, err := convert(exact, live, typed.AllowDuplicates)
	if err != nil {
		// Perhaps only for fields that the schema does not have.
		open := t.open()
		if typedLive, err = convert(open, live, typed.AllowDuplicates); err == nil {
			typedPatch, err = convert(open, patch)
		}
		if err != nil {
			return nil, fmt.Errorf("failed to convert original object to typed object: %w", err)
		}
	}
	merged, err := typedLive.Merge(typedPatch)
	if err != nil {
		return nil, fmt.Errorf("failed to merge patch: %w", sorted(err))
	}
	out, ok := merged.AsValue().Unstructured().(map[string]any)
	if !ok {
		return nil, fmt.Errorf("failed to merge patch: the result is %T, not an object", merged.AsValue().Unstructured())
	}
	return out, nil
}

// convert checks an object against a type.
func convert(t typed.ParseableType, object map[string]any, options ...typed.ValidationOptions) (*typed.TypedValue, error) {
	out, err := t.FromUnstructured(object, options...)
	if err == nil {
		return out, nil
	}
	// Which of several faults are found is left to chance: look again.
	if _, again := typed.AsTyped(inOrder(value.NewValueInterface(object)), t.Schema, t.TypeRef, options...); again != nil {
		err = again
	}
	return nil, sorted(err)
}

func sorted(err error) error {
	var faults typed.ValidationErrors
	if !errors.As(err, &faults) {
		return err
	}
	return typed.ValidationErrors(slices.SortedStableFunc(slices.Values(faults), func(a, b typed.ValidationError) int {
		return strings.Compare(a.Error(), b.Error())
	}))
}

// findAtomics returns the paths of the atomic lists and maps in v. Like the API
// server it does not look into maps with arbitrary keys.
func findAtomics(s *schema.Schema, ref schema.TypeRef, path []string, v any) (found []string) {
	atom, ok := s.Resolve(ref)
	if !ok {
		return nil
	}
	switch v := v.(type) {
	case map[string]any:
		if atom.Map == nil {
			return nil
		}
		if atom.Map.ElementRelationship == schema.Atomic {
			found = append(found, strings.Join(path, ""))
		}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if field, ok := atom.Map.FindField(key); ok {
				found = append(found, findAtomics(s, field.Type, append(path, "."+key), v[key])...)
			}
		}
	case []any:
		if atom.List == nil {
			return nil
		}
		if atom.List.ElementRelationship == schema.Atomic {
			found = append(found, strings.Join(path, ""))
		}
		for i, element := range v {
			found = append(found, findAtomics(s, atom.List.ElementType, append(path, "["+strconv.Itoa(i)+"]"), element)...)
		}
	}
	return found
}

// firstList returns the path of a list that is not in metadata.
func firstList(patch map[string]any) string {
	var find func(path string, v any) string
	find = func(path string, v any) string {
		switch v := v.(type) {
		case []any:
			return path
		case map[string]any:
			for _, key := range slices.Sorted(maps.Keys(v)) {
				if path == "" && key == "metadata" {
					continue
				}
				if at := find(path+"."+key, v[key]); at != "" {
					return at
				}
			}
		}
		return ""
	}
	return find("", patch)
}
