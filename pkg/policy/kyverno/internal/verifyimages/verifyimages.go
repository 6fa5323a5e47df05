// Package verifyimages runs the verifyImages rules of Kyverno 1.19: it pins tags
// (mutateDigest) to digests whose signatures it has asked for (attestors), and
// checks what a rule demands (verifyDigest, required). A tag is resolved once:
// the digest that is verified is the one that is written. Attestations are not
// verified: where a rule asks for them the result is an error.
//
// Kyverno runs such a rule twice, and so must the caller: Pin of all policies
// after their mutate rules, then Check of all policies.
package verifyimages

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/oneloop-dev/oneloop/pkg/digest"
	"github.com/oneloop-dev/oneloop/pkg/expr/jmespath"
	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/image"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/spec"
	"github.com/oneloop-dev/oneloop/pkg/resource"
	"github.com/oneloop-dev/oneloop/pkg/signature"
	"github.com/oneloop-dev/oneloop/pkg/wildcard"
)

// A Rule is a compiled rule. It is immutable and serves many goroutines.
type Rule struct {
	name       string
	entries    []entry
	extractors map[string][]image.Extractor // by the name of a kind
}

// An entry is one element of verifyImages.
type entry struct {
	references []string
	skip       []string
	mutate     bool // mutateDigest
	verify     bool // verifyDigest
	required   bool
	signed     string // the field that asks for signatures; "" for none
	action     string // failureAction; "" for that of the policy
	spec       *spec.ImageVerification
	sets       []set // the attestors; nil when they depend on the resource or on facts
}

// A Fault is a fault in a rule, with its place below the rule.
type Fault struct {
	Path fieldpath.Path
	Err  error
}

func (f *Fault) Error() string { return f.Path.String() + ": " + f.Err.Error() }

// Unwrap returns the cause.
func (f *Fault) Unwrap() error { return f.Err }

