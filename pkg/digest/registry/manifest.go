package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// A manifest is an index or an image manifest, as a registry sent it.
type manifest struct {
	digest    v1.Hash
	mediaType types.MediaType
	data      []byte
}

// manifest reads what at names: from the cache when at is a digest that it has.
func (r *Registry) manifest(ctx context.Context, puller *remote.Puller, at name.Reference) (manifest, error) {
	if d, ok := at.(name.Digest); ok {
		if h, err := v1.NewHash(d.DigestStr()); err == nil {
			if data, ok := r.o.cache.get(h); ok {
				if m := (manifest{h, ownMediaType(data), data}); m.check() == nil {
					return m, nil
				}
			}
		}
	}
	d, err := puller.Get(ctx, at)
	if err != nil {
		return manifest{}, err
	}
	m := manifest{d.Digest, mediaTypeOf(d.MediaType), d.Manifest}
	if err := m.check(); err != nil {
		return manifest{}, err
	}
	return m, r.o.cache.put(m.digest, m.data)
}

var errSchema1 = fmt.Errorf("it is a schema 1 image, whose digest cannot be pulled: push it again with a current client: %w", errors.ErrUnsupported)

// head is what tells the kinds of manifests apart.
type head struct {
	SchemaVersion int             `json:"schemaVersion"`
	MediaType     types.MediaType `json:"mediaType"`
	Manifests     json.RawMessage `json:"manifests"`
	Config        json.RawMessage `json:"config"`
	Layers        json.RawMessage `json:"layers"`
}

// check refuses what is no manifest, and what two clients may take for two
// different ones.
func (m manifest) check() error {
	switch {
	case m.mediaType == types.DockerManifestSchema1, m.mediaType == types.DockerManifestSchema1Signed:
		return errSchema1
	case !isManifest(m.mediaType):
		return fmt.Errorf("the answer has the content type %q: expected an image manifest or an index", m.mediaType)
	}
	var is head
	if err := json.Unmarshal(m.data, &is); err != nil {
		return fmt.Errorf("the manifest is no JSON, or not all of it came: %w", err)
	}
	switch {
	case is.SchemaVersion == 1:
		return errSchema1
	case is.SchemaVersion != 2:
		return fmt.Errorf("the manifest has schemaVersion %d: expected 2", is.SchemaVersion)
	case is.MediaType != "" && is.MediaType != m.mediaType:
		return fmt.Errorf("the registry says that the manifest is %s, and the manifest that it is %s", m.mediaType, is.MediaType)
	case m.mediaType.IsIndex() && (is.Config != nil || is.Layers != nil), !m.mediaType.IsIndex() && is.Manifests != nil:
		return errors.New("the manifest is an index and an image at once: expected one of them")
	}
	return nil
}

func isManifest(t types.MediaType) bool { return t.IsIndex() || t.IsImage() }

// mediaTypeOf takes the parameters off a content type.
func mediaTypeOf(contentType types.MediaType) types.MediaType {
	if t, _, err := mime.ParseMediaType(string(contentType)); err == nil {
		return types.MediaType(t)
	}
	return contentType
}

// ownMediaType is the media type of a manifest by what it says itself.
func ownMediaType(data []byte) types.MediaType {
	var is head
	switch err := json.Unmarshal(data, &is); {
	case err != nil:
		return ""
	case is.MediaType != "":
		return is.MediaType
	case is.Manifests != nil:
		return types.OCIImageIndex
	}
	return types.OCIManifestSchema1
}

// A choice is the manifest of one platform, and its configuration.
type choice struct {
	manifest
	config []byte
}

// choose returns the manifest of the wanted platform: m itself, or what the
// index m lists for it. A single manifest must be of the platform that was
// asked for by name: a digest of another one would not run.
func (r *Registry) choose(ctx context.Context, puller *remote.Puller, repo name.Repository, m manifest) (choice, error) {
	want := v1.Platform{OS: "linux", Architecture: "amd64"}
	if r.o.platform != "" {
		p, err := v1.ParsePlatform(r.o.platform)
		if err != nil {
			return choice{}, fmt.Errorf("platform %q: expected os/architecture[/variant]: %w", r.o.platform, err)
		}
		want = *p
	}
	if m.mediaType.IsIndex() {
		index, err := v1.ParseIndexManifest(strings.NewReader(string(m.data)))
		if err != nil {
			return choice{}, fmt.Errorf("the index is not understood: %w", err)
		}
		child, err := pick(index, want)
		if err != nil {
			return choice{}, err
		}
		if m, err = r.manifest(ctx, puller, repo.Digest(child.String())); err != nil {
			return choice{}, fmt.Errorf("the manifest for %s: %w", want, err)
		}
		if m.mediaType.IsIndex() {
			return choice{}, fmt.Errorf("the index lists %s for %s: expected an image manifest", m.mediaType, want)
		}
	}
	config, err := r.config(ctx, puller, repo, m)
	if err != nil {
		return choice{}, fmt.Errorf("the configuration: %w", err)
	}
	if r.o.platform != "" {
		var is v1.Platform
		if err := json.Unmarshal(config, &is); err == nil && is.OS != "" && !is.Satisfies(want) {
			return choice{}, fmt.Errorf("it is an image for %s only: expected %s", is, want)
		}
	}
	return choice{m, config}, nil
}

// config reads the configuration that an image manifest names.
func (r *Registry) config(ctx context.Context, puller *remote.Puller, repo name.Repository, m manifest) ([]byte, error) {
	image, err := v1.ParseManifest(strings.NewReader(string(m.data)))
	if err != nil {
		return nil, fmt.Errorf("the manifest is not understood: %w", err)
	}
	h := image.Config.Digest
	if h.Hex == "" {
		return nil, errors.New("the manifest names none")
	}
	if data, ok := r.o.cache.get(h); ok {
		return data, nil
	}
	blob, err := puller.Layer(ctx, repo.Digest(h.String()))
	if err != nil {
		return nil, err
	}
	body, err := blob.Compressed() // as stored; its digest is verified
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(body)
	if err := errors.Join(err, body.Close()); err != nil {
		return nil, err
	}
	return data, r.o.cache.put(h, data)
}

// pick returns the first manifest of an index that runs on the platform, as
// container runtimes do.
func pick(index *v1.IndexManifest, want v1.Platform) (v1.Hash, error) {
	var have []string
	for _, m := range index.Manifests {
		// An entry without a platform counts as linux/amd64, as in
		// go-containerregistry and Kyverno.
		p := v1.Platform{OS: "linux", Architecture: "amd64"}
		if m.Platform != nil {
			p = *m.Platform
		}
		if p.Satisfies(want) {
			return m.Digest, nil
		}
		if p.OS != "unknown" {
			have = append(have, p.String())
		}
	}
	return v1.Hash{}, fmt.Errorf("the index has no image for %s, only for %s", want, strings.Join(have, ", "))
}

// decode reads JSON into plain values: integers become int64.
func decode(data []byte) (any, error) {
	d := json.NewDecoder(strings.NewReader(string(data)))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	return numbers(v), nil
}

func numbers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			v[k] = numbers(e)
		}
	case []any:
		for i, e := range v {
			v[i] = numbers(e)
		}
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return i
		}
		f, _ := v.Float64()
		return f
	}
	return v
}
