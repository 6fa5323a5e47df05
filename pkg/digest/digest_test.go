package digest_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/oneloop-dev/oneloop/pkg/digest"
)

func tagOf(t *testing.T, s string) name.Tag {
	t.Helper()
	tag, err := name.NewTag(s)
	if err != nil {
		t.Fatal(err)
	}
	return tag
}

func digestOf(tag name.Tag, fill string) name.Digest {
	return tag.Context().Digest("sha256:" + strings.Repeat(fill, 64))
}

// A resolve function is a Resolver.
type resolve func(context.Context, name.Tag) (name.Digest, error)

func (f resolve) Resolve(ctx context.Context, tag name.Tag) (name.Digest, error) { return f(ctx, tag) }

type inspector struct {
	resolve
	inspect func(context.Context, name.Reference) (digest.Image, error)
}

func (i inspector) Inspect(ctx context.Context, ref name.Reference) (digest.Image, error) {
	return i.inspect(ctx, ref)
}

func TestMemoAsksOnce(t *testing.T) {
	var asked atomic.Int32
	r := digest.Memo(resolve(func(_ context.Context, tag name.Tag) (name.Digest, error) {
		asked.Add(1)
		return digestOf(tag, "a"), nil
	}))
	var wg sync.WaitGroup
	for range 50 {
		for _, s := range []string{"nginx", "docker.io/library/nginx:latest", "library/nginx"} {
			wg.Go(func() {
				if _, err := r.Resolve(t.Context(), tagOf(t, s)); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	if asked.Load() != 1 {
		t.Errorf("asked %d times for one tag, want once", asked.Load())
	}
	if _, ok := r.(digest.Inspector); ok {
		t.Error("Memo of a Resolver claims to inspect")
	}
}

func TestMemoRemembersFailures(t *testing.T) {
	asked := 0
	r := digest.Memo(resolve(func(context.Context, name.Tag) (name.Digest, error) {
		asked++
		return name.Digest{}, errors.New("gone")
	}))
	for range 3 {
		if _, err := r.Resolve(t.Context(), tagOf(t, "nginx")); err == nil || err.Error() != "gone" {
			t.Errorf("error = %v, want gone", err)
		}
	}
	if asked != 1 {
		t.Errorf("asked %d times, want once", asked)
	}
}

// A caller that goes away leaves no answer behind, and those who waited for it
// ask themselves.
func TestMemoForgetsAbandonedCalls(t *testing.T) {
	asking := make(chan struct{})
	first := true
	r := digest.Memo(resolve(func(ctx context.Context, tag name.Tag) (name.Digest, error) {
		if first {
			first = false
			close(asking)
			<-ctx.Done()
			return name.Digest{}, ctx.Err()
		}
		return digestOf(tag, "a"), nil
	}))
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := r.Resolve(ctx, tagOf(t, "nginx")); !errors.Is(err, context.Canceled) {
			t.Errorf("error of the cancelled caller = %v", err)
		}
	})
	<-asking
	wg.Go(func() {
		if _, err := r.Resolve(t.Context(), tagOf(t, "nginx")); err != nil {
			t.Errorf("error of the other caller = %v", err)
		}
	})
	cancel()
	wg.Wait()
}

func TestMemoSurvivesPanics(t *testing.T) {
	first := true
	r := digest.Memo(resolve(func(_ context.Context, tag name.Tag) (name.Digest, error) {
		if first {
			first = false
			panic("bug")
		}
		return digestOf(tag, "a"), nil
	}))
	func() {
		defer func() { _ = recover() }()
		_, _ = r.Resolve(t.Context(), tagOf(t, "nginx"))
	}()
	if _, err := r.Resolve(t.Context(), tagOf(t, "nginx")); err != nil {
		t.Errorf("after a panic: %v", err)
	}
}

func TestMemoInspect(t *testing.T) {
	var resolved, inspected int
	now := "a"
	r := digest.Memo(inspector{
		resolve: func(_ context.Context, tag name.Tag) (name.Digest, error) {
			resolved++
			return digestOf(tag, now), nil
		},
		inspect: func(_ context.Context, ref name.Reference) (digest.Image, error) {
			inspected++
			return digest.Image{Digest: ref.Context().Digest("sha256:" + strings.Repeat(now, 64))}, nil
		},
	})
	in := r.(digest.Inspector)
	for range 2 {
		if _, err := in.Inspect(t.Context(), tagOf(t, "nginx")); err != nil {
			t.Fatal(err)
		}
	}
	d, err := r.Resolve(t.Context(), tagOf(t, "nginx"))
	if err != nil || d != digestOf(tagOf(t, "nginx"), "a") {
		t.Errorf("Resolve after Inspect = %v, %v", d, err)
	}
	if resolved != 0 || inspected != 1 {
		t.Errorf("%d Resolve and %d Inspect, want 0 and 1: one knows what the other found", resolved, inspected)
	}

	// A tag that moves during the run would give an object two truths.
	if _, err := r.Resolve(t.Context(), tagOf(t, "redis")); err != nil {
		t.Fatal(err)
	}
	now = "b"
	if _, err := in.Inspect(t.Context(), tagOf(t, "redis")); err == nil || !strings.Contains(err.Error(), "moved") {
		t.Errorf("error = %v, want one that says that the tag moved", err)
	}
	if _, err := in.Inspect(t.Context(), digestOf(tagOf(t, "redis"), "b")); err != nil {
		t.Errorf("by digest: %v", err)
	}
}

func TestLimit(t *testing.T) {
	gate, inside := make(chan struct{}), make(chan struct{}, 20)
	var running, most atomic.Int32
	enter := func() {
		n := running.Add(1)
		inside <- struct{}{}
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
	}
	r := digest.Limit(inspector{
		resolve: func(_ context.Context, tag name.Tag) (name.Digest, error) {
			enter()
			defer running.Add(-1)
			<-gate
			return digestOf(tag, "a"), nil
		},
		inspect: func(context.Context, name.Reference) (digest.Image, error) {
			enter()
			defer running.Add(-1)
			<-gate
			return digest.Image{}, nil
		},
	}, 3)
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() { _, _ = r.Resolve(t.Context(), tagOf(t, "nginx")) })
		wg.Go(func() { _, _ = r.(digest.Inspector).Inspect(t.Context(), tagOf(t, "nginx")) })
	}
	for range 3 {
		<-inside
	}
	close(gate)
	wg.Wait()
	if most.Load() != 3 {
		t.Errorf("%d calls ran at once, want 3", most.Load())
	}
}

