package differential

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	policiesv1beta1 "github.com/kyverno/api/api/policies.kyverno.io/v1beta1"
	celengine "github.com/kyverno/kyverno/pkg/cel/engine"
	"github.com/kyverno/kyverno/pkg/cel/libs"
	"github.com/kyverno/kyverno/pkg/cel/matching"
	mpolcompiler "github.com/kyverno/kyverno/pkg/cel/policies/mpol/compiler"
	mpolengine "github.com/kyverno/kyverno/pkg/cel/policies/mpol/engine"
	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/client-go/applyconfigurations"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/oneloop-dev/oneloop/pkg/digest"
	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/patch/apply"
	"github.com/oneloop-dev/oneloop/pkg/pipeline"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyvernocel"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// A mutated is what MutatingPolicies did to a resource: what each of them ended
// as, "" where it did not match, and the object.
type mutated struct {
	statuses []string
	messages []string
	object   map[string]any
	changed  bool
}

// schemas are those of client-go.
type schemas struct{ managedfields.TypeConverter }

// GetTypeConverter implements TypeConverterManager.
func (s schemas) GetTypeConverter(schema.GroupVersionKind) managedfields.TypeConverter {
	return s.TypeConverter
}

var typeConverter = applyconfigurations.NewTypeConverter(scheme.Scheme)

// kyvernoMutating runs a sample with Kyverno's engine. The error is that of a
// policy that it refuses.
func kyvernoMutating(s *sample) (*mutated, error) {
	world := libs.NewFakeContextProvider()
	libs.LibraryContext = world
	var policies []policiesv1beta1.MutatingPolicyLike
	for _, p := range s.Policies {
		out := &policiesv1beta1.MutatingPolicy{}
		if err := json.Unmarshal([]byte(jsonText(p)), out); err != nil {
			return nil, err
		}
		policies = append(policies, out)
	}
	var exceptions []*policiesv1beta1.PolicyException
	for _, e := range s.Exceptions {
		out := &policiesv1beta1.PolicyException{}
		if err := json.Unmarshal([]byte(jsonText(e)), out); err != nil {
			return nil, err
		}
		exceptions = append(exceptions, out)
	}
	provider, err := mpolengine.NewProvider(mpolcompiler.NewCompiler(), policies, exceptions, world)
	if err != nil {
		return nil, err
	}
	namespace := func(name string) *corev1.Namespace {
		out := &corev1.Namespace{}
		it := s.Namespace
		if s.Resource["kind"] == "Namespace" && s.Operation == "UPDATE" {
			it = s.Resource
		}
		if it == nil || json.Unmarshal([]byte(jsonText(it)), out) != nil {
			return nil
		}
		return out
	}
	engine := mpolengine.NewEngine(provider, namespace, matching.NewMatcher(), schemas{typeConverter}, world)
	// What the API server sends to a webhook.
	sent, err := apply.BuiltIn().Shown(resource.IDOf(s.Resource).Kind, decoded(s.Resource))
	if err != nil {
		return nil, err
	}
	object := &unstructured.Unstructured{Object: sent}
	gvk := object.GroupVersionKind()
	gvr := gvk.GroupVersion().WithResource(resource.Plural(gvk.Kind))
	requested := object.GetNamespace()
	if gvk.Kind == "Namespace" {
		requested = object.GetName() // so does the API server
	}
	var old runtime.Object
	if s.Operation == "UPDATE" {
		old = object.DeepCopy()
	}
	request := celengine.Request(world, gvk, gvr, "", object.GetName(), requested, admissionv1.Operation(s.Operation),
		authenticationv1.UserInfo{Username: s.User, Groups: []string{"system:authenticated"}}, object, old, false, nil)
	response, err := engine.Handle(context.Background(), request, nil)
	if err != nil {
		return nil, err
	}
	out := &mutated{object: sent, statuses: make([]string, len(s.Policies)), messages: make([]string, len(s.Policies))}
	if response.PatchedResource != nil {
		out.object, out.changed = response.PatchedResource.Object, !resource.Equal(sent, response.PatchedResource.Object)
	}
	for _, r := range response.Policies {
		i := slices.IndexFunc(s.Policies, func(p map[string]any) bool { return nameOf(p) == r.Policy.GetName() })
		for _, rule := range r.Rules {
			out.statuses[i] += string(rule.Status())
			out.messages[i] += rule.Message()
		}
	}
	return out, nil
}

