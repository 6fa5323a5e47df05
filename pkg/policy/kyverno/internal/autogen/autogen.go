// Package autogen derives rules for pod controllers from rules for pods, as
// Kyverno 1.19 does: a rule X that matches Pod is copied as autogen-X for
// Deployments and the like, with its patch moved under spec.template, and as
// autogen-cronjob-X for CronJobs.
//
// Messages of validate rules are copied as they are: references in them are
// not shifted.
package autogen

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/spec"
)

// controllers lists the kinds that autogen makes rules for.
var controllers = []string{"CronJob", "DaemonSet", "Deployment", "Job", "ReplicaSet", "ReplicationController", "StatefulSet"}

const (
	cronJob = "CronJob"
	prefix  = "autogen-"
	maxName = 63
)

// Expand returns all rules of p in the order in which Kyverno runs them: those
// of the policy, then those derived from the first rule, and so on. When any
// is derived, rules of the policy that are named as if they had been derived
// are left out. The error says that a derived rule does not fit the language;
// it wraps nothing.
func Expand(p *spec.Policy) ([]spec.Rule, error) {
	kinds := wanted(p)
	if len(kinds) == 0 {
		return p.Spec.Rules, nil
	}
	var derived []spec.Rule
	for i := range p.Spec.Rules {
		rules, err := derive(&p.Spec.Rules[i], kinds)
		if err != nil {
			return nil, fmt.Errorf("rule %q: %w", p.Spec.Rules[i].Name, err)
		}
		derived = append(derived, rules...)
	}
	if len(derived) == 0 {
		return p.Spec.Rules, nil
	}
	var out []spec.Rule
	for _, r := range p.Spec.Rules {
		if !strings.HasPrefix(r.Name, prefix) {
			out = append(out, r)
		}
	}
	return append(out, derived...), nil
}

// wanted returns the kinds to derive rules for, none when the policy does not
// allow it or its annotation says so.
func wanted(p *spec.Policy) []string {
	if !supported(&p.Spec) {
		return nil
	}
	annotation, ok := p.Metadata.Annotations[spec.AutogenAnnotation]
	if !ok {
		return controllers
	}
	kinds := strings.Split(annotation, ",")
	slices.Sort(kinds)
	kinds = slices.Compact(kinds)
	if slices.Equal(kinds, []string{"none"}) {
		return nil
	}
	return kinds
}

// supported reports whether all rules of a policy can be derived from; one
// that cannot rules out the others.
func supported(s *spec.Spec) bool {
	needed := false
	for i := range s.Rules {
		r := &s.Rules[i]
		if r.HasGenerate() {
			return false
		}
		if m := r.Mutation; m != nil {
			if m.PatchesJSON6902 != "" ||
				slices.ContainsFunc(m.ForEach, func(f spec.ForEachMutation) bool { return f.PatchesJSON6902 != "" }) {
				return false
			}
		}
		for _, b := range []*spec.MatchResources{&r.Match, r.Exclude} {
			if b == nil {
				continue
			}
			descriptions := []*spec.ResourceDescription{&b.Resources}
			for i := range b.Any {
				descriptions = append(descriptions, &b.Any[i].Resources)
			}
			for i := range b.All {
				descriptions = append(descriptions, &b.All[i].Resources)
			}
			for _, d := range descriptions {
				if d.Name != "" || len(d.Names) > 0 || d.Selector != nil || d.Annotations != nil ||
					len(d.Kinds) > 1 && containsPod(d.Kinds) {
					return false
				}
				needed = needed || slices.ContainsFunc(d.Kinds, func(k string) bool {
					return k == "Pod" || slices.Contains(controllers, k)
				})
			}
		}
	}
	return needed
}

// containsPod reports whether one of the kinds is Pod, in whichever group and
// version and with whichever subresource.
func containsPod(kinds []string) bool {
	return slices.ContainsFunc(kinds, func(k string) bool { return bareKind(k) == "Pod" })
}

