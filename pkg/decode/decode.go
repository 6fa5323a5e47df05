// Package decode reads plain JSON values into Go structs and reports every
// unknown field and wrong type with its path, so that a caller who knows the
// YAML can name file and line.
package decode

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/jsonvalue"
)

// A Fault is one place where a value does not fit its type.
type Fault struct {
	Path    fieldpath.Path
	Message string
}

// Strict decodes value, which consists of map[string]any, []any, string, bool,
// int64, float64 and nil, into the Go value that into points at. It follows
// the json tags, embedded structs and UnmarshalJSON methods of the types, with
// the strictness of the API server: names are case-sensitive, a number is not
// a string, 1.5 is not an integer, and a field without a place is a fault. A
// null leaves a field as it is. A field with a tag such as enum:"Error,Warn"
// takes those words alone, or none.
//
// It goes on after a fault, and returns all of them in path order; what fits
// is decoded. Fields of type any share memory with value.
func Strict(value any, into any) []Fault {
	return Document(value, into, func(fieldpath.Path) (string, bool) { return "", false })
}

// Document is Strict for what was read from YAML. Where a boolean stands for a
// string, bareWord is asked whether it is a word such as y or on: a boolean to
// some readers of YAML, and here the text that it can only be meant as.
func Document(value, into any, bareWord func(fieldpath.Path) (string, bool)) []Fault {
	d := decoder{bareWord: bareWord}
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		panic(fmt.Sprintf("decode.Strict needs a pointer to decode into, got %T", into))
	}
	d.decode(value, v.Elem())
	slices.SortStableFunc(d.faults, func(a, b Fault) int { return fieldpath.Compare(a.Path, b.Path) })
	return d.faults
}

type decoder struct {
	path     fieldpath.Path // reused
	structs  []structure    // those that path leads through
	faults   []Fault
	bareWord func(fieldpath.Path) (string, bool)
}

// A structure is a struct at the end of the first steps of a path.
type structure struct {
	steps  int
	fields *fields
}

func (d *decoder) fault(format string, args ...any) {
	d.faults = append(d.faults, Fault{slices.Clone(d.path), fmt.Sprintf(format, args...)})
}

func (d *decoder) mismatch(expected string, value any) {
	d.fault("expected %s, found %s", expected, jsonvalue.Describe(value))
}

func (d *decoder) below(s fieldpath.Step, f func()) {
	d.path = append(d.path, s)
	f()
	d.path = d.path[:len(d.path)-1]
}

var (
	jsonUnmarshaler = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
	rawMessage      = reflect.TypeFor[json.RawMessage]()
)

func (d *decoder) decode(value any, v reflect.Value) {
	if value == nil {
		switch v.Kind() {
		case reflect.Interface, reflect.Pointer, reflect.Map, reflect.Slice:
			v.SetZero()
		}
		return
	}
	t := v.Type()
	if t == rawMessage || t.Kind() != reflect.Pointer && reflect.PointerTo(t).Implements(jsonUnmarshaler) {
		d.custom(value, v)
		return
	}
	if t.Kind() == reflect.Pointer {
		if v.IsNil() {
			v.Set(reflect.New(t.Elem()))
		}
		d.decode(value, v.Elem())
		return
	}
	if s, ok := value.(string); ok && reflect.PointerTo(t).Implements(textUnmarshaler) {
		if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(s)); err != nil {
			d.fault("%v", err)
		}
		return
	}
	switch t.Kind() {
	case reflect.Interface:
		if t.NumMethod() > 0 {
			panic(fmt.Sprintf("decode.Strict can't decode into %v", t))
		}
		v.Set(reflect.ValueOf(value))
	case reflect.Struct:
		m, ok := value.(map[string]any)
		if !ok {
			d.mismatch("a map", value)
			return
		}
		d.structure(m, v)
	case reflect.Map:
		m, ok := value.(map[string]any)
		if !ok {
			d.mismatch("a map", value)
			return
		}
		d.mapping(m, v)
	case reflect.Slice:
		l, ok := value.([]any)
		if !ok {
			d.mismatch("a list", value)
			return
		}
		v.Set(reflect.MakeSlice(t, len(l), len(l)))
		for i, e := range l {
			d.below(fieldpath.Index(i), func() { d.decode(e, v.Index(i)) })
		}
	case reflect.String:
		if s, ok := value.(string); ok {
			v.SetString(s)
			return
		}
		if _, ok := value.(bool); ok {
			if s, ok := d.bareWord(d.path); ok {
				v.SetString(s)
				return
			}
		}
		switch value.(type) {
		case map[string]any, []any:
			d.mismatch("a string", value)
		default:
			d.fault("expected a string, found %s; quote it", jsonvalue.Describe(value))
		}
	case reflect.Bool:
		if b, ok := value.(bool); ok {
			v.SetBool(b)
			return
		}
		d.mismatch("true or false", value)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		d.integer(value, func(i int64) bool {
			if v.OverflowInt(i) {
				return false
			}
			v.SetInt(i)
			return true
		})
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		d.integer(value, func(i int64) bool {
			if i < 0 || v.OverflowUint(uint64(i)) {
				return false
			}
			v.SetUint(uint64(i))
			return true
		})
	case reflect.Float32, reflect.Float64:
		switch n := value.(type) {
		case int64:
			v.SetFloat(float64(n))
		case float64:
			v.SetFloat(n)
		default:
			d.mismatch("a number", value)
		}
	default:
		panic(fmt.Sprintf("decode.Strict can't decode into %v", t))
	}
}

