package gatekeeper_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oneloop-dev/oneloop/pkg/digest"
	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/gatekeeper"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

func parse(t testing.TB, text string) []*resource.Resource {
	t.Helper()
	docs, err := resource.Parse("in.yaml", []byte(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return docs
}

// things is the beginning of a spec about Things, a kind without a schema.
const things = `applyTo: [{groups: [""], versions: [v1], kinds: [Thing]}]`

// mutator is a document; spec is in the flow style, without its braces.
func mutator(kind, name, spec string) string {
	version := "v1"
	if kind == "AssignImage" {
		version = "v1alpha1"
	}
	return fmt.Sprintf("apiVersion: mutations.gatekeeper.sh/%s\nkind: %s\nmetadata: {name: %s}\nspec: {%s}\n", version, kind, name, spec)
}

// assign is an Assign for Things.
func assign(name, location, value string, more ...string) string {
	return mutator("Assign", name, fmt.Sprintf("%s, location: %q, parameters: {assign: {value: %s}%s}", things, location, value, strings.Join(append([]string{""}, more...), ", ")))
}

func set(name, location, values string, more ...string) string {
	return mutator("ModifySet", name, fmt.Sprintf("%s, location: %q, parameters: {values: {fromList: %s}%s}", things, location, values, strings.Join(append([]string{""}, more...), ", ")))
}

const (
	never = "condition: MustNotExist"
	must  = "condition: MustExist"
)

func tests(list ...string) string { return "pathTests: [" + strings.Join(list, ", ") + "]" }

func test(path, condition string) string { return fmt.Sprintf("{subPath: %q, %s}", path, condition) }

// pod is a Thing with a spec in the flow style.
func thing(spec string) string {
	return "apiVersion: v1\nkind: Thing\nmetadata: {name: web, namespace: shop}\nspec: " + spec + "\n"
}

// apply returns what mutators make of an object, and the rules of the results that
// changed it.
func apply(t *testing.T, known *facts.Facts, object string, mutators ...string) (out resource.Object, rules []string, err error) {
	t.Helper()
	s, err := gatekeeper.Language.Compile(parse(t, strings.Join(mutators, "---\n")))
	if err != nil {
		t.Fatal(err)
	}
	r := parse(t, object)[0]
	if out, err = r.Object(); err != nil {
		t.Fatal(err)
	}
	if known == nil {
		known = facts.New()
	}
	for _, p := range s.Programs {
		if !p.Selects(r.ID().Kind) {
			continue
		}
		results, err := p.Apply(t.Context(), policy.Input{ID: r.ID(), Object: out, Facts: known, Digests: digest.Off{}})
		if err != nil {
			t.Fatal(err)
		}
		for _, result := range results {
			switch {
			case result.Err != nil:
				return nil, nil, result.Err
			case result.Outcome == policy.Mutated:
				out, rules = result.Object, append(rules, result.Rule)
			}
		}
	}
	return out, rules, nil
}

// TestSet has one mutator and the spec of a Thing.
func TestSet(t *testing.T) {
	for _, tt := range []struct{ name, mutator, spec, want string }{
		{"field", assign("a", "spec.x", "1"), "{}", "{x: 1}"},
		{"field that is there", assign("a", "spec.x", "1"), "{x: {w: z}}", "{x: 1}"},
		{"missing maps", assign("a", "spec.x.w.z", "[1]"), "{}", "{x: {w: {z: [1]}}}"},
		{"missing element", assign("a", "spec.l[name: b].x", "1"), "{l: [{name: a}]}", "{l: [{name: a}, {name: b, x: 1}]}"},
		{"missing list", assign("a", "spec.l[port: 80].m[name: b].x", "1"), "{}", "{l: [{port: 80, m: [{name: b, x: 1}]}]}"},
		{"all elements", assign("a", "spec.l[name: *].x", "1"), "{l: [{name: a}, {}, {name: b, x: 2}]}", "{l: [{name: a, x: 1}, {x: 1}, {name: b, x: 1}]}"},
		{"all elements of a missing list", assign("a", "spec.l[name: *].x", "1"), "{}", "{}"},
		{"all elements of an empty list", assign("a", "spec.l[name: *].x", "1"), "{l: []}", "{l: []}"},
		{"several elements with the key", assign("a", "spec.l[name: a].x", "1"), "{l: [{name: a}, {name: a, w: 2}]}", "{l: [{name: a, x: 1}, {name: a, w: 2, x: 1}]}"},
		{"key of another type", assign("a", `spec.l[port: "80"].x`, "1"), "{l: [{port: 80}]}", `{l: [{port: 80}, {port: "80", x: 1}]}`},
		{"elements without the key are passed over", assign("a", "spec.l[name: a].x", "1"), "{l: [text, {x: 2}, {name: a}]}", "{l: [text, {x: 2}, {name: a, x: 1}]}"},
		{"whole element", assign("a", "spec.l[name: a]", "{name: a, x: 1}"), "{l: [{name: b}, {name: a, w: 2}, {name: a}]}", "{l: [{name: b}, {name: a, x: 1}, {name: a}]}"},
		{"whole element, appended", assign("a", "spec.l[name: a]", "{name: a}"), "{l: [{name: b}]}", "{l: [{name: b}, {name: a}]}"},
		{"null is a value", assign("a", "spec.x", "1"), "{x: null}", "{x: 1}"},

		{"must exist, and does", assign("a", "spec.x.w", "1", tests(test("spec.x", must))), "{x: {}}", "{x: {w: 1}}"},
		{"must exist", assign("a", "spec.x.w", "1", tests(test("spec.x", must))), "{}", "{}"},
		{"must not exist", assign("a", "spec.x.w", "1", tests(test("spec.x.w", never))), "{x: {w: 2}}", "{x: {w: 2}}"},
		{"must not exist, and does not", assign("a", "spec.x.w", "1", tests(test("spec.x.w", never))), "{}", "{x: {w: 1}}"},
		{"element must exist", assign("a", "spec.l[name: a].x", "1", tests(test("spec.l[name: a]", must))), "{l: [{name: b}]}", "{l: [{name: b}]}"},
		{"element must not exist", assign("a", "spec.l[name: a].x", "1", tests(test("spec.l[name: a]", never))), "{l: [{name: a}]}", "{l: [{name: a}]}"},
		{"element must not exist, and does not", assign("a", "spec.l[name: a].x", "1", tests(test("spec.l[name: a]", never))), "{l: []}", "{l: [{name: a, x: 1}]}"},
		// No element can be all that must not be there.
		{"all elements must not exist", assign("a", "spec.l[name: *].x", "1", tests(test("spec.l[name: *]", never))), "{l: [{}]}", "{l: [{}]}"},
		{"in some elements", assign("a", "spec.l[name: *].x", "1", tests(test("spec.l[name: *].x", never))), "{l: [{x: 2}, {}]}", "{l: [{x: 2}, {x: 1}]}"},
		{"whole element must exist", assign("a", "spec.l[name: a]", "{name: a}", tests(test("spec.l[name: a]", must))), "{l: []}", "{l: []}"},
		{"whole element must not exist", assign("a", "spec.l[name: a]", "{name: a}", tests(test("spec.l[name: a]", never))), "{l: [{name: a, x: 1}]}", "{l: [{name: a, x: 1}]}"},
		{"nothing is left of the way to a test that fails", assign("a", "spec.x.w.z", "1", tests(test("spec.x.w", must))), "{}", "{}"},

		{"name", mutator("Assign", "a", things+", location: spec.x, parameters: {assign: {fromMetadata: {field: name}}}"), "{}", "{x: web}"},
		{"namespace", mutator("Assign", "a", things+", location: spec.x, parameters: {assign: {fromMetadata: {field: namespace}}}"), "{}", "{x: shop}"},

		{"merge", set("a", "spec.l", "[b, c, {x: 1}]"), "{l: [a, b, {x: 1}]}", "{l: [a, b, {x: 1}, c]}"},
		{"merge is the default, and adds a list", set("a", "spec.x.l", "[b, b]"), "{}", "{x: {l: [b, b]}}"},
		{"merge compares types", set("a", "spec.l", `["1", 1]`), "{l: [1]}", `{l: [1, "1"]}`},
		{"prune", set("a", "spec.l", "[b, {x: 1}]", "operation: prune"), "{l: [b, a, {x: 1}, b]}", "{l: [a]}"},
		{"prune all", set("a", "spec.l", "[b]", "operation: prune"), "{l: [b]}", "{l: []}"},
		// A quirk of Gatekeeper: what is on the way is there afterwards.
		{"prune what is not there", set("a", "spec.x.l", "[b]", "operation: prune"), "{}", "{x: {}}"},

		{"image", mutator("AssignImage", "a", things+`, location: "spec.l[name: *].image", parameters: {assignDomain: r.example.com, assignTag: ":2"}`), "{l: [{image: web:1}, {}]}", "{l: [{image: r.example.com/web:2}, {image: \"r.example.com/:2\"}]}"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, rules, err := apply(t, nil, thing(tt.spec), tt.mutator)
			if err != nil {
				t.Fatal(err)
			}
			want, err := parse(t, thing(tt.want))[0].Object()
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
			if changes := tt.spec != tt.want; changes != (len(rules) == 1) {
				t.Errorf("changed by %v", rules)
			}
		})
	}
}

func TestSetFaults(t *testing.T) {
	for _, tt := range []struct{ mutator, spec, want string }{
		{assign("a", "spec.x.w", "1"), "{x: text}", `spec.x: expected a map, found the string "text", where location spec.x.w leads`},
		{assign("a", "spec.x.w", "1"), "{x: null}", "spec.x: expected a map, found null"},
		{assign("a", "spec.x.w", "1"), "{x: [1]}", "spec.x: expected a map, found a list, where location spec.x.w leads; behind a list stands which of its elements are meant"},
		{assign("a", "spec.x[name: a].w", "1"), "{x: {}}", "spec.x: expected a list, found a map"},
		{assign("a", "spec.x[name: *].w", "1"), "{x: [{}, 7]}", "spec.x[1]: expected a map, found the number 7"},
		{assign("a", "spec.x[name: a]", "{name: a}"), "{x: [{}, 7]}", "spec.x[1]: expected a map, found the number 7"},
		{set("a", "spec.x", "[1]"), "{x: {}}", "spec.x: expected a list to treat as a set, found a map"},
		{set("a", "spec.x", "[1]", "operation: prune"), "{x: 1}", "spec.x: expected a list to treat as a set, found the number 1"},
		{mutator("AssignImage", "a", things+`, location: "spec.x", parameters: {assignTag: ":2"}`), "{x: 1}", "spec.x: expected the text of an image reference, found the number 1"},
	} {
		_, _, err := apply(t, nil, thing(tt.spec), tt.mutator)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s on %s\ngot  %v\nwant %s", tt.mutator, tt.spec, err, tt.want)
		}
		var field *policy.FieldError
		if !errors.As(err, &field) {
			t.Errorf("%T is about no field", err)
		}
	}
}

