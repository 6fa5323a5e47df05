package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/oneloop-dev/oneloop/pkg/builtin"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/schema"
)

func explainCommand(s *streams) *cobra.Command {
	asSchema := false
	cmd := &cobra.Command{
		Use:   "explain [LANGUAGE|KIND|KIND.FIELD]",
		Short: "Explain a policy language, or a field of oneloop's own kinds",
		Long: `Explain a policy language, or a field of oneloop's own kinds.

The manual of a language, or of the language of a kind of policy, tells what of it
is evaluated and how. A kind or a field of
ApplyPolicies, ImageLock, ClusterFacts and PinImages is shown with its type,
the values that it takes and the fields below it.`,
		Example: `  # What is known of Kyverno's ClusterPolicy?
  oneloop explain ClusterPolicy

  # What may stand in a functionConfig?
  oneloop explain ApplyPolicies.spec.images.mode

  # For an editor
  oneloop explain --schema ImageLock > imagelock.json`,
		Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return explained(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			name := strings.Join(args, "")
			switch {
			case asSchema:
				text, err := schema.Text(name)
				if err != nil {
					return err
				}
				_, err = s.out.Write(text)
				return err
			case name == "":
				return explainAll(s)
			}
			return explain(s, name)
		},
	}
	cmd.Flags().BoolVar(&asSchema, "schema", false, "print the JSON Schema of a kind")
	return cmd
}

// explained lists what there is to explain.
func explained() []string {
	var out []string
	for _, l := range builtin.Languages {
		out = append(append(out, l.Name), l.Kinds...)
	}
	kinds, _ := schema.Kinds() // it reads what is part of the program
	return append(out, kinds...)
}

func explainAll(s *streams) error {
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "Policy languages:")
	for _, l := range builtin.Languages {
		title, _ := manual(l)
		fmt.Fprintf(w, "  %s\t%s\n", l.Name, title)
	}
	fmt.Fprintln(w, "\nKinds:")
	kinds, err := schema.Kinds()
	if err != nil {
		return err
	}
	for _, kind := range kinds {
		f, err := schema.Find(kind)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "  %s\t%s\n", kind, f.Description)
	}
	return w.Flush()
}

// manual splits the manual of a language into its title and the rest.
func manual(l policy.Language) (title, text string) {
	title, text, _ = strings.Cut(l.Doc, "\n")
	return strings.TrimSpace(title), strings.TrimLeft(text, "\n")
}

func explain(s *streams, name string) error {
	kind, _, _ := strings.Cut(name, ".")
	same := func(word string) bool { return strings.EqualFold(word, kind) }
	for _, l := range builtin.Languages {
		if strings.EqualFold(l.Name, name) || slices.ContainsFunc(l.Kinds, same) {
			title, text := manual(l)
			if strings.Contains(name, ".") {
				s.warn(fmt.Sprintf("%s: fields of policies are not explained one by one; this is the manual of their language", name))
			}
			_, err := fmt.Fprintf(s.out, "%s: %s\n\n%s\n", l.Name, title, strings.TrimRight(text, "\n"))
			return err
		}
	}
	f, err := schema.Find(name)
	if err != nil {
		if !strings.Contains(name, ".") {
			return fmt.Errorf("nothing known of %q: expected a language or kind such as %s, or a field such as ApplyPolicies.spec.mode", name, strings.Join(explained(), ", "))
		}
		return err
	}
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "%s: %s\n", name, f)
	if f.Description != "" {
		fmt.Fprintf(w, "\n%s\n", wrap(f.Description, 80))
	}
	if words := f.Words(); words != nil {
		fmt.Fprintf(w, "\nValues: %s\n", strings.Join(words, ", "))
	}
	if below := f.Fields(); len(below) > 0 {
		fmt.Fprintln(w, "\nFields:")
		for _, field := range slices.Sorted(maps.Keys(below)) {
			about, _, _ := strings.Cut(below[field].Description, ". ")
			fmt.Fprintf(w, "  %s\t%s\t%s\n", field, below[field], strings.TrimSuffix(about, "."))
		}
	}
	return w.Flush()
}

// wrap breaks a text into lines of at most width characters, where it can.
func wrap(text string, width int) string {
	var b strings.Builder
	column := 0
	for _, word := range strings.Fields(text) {
		switch {
		case column == 0:
		case column+1+len(word) > width:
			b.WriteByte('\n')
			column = 0
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += len(word)
	}
	return b.String()
}
