package kyvernocel

import (
	"context"
	"errors"

	"github.com/oneloop-dev/oneloop/pkg/expr/cel"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyvernocel/internal/library"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// An evaluation is one policy applied to one resource. It belongs to one
// goroutine.
type evaluation struct {
	ctx     context.Context //nolint:containedctx // of the one call that it serves
	request *request
	values  cel.Variables
}

// newEvaluation makes o the object that the expressions of a policy of the given
// namespace see, "" for a cluster-scoped one.
func newEvaluation(ctx context.Context, r *request, namespace string, o resource.Object) (*evaluation, error) {
	ns, err := r.namespaceObject()
	if err != nil {
		return nil, err
	}
	w := &library.World{Facts: r.in.Facts, Now: r.in.Now, Namespace: namespace, Digests: r.in.Digests, Context: ctx}
	values := cel.Variables(w.Values())
	_, old := r.objects(o)
	values["object"], values["oldObject"] = o, old
	values["request"], values["namespaceObject"] = r.variable(), ns
	return &evaluation{ctx: ctx, request: r, values: values}, nil
}

// begin gives the expressions the exceptions and the variables of the policy,
// which keep their values from here on.
func (ev *evaluation) begin(x *exemption, variables *cel.Definitions) {
	ev.values["exceptions"] = x.variable()
	variables.Bind(ev.values)
}

// setObject makes o the object that expressions see from now on.
func (ev *evaluation) setObject(o resource.Object) { ev.values["object"] = o }

// hold reports whether all conditions are true. One that is false decides,
// whatever errors the ones before it had.
func (ev *evaluation) hold(conditions []*expression) (bool, error) {
	var errs []error
	for _, c := range conditions {
		ok, err := c.holds(ev)
		if err != nil {
			errs = append(errs, err)
		} else if !ok {
			return false, nil
		}
	}
	return len(errs) == 0, errors.Join(errs...)
}

// prune drops what the policy added and the kind does not have, as the API server
// does with what a webhook answers.
func (ev *evaluation) prune(before, after resource.Object) (resource.Object, error) {
	schemas, err := schemasOf(ev.request.in.Facts)
	if err != nil {
		return nil, err
	}
	after, dropped, err := schemas.Prune(resource.IDOf(before).Kind, before, after)
	ev.request.dropped = append(ev.request.dropped, dropped...)
	return after, err
}
