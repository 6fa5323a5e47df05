package kyvernocel

import (
	"context"
	"errors"
	"fmt"

	"github.com/oneloop-dev/oneloop/pkg/expr/cel"
	"github.com/oneloop-dev/oneloop/pkg/patch/apply"
	"github.com/oneloop-dev/oneloop/pkg/policy/internal/schemas"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyvernocel/internal/library"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// An evaluation is one policy applied to one resource. It belongs to one
// goroutine.
type evaluation struct {
	ctx     context.Context //nolint:containedctx // of the one call that it serves
	request *request
	values  cel.Variables
	before  resource.Object // as it was when the policy began
	patched bool            // by a JSON patch of the policy
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
	old, err := r.oldObject(o)
	if err != nil {
		return nil, err
	}
	request, err := r.variable()
	if err != nil {
		return nil, err
	}
	values["object"], values["oldObject"] = o, old
	values["request"], values["namespaceObject"] = request, ns
	values["variables"] = cel.Unknown(errNoVariables)
	return &evaluation{ctx: ctx, request: r, values: values, before: o}, nil
}

// errNoVariables says why the conditions of a PolicyException have no variables.
var errNoVariables = errors.New("variables are not known yet where exceptions are looked at")

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

// mergeable is an error where a JSON patch of the policy added a field that the
// kind does not have: in between the API server drops none, and what has such a
// field cannot be merged.
func (ev *evaluation) mergeable(known *apply.Schemas, o resource.Object) error {
	if !ev.patched {
		return nil
	}
	_, dropped, err := known.Prune(resource.IDOf(o).Kind, ev.before, o)
	if err == nil && len(dropped) > 0 {
		err = fmt.Errorf("failed to convert original object to typed object: .%s: field not declared in schema; a JSON patch of the policy added it", dropped[0])
	}
	return err
}

// prune drops what the policy added and the kind does not have, as the API server
// does with what a webhook answers.
func (ev *evaluation) prune(before, after resource.Object) (resource.Object, error) {
	if !ev.patched {
		return after, nil // merging adds no such field
	}
	known, err := schemas.Of(ev.request.in.Facts)
	if err != nil {
		return nil, err
	}
	after, dropped, err := known.Prune(resource.IDOf(before).Kind, before, after)
	ev.request.dropped = append(ev.request.dropped, dropped...)
	return after, err
}