func (d *decoder) integer(value any, set func(int64) bool) {
	i, ok := value.(int64)
	if f, isFloat := value.(float64); isFloat && f == math.Trunc(f) && math.Abs(f) < 1<<63 {
		i, ok = int64(f), true
	}
	switch {
	case !ok:
		d.mismatch("an integer", value)
	case !set(i):
		d.fault("the integer %d is out of range", i)
	}
}

// custom lets UnmarshalJSON decode. What it says of the path inside the value
// is lost, so the fault is about the whole value.
func (d *decoder) custom(value any, v reflect.Value) {
	text, err := json.Marshal(value)
	if err == nil {
		err = json.Unmarshal(text, v.Addr().Interface())
	}
	if err == nil {
		return
	}
	var wrongType *json.UnmarshalTypeError
	if errors.As(err, &wrongType) && wrongType.Field == "" {
		d.mismatch(goKind(wrongType.Type), value)
		return
	}
	d.fault("%v", err)
}

// goKind names a Go type in the words of YAML.
func goKind(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Struct, reflect.Map:
		return "a map"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Float32, reflect.Float64:
		return "a number"
	}
	return "an integer"
}

func (d *decoder) mapping(m map[string]any, v reflect.Value) {
	t := v.Type()
	if t.Key().Kind() != reflect.String {
		panic(fmt.Sprintf("decode.Strict can't decode into %v: its keys are not strings", t))
	}
	if v.IsNil() {
		v.Set(reflect.MakeMapWithSize(t, len(m)))
	}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		d.below(fieldpath.Key(k), func() {
			e := reflect.New(t.Elem()).Elem()
			d.decode(m[k], e)
			v.SetMapIndex(reflect.ValueOf(k).Convert(t.Key()), e)
		})
	}
}

func (d *decoder) structure(m map[string]any, v reflect.Value) {
	known := fieldsOf(v.Type())
	d.structs = append(d.structs, structure{len(d.path), known})
	defer func() { d.structs = d.structs[:len(d.structs)-1] }()
	for _, k := range slices.Sorted(maps.Keys(m)) {
		d.below(fieldpath.Key(k), func() {
			index, ok := known.index[k]
			if !ok {
				d.fault("%s", d.unknown(k))
				return
			}
			field := fieldByIndex(v, index)
			d.decode(m[k], field)
			if words := known.words[k]; words != nil && field.String() != "" && !slices.Contains(words, field.String()) {
				d.fault("expected %s, found %q", oneOf(words), field.String())
			}
		})
	}
}

// Words returns what the enum tag of the field of T with a json name lists; nil
// when it takes any text.
func Words[T any](name string) []string { return fieldsOf(reflect.TypeFor[T]()).words[name] }

