package schemas

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/xeipuuv/gojsonschema"
	"sigs.k8s.io/yaml"

	"github.com/oneloop-dev/oneloop/pkg/resource"
	"github.com/oneloop-dev/oneloop/pkg/schema"
)

// validate returns what a document of a kind of ours breaks of its schema.
func validate(t *testing.T, doc string) []string {
	t.Helper()
	var o map[string]any
	if err := yaml.Unmarshal([]byte(doc), &o); err != nil {
		t.Fatalf("%v\n%s", err, doc)
	}
	text, err := schema.Text(resource.IDOf(o).Kind.Kind)
	if err != nil {
		t.Fatal(err)
	}
	result, err := gojsonschema.Validate(gojsonschema.NewBytesLoader(text), gojsonschema.NewGoLoader(o))
	if err != nil {
		t.Fatal(err)
	}
	var faults []string
	for _, e := range result.Errors() {
		faults = append(faults, e.String())
	}
	return faults
}

// TestOwnKinds holds the documents of the examples and of the manual against
// our own schemas.
func TestOwnKinds(t *testing.T) {
	var texts []string
	for _, glob := range []string{"../../../examples/*/*.yaml", "../../../examples/*/*/*.yaml"} {
		files, err := filepath.Glob(glob)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			texts = append(texts, read(t, file))
		}
	}
	blocks := regexp.MustCompile("(?s)\n```yaml\n(.*?)```")
	pages, err := filepath.Glob("../../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range append(pages, "../../../README.md") {
		for _, m := range blocks.FindAllStringSubmatch(read(t, page), -1) {
			texts = append(texts, m[1])
		}
	}
	found := 0
	for _, text := range texts {
		for doc := range strings.SplitSeq(text, "\n---\n") {
			if !regexp.MustCompile(`(?m)^apiVersion: oneloop.dev/`).MatchString(doc) {
				continue
			}
			found++
			for _, fault := range validate(t, doc) {
				t.Errorf("%s\n%s", fault, doc)
			}
		}
	}
	if found < 8 {
		t.Errorf("only %d documents of our own found", found)
	}
}

// TestOwnKindsFindFaults shows what an editor would mark.
func TestOwnKindsFindFaults(t *testing.T) {
	const head = "apiVersion: oneloop.dev/v1alpha1\n"
	for _, doc := range []string{
		"kind: ApplyPolicies\nspec: {polices: []}\n",
		"kind: ApplyPolicies\nspec: {images: {mode: locked}}\n",
		"kind: ApplyPolicies\nspec: {policyFiles: a.yaml}\n",
		"kind: ApplyPolicies\nspce: {}\n",
		"kind: ImageLock\nimages: [{reference: a}]\n",
		"kind: ClusterFacts\nspec: {operation: create}\n",
		"kind: ClusterFacts\nspec: {apiCalls: [{response: 1}]}\n",
		"kind: PinImages\nspec: {images: {a: b}}\n",
	} {
		if len(validate(t, head+doc)) == 0 {
			t.Errorf("no fault found in\n%s", doc)
		}
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
