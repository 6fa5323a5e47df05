package admission

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/expr/cel"
	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/patch/apply"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/internal/constraints"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// A program is all policies of a run.
type program struct{ policies []*compiled }

// Policy implements policy.Program.
func (p *program) Policy() policy.Ref { return p.policies[0].ref }

// Parts implements policy.Several: the API server takes policies in the order in
// which it learned of them.
func (p *program) Parts() []policy.Ref {
	out := make([]policy.Ref, len(p.policies))
	for i, c := range p.policies {
		out[i] = c.ref
	}
	return out
}

// InOrder implements policy.Several.
func (p *program) InOrder(order []int) policy.Program {
	out := &program{policies: make([]*compiled, len(order))}
	for i, n := range order {
		out.policies[i] = p.policies[n]
	}
	return out
}

// Selects implements policy.Program.
func (p *program) Selects(k resource.Kind) bool {
	return !exempt(k) && slices.ContainsFunc(p.policies, func(c *compiled) bool { return len(c.bindings) > 0 && c.matcher.Selects(k) })
}

// exempt are the kinds that the API server shows to no policy.
func exempt(k resource.Kind) bool {
	switch k.Group {
	case group:
		return strings.HasPrefix(k.Kind, "Mutating") || strings.HasPrefix(k.Kind, "Validating")
	case "authentication.k8s.io", "authorization.k8s.io":
		return true
	}
	return false
}

// Apply implements policy.Program. As in the API server, all policies are
// matched against the object as it came, then those that matched change it one
// after another, and where anything did, those with reinvocationPolicy IfNeeded
// do so once more.
func (p *program) Apply(ctx context.Context, in policy.Input) ([]policy.Result, error) {
	r, err := newRequest(ctx, in)
	if err != nil {
		return nil, err
	}
	a := &admission{request: r, object: in.Object, policies: p.policies}
	a.round()
	if a.dirty && !a.failed && len(a.reinvoked) > 0 {
		a.again = true
		a.round()
	}
	return a.results, ctx.Err()
}

// An admission is all policies applied to one object. It belongs to one
// goroutine.
type admission struct {
	*request
	policies []*compiled
	object   resource.Object // as it is now
	results  []policy.Result
	failed   bool // some policy refused the request
	dirty    bool // some mutation was evaluated without an error

	again     bool                // the second round
	reinvoked map[invocation]bool // in the second round
}

// An invocation is one policy for one binding and one param.
type invocation struct {
	policy  *compiled
	binding *binding
	param   string // namespace/name; "" for none
}

// A matched is an invocation with what it needs.
type matched struct {
	invocation
	params resource.Object // nil for none
	match  constraints.Match
}

// round matches and applies the policies.
func (a *admission) round() {
	for _, m := range a.matched() {
		if a.ctx.Err() != nil {
			return
		}
		a.invoke(m)
	}
}

// matched lists what is to be invoked, in order: policies and their bindings as
// they were given, params by namespace and name.
func (a *admission) matched() []matched {
	var out []matched
	s := a.subject(a.object)
	for _, p := range a.policies {
		if len(p.bindings) == 0 {
			continue
		}
		match, ok, err := p.matcher.Match(s)
		if err != nil {
			a.fail(p, nil, fmt.Errorf("failed to configure policy: %w", err))
			continue
		}
		if !ok {
			continue
		}
		if err := p.paramsKnown(a.request); err != nil {
			a.fail(p, nil, fmt.Errorf("failed to configure policy: %w", err))
			continue
		}
		for _, b := range p.bindings {
			if b.matcher != nil {
				_, ok, err := b.matcher.Match(s)
				if err != nil {
					a.fail(p, b, fmt.Errorf("failed to configure binding: %w", err))
				}
				if !ok {
					continue
				}
			}
			params, err := p.collect(a.request, b)
			if err != nil {
				a.fail(p, b, fmt.Errorf("failed to configure binding: %w", err))
				continue
			}
			if len(params) == 0 && !a.again {
				a.add(p, policy.Result{Outcome: policy.Skipped, Message: "no params found" + b.with("")})
			}
			for _, param := range params {
				i := invocation{policy: p, binding: b}
				if param != nil {
					id := resource.IDOf(param)
					i.param = id.Namespace + "/" + id.Name
				}
				out = append(out, matched{i, param, match})
			}
		}
	}
	return out
}

