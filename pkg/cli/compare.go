package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/oneloop-dev/oneloop/pkg/compare"
	"github.com/oneloop-dev/oneloop/pkg/config"
	"github.com/oneloop-dev/oneloop/pkg/load"
	"github.com/oneloop-dev/oneloop/pkg/pipeline"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/resource"
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
	f.StringArrayVar(&o.facts, "facts", nil, "file of cluster facts, as for render (repeatable)")
	f.StringArrayVar(&o.locks, "lock", nil, "file with an ImageLock (repeatable)")
	f.StringVar(&o.digests.mode, "digests", config.Modes[0], "where digests come from: "+strings.Join(config.Modes, ", "))
	o.digests.flags(f)
	f.StringVar(&o.onUnsupported, "on-unsupported", "Error", "what to do about a rule that can't be evaluated at render time: Error or Warn")
	f.StringVar(&o.now, "now", "", "time of the request for policies that ask for it, such as 2026-01-31T00:00:00Z")
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
		copies := make([]*resource.Resource, len(items))
		for j, r := range items {
			asRead := *r
			copies[j] = &asRead
		}
		if outputs[i], err = p.apply(ctx, s, copies); err != nil {
			errs = append(errs, err)
			continue
		}
		errs = append(errs, failures(outputs[i].Entries))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	differences, err := compare.Runs(items, outputs[0], outputs[1])
	if err != nil {
		return err
	}
	write := writeDifferences
	if o.format == "json" {
		write = writeDifferencesJSON
	}
	if err := write(s.out, differences); err != nil {
		return err
	}
	if len(differences) == 0 {
		fmt.Fprintf(s.err, "%s: both sets of policies make the same of them\n", plural(len(items), "manifest"))
		return nil
	}
	fmt.Fprintf(s.err, "%s: %s\n", plural(len(items), "manifest"), plural(len(differences), "difference"))
	return &reportedError{ExitChanges}
}

// writeDifferences writes, for each field,
//
//	web.yaml:12: shop/Deployment/web at spec.replicas
//	  before  3  ClusterPolicy/replicas, rule "three"
//	  after   2  as written
func writeDifferences(w io.Writer, differences []compare.Difference) error {
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, d := range differences {
		at := d.Resource.String()
		if origin := d.Origin.String(); origin != "" {
			at = origin + ": " + at
		}
		if d.Path != nil {
			at += " at " + d.Path.String()
		}
		// The text of a line that has no tab does not widen the columns.
		if _, err := fmt.Fprintf(tab, "%s\n", at); err != nil {
			return err
		}
		for _, side := range []struct {
			name  string
			state compare.State
		}{{"before", d.Before}, {"after", d.After}} {
			line := "  " + side.name + "\t" + shortly(side.state, d.Path == nil)
			if why := because(side.state); why != "" {
				line += "\t" + why
			}
			if _, err := fmt.Fprintln(tab, line); err != nil {
				return err
			}
		}
	}
	return tab.Flush()
}

// longest is the length of a value in the text form, in characters.
const longest = 120

func shortly(s compare.State, whole bool) string {
	switch {
	case s.Absent:
		return "(absent)"
	case whole:
		return "(there)"
	}
	data, err := json.Marshal(s.Value)
	if err != nil {
		return err.Error()
	}
	text := []rune(string(data))
	if len(text) > longest {
		text = append(text[:longest-3], '.', '.', '.')
	}
	return string(text)
}

func because(s compare.State) string {
	if s.Policy == (policy.Ref{}) {
		if s.Absent {
			return ""
		}
		return "as written"
	}
	text := s.Policy.ID.Kind.Kind + "/" + s.Policy.Key()
	if s.Rule != "" {
		text += fmt.Sprintf(", rule %q", s.Rule)
	}
	return text
}

func writeDifferencesJSON(w io.Writer, differences []compare.Difference) error {
	type state struct {
		Absent bool   `json:"absent,omitempty"`
		Value  any    `json:"value,omitempty"`
		Policy string `json:"policy,omitempty"`
		Rule   string `json:"rule,omitempty"`
	}
	type difference struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Namespace  string `json:"namespace,omitempty"`
		Name       string `json:"name"`
		File       string `json:"file,omitempty"`
		Line       int    `json:"line,omitempty"`
		Path       string `json:"path,omitempty"`
		Before     state  `json:"before"`
		After      state  `json:"after"`
	}
	of := func(s compare.State) state {
		out := state{Absent: s.Absent, Value: s.Value, Rule: s.Rule}
		if s.Policy != (policy.Ref{}) {
			out.Policy = s.Policy.Key()
		}
		return out
	}
	doc := struct {
		Differences []difference `json:"differences"`
	}{[]difference{}}
	for _, d := range differences {
		doc.Differences = append(doc.Differences, difference{
			APIVersion: d.Resource.Kind.APIVersion(), Kind: d.Resource.Kind.Kind, Namespace: d.Resource.Namespace, Name: d.Resource.Name,
			File: d.Origin.File, Line: d.Origin.Line, Path: strings.TrimSpace(d.Path.String()), Before: of(d.Before), After: of(d.After),
		})
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(doc)
}
