// Package match decides whether a rule applies to a resource: the match and
// exclude blocks of Kyverno's ClusterPolicy and Policy.
//
// The semantics are those of Kyverno 1.19's admission controller. What it
// would have asked the cluster, namespace labels and the requester, comes from
// facts; where an answer is missing and the outcome depends on it, matching
// fails with an error that wraps facts.ErrMissing.
package match

import (
	"fmt"
	"slices"

	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/policy/internal/kindname"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/spec"
	"github.com/oneloop-dev/oneloop/pkg/resource"
	"github.com/oneloop-dev/oneloop/pkg/wildcard"
)

// A Subject is what a rule is matched against.
type Subject struct {
	// ID has the kind that policies name; for a subresource that is its
	// parent's.
	ID     resource.ID
	Object resource.Object
	// Namespace is the namespace as policies see it, "" for an object that
	// has none.
	Namespace   string
	Operation   string // CREATE, UPDATE, DELETE or CONNECT
	Subresource string // such as status; "" for the object itself
	Facts       *facts.Facts
}

// A Matcher is a compiled pair of match and exclude. It may serve many
// goroutines.
type Matcher struct {
	namespace    string // of a Policy
	match        []filter
	matchAll     bool // all filters must hold, not any
	exclude      []filter
	excludeAll   bool
	subresources bool // some kind names a subresource
	exception    bool // of a PolicyException, not of a rule
}

