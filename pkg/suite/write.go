package suite

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/report/junit"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// A Format writes what came of suites, for machines or for people. Total counts
// all verdicts, also those that runs leave out.
type Format struct {
	Name  string
	Write func(w io.Writer, runs []*Run, total Summary) error
}

// Formats are all formats but the table.
var Formats = []Format{
	{"json", writeJSON},
	{"yaml", writeYAML},
	{"junit", writeJUnit},
	{"markdown", writeMarkdown},
}

// A Summary counts verdicts.
type Summary struct {
	Pass         int `json:"pass"`
	Fail         int `json:"fail"`
	Excluded     int `json:"excluded"`
	NotEvaluated int `json:"notEvaluated"`
	Broken       int `json:"errors"` // suites that could not be run
}

// Summarize counts the verdicts of runs.
func Summarize(runs []*Run) Summary {
	var s Summary
	for _, run := range runs {
		if run.Err != nil {
			s.Broken++
		}
		for _, v := range run.Verdicts {
			switch v.Status {
			case Pass:
				s.Pass++
			case Fail:
				s.Fail++
			case Excluded:
				s.Excluded++
			case NotEvaluated:
				s.NotEvaluated++
			}
		}
	}
	return s
}

// String counts in the words of kyverno test, and adds what it does not tell.
func (s Summary) String() string {
	out := fmt.Sprintf("%d tests passed and %d tests failed", s.Pass, s.Fail)
	var more []string
	for _, part := range []struct {
		n    int
		what string
	}{{s.Excluded, "excluded"}, {s.NotEvaluated, "not evaluated"}} {
		if part.n > 0 {
			more = append(more, fmt.Sprintf("%d %s", part.n, part.what))
		}
	}
	if s.Broken == 1 {
		more = append(more, "1 suite could not be run")
	} else if s.Broken > 1 {
		more = append(more, fmt.Sprintf("%d suites could not be run", s.Broken))
	}
	if len(more) > 0 {
		out += "; " + strings.Join(more, ", ")
	}
	return out
}

// Failed keeps the verdicts that are not as expected, and what they belong to.
func Failed(runs []*Run) []*Run {
	var out []*Run
	for _, run := range runs {
		own := *run
		own.Verdicts = slices.DeleteFunc(slices.Clone(run.Verdicts), func(v Verdict) bool { return v.Status != Fail })
		if len(own.Verdicts) > 0 || own.Err != nil {
			out = append(out, &own)
		}
	}
	return out
}

// Title names the suite and its file.
func (r *Run) Title() string {
	if r.Suite.Name == "" {
		return r.Suite.Origin.File
	}
	return r.Suite.Name + " (" + r.Suite.Origin.File + ")"
}

// Place names the resource of a verdict as the tables of kyverno test do.
func (v *Verdict) Place() string {
	if v.Named != "" {
		return v.Named
	}
	id := v.Resource
	parts := []string{id.Kind.APIVersion(), id.Kind.Kind}
	if id.Namespace != "" {
		parts = append(parts, id.Namespace)
	}
	return strings.Join(append(parts, id.Name), "/")
}

type jsonReport struct {
	Results []jsonResult `json:"results"`
	Errors  []jsonError  `json:"errors,omitempty"`
	Summary Summary      `json:"summary"`
}

type jsonResult struct {
	Suite    string        `json:"suite"`
	File     string        `json:"file"`
	Line     int           `json:"line,omitempty"`
	ID       int           `json:"id"`
	Policy   string        `json:"policy"`
	Rule     string        `json:"rule"`
	Resource *jsonIdentity `json:"resource,omitempty"`
	Named    string        `json:"named,omitempty"`
	Expected string        `json:"expected"`
	Actual   string        `json:"actual,omitempty"`
	Result   string        `json:"result"`
	Reason   string        `json:"reason"`
	Message  string        `json:"message,omitempty"`
	Diff     string        `json:"diff,omitempty"`
}

type jsonIdentity struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace"`
	Name       string `json:"name"`
}

type jsonError struct {
	Suite   string `json:"suite"`
	File    string `json:"file"`
	Message string `json:"message"`
}

