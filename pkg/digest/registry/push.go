package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/oneloop-dev/oneloop/pkg/artifact"
	"github.com/oneloop-dev/oneloop/pkg/digest"
)

// Push stores an artifact under a tag, at the registry that the tag names and
// not at its mirror. It reports whether that changed anything: a tag that points
// at the artifact already is left alone, so that a registry whose tags can't be
// moved accepts the same once more.
func (r *Registry) Push(ctx context.Context, tag name.Tag, a artifact.Artifact) (changed bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, r.o.timeout)
	defer cancel()
	changed, err = r.push(ctx, tag, a)
	if err != nil {
		return false, explainPush(tag, err)
	}
	return changed, nil
}

func (r *Registry) push(ctx context.Context, tag name.Tag, a artifact.Artifact) (bool, error) {
	repo, err := r.scheme(tag.Context())
	if err != nil {
		return false, err
	}
	puller, err := r.puller()
	if err != nil {
		return false, err
	}
	pusher, err := r.pusher()
	if err != nil {
		return false, err
	}
	ctx = context.WithValue(ctx, askedRegistry{}, repo.RegistryStr())
	at := repo.Tag(tag.TagStr())
	switch d, err := puller.Head(ctx, at); {
	case err == nil && d.Digest.String() == a.Manifest.Digest:
		return false, nil
	case err == nil, deniedOrMissing(err):
		// Some registries deny what is not there. Whether one may push shows next.
	case final(ctx, err):
		return false, err
	}
	for _, b := range []artifact.Blob{a.Layer, a.Config} {
		if err := pusher.Upload(ctx, repo, static.NewLayer(b.Data, types.MediaType(b.MediaType))); err != nil {
			return false, err
		}
	}
	return true, pusher.Put(ctx, at, taggable{a.Manifest})
}

// taggable is a manifest as go-containerregistry puts one.
type taggable struct{ blob artifact.Blob }

func (t taggable) RawManifest() ([]byte, error)        { return t.blob.Data, nil }
func (t taggable) MediaType() (types.MediaType, error) { return types.MediaType(t.blob.MediaType), nil }

func deniedOrMissing(err error) bool {
	var t *transport.Error
	if !errors.As(err, &t) {
		return false
	}
	switch t.StatusCode {
	case http.StatusNotFound, http.StatusUnauthorized, http.StatusForbidden:
		return true
	}
	return false
}

// explainPush says what could not be pushed, why, and what to do.
func explainPush(tag name.Tag, err error) error {
	var t *transport.Error
	hint := hintFor(err)
	if errors.As(err, &t) {
		switch t.StatusCode {
		case http.StatusUnauthorized, http.StatusForbidden:
			hint = fmt.Sprintf(" (log in with `docker login %s` as somebody who may push to it)", tag.RegistryStr())
		case http.StatusNotFound:
			hint = " (the repository may have to be created first)"
		case http.StatusTooManyRequests:
			hint = " (try again later)"
		}
	}
	return fmt.Errorf("push %s: %w%s", digest.Reference(tag), oneLine{err}, hint)
}
