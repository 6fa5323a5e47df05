// Package cli is the command line of oneloop and the KRM function behind it:
// flags, files, exit codes, and what people read on standard error.
package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/oneloop-dev/oneloop/pkg/builtin"
	"github.com/oneloop-dev/oneloop/pkg/config"
	"github.com/oneloop-dev/oneloop/pkg/decode"
	"github.com/oneloop-dev/oneloop/pkg/digest"
	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/pipeline"
	"github.com/oneloop-dev/oneloop/pkg/report"
)

// Exit codes.
const (
	ExitDone    = 0
	ExitInput   = 1 // usage, malformed input or internal error
	ExitChanges = 2 // there are changes
	ExitFailed  = 3 // a policy failed
	ExitMissing = 4 // a cluster fact or lock entry is missing
)

// Version is set by the linker.
var Version = "dev"

// Main runs oneloop with the arguments after the program's name and returns
// the exit code. Without a command it is the KRM function: a ResourceList on
// stdin, a ResourceList on stdout.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	streams := &streams{in: stdin, out: stdout, err: stderr}
	root := rootCommand(streams)
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.Execute()
	streams.complain(err)
	return exitCode(err)
}

// Command returns the command line for what describes it, such as man pages.
func Command() *cobra.Command { return rootCommand(&streams{out: io.Discard, err: io.Discard}) }

// streams are one writer for data (out) and one for people (err).
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// complain prints each fault once, on a line of its own.
func (s *streams) complain(err error) {
	seen := map[string]bool{}
	for _, e := range pipeline.Flatten(err) {
		var reported *reportedError
		if errors.As(e, &reported) {
			continue
		}
		text := e.Error()
		if seen[text] {
			continue
		}
		seen[text] = true
		fmt.Fprintf(s.err, "error: %s\n", text)
	}
}

func (s *streams) warn(text string) { fmt.Fprintf(s.err, "warning: %s\n", text) }

// A reportedError ends the run with a code; what it is about was printed.
type reportedError struct{ code int }

func (e *reportedError) Error() string { return fmt.Sprintf("exit code %d", e.code) }

// A policyError is a fault that a policy has or shows, and not the input.
type policyError struct{ error }

func (e *policyError) Unwrap() error { return e.error }

// exitCode derives the code from what went wrong: a missing fact only counts
// when nothing worse happened.
func exitCode(err error) int {
	if err == nil {
		return ExitDone
	}
	code := ExitMissing
	for _, e := range pipeline.Flatten(err) {
		var reported *reportedError
		var ofPolicy *policyError
		switch {
		case errors.As(e, &reported):
			return reported.code
		case errors.Is(e, facts.ErrMissing), errors.Is(e, digest.ErrMissing):
		case errors.As(e, &ofPolicy), errors.Is(e, errors.ErrUnsupported):
			if code == ExitMissing {
				code = ExitFailed
			}
		default:
			code = ExitInput
		}
	}
	return code
}

// failures returns the errors of the entries, as faults of policies.
func failures(entries []report.Entry) error {
	var errs []error
	for _, e := range entries {
		if e.Err != nil {
			errs = append(errs, &policyError{e.Err})
		}
	}
	return errors.Join(errs...)
}

func rootCommand(s *streams) *cobra.Command {
	var root string
	cmd := &cobra.Command{
		Use:   "oneloop",
		Short: "Apply Kubernetes mutation policies when manifests are rendered",
		Long: `Apply Kubernetes mutation policies when manifests are rendered.

Without a command, oneloop is a KRM function: it reads a ResourceList on
standard input, applies the policies of its functionConfig and writes the
ResourceList to standard output. kustomize and kpt call it like that.`,
		Example: `  # As a transformer of kustomize
  kustomize build --enable-alpha-plugins --enable-exec overlays/prod

  # As a filter
  kustomize build overlays/prod | oneloop render -p policies/ -`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(cmd, args[0])
			}
			return nil
		},
		Version:       Version,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if interactive(s.in) {
				cmd.SetOut(s.err)
				_ = cmd.Help()
				return errors.New("no ResourceList on standard input; to render files, use: oneloop render -p POLICIES MANIFESTS")
			}
			return runFunction(cmd.Context(), s, root)
		},
	}
	if strings.HasPrefix(filepath.Base(os.Args[0]), "kubectl-") {
		cmd.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl oneloop"}
	}
	cmd.Flags().StringVar(&root, "root", ".", "folder from which the functionConfig names files, all of them below it")
	cmd.AddCommand(renderCommand(s), diffCommand(s), lockCommand(s), testCommand(s), vetCommand(s), compareCommand(s), pushCommand(s), explainCommand(s), installCommand())
	for _, c := range cmd.Commands() {
		for name, words := range completions() {
			directive := cobra.ShellCompDirectiveNoFileComp
			if strings.HasSuffix(words[0], "=") {
				directive |= cobra.ShellCompDirectiveNoSpace
			}
			if c.Flags().Lookup(name) != nil {
				_ = c.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(words, directive))
			}
		}
	}
	cmd.SetFlagErrorFunc(flagError)
	return cmd
}

// unknownCommand says what may be meant by a word that is no command of cmd.
func unknownCommand(cmd *cobra.Command, word string) error {
	var names []string
	for _, c := range cmd.Commands() {
		names = append(names, c.Name())
	}
	near := decode.Nearest(word, names)
	if cmd.Flags().Lookup(word) != nil {
		near = "--" + word
	}
	if near != "" {
		near = fmt.Sprintf("; did you mean %s?", near)
	}
	return fmt.Errorf("unknown command %q%s; see %s --help", word, near, cmd.CommandPath())
}

// flagError says what may be meant by a flag that is none.
func flagError(c *cobra.Command, err error) error {
	if args := c.Flags().Args(); !c.HasParent() && len(args) > 0 {
		return unknownCommand(c, args[0]) // its flags are unknown, too
	}
	near := ""
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) && len(unknown.GetSpecifiedName()) > 1 {
		var names []string
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden {
				names = append(names, f.Name)
			}
		})
		if near = decode.Nearest(unknown.GetSpecifiedName(), names); near != "" {
			near = fmt.Sprintf("; did you mean --%s?", near)
		}
	}
	return fmt.Errorf("%w%s; see %s --help", err, near, c.CommandPath())
}

// completions are the words that a shell offers for flags, by name.
func completions() map[string][]string {
	var reports []string
	for _, f := range builtin.Formats {
		reports = append(reports, f.Name+"=")
	}
	return map[string][]string{"color": {"auto", "always", "never"}, "digests": config.Modes, "on-unsupported": {"Error", "Warn"}, "report": reports}
}

// plural writes a count with its noun.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	if strings.HasSuffix(noun, "y") {
		return fmt.Sprintf("%d %sies", n, strings.TrimSuffix(noun, "y"))
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
