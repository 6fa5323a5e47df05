package pinimages

import (
	"context"
	_ "embed" // the manual
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/oneloop-dev/oneloop/pkg/decode"
	"github.com/oneloop-dev/oneloop/pkg/digest"
	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/image"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/resource"
	"github.com/oneloop-dev/oneloop/pkg/wildcard"
)

// Kind is the kind of the policy.
var Kind = resource.Kind{Group: "oneloop.dev", Version: "v1alpha1", Kind: "PinImages"}

// Language reads PinImages.
var Language = policy.Language{
	Name:    "pinimages",
	Doc:     policy.Manual(source),
	Claims:  func(k resource.Kind) bool { return k.Group == Kind.Group && k.Kind == Kind.Kind },
	Compile: compile,
	Vet:     vet,
}

//go:embed doc.go
var source string

// Rule is the name of the only rule of a policy.
const Rule = "pin"

// A document is a PinImages.
type document struct {
	APIVersion string         `json:"apiVersion"`
	Kind       string         `json:"kind"`
	Metadata   map[string]any `json:"metadata"`
	Spec       Spec           `json:"spec"`
}

// A Spec says which images are pinned. The zero value: all, in the kinds that
// image.Everywhere knows.
type Spec struct {
	// Images are patterns of references to pin, in full or as they are
	// written; * and ? are wildcards. None: all.
	Images []string `json:"images,omitempty"`
	// Skip are patterns of references to leave alone.
	Skip []string `json:"skip,omitempty"`
	// Extractors tell where other kinds name images.
	Extractors []Extractor `json:"extractors,omitempty"`
}

// An Extractor tells where a kind names images.
type Extractor struct {
	// APIVersion is that of the kind, or its group alone: any version of it.
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	// Path leads to the field, such as /spec/steps/*/image, with * for every
	// element of a list or map.
	Path string `json:"path"`
}

// All returns the policy that pins every image of the kinds that are known: what
// the options of a run ask for that name no policy.
func All() (*resource.Resource, error) {
	return resource.New(resource.Object{"apiVersion": Kind.APIVersion(), "kind": Kind.Kind, "metadata": map[string]any{"name": "pin-all"}})
}

// vet tells what a policy needs.
func vet(docs []*resource.Resource) []policy.Finding {
	var out []policy.Finding
	for _, d := range docs {
		out = append(out, policy.Finding{
			Policy: policy.Ref{ID: d.ID(), Origin: d.Origin()}, Rule: Rule, Check: policy.Needed, Severity: policy.Note,
			Message: "needs the digests of the images that it pins: write them into the lock with oneloop lock",
		})
	}
	return out
}

func compile(docs []*resource.Resource) (policy.Set, error) {
	var set policy.Set
	var errs []error
	for _, d := range docs {
		p, err := compileOne(d)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		set.Programs = append(set.Programs, p)
	}
	return set, errors.Join(errs...)
}