func (a *admission) add(p *compiled, r policy.Result) {
	r.Policy, r.Rule = &p.ref, p.ref.ID.Name
	a.results = append(a.results, r)
}

// with names the binding and the param in a message.
func (b *binding) with(param string) string {
	out := ""
	if b.name != "" {
		out = " with binding " + b.name
	}
	if param != "" {
		out += " and param " + strings.TrimPrefix(param, "/")
	}
	return out
}

// A refusal is an error that failurePolicy does not count for.
type refusal struct{ error }

func (r refusal) Unwrap() error { return r.error }

// decisive reports whether an error makes the request fail. With failurePolicy
// Ignore it does where nobody can tell whether it was one in a cluster.
func (p *compiled) decisive(err error) bool {
	var always refusal
	return !p.ignore || errors.As(err, &always) || errors.Is(err, facts.ErrMissing) || errors.Is(err, errors.ErrUnsupported)
}

// fail reports an error of a policy, or of one of its bindings.
func (a *admission) fail(p *compiled, b *binding, err error) {
	if !p.decisive(err) {
		if !a.again {
			a.add(p, policy.Result{Outcome: policy.Skipped, Message: "failurePolicy Ignore: " + err.Error(), Ignored: a.ignored(p, err)})
		}
		return
	}
	a.failed = true
	outcome := policy.Failed
	if errors.Is(err, errNoParams) {
		outcome = policy.Denied
	}
	denied := fmt.Errorf("policy %q denied request: %w", p.ref.ID.Name, err)
	if b != nil && b.name != "" {
		denied = fmt.Errorf("policy '%s' with binding '%s' denied request: %w", p.ref.ID.Name, b.name, err)
	}
	a.add(p, policy.Result{Outcome: outcome, Message: denied.Error(), Err: a.error(p, denied)})
}

// error is an error of a policy with its place.
func (a *admission) error(p *compiled, err error) *policy.Error {
	out := &policy.Error{Policy: p.ref, Rule: p.ref.ID.Name, Resource: a.in.ID, Err: a.hinted(err)}
	var e *placeError
	if errors.As(err, &e) {
		out.Line = p.source.Line(e.at)
	}
	return out
}

// ignored is an error that failurePolicy does not count, with its place.
func (a *admission) ignored(p *compiled, err error) *policy.Error {
	out := a.error(p, err)
	out.Err = fmt.Errorf("%w; failurePolicy: Ignore passes over it", out.Err)
	return out
}

// A placeError is an error of an expression that stands at a place of its policy.
type placeError struct {
	at fieldpath.Path
	error
}

func (e *placeError) Unwrap() error { return e.error }

// hinted says what to do about an error in the words of the API server, and why
// something may be missing here that is there in a cluster.
func (r *request) hinted(err error) error {
	switch text := err.Error(); {
	case strings.Contains(text, "may not mutate atomic"):
		return fmt.Errorf("%w (write a JSONPatch for it)", err)
	case !strings.Contains(text, "no such key"):
		return err
	case r.old == nil && mentions(text, "oldObject"):
		return fmt.Errorf("%w (a resource that is created has no oldObject: ask with oldObject == null)", err)
	default:
		return fmt.Errorf("%w (the manifest is as it is written: what the API server fills in by default is not there)", err)
	}
}

