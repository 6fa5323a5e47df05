// Package policyreport writes the reports that Kubernetes tools read: those of
// openreports.io, and of wgpolicyk8s.io before it.
package policyreport

import (
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"sigs.k8s.io/yaml"

	"github.com/oneloop-dev/oneloop/pkg/report"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// OpenReports writes kinds Report and ClusterReport of openreports.io/v1alpha1.
var OpenReports = report.Format{
	Name:  "openreports",
	Doc:   "Report and ClusterReport of openreports.io, a document for each namespace",
	Write: flavour{"openreports.io/v1alpha1", "Report", "ClusterReport"}.write,
}

// PolicyReport writes kinds PolicyReport and ClusterPolicyReport of
// wgpolicyk8s.io/v1alpha2.
var PolicyReport = report.Format{
	Name:  "policyreport",
	Doc:   "PolicyReport and ClusterPolicyReport of wgpolicyk8s.io, a document for each namespace",
	Write: flavour{"wgpolicyk8s.io/v1alpha2", "PolicyReport", "ClusterPolicyReport"}.write,
}

// A flavour is one of the two APIs, which differ in names alone.
type flavour struct{ apiVersion, namespaced, cluster string }

// The types have the fields that both APIs have, in the order in which they are
// written. There is no time in them: a run that finds the same writes the same.
type document struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Metadata   metadata `json:"metadata"`
	Summary    summary  `json:"summary"`
	Results    []result `json:"results"`
}

type metadata struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace,omitempty"`
}

type summary struct {
	Pass  int `json:"pass"`
	Fail  int `json:"fail"`
	Warn  int `json:"warn"`
	Error int `json:"error"`
	Skip  int `json:"skip"`
}

type result struct {
	Source     string            `json:"source"`
	Policy     string            `json:"policy"`
	Rule       string            `json:"rule,omitempty"`
	Category   string            `json:"category,omitempty"`
	Severity   string            `json:"severity,omitempty"`
	Result     string            `json:"result"`
	Scored     bool              `json:"scored"`
	Resources  []reference       `json:"resources,omitempty"`
	Message    string            `json:"message,omitempty"`
	Properties map[string]string `json:"properties,omitempty"`
}

type reference struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace,omitempty"`
	Name       string `json:"name"`
}

// write puts the results of each namespace into a document of its own, those
// about cluster-wide resources and about policies first.
func (f flavour) write(w io.Writer, entries []report.Entry) error {
	byNamespace := map[string]*document{}
	for _, e := range entries {
		namespace := e.Resource.Namespace
		d := byNamespace[namespace]
		if d == nil {
			d = &document{APIVersion: f.apiVersion, Kind: f.cluster, Metadata: metadata{"oneloop", namespace}}
			if namespace != "" {
				d.Kind = f.namespaced
			}
			byNamespace[namespace] = d
		}
		d.add(e)
	}
	if len(byNamespace) == 0 {
		byNamespace[""] = &document{APIVersion: f.apiVersion, Kind: f.cluster, Metadata: metadata{Name: "oneloop"}, Results: []result{}}
	}
	for i, namespace := range slices.Sorted(maps.Keys(byNamespace)) {
		text, err := yaml.Marshal(byNamespace[namespace])
		if err != nil {
			return err
		}
		if i > 0 {
			text = append([]byte("---\n"), text...)
		}
		if _, err := w.Write(text); err != nil {
			return err
		}
	}
	return nil
}

func (d *document) add(e report.Entry) {
	r := result{
		Source: "oneloop", Policy: e.Policy.Key(), Rule: e.Rule, Category: e.Policy.Category, Severity: severity(e.Policy.Severity),
		Result: e.Outcome.Status(), Scored: true, Message: e.Message, Properties: map[string]string{},
	}
	if e.Err != nil {
		r.Message = e.Err.Error()
	}
	switch r.Result {
	case "pass":
		d.Summary.Pass++
	case "fail":
		d.Summary.Fail++
	case "warn":
		d.Summary.Warn++
		r.Scored = false
	case "error":
		d.Summary.Error++
	default:
		d.Summary.Skip++
	}
	if e.Resource.Kind.Kind != "" {
		r.Resources = append(r.Resources, refer(e.Resource))
	}
	if at := e.Origin.String(); at != "" {
		r.Properties["source"] = at
	}
	describe(r.Properties, "", e.Changes)
	for _, t := range e.Targets {
		r.Resources = append(r.Resources, refer(t.Resource))
		if t.Generated {
			r.Properties[t.Resource.String()] = "generated"
			continue
		}
		describe(r.Properties, t.Resource.String()+": ", t.Changes)
	}
	if len(r.Properties) == 0 {
		r.Properties = nil
	}
	d.Results = append(d.Results, r)
}

// describe says each change as a property: path, and how it was and is.
func describe(properties map[string]string, prefix string, changes []resource.Change) {
	for _, c := range changes {
		properties[clip(prefix+c.Path.String())] = c.Values()
	}
}

// longest is how many bytes a key may have: readers of YAML take up to 1024,
// quotes and escapes included, of which one character may need six.
const longest = 1000

// clip shortens what would be too long for a key.
func clip(key string) string {
	length := 0
	for i, c := range key {
		if length++; c < ' ' || c >= utf8.RuneSelf || c == '"' || c == '\\' {
			length += 5
		}
		if length > longest {
			return key[:i] + "..."
		}
	}
	return key
}

func refer(id resource.ID) reference {
	return reference{id.Kind.APIVersion(), id.Kind.Kind, id.Namespace, id.Name}
}

// severity is the policy's word where the APIs know it.
func severity(word string) string {
	switch word = strings.ToLower(word); word {
	case "critical", "high", "medium", "low", "info":
		return word
	}
	return ""
}
