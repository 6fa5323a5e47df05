package verifyimages_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/oneloop-dev/oneloop/pkg/digest"
	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/spec"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/verifyimages"
	"github.com/oneloop-dev/oneloop/pkg/resource"
	"github.com/oneloop-dev/oneloop/pkg/signature"
)

// A signer is a lock in which images are signed by the keys in by.
type signer struct {
	locked
	by    []string // PEM
	err   error    // of all other keys
	asked *[]string
}

func (s signer) Verify(_ context.Context, image name.Digest, by *signature.Attestor) error {
	if s.asked != nil {
		*s.asked = append(*s.asked, image.String())
	}
	for _, key := range s.by {
		if a, err := signature.New(signature.Spec{Key: key, IgnoreLog: true}); err == nil && a.ID() == by.ID() {
			return nil
		}
	}
	return s.err
}

func newKey(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func keys(text string) spec.Attestor {
	return spec.Attestor{Keys: &spec.StaticKeyAttestor{PublicKeys: text, Rekor: &spec.Rekor{IgnoreTlog: true}}}
}

func count(n int, entries ...spec.Attestor) spec.AttestorSet {
	return spec.AttestorSet{Count: &n, Entries: entries}
}

func all(entries ...spec.Attestor) spec.AttestorSet { return spec.AttestorSet{Entries: entries} }

func nested(t *testing.T, s spec.AttestorSet) spec.Attestor {
	t.Helper()
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	if m, ok := v.(map[string]any); ok {
		if n, ok := m["count"].(float64); ok {
			m["count"] = int64(n)
		}
	}
	return spec.Attestor{Attestor: v}
}

func TestAttestors(t *testing.T) {
	a, b, c := newKey(t), newKey(t), newKey(t)
	unsigned := fmt.Errorf("there are no signatures: %w", signature.ErrUnverified)
	kms := spec.Attestor{Keys: &spec.StaticKeyAttestor{KMS: "awskms:///alias/key"}}
	const (
		pinned = "pass"
		denied = "fail"
		failed = "error"
	)
	tests := []struct {
		name string
		sets []spec.AttestorSet
		by   []string
		err  error // unsigned when nil
		want string
		is   error
	}{
		{name: "a key", sets: []spec.AttestorSet{all(keys(a))}, by: []string{a}, want: pinned},
		{name: "another key", sets: []spec.AttestorSet{all(keys(a))}, by: []string{b}, want: denied, is: signature.ErrUnverified},
		{name: "all entries", sets: []spec.AttestorSet{all(keys(a), keys(b))}, by: []string{a}, want: denied},
		{name: "all entries agree", sets: []spec.AttestorSet{all(keys(a), keys(b))}, by: []string{a, b}, want: pinned},
		{name: "one of two", sets: []spec.AttestorSet{count(1, keys(a), keys(b))}, by: []string{b}, want: pinned},
		{name: "two of three", sets: []spec.AttestorSet{count(2, keys(a), keys(b), keys(c))}, by: []string{a, c}, want: pinned},
		{name: "one is not two", sets: []spec.AttestorSet{count(2, keys(a), keys(b), keys(c))}, by: []string{a}, want: denied},
		{name: "keys in one text are entries", sets: []spec.AttestorSet{all(keys(a + b))}, by: []string{a}, want: denied},
		{name: "one of the keys in one text", sets: []spec.AttestorSet{count(1, keys(a+b))}, by: []string{b}, want: pinned},
		{name: "all sets", sets: []spec.AttestorSet{all(keys(a)), all(keys(b))}, by: []string{a}, want: denied},
		{name: "nested", sets: []spec.AttestorSet{all(keys(a), nested(t, count(1, keys(b), keys(c))))}, by: []string{a, c}, want: pinned},
		{name: "nested, and not enough", sets: []spec.AttestorSet{all(keys(a), nested(t, all(keys(b), keys(c))))}, by: []string{a, c}, want: denied},
		{name: "what is not supported is not needed", sets: []spec.AttestorSet{count(1, kms, keys(a))}, by: []string{a}, want: pinned},
		{name: "what is not supported might have agreed", sets: []spec.AttestorSet{count(1, kms, keys(a))}, want: failed, is: errors.ErrUnsupported},
		{name: "no record", sets: []spec.AttestorSet{all(keys(a))}, err: fmt.Errorf("it is %w", digest.ErrMissing), want: denied, is: digest.ErrMissing},
		{name: "nobody answers", sets: []spec.AttestorSet{all(keys(a))}, err: errors.New("connection refused"), want: failed},
		{name: "no key", sets: []spec.AttestorSet{all(keys("x"))}, want: failed},
	}
	kind := resource.Kind{Version: "v1", Kind: "Pod"}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := compile(t, spec.Rule{VerifyImages: []spec.ImageVerification{with(with(refs("r.io/team/app*"), required), func(v *spec.ImageVerification) {
				v.Attestors = test.sets
			})}})
			s := signer{locked: lock, by: test.by, err: test.err}
			if s.err == nil {
				s.err = unsigned
			}
			w := verifyimages.World{Digests: s}
			o := object(t, pod)
			found, err := r.Images(kind, o)
			if err != nil {
				t.Fatal(err)
			}
			results := r.Pin(t.Context(), o, found, w)
			if len(results) != 1 || results[0].Outcome.Status() != test.want {
				t.Fatalf("results %+v, want one that is %s", results, test.want)
			}
			if test.is != nil && !errors.Is(results[0].Err, test.is) {
				t.Errorf("error %v, want %v", results[0].Err, test.is)
			}
			if test.want != pinned {
				if results[0].Object != nil || results[0].Err == nil || !strings.Contains(results[0].Err.Error(), app) {
					t.Errorf("%+v: an image that is not verified was written, or the error does not name it", results[0])
				}
				checked := r.Check(t.Context(), kind, o, w)
				if len(checked) != 1 || checked[0].Outcome == policy.Passed {
					t.Errorf("Check: %+v", checked)
				}
				return
			}
			if results[0].Message != "verified image signatures for "+app {
				t.Errorf("message %q", results[0].Message)
			}
			if diff := cmp.Diff([]string{side, app + "@" + sha("1"), tool}, images(results[0].Object)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([]string{"pass image verified"}, describe(r.Check(t.Context(), kind, results[0].Object, w))); diff != "" {
				t.Errorf("Check (-want +got):\n%s", diff)
			}
		})
	}
}

