package kyvernocel

import (
	"encoding/json"
	"errors"
	"fmt"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	"github.com/oneloop-dev/oneloop/pkg/expr/cel"
	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
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
		v, err := e.Eval(ev.ctx, ev.values, nil)
		if err != nil {
			return nil, err
		}
		operations, err := cel.Patch(v)
		if err != nil {
			return nil, err
		}
		return applyOperations(operations, o)
	}}
}

// applyOperations applies a JSON patch as the API server does: where a test does
// not hold, the object stays as it is.
func applyOperations(operations []any, o resource.Object) (resource.Object, error) {
	if len(operations) == 0 {
		return o, nil
	}
	text, err := json.Marshal(operations)
	if err != nil {
		return nil, err
	}
	p, err := jsonpatch.DecodePatch(text)
	if err != nil {
		return nil, err
	}
	before, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	after, err := p.Apply(before)
	if errors.Is(err, jsonpatch.ErrTestFailed) {
		return o, nil
	}
	if err != nil {
		return nil, fmt.Errorf("JSON Patch: %w", err)
	}
	var out resource.Object
	if err := utiljson.Unmarshal(after, &out); err != nil {
		return nil, fmt.Errorf("JSON Patch: the result is no object: %w", err)
	}
	return out, nil
}

// applyConfiguration compiles a mutation of type ApplyConfiguration.
func (c *compiler) applyConfiguration(at fieldpath.Path, text string) *patch {
	e := c.compile(at, text, cel.ObjectResult)
	return &patch{e, func(ev *evaluation, _ resource.Object) (resource.Object, error) {
		v, err := e.Eval(ev.ctx, ev.values, nil)
		if err != nil {
			return nil, err
		}
		if _, err := cel.Object(v); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("ApplyConfiguration is not evaluated yet: %w", errors.ErrUnsupported)
	}}
}
