package tests

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"go.yaml.in/yaml/v3"

	"github.com/oneloop-dev/oneloop/pkg/cli"
	"github.com/oneloop-dev/oneloop/pkg/load"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// corpus is where upstream cases are, when they are there.
const corpus = "../../shared/conformance/cases"

// TestInPlace renders the manifests of the scripts and of the corpus in place,
// as they are and with comments on all lines: the files hold what render
// prints, and of the lines that no policy had a reason to touch, every byte.
func TestInPlace(t *testing.T) {
	var cases []inPlaceCase
	scripts, err := filepath.Glob("script/render_in_place*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, script := range scripts {
		if strings.Contains(script, "anchors") {
			t.Logf("%s is left out: with anchors the whole document may be written anew", script)
			continue
		}
		a, err := txtar.ParseFile(script)
		if err != nil {
			t.Fatal(err)
		}
		c := inPlaceCase{name: filepath.Base(script), files: map[string]string{}}
		for _, f := range a.Files {
			switch base := filepath.Base(f.Name); {
			case strings.HasPrefix(f.Name, "policies/"), base == "policy.yaml":
				c.files["policy.yaml"] = string(f.Data)
			case base == "web.yaml", base == "spaces.yaml", base == "list.yaml":
				c.files["resources.yaml"] += "---\n" + string(f.Data)
			}
		}
		if c.files["resources.yaml"] != "" {
			cases = append(cases, c)
		}
	}
	own := len(cases)
	if _, err := os.Stat(corpus); err != nil {
		t.Logf("the corpus is left out: %v", err)
	}
	folders, err := filepath.Glob(corpus + "/*/*/policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range folders {
		c := inPlaceCase{name: filepath.Base(filepath.Dir(filepath.Dir(p))) + "/" + filepath.Base(filepath.Dir(p)), files: map[string]string{}}
		for _, name := range caseFiles {
			if data, err := os.ReadFile(filepath.Join(filepath.Dir(p), name)); err == nil {
				c.files[name] = string(data)
			}
		}
		if c.files["resources.yaml"] != "" {
			cases = append(cases, c)
		}
	}
	reasons := map[string]int{}
	held, changed := 0, 0
	for i, c := range cases {
		forms := []string{"with comments", "as it is", "with comments and CRLF"}
		if i >= own && (testing.Short() || i%4 > 0) {
			forms = forms[:1] // the most telling one
		}
		for _, form := range forms {
			lines, err := c.run(t.TempDir(), form)
			var skip *skipped
			switch {
			case errors.As(err, &skip) && i < own:
				t.Errorf("%s, %s: skipped: %s", c.name, form, skip.reason)
			case errors.As(err, &skip):
				reasons[skip.reason]++
			case err != nil:
				t.Errorf("%s, %s: %v", c.name, form, err)
			default:
				held++
				changed += lines
			}
		}
	}
	for _, reason := range slices.Sorted(maps.Keys(reasons)) {
		t.Logf("%d left out: %s", reasons[reason], reason)
	}
	t.Logf("%d files held, %d lines of them rewritten", held, changed)
}

// caseFiles are the files of a case that a run takes.
var caseFiles = []string{
	"policy.yaml", "exceptions.yaml", "values.yaml", "userinfo.yaml", "context.yaml", "cluster-resources.yaml",
	"clone-sources.yaml", "params.yaml", "crds.yaml", "lock.yaml", "resources.yaml",
}

type inPlaceCase struct {
	name  string
	files map[string]string
}

// A skipped case has nothing to hold.
type skipped struct{ reason string }

func (s *skipped) Error() string { return s.reason }

