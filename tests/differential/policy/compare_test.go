package differential

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"
	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/pipeline"
	"github.com/oneloop-dev/oneloop/pkg/policy"
)

// An intention is a difference that is meant. It concerns errors alone: what
// oneloop refuses. Nothing else is ever taken for equal.
type intention struct {
	name   string
	reason string
	is     func(error) bool
	// fails is set where Kyverno must not succeed either: it only says later
	// what is wrong.
	fails bool
}

func says(parts ...string) func(error) bool {
	return func(err error) bool {
		for _, p := range parts {
			if !strings.Contains(err.Error(), p) {
				return false
			}
		}
		return true
	}
}

// intentions is the whole list of differences that are meant, but for one: the
// numbers of the resource; see plainNumbers.
var intentions = []intention{
	{"unsupported", "what can't be evaluated at render time is an error, never a guess",
		func(err error) bool { return errors.Is(err, errors.ErrUnsupported) }, false},
	{"fact missing", "what a cluster would know has to be declared",
		func(err error) bool { return errors.Is(err, facts.ErrMissing) }, false},
	{"identity", "the API server refuses an admission response that renames the object; Kyverno's engine does not see it",
		says("changes the identity of the resource"), false},
	{"reference to a map", "Kyverno takes one of the keys of the map, another one each time",
		says("reference $(", "expected a text at", "found a map"), false},
	{"nested foreach in autogen", "Kyverno makes a rule of it that removes the pod template, which the API server refuses",
		says("Kyverno would remove the pod template"), false},
	{"no number", "a result that JSON can't express is an error at once; Kyverno fails when it writes it, if it does",
		says("which is not a number"), false},
	{"malformed expression", "it is refused when the policy is read; Kyverno fails each object for which it comes to it",
		func(err error) bool {
			return says("JMESPath expression", "offset")(err) || says("the expression is empty")(err)
		}, false},
	{"malformed patch", "it is refused when the policy is read; Kyverno fails each object that comes to it",
		says("patchesJson6902", "patch is not"), true},
	{"key twice", "whether k or +(k) wins depends on the order in which Kyverno walks a map",
		says("sets the field twice, with an anchor and without"), false},
	{"behind a nested foreach", "Kyverno refuses both, but for the elements that follow the first nested foreach, which it forgets to look at",
		func(err error) bool {
			return says("beside a nested foreach only list and order are allowed")(err) || says("foreach", "expected exactly one of patchStrategicMerge")(err)
		}, false},
	{"label without text", "the API server refuses labels that are no text; Kyverno looks for them in the first patch of foreach alone",
		says("foreach", "expected text, found"), false},
	{"operation without value", "Kyverno refuses it too, but for foreach, where it takes null",
		says("needs a value"), false},
}

// intended returns the intention behind err, all parts of which must have one.
func intended(err error) *intention {
	var found *intention
	for _, e := range pipeline.Flatten(err) {
		i := slices.IndexFunc(intentions, func(i intention) bool { return i.is(e) })
		if i < 0 {
			return nil
		}
		if found == nil || intentions[i].fails {
			found = &intentions[i]
		}
	}
	return found
}

// An outcome is what comparing one sample showed.
type outcome struct {
	rejected   error // by Kyverno
	crashed    error // Kyverno
	refused    error // by oneloop
	intention  string
	difference string // "" when there is none
	kind       string // of the difference, in a word or two
	undecided  bool   // Kyverno gives one result and another
	onlyCLI    bool   // oneloop does as Kyverno's command line, not as its admission controller
	steps      []step // of Kyverno
}

