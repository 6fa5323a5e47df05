package digest

import (
	"context"

	"github.com/google/go-containerregistry/pkg/name"
)

// Limit lets at most n calls into next at once; the others wait, or give up
// when their ctx ends. n below 1 counts as 1. When next is an Inspector, so is
// the result, and both kinds of calls count.
func Limit(next Resolver, n int) Resolver {
	l := &limit{next: next, slots: make(chan struct{}, max(n, 1))}
	if in, ok := next.(Inspector); ok {
		return &limitInspector{limit: l, in: in}
	}
	return l
}

type limit struct {
	next  Resolver
	slots chan struct{}
}

func (l *limit) enter(ctx context.Context) error {
	select {
	case l.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *limit) leave() { <-l.slots }

func (l *limit) Resolve(ctx context.Context, tag name.Tag) (name.Digest, error) {
	if err := l.enter(ctx); err != nil {
		return name.Digest{}, err
	}
	defer l.leave()
	return l.next.Resolve(ctx, tag)
}

type limitInspector struct {
	*limit
	in Inspector
}

func (l *limitInspector) Inspect(ctx context.Context, ref name.Reference) (Image, error) {
	if err := l.enter(ctx); err != nil {
		return Image{}, err
	}
	defer l.leave()
	return l.in.Inspect(ctx, ref)
}
