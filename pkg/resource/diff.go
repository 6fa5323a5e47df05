package resource

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
)

// A Change is one field that differs. Before is nil for an added field, After
// is nil for a removed one; Added and Removed tell them from a null.
type Change struct {
	Path          fieldpath.Path
	Before, After any
	kind          changeKind
	elements      []element // that the indexes of Path lead to
}

type changeKind uint8

const (
	replaced changeKind = iota
	added
	removed
	reordered
)

// An element is known by fields of its own, or a scalar by its value, wherever it
// stands in its list; the zero element only by its place. was is the key before, if
// it changed.
type element struct{ by, key, was string }

// same reports whether x and y are one element of a list, at one time.
func (x element) same(y element) bool {
	return x.key == y.key || x.was != "" && (x.was == y.key || x.was == y.was) || y.was != "" && y.was == x.key
}

// byValue is what scalars are known by.
const byValue = "="

// Moved reports whether the change is only in which order the elements of a list
// stand. Their own changes, and elements that were added or removed, have Changes
// of their own. Before and After are the whole lists.
func (c Change) Moved() bool { return c.kind == reordered }

// Order returns what tells the elements of a list apart that moved, as they stood
// and as they stand: such as their names. It is nil when the values are hidden.
func (c Change) Order() (was, now []string) {
	before, wasList := c.Before.([]any)
	after, isList := c.After.([]any)
	if c.kind != reordered || !wasList || !isList {
		return nil, nil
	}
	_, keys := alignBy(before, after)
	texts := func(list []any) []string {
		out := make([]string, len(list))
		for i, e := range list {
			k, _ := elementKey(e, keys)
			// 80, TCP is 80/TCP, and one whose protocol is not written 80.
			k = strings.ReplaceAll(strings.TrimSuffix("\x00"+k, "\x00"), "\x00\"", "\x00")
			out[i] = strings.ReplaceAll(strings.TrimSuffix(k[1:], "\x00null"), "\x00", "/")
		}
		return out
	}
	return texts(before), texts(after)
}

// Touches reports whether c is about the field of another change of the same
// object, about one above it or one below it. Elements that are told apart by
// fields of their own may meanwhile have changed places. That a list was put in
// another order is not about what its elements hold.
func (c *Change) Touches(other *Change) bool {
	short, long := c, other
	if len(short.Path) > len(long.Path) {
		short, long = long, short
	}
	if short.kind == reordered && len(long.Path) > len(short.Path) {
		return false
	}
	n := 0
	for i, a := range short.Path {
		b := long.Path[i]
		if a.IsIndex() && b.IsIndex() {
			x, y := short.element(n), long.element(n)
			n++
			if x != (element{}) && x.by == y.by {
				if !x.same(y) {
					return false
				}
				continue
			}
		}
		if a != b {
			return false
		}
	}
	return true
}

// In returns the path of the field in another state of the object, in which elements
// may stand elsewhere: to the list, for an element that is not there.
func (c *Change) In(o Object) fieldpath.Path {
	out := slices.Clone(c.Path)
	n := 0
	var at any = o
	for i, step := range c.Path {
		if !step.IsIndex() {
			m, _ := at.(map[string]any)
			at = m[step.Key()]
			continue
		}
		list, _ := at.([]any)
		index := step.Index()
		if e := c.element(n); e.by != "" && e.by != byValue {
			keys := strings.Split(e.by, ",")
			index = slices.IndexFunc(list, func(v any) bool {
				key, ok := elementKey(v, keys)
				return ok && (key == e.key || key == e.was)
			})
			if index < 0 {
				return out[:i]
			}
		}
		n++
		out[i], at = fieldpath.Index(index), nil
		if index < len(list) {
			at = list[index]
		}
	}
	return out
}

// element returns what the nth index of the path leads to.
func (c *Change) element(n int) element {
	if n >= len(c.elements) {
		return element{}
	}
	return c.elements[n]
}

// Added reports whether the field was not there before.
func (c Change) Added() bool { return c.kind == added }

// Removed reports whether the field is no longer there.
func (c Change) Removed() bool { return c.kind == removed }

// String says what changed: "spec.replicas: 2 -> 3", with values as JSON.
func (c Change) String() string { return c.Path.String() + ": " + c.Values() }

