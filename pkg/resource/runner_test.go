package resource

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMoved(t *testing.T) {
	named := func(names ...string) Object {
		var list []any
		for _, n := range names {
			list = append(list, map[string]any{"name": n})
		}
		return Object{"spec": map[string]any{"containers": list}}
	}
	for _, tt := range []struct {
		name          string
		before, after Object
		want          bool
	}{
		{"nothing", named("a", "b"), named("a", "b"), false},
		{"one at the end", named("a", "b"), named("a", "b", "c"), false},
		{"one at the start", named("a", "b"), named("c", "a", "b"), true},
		{"the last one gone", named("a", "b"), named("a"), false},
		{"the first one gone", named("a", "b"), named("b"), true},
		{"places changed", named("a", "b"), named("b", "a"), true},
		{"another one in a place", named("a", "b"), named("a", "c"), true},
		{"a list that is new", Object{}, named("a"), false},
	} {
		if got := moved(tt.before, tt.after); got != tt.want {
			t.Errorf("%s: got %t", tt.name, got)
		}
	}
}

// Runners copy comments by place, unless they can't tell what an item was.
func TestUpdateUnpairsWhatMoved(t *testing.T) {
	r, err := ParseItem("", 1, `- kind: Pod
  metadata:
    annotations:
      internal.config.kubernetes.io/id: '1'
      internal.config.kubernetes.io/path: a.yaml
      config.k8s.io/id: '1'
  containers:
  - name: a # the first
`)
	if err != nil {
		t.Fatal(err)
	}
	o := object(t, r)
	o["containers"] = []any{map[string]any{"name": "z"}, map[string]any{"name": "a"}}
	if err := r.Update(o); err != nil {
		t.Fatal(err)
	}
	if want := `- kind: Pod
  metadata:
    annotations:
      internal.config.kubernetes.io/path: a.yaml
  containers:
  - name: z
  - name: a # the first
`; r.text != want {
		t.Errorf("got:\n%s", r.text)
	}
}

// Helm finds its annotation again, and policies see what a cluster would.
func TestHelmAnnotationIsHidden(t *testing.T) {
	r := parseOne(t, "apiVersion: v1\nkind: A\nmetadata:\n  name: a\n  annotations:\n    postrenderer.helm.sh/postrender-filename: web/templates/a.yaml\n")
	o := object(t, r)
	if d := cmp.Diff(map[string]any{"name": "a"}, o["metadata"]); d != "" {
		t.Errorf("policies see (-want +got):\n%s", d)
	}
	o["metadata"].(map[string]any)["annotations"] = map[string]any{"team": "shop"}
	if err := r.Update(o); err != nil {
		t.Fatal(err)
	}
	want := "apiVersion: v1\nkind: A\nmetadata:\n  name: a\n  annotations:\n    postrenderer.helm.sh/postrender-filename: web/templates/a.yaml\n    team: shop\n"
	if d := cmp.Diff(want, r.text); d != "" {
		t.Error(d)
	}
}
