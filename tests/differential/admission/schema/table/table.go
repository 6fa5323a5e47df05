// Package table writes the schemas of the built-in kinds as text: what a
// structured merge needs to know of them, one type a line, sorted by name. The
// reader in package apply documents the text.
package table

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/client/applyconfiguration"
	apiextensionsscheme "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset/scheme"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/managedfields"
	builtin "k8s.io/client-go/applyconfigurations"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/structured-merge-diff/v6/schema"
)

type writer struct {
	types map[string]schema.TypeDef // by their names in OpenAPI
	kinds map[string]string         // group/version/Kind to the name of the type
	lines map[string]string         // short name to what the type is
	named map[string]string         // short name to the name
}

// Generate returns the table.
func Generate() ([]byte, error) {
	w := &writer{types: map[string]schema.TypeDef{}, kinds: map[string]string{}, lines: map[string]string{}, named: map[string]string{}}
	if err := w.add(clientscheme.Scheme, builtin.NewTypeConverter(clientscheme.Scheme)); err != nil {
		return nil, err
	}
	if err := w.add(apiextensionsscheme.Scheme, apiextensions.NewTypeConverter(apiextensionsscheme.Scheme)); err != nil {
		return nil, err
	}
	for _, name := range w.kinds {
		if err := w.reach(name); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}

	var buf bytes.Buffer
	for _, kind := range slices.Sorted(maps.Keys(w.kinds)) {
		fmt.Fprintf(&buf, "%s\t%s\n", kind, short(w.kinds[kind]))
	}
	buf.WriteByte('\n')
	for _, name := range slices.Sorted(maps.Keys(w.lines)) {
		fmt.Fprintf(&buf, "%s\t%s\n", name, w.lines[name])
	}
	return buf.Bytes(), nil
}

// add collects the kinds of a scheme that the converter knows, and its types.
func (w *writer) add(scheme *runtime.Scheme, converter managedfields.TypeConverter) error {
	for kind := range scheme.AllKnownTypes() {
		stub := &unstructured.Unstructured{}
		stub.SetGroupVersionKind(kind)
		value, err := converter.ObjectToTyped(stub)
		if err != nil {
			continue // options and lists have no schema
		}
		name := *value.TypeRef().NamedType
		if strings.HasPrefix(name, meta) {
			continue // DeleteOptions and the like, which every group has
		}
		w.kinds[kind.Group+"/"+kind.Version+"/"+kind.Kind] = name
		if _, ok := w.types[name]; ok {
			continue
		}
		for _, def := range value.Schema().Types {
			if old, ok := w.types[def.Name]; ok && !old.Equals(&def) {
				return fmt.Errorf("type %s has two schemas", def.Name)
			}
			w.types[def.Name] = def
		}
	}
	return nil
}

const meta = "io.k8s.apimachinery.pkg.apis.meta."

// short returns a unique shorter name: nobody sees the names of types.
func short(name string) string {
	for _, prefix := range []string{"io.k8s.apiextensions-apiserver.pkg.apis.", "io.k8s.api.", "io.k8s.apimachinery.pkg.apis.", "io.k8s.apimachinery.pkg."} {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			return rest
		}
	}
	return name
}

// reach writes a type and all that it refers to.
func (w *writer) reach(name string) error {
	if other, ok := w.named[short(name)]; ok {
		if other != name {
			return fmt.Errorf("types %s and %s get one name", other, name)
		}
		return nil
	}
	def, ok := w.types[name]
	if !ok {
		return fmt.Errorf("type %s is referred to and not there", name)
	}
	w.named[short(name)] = name // before its fields: types are recursive
	text, err := w.atom(def.Atom)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	w.lines[short(name)] = text
	return nil
}

func (w *writer) atom(a schema.Atom) (string, error) {
	var text strings.Builder
	if a.Scalar != nil {
		letter, ok := map[schema.Scalar]string{schema.String: "s", schema.Numeric: "n", schema.Boolean: "b", schema.Untyped: "u"}[*a.Scalar]
		if !ok {
			return "", fmt.Errorf("unknown scalar %q", *a.Scalar)
		}
		text.WriteString(letter)
	}
	if a.List != nil {
		list, err := w.list(a.List)
		if err != nil {
			return "", err
		}
		text.WriteString(list)
	}
	if a.Map != nil {
		object, err := w.object(a.Map)
		if err != nil {
			return "", err
		}
		text.WriteString(object)
	}
	if text.Len() == 0 {
		return "", fmt.Errorf("a type of nothing")
	}
	return text.String(), nil
}

func (w *writer) list(l *schema.List) (string, error) {
	element, err := w.ref(l.ElementType)
	if err != nil {
		return "", err
	}
	switch l.ElementRelationship {
	case schema.Atomic:
		return "[!" + element + "]", nil
	case schema.Associative:
	default:
		return "", fmt.Errorf("a list that is %q", l.ElementRelationship)
	}
	if len(l.Keys) == 0 {
		return "[" + element + "]", nil
	}
	return "[" + strings.Join(l.Keys, ",") + "|" + element + "]", nil
}

// object leaves unions out, which mean nothing to a merge.
func (w *writer) object(m *schema.Map) (string, error) {
	var parts []string
	for _, field := range slices.SortedFunc(slices.Values(m.Fields), func(a, b schema.StructField) int { return strings.Compare(a.Name, b.Name) }) {
		ref, err := w.ref(field.Type)
		if err != nil {
			return "", fmt.Errorf("%s: %w", field.Name, err)
		}
		if strings.ContainsAny(field.Name, ":,*}") {
			return "", fmt.Errorf("%s: the name of the field has a character that means something in the table", field.Name)
		}
		part := field.Name + ":" + ref
		// Only the default of a key of a list means something to a merge, and
		// keys are scalars.
		switch value := field.Default.(type) {
		case string:
			part += "=" + strconv.Quote(value)
		case int:
			part += "=" + strconv.Itoa(value)
		case bool:
			part += "=" + strconv.FormatBool(value)
		case nil, map[any]any:
		default:
			return "", fmt.Errorf("%s: a default of type %T is not written", field.Name, value)
		}
		parts = append(parts, part)
	}
	if m.ElementType.NamedType != nil || m.ElementType.Inlined != (schema.Atom{}) {
		ref, err := w.ref(m.ElementType)
		if err != nil {
			return "", err
		}
		parts = append(parts, "*:"+ref)
	}
	mark, err := relationship(m.ElementRelationship)
	return "{" + mark + strings.Join(parts, ",") + "}", err
}

// relationship marks a map. Separable is what a map is that says nothing.
func relationship(r schema.ElementRelationship) (string, error) {
	switch r {
	case schema.Atomic:
		return "!", nil
	case schema.Separable, "":
		return "", nil
	}
	return "", fmt.Errorf("a map that is %q", r)
}

func (w *writer) ref(r schema.TypeRef) (string, error) {
	if r.Nullable {
		return "", fmt.Errorf("nullable is not written")
	}
	if r.NamedType == nil {
		if r.ElementRelationship != nil {
			return "", fmt.Errorf("a relationship of an inlined type is not written")
		}
		return w.atom(r.Inlined)
	}
	mark := "@"
	if r.ElementRelationship != nil {
		switch *r.ElementRelationship {
		case schema.Atomic:
			mark = "@!"
		case schema.Separable:
			mark = "@~"
		default:
			return "", fmt.Errorf("a reference that is %q", *r.ElementRelationship)
		}
	}
	return mark + short(*r.NamedType), w.reach(*r.NamedType)
}