// TestAssignReadsIntegersAsFloats: until the resource is admitted, an integer that
// Assign wrote is equal to no other, as in Gatekeeper, whose values are JSON floats.
func TestAssignReadsIntegersAsFloats(t *testing.T) {
	got, _, err := apply(t, nil, thing("{}"), assign("a", "spec.ports", "[{port: 80}]"), assign("b", "spec.ports[port: 80].name", "web"))
	if err != nil {
		t.Fatal(err)
	}
	want := []any{map[string]any{"port": int64(80)}, map[string]any{"port": int64(80), "name": "web"}}
	if d := cmp.Diff(want, got["spec"].(map[string]any)["ports"]); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	_, rules, err := apply(t, nil, thing("{x: 80}"), assign("a", "spec.x", "80"))
	if err != nil || len(rules) > 0 {
		t.Errorf("80 in place of 80 changes something: %v, %v", rules, err)
	}
}

// TestSystem has several mutators, in any order.
func TestSystem(t *testing.T) {
	label := func(name, key, value, match string) string {
		return mutator("AssignMetadata", name, fmt.Sprintf("match: {%s}, location: metadata.labels.%s, parameters: {assign: {value: %q}}", match, key, value))
	}
	needs := func(key string) string {
		return "labelSelector: {matchExpressions: [{key: " + key + ", operator: Exists}]}"
	}
	for _, tt := range []struct {
		name     string
		mutators []string
		want     string // labels and spec
		rules    []string
	}{
		{"by kind, then name", []string{set("a", "spec.l", "[s]"), assign("b", "spec.l", "[b]"), assign("a", "spec.l", "[a]")}, "{} {l: [b, s]}", []string{"a", "b", "a"}},
		{"the last one by name wins, once", []string{assign("b", "spec.x", "2"), assign("a", "spec.x", "1")}, "{} {x: 2}", []string{"a", "b"}},
		{"labels are never overwritten", []string{label("a", "x", "1", ""), label("b", "x", "2", "")}, "{x: '1'} {}", []string{"a"}},
		{"one that another enables", []string{label("a", "w", "1", needs("x")), label("b", "x", "1", "")}, "{x: '1', w: '1'} {}", []string{"b", "a"}},
		{"one after another, backwards", []string{label("a", "z", "1", needs("w")), label("b", "w", "1", needs("x")), label("c", "x", "1", "")}, "{x: '1', w: '1', z: '1'} {}", []string{"c", "b", "a"}},
		{"nothing left of what is undone", []string{assign("a", "spec.l", "[x]"), set("p", "spec.l", "[x]", "operation: prune")}, "{} {l: []}", []string{"a", "p"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, mutators := range [][]string{tt.mutators, slices.Collect(reversed(tt.mutators))} {
				got, rules, err := apply(t, nil, thing("{}"), mutators...)
				if err != nil {
					t.Fatal(err)
				}
				labels, spec, _ := strings.Cut(tt.want, "} ")
				want, err := parse(t, "apiVersion: v1\nkind: Thing\nmetadata: {name: web, namespace: shop, labels: "+labels+"}}\nspec: "+spec+"\n")[0].Object()
				if err != nil {
					t.Fatal(err)
				}
				if meta := want["metadata"].(map[string]any); len(meta["labels"].(map[string]any)) == 0 {
					delete(meta, "labels")
				}
				if d := cmp.Diff(want, got); d != "" {
					t.Errorf("(-want +got)\n%s", d)
				}
				if d := cmp.Diff(tt.rules, rules); d != "" {
					t.Errorf("rules (-want +got)\n%s", d)
				}
			}
		})
	}
}