// invoke evaluates a policy whose constraints hold.
func (a *admission) invoke(m matched) {
	p := m.policy
	object, err := a.see(m.match.Kind, a.object)
	if err != nil {
		a.fail(p, m.binding, err)
		return
	}
	values := a.values(object, m)
	ok, why, err := p.hold(a.request, values)
	if err != nil {
		a.fail(p, m.binding, err)
		return
	}
	if !ok {
		if !a.again {
			a.add(p, policy.Result{Outcome: policy.Skipped, Message: why + m.binding.with(m.param)})
		}
		return
	}
	if a.again && !a.reinvoked[m.invocation] {
		return
	}
	after, errs := a.mutate(m, object, values)
	if p.reinvoke && !a.again {
		if a.reinvoked == nil {
			a.reinvoked = map[invocation]bool{}
		}
		a.reinvoked[m.invocation] = true
	}
	if err := errors.Join(errs...); err != nil && p.decisive(err) {
		// Nothing of what a policy does that fails is left.
		a.fail(p, m.binding, err)
		return
	}
	after, err = a.back(m.match.Kind, after)
	if err != nil {
		a.fail(p, m.binding, err)
		return
	}
	if after, err = apply.BuiltIn().Hidden(a.kind, a.object, a.hide(after)); err != nil {
		a.fail(p, m.binding, refusal{err})
		return
	}
	ignored, passedOver := "", error(nil)
	if len(errs) > 0 {
		ignored = "; failurePolicy Ignore: " + oneLine(errors.Join(errs...))
		passedOver = a.ignored(p, errors.Join(errs...))
	}
	id := a.in.ID
	switch {
	case !resource.Equal(a.object, after):
		verb := "mutated "
		if a.again {
			verb = "reinvoked, mutated "
		}
		a.object = after
		a.add(p, policy.Result{Outcome: policy.Mutated, Object: after, Message: verb + id.Kind.Kind + "/" + id.Name + m.binding.with(m.param) + ignored, Ignored: passedOver})
	case a.again:
	case ignored != "":
		a.add(p, policy.Result{Outcome: policy.Skipped, Message: strings.TrimPrefix(ignored, "; "), Ignored: passedOver})
	default:
		a.add(p, policy.Result{Outcome: policy.Unchanged, Message: "no patches applied" + m.binding.with(m.param)})
	}
}

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// hold evaluates the match conditions: one that is false decides, whatever
// errors others have.
func (p *compiled) hold(r *request, values cel.Variables) (ok bool, why string, err error) {
	if len(p.conditions) == 0 {
		return true, "", nil
	}
	values = values.Clone()
	values["namespaceObject"] = nil // so the API server evaluates them
	budget := cel.Conditions()
	var errs []error
	for _, c := range p.conditions {
		ok, err := c.program.EvalBool(r.ctx, values, budget)
		switch {
		case errors.Is(err, cel.ErrBudget):
			return false, "", &placeError{c.at, err} // and that ends it
		case err != nil:
			errs = append(errs, &placeError{c.at, err})
		case !ok && why == "":
			why = fmt.Sprintf("match condition %q is false", c.name)
		}
	}
	if why != "" {
		return false, why, nil
	}
	if len(errs) > 0 {
		return false, "", several(errs)
	}
	return true, "", nil
}

// several are errors of match conditions, in the form of the API server.
type several []error

func (s several) Error() string {
	var messages []string
	for _, err := range s {
		if !slices.Contains(messages, err.Error()) {
			messages = append(messages, err.Error())
		}
	}
	if len(messages) == 1 {
		return messages[0]
	}
	return "[" + strings.Join(messages, ", ") + "]"
}

func (s several) Unwrap() []error { return s }

// mutate applies the mutations in order, each to what the one before made. One
// that fails does not stop the others. Variables are evaluated anew for each.
func (a *admission) mutate(m matched, object resource.Object, values cel.Variables) (resource.Object, []error) {
	var errs []error
	if object == nil || a.operation == "DELETE" {
		return object, nil
	}
	for _, mutation := range m.policy.mutations {
		values := values.Clone()
		values["object"] = object
		m.policy.variables.Bind(values)
		out, err := mutation.patch(a.request, m.match.Kind, object, values)
		if err != nil {
			errs = append(errs, &placeError{mutation.at, err})
			continue
		}
		a.dirty = true
		object = out
	}
	return object, errs
}
