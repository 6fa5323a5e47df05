package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/oneloop-dev/oneloop/pkg/builtin"
	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/load"
	"github.com/oneloop-dev/oneloop/pkg/pipeline"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// vetOptions are the flags of vet.
type vetOptions struct {
	policies []string
	facts    []string
	output   string
	strict   bool
	fix      bool
}

func vetCommand(s *streams) *cobra.Command {
	var o vetOptions
	cmd := &cobra.Command{
		Use:   "vet [flags] POLICIES...",
		Short: "Check policies for render time",
		Long: `Check policies for render time.

For each policy, at file and line: what can't be evaluated when manifests are
rendered, which facts of a cluster it needs and how to give them, what Kyverno
itself would refuse, and deprecated spellings with what to write instead.

Where a newer spelling does the same, the lines to write are shown; --fix writes
them into the files, and touches no other line.

Errors exit with 3, and so do warnings with --strict. Notes never fail; with
--facts, facts that are not in these files are errors and exit with 4.`,
		Example: `  # In CI
  oneloop vet --strict policies/

  # Write the newer spellings
  oneloop vet --fix policies/

  # The facts to fill in, and later: are they complete?
  oneloop vet -o stub policies/ > facts.yaml
  oneloop vet --facts facts.yaml policies/`,
		RunE: func(_ *cobra.Command, args []string) error {
			return runVet(s, o, args)
		},
	}
	f := cmd.Flags()
	f.StringArrayVarP(&o.policies, "policy", "p", nil, "file, folder or glob of policies, or -, as the arguments (repeatable)")
	f.StringArrayVar(&o.facts, "facts", nil, "file of cluster facts, as for render: what they lack is an error (repeatable)")
	f.StringVarP(&o.output, "output", "o", "text", "what to print: text, json, or stub for the facts to fill in")
	f.BoolVar(&o.strict, "strict", false, "fail on warnings too")
	f.BoolVar(&o.fix, "fix", false, "rewrite the files where a fix is shown, and print what is left")
	return cmd
}

func runVet(s *streams, o vetOptions, args []string) error {
	if !slices.Contains([]string{"text", "json", "stub"}, o.output) {
		return fmt.Errorf("--output %q: expected text, json or stub", o.output)
	}
	args = slices.Concat(o.policies, args)
	if len(args) == 0 {
		return errors.New("no policies; name files, folders, globs or -, as in: oneloop vet policies/")
	}
	if err := readOnce(args, o.facts); err != nil {
		return err
	}
	if o.fix {
		if err := fixPolicies(s, args); err != nil {
			return err
		}
	}
	policies, err := load.Files(args, s.in)
	if err != nil {
		return err
	}
	if len(policies) == 0 {
		return fmt.Errorf("%s: no policies to check", strings.Join(args, ", "))
	}
	known := facts.New()
	if len(o.facts) > 0 {
		docs, err := load.Files(o.facts, s.in)
		if err != nil {
			return err
		}
		if err := known.AddDocuments(docs); err != nil {
			return err
		}
	}
	languages, err := pipeline.ForVersion(builtin.Languages, known.KubernetesVersion)
	if err != nil {
		return err
	}
	v := vetted{findings: pipeline.Vet(languages, policies), documents: len(policies)}
	if v.fixes, err = suggestions(policies, v.findings); err != nil {
		return err
	}
	if len(o.facts) > 0 {
		v.against(known)
	}
	switch o.output {
	case "json":
		err = v.json(s.out)
	case "stub":
		err = v.stub(s)
	default:
		err = v.text(s.out)
	}
	if err != nil {
		return err
	}
	fmt.Fprintln(s.err, v.summary())
	return v.failure(o.strict)
}

// A vetted is what vet found out.
type vetted struct {
	documents int
	findings  []policy.Finding
	fixes     []string // of the findings: the lines that differ; "" when there is none
}

// against drops the facts that are known. What is missing is an error, unless
// only the resources can tell what it is.
func (v *vetted) against(known *facts.Facts) {
	var left vetted
	for i, f := range v.findings {
		if f.Needs == nil || f.Open || !known.Knows(*f.Needs) {
			left.findings, left.fixes = append(left.findings, f), append(left.fixes, v.fixes[i])
		}
	}
	v.findings, v.fixes = left.findings, left.fixes
	for i := range v.findings {
		f := &v.findings[i]
		if f.Needs == nil || f.Open || f.Needs.Operation != "" {
			continue // an operation is a choice, and not asked for
		}
		// Kyverno's Values may stand for what a rule would have loaded.
		if _, ok := known.RuleValues(f.Policy.ID.Name, f.Rule); !ok {
			f.Severity = policy.Fault
		}
	}
}

