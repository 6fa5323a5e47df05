// Command mergekeys writes the table of merge keys that package strategic
// uses: which lists of the built-in kinds are merged, and by which keys.
//
// It reads kyaml's OpenAPI document. It is a module of its own so that kyaml,
// which takes most of a tenth of a second to start, is not linked into the
// product.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"go/format"
	"log"
	"maps"
	"os"
	"slices"
	"strings"

	"k8s.io/kube-openapi/pkg/validation/spec"
	"sigs.k8s.io/kustomize/kyaml/openapi"
	"sigs.k8s.io/kustomize/kyaml/yaml"
)

func main() {
	out := flag.String("o", "", "file to write")
	flag.Parse()
	text, err := generate()
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(*out, text, 0o644); err != nil {
		log.Fatal(err)
	}
}

// A shape is what the merge needs to know of one OpenAPI type.
type shape struct {
	fields map[string]field // nil for what has no fields
	rest   *field           // of maps with arbitrary keys
}

type field struct {
	shape int    // of the value, or of the elements of a merged list
	keys  string // merge keys of a merged list, joined by commas; "-" when the elements are scalars
}

type table struct {
	shapes []shape
	byName map[string]int // definition name to shape
}

// leaf is the shape of everything that has no fields.
const leaf = 0

func generate() ([]byte, error) {
	t := &table{shapes: []shape{{}}, byName: map[string]int{}}
	kinds := map[string]int{}
	definitions := openapi.Schema().Definitions
	for _, name := range slices.Sorted(maps.Keys(definitions)) {
		for _, meta := range typeMetas(definitions[name]) {
			s := openapi.SchemaForResourceType(meta)
			if s == nil {
				return nil, fmt.Errorf("%v has no schema", meta)
			}
			id, err := t.shape(s.Schema, "#/definitions/"+name)
			if err != nil {
				return nil, fmt.Errorf("%v: %w", meta, err)
			}
			kinds[meta.APIVersion+"/"+meta.Kind] = id
		}
	}
	t.minimize(kinds)
	return t.print(kinds)
}

// minimize makes equal shapes one, so that the versions of an API share their
// entries, and numbers what is left from 0, the shape without fields.
func (t *table) minimize(kinds map[string]int) {
	class := make([]int, len(t.shapes)) // as coarse as possible, then split until it is stable
	for classes := 1; ; {
		seen := map[string]int{t.signature(leaf, class): 0}
		next := make([]int, len(t.shapes))
		for i := range t.shapes {
			sig := t.signature(i, class)
			if _, ok := seen[sig]; !ok {
				seen[sig] = len(seen)
			}
			next[i] = seen[sig]
		}
		class = next
		if len(seen) == classes {
			break
		}
		classes = len(seen)
	}
	merged := make([]shape, slices.Max(class)+1)
	for i, s := range t.shapes {
		fields := map[string]field{}
		for name, f := range s.fields {
			fields[name] = field{class[f.shape], f.keys}
		}
		merged[class[i]] = shape{fields: fields}
		if s.rest != nil {
			merged[class[i]].rest = &field{class[s.rest.shape], s.rest.keys}
		}
	}
	t.shapes = merged
	for k, id := range kinds {
		kinds[k] = class[id]
	}
}

func (t *table) signature(id int, class []int) string {
	var b strings.Builder
	fmt.Fprint(&b, class[id], ";")
	s := t.shapes[id]
	for _, name := range slices.Sorted(maps.Keys(s.fields)) {
		fmt.Fprint(&b, name, " ", class[s.fields[name].shape], " ", s.fields[name].keys, ";")
	}
	if s.rest != nil {
		fmt.Fprint(&b, "* ", class[s.rest.shape], " ", s.rest.keys)
	}
	return b.String()
}

func typeMetas(s spec.Schema) []yaml.TypeMeta {
	var out []yaml.TypeMeta
	list, _ := s.Extensions["x-kubernetes-group-version-kind"].([]any)
	for _, e := range list {
		m := e.(map[string]any)
		group, _ := m["group"].(string)
		version, _ := m["version"].(string)
		kind, _ := m["kind"].(string)
		if group != "" {
			version = group + "/" + version
		}
		out = append(out, yaml.TypeMeta{APIVersion: version, Kind: kind})
	}
	return out
}

// shape numbers the type s. ref is its definition, empty for a type without a
// name.
func (t *table) shape(s *spec.Schema, ref string) (int, error) {
	if ref != "" {
		if id, ok := t.byName[ref]; ok {
			return id, nil
		}
	}
	hasRest := s.AdditionalProperties != nil && s.AdditionalProperties.Schema != nil
	if len(s.Properties) == 0 && !hasRest {
		return leaf, nil
	}
	id := len(t.shapes)
	t.shapes = append(t.shapes, shape{})
	if ref != "" {
		t.byName[ref] = id
	}
	out := shape{fields: map[string]field{}}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		p := s.Properties[name]
		f, keep, err := t.field(&p)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", name, err)
		}
		if keep {
			out.fields[name] = f
		}
	}
	if hasRest {
		// Kept for scalars, too: a label that is a map is wrong, but not unknown.
		f, _, err := t.field(s.AdditionalProperties.Schema)
		if err != nil {
			return 0, err
		}
		out.rest = &f
	}
	t.shapes[id] = out
	return id, nil
}

