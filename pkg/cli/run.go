package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/oneloop-dev/oneloop/pkg/builtin"
	"github.com/oneloop-dev/oneloop/pkg/digest"
	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/pipeline"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/report"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// A plan is everything a run needs, read and compiled: the same for the
// function and for the commands.
type plan struct {
	policies        []*resource.Resource
	facts           *facts.Facts
	digests         digest.Resolver
	atHand          digest.Resolver // the part of digests that asks nobody; nil: all of it
	warnUnsupported bool            // report what can't be evaluated and go on
	keepGoing       bool
	// config reports whether an item configures a function, besides those that
	// say so themselves; nil: none.
	config func(*resource.Resource) bool
	// controllerLabels gives generated resources Kyverno's labels.
	controllerLabels bool
	verification     verification
	// noChanges is set when nobody asks which fields changed.
	noChanges bool
	// printed is set when manifests that say of themselves that they stay on the
	// client come out all the same, on their way to who knows where.
	printed bool
	// lines is set when a report shows the line of each change.
	lines    bool
	admitted func(i int, r *resource.Resource, before, after resource.Object) // nil: nobody asks
	encode   func(*resource.Resource) ([]byte, error)
	// lock, when not nil, is the lock that takes up what registries answered,
	// lookedUp.
	lock     *resource.Resource
	lookedUp *digest.Recorder
}

// apply compiles the policies and applies them to the items. The entries start
// with the notices about policies.
func (p plan) apply(ctx context.Context, s *streams, items []*resource.Resource) (pipeline.Output, error) {
	languages, err := pipeline.ForVersion(builtin.Languages, p.facts.KubernetesVersion)
	if err != nil {
		return pipeline.Output{}, err
	}
	set, err := pipeline.Compile(languages, p.policies)
	unsupported, rest := pipeline.Unsupported(err)
	if !p.warnUnsupported {
		for _, e := range unsupported {
			rest = append(rest, &policyError{e})
		}
		unsupported = nil
	}
	if len(rest) > 0 {
		return pipeline.Output{}, errors.Join(rest...)
	}
	var entries []report.Entry
	for _, e := range unsupported {
		s.warn(e.Error())
		entry := report.Entry{Outcome: policy.Noticed, Message: e.Error()}
		var fault *policy.Error
		if errors.As(e, &fault) {
			entry.Policy, entry.Rule = fault.Policy, fault.Rule
		}
		entries = append(entries, entry)
	}
	for _, n := range set.Notices {
		s.warn((&policy.Error{Policy: n.Policy, Err: errors.New(n.Message)}).Error())
		entries = append(entries, report.Entry{Policy: n.Policy, Outcome: policy.Noticed, Message: n.Message})
	}
	for _, r := range slices.Concat(p.policies, items) {
		s.warnOfBareTexts(r)
	}
	if p.printed {
		s.warnOfMarked(items, set)
	}
	stop := func() {}
	opts := p.options(set, items)
	if p.atHand != nil {
		stop = p.lookAhead(ctx, s, set, items) // shows a progress of its own
	} else if progress := newProgress(s.err, "applying policies to", len(items)); progress.shows() {
		opts.Done = func(r *resource.Resource) { progress.step(r.ID().String()) }
		stop = progress.end
	}
	out, err := pipeline.Apply(ctx, items, opts)
	stop()
	for _, e := range out.Entries {
		if e.Outcome == policy.Noticed {
			s.warn((&policy.Error{Policy: e.Policy, Rule: e.Rule, Resource: e.Resource, At: e.Origin, Err: errors.New(e.Message)}).Error())
		}
	}
	s.warnOfIgnored(out.Entries)
	out.Entries = slices.Insert(out.Entries, 0, entries...)
	if err != nil {
		return out, err
	}
	broken, err := p.verify(ctx, s, set, out)
	out.Entries = append(out.Entries, broken...)
	return out, err
}

// warnOfIgnored says which policies failed without consequence, each with its
// first error: a policy with a fault does nothing, and nobody would notice.
func (s *streams) warnOfIgnored(entries []report.Entry) {
	var first []report.Entry
	others := map[policy.Ref]int{}
	for _, e := range entries {
		if e.Ignored == nil {
			continue
		}
		if _, ok := others[e.Policy]; ok {
			others[e.Policy]++
			continue
		}
		others[e.Policy] = 0
		first = append(first, e)
	}
	for _, e := range first {
		text := e.Ignored.Error()
		if n := others[e.Policy]; n > 0 {
			text += fmt.Sprintf(" (and over %d more of this policy)", n)
		}
		s.warn(text)
	}
}

// warnOfBareTexts says which texts of r kubectl would not take for text.
func (s *streams) warnOfBareTexts(r *resource.Resource) {
	for _, path := range r.BareTexts() {
		word, _ := r.BareWord(path)
		at := resource.Origin{File: r.Origin().File, Line: r.Line(path)}
		s.warn(fmt.Sprintf("%s: %s at %s: %s without quotes is text to kustomize, and is taken so; to kubectl it is a boolean, which it refuses here; quote it", at, r.ID(), path, word))
	}
}

