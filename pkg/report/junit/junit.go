// Package junit writes the XML in which test runners report, which most CI
// systems show.
package junit

import (
	"encoding/xml"
	"io"
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/report"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// Format writes a test suite for each policy, and in it a test case for each
// rule and resource: failed when admission would refuse the resource, an error
// when the rule could not be evaluated, skipped when it changed nothing.
var Format = report.Format{
	Name:  "junit",
	Doc:   "JUnit XML, with a test case for each rule and resource",
	Write: write,
}

// A Suite is a group of cases. Write counts them.
type Suite struct {
	Name  string
	File  string
	Cases []Case
}

// A Case is one test. At most one of Failure, Error and Skipped is set; none
// when it passed.
type Case struct {
	ClassName string `xml:"classname,attr"`
	Name      string `xml:"name,attr"`
	File      string `xml:"file,attr,omitempty"`
	Line      int    `xml:"line,attr,omitempty"`
	Failure   *Text  `xml:"failure"`
	Error     *Text  `xml:"error"`
	Skipped   *Text  `xml:"skipped"`
	Output    string `xml:"system-out,omitempty"`
}

// A Text says why a case did not pass: Message in a line, Text at length.
type Text struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

type counts struct {
	Tests    int `xml:"tests,attr"`
	Failures int `xml:"failures,attr"`
	Errors   int `xml:"errors,attr"`
	Skipped  int `xml:"skipped,attr"`
}

type suites struct {
	XMLName xml.Name `xml:"testsuites"`
	counts
	Suites []suite `xml:"testsuite"`
}

type suite struct {
	Name string `xml:"name,attr"`
	File string `xml:"file,attr,omitempty"`
	counts
	Cases []Case `xml:"testcase"`
}

// Write writes the suites as one document.
func Write(w io.Writer, list []Suite) error {
	var all suites
	for _, s := range list {
		one := suite{Name: s.Name, File: s.File, Cases: s.Cases}
		for _, c := range s.Cases {
			one.Tests++
			switch {
			case c.Failure != nil:
				one.Failures++
			case c.Error != nil:
				one.Errors++
			case c.Skipped != nil:
				one.Skipped++
			}
		}
		all.Tests += one.Tests
		all.Failures += one.Failures
		all.Errors += one.Errors
		all.Skipped += one.Skipped
		all.Suites = append(all.Suites, one)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func write(w io.Writer, entries []report.Entry) error {
	var list []*Suite
	byPolicy := map[resource.ID]*Suite{}
	for _, e := range entries {
		s := byPolicy[e.Policy.ID]
		if s == nil {
			s = &Suite{Name: e.Policy.ID.String(), File: e.Policy.Origin.File}
			byPolicy[e.Policy.ID] = s
			list = append(list, s)
		}
		s.Cases = append(s.Cases, caseOf(e))
	}
	out := make([]Suite, len(list))
	for i, s := range list {
		out[i] = *s
	}
	return Write(w, out)
}

func caseOf(e report.Entry) Case {
	c := Case{ClassName: e.Policy.Key(), Name: e.Rule, File: e.Origin.File, Line: e.Origin.Line}
	if e.Resource.Kind.Kind == "" {
		c.Name, c.File, c.Line = "policy", e.Policy.Origin.File, e.Policy.Origin.Line
	} else {
		c.Name = strings.TrimSpace(c.Name + " " + e.Resource.String())
	}
	text := &Text{Message: e.Message}
	if e.Err != nil {
		text.Text = e.Err.Error()
	}
	switch e.Outcome {
	case policy.Denied:
		c.Failure = text
	case policy.Failed:
		c.Error = text
	case policy.Mutated, policy.Passed, policy.Applied:
		c.Output = strings.Join(e.Effects(), "\n")
	default:
		c.Skipped = text
	}
	return c
}
