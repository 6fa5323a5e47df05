package digest

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/go-containerregistry/pkg/name"
)

// First asks each resolver in turn until one has the answer: only ErrMissing
// moves on to the next, and the first miss is what is reported when all have
// missed. It is an Inspector; resolvers that are none are passed over when it
// is asked for image data, except that what they know of a tag decides which
// digest the others are asked for.
func First(resolvers ...Resolver) Resolver {
	var flat first
	for _, r := range resolvers {
		if f, ok := r.(first); ok {
			flat = append(flat, f...) // or what it knows of a tag would not reach the others
			continue
		}
		flat = append(flat, r)
	}
	if len(flat) == 1 {
		return flat[0]
	}
	return flat
}

type first []Resolver

func (f first) Resolve(ctx context.Context, tag name.Tag) (name.Digest, error) {
	var miss error
	for _, r := range f {
		d, err := r.Resolve(ctx, tag)
		if err == nil || !errors.Is(err, ErrMissing) {
			return d, err
		}
		if miss == nil {
			miss = err
		}
	}
	if miss == nil {
		miss = fmt.Errorf("the digest of %s is %w", tag.Name(), ErrMissing)
	}
	return name.Digest{}, miss
}

func (f first) Inspect(ctx context.Context, ref name.Reference) (Image, error) {
	miss := fmt.Errorf("the manifest of %s is %w, which holds digests only", ref.Name(), ErrMissing)
	for _, r := range f {
		in, ok := r.(Inspector)
		if !ok {
			if tag, ok := ref.(name.Tag); ok {
				d, err := r.Resolve(ctx, tag)
				switch {
				case err == nil:
					ref = d
				case !errors.Is(err, ErrMissing):
					return Image{}, err
				}
			}
			continue
		}
		image, err := in.Inspect(ctx, ref)
		if err == nil || !errors.Is(err, ErrMissing) {
			return image, err
		}
	}
	return Image{}, miss
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
