package admission

import (
	"errors"
	"fmt"
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/expr/cel"
	"github.com/oneloop-dev/oneloop/pkg/patch/apply"
	"github.com/oneloop-dev/oneloop/pkg/patch/rfc6902"
	"github.com/oneloop-dev/oneloop/pkg/policy/internal/schemas"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// patch returns object, which is of a kind, with what the mutation makes of it.
func (m *mutator) patch(r *request, kind resource.Kind, object resource.Object, values cel.Variables) (resource.Object, error) {
	v, err := m.program.Eval(r.ctx, values, cel.Mutation())
	if err != nil {
		return nil, err
	}
	known, err := schemas.Of(r.in.Facts)
	if err != nil {
		return nil, refusal{err}
	}
	if m.apply {
		patch, err := cel.Object(v)
		if err != nil {
			return nil, err
		}
		out, err := known.Merge(kind, object, patch)
		if err != nil {
			return nil, fmt.Errorf("error applying patch: %w", err)
		}
		return stored(known, kind, object, out)
	}
	operations, err := cel.Patch(v)
	if err != nil {
		return nil, err
	}
	out, err := rfc6902.Apply(object, operations)
	if errors.Is(err, rfc6902.ErrTestFailed) {
		return object, nil
	}
	if err != nil {
		return nil, err
	}
	if apply.BuiltIn().Knows(kind) {
		if err := fits(known, kind, object, out); err != nil {
			return nil, err
		}
	}
	return stored(known, kind, object, out)
}

// stored is what the next mutation sees of the result of one.
func stored(known *apply.Schemas, kind resource.Kind, before, after resource.Object) (resource.Object, error) {
	after, err := known.Stored(kind, before, after)
	if err != nil {
		return nil, refusal{err}
	}
	return known.Shown(kind, after)
}

// fits refuses what the API server can't read of an object that a JSON patch
// made of a built-in kind: fields that the kind does not have, and values of
// another type. That it refuses whatever failurePolicy says.
func fits(known *apply.Schemas, kind resource.Kind, before, after resource.Object) error {
	_, unknown, err := known.Prune(kind, before, after)
	if err != nil {
		return refusal{err}
	}
	if len(unknown) > 0 {
		fields := make([]string, len(unknown))
		for i, path := range unknown {
			fields[i] = fmt.Sprintf("unknown field %q", path)
		}
		return refusal{fmt.Errorf("Internal error occurred: strict decoding error: %s", strings.Join(fields, ", "))} //nolint:staticcheck // the words of the API server
	}
	wrong := wrongTypes(known, kind, after)
	if wrong == nil {
		return nil
	}
	if was := wrongTypes(known, kind, before); was != nil && was.Error() == wrong.Error() {
		return nil // it is not the patch's
	}
	return refusal{fmt.Errorf("Internal error occurred: the result does not fit the kind: %w", wrong)} //nolint:staticcheck // the words of the API server
}

func wrongTypes(known *apply.Schemas, kind resource.Kind, o resource.Object) error {
	_, err := known.MergeAtomics(kind, resource.Object{"apiVersion": kind.APIVersion(), "kind": kind.Kind}, o)
	if err == nil || !strings.Contains(err.Error(), "expected ") {
		return nil
	}
	if cause := errors.Unwrap(err); cause != nil {
		err = cause
	}
	return err
}