// oneloopMutating runs a sample with oneloop.
func oneloopMutating(s *sample) (*mutated, error) {
	docs, err := parse("policy.yaml", slices.Concat(s.Policies, s.Exceptions)...)
	if err != nil {
		return nil, err
	}
	set, err := pipeline.Compile([]policy.Language{kyvernocel.Language}, docs)
	if err != nil {
		return nil, err
	}
	known := facts.New()
	if s.Namespace != nil {
		objects, err := parse("facts.yaml", s.Namespace)
		if err != nil {
			return nil, err
		}
		known.AddResources(objects...)
	}
	if err := known.Declare(facts.Spec{Operation: s.Operation, UserInfo: &facts.Requester{UserInfo: facts.UserInfo{Username: s.User, Groups: []string{"system:authenticated"}}}}); err != nil {
		return nil, err
	}
	resources, err := parse("resource.yaml", s.Resource)
	if err != nil {
		return nil, err
	}
	result, err := pipeline.Apply(context.Background(), resources, pipeline.Options{Set: set, Facts: known, Digests: digest.None("test"), KeepGoing: true, Workers: 1})
	if err != nil {
		return nil, err
	}
	out := &mutated{statuses: make([]string, len(s.Policies)), messages: make([]string, len(s.Policies))}
	for _, e := range result.Entries {
		i := slices.IndexFunc(s.Policies, func(p map[string]any) bool { return nameOf(p) == e.Policy.ID.Name })
		if e.Outcome == policy.Noticed {
			continue
		}
		out.statuses[i] += e.Outcome.Status()
		out.messages[i] += e.Message
		if e.Err != nil && errors.Is(e.Err, facts.ErrMissing) {
			return nil, e.Err
		}
	}
	out.object, err = result.Resources[0].Object()
	return out, err
}

func jsonText(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// decoded returns a copy with the numbers that Kyverno's API machinery has.
func decoded(v map[string]any) map[string]any {
	rs, err := resource.Parse("resource.yaml", []byte(text(v)))
	if err != nil {
		panic(err)
	}
	o, err := rs[0].Object()
	if err != nil {
		panic(err)
	}
	return runtime.DeepCopyJSON(o)
}

// compareMutating returns the kind of a difference, and the difference; both are
// "" when there is none. pruned tells that Kyverno's engine keeps what the API
// server drops.
func compareMutating(s *sample) (kind, difference string, took *mutated, refused error) {
	theirs, err := kyvernoMutating(s)
	ours, oursErr := oneloopMutating(s)
	if (err == nil) != (oursErr == nil) {
		return "refusal", fmt.Sprintf("Kyverno: %v\noneloop: %v", err, oursErr), nil, nil
	}
	if err != nil {
		return "", "", nil, err
	}
	if slices.ContainsFunc(theirs.messages, func(m string) bool { return strings.Contains(m, "failed to convert original object") }) {
		// An earlier policy added what the kind does not have. In a cluster it
		// depends on how Kyverno groups policies whether the API server drops that
		// in between; oneloop always does.
		return "", "", theirs, nil
	}
	if !reflect.DeepEqual(theirs.statuses, ours.statuses) {
		return "statuses", fmt.Sprintf("Kyverno: %q %q\noneloop: %q %q", theirs.statuses, theirs.messages, ours.statuses, ours.messages), theirs, nil
	}
	id := resource.IDOf(s.Resource)
	want, _, err := apply.BuiltIn().Prune(id.Kind, decoded(s.Resource), decoded(withoutNil(theirs.object).(map[string]any)))
	if err != nil {
		return "prune", err.Error(), theirs, nil
	}
	want, err = apply.BuiltIn().Hidden(id.Kind, decoded(s.Resource), withoutNil(want).(map[string]any))
	if err != nil {
		return "hide", err.Error(), theirs, nil
	}
	if !resource.Equal(want, ours.object) {
		return "object", fmt.Sprintf("Kyverno:\n%s\noneloop:\n%s", text(want), text(ours.object)), theirs, nil
	}
	return "", "", theirs, nil
}

// withoutNil returns v with empty lists in place of lists that are none: so is an
// empty list of an apply configuration.
func withoutNil(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			v[k] = withoutNil(e)
		}
	case []any:
		if v == nil {
			return []any{}
		}
		for i, e := range v {
			v[i] = withoutNil(e)
		}
	}
	return v
}

