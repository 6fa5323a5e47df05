package digest

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
)

// Memo asks next at most once per tag, also when many goroutines ask at once;
// tags are the same when their fully qualified names are ("nginx" and
// "docker.io/library/nginx:latest"). Failures are remembered too, except those
// of a caller whose ctx ended: another caller then asks again.
//
// When next is an Inspector, so is the result. Resolve and Inspect of one tag
// agree: a tag that moves while a run is under way is an error.
func Memo(next Resolver) Resolver {
	m := &memo{next: next}
	if in, ok := next.(Inspector); ok {
		return &memoInspector{memo: m, in: in}
	}
	return m
}

type memo struct {
	next    Resolver
	digests flights[name.Digest]
}

func (m *memo) Resolve(ctx context.Context, tag name.Tag) (name.Digest, error) {
	return m.digests.do(ctx, tag.Name(), func() (name.Digest, error) { return m.next.Resolve(ctx, tag) })
}

type memoInspector struct {
	*memo
	in     Inspector
	images flights[Image]

	verified flights[struct{}] // by image and attestor
}

func (m *memoInspector) Inspect(ctx context.Context, ref name.Reference) (Image, error) {
	image, err := m.images.do(ctx, ref.Name(), func() (Image, error) { return m.in.Inspect(ctx, ref) })
	if err != nil {
		return Image{}, err
	}
	tag, ok := ref.(name.Tag)
	if !ok {
		return image, nil
	}
	// What Inspect saw is the answer of a Resolve that comes later, and has to
	// be the answer of one that came earlier.
	d, err := m.digests.do(ctx, tag.Name(), func() (name.Digest, error) { return image.Digest, nil })
	switch {
	case err != nil:
		return Image{}, err
	case d.DigestStr() != image.Digest.DigestStr():
		return Image{}, fmt.Errorf("%s moved from %s to %s during the run; run again, or lock it",
			tag.Name(), d.DigestStr(), image.Digest.DigestStr())
	}
	return image, nil
}

// flights runs one call per key and keeps its result.
type flights[T any] struct {
	mu    sync.Mutex
	calls map[string]*call[T]
}

type call[T any] struct {
	done  chan struct{}
	value T
	err   error
}

func (f *flights[T]) do(ctx context.Context, key string, ask func() (T, error)) (T, error) {
	for {
		f.mu.Lock()
		c, found := f.calls[key]
		if !found {
			c = &call[T]{done: make(chan struct{}), err: errAbandoned}
			if f.calls == nil {
				f.calls = map[string]*call[T]{}
			}
			f.calls[key] = c
		}
		f.mu.Unlock()

		if !found {
			f.run(ctx, key, c, ask)
			return c.value, c.err
		}
		select {
		case <-c.done:
		case <-ctx.Done():
			var zero T
			return zero, ctx.Err()
		}
		if !errors.Is(c.err, errAbandoned) {
			return c.value, c.err
		}
	}
}

// errAbandoned marks a call whose own caller went away before it had the
// answer; it says nothing about the key.
var errAbandoned = errors.New("abandoned")

type abandoned struct{ error }

func (a abandoned) Unwrap() error        { return a.error }
func (a abandoned) Is(target error) bool { return target == errAbandoned }

func (f *flights[T]) run(ctx context.Context, key string, c *call[T], ask func() (T, error)) {
	// Deferred, so that a panic in ask does not leave others waiting.
	defer func() {
		if ctx.Err() != nil && c.err != nil && !errors.Is(c.err, errAbandoned) {
			c.err = abandoned{c.err}
		}
		if errors.Is(c.err, errAbandoned) {
			f.mu.Lock()
			delete(f.calls, key)
			f.mu.Unlock()
		}
		close(c.done)
	}()
	c.value, c.err = ask()
}
