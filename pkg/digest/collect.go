package digest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
)

// A Collector is the Resolver of a dry run: it passes on what next knows, and
// for every other tag takes a note and answers a digest that stands for it, so
// that one run finds all tags without asking for any.
type Collector struct {
	next Resolver
	mu   sync.Mutex
	asked,
	missing map[string]name.Tag // by the tag's Name
	standIns  map[string]name.Tag       // by digest
	inspected map[string]name.Reference // by the reference's Name
	waiting   bool                      // an image was asked about by a stand-in

	signed, unsigned verifications
}

// Collect returns a Collector in front of next, which has to answer at once: a
// lock.
func Collect(next Resolver) *Collector {
	return &Collector{next: next, asked: map[string]name.Tag{}, missing: map[string]name.Tag{}, standIns: map[string]name.Tag{}, inspected: map[string]name.Reference{}}
}

// Resolve implements Resolver.
func (c *Collector) Resolve(ctx context.Context, tag name.Tag) (name.Digest, error) {
	d, err := c.next.Resolve(ctx, tag)
	if err != nil && !errors.Is(err, ErrMissing) {
		return d, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked[tag.Name()] = tag
	if err == nil {
		return d, nil
	}
	sum := sha256.Sum256([]byte("stands for " + tag.Name()))
	standIn := "sha256:" + hex.EncodeToString(sum[:])
	c.missing[tag.Name()], c.standIns[standIn] = tag, tag
	return tag.Context().Digest(standIn), nil
}

// Inspect implements Inspector: what next does not know it takes a note of, and
// has no answer, as nothing can stand for what an image says.
func (c *Collector) Inspect(ctx context.Context, ref name.Reference) (Image, error) {
	if in, ok := c.next.(Inspector); ok {
		if image, err := in.Inspect(ctx, ref); err == nil || !errors.Is(err, ErrMissing) {
			return image, err
		}
	}
	d, pinned := ref.(name.Digest)
	if tag, ok := ref.(name.Tag); ok {
		// Its digest, where it is known, decides which image is asked about.
		var err error
		if d, err = c.Resolve(ctx, tag); err != nil {
			return Image{}, err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	_, standIn := c.standIns[d.DigestStr()]
	switch {
	case pinned && standIn:
		c.waiting = true
	case standIn:
		c.inspected[ref.Name()] = ref
	default:
		c.inspected[d.Name()] = d
	}
	return Image{}, fmt.Errorf("the manifest of %s is %w", ref.Name(), ErrMissing)
}

// Asked returns all tags that were asked for, sorted by name.
func (c *Collector) Asked() []name.Tag { return c.sorted(c.asked) }

// Missing returns the tags that next did not know, sorted by name.
func (c *Collector) Missing() []name.Tag { return c.sorted(c.missing) }

func (c *Collector) sorted(tags map[string]name.Tag) []name.Tag {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]name.Tag, 0, len(tags))
	for _, t := range tags {
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b name.Tag) int { return strings.Compare(a.Name(), b.Name()) })
	return out
}

// StandsFor returns the tag whose stand-in some text holds.
func (c *Collector) StandsFor(text string) (name.Tag, bool) {
	_, digest, ok := strings.Cut(text, "@")
	if !ok {
		return name.Tag{}, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	tag, ok := c.standIns[digest]
	return tag, ok
}
