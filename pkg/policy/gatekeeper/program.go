package gatekeeper

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/patch/apply"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/internal/constraints"
	"github.com/oneloop-dev/oneloop/pkg/policy/internal/schemas"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// A program is all mutators of a run, in the order in which Gatekeeper applies
// them: by kind and name.
type program struct {
	mutators  []*mutator
	config    *config // nil for none
	providers providers
}

// Policy implements policy.Program.
func (p *program) Policy() policy.Ref { return p.mutators[0].ref }

// Selects implements policy.Program.
func (p *program) Selects(k resource.Kind) bool {
	return !exempt(k) && slices.ContainsFunc(p.mutators, func(m *mutator) bool { return m.selects(k) })
}

// exempt reports whether Gatekeeper leaves objects of a kind alone: its own, and
// those that the API server shows to no webhook.
func exempt(k resource.Kind) bool {
	if k.Group == "admissionregistration.k8s.io" {
		return strings.HasPrefix(k.Kind, "Mutating") || strings.HasPrefix(k.Kind, "Validating")
	}
	return k.Group == "status.gatekeeper.sh" || slices.Contains(groups, k.Group)
}

// An admission is the mutators applied to one object. It belongs to one goroutine.
type admission struct {
	in                 policy.Input
	object             resource.Object // as the API server sends it
	kind               resource.Kind
	operation          string
	name, generateName string
	namespace          string // of the request; "" for what has none
}

func newAdmission(in policy.Input) (*admission, error) {
	kinds, err := constraints.KindsOf(in.Facts)
	if err != nil {
		return nil, err
	}
	a := &admission{in: in, kind: in.ID.Kind, operation: in.Operation, namespace: in.ID.Namespace}
	if a.operation == "" {
		a.operation = in.Facts.Request.Operation
	}
	switch {
	case kinds.ClusterScoped(a.kind):
		a.namespace = ""
	case a.namespace == "":
		a.namespace = in.Facts.DefaultNamespace
	}
	meta, _ := in.Object["metadata"].(map[string]any)
	a.name, _ = meta["name"].(string)
	a.generateName, _ = meta["generateName"].(string)
	a.object, err = apply.BuiltIn().Shown(a.kind, in.Object)
	return a, err
}

// A step is a change that one mutator made.
type step struct {
	*mutator
	after resource.Object // until all is settled, not of JSON values alone
}

// Apply implements policy.Program. As in Gatekeeper, the mutators run one after
// another, and all over again until a round changes nothing. Where one of them
// fails, none has done anything.
func (p *program) Apply(ctx context.Context, in policy.Input) ([]policy.Result, error) {
	a, err := newAdmission(in)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(operations, a.operation) {
		return nil, nil
	}
	var selected []*mutator
	for _, m := range p.mutators {
		if m.selects(a.kind) {
			selected = append(selected, m)
		}
	}
	why, err := p.excluded(a)
	if err != nil {
		return nil, err
	}
	if why != "" {
		var out []policy.Result
		for _, m := range selected {
			out = append(out, m.result(policy.Result{Outcome: policy.Skipped, Message: why}))
		}
		return out, nil
	}
	steps, matched, failed := p.settle(ctx, a, selected)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if failed != nil {
		return []policy.Result{*failed}, nil
	}
	return p.results(a, steps, matched), nil
}

// settle applies mutators until nothing changes. It returns the changes, and who
// matched the object at any time; or why it failed.
func (p *program) settle(ctx context.Context, a *admission, selected []*mutator) (steps []step, matched map[*mutator]bool, failed *policy.Result) {
	o := a.object
	matched = map[*mutator]bool{}
	round := 0
	for range len(p.mutators) + 1 {
		if ctx.Err() != nil {
			return nil, nil, nil
		}
		before, done := o, false
		round = len(steps)
		for _, m := range selected {
			ok, err := m.matches(a, o)
			if err != nil {
				return nil, nil, m.failure(a, err)
			}
			if !ok {
				continue
			}
			matched[m] = true
			s := &setting{mutator: m, admission: a}
			after, set, err := s.apply(map[string]any(o), 0)
			if err != nil {
				return nil, nil, m.failure(a, err)
			}
			if !set {
				continue
			}
			done = true
			if after := resource.Object(after.(map[string]any)); !same(map[string]any(o), map[string]any(after)) { //nolint:forcetypeassert // a location begins with a field
				o = after
				steps = append(steps, step{m, o})
			}
		}
		if !done || same(map[string]any(before), map[string]any(o)) {
			return steps[:round], matched, nil
		}
	}
	return nil, nil, unsettled(a, steps[round:])
}

