package anchor

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/pattern"
)

// A verdict says whether conditions held.
type verdict uint8

const (
	passed  verdict = iota
	refused         // an anchor (k) did not hold: skip the element, or the patch
	barred          // an anchor <(k) did not hold: skip the patch
)

func isGlobal(a pattern.Anchor) bool    { return a.Modifier == pattern.Global }
func isCondition(a pattern.Anchor) bool { return a.Modifier == pattern.Condition }
func isAdd(a pattern.Anchor) bool       { return a.Modifier == pattern.AddIfAbsent }

// prepare checks the conditions in n against the value that the object has at
// its place, resolves +(k), and appends to lists one element for each element
// of the object that the conditions select.
func (w *workspace) prepare(n *node, object any, exists bool) (verdict, error) {
	switch n.kind {
	case mapping:
		return w.prepareMap(n, object)
	case sequence:
		if len(n.elems) > 0 && n.elems[0].isMap() {
			return w.prepareList(n, object, exists)
		}
	case whole:
		return passed, prepareWhole(n.value, object)
	}
	return passed, nil
}

func (w *workspace) prepareMap(n *node, object any) (verdict, error) {
	o, _ := object.(map[string]any)
	addAbsent(n, o)
	for _, want := range [...]func(pattern.Anchor) bool{isGlobal, isCondition} {
		if v, err := checkConditions(n, o, want); v != passed || err != nil {
			return v, err
		}
	}
	for _, f := range n.fields {
		key := f.key
		if a, ok := pattern.ParseAnchor(key); ok && acts(a) {
			continue
		}
		value, exists := o[key]
		v, err := w.prepare(n.get(key), value, exists)
		if err != nil {
			return 0, fieldpath.At(fieldpath.Key(key), err)
		}
		if v != passed {
			return v, nil
		}
	}
	return passed, nil
}

// addAbsent takes the anchors off the keys that the object lacks, and deletes
// the others. It returns how many there were.
func addAbsent(n *node, object map[string]any) int {
	anchors := n.anchors(isAdd)
	for _, a := range anchors {
		if _, ok := object[a.Key]; ok {
			n.remove(a.String())
		} else {
			n.rename(a.String(), a.Key)
		}
	}
	return len(anchors)
}

func checkConditions(n *node, object map[string]any, want func(pattern.Anchor) bool) (verdict, error) {
	for _, a := range n.anchors(want) {
		no := refused
		if a.Modifier == pattern.Global {
			no = barred
		}
		value, ok := object[a.Key]
		if !ok {
			return no, nil
		}
		p := n.get(a.String())
		if p == nil {
			return 0, spaceAround(a)
		}
		// A condition with +(k) in it holds, whatever else it says.
		o, _ := value.(map[string]any)
		if addAbsent(p, o) > 0 {
			continue
		}
		if !holds(p, value) {
			return no, nil
		}
	}
	return passed, nil
}

func spaceAround(a pattern.Anchor) error {
	return fieldpath.At(fieldpath.Key(a.String()), errors.New("there is space around the anchor; remove it"))
}

// holds matches a value with the pattern of a condition. Scalars are matched by
// their texts.
func holds(p *node, value any) bool {
	var want any
	if p.kind == scalar {
		want = text(p.value)
	} else {
		var err error
		if want, err = p.plain(nil); err != nil {
			return false
		}
	}
	if isScalar(value) {
		value = text(value)
	}
	return pattern.Satisfies(value, want)
}

// prepareWhole only finds lists of maps where the object has something else.
func prepareWhole(v, object any) error {
	switch v := v.(type) {
	case map[string]any:
		o, _ := object.(map[string]any)
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if isScalar(v[key]) {
				continue
			}
			if err := prepareWhole(v[key], o[key]); err != nil {
				return fieldpath.At(fieldpath.Key(key), err)
			}
		}
	case []any:
		if len(v) == 0 {
			return nil
		}
		if _, ok := v[0].(map[string]any); ok {
			return needList(object)
		}
	}
	return nil
}

func needList(object any) error {
	if _, ok := object.([]any); !ok && object != nil {
		return errors.New("the patch has a list where the object has another type")
	}
	return nil
}

// prepareList looks for the elements of the object that an element of the patch
// selects, and appends to the patch a copy of it with the name of each. Its own
// elements with anchors are deleted later.
//
// The anchors of an element are resolved once for all elements of the object:
// what +(k) came to for the first one, it is for the others.
func (w *workspace) prepareList(n *node, object any, exists bool) (verdict, error) {
	if err := needList(object); err != nil {
		return 0, err
	}
	elems, _ := object.([]any)
	for i, p := range slices.Clone(n.elems) {
		if !p.has(acts) {
			continue
		}
		global := p.has(isGlobal)
		found, missed := false, false
		p = w.copy(p)
		for _, elem := range elems {
			v, err := w.prepare(p, elem, true)
			if err != nil {
				return 0, fieldpath.At(fieldpath.Index(i), err)
			}
			switch {
			case v == barred:
				missed = true
			case v == refused:
			case global:
				found = true
			default:
				if err := w.appendNamed(n, p, elem); err != nil {
					return 0, fieldpath.At(fieldpath.Index(i), err)
				}
			}
		}
		if !exists {
			v, err := w.prepare(p, nil, false)
			if err != nil {
				return 0, fieldpath.At(fieldpath.Index(i), err)
			}
			if v == barred {
				return barred, nil
			}
		}
		if missed && !found {
			return barred, nil
		}
	}
	return passed, nil
}

// appendNamed appends to the list n a copy of elem with the name of target,
// unless target has no name, or elem has nothing but conditions.
func (w *workspace) appendNamed(n, elem *node, target any) error {
	t, _ := target.(map[string]any)
	name := t["name"]
	switch v := name.(type) {
	case nil:
		return nil
	case map[string]any:
		if len(v) == 0 {
			return nil
		}
	case []any:
		if len(v) == 0 {
			return nil
		}
	}
	c := w.copy(elem)
	if w.made > maxNodes {
		return fmt.Errorf("the anchors make more than %d values of the patch", maxNodes)
	}
	empty, err := deleteAnchors(c, true)
	if empty || err != nil {
		return err
	}
	if c.kind != mapping {
		return errors.New("expected a map, as in the other elements of the list")
	}
	if old := c.get("name"); old != nil {
		if _, ok := old.value.(string); ok && isScalar(name) {
			name = text(name) // what is a string stays one
		}
		*old = settledNode(name)
	} else {
		n := settledNode(name)
		c.fields = append(c.fields, entry{"name", &n})
	}
	n.elems = append(n.elems, c)
	return nil
}

func settledNode(v any) node {
	if isScalar(v) {
		return node{value: v}
	}
	return node{kind: whole, value: v}
}
