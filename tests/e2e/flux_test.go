//go:build e2e

package e2e

import (
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/registry"
	"sigs.k8s.io/yaml"
)

// TestFluxFunction runs the command of the page that renders with kustomize; the
// rest of the page is for the test that has Flux's code.
func TestFluxFunction(t *testing.T) {
	page, err := os.ReadFile("../../docs/with-flux.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("```sh\n(mkdir rendered\nkustomize build (?s:.*?))\n```").FindSubmatch(page)
	if block == nil {
		t.Fatal("the page shows no command with kustomize")
	}
	bin, err := filepath.Abs("../../bin")
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../../examples/flux-podinfo")); err != nil {
		t.Fatal(err)
	}
	run := func() (string, error) {
		if err := os.RemoveAll(filepath.Join(dir, "rendered")); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("bash", "-c", strings.Replace(string(block[1]), "registry.example.com", host, 1))
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"))
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := run(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	files, err := artifactFiles(host + "/apps:v1")
	if err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(filepath.Join(dir, "after.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	objects := func(text []byte) map[string]any {
		out := map[string]any{}
		for _, doc := range strings.Split(string(text), "\n---\n") {
			var o struct {
				Kind     string
				Metadata struct{ Name string }
			}
			var values any
			if err := yaml.Unmarshal([]byte(doc), &o); err != nil {
				t.Fatal(err)
			}
			if err := yaml.Unmarshal([]byte(doc), &values); err != nil {
				t.Fatal(err)
			}
			out[o.Kind+"/"+o.Metadata.Name] = values
		}
		return out
	}
	if d := cmp.Diff(objects(after), objects(files["apps.yaml"])); d != "" {
		t.Errorf("(-after.yaml +artifact)\n%s", d)
	}
	// A build that fails pushes nothing.
	if err := os.Remove(filepath.Join(dir, "images.lock.yaml")); err != nil {
		t.Fatal(err)
	}
	if out, err := run(); err == nil || strings.Contains(out, "/apps:v1") {
		t.Errorf("a build that fails: %v: %s", err, out)
	}
}

// TestFluxOtherRenderer runs the command of the page that has another renderer in
// front.
func TestFluxOtherRenderer(t *testing.T) {
	page, err := os.ReadFile("../../docs/with-flux.md")
	if err != nil {
		t.Fatal(err)
	}
	command := regexp.MustCompile("`(kustomize build [^`]* \\| oneloop render [^`]*)`").FindSubmatch(page)
	if command == nil {
		t.Fatal("the page shows no command with another renderer")
	}
	bin, err := filepath.Abs("../../bin")
	if err != nil {
		t.Fatal(err)
	}
	policy, err := os.ReadFile("../../examples/argocd-demo/policies/no-token.yaml")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"kustomization.yaml":     "resources: [web.yaml]\nnamePrefix: shop-\n",
		"web.yaml":               "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {containers: [{name: web, image: web:1}]}\n",
		"policies/no-token.yaml": string(policy),
		"rendered/.keep":         "",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("bash", "-eo", "pipefail", "-c", string(command[1]))
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	out, err := os.ReadFile(filepath.Join(dir, "rendered", "apps.yaml"))
	if err != nil || !strings.Contains(string(out), "name: shop-web\n") || !strings.Contains(string(out), "automountServiceAccountToken: false\n") {
		t.Errorf("%v:\n%s", err, out)
	}
}
