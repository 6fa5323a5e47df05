package gatekeeper

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/jsonvalue"
	"github.com/oneloop-dev/oneloop/pkg/policy"
)

// A condition is a path test: what the field at some depth of a location has to
// be for a mutator to act.
type condition string

const (
	mustExist    condition = "MustExist"
	mustNotExist condition = "MustNotExist"
)

// tests are the conditions of a mutator, by the depth of the location.
type tests map[int]condition

// allow reports whether a field at a depth may be there, or be missing.
func (t tests) allow(depth int, exists bool) bool {
	c, ok := t[depth]
	return !ok || exists == (c == mustExist)
}

// newTests takes tests as Gatekeeper does. It compares the places of tests in the
// list where it means their depths, and so refuses a MustExist that comes after a
// MustNotExist, and none that contradicts one in another order.
func newTests(at location, list []pathTest) (tests, error) {
	out := tests{}
	firstMustNot, lastMust := -1, 0
	for i, t := range list {
		if !t.location.begins(at) {
			return nil, fmt.Errorf("subPath %s is not the beginning of the location %s", t.location, at)
		}
		out[len(t.location)-1] = t.Condition
		switch {
		case t.Condition == mustNotExist && firstMustNot < 0:
			firstMustNot = i
		case t.Condition == mustExist:
			lastMust = i
		}
	}
	for _, t := range list {
		if out[len(t.location)-1] != t.Condition {
			return nil, fmt.Errorf("%s is under both MustExist and MustNotExist; keep one", t.location)
		}
	}
	if firstMustNot >= 0 && lastMust > firstMustNot {
		return nil, errors.New("expected those with MustExist first: Gatekeeper refuses one that comes after a MustNotExist")
	}
	return out, nil
}

// A setter knows what to put at the end of a location.
type setter interface {
	// field returns the value for a field. It reports false to leave it as it is,
	// which counts as done all the same.
	field(old any, exists bool, a *admission) (value any, write bool, err error)
}

// A setting is one mutator applied to one object.
type setting struct {
	*mutator
	admission *admission
	path      fieldpath.Path // to where it is, for errors; reused
}

// apply returns what the value at some depth of the location becomes, which
// shares with current what does not change. It reports whether anything was set,
// also to what it was before: only then do the parents that were missing stay.
func (s *setting) apply(current any, depth int) (value any, done bool, err error) {
	if s.at[depth].list {
		l, ok := current.([]any)
		if !ok {
			return nil, false, s.mismatch("a list", current)
		}
		return s.list(l, depth)
	}
	m, ok := current.(map[string]any)
	if !ok {
		return nil, false, s.mismatch("a map", current)
	}
	return s.field(m, depth)
}

func (s *setting) fault(format string, args ...any) error {
	return &policy.FieldError{Path: slices.Clone(s.path), Err: fmt.Errorf(format, args...)}
}

func (s *setting) mismatch(want string, v any) error {
	hint := ""
	if _, ok := v.([]any); ok {
		hint = "; behind a list stands which of its elements are meant, as in containers[name: *]"
	}
	return s.fault("expected %s, found %s, where location %s leads%s", want, jsonvalue.Describe(v), s.at, hint)
}

// below applies the rest of the location to what a step leads to.
func (s *setting) below(step fieldpath.Step, v any, depth int) (value any, done bool, err error) {
	s.path = append(s.path, step)
	value, done, err = s.apply(v, depth)
	s.path = s.path[:len(s.path)-1]
	return value, done, err
}

func (s *setting) field(m map[string]any, depth int) (value any, done bool, err error) {
	name := s.at[depth].field
	v, exists := m[name]
	if !s.tests.allow(depth, exists) {
		return m, false, nil
	}
	if depth == len(s.at)-1 {
		s.path = append(s.path, fieldpath.Key(name))
		after, write, err := s.set.field(v, exists, s.admission)
		if err != nil {
			err = s.fault("%w", err)
		}
		s.path = s.path[:len(s.path)-1]
		if err != nil || !write {
			return m, err == nil, err
		}
		return with(m, name, v, exists, after), true, nil
	}
	if !exists {
		v = map[string]any{}
		if s.at[depth+1].list {
			v = []any{}
		}
	}
	after, done, err := s.below(fieldpath.Key(name), v, depth+1)
	if err != nil || !done {
		return m, false, err
	}
	return with(m, name, v, exists, after), true, nil
}

// with returns m with a field set.
func with(m map[string]any, name string, before any, exists bool, after any) map[string]any {
	if exists && same(before, after) {
		return m
	}
	out := make(map[string]any, len(m)+1)
	maps.Copy(out, m)
	out[name] = after
	return out
}

