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
	"github.com/spf13/pflag"

	"github.com/oneloop-dev/oneloop/pkg/builtin"
	"github.com/oneloop-dev/oneloop/pkg/load"
	"github.com/oneloop-dev/oneloop/pkg/resource"
	"github.com/oneloop-dev/oneloop/pkg/suite"
)

// testOptions are the flags of test.
type testOptions struct {
	fileName         string
	selector         string
	output           string
	reports          []string
	locks            []string
	now              string
	failOnly         bool
	detailed         bool
	strict           bool
	requireEvaluated bool
	removeColor      bool
}

func testCommand(s *streams) *cobra.Command {
	var o testOptions
	cmd := &cobra.Command{
		Use:   "test [flags] [FILE | FOLDER]...",
		Short: "Run the kyverno-test.yaml suites of policies",
		Long: `Run the kyverno-test.yaml suites of policies.

Suites are found in the folders named and in all below them, hidden ones too;
without an argument, below the current folder. Results are judged as kyverno
test judges them, but what nothing was tested for is not counted as passed: a
rule that did not match is excluded, and validate rules and kinds of policies
that change no manifest are not evaluated.`,
		Example: `  # All suites below a folder
  oneloop test policies/

  # One rule, for a CI that reads JUnit
  oneloop test -t "policy=add-labels, rule=add-team" --report junit=report.xml policies/`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return runTest(cmd.Context(), s, o, args)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.fileName, "file-name", "f", suite.DefaultName, "name of the files that hold suites")
	f.StringVarP(&o.selector, "test-case-selector", "t", "", "results to judge, as policy=PATTERN,rule=PATTERN,resource=PATTERN (also --filter)")
	f.StringVarP(&o.output, "output", "o", "table", "what to print: table, "+testFormats()+" (also --output-format)")
	f.StringArrayVar(&o.reports, "report", nil, "write a report, as FORMAT=FILE; formats: "+testFormats()+" (repeatable)")
	f.StringArrayVar(&o.locks, "lock", nil, "file with an ImageLock (repeatable)")
	f.StringVar(&o.now, "now", "", "time of the request for policies that ask for it, such as 2026-01-31T00:00:00Z")
	f.BoolVar(&o.failOnly, "fail-only", false, "print only what failed")
	f.BoolVar(&o.detailed, "detailed-results", false, "print a column with messages")
	f.BoolVar(&o.strict, "strict", false, "fail when a rule did not match, or a name is that of no resource")
	f.BoolVar(&o.requireEvaluated, "require-evaluated", false, "fail when something is not evaluated")
	f.BoolVar(&o.removeColor, "remove-color", false, "print no colours, also on a terminal")
	f.Bool("require-tests", true, "fail without suites") // of kyverno test; always so here
	_ = f.MarkHidden("require-tests")
	f.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		switch name {
		case "filter":
			name = "test-case-selector"
		case "output-format": // of kyverno test
			name = "output"
		}
		return pflag.NormalizedName(name)
	})
	return cmd
}

func testFormats() string {
	var names []string
	for _, f := range suite.Formats {
		names = append(names, f.Name)
	}
	return strings.Join(names, ", ")
}

func testFormat(name string) (suite.Format, bool) {
	i := slices.IndexFunc(suite.Formats, func(f suite.Format) bool { return f.Name == name })
	if i < 0 {
		return suite.Format{}, false
	}
	return suite.Formats[i], true
}

// A testReport is one --report FORMAT=FILE.
type testReport struct {
	format suite.Format
	path   string
}

func runTest(ctx context.Context, s *streams, o testOptions, args []string) error {
	format, ok := testFormat(o.output)
	if !ok && o.output != "table" {
		return fmt.Errorf("--output %q: expected table, %s", o.output, testFormats())
	}
	if o.output == "table" {
		format.Write = suite.Table{Color: o.colored(s.out), Detailed: o.detailed}.Write
	}
	var reports []testReport
	for _, arg := range o.reports {
		name, path, _ := strings.Cut(arg, "=")
		f, ok := testFormat(name)
		if !ok || path == "" {
			return fmt.Errorf("--report %q: expected FORMAT=FILE with one of the formats %s", arg, testFormats())
		}
		reports = append(reports, testReport{f, path})
	}
	opts, err := o.suiteOptions()
	if err != nil {
		return err
	}
	if len(args) == 0 {
		args = []string{"."}
	}
	files, err := suite.Find(args, o.fileName)
	if err != nil {
		return err
	}
	runs, err := runSuites(ctx, s, files, opts)
	if err != nil {
		return err
	}
	shown := runs
	if o.failOnly {
		shown = suite.Failed(runs)
	}
	total := suite.Summarize(runs)
	if err := format.Write(s.out, shown, total); err != nil {
		return err
	}
	for _, r := range reports {
		if err := replaceFile(r.path, func(w io.Writer) error { return r.format.Write(w, runs, total) }); err != nil {
			return err
		}
	}
	if total.Excluded > 0 {
		s.warn(plural(total.Excluded, "result") + " excluded: nothing was tested; --strict makes that fail")
	}
	if total.NotEvaluated > 0 {
		s.warn(plural(total.NotEvaluated, "result") + " not evaluated; --require-evaluated makes that fail")
	}
	return testFailure(s, runs, o.selector)
}

func (o testOptions) suiteOptions() (suite.Options, error) {
	opts := suite.Options{Languages: builtin.Languages, Now: o.now, Strict: o.strict, RequireEvaluated: o.requireEvaluated}
	var err error
	if opts.Selector, err = suite.ParseSelector(o.selector); err != nil {
		return opts, err
	}
	var locks []*resource.Resource
	if len(o.locks) > 0 {
		if locks, err = load.Files(o.locks, nil); err != nil {
			return opts, withoutLock(err)
		}
	}
	opts.Digests, _, err = digestSource{}.resolver(locks, "--lock FILE", "oneloop render with --digests LockedOrResolve")
	return opts, err
}

// runSuites runs the suites of files in turn. A file that can't be read is a
// run that says so.
func runSuites(ctx context.Context, s *streams, files []string, opts suite.Options) ([]*suite.Run, error) {
	var runs []*suite.Run
	for _, file := range files {
		suites, err := suite.Open(file)
		if err != nil {
			runs = append(runs, &suite.Run{Suite: &suite.Suite{Origin: resource.Origin{File: file}}, Err: err})
		}
		for _, one := range suites {
			run := one.Run(ctx, opts)
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if len(run.Verdicts) == 0 && run.Err == nil {
				continue
			}
			for _, w := range run.Warnings {
				s.warn(w)
			}
			runs = append(runs, run)
		}
	}
	return runs, nil
}

// testFailure turns what came of suites into the error that ends the run.
func testFailure(s *streams, runs []*suite.Run, selector string) error {
	var errs []error
	failed := false
	for _, run := range runs {
		errs = append(errs, run.Err)
		failed = failed || slices.ContainsFunc(run.Verdicts, func(v suite.Verdict) bool { return v.Status == suite.Fail })
	}
	if err := errors.Join(errs...); err != nil {
		s.complain(err)
		return &reportedError{ExitInput}
	}
	switch {
	case len(runs) == 0 && selector != "":
		return fmt.Errorf("the selector %q chooses none of the results", selector)
	case len(runs) == 0:
		return errors.New("the suites expect no results")
	case failed:
		return &reportedError{ExitFailed}
	}
	return nil
}

// colored reports whether to print colours: only to a terminal that has them,
// unless somebody objects.
func (o testOptions) colored(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok || o.removeColor || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
