package constraints_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/policy/internal/constraints"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

type object = map[string]any

func named(apiVersion, kind, namespace, name string, labels object) object {
	meta := object{"name": name}
	if namespace != "" {
		meta["namespace"] = namespace
	}
	if labels != nil {
		meta["labels"] = labels
	}
	return object{"apiVersion": apiVersion, "kind": kind, "metadata": meta}
}

func crd(conversion string) object {
	return object{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": object{"name": "gooses.example.com"},
		"spec": object{
			"group": "example.com", "scope": "Cluster", "names": object{"kind": "Goose", "plural": "geese"},
			"conversion": object{"strategy": conversion},
			"versions":   []any{object{"name": "v1", "served": true}, object{"name": "v2", "served": true}, object{"name": "v0", "served": false}},
		},
	}
}

func subject(t *testing.T, o object) *constraints.Subject {
	t.Helper()
	f := facts.New()
	f.AddObject(named("v1", "Namespace", "", "shop", object{"env": "prod"}))
	f.AddObject(crd("None"))
	kinds, err := constraints.KindsOf(f)
	if err != nil {
		t.Fatal(err)
	}
	id := resource.IDOf(o)
	s := &constraints.Subject{Kind: id.Kind, Name: id.Name, Namespace: id.Namespace, Operation: "CREATE", Object: o, Facts: f, Kinds: kinds}
	if id.Kind.Kind == "Namespace" {
		s.Namespace = id.Name
	}
	return s
}

func rule(operation, group, version, resources string) constraints.Rule {
	return constraints.Rule{Operations: []string{operation}, APIGroups: []string{group}, APIVersions: []string{version}, Resources: []string{resources}}
}

