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
}

type changeKind uint8

const (
	replaced changeKind = iota
	added
	removed
)

// Added reports whether the field was not there before.
func (c Change) Added() bool { return c.kind == added }

// Removed reports whether the field is no longer there.
func (c Change) Removed() bool { return c.kind == removed }

// String says what changed: "spec.replicas: 2 -> 3", with values as JSON.
func (c Change) String() string { return c.Path.String() + ": " + c.Values() }

// Values says how the field changed: "2 -> 3", "added 3" or "removed 2", with
// values as JSON.
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
	}
	return text(c.Before) + " -> " + text(c.After)
}

// Diff lists the fields that differ, in path order. A subtree that was added
// or removed is one change. List elements that are maps are paired by the
// field that Kubernetes merges them by (name, containerPort, mountPath, ...),
// all others by equality. Paths count in the after list, for removed elements
// in the before list. A list whose elements only changed places is one change.
// Values are shared with before and after.
func Diff(before, after Object) []Change {
	var d differ
	d.maps(before, after)
	slices.SortStableFunc(d.changes, func(a, b Change) int { return fieldpath.Compare(a.Path, b.Path) })
	return d.changes
}

type differ struct {
	path    fieldpath.Path // reused
	changes []Change
}

func (d *differ) add(kind changeKind, before, after any) {
	d.changes = append(d.changes, Change{Path: slices.Clone(d.path), Before: before, After: after, kind: kind})
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
	pairs := align(before, after)
	if !increasing(pairs) {
		d.add(replaced, before, after)
		return
	}
	d.paired(before, after, pairs)
}

// paired takes down how the elements of two lists differ.
func (d *differ) paired(before, after []any, pairs []int) {
	kept := make([]bool, len(before))
	for j, i := range pairs {
		d.at(fieldpath.Index(j), func() {
			if i < 0 {
				d.add(added, nil, after[j])
			} else {
				kept[i] = true
				if !Equal(before[i], after[j]) {
					d.values(before[i], after[j])
				}
			}
		})
	}
	for i, v := range before {
		if !kept[i] {
			d.at(fieldpath.Index(i), func() { d.add(removed, v, nil) })
		}
	}
}

// Moved tells more of a list that Diff has as one change because its elements
// changed places: the texts that tell elements apart, in the order of both lists,
// and the changes within, with paths as those of Diff, but in the list. It reports
// false when elements are not told apart by a field, or kept their order.
func Moved(before, after []any) (was, now []string, changes []Change, ok bool) {
	pairs := align(before, after)
	if increasing(pairs) {
		return nil, nil, nil, false
	}
	for _, keys := range mergeKeys {
		if was, ok = elementKeys(before, keys); !ok {
			continue
		}
		if now, ok = elementKeys(after, keys); !ok {
			continue
		}
		for _, texts := range [][]string{was, now} {
			for i, text := range texts {
				// 80, TCP is 80/TCP, and one whose protocol is not written 80.
				text = strings.ReplaceAll(strings.TrimSuffix("\x00"+text, "\x00"), "\x00\"", "\x00")
				texts[i] = strings.ReplaceAll(strings.TrimSuffix(text[1:], "\x00null"), "\x00", "/")
			}
		}
		var d differ
		d.paired(before, after, pairs)
		slices.SortStableFunc(d.changes, func(a, b Change) int { return fieldpath.Compare(a.Path, b.Path) })
		return was, now, d.changes, true
	}
	return nil, nil, nil, false
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
