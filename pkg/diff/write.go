package diff

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode"
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

// Hidden reports whether the resource has values that must not be shown, so that
// its text must not be shown either.
func (g Group) Hidden() bool {
	return slices.ContainsFunc(g.Fields, func(d Difference) bool { return d.Hidden })
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
const Longest = 200

// Text is the value as JSON, at most Longest characters of it. Of a list whose
// elements moved it is what tells them apart.
func (s State) Text() string { return s.TextUpTo(Longest) }

// TextUpTo is Text with another limit.
func (s State) TextUpTo(limit int) string {
	if s.Absent {
		return "(absent)"
	}
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	value := s.Value
	if s.Order != nil {
		value = s.Order
	}
	if err := encoder.Encode(value); err != nil {
		return err.Error()
	}
	text := strings.TrimSuffix(b.String(), "\n")
	if len(text) > limit && utf8.RuneCountInString(text) > limit {
		text = string([]rune(text)[:limit-3]) + "..."
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

// Field names the field for people: spec.replicas, or spec.containers (order).
func (d Difference) Field() string {
	if d.Moved {
		return d.Path.String() + " (order)"
	}
	return d.Path.String()
}

// The colours of a terminal.
const (
	bold, dim, reset         = "\x1b[1m", "\x1b[2m", "\x1b[0m"
	red, green, yellow, cyan = "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[36m"
)

// paint puts text, without its line break, in a colour.
func paint(code, text string) string {
	if text == "" {
		return ""
	}
	line, ended := strings.CutSuffix(text, "\n")
	line = code + line + reset
	if ended {
		line += "\n"
	}
	return line
}

func plain(_, text string) string { return text }

// widest is the length of an old and a new value that share a line.
const widest = 60

// WriteText writes what policies change: a block for each resource, and in it the
// fields that each rule was the last to change.
//
//	shop/Deployment/web  web.yaml:1
//	  team/labels
//	    + metadata.labels.team  "blue"
//	  team/replicas
//	    ~ spec.replicas  2 -> 3
func WriteText(w io.Writer, groups []Group, color bool) error {
	buffered := bufio.NewWriter(w)
	write := plain
	if color {
		write = paint
	}
	for i, g := range groups {
		if i > 0 {
			fmt.Fprintln(buffered)
		}
		fmt.Fprint(buffered, groupText(g, write))
	}
	return buffered.Flush()
}

// A textLine is a field in the form for terminals.
type textLine struct{ sign, path, before, after string }

// tall reports whether the values stand below the path, each on a line of its own.
func (l textLine) tall() bool {
	return l.sign == "~" && utf8.RuneCountInString(l.before)+utf8.RuneCountInString(l.after) > widest
}

func groupText(g Group, paint func(code, text string) string) string {
	var b strings.Builder
	b.WriteString(paint(bold, printable(g.Resource.String())))
	if at := g.Origin.String(); at != "" {
		b.WriteString("  " + paint(dim, printable(at)))
	}
	b.WriteString("\n")
	var rules []string // in the order of their first fields
	lines := map[string][]textLine{}
	widths := map[string]int{} // of the paths of a rule
	for _, d := range g.Fields {
		l := textLine{sign: d.sign(), path: printable(d.Field())}
		if d.Path == nil {
			l.path, l.after = "the resource", "generated"
		} else {
			if !d.Before.Absent {
				l.before = printable(d.Before.Text())
			}
			if !d.After.Absent {
				l.after = printable(d.After.Text())
			}
		}
		by := printable(d.After.By())
		if lines[by] == nil {
			rules = append(rules, by)
		}
		lines[by] = append(lines[by], l)
		if !l.tall() {
			widths[by] = max(widths[by], utf8.RuneCountInString(l.path))
		}
	}
	for _, rule := range rules {
		b.WriteString("  " + paint(cyan, rule) + "\n")
		for _, l := range lines[rule] {
			path := l.path + strings.Repeat(" ", max(widths[rule]-utf8.RuneCountInString(l.path), 0)) + "  "
			switch {
			case l.tall():
				b.WriteString("    " + paint(yellow, "~") + " " + l.path + "\n        " + paint(red, "- "+l.before) + "\n        " + paint(green, "+ "+l.after))
			case l.sign == "+":
				b.WriteString("    " + paint(green, "+") + " " + path + paint(green, l.after))
			case l.sign == "-":
				b.WriteString("    " + paint(red, "-") + " " + path + paint(red, l.before))
			default:
				b.WriteString("    " + paint(yellow, "~") + " " + path + paint(red, l.before) + " -> " + paint(green, l.after))
			}
			b.WriteString("\n")
		}
	}
	return b.String()
}

// printable replaces characters that would take a terminal or its reader in, such
// as the start of an escape sequence in a name.
func printable(s string) string {
	odd := func(r rune) bool {
		return !unicode.IsPrint(r) || unicode.Is(unicode.Bidi_Control, r)
	}
	if strings.IndexFunc(s, odd) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if odd(r) {
			fmt.Fprintf(&b, "\\u%04x", r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
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
			at += " at " + d.Field()
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
//	"path", "moved", "before": {"absent", "value", "policy", "rule"}, "after": ...}]}
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
		Moved      bool   `json:"moved,omitempty"`
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
			File: d.Origin.File, Line: d.Origin.Line, Path: d.Path.String(), Moved: d.Moved, Before: of(d.Before), After: of(d.After),
		})
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(doc)
}