func TestMatch(t *testing.T) {
	pod := named("v1", "Pod", "shop", "web", object{"app": "web"})
	elsewhere := named("v1", "Pod", "dark", "web", nil)
	hpa := named("autoscaling/v2", "HorizontalPodAutoscaler", "shop", "web", nil)
	goose := named("example.com/v1", "Goose", "", "g", nil)
	namespace := named("v1", "Namespace", "", "new", object{"env": "dev"})
	node := named("v1", "Node", "", "n", nil)
	nameless := object{"apiVersion": "v1", "kind": "Pod", "metadata": object{"generateName": "web-", "namespace": "shop"}}
	rules := func(list ...constraints.Rule) constraints.Resources {
		return constraints.Resources{ResourceRules: list}
	}
	all := rule("*", "*", "*", "*")
	labels := func(kv ...string) *constraints.Selector {
		return &constraints.Selector{MatchLabels: map[string]string{kv[0]: kv[1]}}
	}
	requires := func(key, operator string, values ...string) *constraints.Selector {
		return &constraints.Selector{MatchExpressions: []constraints.Requirement{{Key: key, Operator: operator, Values: values}}}
	}
	scoped := func(scope string) constraints.Resources {
		r := all
		r.Scope = scope
		return rules(r)
	}
	withNames := func(names ...string) constraints.Resources {
		r := all
		r.ResourceNames = names
		return rules(r)
	}
	for _, tt := range []struct {
		name    string
		in      constraints.Resources
		object  object
		change  func(*constraints.Subject)
		options constraints.Options
		want    string // group/version/kind that it matched as, "" for no match, or the start of an error
	}{
		{name: "no rules", in: constraints.Resources{}, object: pod, want: "v1/Pod"},
		{name: "exact", in: rules(rule("CREATE", "", "v1", "pods")), object: pod, want: "v1/Pod"},
		{name: "second rule", in: rules(rule("CREATE", "apps", "v1", "pods"), rule("CREATE", "", "v1", "pods")), object: pod, want: "v1/Pod"},
		{name: "wildcards", in: rules(all), object: pod, want: "v1/Pod"},
		{name: "operation", in: rules(rule("UPDATE", "", "v1", "pods")), object: pod},
		{name: "group", in: rules(rule("CREATE", "apps", "v1", "pods")), object: pod},
		{name: "version", in: rules(rule("CREATE", "", "v2", "pods")), object: pod},
		{name: "resource", in: rules(rule("CREATE", "", "v1", "services")), object: pod},
		{name: "singular", in: rules(rule("CREATE", "", "v1", "pod")), object: pod},
		{name: "subresource rule", in: rules(rule("CREATE", "", "v1", "pods/ephemeralcontainers")), object: pod},
		{name: "any subresource holds the object", in: rules(rule("CREATE", "", "v1", "pods/*")), object: pod, want: "v1/Pod"},
		{name: "subresource", in: rules(rule("CREATE", "", "v1", "*/status")), object: pod, want: "v1/Pod",
			change: func(s *constraints.Subject) { s.Subresource = "status" }},
		{name: "object rule on subresource", in: rules(all), object: pod, change: func(s *constraints.Subject) { s.Subresource = "status" }},

		{name: "name", in: withNames("db", "web"), object: pod, want: "v1/Pod"},
		{name: "other name", in: withNames("db"), object: pod},
		{name: "generateName", in: withNames("web-"), object: nameless},
		{name: "generateName of Kyverno", in: withNames("web-"), object: nameless, options: constraints.Options{GenerateName: true}, want: "v1/Pod"},
		{name: "other generateName", in: withNames("web-1"), object: nameless, options: constraints.Options{GenerateName: true}},

		{name: "namespaced", in: scoped("Namespaced"), object: pod, want: "v1/Pod"},
		{name: "namespaced node", in: scoped("Namespaced"), object: node},
		{name: "namespaced namespace", in: scoped("Namespaced"), object: namespace},
		{name: "cluster", in: scoped("Cluster"), object: node, want: "v1/Node"},
		{name: "cluster namespace", in: scoped("Cluster"), object: namespace, want: "v1/Namespace"},
		{name: "cluster pod", in: scoped("Cluster"), object: pod},
		{name: "all scopes", in: scoped("*"), object: pod, want: "v1/Pod"},

		{name: "excluded", in: constraints.Resources{ResourceRules: []constraints.Rule{all}, ExcludeResourceRules: []constraints.Rule{rule("*", "", "*", "pods")}}, object: pod},
		{name: "not excluded", in: constraints.Resources{ExcludeResourceRules: []constraints.Rule{rule("*", "", "*", "pods")}}, object: node, want: "v1/Node"},

		{name: "labels", in: constraints.Resources{ObjectSelector: labels("app", "web")}, object: pod, want: "v1/Pod"},
		{name: "other labels", in: constraints.Resources{ObjectSelector: labels("app", "db")}, object: pod},
		{name: "labels of the old object", in: constraints.Resources{ObjectSelector: labels("app", "web")}, object: node, want: "v1/Node",
			change: func(s *constraints.Subject) { s.Operation, s.Old = "UPDATE", pod }},
		{name: "empty selector", in: constraints.Resources{ObjectSelector: &constraints.Selector{}}, object: node, want: "v1/Node"},
		{name: "exists", in: constraints.Resources{ObjectSelector: requires("app", "Exists")}, object: pod, want: "v1/Pod"},
		{name: "does not exist", in: constraints.Resources{ObjectSelector: requires("app", "DoesNotExist")}, object: pod},
		{name: "in", in: constraints.Resources{ObjectSelector: requires("app", "In", "a", "web")}, object: pod, want: "v1/Pod"},
		{name: "not in", in: constraints.Resources{ObjectSelector: requires("app", "NotIn", "web")}, object: pod},
		{name: "not in, no label", in: constraints.Resources{ObjectSelector: requires("app", "NotIn", "web")}, object: node, want: "v1/Node"},

		{name: "namespace", in: constraints.Resources{NamespaceSelector: labels("env", "prod")}, object: pod, want: "v1/Pod"},
		{name: "other namespace", in: constraints.Resources{NamespaceSelector: labels("env", "dev")}, object: pod},
		{name: "name of the namespace", in: constraints.Resources{NamespaceSelector: labels("kubernetes.io/metadata.name", "shop")}, object: pod, want: "v1/Pod"},
		{name: "a namespace has its own labels", in: constraints.Resources{NamespaceSelector: labels("env", "dev")}, object: namespace, want: "v1/Namespace"},
		{name: "no namespace", in: constraints.Resources{NamespaceSelector: labels("env", "prod")}, object: node, want: "v1/Node"},
		{name: "unknown namespace", in: constraints.Resources{NamespaceSelector: labels("env", "prod")}, object: elsewhere, want: "the policy has a namespaceSelector"},
		{name: "unknown, and nothing but its name counts", in: constraints.Resources{NamespaceSelector: requires("kubernetes.io/metadata.name", "NotIn", "kube-system")},
			object: elsewhere, want: "v1/Pod"},
		{name: "unknown, and its name decides", in: constraints.Resources{NamespaceSelector: &constraints.Selector{
			MatchLabels: map[string]string{"env": "prod", "kubernetes.io/metadata.name": "shop"}}}, object: elsewhere},
		{name: "unknown, and another kind", in: constraints.Resources{NamespaceSelector: labels("env", "prod"), ResourceRules: []constraints.Rule{rule("*", "apps", "*", "*")}},
			object: elsewhere},
		{name: "unknown to a complete world", in: constraints.Resources{NamespaceSelector: labels("env", "prod")}, object: elsewhere,
			change: func(s *constraints.Subject) { s.Facts.Complete = true }},

		{name: "equivalent", in: rules(rule("CREATE", "autoscaling", "v1", "horizontalpodautoscalers")), object: hpa, want: "autoscaling/v1/HorizontalPodAutoscaler"},
		{name: "own version first", in: rules(rule("CREATE", "autoscaling", "*", "horizontalpodautoscalers")), object: hpa, want: "autoscaling/v2/HorizontalPodAutoscaler"},
		{name: "exact by policy", in: constraints.Resources{MatchPolicy: "Exact", ResourceRules: []constraints.Rule{rule("CREATE", "autoscaling", "v1", "*")}}, object: hpa},
		{name: "exact by option", in: rules(rule("CREATE", "autoscaling", "v1", "*")), object: hpa, options: constraints.Options{Exact: true}},
		{name: "custom", in: rules(rule("CREATE", "example.com", "v1", "geese")), object: goose, want: "example.com/v1/Goose"},
		{name: "custom, not its name", in: rules(rule("CREATE", "example.com", "v1", "gooses")), object: goose},
		{name: "custom equivalent", in: rules(rule("CREATE", "example.com", "v2", "geese")), object: goose, want: "example.com/v2/Goose"},
		{name: "custom, not served", in: rules(rule("CREATE", "example.com", "v0", "geese")), object: goose},
		{name: "excluded as equivalent", in: constraints.Resources{ExcludeResourceRules: []constraints.Rule{rule("CREATE", "example.com", "v2", "geese")}}, object: goose},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, err := constraints.Compile(&tt.in, tt.options)
			if err != nil {
				t.Fatal(err)
			}
			s := subject(t, tt.object)
			if tt.change != nil {
				tt.change(s)
			}
			got := ""
			match, ok, err := m.Match(s)
			switch {
			case err != nil:
				if got = err.Error(); !errors.Is(err, facts.ErrMissing) {
					t.Errorf("%v wraps no ErrMissing", err)
				}
			case ok:
				got = match.Kind.APIVersion() + "/" + match.Kind.Kind
				if !m.Selects(s.Kind) {
					t.Error("it matched, and Selects said no")
				}
			}
			if got != tt.want && (err == nil || tt.want == "" || !strings.HasPrefix(got, tt.want)) {
				t.Errorf("got %q; want %q", got, tt.want)
			}
		})
	}
}