func reversed(list []string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for _, s := range slices.Backward(list) {
			if !yield(s) {
				return
			}
		}
	}
}

// TestDropped: the API server drops what a mutator adds and the kind does not have,
// as when a location for Pods is written for Deployments.
func TestDropped(t *testing.T) {
	docs := parse(t, strings.ReplaceAll(assign("a", "spec.containers[name: web].image", "web:2")+"---\n"+assign("b", "spec.replicas", "2"), `{groups: [""], versions: [v1], kinds: [Thing]}`, "{groups: [apps], versions: [v1], kinds: [Deployment]}"))
	s, err := gatekeeper.Language.Compile(docs)
	if err != nil {
		t.Fatal(err)
	}
	r := parse(t, "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {own: stays}\n")[0]
	o, err := r.Object()
	if err != nil {
		t.Fatal(err)
	}
	results, err := s.Programs[0].Apply(t.Context(), policy.Input{ID: r.ID(), Object: o, Facts: facts.New(), Digests: digest.Off{}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range results {
		got = append(got, fmt.Sprintf("%s %s: %s %v", r.Outcome.Status(), r.Rule, r.Message, r.Object["spec"]))
	}
	want := []string{
		"warn a: apps/v1/Deployment has no field spec.containers in Kubernetes 1.36, whose API server drops what the mutator adds there, as is done here <nil>",
		"pass b: mutated Deployment/web map[own:stays replicas:2]",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

// TestShown: mutators see the structs that the API server always sends, and what
// stays empty of them does not come out.
func TestShown(t *testing.T) {
	pods := func(doc string) string { return strings.ReplaceAll(doc, "Thing", "Pod") }
	for _, tt := range []struct{ name, mutator, containers, want string }{
		{"it is there", assign("a", "spec.containers[name: *].resources.limits", "{cpu: '1'}", tests(test("spec.containers[name: *].resources", must))), "[{name: web}]", "[{name: web, resources: {limits: {cpu: '1'}}}]"},
		{"it can't be missing", assign("a", "spec.containers[name: *].resources", "{limits: {cpu: '1'}}", tests(test("spec.containers[name: *].resources", never))), "[{name: web}]", "[{name: web}]"},
		{"nothing comes of it", set("a", "spec.containers[name: *].resources.claims", "[{name: gpu}]", "operation: prune"), "[{name: web}]", "[{name: web}]"},
		{"what is written stays", set("a", "spec.containers[name: *].resources.claims", "[{name: gpu}]", "operation: prune"), "[{name: web, resources: {}}]", "[{name: web, resources: {}}]"},
		{"a struct that nothing shows is left behind", set("a", "spec.securityContext.supplementalGroups", "[7]", "operation: prune"), "[]", "[]"},
	} {
		got, _, err := apply(t, nil, pods(thing("{containers: "+tt.containers+"}")), pods(tt.mutator))
		if err != nil {
			t.Fatal(err)
		}
		want, err := parse(t, pods(thing("{containers: "+tt.want+"}")))[0].Object()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(tt.name, "left behind") {
			want["spec"].(map[string]any)["securityContext"] = map[string]any{}
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got)\n%s", tt.name, d)
		}
	}
}

// TestFailureChangesNothing: what ran before the one that fails has done nothing.
func TestFailureChangesNothing(t *testing.T) {
	s, err := gatekeeper.Language.Compile(parse(t, assign("a", "spec.x", "1")+"---\n"+assign("b", "spec.w.z", "1")))
	if err != nil {
		t.Fatal(err)
	}
	r := parse(t, thing("{w: 1}"))[0]
	o, err := r.Object()
	if err != nil {
		t.Fatal(err)
	}
	results, err := s.Programs[0].Apply(t.Context(), policy.Input{ID: r.ID(), Object: o, Facts: facts.New(), Digests: digest.Off{}})
	if err != nil || len(results) != 1 || results[0].Outcome != policy.Failed || results[0].Policy.ID.Name != "b" {
		t.Errorf("got %+v, %v", results, err)
	}
}

// TestMatch has one mutator, which writes spec.x, and an object.
func TestMatch(t *testing.T) {
	object := func(kind, meta string) string {
		group := map[string]string{"Deployment": "apps/v1", "ClusterRole": "rbac.authorization.k8s.io/v1"}[kind]
		if group == "" {
			group = "v1"
		}
		return fmt.Sprintf("apiVersion: %s\nkind: %s\nmetadata: {%s}\nspec: {}\n", group, kind, meta)
	}
	web := object("Thing", "name: web, namespace: shop, labels: {team: blue}")
	shop := object("Namespace", "name: shop, labels: {tier: front}")
	role := object("ClusterRole", "name: web")
	for _, tt := range []struct {
		match, object string
		want          bool
	}{
		{"", web, true},
		{"kinds: [{kinds: [Thing]}]", web, true},
		{"kinds: [{kinds: ['*'], apiGroups: ['']}]", web, true},
		{"kinds: [{kinds: [Thing], apiGroups: [apps]}]", web, false},
		{"kinds: [{kinds: [Deployment]}, {apiGroups: ['*']}]", web, true},
		{"scope: Namespaced", web, true},
		{"scope: Cluster", web, false},
		{"scope: Cluster", role, true},
		{"scope: Namespaced", role, false},
		{"scope: Cluster", shop, true},
		{"scope: Namespaced", shop, false},
		{"scope: cluster", web, true}, // a quirk: what is not known is *
		{"namespaces: [prod, 'sh*']", web, true},
		{"namespaces: [prod]", web, false},
		{"namespaces: [default]", object("Thing", "name: web"), true},
		{"namespaces: [prod]", role, true}, // a quirk: what has no namespace is in all of them
		{"namespaces: [prod]", shop, false},
		{"namespaces: [shop]", shop, true},
		{"excludedNamespaces: ['*op']", web, false},
		{"excludedNamespaces: ['*op']", shop, false},
		{"excludedNamespaces: ['*op']", role, true},
		{"labelSelector: {matchLabels: {team: blue}}", web, true},
		{"labelSelector: {matchLabels: {team: red}}", web, false},
		{"labelSelector: {matchExpressions: [{key: team, operator: NotIn, values: [blue]}]}", web, false},
		{"labelSelector: {matchLabels: {kubernetes.io/metadata.name: shop}}", shop, true},
		{"labelSelector: {matchLabels: {team: blue}}", object("Thing", "name: web, labels: {team: blue, odd: true}"), false}, // a quirk
		{"namespaceSelector: {matchLabels: {tier: front}}", web, true},
		{"namespaceSelector: {matchLabels: {tier: back}}", web, false},
		{"namespaceSelector: {matchLabels: {tier: front}}", shop, true},
		{"namespaceSelector: {matchLabels: {tier: front}}", role, true}, // likewise
		{"namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: other}}", object("Thing", "name: web, namespace: other"), true},
		{"namespaceSelector: {}", object("Thing", "name: web, namespace: other"), true},
		{"name: 'we*'", web, true},
		{"name: db", web, false},
		{"name: 'web-*'", object("Thing", "generateName: web-"), true},
		{"name: '*-web'", object("Thing", "generateName: a-web"), false},
		{"source: Original", web, true},
		{"source: All", web, true},
		{"source: Generated", web, false},
		// What decides without the labels of a namespace spares asking for them.
		{"name: db, namespaceSelector: {matchLabels: {tier: front}}", object("Thing", "name: web, namespace: other"), false},
		// Gatekeeper leaves its own alone.
		{"", object("Thing", "name: web, namespace: gatekeeper-system"), false},
	} {
		known := facts.New()
		known.AddResources(parse(t, shop)...)
		got, _, err := apply(t, known, tt.object, mutator("AssignMetadata", "a", "match: {"+tt.match+"}, location: metadata.annotations.x, parameters: {assign: {value: w}}"))
		if err != nil {
			t.Errorf("{%s}: %v", tt.match, err)
			continue
		}
		annotations, _ := got["metadata"].(map[string]any)["annotations"].(map[string]any)
		if is := annotations["x"] == "w"; is != tt.want {
			t.Errorf("{%s} matches %t\n%s", tt.match, is, tt.object)
		}
	}
	_, _, err := apply(t, nil, web, mutator("AssignMetadata", "a", "match: {namespaceSelector: {matchLabels: {tier: front}}}, location: metadata.annotations.x, parameters: {assign: {value: w}}"))
	if !errors.Is(err, facts.ErrMissing) {
		t.Errorf("labels that nobody knows: %v", err)
	}
}

func TestApplyTo(t *testing.T) {
	for _, tt := range []struct {
		applyTo, operation string
		want               bool
	}{
		{"[{groups: [''], versions: [v1], kinds: [Thing]}]", "CREATE", true},
		{"[{groups: [''], versions: [v1], kinds: [Thing]}]", "UPDATE", true},
		{"[{groups: [''], versions: [v1], kinds: [Thing]}]", "DELETE", false},
		{"[{groups: ['*'], versions: [v1], kinds: [Thing]}]", "CREATE", false}, // no wildcards
		{"[{groups: [''], versions: [v2], kinds: [Thing]}]", "CREATE", false},
		{"[{groups: [apps], versions: [v1], kinds: [Thing]}, {groups: [''], versions: [v1], kinds: [Node]}]", "CREATE", false},
		{"[{groups: [apps, ''], versions: [v1], kinds: [Node, Thing]}]", "CREATE", true},
		{"[{groups: [''], versions: [v1], kinds: [Thing], operations: [UPDATE]}]", "CREATE", false},
		{"[{groups: [''], versions: [v1], kinds: [Thing], operations: ['*']}]", "UPDATE", true},
		// Kind and operation are asked of the same entry.
		{"[{groups: [''], versions: [v1], kinds: [Thing], operations: [UPDATE]}, {groups: [''], versions: [v1], kinds: [Node]}]", "CREATE", false},
	} {
		known := facts.New()
		if err := known.Declare(facts.Spec{Operation: tt.operation}); err != nil {
			t.Fatal(err)
		}
		got, _, err := apply(t, known, thing("{}"), mutator("Assign", "a", "applyTo: "+tt.applyTo+", location: spec.x, parameters: {assign: {value: 1}}"))
		if err != nil {
			t.Fatal(err)
		}
		if is := got["spec"].(map[string]any)["x"] != nil; is != tt.want {
			t.Errorf("%s on %s: %t", tt.applyTo, tt.operation, is)
		}
	}
}

func TestConflicts(t *testing.T) {
	image := func(name, location string) string {
		return mutator("AssignImage", name, fmt.Sprintf("%s, location: %q, parameters: {assignTag: \":1\"}", things, location))
	}
	external := mutator("Assign", "x", things+", location: spec.a, parameters: {assign: {externalData: {provider: p}}}")
	for _, tt := range []struct {
		name     string
		mutators []string
		want     []string // what the errors have
	}{
		{"same", []string{assign("a", "spec.x", "1"), assign("b", "spec.x", "[2]")}, nil},
		{"map and list", []string{assign("a", "spec.x.w", "1"), assign("b", "spec.x[name: a].w", "1")},
			[]string{"in.yaml:4: Assign/a at spec.location: conflicts about spec.x, which is taken for a list with keys and for a map: Assign/a (in.yaml:1) and Assign/b (in.yaml:6); Gatekeeper applies none of them until one is changed"}},
		{"two keys", []string{assign("a", "spec.x[name: a].w", "1"), assign("b", "spec.x[id: *].w", "1")},
			[]string{"conflicts about the list spec.x, whose elements are found by id and by name: Assign/a (in.yaml:1) and Assign/b (in.yaml:6)"}},
		{"one key, other elements", []string{assign("a", "spec.x[name: a].w", "1"), assign("b", "spec.x[name: *].w.z", "1")}, nil},
		{"set and map", []string{set("a", "spec.x", "[1]"), assign("b", "spec.x.w", "1")}, []string{"spec.x, which is taken for a map and for a set of values: ModifySet/a (in.yaml:1) and Assign/b (in.yaml:6)"}},
		{"set and list", []string{set("a", "spec.x", "[1]"), assign("b", "spec.x[name: w]", "{name: w}")}, []string{"a list with keys and for a set of values"}},
		// The end of an Assign says nothing of the value.
		{"set and value", []string{set("a", "spec.x", "[1]"), assign("b", "spec.x", "7")}, nil},
		{"set and image", []string{set("a", "spec.x", "[1]"), image("b", "spec.x")}, []string{"a set of values and for a text"}},
		{"below an image", []string{image("a", "spec.x"), assign("b", "spec.x.w", "1")}, []string{"a map and for a text", "spec.x, which one sets as a whole, and another goes into: AssignImage/a (in.yaml:1) and Assign/b (in.yaml:6)"}},
		{"below external data", []string{external, assign("b", "spec.a.w", "1")}, []string{"spec.a, which one sets as a whole, and another goes into: Assign/x (in.yaml:1) and Assign/b (in.yaml:6)"}},
		{"beside external data", []string{external, assign("b", "spec.b.w", "1")}, nil},
		{"three", []string{assign("a", "spec.x.w", "1"), assign("b", "spec.x[name: a].w", "1"), assign("c", "spec.x.z", "1")}, []string{"Assign/a (in.yaml:1) and Assign/b (in.yaml:6) and Assign/c (in.yaml:11)"}},
		{"other kinds", []string{assign("a", "spec.x.w", "1"), strings.ReplaceAll(assign("b", "spec.x[name: a].w", "1"), "Thing", "Node")}, nil},
		{"other operations", []string{strings.ReplaceAll(assign("a", "spec.x.w", "1"), "[Thing]", "[Thing], operations: [UPDATE]"), strings.ReplaceAll(assign("b", "spec.x[name: a].w", "1"), "[Thing]", "[Thing], operations: [CREATE]")}, nil},
		{"an operation that rendering does not have", []string{strings.ReplaceAll(assign("a", "spec.x.w", "1"), "[Thing]", "[Thing], operations: [UPDATE]"), assign("b", "spec.x[name: a].w", "1")}, []string{"conflicts about spec.x"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := gatekeeper.Language.Compile(parse(t, strings.Join(tt.mutators, "---\n")))
			if (err != nil) != (tt.want != nil) {
				t.Fatal(err)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got  %v\nwant %s", err, want)
				}
			}
		})
	}
}

func TestExternalData(t *testing.T) {
	const provider = "apiVersion: externaldata.gatekeeper.sh/v1beta1\nkind: Provider\nmetadata: {name: p}\nspec: {url: 'https://p.example.com'}\n"
	with := func(more string) string {
		return mutator("Assign", "a", things+`, location: "spec.l[name: *].image", parameters: {assign: {externalData: {provider: p`+more+`}}}`)
	}
	answer := func(items ...any) facts.APICall {
		return facts.APICall{URLPath: "https://p.example.com", Method: "POST", Response: map[string]any{"response": map[string]any{"idempotent": true, "items": items}}}
	}
	item := func(key string, value any) any { return map[string]any{"key": key, "value": value} }
	down := facts.APICall{URLPath: "https://p.example.com", Method: "POST", Error: "down"}
	for _, tt := range []struct {
		name, mutator string
		call          *facts.APICall
		want          string // the images, or the error
	}{
		{"answers", with(""), new(answer(item("a", "A"), item("b", "B"))), "A B"},
		{"not recorded", with(""), nil, "the answer of POST https://p.example.com is not known"},
		{"not recorded, whatever the policy", with(", failurePolicy: UseDefault, default: d"), nil, facts.ErrMissing.Error()},
		{"a key is not recorded", with(", failurePolicy: Ignore"), new(answer(item("a", "A"))), `it has no item with key "b"`},
		{"fails", with(""), &down, "provider p: down"},
		{"fails, default", with(", failurePolicy: UseDefault, default: d"), &down, "d d"},
		{"fails, ignored", with(", failurePolicy: Ignore"), &down, "a b"},
		{"one fails, default", with(", failurePolicy: UseDefault, default: d"), new(answer(item("a", "A"), map[string]any{"key": "b", "error": "no idea"})), "A d"},
		{"no string", with(""), new(answer(item("a", "A"), item("b", int64(1)))), `provider p, key "b": expected a string, found the number 1`},
		{"not idempotent", with(""), &facts.APICall{URLPath: "https://p.example.com", Method: "POST", Response: map[string]any{"response": map[string]any{}}}, "not idempotent"},
		{"no response", with(""), &facts.APICall{URLPath: "https://p.example.com", Method: "POST", Response: map[string]any{}}, "expected a ProviderResponse"},
		{"nobody asks", with(", dataSource: Username"), new(answer()), "requester"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			known := facts.New()
			if tt.call != nil {
				if err := known.Declare(facts.Spec{APICalls: []facts.APICall{*tt.call}}); err != nil {
					t.Fatal(err)
				}
			}
			got, rules, err := apply(t, known, thing("{l: [{image: a}, {image: b}]}"), provider, tt.mutator)
			if err != nil {
				if !strings.Contains(err.Error(), tt.want) {
					t.Errorf("got  %v\nwant %s", err, tt.want)
				}
				return
			}
			var images []string
			for _, c := range got["spec"].(map[string]any)["l"].([]any) {
				images = append(images, fmt.Sprint(c.(map[string]any)["image"]))
			}
			if strings.Join(images, " ") != tt.want {
				t.Errorf("got %v by %v, want %s", images, rules, tt.want)
			}
		})
	}
	_, _, err := apply(t, nil, thing("{l: [{image: a}]}"), with(""))
	if !errors.Is(err, facts.ErrMissing) || !strings.Contains(err.Error(), "Provider p is not known") {
		t.Errorf("without the Provider: %v", err)
	}
}

func TestExempt(t *testing.T) {
	const config = "apiVersion: config.gatekeeper.sh/v1alpha1\nkind: Config\nmetadata: {name: config, namespace: gk}\nspec: {match: [{processes: [PROCESS], excludedNamespaces: [PATTERN]}]}\n"
	excluding := func(process, pattern string) string {
		return strings.NewReplacer("PROCESS", process, "PATTERN", "'"+pattern+"'").Replace(config)
	}
	label := mutator("AssignMetadata", "a", "location: metadata.labels.x, parameters: {assign: {value: w}}")
	for _, tt := range []struct {
		name, config, object string
		want                 bool
	}{
		{"its namespace", excluding("mutation-webhook", "sh*"), thing("{}"), false},
		{"its namespace, from everything", excluding("'*'", "shop"), thing("{}"), false},
		{"from something else", excluding("audit", "shop"), thing("{}"), true},
		{"another namespace", excluding("'*'", "prod"), thing("{}"), true},
		{"a Namespace", excluding("'*'", "shop"), "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n", false},
		{"no namespace", excluding("'*'", "shop"), "apiVersion: v1\nkind: Node\nmetadata: {name: shop}\n", true},
		{"no namespace, but everything", excluding("'*'", "*"), "apiVersion: v1\nkind: Node\nmetadata: {name: shop}\n", false},
		{"where Gatekeeper is", excluding("'*'", "prod"), "apiVersion: v1\nkind: Thing\nmetadata: {name: web, namespace: gk}\n", false},
		{"a Namespace with the label", label, "apiVersion: v1\nkind: Namespace\nmetadata: {name: other, labels: {admission.gatekeeper.sh/ignore: ''}}\n", false},
		{"in a namespace with the label", label, "apiVersion: v1\nkind: Thing\nmetadata: {name: web, namespace: ignored}\n", false},
		{"a kind of Gatekeeper", label, "apiVersion: expansion.gatekeeper.sh/v1\nkind: ExpansionTemplate\nmetadata: {name: web}\n", false},
		{"a webhook", label, "apiVersion: admissionregistration.k8s.io/v1\nkind: MutatingWebhookConfiguration\nmetadata: {name: web}\n", false},
	} {
		known := facts.New()
		known.AddResources(parse(t, "apiVersion: v1\nkind: Namespace\nmetadata: {name: ignored, labels: {admission.gatekeeper.sh/ignore: 'yes'}}\n")...)
		docs := []string{label}
		if tt.config != label {
			docs = append(docs, tt.config)
		}
		_, rules, err := apply(t, known, tt.object, docs...)
		if err != nil {
			t.Fatal(err)
		}
		if is := len(rules) > 0; is != tt.want {
			t.Errorf("%s: changed %t", tt.name, is)
		}
		// A Config among the facts says the same.
		known.AddResources(parse(t, "apiVersion: config.gatekeeper.sh/v1alpha1\nkind: Config\nmetadata: {name: other}\nspec: {match: [{processes: ['*'], excludedNamespaces: ['*']}]}\n")...)
		if tt.config != label {
			known.AddResources(parse(t, tt.config)...)
		}
		if _, rules, err = apply(t, known, tt.object, label); err != nil {
			t.Fatal(err)
		}
		if is := len(rules) > 0; is != tt.want {
			t.Errorf("%s, by the facts: changed %t", tt.name, is)
		}
	}
}

func TestCompileFaults(t *testing.T) {
	image := func(parameters string) string {
		return mutator("AssignImage", "a", things+`, location: "spec.l[name: *].image", parameters: {`+parameters+"}")
	}
	for _, tt := range []struct{ doc, want string }{
		{strings.Replace(assign("a", "spec.x", "1"), "/v1\n", "/v2\n", 1), `in.yaml:1: Assign/a at apiVersion: there is no version "v2" of Assign; expected mutations.gatekeeper.sh/v1`},
		{mutator("Assigns", "a", ""), "mutations.gatekeeper.sh has no kind Assigns; expected Assign, AssignMetadata, ModifySet or AssignImage"},
		{assign("a", "spec.x", "1", "pathTest: []"), `spec.parameters.pathTest: unknown field "pathTest"; did you mean "pathTests"?`},
		{mutator("Assign", "a", "location: spec.x, parameters: {assign: {value: 1}}"), "spec.applyTo: expected the kinds"},
		{mutator("Assign", "a", "applyTo: [{versions: [v1], kinds: [Thing]}], location: spec.x, parameters: {assign: {value: 1}}"), "spec.applyTo[0]: expected groups"},
		{strings.Replace(assign("a", "spec.x", "1"), "[Thing]", "[Thing], operations: [CREATE, CREATE]", 1), "operations[1]: CREATE is there twice"},
		{strings.Replace(assign("a", "spec.x", "1"), "[Thing]", "[Thing], operations: [CREATE, '*']", 1), "operations: * stands for all operations"},
		{strings.Replace(assign("a", "spec.x", "1"), "[Thing]", "[Thing], operations: [CONNECT]", 1), `operations[0]: expected CREATE, UPDATE or *, found "CONNECT"`},
		{mutator("Assign", "a", things+", parameters: {assign: {value: 1}}"), "spec.location: expected the place of a field"},
		{assign("a", "spec.x[", "1"), `spec.location: "spec.x[" at character 8: expected the name of a key field, found the end`},
		{assign("a", "metadata.labels.x", "1"), "spec.location: Assign does not change metadata; use AssignMetadata"},
		{assign("a", "spec.l[name: a].name", "b"), "spec.location: name is the key by which the elements of the list are found"},
		{assign("a", "spec.l[name: *]", "{name: b}"), "spec.location: it ends in all elements of a list"},
		{assign("a", "spec.l[name: a]", "text"), "spec.parameters.assign.value: an element of the list is a map with its key name"},
		{assign("a", "spec.l[name: a]", "{name: b}"), "spec.parameters.assign.value: expected name: a in it, as in the location"},
		{assign("a", "spec.l[port: 80]", "{port: 80}"), "spec.parameters.assign.value.port: Gatekeeper refuses this: it reads an integer in a value as a float"},
		{mutator("Assign", "a", things+`, location: "spec.l[name: a]", parameters: {assign: {fromMetadata: {field: name}}}`), "an element of a list is assigned as a whole"},
		{mutator("Assign", "a", things+", location: spec.x, parameters: {assign: {}}"), "spec.parameters.assign: expected one of value, fromMetadata and externalData, found 0"},
		{assign("a", "spec.x", "null"), "found 0"},
		{mutator("Assign", "a", things+", location: spec.x, parameters: {assign: {fromMetadata: {field: uid}}}"), `fromMetadata.field: expected name or namespace, found "uid"`},
		{mutator("Assign", "a", things+", location: spec.x, parameters: {assign: {fromMetadata: {}}}"), "fromMetadata: expected a field: name or namespace"},
		{mutator("Assign", "a", things+", location: spec.x, parameters: {assign: {externalData: {}}}"), "externalData: expected a provider"},
		{mutator("Assign", "a", things+", location: spec.x, parameters: {assign: {externalData: {provider: p, failurePolicy: UseDefault}}}"), "externalData: failurePolicy: UseDefault needs a default"},
		{assign("a", "spec.x.w", "1", tests(test("spec.z", must))), "spec.parameters.pathTests: subPath spec.z is not the beginning of the location spec.x.w"},
		{assign("a", "spec.x.w", "1", tests(test("spec.x.w.z", must))), "is not the beginning"},
		{assign("a", "spec.x.w", "1", tests(test("spec.x", must), test("spec.x", never))), "spec.x is under both MustExist and MustNotExist"},
		// A quirk of Gatekeeper: it compares places in the list, not depths.
		{assign("a", "spec.x.w", "1", tests(test("spec.x.w", never), test("spec.x", must))), "expected those with MustExist first: Gatekeeper refuses one that comes after a MustNotExist"},
		{assign("a", "spec.x.w", "1", tests(test("spec..x", must))), `pathTests[0].subPath: "spec..x" at character 6: expected a field name`},
		{assign("a", "spec.x.w", "1", "pathTests: [{subPath: spec.x}]"), "pathTests[0]: expected a condition"},
		{mutator("Assign", strings.Repeat("a", 64), things+", location: spec.x, parameters: {assign: {value: 1}}"), "metadata.name: a name of 64 characters; expected at most 63"},
		{strings.Replace(assign("a", "spec.x", "1"), things, things+", match: {namespaces: [a, 'b*c']}", 1), "spec.match.namespaces[1]: expected lower-case letters"},
		{strings.Replace(assign("a", "spec.x", "1"), things, things+", match: {labelSelector: {matchExpressions: [{key: a, operator: Is}]}}", 1), "spec.match.labelSelector.matchExpressions[0].operator"},
		{strings.Replace(assign("a", "spec.x", "1"), things, things+", match: {source: Other}", 1), `spec.match.source: expected All, Generated or Original, found "Other"`},

		{mutator("AssignMetadata", "a", things+", location: metadata.labels.x, parameters: {assign: {value: w}}"), `unknown field "applyTo"`},
		{mutator("AssignMetadata", "a", "location: metadata.name, parameters: {assign: {value: w}}"), "spec.location: expected metadata.labels.KEY or metadata.annotations.KEY, found metadata.name"},
		{mutator("AssignMetadata", "a", "location: metadata.labels.example.com, parameters: {assign: {value: w}}"), "quote a key with dots or slashes"},
		{mutator("AssignMetadata", "a", "location: metadata.labels.x, parameters: {assign: {value: 1}}"), "labels and annotations are strings"},
		{mutator("AssignMetadata", "a", "location: metadata.labels.x, parameters: {assign: {externalData: {provider: p}}}"), "AssignMetadata takes dataSource: Username alone"},

		{set("a", "spec.l[name: a]", "[1]"), "spec.location: a set is a list without keys"},
		{set("a", "metadata.finalizers", "[a]"), "ModifySet does not change metadata"},
		{set("a", "spec.l", "[]"), "spec.parameters.values.fromList: expected a list of values"},
		{set("a", "spec.l", "[a]", "operation: add"), `spec.parameters.operation: expected merge or prune, found "add"`},

		{image(""), "spec.parameters: expected assignDomain, assignPath or assignTag"},
		{image("assignTag: v1"), "spec.parameters.assignTag: expected a tag with its colon"},
		{strings.Replace(image(`assignTag: ":1"`), ".image", "", 1), "an image is a text: expected a field at the end"},
		{strings.Replace(image(`assignTag: ":1"`), "v1alpha1", "v1", 1), `there is no version "v1" of AssignImage; expected mutations.gatekeeper.sh/v1alpha1`},

		{assign("a", "spec.x", "1") + "---\n" + strings.Replace(assign("a", "spec.x", "1"), "/v1\n", "/v1beta1\n", 1), "in.yaml:6: Assign/a: Assign a is there twice; the other one is at in.yaml:1"},
		{"apiVersion: config.gatekeeper.sh/v1alpha1\nkind: Config\nmetadata: {name: other, namespace: gatekeeper-system}\n", `metadata.name: Gatekeeper reads the Config with the name config alone, found "other"`},
		{"apiVersion: config.gatekeeper.sh/v1alpha1\nkind: Config\nmetadata: {name: config}\nspec: {match: [{processes: [mutation], excludedNamespaces: ['A']}]}\n", `spec.match[0].processes[0]: expected *, mutation-webhook, webhook, audit, sync, found "mutation"`},
	} {
		docs := parse(t, tt.doc)
		_, err := gatekeeper.Language.Compile(docs)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s\ngot  %v\nwant %s", tt.doc, err, tt.want)
			continue
		}
		var fault *policy.Error
		if !errors.As(err, &fault) {
			t.Errorf("%T is no *policy.Error", err)
		}
	}
}

