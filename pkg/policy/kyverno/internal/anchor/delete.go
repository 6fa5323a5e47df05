package anchor

import (
	"errors"
	"slices"

	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/pattern"
)

// deleteConditions deletes from the patch what only served as a condition, and
// with it all maps that are empty. A condition at the root that has more than
// conditions in it stays, under the key with its parentheses.
func deleteConditions(root *node) error {
	_, err := deleteFields(root, true)
	return err
}

// deleteAnchors deletes conditions from n and reports whether nothing else was
// in it, so that n is to go, too. Scalars go if the caller says so.
func deleteAnchors(n *node, scalars bool) (bool, error) {
	switch n.kind {
	case mapping:
		return deleteInMap(n)
	case sequence:
		return deleteInList(n)
	case scalar:
		return scalars, nil
	}
	return false, nil
}

func deleteInMap(n *node) (bool, error) {
	kept := false
	for _, a := range n.anchors(pattern.Anchor.Holds) {
		f := n.get(a.String())
		if f == nil {
			return false, spaceAround(a)
		}
		empty, err := deleteAnchors(f, true)
		if err != nil {
			return false, fieldpath.At(fieldpath.Key(a.String()), err)
		}
		if empty {
			n.remove(a.String())
		} else {
			kept = true
		}
	}
	if kept {
		for _, a := range n.anchors(pattern.Anchor.Holds) {
			n.rename(a.String(), a.Key)
		}
	}
	return deleteFields(n, false)
}

// deleteFields deletes anchors from the values of all fields, and the fields
// that had nothing else. It reports whether that was each of them. Of two
// fields with one name, it goes over the first twice.
func deleteFields(n *node, root bool) (bool, error) {
	all := true
	for i := 0; i < len(n.fields); {
		key := n.fields[i].key
		scalars := false
		if root {
			a, ok := pattern.ParseAnchor(key)
			scalars = ok && a.Holds()
		}
		empty, err := deleteAnchors(n.get(key), scalars)
		if err != nil {
			return false, fieldpath.At(fieldpath.Key(key), err)
		}
		if empty {
			n.remove(key)
		} else {
			all = false
			i++
		}
	}
	return all, nil
}

// deleteInList deletes the elements with anchors, and those that are empty.
//
// It deletes by the index that an element had at first, though elements
// before it may be gone: from the second deletion on, it hits an element
// further on. That is what Kyverno does, which crashes when there is none.
func deleteInList(n *node) (bool, error) {
	before := slices.Clone(n.elems)
	for i, e := range before {
		empty := e.has(acts)
		if !empty {
			var err error
			if empty, err = deleteAnchors(e, false); err != nil {
				return false, fieldpath.At(fieldpath.Index(i), err)
			}
		}
		if !empty {
			continue
		}
		if i >= len(n.elems) {
			return false, fieldpath.At(fieldpath.Index(i), errors.New(
				"the patch has several elements with anchors, or empty ones, in one list, which makes Kyverno 1.19 crash; write one rule for each of them"))
		}
		n.elems = slices.Delete(n.elems, i, i+1)
	}
	return len(before) > 0 && len(n.elems) == 0, nil
}
