// Package diff tells where two runs over the same manifests end differently,
// and which policies make the difference. One of the runs may be none.
package diff

import (
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/oneloop-dev/oneloop/pkg/facts"
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
	// Moved tells that elements of the list changed places, and nothing else: what
	// changed within them are other differences.
	Moved bool
	// Hidden tells that values of a Secret are among those of the field, or of the
	// whole resource.
	Hidden bool
}

// A State is how a field is after one run, and why.
type State struct {
	Value  any // nil when absent; pipeline.Redacted when it is hidden
	Absent bool
	// Order is what tells the elements apart of a list whose elements moved.
	Order []string
	// Policy and Rule were the last to change the field; a zero Policy: it is as
	// it was written.
	Policy policy.Ref
	Rule   string
}

// Runs returns the differences between the outputs of two runs over copies of
// manifests, in the order of the first, by path; resources of the second alone
// follow. Values of Secrets, and what comes out of them, are hidden.
func Runs(manifests []*resource.Resource, before, after pipeline.Output) ([]Difference, error) {
	written := byID(manifests)
	inAfter := byID(after.Resources)
	nets, err := each(len(before.Resources), func(i int) (net, error) {
		r := before.Resources[i]
		if other := inAfter[r.ID()]; other != nil {
			return compare(written[r.ID()], r, other)
		}
		return net{}, nil
	})
	if err != nil {
		return nil, err
	}
	a, b := newSide(before.Entries), newSide(after.Entries)
	inBefore := byID(before.Resources)
	var out []Difference
	for i, r := range before.Resources {
		if inAfter[r.ID()] == nil {
			out = append(out, whole(r, a, true))
			continue
		}
		out = append(out, nets[i].differences(r, a, b)...)
	}
	for _, r := range after.Resources {
		if inBefore[r.ID()] == nil {
			out = append(out, whole(r, b, false))
		}
	}
	return out, nil
}

func byID(resources []*resource.Resource) map[resource.ID]*resource.Resource {
	out := make(map[resource.ID]*resource.Resource, len(resources))
	for _, r := range resources {
		out[r.ID()] = r
	}
	return out
}

// A Recorder takes down what a run makes of its resources while the run has at
// hand how they were and how they are.
type Recorder struct {
	nets  []net
	lines bool
}

// NewRecorder returns a recorder for a run over n resources. With lines, the
// origin of a difference has the line of its field, else that of the resource.
func NewRecorder(n int, lines bool) *Recorder { return &Recorder{make([]net, n), lines} }

// Admitted is for pipeline.Options.
func (rec *Recorder) Admitted(i int, r *resource.Resource, before, after resource.Object) {
	rec.nets[i] = netOf(rec.written(r), before, before, after)
}

// written returns r when lines are asked for.
func (rec *Recorder) written(r *resource.Resource) *resource.Resource {
	if rec.lines {
		return r
	}
	return nil
}

// Differences returns what the recorded run over copies of manifests changes: as
// Runs does for a run that changes nothing, and the recorded one.
func (rec *Recorder) Differences(manifests []*resource.Resource, out pipeline.Output) ([]Difference, error) {
	// What background rules changed changed after it was recorded.
	changedLater := map[resource.ID]bool{}
	for i := range out.Entries {
		for _, t := range out.Entries[i].Targets {
			changedLater[t.Resource] = true
		}
	}
	inAfter := byID(out.Resources)
	if len(changedLater) > 0 {
		again, err := each(len(manifests), func(i int) (net, error) {
			r := manifests[i]
			if changedLater[r.ID()] {
				return compare(rec.written(r), r, inAfter[r.ID()])
			}
			return rec.nets[i], nil
		})
		if err != nil {
			return nil, err
		}
		rec.nets = again
	}
	s := newSide(out.Entries)
	found, err := each(len(manifests), func(i int) ([]Difference, error) {
		return rec.nets[i].differences(manifests[i], nil, s), nil
	})
	if err != nil {
		return nil, err
	}
	differences := slices.Concat(found...)
	for _, r := range manifests {
		delete(inAfter, r.ID())
	}
	for _, r := range out.Resources {
		if inAfter[r.ID()] != nil {
			differences = append(differences, whole(r, s, false))
		}
	}
	return differences, nil
}

// A net is how a resource ends up different, and the line of each change in the
// file; 0: not known.
type net struct {
	changes []resource.Change
	lines   []int
}

