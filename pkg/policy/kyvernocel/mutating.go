package kyvernocel

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/oneloop-dev/oneloop/pkg/digest"
	"github.com/oneloop-dev/oneloop/pkg/expr/cel"
	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/internal/constraints"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyvernocel/internal/autogen"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyvernocel/internal/spec"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// A mutation is a compiled MutatingPolicy, or one of the copies that autogen
// makes of it. It is immutable.
type mutation struct {
	policy *spec.MutatingPolicy
	match  *constraints.Matcher
	copied string // for which controllers autogen made it; "": the policy itself
	// extracted is set for a copy for controllers that Kyverno does not change.
	extracted bool

	exceptions       []*exception
	variables        *cel.Definitions
	conditions       []*expression
	targetConditions []*expression
	patches          []*patch
	annotations      []*expression
	targets          *constraints.Matcher // targetMatchConstraints; nil: none
	target           *expression          // of it; nil: none
}

// mutating compiles a MutatingPolicy or NamespacedMutatingPolicy.
func (c *compilation) mutating(d *resource.Resource) {
	p, faults := spec.ReadMutating(d)
	if c.fault(faults...); p == nil {
		return
	}
	if p.Spec.Evaluation != nil && p.Spec.Evaluation.Mode == "JSON" {
		c.set.Notices = append(c.set.Notices, policy.Notice{Policy: p.Ref, Message: "evaluation.mode is JSON: the policy is about other payloads than resources, and is not evaluated"})
		return
	}
	if p.Spec.Autogen != nil && p.Spec.Autogen.MutatingAdmissionPolicy.Or(false) {
		for i, condition := range p.Spec.MatchConditions {
			if mentions(condition.Expression, "variables") {
				at := fieldpath.Path{}.Key("spec").Key("matchConditions").Index(i).Key("expression")
				c.fault(p.Error(at, errors.New("the MutatingAdmissionPolicy that autogen.mutatingAdmissionPolicy asks for has no variables here: write the expression out")))
				return
			}
		}
	}
	exceptions := c.exempting(&p.Document)
	base, faults := compileMutation(p, &p.Spec, "", exceptions)
	if c.fault(faults...); len(faults) > 0 {
		return
	}
	list := []*mutation{base}
	copies := autogen.Mutating(&p.Spec)
	for _, variant := range []autogen.Variant{autogen.CronJobs, autogen.Defaults, autogen.Extracted} {
		s, ok := copies[variant]
		if !ok {
			continue
		}
		m, faults := compileMutation(p, s, variant, exceptions)
		if len(faults) > 0 {
			// The text of the policy itself is all right.
			for _, f := range faults {
				f.Err = policy.Failing(fmt.Errorf("as autogen rewrites it for %s: %w; limit autogen.podControllers.controllers, or write a policy for them", controllers[variant], f.Err))
			}
			c.fault(faults...)
			return
		}
		list = append(list, m)
	}
	m := &mutator{policy: p, mutations: list}
	if p.Spec.HasTargets() {
		if p.Spec.MutatesExisting() {
			c.set.MutateExisting = append(c.set.MutateExisting, &targetMutator{*m})
		} else {
			c.set.Notices = append(c.set.Notices, policy.Notice{Policy: p.Ref, Message: "targetMatchConstraints without evaluation.mutateExisting.enabled: the policy changes nothing, here as in a cluster"})
		}
		return
	}
	c.set.Programs = append(c.set.Programs, m)
}

// controllers names what the copies of a policy are for.
var controllers = map[autogen.Variant]string{autogen.Defaults: "kinds with a Pod template", autogen.CronJobs: "CronJobs", autogen.Extracted: "other kinds"}

// A mutator runs a MutatingPolicy on the resources that it matches.
type mutator struct {
	policy    *spec.MutatingPolicy
	mutations []*mutation
}

// Policy implements policy.Program.
func (m *mutator) Policy() policy.Ref { return m.policy.Ref }

// Peers implements policy.Unordered: Kyverno keeps these policies in a map, those
// of namespaces among them.
func (m *mutator) Peers() string { return "kyverno MutatingPolicies" }

// Selects implements policy.Program.
func (m *mutator) Selects(k resource.Kind) bool {
	return slices.ContainsFunc(m.mutations, func(v *mutation) bool { return v.match.Selects(k) })
}

// Apply implements policy.Program.
func (m *mutator) Apply(ctx context.Context, in policy.Input) ([]policy.Result, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	req, err := newRequest(in)
	if err != nil {
		return nil, err
	}
	if own := m.policy.Namespace(); own != "" && own != req.requestNamespace() {
		return nil, nil
	}
	o, err := req.show(in.Object)
	if err != nil {
		return nil, err
	}
	var all []policy.Result
	for _, v := range m.mutations {
		_, matched, err := v.match.Match(req.subject(o))
		if err != nil {
			all = append(all, m.failed(req, err))
			continue
		}
		if !matched {
			continue
		}
		if by := req.filtered(); by != "" {
			all = append(all, policy.Result{Outcome: policy.Skipped, Message: "Kyverno's resource filter " + by + " excludes the resource"})
			continue
		}
		result := v.admit(ctx, req, o)
		if result.Outcome == policy.Mutated {
			o = result.Object
			if result.Object, err = req.hide(in.Object, o); err != nil {
				return nil, err
			}
		}
		all = append(append(all, result), req.notices()...)
	}
	return all, ctx.Err()
}

