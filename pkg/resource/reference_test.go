package resource

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	sigsyaml "sigs.k8s.io/yaml"
)

// reference reads a document as the API server does.
func reference(text string) (any, error) {
	j, err := sigsyaml.YAMLToJSON([]byte(text))
	if err != nil {
		return nil, err
	}
	var v any
	if err := utiljson.Unmarshal(j, &v); err != nil {
		return nil, err
	}
	return v, nil
}

// manifestReference is reference for a manifest. Its metadata has as text what
// YAML 1.2 does not take for a boolean.
func manifestReference(text string) (any, error) {
	v, err := reference(text)
	if err != nil {
		return nil, err
	}
	o, _ := v.(map[string]any)
	meta, _ := o["metadata"].(map[string]any)
	var doc struct {
		Metadata struct {
			Name, Namespace yaml.Node
			GenerateName    yaml.Node `yaml:"generateName"`
			Labels          yaml.Node
			Annotations     yaml.Node
		}
	}
	if meta == nil || yaml.Unmarshal([]byte(text), &doc) != nil {
		return v, nil
	}
	fix := func(m map[string]any, key string, n *yaml.Node) {
		if _, ok := m[key].(bool); ok && n.Kind == yaml.ScalarNode && n.ShortTag() == "!!str" {
			m[key] = n.Value
		}
	}
	d := &doc.Metadata
	fix(meta, "name", &d.Name)
	fix(meta, "namespace", &d.Namespace)
	fix(meta, "generateName", &d.GenerateName)
	for key, n := range map[string]*yaml.Node{"labels": &d.Labels, "annotations": &d.Annotations} {
		texts, _ := meta[key].(map[string]any)
		for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
			k, err := nodeKey(n.Content[i])
			if err == nil && texts != nil {
				fix(texts, k, n.Content[i+1])
			}
		}
	}
	return v, nil
}

// strictReference refuses duplicate keys.
func strictReference(text string) error {
	_, err := sigsyaml.YAMLToJSONStrict([]byte(text))
	return err
}

// throughNodes is what yaml/v3 writes after it has read a text.
func throughNodes(text string) (string, error) {
	doc, err := decodeDocument(text)
	if err != nil {
		return "", err
	}
	out, err := encodeNode(doc, false)
	return string(out), err
}

// checkScan holds the scanner against the readers it stands for: what it
// accepts they accept, with the same values.
func checkScan(t *testing.T, text string) {
	t.Helper()
	var tr tree
	if scanErr := tr.scanDocument(text, false); scanErr != nil {
		return
	}
	got, err := tr.object(0)
	want, wantErr := manifestReference(text)
	if wantErr != nil {
		if err == nil {
			t.Fatalf("accepted what sigs.k8s.io/yaml refuses: %v\n%q\ngot %v", wantErr, text, got)
		}
		return
	}
	if err != nil {
		t.Fatalf("%v for what sigs.k8s.io/yaml accepts\n%q", err, text)
	}
	if err := strictReference(text); err != nil {
		t.Fatalf("accepted what sigs.k8s.io/yaml refuses when strict: %v\n%q", err, text)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatalf("(-reference +scanner):\n%s\n%q", d, text)
	}
	written, err := throughNodes(text)
	if err != nil {
		t.Fatalf("accepted what yaml/v3 refuses: %v\n%q", err, text)
	}
	if tr.canonical && written != text {
		t.Fatalf("called canonical (-yaml/v3 +text):\n%s", cmp.Diff(written, text))
	}
	// The same as an item of a list.
	var item strings.Builder
	item.WriteString("- ")
	for line := range strings.Lines(text) {
		if item.Len() > 2 && line != "\n" {
			item.WriteString("  ")
		}
		item.WriteString(line)
	}
	var list tree
	if err := list.scanDocument(item.String(), true); err == nil && list.canonical {
		written, err := throughNodes(item.String())
		if err != nil || written != item.String() {
			t.Fatalf("called canonical (-yaml/v3 +text): %v\n%s", err, cmp.Diff(written, item.String()))
		}
	}
	// The spans must cover the text in order.
	checkSpans(t, &tr, 0)
}

func checkSpans(t *testing.T, tr *tree, i int32) {
	n := tr.nodes[i]
	prev := int32(0)
	for c := n.first; c != 0; c = tr.nodes[c].next {
		child := tr.nodes[c]
		if child.lead < prev || child.start < child.lead || child.sep < child.start || child.val < child.sep || child.valEnd < child.val || child.end < child.valEnd {
			t.Fatalf("positions out of order: %+v after %d\n%q", child, prev, tr.text)
		}
		prev = child.end
		checkSpans(t, tr, c)
	}
}

// checkNodes holds the conversion of yaml/v3 nodes against sigs.k8s.io/yaml.
func checkNodes(t *testing.T, text string) {
	t.Helper()
	n, err := decodeNode(text, false)
	if err != nil {
		return
	}
	got, err := manifestObject(n)
	want, wantErr := manifestReference(text)
	if err != nil || wantErr != nil {
		return // the two generations of go-yaml differ in what they refuse
	}
	if bareTag.MatchString(text) {
		return // yaml/v3 does not tell a tag that is a single exclamation mark
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatalf("(-reference +nodes):\n%s\n%q", d, text)
	}
}

