// Command schemas writes the JSON Schemas of oneloop's own kinds, for editors,
// from their Go types: names and types by reflection, descriptions from the
// comments. It runs in the root of the repository.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/config"
	"github.com/oneloop-dev/oneloop/pkg/digest/lock"
	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/policy/pinimages"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// module is the path in front of the folders of packages.
const module = "github.com/oneloop-dev/oneloop/"

// documents are the kinds that get a schema.
var documents = []struct {
	kind resource.Kind
	// fields are those besides apiVersion, kind and metadata: those of the type,
	// or a spec of the type.
	fields reflect.Type
	spec   bool
	about  string
}{
	{config.Kind, reflect.TypeFor[config.Spec](), true, "The functionConfig of a run with many policies or options."},
	{lock.Kind, reflect.TypeFor[lock.Lock](), false, "The committed answer to which digest each image tag points at."},
	{facts.Kind, reflect.TypeFor[facts.Spec](), true, "What a cluster would have known at admission time."},
	{pinimages.Kind, reflect.TypeFor[pinimages.Spec](), true, "A policy that pins images by digest."},
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "schemas:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("usage: schemas FOLDER")
	}
	for _, d := range documents {
		g := generator{comments: map[string]string{}, read: map[string]bool{}}
		schema, err := g.document(d.kind, d.fields, d.spec, d.about)
		if err != nil {
			return err
		}
		var out bytes.Buffer
		encoder := json.NewEncoder(&out)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(schema); err != nil {
			return err
		}
		name := strings.ToLower(d.kind.Kind) + "-" + d.kind.Version + ".json"
		if err := os.WriteFile(filepath.Join(args[0], name), out.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// A schema is the part of JSON Schema that is needed, in the order in which it
// is written.
type schema struct {
	Schema               string             `json:"$schema,omitempty"`
	Title                string             `json:"title,omitempty"`
	Description          string             `json:"description,omitempty"`
	Type                 any                `json:"type,omitempty"`
	Const                string             `json:"const,omitempty"`
	Enum                 []string           `json:"enum,omitempty"`
	Items                *schema            `json:"items,omitempty"`
	Required             []string           `json:"required,omitempty"`
	Properties           map[string]*schema `json:"properties,omitempty"`
	AdditionalProperties any                `json:"additionalProperties,omitempty"`
}

type generator struct {
	comments map[string]string // package.Type.Field to what is said of it
	read     map[string]bool   // packages
}

func (g *generator) document(kind resource.Kind, fields reflect.Type, spec bool, about string) (*schema, error) {
	out := &schema{Type: "object", AdditionalProperties: false, Properties: map[string]*schema{}}
	body, err := g.of(fields)
	if err != nil {
		return nil, err
	}
	if spec {
		out.Properties["spec"] = body
	} else {
		out.Properties, out.Required = body.Properties, body.Required
	}
	out.Schema = "http://json-schema.org/draft-07/schema#"
	out.Title, out.Description = kind.Kind, about
	out.Properties["apiVersion"] = &schema{Type: "string", Const: kind.APIVersion()}
	out.Properties["kind"] = &schema{Type: "string", Const: kind.Kind}
	out.Properties["metadata"] = &schema{Type: "object", Description: "As of every Kubernetes object."}
	for _, name := range []string{"apiVersion", "kind"} {
		if !slices.Contains(out.Required, name) {
			out.Required = append(out.Required, name)
		}
	}
	slices.Sort(out.Required)
	return out, nil
}

// of returns the schema of a type, without a description.
func (g *generator) of(t reflect.Type) (*schema, error) {
	switch t.Kind() {
	case reflect.Pointer:
		return g.of(t.Elem())
	case reflect.Interface:
		return &schema{}, nil
	case reflect.String:
		return &schema{Type: "string"}, nil
	case reflect.Bool:
		return &schema{Type: "boolean"}, nil
	case reflect.Int, reflect.Int64:
		return &schema{Type: "integer"}, nil
	case reflect.Slice:
		items, err := g.of(t.Elem())
		return &schema{Type: []string{"array", "null"}, Items: items}, err
	case reflect.Map:
		values, err := g.of(t.Elem())
		out := &schema{Type: []string{"object", "null"}}
		if t.Elem().Kind() != reflect.Interface {
			out.AdditionalProperties = values
		}
		return out, err
	case reflect.Struct:
		out := &schema{Type: []string{"object", "null"}, AdditionalProperties: false, Properties: map[string]*schema{}}
		return out, g.fields(t, out)
	}
	return nil, fmt.Errorf("no schema for the type %s", t)
}

// fields adds the fields of a struct to the schema of an object.
func (g *generator) fields(t reflect.Type, out *schema) error {
	if err := g.readComments(t.PkgPath()); err != nil {
		return err
	}
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" {
			if err := g.fields(f.Type, out); err != nil {
				return err
			}
			continue
		}
		if name == "" || name == "-" {
			continue
		}
		field, err := g.of(f.Type)
		if err != nil {
			return fmt.Errorf("%s.%s: %w", t, f.Name, err)
		}
		field.Description = g.comments[t.PkgPath()+"."+t.Name()+"."+f.Name]
		if rest, ok := strings.CutPrefix(field.Description, f.Name+" "); ok {
			field.Description = name + " " + rest // Go's name means nothing to the reader
		}
		if words := f.Tag.Get("enum"); words != "" {
			field.Enum = append(strings.Split(words, ","), "")
		}
		out.Properties[name] = field
		if !strings.Contains(options, "omitempty") && f.Type.Kind() != reflect.Interface {
			out.Required = append(out.Required, name)
		}
	}
	return nil
}

// readComments takes down the comments of the fields of all structs of a
// package.
func (g *generator) readComments(pkg string) error {
	folder, ok := strings.CutPrefix(pkg, module)
	if !ok || g.read[pkg] {
		return nil
	}
	g.read[pkg] = true
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		return err
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		for node := range ast.Preorder(parsed) {
			spec, ok := node.(*ast.TypeSpec)
			if !ok {
				continue
			}
			structure, ok := spec.Type.(*ast.StructType)
			if !ok {
				continue
			}
			for _, f := range structure.Fields.List {
				for _, name := range f.Names {
					g.comments[pkg+"."+spec.Name.Name+"."+name.Name] = strings.Join(strings.Fields(f.Doc.Text()), " ")
				}
			}
		}
	}
	return nil
}
