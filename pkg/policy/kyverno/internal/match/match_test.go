package match

import (
	"errors"
	"strings"
	"testing"

	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/policy/internal/kindname"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/spec"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// object reads one manifest.
func object(t testing.TB, text string) resource.Object {
	t.Helper()
	docs, err := resource.Parse("manifest.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	o, err := docs[0].Object()
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// compile reads the match and exclude blocks of a rule.
func compile(t testing.TB, namespace, text string) *Matcher {
	t.Helper()
	r, err := spec.DecodeRule(object(t, "apiVersion: v1\nkind: Rule\nrule: "+text)["rule"].(map[string]any), nil)
	if err != nil {
		t.Fatal(err)
	}
	m, err := Compile(namespace, r)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

const web = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: shop
  labels: {app: web, tier: front}
  annotations: {team/owner: alice, size: "12"}
`

const shop = `apiVersion: v1
kind: Namespace
metadata:
  name: shop
  labels: {env: prod}
`

// subject describes o the way the engine does.
func subject(t testing.TB, text string, known ...string) Subject {
	o := object(t, text)
	id := resource.IDOf(o)
	f := facts.New()
	for _, k := range known {
		docs, err := resource.Parse("facts.yaml", []byte(k))
		if err != nil {
			t.Fatal(err)
		}
		f.AddResources(docs...)
	}
	return Subject{ID: id, Object: o, Namespace: id.Namespace, Operation: "CREATE", Facts: f}
}

func TestMatches(t *testing.T) {
	const namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {app: web}}\n"
	const pod = "apiVersion: v1\nkind: Pod\nmetadata: {generateName: job-, namespace: shop}\n"
	const numbers = "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: shop, labels: {app: web, size: 1}}\n"
	const invalid = "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: shop, labels: {app: \"w*\"}}\n"
	tests := []struct {
		name, rule, object string
		want               bool
	}{
		{"kind", `{match: {any: [{resources: {kinds: [Deployment]}}]}}`, web, true},
		{"other kind", `{match: {any: [{resources: {kinds: [Pod]}}]}}`, web, false},
		{"any of two", `{match: {any: [{resources: {kinds: [Pod]}}, {resources: {kinds: [Deployment]}}]}}`, web, true},
		{"all of two", `{match: {all: [{resources: {kinds: [Deployment]}}, {resources: {names: [web]}}]}}`, web, true},
		{"not all of two", `{match: {all: [{resources: {kinds: [Deployment]}}, {resources: {names: [api]}}]}}`, web, false},
		{"old form", `{match: {resources: {kinds: [Deployment], name: w*}}}`, web, true},
		{"empty filter", `{match: {any: [{}]}}`, web, false},
		{"parts must all hold", `{match: {any: [{resources: {kinds: [Deployment], namespaces: [blog]}}]}}`, web, false},
		{"generateName", `{match: {any: [{resources: {kinds: [Pod], names: [job-]}}]}}`, pod, true},
		{"namespaces", `{match: {any: [{resources: {kinds: [Deployment], namespaces: [blog, "sh?p"]}}]}}`, web, true},
		{"namespaces of a Namespace", `{match: {any: [{resources: {kinds: [Namespace], namespaces: [shop]}}]}}`, namespace, true},
		{"annotations", `{match: {any: [{resources: {kinds: [Deployment], annotations: {team/*: "*", size: "1?"}}}]}}`, web, true},
		{"annotation missing", `{match: {any: [{resources: {kinds: [Deployment], annotations: {team/*: bob}}}]}}`, web, false},
		{"selector", `{match: {any: [{resources: {kinds: [Deployment], selector: {matchLabels: {app: web}}}}]}}`, web, true},
		{"selector with wildcards", `{match: {any: [{resources: {kinds: [Deployment], selector: {matchLabels: {"a*": "?eb", tier: "*"}}}}]}}`, web, true},
		{"selector with wildcards and an invalid label", `{match: {any: [{resources: {kinds: [Pod], selector: {matchLabels: {"a*": "?*"}}}}]}}`, invalid, false},
		{"selector with wildcards missing", `{match: {any: [{resources: {kinds: [Deployment], selector: {matchLabels: {"x*": "*"}}}}]}}`, web, false},
		{"expressions", `{match: {any: [{resources: {kinds: [Deployment], selector: {matchExpressions: [{key: app, operator: In, values: [api, web]}, {key: x, operator: NotIn, values: [a]}, {key: tier, operator: Exists}, {key: x, operator: DoesNotExist}]}}}]}}`, web, true},
		{"expression fails", `{match: {any: [{resources: {kinds: [Deployment], selector: {matchExpressions: [{key: app, operator: NotIn, values: [web]}]}}}]}}`, web, false},
		{"expression with wildcards", `{match: {any: [{resources: {kinds: [Deployment], selector: {matchExpressions: [{key: app, operator: In, values: ["w*"]}]}}}]}}`, web, false},
		{"labels that are no text", `{match: {any: [{resources: {kinds: [Pod], selector: {matchLabels: {app: web}}}}]}}`, numbers, false},
		{"operations", `{match: {any: [{resources: {kinds: [Deployment], operations: [UPDATE]}}]}}`, web, false},
		{"namespaceSelector", `{match: {any: [{resources: {kinds: [Deployment], namespaceSelector: {matchLabels: {env: prod}}}}]}}`, web, true},
		{"namespaceSelector fails", `{match: {any: [{resources: {kinds: [Deployment], namespaceSelector: {matchLabels: {env: dev}}}}]}}`, web, false},
		{"namespaceSelector on a Namespace", `{match: {any: [{resources: {kinds: [Namespace], namespaceSelector: {}}}]}}`, namespace, false},
		{"exclude", `{match: {any: [{resources: {kinds: [Deployment]}}]}, exclude: {any: [{resources: {namespaces: [blog]}}, {resources: {names: [web]}}]}}`, web, false},
		{"exclude all", `{match: {any: [{resources: {kinds: [Deployment]}}]}, exclude: {all: [{resources: {namespaces: [shop]}}, {resources: {names: [api]}}]}}`, web, true},
		{"exclude all holds", `{match: {any: [{resources: {kinds: [Deployment]}}]}, exclude: {all: [{resources: {namespaces: [shop]}}, {resources: {names: [web]}}]}}`, web, false},
		{"exclude in the old form", `{match: {any: [{resources: {kinds: [Deployment]}}]}, exclude: {resources: {namespaces: [shop]}}}`, web, false},
		{"empty exclude", `{match: {any: [{resources: {kinds: [Deployment]}}]}, exclude: {any: [{resources: {}}]}}`, web, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := compile(t, "", tt.rule)
			s := subject(t, tt.object, shop)
			got, err := m.Matches(s)
			if got != tt.want || err != nil {
				t.Errorf("Matches: %v, %v, want %v", got, err, tt.want)
			}
			if got && !m.Selects(s.ID.Kind) {
				t.Error("Selects is false for a resource that matches")
			}
		})
	}
}

func TestPolicyNamespace(t *testing.T) {
	for namespace, want := range map[string]bool{"": true, "shop": true, "blog": false} {
		m := compile(t, namespace, `{match: {any: [{resources: {kinds: [Deployment]}}]}}`)
		if got, err := m.Matches(subject(t, web)); got != want || err != nil {
			t.Errorf("policy in %q: %v, %v, want %v", namespace, got, err, want)
		}
	}
	m := compile(t, "shop", `{match: {any: [{resources: {kinds: ["*"]}}]}}`)
	if got, err := m.Matches(subject(t, shop)); got || err != nil {
		t.Errorf("a Policy matched an object without namespace: %v, %v", got, err)
	}
}

func TestKinds(t *testing.T) {
	pod := resource.Kind{Version: "v1", Kind: "Pod"}
	deployment := resource.Kind{Group: "apps", Version: "v1", Kind: "Deployment"}
	tests := []struct {
		selector    string
		kind        resource.Kind
		subresource string
		want        bool
	}{
		{"Pod", pod, "", true},
		{"pod", pod, "", false},
		{"P*", pod, "", true},
		{"*", deployment, "", true},
		{"*", deployment, "scale", false},
		{"*/*", deployment, "", true},
		{"*/*", deployment, "scale", true},
		{"v1/Pod", pod, "", true},
		{"v1/Deployment", deployment, "", true},
		{"v2/Deployment", deployment, "", false},
		{"apps/v1/Deployment", deployment, "", true},
		{"apps/*/Deployment", deployment, "", true},
		{"batch/v1/Deployment", deployment, "", false},
		// With three parts, a first * is a version, and the last a subresource.
		{"*/*/Deployment", deployment, "", false},
		{"*/Deployment", deployment, "", true},
		{"Deployment/scale", deployment, "scale", true},
		{"Deployment/scale", deployment, "", false},
		{"Deployment", deployment, "scale", false},
		{"Deployment.scale", deployment, "scale", true},
		{"v1/Deployment/scale", deployment, "scale", true},
		{"apps/v1/Deployment/scale", deployment, "scale", true},
		{"apps/v1/Deployment.scale", deployment, "scale", true},
		{"*/scale", deployment, "scale", true},
		{"*/scale", deployment, "", false},
		{"Pod", pod, "ephemeralcontainers", true},
		{"Pod", pod, "exec", false},
		{"Deployment", deployment, "ephemeralcontainers", false},
		// Kyverno knows versions of one digit only: v10 is taken for a kind.
		{"v10/Foo", resource.Kind{Group: "example.com", Version: "v10", Kind: "Foo"}, "", false},
		{"example.com/v10/Foo", resource.Kind{Group: "example.com", Version: "v10", Kind: "Foo"}, "", true},
		{"v1beta1/Foo", resource.Kind{Group: "example.com", Version: "v1beta1", Kind: "Foo"}, "", true},
	}
	for _, tt := range tests {
		k, err := kindname.Parse(tt.selector)
		if err != nil {
			t.Errorf("%s: %v", tt.selector, err)
			continue
		}
		if got := matchesKind([]kindname.Selector{k}, tt.kind, tt.subresource); got != tt.want {
			t.Errorf("%s on %s subresource %q: %v, want %v", tt.selector, tt.kind, tt.subresource, got, tt.want)
		}
	}
	if _, err := kindname.Parse("a/b/c/d/e"); err == nil {
		t.Error("five parts: no error")
	}
}

func TestSelects(t *testing.T) {
	deployment := resource.Kind{Group: "apps", Version: "v1", Kind: "Deployment"}
	tests := []struct {
		rule string
		want bool
	}{
		{`{match: {any: [{resources: {kinds: [Pod]}}, {resources: {kinds: [Deployment]}}]}}`, true},
		{`{match: {any: [{resources: {kinds: [Pod]}}, {resources: {kinds: [Service]}}]}}`, false},
		{`{match: {all: [{resources: {kinds: [Deployment]}}, {resources: {names: [a]}}]}}`, true},
		{`{match: {all: [{resources: {kinds: [Deployment]}}, {resources: {kinds: [Pod]}}]}}`, false},
		{`{match: {resources: {kinds: [batch/v1/Deployment]}}}`, false},
		{`{match: {resources: {kinds: [ReplicaSet/scale]}}}`, true}, // may come as a Scale
	}
	for _, tt := range tests {
		if got := compile(t, "", tt.rule).Selects(deployment); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.rule, got, tt.want)
		}
	}
}

// TestMissingNamespace: labels of a namespace that nobody described are an
// error exactly when the outcome depends on them.
func TestMissingNamespace(t *testing.T) {
	tests := []struct {
		name, rule string
		want       bool
		missing    bool
	}{
		{"needed", `{match: {any: [{resources: {kinds: [Deployment], namespaceSelector: {matchLabels: {env: prod}}}}]}}`, false, true},
		{"needed by an expression", `{match: {any: [{resources: {kinds: [Deployment], namespaceSelector: {matchExpressions: [{key: env, operator: DoesNotExist}]}}}]}}`, false, true},
		{"needed by wildcards", `{match: {any: [{resources: {kinds: [Deployment], namespaceSelector: {matchLabels: {"e*": "*"}}}}]}}`, false, true},
		{"another kind", `{match: {any: [{resources: {kinds: [Pod], namespaceSelector: {matchLabels: {env: prod}}}}]}}`, false, false},
		{"the name decides for it", `{match: {any: [{resources: {kinds: [Deployment], namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: shop}}}}]}}`, true, false},
		{"the name decides against it", `{match: {any: [{resources: {kinds: [Deployment], namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: blog, env: prod}}}}]}}`, false, false},
		{"the name is excluded", `{match: {any: [{resources: {kinds: [Deployment], namespaceSelector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: NotIn, values: [shop]}]}}}]}}`, false, false},
		{"a wildcard matches the name", `{match: {any: [{resources: {kinds: [Deployment], namespaceSelector: {matchLabels: {"kubernetes.io/*": "sh*"}}}}]}}`, true, false},
		{"every namespace", `{match: {any: [{resources: {kinds: [Deployment], namespaceSelector: {}}}]}}`, true, false},
		{"another filter holds", `{match: {any: [{resources: {kinds: [Deployment], namespaceSelector: {matchLabels: {env: prod}}}}, {resources: {kinds: [Deployment]}}]}}`, true, false},
		{"excluded anyway", `{match: {any: [{resources: {kinds: [Deployment], namespaceSelector: {matchLabels: {env: prod}}}}]}, exclude: {any: [{resources: {names: [web]}}]}}`, false, false},
		{"needed by exclude", `{match: {any: [{resources: {kinds: [Deployment]}}]}, exclude: {any: [{resources: {namespaceSelector: {matchLabels: {env: prod}}}}]}}`, false, true},
		{"exclude fails otherwise", `{match: {any: [{resources: {kinds: [Deployment]}}]}, exclude: {all: [{resources: {namespaceSelector: {matchLabels: {env: prod}}}}, {resources: {names: [api]}}]}}`, true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := compile(t, "", tt.rule).Matches(subject(t, web))
			if got != tt.want || errors.Is(err, facts.ErrMissing) != tt.missing {
				t.Errorf("%v, %v, want %v, missing %v", got, err, tt.want, tt.missing)
			}
			if tt.missing && (!strings.Contains(err.Error(), `namespace "shop"`) || !strings.Contains(err.Error(), "--facts")) {
				t.Errorf("%v: names neither the namespace nor the remedy", err)
			}
		})
	}

	t.Run("an object without namespace has no namespace labels", func(t *testing.T) {
		m := compile(t, "", `{match: {any: [{resources: {kinds: [ClusterRole], namespaceSelector: {matchExpressions: [{key: env, operator: DoesNotExist}]}}}]}}`)
		got, err := m.Matches(subject(t, "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: a}\n"))
		if !got || err != nil {
			t.Errorf("%v, %v, want true", got, err)
		}
	})
}

func TestRequester(t *testing.T) {
	alice := facts.Request{
		UserDeclared: true,
		User:         facts.UserInfo{Username: "alice", Groups: []string{"dev"}},
		Roles:        []string{"shop:editor"},
		ClusterRoles: []string{"view"},
	}
	robot := facts.Request{UserDeclared: true, User: facts.UserInfo{Username: "system:serviceaccount:ci:deployer"}}
	nobody := facts.Request{UserDeclared: true}
	unknown := facts.Request{}
	tests := []struct {
		name, rule string
		request    facts.Request
		want       bool
		missing    bool
	}{
		{"user", `{match: {any: [{resources: {kinds: [Deployment]}, subjects: [{kind: User, name: "al*"}]}]}}`, alice, true, false},
		{"other user", `{match: {any: [{resources: {kinds: [Deployment]}, subjects: [{kind: User, name: bob}]}]}}`, alice, false, false},
		{"group", `{match: {any: [{resources: {kinds: [Deployment]}, subjects: [{kind: Group, name: dev}]}]}}`, alice, true, false},
		{"service account", `{match: {any: [{resources: {kinds: [Deployment]}, subjects: [{kind: ServiceAccount, namespace: ci, name: "*"}]}]}}`, robot, true, false},
		{"role", `{match: {any: [{resources: {kinds: [Deployment]}, roles: ["a:b", "shop:editor"]}]}}`, alice, true, false},
		{"roles have no wildcards", `{match: {any: [{resources: {kinds: [Deployment]}, roles: ["shop:*"]}]}}`, alice, false, false},
		{"cluster role and subject must both hold", `{match: {any: [{resources: {kinds: [Deployment]}, clusterRoles: [view], subjects: [{kind: User, name: bob}]}]}}`, alice, false, false},
		{"exclude", `{match: {any: [{resources: {kinds: [Deployment]}}]}, exclude: {any: [{clusterRoles: [view]}]}}`, alice, false, false},
		{"exclude another", `{match: {any: [{resources: {kinds: [Deployment]}}]}, exclude: {any: [{clusterRoles: [admin]}]}}`, alice, true, false},
		{"declared to be nobody", `{match: {any: [{resources: {kinds: [Deployment]}, clusterRoles: [admin]}]}}`, nobody, true, false},
		{"nobody is not excluded", `{match: {any: [{resources: {kinds: [Deployment]}}]}, exclude: {any: [{clusterRoles: [admin]}]}}`, nobody, true, false},
		{"only a requester, and nobody", `{match: {any: [{clusterRoles: [admin]}]}}`, nobody, false, false},
		{"unknown", `{match: {any: [{resources: {kinds: [Deployment]}, clusterRoles: [admin]}]}}`, unknown, false, true},
		{"unknown, other kind", `{match: {any: [{resources: {kinds: [Pod]}, clusterRoles: [admin]}]}}`, unknown, false, false},
		{"unknown in exclude", `{match: {any: [{resources: {kinds: [Deployment]}}]}, exclude: {any: [{subjects: [{kind: User, name: a}]}]}}`, unknown, false, true},
		{"unknown, excluded anyway", `{match: {any: [{resources: {kinds: [Deployment]}}]}, exclude: {any: [{subjects: [{kind: User, name: a}]}, {resources: {names: [web]}}]}}`, unknown, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := subject(t, web)
			s.Facts.Request = tt.request
			got, err := compile(t, "", tt.rule).Matches(s)
			if got != tt.want || errors.Is(err, facts.ErrMissing) != tt.missing {
				t.Errorf("%v, %v, want %v, missing %v", got, err, tt.want, tt.missing)
			}
		})
	}
}

func TestException(t *testing.T) {
	const namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n"
	tests := []struct {
		name, block, object string
		request             facts.Request
		want, missing       bool
	}{
		{"any", `{any: [{resources: {kinds: [Pod]}}, {resources: {kinds: [Deployment], names: [web]}}]}`, web, facts.Request{}, true, false},
		{"all", `{all: [{resources: {kinds: [Deployment]}}, {resources: {names: [api]}}]}`, web, facts.Request{}, false, false},
		{"neither", `{resources: {kinds: [Deployment]}}`, web, facts.Request{}, false, false},
		{"empty filter", `{any: [{}]}`, web, facts.Request{}, false, false},
		{"operations do not count", `{any: [{resources: {kinds: [Deployment], operations: [DELETE]}}]}`, web, facts.Request{}, true, false},
		{"namespaceSelector on a Namespace", `{any: [{resources: {kinds: [Namespace], namespaceSelector: {matchLabels: {a: b}}}}]}`, namespace, facts.Request{}, true, false},
		{"namespaceSelector", `{any: [{resources: {kinds: [Deployment], namespaceSelector: {matchLabels: {env: dev}}}}]}`, web, facts.Request{}, false, false},
		{"declared to be nobody", `{any: [{resources: {kinds: [Deployment]}, clusterRoles: [admin]}]}`, web, facts.Request{UserDeclared: true}, false, false},
		{"requester unknown", `{any: [{resources: {kinds: [Deployment]}, clusterRoles: [admin]}]}`, web, facts.Request{}, false, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := spec.DecodeRule(object(t, "apiVersion: v1\nkind: Rule\nrule: {match: "+tt.block+"}")["rule"].(map[string]any), nil)
			if err != nil {
				t.Fatal(err)
			}
			m, err := CompileException(&r.Match)
			if err != nil {
				t.Fatal(err)
			}
			s := subject(t, tt.object, shop)
			s.Facts.Request = tt.request
			got, err := m.Matches(s)
			if got != tt.want || errors.Is(err, facts.ErrMissing) != tt.missing {
				t.Errorf("%v, %v, want %v, missing %v", got, err, tt.want, tt.missing)
			}
		})
	}
}

func TestMatchesDoesNotAllocate(t *testing.T) {
	m := compile(t, "", `{match: {any: [{resources: {kinds: [Pod]}}, {resources: {kinds: [apps/*/Deployment], selector: {matchLabels: {app: "w*"}}}}]}, exclude: {any: [{resources: {namespaces: [argocd, "kube-*"]}}]}}`)
	s := subject(t, web)
	if n := testing.AllocsPerRun(100, func() { m.Matches(s) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkMatches(b *testing.B) {
	rules := map[string]string{
		"kind and exclude":  `{match: {any: [{resources: {kinds: [Deployment]}}]}, exclude: {any: [{resources: {namespaces: [argocd]}}]}}`,
		"other kind":        `{match: {any: [{resources: {kinds: [Pod]}}]}}`,
		"selector":          `{match: {any: [{resources: {kinds: [apps/v1/Deployment], selector: {matchLabels: {app: "w*"}}}}]}}`,
		"namespaceSelector": `{match: {any: [{resources: {kinds: [Deployment], namespaceSelector: {matchLabels: {env: prod}}}}]}}`,
	}
	for name, rule := range rules {
		m := compile(b, "", rule)
		s := subject(b, web, shop)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				m.Matches(s)
			}
		})
	}
}
