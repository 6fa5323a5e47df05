package suite

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/digest"
	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/pipeline"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/admission"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// Options say how suites run. Languages and Digests are required.
type Options struct {
	Languages []policy.Language
	Digests   digest.Resolver
	Selector  Selector
	Now       string // the time of the request in RFC 3339; "" when none is declared
	// Strict makes what is excluded fail, RequireEvaluated what is not
	// evaluated.
	Strict, RequireEvaluated bool
}

// A Run is what came of a suite.
type Run struct {
	Suite    *Suite
	Verdicts []Verdict
	Warnings []string // about the suite's files, each with its place
	Err      error    // why the suite could not be run
}

// Run applies the policies of the suite to its resources, each alone, and
// judges the expectations that the selector chooses. There are no verdicts when
// it chooses none.
func (s *Suite) Run(ctx context.Context, opts Options) *Run {
	run := &Run{Suite: s, Warnings: slices.Clone(s.Warnings)}
	run.Err = run.judge(ctx, s, opts)
	for i := range run.Verdicts {
		v := &run.Verdicts[i]
		if opts.Strict && v.Status == Excluded || opts.RequireEvaluated && v.Status == NotEvaluated {
			v.Status = Fail
		}
	}
	return run
}

func (run *Run) judge(ctx context.Context, s *Suite, opts Options) error {
	var chosen []*Expectation
	operations := []string{""}
	for i := range s.Expectations {
		e := &s.Expectations[i]
		if !opts.Selector.chooses(e) {
			continue
		}
		chosen = append(chosen, e)
		if !slices.Contains(operations, e.Operation) {
			operations = append(operations, e.Operation)
		}
	}
	if len(chosen) == 0 {
		return nil
	}
	f, err := s.fixture()
	if err != nil {
		return err
	}
	c, err := compile(f, opts.Languages)
	if err != nil {
		return err
	}
	outcomes := map[string][]outcome{}
	for _, operation := range operations {
		known, err := s.facts(f, operation, opts.Now)
		if err != nil {
			return err
		}
		e := &engine{set: c.set, fixture: f, facts: known, digests: opts.Digests}
		if outcomes[operation], err = e.run(ctx); err != nil {
			return err
		}
	}
	j := &judge{suite: s, fixture: f, policies: c.policies, selector: opts.Selector, files: map[string]expectedFile{}}
	for _, e := range chosen {
		j.judge(e, outcomes[e.Operation])
	}
	run.Verdicts = j.verdicts
	run.Warnings = append(run.Warnings, f.warnings...)
	for _, p := range c.policies {
		if p.invalid != "" && !slices.ContainsFunc(s.Expectations, func(e Expectation) bool { return slices.Contains(j.named(e.Policy), p) }) {
			run.Warnings = append(run.Warnings, strings.Split(p.invalid, "\n")...)
		}
	}
	return nil
}

// A compiled set also knows what it does not evaluate.
type compiled struct {
	set      policy.Set
	policies []*policyDocument
}

// A policyDocument is one policy of a suite.
type policyDocument struct {
	id    resource.ID
	rules map[string]string // why each rule is not judged, or "", by name; nil for a policy without rules
	// why the policy, or one of its rules, is not evaluated
	unevaluated string
	without     map[string]string
	invalid     string // why the policy is none
}

// compile compiles policies and exceptions. The error is for faults that no
// policy of the suite is responsible for.
func compile(f *fixture, languages []policy.Language) (*compiled, error) {
	c := &compiled{}
	var docs []*resource.Resource
	for _, d := range f.policies {
		kind := d.ID().Kind
		p := &policyDocument{id: d.ID(), without: map[string]string{}}
		switch {
		case kind.Kind == "PolicyException":
			f.exceptions = append(f.exceptions, d)
			continue
		case pipeline.Claimed(languages, kind):
			rules, err := rulesOf(d)
			if err != nil {
				return nil, err
			}
			p.rules = rules
			if err := unbound(d); err != nil {
				return nil, err
			}
			docs = append(docs, d)
		case slices.Contains(policyGroups, kind.Group):
			p.unevaluated = fmt.Sprintf("%s is not evaluated", kind)
		default:
			f.warnings = append(f.warnings, fmt.Sprintf("%s: %s is no policy and is left out", d.Origin(), d.ID()))
			continue
		}
		c.policies = append(c.policies, p)
	}
	for _, d := range f.exceptions {
		if pipeline.Claimed(languages, d.ID().Kind) {
			docs = append(docs, d)
		}
	}
	set, err := pipeline.Compile(languages, docs)
	c.set = set
	var errs []error
	for _, e := range pipeline.Flatten(err) {
		var fault *policy.Error
		i := -1
		if errors.As(e, &fault) {
			i = slices.IndexFunc(c.policies, func(p *policyDocument) bool { return p.id == fault.Policy.ID })
		}
		switch {
		case i < 0:
			errs = append(errs, e)
		case !errors.Is(e, errors.ErrUnsupported):
			c.policies[i].invalid = join(c.policies[i].invalid, e.Error())
		case fault.Rule == "":
			c.policies[i].unevaluated = fault.Err.Error()
		default:
			c.policies[i].without[fault.Rule] = fault.Err.Error()
		}
	}
	for _, n := range set.Notices {
		// A policy without rules that is only noticed is not evaluated.
		for _, p := range c.policies {
			if p.id == n.Policy.ID && p.rules == nil && !runs(&set, p.id) {
				p.unevaluated = n.Message
			}
		}
	}
	return c, errors.Join(errs...)
}