// TestNotices: what changes no manifest is told, and is no fault.
func TestNotices(t *testing.T) {
	docs := parse(t, mutator("AssignMetadata", "generated", "match: {source: Generated}, location: metadata.labels.x, parameters: {assign: {value: w}}")+
		"---\napiVersion: templates.gatekeeper.sh/v1\nkind: ConstraintTemplate\nmetadata: {name: t}\n"+
		"---\napiVersion: constraints.gatekeeper.sh/v1beta1\nkind: Labels\nmetadata: {name: c}\n")
	s, err := gatekeeper.Language.Compile(docs)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, n := range s.Notices {
		got[n.Policy.ID.Name] = n.Message
	}
	want := []string{"c", "generated", "t"}
	if d := cmp.Diff(want, slices.Sorted(maps.Keys(got))); d != "" {
		t.Errorf("notices (-want +got)\n%s", d)
	}
}

// FuzzCompile looks for documents that compiling, vetting or applying does not
// come back from.
func FuzzCompile(f *testing.F) {
	for _, doc := range []string{
		assign("a", "spec.l[name: *].x", "{a: [1, null]}", tests(test("spec.l", must))),
		set("a", "spec.l", "[1, a, {b: c}]", "operation: prune"),
		mutator("AssignImage", "a", things+`, location: "spec.l[name: a].image", parameters: {assignTag: ":1"}`),
		mutator("AssignMetadata", "a", "match: {name: 'w*', labelSelector: {matchLabels: {a: b}}}, location: metadata.labels.x, parameters: {assign: {fromMetadata: {field: name}}}"),
		mutator("Assign", "a", things+", location: spec.x, parameters: {assign: {externalData: {provider: p, failurePolicy: Ignore}}}"),
		"apiVersion: config.gatekeeper.sh/v1alpha1\nkind: Config\nmetadata: {name: config}\nspec: {match: [{processes: ['*'], excludedNamespaces: [a]}]}\n",
	} {
		f.Add(doc)
	}
	r := parse(f, thing("{l: [{name: a, image: web}, 7], x: text}"))[0]
	object, err := r.Object()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		docs, err := resource.Parse("fuzz.yaml", []byte(text))
		if err != nil {
			return
		}
		docs = slices.DeleteFunc(docs, func(d *resource.Resource) bool { return !gatekeeper.Language.Claims(d.ID().Kind) })
		gatekeeper.Language.Vet(docs)
		s, err := gatekeeper.Language.Compile(docs)
		if err != nil {
			return
		}
		for _, p := range s.Programs {
			if _, err := p.Apply(t.Context(), policy.Input{ID: r.ID(), Object: object, Facts: facts.New(), Digests: digest.Off{}}); err != nil {
				t.Error(err)
			}
		}
	})
}
