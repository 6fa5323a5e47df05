package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oneloop-dev/oneloop/pkg/resource"
)

func TestCommitIsAllOrNothing(t *testing.T) {
	dir := t.TempDir()
	first, second := filepath.Join(dir, "a.yaml"), filepath.Join(dir, "b.yaml")
	var all []*staged
	for _, name := range []string{first, second} {
		if err := os.WriteFile(name, []byte("old"), 0o640); err != nil {
			t.Fatal(err)
		}
		s, err := stage(name, []byte("old"), []byte("new"))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	// A folder can't be replaced by a file.
	if err := os.Remove(second); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(second, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := commit(all); err == nil || !strings.HasSuffix(err.Error(), "no file is changed") {
		t.Errorf("got %v", err)
	}
	data, err := os.ReadFile(first)
	if err != nil || string(data) != "old" {
		t.Errorf("%s holds %q, %v", first, data, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("something was left behind: %v, %v", entries, err)
	}
}

func TestStageRefusesWhatChanged(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a.yaml")
	if err := os.WriteFile(name, []byte("theirs"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := stage(name, []byte("old"), []byte("new")); err == nil || !strings.Contains(err.Error(), "was changed by somebody else meanwhile") {
		t.Errorf("got %v", err)
	}
}

func TestNamedAsides(t *testing.T) {
	got := namedAsides(resource.Object{
		"resources":             []any{"web.yaml"},
		"patches":               []any{map[string]any{"path": "p1.yaml", "target": map[string]any{"kind": "Pod"}}, map[string]any{"patch": "inline"}},
		"patchesStrategicMerge": []any{"p2.yaml", "kind: Pod\n"},
		"patchesJson6902":       []any{map[string]any{"path": "p3.yaml"}},
		"openapi":               map[string]any{"path": "schema.json"},
		"helmCharts":            []any{map[string]any{"name": "c", "valuesFile": "values.yaml"}},
	})
	if d := cmp.Diff([]string{"p1.yaml", "p2.yaml", "p3.yaml", "schema.json", "values.yaml"}, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