func TestMutatingPoliciesEqualKyverno(t *testing.T) {
	start := time.Now()
	counts := map[string]int{}
	reasons := map[string]int{}
	for i := 0; ; i++ {
		if *one >= 0 {
			i = *one
		} else if *campaign > 0 && time.Since(start) > *campaign || *campaign == 0 && i >= *samples {
			break
		}
		g := &generator{Rand: rand.New(rand.NewPCG(*seed, uint64(i)))}
		s := g.mutatingSample()
		kind, difference, took, refused := compareMutating(s)
		counts["samples"]++
		counts["policies"] += len(s.Policies)
		if refused != nil {
			counts["refused by both"]++
			reasons[lastLine(refused)]++
		}
		if took != nil {
			for _, status := range took.statuses {
				counts["status "+status]++
			}
			if took.changed {
				counts["changed"]++
			}
			for j, m := range took.messages {
				if took.statuses[j] == "error" {
					reasons[m]++
				}
			}
		}
		if *one >= 0 {
			t.Logf("%s\n%s\n%s", s, kind, difference)
		}
		if difference != "" {
			counts["differences"]++
			t.Errorf("sample %d of seed %d: %s\n%s\n%s", i, *seed, kind, s, difference)
			if counts["differences"] >= *most {
				break
			}
		}
		if *one >= 0 {
			return
		}
	}
	t.Logf("seed %d, %s: %v", *seed, time.Since(start).Round(time.Second), counts)
	if testing.Verbose() {
		for r, n := range reasons {
			t.Logf("%5d %s", n, r)
		}
	}
}

func lastLine(err error) string {
	text := err.Error()
	if i := strings.Index(text, "ERROR: "); i >= 0 {
		text = text[i:]
	}
	text, _, _ = strings.Cut(text, "\n")
	return text
}

// Kinds and the resources of rules about them.
var celKinds = map[string][2]string{
	"Pod": {"", "pods"}, "Deployment": {"apps", "deployments"}, "StatefulSet": {"apps", "statefulsets"}, "DaemonSet": {"apps", "daemonsets"},
	"ReplicaSet": {"apps", "replicasets"}, "CronJob": {"batch", "cronjobs"}, "Job": {"batch", "jobs"},
}

