// Package match decides which requests a policy of group policies.kyverno.io is
// about.
//
// It follows Kyverno's own matcher: versions are compared as they are written,
// whatever matchPolicy says, and a name may be the beginning of generateName. A
// selector of namespaces asks the facts for labels, and fails with an error that
// wraps facts.ErrMissing where they are not known.
package match

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"

	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyvernocel/internal/spec"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// A Subject is what may match.
type Subject struct {
	Kind        resource.Kind // of a subresource, its parent's
	Subresource string
	Name        string // "": the API server is going to make it of generateName
	Namespace   string // as policies see it; "" for a cluster-scoped resource
	Operation   string
	Object      resource.Object
	Facts       *facts.Facts
}

func (s *Subject) isNamespace() bool {
	return s.Kind == resource.Kind{Version: "v1", Kind: "Namespace"}
}

// A Matcher is compiled MatchResources.
type Matcher struct {
	place             string
	rules, exclude    []spec.ResourceRule
	namespace, object labels.Selector // nil: everything
}

// A Fault is what is wrong with a field below the MatchResources.
type Fault struct {
	Path fieldpath.Path
	Err  error
}

// Compile compiles m; place is what errors call it, such as
// spec.matchConstraints.
func Compile(place string, m *spec.MatchResources) (*Matcher, []Fault) {
	out := &Matcher{place: place, rules: m.ResourceRules, exclude: m.ExcludeResourceRules}
	var faults []Fault
	var root fieldpath.Path
	out.namespace = selector(root.Key("namespaceSelector"), m.NamespaceSelector, &faults)
	out.object = selector(root.Key("objectSelector"), m.ObjectSelector, &faults)
	for _, list := range []struct {
		name  string
		rules []spec.ResourceRule
	}{{"resourceRules", m.ResourceRules}, {"excludeResourceRules", m.ExcludeResourceRules}} {
		for i, r := range list.rules {
			at := root.Key(list.name).Index(i)
			for _, field := range []struct {
				name    string
				values  []string
				allowed []string
			}{{"operations", r.Operations, []string{"*", "CREATE", "UPDATE", "DELETE", "CONNECT"}}, {"scope", []string{r.Scope}, []string{"", "*", "Cluster", "Namespaced"}}} {
				for _, v := range field.values {
					if !slices.Contains(field.allowed, v) {
						faults = append(faults, Fault{at.Key(field.name), fmt.Errorf("expected one of %s, found %q", strings.TrimPrefix(strings.Join(field.allowed, ", "), ", "), v)})
					}
				}
			}
		}
	}
	return out, faults
}

var operators = map[string]selection.Operator{
	"In": selection.In, "NotIn": selection.NotIn, "Exists": selection.Exists, "DoesNotExist": selection.DoesNotExist,
}

// selector compiles s, nil when it selects everything.
func selector(at fieldpath.Path, s *spec.LabelSelector, faults *[]Fault) labels.Selector {
	if s == nil || len(s.MatchLabels)+len(s.MatchExpressions) == 0 {
		return nil
	}
	out := labels.NewSelector()
	add := func(at fieldpath.Path, key string, operator selection.Operator, values []string) {
		r, err := labels.NewRequirement(key, operator, values)
		if err != nil {
			*faults = append(*faults, Fault{at, err})
			return
		}
		out = out.Add(*r)
	}
	for k, v := range s.MatchLabels {
		add(at.Key("matchLabels").Key(k), k, selection.Equals, []string{v})
	}
	for i, e := range s.MatchExpressions {
		at := at.Key("matchExpressions").Index(i)
		operator, ok := operators[e.Operator]
		if !ok {
			*faults = append(*faults, Fault{at.Key("operator"), fmt.Errorf("expected one of In, NotIn, Exists, DoesNotExist, found %q", e.Operator)})
			continue
		}
		add(at, e.Key, operator, e.Values)
	}
	return out
}

// Selects reports whether resources of kind k may match. It says yes too often
// for rules about subresources, whose kinds only the facts know.
func (m *Matcher) Selects(k resource.Kind) bool {
	if len(m.rules) == 0 {
		return true
	}
	return slices.ContainsFunc(m.rules, func(r spec.ResourceRule) bool {
		return slices.ContainsFunc(r.Resources, func(s string) bool {
			_, sub, ok := strings.Cut(s, "/")
			return ok && sub != ""
		}) || about(&r, k, "")
	})
}

