package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/oneloop-dev/oneloop/pkg/digest"
	"github.com/oneloop-dev/oneloop/pkg/signature"
)

var _ digest.Verifier = (*Registry)(nil)

// How cosign stores a signature: as a layer of a manifest of its own.
const (
	payloadType     = types.MediaType("application/vnd.dev.cosign.simplesigning.v1+json")
	artifactType    = "application/vnd.dev.cosign.artifact.sig.v1+json" // of a referrer
	signatureKey    = "dev.cosignproject.cosign/signature"
	certificateKey  = "dev.sigstore.cosign/certificate"
	chainKey        = "dev.sigstore.cosign/chain"
	bundleKey       = "dev.sigstore.cosign/bundle"
	maxPayload      = 1 << 20
	maxSignatures   = 100 // of one image
	maxReferrers    = 50
	signatureSuffix = ".sig"
)

// Verify looks for a signature of image by an Attestor: under the tag that
// cosign derives from the digest and, when the Attestor asks for it, among the
// referrers of the image. Each manifest and each payload is hashed.
func (r *Registry) Verify(ctx context.Context, image name.Digest, by *signature.Attestor) error {
	ctx, cancel := context.WithTimeout(ctx, r.o.timeout)
	defer cancel()
	key := fmt.Sprint(image.Name(), " ", by.Repository(), " ", by.Referrers())
	known, ok := r.signed.Load(key)
	if !ok {
		signatures, err := r.signatures(ctx, image, by)
		if err != nil {
			return explain(image, fmt.Errorf("signatures: %w", err))
		}
		known, _ = r.signed.LoadOrStore(key, signatures)
	}
	signatures, _ := known.([]signature.Signature)
	now := time.Now() //nolint:forbidigo // a certificate holds today, not when the request was made
	if err := by.Verify(image.DigestStr(), signatures, now); err != nil {
		return fmt.Errorf("%s: %w", digest.Reference(image), err)
	}
	return nil
}

func (r *Registry) signatures(ctx context.Context, image name.Digest, by *signature.Attestor) ([]signature.Signature, error) {
	puller, err := r.puller()
	if err != nil {
		return nil, err
	}
	var out []signature.Signature
	if by.Referrers() {
		if out, err = r.referrers(ctx, puller, image); err != nil {
			return nil, err
		}
	}
	repo := image.Context()
	if by.Repository() != "" {
		if repo, err = name.NewRepository(by.Repository()); err != nil {
			return nil, fmt.Errorf("repository %q: %w", by.Repository(), err)
		}
	}
	tagged, err := r.signaturesAt(ctx, puller, repo.Tag(strings.Replace(image.DigestStr(), ":", "-", 1)+signatureSuffix))
	if err != nil {
		return nil, err
	}
	return append(out, tagged...), nil
}

// signaturesAt reads the signatures of one manifest; none when it is not there.
func (r *Registry) signaturesAt(ctx context.Context, puller *remote.Puller, ref name.Reference) ([]signature.Signature, error) {
	at, err := r.at(ref)
	if err != nil {
		return nil, err
	}
	ctx = context.WithValue(ctx, askedRegistry{}, at.Context().RegistryStr())
	m, err := oncePerRepository(r, at, func() (manifest, error) { return r.manifest(ctx, puller, at) })
	switch {
	case notFound(err):
		return nil, nil
	case err != nil:
		return nil, err
	case !m.mediaType.IsImage():
		return nil, fmt.Errorf("%s is %s: expected a manifest with signatures", ref.Name(), m.mediaType)
	}
	is, err := v1.ParseManifest(strings.NewReader(string(m.data)))
	if err != nil {
		return nil, fmt.Errorf("the manifest of %s is not understood: %w", ref.Name(), err)
	}
	var out []signature.Signature
	for _, layer := range is.Layers {
		if layer.MediaType != payloadType || layer.Annotations[signatureKey] == "" {
			continue
		}
		if len(out) == maxSignatures {
			return nil, fmt.Errorf("%s has more than %d signatures", ref.Name(), maxSignatures)
		}
		payload, err := r.payload(ctx, puller, at.Context(), layer)
		if err != nil {
			return nil, fmt.Errorf("the payload of a signature: %w", err)
		}
		out = append(out, signature.Signature{
			Payload: payload, Signature: layer.Annotations[signatureKey],
			Certificate: layer.Annotations[certificateKey], Chain: layer.Annotations[chainKey], Bundle: layer.Annotations[bundleKey],
		})
	}
	return out, nil
}

// payload reads what was signed.
func (r *Registry) payload(ctx context.Context, puller *remote.Puller, repo name.Repository, layer v1.Descriptor) ([]byte, error) {
	if data, ok := r.o.cache.get(layer.Digest); ok {
		return data, nil
	}
	blob, err := puller.Layer(ctx, repo.Digest(layer.Digest.String()))
	if err != nil {
		return nil, err
	}
	body, err := blob.Compressed() // as stored; its digest is verified
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(body, maxPayload+1))
	if err := errors.Join(err, body.Close()); err != nil {
		return nil, err
	}
	if len(data) > maxPayload {
		return nil, fmt.Errorf("it has more than %d bytes", maxPayload)
	}
	return data, r.o.cache.put(layer.Digest, data)
}

// referrers reads the signatures among what refers to an image, by the API of
// the registry or, where it has none, the tag that stands for it.
func (r *Registry) referrers(ctx context.Context, puller *remote.Puller, image name.Digest) ([]signature.Signature, error) {
	ref, err := r.at(image)
	if err != nil {
		return nil, err
	}
	at, ok := ref.(name.Digest)
	if !ok {
		return nil, fmt.Errorf("%s: expected a digest", ref.Name())
	}
	asking := context.WithValue(ctx, askedRegistry{}, at.Context().RegistryStr())
	opts, err := r.options()
	if err != nil {
		return nil, err
	}
	index, err := remote.Referrers(at, append(slices.Clone(opts), remote.WithContext(asking), remote.WithFilter("artifactType", artifactType))...)
	if notFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	list, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	var out []signature.Signature
	found := 0
	for _, m := range list.Manifests {
		if m.ArtifactType != artifactType {
			continue
		}
		if found++; found > maxReferrers {
			return nil, fmt.Errorf("more than %d manifests with signatures refer to %s", maxReferrers, digest.Reference(image))
		}
		more, err := r.signaturesAt(ctx, puller, image.Context().Digest(m.Digest.String()))
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	return out, nil
}

func notFound(err error) bool {
	var t *transport.Error
	return errors.As(err, &t) && t.StatusCode == http.StatusNotFound
}
