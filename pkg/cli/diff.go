package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/oneloop-dev/oneloop/pkg/diff"
	"github.com/oneloop-dev/oneloop/pkg/diff/page"
)

// diffFormats are the forms of the diff, the first by default.
var diffFormats = []string{"text", "unified", "markdown", "html", "json"}

// colors say when to write colours: auto is on a terminal that wants them.
var colors = []string{"auto", "always", "never"}

// commentLimit is how many bytes a comment on a pull request may have where it
// may have the least: GitHub's 65,536 characters.
const commentLimit = 65000

// diffOptions are the flags of diff.
type diffOptions struct {
	renderOptions
	format   string
	color    string
	exitCode bool
	maxBytes int
}

func diffCommand(s *streams) *cobra.Command {
	var o diffOptions
	cmd := &cobra.Command{
		Use:   "diff -p POLICIES [flags] [MANIFESTS | -]...",
		Short: "Show what policies change, and which rule does it",
		Long: `Show what policies change, and which rule does it.

The same run as render, but what is printed is each field that ends up different
from how it is written, with the policy and the rule that changed it last. When
nothing changes, nothing is printed. Values of Secrets are not shown.`,
		Example: `  # On a terminal
  oneloop diff -p policies/ manifests/

  # As a comment on a pull request
  kustomize build overlays/prod | oneloop diff -p policies/ -o markdown - > comment.md

  # As a page for a browser, with filters
  oneloop diff -p policies/ -o html manifests/ > diff.html

  # As text, with what stands around the changes
  oneloop diff -p policies/ -o unified manifests/`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return runDiff(cmd.Context(), s, o, args)
		},
	}
	f := cmd.Flags()
	o.inputFlags(f)
	f.StringVarP(&o.format, "output", "o", diffFormats[0], "form of the diff: "+strings.Join(diffFormats, ", "))
	f.StringVar(&o.color, "color", colors[0], "colours in text and unified: auto (on a terminal, without NO_COLOR), always, never")
	f.BoolVar(&o.exitCode, "exit-code", false, "exit with 2 when something changes")
	f.IntVar(&o.maxBytes, "max-size", commentLimit, "bytes that markdown may have; what is left out is counted")
	return cmd
}

func runDiff(ctx context.Context, s *streams, o diffOptions, args []string) error {
	if err := o.usage(); err != nil {
		return err
	}
	reports, err := parseReports(o.reports)
	if err != nil {
		return err
	}
	p, items, err := o.read(s, args)
	if err != nil {
		return err
	}
	recorder := diff.NewRecorder(len(items), o.format == "json" || o.format == "html")
	p.admitted, p.lines = recorder.Admitted, wantLines(reports)
	out, err := p.apply(ctx, s, copies(items))
	if err != nil {
		return err
	}
	if err := errors.Join(failures(out.Entries), writeReports(reports, out.Entries)); err != nil {
		return err
	}
	differences, err := recorder.Differences(items, out)
	if err != nil {
		return err
	}
	groups := diff.Groups(items, differences)
	title := summarize(len(items), groups)
	switch o.format {
	case "text":
		err = diff.WriteText(s.out, groups, o.colored(s.out))
	case "unified":
		err = diff.WriteUnified(s.out, groups, items, out.Resources, o.colored(s.out))
	case "markdown":
		err = diff.WriteMarkdown(s.out, title, groups, o.maxBytes)
	case "html":
		err = page.Write(s.out, title, groups, items, out.Resources)
	case "json":
		err = diff.WriteJSON(s.out, differences)
	}
	if err != nil || len(differences) == 0 {
		return err
	}
	if f, ok := s.err.(*os.File); ok && interactive(f) {
		fmt.Fprintln(s.err) // it follows the diff
	}
	fmt.Fprintln(s.err, title)
	if o.exitCode {
		return &reportedError{ExitChanges}
	}
	return nil
}

// usage returns what is wrong with the flags.
func (o diffOptions) usage() error {
	if !slices.Contains(diffFormats, o.format) {
		return fmt.Errorf("--output %q: expected %s", o.format, strings.Join(diffFormats, ", "))
	}
	if !slices.Contains(colors, o.color) {
		return fmt.Errorf("--color %q: expected auto, always or never", o.color)
	}
	return nil
}

// summarize says in a line what changes.
func summarize(manifests int, groups []diff.Group) string {
	if len(groups) == 0 {
		return "nothing changes in " + plural(manifests, "manifest")
	}
	changed, generated, fields := 0, 0, 0
	for _, g := range groups {
		if g.Fields[0].Path == nil {
			generated++
			continue
		}
		changed++
		fields += len(g.Fields)
	}
	text := fmt.Sprintf("%d of %s changed, in %s", changed, plural(manifests, "manifest"), plural(fields, "field"))
	if generated > 0 {
		text += fmt.Sprintf("; %s generated", plural(generated, "resource"))
	}
	return text
}

// colored reports whether to write colours: when asked to, or when a terminal
// reads what is written, and wants them.
func (o diffOptions) colored(w io.Writer) bool {
	if o.color != "auto" {
		return o.color == "always"
	}
	f, ok := w.(*os.File)
	return ok && interactive(f) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}
