package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/oneloop-dev/oneloop/pkg/digest"
	"github.com/oneloop-dev/oneloop/pkg/digest/lock"
	"github.com/oneloop-dev/oneloop/pkg/digest/registry"
	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/load"
	"github.com/oneloop-dev/oneloop/pkg/report"
	"github.com/oneloop-dev/oneloop/pkg/resource"
	"github.com/oneloop-dev/oneloop/pkg/signature"
	"github.com/oneloop-dev/oneloop/pkg/wildcard"
)

// lockOptions are the flags of lock.
type lockOptions struct {
	renderOptions
	file      string
	check     bool
	offline   bool
	update    []string
	prune     bool
	component string
}

func lockCommand(s *streams) *cobra.Command {
	var o lockOptions
	cmd := &cobra.Command{
		Use:   "lock -p POLICIES [flags] [MANIFESTS | -]...",
		Short: "Write the digests of the images that policies pin into a lock",
		Long: `Write the digests of the images that policies pin into a lock.

Every tag that the policies would pin in the manifests is looked up once, at its
registry, and written into the ImageLock. What the lock has already stays as it
is, digest and text, until --update names it. Rendering with the lock then needs
no network, and gives the same bytes everywhere.

The registries that the manifests name are asked, their mirrors, and no other
host: what they redirect to, and registries at private addresses, have to be
allowed.`,
		Example: `  # The first lock, and what a change of the manifests adds to it
  kustomize build overlays/prod | oneloop lock -p policies/ -

  # In CI: is the lock complete, and does each tag still point where it says?
  oneloop lock --check -p policies/ manifests/

  # Take over what a tag points at now
  oneloop lock --update 'ghcr.io/team/*' -p policies/ manifests/`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return runLock(cmd.Context(), s, o, args)
		},
	}
	f := cmd.Flags()
	f.StringArrayVarP(&o.policies, "policy", "p", nil, "file, folder or glob of policies, or - (repeatable)")
	f.StringArrayVar(&o.facts, "facts", nil, "file of cluster facts, as for render (repeatable)")
	f.StringVar(&o.file, "lock", "images.lock.yaml", "file with the ImageLock; it is made when it is not there")
	f.BoolVar(&o.check, "check", false, "write nothing; exit 2 when the lock lacks a reference or a tag points elsewhere now")
	f.BoolVar(&o.offline, "offline", false, "with --check: only look for references that the lock lacks, and ask no registry")
	f.StringArrayVar(&o.update, "update", nil, "look this reference up again: a reference, a glob, or all (repeatable)")
	f.BoolVar(&o.prune, "prune", false, "remove entries that no policy asks for")
	f.StringVar(&o.component, "component", "", "also write the digests as a kustomize Component into this file")
	o.digests.flags(f)
	f.StringVar(&o.defaultNamespace, "default-namespace", "", "namespace that policies see for namespaced manifests that name none (default \"default\")")
	f.StringVar(&o.now, "now", "", "time of the request for policies that ask for it, such as 2026-01-31T00:00:00Z")
	return cmd
}

func runLock(ctx context.Context, s *streams, o lockOptions, args []string) error {
	if o.offline && !o.check {
		return errors.New("--offline goes with --check: a lock can't be written without asking")
	}
	if o.check && (len(o.update) > 0 || o.prune) {
		return errors.New("--check writes nothing: drop --update and --prune, or --check")
	}
	p, items, err := o.read(s, args)
	if err != nil {
		return err
	}
	l := &locking{lockOptions: o, streams: s, plan: p, items: items}
	if err := l.read(); err != nil {
		return err
	}
	return l.run(ctx)
}

// A locking is one run of the command.
type locking struct {
	lockOptions
	*streams
	plan  plan
	items []*resource.Resource

	doc   *resource.Resource // the lock
	isNew bool
	known map[string]lock.Entry // by reference in full: the lock's, then what was looked up
	was   map[string]lock.Entry // the lock's
	asked map[string]name.Tag
	at    map[string]string // where a reference stands that the lock lacked
	errs  []error           // of rules that failed

	signed   map[string]error // by signatureKey: nil where a signature was verified, in the lock or now
	verified []digest.Verification
	wanted   map[string]digest.Verification // by signatureKey: the signatures that policies ask for
}

// signatureKey names a signature as the lock does.
func signatureKey(s lock.Signature) string { return s.Image + " " + s.Attestor }

