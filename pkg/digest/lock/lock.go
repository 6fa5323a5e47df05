// Package lock reads image locks: the committed answer to which digest each
// tag points at.
package lock

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/oneloop-dev/oneloop/pkg/decode"
	"github.com/oneloop-dev/oneloop/pkg/digest"
	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// Kind is the kind of a lock.
var Kind = resource.Kind{Group: "oneloop.dev", Version: "v1alpha1", Kind: "ImageLock"}

// A Lock is a document of kind ImageLock.
type Lock struct {
	APIVersion string         `json:"apiVersion"`
	Kind       string         `json:"kind"`
	Metadata   map[string]any `json:"metadata,omitempty"`
	Images     []Entry        `json:"images,omitempty"`
	// Signatures tells which images were verified, and by whom they are signed.
	Signatures []Signature `json:"signatures,omitempty"`

	origin   resource.Origin
	digests  map[string]name.Digest // by the tag's Name
	verified map[string]bool        // by Signature.key
}

// An Entry is one reference and its digest.
type Entry struct {
	// Reference names registry, repository and tag. What is left out means
	// what it means to a container runtime (docker.io, library, latest).
	Reference string `json:"reference"`
	// Digest is that of the index, or of the manifest when Platform is set or
	// the image has a single one.
	Digest string `json:"digest"`
	// MediaType is what the digest names: an index or a manifest.
	MediaType string `json:"mediaType,omitempty"`
	// Platform is the platform that was chosen out of an index.
	Platform string `json:"platform,omitempty"`
}

// Parse reads a lock. The entries may stand in any order, and may say the same
// twice; one reference with two digests is a fault. The error joins all
// faults, each with file and line where they are known.
func Parse(r *resource.Resource) (*Lock, error) {
	o, err := r.Object()
	if err != nil {
		return nil, err
	}
	l := &Lock{origin: r.Origin(), digests: map[string]name.Digest{}, verified: map[string]bool{}}
	var errs []error
	fault := func(path fieldpath.Path, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %w", place(r, path), fmt.Errorf(format, args...)))
	}
	if k := r.ID().Kind; k != Kind {
		fault(nil, "expected %s, found %s", Kind, k)
		return nil, errors.Join(errs...)
	}
	for _, f := range decode.Strict(o, l) {
		fault(f.Path, "%s", f.Message)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	first := map[string]int{}
	for i, e := range l.Images {
		at := fieldpath.Path{fieldpath.Key("images"), fieldpath.Index(i)}
		tag, d, err := e.parse()
		if err != nil {
			field := "reference"
			if tag != (name.Tag{}) {
				field = "digest"
			}
			fault(at.Key(field), "%w", err)
			continue
		}
		if old, ok := l.digests[tag.Name()]; ok && old.DigestStr() != d.DigestStr() {
			fault(at, "%s is locked to two digests, %s at %s and %s here: keep one", digest.Reference(tag), old.DigestStr(),
				place(r, fieldpath.Path{fieldpath.Key("images"), fieldpath.Index(first[tag.Name()])}), d.DigestStr())
			continue
		}
		if _, ok := first[tag.Name()]; !ok {
			first[tag.Name()] = i
		}
		l.digests[tag.Name()] = d
	}
	for i, s := range l.Signatures {
		at := fieldpath.Path{fieldpath.Key("signatures"), fieldpath.Index(i)}
		if field, err := s.check(); err != nil {
			fault(at.Key(field), "%w", err)
			continue
		}
		l.verified[s.key()] = true
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return l, nil
}

// Agree returns an error for each reference that two locks of a run give other
// digests: which of them is meant can't be known.
func Agree(locks ...*Lock) error {
	var errs []error
	for i, l := range locks {
		for _, earlier := range locks[:i] {
			for _, ref := range slices.Sorted(maps.Keys(l.digests)) {
				if was, ok := earlier.digests[ref]; ok && was.DigestStr() != l.digests[ref].DigestStr() {
					errs = append(errs, fmt.Errorf("%s is locked to %s in %s and to %s in %s: keep one",
						strings.Replace(ref, name.DefaultRegistry+"/", "docker.io/", 1), was.DigestStr(), earlier.name(), l.digests[ref].DigestStr(), l.name()))
				}
			}
		}
	}
	return errors.Join(errs...)
}

// name is what to call the lock in an error.
func (l *Lock) name() string {
	if s := l.origin.String(); s != "" {
		return s
	}
	return "the ImageLock of the functionConfig"
}

// place names file, line and field.
func place(r *resource.Resource, path fieldpath.Path) string {
	at := r.Origin()
	if line := r.Line(path); line > 0 {
		at.Line = line
	}
	s := "ImageLock"
	if o := at.String(); o != "" {
		s = o
	}
	if len(path) > 0 {
		s += " at " + path.String()
	}
	return s
}

// parse reads both fields. On a fault of the digest the tag is set.
func (e Entry) parse() (name.Tag, name.Digest, error) {
	if e.Reference == "" {
		return name.Tag{}, name.Digest{}, errors.New("expected an image reference such as ghcr.io/team/app:1.2")
	}
	if strings.Contains(e.Reference, "@") {
		return name.Tag{}, name.Digest{}, fmt.Errorf("%q has a digest already: expected a tag", e.Reference)
	}
	tag, err := name.NewTag(e.Reference)
	if err != nil {
		return name.Tag{}, name.Digest{}, fmt.Errorf("expected an image reference such as ghcr.io/team/app:1.2: %w", err)
	}
	if err := checkDigest(e.Digest); err != nil {
		return tag, name.Digest{}, err
	}
	return tag, tag.Context().Digest(e.Digest), nil
}

func checkDigest(s string) error {
	hex, ok := strings.CutPrefix(s, "sha256:")
	if !ok || len(hex) != 64 || strings.Trim(hex, "0123456789abcdef") != "" {
		return fmt.Errorf("expected sha256: and 64 hexadecimal digits, found %q", s)
	}
	return nil
}

// Resolver answers from the lock alone. A reference that it lacks is an error
// that wraps digest.ErrMissing and says what to write into which file.
func (l *Lock) Resolver() digest.Resolver { return resolver{l} }

type resolver struct{ *Lock }

func (l resolver) Resolve(_ context.Context, tag name.Tag) (name.Digest, error) {
	if d, ok := l.digests[tag.Name()]; ok {
		return d, nil
	}
	file := l.origin.File
	if file == "" {
		file = "the image lock"
	}
	ref := digest.Reference(tag)
	return name.Digest{}, fmt.Errorf("the digest of %s is %w: run `oneloop lock --lock %s` with these policies and manifests, or allow to ask the registry", ref, digest.ErrMissing, file)
}
