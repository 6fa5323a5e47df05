package cel

import (
	"errors"
	"reflect"

	"github.com/google/cel-go/common/types/ref"
)

// maxSize is how large a result may be: one for each value, and for each byte of
// text. An object of a cluster has at most 3 MB.
const maxSize = 4 << 20

var errTooLarge = errors.New("the result is too large: more than 4 MiB of texts and values")

// small returns an error for a result that would be too large where every part of
// it stands by itself: what costs little to make, such as a list of two that holds
// another one twice, and so on, may be without bound when it is written down.
func small(v ref.Val) error {
	if left(reflect.ValueOf(v), maxSize, false) < 0 {
		return errTooLarge
	}
	return nil
}

// parts are the fields in which the values of cel-go and of the API server keep
// what they are made of.
var parts = []string{"fields", "value", "baseList", "mutableValues", "prevList", "nextList", "mapAccessor", "Mapper", "Op", "From", "Path", "Val"}

// left returns what is left of a budget after v, which may be less than nothing.
// joined tells that v is a side of a concatenation.
func left(v reflect.Value, budget int, joined bool) int {
	if budget--; budget < 0 {
		return budget
	}
	switch v.Kind() {
	case reflect.Interface, reflect.Pointer:
		if !v.IsNil() {
			return left(v.Elem(), budget, joined)
		}
	case reflect.String:
		return budget - v.Len()
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return budget - v.Len()
		}
		for i := 0; i < v.Len() && budget >= 0; i++ {
			budget = left(v.Index(i), budget, false)
		}
	case reflect.Map:
		for it := v.MapRange(); budget >= 0 && it.Next(); {
			budget = left(it.Value(), left(it.Key(), budget, false), false)
		}
	case reflect.Struct:
		before, join := budget, v.FieldByName("prevList").IsValid()
		for _, name := range parts {
			if f := v.FieldByName(name); f.IsValid() {
				budget = left(f, budget, join)
			}
		}
		if join && !joined {
			// Each element of a concatenation is found by walking through it.
			n := before - budget
			budget -= n * n / 64
		}
	}
	return budget
}
