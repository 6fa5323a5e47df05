package suite

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/digest"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// A Status is how an expectation fared on one resource.
type Status int

// The statuses.
const (
	Pass         Status = iota
	Fail                // the rule did something else than expected
	Excluded            // kyverno test counts it as passed, but nothing was tested
	NotEvaluated        // nobody knows at render time
)

var statusWords = []string{"pass", "fail", "excluded", "not evaluated"}

// String returns the word that reports use.
func (s Status) String() string { return statusWords[s] }

// A Verdict is one expectation judged on one resource.
type Verdict struct {
	ID       int // counted from 1 within the suite
	Policy   string
	Rule     string
	Resource resource.ID // zero when the expectation names none that is there
	Named    string      // the name that no resource has
	Want     string
	Got      string // "" when no rule ran
	Status   Status
	Reason   string // a few words
	Message  string // the whole story, or ""
	Diff     string // of the expected and the actual resource, or ""
	Line     int    // of the expectation in the file of the suite
}

// A judge judges the expectations of one suite.
type judge struct {
	suite    *Suite
	fixture  *fixture
	policies []*policyDocument
	selector Selector
	files    map[string]expectedFile
	verdicts []Verdict
}

type expectedFile struct {
	resources []*resource.Resource
	err       error
}

func (j *judge) add(e *Expectation, v Verdict) {
	v.ID, v.Policy, v.Want, v.Line = len(j.verdicts)+1, e.Policy, e.Want, e.Line
	if v.Rule == "" {
		v.Rule = e.Rule
	}
	j.verdicts = append(j.verdicts, v)
}

// judge adds the verdicts of one expectation.
func (j *judge) judge(e *Expectation, outcomes []outcome) {
	policies := j.named(e.Policy)
	outcomes = slices.DeleteFunc(slices.Clone(outcomes), func(o outcome) bool {
		return !slices.ContainsFunc(policies, func(p *policyDocument) bool { return p.id == o.policy && p.covers(e.Rule, o.rule) })
	})
	chosen := j.choose(e, outcomes)
	for _, name := range chosen.payloads {
		j.add(e, Verdict{Named: name, Status: NotEvaluated, Reason: "Not evaluated", Message: "policies are not applied to payloads"})
	}
	for _, name := range chosen.missing {
		j.add(e, Verdict{Named: name, Status: Excluded, Reason: "No such resource",
			Message: fmt.Sprintf("the suite has no resource %s, and no rule made one", name)})
	}
	for _, i := range chosen.triggers {
		j.trigger(e, policies, i, outcomes)
	}
	for _, id := range chosen.targets {
		j.target(e, policies, id, outcomes)
	}
}

// named returns the policies that an expectation names. As in kyverno test, a
// namespace need not be given; when it is, and some policy is in it, it counts.
func (j *judge) named(name string) []*policyDocument {
	namespace, last := "", name
	if i := strings.LastIndex(name, "/"); i >= 0 {
		namespace, last = name[:i], name[i+1:]
	}
	var all, there []*policyDocument
	for _, p := range j.policies {
		if p.id.Name != last {
			continue
		}
		all = append(all, p)
		if namespace == "" || p.id.Namespace == namespace {
			there = append(there, p)
		}
	}
	if len(there) > 0 {
		return there
	}
	return all
}

// covers reports whether an expectation about the rule wanted is about rule.
// Policies without rules of their own have one, whatever its name.
func (p *policyDocument) covers(wanted, rule string) bool {
	return wanted == "" || p.rules == nil || rule == wanted || rule == "autogen-"+wanted || rule == "autogen-cronjob-"+wanted
}

// A choice is what an expectation is about.
type choice struct {
	triggers []int         // of the fixture
	targets  []resource.ID // that rules changed or made because of triggers, or could have
	missing  []string      // names that nothing has
	payloads []string      // which are no resources
}

