package strategic

import (
	"fmt"
	"slices"

	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/jsonvalue"
)

// Lists with merge keys. kyaml does not merge them in one pass but edits three
// lists (the object's, the patch's and the new one), looking elements up by
// the texts of their keys each time. What happens to elements that lack a key,
// or share one, follows from the order of those edits, so the code below takes
// the same steps; regular lists take a short cut.

// An element is a place in one or several of the lists; a change of its value
// shows in all of them.
type element struct{ value any }

// An editList is a list under edit.
type editList struct{ elems []*element }

func newEditList(values []any) *editList {
	block := make([]element, len(values))
	l := &editList{elems: make([]*element, len(values))}
	for i, v := range values {
		block[i].value = v
		l.elems[i] = &block[i]
	}
	return l
}

func (l *editList) values() []any {
	out := make([]any, len(l.elems))
	for i, e := range l.elems {
		out[i] = e.value
	}
	return out
}

func mergeLists(f field, dst, src []any) (any, outcome, error) {
	d, s := newEditList(dst), newEditList(src)
	directive, err := s.directive()
	if err != nil {
		return nil, 0, err
	}
	switch directive {
	case remove:
		return nil, dropped, nil
	case replace:
		return edited(f, dst, s, s)
	}
	return edited(f, dst, d, s)
}

func keepList(f field, dst []any) (any, outcome, error) {
	if !regular(dst, f.mergeKeys()) {
		return edited(f, dst, newEditList(dst), nil)
	}
	var out []any
	elem := field{shape: f.shape}
	for i, v := range dst {
		v, done, err := keep(elem, v)
		if err != nil {
			return nil, 0, fieldpath.At(fieldpath.Index(i), err)
		}
		if done == changed {
			if out == nil {
				out = slices.Clone(dst)
			}
			out[i] = v
		}
	}
	if out == nil {
		return dst, same, nil
	}
	return out, changed, nil
}

// addList does not look for a directive, so that one stays in the list.
func addList(f field, src []any) (any, outcome, error) {
	s := newEditList(src)
	out, done, err := edited(f, src, s, s)
	if done == same {
		done = changed
	}
	return out, done, err
}

func settleList(f field, v []any) (any, outcome, error) {
	s := newEditList(v)
	directive, err := s.directive()
	if err != nil {
		return nil, 0, err
	}
	if directive == remove {
		return nil, dropped, nil
	}
	return edited(f, v, s, s)
}

// edited merges and compares with what was there before.
func edited(f field, before []any, dst, src *editList) (any, outcome, error) {
	l, err := mergeElements(f, dst, src)
	if err != nil {
		return nil, 0, err
	}
	return compared(before, l.values(), nil)
}

// regular reports whether merging a list with nothing cannot change its
// elements or their order: all are maps with a first key, and no two of them
// can be taken for each other.
func regular(list []any, keys []string) bool {
	if keys[0] == "" {
		return regularScalars(list)
	}
	if len(list) > 32 {
		return false
	}
	for i, v := range list {
		m, ok := v.(map[string]any)
		if !ok || !hasText(m[keys[0]]) {
			return false
		}
		for _, w := range list[:i] {
			other := w.(map[string]any)
			if !sameText(m[keys[0]], other[keys[0]]) {
				continue
			}
			distinct := false
			for _, k := range keys[1:] {
				a, b := m[k], other[k]
				if hasText(a) && hasText(b) && !sameText(a, b) {
					distinct = true
				}
			}
			if !distinct {
				return false
			}
		}
	}
	return true
}

func regularScalars(list []any) bool {
	if len(list) > 32 {
		return false
	}
	for i, v := range list {
		s, ok := v.(string)
		if !ok || s == "" || slices.Contains(list[:i], v) {
			return false
		}
	}
	return true
}

func hasText(v any) bool {
	switch v := v.(type) {
	case nil, map[string]any, []any:
		return false
	case string:
		return v != ""
	}
	return true
}

// sameText is text(a) == text(b) without building the texts.
func sameText(a, b any) bool {
	switch a := a.(type) {
	case string:
		if b, ok := b.(string); ok {
			return a == b
		}
	case int64:
		if b, ok := b.(int64); ok {
			return a == b
		}
	}
	return text(a) == text(b)
}