// mutatingSample makes one to three policies for a resource.
func (g *generator) mutatingSample() *sample {
	o, _ := g.resource(g.chance(0.7))
	for o["kind"] == "Widget" {
		// The engine knows no such kind, and oneloop merges what it can.
		o, _ = g.resource(g.chance(0.7))
	}
	// Kyverno sees no field that its kind does not have.
	o, _, err := apply.BuiltIn().Prune(resource.IDOf(o).Kind, map[string]any{}, decoded(o))
	if err != nil {
		panic(err)
	}
	meta := o["metadata"].(map[string]any)
	id := resource.IDOf(o)
	s := &sample{Resource: o, Operation: pick(g, "CREATE", "CREATE", "UPDATE"), User: pick(g, "ana", "system:serviceaccount:shop:deployer")}
	if !resource.ClusterScoped(id.Kind) {
		meta["namespace"] = "shop"
		s.Namespace = map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": "shop", "labels": map[string]any{"env": "prod"}}}
	}
	c := &celGenerator{generator: g, object: o}
	for i := range 1 + g.IntN(3) {
		s.Policies = append(s.Policies, c.policy(fmt.Sprintf("p%d", i), id.Kind))
	}
	if g.chance(0.2) {
		e := map[string]any{
			"apiVersion": "policies.kyverno.io/v1", "kind": "PolicyException", "metadata": map[string]any{"name": "e", "namespace": "shop"},
			"spec": map[string]any{"policyRefs": []any{map[string]any{"kind": "MutatingPolicy", "name": "p0"}}},
		}
		spec := e["spec"].(map[string]any)
		g.maybe(spec, 0.7, "matchConditions", func() any { return c.conditions() })
		g.maybe(spec, 0.3, "allowedValues", func() any { return []any{"a", "web"} })
		g.maybe(spec, 0.2, "images", func() any { return []any{"nginx"} })
		g.maybe(spec, 0.3, "reportResult", func() any { return pick(g, "skip", "pass") })
		s.Exceptions = append(s.Exceptions, e)
	}
	return s
}

// A celGenerator makes expressions about an object.
type celGenerator struct {
	*generator
	object    map[string]any
	pods      bool                // the policy is written for Pods
	variables map[string][]string // by what makes their values
	depth     int
}

// variable is one whose value is made by something, "" when there is none.
func (c *celGenerator) variable(of string) string {
	if len(c.variables[of]) == 0 || c.chance(0.5) {
		return ""
	}
	return "variables." + pick(c.generator, c.variables[of]...)
}

func (c *celGenerator) policy(name string, kind resource.Kind) map[string]any {
	g := c.generator
	c.variables = map[string][]string{}
	group, plural := kind.Group, resource.Plural(kind.Kind)
	if known, ok := celKinds[kind.Kind]; ok && known != celKinds["Pod"] && g.chance(0.6) {
		group, plural = "", "pods" // for autogen
	}
	c.pods = plural == "pods"
	version := kind.Version
	if plural == "pods" {
		version = "v1"
	}
	rule := map[string]any{
		"apiGroups": []any{group}, "apiVersions": []any{version}, "resources": []any{plural},
		"operations": pick[any](g, []any{"CREATE", "UPDATE"}, []any{"CREATE", "UPDATE"}, []any{"*"}, []any{"CREATE"}),
	}
	if g.chance(0.1) {
		rule["resources"] = pick[any](g, []any{"*"}, []any{"*/*"}, []any{plural, "services"}, []any{plural + "/status"})
	}
	if g.chance(0.1) {
		rule["apiVersions"] = pick[any](g, []any{"*"}, []any{"v1", "v2"}, []any{"v1beta1"})
	}
	g.maybe(rule, 0.05, "resourceNames", func() any { return []any{pick(g, g.name(), nameOf(c.object))} })
	g.maybe(rule, 0.1, "scope", func() any { return pick(g, "*", "Namespaced", "Cluster") })
	match := map[string]any{"resourceRules": []any{rule}}
	g.maybe(match, 0.1, "objectSelector", func() any {
		return map[string]any{"matchLabels": map[string]any{g.label(): pick(g, "web", "prod")}}
	})
	g.maybe(match, 0.1, "namespaceSelector", func() any {
		return map[string]any{"matchLabels": map[string]any{"env": pick(g, "prod", "prod", "test")}}
	})
	g.maybe(match, 0.05, "excludeResourceRules", func() any {
		return []any{map[string]any{"apiGroups": []any{"*"}, "apiVersions": []any{"*"}, "resources": []any{pick(g, plural, "nodes")}, "operations": []any{"*"}, "resourceNames": []any{pick(g, "a", nameOf(c.object))}}}
	})
	spec := map[string]any{"matchConstraints": match}
	g.maybe(spec, 0.6, "variables", func() any {
		out := []any{}
		for i := range 1 + g.IntN(3) {
			name := fmt.Sprintf("v%d", i)
			of := pick(g, "text", "text", "number", "texts", "any", "patch")
			out = append(out, map[string]any{"name": name, "expression": map[string]func() string{
				"text": c.text, "number": c.number, "texts": c.texts, "any": c.any, "patch": c.operations,
			}[of]()})
			c.variables[of] = append(c.variables[of], name)
		}
		return out
	})
	g.maybe(spec, 0.4, "matchConditions", func() any { return c.conditions() })
	g.maybe(spec, 0.2, "failurePolicy", func() any { return pick(g, "Fail", "Ignore") })
	g.maybe(spec, 0.1, "autogen", func() any {
		return map[string]any{"podControllers": map[string]any{"controllers": pick[any](g, []any{}, []any{"deployments", "cronjobs"}, []any{"jobs"}, []any{"nothing"})}}
	})
	if g.chance(0.1) {
		spec["evaluation"] = map[string]any{"useServerSideApply": true}
	}
	if g.chance(0.1) {
		spec["auditAnnotations"] = []any{map[string]any{"key": "a", "valueExpression": pick(g, "string("+c.text()+")", "string("+c.text()+")", c.text())}}
	}
	mutations := []any{}
	for range 1 + g.IntN(3) {
		if g.chance(0.5) {
			mutations = append(mutations, map[string]any{"patchType": "JSONPatch", "jsonPatch": map[string]any{"expression": c.jsonPatch()}})
		} else {
			mutations = append(mutations, map[string]any{"patchType": "ApplyConfiguration", "applyConfiguration": map[string]any{"expression": c.configuration()}})
		}
	}
	spec["mutations"] = mutations
	return map[string]any{"apiVersion": "policies.kyverno.io/v1", "kind": "MutatingPolicy", "metadata": map[string]any{"name": name}, "spec": spec}
}

