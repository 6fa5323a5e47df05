package tests

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestReference writes the page of the command line again and compares.
func TestReference(t *testing.T) {
	folder := t.TempDir()
	cmd := exec.Command("go", "run", ".", "markdown", folder)
	cmd.Dir = "tools/reference"
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if diff := cmp.Diff(read(t, folder+"/command-line.md"), read(t, "../docs/reference/command-line.md")); diff != "" {
		t.Errorf("docs/reference/command-line.md is out of date: run make generate (-want +got)\n%s", diff)
	}
}

// TestSchemas makes the JSON Schemas again and compares.
func TestSchemas(t *testing.T) {
	folder := t.TempDir()
	cmd := exec.Command("go", "run", "./tests/tools/schemas", folder)
	cmd.Dir = ".."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	made, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil || len(made) == 0 {
		t.Fatalf("no schemas: %v", err)
	}
	there, err := filepath.Glob("../pkg/schema/*.json")
	if err != nil || len(there) != len(made) {
		t.Errorf("pkg/schema has %d schemas, and there are %d: run make generate", len(there), len(made))
	}
	for _, file := range made {
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), read(t, "../pkg/schema/"+filepath.Base(file))); diff != "" {
			t.Errorf("pkg/schema/%s is out of date: run make generate (-want +got)\n%s", filepath.Base(file), diff)
		}
	}
}