// mergeElements merges src, which may be nil, or dst itself, into dst.
func mergeElements(f field, dst, src *editList) (*editList, error) {
	keys := f.mergeKeys()
	var values [][]string
	if keys[0] == "" {
		values = scalarValues(src, dst)
	} else {
		values = keyValues(keys, src, dst)
	}
	if len(values) == 0 {
		return dst, nil
	}
	if len(keys) > 1 {
		unify(values)
	}

	added := &editList{}
	elem := field{shape: f.shape}
	var useKeys []string
	for _, v := range values {
		var useValues []string
		useKeys, useValues = usable(values, v, keys)
		lookKeys, lookValues := usable([][]string{useValues}, useValues, useKeys)
		target := dst.find(lookKeys, lookValues)
		e, err := mergeElement(elem, target, src.find(lookKeys, lookValues))
		if err != nil {
			return nil, fieldpath.At(fieldpath.Index(max(0, slices.Index(dst.elems, target))), err)
		}
		if e == nil || emptyElement(e.value) {
			if err := dst.set(nil, useKeys, useValues); err != nil {
				return nil, err
			}
			continue
		}
		for i, key := range useKeys {
			if key != "" && useValues[i] != "" {
				ensureKey(e, key, useValues[i])
			}
		}
		if err := added.set(e, useKeys, useValues); err != nil {
			return nil, err
		}
	}
	// The new elements come first; those of dst replace what stands for them, or
	// follow.
	return added, added.extend(dst, useKeys)
}

// mergeElement merges two elements, either or both of which may be missing. It
// returns the element that holds the result, nil when there is none.
func mergeElement(f field, dst, src *element) (*element, error) {
	switch {
	case dst == nil && src == nil:
		return nil, nil
	case src == nil:
		if dst.value == nil {
			return nil, nil
		}
		return dst.update(keep(f, dst.value))
	case dst == src:
		v := src.value
		src.value = withoutDirective(v)
		return src.update(settle(f, v))
	case dst == nil || dst.value == nil:
		v := src.value
		src.value = withoutDirective(v)
		return src.update(add(f, v))
	}
	d, ok := dst.value.(map[string]any)
	if !ok {
		// Scalars, and lists without keys: the element of the patch takes over.
		if _, _, err := merge(f, dst.value, src.value); err != nil {
			return nil, err
		}
		return src, nil
	}
	s, ok := src.value.(map[string]any)
	if !ok {
		if src.value == nil {
			return nil, nil
		}
		return nil, mismatch(dst.value, src.value)
	}
	directive, s, err := mapDirective(s)
	if err != nil {
		return nil, err
	}
	src.value = s
	switch directive {
	case remove:
		return nil, nil
	case replace:
		return src.update(settleMap(f, s))
	}
	return dst.update(mergeMaps(f, d, s))
}

// update stores the result of a merge. It returns nil when the value is gone.
func (e *element) update(v any, done outcome, err error) (*element, error) {
	if err != nil {
		return nil, err
	}
	if done == dropped {
		return nil, nil
	}
	e.value = v
	return e, nil
}

func withoutDirective(v any) any {
	if m, ok := v.(map[string]any); ok {
		if _, m, err := mapDirective(m); err == nil {
			return m
		}
	}
	return v
}

// ensureKey sets a merge key that the merge lost.
func ensureKey(e *element, key, value string) {
	m, ok := e.value.(map[string]any)
	if !ok {
		return
	}
	if _, ok := m[key]; ok {
		return
	}
	w := writer{old: m}
	w.put(key, value, changed)
	e.value = w.new
}

// directive finds the directive of a list, an element of its own, and takes it
// out.
func (l *editList) directive() (directive, error) {
	for _, e := range l.elems {
		m, _ := e.value.(map[string]any)
		v, ok := m[directiveKey]
		if !ok {
			continue
		}
		if len(m) > 1 {
			return none, nil
		}
		d, err := parseDirective(v)
		if err != nil {
			return none, err
		}
		return d, l.set(nil, []string{directiveKey}, []string{text(v)})
	}
	return none, nil
}

// keyValues lists the texts of the keys of all elements, each combination once:
// those of src, then those of dst. A missing key has the text "".
func keyValues(keys []string, src, dst *editList) [][]string {
	var out [][]string
	for _, l := range [...]*editList{src, dst} {
		if l == nil {
			continue
		}
		for _, e := range l.elems {
			m, _ := e.value.(map[string]any)
			values := make([]string, len(keys))
			for i, k := range keys {
				if v := m[k]; hasText(v) {
					values[i] = text(v)
				}
			}
			if !slices.ContainsFunc(out, func(o []string) bool { return slices.Equal(o, values) }) {
				out = append(out, values)
			}
		}
		if src == dst {
			break
		}
	}
	return out
}

func scalarValues(src, dst *editList) [][]string {
	var out [][]string
	for _, l := range [...]*editList{src, dst} {
		if l == nil {
			continue
		}
		for _, e := range l.elems {
			t := text(e.value)
			if !slices.ContainsFunc(out, func(o []string) bool { return o[0] == t }) {
				out = append(out, []string{t})
			}
		}
	}
	return out
}

