// Package schemas finds the schemas of the kinds of a run.
package schemas

import (
	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/patch/apply"
)

// Of returns the schemas of the built-in kinds, and of those that the
// CustomResourceDefinitions among the facts define. It reads these once.
func Of(f *facts.Facts) (*apply.Schemas, error) {
	type key struct{}
	return facts.Derived(f, key{}, func(f *facts.Facts) (*apply.Schemas, error) {
		definitions, err := f.List(facts.CRD.Group, facts.CRD.Kind, "")
		if err != nil || len(definitions) == 0 {
			return apply.BuiltIn(), err
		}
		return apply.BuiltIn().With(definitions)
	})
}
