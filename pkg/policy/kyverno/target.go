package kyverno

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/decode"
	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/condition"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/match"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/spec"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/variable"
	"github.com/oneloop-dev/oneloop/pkg/resource"
	"github.com/oneloop-dev/oneloop/pkg/wildcard"
)

// A target is a compiled element of mutate.targets.
type target struct {
	path          fieldpath.Path
	selector      *variable.Template // of apiVersion, kind, namespace, name and selector
	context       []*entry
	preconditions *condition.Conditions
}

// targetMutation compiles a mutate rule with targets.
func (c *ruleCompiler) targetMutation(exceptions []*exception) *rule {
	c.object = "target"
	r := c.mutation(exceptions)
	list, _ := c.rule.Raw["mutate"].(map[string]any)["targets"].([]any)
	for i := range c.rule.Mutation.Targets {
		t, at := &c.rule.Mutation.Targets[i], fieldpath.Path{fieldpath.Key("mutate"), fieldpath.Key("targets"), fieldpath.Index(i)}
		selector, _ := list[i].(map[string]any)
		selector = maps.Clone(selector)
		delete(selector, "context")
		delete(selector, "preconditions")
		compiled := &target{
			path:          at,
			selector:      c.template(selector, at),
			context:       c.entries(t.Context, at.Key("context")),
			preconditions: c.conditions(t.Preconditions, at.Key("preconditions")),
		}
		if compiled.selector.Static() && len(c.faults) == 0 {
			if _, err := compiled.choose(nil, ""); err != nil {
				c.fault(at, err)
			}
		}
		r.targets = append(r.targets, compiled)
	}
	return r
}

// A choice tells which resources are targets.
type choice struct {
	kinds           func(resource.Kind) bool
	kind            string // as written
	namespace, name string // with wildcards; "" is all
	labels          func(resource.Object) bool
}

// one reports whether the choice names one object, which has to be there.
func (c *choice) one() bool {
	return c.namespace != "" && c.name != "" && !wildcard.In(c.namespace) && !wildcard.In(c.name)
}

// includes reports whether o, which policies see in namespace, is chosen. As in
// Kyverno, labels do not matter for an object that is named.
func (c *choice) includes(o resource.Object, namespace string) bool {
	id := resource.IDOf(o)
	return c.kinds(id.Kind) &&
		(c.namespace == "" || wildcard.Match(c.namespace, namespace)) &&
		(c.name == "" || wildcard.Match(c.name, id.Name)) &&
		(c.one() || c.labels(o))
}

// choose resolves the variables of a selector. A Policy chooses in its own
// namespace only.
func (t *target) choose(s *scope, own string) (*choice, error) {
	v, err := t.selector.Resolve(s)
	if err != nil {
		return nil, err
	}
	var selector struct {
		spec.ResourceSpec
		Selector *spec.LabelSelector `json:"selector,omitempty"`
	}
	for _, f := range decode.Strict(v, &selector) {
		return nil, fmt.Errorf("%s: %s", f.Path, f.Message)
	}
	out := &choice{kind: selector.APIVersion + "/" + selector.Kind, namespace: selector.Namespace, name: selector.Name}
	if own != "" {
		out.namespace = own
	}
	var subresource string
	if out.kinds, subresource, err = match.Kinds(out.kind); err != nil {
		return nil, err
	}
	if subresource != "" && subresource != "*" {
		return nil, fmt.Errorf("the target %s is a subresource, which no manifest has: %w", out.kind, errors.ErrUnsupported)
	}
	out.labels, err = match.Labels(selector.Selector)
	return out, err
}

// A targetMutator runs the mutate rules with targets of a policy.
type targetMutator struct{ program }

// React implements policy.Background.
func (m *targetMutator) React(ctx context.Context, in policy.Input, w policy.World) ([]policy.Result, error) {
	return m.react(ctx, in, w, func(r *rule, s *scope) policy.Result {
		outcome := &targetOutcome{}
		for _, t := range r.targets {
			if err := r.mutateTargets(ctx, s, t, w, outcome); err != nil {
				outcome.errs = append(outcome.errs, err)
			}
		}
		return outcome.result(r, s.request)
	})
}

// A targetOutcome collects what a rule did to its targets.
type targetOutcome struct {
	targets  []policy.Target
	messages []string // about those that changed
	skips    []string
	outside  []string
	errs     []error
}

