package kyvernocel

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyvernocel/internal/library"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// A targetMutator runs a MutatingPolicy that says itself what it changes.
type targetMutator struct{ mutator }

// React implements policy.Background. As in Kyverno, the copies that autogen
// makes are triggers of their own, and each of them changes the targets of all.
func (m *targetMutator) React(ctx context.Context, in policy.Input, w policy.World) ([]policy.Result, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if w.Background() && m.policy.Spec.SkipsBackgroundRequests() || !m.policy.Spec.AdmissionEnabled() {
		return nil, nil
	}
	req, err := newRequest(in)
	if err != nil {
		return nil, err
	}
	if own := m.policy.Namespace(); own != "" && own != req.requestNamespace() || req.filtered() != "" {
		return nil, nil
	}
	o, err := req.show(in.Object)
	if err != nil {
		return nil, err
	}
	for _, v := range m.mutations {
		_, matched, err := v.match.Match(req.subject(o))
		if err != nil {
			return []policy.Result{m.failed(req, err)}, nil
		}
		if !matched || v.extracted {
			continue
		}
		ev, err := newEvaluation(ctx, req, m.policy.Namespace(), o)
		if err != nil {
			return []policy.Result{m.failed(req, err)}, nil
		}
		ev.begin(&exemption{}, v.variables)
		if req.operation == "DELETE" {
			// Then there is no object yet for the conditions.
			ev.setObject(resource.Object{})
		}
		holds, err := ev.hold(v.conditions)
		ev.setObject(o)
		switch {
		case err != nil && unknowable(err):
			return []policy.Result{m.failed(req, err)}, nil
		case err != nil:
			counted := failed(&m.policy.Document, false, req, fmt.Errorf("%w; to Kyverno the resource is no trigger then", err))
			return []policy.Result{{Outcome: policy.Skipped, Message: err.Error(), Ignored: counted.Err}}, nil
		case !holds:
			return []policy.Result{{Outcome: policy.Skipped, Message: "the conditions do not hold"}}, nil
		}
		result, err := m.react(ctx, ev, v, w)
		return []policy.Result{result}, err
	}
	return nil, ctx.Err()
}

// react changes the targets of one trigger.
func (m *targetMutator) react(ctx context.Context, ev *evaluation, v *mutation, w policy.World) (policy.Result, error) {
	targets, err := m.targets(ev, v, w)
	if err != nil {
		return m.failed(ev.request, err), nil
	}
	result := policy.Result{Outcome: policy.Passed, Message: "nothing to change"}
	if len(targets) == 0 {
		result.Outcome, result.Message = policy.Skipped, "no target among the resources"
	}
	var changed []string
	var errs []error
	skipped := 0
	for _, o := range targets {
		id := resource.IDOf(o)
		after, one := m.change(ctx, ev.request, o)
		switch {
		case one.Err != nil:
			errs = append(errs, fmt.Errorf("target %s: %w", id, one.Err))
			continue
		case one.Outcome == policy.Failed:
			result.Outcome, result.Message = policy.Failed, one.Message
			continue
		case one.Outcome == policy.Skipped:
			skipped++
		}
		if resource.Equal(o, after) {
			continue
		}
		if a, b := id, resource.IDOf(after); a != b {
			errs = append(errs, fmt.Errorf("target %s: the policy changes its identity to %s %s, which the API server refuses", id, b.Kind, b))
			continue
		}
		target, err := w.Update(ctx, after)
		if err != nil {
			return policy.Result{}, err
		}
		result.Targets = append(result.Targets, target)
		changed = append(changed, "mutated "+id.String())
	}
	switch {
	case len(errs) > 0:
		failure := m.failed(ev.request, errors.Join(errs...))
		failure.Targets = result.Targets
		return failure, nil
	case len(changed) > 0:
		result.Outcome, result.Message = policy.Applied, strings.Join(changed, ", ")
	case skipped > 0 && skipped == len(targets):
		result.Outcome, result.Message = policy.Skipped, "the conditions about targets do not hold"
	}
	return result, nil
}

// change returns what the policy and its copies make of a target. They see it as
// object, and the trigger in request. A copy that fails leaves it as it is.
func (m *targetMutator) change(ctx context.Context, trigger *request, target resource.Object) (resource.Object, policy.Result) {
	in := trigger.in
	in.ID, in.Object, in.Old = resource.IDOf(target), target, nil
	req, err := newRequest(in)
	if err != nil {
		return target, m.failed(trigger, err)
	}
	o, err := req.show(target)
	if err != nil {
		return target, m.failed(trigger, err)
	}
	request, err := trigger.variable()
	if err != nil {
		return target, m.failed(trigger, err)
	}
	var first policy.Result
	for i, v := range m.mutations {
		if v.extracted {
			continue
		}
		ev, err := newEvaluation(ctx, req, m.policy.Namespace(), o)
		if err != nil {
			return target, m.failed(req, err)
		}
		ev.values["oldObject"] = nil
		ev.values["request"], ev.values["namespaceObject"] = request, nil
		result := v.run(ev, v.targetConditions, o)
		if i == 0 {
			first = result
		}
		if result.Outcome == policy.Mutated {
			o = result.Object
		}
	}
	after, err := req.hide(target, o)
	if err != nil {
		return target, m.failed(req, err)
	}
	return after, first
}

// targets returns the resources that a trigger chooses, as they are now.
func (m *targetMutator) targets(ev *evaluation, v *mutation, w policy.World) ([]resource.Object, error) {
	if v.target != nil {
		return m.chosen(ev, v, w)
	}
	all, err := w.Resources(v.targets.Selects)
	if err != nil {
		return nil, err
	}
	var out []resource.Object
	for _, o := range all {
		in := ev.request.in
		in.ID, in.Operation = resource.IDOf(o), "UPDATE"
		req, err := newRequest(in)
		if err != nil {
			return nil, err
		}
		if own := m.policy.Namespace(); own != "" && req.namespace != own || req.filtered() != "" {
			continue
		}
		_, matched, err := v.targets.Match(req.subject(o))
		if err != nil {
			return nil, err
		}
		if matched {
			out = append(out, o)
		}
	}
	return out, nil
}

// chosen returns the resources that the expression of a policy gives: an object,
// or a list of them.
func (m *targetMutator) chosen(ev *evaluation, v *mutation, w policy.World) ([]resource.Object, error) {
	value, err := v.target.eval(ev)
	if err != nil {
		return nil, err
	}
	plain, err := library.JSON(value)
	if err != nil {
		return nil, placed(v.target.at, err)
	}
	given, ok := plain.(map[string]any)
	if !ok {
		return nil, placed(v.target.at, errors.New("expected an object or a list of objects, found none"))
	}
	items, ok := given["items"].([]any)
	if !ok {
		items = []any{given}
	}
	var out []resource.Object
	for _, item := range items {
		o, ok := item.(map[string]any)
		if !ok {
			return nil, placed(v.target.at, errors.New("an item of the list is no object"))
		}
		id := resource.IDOf(o)
		found, err := w.Resources(func(k resource.Kind) bool { return k.Group == id.Kind.Group && k.Kind == id.Kind.Kind })
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(found, func(o resource.Object) bool {
			other := resource.IDOf(o)
			return other.Name == id.Name && ev.request.seenNamespace(other) == ev.request.seenNamespace(id)
		})
		if i >= 0 {
			out = append(out, found[i])
		}
	}
	return out, nil
}
