package kyverno

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/patch/jsonpatch"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/spec"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/variable"
	"github.com/oneloop-dev/oneloop/pkg/resource"
	"github.com/oneloop-dev/oneloop/pkg/wildcard"
)

// What Kyverno's webhook refuses although its engine evaluates it, and so does
// ours: compile accepts it, since policies are also applied that no cluster has
// seen.

func (v *vetting) refused(path fieldpath.Path, format string, args ...any) {
	v.addf(path, policy.Rejected, policy.Fault, "Kyverno refuses the policy: "+format, args...)
}

// background finds variables about the requester in a policy that runs in the
// background. A rule that has targets makes Kyverno overlook most of them.
func (v *vetting) background(p *spec.Policy, o resource.Object) {
	if !p.Spec.BackgroundEnabled() {
		return
	}
	existing := slices.ContainsFunc(p.Spec.Rules, func(r spec.Rule) bool { return r.HasMutateExisting() })
	for _, part := range []string{"metadata", "spec"} {
		if existing && part == "metadata" {
			continue
		}
		for _, u := range variable.Uses(o[part], fieldpath.Path{}.Key(part)) {
			m := userPattern().FindStringSubmatch("{{" + u.Text)
			switch {
			case m == nil || strings.Contains(u.Path.String(), "last-applied-configuration"):
			case existing && known(true, true).MatchString(u.Text):
			default:
				v.refused(u.Path, "%s is only known at admission; set spec.background to false", m[1])
				return
			}
		}
	}
}

// userPattern is how Kyverno recognizes such variables.
var userPattern = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`[^.](serviceAccountName|serviceAccountNamespace|request.userInfo|request.roles|request.clusterRoles)\b`)
})

// known is how Kyverno's webhook recognizes variables of its own, anywhere in an
// expression: in background mode and without, in a rule with targets and without.
func known(background, targets bool) *regexp.Regexp {
	return knownPatterns()[[2]bool{background, targets}]
}

var knownPatterns = sync.OnceValue(func() map[[2]bool]*regexp.Regexp {
	const always = `element|@|images|[a-z_0-9]\([^{}]`
	return map[[2]bool]*regexp.Regexp{
		{false, false}: regexp.MustCompile(always + `|request|serviceAccountName|image`),
		{false, true}:  regexp.MustCompile(always + `|request\.|serviceAccountName|image\.|target\.`),
		{true, false}:  regexp.MustCompile(always + `|request\.|image\.`),
		{true, true}:   regexp.MustCompile(always + `|request\.|image\.|target\.`),
	}
})

// acceptable reports whether Kyverno's webhook takes an expression for one of
// its own variables, by what it has in it.
func acceptable(p *spec.Policy, r *spec.Rule, e *variable.Expression) bool {
	return known(p.Spec.BackgroundEnabled(), r.HasMutateExisting()).MatchString(strings.ReplaceAll(e.String(), `"`, ""))
}

// variables finds those that Kyverno's webhook does not take for known, besides
// those that compile refuses too. It does not look into the conditions of
// attestations.
func (v *vetting) variables(p *spec.Policy, r *spec.Rule) {
	own := known(p.Spec.BackgroundEnabled(), r.HasMutateExisting())
	var patterns, inner []string
	eachEntry(r, func(path fieldpath.Path, e *spec.ContextEntry) {
		loops := 0
		for _, step := range path {
			if step.Key() == "foreach" {
				loops++
			}
		}
		switch {
		case loops > 1:
			inner = append(inner, e.Name)
		case e.ConfigMap != nil:
			patterns = append(patterns, e.Name+".data", e.Name+".metadata", e.Name+".data.*", e.Name+".metadata.*")
		default:
			patterns = append(patterns, e.Name+"*")
		}
	})
	for _, part := range slices.Sorted(maps.Keys(r.Raw)) {
		if part == "match" || part == "exclude" || part == "verifyImages" {
			continue
		}
		for _, u := range variable.Uses(r.Raw[part], r.Path.Key(part)) {
			text := strings.ReplaceAll(u.Text, `"`, "")
			if u.Expression == nil || userPattern().MatchString("{{"+text) || own.MatchString(text) || wildcard.MatchAny(patterns, text) {
				continue
			}
			nested := slices.IndexFunc(inner, func(name string) bool { return strings.HasPrefix(text, name) })
			switch {
			case nested >= 0:
				v.refused(u.Path, "%s is an entry in the context of a nested foreach, which its webhook does not know; load it in the outer one", inner[nested])
			case strings.HasPrefix(text, "target"):
				v.refused(u.Path, "{{ %s }}: only a rule with targets has a target", u.Text)
			default:
				v.refused(u.Path, "{{ %s }}: its webhook knows no such variable here", u.Text)
			}
		}
	}
}

// early finds target where Kyverno looks for variables before it has one: in
// the context and the preconditions of the rule, and in what names the targets.
func (v *vetting) early(p *spec.Policy, r *spec.Rule) {
	if r.Mutation == nil || r.Mutation.Targets == nil {
		return
	}
	uses := append(variable.Uses(r.Raw["context"], r.Path.Key("context")), variable.Uses(r.Raw["preconditions"], r.Path.Key("preconditions"))...)
	mutate, _ := r.Raw["mutate"].(map[string]any)
	targets, _ := mutate["targets"].([]any)
	for i, e := range targets {
		t, _ := e.(map[string]any)
		for _, field := range []string{"apiVersion", "kind", "namespace", "name", "uid"} {
			uses = append(uses, variable.Uses(t[field], r.Path.Key("mutate").Key("targets").Index(i).Key(field))...)
		}
	}
	names := entryNames(r)
	for _, u := range uses {
		text := strings.ReplaceAll(u.Text, `"`, "")
		switch {
		case !strings.HasPrefix(text, "target.") && text != "target",
			known(p.Spec.BackgroundEnabled(), false).MatchString(text),
			slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(text, name) }):
		default:
			v.refused(u.Path, "{{ %s }} stands where no target is known yet; move it into context or preconditions of the target", u.Text)
		}
	}
}

// jsonPatch checks the operations of patchesJson6902, but not those of a
// foreach, as Kyverno does: with a word for each variable. What does not even
// parse without variables is a fault of compile.
func (v *vetting) jsonPatch(r *spec.Rule) {
	if r.Mutation == nil || r.Mutation.PatchesJSON6902 == "" {
		return
	}
	at, text := r.Path.Key("mutate").Key("patchesJson6902"), r.Mutation.PatchesJSON6902
	if written, err := jsonpatch.Parse(text); err == nil {
		for i, o := range written {
			if len(variable.Uses(o.Path, nil)) > 0 {
				v.refused(at, "the path of operation [%d], %s, has a variable; put the operation into a foreach", i, o.Path)
			}
		}
	} else if !varies(text) {
		return
	}
	// All of it is YAML for Kyverno here, also what looks like JSON.
	operations, err := jsonpatch.Parse("\n" + variable.Plain(text))
	if err != nil {
		v.refused(at, "%v", err)
	}
	for i, o := range operations {
		if !strings.HasPrefix(o.Path, "/") {
			v.refused(at, "the path of operation [%d], %q, does not begin with a slash", i, o.Path)
		}
		if o.Op == "test" && o.Value == nil {
			v.refused(at, "operation [%d] tests without a value", i)
		}
	}
}
