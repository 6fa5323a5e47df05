package match

import (
	"errors"
	"strings"
	"testing"

	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyvernocel/internal/spec"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

func rule(change func(*spec.ResourceRule)) spec.ResourceRule {
	r := spec.ResourceRule{APIGroups: []string{"apps"}, APIVersions: []string{"v1"}, Resources: []string{"deployments"}, Operations: []string{"CREATE"}}
	change(&r)
	return r
}

func deployment() Subject {
	return Subject{
		Kind: resource.Kind{Group: "apps", Version: "v1", Kind: "Deployment"}, Name: "web", Namespace: "shop", Operation: "CREATE",
		Object: resource.Object{"metadata": map[string]any{"name": "web", "labels": map[string]any{"app": "web"}}},
		Facts:  facts.New(),
	}
}

func compile(t *testing.T, m *spec.MatchResources) *Matcher {
	t.Helper()
	out, faults := Compile("spec.matchConstraints", m)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	return out
}

func TestRules(t *testing.T) {
	same := func(*spec.ResourceRule) {}
	tests := []struct {
		name    string
		rule    func(*spec.ResourceRule)
		subject func(*Subject)
		want    bool
	}{
		{"exact", same, func(*Subject) {}, true},
		{"another version is another resource", same, func(s *Subject) { s.Kind.Version = "v1beta1" }, false},
		{"another group", same, func(s *Subject) { s.Kind.Group = "extensions" }, false},
		{"another operation", same, func(s *Subject) { s.Operation = "UPDATE" }, false},
		{"any", func(r *spec.ResourceRule) {
			r.APIGroups, r.APIVersions, r.Resources, r.Operations = []string{"*"}, []string{"*"}, []string{"*"}, []string{"*"}
		}, func(*Subject) {}, true},
		{"any is no subresource", func(r *spec.ResourceRule) { r.Resources = []string{"*"} }, func(s *Subject) { s.Subresource = "scale" }, false},
		{"any with subresources", func(r *spec.ResourceRule) { r.Resources = []string{"*/*"} }, func(s *Subject) { s.Subresource = "scale" }, true},
		{"a subresource", func(r *spec.ResourceRule) { r.Resources = []string{"deployments/scale"} }, func(s *Subject) { s.Subresource = "scale" }, true},
		{"no subresource", func(r *spec.ResourceRule) { r.Resources = []string{"deployments/scale"} }, func(*Subject) {}, false},
		{"no operations match nothing", func(r *spec.ResourceRule) { r.Operations = nil }, func(*Subject) {}, false},
		{"name", func(r *spec.ResourceRule) { r.ResourceNames = []string{"api", "web"} }, func(*Subject) {}, true},
		{"another name", func(r *spec.ResourceRule) { r.ResourceNames = []string{"we"} }, func(*Subject) {}, false},
		{"the beginning of generateName", func(r *spec.ResourceRule) { r.ResourceNames = []string{"we"} }, func(s *Subject) {
			s.Name, s.Object = "", resource.Object{"metadata": map[string]any{"generateName": "web-"}}
		}, true},
		{"another generateName", func(r *spec.ResourceRule) { r.ResourceNames = []string{"web-x"} }, func(s *Subject) {
			s.Name, s.Object = "", resource.Object{"metadata": map[string]any{"generateName": "web-"}}
		}, false},
		{"namespaced", func(r *spec.ResourceRule) { r.Scope = "Namespaced" }, func(*Subject) {}, true},
		{"not cluster-scoped", func(r *spec.ResourceRule) { r.Scope = "Cluster" }, func(*Subject) {}, false},
		{"cluster-scoped", func(r *spec.ResourceRule) { r.Scope = "Cluster" }, func(s *Subject) { s.Namespace = "" }, true},
		{"not namespaced", func(r *spec.ResourceRule) { r.Scope = "Namespaced" }, func(s *Subject) { s.Namespace = "" }, false},
	}
	for _, tt := range tests {
		s := deployment()
		tt.subject(&s)
		m := compile(t, &spec.MatchResources{ResourceRules: []spec.ResourceRule{rule(tt.rule)}})
		if got, err := m.Matches(s); got != tt.want || err != nil {
			t.Errorf("%s: %t, %v", tt.name, got, err)
		}
		if tt.want && !m.Selects(s.Kind) {
			t.Errorf("%s: matches a kind that it does not select", tt.name)
		}
	}
	excluded := compile(t, &spec.MatchResources{ResourceRules: []spec.ResourceRule{rule(same)}, ExcludeResourceRules: []spec.ResourceRule{rule(func(r *spec.ResourceRule) { r.ResourceNames = []string{"web"} })}})
	if got, err := excluded.Matches(deployment()); got || err != nil {
		t.Errorf("excluded: %t, %v", got, err)
	}
	if excluded.Selects(resource.Kind{Version: "v1", Kind: "Pod"}) {
		t.Error("selects another kind")
	}
}

func TestSelectors(t *testing.T) {
	known := facts.New()
	known.AddObject(resource.Object{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": "shop", "labels": map[string]any{"env": "prod"}}})
	exact := func(k, v string) *spec.LabelSelector {
		return &spec.LabelSelector{MatchLabels: map[string]string{k: v}}
	}
	expression := func(k, operator string, values ...string) *spec.LabelSelector {
		return &spec.LabelSelector{MatchExpressions: []spec.LabelRequirement{{Key: k, Operator: operator, Values: values}}}
	}
	namespace := func(s *Subject) {
		s.Kind, s.Name, s.Namespace = resource.Kind{Version: "v1", Kind: "Namespace"}, "lab", ""
		s.Object = resource.Object{"metadata": map[string]any{"name": "lab", "labels": map[string]any{"env": "prod"}}}
	}
	tests := []struct {
		name              string
		object, namespace *spec.LabelSelector
		subject           func(*Subject)
		want, missing     bool
	}{
		{"object", exact("app", "web"), nil, func(*Subject) {}, true, false},
		{"another object", exact("app", "api"), nil, func(*Subject) {}, false, false},
		// On creation there is no old object that could match in its place.
		{"an object with a label", expression("app", "DoesNotExist"), nil, func(*Subject) {}, false, false},
		{"an object without a label", expression("tier", "NotIn", "a"), nil, func(*Subject) {}, true, false},
		{"empty", &spec.LabelSelector{}, &spec.LabelSelector{}, func(s *Subject) { s.Facts = facts.New() }, true, false},
		{"namespace", nil, exact("env", "prod"), func(*Subject) {}, true, false},
		{"another namespace", nil, exact("env", "test"), func(*Subject) {}, false, false},
		{"by name", nil, expression(nameLabel, "In", "shop"), func(s *Subject) { s.Facts = facts.New() }, true, false},
		{"by another name", nil, expression(nameLabel, "In", "bank"), func(s *Subject) { s.Facts = facts.New() }, false, false},
		{"unknown", nil, exact("env", "prod"), func(s *Subject) { s.Facts = facts.New() }, false, true},
		{"unknown does not matter for others", exact("app", "api"), exact("env", "prod"), func(s *Subject) { s.Facts = facts.New() }, false, false},
		{"cluster-scoped", nil, exact("env", "test"), func(s *Subject) { s.Namespace = "" }, true, false},
		{"a namespace itself", nil, exact("env", "prod"), namespace, true, false},
		{"a namespace by its name", nil, exact(nameLabel, "lab"), namespace, true, false},
		{"another namespace itself", nil, exact("env", "test"), namespace, false, false},
	}
	for _, tt := range tests {
		s := deployment()
		s.Facts = known
		tt.subject(&s)
		any := []string{"*"}
		m := compile(t, &spec.MatchResources{
			ObjectSelector: tt.object, NamespaceSelector: tt.namespace,
			ResourceRules: []spec.ResourceRule{{APIGroups: any, APIVersions: any, Resources: any, Operations: any}},
		})
		got, err := m.Matches(s)
		if got != tt.want || errors.Is(err, facts.ErrMissing) != tt.missing || err != nil && !tt.missing {
			t.Errorf("%s: %t, %v", tt.name, got, err)
		}
	}
}

func TestTargets(t *testing.T) {
	m := compile(t, &spec.MatchResources{ResourceRules: []spec.ResourceRule{
		rule(func(r *spec.ResourceRule) { r.ResourceNames, r.Operations = []string{"a"}, nil }),
		rule(func(r *spec.ResourceRule) { r.ResourceNames = []string{"b"} }),
	}})
	if names, ok := m.Targets(deployment().Kind); !ok || strings.Join(names, " ") != "a b" {
		t.Errorf("%v, %t", names, ok)
	}
	if _, ok := m.Targets(resource.Kind{Version: "v1", Kind: "Pod"}); ok {
		t.Error("another kind is a target")
	}
}

func TestFaults(t *testing.T) {
	_, faults := Compile("spec.matchConstraints", &spec.MatchResources{
		NamespaceSelector: &spec.LabelSelector{MatchLabels: map[string]string{"a b": "c"}},
		ObjectSelector:    &spec.LabelSelector{MatchExpressions: []spec.LabelRequirement{{Key: "a", Operator: "Is"}, {Key: "a", Operator: "In"}}},
		ResourceRules:     []spec.ResourceRule{rule(func(r *spec.ResourceRule) { r.Scope, r.Operations = "All", []string{"create"} })},
	})
	var got []string
	for _, f := range faults {
		got = append(got, f.Path.String())
	}
	want := `namespaceSelector.matchLabels["a b"] objectSelector.matchExpressions[0].operator objectSelector.matchExpressions[1] resourceRules[0].operations resourceRules[0].scope`
	if strings.Join(got, " ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, " "), want)
	}
}