func TestSelects(t *testing.T) {
	for _, tt := range []struct {
		rule constraints.Rule
		kind string
		want bool
	}{
		{rule("*", "", "v1", "pods"), "v1/Pod", true},
		{rule("*", "", "v1", "pods"), "v1/Service", false},
		{rule("*", "apps", "v1", "*"), "v1/Pod", false},
		{rule("*", "", "v1", "pods/status"), "v1/Service", true},
		{rule("*", "example.com", "v1", "geese"), "example.com/Goose", true},
		{rule("*", "events.k8s.io", "v1", "events"), "v1/Event", true},
	} {
		m, err := constraints.Compile(&constraints.Resources{ResourceRules: []constraints.Rule{tt.rule}}, constraints.Options{})
		if err != nil {
			t.Fatal(err)
		}
		group, kind, _ := strings.Cut(tt.kind, "/")
		if group == "v1" {
			group = ""
		}
		if got := m.Selects(resource.Kind{Group: group, Version: "v1", Kind: kind}); got != tt.want {
			t.Errorf("%v selects %s: %t", tt.rule, tt.kind, got)
		}
	}
}

func TestUnserved(t *testing.T) {
	for _, tt := range []struct {
		groups, resources []string
		want              string // part of the message; "" for none
	}{
		{[]string{""}, []string{"pods"}, ""},
		{[]string{""}, []string{"pods/status"}, ""},
		{[]string{""}, []string{"*"}, ""},
		{[]string{"", "apps"}, []string{"deployments", "pods"}, ""},
		{[]string{"*"}, []string{"gooses"}, ""},
		{[]string{"example.com"}, []string{"goose"}, ""},
		{[]string{"", "example.com"}, []string{"goose"}, ""},
		{[]string{"autoscaling.k8s.io"}, []string{"verticalpodautoscalers"}, ""}, // of no Kubernetes
		{[]string{""}, []string{"endpoints"}, ""},
		{[]string{"networking.k8s.io"}, []string{"networkpolicies", "ingresses"}, ""},
		{[]string{""}, []string{"Pod"}, "write pods"},
		{[]string{""}, []string{"Pods"}, "write pods"},
		{[]string{""}, []string{"pod"}, "write pods"},
		{[]string{""}, []string{"Pod/status"}, "write pods"},
		{[]string{"networking.k8s.io"}, []string{"NetworkPolicy"}, "write networkpolicies"},
		{[]string{"example.com"}, []string{"Goose"}, "in the plural and in lower case, such as gooses"},
		{[]string{"*"}, []string{"Pod"}, "such as pods"},
		{[]string{""}, []string{"pods", "deployments"}, `deployments are in the group "apps", and the rule names ""`},
		{[]string{"", "apps"}, []string{"Job"}, `jobs are in the group "batch", and the rule names "", "apps"`},
		{[]string{""}, []string{"events", "podsecuritypolicies"}, `Kubernetes 1.36 has no podsecuritypolicies in the group ""`},
	} {
		r := &constraints.Resources{ResourceRules: []constraints.Rule{{APIGroups: tt.groups, Resources: tt.resources}}}
		got := ""
		for _, f := range r.Unserved(fieldpath.Path{}.Key("spec")) {
			got += f.Path.String() + " " + f.Message
		}
		want := fmt.Sprintf("spec.resourceRules[0].resources[%d] matches nothing: ", len(tt.resources)-1)
		if tt.want == "" && got != "" || tt.want != "" && (!strings.HasPrefix(got, want) || !strings.Contains(got, tt.want)) {
			t.Errorf("%v of %q: %q, want %q", tt.resources, tt.groups, got, tt.want)
		}
	}
	if got := (*constraints.Resources)(nil).Unserved(nil); got != nil {
		t.Errorf("no constraints: %v", got)
	}
}