// Compile compiles the match and exclude blocks of r. The policyNamespace is
// the namespace of a Policy, "" for a ClusterPolicy.
func Compile(policyNamespace string, r *spec.Rule) (*Matcher, error) {
	m := &Matcher{namespace: policyNamespace}
	var err error
	if m.match, m.matchAll, err = compileBlock("match", &r.Match); err != nil {
		return nil, err
	}
	for i := range m.match {
		m.subresources = m.subresources || slices.ContainsFunc(m.match[i].kinds, func(k kindname.Selector) bool { return k.Subresource != "" })
	}
	if !r.Exclude.IsEmpty() {
		if m.exclude, m.excludeAll, err = compileBlock("exclude", r.Exclude); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// CompileException compiles the match block of a PolicyException, whose filters
// are read a little differently: operations do not count, a namespaceSelector
// says nothing about a Namespace, and a block without any and all holds for
// nothing.
func CompileException(b *spec.MatchResources) (*Matcher, error) {
	m := &Matcher{exception: true}
	if len(b.Any) == 0 && len(b.All) == 0 {
		return m, nil
	}
	var err error
	m.match, m.matchAll, err = compileBlock("match", b)
	return m, err
}

func compileBlock(name string, b *spec.MatchResources) (filters []filter, all bool, err error) {
	list, place := []spec.ResourceFilter{{UserInfo: b.UserInfo, Resources: b.Resources}}, name
	switch {
	case len(b.Any) > 0:
		list, place = b.Any, name+".any"
	case len(b.All) > 0:
		list, place, all = b.All, name+".all", true
	}
	for i := range list {
		at := place
		if place != name {
			at = fmt.Sprintf("%s[%d]", place, i)
		}
		f, err := compileFilter(at, &list[i])
		if err != nil {
			return nil, false, err
		}
		filters = append(filters, f)
	}
	return filters, all, nil
}

// Selects reports whether the rule may apply to resources of kind k. It looks
// at the kinds under match only, and so may say yes too often, never no.
func (m *Matcher) Selects(k resource.Kind) bool {
	if m.subresources {
		// The subresource may come as an object of its own kind.
		return true
	}
	for i := range m.match {
		yes := len(m.match[i].kinds) == 0 || selectsKind(m.match[i].kinds, k)
		if yes != m.matchAll {
			return yes
		}
	}
	return m.matchAll
}

// Matches reports whether the rule applies to s. The error, which wraps
// facts.ErrMissing, says that the answer depends on a fact that is not known.
func (m *Matcher) Matches(s Subject) (bool, error) {
	if m.namespace != "" && m.namespace != s.Namespace {
		return false, nil
	}
	block := matching
	if m.exception {
		block = excepting
	}
	matched, missing := evaluate(m.match, m.matchAll, &s, block)
	if matched == no || len(m.exclude) == 0 {
		return matched == yes, missing
	}
	excluded, missingToo := evaluate(m.exclude, m.excludeAll, &s, excluding)
	switch {
	case excluded == yes:
		return false, nil
	case matched == unknown:
		return false, missing
	case excluded == unknown:
		return false, missingToo
	}
	return true, nil
}

// A verdict is the outcome of a criterion whose facts may be missing.
type verdict int

const (
	no verdict = iota
	yes
	unknown
)

// A block is where a filter stands: Kyverno reads the three alike but for
// details.
type block int

const (
	matching block = iota
	excluding
	excepting
)

// evaluate combines the filters of a block. The error is set exactly if the
// verdict is unknown.
func evaluate(filters []filter, all bool, s *Subject, b block) (verdict, error) {
	decisive, otherwise := yes, no
	if all {
		decisive, otherwise = no, yes
	}
	result := otherwise
	var missing error
	for i := range filters {
		v, err := filters[i].evaluate(s, b)
		if v == decisive {
			return decisive, nil
		}
		if v == unknown && result != unknown {
			result, missing = unknown, err
		}
	}
	return result, missing
}

// A filter is one compiled resource filter; all it says must hold.
type filter struct {
	place       string // for errors, such as match.any[0]
	kinds       []kindname.Selector
	name        string
	names       []string
	namespaces  []string
	annotations []pair
	selector    *selector
	nsSelector  *selector
	operations  []string
	resources   bool // something above is set
	metadata    bool // something above asks for the object's metadata
	user        spec.UserInfo
}

// A pair is a key and a value, each maybe with wildcards.
type pair struct{ key, value string }

func compileFilter(place string, f *spec.ResourceFilter) (filter, error) {
	d := &f.Resources
	out := filter{
		place:      place,
		name:       d.Name,
		names:      d.Names,
		namespaces: d.Namespaces,
		operations: d.Operations,
		resources:  !d.IsEmpty(),
		user:       f.UserInfo,
	}
	for i, k := range d.Kinds {
		selector, err := kindname.Parse(k)
		if err != nil {
			return filter{}, fmt.Errorf("%s.resources.kinds[%d]: %w", place, i, err)
		}
		out.kinds = append(out.kinds, selector)
	}
	for k, v := range d.Annotations {
		out.annotations = append(out.annotations, pair{k, v})
	}
	var err error
	if out.selector, err = compileSelector(d.Selector); err != nil {
		return filter{}, fmt.Errorf("%s.resources.selector: %w", place, err)
	}
	if out.nsSelector, err = compileSelector(d.NamespaceSelector); err != nil {
		return filter{}, fmt.Errorf("%s.resources.namespaceSelector: %w", place, err)
	}
	out.metadata = out.name != "" || len(out.names) > 0 || len(out.namespaces) > 0 || len(out.annotations) > 0 || out.selector != nil
	return out, nil
}

// evaluate reports whether all of f holds. Criteria that need facts come last,
// so that they count only when everything else holds.
func (f *filter) evaluate(s *Subject, b block) (verdict, error) {
	user := &f.user
	if b == matching && !user.IsEmpty() && s.Facts.Request.UserDeclared && anonymous(&s.Facts.Request) {
		// Kyverno does not ask for a user when it knows that there is none.
		user = &spec.UserInfo{}
	}
	if !f.resources && user.IsEmpty() {
		return no, nil // an empty filter holds for nothing
	}
	if len(f.operations) > 0 && b != excepting && !slices.Contains(f.operations, s.Operation) {
		return no, nil
	}
	if len(f.kinds) > 0 && !matchesKind(f.kinds, s.ID.Kind, s.Subresource) {
		return no, nil
	}
	var meta map[string]any
	if f.metadata {
		meta, _ = s.Object["metadata"].(map[string]any)
	}
	if f.name != "" || len(f.names) > 0 {
		name := nameOf(meta)
		if f.name != "" && !wildcard.Match(f.name, name) {
			return no, nil
		}
		if len(f.names) > 0 && !wildcard.MatchAny(f.names, name) {
			return no, nil
		}
	}
	if len(f.namespaces) > 0 {
		namespace := s.Namespace
		if isNamespace(s.Object) {
			namespace, _ = meta["name"].(string)
		}
		if !wildcard.MatchAny(f.namespaces, namespace) {
			return no, nil
		}
	}
	if len(f.annotations) > 0 && !hasAll(f.annotations, meta["annotations"]) {
		return no, nil
	}
	if f.selector != nil && !f.selector.matches(objectLabels(meta["labels"])) {
		return no, nil
	}

	result, missing := yes, error(nil)
	switch {
	case f.nsSelector == nil:
	case !isNamespace(s.Object):
		if result, missing = f.namespace(s); result == no {
			return no, nil
		}
	case b != excepting:
		return no, nil // rules never match a Namespace by a namespaceSelector
	}
	if !user.IsEmpty() {
		if !s.Facts.Request.UserDeclared {
			if result == yes {
				missing = missingUser(f.place)
			}
			return unknown, missing
		}
		if !matchesUser(user, &s.Facts.Request) {
			return no, nil
		}
	}
	return result, missing
}

func isNamespace(o resource.Object) bool {
	kind, _ := o["kind"].(string)
	return kind == "Namespace"
}

func nameOf(meta map[string]any) string {
	name, _ := meta["name"].(string)
	if name == "" {
		name, _ = meta["generateName"].(string)
	}
	return name
}

// hasAll reports whether each pattern matches an annotation.
func hasAll(patterns []pair, annotations any) bool {
	m := objectLabels(annotations)
	for _, p := range patterns {
		if !m.hasMatch(p) {
			return false
		}
	}
	return true
}

// namespace evaluates the namespaceSelector.
func (f *filter) namespace(s *Subject) (verdict, error) {
	if s.Namespace == "" {
		return decide(f.nsSelector.matches(labels{})), nil
	}
	known, ok := s.Facts.NamespaceLabels(s.Namespace)
	if ok {
		return decide(f.nsSelector.matches(labels{texts: known})), nil
	}
	// The API server gives every namespace the label of its name.
	v := f.nsSelector.matchesSome(labels{texts: map[string]string{nameLabel: s.Namespace}}, nameLabel)
	if v == unknown {
		return unknown, s.Facts.MissingNamespace(f.place, s.Namespace)
	}
	return v, nil
}

const nameLabel = "kubernetes.io/metadata.name"

func decide(b bool) verdict {
	if b {
		return yes
	}
	return no
}

func missingUser(place string) error {
	return fmt.Errorf("%s asks for the requester, who is not known: %w; give one with --facts, as in\n  apiVersion: cli.kyverno.io/v1alpha1\n  kind: UserInfo\n  metadata:\n    name: requester\n  clusterRoles: []\n  userInfo:\n    username: ana\n    groups: []",
		place, facts.ErrMissing)
}
