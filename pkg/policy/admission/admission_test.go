package admission_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"sigs.k8s.io/yaml"

	"github.com/oneloop-dev/oneloop/pkg/digest"
	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/pipeline"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/admission"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

var update = flag.Bool("update", false, "write results and objects into testdata")

// parse reads the documents of one section.
func parse(t testing.TB, name, text string) []*resource.Resource {
	t.Helper()
	docs, err := resource.Parse(name, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return docs
}

var outputs = []string{"faults", "notices", "results", "objects.yaml"}

// TestGolden runs testdata/*.txtar. Each has policies and resources; faults,
// notices, results and objects are what comes out.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no testdata", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			in := map[string]string{}
			for _, f := range archive.Files {
				in[f.Name] = string(f.Data)
			}
			got := golden(t, in)
			if *update {
				archive.Files = slices.DeleteFunc(archive.Files, func(f txtar.File) bool { return slices.Contains(outputs, f.Name) })
				for _, name := range outputs {
					if got[name] != "" {
						archive.Files = append(archive.Files, txtar.File{Name: name, Data: []byte(got[name])})
					}
				}
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			for _, name := range outputs {
				if d := cmp.Diff(in[name], got[name]); d != "" {
					t.Errorf("%s (-want +got):\n%s", name, d)
				}
			}
		})
	}
}

