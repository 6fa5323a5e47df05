package jsonpatch

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	evanphx "github.com/evanphx/json-patch/v5"
	"github.com/google/go-cmp/cmp"
)

func parseObject(t testing.TB, text string) map[string]any {
	t.Helper()
	v, err := decode(text)
	if err != nil {
		t.Fatal(err)
	}
	return v.(map[string]any)
}

func TestApply(t *testing.T) {
	tests := []struct{ name, object, patch, want string }{
		{"empty patch", "{a: 1}", "[]", "{a: 1}"},
		{"add to a map", "{a: {}}", `[{"op": "add", "path": "/a/b", "value": 1}]`, "{a: {b: 1}}"},
		{"add creates maps", "{}", `[{"op": "add", "path": "/metadata/labels/x", "value": "y"}]`, `{metadata: {labels: {x: "y"}}}`},
		{"add creates a list for -", "{}", `[{"op": "add", "path": "/a/-", "value": 1}]`, "{a: [1]}"},
		{"add creates a list for a number and fills it up", "{}", `[{"op": "add", "path": "/a/2", "value": 1}]`, "{a: [null, null, 1]}"},
		{"add in the middle", "{a: [1, 2]}", `[{"op": "add", "path": "/a/1", "value": 9}]`, "{a: [1, 9, 2]}"},
		{"add at -1 is the end", "{a: [1, 2]}", `[{"op": "add", "path": "/a/-1", "value": 9}]`, "{a: [1, 2, 9]}"},
		{"add below null replaces it", "{a: null}", `[{"op": "add", "path": "/a/b", "value": 1}]`, "{a: {b: 1}}"},
		{"add null", "{}", `[{"op": "add", "path": "/a", "value": null}]`, "{a: null}"},
		{"escapes", "{a: {}}", `[{"op": "add", "path": "/a/x.io~1y~0z", "value": 1}]`, "{a: {x.io/y~z: 1}}"},
		{"remove", "{a: {b: 1, c: 2}}", `[{"op": "remove", "path": "/a/b"}]`, "{a: {c: 2}}"},
		{"remove nothing", "{a: 1}", `[{"op": "remove", "path": "/x/y"}, {"op": "remove", "path": "/a/0/c"}]`, "{a: 1}"},
		{"remove one after another", "{a: [1, 2, 3]}", `[{"op": "remove", "path": "/a/0"}, {"op": "remove", "path": "/a/1"}]`, "{a: [2]}"},
		{"remove the last", "{a: [1, 2, 3]}", `[{"op": "remove", "path": "/a/-1"}]`, "{a: [1, 2]}"},
		{"remove beyond the end", "{a: [1]}", `[{"op": "remove", "path": "/a/7"}]`, "{a: [1]}"},
		{"replace", "{a: [1, {b: c}]}", `[{"op": "replace", "path": "/a/1/b", "value": [x]}]`, "{a: [1, {b: [x]}]}"},
		{"replace the document", "{a: 1}", `[{"op": "replace", "path": "", "value": {"b": 2}}]`, "{b: 2}"},
		{"move", "{a: {b: 1}}", `[{"op": "move", "from": "/a/b", "path": "/c"}]`, "{a: {}, c: 1}"},
		{"copy", "{a: {b: [1]}}", `[{"op": "copy", "from": "/a", "path": "/c"}, {"op": "add", "path": "/c/b/-", "value": 2}]`, "{a: {b: [1]}, c: {b: [1, 2]}}"},
		{"copy of the document is the one that came in", "{a: 1}", `[{"op": "add", "path": "/b", "value": 2}, {"op": "copy", "from": "", "path": "/c"}]`, "{a: 1, b: 2, c: {a: 1}}"},
		{"test", "{a: {b: [1, x, true, null]}}", `[{"op": "test", "path": "/a", "value": {"b": [1, "x", true, null]}}]`, "{a: {b: [1, x, true, null]}}"},
		{"test for absence", "{a: 1}", `[{"op": "test", "path": "/b", "value": null}, {"op": "test", "path": "/c"}]`, "{a: 1}"},
		{"text before the slash does not count", "{}", `[{"op": "add", "path": "x/a", "value": 1}]`, "{a: 1}"},
		{"YAML", "{}", "- op: add\n  path: /a\n  value: {yes: on, num: 010, big: 123456789012}\n", `{"a": {"true": true, "num": 8, "big": 123456789012}}`},
		{"YAML null", "{a: 1}", "# nothing\n", "{a: 1}"},
		{"integers and floats", "{}", `[{"op": "add", "path": "/a", "value": [1, 1.5, -3, 1e2]}]`, "{a: [1, 1.5, -3, 100.0]}"},
		{"unknown fields", "{}", `[{"op": "add", "path": "/a", "value": 1, "comment": "x"}]`, "{a: 1}"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if strings.HasPrefix(test.patch, "[") && !json.Valid([]byte(test.patch)) {
				test.patch = " " + test.patch // YAML
			}
			p, err := Parse(test.patch)
			if err != nil {
				t.Fatal(err)
			}
			object := parseObject(t, test.object)
			got, err := p.Apply(object)
			if err != nil {
				t.Fatal(err)
			}
			var want any = parseObject(t, test.want)
			if test.name == "integers and floats" {
				want.(map[string]any)["a"].([]any)[3] = 100.0
			}
			if diff := cmp.Diff(want, any(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(parseObject(t, test.object), object); diff != "" {
				t.Errorf("Apply modified the object (-before +after):\n%s", diff)
			}
		})
	}
}

func TestApplyErrors(t *testing.T) {
	tests := []struct{ object, patch, want string }{
		{"{}", `[{"op": "replace", "path": "/a", "value": 1}]`, `operation [0] replace "/a": there is no such field or element`},
		{"{a: [1]}", `[{"op": "test", "path": "/a/0", "value": 1}, {"op": "replace", "path": "/a/3", "value": 1}]`, `operation [1] replace "/a/3": the list has no index 3, it has 1 element`},
		{"{a: {}}", `[{"op": "replace", "path": "a/b", "value": 1}]`, `operation [0] replace "a/b": there is no such field or element; a path begins with a slash`},
		{"{a: [1]}", `[{"op": "add", "path": "/a/x", "value": 1}]`, `operation [0] add "/a/x": "x" is no index of a list`},
		{"{a: [1]}", `[{"op": "remove", "path": "/a/x"}]`, `operation [0] remove "/a/x": "x" is no index of a list`},
		{"{a: b}", `[{"op": "add", "path": "/a/x/y", "value": 1}]`, `operation [0] add "/a/x/y": the path leads into a value that is neither a map nor a list`},
		{"{a: 1}", `[{"op": "test", "path": "/a", "value": 2}]`, `operation [0] test "/a": the value is a different one`},
		{"{a: 1}", `[{"op": "move", "from": "/b", "path": "/c"}]`, `operation [0] move "/c": from "/b": there is no such field or element`},
		{"{a: 1}", `[{"op": "copy", "from": "/a", "path": "/b/c"}]`, `operation [0] copy "/b/c": there is no such field or element`},
		{"{}", `[{"op": "add", "path": "a", "value": 1}]`, `operation [0] add "a": the path does not start with a slash`},
		{"{}", `[{"op": "add", "path": "", "value": []}]`, "the patch turns the object into a list"},
		{"{}", `[{"op": "add", "path": "", "value": 1}]`, `operation [0] add "": the value for the whole document must be a map or a list`},
		{"{}", `[{"op": "add", "path": "//a", "value": 1}]`, `operation [0] add "//a": the path begins with an empty step, which Kyverno 1.19 ignores together with the operation; remove the second slash: unsupported operation`},
		{"{}", `[{"op": "add", "path": "/a/99999999/b", "value": 1}]`, `operation [0] add "/a/99999999/b": the index 99999999 is too large`},
		// A key that needs an escape is not created on the way.
		{"{metadata: {}}", `[{"op": "add", "path": "/metadata/a~1b/c", "value": 1}]`, `operation [0] add "/metadata/a~1b/c": there is no such field or element`},
		// A null that an operation added is not the null that test knows, nor one that add replaces.
		{"{}", `[{"op": "add", "path": "/a", "value": null}, {"op": "test", "path": "/a", "value": null}]`, `operation [1] test "/a": the value is a different one`},
		{"{}", `[{"op": "add", "path": "/a", "value": null}, {"op": "add", "path": "/a/b", "value": 1}]`, `operation [1] add "/a/b": the path leads into a value that is neither a map nor a list`},
	}
	for _, test := range tests {
		p, err := Parse(test.patch)
		if err != nil {
			t.Errorf("%s: %v", test.patch, err)
			continue
		}
		got, err := p.Apply(parseObject(t, test.object))
		if err == nil {
			t.Errorf("%s applied to %s gave %v, want an error", test.patch, test.object, got)
		} else if err.Error() != test.want {
			t.Errorf("%s applied to %s:\ngot  %s\nwant %s", test.patch, test.object, err, test.want)
		}
	}
}

// Copies of copies, and lists that are filled up, do not grow without bound.
func TestApplyIsBounded(t *testing.T) {
	var copies, lists Patch
	for i := range 100 {
		copies = append(copies, Operation{Op: "copy", From: "/a", Path: "/a/-"})
		lists = append(lists, Operation{Op: "add", Path: "/" + strconv.Itoa(i) + "/60000", Value: "x"})
	}
	for _, test := range []struct {
		patch Patch
		want  string
	}{
		{copies, `copy "/a/-": from "/a": the copies of the patch make the object larger than the limit of 4194304 values and bytes`},
		{lists, `add "/69/60000": the patch makes lists with more than 4194304 elements`},
	} {
		_, err := test.patch.Apply(parseObject(t, "{a: [1]}"))
		if err == nil || !strings.HasSuffix(err.Error(), test.want) {
			t.Errorf("got %v, want %s", err, test.want)
		}
	}
}

func TestParseErrors(t *testing.T) {
	tests := []struct {
		patch any
		want  string
	}{
		{"{}", "expected a list of operations"},
		{int64(1), "expected a list of operations"},
		{"[1]", "operation [0]: expected a map with op and path"},
		{`[{"path": "/a"}]`, "operation [0]: expected op with a string"},
		{`[{"op": "add", "path": "/a"}]`, "operation [0]: add needs a value"},
		{`[{"op": "remove"}]`, "operation [0]: expected path with a string"},
		{`[{"op": "remove", "path": 1}]`, "operation [0]: expected path with a string"},
		{`[{"op": "move", "path": "/a"}]`, "operation [0]: expected from with a string"},
		{`[{"op": "Add", "path": "/a", "value": 1}]`, `operation [0]: op "Add" is unknown, expected add, remove, replace, move, copy or test`},
		{[]any{map[string]any{"op": "test", "path": "/a"}, nil}, "operation [1]: expected a map with op and path"},
		{"[{op: add}]", "patch is not JSON: invalid character 'o' looking for beginning of object key string"},
		{"[] []", "patch is not JSON: there is text after the list"},
		{`[{"op": "add", "path": "/a", "value": 1e999}]`, "number 1e999 is out of range"},
	}
	for _, test := range tests {
		if _, err := Parse(test.patch); err == nil || err.Error() != test.want {
			t.Errorf("Parse(%v):\ngot  %v\nwant %s", test.patch, err, test.want)
		}
	}
	if _, err := Parse("a: b: c"); err == nil || !strings.HasPrefix(err.Error(), "patch is not YAML: ") {
		t.Errorf("Parse of bad YAML: %v", err)
	}
}

const deployment = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: podinfo, labels: {app: podinfo, team: web}, annotations: {example.com/owner: me}}
spec:
  replicas: 3
  selector: {matchLabels: {app: podinfo}}
  template:
    metadata: {labels: {app: podinfo}}
    spec:
      containers:
      - name: podinfo
        image: ghcr.io/stefanprodan/podinfo:6.3.0
        env: [{name: A, value: b}, {name: C, value: d}]
        ports: [{name: http, containerPort: 9898}, {name: metrics, containerPort: 9797}]
        resources: {limits: {cpu: 100m, memory: 64Mi}, requests: {cpu: 10m, memory: 32Mi}}
      - {name: sidecar, image: envoy, args: [a, b, c]}
      volumes: [{name: data, emptyDir: {}}, {name: conf, configMap: {name: conf}}]
`

const benchmarkPatch = `[{"op": "add", "path": "/metadata/labels/x", "value": "y"}, {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "nginx"}, {"op": "remove", "path": "/spec/template/spec/volumes/0"}]`

func BenchmarkApply(b *testing.B) {
	object := parseObject(b, deployment)
	p, err := Parse(benchmarkPatch)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Apply(object); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLibrary is what the same patch costs with the library, which wants
// bytes.
func BenchmarkLibrary(b *testing.B) {
	object := parseObject(b, deployment)
	p, err := evanphx.DecodePatch([]byte(benchmarkPatch))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		doc, err := json.Marshal(object)
		if err != nil {
			b.Fatal(err)
		}
		doc, err = p.ApplyWithOptions(doc, &evanphx.ApplyOptions{SupportNegativeIndices: true, AllowMissingPathOnRemove: true, EnsurePathExistsOnAdd: true})
		if err != nil {
			b.Fatal(err)
		}
		var out map[string]any
		if err := json.Unmarshal(doc, &out); err != nil {
			b.Fatal(err)
		}
	}
}
