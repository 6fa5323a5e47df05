// Package sarif writes SARIF 2.1.0, which code scanning shows at the lines of
// the manifests.
package sarif

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/report"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// Format writes one run with a result for each change, refusal, error and notice.
// What changed nothing is left out. Changes are notes, at the line of the field or,
// for a new one, of what it was added to; files are relative to the folder of the
// run.
var Format = report.Format{
	Name:  "sarif",
	Lines: true,
	Doc:   "SARIF 2.1.0, for code scanning",
	Write: write,
}

type document struct {
	Schema  string `json:"$schema"`
	Version string `json:"version"`
	Runs    []run  `json:"runs"`
}

type run struct {
	Tool    tool     `json:"tool"`
	Results []result `json:"results"`
}

type tool struct {
	Driver driver `json:"driver"`
}

type driver struct {
	Name  string `json:"name"`
	Rules []rule `json:"rules"`
}

type rule struct {
	ID               string     `json:"id"`
	ShortDescription message    `json:"shortDescription"`
	Properties       properties `json:"properties"`
}

type properties struct {
	Tags []string `json:"tags,omitempty"`
}

type message struct {
	Text string `json:"text"`
}

type result struct {
	RuleID    string     `json:"ruleId"`
	RuleIndex int        `json:"ruleIndex"`
	Level     string     `json:"level"`
	Message   message    `json:"message"`
	Locations []location `json:"locations,omitempty"`
}

type location struct {
	PhysicalLocation *physical `json:"physicalLocation,omitempty"`
	LogicalLocations []logical `json:"logicalLocations,omitempty"`
}

type physical struct {
	ArtifactLocation artifact `json:"artifactLocation"`
	Region           *region  `json:"region,omitempty"`
}

type artifact struct {
	URI string `json:"uri"`
}

type region struct {
	StartLine int `json:"startLine"`
}

type logical struct {
	FullyQualifiedName string `json:"fullyQualifiedName"`
	Kind               string `json:"kind"`
}

func write(w io.Writer, entries []report.Entry) error {
	out := run{Tool: tool{driver{Name: "oneloop", Rules: []rule{}}}, Results: []result{}}
	ids := ruleIDs(entries)
	for _, e := range ids {
		r := rule{ID: id(e), ShortDescription: message{fmt.Sprintf("%s, rule %q", e.Policy.ID, e.Rule)}}
		if e.Rule == "" {
			r.ShortDescription.Text = e.Policy.ID.String()
		}
		if e.Policy.Category != "" {
			r.Properties.Tags = []string{e.Policy.Category}
		}
		out.Tool.Driver.Rules = append(out.Tool.Driver.Rules, r)
	}
	for _, e := range entries {
		base := result{RuleID: id(e), Level: "note", Message: message{e.Message}}
		base.RuleIndex = slices.IndexFunc(ids, func(other report.Entry) bool { return id(other) == base.RuleID })
		switch e.Outcome {
		case policy.Denied, policy.Failed:
			base.Level = "error"
			if e.Err != nil {
				base.Message.Text = e.Err.Error()
			}
		case policy.Noticed:
			base.Level = "warning"
		case policy.Mutated, policy.Applied:
			if effects := e.Effects(); len(effects) > 0 {
				base.Message.Text = strings.Join(effects, "\n")
			}
		default:
			continue
		}
		base.Locations = locate(e, place(e))
		if e.Outcome != policy.Mutated || len(e.Changes) == 0 {
			out.Results = append(out.Results, base)
			continue
		}
		for i, c := range e.Changes {
			one, at := base, e.Origin
			one.Message.Text = e.Resource.String() + ": " + c.String()
			if e.Lines != nil && e.Lines[i] > 0 {
				at.Line = e.Lines[i]
			}
			one.Locations = locate(e, at)
			out.Results = append(out.Results, one)
		}
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(document{"https://json.schemastore.org/sarif-2.1.0.json", "2.1.0", []run{out}})
}

// ruleIDs returns one entry for each rule, sorted.
func ruleIDs(entries []report.Entry) []report.Entry {
	var out []report.Entry
	seen := map[string]bool{}
	for _, e := range entries {
		if !seen[id(e)] {
			seen[id(e)] = true
			out = append(out, e)
		}
	}
	slices.SortFunc(out, func(a, b report.Entry) int { return cmp.Compare(id(a), id(b)) })
	return out
}

func id(e report.Entry) string {
	if e.Rule == "" {
		return e.Policy.Key()
	}
	return e.Policy.Key() + "/" + e.Rule
}

// place is that of the field that the error is about or of the resource; for a
// notice about a policy, that of the policy.
func place(e report.Entry) resource.Origin {
	var fault *policy.Error
	switch {
	case e.Resource.Kind.Kind == "":
		return e.Policy.Origin
	case errors.As(e.Err, &fault) && fault.At.Line > 0 && fault.At.File == e.Origin.File:
		return fault.At
	}
	return e.Origin
}

// locate says where a result belongs.
func locate(e report.Entry, origin resource.Origin) []location {
	name := e.Resource.String()
	if e.Resource.Kind.Kind == "" {
		name = e.Policy.ID.String()
	}
	l := location{LogicalLocations: []logical{{name, "resource"}}}
	if origin.File != "" && origin.File != "-" {
		l.PhysicalLocation = &physical{ArtifactLocation: artifact{uri(origin.File)}}
		if origin.Line > 0 {
			l.PhysicalLocation.Region = &region{origin.Line}
		}
	}
	return []location{l}
}

// uri names a file as a reference relative to the folder of the run, or as an
// absolute one.
func uri(file string) string {
	u := url.URL{Path: filepath.ToSlash(filepath.Clean(file))}
	if strings.HasPrefix(u.Path, "/") {
		u.Scheme = "file"
	}
	return u.String()
}