func (c *celGenerator) conditions() any {
	out := []any{}
	for i := range 1 + c.IntN(2) {
		out = append(out, map[string]any{"name": fmt.Sprintf("c%d", i), "expression": c.condition()})
	}
	return out
}

// below makes an expression unless it is nested too deep.
func (c *celGenerator) below(otherwise string, do func() string) string {
	if c.depth > 3 {
		return otherwise
	}
	c.depth++
	defer func() { c.depth-- }()
	return do()
}

// podPath is where the pod specification is thought to be.
func (c *celGenerator) podPath() string {
	own := "object.spec"
	if !c.pods {
		own = map[string]string{"Pod": "object.spec", "CronJob": "object.spec.jobTemplate.spec.template.spec"}[fmt.Sprint(c.object["kind"])]
		if own == "" {
			own = "object.spec.template.spec"
		}
	}
	if c.chance(0.9) {
		return own
	}
	return pick(c.generator, "object.spec", "object.spec.template.spec", "object.spec.jobTemplate.spec.template.spec", "oldObject.spec", "request.object.spec")
}

func (c *celGenerator) condition() string {
	return c.below("true", func() string {
		g := c.generator
		switch g.IntN(12) {
		case 0:
			return "has(" + pick(g, "object.metadata.labels", "object.metadata.annotations", "object.spec.replicas", c.podPath()+".containers", c.podPath()+".nodeSelector", "namespaceObject.metadata.labels", "request.namespace", "oldObject.metadata") + ")"
		case 1:
			return "!(" + c.condition() + ")"
		case 2:
			return "(" + c.condition() + pick(g, " && ", " || ") + c.condition() + ")"
		case 3, 4:
			return c.text() + pick(g, " == ", " != ", " == ", " < ") + c.text()
		case 5:
			return c.number() + pick(g, " == ", " > ", " <= ") + c.number()
		case 6:
			return c.text() + pick(g, ".startsWith(", ".contains(", ".matches(") + c.text() + ")"
		case 7:
			return c.podPath() + ".containers" + pick(g, ".exists(c, ", ".all(c, ") + pick(g, `c.name == "a"`, `c.image.startsWith("nginx")`, `has(c.env)`, `!has(c.securityContext) || c.?securityContext.?runAsNonRoot.orValue(false)`) + ")"
		case 8:
			return c.text() + " in " + c.texts()
		case 9:
			return "request.operation == " + pick(g, `"CREATE"`, `"UPDATE"`)
		case 10:
			return "namespaceObject.metadata.labels.env == " + pick(g, `"prod"`, `"test"`)
		}
		return pick(g, "true", "true", "exceptions.allowedValues.size() == 0", "object.kind == request.kind.kind", "object == request.object", "variables != null")
	})
}

