package lock

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/oneloop-dev/oneloop/pkg/digest"
	"github.com/oneloop-dev/oneloop/pkg/resource"
	"github.com/oneloop-dev/oneloop/pkg/signature"
)

// A Signature says that an image was found to be signed by an attestor. It goes
// by the digest of the image and by what it was verified with: a tag that moves
// and a policy that names another key have no use for it.
type Signature struct {
	// Image is repository and digest.
	Image string `json:"image"`
	// Attestor is the ID of a signature.Attestor.
	Attestor string `json:"attestor"`
	// By is for people: the key or certificate.
	By string `json:"by,omitempty"`
}

// NewSignature records a verification.
func NewSignature(v digest.Verification) Signature {
	return Signature{Image: digest.Reference(v.Image), Attestor: v.By.ID(), By: v.By.String()}
}

// check returns the first field that is at fault.
func (s Signature) check() (field string, err error) {
	if _, err := name.NewDigest(s.Image); err != nil {
		return "image", fmt.Errorf("expected an image by its digest such as ghcr.io/team/app@sha256:...: %w", err)
	}
	_, d, _ := strings.Cut(s.Image, "@")
	if err := checkDigest(d); err != nil {
		return "image", err
	}
	if err := checkDigest(s.Attestor); err != nil {
		return "attestor", err
	}
	return "", nil
}

// key is the same for records that say the same.
func (s Signature) key() string {
	image := s.Image
	if d, err := name.NewDigest(image); err == nil {
		image = digest.Reference(d.Context().Digest(d.DigestStr())) // without a tag
	}
	return image + " " + s.Attestor
}

// Verify implements digest.Verifier: what the lock has no record of is an error
// that wraps digest.ErrMissing and says what to run.
func (l resolver) Verify(_ context.Context, image name.Digest, by *signature.Attestor) error {
	if l.verified[NewSignature(digest.Verification{Image: image, By: by}).key()] {
		return nil
	}
	file := l.origin.File
	if file == "" {
		file = "the image lock"
	}
	return fmt.Errorf("the signature of %s by %s is %w: run `oneloop lock --lock %s` with these policies and manifests, which verifies it",
		digest.Reference(image), by, digest.ErrMissing, file)
}

// WriteSignatures gives the document of a lock the records in set and takes
// those out that drop names, as Write does with entries.
func WriteSignatures(doc *resource.Resource, set []Signature, drop func(Signature) bool) (changed bool, err error) {
	o, err := doc.Object()
	if err != nil {
		return false, err
	}
	l, err := Parse(doc)
	if err != nil {
		return false, err
	}
	was, _ := o["signatures"].([]any)
	lines := map[string]any{}
	for i, s := range l.Signatures {
		if _, twice := lines[s.key()]; !twice && (drop == nil || !drop(s)) {
			lines[s.key()] = was[i]
		}
	}
	for _, s := range set {
		if _, known := lines[s.key()]; known {
			continue // its text stays
		}
		m := map[string]any{"image": s.Image, "attestor": s.Attestor}
		if s.By != "" {
			m["by"] = s.By
		}
		lines[s.key()] = m
	}
	after := maps.Clone(o)
	delete(after, "signatures")
	if len(lines) > 0 {
		var all []any
		for _, k := range slices.Sorted(maps.Keys(lines)) {
			all = append(all, lines[k])
		}
		after["signatures"] = all
	}
	if resource.Equal(o, after) {
		return false, nil
	}
	return true, doc.Update(after)
}