// fieldByIndex returns a field, and makes the embedded structs on the way to
// it.
func fieldByIndex(v reflect.Value, index []int) reflect.Value {
	for i, n := range index {
		if i > 0 && v.Kind() == reflect.Pointer {
			if v.IsNil() {
				v.Set(reflect.New(v.Type().Elem()))
			}
			v = v.Elem()
		}
		v = v.Field(n)
	}
	return v
}

type fields struct {
	of    reflect.Type
	index map[string][]int
	names []string            // sorted
	words map[string][]string // of fields that take only some
}

// below returns the fields, themselves structs, that have a field called name: "a",
// or "a or b"; "" when there is none.
func (f *fields) below(name string) string {
	var found []string
	for _, outer := range f.names {
		t := f.of.FieldByIndex(f.index[outer]).Type
		if t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct {
			continue
		}
		if _, ok := fieldsOf(t).index[name]; ok {
			found = append(found, outer)
		}
	}
	return strings.Join(found, " or ")
}

var known sync.Map // reflect.Type to *fields

func fieldsOf(t reflect.Type) *fields {
	if f, ok := known.Load(t); ok {
		return f.(*fields)
	}
	f := &fields{of: t, index: map[string][]int{}, words: map[string][]string{}}
	f.add(t, nil)
	f.names = slices.Sorted(maps.Keys(f.index))
	known.Store(t, f)
	return f
}

// add collects the fields of t; those of embedded structs give way to those
// of the struct itself.
func (f *fields) add(t reflect.Type, prefix []int) {
	var embedded []int
	for i := range t.NumField() {
		field := t.Field(i)
		tag := field.Tag.Get("json")
		name, options, _ := strings.Cut(tag, ",")
		if tag == "-" {
			continue
		}
		inner := field.Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		if field.Anonymous && inner.Kind() == reflect.Struct && name == "" || slices.Contains(strings.Split(options, ","), "inline") {
			embedded = append(embedded, i)
			continue
		}
		if !field.IsExported() {
			continue
		}
		if name == "" {
			name = field.Name
		}
		if _, ok := f.index[name]; !ok {
			f.index[name] = slices.Concat(prefix, []int{i})
			if words := field.Tag.Get("enum"); words != "" {
				f.words[name] = strings.Split(words, ",")
			}
		}
	}
	for _, i := range embedded {
		inner := t.Field(i).Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		f.add(inner, slices.Concat(prefix, []int{i}))
	}
}

// unknown says that a field has no place at the end of the path, and where its
// place is, or which one may be meant.
func (d *decoder) unknown(name string) string {
	here := d.structs[len(d.structs)-1].fields
	names := here.names
	if near := Nearest(name, names); near != "" {
		return fmt.Sprintf("unknown field %q; did you mean %q?", name, near)
	}
	if outer := here.below(name); outer != "" {
		return fmt.Sprintf("unknown field %q; it belongs into %s", name, outer)
	}
	for _, s := range slices.Backward(d.structs[:len(d.structs)-1]) {
		if _, ok := s.fields.index[name]; ok && d.path[s.steps].Key() != name {
			return fmt.Sprintf("unknown field %q; it belongs beside %s", name, d.path[s.steps].Key())
		}
	}
	if len(names) == 0 {
		return fmt.Sprintf("unknown field %q; there are no fields here", name)
	}
	if len(names) <= 12 {
		return fmt.Sprintf("unknown field %q; expected %s", name, oneOf(names))
	}
	return fmt.Sprintf("unknown field %q", name)
}

func oneOf(names []string) string {
	if len(names) == 1 {
		return names[0]
	}
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}

// Nearest returns the name that differs least from name, "" if all differ too
// much to be meant.
func Nearest(name string, names []string) string {
	best, bestDistance := "", 1+len(name)/3
	for _, n := range names {
		if strings.EqualFold(n, name) {
			return n
		}
		if d := distance(strings.ToLower(name), strings.ToLower(n)); d < bestDistance || d == bestDistance && best == "" {
			best, bestDistance = n, d
		}
	}
	return best
}

// distance counts the letters to insert, delete, replace or swap with their
// neighbour to get from a to b.
func distance(a, b string) int {
	before, prev, cur := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], before[j-2]+1)
			}
		}
		before, prev, cur = prev, cur, before
	}
	return prev[len(b)]
}
