package cel

import (
	"errors"
	"reflect"
	"sync"

	"github.com/google/cel-go/common/types/ref"
)

// maxSize is how large a result may be: one for each value, and for each byte of
// text. An object of a cluster has at most 3 MB.
const maxSize = 4 << 20

// maxMade is how many values a variable may hold that expressions made.
const maxMade = 1 << 19

var errTooLarge = errors.New("the result is too large")

// Small returns an error for a result that would be too large where every part of
// it stands by itself: what costs little to make, such as a list of two that holds
// another one twice, and so on, may be without bound when it is written down.
func Small(v ref.Val) error {
	m := &measure{left: maxSize}
	if m.take(reflect.ValueOf(v), false); m.left < 0 {
		return errTooLarge
	}
	return nil
}

// made is Small for what an expression made itself, without the parts of its
// variables that it holds.
func made(v ref.Val) error {
	m := &measure{left: maxMade, skip: true}
	if m.take(reflect.ValueOf(v), false); m.left < 0 {
		return errTooLarge
	}
	return nil
}

// A measure takes the size of values from what is left.
type measure struct {
	left int
	skip bool // JSON values
}

// parts are the fields in which the values of cel-go and of the API server keep
// what they are made of.
var parts = []string{"fields", "value", "baseList", "mutableValues", "prevList", "nextList", "mapAccessor", "Mapper", "Op", "From", "Path", "Val"}

// structParts are the parts that a type of struct has; join tells that it is a
// concatenation.
type structParts struct {
	fields [][]int
	join   bool
}

var known sync.Map // reflect.Type to structParts

func partsOf(t reflect.Type) structParts {
	if found, ok := known.Load(t); ok {
		return found.(structParts) //nolint:forcetypeassert // there is nothing else in it
	}
	var out structParts
	for _, name := range parts {
		if f, ok := t.FieldByName(name); ok {
			out.fields = append(out.fields, f.Index)
			out.join = out.join || name == "prevList"
		}
	}
	known.Store(t, out)
	return out
}

// take takes the size of v, until nothing is left. joined tells that v is a side
// of a concatenation.
func (m *measure) take(v reflect.Value, joined bool) {
	if m.left--; m.left < 0 {
		return
	}
	switch v.Kind() {
	case reflect.Interface, reflect.Pointer:
		if !v.IsNil() {
			m.take(v.Elem(), joined)
		}
	case reflect.String:
		if !m.skip {
			m.left -= v.Len()
		}
	case reflect.Slice, reflect.Array:
		switch of := v.Type().Elem(); {
		case of.Kind() == reflect.Uint8:
			m.left -= v.Len()
		case m.skip && of == anything:
		default:
			for i := 0; i < v.Len() && m.left >= 0; i++ {
				m.take(v.Index(i), false)
			}
		}
	case reflect.Map:
		if m.skip && v.Type().Elem() == anything {
			return
		}
		for it := v.MapRange(); m.left >= 0 && it.Next(); {
			m.take(it.Key(), false)
			m.take(it.Value(), false)
		}
	case reflect.Struct:
		before, of := m.left, partsOf(v.Type())
		for _, index := range of.fields {
			m.take(v.FieldByIndex(index), of.join)
		}
		if of.join && !joined {
			// Each element of a concatenation is found by walking through it.
			n := before - m.left
			m.left -= n * n / 64
		}
	}
}

// anything is the type of what JSON maps and lists hold.
var anything = reflect.TypeFor[any]()
