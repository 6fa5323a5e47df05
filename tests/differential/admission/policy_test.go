package admission

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionregistration "k8s.io/api/admissionregistration/v1"
	core "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	runtimeschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/oneloop-dev/oneloop/pkg/digest"
	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/patch/apply"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/admission"
	"github.com/oneloop-dev/oneloop/pkg/resource"
	"github.com/oneloop-dev/oneloop/tests/differential/admission/server"
)

// world decodes what is around the object.
func (s *sample) world() (*server.World, error) {
	w := &server.World{User: &user.DefaultInfo{Name: "jane", Groups: []string{"dev"}}}
	read := func(object map[string]any, into any) error {
		return runtime.DefaultUnstructuredConverter.FromUnstructured(clone(object), into)
	}
	for _, o := range s.around {
		if o["kind"] == "Namespace" {
			n := new(core.Namespace)
			if err := read(o, n); err != nil {
				return nil, err
			}
			w.Namespaces = append(w.Namespaces, n)
			continue
		}
		c := new(core.ConfigMap)
		if err := read(o, c); err != nil {
			return nil, err
		}
		c.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}
		w.Params = append(w.Params, c)
	}
	for _, o := range s.policies {
		p := new(admissionregistration.MutatingAdmissionPolicy)
		if err := read(o, p); err != nil {
			return nil, err
		}
		p.Spec.MatchConstraints = defaulted(p.Spec.MatchConstraints)
		w.Policies = append(w.Policies, p)
	}
	for _, o := range s.bindings {
		b := new(admissionregistration.MutatingAdmissionPolicyBinding)
		if err := read(o, b); err != nil {
			return nil, err
		}
		if b.Spec.MatchResources != nil {
			b.Spec.MatchResources = defaulted(b.Spec.MatchResources)
		}
		w.Bindings = append(w.Bindings, b)
	}
	return w, nil
}

// defaulted fills in what the API server fills in when it stores constraints.
func defaulted(m *admissionregistration.MatchResources) *admissionregistration.MatchResources {
	equivalent, all := admissionregistration.Equivalent, admissionregistration.AllScopes
	if m.MatchPolicy == nil {
		m.MatchPolicy = &equivalent
	}
	if m.NamespaceSelector == nil {
		m.NamespaceSelector = &metav1.LabelSelector{}
	}
	if m.ObjectSelector == nil {
		m.ObjectSelector = &metav1.LabelSelector{}
	}
	for _, rules := range [][]admissionregistration.NamedRuleWithOperations{m.ResourceRules, m.ExcludeResourceRules} {
		for i := range rules {
			if rules[i].Scope == nil {
				rules[i].Scope = &all
			}
		}
	}
	return m
}

func (s *sample) request() *server.Request {
	return &server.Request{
		Kind:     s.of.gvk(),
		Resource: runtimeschema.GroupVersionResource{Group: s.of.kind.Group, Version: s.of.kind.Version, Resource: s.of.plural},
		Object:   s.object,
	}
}

// errRefused is wrapped by the errors of policies that do not compile.
var errRefused = errors.New("refused")

func parse(docs ...map[string]any) ([]*resource.Resource, error) {
	var out []*resource.Resource
	for _, d := range docs {
		rs, err := resource.Parse("sample.yaml", []byte(text(d)))
		if err != nil {
			return nil, err
		}
		out = append(out, rs...)
	}
	return out, nil
}

