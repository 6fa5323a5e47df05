// Package page writes what policies change as a page for a browser: one file
// that loads nothing, with filters, and the YAML of each resource before and
// after.
package page

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	_ "embed" // the parts of the page
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/rogpeppe/go-internal/diff"

	changes "github.com/oneloop-dev/oneloop/pkg/diff"
	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

var (
	//go:embed page.html
	frame string
	//go:embed page.css
	style string
	//go:embed page.js
	script string
)

// MaxUnchanged is how many bytes of lines that do not change a page has. When
// there are more, it has only those around the changes.
const MaxUnchanged = 8 << 20

// around is how many lines before and after a change a page has at least.
const around = 3

// longest is the length in characters of a value in the table of fields.
const longest = 400

// Write writes the page. Groups are the differences between before and after,
// which are all resources of either; title says in a line what changes.
// The YAML of a resource with hidden values is left out.
func Write(w io.Writer, title string, groups []changes.Group, before, after []*resource.Resource) error {
	doc := build(groups, before, after)
	for _, r := range doc.Resources {
		if r.err != nil {
			return r.err
		}
	}
	data, err := json.Marshal(doc) // which escapes <, > and &, so that no text ends the script
	if err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	rest := frame
	for _, part := range []struct{ name, text string }{
		{"policy", html.EscapeString(contentPolicy())},
		{"title", html.EscapeString(title)},
		{"style", style},
		{"title", html.EscapeString(title)},
		{"data", string(data)},
		{"script", script},
	} {
		head, tail, ok := strings.Cut(rest, "{{"+part.name+"}}")
		if !ok {
			return fmt.Errorf("the page has no place for its %s", part.name)
		}
		fmt.Fprint(out, head, part.text)
		rest = tail
	}
	fmt.Fprint(out, rest)
	return out.Flush()
}

// contentPolicy lets the page run its own script and style, and reach nothing.
func contentPolicy() string {
	hash := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	return "default-src 'none'; script-src " + hash(script) + "; style-src " + hash(style) +
		"; img-src data:; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
}

// A document is what the script reads.
type document struct {
	Policies  []policyDoc    `json:"policies"`
	Resources []*resourceDoc `json:"resources"`
}

type policyDoc struct {
	Name     string `json:"name"`
	Severity string `json:"severity,omitempty"`
}

type resourceDoc struct {
	APIVersion string     `json:"apiVersion"`
	Kind       string     `json:"kind"`
	Namespace  string     `json:"namespace,omitempty"`
	Name       string     `json:"name"`
	File       string     `json:"file,omitempty"`
	Line       int        `json:"line,omitempty"`
	Generated  bool       `json:"generated,omitempty"`
	Hidden     bool       `json:"hidden,omitempty"`
	Fields     []fieldDoc `json:"fields"`
	// Text is segments of lines, each with its line break: one text for lines that stay, two for lines that
	// others take the place of, and a number for lines that stay and are left out.
	Text []any `json:"text,omitempty"`

	err error
}

type fieldDoc struct {
	Path   *string `json:"path,omitempty"`   // missing: the resource as a whole
	Before *string `json:"before,omitempty"` // missing: absent
	After  *string `json:"after,omitempty"`
	Policy *int    `json:"policy,omitempty"` // missing: as written
	Rule   string  `json:"rule,omitempty"`
	Line   int     `json:"line,omitempty"` // of the file
	At     int     `json:"at,omitempty"`   // line of the YAML after, or before if the field is removed
}

func build(groups []changes.Group, before, after []*resource.Resource) document {
	doc := document{Policies: []policyDoc{}, Resources: make([]*resourceDoc, len(groups))}
	index := map[policy.Ref]*int{}
	for i, g := range groups {
		r := &resourceDoc{
			APIVersion: g.Resource.Kind.APIVersion(), Kind: g.Resource.Kind.Kind, Namespace: g.Resource.Namespace, Name: g.Resource.Name,
			File: g.Origin.File, Line: g.Origin.Line, Hidden: g.Hidden(), Fields: make([]fieldDoc, len(g.Fields)),
		}
		doc.Resources[i] = r
		for j, d := range g.Fields {
			f := &r.Fields[j]
			f.Rule, f.Line = d.After.Rule, d.Origin.Line
			if ref := d.After.Policy; ref != (policy.Ref{}) {
				if index[ref] == nil {
					n := len(doc.Policies)
					index[ref] = &n
					doc.Policies = append(doc.Policies, policyDoc{ref.Key(), ref.Severity})
				}
				f.Policy = index[ref]
			}
			if d.Path == nil {
				r.Generated = true
				continue
			}
			path := d.Field()
			f.Path = &path
			f.Before, f.After = text(d.Before), text(d.After)
		}
	}
	doc.texts(groups, before, after)
	return doc
}

