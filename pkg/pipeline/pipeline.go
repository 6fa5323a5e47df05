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
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oneloop-dev/oneloop/pkg/digest"
	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/report"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// Options say how a run goes. Set, Facts and Digests are required.
type Options struct {
	Set     policy.Set
	Facts   *facts.Facts
	Digests digest.Resolver
	Now     func() time.Time
	// Inert resources pass through and are never matched: policies, function
	// configs, local configuration. Nil: none.
	Inert func(*resource.Resource) bool
	// WarnUnsupported turns the failure of a rule that can't be evaluated at
	// render time, which shows when it is applied, into a notice.
	WarnUnsupported bool
	// KeepGoing applies the rules that follow a failed one.
	KeepGoing bool
	// NoChanges leaves the changes of the resources that rules match out of the
	// entries, when nobody reads them.
	NoChanges bool
	// Admitted, when set, is called once for each resource that admission changes,
	// with its place among the resources, from many goroutines, before the resource
	// is updated: what it says before and after, which must not be modified.
	Admitted func(i int, r *resource.Resource, before, after resource.Object)
	// Done, when set, is called when admission is through with a resource, from many
	// goroutines.
	Done func(*resource.Resource)
	// Lines finds the line of each change.
	Lines bool
	// DryRun leaves the resources as they are, and the changes out of the entries:
	// for who wants to know only what the policies ask for. Background rules then
	// see what came in, and still write.
	DryRun bool
	// VerifyOrder also tries the orders that the controllers of the programs may
	// run them in: a result that depends on it is the failure of an entry.
	VerifyOrder bool
	// ControllerLabels gives generated resources the labels by which a
	// controller finds them again.
	ControllerLabels bool
	// Workers is the number of resources at once; 0 means GOMAXPROCS.
	Workers int
	// Encode, when set, is called once for each resource, from many goroutines,
	// after the last rule: while others are still at work, where possible.
	Encode func(*resource.Resource) ([]byte, error)
}

// An Output is what a run made.
type Output struct {
	// Resources are those of the input, in their order, each followed by what
	// was generated because of it.
	Resources []*resource.Resource
	// Texts are what Encode returned for Resources.
	Texts [][]byte
	// Entries come in input order. Those of background rules follow, in the
	// order of their triggers.
	Entries []report.Entry
	// Idle are the policies that may change or generate something and did neither.
	Idle []policy.Ref
	// Orders tells what VerifyOrder tried.
	Orders Orders
}

// Apply runs the programs over each resource and updates the resources in
// place. The error is for what stopped the run; rules that failed are entries
// with an Err.
func Apply(ctx context.Context, resources []*resource.Resource, opts Options) (out Output, err error) {
	run := &run{Options: opts, selected: map[resource.Kind][]policy.Program{}}
	background := false
	for _, r := range resources {
		kind := r.ID().Kind
		run.programs(kind)
		background = background || run.triggers(kind)
	}
	out = Output{Resources: resources}
	defer func() { out.Idle = idle(opts.Set, out.Entries) }()
	slots := make([][]report.Entry, len(resources))
	if opts.Encode != nil {
		out.Texts = make([][]byte, len(resources))
	}
	if opts.VerifyOrder {
		run.clashes = map[*resource.Resource][]clash{}
		defer func() {
			var clashes []clash
			for _, r := range out.Resources {
				clashes = append(clashes, run.clashes[r]...)
			}
			out.Orders, out.Entries = run.tried, append(out.Entries, clashEntries(clashes)...)
		}()
	}
	err = run.parallel(ctx, len(resources), func(ctx context.Context, i int) (err error) {
		defer caught(resources[i], &err)
		slots[i], err = run.admit(ctx, i, resources[i])
		if run.Done != nil {
			run.Done(resources[i])
		}
		if err == nil && opts.Encode != nil && !background {
			out.Texts[i], err = opts.Encode(resources[i])
		}
		return err
	})
	out.Entries = slices.Concat(slots...)
	if err != nil || !background {
		return out, err
	}
	if opts.KeepGoing || !failed(out.Entries) {
		var entries []report.Entry
		out.Resources, entries, err = run.background(ctx, resources)
		out.Entries = append(out.Entries, entries...)
		if err != nil {
			return out, err
		}
	}
	if opts.Encode != nil {
		out.Texts = make([][]byte, len(out.Resources))
		err = run.parallel(ctx, len(out.Resources), func(_ context.Context, i int) (err error) {
			defer caught(out.Resources[i], &err)
			out.Texts[i], err = opts.Encode(out.Resources[i])
			return err
		})
	}
	return out, err
}

