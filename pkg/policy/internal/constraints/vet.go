package constraints

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/decode"
	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/patch/apply"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// Unserved returns which resources of rules that stand at path no cluster has, so
// that the rules never match them: a kind in place of a plural name, or the wrong
// group. Those of groups that are not Kubernetes' own are only asked for their
// form.
func (r *Resources) Unserved(path fieldpath.Path) []decode.Fault {
	if r == nil {
		return nil
	}
	var out []decode.Fault
	look := func(path fieldpath.Path, rules []Rule) {
		for i, rule := range rules {
			for j, written := range rule.Resources {
				if message := rule.unserved(written); message != "" {
					out = append(out, decode.Fault{Path: path.Index(i).Key("resources").Index(j), Message: message})
				}
			}
		}
	}
	look(path.Key("resourceRules"), r.ResourceRules)
	look(path.Key("excludeResourceRules"), r.ExcludeResourceRules)
	return out
}

// Kinds lists the kinds of Kubernetes itself whose objects rules may match; all is
// false when they may match others, too.
func (r *Resources) Kinds() (kinds []resource.Kind, all bool) {
	if r == nil || len(r.ResourceRules) == 0 {
		return nil, false
	}
	for _, rule := range r.ResourceRules {
		if slices.Contains(rule.Resources, "*") || slices.Contains(rule.Resources, "*/*") ||
			!everyGroup(rule.APIGroups, func(kinds map[string]string) bool { return kinds != nil }) {
			return nil, false
		}
	}
	return slices.DeleteFunc(apply.Kinds(), func(k resource.Kind) bool {
		return !slices.ContainsFunc(r.ResourceRules, func(rule Rule) bool {
			return has(rule.APIGroups, k.Group) && has(rule.APIVersions, k.Version) && slices.Contains(rule.Resources, resource.Plural(k.Kind))
		})
	}), true
}

// unserved says why no object is of the resource that a rule names; "": it may be.
func (r *Rule) unserved(written string) string {
	name, _, _ := strings.Cut(written, "/")
	if name == "*" || name == "" {
		return ""
	}
	lower := strings.ToLower(name)
	plural := resource.Plural(name)
	if !everyGroup(r.APIGroups, func(kinds map[string]string) bool { return kinds != nil }) {
		if name != lower {
			return fmt.Sprintf("matches nothing: resources are named in the plural and in lower case, such as %s", plural)
		}
		return ""
	}
	if everyGroup(r.APIGroups, lacks(name)) {
		for _, other := range []string{lower, plural} {
			if !everyGroup(r.APIGroups, lacks(other)) {
				return fmt.Sprintf("matches nothing: resources are named in the plural and in lower case; write %s", other)
			}
			if groups := groupsOf(other); len(groups) > 0 {
				return fmt.Sprintf("matches nothing: %s are in the group %s, and the rule names %s", other, strings.Join(groups, " or "), quoted(r.APIGroups))
			}
		}
		return fmt.Sprintf("matches nothing: Kubernetes 1.36 has no %s in the group %s", name, quoted(r.APIGroups))
	}
	return ""
}

func lacks(name string) func(map[string]string) bool {
	return func(kinds map[string]string) bool { return kinds[name] == "" }
}

// everyGroup reports whether it is so for the kinds of each group by plural name,
// nil for one that is not Kubernetes' own.
func everyGroup(groups []string, is func(map[string]string) bool) bool {
	return !slices.ContainsFunc(groups, func(group string) bool { return !is(served()[group]) })
}

// groupsOf returns the groups that have a resource.
func groupsOf(name string) []string {
	var out []string
	for _, group := range slices.Sorted(maps.Keys(served())) {
		if served()[group][name] != "" {
			out = append(out, quoted([]string{group}))
		}
	}
	return out
}

func quoted(groups []string) string {
	out := make([]string, len(groups))
	for i, g := range groups {
		out[i] = fmt.Sprintf("%q", g)
	}
	return strings.Join(out, ", ")
}
