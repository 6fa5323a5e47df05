// Package table writes the schemas of the built-in kinds as text: what a
// structured merge needs to know of them, one type a line, sorted by name. The
// reader in package apply documents the text.
package table

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	runtime "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/kube-openapi/pkg/schemaconv"
	"k8s.io/kube-openapi/pkg/spec3"
	"k8s.io/kube-openapi/pkg/validation/spec"
	"sigs.k8s.io/structured-merge-diff/v6/schema"
)

// The release whose API server the schemas are of. Its module holds the OpenAPI
// documents that the API server publishes, and from which it takes the schemas
// for its own merges. Nothing of the module is compiled.
const (
	release = "k8s.io/kubernetes@v1.36.3"
	sum     = "h1:qDQdoMiluAE2Eab6Fa52YV+WjiGz9mZFFoagEA6cI+o="
)

// Documents returns the OpenAPI documents of the release, by group and version
// as they are in their paths: api/v1, apis/apps/v1.
func Documents() (map[string]*spec3.OpenAPI, error) {
	out, err := exec.Command("go", "mod", "download", "-json", release).Output()
	if err != nil {
		return nil, fmt.Errorf("downloading %s: %w: %s", release, err, out)
	}
	var module struct{ Dir, Sum string }
	if err := json.Unmarshal(out, &module); err != nil {
		return nil, err
	}
	if module.Sum != sum {
		return nil, fmt.Errorf("%s has the sum %s, expected %s", release, module.Sum, sum)
	}
	files, err := filepath.Glob(filepath.Join(module.Dir, "api/openapi-spec/v3/api*__v*_openapi.json"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("%s has no OpenAPI documents: %w", release, err)
	}
	documents := map[string]*spec3.OpenAPI{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var document spec3.OpenAPI
		if err := json.Unmarshal(data, &document); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		name := strings.TrimSuffix(filepath.Base(file), "_openapi.json")
		documents[strings.ReplaceAll(name, "__", "/")] = &document
	}
	return documents, nil
}

type writer struct {
	types map[string]schema.TypeDef // by their names in OpenAPI
	kinds map[string]string         // group/version/Kind to the name of the type
	lines map[string]string         // short name to what the type is
	named map[string]string         // short name to the name
}

// Generate returns the table.
func Generate() ([]byte, error) {
	w := &writer{types: map[string]schema.TypeDef{}, kinds: map[string]string{}, lines: map[string]string{}, named: map[string]string{}}
	documents, err := Documents()
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(documents)) {
		if err := w.add(documents[name].Components.Schemas); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
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

// add collects the kinds of objects and the types of a document.
func (w *writer) add(schemas map[string]*spec.Schema) error {
	converted, err := schemaconv.ToSchemaFromOpenAPI(schemas, false)
	if err != nil {
		return err
	}
	for _, def := range converted.Types {
		Sort(&def.Atom)
		if old, ok := w.types[def.Name]; ok && !reflect.DeepEqual(old, def) {
			return fmt.Errorf("type %s has two schemas", def.Name)
		}
		w.types[def.Name] = def
	}
	for name, kinds := range objects(schemas) {
		for _, k := range kinds {
			kind := k.Group + "/" + k.Version + "/" + k.Kind
			if other, ok := w.kinds[kind]; ok && other != name {
				return fmt.Errorf("kind %s is of types %s and %s", kind, other, name)
			}
			w.kinds[kind] = name
		}
	}
	return nil
}

// objects returns the kinds of objects by the names of their schemas.
func objects(schemas map[string]*spec.Schema) map[string][]runtime.GroupVersionKind {
	out := map[string][]runtime.GroupVersionKind{}
	for name, s := range schemas {
		// Lists and options have other metadata, or none.
		metadata, ok := s.Properties["metadata"]
		if !ok || !slices.ContainsFunc(metadata.AllOf, func(s spec.Schema) bool { return strings.HasSuffix(s.Ref.String(), ".ObjectMeta") }) {
			continue
		}
		var kinds []runtime.GroupVersionKind
		if err := s.Extensions.GetObject("x-kubernetes-group-version-kind", &kinds); err == nil && len(kinds) > 0 {
			out[name] = kinds
		}
	}
	return out
}

// Kinds returns the kinds of objects of a document, sorted.
func Kinds(schemas map[string]*spec.Schema) []runtime.GroupVersionKind {
	var out []runtime.GroupVersionKind
	for _, kinds := range objects(schemas) {
		out = append(out, kinds...)
	}
	slices.SortFunc(out, func(a, b runtime.GroupVersionKind) int { return strings.Compare(a.String(), b.String()) })
	return out
}

// Sort sorts the fields of a type: a document has them in no order.
func Sort(a *schema.Atom) {
	if a.List != nil {
		Sort(&a.List.ElementType.Inlined)
	}
	if a.Map == nil {
		return
	}
	Sort(&a.Map.ElementType.Inlined)
	slices.SortFunc(a.Map.Fields, func(a, b schema.StructField) int { return strings.Compare(a.Name, b.Name) })
	for i := range a.Map.Fields {
		Sort(&a.Map.Fields[i].Type.Inlined)
	}
}

// short returns a unique shorter name: nobody sees the names of types.
func short(name string) string {
	for _, prefix := range []string{"io.k8s.apiextensions-apiserver.pkg.apis.", "io.k8s.kube-aggregator.pkg.apis.", "io.k8s.api.", "io.k8s.apimachinery.pkg.apis.", "io.k8s.apimachinery.pkg."} {
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
	for _, field := range m.Fields {
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
		case float64:
			if value != float64(int64(value)) {
				return "", fmt.Errorf("%s: the default %v is not written", field.Name, value)
			}
			part += "=" + strconv.FormatInt(int64(value), 10)
		case bool:
			part += "=" + strconv.FormatBool(value)
		case nil, map[string]any, []any:
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
