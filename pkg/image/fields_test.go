package image_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oneloop-dev/oneloop/pkg/image"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

func object(t *testing.T, text string) resource.Object {
	t.Helper()
	var o resource.Object
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		t.Fatal(err)
	}
	return o
}

const podSpec = `{
	"containers": [{"name": "c0", "image": "ghcr.io/a/b:1"}, {"name": "no-image"}, {"name": "blank", "image": " "}],
	"ephemeralContainers": [{"name": "e0", "image": "busybox"}],
	"initContainers": [{"name": "i0", "image": "ghcr.io/a/i@SHA"}]
}`

func TestGroups(t *testing.T) {
	spec := strings.ReplaceAll(podSpec, "SHA", sha)
	tests := []struct{ kind, text, prefix string }{
		{"Pod", `{"spec": ` + spec + `}`, "/spec"},
		{"Deployment", `{"spec": {"template": {"spec": ` + spec + `}}}`, "/spec/template/spec"},
		{"StatefulSet", `{"spec": {"template": {"spec": ` + spec + `}}}`, "/spec/template/spec"},
		{"DaemonSet", `{"spec": {"template": {"spec": ` + spec + `}}}`, "/spec/template/spec"},
		{"ReplicaSet", `{"spec": {"template": {"spec": ` + spec + `}}}`, "/spec/template/spec"},
		{"ReplicationController", `{"spec": {"template": {"spec": ` + spec + `}}}`, "/spec/template/spec"},
		{"Job", `{"spec": {"template": {"spec": ` + spec + `}}}`, "/spec/template/spec"},
		{"CronJob", `{"spec": {"jobTemplate": {"spec": {"template": {"spec": ` + spec + `}}}}}`, "/spec/jobTemplate/spec/template/spec"},
	}
	for _, test := range tests {
		t.Run(test.kind, func(t *testing.T) {
			groups, err := image.Groups(resource.Kind{Kind: test.kind}, object(t, test.text))
			if err != nil {
				t.Fatal(err)
			}
			var order []string
			for _, g := range groups {
				for _, f := range g.Fields {
					order = append(order, f.Group+" "+f.Key+" "+f.Full)
				}
			}
			if diff := cmp.Diff([]string{"initContainers i0 ghcr.io/a/i@" + sha, "containers c0 ghcr.io/a/b:1", "ephemeralContainers e0 docker.io/busybox:latest"}, order); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
			want := map[string]any{
				"containers": map[string]any{"c0": map[string]any{
					"registry": "ghcr.io", "name": "b", "path": "a/b", "tag": "1",
					"reference": "ghcr.io/a/b:1", "referenceWithTag": "ghcr.io/a/b:1", "jsonPointer": test.prefix + "/containers/0/image",
				}},
				// Without a tag there is no tag: {{ images.initContainers.i0.tag }} is
				// an unresolved variable in Kyverno too.
				"initContainers": map[string]any{"i0": map[string]any{
					"registry": "ghcr.io", "name": "i", "path": "a/i", "digest": sha,
					"reference": "ghcr.io/a/i@" + sha, "referenceWithTag": "ghcr.io/a/i:", "jsonPointer": test.prefix + "/initContainers/0/image",
				}},
				"ephemeralContainers": map[string]any{"e0": map[string]any{
					"registry": "docker.io", "name": "busybox", "path": "busybox", "tag": "latest",
					"reference": "docker.io/busybox:latest", "referenceWithTag": "docker.io/busybox:latest", "jsonPointer": test.prefix + "/ephemeralContainers/0/image",
				}},
			}
			if diff := cmp.Diff(want, image.Variables(groups)); diff != "" {
				t.Errorf("images (-want +got):\n%s", diff)
			}
		})
	}
}

func TestGroupsWithoutImages(t *testing.T) {
	for _, text := range []string{`{}`, `{"spec": null}`, `{"spec": {"containers": null}}`, `{"spec": {"containers": []}}`, `{"spec": {"containers": ["x", 1, null]}}`} {
		groups, err := image.Groups(resource.Kind{Kind: "Pod"}, object(t, text))
		if err != nil || groups != nil {
			t.Errorf("%s: %v, %v; want none", text, groups, err)
		}
		if image.Variables(groups) != nil {
			t.Errorf("%s: the images variable is set", text)
		}
	}
	if groups, err := image.Groups(resource.Kind{Kind: "Service"}, object(t, podSpec)); groups != nil || err != nil {
		t.Errorf("a kind without containers: %v, %v", groups, err)
	}
}

func TestGroupsRefuses(t *testing.T) {
	tests := []struct{ text, want string }{
		{`{"spec": "x"}`, "spec: expected a map on the way to an image, found a string"},
		{`{"spec": {"containers": "x"}}`, "spec.containers: expected a map"},
		{`{"spec": {"containers": [{"image": "nginx"}]}}`, "spec.containers[0].name: expected a string"},
		{`{"spec": {"containers": [{"name": 1, "image": "nginx"}]}}`, "spec.containers[0].name: expected a string"},
		{`{"spec": {"containers": [{"name": "a", "image": "NGINX"}]}}`, `spec.containers[0].image: image reference "NGINX"`},
	}
	for _, test := range tests {
		_, err := image.Groups(resource.Kind{Kind: "Pod"}, object(t, test.text))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error = %v, want one with %q", test.text, err, test.want)
		}
	}
}

