package digest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/oneloop-dev/oneloop/pkg/signature"
)

// A Verifier is a Resolver that also knows who signed an image: optional, found
// by type assertion. Verify returns nil when image is signed by the Attestor; an
// error that wraps signature.ErrUnverified when it is not, ErrMissing when the
// Verifier does not know, and neither when nobody could find out.
type Verifier interface {
	Verify(ctx context.Context, image name.Digest, by *signature.Attestor) error
}

// Verify asks r, which may be no Verifier.
func Verify(ctx context.Context, r Resolver, image name.Digest, by *signature.Attestor) error {
	if v, ok := r.(Verifier); ok {
		return v.Verify(ctx, image, by)
	}
	return unknownSignature(image, by, "oneloop lock looks for it")
}

func unknownSignature(image name.Digest, by *signature.Attestor, hint string) error {
	return fmt.Errorf("the signature of %s by %s is %w: %s", Reference(image), by, ErrMissing, hint)
}

// Verify refuses, as Resolve does.
func (n none) Verify(_ context.Context, image name.Digest, by *signature.Attestor) error {
	return unknownSignature(image, by, string(n))
}

// Verify refuses with ErrOff.
func (Off) Verify(_ context.Context, image name.Digest, _ *signature.Attestor) error {
	return fmt.Errorf("the signature of %s: %w", Reference(image), ErrOff)
}

// Verify asks each in turn, as Resolve does.
func (f first) Verify(ctx context.Context, image name.Digest, by *signature.Attestor) error {
	var miss error
	for _, r := range f {
		err := Verify(ctx, r, image, by)
		if err == nil || !errors.Is(err, ErrMissing) {
			return err
		}
		if miss == nil {
			miss = err
		}
	}
	if miss == nil {
		miss = unknownSignature(image, by, "oneloop lock looks for it")
	}
	return miss
}

func (l *limitInspector) Verify(ctx context.Context, image name.Digest, by *signature.Attestor) error {
	if err := l.enter(ctx); err != nil {
		return err
	}
	defer l.leave()
	return Verify(ctx, l.next, image, by)
}

func (m *memoInspector) Verify(ctx context.Context, image name.Digest, by *signature.Attestor) error {
	_, err := m.verified.do(ctx, image.Name()+" "+by.ID(), func() (struct{}, error) {
		return struct{}{}, Verify(ctx, m.next, image, by)
	})
	return err
}

// A Verification is an image and who signed it, or has to have.
type Verification struct {
	Image name.Digest
	By    *signature.Attestor
}

func (v Verification) key() string { return v.Image.Name() + " " + v.By.ID() }

// verifications is a set of them.
type verifications struct {
	mu  sync.Mutex
	all map[string]Verification
}

func (s *verifications) add(v Verification) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[string]Verification{}
	}
	s.all[v.key()] = v
}

func (s *verifications) sorted() []Verification {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Verification, 0, len(s.all))
	for _, v := range s.all {
		out = append(out, v)
	}
	slices.SortFunc(out, func(a, b Verification) int { return strings.Compare(a.key(), b.key()) })
	return out
}

// Verify implements Verifier: what next does not know it takes a note of. A
// digest that stands for one counts as signed: its turn comes when it is known.
func (c *Collector) Verify(ctx context.Context, image name.Digest, by *signature.Attestor) error {
	c.mu.Lock()
	_, standIn := c.standIns[image.DigestStr()]
	c.mu.Unlock()
	if standIn {
		return nil
	}
	c.signed.add(Verification{image, by})
	err := Verify(ctx, c.next, image, by)
	if errors.Is(err, ErrMissing) {
		c.unsigned.add(Verification{image, by})
	}
	return err
}

// Signed returns all signatures that were asked for, sorted.
func (c *Collector) Signed() []Verification { return c.signed.sorted() }

// Unsigned returns the signatures that next did not know of, sorted.
func (c *Collector) Unsigned() []Verification { return c.unsigned.sorted() }

func (a *asked) Verify(_ context.Context, image name.Digest, by *signature.Attestor) error {
	return unknownSignature(image, by, "it is asked for later")
}

func (r recording) Verify(ctx context.Context, image name.Digest, by *signature.Attestor) error {
	err := Verify(ctx, r.next, image, by)
	if err == nil {
		r.to.verified.add(Verification{image, by})
	}
	return err
}

// Verified returns who was found to have signed what, sorted.
func (r *Recorder) Verified() []Verification { return r.verified.sorted() }
