package apply_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/oneloop-dev/oneloop/pkg/patch/apply"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

func TestField(t *testing.T) {
	deployment := resource.Kind{Group: "apps", Version: "v1", Kind: "Deployment"}
	for _, tt := range []struct {
		kind resource.Kind
		path string
		want apply.Place
	}{
		{deployment, "", apply.Mergeable},
		{deployment, "spec.replicas", apply.Mergeable},
		{deployment, "spec.template.spec.containers", apply.Mergeable},
		{deployment, "spec.template.spec.containers.env.value", apply.Mergeable},
		{deployment, "metadata.labels", apply.Mergeable},
		{deployment, "metadata.labels.app", apply.Open},
		{deployment, "spec.selector", apply.Atomic},
		{deployment, "spec.template.spec.containers.args", apply.Atomic},
		{deployment, "spec.template.spec.nodeSelector", apply.Atomic},
		{deployment, "spec.replcas", apply.Absent},
		{deployment, "spec.template.spec.containers.imag", apply.Absent},
		{deployment, "spce.replicas", apply.Open},
		{deployment, "spec.replicas.a", apply.Open},
		{resource.Kind{Group: "example.com", Version: "v1", Kind: "Goose"}, "spce", apply.Open},
	} {
		path := strings.FieldsFunc(tt.path, func(r rune) bool { return r == '.' })
		place, names, err := apply.BuiltIn().Field(tt.kind, path)
		if err != nil || place != tt.want {
			t.Errorf("%s: %d, %v; want %d", tt.path, place, err, tt.want)
		}
		if (len(names) > 0) != (place == apply.Absent) {
			t.Errorf("%s: names %v", tt.path, names)
		}
	}
	_, names, _ := apply.BuiltIn().Field(deployment, []string{"spec", "replcas"})
	if !slices.Contains(names, "replicas") {
		t.Errorf("names %v", names)
	}
}

func TestKinds(t *testing.T) {
	kinds := apply.Kinds()
	for _, want := range []resource.Kind{{Version: "v1", Kind: "Pod"}, {Group: "apps", Version: "v1", Kind: "Deployment"}, {Group: "autoscaling", Version: "v1", Kind: "HorizontalPodAutoscaler"}} {
		if !slices.Contains(kinds, want) {
			t.Errorf("no %s", want)
		}
	}
	for _, kind := range kinds {
		if kind.Version == "" || kind.Kind == "" || !apply.BuiltIn().Knows(kind) {
			t.Errorf("%q is no kind", kind)
		}
	}
}
