package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/oneloop-dev/oneloop/pkg/builtin"
	"github.com/oneloop-dev/oneloop/pkg/config"
	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/load"
	"github.com/oneloop-dev/oneloop/pkg/pipeline"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno"
	"github.com/oneloop-dev/oneloop/pkg/policy/pinimages"
	"github.com/oneloop-dev/oneloop/pkg/report"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// renderOptions are the flags of render.
type renderOptions struct {
	policies      []string
	facts         []string
	locks         []string
	digests       digestSource
	onUnsupported string
	keepGoing     bool

	controllerLabels bool
	defaultFilters   bool
	reports          []string
	output           string
	inPlace          bool
	verification     verification
	now              string
	defaultNamespace string
}

func renderCommand(s *streams) *cobra.Command {
	var o renderOptions
	cmd := &cobra.Command{
		Use:   "render -p POLICIES [flags] [MANIFESTS | -]...",
		Short: "Print manifests as the admission controller would have stored them",
		Long: `Print manifests as the admission controller would have stored them.

Manifests come from files, folders or standard input (-, also when none are
named). Every resource comes out once, in its place, in its final state; one that no
policy changes comes out as it was written. Standard output holds manifests and
nothing else. When a rule fails, nothing is printed, unless --keep-going.

With --in-place the files are rewritten instead: what no policy changes keeps
every byte, comments included, and when a rule fails, no file is touched.`,
		Example: `  # After any renderer
  kustomize build overlays/prod | oneloop render -p policies/ -

  # Namespaces and other cluster facts come from files; digests from a lock
  oneloop render -p policies/ --facts namespaces.yaml --lock images.lock.yaml manifests/

  # The files of a repository, for a commit
  oneloop render -p policies/ --in-place manifests/`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.inPlace {
				return runInPlace(cmd.Context(), s, o, args)
			}
			return runRender(cmd.Context(), s, o, args)
		},
	}
	f := cmd.Flags()
	o.inputFlags(f)
	f.BoolVar(&o.keepGoing, "keep-going", false, "go on after a rule that failed, print everything, and still exit 3")
	f.StringVarP(&o.output, "output", "o", "-", "file for the manifests")
	f.BoolVar(&o.verification.fixedPoint, "verify-fixed-point", false, "fail unless a second pass changes nothing")
	f.BoolVar(&o.verification.order, "verify-order", false, "fail when the result depends on an order of policies that no cluster promises")
	f.BoolVar(&o.inPlace, "in-place", false, "rewrite the files, and print nothing")
	return cmd
}

// inputFlags are those of the commands that apply one set of policies.
func (o *renderOptions) inputFlags(f *pflag.FlagSet) {
	f.StringArrayVarP(&o.policies, "policy", "p", nil, "file, folder or glob of policies, or - (repeatable)")
	o.worldFlags(f)
	f.BoolVar(&o.defaultFilters, "default-resource-filters", false, "leave alone what a default install of Kyverno never sees, such as kube-system")
	f.BoolVar(&o.controllerLabels, "controller-labels", false, "give generated resources the labels by which Kyverno finds them again")
	f.StringArrayVar(&o.reports, "report", nil, "write a report, as FORMAT=FILE; formats: "+formatNames()+" (repeatable)")
}

// worldFlags say what policies may know of the world, and from where.
func (o *renderOptions) worldFlags(f *pflag.FlagSet) {
	f.StringArrayVar(&o.facts, "facts", nil, "file of cluster facts: objects, ClusterFacts, or Kyverno's Values and UserInfo (repeatable)")
	f.StringArrayVar(&o.locks, "lock", nil, "file with an ImageLock (repeatable)")
	f.StringVar(&o.digests.mode, "digests", config.Modes[0], "where digests come from: "+strings.Join(config.Modes, ", "))
	o.digests.flags(f)
	f.StringVar(&o.onUnsupported, "on-unsupported", "Error", "what to do about a rule that can't be evaluated at render time: Error or Warn")
	f.StringVar(&o.defaultNamespace, "default-namespace", "", "namespace that policies see for namespaced manifests that name none (default \"default\")")
	f.StringVar(&o.now, "now", "", "time of the request for policies that ask for it, such as 2026-01-31T00:00:00Z")
}

func formatNames() string {
	var names []string
	for _, f := range builtin.Formats {
		names = append(names, f.Name)
	}
	return strings.Join(names, ", ")
}

