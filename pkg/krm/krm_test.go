package krm

import (
	"bytes"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/oneloop-dev/oneloop/pkg/resource"
)

const head = "apiVersion: config.kubernetes.io/v1\nkind: ResourceList\n"

// lists are ResourceLists as runners and people write them.
var lists = map[string]string{
	"empty":    head + "items: []\n",
	"no items": head + "functionConfig:\n  apiVersion: v1\n  kind: ConfigMap\n  metadata:\n    name: c\n",
	"null":     head + "items:\nfunctionConfig:\n  kind: X\n",
	"kustomize": head + `items:
- apiVersion: v1
  data:
    a: |
      multi
      - line

      # no comment
    z: "1"
  kind: ConfigMap
  metadata:
    annotations:
      kustomize.config.k8s.io/id: |
        kind: ConfigMap
        name: conf
        version: v1
      config.kubernetes.io/index: '2'
    name: conf
- apiVersion: v1
  kind: Pod
  metadata:
    name: p
  spec:
    containers:
    - args:
      - -a
      - - nested
        - list
      name: c
functionConfig:
  apiVersion: x/v1
  kind: F
  metadata:
    name: f
`,
	"comments": head + `items:
- # license
  # text
  apiVersion: v1
  kind: A # kind
  metadata:
    name: a

    labels: {x: y} # flow
  spec:
    # about b
    b:
    # about the element
    - 1 # one
    # foot of the list

    c: "d"
  # end of a
- apiVersion: v1
  kind: B
  metadata:
    name: b
`,
	"comments between items": head + `# top
items:
# about a
- apiVersion: v1
  kind: A
  metadata:
    name: a
# between

# about b
- apiVersion: v1
  kind: B
  metadata:
    name: b
# end
`,
	"comment at the end of an item": head + `items:
- apiVersion: v1
  kind: A
  metadata:
    name: a
    # last

- apiVersion: v1
  kind: B
  metadata:
    name: b
`,
	"wide": head + `items:
  - apiVersion: v1
    kind: A
    metadata:
      name: a
    list:
      - 1
      - b:   2
  - apiVersion: v1
    kind: B
    metadata:
        name: b
`,
	"other order and results": `kind: ResourceList
functionConfig:
  kind: F
  apiVersion: v1
results:
- message: old
  severity: info
items:
- kind: A
  apiVersion: v1
apiVersion: config.kubernetes.io/v1beta1
`,
	"unknown keys": head + "extra: 1\nitems:\n- apiVersion: v1\n  kind: A\n",
	"anchors": head + `items:
- apiVersion: v1
  kind: A
  metadata: &m
    name: a
  copy: *m
`,
	"annotations empty": head + "items:\n- apiVersion: v1\n  kind: A\n  metadata:\n    name: a\n    annotations: {}\n- apiVersion: v1\n  kind: B\n  metadata: {}\n",
	"strings": head + `items:
- apiVersion: v1
  kind: A
  s:
  - 'yes'
  - "\U0001F600"
  - 😀
  - "é\t"
  - >-
    folded
    text
  - plain
    text
  - 'two
    lines'
  - |2
     x
  - |+
    keep

  - ~
  -
  - 0x1F
  - 2001-01-01
  - "---"
  - ---x
`,
	"tags": head + "items:\n- apiVersion: v1\n  kind: A\n  b: !!binary aGk=\n  s: !!str 1\n",
}