// warnOfMarked counts the manifests that policies would look at, were they not
// marked: whoever writes a manifest could take it out of the policies' sight.
func (s *streams) warnOfMarked(items []*resource.Resource, set policy.Set) {
	var first *resource.Resource
	n := 0
	for _, r := range items {
		if !marked(r) || !slices.ContainsFunc(set.Admission(), func(p policy.Program) bool { return p.Selects(r.ID().Kind) }) {
			continue
		}
		if n++; first == nil {
			first = r
		}
	}
	if n > 0 {
		s.warn(fmt.Sprintf("%s: %s: no policy is applied to it, and it comes out all the same, because an annotation says that it is for no cluster (%s of this sort)",
			first.Origin(), first.ID(), plural(n, "manifest")))
	}
}

func (p plan) options(set policy.Set, items []*resource.Resource) pipeline.Options {
	known := p.facts.Clone()
	known.AddResources(items...)
	return pipeline.Options{
		Set:              set,
		Facts:            known,
		Digests:          p.digests,
		Now:              p.facts.Now,
		Inert:            func(r *resource.Resource) bool { return inert(r) || p.config != nil && p.config(r) },
		WarnUnsupported:  p.warnUnsupported,
		KeepGoing:        p.keepGoing,
		VerifyOrder:      p.verification.order,
		ControllerLabels: p.controllerLabels,
		NoChanges:        p.noChanges,
		Lines:            p.lines,
		Admitted:         p.admitted,
		Encode:           p.encode,
	}
}

// inert reports whether a resource only exists on the client, so that no
// admission controller ever sees it: it passes through and nothing matches it.
func inert(r *resource.Resource) bool {
	kind := r.ID().Kind
	return marked(r) ||
		kind.Group == "kpt.dev" || // Kptfile and its relatives
		kind.Group == "kustomize.config.k8s.io" ||
		kind.Group == "oneloop.dev" ||
		pipeline.Claimed(builtin.Languages, kind)
}

// marked reports whether annotations of r say that it is for the client.
func marked(r *resource.Resource) bool {
	return r.LocalConfig() ||
		r.Annotation("config.kubernetes.io/function") != "" ||
		r.Annotation("config.k8s.io/function") != ""
}

// interactive reports whether r is a terminal, where nobody will ever type a
// ResourceList. The null device looks like one.
func interactive(r io.Reader) bool {
	f, ok := r.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(info, null)
}

// isKustomization reports whether r is what kustomize builds from, which has no
// name, and may have no kind.
func isKustomization(r *resource.Resource) bool {
	if r.ID().Name != "" {
		return false
	}
	return isKustomizationFile(filepath.ToSlash(r.Origin().File)) || r.ID().Kind.Group == "kustomize.config.k8s.io"
}

// kustomizationFiles are the names that kustomize looks for in a folder.
var kustomizationFiles = []string{"kustomization.yaml", "kustomization.yml", "Kustomization"}

// isKustomizationFile reports whether a file, whose path has slashes, is one of
// them.
func isKustomizationFile(name string) bool {
	return slices.Contains(kustomizationFiles, path.Base(name))
}

// check refuses what is no manifest, and manifests of one identity.
func check(items []*resource.Resource, scope func(*resource.Resource) string) error {
	var errs []error
	for _, r := range items {
		if isKustomization(r) {
			errs = append(errs, fmt.Errorf("%s: this is a kustomization and no manifest: render what it builds, as in kustomize build %s | oneloop render -p POLICIES -",
				r.Origin(), filepath.Dir(r.Origin().File)))
			continue
		}
		errs = append(errs, r.Complete())
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return unique(items, scope)
}

// unique refuses two manifests of one identity: which of them a cluster would
// end up with is not determined. Local configuration never reaches a cluster.
// Manifests are only compared within one scope; nil means that all share one.
func unique(items []*resource.Resource, scope func(*resource.Resource) string) error {
	type key struct {
		scope string
		id    resource.ID
	}
	seen := make(map[key]*resource.Resource, len(items))
	var errs []error
	for _, r := range items {
		k := key{id: r.ID()}
		if k.id.Name == "" || inert(r) {
			continue
		}
		if scope != nil {
			k.scope = scope(r)
		}
		k.id.Kind.Version = "" // one object, whatever its version
		if other, ok := seen[k]; ok {
			errs = append(errs, twice(r, other))
			continue
		}
		seen[k] = r
	}
	return errors.Join(errs...)
}

func twice(r, first *resource.Resource) error {
	if at := r.Origin().String(); at != "" {
		return fmt.Errorf("%s: %s is there twice, first at %s; remove one", at, r.ID(), first.Origin())
	}
	return fmt.Errorf("%s is there twice among the items; remove one", r.ID())
}