// compare runs a sample with both.
func compare(s *sample) outcome {
	var out outcome
	ref, err := newReference(s)
	if err != nil {
		out.rejected = err
		return out
	}
	steps, errs, err := product(s)
	if errors.Is(err, errRefused) {
		out.refused = err
		if i := intended(err); i != nil {
			out.intention = i.name
			if i.fails {
				out.steps, out.crashed = ref.run(admission)
				if d := succeeds(out.steps, err); d != "" {
					out.kind, out.difference = "refused but passes", err.Error()+"\nKyverno passes "+d
				}
			}
			return out
		}
	}
	if err != nil {
		// Whether Kyverno takes labels that are no text depends on the order in
		// which it walks a map.
		for range 20 {
			if _, err := newReference(s); err != nil {
				out.undecided, out.rejected = true, err
				return out
			}
		}
		out.kind, out.difference = "refusal "+signature(err), "oneloop: "+err.Error()+"\nKyverno accepts"
		out.steps, out.crashed = ref.run(admission)
		if out.crashed != nil {
			out.difference = ""
		}
		return out
	}
	// Kyverno walks maps in any order: keys(), values() and .* give one result
	// and another. Once it did, oneloop has to give one of them.
	results := map[string]bool{}
	for i := 0; i < 30 || i < 400 && len(results) > 1; i++ {
		want, err := ref.run(admission)
		if err != nil {
			out.crashed = err
			return out
		}
		out.steps = want
		kind, d := diff(want, steps)
		if kind == "" {
			out.undecided = out.difference != ""
			out.kind, out.difference = "", ""
			return out
		}
		out.kind, out.difference = kind, d
		results[fmt.Sprint(want)] = true
	}
	for _, e := range errs {
		if i := intended(e); i != nil {
			out.intention, out.kind, out.difference = i.name, "", ""
			return out
		}
	}
	if want, err := ref.run(commandLine); err == nil {
		if kind, _ := diff(want, steps); kind == "" {
			out.onlyCLI = true
			out.difference += "\n(the same as Kyverno's command line)"
		}
	}
	return out
}

// succeeds names a rule that passed and that an error says can't be evaluated.
func succeeds(steps []step, err error) string {
	for _, e := range pipeline.Flatten(err) {
		var at *policy.Error
		if !errors.As(e, &at) || at.Rule == "" {
			continue
		}
		for _, s := range steps {
			for _, r := range s.rules {
				if s.policy == at.Policy.ID.Name && r.status == "pass" && r.name == at.Rule {
					return r.name
				}
			}
		}
	}
	return ""
}

var quoted = regexp.MustCompile(`"[^"]*"|'[^']*'|\d+|\{\{.*\}\}`)

// signature is what stays of an error when names are taken out.
func signature(err error) string {
	lines := pipeline.Flatten(err)
	s := lines[0].Error()
	if i := strings.Index(s, "rule "); i >= 0 {
		s = s[i:]
	}
	return quoted.ReplaceAllString(strings.SplitN(s, "\n", 2)[0], "_")
}

// diff compares policy by policy. Behind a policy with an error there is
// nothing to compare: the request was denied.
func diff(want, got []step) (kind, text string) {
	for i := range want {
		if i >= len(got) {
			return "steps", fmt.Sprintf("oneloop stopped behind %d policies, Kyverno behind %d", len(got), len(want))
		}
		w, g := untilFailure(want[i]), untilFailure(got[i])
		sameKeys(w, g)
		details := "\nKyverno:\n" + w.details() + "oneloop:\n" + g.details()
		if w.statuses() != g.statuses() {
			return "status " + brief(w, g), "statuses (-kyverno +oneloop):\n" + cmp.Diff(w.statuses(), g.statuses()) + details
		}
		if w.failed() {
			return "", ""
		}
		if d := cmp.Diff(plain(w.object), plain(withNamespace(w.object, g.object))); d != "" {
			return "object", "object after " + w.policy + " (-kyverno +oneloop):\n" + d + details
		}
	}
	return "", ""
}

// sameKeys takes a rule of Kyverno that passed for one that had nothing to do
// when the policy moves fields and both objects are equal, or the request is
// denied anyway. Kyverno compares texts, in which a field that is moved to where
// it was stands behind the others. With applyRules: One the next rules tell.
func sameKeys(w, g *step) {
	if !g.moves || len(w.rules) != len(g.rules) || w.failed() != g.failed() ||
		!w.failed() && !cmp.Equal(plain(w.object), plain(withNamespace(w.object, g.object))) {
		return
	}
	w.rules = slices.Clone(w.rules)
	for i := range w.rules {
		if w.rules[i].status == "pass" && g.rules[i].status == "skip" && strings.Contains(g.rules[i].message, "no patches applied") {
			w.rules[i].status = "skip"
		}
	}
}

// untilFailure drops what comes behind a failed rule: for an update Kyverno
// goes on with the old object, though the request is denied.
func untilFailure(s step) *step {
	for i, r := range s.rules {
		if r.status == "error" || r.status == "fail" {
			s.rules = s.rules[:i+1]
			break
		}
	}
	return &s
}

// brief tells the first statuses that differ.
func brief(w, g *step) string {
	for i := range max(len(w.rules), len(g.rules)) {
		a, b := "none", "none"
		if i < len(w.rules) {
			a = w.rules[i].status
		}
		if i < len(g.rules) {
			b = g.rules[i].status
		}
		if a != b {
			return a + " is " + b
		}
	}
	return ""
}

