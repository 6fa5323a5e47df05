package digest

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
)

// A Source is a Resolver that can tell all about an image: a registry.
type Source interface {
	Resolver
	Inspector
	Describer
}

// A Recorder takes down what a Source answers. The zero value is ready.
type Recorder struct {
	mu    sync.Mutex
	found map[string]Answer // by the tag's Name

	verified verifications
}

// An Answer is what a tag points at.
type Answer struct {
	Tag name.Tag
	Description
}

// Record returns next with a Recorder behind it.
func (r *Recorder) Record(next Source) Resolver { return recording{next, r} }

// Answers returns what tags were found to point at, sorted by name.
func (r *Recorder) Answers() []Answer {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []Answer
	for _, n := range slices.Sorted(maps.Keys(r.found)) {
		out = append(out, r.found[n])
	}
	return out
}

func (r *Recorder) take(tag name.Tag, d Description) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.found == nil {
		r.found = map[string]Answer{}
	}
	r.found[tag.Name()] = Answer{tag, d}
}

type recording struct {
	next Source
	to   *Recorder
}

func (r recording) Resolve(ctx context.Context, tag name.Tag) (name.Digest, error) {
	d, err := r.next.Describe(ctx, tag)
	if err == nil {
		r.to.take(tag, d)
	}
	return d.Digest, err
}

func (r recording) Inspect(ctx context.Context, ref name.Reference) (Image, error) {
	image, err := r.next.Inspect(ctx, ref)
	if tag, ok := ref.(name.Tag); ok && err == nil {
		r.to.take(tag, Description{Digest: image.Digest, MediaType: image.MediaType, Platform: image.Platform})
	}
	return image, err
}