// admit runs a mutation on o, which it matched.
func (v *mutation) admit(ctx context.Context, req *request, o resource.Object) policy.Result {
	if v.extracted {
		return policy.Result{Outcome: policy.Skipped, Message: "Kyverno does not change the pods of custom workloads"}
	}
	if req.operation == "DELETE" {
		return policy.Result{Outcome: policy.Skipped, Message: "the object is being deleted"}
	}
	ev, err := newEvaluation(ctx, req, v.policy.Namespace(), o)
	if err != nil {
		return failed(&v.policy.Document, v.policy.Spec.IgnoresFailures(), req, err)
	}
	return v.run(ev, v.conditions, o)
}

// run evaluates exceptions, conditions and patches. An error of any of them
// leaves the object as it is.
func (v *mutation) run(ev *evaluation, conditions []*expression, o resource.Object) policy.Result {
	fail := func(err error) policy.Result {
		if v.copied != "" {
			err = fmt.Errorf("as autogen rewrites the policy for %s: %w", v.copied, err)
		}
		return failed(&v.policy.Document, v.policy.Spec.IgnoresFailures(), ev.request, err)
	}
	exempt, err := exempt(ev, v.exceptions)
	if err != nil {
		return fail(err)
	}
	if exempt.full != nil {
		return exempt.result()
	}
	ev.begin(exempt, v.variables)
	ok, err := ev.hold(conditions)
	if err != nil {
		return fail(err)
	}
	if !ok {
		return policy.Result{Outcome: policy.Skipped, Message: "the conditions do not hold"}
	}
	out := o
	for _, p := range v.patches {
		if out, err = p.apply(ev, out); err != nil {
			return fail(err)
		}
		ev.setObject(out)
	}
	for _, a := range v.annotations {
		if _, err := a.eval(ev); err != nil {
			return fail(err)
		}
	}
	if out, err = ev.prune(o, out); err != nil {
		return fail(err)
	}
	if resource.Equal(o, out) {
		return policy.Result{Outcome: policy.Passed, Message: "nothing to change"}
	}
	message := "mutated " + ev.request.in.ID.Kind.Kind + "/" + ev.request.in.ID.Name
	if ev.request.namespace != "" {
		message += " in namespace " + ev.request.namespace
	}
	return policy.Result{Outcome: policy.Mutated, Message: message, Object: out}
}

func (m *mutator) failed(req *request, err error) policy.Result {
	return failed(&m.policy.Document, m.policy.Spec.IgnoresFailures(), req, err)
}

// failed is the result of a policy that could not be evaluated. With
// failurePolicy: Ignore the resource is admitted as it is; but not when the
// error is only ours, because a cluster may know better.
func failed(d *spec.Document, ignore bool, req *request, err error) policy.Result {
	if errors.Is(err, digest.ErrOff) {
		return policy.Result{Rule: "evaluation", Outcome: policy.Skipped, Message: err.Error()}
	}
	result := policy.Result{Rule: "evaluation", Outcome: policy.Failed, Message: err.Error()}
	var at fieldpath.Path
	var p interface{ Place() fieldpath.Path }
	if errors.As(err, &p) {
		at = p.Place()
	}
	e := d.Error(at, err)
	e.Resource, e.Path = req.in.ID, nil
	if ignore && !unknowable(err) {
		e.Err = fmt.Errorf("%w; failurePolicy: Ignore passes over it", err)
		result.Ignored = e
	} else {
		result.Err = e
	}
	return result
}

// unknowable reports whether err says that something cannot be known at render
// time.
func unknowable(err error) bool {
	return errors.Is(err, facts.ErrMissing) || errors.Is(err, digest.ErrMissing) || errors.Is(err, errors.ErrUnsupported)
}

// placed says where in a policy err comes from, unless it knows better.
func placed(at fieldpath.Path, err error) error {
	var p interface{ Place() fieldpath.Path }
	if errors.As(err, &p) {
		return err
	}
	return &placeError{at, err}
}

// A placeError is an error at a place of a policy.
type placeError struct {
	at  fieldpath.Path
	err error
}

func (e *placeError) Error() string { return e.at.String() + ": " + e.err.Error() }

// Unwrap returns the cause.
func (e *placeError) Unwrap() error { return e.err }

// Place returns where in the policy the error comes from.
func (e *placeError) Place() fieldpath.Path { return e.at }
