package kyverno

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/oneloop-dev/oneloop/pkg/digest"
	"github.com/oneloop-dev/oneloop/pkg/expr/jmespath"
	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/image"
	"github.com/oneloop-dev/oneloop/pkg/jsonvalue"
	"github.com/oneloop-dev/oneloop/pkg/patch/jsonpatch"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/anchor"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/condition"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/match"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/spec"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/variable"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/verifyimages"
	"github.com/oneloop-dev/oneloop/pkg/resource"
	"github.com/oneloop-dev/oneloop/pkg/wildcard"
)

// A rule is a compiled rule. It is immutable.
type rule struct {
	policy        *spec.Policy
	spec          *spec.Rule
	matcher       *match.Matcher
	context       []*entry
	preconditions *condition.Conditions
	exceptions    []*exception
	rest          *variable.Template // what else has to resolve; may be nil

	// One of these says what the rule does.
	patch       *patch
	loops       []*loop
	images      *verifyimages.Rule
	generations []*generation

	targets []*target // what patch or loops change, when it is not the object itself
}

// A program runs the rules of one kind of one policy.
type program struct {
	policy     *spec.Policy
	conditions *matchConditions // nil: none
	rules      []*rule
}

// Policy implements policy.Program.
func (p *program) Policy() policy.Ref { return p.policy.Ref }

// scope is the group of policies that the admission controller looks up at once.
// It keeps their names in a set, so that they come in another order each time;
// those of the whole cluster come before those of the resource's namespace.
func (p *program) scope() string {
	if p.policy.Namespace() == "" {
		return "of the cluster"
	}
	return "of namespace " + p.policy.Namespace()
}

// Selects implements policy.Program.
func (p *program) Selects(k resource.Kind) bool {
	return slices.ContainsFunc(p.rules, func(r *rule) bool { return r.matcher.Selects(k) })
}

// run calls do for each rule that matches, with the object as the rules before
// it left it. Do returns the results of the rule; the object of the last one
// that mutated is what the next rule sees. When done is set no rule follows.
func (p *program) run(ctx context.Context, in policy.Input, do func(*request, *rule, resource.Object) (results []policy.Result, done bool)) ([]policy.Result, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if p.rules[0].images != nil {
		// Images are verified in a request of their own, with the object as the
		// mutate rules left it.
		in.Requested = nil
	}
	req := newRequest(ctx, in, p.policy)
	shown, called := false, false
	current := in.Object
	var all []policy.Result
	for _, r := range p.rules {
		matched, err := r.matcher.Matches(req.subject(current))
		if err != nil {
			all = append(all, r.failed(req, err))
			continue
		}
		if !matched {
			continue
		}
		if by := req.filtered(); by != "" {
			all = append(all, r.skipped("Kyverno's resource filter "+by+" excludes the resource"))
			continue
		}
		if p.conditions != nil && !called {
			var passedOver error
			if called, passedOver, err = p.conditions.hold(req, current); err != nil {
				return append(all, r.failed(req, err)), nil
			}
			if passedOver != nil {
				result := r.skipped("failurePolicy Ignore: " + passedOver.Error())
				result.Ignored = fmt.Errorf("%w; failurePolicy: Ignore passes over it", passedOver)
				return append(all, result), nil
			}
			if !called {
				return nil, nil
			}
		}
		if !shown {
			current, shown = req.show(current), true
			req.object = current
		}
		applied := false
		results, done := do(req, r, current)
		for _, result := range results {
			if result.Outcome == policy.Mutated {
				current = result.Object
				result.Object = req.hide(current)
			}
			switch result.Outcome {
			case policy.Mutated, policy.Passed, policy.Denied:
				applied = true
			}
			all = append(all, result)
		}
		if done || applied && p.policy.Spec.AppliesOne() {
			break
		}
	}
	return all, ctx.Err()
}

// failed is the result of a rule that could not be evaluated. One that needed a
// digest, in a run that leaves tags as they are, is skipped.
func (r *rule) failed(req *request, err error) policy.Result {
	if errors.Is(err, digest.ErrOff) {
		return r.skipped(err.Error())
	}
	return policy.Result{Rule: r.spec.Name, Outcome: policy.Failed, Message: err.Error(), Err: r.error(req, err)}
}