// product runs a sample with oneloop.
func product(s *sample) (object map[string]any, denied []string, err error) {
	docs, err := parse(slices.Concat(s.policies, s.bindings)...)
	if err != nil {
		return nil, nil, err
	}
	set, err := admission.Language.Compile(docs)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", errRefused, err)
	}
	around, err := parse(s.around...)
	if err != nil {
		return nil, nil, err
	}
	known := facts.New()
	known.AddResources(around...)
	known.Complete = true
	if err := known.Declare(facts.Spec{UserInfo: &facts.Requester{UserInfo: facts.UserInfo{Username: "jane", Groups: []string{"dev"}}}}); err != nil {
		return nil, nil, err
	}
	// Manifests do not have what Go types always have.
	if object, err = apply.BuiltIn().Hidden(s.of.kind, nil, clone(s.object)); err != nil {
		return nil, nil, err
	}
	for _, p := range set.Programs {
		results, err := p.Apply(context.Background(), policy.Input{
			ID: resource.IDOf(object), Object: object, Requested: object, Facts: known, Digests: digest.None("no images are looked up"),
		})
		if err != nil {
			return nil, nil, err
		}
		for _, r := range results {
			switch r.Outcome {
			case policy.Failed, policy.Denied:
				denied = append(denied, r.Message)
			case policy.Mutated:
				object = r.Object
			}
		}
	}
	if denied != nil {
		return nil, denied, nil
	}
	return object, nil, nil
}

// compareSample runs a sample with both.
func compareSample(s *sample, print bool) (what, difference string) {
	ctx := context.Background()
	if print {
		fmt.Printf("object %s\n", text(s.object))
		for _, o := range slices.Concat(s.around, s.policies, s.bindings) {
			fmt.Printf("%s %s\n", o["kind"], text(o))
		}
	}
	frame := func() string {
		out := "object " + text(s.object)
		for _, o := range slices.Concat(s.around, s.policies, s.bindings) {
			out += "\n" + text(o)
		}
		return out + "\n"
	}
	w, err := s.world()
	if err != nil {
		return "the policies cannot be decoded", frame() + err.Error()
	}
	got, gotDenied, err := product(s)
	if errors.Is(err, errRefused) {
		for _, p := range w.Policies {
			if len(server.Compile(p)) > 0 {
				return compareFaults(w, err, frame)
			}
		}
		return "differs", frame() + "only oneloop refuses: " + err.Error()
	}
	if err != nil {
		return "oneloop fails", frame() + err.Error()
	}
	for _, p := range w.Policies {
		if faults := server.Compile(p); len(faults) > 0 {
			return "differs", frame() + fmt.Sprintf("only the API server refuses: %v", faults)
		}
	}
	for range 20 { // params and the errors of merges come in any order
		var want map[string]any
		var wantDenied []string
		want, wantDenied, err = server.Admit(ctx, w, s.request())
		if errors.Is(err, server.ErrPanic) {
			return "the API server panics", "" // its JSON patch library, in a null
		}
		if err != nil {
			return "the API server fails", frame() + err.Error()
		}
		what, difference = compareOutcomes(s, want, wantDenied, got, gotDenied)
		if print {
			fmt.Printf("API server %s %q\noneloop    %s %q\n", text(want), wantDenied, text(got), gotDenied)
		}
		if difference == "" {
			return what, ""
		}
	}
	// What does not decode is an error in the API server, which failurePolicy
	// Ignore may hide.
	fail := admissionregistration.Fail
	for _, p := range w.Policies {
		p.Spec.FailurePolicy = &fail
	}
	if _, denied, err := server.Admit(ctx, w, s.request()); err == nil && internal.MatchString(strings.Join(denied, "\n")) {
		return "only the API server decodes", ""
	}
	return what, frame() + difference
}

// compareFaults compares what is wrong with policies.
func compareFaults(w *server.World, err error, frame func() string) (what, difference string) {
	for _, p := range w.Policies {
		for _, fault := range server.Compile(p) {
			if !strings.Contains(err.Error(), fault) {
				return "differs", frame() + fmt.Sprintf("the API server refuses with\n%s\noneloop with\n%s", fault, err)
			}
		}
	}
	return "refused", ""
}

var internal = regexp.MustCompile(`Internal error occurred|unable to convert unstructured object|unable to decode|unmarshal`)

