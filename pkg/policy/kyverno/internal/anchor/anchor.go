// Package anchor applies the patchStrategicMerge of a Kyverno rule: a strategic
// merge patch with anchors in its keys.
//
//   - (k) is a condition on the object. In a map it must hold for anything to be
//     patched; in an element of a list it selects the elements to patch.
//   - <(k) is a condition that holds the whole patch back; in a list, one
//     element must satisfy it. It selects nothing.
//   - +(k) adds k only if it is absent.
//   - =(k), X(k) and ^(k) mean something only within the value of a condition.
//     Elsewhere they are keys like any other.
//
// It follows pkg/engine/mutate/patch of Kyverno 1.19, surprises included,
// because the cluster would come to the same result. Each surprise has a test.
package anchor

import (
	"reflect"

	"github.com/oneloop-dev/oneloop/pkg/patch/strategic"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// Apply evaluates the anchors of patch, in which variables have been
// substituted, against object and merges what is left of the patch. Neither is
// modified; out shares with both what it can, and is object itself when nothing
// changes.
//
// applied is false when a condition held the patch back; out is object then.
// Kyverno merges an empty patch in that case, which drops duplicates from lists
// with merge keys. When that changes the object, applied is true after all.
func Apply(kind resource.Kind, object, patch map[string]any) (out map[string]any, applied bool, err error) {
	if settled(patch) || len(patch) == 0 {
		out, err = strategic.Merge(kind, object, patch)
		return out, err == nil, err
	}
	var w workspace
	root := w.parse(patch)
	v, err := w.prepare(root, object, true)
	if err != nil {
		return nil, false, err
	}
	if v != passed {
		out, err = strategic.Merge(kind, object, nil)
		return out, err == nil && !identical(out, object), err
	}
	if err := deleteConditions(root); err != nil {
		return nil, false, err
	}
	plain, err := root.plain(object)
	if err != nil {
		return nil, false, err
	}
	out, err = strategic.Merge(kind, object, plain.(map[string]any))
	return out, err == nil, err
}

func identical(a, b map[string]any) bool {
	return reflect.ValueOf(a).UnsafePointer() == reflect.ValueOf(b).UnsafePointer()
}
