// Package autogen copies policies for Pods to the kinds that make Pods, as
// Kyverno does.
//
// It rewrites text. What Kyverno forgets to rewrite is left here, too:
// variables, JSON patches, and whatever does not begin with the text that it
// looks for.
package autogen

import (
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/oneloop-dev/oneloop/pkg/policy/internal/constraints"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyvernocel/internal/spec"
)

// A Variant is for which controllers a copy is.
type Variant string

// The variants. Those of other controllers are Extracted: Kyverno finds the Pod
// in them when it sees the resource, and changes none of them.
const (
	Defaults  Variant = "defaults" // what has a Pod template in spec.template
	CronJobs  Variant = "cronjobs"
	Extracted Variant = "extract"
)

// controllers are the resources that Kyverno knows, by group.
var controllers = map[string]string{
	"daemonsets": "apps", "deployments": "apps", "replicasets": "apps", "statefulsets": "apps", "jobs": "batch", "cronjobs": "batch",
}

// Possible reports whether a policy that matches m is copied at all: it has to be
// about Pods and about nothing else of them than their namespace.
func Possible(m *constraints.Resources) bool {
	if m == nil || len(m.ExcludeResourceRules) > 0 || len(m.ResourceRules) != 1 {
		return false
	}
	if s := m.ObjectSelector; s != nil && len(s.MatchLabels)+len(s.MatchExpressions) > 0 {
		return false
	}
	only := func(list []string, text string) bool { return len(list) == 1 && list[0] == text }
	r := &m.ResourceRules[0]
	return len(r.ResourceNames) == 0 && len(r.Operations) > 0 && only(r.APIGroups, "") && only(r.APIVersions, "v1") && only(r.Resources, "pods")
}

// Targets returns what the copies of a policy that matches m match, by variant.
// chosen are the names of controllers, nil for all that Kyverno knows; it passes
// over names that mean nothing to it.
func Targets(m *constraints.Resources, chosen []string) map[Variant]*constraints.Resources {
	if !Possible(m) {
		return nil
	}
	if chosen == nil {
		for name := range controllers {
			chosen = append(chosen, name)
		}
	}
	type groupVersion struct{ group, version string }
	targets := map[Variant]map[groupVersion][]string{}
	for _, name := range chosen {
		variant, gv, resource := Defaults, groupVersion{controllers[name], "v1"}, name
		switch {
		case name == "cronjobs":
			variant = CronJobs
		case controllers[name] == "":
			parts := strings.SplitN(name, ".", 3)
			if len(parts) != 3 || slices.Contains(parts, "") {
				continue
			}
			variant, resource, gv = Extracted, parts[0], groupVersion{parts[2], parts[1]}
		}
		if targets[variant] == nil {
			targets[variant] = map[groupVersion][]string{}
		}
		targets[variant][gv] = append(targets[variant][gv], resource)
	}
	out := map[Variant]*constraints.Resources{}
	for variant, byGroup := range targets {
		copied := &constraints.Resources{NamespaceSelector: m.NamespaceSelector}
		for gv, resources := range byGroup {
			slices.Sort(resources)
			copied.ResourceRules = append(copied.ResourceRules, constraints.Rule{
				APIGroups: []string{gv.group}, APIVersions: []string{gv.version},
				Resources: slices.Compact(resources), Operations: m.ResourceRules[0].Operations,
			})
		}
		slices.SortFunc(copied.ResourceRules, func(a, b constraints.Rule) int {
			return strings.Compare(a.APIGroups[0]+"/"+a.APIVersions[0], b.APIGroups[0]+"/"+b.APIVersions[0])
		})
		out[variant] = copied
	}
	return out
}

// Known reports whether name means a controller to Kyverno without asking a
// cluster.
func Known(name string) bool {
	parts := strings.SplitN(name, ".", 3)
	return controllers[name] != "" || len(parts) == 3 && !slices.Contains(parts, "")
}

// Mutating returns the copies of a MutatingPolicy, which match what Targets says,
// by variant.
func Mutating(s *spec.MutatingSpec) map[Variant]*spec.MutatingSpec {
	var chosen []string
	if s.Autogen != nil && s.Autogen.PodControllers != nil {
		chosen = s.Autogen.PodControllers.Controllers
	}
	out := map[Variant]*spec.MutatingSpec{}
	for variant, match := range Targets(s.MatchConstraints, chosen) {
		copied := *s
		copied.MatchConstraints = match
		if variant != Extracted {
			copied.MatchConditions = slices.Clone(s.MatchConditions)
			for i := range copied.MatchConditions {
				copied.MatchConditions[i].Expression = rewrite(copied.MatchConditions[i].Expression, variant)
			}
			copied.Mutations = slices.Clone(s.Mutations)
			for i, m := range copied.Mutations {
				if m.ApplyConfiguration != nil {
					copied.Mutations[i].ApplyConfiguration = &spec.Patch{Expression: rewrite(m.ApplyConfiguration.Expression, variant)}
				}
			}
		}
		out[variant] = &copied
	}
	return out
}

// template is the path of the Pod template.
func (v Variant) template() string {
	if v == CronJobs {
		return "spec.jobTemplate.spec.template"
	}
	return "spec.template"
}

var patterns = sync.OnceValue(func() [3]*regexp.Regexp {
	return [3]*regexp.Regexp{
		regexp.MustCompile(`\b(object|oldObject|Object)\.spec`),
		regexp.MustCompile(`\b(object|oldObject|Object)\.metadata\.labels`),
		regexp.MustCompile(`\b(object|oldObject|Object)\.metadata\.annotations`),
	}
})

// rewrite makes an expression about a Pod one about its template.
func rewrite(expression string, v Variant) string {
	template := v.template()
	for i, field := range []string{".spec", ".metadata.labels", ".metadata.annotations"} {
		expression = patterns()[i].ReplaceAllString(expression, "${1}."+template+field)
	}
	inner, rest, ok := construction(strings.TrimSpace(expression))
	if !ok {
		return expression
	}
	// Object{...} becomes Object{spec: Object.spec{template: Object.spec.template{...}}}.
	path := "Object"
	open, end := "Object{", "}"
	for name := range strings.SplitSeq(template, ".") {
		path += "." + name
		open += name + ": " + path + "{"
		end += "}"
	}
	return open + inner + end + rest
}

// construction splits a text that begins with Object{...}. It counts the braces
// in texts and comments, too, and does not see one that is empty.
func construction(expression string) (inner, rest string, ok bool) {
	s, ok := strings.CutPrefix(expression, "Object")
	if !ok {
		return "", "", false
	}
	if s, ok = strings.CutPrefix(strings.TrimLeft(s, " \t\r\n"), "{"); !ok {
		return "", "", false
	}
	depth := 1
	for i := range len(s) {
		switch s[i] {
		case '{':
			depth++
		case '}':
			depth--
		}
		if depth == 0 {
			return s[:i], s[i+1:], i > 0
		}
	}
	return "", "", false
}