// run returns how many lines went.
func (c inPlaceCase) run(dir, form string) (int, error) {
	args := []string{"render"}
	file := func(name string) string { return filepath.Join(dir, name) }
	text := c.files["resources.yaml"]
	if form != "as it is" {
		var err error
		if text, err = commented(text); err != nil {
			return 0, &skipped{"yaml/v3 does not read it"}
		}
	}
	if strings.HasSuffix(form, "CRLF") {
		text = strings.ReplaceAll(text, "\n", "\r\n")
	}
	for _, name := range caseFiles {
		data, ok := c.files[name]
		if !ok {
			continue
		}
		flag := "--facts"
		switch name {
		case "policy.yaml", "exceptions.yaml":
			flag = "-p"
		case "lock.yaml":
			flag = "--lock"
		case "resources.yaml":
			data = text
		}
		if name != "resources.yaml" {
			args = append(args, flag, file(name))
		}
		if err := os.WriteFile(file(name), []byte(data), 0o644); err != nil {
			return 0, err
		}
	}
	args = append(args, file("resources.yaml"))
	var printed bytes.Buffer
	if code := cli.Main(args, strings.NewReader(""), &printed, io.Discard); code != 0 {
		return 0, &skipped{fmt.Sprintf("render ends with %d", code)}
	}
	var faults bytes.Buffer
	if code := cli.Main(append(args, "--in-place"), strings.NewReader(""), io.Discard, &faults); code != 0 {
		if strings.Contains(faults.String(), "it has no place of its own in the file") {
			return 0, &skipped{"a List with anchors"}
		}
		return 0, fmt.Errorf("exit code %d: %s", code, faults.String())
	}
	want, err := resource.Parse("stdout", printed.Bytes())
	if err != nil {
		return 0, err
	}
	source, err := load.Read(file("resources.yaml"))
	if err != nil {
		return 0, err
	}
	after, err := agreed(want, source.Resources)
	if err != nil {
		return 0, err
	}
	return untouched(text, string(source.Data), after)
}

// agreed returns the values of resources, by identity, when both lists say the
// same; what a List generates follows the List, so their order may differ.
func agreed(want, got []*resource.Resource) (map[resource.ID]resource.Object, error) {
	read := func(list []*resource.Resource) (map[resource.ID]resource.Object, error) {
		out := map[resource.ID]resource.Object{}
		for _, r := range list {
			o, err := r.Object()
			if err != nil {
				return nil, err
			}
			out[r.ID()] = o
		}
		return out, nil
	}
	a, err := read(want)
	if err != nil {
		return nil, err
	}
	b, err := read(got)
	if err != nil {
		return nil, err
	}
	if d := cmp.Diff(a, b); d != "" || len(want) != len(got) {
		return nil, fmt.Errorf("render prints something else than the file holds (-printed +file):\n%s", d)
	}
	return b, nil
}

// commented puts a comment above every line that starts a value, and behind
// some.
func commented(text string) (string, error) {
	starts := map[int]bool{}
	var walk func(n *yaml.Node)
	walk = func(n *yaml.Node) {
		if n.Kind != yaml.DocumentNode {
			starts[n.Line] = true
		}
		if n.Style&yaml.FlowStyle != 0 {
			return // no comments in brackets
		}
		for _, c := range n.Content {
			walk(c)
		}
	}
	docs, err := documents(text)
	if err != nil {
		return "", err
	}
	for _, d := range docs {
		walk(d)
	}
	var b strings.Builder
	for i, line := range strings.SplitAfter(text, "\n") {
		if starts[i+1] {
			indent := len(line) - len(strings.TrimLeft(line, " "))
			fmt.Fprintf(&b, "%*s# %d\n", indent, "", i)
		}
		b.WriteString(line)
	}
	return b.String(), nil
}

func documents(text string) ([]*yaml.Node, error) {
	var out []*yaml.Node
	for dec := yaml.NewDecoder(strings.NewReader(text)); ; {
		var n yaml.Node
		if err := dec.Decode(&n); err == io.EOF {
			return out, nil
		} else if err != nil {
			return nil, err
		}
		out = append(out, &n)
	}
}

// untouched checks that every line of a file that the changes give no reason to
// touch is in the new text, byte by byte and in order. It returns how many
// others there are.
func untouched(before, after string, objects map[resource.ID]resource.Object) (int, error) {
	normalized := strings.ReplaceAll(before, "\r\n", "\n")
	docs, err := documents(normalized)
	if err != nil {
		return 0, &skipped{"yaml/v3 does not read it"}
	}
	e := explainer{lines: strings.Split(normalized, "\n"), touched: map[int]bool{}}
	for _, d := range docs {
		for _, n := range manifestNodes(d.Content[0]) {
			was, err := resource.Parse("", []byte(nodeText(n)))
			if err != nil || len(was) != 1 {
				return 0, &skipped{"yaml/v3 writes it as something else"}
			}
			o, err := was[0].Object()
			if err != nil {
				return 0, err
			}
			now, ok := objects[was[0].ID()]
			if !ok {
				return 0, fmt.Errorf("%s is gone", was[0].ID())
			}
			e.explain(n.Line, n, o, now)
		}
	}
	rest := strings.SplitAfter(after, "\n")
	for i, line := range strings.SplitAfter(before, "\n") {
		if e.touched[i+1] {
			continue
		}
		at := slices.Index(rest, line)
		if at < 0 {
			return 0, fmt.Errorf("line %d is gone or has moved: %q\n%s", i+1, line, after)
		}
		rest = rest[at+1:]
	}
	return len(e.touched), nil
}