// error puts the place in front of err: that of a text in the policy when err
// knows it.
func (r *rule) error(req *request, err error) error {
	at := r.spec.Path
	var placed interface{ Place() fieldpath.Path }
	if errors.As(err, &placed) {
		at = slices.Concat(at, placed.Place())
	}
	e := r.policy.Error(r.spec.Name, at, err)
	e.Resource, e.Path = req.in.ID, nil
	return e
}

func (r *rule) skipped(message string) policy.Result {
	return policy.Result{Rule: r.spec.Name, Outcome: policy.Skipped, Message: message}
}

// admit loads the context of a rule that matched and checks preconditions and
// exceptions. The scope is nil when the result says how the rule ended.
func (r *rule) admit(req *request, o resource.Object) (*scope, policy.Result) {
	if r.fixed() {
		return &scope{request: req}, policy.Result{}
	}
	s := req.scope(o)
	entries := r.context
	if values, ok := ruleValues(req, r); ok {
		for key, v := range values {
			s.give(key, v)
		}
		entries = withoutGiven(entries, values)
	}
	if len(req.given) > 0 {
		entries = withoutGiven(entries, req.given)
	}
	s.with(entries)
	ok, message, err := holds(r.preconditions, s)
	if err != nil {
		return nil, r.failed(req, fmt.Errorf("preconditions: %w", err))
	}
	if !ok {
		text := "preconditions not met"
		if message != "" {
			text += "; " + message
		}
		return nil, r.skipped(text)
	}
	var names []string
	for _, e := range r.exceptions {
		applies, err := e.applies(req, s, o)
		if err != nil {
			return nil, r.failed(req, err)
		}
		if applies {
			names = append(names, e.key)
		}
	}
	if len(names) > 0 {
		return nil, r.skipped("rule is skipped due to policy exceptions " + strings.Join(names, ", "))
	}
	return s, policy.Result{}
}

// fixed reports whether the rule evaluates no expression at all.
func (r *rule) fixed() bool {
	return r.patch != nil && r.targets == nil && r.patch.merge.Static() && r.patch.operations.Static() &&
		r.rest == nil && r.preconditions == nil && len(r.exceptions) == 0
}

// ruleValues returns what Values files give to a rule. A value for a rule
// holds for those that autogen made from it.
func ruleValues(req *request, r *rule) (map[string]any, bool) {
	name := r.spec.Name
	for _, candidate := range []string{name, strings.TrimPrefix(name, "autogen-"), strings.TrimPrefix(name, "autogen-cronjob-")} {
		v, ok := req.in.Facts.RuleValues(r.policy.Metadata.Name, candidate)
		if !ok {
			continue
		}
		values := maps.Clone(v.Values)
		if values == nil {
			values = map[string]any{}
		}
		for key, list := range v.ForeachValues {
			if len(list) > 0 {
				values[key] = list[0]
			}
		}
		return values, true
	}
	return nil, false
}

// withoutGiven drops the entries that a Values file stands for.
func withoutGiven(entries []*entry, values map[string]any) []*entry {
	return slices.DeleteFunc(slices.Clone(entries), func(e *entry) bool { return !e.replaces && given(values, e.name) })
}

// A mutator runs the mutate rules of a policy.
type mutator struct{ program }

// Peers implements policy.Unordered.
func (m *mutator) Peers() string { return "kyverno mutate rules " + m.scope() }

// Apply implements policy.Program.
func (m *mutator) Apply(ctx context.Context, in policy.Input) ([]policy.Result, error) {
	return m.run(ctx, in, func(req *request, r *rule, o resource.Object) ([]policy.Result, bool) {
		s, ended := r.admit(req, o)
		if s == nil {
			return []policy.Result{ended}, false
		}
		result := r.mutate(req, s, o)
		// Kyverno goes on with an empty object, to which no rule applies. Nobody
		// can tell whether it would have failed where only we do.
		return []policy.Result{result}, result.Outcome == policy.Failed && !errors.Is(result.Err, errors.ErrUnsupported)
	})
}

func (r *rule) mutate(req *request, s *scope, o resource.Object) policy.Result {
	if s.Deleting() {
		return r.skipped("the object is being deleted")
	}
	if r.loops != nil {
		out, count, err := mutateEach(s, r.loops, o, 0)
		switch {
		case err != nil:
			return r.failed(req, err)
		case count == 0:
			return r.skipped("0 elements processed")
		case r.spec.Fault != nil:
			return r.failed(req, r.spec.Fault)
		}
		return r.mutated(req, out)
	}
	if _, err := r.rest.Resolve(s); err != nil {
		return r.failed(req, err)
	}
	out, err := r.patch.apply(s, o)
	switch {
	case err != nil:
		return r.failed(req, err)
	case resource.Equal(o, out):
		return policy.Result{Rule: r.spec.Name, Outcome: policy.Unchanged, Message: "no patches applied"}
	}
	return r.mutated(req, out)
}

