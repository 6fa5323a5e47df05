// Package json writes the machine-readable report of a run: one object with
// one result for each rule and resource.
package json

import (
	"encoding/json"
	"io"

	"github.com/oneloop-dev/oneloop/pkg/report"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// Format writes
//
//	{"results": [{"policy", "rule", "resource": {"apiVersion", "kind",
//	"namespace", "name"}, "file", "line", "result", "message",
//	"changes": [{"path", "moved", "before", "after"}],
//	"targets": [{"resource", "file", "line", "generated", "changes"}]}]}
//
// where policy is the name, or namespace/name, and result is pass, fail, warn,
// error or skip. A notice about a policy has no resource; before is absent for
// an added field, after for a removed one; moved is true for a list of which only
// the order changed. Targets are the resources that a rule changed or generated
// because of resource, its trigger.
var Format = report.Format{
	Name:  "json",
	Doc:   "one JSON object with a result for each rule and resource",
	Write: write,
}

type document struct {
	Results []result `json:"results"`
}

type result struct {
	Policy   string    `json:"policy"`
	Rule     string    `json:"rule"`
	Resource *identity `json:"resource,omitempty"`
	File     string    `json:"file,omitempty"`
	Line     int       `json:"line,omitempty"`
	Result   string    `json:"result"`
	Message  string    `json:"message,omitempty"`
	Changes  []change  `json:"changes,omitempty"`
	Targets  []target  `json:"targets,omitempty"`
}

type target struct {
	Resource  identity `json:"resource"`
	File      string   `json:"file,omitempty"`
	Line      int      `json:"line,omitempty"`
	Generated bool     `json:"generated,omitempty"`
	Changes   []change `json:"changes"`
}

type identity struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace"`
	Name       string `json:"name"`
}

type change struct {
	Path   string `json:"path"`
	Moved  bool   `json:"moved,omitempty"`
	Before any    `json:"before,omitempty"`
	After  any    `json:"after,omitempty"`
}

func write(w io.Writer, entries []report.Entry) error {
	doc := document{Results: make([]result, 0, len(entries))}
	for _, e := range entries {
		r := result{
			Policy: e.Policy.Key(), Rule: e.Rule, Result: e.Outcome.Status(), Message: e.Message,
			File: e.Origin.File, Line: e.Origin.Line,
		}
		if e.Err != nil && r.Message == "" {
			r.Message = e.Err.Error()
		}
		if id := e.Resource; id.Kind.Kind != "" {
			r.Resource = identify(id)
		}
		r.Changes = changes(e.Changes)
		for _, t := range e.Targets {
			r.Targets = append(r.Targets, target{
				*identify(t.Resource), t.Origin.File, t.Origin.Line, t.Generated, changes(t.Changes),
			})
		}
		doc.Results = append(doc.Results, r)
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(doc)
}

func identify(id resource.ID) *identity {
	return &identity{id.Kind.APIVersion(), id.Kind.Kind, id.Namespace, id.Name}
}

func changes(list []resource.Change) []change {
	var out []change
	for _, c := range list {
		out = append(out, change{c.Path.String(), c.Moved(), c.Before, c.After})
	}
	return out
}
