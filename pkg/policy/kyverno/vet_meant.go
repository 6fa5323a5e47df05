package kyverno

import (
	"maps"
	"slices"
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/patch/apply"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/internal/kindname"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/autogen"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/spec"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/variable"
	"github.com/oneloop-dev/oneloop/pkg/resource"
	"github.com/oneloop-dev/oneloop/pkg/wildcard"
)

// kinds finds names that no kind has, and that one of Kubernetes' own is meant by:
// its plural, or in other letters.
func (v *vetting) kinds(path fieldpath.Path, names []string) {
	for i, name := range names {
		s, err := kindname.Parse(name)
		if err != nil {
			continue // an error of compile
		}
		if meant := meantKind(s); meant != "" {
			v.addf(path.Index(i), policy.Noted, policy.Warning, "matches nothing: kinds are named in the singular, as in manifests; write %s", strings.TrimSuffix(name, s.Kind)+meant)
		}
	}
}

// meantKind returns the kind that a selector means and does not name, or "".
func meantKind(s kindname.Selector) string {
	if s.Subresource != "" || strings.ContainsAny(s.Kind, "*?") {
		return ""
	}
	meant := ""
	for _, k := range apply.Kinds() {
		named := resource.Kind{Group: k.Group, Version: k.Version, Kind: s.Kind}
		if !s.Selects(named) {
			continue // another group
		}
		switch {
		case k.Kind == s.Kind:
			return ""
		case strings.EqualFold(k.Kind, s.Kind), strings.EqualFold(resource.Plural(k.Kind), s.Kind):
			meant = k.Kind
		}
	}
	return meant
}

// know takes down the names of the rules of a policy, those of autogen among them.
func (v *vetting) know(d *resource.Resource) {
	key := d.ID().Name
	if d.ID().Namespace != "" {
		key = d.ID().Namespace + "/" + key
	}
	v.rules[key] = nil
	p, _ := spec.Parse(d)
	if p == nil {
		return
	}
	rules, err := autogen.Expand(p)
	if err != nil {
		return // an error of compile
	}
	for i := range rules {
		v.rules[key] = append(v.rules[key], rules[i].Name)
	}
}

// exempts finds policies and rules that an exception names and that are not there.
// Exceptions that were given alone are about policies elsewhere.
func (v *vetting) exempts(path fieldpath.Path, list []exemption) {
	if len(v.rules) == 0 {
		return
	}
	for i, e := range list {
		rules, ok := v.rules[e.PolicyName]
		if !ok {
			v.addf(path.Index(i).Key("policyName"), policy.Noted, policy.Note, "exempts from the policy %s, which is not among the policies", e.PolicyName)
			continue
		}
		for j, pattern := range e.RuleNames {
			if rules != nil && !slices.ContainsFunc(rules, func(name string) bool { return wildcard.Match(pattern, name) }) {
				v.addf(path.Index(i).Key("ruleNames").Index(j), policy.Noted, policy.Warning, "exempts from nothing: the policy has no rule %s; its rules are %s", pattern, strings.Join(rules, ", "))
			}
		}
	}
}

// unclosed finds texts in which a variable begins and does not end.
func (v *vetting) unclosed(value any, path fieldpath.Path) {
	switch value := value.(type) {
	case string:
		if variable.Unclosed(value) {
			v.addf(path, policy.Noted, policy.Warning, "{{ begins no variable here, and stays as it is written: end it with }}, or write \\{{ where a text has it")
		}
	case []any:
		for i, e := range value {
			v.unclosed(e, path.Index(i))
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(value)) {
			v.unclosed(value[key], path.Key(key))
		}
	}
}