var bareTag = regexp.MustCompile(`!([\s,\[\]{}"']|$)`)

// samples calls f for many real manifests: those of the modules that this one
// uses, and the files that ONELOOP_SAMPLES names.
func samples(t testing.TB, f func(name, text string)) {
	dirs := filepath.SplitList(os.Getenv("ONELOOP_SAMPLES"))
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			switch filepath.Ext(path) {
			case ".yaml", ".yml", ".json":
			default:
				return nil
			}
			if d.IsDir() {
				return nil
			}
			data, err := os.ReadFile(path)
			if err != nil {
				return nil
			}
			text, err := Text(path, data)
			if err != nil {
				return nil
			}
			docs, err := splitDocuments(path, text)
			if err != nil {
				return nil
			}
			for _, doc := range docs {
				f(path, doc.text)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestScannerAgreesWithTheReferencesOnSamples(t *testing.T) {
	total, simple, bytesTotal := 0, 0, 0
	reasons := map[string]int{}
	samples(t, func(name, text string) {
		total++
		bytesTotal += len(text)
		var tr tree
		if err := tr.scanDocument(text, false); err == nil {
			simple++
		} else {
			reasons[err.message]++
			if os.Getenv("ONELOOP_REASONS") != "" && err.message != "the document is not a map" {
				t.Logf("%s: %s at %q", name, err.message, text[max(0, err.offset-30):min(len(text), err.offset+30)])
			}
		}
		checkScan(t, text)
		checkNodes(t, text)
	})
	t.Logf("%d documents, %d MB, %d read by the scanner; refused: %v", total, bytesTotal>>20, simple, reasons)
}

var seeds = []string{
	"a: b\n", "a:\n  b: c\n", "a:\n- b\n- c\n", "a:\n  - b\n  -   c\n", "- a\n", "a: |\n  x\n   y\n\nb: >-\n  q\n  r\n\n   s\n  t\n",
	"a: 'it''s'\n\"b\": \"x\\ty\\u00e9\\U0001F600\"\n", "a: {b: c, d: [e, 'f', \"g\"]}\n", "{\"a\": {\"b\": [1, 2.5, null, true]}}\n",
	"# head\n\n# more\na: 1 # line\n# foot\n", "a: yes\nb: 0x1F\nc: 1_000\nd: .5\ne: 017\nf: 2001-01-01\ng: 1e3\nh: ~\ni: 1.0\nj: 12:30:45\n",
	"on: 1\n1: 2\n1.5: 3\n", "a: x\n  y\n\n  z\nb: 'p\n  q'\nc: \"r\\\n  s\n\n  t\"\n", "a: |+\n  x\n\nb: |2\n    y\n", "a: |-\n  x # not a comment\n  # nor this\nb: 1\n",
	"- - a\n  - b\n- c: d\n  e: f\n", "a:\n# c\n- b: 1\n\n  # d\n  c: 2\n- e\n", "a: &x 1\nb: *x\n", "<<: {a: 1}\nb: 2\n", "a: !!str 1\nb: !foo bar\n",
	"a:\n\tb: c\n", "a: b: c\n", "a\nb\n", "? a\n: b\n", "a: [1,\n2]\nb: {c: d,\n  e: f}\n", "a: \"x\n", "a: b\n c: d\n", "a:\n    b: c\n  d: e\n",
	"a: |\n\tx\n", "a: :foo\nb: ?x\nc: -1\nd: -x\n", "a: http://x:80/#y\nb: a,b[c]{d}\n", "a: 'x' # c\nb: \"y\"   # c\n", "(a): 1\n+(b): 2\n=(c): 3\n^(d): 4\n<(e): 5\nX(f): null\n",
	"a: {}\nb: []\nc: { }\nd: [ ]\n", "a: \"\"\nb: ''\nc:\nd: null\n", "é: ü\nx: \u00a0y\n", "a: ---\nb: ---x\nc: ...\n", "a:\n  - b: c\n    d: e\n  -\n    f: g\n  - # x\n    h: i\n  -\n",
	"a: .nan\n", "a: 1\na: 2\n", "1: a\n\"1\": b\n", "a: >\n  x\n   y\n  z\n\n\n  w\n", "a: |1\n  x\n", "a: |\n\n  x\n", "a: |\n     \n  x\n",
	"a: 18446744073709551615\nb: 9223372036854775808\nc: -9223372036854775809\nd: 1e400\n", "a: 0b11\nb: 0o17\nc: +1\nd: -0\ne: 0.1e-7\n",
}

func FuzzScan(f *testing.F) {
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if normalized, err := Text("", []byte(text)); err != nil || normalized != text {
			return
		}
		docs, err := splitDocuments("", text)
		if err != nil || len(docs) != 1 || docs[0].text != text {
			return
		}
		checkScan(t, text)
		checkNodes(t, text)
	})
}