func golden(t *testing.T, in map[string]string) map[string]string {
	out := map[string]string{}
	set, err := admission.Language.Compile(parse(t, "policy.yaml", in["policy.yaml"]))
	if err != nil {
		out["faults"] = err.Error() + "\n"
	}
	for _, n := range set.Notices {
		out["notices"] += n.Policy.ID.Name + ": " + n.Message + "\n"
	}
	known := facts.New()
	items := parse(t, "resources.yaml", in["resources.yaml"])
	known.AddResources(items...)
	if err := known.AddDocuments(parse(t, "facts.yaml", in["facts.yaml"])); err != nil {
		t.Fatal(err)
	}
	for _, item := range items {
		o, _ := item.Object()
		before := resource.Object(clone(t, o))
		for _, p := range set.Admission() {
			if _, err := p.Apply(t.Context(), policy.Input{ID: item.ID(), Object: o, Facts: known}); err != nil {
				t.Fatal(err)
			}
		}
		if d := cmp.Diff(before, o); d != "" {
			t.Errorf("%s: the input was modified:\n%s", item.ID(), d)
		}
	}
	made, err := pipeline.Apply(t.Context(), items, pipeline.Options{Set: set, Facts: known, Digests: digest.None("none"), KeepGoing: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range made.Entries {
		message := e.Message
		if e.Err != nil {
			message = e.Err.Error()
		}
		out["results"] += fmt.Sprintf("%s %s: %s: %s\n", e.Resource, e.Policy.ID.Name, e.Outcome.Status(), message)
	}
	var objects []string
	for _, item := range made.Resources {
		o, err := item.Object()
		if err != nil {
			t.Fatal(err)
		}
		data, err := yaml.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		objects = append(objects, string(data))
	}
	out["objects.yaml"] = strings.Join(objects, "---\n")
	return out
}

func clone(t *testing.T, o resource.Object) resource.Object {
	t.Helper()
	r, err := resource.New(o)
	if err != nil {
		t.Fatal(err)
	}
	out, err := r.Object()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// policyOf returns a bound policy for Deployments and ConfigMaps.
func policyOf(t testing.TB, spec map[string]any) policy.Set {
	t.Helper()
	full := map[string]any{
		"failurePolicy": "Fail", "reinvocationPolicy": "Never",
		"matchConstraints": map[string]any{"resourceRules": []any{map[string]any{
			"apiGroups": []any{"*"}, "apiVersions": []any{"*"}, "operations": []any{"*"}, "resources": []any{"*"},
		}}},
	}
	for k, v := range spec {
		full[k] = v
	}
	var docs []*resource.Resource
	for _, o := range []resource.Object{
		{"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicy", "metadata": map[string]any{"name": "p"}, "spec": full},
		{"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicyBinding", "metadata": map[string]any{"name": "b"}, "spec": map[string]any{
			"policyName": "p", "paramRef": map[string]any{"name": "settings", "parameterNotFoundAction": "Allow"}}},
	} {
		r, err := resource.New(o)
		if err != nil {
			t.Fatal(err)
		}
		docs = append(docs, r)
	}
	set, err := admission.Language.Compile(docs)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func jsonPatch(expression string) any {
	return map[string]any{"patchType": "JSONPatch", "jsonPatch": map[string]any{"expression": expression}}
}

func applied(expression string) any {
	return map[string]any{"patchType": "ApplyConfiguration", "applyConfiguration": map[string]any{"expression": expression}}
}

// admit applies a policy to one object. The error is that of the first failing
// result.
func admit(t testing.TB, set policy.Set, object resource.Object, known *facts.Facts) (resource.Object, error) {
	t.Helper()
	in := policy.Input{ID: resource.IDOf(object), Object: object, Facts: known}
	for _, p := range set.Programs {
		results, err := p.Apply(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range results {
			if r.Err != nil {
				return nil, r.Err
			}
			if r.Object != nil {
				object = r.Object
			}
		}
	}
	return object, nil
}

const deployment = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop, labels: {x: "1", z: "1"}}
spec:
  replicas: 1
  template: {spec: {containers: [{name: a}, {name: b}, {name: c}]}}
`

// TestMutations restates what the API server's own tests say of its patches and
// of what expressions see.
func TestMutations(t *testing.T) {
	list := []any{map[string]any{"name": "list", "expression": "[0,1,2,3,4,5,6,7,8,9]"}}
	const costly = `variables.list.all(x1, variables.list.all(x2, variables.list.all(x3, variables.list.all(x4, variables.list.all(x5, variables.list.all(x5, "0123456789" == "0123456789"))))))? 1 : 0`
	labels := func(value string) any {
		return jsonPatch(`[JSONPatch{op: "add", path: "/metadata/labels", value: ` + value + `}]`)
	}
	containers := func(path string) string { return "/spec/template/spec/containers/" + path }
	configMap := map[string]any{"apiVersion": "v1", "kind": "ConfigMap"}
	for _, tt := range []struct {
		name      string
		mutations []any
		variables []any
		paramKind any
		at        string // where the result is looked at
		want      string // as YAML, or a part of the error
	}{
		{name: "test that fails", mutations: []any{jsonPatch(`[JSONPatch{op: "test", path: "/spec/replicas", value: 100}, JSONPatch{op: "replace", path: "/spec/replicas", value: 3}]`)}, at: "spec.replicas", want: "1"},
		{name: "test that holds", mutations: []any{jsonPatch(`[JSONPatch{op: "test", path: "/spec/replicas", value: 1}, JSONPatch{op: "replace", path: "/spec/replicas", value: 3}]`)}, at: "spec.replicas", want: "3"},
		{name: "remove a field", mutations: []any{jsonPatch(`[JSONPatch{op: "remove", path: "/spec/replicas"}]`)}, at: "spec.replicas", want: "null"},
		{name: "remove a key", mutations: []any{jsonPatch(`[JSONPatch{op: "remove", path: "/metadata/labels/z"}]`)}, at: "metadata.labels", want: `{x: "1"}`},
		{name: "remove an element", mutations: []any{jsonPatch(`[JSONPatch{op: "remove", path: "` + containers("1") + `"}]`)}, at: "spec.template.spec.containers", want: "[{name: a}, {name: c}]"},
		{name: "copy a key", mutations: []any{jsonPatch(`[JSONPatch{op: "copy", from: "/metadata/labels/x", path: "/metadata/labels/q"}]`)}, at: "metadata.labels", want: `{q: "1", x: "1", z: "1"}`},
		{name: "copy to the end", mutations: []any{jsonPatch(`[JSONPatch{op: "copy", from: "` + containers("0") + `", path: "` + containers("-") + `"}]`)}, at: "spec.template.spec.containers", want: "[{name: a}, {name: b}, {name: c}, {name: a}]"},
		{name: "move a key", mutations: []any{jsonPatch(`[JSONPatch{op: "move", from: "/metadata/labels/x", path: "/metadata/labels/q"}]`)}, at: "metadata.labels", want: `{q: "1", z: "1"}`},
		{name: "move to the end", mutations: []any{jsonPatch(`[JSONPatch{op: "move", from: "` + containers("0") + `", path: "` + containers("-") + `"}]`)}, at: "spec.template.spec.containers", want: "[{name: b}, {name: c}, {name: a}]"},
		{name: "add a key", mutations: []any{jsonPatch(`[JSONPatch{op: "add", path: "/metadata/labels/q", value: "2"}]`)}, at: "metadata.labels", want: `{q: "2", x: "1", z: "1"}`},
		{name: "add a map", mutations: []any{jsonPatch(`[JSONPatch{op: "add", path: "/metadata/annotations", value: {"q": "2"}}]`)}, at: "metadata.annotations", want: `{q: "2"}`},
		{name: "add replaces", mutations: []any{labels(`{"q": "2"}`)}, at: "metadata.labels", want: `{q: "2"}`},
		{name: "add first", mutations: []any{jsonPatch(`[JSONPatch{op: "add", path: "` + containers("0") + `", value: {"name": "x"}}]`)}, at: "spec.template.spec.containers", want: "[{name: x}, {name: a}, {name: b}, {name: c}]"},
		{name: "add last", mutations: []any{jsonPatch(`[JSONPatch{op: "add", path: "` + containers("-") + `", value: {"name": "x"}}]`)}, at: "spec.template.spec.containers", want: "[{name: a}, {name: b}, {name: c}, {name: x}]"},
		{name: "replace what is not there", mutations: []any{jsonPatch(`[JSONPatch{op: "replace", path: "/metadata/annotations", value: {"q": "2"}}]`)}, at: "metadata.annotations", want: `{q: "2"}`},
		{name: "replace an element", mutations: []any{jsonPatch(`[JSONPatch{op: "replace", path: "` + containers("0") + `", value: {"name": "x"}}]`)}, at: "spec.template.spec.containers", want: "[{name: x}, {name: b}, {name: c}]"},
		{name: "add an object", mutations: []any{jsonPatch(`[JSONPatch{op: "add", path: "/spec", value: Object.spec{selector: Object.spec.selector{}, replicas: 10}}]`)}, at: "spec", want: "{selector: {}, replicas: 10}"},
		{name: "fields of a patch", mutations: []any{labels(`{"op": JSONPatch{op: "o"}.op, "path": JSONPatch{path: "p"}.path, "from": JSONPatch{from: "f"}.from, "value": string(JSONPatch{value: "v"}.value)}`)},
			at: "metadata.labels", want: "{op: o, path: p, from: f, value: v}"},
		{name: "has a patch fields", mutations: []any{labels(`{"op": string(has(JSONPatch{op: "o"}.op)), "value": string(has(JSONPatch{value: "v"}.value)), "no-op": string(has(JSONPatch{}.op)), "no-path": string(has(JSONPatch{}.path)), "no-from": string(has(JSONPatch{}.from)), "no-value": string(has(JSONPatch{}.value))}`)},
			at: "metadata.labels", want: `{op: "true", value: "true", no-op: "false", no-path: "false", no-from: "false", no-value: "false"}`},
		{name: "patches are equal", mutations: []any{labels(`{"empty": string(JSONPatch{} == JSONPatch{}), "same": string(JSONPatch{op: "add", path: "p", from: "f", value: 1} == JSONPatch{op: "add", path: "p", from: "f", value: 1}), "op": string(JSONPatch{op: "add"} == JSONPatch{op: "remove"}), "path": string(JSONPatch{path: "x"} == JSONPatch{path: "p"}), "from": string(JSONPatch{from: "x"} == JSONPatch{from: "p"}), "value": string(JSONPatch{value: "1"} == JSONPatch{value: 1})}`)},
			at: "metadata.labels", want: `{empty: "true", same: "true", op: "false", path: "false", from: "false", value: "false"}`},
		{name: "escaped keys", mutations: []any{jsonPatch(`[JSONPatch{op: "add", path: "/metadata/labels", value: {}}, JSONPatch{op: "add", path: "/metadata/labels/" + jsonpatch.escapeKey("k8s.io/x~y"), value: "true"}]`)}, at: "metadata.labels", want: `{k8s.io/x~y: "true"}`},
		{name: "objects in lists", mutations: []any{jsonPatch(`[JSONPatch{op: "add", path: "` + containers("0") + `", value: Object.spec.template.spec.containers{name: "x", ports: [Object.spec.template.spec.containers.ports{containerPort: 8080}]}}]`)},
			at: "spec.template.spec.containers", want: "[{name: x, ports: [{containerPort: 8080}]}, {name: a}, {name: b}, {name: c}]"},
		{name: "unknown field", mutations: []any{jsonPatch(`[JSONPatch{op: "add", path: "` + containers("-") + `", value: Object.spec.template.spec.containers{name: "x", ports: [Object.spec.template.spec.containers.ports{containerPortZ: 8080}]}}]`)},
			want: `strict decoding error: unknown field "spec.template.spec.containers[].ports[].containerPortZ"`},
		{name: "wrong type", mutations: []any{jsonPatch(`[JSONPatch{op: "add", path: "/spec/replicas", value: "many"}]`)}, want: ".spec.replicas: expected numeric (int or float), got string"},
		{name: "type of another field", mutations: []any{jsonPatch(`[JSONPatch{op: "add", path: "` + containers("-") + `", value: Object.spec.template.spec.containers{name: "x", ports: [Object.spec.template.spec.containers.portsZ{containerPort: 8080}]}}]`)},
			want: `type mismatch: unexpected type name "Object.spec.template.spec.containers.portsZ", expected "Object.spec.template.spec.containers.ports", which matches field name path from root Object type`},
		{name: "replace the end", mutations: []any{jsonPatch(`[JSONPatch{op: "replace", path: "` + containers("-") + `", value: {"name": "x"}}]`)}, want: "JSON Patch: replace operation does not apply: doc is missing key: /spec/template/spec/containers/-: missing value"},
		{name: "null is no field", mutations: []any{jsonPatch(`[JSONPatch{op: "replace", path: "/spec/replicas", value: null}]`)}, at: "spec", want: "{template: {spec: {containers: [{name: a}, {name: b}, {name: c}]}}}"},

		{name: "apply then patch", mutations: []any{applied(`Object{spec: Object.spec{replicas: object.spec.replicas + 100}}`), jsonPatch(`[JSONPatch{op: "replace", path: "/spec/replicas", value: object.spec.replicas + 10}]`)}, at: "spec.replicas", want: "111"},
		{name: "patch then apply", mutations: []any{jsonPatch(`[JSONPatch{op: "replace", path: "/spec/replicas", value: object.spec.replicas + 10}]`), applied(`Object{spec: Object.spec{replicas: object.spec.replicas + 100}}`)}, at: "spec.replicas", want: "111"},
		{name: "variable in a patch", variables: []any{map[string]any{"name": "desired", "expression": "10"}}, mutations: []any{jsonPatch(`[JSONPatch{op: "replace", path: "/spec/replicas", value: variables.desired + 1}]`)}, at: "spec.replicas", want: "11"},
		{name: "variable in an object", variables: []any{map[string]any{"name": "desired", "expression": "10"}}, mutations: []any{applied(`Object{spec: Object.spec{replicas: variables.desired + 1}}`)}, at: "spec.replicas", want: "11"},
		{name: "params", paramKind: configMap, mutations: []any{applied(`Object{spec: Object.spec{replicas: int(params.data['k1'])}}`)}, at: "spec.replicas", want: "100"},
		{name: "params have a namespace", paramKind: configMap, mutations: []any{applied(`Object{metadata: Object.metadata{labels: {"from": params.metadata.namespace}}}`)}, at: "metadata.labels", want: `{from: shop, x: "1", z: "1"}`},
		{name: "a patch that costs too much", variables: list, mutations: []any{jsonPatch(`[JSONPatch{op: "replace", path: "/spec/replicas", value: ` + costly + `}]`)}, want: "operation cancelled: actual cost limit exceeded"},
		{name: "an object that costs too much", variables: list, mutations: []any{applied(`Object{spec: Object.spec{replicas: ` + costly + `}}`)}, want: "operation cancelled: actual cost limit exceeded"},
		{name: "request", mutations: []any{applied(`Object{spec: Object.spec{replicas: request.kind.group == 'apps' && request.kind.version == 'v1' && request.kind.kind == 'Deployment' && request.resource.resource == 'deployments' && request.requestKind == request.kind && request.name == 'web' && request.namespace == 'shop' && request.operation == 'CREATE' && !request.dryRun && !has(request.subResource) && request.options.kind == 'CreateOptions' ? 10 : 0}}`)}, at: "spec.replicas", want: "10"},
		{name: "namespaceObject", mutations: []any{applied(`Object{spec: Object.spec{replicas: namespaceObject.metadata.name == 'shop' && namespaceObject.metadata.labels.env == 'prod' && namespaceObject.status.phase == 'Active' ? 10 : 0}}`)}, at: "spec.replicas", want: "10"},
		{name: "no old object", mutations: []any{applied(`Object{spec: Object.spec{replicas: oldObject == null ? 10 : 0}}`)}, at: "spec.replicas", want: "10"},
		{name: "authorizer", mutations: []any{applied(`Object{spec: Object.spec{replicas: authorizer.group('').resource('endpoints').check('create').allowed() ? 10 : 0}}`)}, want: "the authorizer is only known in a cluster"},
		{name: "authorizer behind a short cut", mutations: []any{applied(`Object{spec: Object.spec{replicas: true || authorizer.group('').resource('endpoints').check('create').allowed() ? 10 : 0}}`)}, at: "spec.replicas", want: "10"},
		{name: "requester", mutations: []any{applied(`Object{metadata: Object.metadata{labels: {"by": request.userInfo.username}}}`)}, want: "request.userInfo is not known at render time"},
		{name: "field of an object", mutations: []any{labels(`{"value": Object{field: "fieldValue"}.field}`)}, at: "metadata.labels", want: "{value: fieldValue}"},
		{name: "has an object a field", mutations: []any{labels(`{"field": string(has(Object{field: "v"}.field)), "unset": string(has(Object{}.field))}`)}, at: "metadata.labels", want: `{field: "true", unset: "false"}`},
		{name: "objects are equal", mutations: []any{labels(`{"empty": string(Object{} == Object{}), "same": string(Object{field: "x"} == Object{field: "x"}), "different": string(Object{field: "x"} == Object{field: "y"})}`)}, at: "metadata.labels", want: `{empty: "true", same: "true", different: "false"}`},
		{name: "the type of a patch's own value is not checked", mutations: []any{jsonPatch(`[JSONPatch{op: "add", path: "/spec", value: Object.invalid{replicas: 1}}]`)}, at: "spec", want: "{replicas: 1}"},
		{name: "a missing key may be a default", mutations: []any{applied(`Object{spec: Object.spec{replicas: object.spec.revisionHistoryLimit}}`)}, want: "no such key: revisionHistoryLimit (the manifest is as it is written: what the API server fills in by default is not there)"},
		{name: "structs are always there", mutations: []any{applied(`Object{spec: Object.spec{replicas: object.spec.template.spec.containers.all(c, !has(c.resources.limits)) && has(object.status) && has(object.spec.strategy) ? 10 : 0}}`)}, at: "spec.replicas", want: "10"},
		{name: "structs that are not written are not kept", mutations: []any{jsonPatch(`[JSONPatch{op: "add", path: "/spec/strategy/type", value: "Recreate"}, JSONPatch{op: "add", path: "/spec/template/spec/containers/0/resources/limits", value: {"cpu": "1"}}]`)}, at: "spec.template.spec", want: `{containers: [{name: a, resources: {limits: {cpu: "1"}}}, {name: b}, {name: c}]}`},
		{name: "empty text is no field", mutations: []any{applied(`Object{spec: Object.spec{template: Object.spec.template{spec: Object.spec.template.spec{priorityClassName: "", hostNetwork: false}}}}`)}, at: "spec.template.spec", want: "{containers: [{name: a}, {name: b}, {name: c}]}"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			spec := map[string]any{"mutations": tt.mutations}
			if tt.variables != nil {
				spec["variables"] = tt.variables
			}
			if tt.paramKind != nil {
				spec["paramKind"] = tt.paramKind
			}
			known := facts.New()
			known.AddResources(parse(t, "facts.yaml", `
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {env: prod}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: shop}
data: {k1: "100"}
`)...)
			o, err := parse(t, "in.yaml", deployment)[0].Object()
			if err != nil {
				t.Fatal(err)
			}
			got, err := admit(t, policyOf(t, spec), o, known)
			if err != nil {
				if tt.at != "" || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("got %v; want %s", err, tt.want)
				}
				return
			}
			if tt.at == "" {
				t.Fatalf("got %v; want the error %s", got, tt.want)
			}
			var want any
			if err := yaml.Unmarshal([]byte(tt.want), &want); err != nil {
				t.Fatal(err)
			}
			var value any = map[string]any(got)
			for step := range strings.SplitSeq(tt.at, ".") {
				m, _ := value.(map[string]any)
				value = m[step]
			}
			if !resource.Equal(value, ints(want)) {
				t.Errorf("got %v; want %v", value, want)
			}
		})
	}
}

// ints makes whole numbers int64, as JSON values have them here.
func ints(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = ints(v[k])
		}
	case []any:
		for i := range v {
			v[i] = ints(v[i])
		}
	case float64:
		if v == float64(int64(v)) {
			return int64(v)
		}
	}
	return v
}

// One program serves many goroutines, and each gets the same result.
func TestProgramsAreConcurrent(t *testing.T) {
	set := policyOf(t, map[string]any{
		"variables": []any{map[string]any{"name": "n", "expression": "object.spec.replicas"}},
		"mutations": []any{applied(`Object{spec: Object.spec{replicas: variables.n + 1}}`), jsonPatch(`[JSONPatch{op: "add", path: "/metadata/labels/n", value: string(variables.n)}]`)},
	})
	known := facts.New()
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			o, err := parse(t, "in.yaml", strings.Replace(deployment, "replicas: 1", fmt.Sprintf("replicas: %d", i), 1))[0].Object()
			if err != nil {
				t.Error(err)
				return
			}
			got, err := admit(t, set, o, known)
			if err != nil {
				t.Error(err)
				return
			}
			spec, _ := got["spec"].(map[string]any)
			meta, _ := got["metadata"].(map[string]any)
			labels, _ := meta["labels"].(map[string]any)
			if spec["replicas"] != int64(i+1) || labels["n"] != fmt.Sprint(i+1) {
				t.Errorf("%d: got %v and %v", i, spec["replicas"], labels["n"])
			}
		})
	}
	wg.Wait()
}

// A run that is stopped ends, also in the middle of an expression.
func TestCancelled(t *testing.T) {
	set := policyOf(t, map[string]any{"mutations": []any{applied(`Object{spec: Object.spec{replicas: object.spec.template.spec.containers.all(a, [0,1,2,3,4,5,6,7,8,9].all(b, [0,1,2,3,4,5,6,7,8,9].all(c, true))) ? 1 : 0}}`)}})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	o, err := parse(t, "in.yaml", deployment)[0].Object()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := set.Programs[0].Apply(ctx, policy.Input{ID: resource.IDOf(o), Object: o, Facts: facts.New()}); err == nil {
		t.Error("a cancelled run went on")
	}
}

func FuzzCompile(f *testing.F) {
	f.Add("apiVersion: admissionregistration.k8s.io/v1\nkind: MutatingAdmissionPolicy\nmetadata: {name: p}\nspec:\n  matchConstraints: {resourceRules: [{apiGroups: [''], apiVersions: [v1], operations: [CREATE], resources: [configmaps]}]}\n  reinvocationPolicy: IfNeeded\n  mutations: [{patchType: ApplyConfiguration, applyConfiguration: {expression: 'Object{data: {\"a\": object.metadata.name}}'}}]\n---\napiVersion: admissionregistration.k8s.io/v1\nkind: MutatingAdmissionPolicyBinding\nmetadata: {name: b}\nspec: {policyName: p}\n")
	f.Add("apiVersion: admissionregistration.k8s.io/v1alpha1\nkind: MutatingAdmissionPolicyBinding\nmetadata: {name: b}\nspec: {policyName: p, paramRef: {selector: {matchExpressions: [{key: a, operator: In}]}}, matchResources: {namespaceSelector: {matchLabels: {a: b}}}}\n")
	f.Add("apiVersion: admissionregistration.k8s.io/v1\nkind: MutatingAdmissionPolicy\nmetadata: {name: p}\nspec: {paramKind: {apiVersion: a/b/c}, variables: [{name: 1a}], mutations: [{patchType: JSONPatch, jsonPatch: {expression: '['}}]}\n")
	f.Fuzz(func(t *testing.T, text string) {
		docs, err := resource.Parse("policy.yaml", []byte(text))
		if err != nil {
			return
		}
		var own []*resource.Resource
		for _, d := range docs {
			if d.Complete() == nil && admission.Language.Claims(d.ID().Kind) {
				own = append(own, d)
			}
		}
		set, _ := admission.Language.Compile(own)
		admission.Language.Vet(own)
		o := resource.Object{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "c"}, "data": map[string]any{"a": "b"}}
		for _, p := range set.Programs {
			_, _ = p.Apply(t.Context(), policy.Input{ID: resource.IDOf(o), Object: o, Facts: facts.New()})
		}
	})
}