// choose finds the resources that an expectation names, or all. When nothing
// has any of the names, all resources are judged, as in kyverno test.
func (j *judge) choose(e *Expectation, outcomes []outcome) choice {
	var targets []resource.ID
	add := func(id resource.ID) {
		if id = identity(id); !slices.Contains(targets, id) {
			targets = append(targets, id)
		}
	}
	var generated []resource.ID
	for _, o := range outcomes {
		for _, t := range o.result.Targets {
			if t.Before != nil {
				add(t.ID)
			} else if id := identity(t.ID); !slices.Contains(generated, id) {
				generated = append(generated, id)
			}
		}
	}
	touched := len(targets)
	for _, r := range j.fixture.targets {
		add(r.ID())
	}
	var everything choice
	for i := range j.fixture.triggers {
		everything.triggers = append(everything.triggers, i)
	}
	everything.targets, everything.payloads = targets[:touched], j.suite.payloads
	if len(e.Resources) == 0 && len(e.specs) == 0 {
		return j.once(e, j.selected(everything), outcomes)
	}
	var c choice
	for _, name := range e.Resources {
		if len(j.selector.resource) > 0 && !all(j.selector.resource, name) {
			continue
		}
		if slices.Contains(j.suite.payloads, path.Clean(name)) {
			c.payloads = append(c.payloads, name)
			continue
		}
		has := func(id resource.ID) bool { return hasName(id, name) }
		found := c.take(j.fixture.triggers, has)
		for _, id := range targets {
			if has(id) {
				found = true
				c.targets = append(c.targets, id)
			}
		}
		for _, id := range generated {
			if !found && has(id) {
				c.targets = append(c.targets, id)
			}
		}
		if !found && !slices.ContainsFunc(generated, has) {
			c.missing = append(c.missing, name)
		}
	}
	for _, spec := range e.specs {
		has := spec.matches
		found := c.take(j.fixture.triggers, has)
		for _, id := range targets {
			if has(id) {
				found = true
				c.targets = append(c.targets, id)
			}
		}
		if !found {
			c.missing = append(c.missing, spec.String())
		}
	}
	if len(c.triggers)+len(c.targets)+len(c.payloads) == 0 {
		missing := c.missing
		c = j.once(e, j.selected(everything), outcomes)
		c.missing = missing
		return c
	}
	return j.once(e, j.ofKind(e.Kind, c), outcomes)
}

// once judges a resource that is a trigger as well as a target once: as what
// the suite declares it to be, if it triggered anything, or is not expected to.
func (j *judge) once(e *Expectation, c choice, outcomes []outcome) choice {
	c.targets = slices.DeleteFunc(slices.Clone(c.targets), func(id resource.ID) bool {
		i := slices.IndexFunc(j.fixture.triggers, func(r *resource.Resource) bool { return identity(r.ID()) == id })
		if i < 0 || !slices.Contains(c.triggers, i) || slices.ContainsFunc(j.fixture.targets, func(r *resource.Resource) bool { return identity(r.ID()) == id }) {
			return false
		}
		if e.Want == "skip" || slices.ContainsFunc(outcomes, func(o outcome) bool { return o.trigger == i }) {
			return true
		}
		c.triggers = slices.DeleteFunc(slices.Clone(c.triggers), func(k int) bool { return k == i })
		return false
	})
	return c
}

// take adds the triggers for which has holds, and reports whether one does.
func (c *choice) take(triggers []*resource.Resource, has func(resource.ID) bool) bool {
	found := false
	for i, r := range triggers {
		if has(identity(r.ID())) {
			found = true
			if !slices.Contains(c.triggers, i) {
				c.triggers = append(c.triggers, i)
			}
		}
	}
	return found
}

// selected drops what the selector does not choose.
func (j *judge) selected(c choice) choice {
	if len(j.selector.resource) == 0 {
		return c
	}
	chosen := func(id resource.ID) bool {
		return all(j.selector.resource, id.Name) || all(j.selector.resource, id.Namespace+"/"+id.Name)
	}
	c.triggers = slices.DeleteFunc(c.triggers, func(i int) bool { return !chosen(identity(j.fixture.triggers[i].ID())) })
	c.targets = slices.DeleteFunc(slices.Clone(c.targets), func(id resource.ID) bool { return !chosen(id) })
	return c
}

// ofKind drops resources of other kinds than that of the expectation, if it
// has any of its own.
func (j *judge) ofKind(kind string, c choice) choice {
	if i := strings.LastIndexAny(kind, "/."); i >= 0 {
		kind = kind[i+1:]
	}
	var own choice
	for _, i := range c.triggers {
		if j.fixture.triggers[i].ID().Kind.Kind == kind {
			own.triggers = append(own.triggers, i)
		}
	}
	for _, id := range c.targets {
		if id.Kind.Kind == kind {
			own.targets = append(own.targets, id)
		}
	}
	if len(own.triggers)+len(own.targets) == 0 {
		return c
	}
	own.missing, own.payloads = c.missing, c.payloads
	return own
}

// hasName reports whether an identity has a name as expectations write it.
func hasName(id resource.ID, name string) bool {
	if namespace, name, ok := strings.Cut(name, "/"); ok {
		return id.Namespace == namespace && id.Name == name
	}
	return id.Name == name
}

