// Package pipeline applies compiled policies to resources: resources in
// parallel, programs in sequence. It attributes every change to the rule that
// made it, and it is the only place that does.
package pipeline

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oneloop-dev/oneloop/pkg/digest"
	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/report"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// Options say how a run goes. Programs, Facts and Digests are required.
type Options struct {
	Programs []policy.Program // in the order in which they run
	Facts    *facts.Facts
	Digests  digest.Resolver
	Now      func() time.Time
	// Inert resources pass through and are never matched: policies, function
	// configs, local configuration. Nil: none.
	Inert func(*resource.Resource) bool
	// KeepGoing applies the rules that follow a failed one.
	KeepGoing bool
	// Workers is the number of resources at once; 0 means GOMAXPROCS.
	Workers int
	// Done is called once for each resource, from many goroutines, after the
	// last rule: the place to encode it while others are still at work.
	Done func(i int, r *resource.Resource) error
}

// Apply runs the programs over each resource and updates the resources in
// place. The entries come in input order. The error is for what stopped the
// run; rules that failed are entries with an Err.
func Apply(ctx context.Context, resources []*resource.Resource, opts Options) ([]report.Entry, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	run := &run{Options: opts, selected: map[resource.Kind][]policy.Program{}}
	for _, r := range resources {
		kind := r.ID().Kind
		if _, ok := run.selected[kind]; !ok {
			run.selected[kind] = selects(opts.Programs, kind)
		}
	}
	workers := opts.Workers
	if workers == 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	slots := make([][]report.Entry, len(resources))
	errs := make([]error, len(resources))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(workers, len(resources)) {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(resources) {
					return
				}
				if slots[i], errs[i] = run.one(ctx, i, resources[i]); errs[i] != nil {
					cancel()
				}
			}
		})
	}
	wg.Wait()
	var entries []report.Entry
	for i := range slots {
		entries = append(entries, slots[i]...)
	}
	return entries, first(ctx, errs)
}

// first returns the fault that cancelled the others rather than one of the
// cancellations, so that two runs report the same.
func first(ctx context.Context, errs []error) error {
	for _, err := range errs {
		if err != nil && !errors.Is(err, context.Canceled) {
			return err
		}
	}
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

func selects(programs []policy.Program, kind resource.Kind) []policy.Program {
	var out []policy.Program
	for _, p := range programs {
		if p.Selects(kind) {
			out = append(out, p)
		}
	}
	return out
}

type run struct {
	Options
	selected map[resource.Kind][]policy.Program // read-only while workers run
}

// one applies the selected programs to one resource. A panic is a bug of ours;
// it becomes the error of the resource that shows it.
func (run *run) one(ctx context.Context, i int, r *resource.Resource) (entries []report.Entry, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%s: %s: internal error, please report it: %v\n%s", r.Origin(), r.ID(), p, debug.Stack())
		}
	}()
	programs := run.selected[r.ID().Kind]
	if len(programs) > 0 && (run.Inert == nil || !run.Inert(r)) {
		if entries, err = run.apply(ctx, r, programs); err != nil {
			return nil, err
		}
	}
	if run.Done != nil {
		err = run.Done(i, r)
	}
	return entries, err
}

func (run *run) apply(ctx context.Context, r *resource.Resource, programs []policy.Program) ([]report.Entry, error) {
	original, err := r.Object()
	if err != nil {
		return nil, err
	}
	var entries []report.Entry
	current := original
	changed := false
programs:
	for _, p := range programs {
		results, err := p.Apply(ctx, policy.Input{
			ID:      r.ID(),
			Object:  current,
			Facts:   run.Facts,
			Digests: run.Digests,
			Now:     run.Now,
		})
		if err != nil {
			return nil, err
		}
		for _, result := range results {
			entry := report.Entry{
				Policy: p.Policy(), Rule: result.Rule, Resource: r.ID(), Origin: r.Origin(),
				Outcome: result.Outcome, Message: result.Message, Err: result.Err,
			}
			if result.Outcome == policy.Mutated {
				if err := sameIdentity(current, result.Object); err != nil {
					entry.Outcome, entry.Message = policy.Failed, err.Error()
					entry.Err = &policy.Error{Policy: p.Policy(), Rule: result.Rule, Resource: r.ID(), Err: err}
				} else {
					entry.Changes = redact(r.ID().Kind, resource.Diff(current, result.Object))
					current, changed = result.Object, true
				}
			}
			entries = append(entries, entry)
			if entry.Err != nil && !run.KeepGoing {
				break programs
			}
		}
	}
	if changed {
		if err := r.Update(current); err != nil {
			return nil, err
		}
	}
	return entries, nil
}

// sameIdentity refuses what the API server refuses in an admission response: a
// change of who the object is.
func sameIdentity(before, after resource.Object) error {
	if a, b := resource.IDOf(before), resource.IDOf(after); a != b {
		return fmt.Errorf("the rule changes the identity of the resource from %s %s to %s %s, which admission refuses",
			a.Kind, a, b.Kind, b)
	}
	return nil
}

// Redacted stands for a value that reports must not show.
const Redacted = "(redacted)"

// redact hides what a rule changes in a Secret, wherever it stands: a rule may
// copy a secret into an annotation. That something changed is not hidden.
func redact(kind resource.Kind, changes []resource.Change) []resource.Change {
	if kind.Group != "" || kind.Kind != "Secret" {
		return changes
	}
	hide := func(v any) any {
		if v == nil {
			return nil
		}
		return Redacted
	}
	for i, c := range changes {
		changes[i].Before, changes[i].After = hide(c.Before), hide(c.After)
	}
	return changes
}