// field describes one value. It is kept when it is a map or a merged list:
// scalars and lists that are replaced need no entry.
func (t *table) field(s *spec.Schema) (field, bool, error) {
	s, ref, err := resolve(s)
	if err != nil {
		return field{}, false, err
	}
	rs := openapi.ResourceSchema{Schema: s}
	strategy, keys := rs.PatchStrategyAndKeyList()
	if len(s.Type) == 1 && s.Type[0] == "array" && slices.Contains(strings.Split(strategy, ","), "merge") {
		elem := rs.Elements()
		if elem == nil {
			return field{}, false, fmt.Errorf("a merged list without a type for its elements")
		}
		_, elemRef, err := resolve(s.Items.Schema)
		if err != nil {
			return field{}, false, err
		}
		id, err := t.shape(elem.Schema, elemRef)
		if err != nil {
			return field{}, false, err
		}
		if len(keys) == 0 {
			return field{id, "-"}, true, nil
		}
		return field{id, strings.Join(keys, ",")}, true, nil
	}
	if len(s.Type) == 1 && s.Type[0] != "object" {
		return field{}, false, nil
	}
	id, err := t.shape(s, ref)
	return field{id, ""}, true, err
}

func resolve(s *spec.Schema) (*spec.Schema, string, error) {
	ref := ""
	for s.Ref.String() != "" {
		ref = s.Ref.String()
		r, err := openapi.Resolve(&s.Ref, openapi.Schema())
		if err != nil {
			return nil, "", err
		}
		s = r
	}
	return s, ref, nil
}

// print writes the table as Go. Shapes and fields are flat arrays of constants,
// which cost nothing when the program starts.
func (t *table) print(kinds map[string]int) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("// Code generated by tests/tools/mergekeys from the OpenAPI document of kyaml v0.21.1; DO NOT EDIT.\n\n")
	b.WriteString("package strategic\n\n")

	keyID := map[string]int{"": 0}
	keys := []string{""}
	for _, s := range t.shapes {
		for _, name := range slices.Sorted(maps.Keys(s.fields)) {
			k := s.fields[name].keys
			if _, ok := keyID[k]; !ok {
				keyID[k] = len(keys)
				keys = append(keys, k)
			}
		}
	}
	b.WriteString("// keyLists are the merge keys that fields name by number. A list of the one key \"\"\n")
	b.WriteString("// holds scalars, which are their own keys.\n")
	b.WriteString("var keyLists = [...][]string{\n")
	for _, k := range keys {
		switch k {
		case "":
			b.WriteString("\tnil,\n")
		case "-":
			b.WriteString("\t{\"\"},\n")
		default:
			fmt.Fprintf(&b, "\t{%s},\n", `"`+strings.ReplaceAll(k, ",", `", "`)+`"`)
		}
	}
	b.WriteString("}\n\n")

	b.WriteString("// kinds are sorted by name.\nvar kinds = [...]kindEntry{\n")
	for _, k := range slices.Sorted(maps.Keys(kinds)) {
		fmt.Fprintf(&b, "\t{%q, %d},\n", k, kinds[k])
	}
	b.WriteString("}\n\n")

	b.WriteString("// shapeFields of shape i are fields[shapeFields[i]:shapeFields[i+1]].\nvar shapeFields = [...]uint16{")
	n := 0
	for i, s := range t.shapes {
		if i%16 == 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "%d,", n)
		n += len(s.fields)
		if s.rest != nil {
			n++
		}
	}
	fmt.Fprintf(&b, "%d,\n}\n\n", n)

	b.WriteString("// fields are sorted by name within a shape. The name \"*\" stands for every other name.\nvar fields = [...]field{\n")
	for i, s := range t.shapes {
		if len(s.fields) == 0 && s.rest == nil {
			continue
		}
		fmt.Fprintf(&b, "// %d\n", i)
		if s.rest != nil {
			fmt.Fprintf(&b, "\t{\"*\", %d, %d},\n", s.rest.shape, keyID[s.rest.keys])
		}
		for _, name := range slices.Sorted(maps.Keys(s.fields)) {
			f := s.fields[name]
			fmt.Fprintf(&b, "\t{%q, %d, %d},\n", name, f.shape, keyID[f.keys])
		}
	}
	b.WriteString("}\n")
	return format.Source(b.Bytes())
}
