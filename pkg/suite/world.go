package suite

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// A world is what one trigger finds around it: all resources of the suite as
// their files say, and the trigger itself as the policies made it. What rules do
// to it is told in their results and not kept, so that each rule and each
// trigger starts from the same, as in kyverno test.
type world struct {
	engine  *engine
	trigger resource.Object
}

// objects returns the resources of the suite, decoded once.
func (e *engine) objects() ([]resource.Object, error) {
	if e.decoded != nil {
		return e.decoded, nil
	}
	var out []resource.Object
	for _, r := range slices.Concat(e.triggers, e.targets, e.cluster) {
		o, err := r.Object()
		if err != nil {
			return nil, err
		}
		out = append(out, o)
	}
	e.decoded = out
	return out, nil
}

// Resources implements policy.World.
func (w *world) Resources(wanted func(resource.Kind) bool) ([]resource.Object, error) {
	objects, err := w.engine.objects()
	if err != nil {
		return nil, err
	}
	own := identity(resource.IDOf(w.trigger))
	var out []resource.Object
	for _, o := range objects {
		id := resource.IDOf(o)
		if !wanted(id.Kind) {
			continue
		}
		if identity(id) == own {
			o = w.trigger
		}
		out = append(out, o)
	}
	return out, nil
}

// Update implements policy.World.
func (w *world) Update(_ context.Context, o resource.Object) (policy.Target, error) {
	id := identity(resource.IDOf(o))
	objects, err := w.Resources(func(k resource.Kind) bool { return k == id.Kind })
	if err != nil {
		return policy.Target{}, err
	}
	for _, before := range objects {
		if identity(resource.IDOf(before)) == id {
			return policy.Target{ID: resource.IDOf(before), Before: before, After: o}, nil
		}
	}
	return policy.Target{}, fmt.Errorf("%s is none of the resources: a rule must not change who its target is", id)
}

// Generate implements policy.World. What is there already is generated again:
// a suite has files of it to compare with.
func (w *world) Generate(_ context.Context, o resource.Object, _ bool) (policy.Target, error) {
	id := resource.IDOf(o)
	if id.Name == "" || id.Kind.Kind == "" || id.Kind.Version == "" {
		return policy.Target{}, errors.New("a generated resource needs apiVersion, kind and a name")
	}
	return policy.Target{ID: id, After: o}, nil
}

// Background implements policy.World: every trigger of a suite is admitted.
func (w *world) Background() bool { return false }

// ControllerLabels implements policy.World.
func (w *world) ControllerLabels() bool { return false }
