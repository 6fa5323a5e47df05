package tests

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestReference writes the pages of the reference again and compares.
func TestReference(t *testing.T) {
	sameFiles(t, "../docs/reference", "md", func(folder string) *exec.Cmd {
		cmd := exec.Command("go", "run", ".", "markdown", folder)
		cmd.Dir = "tools/reference"
		return cmd
	})
}

// TestSchemas makes the JSON Schemas again and compares.
func TestSchemas(t *testing.T) {
	sameFiles(t, "../pkg/schema", "json", func(folder string) *exec.Cmd {
		cmd := exec.Command("go", "run", "./tests/tools/schemas", folder)
		cmd.Dir = ".."
		return cmd
	})
}

// sameFiles compares the files of a folder with those that a command writes.
func sameFiles(t *testing.T, committed, extension string, command func(folder string) *exec.Cmd) {
	t.Helper()
	folder := t.TempDir()
	if out, err := command(folder).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	files := func(folder string) map[string]string {
		names, err := filepath.Glob(filepath.Join(folder, "*."+extension))
		if err != nil || len(names) == 0 {
			t.Fatalf("nothing in %s: %v", folder, err)
		}
		out := map[string]string{}
		for _, name := range names {
			out[filepath.Base(name)] = read(t, name)
		}
		return out
	}
	if diff := cmp.Diff(files(folder), files(committed)); diff != "" {
		t.Errorf("%s is out of date: run make generate (-want +got)\n%s", committed, diff)
	}
}