// Compile compiles the verifyImages and imageExtractors of a rule. The error
// joins *Fault values. As in Kyverno a rule whose images go through a jmesPath
// must not mutate digests: what would be written back is not what was read.
func Compile(rule *spec.Rule) (*Rule, error) {
	r := &Rule{name: rule.Name}
	var errs []error
	at := fieldpath.Path{}.Key("verifyImages")
	mutates := false
	for i := range rule.VerifyImages {
		v := &rule.VerifyImages[i]
		e := entry{
			references: v.References(),
			skip:       v.SkipImageReferences,
			mutate:     v.MutatesDigest(),
			verify:     v.VerifiesDigest(),
			required:   v.IsRequired(),
			signed:     signed(v),
			action:     v.FailureAction,
			spec:       v,
		}
		if e.signed != "" && fixed(v) {
			e.sets = compileSets(i, v, nil)
		}
		if len(e.references) == 0 {
			errs = append(errs, &Fault{at.Index(i).Key("imageReferences"), errors.New(`expected at least one pattern, such as "ghcr.io/team/*"`)})
		}
		mutates = mutates || e.mutate
		r.entries = append(r.entries, e)
	}
	at = fieldpath.Path{}.Key("imageExtractors")
	for _, kind := range slices.Sorted(maps.Keys(rule.ImageExtractors)) {
		configs := rule.ImageExtractors[kind]
		var extractors []image.Extractor
		if len(configs) == 0 {
			errs = append(errs, &Fault{at.Key(kind), policy.Failing(errors.New("expected at least one extractor"))})
		}
		for i, c := range configs {
			var transform func(any) (any, error)
			if c.JMESPath != "" {
				if mutates {
					errs = append(errs, &Fault{at.Key(kind).Index(i).Key("jmesPath"),
						errors.New("a digest can't be written back through a jmesPath: set mutateDigest: false in all verifyImages of the rule, or extract the reference itself")})
					continue
				}
				q, err := jmespath.Compile(c.JMESPath)
				if err != nil {
					errs = append(errs, &Fault{at.Key(kind).Index(i).Key("jmesPath"), err})
					continue
				}
				transform = func(v any) (any, error) { return q.Search(v, jmespath.Env{}) }
			}
			e, err := image.NewExtractor(c.Path, c.Value, c.Key, c.Name, transform)
			if err != nil {
				errs = append(errs, &Fault{at.Key(kind).Index(i).Key("path"), err})
				continue
			}
			extractors = append(extractors, e)
		}
		if r.extractors == nil {
			r.extractors = map[string][]image.Extractor{}
		}
		r.extractors[kind] = extractors
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return r, nil
}

// signed names the field by which an entry asks for signatures.
func signed(v *spec.ImageVerification) string {
	switch {
	case len(v.Attestations) > 0:
		return "attestations"
	case len(v.Attestors) > 0:
		return "attestors"
	case v.Key != "":
		return "key"
	case v.Issuer != "":
		return "issuer"
	case v.Image != "" && len(v.Annotations) > 0:
		return "annotations"
	}
	return ""
}

// The messages that Kyverno's reports carry.
const (
	mutatedDigest = "mutated image digest"
	imageVerified = "image verified"
)

// A Violation says that an image is not as an entry of verifyImages demands.
// It is the Err of a policy.Denied result.
type Violation struct {
	Image  string // in full
	Reason string // "missing digest for" or "unverified image"
	// FailureAction is the entry's own, Audit or Enforce; "" leaves it to the
	// policy.
	FailureAction string
	// Cause says why a signature could not be verified; else it is nil.
	Cause error
}

// Unwrap returns the cause.
func (v *Violation) Unwrap() error { return v.Cause }

func (v *Violation) Error() string {
	switch {
	case v.Cause != nil:
		return "failed to verify image " + v.Image + ": " + v.Cause.Error()
	case v.Reason == missingDigest:
		return v.Reason + " " + v.Image + ": pin it, or set mutateDigest so that the rule does"
	default:
		return v.Reason + " " + v.Image + ": the rule has required set and no attestors that verify it"
	}
}

const (
	missingDigest = "missing digest for"
	unverified    = "unverified image"
)

// Images returns the images of o that some entry's imageReferences match, in
// the order initContainers, containers, ephemeralContainers, or that of the
// imageExtractors; one that several entries match comes once for each, as in
// Kyverno. When there are none the rule has no result, not even for its
// preconditions. An error is the result of the rule.
//
// In Kyverno all rules of one policy see the images as they were before the
// first of them pinned any.
func (r *Rule) Images(kind resource.Kind, o resource.Object) ([]image.Field, error) {
	groups, err := image.Groups(kind, o, r.extractors[kind.Kind]...)
	if err != nil {
		return nil, err
	}
	var out []image.Field
	for _, g := range groups {
		for _, f := range g.Fields {
			for _, e := range r.entries {
				if wildcard.MatchAny(e.references, f.Full) {
					out = append(out, f)
				}
			}
		}
	}
	return out, nil
}

// Pin writes the digests of images, which Images found, into o. It returns one
// result per image and entry that had something to do: Mutated with the object
// so far, Passed when it is verified or another entry pinned it already, Skipped
// when an entry asks for no signature of it or digests are switched off, Denied
// with a *Violation when it is not signed as an entry demands or nobody knows,
// and Failed when the digest is not known. o is not modified.
//
// As in Kyverno, skipImageReferences spares an image the signature, not the
// digest, and mutateDigest of one entry pins the images of all.
func (r *Rule) Pin(ctx context.Context, o resource.Object, images []image.Field, w World) []policy.Result {
	var results []policy.Result
	add := func(outcome policy.Outcome, message string, object resource.Object, err error) {
		results = append(results, policy.Result{Rule: r.name, Outcome: outcome, Message: message, Object: object, Err: err})
	}
	off := false
	for i, e := range r.entries {
		for _, f := range images {
			message := mutatedDigest
			if e.demands(f.Full) {
				if off {
					continue
				}
				err := r.verify(ctx, i, f, w)
				switch {
				case errors.Is(err, digest.ErrOff):
					off = true
					add(policy.Skipped, switchedOff, nil, nil)
					continue
				case err != nil:
					results = append(results, r.unsigned(e, f, err))
					continue
				}
				message = "verified image signatures for " + f.Full
			} else if e.signed != "" {
				add(policy.Skipped, "skipping image reference "+f.Full, nil, nil)
			}
			if !e.mutate || f.Digest != "" || off {
				if message != mutatedDigest {
					add(policy.Passed, message, nil, nil)
				}
				continue
			}
			d, err := resolve(ctx, f, w.Digests)
			if errors.Is(err, digest.ErrOff) {
				off = true
				add(policy.Skipped, switchedOff, nil, nil)
				continue
			}
			if err != nil {
				err = &policy.FieldError{Path: f.At, Err: err}
				add(policy.Failed, err.Error(), nil, err)
				continue
			}
			pin := f.Full + "@" + d.DigestStr()
			if now, _ := fieldpath.Get(o, f.At); now == pin {
				add(policy.Passed, message, nil, nil)
				continue
			}
			pinned, err := image.Pin(o, f.At, pin)
			if err != nil {
				add(policy.Failed, err.Error(), nil, err)
				continue
			}
			o = pinned
			add(policy.Mutated, message, o, nil)
		}
	}
	return results
}

const switchedOff = "resolving digests is switched off"

// resolve returns the image by its digest: its own, or the one its tag has.
func resolve(ctx context.Context, f image.Field, resolver digest.Resolver) (name.Digest, error) {
	ref, err := name.ParseReference(f.Full)
	if err != nil {
		return name.Digest{}, fmt.Errorf("image reference %q: %w", f.Full, err)
	}
	if f.Digest != "" {
		return ref.Context().Digest(f.Digest), nil
	}
	tag, ok := ref.(name.Tag)
	if !ok {
		return name.Digest{}, fmt.Errorf("image reference %q: expected a tag", f.Full)
	}
	return resolver.Resolve(ctx, tag)
}

// verify asks for the signatures that an entry demands of an image.
func (r *Rule) verify(ctx context.Context, i int, f image.Field, w World) error {
	if e := r.entries[i]; e.signed == "attestations" {
		return fmt.Errorf("%s asks for attestations of %s, and attestations can't be verified at render time yet: "+
			"move the entry to a policy of its own that is not rendered, or list the image in skipImageReferences: %w",
			fieldpath.Path{}.Key("verifyImages").Index(i).Key(e.signed), f.Full, errors.ErrUnsupported)
	}
	sets, err := r.sets(i, w)
	if err != nil {
		return err
	}
	if len(sets) == 0 {
		return fmt.Errorf("%s: expected attestors", fieldpath.Path{}.Key("verifyImages").Index(i))
	}
	if _, off := w.Digests.(digest.Off); !off {
		for i := range sets {
			if err := sets[i].hopeless(); err != nil {
				return err
			}
		}
	}
	d, err := resolve(ctx, f, w.Digests)
	if err != nil {
		return err
	}
	return verify(ctx, sets, d, w.Digests)
}

// unsigned is the result for an image that is not verified. What can't be
// verified at all, or could not be found out, is a failure of the rule.
func (r *Rule) unsigned(e entry, f image.Field, err error) policy.Result {
	known := errors.Is(err, signature.ErrUnverified) || errors.Is(err, digest.ErrMissing)
	if !known || errors.Is(err, errors.ErrUnsupported) || errors.Is(err, facts.ErrMissing) {
		err = &policy.FieldError{Path: f.At, Err: fmt.Errorf("failed to verify image %s: %w", f.Full, err)}
		return policy.Result{Rule: r.name, Outcome: policy.Failed, Message: err.Error(), Err: err}
	}
	v := &Violation{Image: f.Full, Reason: unverified, FailureAction: e.action, Cause: err}
	return policy.Result{Rule: r.name, Outcome: policy.Denied, Message: v.Error(), Err: &policy.FieldError{Path: f.At, Err: v}}
}

// demands reports whether the entry asks for a signature of an image.
func (e entry) demands(full string) bool {
	return e.signed != "" && wildcard.MatchAny(e.references, full) && !wildcard.MatchAny(e.skip, full)
}

// Checks reports whether Check may have a result at all.
func (r *Rule) Checks() bool {
	for _, e := range r.entries {
		if e.verify || e.required {
			return true
		}
	}
	return false
}

// Check tells whether the images of o, the object after Pin of all policies,
// have the digests and signatures that the rule demands: one result, Passed,
// Skipped, or Denied with a *Violation for the first image that lacks
// something. There is none when no image matches. What a switched-off resolver
// left unpinned or unverified is not held against the rule.
func (r *Rule) Check(ctx context.Context, kind resource.Kind, o resource.Object, w World) []policy.Result {
	if !r.Checks() {
		return nil
	}
	groups, err := image.Groups(kind, o, r.extractors[kind.Kind]...)
	if err != nil {
		return []policy.Result{{Rule: r.name, Outcome: policy.Failed, Message: err.Error(), Err: err}}
	}
	matched := false
	_, off := w.Digests.(digest.Off)
	var skipped []string
	for _, e := range r.entries {
		for _, g := range groups {
			for _, f := range g.Fields {
				if !wildcard.MatchAny(e.references, f.Full) {
					continue
				}
				matched = true
				if e.verify && f.Digest == "" && !(off && e.mutate) {
					return r.denied(e, missingDigest, f)
				}
				if !e.required {
					continue
				}
				switch r.signature(f) {
				case demanded:
					if result, ok := r.recheck(ctx, f, w); !ok {
						return result
					}
				case spared:
					skipped = append(skipped, f.Full)
				default:
					return r.denied(e, unverified, f)
				}
			}
		}
	}
	if !matched {
		return nil
	}
	if len(skipped) > 0 {
		return []policy.Result{{Rule: r.name, Outcome: policy.Skipped, Message: "image skipped, skipped images: " + strings.Join(skipped, " ")}}
	}
	return []policy.Result{{Rule: r.name, Outcome: policy.Passed, Message: imageVerified}}
}

// recheck verifies an image again, which Pin may not have seen: what it has seen
// is known by now. When it is not verified there is one result, or none when
// signatures are switched off.
func (r *Rule) recheck(ctx context.Context, f image.Field, w World) ([]policy.Result, bool) {
	seen := asSeen(f)
	for i, e := range r.entries {
		if !e.demands(seen) {
			continue
		}
		if err := r.verify(ctx, i, f, w); errors.Is(err, digest.ErrOff) {
			return nil, false
		} else if err != nil {
			return []policy.Result{r.unsigned(e, f, err)}, false
		}
	}
	return nil, true
}

// asSeen is the reference that Pin saw, most likely with its tag alone.
func asSeen(f image.Field) string {
	if f.Tag != "" {
		return f.FullWithTag
	}
	return f.Full
}

func (r *Rule) denied(e entry, reason string, f image.Field) []policy.Result {
	return []policy.Result{{
		Rule: r.name, Outcome: policy.Denied, Message: reason + " " + f.Full,
		Err: &Violation{Image: f.Full, Reason: reason, FailureAction: e.action},
	}}
}

type asked int

const (
	neverAsked asked = iota // no entry asks for signatures
	spared                  // entries ask for signatures, but not of this image
	demanded
)

// signature tells what the rule as a whole asked for when Pin saw the image.
func (r *Rule) signature(f image.Field) asked {
	seen := asSeen(f)
	is := neverAsked
	for _, e := range r.entries {
		switch {
		case e.demands(seen):
			return demanded
		case e.signed != "":
			is = spared
		}
	}
	return is
}
