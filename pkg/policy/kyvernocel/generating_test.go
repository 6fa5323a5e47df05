package kyvernocel

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// parse reads manifests.
func parse(t testing.TB, text string) []*resource.Resource {
	t.Helper()
	docs, err := resource.Parse("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return docs
}

func object(t testing.TB, text string) resource.Object {
	t.Helper()
	o, err := parse(t, text)[0].Object()
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// compiled returns the set of one policy, which has to compile.
func compiled(t testing.TB, text string) policy.Set {
	t.Helper()
	set, err := compile(parse(t, text))
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// A fakeWorld takes down what is generated.
type fakeWorld struct {
	policy.World // panics where a GeneratingPolicy has no business
	existing     map[string]resource.Object
	background   bool
	labels       bool
	generated    []resource.Object
	replaced     []bool
}

func (w *fakeWorld) Background() bool       { return w.background }
func (w *fakeWorld) ControllerLabels() bool { return w.labels }
func (w *fakeWorld) Generate(_ context.Context, o resource.Object, replace bool) (policy.Target, error) {
	id := resource.IDOf(o)
	if id.Name == "" {
		return policy.Target{}, errors.New("no name")
	}
	if before, ok := w.existing[id.String()]; ok {
		after := before
		if replace {
			after = o
		}
		return policy.Target{ID: id, Before: before, After: after}, nil
	}
	w.generated, w.replaced = append(w.generated, o), append(w.replaced, replace)
	return policy.Target{ID: id, After: o}, nil
}

// react lets a policy react to a trigger.
func react(t testing.TB, text string, w *fakeWorld, in policy.Input) policy.Result {
	t.Helper()
	set := compiled(t, text)
	if len(set.Generate) != 1 {
		t.Fatalf("%d background programs", len(set.Generate))
	}
	if in.Facts == nil {
		in.Facts = facts.New()
	}
	in.ID = resource.IDOf(in.Object)
	results, err := set.Generate[0].React(context.Background(), in, w)
	if err != nil {
		t.Fatal(err)
	}
	switch len(results) {
	case 0:
		return policy.Result{Message: "no result"}
	case 1:
		return results[0]
	}
	t.Fatalf("%d results", len(results))
	return policy.Result{}
}

// generatingPolicy is a GeneratingPolicy for Namespaces with more of a spec.
func generatingPolicy(spec string) string {
	return `
apiVersion: policies.kyverno.io/v1
kind: GeneratingPolicy
metadata: {name: p}
spec:
  matchConstraints:
    resourceRules:
    - {apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [namespaces]}
` + spec
}

const trigger = `
apiVersion: v1
kind: Namespace
metadata: {name: shop}
`

// TestGeneratedMetadata: what is generated loses what belongs to its source.
func TestGeneratedMetadata(t *testing.T) {
	tests := []struct{ name, source, namespace, want string }{
		{"a copy to another namespace",
			`{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: old, uid: u, selfLink: s, creationTimestamp: x, resourceVersion: "1", managedFields: [], ownerReferences: [{name: o}], generation: 3, finalizers: [f]}}`, "shop",
			`{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: shop, generation: 3, finalizers: [f]}}`},
		{"a copy in the same namespace keeps its owner",
			`{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: shop, ownerReferences: [{name: o}]}}`, "shop",
			`{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: shop, ownerReferences: [{name: o}]}}`},
		{"of a source without a namespace, too",
			`{apiVersion: v1, kind: ConfigMap, metadata: {name: c, ownerReferences: [{name: o}]}}`, "shop",
			`{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: shop, ownerReferences: [{name: o}]}}`},
		{"a cluster-scoped kind has no namespace",
			`{apiVersion: v1, kind: Namespace, metadata: {name: own, namespace: x}}`, "shop",
			`{apiVersion: v1, kind: Namespace, metadata: {name: own}}`},
		{"a kind that is not known may be cluster-scoped",
			`{apiVersion: acme.io/v1, kind: Widget, metadata: {name: own, namespace: x}}`, "",
			`{apiVersion: acme.io/v1, kind: Widget, metadata: {name: own}}`},
		{"labels of the controller",
			`{apiVersion: v1, kind: ConfigMap, metadata: {name: c, labels: {a: b, app.kubernetes.io/managed-by: helm, generate.kyverno.io/policy-name: x}}}`, "shop",
			`{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: shop, labels: {a: b}}}`},
		{"labels that are no labels",
			`{apiVersion: v1, kind: ConfigMap, metadata: {name: c, labels: {a: b, c: 1}}}`, "shop",
			`{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: shop}}`},
		{"annotations stay",
			`{apiVersion: v1, kind: ConfigMap, metadata: {name: c, annotations: {a: b, config.kubernetes.io/local-config: "true"}}}`, "shop",
			`{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: shop, annotations: {a: b}}}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := facts.New()
			in := policy.Input{Object: object(t, trigger), Facts: f}
			source := object(t, tt.source)
			in.Object["data"] = source
			w := &fakeWorld{}
			result := react(t, generatingPolicy("  generate: [{expression: 'generator.apply(\""+tt.namespace+"\", [object.data])'}]\n"), w, in)
			if result.Err != nil {
				t.Fatal(result.Err)
			}
			if d := cmp.Diff([]resource.Object{object(t, tt.want)}, w.generated); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			if d := cmp.Diff(object(t, tt.source), source); d != "" {
				t.Errorf("the source was changed (-want +got):\n%s", d)
			}
		})
	}
}

func TestGenerate(t *testing.T) {
	configMap := func(name string) string {
		return `{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "` + name + `"}}`
	}
	expression := func(text string) string { return "  generate:\n  - expression: '" + text + "'\n" }
	tests := []struct {
		name, spec string
		world      fakeWorld
		facts      string
		operation  string
		outcome    policy.Outcome
		message    string // or part of the error
		generated  []string
	}{
		{name: "two of a list", spec: expression(`generator.apply("shop", [{"items": [` + configMap("a") + `, ` + configMap("b") + `]}])`),
			outcome: policy.Applied, message: "generated shop/ConfigMap/a, generated shop/ConfigMap/b", generated: []string{"shop/ConfigMap/a", "shop/ConfigMap/b"}},
		{name: "in order", spec: expression(`["z", "a"].all(n, generator.apply(n, [` + configMap("c") + `]))`),
			outcome: policy.Applied, generated: []string{"z/ConfigMap/c", "a/ConfigMap/c"}},
		{name: "nothing", spec: expression(`generator.apply("shop", [])`), outcome: policy.Passed, message: "nothing to generate"},
		{name: "there already", spec: expression(`generator.apply("shop", [` + configMap("c") + `])`),
			world:   fakeWorld{existing: map[string]resource.Object{"shop/ConfigMap/c": {"a": "b"}}},
			outcome: policy.Passed, message: "what it generates is there already"},
		{name: "synchronized", spec: "  evaluation: {synchronize: {enabled: true}}\n" + expression(`generator.apply("shop", [`+configMap("c")+`])`),
			world:   fakeWorld{existing: map[string]resource.Object{"shop/ConfigMap/c": {"a": "b"}}},
			outcome: policy.Applied, message: "synchronized shop/ConfigMap/c"},
		{name: "the conditions do not hold", spec: "  matchConditions: [{name: c, expression: 'false'}]\n" + expression(`generator.apply("shop", [])`), message: "no result"},
		{name: "one condition fails and another is false", spec: "  matchConditions: [{name: c, expression: 'object.x == 1'}, {name: d, expression: 'false'}]\n" + expression(`generator.apply("shop", [])`), message: "no result"},
		{name: "a condition fails", spec: "  matchConditions: [{name: c, expression: 'object.x == 1'}]\n" + expression(`generator.apply("shop", [])`),
			outcome: policy.Failed, message: "spec.matchConditions[0].expression: "},
		{name: "a request of the background controller", spec: expression(`generator.apply("shop", [` + configMap("c") + `])`), world: fakeWorld{background: true}, message: "no result"},
		{name: "one that the policy asks for", spec: "  evaluation: {skipBackgroundRequests: false}\n" + expression(`generator.apply("shop", [`+configMap("c")+`])`), world: fakeWorld{background: true},
			outcome: policy.Applied, generated: []string{"shop/ConfigMap/c"}},
		{name: "another operation", spec: expression(`generator.apply("shop", [])`), operation: "UPDATE", message: "no result"},
		{name: "an annotation fails", spec: expression(`generator.apply("shop", [`+configMap("c")+`])`) + "  auditAnnotations: [{key: k, valueExpression: 'string(object.nope)'}]\n",
			outcome: policy.Failed, message: "no such key: nope", generated: []string{"shop/ConfigMap/c"}},
		{name: "a later entry fails", spec: "  generate:\n  - expression: 'generator.apply(\"shop\", [" + configMap("c") + "])'\n  - expression: object.nope == 1\n",
			outcome: policy.Failed, message: "spec.generate[1]", generated: []string{"shop/ConfigMap/c"}},
		{name: "a namespace is missing", spec: expression(`generator.apply("", [` + configMap("c") + `])`),
			outcome: policy.Failed, message: "ConfigMap/c: a ConfigMap is in a namespace, and the policy names none"},
		{name: "an item is no object", spec: expression(`generator.apply("shop", [{"items": ["a"]}])`), outcome: policy.Failed, message: `item 0 of the list: expected an object, found the string "a"`},
		{name: "metadata is no map", spec: expression(`generator.apply("shop", [{"kind": "A", "metadata": "b"}])`), outcome: policy.Failed, message: `metadata: expected a map, found the string "b"`},
		{name: "labels are no map", spec: expression(`generator.apply("shop", [{"kind": "A", "metadata": {"labels": "b"}}])`), outcome: policy.Failed, message: `metadata.labels: expected a map, found the string "b"`},
		{name: "a name is missing", spec: expression(`generator.apply("shop", [{"apiVersion": "v1", "kind": "ConfigMap"}])`), outcome: policy.Failed, message: "no name"},
		{name: "a cluster-scoped custom resource", spec: expression(`generator.apply("shop", [{"apiVersion": "acme.io/v1", "kind": "Widget", "metadata": {"name": "w"}}])`),
			facts:   `{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: widgets.acme.io}, spec: {group: acme.io, scope: Cluster, names: {kind: Widget, plural: widgets}, versions: [{name: v1, served: true}]}}`,
			outcome: policy.Applied, generated: []string{"Widget/w"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := facts.New()
			if tt.facts != "" {
				f.AddResources(parse(t, tt.facts)...)
			}
			in := policy.Input{Object: object(t, trigger), Facts: f, Operation: tt.operation}
			result := react(t, generatingPolicy(tt.spec), &tt.world, in)
			if result.Outcome != tt.outcome || !strings.Contains(result.Message, tt.message) {
				t.Errorf("outcome %d, %s; want %d, %s", result.Outcome, result.Message, tt.outcome, tt.message)
			}
			if (result.Err != nil) != (tt.outcome == policy.Failed) {
				t.Errorf("error %v", result.Err)
			}
			if result.Message != "no result" && result.Rule != "p" {
				t.Errorf("rule %q", result.Rule)
			}
			var got []string
			for _, o := range tt.world.generated {
				got = append(got, resource.IDOf(o).String())
			}
			if d := cmp.Diff(tt.generated, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// TestControllerLabels: they are those of Kyverno, but for the uid of the trigger.
func TestControllerLabels(t *testing.T) {
	w := &fakeWorld{labels: true}
	react(t, generatingPolicy(`  generate: [{expression: 'generator.apply("shop", [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "labels": {"a": "b"}}}])'}]`), w, policy.Input{Object: object(t, trigger)})
	want := `
a: b
app.kubernetes.io/managed-by: kyverno
generate.kyverno.io/policy-name: p
generate.kyverno.io/trigger-group: ""
generate.kyverno.io/trigger-kind: Namespace
generate.kyverno.io/trigger-name: shop
generate.kyverno.io/trigger-namespace: ""
generate.kyverno.io/trigger-version: v1
`
	got, err := yaml.Marshal(w.generated[0]["metadata"].(map[string]any)["labels"])
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(strings.TrimPrefix(want, "\n"), string(got)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// TestServerSideApply: what is there already is merged into.
func TestServerSideApply(t *testing.T) {
	f := facts.New()
	f.AddResources(parse(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: shop}, data: {theirs: x, both: y}}`)...)
	w := &fakeWorld{}
	react(t, generatingPolicy(`  useServerSideApply: true
  generate: [{expression: 'generator.apply("shop", [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"both": "z"}}])'}]`), w, policy.Input{Object: object(t, trigger), Facts: f})
	want := object(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: shop}, data: {theirs: x, both: z}}`)
	if d := cmp.Diff([]resource.Object{want}, w.generated); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// TestDeletions: a deletion triggers only policies that name it, which see the
// resource as oldObject.
func TestDeletions(t *testing.T) {
	in := policy.Input{Object: object(t, trigger), Operation: "DELETE"}
	spec := `  generate: [{expression: 'generator.apply(oldObject.metadata.name, [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}])'}]`
	for operations, want := range map[string]int{`[CREATE]`: 0, `["*"]`: 0, `[DELETE]`: 1} {
		w := &fakeWorld{}
		react(t, strings.Replace(generatingPolicy(spec), "[CREATE]", operations, 1), w, in)
		if len(w.generated) != want {
			t.Errorf("operations %s: %d generated, want %d", operations, len(w.generated), want)
		}
	}
}

func TestGeneratingPolicyFaults(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"nothing to match", `{apiVersion: policies.kyverno.io/v1, kind: GeneratingPolicy, metadata: {name: p}, spec: {generate: [{expression: "true"}]}}`, "matchConstraints.resourceRules is missing"},
		{"nothing to generate", generatingPolicy("  generate: []\n"), "generate is missing"},
		{"neither", generatingPolicy("  generate: [{}]\n"), "spec.generate[0]: expected an expression or a template"},
		{"both", generatingPolicy("  generate: [{expression: 'true', template: {value: 'a: b'}}]\n"), "found both"},
		{"an unknown mode", generatingPolicy("  generate: [{template: {value: 'a: b', interpolate: jinja}}]\n"), "expected one of none, cel"},
		{"an empty template", generatingPolicy("  generate: [{template: {value: ''}}]\n"), "value is missing"},
		{"no boolean", generatingPolicy("  generate: [{expression: '1'}]\n"), "must evaluate to bool"},
		{"conditions don't know variables", generatingPolicy("  variables: [{name: v, expression: '1'}]\n  matchConditions: [{name: c, expression: 'variables.v == 1'}]\n  generate: [{expression: 'true'}]\n"), "undefined field 'v'"},
		{"a variable that comes later", generatingPolicy("  variables: [{name: a, expression: 'variables.b'}, {name: b, expression: '1'}]\n  generate: [{expression: 'true'}]\n"), "undefined field 'b'"},
		{"an unknown field", generatingPolicy("  failurePolicy: Fail\n  generate: [{expression: 'true'}]\n"), "failurePolicy"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			set, err := compile(parse(t, tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if len(set.Generate) > 0 {
				t.Error("there is a program")
			}
		})
	}
}