func (s resourceSpec) matches(id resource.ID) bool {
	return s.Name == id.Name && (s.Namespace == "" || s.Namespace == id.Namespace) &&
		(s.Kind == "" || s.Kind == id.Kind.Kind) && s.Group == id.Kind.Group && (s.Version == "" || s.Version == id.Kind.Version)
}

func (s resourceSpec) String() string {
	parts := []string{s.Group, s.Version, s.Kind, s.Namespace, s.Name}
	return strings.Join(slices.DeleteFunc(parts, func(p string) bool { return p == "" }), "/")
}

// trigger judges an expectation on a resource that policies were applied to.
func (j *judge) trigger(e *Expectation, policies []*policyDocument, i int, outcomes []outcome) {
	id := identity(j.fixture.triggers[i].ID())
	if len(policies) == 0 {
		j.add(e, Verdict{Resource: id, Status: Fail, Reason: "Not found", Message: "the suite has no policy " + e.Policy})
		return
	}
	before := len(j.verdicts)
	for _, p := range policies {
		if p.invalid != "" {
			j.add(e, Verdict{Resource: id, Status: Fail, Reason: "Invalid policy", Message: p.invalid})
			continue
		}
		for _, o := range outcomes {
			if o.policy == p.id && o.trigger == i && p.rules[base(o.rule)] == "" {
				j.outcome(e, id, o)
			}
		}
		for _, reason := range p.reasons(e.Rule) {
			j.add(e, Verdict{Resource: id, Status: NotEvaluated, Reason: "Not evaluated", Message: reason})
		}
	}
	if len(j.verdicts) == before {
		j.excluded(e, policies, id)
	}
}

// excluded judges an expectation on a resource that no rule matched. To expect
// that it is skipped is to expect this.
func (j *judge) excluded(e *Expectation, policies []*policyDocument, id resource.ID) {
	v := Verdict{Resource: id, Status: Excluded, Reason: "Excluded", Message: "the rule does not match the resource"}
	if !slices.ContainsFunc(policies, func(p *policyDocument) bool { return p.has(e.Rule) }) {
		v.Reason, v.Message = "No such rule", fmt.Sprintf("the policy has no rule %s", e.Rule)
	} else if e.Want == "skip" {
		v.Status = Pass
	}
	j.add(e, v)
}

// has reports whether the policy has a rule of that name.
func (p *policyDocument) has(rule string) bool {
	if rule == "" || p.rules == nil {
		return true
	}
	_, ok := p.rules[rule]
	_, derived := p.rules[base(rule)]
	return ok || derived
}

// reasons tells why the rules that an expectation is about are not evaluated;
// it is nil when they are.
func (p *policyDocument) reasons(wanted string) []string {
	if p.unevaluated != "" {
		return []string{p.unevaluated}
	}
	var out []string
	for rule, why := range p.rules {
		if why != "" && (wanted == "" || rule == wanted || rule == base(wanted)) {
			out = append(out, fmt.Sprintf("rule %s: %s", rule, why))
		}
	}
	for rule, reason := range p.without {
		if p.covers(wanted, rule) && (wanted != "" || rule == base(rule)) && p.rules[base(rule)] == "" {
			out = append(out, fmt.Sprintf("rule %s: %s", rule, reason))
		}
	}
	slices.Sort(out)
	return out
}

// target judges an expectation on a resource that rules changed because of
// others, or made.
func (j *judge) target(e *Expectation, policies []*policyDocument, id resource.ID, outcomes []outcome) {
	before := len(j.verdicts)
	for _, o := range outcomes {
		for _, t := range o.result.Targets {
			if identity(t.ID) == id {
				j.add(e, j.compared(e, Verdict{Resource: id}, o, []policy.Target{t}))
			}
		}
	}
	if len(j.verdicts) > before {
		return
	}
	if len(policies) == 0 {
		j.add(e, Verdict{Resource: id, Status: Fail, Reason: "Not found", Message: "the suite has no policy " + e.Policy})
		return
	}
	for _, p := range policies {
		switch {
		case p.invalid != "":
			j.add(e, Verdict{Resource: id, Status: Fail, Reason: "Invalid policy", Message: p.invalid})
		default:
			for _, reason := range p.reasons(e.Rule) {
				j.add(e, Verdict{Resource: id, Status: NotEvaluated, Reason: "Not evaluated", Message: reason})
			}
		}
	}
	if len(j.verdicts) == before {
		j.excluded(e, policies, id)
	}
}

