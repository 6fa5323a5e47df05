package resource

import (
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
)

func parseOne(t testing.TB, text string) *Resource {
	t.Helper()
	rs, err := Parse("in.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if len(rs) != 1 {
		t.Fatalf("got %d resources, want 1", len(rs))
	}
	return rs[0]
}

func object(t testing.TB, r *Resource) Object {
	t.Helper()
	o, err := r.Object()
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func yamlOf(t testing.TB, r *Resource) string {
	t.Helper()
	b, err := r.AppendYAML(nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// value reads a value written as YAML.
func value(t testing.TB, text string) any {
	t.Helper()
	v, err := reference(text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// with returns a copy of v in which the value at the path is another one;
// absent removes it.
func with(v any, p fieldpath.Path, to any) any {
	if len(p) == 0 {
		return to
	}
	if p[0].IsIndex() {
		l := v.([]any)
		out := append([]any(nil), l...)
		if p[0].Index() == len(l) {
			return append(out, with(nil, p[1:], to))
		}
		if len(p) == 1 && to == absent {
			return append(out[:p[0].Index()], out[p[0].Index()+1:]...)
		}
		out[p[0].Index()] = with(l[p[0].Index()], p[1:], to)
		return out
	}
	m, _ := v.(map[string]any)
	out := maps.Clone(m)
	if out == nil {
		out = map[string]any{}
	}
	if len(p) == 1 && to == absent {
		delete(out, p[0].Key())
		return out
	}
	out[p[0].Key()] = with(out[p[0].Key()], p[1:], to)
	return out
}

type absentValue struct{}

var absent any = absentValue{}

func TestUpdate(t *testing.T) {
	tests := []struct {
		name     string
		in       string
		path, to string // to is YAML; "-" removes
		want     string
	}{
		{"scalar keeps its comment and the rest", "# head\na:   1   # one\n\n\nb: 2\n", "a", "5", "# head\na:   5   # one\n\n\nb: 2\n"},
		{"string keeps double quotes", "a: \"x\" # c\n", "a", "z", "a: \"z\" # c\n"},
		{"string keeps single quotes", "a: 'x'\n", "a", "it's", "a: 'it''s'\n"},
		{"a string that YAML 1.1 misreads is quoted", "a: x\n", "a", `"yes"`, "a: \"yes\"\n"},
		{"number becomes string", "a: 1\n", "a", `"1"`, "a: \"1\"\n"},
		{"string becomes number", "a: \"1\"\n", "a", `1`, "a: 1\n"},
		{"several lines become a block", "a: x # c\nb: y\n", "a", `"p\nq\n"`, "a: | # c\n  p\n  q\nb: y\n"},
		{"a block keeps being one", "a: |\n  x\nb: y\n", "a", `"p\nq"`, "a: |-\n  p\n  q\nb: y\n"},
		{"a block becomes a line", "a: |\n  x\nb: y\n", "a", `p`, "a: p\nb: y\n"},
		{"null gets a value", "a:\nb: y\n", "a", `p`, "a: p\nb: y\n"},
		{"null with comment gets a map", "a: # why\nb: y\n", "a", `{p: 1}`, "a: # why\n  p: 1\nb: y\n"},
		{"empty map gets a key", "a: {}\n", "a.b", `1`, "a:\n  b: 1\n"},
		{"last key goes", "a:\n  b: 1\nc: 2\n", "a.b", "-", "a: {}\nc: 2\n"},
		{"last element goes", "a:\n- 1\nc: 2\n", "a[0]", "-", "a: []\nc: 2\n"},
		{"new key below the others", "a:\n    b: 1\n    # foot\nc: 2\n", "a.d", "1", "a:\n    b: 1\n    d: 1\n    # foot\nc: 2\n"},
		{"new map in the document's indentation", "a:\n    b: 1\nc: 2\n", "d", "{e: {f: 1}}", "a:\n    b: 1\nc: 2\nd:\n    e:\n        f: 1\n"},
		{"new list is wide where lists are", "a:\n  - 1\nc: 2\n", "d", "[{e: 1, f: [2]}]", "a:\n  - 1\nc: 2\nd:\n  - e: 1\n    f:\n      - 2\n"},
		{"new list is compact where lists are", "a:\n- 1\nc: 2\n", "d", "[{e: 1, f: [2]}]", "a:\n- 1\nc: 2\nd:\n- e: 1\n  f:\n  - 2\n"},
		{"no line break at the end", "a: 1", "b", "2", "a: 1\nb: 2\n"},
		{"flow map gets a key", "a: {b: 1, c: 2} # c\n", "a.d", "x", "a: {b: 1, c: 2, d: x} # c\n"},
		{"flow map loses a key", "a: {b: 1, c: 2}\n", "a.b", "-", "a: {c: 2}\n"},
		{"flow value changes", "a: [ x, 'y' ]\n", "a[1]", "z,", "a: [ x, 'z,' ]\n"},
		{"labels come before annotations", "metadata:\n  name: x\n  annotations:\n    a: b\n", "metadata.labels", "{c: d}", "metadata:\n  name: x\n  labels:\n    c: d\n  annotations:\n    a: b\n"},
		{"metadata comes before spec", "kind: X\nspec: {}\n", "metadata.name", "z", "kind: X\nmetadata:\n  name: z\nspec: {}\n"},
		{"labels are not sorted", "metadata:\n  labels:\n    status: x\n    items: y\n", "metadata.labels.a", "z", "metadata:\n  labels:\n    status: x\n    items: y\n    a: z\n"},
		{"removing takes the comment above along", "a: 1\n# about b\nb: 2\n# about c\nc: 3\n", "b", "-", "a: 1\n# about c\nc: 3\n"},
		{"removing leaves other comments", "a: 1\n\n# section\n\n# about b\nb: 2\n\nc: 3\n", "b", "-", "a: 1\n\n# section\n\nc: 3\n"},
		{"first key behind a dash goes", "l:\n- a: 1 # one\n  # two\n  b: 2\n", "l[0].a", "-", "l:\n# two\n- b: 2\n"},
		{"key behind a dash gets a neighbour", "l:\n- image: x # one\n", "l[0].name", "z", "l:\n- name: z\n  image: x # one\n"},
		{"list element changes kind", "l:\n- a: 1\n- 2 # two\n", "l[0]", "3", "l:\n- 3\n- 2 # two\n"},
		{"odd keys are quoted", "a: {}\n", "a.true", "1", "a:\n  \"true\": 1\n"},
		{"escaped characters", "a: x\n", "a", `"\u0007 \U0001F600"`, "a: \"\\a \\U0001F600\"\n"},
		{"an alias keeps the others", "a: &x 1\nb: *x\nc: 1\n", "c", "2", "a: &x 1\nb: *x\nc: 2\n"},
		{"a changed anchor frees its aliases", "a: &x 1\nb: *x\n", "a", "2", "a: 2\nb: 1\n"},
		{"a changed alias stands alone", "a: &x {p: 1}\nb: *x\n", "b.p", "2", "a: &x {p: 1}\nb:\n  p: 2\n"},
		{"merge keys", "a: &x {p: 1, q: 2}\nb:\n  <<: *x\n  r: 3\n", "b.p", "5", "a: &x {p: 1, q: 2}\nb:\n  <<: *x\n  r: 3\n  p: 5\n"},
		{"json", "{\n  \"a\": {\n    \"b\": [1]\n  }\n}\n", "a.c", "{d: x}", "{\n  \"a\": {\n    \"b\": [1],\n    \"c\": {\n      \"d\": \"x\"\n    }\n  }\n}\n"},
		{"compact json", `{"a":{"b":1},"c":"d"}`, "a.e", "yes", `{"a":{"b":1,"e":true},"c":"d"}` + "\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := parseOne(t, tt.in)
			p, err := fieldpath.Parse(tt.path)
			if err != nil {
				t.Fatal(err)
			}
			to := absent
			if tt.to != "-" {
				to = value(t, tt.to)
			}
			after := with(object(t, r), p, to).(map[string]any)
			if err := r.Update(after); err != nil {
				t.Fatal(err)
			}
			if !r.Changed() {
				t.Error("not marked as changed")
			}
			if d := cmp.Diff(tt.want, yamlOf(t, r)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			if d := cmp.Diff(after, object(t, r)); d != "" {
				t.Errorf("values (-want +got):\n%s", d)
			}
		})
	}
}

const containers = `spec:
  containers:
  # the application
  - name: app # {"$imagepolicy": "app"}
    image: app:1
    # ports
    ports:
    - containerPort: 80 # http

  # the proxy
  - name: proxy
    image: proxy:1
`

func TestUpdateAlignsLists(t *testing.T) {
	r := parseOne(t, containers)
	o := object(t, r)
	list := o["spec"].(map[string]any)["containers"].([]any)
	sidecar := map[string]any{"name": "sidecar", "image": "sidecar:1"}
	proxy := maps.Clone(list[1].(map[string]any))
	proxy["image"] = "proxy:2"
	for _, tt := range []struct {
		name string
		list []any
		want string
	}{
		{"prepend", []any{sidecar, list[0], list[1]}, `spec:
  containers:
  - name: sidecar
    image: sidecar:1
  # the application
  - name: app # {"$imagepolicy": "app"}
    image: app:1
    # ports
    ports:
    - containerPort: 80 # http

  # the proxy
  - name: proxy
    image: proxy:1
`},
		{"append and change", []any{list[0], proxy, sidecar}, `spec:
  containers:
  # the application
  - name: app # {"$imagepolicy": "app"}
    image: app:1
    # ports
    ports:
    - containerPort: 80 # http

  # the proxy
  - name: proxy
    image: proxy:2
  - name: sidecar
    image: sidecar:1
`},
		{"remove", []any{proxy}, `spec:
  containers:
  # the proxy
  - name: proxy
    image: proxy:2
`},
		{"reorder", []any{list[1], list[0]}, `spec:
  containers:
  # the proxy
  - name: proxy
    image: proxy:1
  # the application
  - name: app # {"$imagepolicy": "app"}
    image: app:1
    # ports
    ports:
    - containerPort: 80 # http
`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := parseOne(t, containers)
			if err := r.Update(Object{"spec": map[string]any{"containers": tt.list}}); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, yamlOf(t, r)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestParse(t *testing.T) {
	text := "\xef\xbb\xbf# license\n---\n# first\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  x: |\n    ---\n    y\n--- # second\napiVersion: v1\nkind: Secret\nmetadata: {name: b, namespace: ns}\n---\n---\n# nothing here\n---\n" +
		"apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Service\n  metadata:\n    name: c\n# about d\n- kind: PodList\n  apiVersion: v1\n  items:\n  - kind: Pod\n    apiVersion: v1\n    metadata:\n      name: d\n...\n--- {apiVersion: v1, kind: Node, metadata: {name: e}}\n# end\n"
	rs, err := Parse("in.yaml", []byte(strings.ReplaceAll(text, "\n", "\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range rs {
		got = append(got, r.Origin().String()+" "+r.ID().String())
	}
	want := []string{"in.yaml:4 ConfigMap/a", "in.yaml:13 ns/Secret/b", "in.yaml:23 Service/c", "in.yaml:31 Pod/d", "in.yaml:36 Node/e"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if got, want := rs[0].Line(path(t, "data.x")), 9; got != want {
		t.Errorf("line of data.x: %d, want %d", got, want)
	}
	if got, want := rs[3].Line(path(t, "metadata.name.nothing")), 34; got != want {
		t.Errorf("line of metadata.name: %d, want %d", got, want)
	}
	if got, want := yamlOf(t, rs[0]), "# license\n# first\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  x: |\n    ---\n    y\n"; got != want {
		t.Errorf("text %q, want %q", got, want)
	}
	if got, want := yamlOf(t, rs[3]), "kind: Pod\napiVersion: v1\nmetadata:\n  name: d\n"; got != want {
		t.Errorf("text %q, want %q", got, want)
	}
	if got, want := yamlOf(t, rs[4]), "    {apiVersion: v1, kind: Node, metadata: {name: e}}\n# end\n"; got != want {
		t.Errorf("text %q, want %q", got, want)
	}
}

func path(t testing.TB, s string) fieldpath.Path {
	t.Helper()
	p, err := fieldpath.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A block of text at the end of a file without a last line break has none
// either, and must not get one from what comes behind it.
func TestParseEndsTheLastLine(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"a: 1", "a: 1\n"},
		{"a: |\n  x", "a: |-\n  x\n"},
		{"a:\n- b: >+ # c\n    x\n    y", "a:\n- b: >- # c\n    x\n    y\n"},
		{"a: |-\n  x", "a: |-\n  x\n"},
		{"a: |\n  x\n", "a: |\n  x\n"},
		{`{"a": 1}`, "{\"a\": 1}\n"},
	} {
		r := parseOne(t, tt.in)
		if got := yamlOf(t, r); got != tt.want {
			t.Errorf("%q comes out as %q, want %q", tt.in, got, tt.want)
		}
		if d := cmp.Diff(value(t, tt.in), any(object(t, r))); d != "" {
			t.Errorf("%q (-want +got):\n%s", tt.in, d)
		}
	}
}

// What a caller takes for the present values may be out of date: the text is
// right, or Update says that it can't be.
func TestUpdateFromChecksWhatItWrites(t *testing.T) {
	r := parseOne(t, "kind: A\nspec:\n  n: 1\n  s: x\n")
	before := object(t, r)
	if err := r.Update(Object{"kind": "A", "spec": map[string]any{"n": int64(2), "s": "x"}}); err != nil {
		t.Fatal(err)
	}
	after := Object{"kind": "A", "spec": map[string]any{"n": int64(1), "s": "y"}}
	err := r.UpdateFrom(before, after)
	if got := object(t, r); err == nil && !Equal(got, after) {
		t.Errorf("the text says %v, want %v", got, after)
	}
}
