package facts_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// documents parses a facts file and adds it to new facts.
func documents(t *testing.T, text string) (*facts.Facts, error) {
	t.Helper()
	docs, err := resource.Parse("facts.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	f := facts.New()
	return f, f.AddDocuments(docs)
}

func mustDocuments(t *testing.T, text string) *facts.Facts {
	t.Helper()
	f, err := documents(t, text)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestNamespaceLabels(t *testing.T) {
	f := mustDocuments(t, `
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {team: a}}
---
apiVersion: cli.kyverno.io/v1alpha1
kind: Values
metadata: {name: values}
namespaceSelector:
- name: bank
  labels: {team: b}
namespaces:
- metadata: {name: lab, labels: {team: c}}
`)
	for _, tt := range []struct {
		name  string
		want  map[string]string
		known bool
	}{
		{"shop", map[string]string{"team": "a", "kubernetes.io/metadata.name": "shop"}, true},
		{"bank", map[string]string{"team": "b", "kubernetes.io/metadata.name": "bank"}, true},
		{"lab", map[string]string{"team": "c", "kubernetes.io/metadata.name": "lab"}, true},
		{"nobody", map[string]string{}, false},
	} {
		got, known := f.NamespaceLabels(tt.name)
		if d := cmp.Diff(tt.want, got); d != "" || known != tt.known {
			t.Errorf("%s: known %v, labels (-want +got):\n%s", tt.name, known, d)
		}
	}
}

func TestGetFindsObjectsWhateverTheirVersion(t *testing.T) {
	f := mustDocuments(t, `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec: {replicas: 2}
`)
	o, ok, err := f.Get(resource.ID{Kind: resource.Kind{Group: "apps", Version: "v1beta1", Kind: "Deployment"}, Namespace: "default", Name: "web"})
	if err != nil || !ok || o["spec"].(map[string]any)["replicas"] != int64(2) {
		t.Errorf("got %v, %v, %v", o, ok, err)
	}
	if _, ok, _ := f.Get(resource.ID{Kind: resource.Kind{Group: "apps", Version: "v1", Kind: "Deployment"}, Namespace: "shop", Name: "web"}); ok {
		t.Error("found an object of another namespace")
	}
}

func TestListKeepsOrderAndNamespace(t *testing.T) {
	f := mustDocuments(t, `
apiVersion: v1
kind: ConfigMap
metadata: {name: b, namespace: x}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: a, namespace: z}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: c}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: d, namespace: default}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: e}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: b, namespace: x}
`)
	for _, tt := range []struct {
		namespace string
		want      []string
	}{
		{"", []string{"b", "a", "c", "d", "e"}},
		{"x", []string{"b"}},
		{"z", []string{"a"}},
		{"default", []string{"c", "d", "e"}},
		{"nobody", nil},
	} {
		list, err := f.List("", "ConfigMap", tt.namespace)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, o := range list {
			got = append(got, resource.IDOf(o).Name)
		}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("namespace %q (-want +got):\n%s", tt.namespace, d)
		}
	}
}

func TestKindsAreThoseOfTheObjects(t *testing.T) {
	f := mustDocuments(t, `
apiVersion: v1
kind: ConfigMap
metadata: {name: a}
---
apiVersion: example.com/v1
kind: Own
metadata: {name: a}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: b}
`)
	own := func(version, name string) {
		f.AddObject(resource.Object{"apiVersion": "example.com/" + version, "kind": "Own", "metadata": map[string]any{"name": name}})
	}
	check := func(f *facts.Facts, want ...string) {
		t.Helper()
		var got []string
		for _, k := range f.Kinds() {
			got = append(got, k.String())
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	}
	check(f, "v1/ConfigMap", "example.com/v1/Own")
	before, kinds := f.Clone(), f.Kinds()
	own("v1", "a")
	check(f, "v1/ConfigMap", "example.com/v1/Own")
	own("v1", "b")
	own("v2", "a")
	check(f, "v1/ConfigMap", "example.com/v1/Own", "example.com/v2/Own")
	own("v2", "b")
	check(f, "v1/ConfigMap", "example.com/v2/Own")
	check(before, "v1/ConfigMap", "example.com/v1/Own")
	if kinds[1].Version != "v1" {
		t.Error("a list that was returned changed")
	}
	if list, err := f.List("example.com", "Own", ""); err != nil || len(list) != 2 || resource.IDOf(list[0]).Name != "a" {
		t.Errorf("got %v, %v", list, err)
	}
}

func TestUserInfoFile(t *testing.T) {
	f := mustDocuments(t, `
apiVersion: cli.kyverno.io/v1alpha1
kind: UserInfo
metadata: {name: user}
clusterRoles: [cluster-admin]
userInfo:
  username: ana
  groups: [dev]
`)
	want := facts.Request{
		Operation: "CREATE", User: facts.UserInfo{Username: "ana", Groups: []string{"dev"}},
		ClusterRoles: []string{"cluster-admin"}, UserDeclared: true,
	}
	if d := cmp.Diff(want, f.Request); d != "" {
		t.Errorf("request (-want +got):\n%s", d)
	}
}

func TestClusterFactsFile(t *testing.T) {
	f := mustDocuments(t, `
apiVersion: oneloop.dev/v1alpha1
kind: ClusterFacts
metadata: {name: facts}
spec:
  operation: UPDATE
  defaultNamespace: team
  now: 2026-01-31T00:00:00Z
  resources:
  - apiVersion: v1
    kind: ConfigMap
    metadata: {name: settings}
    data: {a: b}
  apiCalls:
  - urlPath: /version
    response: {major: "1"}
  globalContext:
    deployments: [1]
  userInfo:
    username: ana
    roles: [shop:edit]
`)
	if f.Request.Operation != "UPDATE" || f.Request.User.Username != "ana" || f.Request.Roles[0] != "shop:edit" {
		t.Errorf("request: %+v", f.Request)
	}
	if f.Now == nil || f.Now().Year() != 2026 {
		t.Error("the declared time is not known")
	}
	if _, ok, _ := f.Get(resource.ID{Kind: resource.Kind{Version: "v1", Kind: "ConfigMap"}, Namespace: "team", Name: "settings"}); !ok {
		t.Error("a ConfigMap without namespace is not found in the declared default namespace")
	}
	if c, ok := f.APICall("GET", "/version", nil); !ok || c.Response.(map[string]any)["major"] != "1" {
		t.Errorf("API call: %v, %v", c, ok)
	}
	if _, ok := f.APICall("POST", "/version", nil); ok {
		t.Error("a POST was answered with what a GET returns")
	}
	if _, ok := f.GlobalContext("deployments"); !ok {
		t.Error("the global context entry is not known")
	}
}

// A body selects the answer that was recorded for it, else the one for all.
func TestAPICallData(t *testing.T) {
	f := facts.New()
	for _, c := range []facts.APICall{
		{URLPath: "/all", Method: "POST", Response: "all"},
		{URLPath: "/all", Method: "POST", Data: map[string]any{"n": int64(1), "list": []any{"a"}}, Response: "one"},
		{URLPath: "/one", Method: "POST", Data: map[string]any{"n": int64(1)}, Response: "one"},
	} {
		if err := f.Declare(facts.Spec{APICalls: []facts.APICall{c}}); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		urlPath string
		data    any
		want    any // nil when there is no answer
	}{
		{"/all", nil, "all"},
		{"/all", map[string]any{"n": 1.0, "list": []any{"a"}}, "one"},
		{"/all", map[string]any{"n": int64(1)}, "all"},
		{"/one", map[string]any{"n": int64(1)}, "one"},
		{"/one", map[string]any{"n": "1"}, nil},
		{"/one", map[string]any{}, nil},
		{"/one", nil, nil},
	}
	for _, tt := range tests {
		if c, ok := f.APICall("POST", tt.urlPath, tt.data); c.Response != tt.want || ok != (tt.want != nil) {
			t.Errorf("%s %v: %v, %t; expected %v", tt.urlPath, tt.data, c.Response, ok, tt.want)
		}
	}
}

func TestAPICallFaults(t *testing.T) {
	s := facts.Spec{APICalls: []facts.APICall{
		{Response: "a"},
		{URLPath: "/a", Response: "a", Error: "b"},
		{URLPath: "/a", Method: "POST", Error: "b"},
	}}
	var got []string
	for _, fault := range s.Faults() {
		got = append(got, fault.Path.String())
	}
	if diff := cmp.Diff([]string{"apiCalls[0]", "apiCalls[1].error"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestValuesOfPolicies(t *testing.T) {
	f := mustDocuments(t, `
apiVersion: cli.kyverno.io/v1alpha1
kind: Values
globalValues: {request.operation: UPDATE, color: red}
policies:
- name: p
  resources:
  - name: web
    values: {color: blue}
  rules:
  - name: r
    values: {settings.data.env: test}
    foreachValues: {image: [a, b]}
`)
	if f.Request.Operation != "UPDATE" {
		t.Errorf("operation %s, want the global value", f.Request.Operation)
	}
	if d := cmp.Diff(map[string]any{"request.operation": "UPDATE", "color": "blue"}, f.ResourceValues("p", "web")); d != "" {
		t.Errorf("values of the resource (-want +got):\n%s", d)
	}
	if d := cmp.Diff(map[string]any{"request.operation": "UPDATE", "color": "red"}, f.ResourceValues("q", "web")); d != "" {
		t.Errorf("values under another policy (-want +got):\n%s", d)
	}
	got, ok := f.RuleValues("p", "r")
	want := facts.RuleValues{Name: "r", Values: map[string]any{"settings.data.env": "test"}, ForeachValues: map[string][]any{"image": {"a", "b"}}}
	if d := cmp.Diff(want, got); d != "" || !ok {
		t.Errorf("values of the rule (-want +got):\n%s", d)
	}
	if _, ok := f.RuleValues("p", "other"); ok {
		t.Error("a rule that the file does not list has values")
	}
}

func TestFaultsNameThePlace(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"unknown field", "apiVersion: cli.kyverno.io/v1alpha1\nkind: Values\nglobalVals: {}\n", "facts.yaml:3"},
		{"operation", "apiVersion: oneloop.dev/v1alpha1\nkind: ClusterFacts\nmetadata: {name: f}\nspec: {operation: PATCH}\n", "facts.yaml:4: ClusterFacts/f at spec.operation: expected CREATE, UPDATE, DELETE or CONNECT"},
		{"time", "apiVersion: oneloop.dev/v1alpha1\nkind: ClusterFacts\nmetadata: {name: f}\nspec: {now: noon}\n", "facts.yaml:4: ClusterFacts/f at spec.now: expected a time such as"},
		{"filter", "apiVersion: oneloop.dev/v1alpha1\nkind: ClusterFacts\nmetadata: {name: f}\nspec:\n  resourceFilters:\n  - kube-system\n", "facts.yaml:6: ClusterFacts/f at spec.resourceFilters[0]: expected [kind,namespace,name]"},
		{"object", "apiVersion: oneloop.dev/v1alpha1\nkind: ClusterFacts\nmetadata: {name: f}\nspec:\n  resources:\n  - kind: ConfigMap\n", "facts.yaml:6: ClusterFacts/f at spec.resources[0]: expected an object with kind and metadata.name"},
		{"label", "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: shop\n  labels:\n    since: 2024\n", "facts.yaml:6: Namespace/shop at metadata.labels.since: expected a string, found the number 2024; quote it"},
		{"label inside", "apiVersion: oneloop.dev/v1alpha1\nkind: ClusterFacts\nmetadata: {name: f}\nspec:\n  resources:\n  - apiVersion: v1\n    kind: Namespace\n    metadata: {name: n, labels: {a: true}}\n", "spec.resources[0].metadata.labels.a: expected a string, found the boolean true"},
		{"image", "apiVersion: oneloop.dev/v1alpha1\nkind: ClusterFacts\nmetadata: {name: f}\nspec:\n  images:\n  - digest: sha256:0\n", "facts.yaml:6: ClusterFacts/f at spec.images[0]: expected an image"},
		{"no kind", "userInfo: {username: a}\n", "expected an object of the cluster, a ClusterFacts, or Kyverno's Values or UserInfo, found a document without kind"},
		{"default namespace", "apiVersion: oneloop.dev/v1alpha1\nkind: ClusterFacts\nmetadata: {name: f}\nspec:\n  defaultNamespace: My Shop\n", `expected the name of a namespace, found "My Shop"`},
		{"not facts", "apiVersion: oneloop.dev/v1alpha1\nkind: ImageLock\nmetadata: {name: f}\n", "is not a kind of facts"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := documents(t, tt.text)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
}

// Clone shares nothing that a later declaration changes.
func TestCloneIsIndependent(t *testing.T) {
	f := mustDocuments(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {k: old}\n")
	c := f.Clone()
	docs, err := resource.Parse("", []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {k: new}\n"))
	if err != nil {
		t.Fatal(err)
	}
	c.AddResources(docs...)
	id := resource.ID{Kind: resource.Kind{Version: "v1", Kind: "ConfigMap"}, Name: "a"}
	old, _, _ := f.Get(id)
	fresh, _, _ := c.Get(id)
	if old["data"].(map[string]any)["k"] != "old" || fresh["data"].(map[string]any)["k"] != "new" {
		t.Errorf("got %v in the original and %v in the clone", old, fresh)
	}
}

// What Kyverno's command line reads as a context, is known.
func TestContext(t *testing.T) {
	f := mustDocuments(t, `
apiVersion: cli.kyverno.io/v1alpha1
kind: Context
metadata: {name: context}
spec:
  resources:
  - apiVersion: v1
    kind: ConfigMap
    metadata: {name: settings, namespace: shop}
  images:
  - image: ghcr.io/acme/web:1
    registry: ghcr.io
    config: {architecture: amd64}
`)
	if _, ok, err := f.Get(resource.ID{Kind: resource.Kind{Version: "v1", Kind: "ConfigMap"}, Namespace: "shop", Name: "settings"}); !ok || err != nil {
		t.Errorf("the resource is not known: %v", err)
	}
	image, ok := f.Image("ghcr.io/acme/web:1")
	if !ok || image["registry"] != "ghcr.io" {
		t.Errorf("the image is not known: %v", image)
	}
	if _, ok := f.Image("ghcr.io/acme/web:2"); ok {
		t.Error("another image is known")
	}
}
