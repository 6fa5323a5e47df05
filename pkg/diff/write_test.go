package diff_test

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/oneloop-dev/oneloop/pkg/diff"
	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/pipeline"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// A comment stays below its limit and tells how much is missing.
func TestMarkdownLimit(t *testing.T) {
	var groups []diff.Group
	for i := range 50 {
		id := resource.ID{Kind: resource.Kind{Version: "v1", Kind: "ConfigMap"}, Name: fmt.Sprint("c", i)}
		groups = append(groups, diff.Group{Resource: id, Fields: []diff.Difference{
			{Resource: id, Path: fieldpath.Path{}.Key("a"), Before: diff.State{Value: "x"}, After: diff.State{Value: "y"}},
			{Resource: id, Path: fieldpath.Path{}.Key("b"), Before: diff.State{Absent: true}, After: diff.State{Value: "y"}},
		}})
	}
	for _, limit := range []int{300, 1000, 5000, 1 << 20} {
		var out bytes.Buffer
		if err := diff.WriteMarkdown(&out, "title", groups, limit); err != nil {
			t.Fatal(err)
		}
		if out.Len() > limit {
			t.Errorf("limit %d: %d bytes", limit, out.Len())
		}
		shown := strings.Count(out.String(), "<details>")
		want := fmt.Sprintf("**%d resources with %d changes left out**", 50-shown, 2*(50-shown))
		if strings.Contains(out.String(), want) == (shown == 50) {
			t.Errorf("limit %d: %d resources are shown; %q is expected for what is not:\n%s", limit, shown, want, out.String())
		}
	}
}

// A resource that is too big for a comment leaves its place to others.
func TestMarkdownOfABigResource(t *testing.T) {
	big, small := diff.Group{Resource: id("big")}, diff.Group{Resource: id("small")}
	for i := range 1000 {
		d := diff.Difference{Path: fieldpath.Path{}.Index(i), Before: diff.State{Absent: true}, After: by("rule", "x")}
		big.Fields = append(big.Fields, d)
		small.Fields = []diff.Difference{d}
	}
	var out bytes.Buffer
	if err := diff.WriteMarkdown(&out, "title", []diff.Group{big, small}, 2000); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); !strings.Contains(got, "ConfigMap/small") || !strings.Contains(got, "**1 resource with 1000 changes left out**") {
		t.Errorf("got %s", got)
	}
}

func TestMarkdownEscapes(t *testing.T) {
	id := resource.ID{Kind: resource.Kind{Version: "v1", Kind: "ConfigMap"}, Name: "<b>"}
	groups := []diff.Group{{Resource: id, Fields: []diff.Difference{{
		Resource: id, Path: fieldpath.Path{}.Key("a"), Before: diff.State{Value: "a|b"},
		After: diff.State{Value: "`c`", Policy: policy.Ref{ID: resource.ID{Name: "p|q"}}},
	}}}}
	var out bytes.Buffer
	if err := diff.WriteMarkdown(&out, "title", groups, 1<<20); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"<b>ConfigMap/&lt;b&gt;</b>", "| `a` | `\"a\\|b\"` | `` \"`c`\" `` | p\\|q |"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

func id(name string) resource.ID {
	return resource.ID{Kind: resource.Kind{Version: "v1", Kind: "ConfigMap"}, Name: name}
}

func by(rule string, value any) diff.State {
	return diff.State{Value: value, Policy: policy.Ref{ID: resource.ID{Name: "p"}}, Rule: rule}
}

// Fields stand below the rule that changed them last. Columns are aligned without
// colours and with them, which take no place.
func TestText(t *testing.T) {
	long := strings.Repeat("x", 40)
	groups := []diff.Group{{Resource: id("c"), Fields: []diff.Difference{
		{Path: fieldpath.Path{}.Key("a"), Before: diff.State{Value: int64(1)}, After: diff.State{Absent: true, Policy: policy.Ref{ID: resource.ID{Name: "p"}}, Rule: "two"}},
		{Path: fieldpath.Path{}.Key("b"), Before: diff.State{Absent: true}, After: by("one", "<x>")},
		{Path: fieldpath.Path{}.Key("longer"), Before: diff.State{Value: int64(1)}, After: by("two", nil)},
		{Path: fieldpath.Path{}.Key("z"), Before: diff.State{Value: long}, After: by("two", long+"y")},
	}}, {Resource: id("d"), Origin: resource.Origin{File: "d.yaml", Line: 3}, Fields: []diff.Difference{
		{Before: diff.State{Absent: true}, After: by("three", nil)},
	}}}
	write := func(color bool) string {
		var out bytes.Buffer
		if err := diff.WriteText(&out, groups, color); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	plain := write(false)
	want := `ConfigMap/c
  p/two
    - a       1
    ~ longer  1 -> null
    ~ z
        - "` + long + `"
        + "` + long + `y"
  p/one
    + b  "<x>"

ConfigMap/d  d.yaml:3
  p/three
    + the resource  generated
`
	if d := cmp.Diff(want, plain); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	coloured := write(true)
	bare := regexp.MustCompile(`\x1b\[[0-9]+m`).ReplaceAllString(coloured, "")
	if bare != plain || bare == coloured {
		t.Errorf("got %q with colours, want %q", coloured, plain)
	}
}

// What a manifest says never reaches a terminal as an escape sequence, and never
// turns what a reader sees around.
func TestTextOfHostileNames(t *testing.T) {
	groups := []diff.Group{{Resource: id("a\x1b[2J\u202e"), Origin: resource.Origin{File: "\x9b.yaml"}, Fields: []diff.Difference{
		{Path: fieldpath.Path{}.Key("\x1b]0;"), Before: diff.State{Absent: true}, After: by("r\x07", "\x1b[0m\u009b\u2066")},
	}}}
	var text, unified bytes.Buffer
	if err := diff.WriteText(&text, groups, false); err != nil {
		t.Fatal(err)
	}
	if err := diff.WriteUnified(&unified, groups, nil, nil, false); err != nil {
		t.Fatal(err)
	}
	for _, r := range text.String() + unified.String() {
		if r != '\n' && !unicode.IsPrint(r) {
			t.Errorf("%q in %q", r, text.String()+unified.String())
		}
	}
}

// A value that came out of a Secret hides the text of the resource it is in now.
func TestUnifiedHides(t *testing.T) {
	const manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\n"
	out := output(t, "p", manifest, manifest+"data:\n  password: geheim\n  more: x\n")
	out.Entries[0].Changes[0].After = pipeline.Redacted // as the pipeline does for what comes out of Secrets
	before := parse(t, manifest)
	differences, err := diff.Runs(before, pipeline.Output{Resources: before}, out)
	if err != nil {
		t.Fatal(err)
	}
	groups := diff.Groups(before, differences)
	for _, write := range []func(w *bytes.Buffer) error{
		func(w *bytes.Buffer) error { return diff.WriteUnified(w, groups, before, out.Resources, true) },
		func(w *bytes.Buffer) error { return diff.WriteText(w, groups, true) },
		func(w *bytes.Buffer) error { return diff.WriteMarkdown(w, "t", groups, 1<<20) },
		func(w *bytes.Buffer) error { return diff.WriteJSON(w, differences) },
	} {
		var w bytes.Buffer
		if err := write(&w); err != nil {
			t.Fatal(err)
		}
		if text := w.String(); !strings.Contains(text, "ConfigMap") || strings.Contains(text, "geheim") {
			t.Errorf("wrong, or not hidden:\n%s", text)
		}
	}
}
