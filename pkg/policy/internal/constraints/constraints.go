// Package constraints decides whether a request is one that a policy wants to
// see: matchConstraints, matchResources and targetMatchConstraints, as
// Kubernetes' admission policies and Kyverno's CEL policies write them.
package constraints

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"

	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// Resources are constraints as they are written.
type Resources struct {
	NamespaceSelector    *Selector `json:"namespaceSelector,omitempty"`
	ObjectSelector       *Selector `json:"objectSelector,omitempty"`
	ResourceRules        []Rule    `json:"resourceRules,omitempty"`
	ExcludeResourceRules []Rule    `json:"excludeResourceRules,omitempty"`
	MatchPolicy          string    `json:"matchPolicy,omitempty"` // Exact or Equivalent, the default
}

// A Rule selects requests by what they are about.
type Rule struct {
	ResourceNames []string `json:"resourceNames,omitempty"`
	Operations    []string `json:"operations,omitempty"`
	APIGroups     []string `json:"apiGroups,omitempty"`
	APIVersions   []string `json:"apiVersions,omitempty"`
	Resources     []string `json:"resources,omitempty"`
	Scope         string   `json:"scope,omitempty"` // Namespaced, Cluster or *, the default
}

// A Selector selects by labels. Nil and the empty one select everything.
type Selector struct {
	MatchLabels      map[string]string `json:"matchLabels,omitempty"`
	MatchExpressions []Requirement     `json:"matchExpressions,omitempty"`
}

// A Requirement is one expression of a Selector.
type Requirement struct {
	Key      string   `json:"key"`
	Operator string   `json:"operator"` // In, NotIn, Exists or DoesNotExist
	Values   []string `json:"values,omitempty"`
}

// AsksForLabels reports whether a selector of namespaces asks for more than their
// names, which are known without the labels of any Namespace.
func (s *Selector) AsksForLabels() bool {
	if s == nil {
		return false
	}
	for key := range s.MatchLabels {
		if key != NameLabel {
			return true
		}
	}
	return slices.ContainsFunc(s.MatchExpressions, func(r Requirement) bool { return r.Key != NameLabel })
}

