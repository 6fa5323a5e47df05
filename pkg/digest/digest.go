// Package digest pins image tags to digests.
package digest

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
)

// ErrMissing is wrapped by every error that says that a run was not given the
// digest (or the image data) it needs: a lock without the entry, a run without
// network. The command line exits with 4 on it.
var ErrMissing = errors.New("not in the lock")

// A Resolver finds the digest that a tag points at. A name.Digest is already
// resolved, so it is not part of the signature.
type Resolver interface {
	Resolve(ctx context.Context, tag name.Tag) (name.Digest, error)
}

// A Describer is a Resolver that also tells what the digest is of: optional,
// found by type assertion.
type Describer interface {
	Describe(ctx context.Context, tag name.Tag) (Description, error)
}

// A Description is what a tag points at.
type Description struct {
	Digest    name.Digest
	MediaType string // of what Digest names, an index or a manifest
	// Platform is the platform that was chosen out of an index; "" when Digest
	// is what the tag itself names.
	Platform string
}

// An Inspector is a Resolver that also knows what the image says: optional,
// found by type assertion. A lock alone is not one.
type Inspector interface {
	Inspect(ctx context.Context, ref name.Reference) (Image, error)
}

// An Image is what a registry holds under one reference, as decoded JSON.
type Image struct {
	Digest       name.Digest
	MediaType    string // of what Digest names
	Platform     string // as in Description
	ManifestList any    // the index; nil when the reference names a single-platform manifest
	Manifest     any    // the manifest of the chosen platform
	Config       any    // its config file
}

// None is the Resolver of a run that has no source of digests: it refuses each
// tag with reason, which says what to give.
func None(reason string) Resolver { return none(reason) }

type none string

func (n none) Resolve(_ context.Context, tag name.Tag) (name.Digest, error) {
	return name.Digest{}, fmt.Errorf("the digest of %s is %w: %s", Reference(tag), ErrMissing, string(n))
}

// Reference is a tag or a digest in full as Kyverno writes it, with docker.io as
// the host of Docker Hub.
func Reference(ref name.Reference) string {
	if rest, ok := strings.CutPrefix(ref.Name(), name.DefaultRegistry+"/"); ok {
		return "docker.io/" + rest
	}
	return ref.Name()
}