func runRender(ctx context.Context, s *streams, o renderOptions, args []string) error {
	if o.output == "yaml" || o.output == "json" {
		return fmt.Errorf("--output %q: expected a file for the manifests; write ./%[1]s for a file of that name", o.output)
	}
	reports, err := parseReports(o.reports)
	if err != nil {
		return err
	}
	p, items, err := o.read(s, args)
	if err != nil {
		return err
	}
	p.noChanges, p.lines = len(reports) == 0, wantLines(reports)
	p.encode = func(r *resource.Resource) ([]byte, error) { return r.AppendYAML(nil) }
	out, err := p.apply(ctx, s, items)
	if err != nil {
		return err
	}
	failure := failures(out.Entries)
	if err := writeReports(reports, out.Entries); err != nil {
		return errors.Join(failure, err)
	}
	if failure != nil && !o.keepGoing {
		return failure
	}
	if err := writeManifests(s, o.output, out.Texts); err != nil {
		return errors.Join(failure, err)
	}
	if failure != nil {
		s.complain(failure)
		return &reportedError{ExitFailed}
	}
	return nil
}

// read reads the policies with all they need, and beside them the manifests that
// args name: those on standard input when there is no arg.
func (o renderOptions) read(s *streams, args []string) (plan, []*resource.Resource, error) {
	if len(args) == 0 {
		args = []string{"-"}
	}
	if err := readOnce(o.policies, o.facts, o.locks, args); err != nil {
		return plan{}, nil, err
	}
	manifests := loadAside(args, s.in)
	p, err := renderPlan(s, o)
	if err != nil {
		return plan{}, nil, err
	}
	items, err := manifests()
	if err != nil {
		return plan{}, nil, err
	}
	if len(items) == 0 && slices.Contains(args, "-") {
		// Most likely the command before the pipe failed. To print nothing and
		// succeed could make a GitOps controller delete everything.
		return plan{}, nil, errors.New("standard input holds no manifests: name files or folders, or pipe into it what a renderer prints")
	}
	return p, items, check(items, nil)
}

// loadAside begins to read manifests, and returns what waits for them.
func loadAside(args []string, stdin io.Reader) func() ([]*resource.Resource, error) {
	type loaded struct {
		items []*resource.Resource
		err   error
	}
	done := make(chan loaded, 1) // so that nobody need wait
	go func() {
		items, err := load.Files(args, stdin)
		done <- loaded{items, err}
	}()
	return func() ([]*resource.Resource, error) {
		l := <-done
		return l.items, l.err
	}
}

// readOnce refuses lists of files that name standard input twice.
func readOnce(names ...[]string) error {
	stdin := 0
	for _, name := range slices.Concat(names...) {
		if name == "-" {
			stdin++
		}
	}
	if stdin > 1 {
		return errors.New("standard input can be read once: name the policies, facts, lock or manifests that are not on it")
	}
	return nil
}

// renderPlan reads the policies, facts and locks that the flags name.
func renderPlan(s *streams, o renderOptions) (plan, error) {
	if len(o.policies) == 0 && !o.digests.pinAll {
		return plan{}, errors.New("no policies: name them with -p FILE, FOLDER or GLOB, or ask for --pin-all")
	}
	if o.onUnsupported != "" && o.onUnsupported != "Error" && o.onUnsupported != "Warn" {
		return plan{}, fmt.Errorf("--on-unsupported %q: expected Error or Warn", o.onUnsupported)
	}
	policies, err := load.Files(o.policies, s.in)
	errs := []error{err}
	known := facts.New()
	if len(o.facts) > 0 {
		docs, err := load.Files(o.facts, s.in)
		errs = append(errs, err, known.AddDocuments(docs))
	}
	errs = append(errs, o.declare(known))
	if o.defaultFilters {
		errs = append(errs, known.Declare(facts.Spec{ResourceFilters: kyverno.DefaultResourceFilters}))
	}
	var locks []*resource.Resource
	if len(o.locks) > 0 {
		locks, err = load.Files(o.locks, s.in)
		errs = append(errs, withoutLock(err))
	}
	if err := errors.Join(errs...); err != nil {
		return plan{}, err
	}
	if len(policies) == 0 && len(o.policies) > 0 {
		return plan{}, fmt.Errorf("no policies in %s", strings.Join(o.policies, ", "))
	}
	if o.digests.pinAll {
		all, err := pinimages.All()
		if err != nil {
			return plan{}, err
		}
		policies = append(policies, all)
	}
	digests, atHand, err := o.digests.resolver(locks, "--lock FILE", "--digests LockedOrResolve with --allow-host HOST")
	if err != nil {
		return plan{}, err
	}
	return plan{
		policies:        policies,
		facts:           known,
		atHand:          atHand,
		digests:         digests,
		warnUnsupported: o.onUnsupported == "Warn",
		keepGoing:       o.keepGoing,
		verification:    o.verification,
		printed:         true,

		controllerLabels: o.controllerLabels,
	}, nil
}

