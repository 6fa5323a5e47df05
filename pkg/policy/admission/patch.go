package admission

import (
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/expr/cel"
	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/patch/apply"
	"github.com/oneloop-dev/oneloop/pkg/patch/rfc6902"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// patch returns object, which is of a kind, with what the mutation makes of it.
func (m *mutator) patch(r *request, kind resource.Kind, object resource.Object, values cel.Variables) (resource.Object, error) {
	v, err := m.program.Eval(r.ctx, values, cel.Mutation())
	if err != nil {
		return nil, err
	}
	schemas, err := schemasOf(r.in.Facts)
	if err != nil {
		return nil, refusal{err}
	}
	if m.apply {
		patch, err := cel.Object(v)
		if err != nil {
			return nil, err
		}
		out, err := schemas.Merge(kind, object, patch)
		if err != nil {
			return nil, fmt.Errorf("error applying patch: %w", err)
		}
		return out, nil
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
		return decoded(schemas, kind, object, out)
	}
	return out, nil
}

// schemasOf returns the schemas of all kinds of a run.
func schemasOf(f *facts.Facts) (*apply.Schemas, error) {
	type key struct{}
	return facts.Derived(f, key{}, func(f *facts.Facts) (*apply.Schemas, error) {
		crds, err := f.List(facts.CRD.Group, facts.CRD.Kind, "")
		if err != nil || len(crds) == 0 {
			return apply.BuiltIn(), err
		}
		return apply.BuiltIn().With(crds)
	})
}

// decoded is what the API server reads of a built-in object that a JSON patch
// made: it refuses fields that the kind does not have, and a null is no field.
func decoded(schemas *apply.Schemas, kind resource.Kind, before, after resource.Object) (resource.Object, error) {
	if err := fits(schemas, kind, after); err != nil {
		was := fits(schemas, kind, before)
		if was == nil || was.Error() != err.Error() {
			return nil, refusal{fmt.Errorf("Internal error occurred: strict decoding error: %w", err)} //nolint:staticcheck // the words of the API server
		}
	}
	out, _ := withoutNulls(before, after).(map[string]any)
	return out, nil
}

// fits reports what in an object is not in the schema of its kind.
func fits(schemas *apply.Schemas, kind resource.Kind, o resource.Object) error {
	_, err := schemas.MergeAtomics(kind, resource.Object{"apiVersion": kind.APIVersion(), "kind": kind.Kind}, o)
	if err == nil || strings.Contains(err.Error(), "duplicate") {
		return nil
	}
	if cause := errors.Unwrap(err); cause != nil {
		err = cause
	}
	return err
}

// withoutNulls returns after without the nulls that are not in before.
func withoutNulls(before, after any) any {
	switch after := after.(type) {
	case map[string]any:
		was, _ := before.(map[string]any)
		out := maps.Clone(after)
		for k, v := range after {
			old, there := was[k]
			if v == nil && (!there || old != nil) {
				delete(out, k)
			} else if v != nil {
				out[k] = withoutNulls(old, v)
			}
		}
		return out
	case []any:
		was, _ := before.([]any)
		out := make([]any, len(after))
		for i, v := range after {
			var old any
			if i < len(was) {
				old = was[i]
			}
			out[i] = withoutNulls(old, v)
		}
		return out
	}
	return after
}
