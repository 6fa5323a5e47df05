package kyverno

import (
	"context"
	"slices"

	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/spec"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// react runs the rules of a policy that act on other resources than their
// trigger, as Kyverno's background controller does. Do ends what admit began.
func (p *program) react(ctx context.Context, in policy.Input, w policy.World, do func(*rule, *scope) policy.Result) ([]policy.Result, error) {
	return p.run(ctx, in, func(req *request, r *rule, o resource.Object) ([]policy.Result, bool) {
		if w.Background() && r.spec.SkipsBackgroundRequests() || req.operation == "DELETE" && !matchesDelete(r.spec) {
			return nil, false
		}
		s, result := r.admit(req, o)
		if s != nil {
			result = do(r, s)
		}
		return []policy.Result{result}, p.policy.Spec.AppliesOne() && result.Outcome != policy.Skipped
	})
}

// matchesDelete reports whether a rule asks for deletions, which it has to do
// by name.
func matchesDelete(r *spec.Rule) bool {
	asks := func(d *spec.ResourceDescription) bool { return slices.Contains(d.Operations, "DELETE") }
	for _, filters := range [][]spec.ResourceFilter{r.Match.Any, r.Match.All} {
		for i := range filters {
			if asks(&filters[i].Resources) {
				return true
			}
		}
	}
	return asks(&r.Match.Resources)
}