// bareKind strips group, version and subresource off a kind.
func bareKind(s string) string {
	parts := strings.Split(s, "/")
	kind := ""
	switch len(parts) {
	case 1:
		kind, _, _ = strings.Cut(parts[0], ".")
		return kind
	case 2:
		if !isVersion(parts[0]) {
			return parts[0]
		}
		kind = parts[1]
	case 3:
		if isVersion(parts[0]) {
			return parts[1]
		}
		kind = parts[2]
	case 4:
		return parts[2]
	}
	kind, _, _ = strings.Cut(kind, ".")
	return kind
}

// isVersion recognizes the versions that Kyverno does: *, v1, v1beta1.
func isVersion(s string) bool {
	if s == "*" {
		return true
	}
	rest, ok := strings.CutPrefix(s, "v")
	if !ok || rest == "" || !isDigit(rest[0]) {
		return false
	}
	for _, stage := range []string{"alpha", "beta"} {
		if n, ok := strings.CutPrefix(rest[1:], stage); ok {
			return len(n) == 1 && isDigit(n[0])
		}
	}
	return len(rest) == 1
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// derive makes the rules for pod controllers out of r, none when it does not
// match pods.
func derive(r *spec.Rule, kinds []string) ([]spec.Rule, error) {
	var rules []spec.Rule
	add := func(raw map[string]any, ok bool, template string) error {
		if !ok {
			return nil
		}
		cel := r.Validation != nil && r.Validation.CEL != nil
		rule, err := spec.DecodeRule(shift(raw, replacements(template, cel)).(map[string]any), r.Path)
		if err != nil {
			return fmt.Errorf("%v: %w", raw["name"], err)
		}
		if r.Mutation != nil && slices.ContainsFunc(r.Mutation.ForEach, nested) {
			rule.Fault = errNested
		}
		rules = append(rules, *rule)
		return nil
	}

	others := slices.DeleteFunc(slices.Clone(kinds), func(k string) bool { return k == cronJob })
	raw, ok := forControllers(r, others)
	if err := add(raw, ok, "spec.template"); err != nil {
		return nil, err
	}
	// Kyverno looks for the text CronJob anywhere in the annotation, and also
	// takes the retired value all for it.
	if all := strings.Join(kinds, ","); strings.Contains(all, cronJob) || strings.Contains(all, "all") {
		raw, ok := forCronJob(r, kinds)
		if err := add(raw, ok, "spec.jobTemplate.spec.template"); err != nil {
			return nil, err
		}
	}
	return rules, nil
}

// errNested is the fault of rules derived from a nested foreach. Kyverno
// derives one whose patch has spec.template: null, and a cluster refuses what
// it makes of a controller.
var errNested = errors.New("autogen cannot move a nested foreach to pod controllers: Kyverno would remove the pod template; " +
	"set the annotation " + spec.AutogenAnnotation + ": none on the policy, and write rules for controllers by hand")

func nested(f spec.ForEachMutation) bool { return f.PatchStrategicMerge == nil && len(f.ForEach) > 0 }

// forControllers makes the rule for all controllers but CronJob.
func forControllers(r *spec.Rule, kinds []string) (map[string]any, bool) {
	if strings.HasPrefix(r.Name, prefix) || strings.Join(kinds, ",") == "" {
		return nil, false
	}
	excluded := r.Exclude.Kinds()
	if !containsPod(r.Match.Kinds()) || len(excluded) > 0 && !containsPod(excluded) {
		return nil, false
	}
	// Unknown kinds are dropped, unless there are no others.
	known := slices.DeleteFunc(slices.Clone(kinds), func(k string) bool {
		return k == cronJob || !slices.Contains(controllers, k)
	})
	if len(known) > 0 {
		kinds = known
	}
	return move(r.Raw, name(prefix, r.Name), "template", kinds, false)
}

// forCronJob moves the rule for controllers once more.
func forCronJob(r *spec.Rule, kinds []string) (map[string]any, bool) {
	raw, ok := forControllers(r, kinds)
	if !ok {
		return nil, false
	}
	return move(raw, name(prefix+"cronjob-", r.Name), "jobTemplate", []string{cronJob}, true)
}

// name joins and cuts off what is too long.
func name(prefix, rule string) string {
	s := prefix + rule
	return s[:min(len(s), maxName)]
}
