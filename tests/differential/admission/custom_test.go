package admission

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/controller/openapi/builder"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/kube-openapi/pkg/spec3"

	"github.com/oneloop-dev/oneloop/pkg/patch/apply"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// newDefinition makes a CustomResourceDefinition with a structural schema.
func newDefinition(r *rand.Rand) map[string]any {
	g := &definer{r}
	root := g.object(0)
	if r.Float64() < 0.1 {
		root["properties"] = map[string]any{}
	}
	if r.Float64() < 0.1 {
		root["x-kubernetes-preserve-unknown-fields"] = true
	}
	return map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"metadata": map[string]any{"name": "widgets.example.com"},
		"spec": map[string]any{
			"group": "example.com", "scope": "Namespaced",
			"names":    map[string]any{"kind": "Widget", "listKind": "WidgetList", "plural": "widgets", "singular": "widget"},
			"versions": []any{map[string]any{"name": "v1", "served": true, "storage": true, "schema": map[string]any{"openAPIV3Schema": root}}},
		},
	}
}

type definer struct{ *rand.Rand }

func (g *definer) likely(p float64) bool { return g.Float64() < p }

func (g *definer) object(depth int) map[string]any {
	s := map[string]any{"type": "object"}
	if g.likely(0.15) {
		s["x-kubernetes-map-type"] = []any{"atomic", "granular"}[g.IntN(2)]
	}
	if g.likely(0.15) {
		s["x-kubernetes-preserve-unknown-fields"] = true
	}
	if depth > 0 && g.likely(0.2) {
		switch g.IntN(3) {
		case 0:
			s["additionalProperties"] = true
		case 1:
			s["additionalProperties"] = g.any(depth + 1)
		}
		return s
	}
	properties := map[string]any{}
	names := []string{"a", "b", "c", "d"}
	if depth == 0 {
		names = append(names, "spec", "spec", "spec", "metadata")
	}
	for range g.IntN(4) + 1 - min(depth, 1) {
		name := names[g.IntN(len(names))]
		if name == "metadata" {
			properties[name] = map[string]any{"type": "object"}
			continue
		}
		properties[name] = g.any(depth + 1)
	}
	s["properties"] = properties
	if depth > 0 && g.likely(0.1) {
		s["x-kubernetes-embedded-resource"] = true
		if len(properties) == 0 {
			s["x-kubernetes-preserve-unknown-fields"] = true
		}
	}
	return s
}

func (g *definer) scalar() map[string]any {
	switch g.IntN(5) {
	case 0:
		return map[string]any{"type": "string"}
	case 1:
		return map[string]any{"type": "string", "format": []any{"byte", "date-time", "int-or-string", "uuid"}[g.IntN(4)]}
	case 2:
		return map[string]any{"type": "integer", "format": "int32"}
	case 3:
		return map[string]any{"type": "number"}
	}
	return map[string]any{"type": "boolean"}
}

func (g *definer) any(depth int) map[string]any {
	if depth > 4 {
		return g.scalar()
	}
	var s map[string]any
	switch n := g.IntN(12); {
	case n < 3:
		s = g.scalar()
	case n < 6:
		s = g.object(depth)
	case n < 10:
		s = g.list(depth)
	case n < 11:
		s = map[string]any{"x-kubernetes-int-or-string": true}
		if g.likely(0.3) {
			s["anyOf"] = []any{map[string]any{"type": "integer"}, map[string]any{"type": "string"}}
		}
	default:
		s = map[string]any{"x-kubernetes-preserve-unknown-fields": true}
	}
	if g.likely(0.1) {
		s["nullable"] = true
	}
	return s
}

func (g *definer) list(depth int) map[string]any {
	s := map[string]any{"type": "array"}
	switch g.IntN(4) {
	case 0:
		s["items"] = g.any(depth + 1)
		if g.likely(0.5) {
			s["x-kubernetes-list-type"] = "atomic"
		}
	case 1:
		s["items"] = g.scalar()
		s["x-kubernetes-list-type"] = "set"
	default:
		element := g.object(depth + 1)
		delete(element, "additionalProperties")
		properties, _ := element["properties"].(map[string]any)
		if properties == nil {
			properties = map[string]any{}
			element["properties"] = properties
		}
		keys := []any{"id"}
		if g.likely(0.4) {
			keys = append(keys, "side")
		}
		required := []any{}
		for _, key := range keys {
			properties[key.(string)] = map[string]any{"type": "string"}
			if g.likely(0.5) {
				properties[key.(string)] = map[string]any{"type": "integer"}
			}
			if g.likely(0.3) {
				property := properties[key.(string)].(map[string]any)
				property["default"] = any("aaaa")
				if property["type"] == "integer" {
					property["default"] = int64(1)
				}
			} else {
				required = append(required, key)
			}
		}
		if len(required) > 0 {
			element["required"] = required
		}
		s["items"] = element
		s["x-kubernetes-list-type"] = "map"
		s["x-kubernetes-list-map-keys"] = keys
	}
	return s
}

// publish returns the kind that the API server makes of a definition.
func publish(definition map[string]any) (*served, error) {
	var crd apiextensions.CustomResourceDefinition
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(clone(definition), &crd); err != nil {
		return nil, err
	}
	built, err := builder.BuildOpenAPIV3(&crd, "v1", builder.Options{V2: false})
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(built)
	if err != nil {
		return nil, err
	}
	var document spec3.OpenAPI
	if err := json.Unmarshal(data, &document); err != nil {
		return nil, err
	}
	converter, err := managedfields.NewTypeConverter(document.Components.Schemas, false)
	if err != nil {
		return nil, err
	}
	return newServed(resource.Kind{Group: "example.com", Version: "v1", Kind: "Widget"}, converter)
}

// TestMergeOfCustomResources compares merges of custom resources: a sample is a
// random definition and ten pairs.
func TestMergeOfCustomResources(t *testing.T) {
	run(t, *samples/10, func(r *rand.Rand, print bool) (string, string) {
		definition := newDefinition(r)
		s, err := publish(definition)
		if err != nil {
			return "the API server refuses the definition", err.Error() + "\n" + text(definition)
		}
		schemas, err := apply.BuiltIn().With([]map[string]any{definition})
		if err != nil {
			return "oneloop refuses the definition", err.Error() + "\n" + text(definition)
		}
		var what, difference string
		for range 10 {
			live, change := newPair(r, s)
			if what, difference = comparePair(s, schemas, live, change, print); difference != "" {
				return what, fmt.Sprintf("definition %s\n%s", text(definition), difference)
			}
		}
		return what, ""
	})
}
