package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/load"
	"github.com/oneloop-dev/oneloop/pkg/pipeline"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// runInPlace is runRender for the files of a repository.
func runInPlace(ctx context.Context, s *streams, o renderOptions, args []string) error {
	reports, err := parseReports(o.reports)
	if err != nil {
		return err
	}
	if err := errors.Join(o.inPlaceUsage(args), readOnce(o.policies, o.facts, o.locks)); err != nil {
		return err
	}
	p, err := renderPlan(s, o)
	if err != nil {
		return err
	}
	p.printed = false // files stay where they are
	sources, left, err := readSources(args)
	if err != nil {
		return err
	}
	var items []*resource.Resource
	for _, source := range sources {
		items = append(items, source.Resources...)
	}
	// Folders may hold variants of one resource, of which each stays a file.
	if err := check(items, packageOf); err != nil {
		return err
	}
	p.noChanges = len(reports) == 0
	out, err := p.apply(ctx, s, items)
	if err != nil {
		return err
	}
	if err := errors.Join(failures(out.Entries), writeReports(reports, out.Entries)); err != nil {
		return err
	}
	all, err := rewrites(sources, out)
	if err != nil {
		return err
	}
	if err := writeInPlace(all); err != nil {
		return err
	}
	summarizeInPlace(s.err, len(sources), all, left)
	return nil
}

// inPlaceUsage returns what is wrong with the flags and arguments of a run that
// rewrites files.
func (o *renderOptions) inPlaceUsage(args []string) error {
	switch {
	case o.output != "-":
		return errors.New("--in-place writes the files that it reads: leave out --output")
	case o.keepGoing:
		return errors.New("--in-place writes nothing when a rule fails: leave out --keep-going")
	case len(args) == 0 || slices.Contains(args, "-"):
		return errors.New("--in-place needs files or folders: standard input has no place to write to")
	}
	return nil
}

// readSources reads the files of a run that rewrites them. Files that hold no
// manifests stay out: kustomizations, the patches and options that they name,
// charts and their values. What is said of those comes second.
func readSources(args []string) (sources []load.Source, left []string, err error) {
	names, err := load.Names(args)
	if err != nil {
		return nil, nil, err
	}
	var errs []error
	read := func(name string) load.Source {
		s, err := load.Read(name)
		errs = append(errs, err)
		return s
	}
	aside := map[string]bool{}
	for _, name := range names {
		if !kustomizationFile(name) {
			continue
		}
		aside[filepath.Clean(name)] = true
		for _, r := range read(name).Resources {
			o, err := r.Object()
			errs = append(errs, err)
			for _, named := range namedAsides(o) {
				aside[filepath.Join(filepath.Dir(name), named)] = true
			}
		}
	}
	for _, name := range names {
		if aside[filepath.Clean(name)] {
			if !kustomizationFile(name) {
				left = append(left, name+": a kustomization uses it; left as it is")
			}
			continue
		}
		s := read(name)
		switch {
		case len(s.Resources) == 0 || slices.ContainsFunc(s.Resources, isKustomization):
		case filepath.Base(name) == "Chart.yaml" || !slices.ContainsFunc(s.Resources, claimsToBeManifest):
			left = append(left, name+": no manifests; left as it is")
		default:
			sources = append(sources, s)
		}
	}
	return sources, left, errors.Join(errs...)
}

// claimsToBeManifest reports whether r has at least a part of what makes a
// manifest; values of a chart have none.
func claimsToBeManifest(r *resource.Resource) bool {
	return r.ID().Kind.Version != "" || r.ID().Kind.Kind != ""
}

func kustomizationFile(name string) bool {
	switch filepath.Base(name) {
	case "kustomization.yaml", "kustomization.yml", "Kustomization":
		return true
	}
	return false
}

// asideFields are the fields of a kustomization that name files which only
// look like manifests.
var asideFields = []string{
	"patches", "patchesStrategicMerge", "patchesJson6902", "replacements",
	"transformers", "validators", "generators", "configurations", "crds", "openapi", "helmCharts",
}

// namedAsides lists the files that a kustomization uses for something else than
// to print them.
func namedAsides(kustomization resource.Object) []string {
	var out []string
	entry := func(v any) {
		switch v := v.(type) {
		case string:
			out = append(out, v)
		case map[string]any:
			for _, key := range []string{"path", "valuesFile"} {
				if name, ok := v[key].(string); ok {
					out = append(out, name)
				}
			}
		}
	}
	for _, field := range asideFields {
		switch v := kustomization[field].(type) {
		case []any:
			for _, e := range v {
				entry(e)
			}
		default:
			entry(v)
		}
	}
	return slices.DeleteFunc(out, func(name string) bool { return strings.Contains(name, "\n") }) // a patch, written out
}

