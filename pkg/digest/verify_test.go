package digest_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/oneloop-dev/oneloop/pkg/digest"
	"github.com/oneloop-dev/oneloop/pkg/signature"
)

// A verifier is a Source in which images are signed as verify says.
type verifier struct {
	inspector
	verify func(name.Digest) error
}

func (v verifier) Verify(_ context.Context, image name.Digest, _ *signature.Attestor) error {
	return v.verify(image)
}

func (v verifier) Describe(ctx context.Context, tag name.Tag) (digest.Description, error) {
	d, err := v.Resolve(ctx, tag)
	return digest.Description{Digest: d}, err
}

func attestor(t *testing.T) *signature.Attestor {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	a, err := signature.New(signature.Spec{Key: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestVerify(t *testing.T) {
	tag, by := tagOf(t, "example.com/a:1"), attestor(t)
	signed, unsigned, unknown := digestOf(tag, "a"), digestOf(tag, "b"), digestOf(tag, "c")
	registry := verifier{verify: func(image name.Digest) error {
		switch image.DigestStr() {
		case signed.DigestStr():
			return nil
		case unsigned.DigestStr():
			return fmt.Errorf("no: %w", signature.ErrUnverified)
		}
		return fmt.Errorf("it is %w", digest.ErrMissing)
	}}
	only := resolve(func(context.Context, name.Tag) (name.Digest, error) { return name.Digest{}, digest.ErrMissing })
	none := digest.None("give a lock")
	for _, test := range []struct {
		name  string
		r     digest.Resolver
		image name.Digest
		want  error
	}{
		{"signed", registry, signed, nil},
		{"no Verifier", only, signed, digest.ErrMissing},
		{"nobody", none, signed, digest.ErrMissing},
		{"off", digest.Off{}, signed, digest.ErrOff},
		{"the second knows", digest.First(only, registry), signed, nil},
		{"the first that knows is right", digest.First(none, registry, digest.Off{}), unsigned, signature.ErrUnverified},
		{"none knows", digest.First(only, registry), unknown, digest.ErrMissing},
		{"through all", digest.First(none, digest.Memo(digest.Limit(new(digest.Recorder).Record(registry), 2))), signed, nil},
		{"through all, unsigned", digest.First(none, digest.Memo(digest.Limit(new(digest.Recorder).Record(registry), 2))), unsigned, signature.ErrUnverified},
	} {
		if err := digest.Verify(t.Context(), test.r, test.image, by); !errors.Is(err, test.want) || (err == nil) != (test.want == nil) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
	}
}

func TestVerifyOnce(t *testing.T) {
	var asked atomic.Int32
	r := digest.Memo(verifier{verify: func(name.Digest) error { asked.Add(1); return nil }})
	tag, by, other := tagOf(t, "example.com/a:1"), attestor(t), attestor(t)
	var wg sync.WaitGroup
	for range 20 {
		for _, a := range []*signature.Attestor{by, other} {
			wg.Go(func() {
				if err := digest.Verify(t.Context(), r, digestOf(tag, "a"), a); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	if asked.Load() != 2 {
		t.Errorf("asked %d times, want once for each attestor", asked.Load())
	}
}

// Only what was verified is recorded.
func TestRecordVerified(t *testing.T) {
	tag, by := tagOf(t, "example.com/a:1"), attestor(t)
	var rec digest.Recorder
	r := rec.Record(verifier{verify: func(image name.Digest) error {
		if image.DigestStr() == digestOf(tag, "a").DigestStr() {
			return nil
		}
		return signature.ErrUnverified
	}})
	for _, fill := range []string{"a", "b"} {
		_ = digest.Verify(t.Context(), r, digestOf(tag, fill), by)
	}
	if got := rec.Verified(); len(got) != 1 || got[0].Image.DigestStr() != digestOf(tag, "a").DigestStr() || got[0].By != by {
		t.Errorf("recorded %+v", got)
	}
}

// A dry run takes notes of the signatures of digests that are known.
func TestCollectSignatures(t *testing.T) {
	tag, by := tagOf(t, "example.com/a:1"), attestor(t)
	known := digestOf(tag, "a")
	c := digest.Collect(verifier{
		inspector: inspector{resolve: func(ctx context.Context, tag name.Tag) (name.Digest, error) {
			return digest.None("test").Resolve(ctx, tag)
		}},
		verify: func(image name.Digest) error {
			if image.DigestStr() == known.DigestStr() {
				return nil
			}
			return digest.ErrMissing
		},
	})
	standIn, err := c.Resolve(t.Context(), tag)
	if err != nil {
		t.Fatal(err)
	}
	if err := digest.Verify(t.Context(), c, standIn, by); err != nil || len(c.Signed()) != 0 {
		t.Errorf("a stand-in: %v, noted %v", err, c.Signed())
	}
	if err := digest.Verify(t.Context(), c, known, by); err != nil {
		t.Error(err)
	}
	if err := digest.Verify(t.Context(), c, digestOf(tag, "b"), by); !errors.Is(err, digest.ErrMissing) {
		t.Errorf("what is not known: %v, want ErrMissing", err)
	}
	if len(c.Signed()) != 2 || len(c.Unsigned()) != 1 || c.Unsigned()[0].Image.DigestStr() != digestOf(tag, "b").DigestStr() {
		t.Errorf("signed %v, unsigned %v", c.Signed(), c.Unsigned())
	}
}