func writeJSON(w io.Writer, runs []*Run, total Summary) error {
	report := jsonReport{Results: []jsonResult{}, Summary: total}
	for _, run := range runs {
		file := run.Suite.Origin.File
		if run.Err != nil {
			report.Errors = append(report.Errors, jsonError{run.Suite.Name, file, run.Err.Error()})
		}
		for _, v := range run.Verdicts {
			r := jsonResult{
				Suite: run.Suite.Name, File: file, Line: v.Line, ID: v.ID, Policy: v.Policy, Rule: v.Rule, Named: v.Named,
				Expected: v.Want, Actual: v.Got, Result: v.Status.String(), Reason: v.Reason, Message: v.Message, Diff: v.Diff,
			}
			if id := v.Resource; id.Kind.Kind != "" {
				r.Resource = &jsonIdentity{id.Kind.APIVersion(), id.Kind.Kind, id.Namespace, id.Name}
			}
			report.Results = append(report.Results, r)
		}
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(report)
}

// writeYAML writes what writeJSON writes.
func writeYAML(w io.Writer, runs []*Run, total Summary) error {
	var buf bytes.Buffer
	if err := writeJSON(&buf, runs, total); err != nil {
		return err
	}
	docs, err := resource.Parse("", buf.Bytes())
	if err != nil {
		return err
	}
	o, err := docs[0].Object()
	if err != nil {
		return err
	}
	out, err := text(o)
	if err != nil {
		return err
	}
	_, err = w.Write(out)
	return err
}

// writeJUnit writes a test suite for each suite and a test case for each
// verdict. What was excluded or not evaluated is skipped: nothing was tested.
func writeJUnit(w io.Writer, runs []*Run, _ Summary) error {
	var all []junit.Suite
	for _, run := range runs {
		file := run.Suite.Origin.File
		s := junit.Suite{Name: run.Suite.Name, File: file}
		if s.Name == "" {
			s.Name = file
		}
		if run.Err != nil {
			s.Cases = append(s.Cases, junit.Case{ClassName: s.Name, Name: "suite", File: file,
				Error: &junit.Text{Message: "the suite could not be run", Text: run.Err.Error()}})
		}
		for _, v := range run.Verdicts {
			name := v.Place() + " " + v.Want
			if v.Rule != "" {
				name = v.Rule + " " + name
			}
			c := junit.Case{ClassName: v.Policy, Name: strconv.Itoa(v.ID) + " " + name, File: file, Line: v.Line}
			told := &junit.Text{Message: v.Reason, Text: strings.TrimSuffix(v.Message+"\n"+v.Diff, "\n")}
			switch v.Status {
			case Fail:
				c.Failure = told
			case Excluded, NotEvaluated:
				told.Message += ": " + told.Text
				told.Text = ""
				c.Skipped = told
			}
			s.Cases = append(s.Cases, c)
		}
		all = append(all, s)
	}
	return junit.Write(w, all)
}

// writeMarkdown writes a table for each suite, and the diffs below it.
func writeMarkdown(w io.Writer, runs []*Run, total Summary) error {
	var b strings.Builder
	cell := strings.NewReplacer("|", `\|`, "\n", " ")
	for _, run := range runs {
		fmt.Fprintf(&b, "### %s\n\n", run.Title())
		if run.Err != nil {
			fmt.Fprintf(&b, "could not be run: %s\n\n", run.Err)
		}
		if len(run.Verdicts) > 0 {
			b.WriteString("| ID | POLICY | RULE | RESOURCE | RESULT | REASON |\n|----|----|----|----|----|----|\n")
		}
		for _, v := range run.Verdicts {
			fmt.Fprintf(&b, "| %d | %s | %s | %s | %s | %s |\n", v.ID,
				cell.Replace(v.Policy), cell.Replace(v.Rule), cell.Replace(v.Place()), v.Status.title(), cell.Replace(v.Reason))
		}
		if len(run.Verdicts) > 0 {
			b.WriteString("\n")
		}
		for _, v := range run.Verdicts {
			if v.Diff != "" {
				fence := "```"
				for strings.Contains(v.Diff, fence) {
					fence += "`"
				}
				fmt.Fprintf(&b, "%d: %s\n\n%sdiff\n%s%s\n\n", v.ID, v.Message, fence, v.Diff, fence)
			}
		}
	}
	fmt.Fprintf(&b, "Test Summary: %s\n", total)
	_, err := io.WriteString(w, b.String())
	return err
}

// title is the word that tables use.
func (s Status) title() string {
	word := s.String()
	return strings.ToUpper(word[:1]) + word[1:]
}
