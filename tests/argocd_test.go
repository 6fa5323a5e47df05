package tests

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/oneloop-dev/oneloop/pkg/patch/apply"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// TestArgocdInstallSchemas holds the manifests of examples/argocd-install against
// the schemas of the API server: no field that it does not know, and none of
// another type.
func TestArgocdInstallSchemas(t *testing.T) {
	files, err := filepath.Glob("../examples/argocd-install/*/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, file := range files {
		var o map[string]any
		if err := yaml.UnmarshalStrict([]byte(read(t, file)), &o); err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		kind := resource.IDOf(o).Kind
		if !apply.BuiltIn().Knows(kind) {
			continue
		}
		checked++
		if _, err := apply.BuiltIn().MergeAtomics(kind, map[string]any{"apiVersion": o["apiVersion"], "kind": o["kind"]}, o); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		if _, unknown, err := apply.BuiltIn().Prune(kind, nil, o); err != nil || len(unknown) > 0 {
			t.Errorf("%s: %s has no fields %v; %v", file, kind, unknown, err)
		}
	}
	if checked != 3 {
		t.Errorf("%d manifests have a schema, want 3 of %v", checked, files)
	}
}

// TestArgocdOfTheDocs: the page shows what the example holds.
func TestArgocdOfTheDocs(t *testing.T) {
	page := read(t, "../docs/with-argocd.md")
	for _, file := range []string{"plugin/plugin.yaml", "build-options/argocd-cm.yaml"} {
		text, err := os.ReadFile(filepath.Join("../examples/argocd-install", file))
		if err != nil {
			t.Fatal(err)
		}
		shown := string(text)
		if _, data, ok := strings.Cut(shown, "\ndata:\n"); ok {
			shown = "data:\n" + data
		}
		if !strings.Contains(page, "```yaml\n"+shown+"```") {
			t.Errorf("docs/with-argocd.md does not show %s", file)
		}
	}
}