// outcome judges what a rule did because of a resource.
func (j *judge) outcome(e *Expectation, id resource.ID, o outcome) {
	v := Verdict{Resource: id}
	if !o.background {
		j.add(e, j.compared(e, v, o, []policy.Target{{ID: id, After: o.object, Before: o.object}}))
		return
	}
	made := slices.DeleteFunc(slices.Clone(o.result.Targets), func(t policy.Target) bool { return t.Before != nil })
	if len(made) == 0 {
		// What a rule changes may stand in one file for several triggers.
		j.add(e, j.compared(e, v, o, o.result.Targets))
		return
	}
	for _, t := range made {
		j.add(e, j.compared(e, Verdict{Resource: identity(t.ID)}, o, []policy.Target{t}))
	}
}

// compared judges the resources that a rule left behind, and then how it
// ended, as kyverno test does: whatever it did, the resources are compared.
func (j *judge) compared(e *Expectation, v Verdict, o outcome, targets []policy.Target) Verdict {
	v.Rule, v.Message, v.Got = o.rule, o.result.Message, o.result.Outcome.Status()
	err := o.result.Err
	if err != nil {
		v.Message = err.Error()
	}
	switch {
	case o.result.Outcome == policy.Noticed, errors.Is(err, errors.ErrUnsupported), errors.Is(err, digest.ErrMissing):
		v.Status, v.Reason = NotEvaluated, "Not evaluated"
		return v
	}
	if o.background && o.result.Outcome == policy.Applied && len(targets) == 1 && targets[0].Before != nil &&
		resource.Equal(targets[0].Before, targets[0].After) {
		v.Got = policy.Unchanged.Status()
	}
	found := 0
	files := e.files(targets)
	for _, t := range targets {
		if len(files) == 0 {
			break
		}
		want, file, err := j.expected(e.Line, files, t.After)
		if err != nil {
			v.Status, v.Reason, v.Message = Fail, "Resource error", err.Error()
			return v
		}
		if len(want) == 0 {
			continue
		}
		found++
		if v.Diff, err = closest(file, want, t.After); err != nil {
			v.Status, v.Reason, v.Message = Fail, "Resource error", err.Error()
			return v
		}
		if v.Diff != "" {
			v.Status, v.Reason = Fail, "Resource diff"
			v.Message = fmt.Sprintf("%s is not as %s says", identity(t.ID), strings.Join(files, ", "))
			return v
		}
	}
	missing := found == 0 && len(files) > 0 && len(targets) > 0
	if missing {
		var names []string
		for _, t := range targets {
			names = append(names, fmt.Sprintf("%s (%s)", identity(t.ID), t.ID.Kind.APIVersion()))
		}
		v.Message = join(v.Message, fmt.Sprintf("%s does not hold %s", strings.Join(files, ", "), strings.Join(names, ", ")))
	}
	switch {
	case missing && v.Got != e.Want && !e.failOnMissing && e.Want != "pass":
		v.Status, v.Reason = Excluded, "Not in the file"
	case v.Got != e.Want:
		v.Status, v.Reason = Fail, fmt.Sprintf("Want %s, got %s", e.Want, v.Got)
	case missing && (e.failOnMissing || e.Want == "pass"):
		v.Status, v.Reason = Fail, "Not in the file"
	case e.Want == "pass" && len(targets) == 0 && len(e.generated) > 0:
		v.Status, v.Reason = Fail, "Nothing generated"
		v.Message = fmt.Sprintf("the rule generated nothing, but %s is expected", strings.Join(e.generated, ", "))
	default:
		v.Reason = "Ok"
	}
	return v
}

// files names the files that hold what is expected of targets.
func (e *Expectation) files(targets []policy.Target) []string {
	if len(targets) > 0 && targets[0].Before == nil {
		return e.generated
	}
	if e.patched == "" {
		return nil
	}
	return []string{e.patched}
}

// expected finds what files expect of an object: one resource for each file
// that holds it. file names the first of them.
func (j *judge) expected(line int, files []string, actual resource.Object) (want []resource.Object, file string, err error) {
	id := identity(resource.IDOf(actual))
	for _, name := range files {
		f, ok := j.files[name]
		if !ok {
			f.resources, f.err = j.suite.load(line, []string{name})
			j.files[name] = f
		}
		if f.err != nil {
			return nil, "", f.err
		}
		r := lookUp(f.resources, id)
		if r == nil {
			continue
		}
		o, err := r.Object()
		if err != nil {
			return nil, "", err
		}
		if file == "" {
			file = name
		}
		want = append(want, o)
	}
	return want, file, nil
}

// closest returns "" when one of the wanted objects is as the actual one, and
// the diff of the first otherwise.
func closest(file string, want []resource.Object, actual resource.Object) (string, error) {
	first := ""
	for i, w := range want {
		d, err := compare(file, w, actual)
		if d == "" || err != nil {
			return "", err
		}
		if i == 0 {
			first = d
		}
	}
	return first, nil
}
