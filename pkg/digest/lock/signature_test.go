package lock_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/oneloop-dev/oneloop/pkg/digest"
	"github.com/oneloop-dev/oneloop/pkg/digest/lock"
	"github.com/oneloop-dev/oneloop/pkg/resource"
	"github.com/oneloop-dev/oneloop/pkg/signature"
)

func attestor(t *testing.T, annotations map[string]string) *signature.Attestor {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	a, err := signature.New(signature.Spec{Key: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), Annotations: annotations})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// A record is of one digest in one repository and of one attestor.
func TestVerify(t *testing.T) {
	by, other := attestor(t, nil), attestor(t, nil)
	l, err := parse(t, header+`signatures:
- image: docker.io/library/nginx:1.27@`+a+` # the tag says nothing
  attestor: `+by.ID()+"\n")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		image string
		by    *signature.Attestor
		known bool
	}{
		{"nginx@" + a, by, true},
		{"index.docker.io/library/nginx@" + a, by, true},
		{"nginx@" + b, by, false},
		{"example.com/nginx@" + a, by, false},
		{"nginx@" + a, other, false},
	} {
		d, err := name.NewDigest(test.image)
		if err != nil {
			t.Fatal(err)
		}
		err = digest.Verify(t.Context(), l.Resolver(), d, test.by)
		if (err == nil) != test.known || err != nil && !errors.Is(err, digest.ErrMissing) {
			t.Errorf("%s: %v, want known %v", test.image, err, test.known)
		}
		if err != nil && !strings.Contains(err.Error(), "oneloop lock --lock images.lock.yaml") {
			t.Errorf("%v does not say what to run", err)
		}
	}
}

func TestSignatureFaults(t *testing.T) {
	for text, want := range map[string]string{
		"- {image: nginx, attestor: '" + a + "'}":                "images.lock.yaml:5 at signatures[0].image",
		"- {image: 'nginx@sha256:1', attestor: '" + a + "'}":     "signatures[0].image",
		"- {image: 'nginx@" + a + "'}":                           "images.lock.yaml:5 at signatures[0].attestor",
		"- {image: 'nginx@" + a + "', attestor: key}":            "64 hexadecimal digits",
		"- {image: 'nginx@" + a + "', attestors: ['" + a + "']}": "signatures[0].attestors",
	} {
		if _, err := parse(t, header+"signatures:\n"+text+"\n"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestWriteSignatures(t *testing.T) {
	by := attestor(t, nil)
	was := header + `images:
- {reference: nginx, digest: "` + a + `"} # ours
signatures:
- image: example.com/m@` + a + `
  attestor: ` + by.ID() + `
- image: example.com/z@` + a + ` # reviewed
  attestor: ` + by.ID() + "\n"
	docs, err := resource.Parse("images.lock.yaml", []byte(was))
	if err != nil {
		t.Fatal(err)
	}
	record := func(image string) lock.Signature {
		d, err := name.NewDigest(image)
		if err != nil {
			t.Fatal(err)
		}
		return lock.NewSignature(digest.Verification{Image: d, By: by})
	}
	again := []lock.Signature{record("example.com/z@" + a)}
	if changed, err := lock.WriteSignatures(docs[0], again, nil); err != nil || changed {
		t.Errorf("what is there already: %v, %v", changed, err)
	}
	set := append(again, record("nginx@"+b))
	drop := func(s lock.Signature) bool { return strings.HasPrefix(s.Image, "example.com/m@") }
	if changed, err := lock.WriteSignatures(docs[0], set, drop); err != nil || !changed {
		t.Fatal(changed, err)
	}
	got, err := docs[0].AppendYAML(nil)
	if err != nil {
		t.Fatal(err)
	}
	want := header + `images:
- {reference: nginx, digest: "` + a + `"} # ours
signatures:
- image: docker.io/library/nginx@` + b + `
  attestor: ` + by.ID() + `
  by: ` + by.String() + `
- image: example.com/z@` + a + ` # reviewed
  attestor: ` + by.ID() + "\n"
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// Entries and records leave each other alone.
	if changed, err := lock.Write(docs[0], []lock.Entry{{Reference: "nginx", Digest: a}}, nil); err != nil || changed {
		t.Errorf("Write: %v, %v", changed, err)
	}
	if _, err := lock.Parse(docs[0]); err != nil {
		t.Error(err)
	}
}
