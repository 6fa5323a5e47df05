// Package diff tells where two runs over the same manifests end differently,
// and which policies make the difference.
package diff

import (
	"slices"

	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/pipeline"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/report"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// A Difference is a field, or a whole resource, that is not the same after both
// runs.
type Difference struct {
	Resource resource.ID
	Origin   resource.Origin // zero for a generated resource
	// Path is the field; nil: only one of the runs has the resource.
	Path          fieldpath.Path
	Before, After State
}

// A State is how a field is after one run, and why.
type State struct {
	Value  any // nil when absent
	Absent bool
	// Policy and Rule were the last to change the field; a zero Policy: it is as
	// it was written.
	Policy policy.Ref
	Rule   string
}

// Runs returns the differences between the outputs of two runs over copies of
// manifests, in the order of the first, by path; resources of the second alone
// follow. Values of Secrets, and what comes out of them, are replaced by
// pipeline.Redacted.
func Runs(manifests []*resource.Resource, before, after pipeline.Output) ([]Difference, error) {
	written := map[resource.ID]*resource.Resource{}
	for _, r := range manifests {
		written[r.ID()] = r
	}
	a, b := newSide(before.Entries), newSide(after.Entries)
	inAfter := map[resource.ID]*resource.Resource{}
	for _, r := range after.Resources {
		inAfter[r.ID()] = r
	}
	var out []Difference
	for _, r := range before.Resources {
		other, ok := inAfter[r.ID()]
		delete(inAfter, r.ID())
		if !ok {
			out = append(out, whole(r, a, func(d *Difference) (is, not *State) { return &d.Before, &d.After }))
			continue
		}
		x, err := r.Object()
		if err != nil {
			return nil, err
		}
		y, err := other.Object()
		if err != nil {
			return nil, err
		}
		for _, c := range resource.Diff(x, y) {
			d := Difference{Resource: r.ID(), Origin: r.Origin(), Path: c.Path,
				Before: State{Value: c.Before, Absent: c.Added()}, After: State{Value: c.After, Absent: c.Removed()}}
			if w := written[r.ID()]; w != nil {
				if line := w.Line(c.Path); line > 0 {
					d.Origin.Line = line
				}
			}
			hide := r.ID().Kind.Group == "" && r.ID().Kind.Kind == "Secret"
			hide = a.attribute(&d.Before, r.ID(), c.Path) || hide
			hide = b.attribute(&d.After, r.ID(), c.Path) || hide
			if hide {
				redact(&d.Before)
				redact(&d.After)
			}
			out = append(out, d)
		}
	}
	for _, r := range after.Resources {
		if _, ok := inAfter[r.ID()]; ok {
			out = append(out, whole(r, b, func(d *Difference) (is, not *State) { return &d.After, &d.Before }))
		}
	}
	return out, nil
}

// whole is the difference of a resource that only one run has.
func whole(r *resource.Resource, s side, states func(*Difference) (is, not *State)) Difference {
	d := Difference{Resource: r.ID(), Origin: r.Origin()}
	is, not := states(&d)
	not.Absent = true
	s.attribute(is, r.ID(), nil)
	return d
}

func redact(s *State) {
	if !s.Absent {
		s.Value = pipeline.Redacted
	}
}

// A side is what one run did to each resource, in order.
type side map[resource.ID][]change

type change struct {
	resource.Change
	policy policy.Ref
	rule   string
}

func newSide(entries []report.Entry) side {
	s := side{}
	add := func(id resource.ID, changes []resource.Change, e report.Entry) {
		for _, c := range changes {
			s[id] = append(s[id], change{c, e.Policy, e.Rule})
		}
	}
	for _, e := range entries {
		add(e.Resource, e.Changes, e)
		for _, t := range e.Targets {
			add(t.Resource, t.Changes, e)
		}
	}
	return s
}

// attribute fills in who changed a field last: the field, one above or one below
// it. It reports whether that change is hidden.
func (s side) attribute(state *State, id resource.ID, path fieldpath.Path) (hidden bool) {
	for _, c := range slices.Backward(s[id]) {
		n := min(len(c.Path), len(path))
		if fieldpath.Compare(c.Path[:n], path[:n]) == 0 {
			state.Policy, state.Rule = c.policy, c.rule
			return c.Before == pipeline.Redacted || c.After == pipeline.Redacted
		}
	}
	return false
}
