package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/oneloop-dev/oneloop/pkg/diff"
	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/pipeline"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/report"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// A verification is what a run proves about its result.
type verification struct {
	fixedPoint bool // a second pass changes nothing
	order      bool // it does not depend on the order of policies
}

// maxPasses is how often policies are applied to find out whether they settle.
const maxPasses = 8

// verify proves what was asked for. What does not hold comes back as entries
// with errors, as if the policies had failed.
func (p plan) verify(ctx context.Context, s *streams, set policy.Set, out pipeline.Output) ([]report.Entry, error) {
	if p.verification == (verification{}) || len(failed(out.Entries)) > 0 {
		return nil, nil
	}
	if p.verification.order {
		fmt.Fprintln(s.err, describeOrders(out.Orders))
	}
	if !p.verification.fixedPoint {
		return nil, nil
	}
	entries, err := p.settles(ctx, set, out)
	if err == nil && len(entries) == 0 {
		fmt.Fprintln(s.err, "verified: a second pass changes nothing")
	}
	return entries, err
}

func describeOrders(o pipeline.Orders) string {
	switch {
	case o.All+o.Some == 0:
		return "verified: no order of policies matters, since no resource is changed by two whose order is open"
	case o.Some == 0:
		return fmt.Sprintf("verified: no order of policies matters; %s tried in all orders", plural(o.All, "resource"))
	}
	return fmt.Sprintf("verified: no order of policies matters; %s tried in all orders, and %s that too many policies change with each of them first, last, and all in reverse",
		plural(o.All, "resource"), plural(o.Some, "resource"))
}

// settles applies the policies again to what they made.
func (p plan) settles(ctx context.Context, set policy.Set, out pipeline.Output) ([]report.Entry, error) {
	p.noChanges, p.admitted, p.encode, p.verification = false, nil, nil, verification{}
	var unsettled []diff.Difference
	passes := 1
	for ; passes < maxPasses; passes++ {
		again := copies(out.Resources)
		next, err := pipeline.Apply(ctx, again, p.options(set, again))
		if err != nil {
			return nil, err
		}
		if faults := failed(next.Entries); len(faults) > 0 && passes == 1 {
			for i := range faults {
				faults[i].Err = inSecondPass(faults[i].Err)
			}
			return faults, nil
		}
		changed, err := changes(out, again, next)
		if err != nil {
			return nil, err
		}
		if len(changed) == 0 {
			break
		}
		if passes == 1 {
			unsettled = changed
		}
		out = next
	}
	return unsettledEntries(unsettled, passes), nil
}

func inSecondPass(err error) error {
	var e *policy.Error
	if !errors.As(err, &e) {
		return fmt.Errorf("in a second pass: %w", err)
	}
	again := *e
	again.Err = fmt.Errorf("in a second pass, over what the first one made: %w", e.Err)
	return &again
}

// changes compares what went into a pass with what came out. again are the
// resources of out as the pass took them over.
func changes(out pipeline.Output, again []*resource.Resource, next pipeline.Output) ([]diff.Difference, error) {
	var all []diff.Difference
	compare := func(before, after []*resource.Resource) error {
		found, err := diff.Runs(before, pipeline.Output{Resources: before}, pipeline.Output{Resources: after, Entries: next.Entries})
		all = append(all, found...)
		return err
	}
	known := map[*resource.Resource]bool{}
	for i, r := range again {
		known[r] = true
		was, err := out.Resources[i].Object()
		if err != nil {
			return nil, err
		}
		is, err := r.Object()
		if err != nil {
			return nil, err
		}
		if resource.Equal(was, is) {
			continue
		}
		if err := compare(out.Resources[i:i+1], again[i:i+1]); err != nil {
			return nil, err
		}
	}
	for i, r := range next.Resources {
		if !known[r] {
			if err := compare(nil, next.Resources[i:i+1]); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

// unsettledEntries makes failures of what a second pass changed: one for each
// rule and field, about the first resource, with a count of the others.
func unsettledEntries(all []diff.Difference, passes int) []report.Entry {
	type key struct {
		policy resource.ID
		rule   string
		kind   resource.Kind
		path   string
	}
	type group struct {
		diff.Difference
		others map[resource.ID]bool
	}
	var keys []key
	groups := map[key]*group{}
	for _, d := range all {
		k := key{d.After.Policy.ID, d.After.Rule, d.Resource.Kind, anyElement(d.Path).String()}
		if groups[k] == nil {
			keys = append(keys, k)
			groups[k] = &group{d, map[resource.ID]bool{}}
		}
		groups[k].others[d.Resource] = true
	}
	ending := fmt.Sprintf("and so on up to the %dth pass: make the rule look for what it did", maxPasses)
	if passes < maxPasses {
		ending = fmt.Sprintf("%s: let the rule come after those whose result it needs", afterPasses(passes))
	}
	var out []report.Entry
	for _, k := range keys {
		g := groups[k]
		what := "a second pass generates it"
		switch {
		case g.Path == nil:
		case g.Before.Absent:
			what = "a second pass adds " + valueText(g.After)
		case g.After.Absent:
			what = "a second pass removes " + valueText(g.Before)
		default:
			what = fmt.Sprintf("a second pass changes it from %s to %s", valueText(g.Before), valueText(g.After))
		}
		if n := len(g.others) - 1; n > 0 {
			what += fmt.Sprintf(" (likewise on %s)", plural(n, "other resource"))
		}
		err := &policy.Error{
			Policy: g.After.Policy, Rule: g.After.Rule, Resource: g.Resource, At: g.Origin, Path: g.Path,
			Err: fmt.Errorf("%s, %s", what, ending),
		}
		out = append(out, report.Entry{
			Policy: g.After.Policy, Rule: g.After.Rule, Resource: g.Resource, Origin: g.Origin,
			Outcome: policy.Failed, Message: err.Err.Error(), Err: err,
		})
	}
	return out
}

// afterPasses says when policies settle that don't after the first pass.
func afterPasses(passes int) string {
	if passes == 2 {
		return "and a third pass changes nothing more"
	}
	return fmt.Sprintf("and only after %d passes nothing changes any more", passes)
}

func valueText(s diff.State) string {
	text, err := json.Marshal(s.Value)
	if err != nil {
		return fmt.Sprint(s.Value)
	}
	return string(text)
}

// anyElement is a path without the positions of list elements.
func anyElement(p fieldpath.Path) fieldpath.Path {
	out := slices.Clone(p)
	for i, step := range out {
		if step.IsIndex() {
			out[i] = fieldpath.Index(0)
		}
	}
	return out
}