func extractor(t *testing.T, path, value, key, name string, transform func(any) (any, error)) image.Extractor {
	t.Helper()
	e, err := image.NewExtractor(path, value, key, name, transform)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestExtractors(t *testing.T) {
	upper := func(v any) (any, error) { return strings.TrimPrefix(v.(string), "docker://"), nil }
	tests := []struct {
		name, text string
		extractors []image.Extractor
		want       []string // group, key and reference
		err        string
	}{
		{"list", `{"spec": {"steps": [{"name": "a", "image": "x"}, {"name": "b", "image": "y:1"}]}}`,
			[]image.Extractor{extractor(t, "/spec/steps/*", "image", "name", "steps", nil)},
			[]string{"steps a docker.io/x:latest", "steps b docker.io/y:1"}, ""},
		{"value from the path, no key, no name", `{"spec": {"steps": [{"image": "x"}]}}`,
			[]image.Extractor{extractor(t, " /spec/ steps /*/image/", "", "", "", nil)},
			[]string{"custom /spec/steps/0/image docker.io/x:latest"}, ""},
		{"map", `{"spec": {"b": {"image": "x"}, "a": {"image": "y"}, "c": 1}}`,
			[]image.Extractor{extractor(t, "/spec/*/image", "", "", "", nil)},
			[]string{"custom /spec/a/image docker.io/y:latest", "custom /spec/b/image docker.io/x:latest"}, ""},
		{"nested lists are one", `{"spec": [[{"image": "x"}], {"image": "y"}]}`,
			[]image.Extractor{extractor(t, "/spec/*/image", "", "", "", nil)},
			[]string{"custom /spec/0/0/image docker.io/x:latest", "custom /spec/1/image docker.io/y:latest"}, ""},
		{"direct field", `{"spec": {"image": "x"}}`, []image.Extractor{extractor(t, "/spec/image", "", "", "", nil)},
			[]string{"custom /spec/image docker.io/x:latest"}, ""},
		{"jmesPath", `{"spec": {"image": "docker://x"}}`, []image.Extractor{extractor(t, "/spec/image", "", "", "", upper)},
			[]string{"custom /spec/image docker.io/x:latest"}, ""},
		{"jmesPath that fails", `{"spec": {"image": "x"}}`,
			[]image.Extractor{extractor(t, "/spec/image", "", "", "", func(any) (any, error) { return nil, errors.New("no") })}, nil, "spec.image: no"},
		{"jmesPath that gives no string", `{"spec": {"image": "x"}}`,
			[]image.Extractor{extractor(t, "/spec/image", "", "", "", func(any) (any, error) { return 1.0, nil })}, nil, "expected jmesPath to give a string, found a number"},
		{"one name twice: the later wins, as in Kyverno", `{"spec": {"a": "x", "b": "y"}}`,
			[]image.Extractor{extractor(t, "/spec/a", "", "", "", nil), extractor(t, "/spec/b", "", "", "", nil)},
			[]string{"custom /spec/b docker.io/y:latest"}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			groups, err := image.Groups(resource.Kind{Kind: "Task"}, object(t, test.text), test.extractors...)
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Fatalf("error = %v, want one with %q", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, g := range groups {
				for _, f := range g.Fields {
					got = append(got, f.Group+" "+f.Key+" "+f.Full)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if _, err := image.NewExtractor("/", "", "", "", nil); err == nil {
		t.Error("a path without a field was accepted")
	}
}

func TestFields(t *testing.T) {
	fields, err := image.Fields(resource.Kind{Kind: "Pod"}, object(t, `{"spec": {"containers": [{"name": "a", "image": "x"}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := fields["containers"]["a"].At.String(); got != "spec.containers[0].image" {
		t.Errorf("path = %s", got)
	}
}

func TestPin(t *testing.T) {
	text := `{"spec": {"containers": [{"name": "a", "image": "x"}, {"name": "b", "image": "y"}], "volumes": [{"name": "v"}]}}`
	before := object(t, text)
	groups, err := image.Groups(resource.Kind{Kind: "Pod"}, before)
	if err != nil {
		t.Fatal(err)
	}
	after, err := image.Pin(before, groups[0].Fields[0].At, "x@"+sha)
	if err != nil {
		t.Fatal(err)
	}
	if after, err = image.Pin(after, groups[0].Fields[1].At, "y@"+sha); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(object(t, text), before); diff != "" {
		t.Errorf("Pin modified its input (-want +got):\n%s", diff)
	}
	want := strings.NewReplacer(`"x"`, `"x@`+sha+`"`, `"y"`, `"y@`+sha+`"`).Replace(text)
	if diff := cmp.Diff(object(t, want), after); diff != "" {
		t.Errorf("Pin (-want +got):\n%s", diff)
	}
	volumes := func(o resource.Object) []any { return o["spec"].(map[string]any)["volumes"].([]any) }
	if &volumes(before)[0] != &volumes(after)[0] {
		t.Error("Pin copied what it did not change")
	}
	if _, err := image.Pin(object(t, `{"spec": {"containers": []}}`), groups[0].Fields[0].At, "x"); err == nil {
		t.Error("Pin into an object without the field succeeded")
	}
}