// withNamespace fills in the namespace that the API server sets and oneloop
// does not write.
func withNamespace(want, got map[string]any) map[string]any {
	if namespaceOf(want) != "default" || namespaceOf(got) != "" {
		return got
	}
	m, ok := got["metadata"].(map[string]any)
	if !ok {
		return got
	}
	meta := map[string]any{"namespace": "default"}
	for k, v := range m {
		meta[k] = v
	}
	out := map[string]any{}
	for k, v := range got {
		out[k] = v
	}
	out["metadata"] = meta
	return out
}

// minimise cuts a sample down to what shows the same kind of difference.
func minimise(s *sample, kind string, budget int) *sample {
	same := func(c *sample) bool {
		if budget--; budget < 0 {
			return false
		}
		defer func() { _ = recover() }()
		return compare(c).kind == kind
	}
	for changed := true; changed && budget > 0; {
		changed = false
		for _, cut := range cuts(s) {
			c := s.clone()
			if !cut(c) {
				continue
			}
			if same(c) {
				s, changed = c, true
			}
		}
	}
	return s
}

// cuts lists ways to make a sample smaller. A cut reports whether it did.
func cuts(s *sample) []func(*sample) bool {
	var out []func(*sample) bool
	root := func(c *sample) map[string]any {
		m := map[string]any{"policies": list(c.Policies), "exceptions": list(c.Exceptions), "configMaps": list(c.ConfigMaps), "resource": c.Resource}
		return m
	}
	store := func(c *sample, m map[string]any) {
		c.Policies, c.Exceptions, c.ConfigMaps = maps_(m["policies"]), maps_(m["exceptions"]), maps_(m["configMaps"])
		c.Resource, _ = m["resource"].(map[string]any)
	}
	var walk func(v any, path []any)
	walk = func(v any, path []any) {
		if len(path) > 1 {
			at := append([]any{}, path...)
			out = append(out, func(c *sample) bool {
				m := root(c)
				if !remove(m, at) {
					return false
				}
				store(c, m)
				return c.Resource != nil && len(c.Policies) > 0
			})
		}
		switch v := v.(type) {
		case map[string]any:
			for k, e := range v {
				if k == "apiVersion" || k == "kind" && len(path) < 3 || k == "name" && (len(path) < 4 || path[len(path)-2] == "rules") ||
					k == "spec" && len(path) == 2 && path[0] == "policies" || k == "metadata" && len(path) < 3 || k == "rules" && len(path) < 4 {
					walkInto(e, append(path, k), walk)
					continue
				}
				walk(e, append(path, k))
			}
		case []any:
			for i := len(v) - 1; i >= 0; i-- {
				walk(v[i], append(path, i))
			}
		}
	}
	walk(root(s), nil)
	if s.Namespace != nil {
		out = append(out, func(c *sample) bool { c.Namespace = nil; return true })
	}
	if s.Operation != "CREATE" {
		out = append(out, func(c *sample) bool { c.Operation = "CREATE"; return true })
	}
	return out
}

// walkInto walks below a value that itself has to stay.
func walkInto(v any, path []any, walk func(any, []any)) {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			if k == "name" && len(path) < 4 {
				continue
			}
			if k == "rules" {
				walkInto(e, append(path, k), walk)
				continue
			}
			walk(e, append(path, k))
		}
	case []any:
		for i := len(v) - 1; i >= 0; i-- {
			walk(v[i], append(path, i))
		}
	}
}

func list(l []map[string]any) []any {
	var out []any
	for _, e := range l {
		out = append(out, e)
	}
	return out
}

func maps_(v any) []map[string]any {
	var out []map[string]any
	l, _ := v.([]any)
	for _, e := range l {
		if m, ok := e.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

// remove takes the value at path out of v.
func remove(v any, path []any) bool {
	if len(path) == 1 {
		m, ok := v.(map[string]any)
		key, isKey := path[0].(string)
		if !ok || !isKey {
			return false
		}
		_, ok = m[key]
		delete(m, key)
		return ok
	}
	switch key := path[0].(type) {
	case string:
		m, ok := v.(map[string]any)
		if !ok {
			return false
		}
		if i, isIndex := path[1].(int); isIndex && len(path) == 2 {
			l, ok := m[key].([]any)
			if !ok || i >= len(l) {
				return false
			}
			m[key] = append(append([]any{}, l[:i]...), l[i+1:]...)
			return true
		}
		return remove(m[key], path[1:])
	case int:
		l, ok := v.([]any)
		if !ok || key >= len(l) {
			return false
		}
		return remove(l[key], path[1:])
	}
	return false
}