// compare reads what two resources say. Written is the one that lines count in,
// or nil.
func compare(written, before, after *resource.Resource) (net, error) {
	x, err := before.Object()
	if err != nil {
		return net{}, err
	}
	y, err := after.Object()
	if err != nil {
		return net{}, err
	}
	o := x
	if written != nil && written != before {
		if o, err = written.Object(); err != nil {
			return net{}, err
		}
	}
	return netOf(written, o, x, y), nil
}

// netOf compares two objects. Lines count in what is written, which says o.
func netOf(written *resource.Resource, o, before, after resource.Object) net {
	n := net{changes: resource.Diff(before, after)}
	if written == nil || len(n.changes) == 0 {
		n.lines = make([]int, len(n.changes))
		return n
	}
	paths := make([]fieldpath.Path, len(n.changes))
	for i, c := range n.changes {
		paths[i] = c.In(o)
	}
	n.lines = written.Lines(paths...)
	return n
}

// differences attributes the changes of r to the rules of both runs.
func (n net) differences(r *resource.Resource, a, b side) []Difference {
	if len(n.changes) == 0 {
		return nil
	}
	out := make([]Difference, len(n.changes))
	for i := range n.changes {
		c := &n.changes[i]
		d := &out[i]
		*d = Difference{Resource: r.ID(), Origin: r.Origin(), Path: c.Path,
			Before: State{Value: c.Before, Absent: c.Added()}, After: State{Value: c.After, Absent: c.Removed()}, Moved: c.Moved()}
		if d.Moved {
			d.Before.Order, d.After.Order = c.Order()
		}
		if n.lines[i] > 0 {
			d.Origin.Line = n.lines[i]
		}
		before, after := a.attribute(&d.Before, r.ID(), c), b.attribute(&d.After, r.ID(), c)
		if d.Hidden = before || after || facts.IsSecret(r.ID().Kind); d.Hidden {
			redact(&d.Before)
			redact(&d.After)
		}
	}
	return out
}

// whole is the difference of a resource that only one run has.
func whole(r *resource.Resource, s side, before bool) Difference {
	d := Difference{Resource: r.ID(), Origin: r.Origin()}
	is, not := &d.After, &d.Before
	if before {
		is, not = not, is
	}
	not.Absent = true
	d.Hidden = s.attribute(is, r.ID(), &resource.Change{}) || facts.IsSecret(r.ID().Kind)
	return d
}

func redact(s *State) {
	if !s.Absent {
		s.Value, s.Order = pipeline.Redacted, nil
	}
}

// A side is what one run did to each resource, in order; nil: nothing.
type side map[resource.ID][]change

type change struct {
	resource.Change
	policy policy.Ref
	rule   string
}

func newSide(entries []report.Entry) side {
	s := side{}
	add := func(id resource.ID, changes []resource.Change, e *report.Entry) {
		if len(changes) == 0 {
			return
		}
		list := slices.Grow(s[id], len(changes))
		for _, c := range changes {
			list = append(list, change{c, e.Policy, e.Rule})
		}
		s[id] = list
	}
	for i := range entries {
		e := &entries[i]
		add(e.Resource, e.Changes, e)
		for _, t := range e.Targets {
			add(t.Resource, t.Changes, e)
		}
	}
	return s
}

// attribute fills in who changed a field last: the field, one above or one below
// it. It reports whether any such change is hidden: what it brought may be still
// there.
func (s side) attribute(state *State, id resource.ID, net *resource.Change) (hidden bool) {
	found := false
	note := func(c *change) {
		if !found {
			found = true
			state.Policy, state.Rule = c.policy, c.rule
		}
		hidden = hidden || c.Before == pipeline.Redacted || c.After == pipeline.Redacted
	}
	for i := range slices.Backward(s[id]) {
		if c := &s[id][i]; c.Touches(net) {
			note(c)
		}
	}
	if found || !net.Moved() {
		return hidden
	}
	// Elements were taken out and put in elsewhere.
	for i := range slices.Backward(s[id]) {
		if c := &s[id][i]; len(c.Path) > len(net.Path) && fieldpath.Compare(c.Path[:len(net.Path)], net.Path) == 0 {
			note(c)
		}
	}
	return hidden
}

// each calls do for 0 to n-1 from several goroutines and returns the results in
// order.
func each[T any](n int, do func(i int) (T, error)) ([]T, error) {
	out, errs := make([]T, n), make([]error, n)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), n) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				out[i], errs[i] = do(i)
			}
		})
	}
	wg.Wait()
	return out, errors.Join(errs...)
}