// A rewrite is a file and what it is going to hold.
type rewrite struct {
	load.Source
	text           []byte
	changed, added int // resources
}

// rewrites finds out what the files hold after a run. What was generated goes
// behind the document that it was generated because of, as in a stream.
func rewrites(sources []load.Source, out pipeline.Output) ([]rewrite, error) {
	file := map[*resource.Resource]int{}
	for i, s := range sources {
		for _, r := range s.Resources {
			file[r] = i
		}
	}
	added := make([][]resource.Addition, len(sources))
	var behind *resource.Resource
	for _, r := range out.Resources {
		if _, ok := file[r]; ok {
			behind = r
			continue
		}
		list := &added[file[behind]]
		if n := len(*list); n == 0 || (*list)[n-1].Behind != behind {
			*list = append(*list, resource.Addition{Behind: behind})
		}
		last := &(*list)[len(*list)-1]
		last.New = append(last.New, r)
	}
	var all []rewrite
	var errs []error
	for i, s := range sources {
		w := rewrite{Source: s}
		for _, r := range s.Resources {
			if r.Changed() {
				w.changed++
			}
		}
		for _, a := range added[i] {
			w.added += len(a.New)
		}
		if w.changed+w.added == 0 {
			continue
		}
		var err error
		w.text, err = resource.Rewrite(s.Data, s.Resources, added[i]...)
		if err != nil && !strings.HasPrefix(err.Error(), s.Name) {
			err = fmt.Errorf("%s: %w", s.Name, err)
		}
		errs = append(errs, err)
		all = append(all, w)
	}
	return all, errors.Join(errs...)
}

// writeInPlace writes the files, all or none of them: texts are written beside
// their files first, and then take their places.
func writeInPlace(all []rewrite) error {
	var beside []*staged
	for _, w := range all {
		s, err := stage(w.Name, w.Data, w.text)
		if err != nil {
			discard(beside)
			return err
		}
		beside = append(beside, s)
	}
	return commit(beside)
}

func writes(data []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	}
}

// A staged file stands beside the one that it is going to replace, which holds
// was.
type staged struct {
	path, beside string
	was          []byte
}

// stage writes text beside the file, which must still hold was. Links are
// followed, and the mode stays.
func stage(name string, was, text []byte) (*staged, error) {
	path, err := filepath.EvalSymlinks(name)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file, and can't be rewritten", name)
	}
	// The folder may allow what the file does not.
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	is, err := io.ReadAll(f)
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if !bytes.Equal(is, was) {
		return nil, fmt.Errorf("%s was changed by somebody else meanwhile; run it again", name)
	}
	beside, err := writeBeside(path, info.Mode().Perm(), writes(text))
	return &staged{path, beside, was}, err
}

// commit puts the files into their places. When one can't be, those that are
// there already are changed back.
func commit(all []*staged) error {
	for i, s := range all {
		err := os.Rename(s.beside, s.path)
		if err == nil {
			continue
		}
		discard(all[i:])
		errs := []error{fmt.Errorf("%w; no file is changed", err)}
		for _, done := range all[:i] {
			if undone := replaceFile(done.path, writes(done.was)); undone != nil {
				errs[0] = err
				errs = append(errs, fmt.Errorf("%s is changed, and can't be changed back: %w", done.path, undone))
			}
		}
		return errors.Join(errs...)
	}
	return nil
}

func discard(all []*staged) {
	for _, s := range all {
		_ = os.Remove(s.beside)
	}
}

// summarizeInPlace tells people what became of their files.
func summarizeInPlace(w io.Writer, files int, all []rewrite, left []string) {
	for _, line := range left {
		fmt.Fprintln(w, line)
	}
	for _, r := range all {
		var what []string
		if r.changed > 0 {
			what = append(what, plural(r.changed, "resource")+" changed")
		}
		if r.added > 0 {
			what = append(what, plural(r.added, "resource")+" generated")
		}
		fmt.Fprintf(w, "%s: %s\n", r.Name, strings.Join(what, ", "))
	}
	fmt.Fprintf(w, "%d of %s changed\n", len(all), plural(files, "file"))
}