// Anchors that another item uses can't stay where items are written one by
// one.
func TestAliasesAcrossItemsAreResolved(t *testing.T) {
	in := head + "items:\n- apiVersion: v1\n  kind: A\n  metadata: &m\n    name: a\n- apiVersion: v1\n  kind: B\n  metadata: *m\n"
	got, err := noOp(t, []byte(in))
	if err != nil {
		t.Fatal(err)
	}
	want := head + "items:\n- apiVersion: v1\n  kind: A\n  metadata: &m\n    name: a\n- apiVersion: v1\n  kind: B\n  metadata:\n    name: a\n"
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestJSONBecomesYAML(t *testing.T) {
	in := `{"apiVersion": "config.kubernetes.io/v1", "kind": "ResourceList", "items": [
  {"kind": "A", "apiVersion": "v1", "metadata": {"name": "a", "labels": {"on": "yes", "x": "1"}}, "text": "a\nb\n", "list": [1, {}]}],
  "functionConfig": {"apiVersion": "v1", "kind": "F"}}`
	got, err := noOp(t, []byte(in))
	if err != nil {
		t.Fatal(err)
	}
	want := head + `items:
- kind: A
  apiVersion: v1
  metadata:
    name: a
    labels:
      "on": "yes"
      x: "1"
  text: |
    a
    b
  list:
  - 1
  - {}
functionConfig:
  apiVersion: v1
  kind: F
`
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestRunnerAnnotations(t *testing.T) {
	in := head + `items:
- apiVersion: v1
  kind: A
  metadata:
    name: a
    annotations:
      kustomize.config.k8s.io/id: x
      config.kubernetes.io/index: '0'
      internal.config.kubernetes.io/id: '1'
      config.k8s.io/id: '1'
- apiVersion: v1
  kind: B
  metadata:
    name: b
    annotations:
      team: shop
      config.kubernetes.io/path: b.yaml
      internal.config.kubernetes.io/package-path: /somewhere
- apiVersion: v1
  kind: C
  metadata:
    name: c
    annotations:
      kustomize.config.k8s.io/id: x
      internal.config.kubernetes.io/path: c_c.yaml
      config.kubernetes.io/origin: |
        path: base/c.yaml
- apiVersion: v1
  kind: D
  metadata:
    name: d
    annotations:
      kustomize.config.k8s.io/id: x
      internal.config.kubernetes.io/path: d_d.yaml
`
	list, err := Read([]byte(in))
	if err != nil {
		t.Fatal(err)
	}
	wantOrigins := []string{"", "b.yaml", "base/c.yaml", ""}
	wantMeta := []map[string]any{
		{"name": "a"}, {"name": "b", "annotations": map[string]any{"team": "shop"}}, {"name": "c"}, {"name": "d"},
	}
	for i, item := range list.Items {
		if got := item.Origin().String(); got != wantOrigins[i] {
			t.Errorf("origin of item %d: %s, want %s", i, got, wantOrigins[i])
		}
		o, err := item.Object()
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(wantMeta[i], o["metadata"]); d != "" {
			t.Errorf("metadata of item %d (-want +got):\n%s", i, d)
		}
		after := maps.Clone(o)
		after["spec"] = map[string]any{"x": int64(1)}
		if err := item.Update(after); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	if err := list.Write(&out, nil); err != nil {
		t.Fatal(err)
	}
	want := ""
	for line := range strings.Lines(in) {
		if strings.HasPrefix(line, "- ") && want != head+"items:\n" {
			want += "  spec:\n    x: 1\n"
		}
		want += line
	}
	want += "  spec:\n    x: 1\n"
	if d := cmp.Diff(want, out.String()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestRunnerAnnotationsAreNotForPolicies(t *testing.T) {
	list, err := Read([]byte(head + "items:\n- apiVersion: v1\n  kind: A\n  metadata:\n    name: a\n    annotations:\n      config.kubernetes.io/path: a.yaml\n"))
	if err != nil {
		t.Fatal(err)
	}
	err = list.Items[0].Update(resource.Object{"apiVersion": "v1", "kind": "A", "metadata": map[string]any{"name": "a", "annotations": map[string]any{
		"config.kubernetes.io/path": "b.yaml", "internal.config.kubernetes.io/path": "b.yaml", "kustomize.config.k8s.io/needs-hash": "true",
	}}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := written(list)
	if err != nil {
		t.Fatal(err)
	}
	want := head + "items:\n- apiVersion: v1\n  kind: A\n  metadata:\n    name: a\n    annotations:\n      config.kubernetes.io/path: a.yaml\n      kustomize.config.k8s.io/needs-hash: \"true\"\n"
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if got := list.Items[0].Annotation("config.kubernetes.io/path"); got != "a.yaml" {
		t.Errorf("the annotation reads as %q", got)
	}
}

// What a policy changes must look as if a kyaml function had changed it.
func TestChangedItemsComeOutAsFromKyaml(t *testing.T) {
	in := head + `items:
- # license
  apiVersion: apps/v1
  kind: Deployment # kind
  metadata:
    name: web
    annotations:
      config.kubernetes.io/index: '0'
  spec:
    # how many
    replicas: 1 # one
    template:
      spec:
        containers:
        # first
        - name: web
          image: "nginx" # image
`
	var want bytes.Buffer
	nodes, rw := kyamlRead(t, in, &want)
	lookup := func(path ...string) *yaml.RNode {
		n, err := nodes[0].Pipe(yaml.Lookup(path...))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if err := nodes[0].PipeE(yaml.SetLabel("team", "x")); err != nil {
		t.Fatal(err)
	}
	lookup("spec", "replicas").YNode().Value = "3"
	container := []string{"spec", "template", "spec", "containers", "[name=web]"}
	lookup(append(container, "image")...).YNode().Value = "nginx:1"
	if err := lookup(container...).PipeE(yaml.SetField("imagePullPolicy", yaml.NewStringRNode("Always"))); err != nil {
		t.Fatal(err)
	}
	if err := rw.Write(nodes); err != nil {
		t.Fatal(err)
	}
	list, err := Read([]byte(in))
	if err != nil {
		t.Fatal(err)
	}
	o, err := list.Items[0].Object()
	if err != nil {
		t.Fatal(err)
	}
	o["metadata"].(map[string]any)["labels"] = map[string]any{"team": "x"}
	spec := o["spec"].(map[string]any)
	spec["replicas"] = int64(3)
	c := spec["template"].(map[string]any)["spec"].(map[string]any)["containers"].([]any)[0].(map[string]any)
	c["image"], c["imagePullPolicy"] = "nginx:1", "Always"
	if err := list.Items[0].Update(o); err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := list.Write(&got, nil); err != nil {
		t.Fatal(err)
	}
	// kyaml appends labels to metadata; people write them before annotations.
	wanted := strings.Replace(want.String(), "    labels:\n      team: 'x'\n", "", 1)
	wanted = strings.Replace(wanted, "    annotations:\n", "    labels:\n      team: x\n    annotations:\n", 1)
	if d := cmp.Diff(wanted, got.String()); d != "" {
		t.Errorf("(-kyaml +ours):\n%s", d)
	}
}

func TestResults(t *testing.T) {
	list, err := Read([]byte(head + "items: []\nresults:\n- message: old\n"))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	err = list.Write(&out, []Result{
		{Message: "plain"},
		{
			Message: "two\nlines", Severity: "error",
			ResourceRef: &ResourceRef{APIVersion: "v1", Kind: "Pod", Namespace: "n", Name: "p"},
			Field:       &Field{Path: "spec.x[0]", CurrentValue: "yes", ProposedValue: map[string]any{"b": []any{int64(1), 1.5}, "a": nil}},
			File:        &File{Path: "a.yaml", Index: 2},
			Tags:        map[string]string{"rule": "r", "policy": "p"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := head + `items: []
results:
- message: plain
- message: |-
    two
    lines
  severity: error
  resourceRef:
    apiVersion: v1
    kind: Pod
    namespace: "n"
    name: p
  field:
    path: spec.x[0]
    currentValue: "yes"
    proposedValue:
      a: null
      b:
      - 1
      - 1.5
  file:
    path: a.yaml
    index: 2
  tags:
    policy: p
    rule: r
`
	if d := cmp.Diff(want, out.String()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestReadFaults(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"empty", " \n", "standard input is empty: expected a ResourceList (apiVersion: config.kubernetes.io/v1) from kustomize, kpt or another runner of KRM functions"},
		{"a manifest", "apiVersion: v1\nkind: Pod\n", "standard input: expected a ResourceList of config.kubernetes.io/v1 or config.kubernetes.io/v1beta1 or config.kubernetes.io/v1alpha1, found v1 Pod"},
		{"a list", "- a\n", "-:1: expected a ResourceList, which is a map"},
		{"comments", "# c\n", "standard input: expected a ResourceList: found only comments"},
		{"several documents", head + "items: []\n---\nx: 1\n", "standard input: expected one document, a ResourceList; found several"},
		{"malformed", head + "items:\n- apiVersion: v1\n  kind: A\n  x: [\n", "-:6: did not find expected node content"},
		{"an item without kind", head + "items:\n- apiVersion: v1\n", "-:4: items[0]: expected a Kubernetes manifest, but kind is missing"},
		{"an item that is a string", head + "items:\n- x\n", `items[0]: -:4: expected a manifest, which is a map; found the string "x"`},
		{"items is a map", head + "items: {a: b}\n", "-:3: items: expected a list"},
		{"a duplicate key", head + "items:\n- apiVersion: v1\n  kind: A\n  kind: B\n", `items[0]: -:6: the key "kind" is there twice`},
		{"duplicate items", head + "items: []\nitems: []\n", `-:4: the key "items" is there twice`},
		{"too many items", head + "items:\n" + strings.Repeat("- a: 1\n", 1<<20+1), "-:1048580: the ResourceList has more than 1048576 items"},
		{"UTF-16", "\xff\xfea\x00", "-:1: the text is UTF-16; save it as UTF-8"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Read([]byte(tt.in))
			if got := fmt.Sprint(err); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}
