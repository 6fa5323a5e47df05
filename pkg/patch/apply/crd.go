package apply

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"sigs.k8s.io/structured-merge-diff/v6/schema"

	"github.com/oneloop-dev/oneloop/pkg/resource"
)

const (
	definitionVersion = "apiextensions.k8s.io/v1"
	definitionKind    = "CustomResourceDefinition"
)

// A definition is one served version of a CustomResourceDefinition.
type definition struct {
	read func() (*kindType, error)
}

// readDefinition returns the kinds that a CustomResourceDefinition defines.
func readDefinition(crd map[string]any) (map[resource.Kind]*definition, error) {
	metadata, _ := crd["metadata"].(map[string]any)
	crdName, _ := metadata["name"].(string)
	fault := func(format string, args ...any) error {
		return fmt.Errorf("%s %q: %w", definitionKind, crdName, fmt.Errorf(format, args...))
	}
	if crd["apiVersion"] != definitionVersion || crd["kind"] != definitionKind {
		return nil, fault("it is %v/%v: expected %s/%s", crd["apiVersion"], crd["kind"], definitionVersion, definitionKind)
	}
	spec, _ := crd["spec"].(map[string]any)
	group, _ := spec["group"].(string)
	names, _ := spec["names"].(map[string]any)
	kind, _ := names["kind"].(string)
	if group == "" || kind == "" {
		return nil, fault("spec.group and spec.names.kind must not be empty")
	}
	versions, _ := spec["versions"].([]any)
	out := map[resource.Kind]*definition{}
	for i, v := range versions {
		version, _ := v.(map[string]any)
		name, _ := version["name"].(string)
		if name == "" {
			return nil, fault("spec.versions[%d].name must not be empty", i)
		}
		if version["served"] == false {
			continue
		}
		where, _ := version["schema"].(map[string]any)
		root, _ := where["openAPIV3Schema"].(map[string]any)
		out[resource.Kind{Group: group, Version: name, Kind: kind}] = &definition{read: sync.OnceValues(func() (*kindType, error) {
			object, err := definedObject(root)
			if err != nil {
				return nil, fault("version %s: %w", name, err)
			}
			return customType(object)
		})}
	}
	if len(versions) == 0 {
		return nil, fault("spec.versions must not be empty")
	}
	return out, nil
}

// definedObject returns the type of objects of a definition. They all have an
// apiVersion, a kind and metadata, whatever the definition says of these.
func definedObject(root map[string]any) (*schema.Map, error) {
	if root == nil {
		return &schema.Map{ElementType: named(deduced)}, nil
	}
	atom, err := converter{}.atom(rootPath, root)
	if err != nil {
		return nil, err
	}
	if atom.Map == nil {
		return nil, fmt.Errorf("%s.type: expected object, got %v", rootPath, root["type"])
	}
	return atom.Map, nil
}

const rootPath = "openAPIV3Schema"

const preserveUnknown = "x-kubernetes-preserve-unknown-fields"

// A converter turns structural schemas into types as kube-openapi does.
type converter struct {
	preserve bool // some map above preserves unknown fields, and so does all below it
}

func (c converter) ref(path string, s map[string]any) (schema.TypeRef, error) {
	atom, err := c.atom(path, s)
	return schema.TypeRef{Inlined: atom}, err
}

func (c converter) atom(path string, s map[string]any) (schema.Atom, error) {
	if s[preserveUnknown] == true {
		c.preserve = true
	}
	switch kind := s["type"]; kind {
	case nil, "":
		list, err := c.list(path, s)
		if err != nil {
			return schema.Atom{}, err
		}
		object, err := c.object(path, s)
		return schema.Atom{Scalar: scalar(schema.Untyped), List: list, Map: object}, err
	case "object":
		object, err := c.object(path, s)
		return schema.Atom{Map: object}, err
	case "array":
		list, err := c.list(path, s)
		return schema.Atom{List: list}, err
	case "integer", "number":
		return schema.Atom{Scalar: scalar(schema.Numeric)}, nil
	case "boolean":
		return schema.Atom{Scalar: scalar(schema.Boolean)}, nil
	case "string":
		if format := s["format"]; format == nil || format == "" || format == "byte" {
			return schema.Atom{Scalar: scalar(schema.String)}, nil
		}
		return schema.Atom{Scalar: scalar(schema.Untyped)}, nil
	default:
		return schema.Atom{}, fmt.Errorf("%s.type: %v is no type", path, kind)
	}
}

func scalar(s schema.Scalar) *schema.Scalar { return &s }

func (c converter) object(path string, s map[string]any) (*schema.Map, error) {
	m := &schema.Map{}
	switch v := s["x-kubernetes-map-type"]; v {
	case nil:
	case "atomic":
		m.ElementRelationship = schema.Atomic
	case "granular":
		m.ElementRelationship = schema.Separable
	default:
		return nil, fmt.Errorf("%s.x-kubernetes-map-type: %v is neither atomic nor granular", path, v)
	}
	properties, _ := s["properties"].(map[string]any)
	if path == rootPath || s["x-kubernetes-embedded-resource"] == true {
		m.Fields = objectFields()
	}
	own := m.Fields
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		if slices.ContainsFunc(own, func(f schema.StructField) bool { return f.Name == name }) {
			continue // every object has it as it is
		}
		at := path + ".properties." + name
		property, ok := properties[name].(map[string]any)
		if !ok {
			return nil, fmt.Errorf("%s: expected a schema, got %T", at, properties[name])
		}
		ref, err := c.ref(at, property)
		if err != nil {
			return nil, err
		}
		m.Fields = append(m.Fields, schema.StructField{Name: name, Type: ref, Default: property["default"]})
	}
	switch additional := s["additionalProperties"].(type) {
	case map[string]any:
		var err error
		m.ElementType, err = c.ref(path+".additionalProperties", additional)
		return m, err
	case bool:
		if additional {
			m.ElementType = named(deduced)
		}
	default:
		if c.preserve || len(m.Fields) == 0 {
			m.ElementType = named(deduced)
		}
	}
	return m, nil
}

func (c converter) list(path string, s map[string]any) (*schema.List, error) {
	l := &schema.List{ElementRelationship: schema.Atomic, ElementType: named(untyped)}
	switch v := s["x-kubernetes-list-type"]; v {
	case nil, "atomic":
	case "set":
		l.ElementRelationship = schema.Associative
	case "map":
		l.ElementRelationship = schema.Associative
		keys, _ := s["x-kubernetes-list-map-keys"].([]any)
		for _, key := range keys {
			if key, ok := key.(string); ok {
				l.Keys = append(l.Keys, key)
			}
		}
		if len(l.Keys) == 0 {
			return nil, fmt.Errorf("%s.x-kubernetes-list-map-keys: a list of type map needs keys", path)
		}
	default:
		return nil, fmt.Errorf("%s.x-kubernetes-list-type: %v is none of atomic, set and map", path, v)
	}
	switch items := s["items"].(type) {
	case map[string]any:
		var err error
		l.ElementType, err = c.ref(path+".items", items)
		return l, err
	case nil:
		if s["type"] == "array" {
			return nil, fmt.Errorf("%s.items: an array needs them", path)
		}
		return l, nil
	default:
		return nil, fmt.Errorf("%s.items: expected one schema, got %T", path, items)
	}
}