func (r *rule) mutated(req *request, o resource.Object) policy.Result {
	id := req.in.ID
	message := "mutated " + id.Kind.Kind + "/" + id.Name
	if req.namespace != "" {
		message += " in namespace " + req.namespace
	}
	return policy.Result{Rule: r.spec.Name, Outcome: policy.Mutated, Message: message, Object: o}
}

// apply resolves and applies the patch.
func (p *patch) apply(s *scope, o resource.Object) (resource.Object, error) {
	merge, err := p.merge.Resolve(s)
	if err != nil {
		return nil, err
	}
	if !p.merge.Static() {
		merge = validText(merge)
	}
	operations := p.fixed
	if !p.parsed {
		text, err := p.operations.Text(s)
		if err != nil {
			return nil, fmt.Errorf("patchesJson6902: %w", err)
		}
		text, _ = validText(text).(string)
		if merge == nil {
			if operations, err = jsonpatch.Parse(text); err != nil {
				return nil, fmt.Errorf("patchesJson6902: %w", err)
			}
		}
	}
	if merge == nil {
		out, err := operations.Apply(o)
		if err != nil {
			return nil, fmt.Errorf("patchesJson6902: %w", err)
		}
		return out, nil
	}
	pattern, ok := merge.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("patchStrategicMerge: expected a map, found %s", jsonvalue.Describe(merge))
	}
	out, applied, err := anchor.Apply(resource.IDOf(o).Kind, o, pattern)
	switch {
	case err != nil:
		return nil, fmt.Errorf("patchStrategicMerge: %w", err)
	case !applied:
		return o, nil
	}
	return out, nil
}

// validText returns v with U+FFFD for each byte that is not UTF-8, as
// base64_decode may give: Kyverno passes on what variables gave as JSON, which
// knows no other text. V, which may be shared, is not modified.
func validText(v any) any {
	if isValidText(v) {
		return v
	}
	switch v := v.(type) {
	case string:
		return string([]rune(v))
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = validText(e)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[string([]rune(k))] = validText(e)
		}
		return out
	}
	return v
}

func isValidText(v any) bool {
	switch v := v.(type) {
	case string:
		return utf8.ValidString(v)
	case []any:
		return !slices.ContainsFunc(v, func(e any) bool { return !isValidText(e) })
	case map[string]any:
		for k, e := range v {
			if !utf8.ValidString(k) || !isValidText(e) {
				return false
			}
		}
	}
	return true
}

// A pinner runs the verifyImages rules of a policy: it writes digests.
type pinner struct{ program }

// Peers implements policy.Unordered.
func (p *pinner) Peers() string { return "kyverno verifyImages rules " + p.scope() }

// Apply implements policy.Program.
func (p *pinner) Apply(ctx context.Context, in policy.Input) ([]policy.Result, error) {
	return p.run(ctx, in, func(req *request, r *rule, o resource.Object) ([]policy.Result, bool) {
		images, w, results := r.verify(req, o, req.object)
		if w != nil {
			results = r.placed(req, r.images.Pin(ctx, o, images, *w))
		}
		return results, false
	})
}

// verify finds the images that concern a rule in o; the World is nil when the
// results say how the rule ended.
func (r *rule) verify(req *request, current, o resource.Object) ([]image.Field, *verifyimages.World, []policy.Result) {
	images, err := r.images.Images(req.in.ID.Kind, o)
	if err != nil {
		return nil, nil, []policy.Result{r.failed(req, err)}
	}
	if len(images) == 0 {
		return nil, nil, nil
	}
	s, ended := r.admit(req, current)
	if s == nil {
		return nil, nil, []policy.Result{ended}
	}
	resolved, err := r.rest.Resolve(s)
	if err != nil {
		return nil, nil, []policy.Result{r.failed(req, err)}
	}
	return images, &verifyimages.World{Digests: req.in.Digests, Facts: req.in.Facts, Resolved: resolved}, nil
}