// unify makes combinations equal that agree in one key and do not contradict
// each other in the rest: a port without a protocol is the one with it.
func unify(values [][]string) {
	for i, a := range values {
		for j, b := range values {
			if u, ok := union(a, b); ok {
				values[i] = u
				values[j] = u
			}
		}
	}
}

func union(a, b []string) ([]string, bool) {
	common := false
	out := make([]string, len(a))
	for i := range a {
		switch {
		case a[i] == b[i]:
			common = true
			out[i] = a[i]
		case a[i] != "" && b[i] != "":
			return nil, false
		case a[i] != "":
			out[i] = a[i]
		default:
			out[i] = b[i]
		}
	}
	return out, common
}

// usable leaves out the keys that no combination has a value for. When there is
// none at all, it keeps all.
func usable(all [][]string, values, keys []string) ([]string, []string) {
	used := make([]bool, len(keys))
	n := 0
	for _, vs := range all {
		for i, v := range vs {
			if v != "" && !used[i] {
				used[i] = true
				n++
			}
		}
	}
	if n == 0 || n == len(keys) {
		return keys, values
	}
	var k, v []string
	for i := range keys {
		if used[i] {
			k = append(k, keys[i])
			v = append(v, values[i])
		}
	}
	return k, v
}

func emptyElement(v any) bool {
	m, ok := v.(map[string]any)
	return v == nil || ok && len(m) == 0
}

// find returns the first element in which all keys have the given texts.
func (l *editList) find(keys, values []string) *element {
	if l == nil {
		return nil
	}
	for _, e := range l.elems {
		if keys[0] == "" {
			if text(e.value) == values[0] {
				return e
			}
			continue
		}
		m, ok := e.value.(map[string]any)
		if !ok {
			continue
		}
		found := true
		for i, k := range keys {
			v, ok := m[k]
			if !ok || text(v) != values[i] {
				found = false
				break
			}
		}
		if found {
			return e
		}
	}
	return nil
}

// set replaces all elements in which the keys have the given texts by e, or
// appends e when there is none. A nil e deletes them. Whatever it is
// called for, it also deletes null and empty elements. With fewer values than
// keys, the last values decide; with no values, no element stays.
func (l *editList) set(e *element, keys, values []string) error {
	onlyMaps := keys[0] != "" && len(values) > 0 && values[0] != ""
	var out []*element
	found := false
	for _, old := range l.elems {
		if emptyElement(old.value) {
			continue
		}
		m, isMap := old.value.(map[string]any)
		if !isMap && onlyMaps {
			out = append(out, old)
			continue
		}
		match := false
		for i, k := range keys {
			if i < len(values) {
				var err error
				if match, err = hasKey(old.value, m, k, values[i]); err != nil {
					return err
				}
			}
			if !match {
				break
			}
		}
		switch {
		case !match && len(values) > 0:
			out = append(out, old)
		case match:
			found = true
			if e != nil {
				out = append(out, e)
			}
		}
	}
	if e != nil && e.value != nil && !found {
		out = append(out, e)
	}
	l.elems = out
	return nil
}

// hasKey reports whether an element has the key with the given text; any text
// when that is "".
func hasKey(elem any, m map[string]any, key, value string) (bool, error) {
	if key == "" {
		if !isScalar(elem) {
			return false, fmt.Errorf("the list has %s as an element, expected scalars", jsonvalue.Type(elem))
		}
		return text(elem) == value, nil
	}
	if m == nil {
		return false, noMap(elem, key)
	}
	v, ok := m[key]
	return ok && (value == "" || text(v) == value), nil
}

// extend puts the elements of more where elements with their keys are, or at
// the end.
func (l *editList) extend(more *editList, keys []string) error {
	for _, e := range more.elems {
		if keys[0] == "" {
			if err := l.set(e, keys, []string{text(e.value)}); err != nil {
				return err
			}
			continue
		}
		var values []string
		for _, k := range keys {
			if e.value == nil {
				l.elems = append(l.elems, e)
				continue
			}
			m, ok := e.value.(map[string]any)
			if !ok {
				return noMap(e.value, k)
			}
			v, ok := m[k]
			if !ok {
				l.elems = append(l.elems, e)
				continue
			}
			values = append(values, text(v))
		}
		if len(keys) > 1 {
			if err := l.set(nil, keys, values); err != nil {
				return err
			}
		}
		if err := l.set(e, keys, values); err != nil {
			return err
		}
	}
	return nil
}

func noMap(elem any, key string) error {
	return fmt.Errorf("the list has %s as an element, expected a map with the merge key %s", jsonvalue.Type(elem), key)
}