// declare adds the facts that flags give.
func (o renderOptions) declare(known *facts.Facts) error {
	spec := facts.Spec{Now: o.now, DefaultNamespace: o.defaultNamespace}
	flags := map[string]string{"now": "--now", "defaultNamespace": "--default-namespace"}
	var errs []error
	for _, f := range spec.Faults() {
		errs = append(errs, fmt.Errorf("%s: %s", flags[f.Path.String()], f.Message))
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	return known.Declare(spec)
}

// withoutLock says how to come by a lock that is not there.
func withoutLock(err error) error {
	var out []error
	for _, e := range pipeline.Flatten(err) {
		if errors.Is(e, fs.ErrNotExist) {
			e = fmt.Errorf("%w; oneloop lock writes a lock", e)
		}
		out = append(out, e)
	}
	return errors.Join(out...)
}

// writeManifests prints the documents, separated by ---. A file is replaced as
// a whole, so that it never holds half of the output.
func writeManifests(s *streams, output string, texts [][]byte) error {
	var buf bytes.Buffer
	for i, t := range texts {
		if i > 0 {
			buf.WriteString("---\n")
		}
		buf.Write(t)
		if len(t) > 0 && t[len(t)-1] != '\n' {
			buf.WriteByte('\n')
		}
	}
	if output == "-" {
		_, err := s.out.Write(buf.Bytes())
		return err
	}
	return replaceFile(output, func(w io.Writer) error {
		_, err := w.Write(buf.Bytes())
		return err
	})
}

// replaceFile writes a file beside path and then renames it over path, so that
// path never holds half of it. Links are followed, an existing file keeps its
// mode, and what is no file, such as a device or a pipe, is written to.
func replaceFile(path string, write func(io.Writer) error) error {
	mode := os.FileMode(0o644)
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	if info, err := os.Stat(path); err == nil {
		if !info.Mode().IsRegular() {
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			return errors.Join(write(f), f.Close())
		}
		mode = info.Mode().Perm()
	}
	beside, err := writeBeside(path, mode, write)
	if err != nil {
		return err
	}
	if err := os.Rename(beside, path); err != nil {
		_ = os.Remove(beside)
		return err
	}
	return nil
}

// writeBeside writes a file in the folder of path, and returns its name.
func writeBeside(path string, mode os.FileMode, write func(io.Writer) error) (string, error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		var named *fs.PathError
		if errors.As(err, &named) { // by a name that nobody gave
			err = fmt.Errorf("%s can't be written: %w", path, named.Err)
		}
		return "", err
	}
	if err := errors.Join(write(f), f.Chmod(mode), f.Close()); err != nil {
		_ = os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}

// A reportFile is one --report FORMAT=FILE.
type reportFile struct {
	format report.Format
	path   string
}

func parseReports(args []string) ([]reportFile, error) {
	var out []reportFile
	for _, arg := range args {
		name, path, ok := strings.Cut(arg, "=")
		if !ok || path == "" {
			return nil, fmt.Errorf("--report %q: expected FORMAT=FILE", arg)
		}
		i := slices.IndexFunc(builtin.Formats, func(f report.Format) bool { return f.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("--report %q: expected one of the formats %s", arg, formatNames())
		}
		out = append(out, reportFile{builtin.Formats[i], path})
	}
	return out, nil
}

func wantLines(reports []reportFile) bool {
	return slices.ContainsFunc(reports, func(r reportFile) bool { return r.format.Lines })
}

// writeReports writes them all, those behind a failing one, too.
func writeReports(reports []reportFile, entries []report.Entry) error {
	var errs []error
	for _, r := range reports {
		errs = append(errs, replaceFile(r.path, func(w io.Writer) error { return r.format.Write(w, entries) }))
	}
	return errors.Join(errs...)
}
