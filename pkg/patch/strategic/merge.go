package strategic

import (
	"errors"
	"fmt"
	"maps"
	"sort"

	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/jsonvalue"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// Merge returns dst, an object of the given kind, with patch merged into it.
// Neither is modified; the result shares with both of them what it can, and is
// dst itself when the patch changes nothing. It fails when the patch and the object have values of
// different types at one place, when a directive is not known, and when the
// patch deletes the object.
func Merge(kind resource.Kind, dst, patch map[string]any) (map[string]any, error) {
	root := field{shape: shapeOfKind(kind.APIVersion(), kind.Kind)}
	out, done, err := merge(root, dst, patch)
	switch {
	case err != nil:
		return nil, err
	case done == same:
		return dst, nil
	case done == dropped:
		return nil, errors.New("the patch deletes the whole object; only its fields can be deleted")
	}
	return out.(map[string]any), nil
}

// An outcome says what became of the value that the object had at one place.
type outcome uint8

const (
	same    outcome = iota // the value stays; nothing below it changed
	changed                // there is a new value
	dropped                // there is no value any more
)

// The following functions merge at one place, which f describes. They follow
// the cases that kyaml's walk distinguishes: both sides have a value, only the
// object has one, only the patch has one; and, once a value of the patch is put
// into the object, kyaml goes on merging that value with itself.

// merge merges src into dst. Neither is absent; both may be null.
func merge(f field, dst, src any) (any, outcome, error) {
	if dst == nil {
		return add(f, src)
	}
	if src == nil {
		return nil, dropped, nil
	}
	switch d := dst.(type) {
	case map[string]any:
		s, ok := src.(map[string]any)
		if !ok {
			return nil, 0, mismatch(dst, src)
		}
		directive, s, err := mapDirective(s)
		if err != nil {
			return nil, 0, err
		}
		switch directive {
		case remove:
			return nil, dropped, nil
		case replace:
			out, _, err := settleMap(f, s)
			return compared(dst, out, err)
		}
		return mergeMaps(f, d, s)
	case []any:
		s, ok := src.([]any)
		if !ok {
			return nil, 0, mismatch(dst, src)
		}
		if f.keys == 0 {
			return compared(dst, src, nil)
		}
		return mergeLists(f, d, s)
	case string:
		// A string stays a string: kyaml keeps the quotes of the value that it
		// replaces.
		if !isScalar(src) {
			return nil, 0, mismatch(dst, src)
		}
		return compared(dst, text(src), nil)
	}
	if !isScalar(src) {
		return nil, 0, mismatch(dst, src)
	}
	return compared(dst, src, nil)
}

// compared is the outcome of putting src in the place of dst.
func compared(dst, src any, err error) (any, outcome, error) {
	switch {
	case err != nil:
		return nil, 0, err
	case equal(dst, src):
		return dst, same, nil
	}
	return src, changed, nil
}

func mergeMaps(f field, dst, src map[string]any) (any, outcome, error) {
	s := sniff(f.shape, dst, src)
	w := writer{old: dst}
	var err error
	for key, d := range dst {
		var out any
		var done outcome
		var e error
		if v, ok := src[key]; ok {
			out, done, e = merge(s.field(key), d, v)
		} else {
			out, done, e = keep(s.field(key), d)
		}
		if e != nil {
			err = first(err, fieldpath.At(fieldpath.Key(key), e))
			continue
		}
		w.put(key, out, done)
	}
	for key, v := range src {
		if _, ok := dst[key]; ok {
			continue
		}
		out, done, e := add(s.field(key), v)
		if e != nil {
			err = first(err, fieldpath.At(fieldpath.Key(key), e))
			continue
		}
		if done != dropped {
			w.put(key, out, changed)
		}
	}
	return w.result(err)
}

// keep goes over a value that the patch does not mention. Lists with merge
// keys lose their duplicates there, too.
func keep(f field, dst any) (any, outcome, error) {
	switch d := dst.(type) {
	case map[string]any:
		s := sniff(f.shape, d, nil)
		w := writer{old: d}
		var err error
		for key, v := range d {
			if isScalar(v) {
				continue
			}
			out, done, e := keep(s.field(key), v)
			if e != nil {
				err = first(err, fieldpath.At(fieldpath.Key(key), e))
				continue
			}
			w.put(key, out, done)
		}
		return w.result(err)
	case []any:
		if f.keys != 0 {
			return keepList(f, d)
		}
	}
	return dst, same, nil
}

// add returns what src becomes where the object has nothing, or null.
func add(f field, src any) (any, outcome, error) {
	switch s := src.(type) {
	case nil:
		return nil, dropped, nil
	case map[string]any:
		// An unknown directive is an error only below a map that exists; here it
		// is a field.
		directive, stripped, err := mapDirective(s)
		if err == nil {
			s = stripped
		}
		if directive == remove {
			return nil, dropped, nil
		}
		out, done, err := settleMap(f, s)
		if done == same {
			done = changed
		}
		return out, done, err
	case []any:
		if f.keys != 0 {
			return addList(f, s)
		}
	}
	return src, changed, nil
}

// settle merges a value with itself, as kyaml does with what the patch put into
// the object: directives are carried out and nulls go.
func settle(f field, v any) (any, outcome, error) {
	switch v := v.(type) {
	case nil:
		return nil, dropped, nil
	case map[string]any:
		directive, s, err := mapDirective(v)
		if err != nil {
			return nil, 0, err
		}
		if directive == remove {
			return nil, dropped, nil
		}
		out, done, err := settleMap(f, s)
		if directive != none && done == same {
			done = changed
		}
		return out, done, err
	case []any:
		if f.keys != 0 {
			return settleList(f, v)
		}
	}
	return v, same, nil
}

func settleMap(f field, m map[string]any) (any, outcome, error) {
	s := sniff(f.shape, m, nil)
	w := writer{old: m}
	var err error
	for key, v := range m {
		out, done, e := settle(s.field(key), v)
		if e != nil {
			err = first(err, fieldpath.At(fieldpath.Key(key), e))
			continue
		}
		w.put(key, out, done)
	}
	return w.result(err)
}

// A writer copies a map when its first change comes.
type writer struct {
	old, new map[string]any
}

func (w *writer) put(key string, v any, done outcome) {
	if done == same {
		return
	}
	if w.new == nil {
		w.new = maps.Clone(w.old)
		if w.new == nil {
			w.new = map[string]any{}
		}
	}
	if done == dropped {
		delete(w.new, key)
	} else {
		w.new[key] = v
	}
}

func (w *writer) result(err error) (any, outcome, error) {
	switch {
	case err != nil:
		return nil, 0, err
	case w.new != nil:
		return w.new, changed, nil
	}
	return w.old, same, nil
}

// sniff finds the shape of a map that the document does not describe, but that
// says itself what it is: kyaml takes the word of any map with an apiVersion
// and a kind, at whatever depth. The object is asked before the patch.
func sniff(s shape, dst, src map[string]any) shape {
	if s != unknown {
		return s
	}
	for _, m := range [...]map[string]any{dst, src} {
		apiVersion, _ := m["apiVersion"].(string)
		kind, _ := m["kind"].(string)
		if apiVersion == "" || kind == "" {
			continue
		}
		if s := shapeOfKind(apiVersion, kind); s != unknown {
			return s
		}
	}
	return unknown
}

type directive uint8

const (
	none directive = iota
	remove
	replace
	mergeOn // $patch: merge
)

const directiveKey = "$patch"

func parseDirective(v any) (directive, error) {
	switch s := text(v); s {
	case "delete":
		return remove, nil
	case "replace":
		return replace, nil
	case "merge":
		return mergeOn, nil
	default:
		return none, fmt.Errorf("%s: %q is not known, expected delete, replace or merge", directiveKey, s)
	}
}

// mapDirective returns the directive in m, and m without it.
func mapDirective(m map[string]any) (directive, map[string]any, error) {
	v, ok := m[directiveKey]
	if !ok {
		return none, m, nil
	}
	d, err := parseDirective(v)
	if err != nil {
		return none, m, err
	}
	m = maps.Clone(m)
	delete(m, directiveKey)
	return d, m, nil
}

// first picks the error to report, so that it does not depend on the order of
// maps.
func first(a, b error) error {
	if a == nil {
		return b
	}
	errs := []error{a, b}
	sort.Slice(errs, func(i, j int) bool { return errs[i].Error() < errs[j].Error() })
	return errs[0]
}

func mismatch(dst, src any) error {
	return fmt.Errorf("the patch has %s where the object has %s", jsonvalue.Type(src), jsonvalue.Type(dst))
}