// Targets reports whether a rule is about resources of kind k, whatever the
// operation, and by which names; none stands for all.
func (m *Matcher) Targets(k resource.Kind) (names []string, ok bool) {
	for i := range m.rules {
		r := &m.rules[i]
		if !about(r, k, "") {
			continue
		}
		if len(r.ResourceNames) == 0 {
			return nil, true
		}
		names, ok = append(names, r.ResourceNames...), true
	}
	return names, ok
}

// Matches reports whether s matches.
func (m *Matcher) Matches(s Subject) (bool, error) {
	if slices.ContainsFunc(m.exclude, func(r spec.ResourceRule) bool { return matches(&r, &s) }) {
		return false, nil
	}
	if len(m.rules) > 0 && !slices.ContainsFunc(m.rules, func(r spec.ResourceRule) bool { return matches(&r, &s) }) {
		return false, nil
	}
	if !m.Labels(s.Object) {
		return false, nil
	}
	return m.InNamespace(s)
}

// Labels reports whether the object has the labels that are asked for.
func (m *Matcher) Labels(o resource.Object) bool {
	return m.object == nil || m.object.Matches(labelsOf(o))
}

// InNamespace reports whether the namespace has the labels that are asked for.
// Resources without namespace are in all of them.
func (m *Matcher) InNamespace(s Subject) (bool, error) {
	switch {
	case m.namespace == nil, s.Namespace == "" && !s.isNamespace():
		return true, nil
	case s.isNamespace():
		set := labels.Set{nameLabel: s.Name}
		for k, v := range labelsOf(s.Object) {
			set[k] = v
		}
		return m.namespace.Matches(set), nil
	}
	set, known := s.Facts.NamespaceLabels(s.Namespace)
	if known {
		return m.namespace.Matches(labels.Set(set)), nil
	}
	// The API server puts this label on every namespace.
	set = labels.Set{nameLabel: s.Namespace}
	requirements, _ := m.namespace.Requirements()
	unknown := false
	for _, r := range requirements {
		if r.Key() != nameLabel {
			unknown = true
		} else if !r.Matches(labels.Set(set)) {
			return false, nil
		}
	}
	if unknown {
		return false, facts.MissingNamespace(m.place, s.Namespace)
	}
	return true, nil
}

const nameLabel = "kubernetes.io/metadata.name"

func labelsOf(o resource.Object) labels.Set {
	meta, _ := o["metadata"].(map[string]any)
	set, _ := meta["labels"].(map[string]any)
	out := make(labels.Set, len(set))
	for k, v := range set {
		if s, ok := v.(string); ok {
			out[k] = s
		}
	}
	return out
}

// about reports whether a rule is about resources of a kind, in this version.
func about(r *spec.ResourceRule, k resource.Kind, subresource string) bool {
	either := func(list []string, text string) bool {
		return slices.Contains(list, "*") || slices.Contains(list, text)
	}
	if !either(r.APIGroups, k.Group) || !either(r.APIVersions, k.Version) {
		return false
	}
	plural := resource.Plural(k.Kind)
	return slices.ContainsFunc(r.Resources, func(s string) bool {
		name, sub, _ := strings.Cut(s, "/")
		return (name == "*" || name == plural) && (sub == "*" || sub == subresource)
	})
}

func matches(r *spec.ResourceRule, s *Subject) bool {
	if !about(r, s.Kind, s.Subresource) || !slices.Contains(r.Operations, "*") && !slices.Contains(r.Operations, s.Operation) {
		return false
	}
	cluster := s.isNamespace() || s.Namespace == ""
	if r.Scope == "Namespaced" && cluster || r.Scope == "Cluster" && !cluster {
		return false
	}
	if len(r.ResourceNames) == 0 {
		return true
	}
	if s.Name != "" {
		return slices.Contains(r.ResourceNames, s.Name)
	}
	meta, _ := s.Object["metadata"].(map[string]any)
	generate, _ := meta["generateName"].(string)
	return slices.ContainsFunc(r.ResourceNames, func(name string) bool { return strings.HasPrefix(generate, name) })
}