func TestKinds(t *testing.T) {
	f := facts.New()
	goose := resource.Kind{Group: "example.com", Version: "v1", Kind: "Goose"}
	kinds := func() *constraints.Kinds {
		k, err := constraints.KindsOf(f)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	if k := kinds(); k.Known(goose) || k.Resource(goose) != "gooses" || k.ClusterScoped(goose) || k.Converts(goose) {
		t.Error("it knows a kind that nobody defined")
	}
	f.AddObject(crd("Webhook"))
	if k := kinds(); !k.Known(goose) || k.Resource(goose) != "geese" || !k.ClusterScoped(goose) || k.Converts(goose) {
		t.Error("it does not know a kind that came later")
	}
	if k := kinds(); k != kinds() || !k.Known(resource.Kind{Group: "apps", Version: "v1", Kind: "Deployment"}) {
		t.Error("it looked at the facts again, or does not know a Deployment")
	}
}

func TestFaults(t *testing.T) {
	r := constraints.Resources{
		MatchPolicy:       "Fuzzy",
		NamespaceSelector: &constraints.Selector{MatchExpressions: []constraints.Requirement{{Key: "a", Operator: "In"}, {Key: "a", Operator: "Exists", Values: []string{"x"}}, {Key: "a", Operator: "is"}}},
		ResourceRules: []constraints.Rule{
			{},
			{
				Operations: []string{"*", "CREATE"}, APIGroups: []string{"*", ""}, APIVersions: []string{"", "*"}, Resources: []string{"*", "pods"},
				Scope: "None", ResourceNames: []string{"a", "a", "a/b"},
			},
			{Operations: []string{"delete"}, APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"*/*", "pods/*", "pods/status", "*/scale", "x/scale", ""}},
		},
	}
	var got []string
	for _, f := range r.Faults(fieldpath.Path{}.Key("m")) {
		got = append(got, f.Path.String()+": "+f.Message)
	}
	want := []string{
		"m.namespaceSelector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
		"m.namespaceSelector.matchExpressions[1].values: Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
		`m.namespaceSelector.matchExpressions[2].operator: Invalid value: "is": not a valid selector operator`,
		"m.resourceRules[0].operations: Required value",
		"m.resourceRules[0].apiGroups: Required value",
		"m.resourceRules[0].apiVersions: Required value",
		"m.resourceRules[0].resources: Required value",
		`m.resourceRules[1].resourceNames[1]: Duplicate value: "a"`,
		`m.resourceRules[1].resourceNames[2]: Invalid value: "a/b": may not contain '/'`,
		`m.resourceRules[1].operations: Invalid value: ["*" "CREATE"]: if '*' is present, must not specify other operations`,
		`m.resourceRules[1].apiGroups: Invalid value: ["*" ""]: if '*' is present, must not specify other API groups`,
		`m.resourceRules[1].apiVersions: Invalid value: ["" "*"]: if '*' is present, must not specify other API versions`,
		"m.resourceRules[1].apiVersions[0]: Required value",
		`m.resourceRules[1].resources: Invalid value: ["*" "pods"]: if '*' is present, must not specify other resources without subresources`,
		`m.resourceRules[1].scope: Unsupported value: "None": supported values: "*", "Cluster", "Namespaced"`,
		`m.resourceRules[2].operations[0]: Unsupported value: "delete": supported values: "*", "CONNECT", "CREATE", "DELETE", "UPDATE"`,
		`m.resourceRules[2].resources[1]: Invalid value: "pods/*": if '*/*' is present, must not specify pods/*`,
		`m.resourceRules[2].resources[2]: Invalid value: "pods/status": if 'pods/*' is present, must not specify pods/status`,
		`m.resourceRules[2].resources[3]: Invalid value: "*/scale": if '*/*' is present, must not specify */scale`,
		`m.resourceRules[2].resources[4]: Invalid value: "x/scale": if '*/scale' is present, must not specify x/scale`,
		"m.resourceRules[2].resources[5]: Required value",
		`m.resourceRules[2].resources: Invalid value: ["*/*" "pods/*" "pods/status" "*/scale" "x/scale" ""]: if '*/*' is present, must not specify other resources`,
		`m.matchPolicy: Unsupported value: "Fuzzy": supported values: "Equivalent", "Exact"`,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("want -, got +:\n%s", d)
	}
	bad := constraints.Selector{MatchLabels: map[string]string{"a b": "c"}}
	if f := bad.Faults(nil); len(f) != 1 {
		t.Errorf("got %v", f)
	}
	for _, r := range []constraints.Resources{{NamespaceSelector: &bad}, {ObjectSelector: &bad}} {
		if _, err := constraints.Compile(&r, constraints.Options{}); err == nil {
			t.Error("a wrong selector compiled")
		}
	}
}

func TestAsksForLabels(t *testing.T) {
	for _, tt := range []struct {
		selector *constraints.Selector
		want     bool
	}{
		{nil, false},
		{&constraints.Selector{}, false},
		{&constraints.Selector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": "shop"}}, false},
		{&constraints.Selector{MatchExpressions: []constraints.Requirement{{Key: "kubernetes.io/metadata.name", Operator: "NotIn", Values: []string{"kube-system"}}}}, false},
		{&constraints.Selector{MatchLabels: map[string]string{"env": "prod"}}, true},
		{&constraints.Selector{MatchExpressions: []constraints.Requirement{{Key: "env", Operator: "Exists"}}}, true},
	} {
		if got := tt.selector.AsksForLabels(); got != tt.want {
			t.Errorf("%+v: %t", tt.selector, got)
		}
	}
}
