package kyvernocel

import (
	"errors"
	"fmt"
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/expr/cel"
	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/patch/rfc6902"
	"github.com/oneloop-dev/oneloop/pkg/policy/internal/schemas"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// A patch is one mutation of a policy.
type patch struct {
	*expression
	// make returns o with what the value of the expression says.
	make func(ev *evaluation, o resource.Object) (resource.Object, error)
}

// apply evaluates the patch for o, which is not modified.
func (p *patch) apply(ev *evaluation, o resource.Object) (resource.Object, error) {
	out, err := p.make(ev, o)
	if err != nil {
		return nil, placed(p.at, err)
	}
	return out, nil
}

// jsonPatch compiles a mutation of type JSONPatch.
func (c *compiler) jsonPatch(at fieldpath.Path, text string) *patch {
	e := c.compile(at, text, cel.PatchResult)
	return &patch{e, func(ev *evaluation, o resource.Object) (resource.Object, error) {
		v, err := e.eval(ev)
		if err != nil {
			return nil, err
		}
		operations, err := cel.Patch(v)
		if err != nil {
			return nil, err
		}
		ev.patched = true
		out, err := rfc6902.Apply(o, operations)
		if errors.Is(err, rfc6902.ErrTestFailed) {
			return o, nil // nothing to do then
		}
		return out, err
	}}
}

// applyConfiguration compiles a mutation of type ApplyConfiguration. Atomics says
// that it may replace lists and maps that are merged as a whole.
func (c *compiler) applyConfiguration(at fieldpath.Path, text string, atomics bool) *patch {
	e := c.compile(at, text, cel.ObjectResult)
	return &patch{e, func(ev *evaluation, o resource.Object) (resource.Object, error) {
		v, err := e.eval(ev)
		if err != nil {
			return nil, err
		}
		configuration, err := cel.Object(v)
		if err != nil {
			return nil, err
		}
		known, err := schemas.Of(ev.request.in.Facts)
		if err != nil {
			return nil, err
		}
		if err := ev.mergeable(known, o); err != nil {
			return nil, fmt.Errorf("error applying patch: %w", err)
		}
		merge := known.Merge
		if atomics {
			merge = known.MergeAtomics
		}
		out, err := merge(resource.IDOf(o).Kind, o, configuration)
		if err != nil && strings.Contains(err.Error(), "may not mutate atomic") {
			err = fmt.Errorf("%w (write a JSONPatch for it, or set evaluation.useServerSideApply)", err)
		}
		if err != nil {
			return nil, fmt.Errorf("error applying patch: %w", err)
		}
		return out, nil
	}}
}