func (c *celGenerator) number() string {
	return c.below("1", func() string {
		g := c.generator
		switch g.IntN(8) {
		case 0, 1:
			return fmt.Sprint(g.IntN(5))
		case 2:
			return "size(" + c.texts() + ")"
		case 3:
			return c.text() + ".size()"
		case 4:
			return "size(" + c.podPath() + ".containers)"
		case 5:
			return "int(object.spec.?replicas.orValue(" + fmt.Sprint(g.IntN(4)) + "))"
		case 6:
			return "(" + c.number() + pick(g, " + ", " - ", " * ", " / ", " % ") + c.number() + ")"
		}
		return "math.greatest(" + c.number() + ", " + c.number() + ")"
	})
}

func (c *celGenerator) quoted() string { return fmt.Sprintf("%q", c.datum()) }

func (c *celGenerator) text() string {
	return c.below(c.quoted(), func() string {
		g := c.generator
		switch g.IntN(24) {
		case 0, 1:
			return c.quoted()
		case 2, 3:
			return pick(g, "object.metadata.name", "object.kind", "object.apiVersion", "request.name", "request.namespace", "request.userInfo.username", "namespaceObject.metadata.name", "oldObject.metadata.name")
		case 4, 5:
			return fmt.Sprintf("object.metadata.?%s[?%q].orValue(%s)", pick(g, "labels", "annotations"), pick(g, g.label(), "note", "x"), c.text())
		case 6:
			return fmt.Sprintf("object.metadata.%s[%q]", pick(g, "labels", "annotations"), pick(g, g.label(), "note", "x"))
		case 7:
			return pick(g, "sha256(", "md5(", "hash.sha1(") + c.text() + ")"
		case 8:
			return "json.marshal(" + c.any() + ")"
		case 9:
			return "string(" + c.number() + ")"
		case 10:
			return "(" + c.condition() + " ? " + c.text() + " : " + c.text() + ")"
		case 11:
			return "(" + c.text() + " + " + c.text() + ")"
		case 12:
			return c.text() + pick(g, ".lowerAscii()", ".upperAscii()", ".trim()", `.replace("a", "b")`, ".substring(1)", ".charAt(0)", `.split(",")[0]`)
		case 13:
			return c.texts() + ".join(" + c.quoted() + ")"
		case 14:
			return c.podPath() + ".containers[" + fmt.Sprint(g.IntN(2)) + "]." + pick(g, "name", "image")
		case 15:
			return "base64.encode(bytes(" + c.text() + "))"
		case 16:
			return "parseServiceAccount(request.userInfo.username)." + pick(g, "Name", "Namespace")
		case 17:
			return "cel.bind(x, " + c.text() + ", x + x)"
		case 18:
			return "regex.replace(" + c.text() + `, "[a-c]", "x")`
		case 19:
			if v := c.variable("number"); v != "" {
				return "string(" + v + ")"
			}
		case 21:
			if v := c.variable("text"); v != "" {
				return v
			}
		case 20:
			return "gzip.decompress(gzip.compress(" + c.text() + "))"
		}
		return pick(g, `time.toCron(timestamp("2024-02-03T04:05:06Z"))`, `string(duration("90s"))`, `image("nginx:1.25").tag()`, `dyn(yaml.parse("a: b")).a`, `string(quantity("1Gi").asInteger())`)
	})
}

