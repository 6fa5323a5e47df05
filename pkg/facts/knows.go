package facts

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"

	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// Knows reports whether f has what s declares: the objects by their identity,
// the answers by method and URL, images by reference, the rest by being declared at all. An operation
// has to be the same.
func (f *Facts) Knows(s Spec) bool {
	for _, o := range s.Resources {
		id := resource.IDOf(o)
		if id.Kind == (resource.Kind{Version: "v1", Kind: "Namespace"}) {
			if _, ok := f.NamespaceLabels(id.Name); !ok {
				return false
			}
		} else if _, ok, _ := f.Get(id); !ok {
			return false
		}
	}
	for _, c := range s.APICalls {
		if !slices.ContainsFunc(f.apiCalls, func(have APICall) bool {
			// The body is known when the policy is applied.
			return have.method() == c.method() && have.URLPath == c.URLPath
		}) {
			return false
		}
	}
	for name := range s.GlobalContext {
		if _, ok := f.GlobalContext(name); !ok {
			return false
		}
	}
	for _, image := range s.Images {
		reference, _ := image["image"].(string)
		if _, ok := f.Image(reference); !ok {
			return false
		}
	}
	return (s.UserInfo == nil || f.Request.UserDeclared) &&
		(s.Operation == "" || s.Operation == f.Request.Operation) &&
		(s.Now == "" || f.Now != nil)
}

// Add adds what other declares and s does not.
func (s *Spec) Add(other Spec) {
	for _, o := range other.Resources {
		if !slices.ContainsFunc(s.Resources, func(have map[string]any) bool { return reflect.DeepEqual(have, o) }) {
			s.Resources = append(s.Resources, o)
		}
	}
	for _, c := range other.APICalls {
		if !slices.ContainsFunc(s.APICalls, func(have APICall) bool { return have.same(&c) }) {
			s.APICalls = append(s.APICalls, c)
		}
	}
	if len(other.GlobalContext) > 0 {
		merged := maps.Clone(other.GlobalContext)
		maps.Copy(merged, s.GlobalContext)
		s.GlobalContext = merged
	}
	for _, image := range other.Images {
		if !slices.ContainsFunc(s.Images, func(have map[string]any) bool { return have["image"] == image["image"] }) {
			s.Images = append(s.Images, image)
		}
	}
	if s.UserInfo == nil {
		s.UserInfo = other.UserInfo
	}
	if s.Operation == "" {
		s.Operation = other.Operation
	}
	if s.Now == "" {
		s.Now = other.Now
	}
}

// Document returns a document of kind ClusterFacts that declares s.
func (s *Spec) Document() (resource.Object, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil {
		return nil, err
	}
	return resource.Object{
		"apiVersion": oneloop + "/v1alpha1",
		"kind":       "ClusterFacts",
		"metadata":   map[string]any{"name": "facts"},
		"spec":       fields,
	}, nil
}
