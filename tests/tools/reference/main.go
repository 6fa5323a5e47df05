// Command reference writes the pages that the program knows best itself: its
// commands, the manuals of its policy languages and the functions of their
// expressions in Markdown, or its man pages.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/oneloop-dev/oneloop/pkg/builtin"
	"github.com/oneloop-dev/oneloop/pkg/cli"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "reference:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("usage: reference markdown|man FOLDER")
	}
	folder := args[1]
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	root := cli.Command()
	root.DisableAutoGenTag = true // the date
	switch args[0] {
	case "markdown":
		return errors.Join(commandLine(root, folder), manuals(folder), functions(folder))
	case "man":
		epoch := time.Unix(0, 0)
		return doc.GenManTree(root, &doc.GenManHeader{Title: "ONELOOP", Section: "1", Date: &epoch, Source: "oneloop", Manual: "oneloop"}, folder)
	}
	return fmt.Errorf("%q: expected markdown or man", args[0])
}

// commandLine writes one page of all commands.
func commandLine(root *cobra.Command, folder string) error {
	var out strings.Builder
	out.WriteString("# The command line\n\nWritten by `make generate` from what `--help` says.\n")
	var write func(c *cobra.Command) error
	write = func(c *cobra.Command) error {
		if c.Hidden || c.IsAdditionalHelpTopicCommand() {
			return nil
		}
		c.InitDefaultHelpFlag()
		fmt.Fprintf(&out, "\n## %s\n\n%s\n", c.CommandPath(), strings.TrimSpace(c.Long))
		if c.Long == "" {
			fmt.Fprintf(&out, "%s.\n", c.Short)
		}
		if c.Runnable() {
			fmt.Fprintf(&out, "\n```console\n$ %s\n```\n", c.UseLine())
		}
		if c.Example != "" {
			fmt.Fprintf(&out, "\n```sh\n%s\n```\n", dedent(c.Example))
		}
		if flags := c.NonInheritedFlags().FlagUsages(); flags != "" {
			fmt.Fprintf(&out, "\n```text\n%s```\n", flags)
		}
		if c.Name() == "completion" {
			return nil // each shell's says the same
		}
		for _, sub := range c.Commands() {
			if err := write(sub); err != nil {
				return err
			}
		}
		return nil
	}
	root.InitDefaultCompletionCmd()
	if err := write(root); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "command-line.md"), []byte(out.String()), 0o644)
}

// manuals writes a page for each policy language: the comment of its package.
func manuals(folder string) error {
	for _, l := range builtin.Languages {
		title, text, _ := strings.Cut(l.Doc, "\n")
		var out strings.Builder
		fmt.Fprintf(&out, "# %s\n\nAlso `oneloop explain %s`.\n\n", strings.TrimSpace(title), l.Name)
		for line := range strings.Lines(strings.TrimSpace(text) + "\n") {
			if strings.HasPrefix(line, "# ") {
				line = "#" + line
			}
			out.WriteString(line)
		}
		if err := os.WriteFile(filepath.Join(folder, l.Name+".md"), []byte(out.String()), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// functions writes what the expressions of each language may call.
func functions(folder string) error {
	for _, l := range builtin.Languages {
		if l.Functions == nil {
			continue
		}
		all, err := l.Functions()
		if err != nil {
			return err
		}
		title, _, _ := strings.Cut(l.Doc, "\n")
		var out strings.Builder
		fmt.Fprintf(&out, "# Functions: %s\n\n", strings.TrimSpace(title))
		for _, f := range all {
			var forms []string
			for _, s := range f.Signatures {
				forms = append(forms, "`"+s+"`")
			}
			fmt.Fprintf(&out, "- %s", strings.Join(forms, ", "))
			if f.Note != "" {
				fmt.Fprintf(&out, ": %s", f.Note)
			}
			out.WriteString("\n")
		}
		if err := os.WriteFile(filepath.Join(folder, l.Name+"-functions.md"), []byte(out.String()), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// dedent takes the two spaces of examples from each line.
func dedent(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = strings.TrimPrefix(lines[i], "  ")
	}
	return strings.Join(lines, "\n")
}
