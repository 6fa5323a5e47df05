package diff

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// A Group is the differences of one resource.
type Group struct {
	Resource resource.ID
	Origin   resource.Origin // of the resource; zero for a generated one
	Fields   []Difference    // one without a Path: the resource as a whole
}

// Groups puts the differences of each resource together, in their order.
func Groups(manifests []*resource.Resource, differences []Difference) []Group {
	origins := map[resource.ID]resource.Origin{}
	for _, r := range manifests {
		origins[r.ID()] = r.Origin()
	}
	var out []Group
	for _, d := range differences {
		if n := len(out); n == 0 || out[n-1].Resource != d.Resource {
			out = append(out, Group{Resource: d.Resource, Origin: origins[d.Resource]})
		}
		g := &out[len(out)-1]
		g.Fields = append(g.Fields, d)
	}
	return out
}

// By names the policy and the rule behind a state, "team/add-label"; "" when it
// is as it was written.
func (s State) By() string {
	if s.Policy == (policy.Ref{}) {
		return ""
	}
	if s.Rule == "" {
		return s.Policy.Key()
	}
	return s.Policy.Key() + "/" + s.Rule
}

// Longest is the length in characters of a value in forms for people.
const Longest = 100

// Text is the value as JSON, at most Longest characters of it.
func (s State) Text() string {
	if s.Absent {
		return "(absent)"
	}
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(s.Value); err != nil {
		return err.Error()
	}
	text := strings.TrimSuffix(b.String(), "\n")
	if utf8.RuneCountInString(text) > Longest {
		text = string([]rune(text)[:Longest-3]) + "..."
	}
	return text
}

// sign is + for what is added, - for what is removed and ~ for what changes.
func (d Difference) sign() string {
	switch {
	case d.Before.Absent:
		return "+"
	case d.After.Absent:
		return "-"
	}
	return "~"
}

// The colours of a terminal.
const (
	bold, dim, reset = "\x1b[1m", "\x1b[2m", "\x1b[0m"
)

var signColors = map[string]string{"+": "\x1b[32m", "-": "\x1b[31m", "~": "\x1b[33m"}

// WriteText writes what policies change: a block for each resource, and in it a
// line for each field with the rule that changed it last.
//
//	shop/Deployment/web  web.yaml:1
//	  + metadata.labels.team  "blue"  team/add-label
//	  ~ spec.replicas         2 -> 3  team/replicas
func WriteText(w io.Writer, groups []Group, color bool) error {
	for i, g := range groups {
		if err := writeGroup(w, g, i > 0, color); err != nil {
			return err
		}
	}
	return nil
}

func writeGroup(w io.Writer, g Group, space, color bool) error {
	paint := func(code, text string) string {
		if !color || text == "" {
			return text
		}
		return code + text + reset
	}
	var b strings.Builder
	if space {
		b.WriteString("\n")
	}
	b.WriteString(paint(bold, g.Resource.String()))
	if at := g.Origin.String(); at != "" {
		b.WriteString("  " + paint(dim, at))
	}
	b.WriteString("\n")
	type line struct{ sign, path, value, by string }
	var lines []line
	paths, values := 0, 0
	for _, d := range g.Fields {
		l := line{d.sign(), d.Path.String(), d.Before.Text() + " -> " + d.After.Text(), d.After.By()}
		switch {
		case d.Path == nil:
			l.path, l.value = "the resource", "generated"
		case l.sign == "+":
			l.value = d.After.Text()
		case l.sign == "-":
			l.value = d.Before.Text()
		}
		lines = append(lines, l)
		paths, values = max(paths, utf8.RuneCountInString(l.path)), max(values, utf8.RuneCountInString(l.value))
	}
	pad := func(s string, n int) string { return s + strings.Repeat(" ", n-utf8.RuneCountInString(s)) }
	for _, l := range lines {
		c := signColors[l.sign]
		fmt.Fprintf(&b, "  %s %s  %s", paint(c, l.sign), pad(l.path, paths), paint(c, l.value))
		if l.by != "" {
			b.WriteString(pad("", values-utf8.RuneCountInString(l.value)) + "  " + paint(dim, l.by))
		}
		b.WriteString("\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteComparison writes the differences of two sets of policies, for each field
//
//	web.yaml:12: shop/Deployment/web at spec.replicas
//	  before  3  ClusterPolicy/replicas, rule "three"
//	  after   2  as written
func WriteComparison(w io.Writer, differences []Difference) error {
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
			state State
		}{{"before", d.Before}, {"after", d.After}} {
			text := side.state.Text()
			if d.Path == nil && !side.state.Absent {
				text = "(there)"
			}
			line := "  " + side.name + "\t" + text
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

func because(s State) string {
	switch {
	case s.Policy == (policy.Ref{}) && s.Absent:
		return ""
	case s.Policy == (policy.Ref{}):
		return "as written"
	}
	text := s.Policy.ID.Kind.Kind + "/" + s.Policy.Key()
	if s.Rule != "" {
		text += fmt.Sprintf(", rule %q", s.Rule)
	}
	return text
}

// WriteJSON writes
//
//	{"differences": [{"apiVersion", "kind", "namespace", "name", "file", "line",
//	"path", "before": {"absent", "value", "policy", "rule"}, "after": ...}]}
//
// where path is missing for a resource as a whole, and policy for what is as it
// was written.
func WriteJSON(w io.Writer, differences []Difference) error {
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
	of := func(s State) state {
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
			File: d.Origin.File, Line: d.Origin.Line, Path: d.Path.String(), Before: of(d.Before), After: of(d.After),
		})
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(doc)
}