// An answers is a Resolver of what is known.
type answers struct {
	entries
	signed map[string]error
}

// Verify implements digest.Verifier.
func (a answers) Verify(_ context.Context, image name.Digest, by *signature.Attestor) error {
	err, ok := a.signed[signatureKey(lock.NewSignature(digest.Verification{Image: image, By: by}))]
	if !ok {
		return digest.ErrMissing
	}
	return err
}

// read reads the lock, or makes one.
func (l *locking) read() error {
	docs, err := load.Files([]string{l.file}, nil)
	if errors.Is(err, os.ErrNotExist) {
		l.isNew = true
		l.doc, err = lock.New()
		docs = []*resource.Resource{l.doc}
	}
	if err != nil {
		return err
	}
	if len(docs) != 1 {
		return fmt.Errorf("%s: expected one ImageLock, found %s", l.file, plural(len(docs), "document"))
	}
	l.doc = docs[0]
	parsed, err := lock.Parse(l.doc)
	if err != nil {
		return err
	}
	l.was, l.asked, l.at = map[string]lock.Entry{}, map[string]name.Tag{}, map[string]string{}
	for _, e := range parsed.Images {
		tag, err := name.NewTag(e.Reference)
		if err != nil {
			return err
		}
		l.was[digest.Reference(tag)] = e
	}
	l.known = maps.Clone(l.was)
	l.signed, l.wanted = map[string]error{}, map[string]digest.Verification{}
	for _, s := range parsed.Signatures {
		l.signed[signatureKey(s)] = nil
	}
	return nil
}

func (l *locking) run(ctx context.Context) error {
	if err := l.lookUp(ctx, l.updates()); err != nil {
		return err
	}
	// A policy may ask for more when it has seen a digest, so that one round
	// may not be enough.
	for range 5 {
		missing, unsigned, err := l.collect(ctx)
		if err != nil {
			return err
		}
		if len(missing)+len(unsigned) == 0 || l.offline {
			break
		}
		if err := l.lookUp(ctx, missing); err != nil {
			return err
		}
		if err := l.verify(ctx, unsigned); err != nil {
			return err
		}
	}
	var err error
	if l.check {
		err = l.compare(ctx)
	} else {
		err = l.write()
	}
	return errors.Join(append(l.errs, err)...)
}

// updates returns the tags of the lock that --update names.
func (l *locking) updates() []name.Tag {
	var out []name.Tag
	for _, ref := range slices.Sorted(maps.Keys(l.was)) {
		e := l.was[ref]
		tag, err := name.NewTag(e.Reference)
		if err == nil && slices.ContainsFunc(l.update, func(pattern string) bool { return selectsReference(pattern, ref, e.Reference) }) {
			out = append(out, tag)
		}
	}
	return out
}

// selectsReference reports whether a pattern of --update names a reference, in
// full or as it is written.
func selectsReference(pattern, full, written string) bool {
	if pattern == "all" || wildcard.Match(pattern, full) || wildcard.Match(pattern, written) {
		return true
	}
	tag, err := name.NewTag(pattern)
	return err == nil && digest.Reference(tag) == full
}

// collect runs the policies and returns the tags whose digests are not known, and
// the signatures.
func (l *locking) collect(ctx context.Context) ([]name.Tag, []digest.Verification, error) {
	collector := digest.Collect(answers{l.known, l.signed})
	p := l.plan
	p.digests, p.keepGoing = collector, true
	out, err := p.apply(ctx, &streams{err: io.Discard}, copies(l.items))
	if err != nil {
		return nil, nil, err
	}
	for _, tag := range collector.Asked() {
		l.asked[digest.Reference(tag)] = tag
	}
	for _, v := range collector.Signed() {
		l.wanted[signatureKey(lock.NewSignature(v))] = v
	}
	l.errs = nil
	for _, e := range out.Entries {
		l.place(collector, e)
		switch {
		case e.Err == nil:
		case errors.Is(e.Err, digest.ErrMissing):
			// The manifest of an image: no lock has it. Its digest is locked.
		default:
			l.errs = append(l.errs, &policyError{e.Err})
		}
	}
	return collector.Missing(), collector.Unsigned(), nil
}