func (c *celGenerator) texts() string {
	return c.below(`["a"]`, func() string {
		g := c.generator
		switch g.IntN(6) {
		case 0:
			return "[" + c.text() + ", " + c.text() + "]"
		case 1:
			return c.podPath() + ".containers.map(c, c.name)"
		case 2:
			return "object.metadata.?labels.orValue({}).map(k, k).sort()" // their order is left to chance
		case 3:
			return c.podPath() + ".?volumes.orValue([]).filter(v, has(v.emptyDir)).map(v, v.name)"
		case 4:
			return c.text() + `.split(",")`
		}
		return "exceptions.allowedValues"
	})
}

func (c *celGenerator) any() string {
	return c.below("null", func() string {
		g := c.generator
		switch g.IntN(12) {
		case 0, 1:
			return c.text()
		case 2:
			return c.number()
		case 3:
			return c.condition()
		case 4:
			return c.texts()
		case 5:
			return fmt.Sprintf("{%q: %s}", g.name(), c.text())
		case 6:
			return pick(g, "object.metadata", "object.metadata.labels", "object.spec", c.podPath()+".containers", "null", "1.5", "object")
		case 7:
			return "json.unmarshal(" + pick(g, `'{"a":[1,2.5,null]}'`, c.text()) + ")"
		case 8:
			if v := c.variable("any"); v != "" {
				return v
			}
		case 9:
			return "listObjToMap(" + c.podPath() + ".containers, " + c.podPath() + `.containers, "name", "image")`
		case 10:
			return "[JSONPatch{op: \"add\", path: \"/metadata/labels/v\", value: " + c.text() + "}]"
		}
		return "Object.metadata{labels: {" + c.quoted() + ": " + c.text() + "}}"
	})
}

// paths lists JSON pointers into an object.
func paths(v any, prefix string, out *[]string) {
	*out = append(*out, prefix)
	switch v := v.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps2(v)) {
			paths(v[k], prefix+"/"+strings.NewReplacer("~", "~0", "/", "~1").Replace(k), out)
		}
	case []any:
		for i, e := range v {
			paths(e, fmt.Sprintf("%s/%d", prefix, i), out)
		}
	}
}

func maps2(m map[string]any) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func (c *celGenerator) path() string {
	g := c.generator
	var all []string
	paths(c.object, "", &all)
	all = slices.DeleteFunc(all, func(p string) bool {
		return p == "" || p == "/metadata" || p == "/metadata/name" || p == "/metadata/namespace" || p == "/kind" || p == "/apiVersion"
	})
	if len(all) == 0 || g.chance(0.2) {
		return pick(g, "/metadata/labels/x", "/metadata/annotations/a~1b", "/metadata/annotations", "/metadata/labels", "/spec/containers/-", "/spec/containers/0/env", "/spec/containers/-1/image", "/spec/replicas", "/data/k", "/spec/nope/x", "/spec/template/metadata/labels/z", "/x")
	}
	return pick(g, all...)
}

func (c *celGenerator) jsonPatch() string {
	g := c.generator
	if v := c.variable("patch"); v != "" {
		return v
	}
	list := c.operations()
	if g.chance(0.2) {
		return c.condition() + " ? " + list + " : []"
	}
	return list
}

func (c *celGenerator) operations() string {
	g := c.generator
	if g.chance(0.15) {
		return c.podPath() + `.containers.map(c, JSONPatch{op: "add", path: "/metadata/annotations/" + jsonpatch.escapeKey(c.image), value: c.name})`
	}
	var ops []string
	for range 1 + g.IntN(3) {
		fields := []string{"op: " + pick(g, `"add"`, `"add"`, `"add"`, `"replace"`, `"remove"`, `"copy"`, `"move"`, `"test"`), fmt.Sprintf("path: %q", c.path())}
		if strings.Contains(fields[0], "copy") || strings.Contains(fields[0], "move") {
			fields = append(fields, fmt.Sprintf("from: %q", c.path()))
		} else if !strings.Contains(fields[0], "remove") {
			fields = append(fields, "value: "+c.any())
		}
		ops = append(ops, "JSONPatch{"+strings.Join(fields, ", ")+"}")
	}
	return "[" + strings.Join(ops, ", ") + "]"
}