// The digest that is verified is the one that is written, and an image that has
// one is verified all the same.
func TestVerifyThenPin(t *testing.T) {
	key := newKey(t)
	r := compile(t, spec.Rule{VerifyImages: []spec.ImageVerification{with(refs("r.io/team/*"), func(v *spec.ImageVerification) {
		v.Attestors = []spec.AttestorSet{all(keys(key))}
	})}})
	var asked []string
	w := verifyimages.World{Digests: signer{locked: lock, by: []string{key}, asked: &asked}}
	kind, o := resource.Kind{Kind: "Pod"}, object(t, `{"spec": {"containers": [
		{"name": "a", "image": "`+app+`"}, {"name": "b", "image": "r.io/team/app@`+sha("9")+`"}, {"name": "c", "image": "r.io/team/app:v7@`+sha("8")+`"}]}}`)
	found, err := r.Images(kind, o)
	if err != nil {
		t.Fatal(err)
	}
	results := r.Pin(t.Context(), o, found, w)
	if diff := cmp.Diff([]string{"r.io/team/app@" + sha("1"), "r.io/team/app@" + sha("9"), "r.io/team/app@" + sha("8")}, asked); diff != "" {
		t.Errorf("verified (-want +got):\n%s", diff)
	}
	if len(results) != 3 || results[0].Outcome != policy.Mutated || results[1].Outcome != policy.Passed || results[2].Outcome != policy.Passed {
		t.Errorf("results: %+v", results)
	}
	if got := r.Pin(t.Context(), o, found, verifyimages.World{Digests: digest.Off{}}); len(got) != 1 || got[0].Outcome != policy.Skipped {
		t.Errorf("switched off: %+v, want one that is skipped", got)
	}
	if got := r.Check(t.Context(), kind, o, verifyimages.World{Digests: digest.Off{}}); slices.ContainsFunc(got, func(r policy.Result) bool { return r.Outcome == policy.Failed }) {
		t.Errorf("switched off: Check: %+v", got)
	}
}

func TestKeyOfSecret(t *testing.T) {
	key := newKey(t)
	known := facts.New()
	known.AddObject(resource.Object{
		"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": "cosign", "namespace": "keys"},
		"data": map[string]any{"cosign.pub": base64.StdEncoding.EncodeToString([]byte(key))},
	})
	known.AddObject(resource.Object{
		"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": "empty", "namespace": "keys"},
	})
	secret := func(name string) spec.Attestor {
		return spec.Attestor{Keys: &spec.StaticKeyAttestor{Secret: &spec.SecretReference{Namespace: "keys", Name: name}, Rekor: &spec.Rekor{IgnoreTlog: true}}}
	}
	for _, test := range []struct {
		name string
		by   spec.Attestor
		want string
		is   error
	}{
		{"secret", secret("cosign"), "", nil},
		{"reference", keys("k8s://keys/cosign"), "", nil},
		{"missing", secret("other"), "keys/Secret/other", facts.ErrMissing},
		{"empty", secret("empty"), "data.cosign.pub", nil},
		{"broken", keys("k8s://keys"), "k8s://NAMESPACE/NAME", nil},
		{"elsewhere", keys("https://example.com/cosign.pub"), "write it into the policy", errors.ErrUnsupported},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := compile(t, spec.Rule{VerifyImages: []spec.ImageVerification{with(refs("r.io/team/app*"), func(v *spec.ImageVerification) {
				v.Attestors = []spec.AttestorSet{all(test.by)}
			})}})
			kind, o := resource.Kind{Kind: "Pod"}, object(t, pod)
			found, err := r.Images(kind, o)
			if err != nil {
				t.Fatal(err)
			}
			got := r.Pin(t.Context(), o, found, verifyimages.World{Digests: signer{locked: lock, by: []string{key}}, Facts: known})
			if len(got) != 1 || (got[0].Outcome == policy.Mutated) != (test.want == "") {
				t.Fatalf("results: %+v", got)
			}
			if test.want != "" && (got[0].Outcome != policy.Failed || !strings.Contains(got[0].Message, test.want)) {
				t.Errorf("%+v, want Failed with %q", got[0], test.want)
			}
			if test.is != nil && !errors.Is(got[0].Err, test.is) {
				t.Errorf("error %v, want %v", got[0].Err, test.is)
			}
		})
	}
}