// idle lists the policies of a set that did nothing.
func idle(set policy.Set, entries []report.Entry) []policy.Ref {
	busy := map[policy.Ref]bool{}
	for i := range entries {
		switch entries[i].Outcome {
		case policy.Mutated, policy.Applied:
			busy[entries[i].Policy] = true
		}
	}
	return slices.DeleteFunc(set.Policies(), func(ref policy.Ref) bool { return busy[ref] })
}

func failed(entries []report.Entry) bool {
	for i := range entries {
		if entries[i].Err != nil {
			return true
		}
	}
	return false
}

// parallel calls do for 0 to n-1 from many goroutines, until one fails.
func (run *run) parallel(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	workers := run.Workers
	if workers == 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	errs := make([]error, n)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(workers, n) {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if errs[i] = do(ctx, i); errs[i] != nil {
					cancel()
				}
			}
		})
	}
	wg.Wait()
	return first(ctx, errs)
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

type run struct {
	Options
	selected map[resource.Kind][]policy.Program // read-only while workers run

	mu      sync.Mutex
	clashes map[*resource.Resource][]clash // nil: nobody asks
	tried   Orders
}

// programs returns the programs that may act on resources of a kind.
func (run *run) programs(kind resource.Kind) []policy.Program {
	if selected, ok := run.selected[kind]; ok {
		return selected
	}
	var selected []policy.Program
	for _, p := range run.Set.Admission() {
		if p.Selects(kind) {
			selected = append(selected, p)
		}
	}
	run.selected[kind] = selected
	return selected
}

// caught turns a panic, which is a bug of ours, into the error of the resource
// that shows it.
func caught(r *resource.Resource, err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("%s: %s: internal error, please report it: %v\n%s", r.Origin(), r.ID(), p, debug.Stack())
	}
}

// admit applies the selected programs to one resource, the ith.
func (run *run) admit(ctx context.Context, i int, r *resource.Resource) ([]report.Entry, error) {
	programs := run.selected[r.ID().Kind]
	if len(programs) == 0 || run.Inert != nil && run.Inert(r) {
		return nil, nil
	}
	original, err := r.Object()
	if err != nil {
		return nil, err
	}
	after, entries, err := run.apply(ctx, programs, r, policy.Input{ID: r.ID(), Object: original, Facts: run.Facts})
	if err != nil {
		return nil, err
	}
	if after != nil && run.Admitted != nil {
		run.Admitted(i, r, original, after)
	}
	if after != nil && !run.DryRun {
		return entries, r.UpdateFrom(original, after)
	}
	return entries, nil
}