// Compile returns the selector as the API server reads it, which knows no
// wildcards.
func (s *Selector) Compile() (labels.Selector, error) {
	out := labels.NewSelector()
	if s == nil {
		return out, nil
	}
	add := func(key string, operator selection.Operator, values []string) error {
		r, err := labels.NewRequirement(key, operator, values)
		if err != nil {
			return fmt.Errorf("label selector: %w", err)
		}
		out = out.Add(*r)
		return nil
	}
	for k, v := range s.MatchLabels {
		if err := add(k, selection.Equals, []string{v}); err != nil {
			return nil, err
		}
	}
	operators := map[string]selection.Operator{
		"In": selection.In, "NotIn": selection.NotIn, "Exists": selection.Exists, "DoesNotExist": selection.DoesNotExist,
	}
	for _, e := range s.MatchExpressions {
		operator, ok := operators[e.Operator]
		if !ok {
			return nil, fmt.Errorf("label selector: expected the operator In, NotIn, Exists or DoesNotExist, found %q", e.Operator)
		}
		if err := add(e.Key, operator, e.Values); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Options are what the languages do differently.
type Options struct {
	// Exact leaves out matchPolicy: Kyverno compares versions as they are.
	Exact bool
	// GenerateName lets a name in resourceNames match objects without a name
	// whose generateName begins with it, as in Kyverno.
	GenerateName bool
}

// A Matcher is compiled. It is immutable and serves many goroutines.
type Matcher struct {
	namespaces, objects labels.Selector
	rules, exclude      []Rule
	equivalent          bool
	generateName        bool
}

// Compile compiles constraints; nil matches everything.
func Compile(r *Resources, o Options) (*Matcher, error) {
	if r == nil {
		r = &Resources{}
	}
	m := &Matcher{
		rules: r.ResourceRules, exclude: r.ExcludeResourceRules,
		equivalent: !o.Exact && r.MatchPolicy != "Exact", generateName: o.GenerateName,
	}
	var err error
	if m.namespaces, err = r.NamespaceSelector.Compile(); err != nil {
		return nil, fmt.Errorf("namespaceSelector: %w", err)
	}
	if m.objects, err = r.ObjectSelector.Compile(); err != nil {
		return nil, fmt.Errorf("objectSelector: %w", err)
	}
	return m, nil
}

// A Subject is a request.
type Subject struct {
	Kind        resource.Kind // of a subresource, its parent's
	Subresource string        // such as status; "" for the object itself
	Name        string        // "" when the API server makes one up
	// Namespace is that of the request: of a Namespace its own name, "" for what
	// has none.
	Namespace string
	Operation string          // CREATE, UPDATE, DELETE or CONNECT
	Object    resource.Object // nil for DELETE
	Old       resource.Object // nil for CREATE
	Facts     *facts.Facts
	Kinds     *Kinds
}

// A Match says as what a request matched.
type Match struct {
	Kind     resource.Kind
	Resource string // the plural name
}

// Match reports whether s is within the constraints, and as what: with
// matchPolicy Equivalent, it may be another version of its kind. The error wraps
// facts.ErrMissing when the answer depends on labels of a namespace that are not
// known.
func (m *Matcher) Match(s *Subject) (Match, bool, error) {
	// As in the API server, errors of selectors count only for what would match
	// otherwise.
	inNamespace, missing := m.inNamespace(s)
	if !inNamespace && missing == nil {
		return Match{}, false, nil
	}
	if !m.objects.Empty() && !m.selects(s.Kind, s.Object) && !m.selects(s.Kind, s.Old) {
		return Match{}, false, nil
	}
	if _, ok := m.anyRule(m.exclude, s); ok {
		return Match{}, false, nil
	}
	match, ok := Match{s.Kind, s.Kinds.Resource(s.Kind)}, true
	if len(m.rules) > 0 {
		match, ok = m.anyRule(m.rules, s)
	}
	if !ok {
		return Match{}, false, nil
	}
	if missing != nil {
		return Match{}, false, missing
	}
	return match, true, nil
}

var namespaceKind = resource.Kind{Version: "v1", Kind: "Namespace"}

// NameLabel is the label that every Namespace has: its name.
const NameLabel = "kubernetes.io/metadata.name"

func (m *Matcher) selects(kind resource.Kind, o resource.Object) bool {
	return o != nil && m.objects.Matches(labelsOf(kind, o))
}

// labelsOf returns the labels that an object has in the API server.
func labelsOf(kind resource.Kind, o resource.Object) labels.Set {
	meta, _ := o["metadata"].(map[string]any)
	set, _ := meta["labels"].(map[string]any)
	out := labels.Set{}
	for k, v := range set {
		if text, ok := v.(string); ok {
			out[k] = text
		}
	}
	if name, ok := meta["name"].(string); ok && kind == namespaceKind {
		out[NameLabel] = name
	}
	return out
}

func (m *Matcher) inNamespace(s *Subject) (bool, error) {
	if s.Namespace == "" && s.Kind != namespaceKind || m.namespaces.Empty() {
		return true, nil
	}
	if s.Kind == namespaceKind && s.Subresource == "" && s.Object != nil && (s.Operation == "CREATE" || s.Operation == "UPDATE") {
		return m.namespaces.Matches(labelsOf(s.Kind, s.Object)), nil
	}
	return NamespaceMatches("the policy", m.namespaces, s.Facts, s.Namespace)
}

// NamespaceMatches reports whether a selector selects a namespace. The error, of
// what is called place, wraps facts.ErrMissing when the answer depends on labels
// that are not known.
func NamespaceMatches(place string, selector labels.Selector, f *facts.Facts, namespace string) (bool, error) {
	known, ok := f.NamespaceLabels(namespace)
	if !ok {
		known = map[string]string{NameLabel: namespace}
	}
	if ok || f.Complete {
		return selector.Matches(labels.Set(known)), nil
	}
	// Its name is enough where nothing else is asked for, or decides.
	requirements, _ := selector.Requirements()
	others := false
	for _, r := range requirements {
		if r.Key() != NameLabel {
			others = true
		} else if !r.Matches(labels.Set(known)) {
			return false, nil
		}
	}
	if !others {
		return true, nil
	}
	return false, f.MissingNamespace(place, namespace)
}

func (m *Matcher) anyRule(rules []Rule, s *Subject) (Match, bool) {
	own := Match{s.Kind, s.Kinds.Resource(s.Kind)}
	for i := range rules {
		if rules[i].matches(own, s) && m.named(&rules[i], s) {
			return own, true
		}
	}
	if !m.equivalent {
		return Match{}, false
	}
	for i := range rules {
		for _, other := range s.Kinds.equivalents(s.Kind) {
			if rules[i].matches(other, s) && m.named(&rules[i], s) {
				return other, true
			}
		}
	}
	return Match{}, false
}

// named reports whether the resourceNames of r hold the name of s.
func (m *Matcher) named(r *Rule, s *Subject) bool {
	if len(r.ResourceNames) == 0 {
		return true
	}
	if s.Name != "" || !m.generateName {
		return slices.Contains(r.ResourceNames, s.Name)
	}
	meta, _ := s.Object["metadata"].(map[string]any)
	prefix, _ := meta["generateName"].(string)
	return s.Object != nil && slices.ContainsFunc(r.ResourceNames, func(name string) bool { return strings.HasPrefix(prefix, name) })
}

// matches compares a rule, but for its names.
func (r *Rule) matches(as Match, s *Subject) bool {
	switch r.Scope {
	case "", "*":
	case "Namespaced":
		if as.Kind == namespaceKind || s.Namespace == "" {
			return false
		}
	case "Cluster":
		if as.Kind != namespaceKind && s.Namespace != "" {
			return false
		}
	default:
		return false
	}
	return has(r.Operations, s.Operation) && has(r.APIGroups, as.Kind.Group) && has(r.APIVersions, as.Kind.Version) &&
		slices.ContainsFunc(r.Resources, func(name string) bool {
			name, sub, _ := strings.Cut(name, "/")
			return (name == "*" || name == as.Resource) && (sub == "*" || sub == s.Subresource)
		})
}

func has(list []string, what string) bool {
	return slices.Contains(list, "*") || slices.Contains(list, what)
}

// Selects reports whether requests about objects of kind k may match. It may say
// yes too often, never no.
func (m *Matcher) Selects(k resource.Kind) bool {
	if len(m.rules) == 0 {
		return true
	}
	return slices.ContainsFunc(m.rules, func(r Rule) bool {
		if slices.ContainsFunc(r.Resources, func(name string) bool { return strings.Contains(name, "/") }) {
			return true // a subresource may come as an object of its own kind
		}
		if !has(r.APIGroups, k.Group) && !(m.equivalent && isEvent(k)) {
			return false
		}
		// The name of a custom resource is what its definition says.
		return !builtIn(k) || has(r.Resources, resource.Plural(k.Kind))
	})
}
