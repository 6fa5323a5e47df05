package registry_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	sigstore "github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/payload"

	"github.com/oneloop-dev/oneloop/pkg/digest/registry"
	"github.com/oneloop-dev/oneloop/pkg/signature"
)

const simpleSigning = types.MediaType("application/vnd.dev.cosign.simplesigning.v1+json")

func TestVerify(t *testing.T) {
	s := serve(t, httptest.NewServer, nil)
	repo, err := name.NewRepository(s.host + "/team/app")
	if err != nil {
		t.Fatal(err)
	}
	push := func() name.Digest {
		t.Helper()
		img, err := random.Image(64, 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := remote.Write(repo.Tag("v1"), img); err != nil {
			t.Fatal(err)
		}
		h, err := img.Digest()
		if err != nil {
			t.Fatal(err)
		}
		return repo.Digest(h.String())
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := cryptoutils.MarshalPublicKeyToPEM(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	// sign signs times over, with a payload of at least size bytes.
	sign := func(image name.Digest, into name.Repository, times, size int) {
		t.Helper()
		text, err := payload.Cosign{Image: image}.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		if size > len(text) {
			text = append(text, bytes.Repeat([]byte(" "), size-len(text))...)
		}
		signer, err := sigstore.LoadSigner(key, crypto.SHA256)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := signer.SignMessage(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		img := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
		for range times {
			img, err = mutate.Append(img, mutate.Addendum{
				Layer: static.NewLayer(text, simpleSigning), MediaType: simpleSigning,
				Annotations: map[string]string{"dev.cosignproject.cosign/signature": base64.StdEncoding.EncodeToString(raw)},
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := remote.Write(into.Tag(strings.Replace(image.DigestStr(), ":", "-", 1)+".sig"), img); err != nil {
			t.Fatal(err)
		}
	}
	attestor := func(spec signature.Spec) *signature.Attestor {
		t.Helper()
		spec.Key, spec.IgnoreLog = string(public), true
		a, err := signature.New(spec)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	elsewhere, err := name.NewRepository(s.host + "/signatures")
	if err != nil {
		t.Fatal(err)
	}
	signed, unsigned, apart, large, many := push(), push(), push(), push(), push()
	sign(signed, repo, 1, 0)
	sign(apart, elsewhere, 1, 0)
	sign(large, repo, 1, 2<<20)
	sign(many, repo, 101, 0)
	r := registry.New(registry.WithAllow(s.host))
	for _, test := range []struct {
		name  string
		image name.Digest
		spec  signature.Spec
		want  string
		is    error
	}{
		{"signed", signed, signature.Spec{}, "", nil},
		{"signed, and no referrers", signed, signature.Spec{Referrers: true}, "", nil},
		{"unsigned", unsigned, signature.Spec{}, "there are no signatures", signature.ErrUnverified},
		{"no annotation", signed, signature.Spec{Annotations: map[string]string{"a": "b"}}, "no annotation a=b", signature.ErrUnverified},
		{"in another repository", apart, signature.Spec{Repository: elsewhere.Name()}, "", nil},
		{"not in its own", apart, signature.Spec{}, "there are no signatures", signature.ErrUnverified},
		{"on a host that is not allowed", signed, signature.Spec{Repository: "registry.example.com/signatures"}, "allow", nil},
		{"a large payload", large, signature.Spec{}, "more than 1048576 bytes", nil},
		{"many", many, signature.Spec{}, "more than 100 signatures", nil},
	} {
		err := r.Verify(t.Context(), test.image, attestor(test.spec))
		switch {
		case test.want == "" && err == nil:
		case test.want == "", err == nil, !strings.Contains(err.Error(), test.want), errors.Is(err, signature.ErrUnverified) != (test.is != nil):
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}

	// One look serves all attestors.
	s.reset()
	r = registry.New(registry.WithAllow(s.host))
	for _, spec := range []signature.Spec{{}, {Annotations: map[string]string{"a": "b"}}, {}} {
		_ = r.Verify(t.Context(), signed, attestor(spec))
	}
	tag := "GET /v2/team/app/manifests/" + strings.Replace(signed.DigestStr(), ":", "-", 1) + ".sig"
	if n := s.count(tag); n != 1 {
		t.Errorf("%d requests for the signatures, want 1", n)
	}
}
