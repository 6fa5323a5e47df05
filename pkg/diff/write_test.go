package diff_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/oneloop-dev/oneloop/pkg/diff"
	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
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

// Columns are aligned without colours and with them, which take no place.
func TestTextColours(t *testing.T) {
	id := resource.ID{Kind: resource.Kind{Version: "v1", Kind: "ConfigMap"}, Name: "c"}
	groups := []diff.Group{{Resource: id, Fields: []diff.Difference{
		{Resource: id, Path: fieldpath.Path{}.Key("a"), Before: diff.State{Value: int64(1)}, After: diff.State{Absent: true}},
		{Resource: id, Path: fieldpath.Path{}.Key("longer"), Before: diff.State{Value: int64(1)}, After: diff.State{Value: nil}},
	}}}
	write := func(color bool) string {
		var out bytes.Buffer
		if err := diff.WriteText(&out, groups, color); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	plain := write(false)
	if want := "ConfigMap/c\n  - a       1\n  ~ longer  1 -> null\n"; plain != want {
		t.Errorf("got %q, want %q", plain, want)
	}
	coloured := write(true)
	for _, code := range []string{"\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[33m", "\x1b[0m"} {
		coloured = strings.ReplaceAll(coloured, code, "")
	}
	if coloured != plain {
		t.Errorf("got %q with colours, want %q", coloured, plain)
	}
}