func nodeText(n *yaml.Node) string {
	text, err := yaml.Marshal(n)
	if err != nil {
		return ""
	}
	return string(text)
}

// manifestNodes returns the nodes of the manifests in a document.
func manifestNodes(n *yaml.Node) []*yaml.Node {
	for i := 0; i+1 < len(n.Content) && n.Kind == yaml.MappingNode; i += 2 {
		if n.Content[i].Value == "items" && n.Content[i+1].Kind == yaml.SequenceNode {
			var out []*yaml.Node
			for _, c := range n.Content[i+1].Content {
				out = append(out, manifestNodes(c)...)
			}
			return out
		}
	}
	return []*yaml.Node{n}
}

// An explainer collects the lines of a file that changes may touch: those of
// values that are different or gone.
type explainer struct {
	lines   []string
	touched map[int]bool
}

// explain compares the value of n, whose key is on line.
func (e *explainer) explain(line int, n *yaml.Node, before, after any) {
	if resource.Equal(before, after) {
		return
	}
	block := n.Style&yaml.FlowStyle == 0 && n.Kind != yaml.AliasNode
	switch b := before.(type) {
	case map[string]any:
		a, ok := after.(map[string]any)
		if !ok || !block || len(b) == 0 || len(a) == 0 {
			break
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			if v, ok := a[key.Value]; ok {
				e.explain(key.Line, n.Content[i+1], b[key.Value], v)
			} else {
				e.gone(key.Line, last(n.Content[i+1]))
			}
		}
		return
	case []any:
		a, ok := after.([]any)
		if !ok || !block || len(b) == 0 || len(a) == 0 || len(n.Content) != len(b) {
			break
		}
		order := -1
		for i, was := range b {
			now := likest(was, a)
			if now < 0 {
				e.gone(n.Content[i].Line, last(n.Content[i]))
				continue
			}
			if now < order { // the elements changed places
				e.touch(line, last(n))
				return
			}
			order = now
			e.explain(n.Content[i].Line, n.Content[i], was, a[now])
		}
		return
	}
	e.touch(line, last(n))
}

// likest returns the element of a list that was once e: the equal one, or the
// map that has most in common with it.
func likest(e any, list []any) int {
	if i := slices.IndexFunc(list, func(v any) bool { return resource.Equal(e, v) }); i >= 0 {
		return i
	}
	best, at := 0, -1
	m, _ := e.(map[string]any)
	for i, v := range list {
		other, _ := v.(map[string]any)
		same := 0
		for k, was := range m {
			if now, ok := other[k]; ok && resource.Equal(was, now) {
				same++
				if k == "name" {
					same += len(m)
				}
			}
		}
		if same > best {
			best, at = same, i
		}
	}
	return at
}

// last returns the last line on which a value starts, or a block of text ends.
func last(n *yaml.Node) int {
	line := n.Line
	if n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		line += strings.Count(n.Value, "\n") + 1
	}
	for _, c := range n.Content {
		line = max(line, last(c))
	}
	return line
}

// gone is touch for what is no longer there, and takes the comments above it
// with it.
func (e *explainer) gone(from, to int) {
	e.touch(from, to)
	for from > 1 && strings.HasPrefix(strings.TrimSpace(e.lines[from-2]), "#") {
		from--
		e.touched[from] = true
	}
}

// touch takes down lines, and those behind them on which the last value goes on.
func (e *explainer) touch(from, to int) {
	for i := from; i <= to; i++ {
		e.touched[i] = true
	}
	indent := func(line string) int { return len(line) - len(strings.TrimLeft(line, " -")) }
	for i := to + 1; i <= len(e.lines); i++ {
		line := e.lines[i-1]
		if strings.TrimSpace(line) == "" || strings.HasPrefix(strings.TrimSpace(line), "#") || indent(line) <= indent(e.lines[from-1]) {
			return
		}
		e.touched[i] = true
	}
}