func compareOutcomes(s *sample, want map[string]any, wantDenied []string, got map[string]any, gotDenied []string) (what, difference string) {
	switch {
	case wantDenied != nil && internal.MatchString(strings.Join(wantDenied, "\n")):
		if gotDenied != nil {
			return "denied, does not decode", ""
		}
		return "only the API server decodes", ""
	case wantDenied != nil && gotDenied == nil:
		return "differs", fmt.Sprintf("only the API server denies: %q\noneloop gives %s", wantDenied, text(got))
	case wantDenied == nil && gotDenied != nil:
		return "differs", fmt.Sprintf("only oneloop denies: %q", gotDenied)
	case wantDenied != nil:
		// What comes after the first denial depends on what the policy left, of
		// which oneloop keeps nothing.
		a, b := joined(first(wantDenied)), joined(first(gotDenied))
		if a != b {
			return "differs", "denied in other words (-API server +oneloop):\n" + cmp.Diff(a, b)
		}
		return "denied", ""
	}
	got, err := server.Fits(s.of.gvk(), got)
	if err != nil {
		return "differs", "the result of oneloop does not decode: " + err.Error()
	}
	if d := cmp.Diff(settled(clone(want)), settled(clone(got))); d != "" {
		return "differs", "result (-API server +oneloop):\n" + d
	}
	if cmp.Equal(clone(want), s.object) {
		return "unchanged", ""
	}
	return "mutated", ""
}

// settled leaves out what Go types can't tell from nothing: null and empty lists.
func settled(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for key, value := range v {
			if list, ok := value.([]any); value != nil && (!ok || len(list) > 0) {
				out[key] = settled(value)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, value := range v {
			out[i] = settled(value)
		}
		return out
	}
	return v
}

var denial = regexp.MustCompile(`^policy '[^']*' with binding '[^']*' denied request: `)

// first are the messages of the policy and binding that denied first.
func first(messages []string) []string {
	head := denial.FindString(messages[0])
	i := slices.IndexFunc(messages, func(m string) bool { return denial.FindString(m) != head })
	if i < 0 {
		return messages
	}
	return messages[:i]
}

// hint is what oneloop adds to the words of the API server.
var hint = regexp.MustCompile(` \(there is no ConfigMap [^)]*\)`)

// emptyList is how an empty list is printed: in the API server it is a nil slice.
var emptyList = strings.NewReplacer("[]interface {}(nil)", "[]interface {}{}")

// joined are the lines of all messages of a denial, each with its policy and
// binding, sorted. The API server has a message for each mutation that fails.
func joined(messages []string) string {
	var out []string
	for _, m := range messages {
		head := denial.FindString(m)
		rest := emptyList.Replace(hint.ReplaceAllString(strings.TrimPrefix(m, head), ""))
		for line := range strings.Lines(lines(errors.New(rest))) {
			out = append(out, head+strings.TrimSuffix(line, "\n"))
		}
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

// TestPolicies compares what whole policies make of objects: matching, params,
// expressions of all sorts, their errors, failurePolicy and reinvocation. The
// objects are what the API server decodes of them. What only it finds out is how
// values are written: quantities, times, base64, numbers beyond 32 bits.
func TestPolicies(t *testing.T) {
	var targets []target
	for _, s := range builtIn(t) {
		if plural, ok := plurals[s.kind.String()]; ok {
			targets = append(targets, target{s, plural, slices.Contains(clusterScoped, s.kind.Kind)})
		}
	}
	if len(targets) != len(plurals) {
		t.Fatalf("found %d of %d kinds", len(targets), len(plurals))
	}
	run(t, *samples/20, func(r *rand.Rand, print bool) (string, string) {
		of := targets[r.IntN(len(targets))]
		s, ok := newSample(r, of, func(o map[string]any) (map[string]any, error) { return server.Fits(of.gvk(), clone(o)) })
		if !ok {
			return "no object", ""
		}
		return compareSample(s, print)
	})
}