// unbound lets a MutatingAdmissionPolicy apply that the suite has no binding
// for, as Kyverno's command line does.
func unbound(d *resource.Resource) error {
	if k := d.ID().Kind; k.Group != "admissionregistration.k8s.io" || k.Kind != "MutatingAdmissionPolicy" || d.Annotation(admission.Unbound) != "" {
		return nil
	}
	o, err := d.Object()
	if err != nil {
		return err
	}
	meta, ok := o["metadata"].(map[string]any)
	if !ok {
		return nil // the language says so
	}
	annotations, _ := meta["annotations"].(map[string]any)
	annotations = maps.Clone(annotations)
	if annotations == nil {
		annotations = map[string]any{}
	}
	annotations[admission.Unbound] = "true"
	meta["annotations"] = annotations
	return d.Update(o)
}

// runs reports whether anything of a set comes from a policy.
func runs(set *policy.Set, id resource.ID) bool {
	return slices.ContainsFunc(set.Admission(), func(p policy.Program) bool { return p.Policy().ID == id }) ||
		slices.ContainsFunc(slices.Concat(set.Generate, set.MutateExisting), func(p policy.Background) bool { return p.Policy().ID == id })
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + "\n" + b
}

// policyGroups are the groups of policies that suites may have.
var policyGroups = []string{
	"kyverno.io", "policies.kyverno.io", "admissionregistration.k8s.io", "mutations.gatekeeper.sh",
}

// rulesOf tells of each rule of a policy why it is not judged; "" when it is.
func rulesOf(d *resource.Resource) (map[string]string, error) {
	o, err := d.Object()
	if err != nil {
		return nil, err
	}
	spec, _ := o["spec"].(map[string]any)
	list, ok := spec["rules"].([]any)
	if !ok {
		return nil, nil
	}
	out := map[string]string{}
	for _, r := range list {
		rule, _ := r.(map[string]any)
		name, _ := rule["name"].(string)
		out[name] = actionOf(rule)
	}
	return out, nil
}

// What a rule does, as far as that decides whether it is judged.
const (
	validates = "validate rules change no manifest and are not evaluated"
	signs     = "signatures and attestations are not verified"
)

// actionOf returns why a rule is not judged, or "".
func actionOf(rule map[string]any) string {
	if rule["validate"] != nil {
		return validates
	}
	list, _ := rule["verifyImages"].([]any)
	for _, v := range list {
		v, _ := v.(map[string]any)
		for _, field := range []string{"attestors", "attestations", "key"} {
			if v[field] != nil {
				return signs
			}
		}
	}
	return ""
}

// An outcome is what one rule did because of one resource.
type outcome struct {
	policy  resource.ID
	rule    string
	trigger int // among those of the fixture
	result  policy.Result
	// object is the trigger after the policy.
	object resource.Object
	// background is set when the rule acts on other resources.
	background bool
}

// An engine applies a set to the resources of a fixture, as kyverno test does:
// each is admitted alone, and finds all others as their files say.
type engine struct {
	*fixture
	set     policy.Set
	facts   *facts.Facts
	digests digest.Resolver
	decoded []resource.Object // all resources, once some rule asks for others
}

func (e *engine) run(ctx context.Context) ([]outcome, error) {
	var out []outcome
	for i := range e.triggers {
		outcomes, err := e.admit(ctx, i)
		if err != nil {
			return nil, err
		}
		out = append(out, outcomes...)
	}
	return out, nil
}

// admit applies the policies to one trigger. A panic is a bug of ours; it
// becomes the error of the resource that shows it.
func (e *engine) admit(ctx context.Context, trigger int) (out []outcome, err error) {
	r := e.triggers[trigger]
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%s: %s: internal error, please report it: %v\n%s", r.Origin(), r.ID(), p, debug.Stack())
		}
	}()
	object, err := r.Object()
	if err != nil {
		return nil, err
	}
	in := policy.Input{ID: r.ID(), Object: object, Requested: object, Facts: e.facts, Digests: e.digests, Now: e.facts.Now}
	for _, p := range e.set.Admission() {
		if !p.Selects(in.ID.Kind) {
			continue
		}
		results, err := p.Apply(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, result := range results {
			if result.Outcome == policy.Mutated {
				in.Object = result.Object
			}
		}
		for _, result := range results {
			out = append(out, outcome{policy: result.Of(p.Policy()).ID, rule: result.Rule, trigger: trigger, result: result, object: in.Object})
		}
	}
	for _, p := range slices.Concat(e.set.MutateExisting, e.set.Generate) {
		if !p.Selects(in.ID.Kind) {
			continue
		}
		results, err := p.React(ctx, in, &world{e, in.Object})
		if err != nil {
			return nil, err
		}
		for _, result := range results {
			out = append(out, outcome{policy: result.Of(p.Policy()).ID, rule: result.Rule, trigger: trigger, result: result, object: in.Object, background: true})
		}
	}
	return out, nil
}

// base is the name of the rule that autogen made name from.
func base(name string) string {
	return strings.TrimPrefix(strings.TrimPrefix(name, "autogen-"), "cronjob-")
}
