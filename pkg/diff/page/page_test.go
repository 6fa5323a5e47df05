package page

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	changes "github.com/oneloop-dev/oneloop/pkg/diff"
	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

func parse(t *testing.T, text string) []*resource.Resource {
	t.Helper()
	rs, err := resource.Parse("in.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return rs
}

// group is what turns the one resource of before into that of after.
func group(t *testing.T, before, after []*resource.Resource) changes.Group {
	t.Helper()
	x, err := before[0].Object()
	if err != nil {
		t.Fatal(err)
	}
	y, err := after[0].Object()
	if err != nil {
		t.Fatal(err)
	}
	g := changes.Group{Resource: before[0].ID(), Origin: before[0].Origin()}
	for _, c := range resource.Diff(x, y) {
		g.Fields = append(g.Fields, changes.Difference{
			Resource: g.Resource, Path: c.Path,
			Before: changes.State{Value: c.Before, Absent: c.Added()},
			After:  changes.State{Value: c.After, Absent: c.Removed(), Policy: policy.Ref{ID: resource.ID{Name: "p"}, Severity: "high"}, Rule: "r"},
		})
	}
	return g
}

func write(t *testing.T, title string, groups []changes.Group, before, after []*resource.Resource) string {
	t.Helper()
	var out bytes.Buffer
	if err := Write(&out, title, groups, before, after); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// data is what the script of the page reads.
func data(t *testing.T, page string) (doc struct {
	Policies  []policyDoc
	Resources []resourceDoc
}) {
	t.Helper()
	_, text, _ := strings.Cut(page, `<script id="data" type="application/json">`)
	text, _, ok := strings.Cut(text, "</script>")
	if !ok {
		t.Fatalf("no data in %s", page)
	}
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return doc
}

const configMap = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\n  namespace: shop\ndata:\n  kept: a\n  changed: b\n  removed: c\n"

func TestData(t *testing.T) {
	before := parse(t, configMap)
	after := parse(t, "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\n  namespace: shop\n  labels:\n    new: x\ndata:\n  kept: a\n  changed: B\n")
	doc := data(t, write(t, "title", []changes.Group{group(t, before, after)}, before, after))
	if d := cmp.Diff([]policyDoc{{"p", "high"}}, doc.Policies); d != "" {
		t.Errorf("policies (-want +got):\n%s", d)
	}
	r := doc.Resources[0]
	if got := fmt.Sprintf("%s %s/%s %s:%d", r.Kind, r.Namespace, r.Name, r.File, r.Line); got != "ConfigMap shop/c in.yaml:1" {
		t.Errorf("got %s", got)
	}
	var fields []string
	for _, f := range r.Fields {
		text := func(s *string) string {
			if s == nil {
				return "absent"
			}
			return *s
		}
		fields = append(fields, fmt.Sprintf("%s: %s -> %s by %d/%s at %d", *f.Path, text(f.Before), text(f.After), *f.Policy, f.Rule, f.At))
	}
	want := []string{
		`data.changed: "b" -> "B" by 0/r at 10`,
		`data.removed: "c" -> absent by 0/r at 9`,
		`metadata.labels: absent -> {"new":"x"} by 0/r at 6`,
	}
	if d := cmp.Diff(want, fields); d != "" {
		t.Errorf("fields (-want +got):\n%s", d)
	}
	segments := []any{
		[]any{"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\n  namespace: shop\n"}, []any{"", "  labels:\n    new: x\n"},
		[]any{"data:\n  kept: a\n"}, []any{"  changed: b\n  removed: c\n", "  changed: B\n"},
	}
	if d := cmp.Diff(segments, r.Text); d != "" {
		t.Errorf("text (-want +got):\n%s", d)
	}
}

// Whatever manifests say, it ends neither the data nor the title.
func TestHostile(t *testing.T) {
	const odd = "</script><script>alert(1)</script><!-- \u2028\u2029 {{script}} {{data}}"
	before := parse(t, configMap)
	after := parse(t, configMap+"  more: '"+strings.NewReplacer("\u2028", "", "\u2029", "").Replace(odd)+"'\n  lines: \"\\u2028\\u2029\"\n")
	g := group(t, before, after)
	g.Origin.File = odd
	for i := range g.Fields {
		g.Fields[i].After.Rule, g.Fields[i].After.Policy.ID.Name, g.Fields[i].After.Policy.Severity = odd, odd, odd
		g.Fields[i].Path = fieldpath.Path{}.Key(odd)
	}
	page := write(t, odd, []changes.Group{g}, before, after)
	if n := strings.Count(page, "<script"); n != 2 {
		t.Errorf("%d scripts, want the data and the script:\n%s", n, page)
	}
	if strings.ContainsAny(strings.Replace(page, html.EscapeString(odd), "", 2), "\u2028\u2029") {
		t.Error("the data holds line separators as they are")
	}
	if strings.Contains(page, "<!--") {
		t.Error("the page holds the start of a comment")
	}
	doc := data(t, page)
	if r := doc.Resources[0]; r.File != odd || *r.Fields[0].Path == "" || r.Fields[0].Rule != odd || doc.Policies[0].Name != odd {
		t.Errorf("the data is not what it was: %+v", r)
	}
}

// The page allows itself, by hash, and nothing else.
func TestContentPolicy(t *testing.T) {
	page := write(t, "t", nil, nil, nil)
	allowed := regexp.MustCompile(`http-equiv="Content-Security-Policy" content="([^"]*)"`).FindStringSubmatch(page)
	if allowed == nil {
		t.Fatal("no policy")
	}
	rules := html.UnescapeString(allowed[1])
	for _, tag := range []string{"style", "script"} {
		m := regexp.MustCompile(`(?s)<`+tag+`>(.*?)</`+tag+`>`).FindAllStringSubmatch(page, -1)
		if len(m) != 1 {
			t.Fatalf("%d inline %ss", len(m), tag)
		}
		sum := sha256.Sum256([]byte(m[0][1]))
		if want := tag + "-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !strings.Contains(rules, want) {
			t.Errorf("%q has no %q", rules, want)
		}
	}
	if !strings.HasPrefix(rules, "default-src 'none';") || strings.Contains(rules, "http") {
		t.Errorf("the policy lets the page reach something: %q", rules)
	}
}

// A Secret is named, and its text is not in the page, on neither side.
func TestHidden(t *testing.T) {
	const secret = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\nstringData:\n  password: geheim\n"
	before, after := parse(t, secret), parse(t, secret+"  more: verborgen\n")
	g := group(t, before, after)
	for i := range g.Fields {
		g.Fields[i].Hidden, g.Fields[i].After.Value = true, "(redacted)"
	}
	page := write(t, "t", []changes.Group{g}, before, after)
	if strings.Contains(page, "geheim") || strings.Contains(page, "verborgen") || !strings.Contains(page, `"hidden":true`) {
		t.Errorf("a Secret is shown:\n%s", page)
	}
}

func TestGenerated(t *testing.T) {
	after := parse(t, configMap)
	g := changes.Group{Resource: after[0].ID(), Fields: []changes.Difference{{Resource: after[0].ID(), Before: changes.State{Absent: true}}}}
	r := data(t, write(t, "t", []changes.Group{g}, nil, after)).Resources[0]
	if !r.Generated || r.Fields[0].Path != nil || r.Fields[0].At != 1 {
		t.Errorf("got %+v, want a generated resource that its rule stands at the first line of", r)
	}
	if d := cmp.Diff([]any{[]any{"", configMap}}, r.Text); d != "" {
		t.Errorf("text (-want +got):\n%s", d)
	}
}

// Segments hold every line of both texts, in order.
func TestSegmentsOfRandomTexts(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	lines := []string{"a:\n", "b: 1\n", "\n", "- x\n", "@@ -1,2 +1,2 @@\n", "+ y\n", "-- z\n", " \n"}
	text := func(n int) string {
		var b strings.Builder
		for range n {
			b.WriteString(lines[random.IntN(len(lines))])
		}
		return b.String()
	}
	for range 2000 {
		before := text(1 + random.IntN(12))
		after := before
		for range 1 + random.IntN(3) {
			all := strings.SplitAfter(after, "\n")
			at := random.IntN(len(all))
			after = strings.Join(all[:at], "") + text(random.IntN(3)) + strings.Join(all[min(at+random.IntN(2), len(all)):], "")
		}
		after += "end\n"
		var a, b strings.Builder
		r := resourceDoc{Text: segments(before, after)}
		for _, s := range r.Text {
			switch s := s.(type) {
			case [1]string:
				a.WriteString(s[0])
				b.WriteString(s[0])
			case [2]string:
				a.WriteString(s[0])
				b.WriteString(s[1])
			}
		}
		if a.String() != before || b.String() != after {
			t.Fatalf("%q and %q come out as %q and %q: %q", before, after, a.String(), b.String(), r.Text)
		}
		r.shorten()
		total := 0
		for _, s := range r.Text {
			switch s := s.(type) {
			case [1]string:
				total += strings.Count(s[0], "\n")
			case [2]string:
				total += strings.Count(s[0], "\n")
			case int:
				if s < 2 {
					t.Fatalf("%d lines are left out, which saves nothing", s)
				}
				total += s
			}
		}
		if want := strings.Count(before, "\n"); total != want {
			t.Fatalf("shortened to %d lines of %d: %q", total, want, r.Text)
		}
	}
}

// 5,000 resources of usual size fit in a page that can be mailed: in 15 MB, of
// which these are a tenth.
func TestSize(t *testing.T) {
	var text strings.Builder
	for i := range 500 {
		fmt.Fprintf(&text, "---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c%d\ndata:\n", i)
		for j := range 45 {
			fmt.Fprintf(&text, "  setting-%d: \"the value of %d\"\n", j, j)
		}
	}
	before := parse(t, text.String())
	after := parse(t, strings.ReplaceAll(text.String(), "the value of 7\"", "another value of 7\""))
	groups := make([]changes.Group, len(before))
	for i := range before {
		groups[i] = group(t, before[i:i+1], after[i:i+1])
	}
	if n := len(write(t, "t", groups, before, after)); n < 5e5 || n > 15e5 {
		t.Errorf("%d bytes", n)
	}
}

// A page that gets too big has the lines around the changes only.
func TestMaxUnchanged(t *testing.T) {
	long := configMap + "  text: |\n" + strings.Repeat("    a line of a text that never ends\n", MaxUnchanged/30)
	before := parse(t, long)
	after := parse(t, strings.Replace(long, "changed: b", "changed: B", 1))
	page := write(t, "t", []changes.Group{group(t, before, after)}, before, after)
	if len(page) > 100_000 {
		t.Errorf("%d bytes", len(page))
	}
	left := 0.0
	for _, s := range data(t, page).Resources[0].Text {
		if n, ok := s.(float64); ok {
			left += n
		}
	}
	if all := float64(strings.Count(long, "\n")); left < all-10 || left >= all {
		t.Errorf("%g of %g lines are left out", left, all)
	}
}