func (s *setting) list(l []any, depth int) (value any, done bool, err error) {
	n := s.at[depth]
	if depth == len(s.at)-1 {
		return s.element(l, depth)
	}
	if n.all() && !s.tests.allow(depth, true) {
		return l, false, nil
	}
	out, found := l, false
	put := func(i int, v any) {
		if same(out[i], v) {
			return
		}
		if &out[0] == &l[0] {
			out = slices.Clone(l)
		}
		out[i] = v
	}
	for i, v := range l {
		if !n.all() {
			m, ok := v.(map[string]any)
			if key, has := m[n.field]; !ok || !has || key != n.key {
				continue
			}
			if !s.tests.allow(depth, true) {
				return l, false, nil
			}
		}
		after, was, err := s.below(fieldpath.Index(i), v, depth+1)
		if err != nil {
			return nil, false, err
		}
		found = true
		if was {
			done = true
			put(i, after)
		}
	}
	if found || n.all() {
		return out, done, nil
	}
	if !s.tests.allow(depth, false) {
		return l, false, nil
	}
	after, done, err := s.below(fieldpath.Index(len(l)), map[string]any{n.field: n.key}, depth+1)
	if err != nil || !done {
		return l, false, err
	}
	return append(l[:len(l):len(l)], after), true, nil
}

// element replaces an element of a list as a whole, or appends it. Compile has
// seen to it that the setter has a map with the key.
func (s *setting) element(l []any, depth int) (value any, done bool, err error) {
	n := s.at[depth]
	element, _, err := s.set.field(nil, false, s.admission)
	if err != nil {
		return nil, false, s.fault("%w", err)
	}
	for i, v := range l {
		m, ok := v.(map[string]any)
		if !ok {
			s.path = append(s.path, fieldpath.Index(i))
			err := s.mismatch("a map", v)
			s.path = s.path[:len(s.path)-1]
			return nil, false, err
		}
		if key, has := m[n.field]; !has || key != n.key {
			continue
		}
		if !s.tests.allow(depth, true) {
			return l, false, nil
		}
		if same(v, element) {
			return l, true, nil
		}
		out := slices.Clone(l)
		out[i] = element
		return out, true, nil
	}
	if !s.tests.allow(depth, false) {
		return l, false, nil
	}
	return append(l[:len(l):len(l)], element), true, nil
}

// A float is an integer of the value that a mutator assigns. Gatekeeper reads
// such numbers as floats, which are equal to no integer of the resource as long as
// it is being admitted: neither as the key of a list element nor in a set.
type float int64

// floats returns v with its integers as Gatekeeper reads them.
func floats(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = floats(e)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = floats(e)
		}
		return out
	case int64:
		return float(int64(float64(v)))
	}
	return v
}

// same reports whether two values are the same to Gatekeeper: 1 and 1.0 are not.
func same(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		if reflect.ValueOf(a).UnsafePointer() == reflect.ValueOf(b).UnsafePointer() {
			return true
		}
		for k, v := range a {
			if w, ok := b[k]; !ok || !same(v, w) {
				return false
			}
		}
		return true
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		if len(a) > 0 && &a[0] == &b[0] {
			return true
		}
		for i := range a {
			if !same(a[i], b[i]) {
				return false
			}
		}
		return true
	}
	switch b.(type) {
	case map[string]any, []any:
		return false
	}
	return a == b
}

// A constant is a value that is assigned as it is.
type constant struct{ value any }

func (c constant) field(any, bool, *admission) (any, bool, error) { return c.value, true, nil }

// A metadataField is a field of metadata, name or namespace, that is assigned.
type metadataField string

func (f metadataField) field(_ any, _ bool, a *admission) (any, bool, error) {
	if f == "namespace" {
		return a.namespace, true, nil
	}
	return a.name, true, nil
}

// A merge adds values to a list that lacks them.
type merge []any

func (m merge) field(old any, exists bool, _ *admission) (any, bool, error) {
	if !exists {
		return []any(m), true, nil
	}
	list, ok := old.([]any)
	if !ok {
		return nil, false, notASet(old)
	}
	for _, v := range m {
		if !slices.ContainsFunc(list, func(has any) bool { return same(v, has) }) {
			list = append(list[:len(list):len(list)], v)
		}
	}
	return list, true, nil
}

// A prune removes values from a list.
type prune []any

func (p prune) field(old any, exists bool, _ *admission) (any, bool, error) {
	if !exists {
		return nil, false, nil
	}
	list, ok := old.([]any)
	if !ok {
		return nil, false, notASet(old)
	}
	out := make([]any, 0, len(list))
	for _, has := range list {
		if !slices.ContainsFunc(p, func(v any) bool { return same(v, has) }) {
			out = append(out, has)
		}
	}
	return out, true, nil
}

func notASet(v any) error {
	return fmt.Errorf("expected a list to treat as a set, found %s", jsonvalue.Describe(v))
}
