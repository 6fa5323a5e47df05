// Command omitted writes which fields of the built-in kinds are as good as
// absent when they are empty, from the Go types of their API: those with
// omitempty that are no pointers and no structs.
package main

import (
	"bytes"
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
	out := flag.String("o", "", "file to write")
	table := flag.String("table", "", "file with the table of schemas")
	flag.Parse()
	schemas, err := os.ReadFile(*table)
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(*out, generate(string(schemas)), 0o644); err != nil {
		log.Fatal(err)
	}
}

// generate returns a line for each type that has such fields: the name that the
// table of schemas has for it, a tab and the names of the fields.
func generate(table string) []byte {
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
		if fields := omitted(t); len(fields) > 0 && strings.Contains(table, "\n"+name(t)+"\t") {
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

// omitted lists the fields of a struct, with those of what it embeds.
func omitted(t reflect.Type) []string {
	var out []string
	for i := range t.NumField() {
		field := t.Field(i)
		tag, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if field.Anonymous && tag == "" && field.Type.Kind() == reflect.Struct {
			out = append(out, omitted(field.Type)...)
			continue
		}
		if tag == "" || tag == "-" || !strings.Contains(options, "omitempty") {
			continue
		}
		switch field.Type.Kind() {
		case reflect.Pointer, reflect.Struct, reflect.Interface:
		default:
			out = append(out, tag)
		}
	}
	slices.Sort(out)
	return out
}
