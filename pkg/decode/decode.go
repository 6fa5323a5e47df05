// Package decode reads plain JSON values into Go structs and reports every
// unknown field and wrong type with its path, so that a caller who knows the
// YAML can name file and line.
package decode

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
)

// A Fault is one place where a value does not fit its type.
type Fault struct {
	Path    fieldpath.Path
	Message string // what was expected and what was found
}

// Strict stores value, which consists of plain JSON values, in into, a pointer
// to a struct with json tags. It returns every fault in path order; fields
// without one are stored all the same.
//
// It is as strict as the API server: names are case-sensitive, unknown fields
// are faults, and a number is no string. null leaves a field at its zero
// value. Embedded structs without a name count as part of the outer one; types
// with an UnmarshalJSON method decode themselves; any takes the value as it
// is, shared with the input.
func Strict(value any, into any) []Fault {
	d := &decoder{}
	d.decode(nil, value, reflect.ValueOf(into).Elem())
	slices.SortStableFunc(d.faults, func(a, b Fault) int { return fieldpath.Compare(a.Path, b.Path) })
	return d.faults
}

type decoder struct{ faults []Fault }

func (d *decoder) fault(at fieldpath.Path, format string, args ...any) {
	d.faults = append(d.faults, Fault{Path: at, Message: fmt.Sprintf(format, args...)})
}

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

func (d *decoder) decode(at fieldpath.Path, value any, into reflect.Value) {
	if value == nil {
		return
	}
	t := into.Type()
	if t.Kind() != reflect.Pointer && reflect.PointerTo(t).Implements(unmarshaler) {
		d.custom(at, value, into)
		return
	}
	switch t.Kind() {
	case reflect.Pointer:
		if into.IsNil() {
			into.Set(reflect.New(t.Elem()))
		}
		d.decode(at, value, into.Elem())
	case reflect.Interface:
		into.Set(reflect.ValueOf(value))
	case reflect.Struct:
		d.object(at, value, into)
	case reflect.Map:
		m, ok := value.(map[string]any)
		if !ok {
			d.wrong(at, value, t)
			return
		}
		out := reflect.MakeMapWithSize(t, len(m))
		for _, k := range slices.Sorted(maps.Keys(m)) {
			elem := reflect.New(t.Elem()).Elem()
			d.decode(at.Key(k), m[k], elem)
			out.SetMapIndex(reflect.ValueOf(k).Convert(t.Key()), elem)
		}
		into.Set(out)
	case reflect.Slice:
		list, ok := value.([]any)
		if !ok {
			d.wrong(at, value, t)
			return
		}
		out := reflect.MakeSlice(t, len(list), len(list))
		for i, v := range list {
			d.decode(at.Index(i), v, out.Index(i))
		}
		into.Set(out)
	default:
		if !scalar(value, into) {
			d.wrong(at, value, t)
		}
	}
}

// scalar stores a string, bool or number and reports whether it fits.
func scalar(value any, into reflect.Value) bool {
	switch v := value.(type) {
	case string:
		if into.Kind() != reflect.String {
			return false
		}
		into.SetString(v)
	case bool:
		if into.Kind() != reflect.Bool {
			return false
		}
		into.SetBool(v)
	case int64:
		return number(v, into)
	case int:
		return number(int64(v), into)
	case float64:
		if into.CanFloat() {
			into.SetFloat(v)
			return true
		}
		if v != math.Trunc(v) || math.Abs(v) >= 1<<63 {
			return false
		}
		return number(int64(v), into)
	default:
		return false
	}
	return true
}

func number(v int64, into reflect.Value) bool {
	switch {
	case into.CanInt() && !into.OverflowInt(v):
		into.SetInt(v)
	case into.CanUint() && v >= 0 && !into.OverflowUint(uint64(v)):
		into.SetUint(uint64(v))
	case into.CanFloat():
		into.SetFloat(float64(v))
	default:
		return false
	}
	return true
}

// custom lets a type decode itself from JSON text.
func (d *decoder) custom(at fieldpath.Path, value any, into reflect.Value) {
	text, err := json.Marshal(value)
	if err == nil {
		err = into.Addr().Interface().(json.Unmarshaler).UnmarshalJSON(text)
	}
	if err != nil {
		d.fault(at, "%v", err)
	}
}

func (d *decoder) object(at fieldpath.Path, value any, into reflect.Value) {
	m, ok := value.(map[string]any)
	if !ok {
		d.wrong(at, value, into.Type())
		return
	}
	known := fieldsOf(into.Type())
	for _, k := range slices.Sorted(maps.Keys(m)) {
		index, ok := known[k]
		if !ok {
			d.fault(at.Key(k), "unknown field %q%s", k, suggest(k, known))
			continue
		}
		field, err := into.FieldByIndexErr(index)
		if err != nil { // an embedded pointer that is nil
			field = allocate(into, index)
		}
		d.decode(at.Key(k), m[k], field)
	}
}

func allocate(v reflect.Value, index []int) reflect.Value {
	for _, i := range index {
		if v.Kind() == reflect.Pointer {
			if v.IsNil() {
				v.Set(reflect.New(v.Type().Elem()))
			}
			v = v.Elem()
		}
		v = v.Field(i)
	}
	return v
}

func (d *decoder) wrong(at fieldpath.Path, value any, want reflect.Type) {
	d.fault(at, "expected %s, found %s", describeType(want), Describe(value))
}

func describeType(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Slice:
		return "a list"
	case reflect.Map, reflect.Struct:
		return "a map"
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "a whole number that is not negative"
	}
	return "a whole number"
}

// Describe says in words what kind of JSON value v is, with the value itself
// when it is a short scalar.
func Describe(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case map[string]any:
		return "a map"
	case []any:
		return "a list"
	case string:
		if len(v) > 40 {
			v = v[:37] + "..."
		}
		return fmt.Sprintf("the string %q", v)
	case bool:
		return fmt.Sprint(v)
	case float64:
		return "the number " + strconv.FormatFloat(v, 'f', -1, 64)
	}
	return fmt.Sprintf("the number %v", v)
}

// fields maps the JSON names of a struct to field indices.
type fields map[string][]int

var cache sync.Map // reflect.Type -> fields

func fieldsOf(t reflect.Type) fields {
	if f, ok := cache.Load(t); ok {
		return f.(fields)
	}
	out := fields{}
	for _, f := range reflect.VisibleFields(t) {
		if !f.IsExported() {
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		embedded := f.Anonymous && (name == "" || strings.Contains(options, "inline"))
		if name == "-" || embedded {
			continue
		}
		if name == "" {
			name = f.Name
		}
		if old, ok := out[name]; !ok || len(f.Index) < len(old) {
			out[name] = f.Index
		}
	}
	cache.Store(t, out)
	return out
}

// suggest names the known field nearest to an unknown one, or all when they
// are few.
func suggest(name string, known fields) string {
	names := slices.Sorted(maps.Keys(known))
	if len(names) == 0 {
		return ""
	}
	nearest := slices.MinFunc(names, func(a, b string) int {
		return cmp.Compare(distance(name, a), distance(name, b))
	})
	if d := distance(name, nearest); d <= max(2, len(name)/3) && d < len(name) {
		return fmt.Sprintf("; did you mean %q?", nearest)
	}
	if len(names) > 12 {
		return ""
	}
	return "; known fields: " + strings.Join(names, ", ")
}

// distance is the Levenshtein distance, without regard to case.
func distance(a, b string) int {
	a, b = strings.ToLower(a), strings.ToLower(b)
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost++
			}
			diagonal = row[j]
			row[j] = min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}
