// Command empties writes which fields of the built-in kinds are as good as
// absent when they are empty, from the Go types of their API: those with
// omitempty that are no pointers and no structs. A second list has the fields
// that are there even when nothing set them: structs.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
)

func main() {
	omitted := flag.String("omitted", "", "file to write: what is absent when empty")
	always := flag.String("always", "", "file to write: what is always there")
	table := flag.String("table", "", "file with the table of schemas")
	flag.Parse()
	schemas, err := os.ReadFile(*table)
	if err != nil {
		log.Fatal(err)
	}
	for file, fields := range map[string]func(reflect.Type) []string{*omitted: omittedFields, *always: alwaysFields} {
		if err := os.WriteFile(file, generate(string(schemas), fields), 0o644); err != nil {
			log.Fatal(err)
		}
	}
}

// generate returns a line for each type that has such fields: the name that the
// table of schemas has for it, a tab and the names of the fields.
func generate(table string, of func(reflect.Type) []string) []byte {
	types := map[reflect.Type]bool{}
	known := runtime.NewScheme()
	if err := scheme.AddToScheme(known); err != nil {
		log.Fatal(err)
	}
	if err := apiextensions.AddToScheme(known); err != nil {
		log.Fatal(err)
	}
	for _, t := range known.AllKnownTypes() {
		reach(types, t)
	}
	lines := map[string][]string{}
	for t := range types {
		if fields := of(t); len(fields) > 0 && strings.Contains(table, "\n"+name(t)+"\t") {
			lines[name(t)] = fields
		}
	}
	var buf bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(lines)) {
		fmt.Fprintf(&buf, "%s\t%s\n", name, strings.Join(lines[name], " "))
	}
	return buf.Bytes()
}

// reach adds the structs that a type is made of.
func reach(types map[reflect.Type]bool, t reflect.Type) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		reach(types, t.Elem())
	case reflect.Struct:
		if types[t] || !strings.HasPrefix(t.PkgPath(), "k8s.io/") {
			return
		}
		types[t] = true
		for i := range t.NumField() {
			reach(types, t.Field(i).Type)
		}
	}
}

// name is that of the table of schemas.
func name(t reflect.Type) string {
	path := t.PkgPath()
	for _, prefix := range []string{"k8s.io/apiextensions-apiserver/pkg/apis/", "k8s.io/apimachinery/pkg/apis/", "k8s.io/api/"} {
		path = strings.TrimPrefix(path, prefix)
	}
	return strings.ReplaceAll(path, "/", ".") + "." + t.Name()
}

// fieldsOf lists the fields of a struct that are wanted, with those of what it
// embeds, by their names in JSON.
func fieldsOf(t reflect.Type, wanted func(t reflect.Type, omitempty, omitzero bool) bool) []string {
	var out []string
	for i := range t.NumField() {
		field := t.Field(i)
		tag, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if field.Anonymous && tag == "" && field.Type.Kind() == reflect.Struct {
			out = append(out, fieldsOf(field.Type, wanted)...)
			continue
		}
		all := strings.Split(options, ",")
		if tag != "" && tag != "-" && wanted(field.Type, slices.Contains(all, "omitempty"), slices.Contains(all, "omitzero")) {
			out = append(out, tag)
		}
	}
	slices.Sort(out)
	return out
}

func omittedFields(t reflect.Type) []string {
	return fieldsOf(t, func(t reflect.Type, omitempty, _ bool) bool {
		switch t.Kind() {
		case reflect.Pointer, reflect.Struct, reflect.Interface:
			return false
		}
		return omitempty
	})
}

func alwaysFields(t reflect.Type) []string {
	return fieldsOf(t, func(t reflect.Type, _, omitzero bool) bool {
		if t.Kind() != reflect.Struct || omitzero {
			return false
		}
		// Quantities and times are no objects.
		return !reflect.PointerTo(t).Implements(reflect.TypeFor[json.Marshaler]())
	})
}