// unsettled says that mutators go on changing an object for ever, given what they
// did last.
func unsettled(a *admission, last []step) *policy.Result {
	var names []string
	for _, s := range last {
		if name := s.String(); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return last[0].failure(a, fmt.Errorf("not converging: each round of mutators changes the object again, the last one by %s; let none of them build on its own result, or on that of one after it", strings.Join(names, ", ")))
}

func (m *mutator) result(r policy.Result) policy.Result {
	r.Policy, r.Rule = &m.ref, m.ref.ID.Name
	return r
}

func (m *mutator) failure(a *admission, err error) *policy.Result {
	r := m.result(policy.Result{Outcome: policy.Failed, Message: err.Error(),
		Err: &policy.Error{Policy: m.ref, Rule: m.ref.ID.Name, Resource: a.in.ID, Err: err}})
	return &r
}

// results reports the steps, and the mutators that matched and changed nothing.
func (p *program) results(a *admission, steps []step, matched map[*mutator]bool) []policy.Result {
	var known answers
	if len(steps) > 0 {
		var err error
		last := steps[len(steps)-1]
		if known, err = p.providers.resolve(map[string]any(last.after), a.in.Facts); err != nil {
			return []policy.Result{*last.asks(steps).failure(a, err)}
		}
	}
	for i := range steps {
		plain, _ := known.plain(map[string]any(steps[i].after))
		steps[i].after = plain.(map[string]any) //nolint:forcetypeassert // what was a map
	}
	out, err := a.back(steps)
	if err != nil {
		return []policy.Result{*steps[0].failure(a, err)}
	}
	told := map[*mutator]bool{}
	for _, s := range steps {
		told[s.mutator] = slices.ContainsFunc(out, func(r policy.Result) bool { return r.Policy == &s.ref })
	}
	o := a.in.Object
	for _, s := range steps {
		if resource.Equal(map[string]any(o), map[string]any(s.after)) {
			continue // only to Gatekeeper
		}
		o, told[s.mutator] = s.after, true
		out = append(out, s.result(policy.Result{Outcome: policy.Mutated, Object: o, Message: "mutated " + a.kind.Kind + "/" + a.name}))
	}
	for _, m := range p.mutators {
		if matched[m] && !told[m] {
			out = append(out, m.result(policy.Result{Outcome: policy.Unchanged, Message: "nothing to change"}))
		}
	}
	return out
}

// back makes of the steps what the manifest becomes: without the structs that only
// the API server shows, and without what a mutator added and the kind does not have,
// which the API server drops when it reads what a webhook answers. It returns
// notices about that.
func (a *admission) back(steps []step) ([]policy.Result, error) {
	if len(steps) == 0 {
		return nil, nil
	}
	known, err := schemas.Of(a.in.Facts)
	if err != nil {
		return nil, err
	}
	_, all, err := known.Prune(a.kind, a.object, steps[len(steps)-1].after)
	if err != nil {
		return nil, err
	}
	var out []policy.Result
	before := a.object
	for i, s := range steps {
		after := s.after
		if len(all) > 0 {
			_, own, err := known.Prune(a.kind, before, after)
			if err != nil {
				return nil, err
			}
			own = slices.DeleteFunc(own, func(path string) bool { return !slices.Contains(all, path) })
			if len(own) > 0 {
				out = append(out, s.result(policy.Result{Outcome: policy.Noticed, Message: fmt.Sprintf(
					"%s has no field %s in Kubernetes 1.36, whose API server drops what the mutator adds there, as is done here", a.kind, strings.Join(own, ", "))}))
			}
			before = after
			if after, _, err = known.Prune(a.kind, a.object, after); err != nil {
				return nil, err
			}
		}
		if steps[i].after, err = apply.BuiltIn().Hidden(a.kind, a.in.Object, after); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// asks returns the first mutator of the steps that asks a provider, else the last.
func (s step) asks(steps []step) *mutator {
	for _, other := range steps {
		if _, ok := other.set.(external); ok {
			return other.mutator
		}
	}
	return s.mutator
}

// ignoring is the label of a namespace that keeps Gatekeeper away from it.
const ignoring = "admission.gatekeeper.sh/ignore"

// home is the namespace of a default installation, whose objects it leaves alone.
const home = "gatekeeper-system"

// excluded tells why Gatekeeper never sees the object; "" when it does.
func (p *program) excluded(a *admission) (why string, err error) {
	c := p.config
	if c == nil {
		if c, err = configAmong(a.in.Facts); err != nil {
			return "", err
		}
	}
	namespace, known := a.namespace, map[string]string(nil)
	if a.kind.Group == "" && a.kind.Kind == "Namespace" {
		namespace, known = a.name, labelsOf(a.kind, a.in.Object)
	} else if namespace != "" {
		known, _ = a.in.Facts.NamespaceLabels(namespace)
	}
	_, ignored := known[ignoring]
	switch {
	case c != nil && anyMatches(c.excluded, namespace) && namespace == "": // * matches it, too
		return fmt.Sprintf("what has no namespace is excluded by %s", c.id), nil
	case c != nil && anyMatches(c.excluded, namespace):
		return fmt.Sprintf("namespace %s is excluded by %s", namespace, c.id), nil
	case ignored:
		return fmt.Sprintf("namespace %s has the label %s", namespace, ignoring), nil
	case namespace == home, c != nil && namespace != "" && namespace == c.id.Namespace:
		return fmt.Sprintf("namespace %s is that of Gatekeeper", namespace), nil
	}
	return "", nil
}
