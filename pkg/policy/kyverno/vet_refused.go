package kyverno

import (
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
			case existing && knownBefore()[true].MatchString(u.Text):
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

// knownBefore tells which variables Kyverno takes for known before there is a
// target, in background mode and without. Any other has to be a context entry.
var knownBefore = sync.OnceValue(func() map[bool]*regexp.Regexp {
	return map[bool]*regexp.Regexp{
		true:  regexp.MustCompile(`request\.|element|@|images|image\.|[a-z_0-9]\([^{}]`),
		false: regexp.MustCompile(`request|serviceAccountName|element|@|image|[a-z_0-9]\([^{}]`),
	}
})

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
			knownBefore()[p.Spec.BackgroundEnabled()].MatchString(text),
			slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(text, name) }):
		default:
			v.refused(u.Path, "{{ %s }} stands where no target is known yet; move it into context or preconditions of the target", u.Text)
		}
	}
}

// nested finds entries of the context of a nested foreach in variables that
// consist of little else: Kyverno's webhook does not look for entries there.
func (v *vetting) nested(p *spec.Policy, r *spec.Rule) {
	var known, inner []string
	eachEntry(r, func(path fieldpath.Path, e *spec.ContextEntry) {
		loops := 0
		for _, step := range path {
			if step.Key() == "foreach" {
				loops++
			}
		}
		if loops > 1 {
			inner = append(inner, e.Name)
		} else {
			known = append(known, e.Name)
		}
	})
	if len(inner) == 0 {
		return
	}
	for _, u := range variable.Uses(r.Raw["mutate"], r.Path.Key("mutate")) {
		text := strings.ReplaceAll(u.Text, `"`, "")
		begins := func(name string) bool { return strings.HasPrefix(text, name) }
		if knownBefore()[p.Spec.BackgroundEnabled()].MatchString(text) || strings.Contains(text, "target.") || slices.ContainsFunc(known, begins) {
			continue
		}
		if i := slices.IndexFunc(inner, begins); i >= 0 {
			v.refused(u.Path, "%s is an entry in the context of a nested foreach, which its webhook does not know; load it in the outer one", inner[i])
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
