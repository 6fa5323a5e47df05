package apply

import (
	"fmt"
	"maps"
	"slices"

	"sigs.k8s.io/structured-merge-diff/v6/value"
)

// ordered is a value whose maps give their fields in the order of their names.
// The library stops at the first field that a type does not have, and maps of
// Go have no order: with this the same input gives the same error.
type ordered struct{ value.Value }

func inOrder(v value.Value) value.Value {
	if v == nil || !v.IsMap() && !v.IsList() {
		return v
	}
	return ordered{v}
}

// Format prints what the value in it prints.
func (o ordered) Format(f fmt.State, verb rune) {
	_, _ = fmt.Fprintf(f, fmt.FormatString(f, verb), o.Value)
}

func (o ordered) AsMap() value.Map                       { return orderedMap{o.Value.AsMap()} }
func (o ordered) AsMapUsing(value.Allocator) value.Map   { return o.AsMap() }
func (o ordered) AsList() value.List                     { return orderedList{o.Value.AsList()} }
func (o ordered) AsListUsing(value.Allocator) value.List { return o.AsList() }

type orderedMap struct{ value.Map }

func (m orderedMap) Get(key string) (value.Value, bool) {
	v, ok := m.Map.Get(key)
	return inOrder(v), ok
}

func (m orderedMap) GetUsing(_ value.Allocator, key string) (value.Value, bool) { return m.Get(key) }

func (m orderedMap) Iterate(visit func(key string, v value.Value) bool) bool {
	fields := map[string]value.Value{}
	m.Map.Iterate(func(key string, v value.Value) bool {
		fields[key] = value.NewValueInterface(v.Unstructured()) // the iterator reuses v
		return true
	})
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		if !visit(key, inOrder(fields[key])) {
			return false
		}
	}
	return true
}

func (m orderedMap) IterateUsing(_ value.Allocator, visit func(key string, v value.Value) bool) bool {
	return m.Iterate(visit)
}

type orderedList struct{ value.List }

func (l orderedList) At(i int) value.Value                         { return inOrder(l.List.At(i)) }
func (l orderedList) AtUsing(_ value.Allocator, i int) value.Value { return l.At(i) }
func (l orderedList) Range() value.ListRange                       { return &orderedRange{l, -1} }
func (l orderedList) RangeUsing(value.Allocator) value.ListRange   { return l.Range() }

type orderedRange struct {
	list orderedList
	at   int
}

func (r *orderedRange) Next() bool {
	r.at++
	return r.at < r.list.Length()
}

func (r *orderedRange) Item() (int, value.Value) { return r.at, r.list.At(r.at) }