// placed puts the place in front of the errors of results.
func (r *rule) placed(req *request, results []policy.Result) []policy.Result {
	for i := range results {
		result := &results[i]
		var v *verifyimages.Violation
		switch {
		case !errors.As(result.Err, &v):
		case !r.enforces(v, req):
			// Admission would have let the resource pass.
			result.Err = nil
		case errors.Is(result.Err, digest.ErrMissing):
			result.Outcome = policy.Failed // nobody knows
		}
		if result.Err != nil {
			result.Err = r.error(req, result.Err)
		}
	}
	return results
}

// enforces reports whether a violation would be refused at admission.
func (r *rule) enforces(v *verifyimages.Violation, req *request) bool {
	if v.FailureAction != "" {
		return strings.EqualFold(v.FailureAction, "Enforce")
	}
	for _, o := range r.policy.Spec.ValidationFailureActionOverrides {
		if len(o.Namespaces) > 0 && !wildcard.MatchAny(o.Namespaces, req.namespace) {
			continue
		}
		if o.NamespaceSelector == nil {
			return strings.EqualFold(o.Action, "Enforce")
		}
		if strings.EqualFold(o.Action, "Enforce") {
			// The labels may select the namespace; a refusal is not to be missed.
			return true
		}
	}
	return strings.EqualFold(r.policy.Spec.ValidationFailureAction, "Enforce")
}

// A checker runs the verifyImages rules of a policy a second time: it tells
// which images lack what the rules demand.
type checker struct{ program }

// Apply implements policy.Program.
func (p *checker) Apply(ctx context.Context, in policy.Input) ([]policy.Result, error) {
	return p.run(ctx, in, func(req *request, r *rule, o resource.Object) ([]policy.Result, bool) {
		if !r.images.Checks() {
			return nil, false
		}
		_, w, results := r.verify(req, o, o)
		if w != nil {
			results = r.placed(req, r.images.Check(ctx, req.in.ID.Kind, o, *w))
		}
		return results, false
	})
}

// mutateEach runs the loops one after another; each sees what the one before
// made. It returns the object and how many of the loops changed it.
func mutateEach(s *scope, loops []*loop, o resource.Object, nesting int) (resource.Object, int, error) {
	count := 0
	for _, l := range loops {
		elements, err := s.Search(l.list)
		if err != nil {
			return nil, 0, &listError{l, err}
		}
		out, err := l.run(s, o, elements, nesting)
		if err != nil {
			return nil, 0, err
		}
		if resource.Equal(o, out) {
			continue
		}
		o = out
		s.setObject(o)
		count++
	}
	return o, count, nil
}

// A listError says why a loop has no list.
type listError struct {
	loop *loop
	err  error
}

func (e *listError) Error() string {
	text := fmt.Sprintf("%s: %v", e.Place(), e.err)
	if jmespath.IsNotFound(e.err) {
		text += fmt.Sprintf("; write \"%s || `[]`\" for an empty list", e.loop.list)
	}
	return text
}

func (e *listError) Unwrap() error { return e.err }

// Place returns where the list stands in the rule.
func (e *listError) Place() fieldpath.Path { return e.loop.path.Key("list") }

// run applies the patch to each element. Patches see what those of earlier
// rounds made, variables do not: request.object is as it was before the loop.
func (l *loop) run(s *scope, o resource.Object, list any, nesting int) (resource.Object, error) {
	elements, ok := list.([]any)
	if !ok {
		elements = []any{list}
	}
	for i := range elements {
		if l.descending {
			i = len(elements) - 1 - i
		}
		if elements[i] == nil {
			continue
		}
		if err := s.request.ctx.Err(); err != nil {
			return nil, err
		}
		round := s.inner()
		round.setElement(elements[i], i, nesting)
		round.with(withoutGivenIn(s.request, l.context))
		out, err := l.round(round, o, nesting)
		if err != nil {
			return nil, fmt.Errorf("%s, element %d: %w", l.path, i, err)
		}
		o = out
	}
	return o, nil
}

func withoutGivenIn(req *request, entries []*entry) []*entry {
	if len(entries) == 0 || len(req.given) == 0 {
		return entries
	}
	return withoutGiven(entries, req.given)
}

func (l *loop) round(s *scope, o resource.Object, nesting int) (resource.Object, error) {
	ok, _, err := holds(l.preconditions, s)
	if err != nil {
		return nil, fmt.Errorf("preconditions: %w", err)
	}
	if !ok {
		return o, nil
	}
	if l.loops != nil {
		out, _, err := mutateEach(s, l.loops, o, nesting+1)
		return out, err
	}
	return l.patch.apply(s, o)
}
