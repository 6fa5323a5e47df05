package digest

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
)

// A Question is what a run is going to ask about one reference.
type Question struct {
	Ref     name.Reference
	Inspect bool // what the image says, and not its digest alone
}

// Ask asks r and drops the answer, or the failure: a Memo has it then.
func (q Question) Ask(ctx context.Context, r Resolver) {
	if in, ok := r.(Inspector); ok && q.Inspect {
		_, _ = in.Inspect(ctx, q.Ref)
	} else if tag, ok := q.Ref.(name.Tag); ok {
		_, _ = r.Resolve(ctx, tag)
	}
}

// rounds bounds how often Ahead rehearses: a rule ends at the first image that it
// wants to know more of than the digest, so that it takes a round for each image
// of a resource.
const rounds = 8

// Ahead finds out what a run will ask r for, one reference after another, so that
// it can be asked for at once: ask is given the questions, and r has to be a Memo
// or to have one behind it. ask returns when they are answered; when they are the
// last it may do so before, so that the run begins while answers come in. rehearse
// is a dry run with the Resolver that it is given. atHand is what is known without
// asking: a lock.
//
// Each reference is asked about once: its digest only when no rule is left that
// may want to know more about it. What could not be foreseen, and all failures,
// are left to the run itself.
func Ahead(ctx context.Context, atHand, r Resolver, rehearse func(Resolver), ask func(questions []Question, last bool)) {
	known := &asked{next: r, names: map[string]bool{}}
	for range rounds {
		c := Collect(First(atHand, known))
		rehearse(c)
		questions := c.inspections()
		last := len(questions) == 0
		if last {
			for _, tag := range c.Missing() {
				questions = append(questions, Question{Ref: tag})
			}
			last = !c.waiting
		}
		if len(questions) == 0 || ctx.Err() != nil {
			return
		}
		ask(questions, last)
		if last {
			return
		}
		for _, q := range questions {
			known.names[q.Ref.Name()] = true
		}
	}
}

// inspections returns the images that were asked about, sorted by name.
func (c *Collector) inspections() []Question {
	var out []Question
	for _, n := range slices.Sorted(maps.Keys(c.inspected)) {
		out = append(out, Question{Ref: c.inspected[n], Inspect: true})
	}
	return out
}

// asked is the part of next that has been asked before, and answers at once.
type asked struct {
	next  Resolver
	names map[string]bool // of references
}

func (a *asked) Resolve(ctx context.Context, tag name.Tag) (name.Digest, error) {
	if !a.names[tag.Name()] {
		return name.Digest{}, fmt.Errorf("the digest of %s is %w", Reference(tag), ErrMissing)
	}
	return a.next.Resolve(ctx, tag)
}

func (a *asked) Inspect(ctx context.Context, ref name.Reference) (Image, error) {
	in, ok := a.next.(Inspector)
	if !ok || !a.names[ref.Name()] {
		return Image{}, fmt.Errorf("the manifest of %s is %w", ref.Name(), ErrMissing)
	}
	return in.Inspect(ctx, ref)
}
