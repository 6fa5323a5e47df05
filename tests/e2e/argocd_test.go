//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// TestArgocdPlugin runs the command of the plugin that the page shows, as the
// sidecar does: in the folder of the Application.
func TestArgocdPlugin(t *testing.T) {
	page, err := os.ReadFile("../../docs/with-argocd.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```yaml\n(apiVersion: argoproj.io.*?)```").FindSubmatch(page)
	if block == nil {
		t.Fatal("the page shows no plugin")
	}
	var plugin struct {
		APIVersion, Kind string
		Metadata         struct{ Name string }
		Spec             struct {
			Generate struct{ Command, Args []string }
		}
	}
	if err := yaml.UnmarshalStrict(block[1], &plugin); err != nil {
		t.Fatal(err)
	}
	bin, err := filepath.Abs("../../bin")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../../examples/argocd-demo")); err != nil {
		t.Fatal(err)
	}
	generate := func() (string, error) {
		words := append(plugin.Spec.Generate.Command, plugin.Spec.Generate.Args...)
		cmd := exec.Command(words[0], words[1:]...)
		cmd.Dir = dir
		cmd.Stderr = t.Output()
		out, err := cmd.Output()
		return string(out), err
	}
	out, err := generate()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"kind: Deployment\n", "automountServiceAccountToken: false\n", "shop/web:1.4.2@sha256:"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if err := os.Remove(filepath.Join(dir, "base", "web.yaml")); err != nil {
		t.Fatal(err)
	}
	if out, err := generate(); err == nil {
		t.Errorf("a build that fails gives\n%s", out)
	}
}
