package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/oneloop-dev/oneloop/pkg/diff"
	"github.com/oneloop-dev/oneloop/pkg/load"
	"github.com/oneloop-dev/oneloop/pkg/pipeline"
	"github.com/oneloop-dev/oneloop/pkg/policy"
)

// compareOptions are the flags of compare.
type compareOptions struct {
	renderOptions
	before, after []string
	format        string
}

func compareCommand(s *streams) *cobra.Command {
	var o compareOptions
	cmd := &cobra.Command{
		Use:   "compare --before POLICIES --after POLICIES [flags] [MANIFESTS | -]...",
		Short: "Tell whether two sets of policies make the same of the manifests",
		Long: `Tell whether two sets of policies make the same of the manifests.

Both sets are applied to the same manifests, each by itself. Every field that
ends up different is listed with the policy and the rule behind it on both sides.
The exit code is 0 when there is none, and 2 when there is one: for moving from
one policy language to another, and for changing policies with an easy mind.`,
		Example: `  # Does the new policy do what the old one did?
  oneloop compare --before cluster-policies/ --after mutating-policies/ manifests/

  # What does a change of the policies mean for production?
  kustomize build overlays/prod | oneloop compare --before main/policies --after policies -`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return runCompare(cmd.Context(), s, o, args)
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.before, "before", nil, "file, folder or glob of policies of the first set (repeatable)")
	f.StringArrayVar(&o.after, "after", nil, "file, folder or glob of policies of the second set (repeatable)")
	f.StringVarP(&o.format, "output", "o", "text", "form of the list: text or json")
	o.worldFlags(f)
	return cmd
}

func runCompare(ctx context.Context, s *streams, o compareOptions, args []string) error {
	if o.format != "text" && o.format != "json" {
		return fmt.Errorf("--output %q: expected text or json", o.format)
	}
	if len(o.before) == 0 || len(o.after) == 0 {
		return errors.New("two sets of policies are needed: --before POLICIES --after POLICIES")
	}
	if len(args) == 0 {
		args = []string{"-"}
	}
	if err := readOnce(o.before, o.after, o.facts, o.locks, args); err != nil {
		return err
	}
	plans := make([]plan, 2)
	for i, policies := range [][]string{o.before, o.after} {
		o.policies = policies
		var err error
		if plans[i], err = renderPlan(s, o.renderOptions); err != nil {
			return err
		}
		plans[i].printed = false
	}
	items, err := load.Files(args, s.in)
	if err != nil {
		return err
	}
	if len(items) == 0 {
		return errors.New("no manifests to compare with")
	}
	if err := check(items, nil); err != nil {
		return err
	}
	outputs := make([]pipeline.Output, 2)
	var errs []error
	for i, p := range plans {
		if outputs[i], err = p.apply(ctx, s, copies(items)); err != nil {
			errs = append(errs, err)
			continue
		}
		errs = append(errs, failures(outputs[i].Entries))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	differences, err := diff.Runs(items, outputs[0], outputs[1])
	if err != nil {
		return err
	}
	write := diff.WriteComparison
	if o.format == "json" {
		write = diff.WriteJSON
	}
	if err := write(s.out, differences); err != nil {
		return err
	}
	for i, flag := range []string{"--before", "--after"} {
		if text := idleText(outputs[i].Idle); text != "" {
			fmt.Fprintf(s.err, "note: %s: %s\n", flag, text)
		}
	}
	if len(differences) == 0 {
		fmt.Fprintf(s.err, "%s: both sets of policies make the same of them\n", plural(len(items), "manifest"))
		return nil
	}
	fmt.Fprintf(s.err, "%s: %s\n", plural(len(items), "manifest"), plural(len(differences), "difference"))
	return &reportedError{ExitChanges}
}

// idleText names the policies that the manifests tell nothing about.
func idleText(idle []policy.Ref) string {
	switch len(idle) {
	case 0:
		return ""
	case 1:
		return fmt.Sprintf("%s (%s) changes nothing in these manifests", idle[0].ID, idle[0].Origin)
	}
	names := make([]string, len(idle))
	for i, ref := range idle {
		names[i] = ref.ID.String()
	}
	return fmt.Sprintf("%d policies change nothing in these manifests: %s", len(idle), strings.Join(names, ", "))
}
