package resource

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseFaults(t *testing.T) {
	laughs := "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
	for c := 'b'; c <= 'i'; c++ {
		laughs += fmt.Sprintf("%c: &%c [%s]\n", c, c, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*%c, ", c-1), 10), ", "))
	}
	for _, tt := range []struct{ name, in, want string }{
		{"tab", "a:\n\tb: c\n", "in.yaml:2: tabs can't be used for indentation; use spaces"},
		{"tab after a value", "a: b\n\tc: d\n", "in.yaml:2: tabs can't be used for indentation; use spaces"},
		{"too much indentation", "a: b\nc:\n  d: e\n   f: g\n", "in.yaml:4: the line is indented more than the lines it belongs to"},
		{"too little indentation", "a:\n    b: c\n  d: e\n", "in.yaml:3: the indentation fits no line above that this one could belong to"},
		{"below a value", "a: b\n  c: d\n", "in.yaml:2: the line is indented more than the lines it belongs to"},
		{"a list element's field too far to the left", "a:\n  - b: c\n   d: e\n", "in.yaml:3: the indentation fits no line above that this one could belong to"},
		{"a template of Helm", "a: 1\nb: {{ .Values.b }}\n", "in.yaml:2: expected a string as key, found a collection; this looks like a template of Helm: give what helm template makes of it"},
		{"a template of Helm with actions", "a: 1\n{{- if .Values.b }}\nb: c\n{{- end }}\n", "in.yaml:2: could not find expected ':'; this looks like a template of Helm: give what helm template makes of it"},
		{"a variable of Kyverno", "a: 1\nb: {{ request.name }}\n", "in.yaml:2: expected a string as key, found a collection"},
		{"two colons", "a: b: c\n", "in.yaml:1: a value that holds a colon and a space must be quoted"},
		{"no colon", "a: b\nc\n", "in.yaml:2: expected a colon and a space behind the key"},
		{"no space after the colon", "a: b\nc:d\n", "in.yaml:2: expected a colon and a space behind the key"},
		{"a list where a map goes on", "a: b\n- c\n", "in.yaml:2: expected a key, found a list element; a list needs a key of its own or more indentation"},
		{"no closing quote", "a: b\nc: \"d\ne: f\n", "in.yaml:2: a quoted scalar has no end"},
		{"no closing bracket", "a: b\nc: [d, e\n", "in.yaml:2: a flow collection has no end"},
		{"text behind a quote", "a: \"b\" c\n", "in.yaml:1: expected the end of the line"},
		{"twice", "a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n", `in.yaml:5: the key "c" is there twice`},
		{"twice, with an anchor", "a: &x 1\nb: 2\nb: 3\n", `in.yaml:3: the key "b" is there twice`},
		{"twice in brackets", "a: {b: 1, b: 2}\n", `in.yaml:1: the key "b" is there twice`},
		{"in a later document", "# c\n---\na: 1\n---\n# d\n\nb: c: d\n", "in.yaml:7: a value that holds a colon and a space must be quoted"},
		{"in two documents", "a: b: c\n---\nd: [\n", "in.yaml:1: a value that holds a colon and a space must be quoted\nin.yaml:3: a flow collection has no end"},
		{"unknown alias", "a: 1\nb: *x\n", "in.yaml:2: unknown anchor 'x' referenced"},
		{"a list", "# c\n- a\n", "in.yaml:2: expected a manifest, which is a map; found a list"},
		{"text", "hello\n", `in.yaml:1: expected a manifest, which is a map; found the string "hello"`},
		{"not UTF-8", "a: b\nc: \xff\n", "in.yaml:2: the text is not UTF-8 (byte 0xff); save it as UTF-8"},
		{"UTF-16", "\xff\xfea\x00", "in.yaml:1: the text is UTF-16; save it as UTF-8"},
		{"control character", "a: b\nc: \x01\n", "in.yaml:2: control characters are not allowed; write them as escapes in double quotes"},
		{"null key", "a: 1\nnull: x\n", "in.yaml:2: a key is null; quote it"},
		{"key that is a map", "a: 1\n{b: c}: x\n", "in.yaml:2: expected a string as key, found a collection"},
		{"wrong tag", "a: !!int x\n", `in.yaml:1: "x" can't be read as !!int`},
		{"%TAG", "%TAG ! tag:x\n---\na: 1\n", "in.yaml:1: %TAG directives are not supported; write the tags out"},
		{"directive without document", "%YAML 1.1\na: 1\n", "in.yaml:1: expected --- after a directive"},
		{"a billion laughs", laughs, "in.yaml:1: the aliases of the document stand for more than 1000000 values"},
		{"a loop", "a: &x\n  b: *x\n", `in.yaml:2: the anchor "x" contains itself`},
		{"depth", strings.Repeat("[", 5000), "in.yaml:1: the document is nested more than 1000 levels deep"},
		{"depth of a block", deep(1500), "in.yaml:1001: the document is nested more than 1000 levels deep"},
		{"too many values", "a: [" + strings.Repeat("0,", 5<<20) + "]\n", "in.yaml:1: the document has more than 4194304 values; split it"},
		{"too many documents", strings.Repeat("a: 1\n---\n", 1<<20+1), "in.yaml:2097153: the input has more than 1048576 documents; split it"},
		{"items of a List", "kind: List\napiVersion: v1\nitems:\n- kind: A\n- b\n", "in.yaml:5: expected a manifest, which is a map; found the string \"b\""},
		{"items of a JSON List", "{\"kind\": \"List\", \"apiVersion\": \"v1\", \"items\": [\n  {}, 1]}\n", "in.yaml:2: expected a manifest, which is a map; found the number 1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse("in.yaml", []byte(tt.in))
			if d := cmp.Diff(tt.want, fmt.Sprint(err)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func deep(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%*sa:\n", i, "")
	}
	return b.String()
}

func TestObjectFaults(t *testing.T) {
	r := parseOne(t, "kind: A\nspec:\n  x: .nan\n")
	_, err := r.Object()
	want := "in.yaml:3: .nan is a number that JSON has no form for; quote it"
	if fmt.Sprint(err) != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestComplete(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"apiVersion: v1\nkind: A\nmetadata: {name: a}\n", "<nil>"},
		{"apiVersion: v1\nkind: A\nmetadata: {generateName: a-}\n", "<nil>"},
		{"# c\nkind: A\nmetadata: {name: a}\n", "in.yaml:2: expected a Kubernetes manifest, but apiVersion is missing"},
		{"apiVersion: v1\nmetadata: {name: a}\n", "in.yaml:1: expected a Kubernetes manifest, but kind is missing"},
		{"apiVersion: v1\nkind: A\n", "in.yaml:1: expected a Kubernetes manifest, but metadata.name is missing"},
		{"apiVersion: v1\nkind: A\nmetadata:\n  name: a\n  namespace:\n", "<nil>"},
		{"apiVersion: v1\nkind: A\nmetadata:\n  name: a\n  namespace: \"\"\n", "<nil>"},
		{"apiVersion: v1\nkind: A\nmetadata:\n  name: a\n  namespace: n\n", "<nil>"},
		{"apiVersion: v1\nkind: A\nmetadata:\n  name: a\n  namespace: false\n",
			"in.yaml:5: expected a Kubernetes manifest, but metadata.namespace is the boolean false; quote it to make it a string"},
		{"apiVersion: v1\nkind: A\nmetadata:\n  name: &n a\n  namespace: 1\n",
			"in.yaml:5: expected a Kubernetes manifest, but metadata.namespace is the number 1; quote it to make it a string"},
	} {
		if got := fmt.Sprint(parseOne(t, tt.in).Complete()); got != tt.want {
			t.Errorf("%q: got %s, want %s", tt.in, got, tt.want)
		}
	}
}