func (o *targetOutcome) result(r *rule, req *request) policy.Result {
	result := policy.Result{Rule: r.spec.Name, Outcome: policy.Unchanged, Targets: o.targets}
	switch {
	case len(o.errs) > 0:
		err := errors.Join(o.errs...)
		if len(o.errs) == 1 {
			err = o.errs[0]
		}
		result = r.failed(req, err)
		result.Targets = o.targets
	case len(o.messages) > 0:
		result.Outcome, result.Message = policy.Applied, strings.Join(o.messages, ", ")
	case len(o.skips) > 0:
		result.Outcome, result.Message = policy.Skipped, strings.Join(slices.Compact(o.skips), ", ")
	case len(o.targets) > 0:
		result.Message = "no patches applied"
	case len(o.outside) > 0:
		result.Outcome = policy.Noticed
		result.Message = strings.Join(o.outside, ", ") + " is changed in the cluster, but it is no part of what is rendered"
	default:
		result.Outcome, result.Message = policy.Skipped, "no target among the resources"
	}
	return result
}

// mutateTargets patches the resources that t chooses, as they are now.
func (r *rule) mutateTargets(ctx context.Context, s *scope, t *target, w policy.World, outcome *targetOutcome) error {
	known := s.request.in.Facts
	chosen, err := t.choose(s, r.policy.Namespace())
	if err != nil {
		return placedAt(t.path, err)
	}
	candidates, err := w.Resources(chosen.kinds)
	if err != nil {
		return err
	}
	found := false
	for _, o := range candidates {
		id := resource.IDOf(o)
		namespace := seenNamespace(known, id)
		if !chosen.includes(o, namespace) {
			continue
		}
		found = true
		if namespace != id.Namespace {
			o = resource.WithNamespace(o, namespace)
		}
		out, skipped, err := r.mutateTarget(s, t, o)
		if err != nil {
			outcome.errs = append(outcome.errs, placedAt(t.path, fmt.Errorf("target %s: %w", id, err)))
			continue
		}
		if skipped != "" {
			outcome.skips = append(outcome.skips, skipped)
			continue
		}
		if a, b := resource.IDOf(o), resource.IDOf(out); a != b {
			outcome.errs = append(outcome.errs, placedAt(t.path, fmt.Errorf("target %s: the rule changes its identity to %s %s, which the API server refuses", id, b.Kind, b)))
			continue
		}
		if namespace != id.Namespace {
			out = resource.WithoutNamespace(out, namespace)
		}
		changed, err := w.Update(ctx, out)
		if err != nil {
			return err
		}
		outcome.targets = append(outcome.targets, changed)
		if !resource.Equal(changed.Before, changed.After) {
			outcome.messages = append(outcome.messages, "mutated "+id.String())
		}
	}
	if found {
		return nil
	}
	return r.absent(s, t, chosen, outcome)
}

// mutateTarget patches one target. It says why when a precondition keeps it
// as it is.
func (r *rule) mutateTarget(s *scope, t *target, o resource.Object) (out resource.Object, skipped string, err error) {
	s = s.inner()
	s.setTarget(o)
	s.with(withoutGivenIn(s.request, t.context))
	ok, message, err := holds(t.preconditions, s)
	if err != nil {
		return nil, "", fmt.Errorf("preconditions: %w", err)
	}
	if !ok {
		if message != "" {
			message = "; " + message
		}
		return nil, "preconditions not met" + message, nil
	}
	if r.loops != nil {
		out, _, err = mutateEach(s, r.loops, o, 0)
		return out, "", err
	}
	if _, err := r.rest.Resolve(s); err != nil {
		return nil, "", err
	}
	out, err = r.patch.apply(s, o)
	return out, "", err
}

// absent says what it means that no resource is chosen: a target that the facts
// have is in the cluster only, and one that is named has to be somewhere.
func (r *rule) absent(s *scope, t *target, chosen *choice, outcome *targetOutcome) error {
	known := s.request.in.Facts
	for _, kind := range known.Kinds() {
		if !chosen.kinds(kind) {
			continue
		}
		objects, err := known.List(kind.Group, kind.Kind, "")
		if err != nil {
			return err
		}
		for _, o := range objects {
			if id := resource.IDOf(o); chosen.includes(o, seenNamespace(known, id)) {
				outcome.outside = append(outcome.outside, id.String())
			}
		}
	}
	if len(outcome.outside) == 0 && chosen.one() {
		return placedAt(t.path, facts.MissingObject("the target", chosen.kind, chosen.namespace, chosen.name))
	}
	return nil
}

// placedAt says where in a rule err comes from, unless it knows better.
func placedAt(path fieldpath.Path, err error) error {
	var placed interface{ Place() fieldpath.Path }
	if errors.As(err, &placed) {
		return err
	}
	return &placeError{path, err}
}

// A placeError is an error at a place of a rule.
type placeError struct {
	path fieldpath.Path
	err  error
}

func (e *placeError) Error() string { return e.path.String() + ": " + e.err.Error() }

// Unwrap returns the cause.
func (e *placeError) Unwrap() error { return e.err }

// Place returns where in the rule the error comes from.
func (e *placeError) Place() fieldpath.Path { return e.path }