func text(s changes.State) *string {
	if s.Absent {
		return nil
	}
	t := s.TextUpTo(longest)
	return &t
}

// texts fills in the YAML of the resources that may be shown.
func (doc *document) texts(groups []changes.Group, before, after []*resource.Resource) {
	was, is := byID(before), byID(after)
	var unchanged, next atomic.Int64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(groups); i = int(next.Add(1)) - 1 {
				r := doc.Resources[i]
				if r.Hidden {
					continue
				}
				id := groups[i].Resource
				r.err = r.compare(groups[i], was[id], is[id])
				for _, segment := range r.Text {
					if lines, ok := segment.([1]string); ok {
						unchanged.Add(int64(len(lines[0])))
					}
				}
			}
		})
	}
	wg.Wait()
	if unchanged.Load() > MaxUnchanged {
		for _, r := range doc.Resources {
			r.shorten()
		}
	}
}

func byID(resources []*resource.Resource) map[resource.ID]*resource.Resource {
	out := make(map[resource.ID]*resource.Resource, len(resources))
	for _, r := range resources {
		out[r.ID()] = r
	}
	return out
}

// compare fills in the text, and where in it the fields are. Before and after may
// be nil.
func (r *resourceDoc) compare(g changes.Group, before, after *resource.Resource) error {
	var texts [2][]byte
	var lines [2][]int
	var paths []fieldpath.Path
	for _, d := range g.Fields {
		paths = append(paths, d.Path)
	}
	for i, side := range []*resource.Resource{before, after} {
		if side == nil {
			continue
		}
		var err error
		if texts[i], err = side.AppendYAML(nil); err != nil {
			return err
		}
		// Lines are those of the text as the page shows it.
		if shown, err := resource.Parse("", texts[i]); err == nil && len(shown) == 1 {
			lines[i] = shown[0].Lines(paths...)
		}
	}
	for j, d := range g.Fields {
		side := lines[1]
		if d.After.Absent {
			side = lines[0]
		}
		if len(side) > 0 {
			r.Fields[j].At = side[j]
		}
	}
	r.Text = segments(string(texts[0]), string(texts[1]))
	return nil
}

// segments compares two texts line by line, as the unified form does.
func segments(before, after string) []any {
	if before == "" {
		return []any{[2]string{"", after}}
	}
	old := strings.SplitAfter(before, "\n")
	old = old[:len(old)-1] // both texts end with a line break
	var out []any
	same := func(lines []string) {
		if len(lines) > 0 {
			out = append(out, [1]string{strings.Join(lines, "")})
		}
	}
	var removed, added, kept []string
	flush := func() {
		if len(removed)+len(added) > 0 {
			out = append(out, [2]string{strings.Join(removed, ""), strings.Join(added, "")})
			removed, added = nil, nil
		}
	}
	at := 0 // lines of old that are taken
	_, hunks, _ := bytes.Cut(diff.Diff("a", []byte(before), "b", []byte(after)), []byte("\n@@ "))
	for hunk := range strings.Lines("@@ " + string(hunks)) {
		switch {
		case strings.HasPrefix(hunk, "@@ "):
			flush()
			var start, count int
			if n, _ := fmt.Sscanf(hunk, "@@ -%d,%d", &start, &count); n < 1 {
				continue
			}
			if count > 0 {
				start--
			}
			kept = append(kept, old[at:start]...)
			at = start
		case strings.HasPrefix(hunk, "-"):
			same(kept)
			kept = nil
			removed = append(removed, hunk[1:])
			at++
		case strings.HasPrefix(hunk, "+"):
			same(kept)
			kept = nil
			added = append(added, hunk[1:])
		case strings.HasPrefix(hunk, " "):
			flush()
			kept = append(kept, hunk[1:])
			at++
		}
	}
	flush()
	same(append(kept, old[at:]...))
	return out
}

// shorten leaves out lines that are not around a change.
func (r *resourceDoc) shorten() {
	var out []any
	for i, segment := range r.Text {
		lines, ok := segment.([1]string)
		if !ok {
			out = append(out, segment)
			continue
		}
		all := strings.SplitAfter(lines[0], "\n")
		all = all[:len(all)-1]
		head, tail := around, around
		if i == 0 {
			head = 0
		}
		if i == len(r.Text)-1 {
			tail = 0
		}
		left := len(all) - head - tail
		if left <= 1 {
			out = append(out, segment)
			continue
		}
		if head > 0 {
			out = append(out, [1]string{strings.Join(all[:head], "")})
		}
		out = append(out, left)
		if tail > 0 {
			out = append(out, [1]string{strings.Join(all[len(all)-tail:], "")})
		}
	}
	r.Text = out
}