func (c *celGenerator) configuration() string {
	g := c.generator
	fields := func(path string, f ...string) string { return path + "{" + strings.Join(f, ", ") + "}" }
	labels := func() string { return "{" + fmt.Sprintf("%q: %s", g.label(), c.text()) + "}" }
	metadata := func(path string) string {
		switch g.IntN(4) {
		case 0:
			return "metadata: " + fields(path+".metadata", "labels: "+labels(), "annotations: "+labels())
		case 1:
			return "metadata: " + fields(path+".metadata", "labels: "+fields(path+".metadata.labels", pick(g, "app", "env")+": "+c.text()))
		case 2:
			return "metadata: " + fields(path+".metadata", "?annotations: "+pick(g, "optional.none()", "optional.of("+labels()+")"))
		}
		return "metadata: " + fields(path+".metadata", "labels: "+pick(g, "object.metadata.?labels.orValue({})", c.any()))
	}
	pod := func(path string) []string {
		in := strings.ToLower(path[:1]) + path[1:]
		containers := pick(g, path+".containers", path+".containers", path+".containers", "Object.spec.containers", path+".containers.item")
		var out []string
		if g.chance(0.5) {
			out = append(out, fmt.Sprintf("containers: %s.containers.map(c, %s{name: c.name, %s})", in, containers, pick(g,
				`imagePullPolicy: "Always"`, `image: "x/" + c.image`, `?image: has(c.ports) ? optional.of("b") : optional.none()`,
				fmt.Sprintf(`env: [%s.env{name: "A", value: %s}]`, containers, c.text()), `securityContext: `+containers+`.securityContext{runAsNonRoot: true}`,
				`args: ["a"]`, `resources: `+containers+`.resources{limits: {"memory": "1Gi"}}`, `nope: 1`, `image: 5`)))
		}
		if g.chance(0.3) {
			out = append(out, pick(g, `dnsPolicy: "Default"`, `hostNetwork: true`, `hostNetwork: "yes"`, `priority: `+c.number(), `nodeSelector: {"a": "b"}`, `tolerations: []`, `volumes: [`+path+`.volumes{name: "v", emptyDir: `+path+`.volumes.emptyDir{}}]`,
				`serviceAccountName: `+c.text(), `imagePullSecrets: [{"name": "a"}]`))
		}
		if g.chance(0.1) {
			out = append(out, `containers: [{"name": "x"}]`)
		}
		return out
	}
	n := g.IntN(7)
	if kind := fmt.Sprint(c.object["kind"]); g.chance(0.7) {
		switch {
		case !c.pods && kind != "Pod" && celKinds[kind] != [2]string{} && kind != "CronJob":
			n = pick(g, 0, 4, 4)
		case celKinds[kind] != [2]string{}:
			n = pick(g, 0, 2, 2)
		default:
			n = pick(g, 0, 0, 5)
		}
	}
	switch n {
	case 0, 1:
		return fields("Object", metadata("Object"))
	case 2, 3:
		return fields("Object", "spec: "+fields("Object.spec", pod("Object.spec")...))
	case 4:
		return fields("Object", "spec: "+fields("Object.spec", "template: "+fields("Object.spec.template", append([]string{metadata("Object.spec.template")}, "spec: "+fields("Object.spec.template.spec", pod("Object.spec.template.spec")...))...)))
	case 5:
		return c.condition() + " ? " + fields("Object", metadata("Object")) + " : Object{}"
	}
	return fields("Object", pick(g, `data: {"a": "b"}`, `spec: Object.spec{replicas: `+c.number()+`}`, `kind: "X"`, `spec: object.spec`, `type: "Opaque"`, `spec: null`))
}
