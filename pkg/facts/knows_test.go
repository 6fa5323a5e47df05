package facts

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oneloop-dev/oneloop/pkg/resource"
)

func TestKnows(t *testing.T) {
	object := func(kind, namespace, name string) map[string]any {
		return map[string]any{"apiVersion": "v1", "kind": kind, "metadata": map[string]any{"name": name, "namespace": namespace}}
	}
	f := New()
	if err := f.Declare(Spec{
		Resources:     []map[string]any{object("ConfigMap", "shop", "settings"), {"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": "shop"}}},
		APICalls:      []APICall{{URLPath: "/a"}, {URLPath: "/b", Method: "POST"}},
		GlobalContext: map[string]any{"teams": []any{}},
		Images:        []map[string]any{{"image": "nginx:1.27", "digest": "sha256:0"}},
		UserInfo:      &Requester{},
		Now:           "2026-01-31T00:00:00Z",
	}); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		spec Spec
		want bool
	}{
		{"nothing", Spec{}, true},
		{"object", Spec{Resources: []map[string]any{object("ConfigMap", "shop", "settings")}}, true},
		{"object elsewhere", Spec{Resources: []map[string]any{object("ConfigMap", "bank", "settings")}}, false},
		{"namespace", Spec{Resources: []map[string]any{object("Namespace", "", "shop")}}, true},
		{"other namespace", Spec{Resources: []map[string]any{object("Namespace", "", "bank")}}, false},
		{"call", Spec{APICalls: []APICall{{URLPath: "/a", Method: "GET"}, {URLPath: "/b", Method: "POST"}}}, true},
		{"call by another method", Spec{APICalls: []APICall{{URLPath: "/b"}}}, false},
		{"call with a body", Spec{APICalls: []APICall{{URLPath: "/b", Method: "POST", Data: map[string]any{"a": "b"}}}}, true},
		{"global context", Spec{GlobalContext: map[string]any{"teams": nil}}, true},
		{"other global context", Spec{GlobalContext: map[string]any{"nodes": nil}}, false},
		{"image", Spec{Images: []map[string]any{{"image": "nginx:1.27"}}}, true},
		{"other image", Spec{Images: []map[string]any{{"image": "nginx:1.26"}}}, false},
		{"user and time", Spec{UserInfo: &Requester{}, Now: "any"}, true},
		{"operation", Spec{Operation: "CREATE"}, true},
		{"other operation", Spec{Operation: "UPDATE"}, false},
	}
	for _, tt := range tests {
		if got := f.Knows(tt.spec); got != tt.want {
			t.Errorf("%s: %t", tt.name, got)
		}
	}
	for name, spec := range map[string]Spec{"user": {UserInfo: &Requester{}}, "time": {Now: "any"}} {
		if New().Knows(spec) {
			t.Errorf("%s: known without having been declared", name)
		}
	}
}

// What Add puts together is a document that says the same.
func TestAddDocument(t *testing.T) {
	var s Spec
	for range 2 { // the second time adds nothing
		s.Add(Spec{
			Resources:     []map[string]any{{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "a"}}},
			GlobalContext: map[string]any{"teams": []any{}},
			Images:        []map[string]any{{"image": "a", "digest": "b"}},
			Operation:     "UPDATE",
		})
		s.Add(Spec{
			APICalls:      []APICall{{URLPath: "/a", Response: map[string]any{}}},
			GlobalContext: map[string]any{"teams": "other", "nodes": []any{}},
			UserInfo:      &Requester{Roles: []string{"shop:admin"}},
			Now:           "2026-01-31T00:00:00Z",
		})
	}
	o, err := s.Document()
	if err != nil {
		t.Fatal(err)
	}
	want := resource.Object{
		"apiVersion": "oneloop.dev/v1alpha1", "kind": "ClusterFacts", "metadata": map[string]any{"name": "facts"},
		"spec": map[string]any{
			"resources":     []any{map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "a"}}},
			"globalContext": map[string]any{"teams": []any{}, "nodes": []any{}},
			"apiCalls":      []any{map[string]any{"urlPath": "/a", "response": map[string]any{}}},
			"images":        []any{map[string]any{"image": "a", "digest": "b"}},
			"userInfo":      map[string]any{"roles": []any{"shop:admin"}},
			"operation":     "UPDATE",
			"now":           "2026-01-31T00:00:00Z",
		},
	}
	if diff := cmp.Diff(want, o); diff != "" {
		t.Error(diff)
	}
	d, err := resource.New(o)
	if err != nil {
		t.Fatal(err)
	}
	f := New()
	if err := f.AddDocuments([]*resource.Resource{d}); err != nil || !f.Knows(s) {
		t.Errorf("%v; the document does not declare what it was made from", err)
	}
}