func compileOne(d *resource.Resource) (*program, error) {
	p := &program{ref: policy.Ref{ID: d.ID(), Origin: d.Origin()}, extractors: map[[2]string][]extractor{}}
	fault := func(at fieldpath.Path, err error) error {
		return &policy.Error{Policy: p.ref, Line: d.Line(at), Path: at, Err: err}
	}
	if d.ID().Kind != Kind {
		return nil, fault(nil, fmt.Errorf("version %q is not known: expected %s", d.ID().Kind.Version, Kind.APIVersion()))
	}
	o, err := d.Object()
	if err != nil {
		return nil, fault(nil, err)
	}
	var doc document
	var errs []error
	for _, f := range decode.Strict(map[string]any(o), &doc) {
		errs = append(errs, fault(f.Path, errors.New(f.Message)))
	}
	p.images, p.skip = doc.Spec.Images, doc.Spec.Skip
	at := fieldpath.Path{}.Key("spec").Key("extractors")
	for i, x := range doc.Spec.Extractors {
		if x.APIVersion == "" || x.Kind == "" {
			errs = append(errs, fault(at.Index(i), errors.New("expected apiVersion and kind of the objects, such as tekton.dev/v1 and Task")))
			continue
		}
		e, err := image.NewExtractor(x.Path, "", "", "", nil)
		if err == nil && strings.HasSuffix(strings.TrimRight(x.Path, "/ "), "*") {
			err = errors.New("expected a field at the end, such as /spec/steps/*/image")
		}
		if err != nil {
			errs = append(errs, fault(at.Index(i).Key("path"), err))
			continue
		}
		group, version, ok := strings.Cut(x.APIVersion, "/")
		if !ok && !strings.Contains(group, ".") {
			group, version = "", group // of the core group, such as v1
		}
		key := [2]string{group, x.Kind}
		p.extractors[key] = append(p.extractors[key], extractor{version, e})
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return p, nil
}

// An extractor is one of a policy; version is "" for any.
type extractor struct {
	version string
	image.Extractor
}

// A program is a compiled policy.
type program struct {
	ref          policy.Ref
	images, skip []string
	extractors   map[[2]string][]extractor // by group and kind
}

// Policy implements policy.Program.
func (p *program) Policy() policy.Ref { return p.ref }

// Selects implements policy.Program. Kinds that it knows nothing about are
// looked through for containers, so that none is passed over in silence.
func (p *program) Selects(resource.Kind) bool { return true }

// Apply implements policy.Program.
func (p *program) Apply(ctx context.Context, in policy.Input) ([]policy.Result, error) {
	extractors := image.Everywhere(in.ID.Kind)
	for _, x := range p.extractors[[2]string{in.ID.Kind.Group, in.ID.Kind.Kind}] {
		if x.version == "" || x.version == in.ID.Kind.Version {
			extractors = append(extractors, x.Extractor)
		}
	}
	if len(extractors) == 0 {
		return p.unknown(in.Object), nil
	}
	o, found, matched := in.Object, false, false
	var results []policy.Result
	for _, x := range extractors {
		images, err := x.Find(in.Object)
		if err != nil {
			return []policy.Result{failed(err)}, nil
		}
		for _, w := range images {
			found = true
			pinned, err := p.pin(ctx, w.Text, in.Digests)
			switch {
			case errors.Is(err, digest.ErrOff):
				return []policy.Result{{Rule: Rule, Outcome: policy.Skipped, Message: "resolving digests is switched off"}}, nil
			case err != nil:
				results = append(results, failed(&policy.FieldError{Path: w.At, Err: err}))
			case pinned != w.Text:
				matched = true
				if o, err = image.Pin(o, w.At, pinned); err != nil {
					return nil, err
				}
			}
		}
	}
	switch {
	case matched:
		results = append([]policy.Result{{Rule: Rule, Outcome: policy.Mutated, Message: "pinned", Object: o}}, results...)
	case found && len(results) == 0:
		results = append(results, policy.Result{Rule: Rule, Outcome: policy.Unchanged, Message: "every image has a digest or is left out"})
	}
	return results, nil
}

func failed(err error) policy.Result {
	return policy.Result{Rule: Rule, Outcome: policy.Failed, Message: err.Error(), Err: err}
}

// pin returns a reference with its digest behind it, otherwise as it is written;
// one without a tag gets the one that was resolved, latest. What has a digest or
// is left out comes back as it is.
func (p *program) pin(ctx context.Context, written string, resolver digest.Resolver) (string, error) {
	if wildcard.MatchAny(p.skip, written) {
		return written, nil
	}
	ref, err := image.Parse(written)
	if err != nil {
		return "", fmt.Errorf("%w; correct it, or list it in skip", err)
	}
	if ref.Digest != "" || !p.wants(ref, written) {
		return written, nil
	}
	tag, err := name.NewTag(ref.Full)
	if err != nil {
		return "", fmt.Errorf("image reference %q: %w", written, err)
	}
	d, err := resolver.Resolve(ctx, tag)
	if err != nil {
		return "", err
	}
	if !strings.HasSuffix(written, ":"+ref.Tag) {
		written += ":" + ref.Tag
	}
	return written + "@" + d.DigestStr(), nil
}

// wants reports whether the policy pins a reference.
func (p *program) wants(ref image.Reference, written string) bool {
	match := func(patterns []string) bool {
		return wildcard.MatchAny(patterns, ref.Full) || wildcard.MatchAny(patterns, written)
	}
	return (len(p.images) == 0 || match(p.images)) && !match(p.skip)
}

// unknown warns of containers in a kind that nobody told of.
func (p *program) unknown(o resource.Object) []policy.Result {
	var results []policy.Result
	var look func(v any, at fieldpath.Path, isContainers bool)
	look = func(v any, at fieldpath.Path, isContainers bool) {
		switch v := v.(type) {
		case map[string]any:
			for _, k := range slices.Sorted(maps.Keys(v)) {
				look(v[k], at.Key(k), k == "containers" || k == "initContainers" || k == "ephemeralContainers")
			}
		case []any:
			for i, element := range v {
				at := at.Index(i)
				look(element, at, false)
				m, _ := element.(map[string]any)
				written, ok := m["image"].(string)
				if !ok || !isContainers {
					continue
				}
				ref, err := image.Parse(written)
				if err != nil || ref.Digest != "" || !p.wants(ref, written) {
					continue
				}
				results = append(results, policy.Result{Rule: Rule, Outcome: policy.Noticed,
					Message: fmt.Sprintf("%s: %s is not pinned: this kind is not known; name it in extractors, or the image in skip", at.Key("image"), written)})
			}
		}
	}
	look(map[string]any(o), nil, false)
	return results
}
