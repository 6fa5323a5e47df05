package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/report"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// generations is how many resources may be generated or changed because of one
// another before the policies count as ones that never settle.
const generations = 16

// triggers reports whether a background program may react to a kind.
func (run *run) triggers(kind resource.Kind) bool {
	selects := func(b policy.Background) bool { return b.Selects(kind) }
	return slices.ContainsFunc(run.Set.Generate, selects) || slices.ContainsFunc(run.Set.MutateExisting, selects)
}

// background runs the background programs when all resources are admitted:
// first what generates, so that generated resources are targets, too. Triggers
// come in stream order, and after them the resources that background programs
// made or changed, for the rules that ask for those.
func (run *run) background(ctx context.Context, resources []*resource.Resource) ([]*resource.Resource, []report.Entry, error) {
	w := &world{run: run, facts: run.Facts.Clone(), index: map[objectKey]*known{}, kinds: map[resource.Kind][]*known{}}
	w.facts.AddResources(resources...)
	for _, r := range resources {
		k := &known{resource: r, inert: run.Inert != nil && run.Inert(r)}
		w.stream = append(w.stream, k)
		w.add(k)
	}
	for _, programs := range [][]policy.Background{run.Set.Generate, run.Set.MutateExisting} {
		if err := w.react(ctx, programs); err != nil {
			return nil, w.entries, err
		}
		if w.failed && !run.KeepGoing {
			break
		}
	}
	var out []*resource.Resource
	for _, k := range w.stream {
		var err error
		if out, err = k.appendTo(out); err != nil {
			return nil, w.entries, err
		}
	}
	return out, w.entries, nil
}

// A known is one resource of a world.
type known struct {
	resource *resource.Resource
	object   resource.Object // nil: not yet read
	changed  bool            // object has to be written back
	inert    bool
	// generated are the resources made because of this one, in order.
	generated []*known
	// downstream is set when a rule of this run generates the resource, also
	// when it was there before: so a second run over the output does the same.
	downstream bool
	depth      int // how many resources it is as it is because of
}

// An event is what rules react to: a resource that came in, or one that a
// background program made or changed.
type event struct {
	*known
	background bool
}

func (k *known) read() (resource.Object, error) {
	if k.object != nil {
		return k.object, nil
	}
	var err error
	k.object, err = k.resource.Object()
	return k.object, err
}