func TestLimitGivesUpWithItsCaller(t *testing.T) {
	gate, inside := make(chan struct{}), make(chan struct{})
	r := digest.Limit(resolve(func(_ context.Context, tag name.Tag) (name.Digest, error) {
		close(inside)
		<-gate
		return digestOf(tag, "a"), nil
	}), 0)
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = r.Resolve(t.Context(), tagOf(t, "nginx")) })
	<-inside
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Resolve(ctx, tagOf(t, "nginx")); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want Canceled", err)
	}
	close(gate)
	wg.Wait()
}

func TestNone(t *testing.T) {
	_, err := digest.None("give it in the lock").Resolve(t.Context(), tagOf(t, "nginx"))
	if !errors.Is(err, digest.ErrMissing) || !strings.Contains(err.Error(), "give it in the lock") {
		t.Errorf("error = %v", err)
	}
}

func TestFirst(t *testing.T) {
	known := resolve(func(_ context.Context, tag name.Tag) (name.Digest, error) { return digestOf(tag, "a"), nil })
	broken := resolve(func(context.Context, name.Tag) (name.Digest, error) { return name.Digest{}, errors.New("broken") })
	if d, err := digest.First(digest.None("x"), known).Resolve(t.Context(), tagOf(t, "nginx")); err != nil || d != digestOf(tagOf(t, "nginx"), "a") {
		t.Errorf("a miss does not lead to the next resolver: %v, %v", d, err)
	}
	if _, err := digest.First(broken, known).Resolve(t.Context(), tagOf(t, "nginx")); err == nil || err.Error() != "broken" {
		t.Errorf("a failure leads to the next resolver: %v", err)
	}
	if _, err := digest.First(digest.None("first"), digest.None("second")).Resolve(t.Context(), tagOf(t, "nginx")); !errors.Is(err, digest.ErrMissing) || !strings.Contains(err.Error(), "first") {
		t.Errorf("error = %v, want that of the first miss", err)
	}
	in := digest.First(known, digest.None("x")).(digest.Inspector)
	if _, err := in.Inspect(t.Context(), tagOf(t, "nginx")); !errors.Is(err, digest.ErrMissing) {
		t.Errorf("image data of resolvers without any: %v", err)
	}
}

// A lock decides which digest a registry is asked about: its tag may have moved.
func TestFirstInspectsWhatTheLockSays(t *testing.T) {
	lock := resolve(func(_ context.Context, tag name.Tag) (name.Digest, error) { return digestOf(tag, "a"), nil })
	var asked name.Reference
	registry := inspector{resolve: lock, inspect: func(_ context.Context, ref name.Reference) (digest.Image, error) {
		asked = ref
		return digest.Image{}, nil
	}}
	for _, test := range []struct {
		lock digest.Resolver
		want name.Reference
	}{
		{lock, digestOf(tagOf(t, "nginx"), "a")},
		{digest.First(lock, digest.None("x")), digestOf(tagOf(t, "nginx"), "a")},
		{digest.None("x"), tagOf(t, "nginx")},
	} {
		if _, err := digest.First(test.lock, registry).(digest.Inspector).Inspect(t.Context(), tagOf(t, "nginx")); err != nil {
			t.Fatal(err)
		}
		if asked.Name() != test.want.Name() {
			t.Errorf("asked for %s, want %s", asked, test.want)
		}
	}
}