// text prints a line for each finding: file:line: severity: what and where. Below
// stand the lines of its fix, unless another finding has shown them.
func (v *vetted) text(w io.Writer) error {
	shown := map[string]bool{}
	for i := range v.findings {
		if err := v.line(w, &v.findings[i]); err != nil {
			return err
		}
		key := fmt.Sprint(v.findings[i].Policy.Origin, v.fixes[i])
		if v.fixes[i] == "" || shown[key] {
			continue
		}
		shown[key] = true
		for line := range strings.Lines(v.fixes[i]) {
			if _, err := fmt.Fprintf(w, "    %s", line); err != nil {
				return err
			}
		}
	}
	return nil
}

func (v *vetted) line(w io.Writer, f *policy.Finding) error {
	at := f.Origin().String()
	if at != "" {
		at += ": "
	}
	e := f.Error()
	e.Policy.Origin, e.Line = resource.Origin{}, 0
	_, err := fmt.Fprintf(w, "%s%s: %s [%s]\n", at, f.Severity, e, f.Check)
	return err
}

// A jsonFinding is a finding as -o json prints it.
type jsonFinding struct {
	File     string       `json:"file,omitempty"`
	Line     int          `json:"line,omitempty"`
	Severity string       `json:"severity"`
	Check    policy.Check `json:"check"`
	Policy   jsonPolicy   `json:"policy"`
	Rule     string       `json:"rule,omitempty"`
	Path     string       `json:"path,omitempty"`
	Message  string       `json:"message"`
	Needs    *facts.Spec  `json:"needs,omitempty"`
	Open     bool         `json:"open,omitempty"`
	Fix      string       `json:"fix,omitempty"`
}

type jsonPolicy struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace,omitempty"`
	Name       string `json:"name"`
}

func (v *vetted) json(w io.Writer) error {
	list := make([]jsonFinding, len(v.findings))
	for i := range v.findings {
		f := &v.findings[i]
		id, at := f.Policy.ID, f.Origin()
		list[i] = jsonFinding{
			File: at.File, Line: at.Line, Severity: f.Severity.String(), Check: f.Check,
			Policy: jsonPolicy{APIVersion: id.Kind.APIVersion(), Kind: id.Kind.Kind, Namespace: id.Namespace, Name: id.Name},
			Rule:   f.Rule, Path: f.Path.String(), Message: f.Message, Needs: f.Needs, Open: f.Open,
			Fix: v.fixes[i],
		}
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(map[string]any{"findings": list})
}

// stub prints the facts that are needed, to be filled in. Errors go to people,
// as they may hide further facts.
func (v *vetted) stub(s *streams) error {
	var all facts.Spec
	found := false
	for i := range v.findings {
		f := &v.findings[i]
		switch {
		case f.Needs != nil && f.Needs.Operation == "":
			found = true
			all.Add(*f.Needs)
		case f.Severity == policy.Fault:
			if err := v.line(s.err, f); err != nil {
				return err
			}
		}
	}
	if !found {
		fmt.Fprintln(s.err, "the policies need no facts")
		return nil
	}
	o, err := all.Document()
	if err != nil {
		return err
	}
	r, err := resource.New(o)
	if err != nil {
		return err
	}
	text, err := r.AppendYAML([]byte("# What the policies ask a cluster for. Fill in the values; where a name has\n# {{ }}, give one for each value that it takes.\n"))
	if err != nil {
		return err
	}
	_, err = s.out.Write(text)
	return err
}

func (v *vetted) count(severity policy.Severity) int {
	n := 0
	for i := range v.findings {
		if v.findings[i].Severity == severity {
			n++
		}
	}
	return n
}

func (v *vetted) summary() string {
	text := fmt.Sprintf("%s: %s, %s, %s", plural(v.documents, "policy"),
		plural(v.count(policy.Fault), "error"), plural(v.count(policy.Warning), "warning"), plural(v.count(policy.Note), "note"))
	fixes := 0
	for _, f := range v.fixes {
		if f != "" {
			fixes++
		}
	}
	if fixes > 0 {
		text += fmt.Sprintf("; --fix settles %d", fixes)
	}
	return text
}

// failure turns findings into the exit code.
func (v *vetted) failure(strict bool) error {
	code := ExitDone
	for i := range v.findings {
		f := &v.findings[i]
		switch {
		case f.Severity == policy.Fault && f.Check == policy.Needed:
			code = max(code, ExitMissing)
		case f.Severity == policy.Fault, f.Severity == policy.Warning && strict:
			return &reportedError{ExitFailed}
		}
	}
	if code != ExitDone {
		return &reportedError{code}
	}
	return nil
}