// appendTo appends the resource and all that was generated because of it.
func (k *known) appendTo(out []*resource.Resource) ([]*resource.Resource, error) {
	if k.changed {
		if err := k.resource.Update(k.object); err != nil {
			return nil, err
		}
	}
	out = append(out, k.resource)
	for _, g := range k.generated {
		var err error
		if out, err = g.appendTo(out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// An objectKey identifies an object in a cluster, whatever its version.
type objectKey struct{ group, kind, namespace, name string }

// A world is the policy.World of one run. Trigger is the resource that is
// reacted to.
type world struct {
	run     *run
	facts   *facts.Facts // as things are now
	stream  []*known     // the input
	index   map[objectKey]*known
	kinds   map[resource.Kind][]*known // in the order in which they came
	entries []report.Entry
	failed  bool // whether one of entries is about a fault

	trigger event
	events  []event // of the program that runs
}

func (w *world) key(id resource.ID) objectKey {
	namespace := id.Namespace
	if namespace == "" && !resource.ClusterScoped(id.Kind) {
		namespace = w.facts.DefaultNamespace
	}
	return objectKey{id.Kind.Group, id.Kind.Kind, namespace, id.Name}
}

func (w *world) add(k *known) {
	id := k.resource.ID()
	if !k.inert {
		w.index[w.key(id)] = k
	}
	w.kinds[id.Kind] = append(w.kinds[id.Kind], k)
}

// react lets programs react to all resources, and to what came of that.
func (w *world) react(ctx context.Context, programs []policy.Background) error {
	if len(programs) == 0 {
		return nil
	}
	var stream []*known
	for _, k := range w.stream {
		stream = all(stream, k)
	}
	queue := make([]event, len(stream))
	for i, k := range stream {
		queue[i] = event{known: k}
	}
	for len(queue) > 0 {
		e := queue[0]
		queue = queue[1:]
		id := e.resource.ID()
		if e.inert {
			continue
		}
		e.background = e.background || e.downstream
		for _, p := range programs {
			if !p.Selects(id.Kind) {
				continue
			}
			if e.depth > generations {
				return &policy.Error{Policy: p.Policy(), Resource: id, Err: fmt.Errorf(
					"resources generated because of one another are %d deep and do not settle; let the rules exclude what they generate", generations)}
			}
			if err := w.one(ctx, e, p); err != nil {
				return err
			}
			if w.failed && !w.run.KeepGoing {
				return nil
			}
		}
		queue = append(queue, w.events...)
		w.events = nil
	}
	return nil
}

// all appends k and what was generated because of it.
func all(list []*known, k *known) []*known {
	list = append(list, k)
	for _, g := range k.generated {
		list = all(list, g)
	}
	return list
}

// one lets one program react to one event.
func (w *world) one(ctx context.Context, e event, p policy.Background) (err error) {
	defer caught(e.resource, &err)
	object, err := e.read()
	if err != nil {
		return err
	}
	w.trigger = e
	known, read := w.facts.Watched()
	in := policy.Input{ID: e.resource.ID(), Object: object, Facts: known, Digests: w.run.Digests, Now: w.run.Now}
	before := len(w.entries)
	results, err := p.React(ctx, in, w)
	if err != nil {
		return err
	}
	var entries []report.Entry
	for _, result := range results {
		entry := w.run.entry(result.Of(p.Policy()), result, e.resource, read)
		for _, t := range result.Targets {
			if entryTarget, ok := w.target(t, read); ok {
				entry.Targets = append(entry.Targets, entryTarget)
			}
		}
		entries = append(entries, entry)
	}
	// What admission did to the targets comes after what made them.
	w.entries = slices.Insert(w.entries, before, entries...)
	w.failed = w.failed || failed(entries)
	return nil
}

// target says in a report what a rule did that read Secrets, without what admission
// then did.
func (w *world) target(t policy.Target, read *facts.Secrets) (report.Target, bool) {
	kind := w.trigger.resource.ID().Kind
	if t.Before == nil {
		changes := []resource.Change{{After: t.After}}
		return report.Target{Resource: t.ID, Generated: true, Changes: redact(changes, read, kind, t.ID.Kind)}, true
	}
	changes := redact(resource.Diff(t.Before, t.After), read, kind, t.ID.Kind)
	if len(changes) == 0 {
		return report.Target{}, false
	}
	out := report.Target{Resource: t.ID, Changes: changes}
	if k := w.index[w.key(t.ID)]; k != nil {
		out.Origin = k.resource.Origin()
	}
	return out, true
}

// Background implements policy.World.
func (w *world) Background() bool { return w.trigger.background }

// ControllerLabels implements policy.World.
func (w *world) ControllerLabels() bool { return w.run.ControllerLabels }

// Resources implements policy.World.
func (w *world) Resources(wanted func(resource.Kind) bool) ([]resource.Object, error) {
	var out []resource.Object
	for _, k := range w.wanted(wanted) {
		o, err := k.read()
		if err != nil {
			return nil, err
		}
		out = append(out, o)
	}
	return out, nil
}

// wanted lists resources of some kinds; with one kind, it need not look at the
// others.
func (w *world) wanted(wanted func(resource.Kind) bool) []*known {
	var kinds []resource.Kind
	for kind := range w.kinds {
		if wanted(kind) {
			kinds = append(kinds, kind)
		}
	}
	if len(kinds) == 0 {
		return nil
	}
	var out []*known
	if len(kinds) == 1 {
		for _, k := range w.kinds[kinds[0]] {
			if !k.inert {
				out = append(out, k)
			}
		}
		return out
	}
	var stream []*known
	for _, k := range w.stream {
		stream = all(stream, k)
	}
	for _, k := range stream {
		if !k.inert && slices.Contains(kinds, k.resource.ID().Kind) {
			out = append(out, k)
		}
	}
	return out
}

// Update implements policy.World.
func (w *world) Update(ctx context.Context, o resource.Object) (policy.Target, error) {
	id := resource.IDOf(o)
	k := w.index[w.key(id)]
	if k == nil {
		return policy.Target{}, fmt.Errorf("%s is none of the resources: a rule must not change who its target is", id)
	}
	before, err := k.read()
	if err != nil {
		return policy.Target{}, err
	}
	return w.replace(ctx, k, o, policy.Input{Operation: "UPDATE", Old: before})
}

// Generate implements policy.World.
func (w *world) Generate(ctx context.Context, o resource.Object, replace bool) (policy.Target, error) {
	id := resource.IDOf(o)
	if id.Name == "" || id.Kind.Kind == "" || id.Kind.Version == "" {
		return policy.Target{}, errors.New("a generated resource needs apiVersion, kind and a name")
	}
	if k := w.index[w.key(id)]; k != nil {
		before, err := k.read()
		if err != nil {
			return policy.Target{}, err
		}
		k.downstream = true
		if !replace {
			return policy.Target{ID: k.resource.ID(), Before: before, After: before}, nil
		}
		if k.resource.ID().Namespace == "" {
			o = resource.WithoutNamespace(o, id.Namespace) // as its manifest is written
		}
		// As if the rule had just made it: so a second run over the output
		// gives the same.
		return w.replace(ctx, k, o, policy.Input{Operation: "CREATE"})
	}
	r, err := resource.New(o)
	if err != nil {
		return policy.Target{}, err
	}
	k := &known{resource: r, downstream: true, depth: w.trigger.depth + 1}
	w.trigger.generated = append(w.trigger.generated, k)
	w.events = append(w.events, event{known: k})
	w.add(k)
	target := policy.Target{ID: id, After: o}
	return target, w.store(ctx, k, o, policy.Input{Operation: "CREATE"})
}

// replace stores o in place of what k is. Nothing happens when admission makes
// of o what is there already.
func (w *world) replace(ctx context.Context, k *known, o resource.Object, in policy.Input) (policy.Target, error) {
	before, err := k.read()
	if err != nil {
		return policy.Target{}, err
	}
	target := policy.Target{ID: k.resource.ID(), Before: before, After: before}
	if resource.Equal(before, o) {
		return target, nil
	}
	entries := len(w.entries)
	if err := w.store(ctx, k, o, in); err != nil {
		return target, err
	}
	if resource.Equal(before, k.object) {
		// As it was: the policies made the same of it before.
		if !failed(w.entries[entries:]) {
			w.entries = w.entries[:entries]
		}
		return target, nil
	}
	target.After = o
	k.depth = w.trigger.depth + 1
	w.events = append(w.events, event{k, true})
	return target, nil
}

// store makes k what admission makes of o.
func (w *world) store(ctx context.Context, k *known, o resource.Object, in policy.Input) error {
	in.ID, in.Object, in.Facts = resource.IDOf(o), o, w.facts
	k.object, k.changed = o, true
	after, entries, err := w.run.apply(ctx, w.run.programs(in.ID.Kind), k.resource, in)
	if err != nil {
		return err
	}
	if after != nil {
		k.object = after
	}
	w.entries = append(w.entries, entries...)
	w.failed = w.failed || failed(entries)
	w.facts.AddObject(k.object)
	return nil
}