// verify looks for signatures. That there is none is an answer; what it means is
// the policies' to say.
func (l *locking) verify(ctx context.Context, wanted []digest.Verification) error {
	if len(wanted) == 0 {
		return nil
	}
	var hosts []string
	for _, v := range wanted {
		hosts = append(hosts, v.Image.RegistryStr())
	}
	ask, err := l.source(hosts)
	if err != nil {
		return err
	}
	progress := newProgress(l.err, "verifying", len(wanted))
	errs := make([]error, len(wanted))
	var group errgroup.Group
	group.SetLimit(maxRequests)
	for i, v := range wanted {
		group.Go(func() error {
			errs[i] = ask.Verify(ctx, v.Image, v.By)
			progress.step(digest.Reference(v.Image))
			return nil
		})
	}
	_ = group.Wait() // the faults are in errs, one for each signature
	progress.end()
	for i, v := range wanted {
		l.signed[signatureKey(lock.NewSignature(v))] = errs[i]
		if errs[i] == nil {
			l.verified = append(l.verified, v)
		}
	}
	return nil
}

// source asks registries at hosts that references name, and their mirrors.
func (l *locking) source(hosts []string) (*registry.Registry, error) {
	source := l.digests
	source.referenced = append(source.referenced, hosts...)
	for _, mirror := range source.mirrors {
		host, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(mirror, "https://"), "http://"), "/")
		source.allow = append(source.allow, host)
	}
	return source.registry()
}

// place takes down where references stand that the lock lacked.
func (l *locking) place(collector *digest.Collector, e report.Entry) {
	var walk func(at fieldpath.Path, v any)
	walk = func(at fieldpath.Path, v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, below := range v {
				walk(at.Key(k), below)
			}
		case []any:
			for i, below := range v {
				walk(at.Index(i), below)
			}
		case string:
			tag, ok := collector.StandsFor(v)
			if !ok {
				return
			}
			ref := digest.Reference(tag)
			if _, ok := l.at[ref]; ok {
				return
			}
			l.at[ref] = e.Resource.String() + " at " + at.String()
			for _, r := range l.items {
				if r.ID() == e.Resource && r.Origin() == e.Origin {
					origin := r.Origin()
					origin.Line = r.Line(at)
					if s := origin.String(); s != "" {
						l.at[ref] = s + ": " + l.at[ref]
					}
				}
			}
		}
	}
	for _, c := range e.Changes {
		walk(c.Path, c.After)
	}
}

// entries is a Resolver of what is known.
type entries map[string]lock.Entry

// Resolve implements digest.Resolver.
func (e entries) Resolve(_ context.Context, tag name.Tag) (name.Digest, error) {
	if known, ok := e[digest.Reference(tag)]; ok {
		return tag.Context().Digest(known.Digest), nil
	}
	return name.Digest{}, digest.ErrMissing
}

// lookUp asks the registries for tags, several at a time and each once.
func (l *locking) lookUp(ctx context.Context, tags []name.Tag) error {
	found, err := l.ask(ctx, tags)
	maps.Copy(l.known, found)
	return err
}

func (l *locking) ask(ctx context.Context, tags []name.Tag) (map[string]lock.Entry, error) {
	if len(tags) == 0 {
		return nil, nil
	}
	var hosts []string
	for _, tag := range tags {
		hosts = append(hosts, tag.RegistryStr())
	}
	ask, err := l.source(hosts)
	if err != nil {
		return nil, err
	}
	progress := newProgress(l.err, "looking up", len(tags))
	found := make([]digest.Description, len(tags))
	errs := make([]error, len(tags))
	var group errgroup.Group
	group.SetLimit(maxRequests)
	for i, tag := range tags {
		group.Go(func() error {
			found[i], errs[i] = ask.Describe(ctx, tag)
			progress.step(digest.Reference(tag))
			return nil
		})
	}
	_ = group.Wait() // the faults are in errs, one for each tag
	progress.end()
	out := map[string]lock.Entry{}
	for i, tag := range tags {
		ref := digest.Reference(tag)
		if errs[i] != nil {
			if at := l.at[ref]; at != "" {
				errs[i] = fmt.Errorf("%s: %w", at, errs[i])
			}
			continue
		}
		out[ref] = lock.Entry{Reference: ref, Digest: found[i].Digest.DigestStr(), MediaType: found[i].MediaType, Platform: found[i].Platform}
	}
	return out, errors.Join(errs...)
}