// Values says how the field changed: "2 -> 3", "added 3", "removed 2" or "order
// ["a","b"] -> ["b","a"]", with values as JSON.
func (c Change) Values() string {
	text := func(v any) string {
		data, err := json.Marshal(v)
		if err != nil {
			return fmt.Sprint(v)
		}
		return string(data)
	}
	switch c.kind {
	case added:
		return "added " + text(c.After)
	case removed:
		return "removed " + text(c.Before)
	case reordered:
		if was, now := c.Order(); was != nil {
			return "order " + text(was) + " -> " + text(now)
		}
	}
	return text(c.Before) + " -> " + text(c.After)
}

// Diff lists the fields that differ, in path order. A subtree that was added
// or removed is one change. List elements that are maps are paired by the
// field that Kubernetes merges them by (name, containerPort, mountPath, ...), or
// by their place if only that field changed, all others by equality. Paths count
// in the after list, for removed elements in the before list. Elements that
// changed places are a change that is Moved, if a field tells them apart; else
// the list is one change.
// Values are shared with before and after.
func Diff(before, after Object) []Change {
	var d differ
	d.maps(before, after)
	slices.SortStableFunc(d.changes, func(a, b Change) int { return fieldpath.Compare(a.Path, b.Path) })
	return d.changes
}

type differ struct {
	path     fieldpath.Path // reused
	elements []element      // that the indexes of path lead to; reused
	changes  []Change
}

func (d *differ) add(kind changeKind, before, after any) {
	d.changes = append(d.changes, Change{Path: slices.Clone(d.path), Before: before, After: after, kind: kind, elements: slices.Clone(d.elements)})
}

func (d *differ) at(s fieldpath.Step, f func()) {
	d.path = append(d.path, s)
	f()
	d.path = d.path[:len(d.path)-1]
}

// values takes down how two values that are not equal differ.
func (d *differ) values(before, after any) {
	switch b := before.(type) {
	case map[string]any:
		if a, ok := after.(map[string]any); ok {
			d.maps(b, a)
			return
		}
	case []any:
		if a, ok := after.([]any); ok {
			d.lists(b, a)
			return
		}
	}
	d.add(replaced, before, after)
}

func (d *differ) maps(before, after map[string]any) {
	// In no order: Diff sorts the changes.
	kept := 0
	for k, was := range before {
		v, ok := after[k]
		if ok {
			kept++
			if Equal(was, v) {
				continue
			}
		}
		d.at(fieldpath.Key(k), func() {
			if ok {
				d.values(was, v)
			} else {
				d.add(removed, was, nil)
			}
		})
	}
	if kept == len(after) {
		return
	}
	for _, k := range missing(after, before) {
		d.at(fieldpath.Key(k), func() { d.add(added, nil, after[k]) })
	}
}

func (d *differ) lists(before, after []any) {
	pairs, keys := alignBy(before, after)
	if !increasing(pairs) {
		if keys == nil {
			d.add(replaced, before, after)
			return
		}
		d.add(reordered, before, after)
	}
	by := strings.Join(keys, ",")
	at := func(i int, was, v any, f func()) {
		e := element{}
		switch v := v.(type) {
		case map[string]any:
			if keys != nil {
				e.by = by
				e.key, _ = elementKey(v, keys)
				if key, _ := elementKey(was, keys); key != e.key {
					e.was = key
				}
			}
		case []any:
		default:
			e = element{by: byValue, key: fmt.Sprintf("%T %v", v, v)}
		}
		d.elements = append(d.elements, e)
		d.at(fieldpath.Index(i), f)
		d.elements = d.elements[:len(d.elements)-1]
	}
	kept := make([]bool, len(before))
	for j, i := range pairs {
		if i < 0 {
			at(j, nil, after[j], func() { d.add(added, nil, after[j]) })
			continue
		}
		kept[i] = true
		if !Equal(before[i], after[j]) {
			at(j, before[i], after[j], func() { d.values(before[i], after[j]) })
		}
	}
	for i, v := range before {
		if !kept[i] {
			at(i, nil, v, func() { d.add(removed, v, nil) })
		}
	}
}

// increasing reports whether the paired elements kept their order.
func increasing(pairs []int) bool {
	last := -1
	for _, i := range pairs {
		if i >= 0 {
			if i < last {
				return false
			}
			last = i
		}
	}
	return true
}
