package digest

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/go-containerregistry/pkg/name"
)

// First asks each resolver in turn until one has the answer: only ErrMissing
// moves on to the next. It is an Inspector; resolvers that are none are passed
// over when it is asked for image data.
func First(resolvers ...Resolver) Resolver {
	if len(resolvers) == 1 {
		return resolvers[0]
	}
	return first(resolvers)
}

type first []Resolver

func (f first) Resolve(ctx context.Context, tag name.Tag) (name.Digest, error) {
	err := fmt.Errorf("the digest of %s is %w", tag.Name(), ErrMissing)
	for _, r := range f {
		var d name.Digest
		if d, err = r.Resolve(ctx, tag); err == nil || !errors.Is(err, ErrMissing) {
			return d, err
		}
	}
	return name.Digest{}, err
}

func (f first) Inspect(ctx context.Context, ref name.Reference) (Image, error) {
	err := fmt.Errorf("the manifest of %s is %w, which holds digests only", ref.Name(), ErrMissing)
	for _, r := range f {
		in, ok := r.(Inspector)
		if !ok {
			continue
		}
		var image Image
		if image, err = in.Inspect(ctx, ref); err == nil || !errors.Is(err, ErrMissing) {
			return image, err
		}
	}
	return Image{}, err
}

// ErrOff is wrapped by every answer of Off: rules that only write digests skip
// the resource then, and others fail.
var ErrOff = errors.New("resolving digests is switched off")

// Off is the Resolver of a run that leaves tags as they are.
type Off struct{}

// Resolve refuses with ErrOff.
func (Off) Resolve(_ context.Context, tag name.Tag) (name.Digest, error) {
	return name.Digest{}, fmt.Errorf("the digest of %s: %w", tag.Name(), ErrOff)
}