// apply runs programs over in, whose Digests and Now it fills in, which is the
// state of r. It returns the object that they made, nil when nothing changed.
func (run *run) apply(ctx context.Context, programs []policy.Program, r *resource.Resource, in policy.Input) (resource.Object, []report.Entry, error) {
	in.Digests, in.Now, in.Requested = run.Digests, run.Now, in.Object
	var after resource.Object
	var entries []report.Entry
	stop := false
	known := in.Facts
	for _, p := range programs {
		var read *facts.Secrets
		in.Facts, read = known.Watched()
		results, err := p.Apply(ctx, in)
		if err != nil {
			return nil, nil, err
		}
		for _, result := range results {
			ref := result.Of(p.Policy())
			entry := run.entry(ref, result, r, read)
			if result.Outcome == policy.Mutated {
				if err := sameIdentity(in.Object, result.Object); err != nil {
					entry.Outcome, entry.Message = policy.Failed, err.Error()
					entry.Err = place(err, ref, result.Rule, r)
					entry.Message = hide(r, read, entry.Message, entry.Err)
				} else {
					if !run.DryRun && !run.NoChanges {
						entry.Changes = redact(resource.Diff(in.Object, result.Object), read, in.ID.Kind)
						if run.Lines {
							entry.Lines = lines(r, in.Requested, entry.Changes)
						}
					}
					after, in.Object = result.Object, result.Object
				}
			}
			entries = append(entries, entry)
			stop = stop || entry.Err != nil && !run.KeepGoing
		}
		if stop {
			break
		}
	}
	if run.VerifyOrder && !failed(entries) {
		in.Object, in.Facts = in.Requested, known
		return after, entries, run.tryOrders(ctx, programs, r, in)
	}
	return after, entries, nil
}

// tryOrders applies programs in other orders than apply did.
func (run *run) tryOrders(ctx context.Context, programs []policy.Program, r *resource.Resource, in policy.Input) error {
	o := orders{run: run, resource: r, in: in}
	clashes, seen, err := o.verify(ctx, programs)
	if err != nil {
		return err
	}
	run.mu.Lock()
	defer run.mu.Unlock()
	run.clashes[r] = append(run.clashes[r], clashes...)
	run.tried.All += seen.All
	run.tried.Some += seen.Some
	return nil
}

// lines returns the line of each change in the file of r, which says o.
func lines(r *resource.Resource, o resource.Object, changes []resource.Change) []int {
	paths := make([]fieldpath.Path, len(changes))
	for i, c := range changes {
		paths[i] = c.In(o)
	}
	return r.Lines(paths...)
}

// entry reports a result about r, for which Secrets were read.
func (run *run) entry(ref policy.Ref, result policy.Result, r *resource.Resource, read *facts.Secrets) report.Entry {
	entry := report.Entry{
		Policy: ref, Rule: result.Rule, Resource: r.ID(), Origin: r.Origin(),
		Outcome: result.Outcome, Message: result.Message,
	}
	switch {
	case result.Err == nil:
	case run.WarnUnsupported && errors.Is(result.Err, errors.ErrUnsupported):
		entry.Outcome = policy.Noticed
	default:
		entry.Err = place(result.Err, ref, result.Rule, r)
	}
	if result.Ignored != nil {
		entry.Ignored = place(result.Ignored, ref, result.Rule, r)
	}
	if entry.Message != "" || entry.Err != nil || entry.Ignored != nil {
		entry.Message = hide(r, read, entry.Message, entry.Err, entry.Ignored)
	}
	return entry
}

// place says in an error of a rule where the resource, or the field that the
// error is about, stands.
func place(err error, ref policy.Ref, rule string, r *resource.Resource) error {
	var e *policy.Error
	if !errors.As(err, &e) {
		e = &policy.Error{Policy: ref, Rule: rule, Resource: r.ID(), Err: err}
	}
	out := *e
	out.At = r.Origin()
	var field *policy.FieldError
	if errors.As(err, &field) {
		if line := r.Line(field.Path); line > 0 {
			out.At.Line = line
		}
	}
	return &out
}

// sameIdentity refuses a change of who the object is. So does the API server, but
// for the name: it takes another one from a webhook when the object was posted, and
// stores the object under both when it was applied on the server's side.
func sameIdentity(before, after resource.Object) error {
	a, b := resource.IDOf(before), resource.IDOf(after)
	if a == b {
		return nil
	}
	why := "which the API server refuses"
	if named := (resource.ID{Kind: a.Kind, Namespace: a.Namespace, Name: b.Name}); named == b {
		why = "and which of them a cluster knows it by depends on how it is applied; write the name into the manifest"
	}
	return fmt.Errorf("the rule changes the identity of the resource from %s %s to %s %s, %s", a.Kind, a, b.Kind, b, why)
}
