package apply

import (
	"fmt"
	"maps"
	"strings"
	"sync"

	"sigs.k8s.io/structured-merge-diff/v6/schema"
	"sigs.k8s.io/structured-merge-diff/v6/typed"

	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// Schemas knows the schemas of kinds. It does not change, and many goroutines
// may use it: what it reads of a schema, when a kind is first merged, it keeps.
type Schemas struct {
	custom map[resource.Kind]*definition
	known  *sync.Map // resource.Kind to func() (*kindType, error), of the built-in kinds
}

var builtIn = sync.OnceValue(func() *Schemas { return &Schemas{known: new(sync.Map)} })

// BuiltIn returns the schemas of the kinds that Kubernetes 1.36 has built in.
func BuiltIn() *Schemas { return builtIn() }

// With returns schemas that also know the kinds of CustomResourceDefinitions of
// apiextensions.k8s.io/v1, in their served versions. A kind that s knows
// already keeps the schema that it has in s if it is built in, and gets the new
// one if it is not. A faulty schema is an error of the first merge.
func (s *Schemas) With(crds []map[string]any) (*Schemas, error) {
	out := &Schemas{custom: maps.Clone(s.custom), known: s.known}
	if out.custom == nil {
		out.custom = map[resource.Kind]*definition{}
	}
	for _, crd := range crds {
		definitions, err := readDefinition(crd)
		if err != nil {
			return nil, err
		}
		maps.Copy(out.custom, definitions)
	}
	return out, nil
}

// Knows reports whether there is a schema of the kind. Merge works without one
// as well, but not for patches with lists.
func (s *Schemas) Knows(kind resource.Kind) bool {
	if _, ok := builtInType(kind); ok {
		return true
	}
	_, ok := s.custom[kind]
	return ok
}

func (s *Schemas) of(kind resource.Kind) (*kindType, error) {
	read, ok := s.known.Load(kind)
	if !ok {
		if name, ok := builtInType(kind); ok {
			read, _ = s.known.LoadOrStore(kind, sync.OnceValues(func() (*kindType, error) {
				return readType(name)
			}))
		} else if d, ok := s.custom[kind]; ok {
			return d.read()
		} else {
			return guessedType()
		}
	}
	return read.(func() (*kindType, error))()
}

// Kinds lists the kinds that Kubernetes 1.36 has built in, in each version.
func Kinds() []resource.Kind {
	kinds, _, _ := strings.Cut(table, "\n\n")
	var out []resource.Kind
	for line := range strings.SplitSeq(kinds, "\n") {
		name, _, _ := strings.Cut(line, "\t")
		group, rest, _ := strings.Cut(name, "/")
		version, kind, _ := strings.Cut(rest, "/")
		out = append(out, resource.Kind{Group: group, Version: version, Kind: kind})
	}
	return out
}

// builtInKinds is the first part of the table.
var builtInKinds = sync.OnceValue(func() string { return table[:strings.Index(table, "\n\n")+1] })

// builtInType returns the name that the table has for the type of a kind.
func builtInType(kind resource.Kind) (string, bool) {
	return lookUp(builtInKinds(), kind.Group+"/"+kind.Version+"/"+kind.Kind)
}

// A kindType is what objects of a kind are checked against and merged by.
type kindType struct {
	guessed bool // no schema is known: only the metadata is as it should be
	types   []schema.TypeDef
	exact   func() typed.ParseableType
	open    func() typed.ParseableType // also has fields that no type names
}

func newKindType(name string, types []schema.TypeDef) *kindType {
	parseable := func(types []schema.TypeDef) typed.ParseableType {
		return typed.ParseableType{Schema: &schema.Schema{Types: types}, TypeRef: schema.TypeRef{NamedType: &name}}
	}
	return &kindType{
		types: types,
		exact: sync.OnceValue(func() typed.ParseableType { return parseable(types) }),
		open:  sync.OnceValue(func() typed.ParseableType { return parseable(opened(types)) }),
	}
}

// deduced is the type of values that nothing is said about: maps are merged,
// lists are replaced. untyped is atomic throughout.
const (
	deduced    = "__untyped_deduced_"
	untyped    = "__untyped_atomic_"
	objectMeta = "meta.v1.ObjectMeta"
)

func named(name string) schema.TypeRef { return schema.TypeRef{NamedType: &name} }

func readType(name string) (*kindType, error) {
	_, types, _ := strings.Cut(table, "\n\n")
	defs, err := closure(types, name, deduced)
	if err != nil {
		return nil, fmt.Errorf("the schemas in the program are damaged: %w", err)
	}
	return newKindType(name, defs), nil
}

// common are the types that custom resources refer to.
var common = sync.OnceValues(func() ([]schema.TypeDef, error) {
	_, types, _ := strings.Cut(table, "\n\n")
	return closure(types, objectMeta, deduced)
})

// customType returns the type of a custom resource.
func customType(object *schema.Map) (*kindType, error) {
	types, err := common()
	if err != nil {
		return nil, fmt.Errorf("the schemas in the program are damaged: %w", err)
	}
	const name = "custom"
	def := schema.TypeDef{Name: name, Atom: schema.Atom{Map: object}}
	return newKindType(name, append([]schema.TypeDef{def}, types...)), nil
}

// guessedType is the type of objects that no schema is known for.
var guessedType = sync.OnceValues(func() (*kindType, error) {
	t, err := customType(&schema.Map{Fields: objectFields(), ElementType: named(deduced)})
	if err == nil {
		t.guessed = true
	}
	return t, err
})

func objectFields() []schema.StructField {
	text := schema.String
	return []schema.StructField{
		{Name: "apiVersion", Type: schema.TypeRef{Inlined: schema.Atom{Scalar: &text}}},
		{Name: "kind", Type: schema.TypeRef{Inlined: schema.Atom{Scalar: &text}}},
		{Name: "metadata", Type: named(objectMeta)},
	}
}

// opened returns types in which maps also have the fields that they do not name.
func opened(types []schema.TypeDef) []schema.TypeDef {
	out := make([]schema.TypeDef, len(types))
	for i, def := range types {
		out[i] = schema.TypeDef{Name: def.Name, Atom: openedAtom(def.Atom)}
	}
	return out
}

func openedAtom(a schema.Atom) schema.Atom {
	out := schema.Atom{Scalar: a.Scalar}
	if a.List != nil {
		list := *a.List
		list.ElementType = openedRef(list.ElementType)
		out.List = &list
	}
	if a.Map != nil {
		out.Map = &schema.Map{ElementRelationship: a.Map.ElementRelationship, ElementType: openedRef(a.Map.ElementType)}
		if isNothing(a.Map.ElementType) {
			out.Map.ElementType = named(deduced)
		}
		for _, field := range a.Map.Fields {
			field.Type = openedRef(field.Type)
			out.Map.Fields = append(out.Map.Fields, field)
		}
	}
	return out
}

func openedRef(r schema.TypeRef) schema.TypeRef {
	if r.NamedType == nil {
		r.Inlined = openedAtom(r.Inlined)
	}
	return r
}

func isNothing(r schema.TypeRef) bool { return r == schema.TypeRef{} }
