//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestHelmPage runs the commands of the page, those about a generation of Helm
// with that one, on a chart whose release the policy knows by its namespace.
func TestHelmPage(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(root, "docs/with-helm.md"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for file, text := range map[string]string{
		"chart/Chart.yaml": "apiVersion: v2\nname: web\nversion: 0.1.0\n",
		"chart/templates/web.yaml": `apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}
`,
		"policies/team.yaml": `apiVersion: kyverno.io/v1
kind: ClusterPolicy
metadata:
  name: team
spec:
  rules:
  - name: label
    match:
      any:
      - resources:
          kinds: [ConfigMap]
          namespaces: [shop]
    mutate:
      patchStrategicMerge:
        metadata:
          labels:
            team: shop
`,
	} {
		file = filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(root, "plugins"), filepath.Join(dir, "plugins")); err != nil {
		t.Fatal(err)
	}
	sections := map[string]string{"With Helm": "helm4", "Helm 4": "helm4", "Helm 3": "helm3"}
	for _, section := range regexp.MustCompile(`(?ms)^#+ `).Split(string(page), -1)[1:] {
		title, text, _ := strings.Cut(section, "\n")
		for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(text, -1) {
			t.Run(title, func(t *testing.T) {
				helm, ok := sections[title]
				if !ok {
					t.Fatalf("whose Helm runs the commands of %q?", title)
				}
				delete(sections, title)
				bin := t.TempDir()
				for name, program := range map[string]string{"helm": helm, "oneloop": "oneloop"} {
					if err := os.Symlink(filepath.Join(root, "bin", program), filepath.Join(bin, name)); err != nil {
						t.Fatal(err)
					}
				}
				cmd := exec.Command("sh", "-ec", block[1])
				cmd.Dir = dir
				cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"))
				cmd.Stderr = t.Output()
				out, err := cmd.Output()
				if err != nil {
					t.Fatal(err)
				}
				if want := "metadata:\n  name: shop\n  labels:\n    team: shop\n"; !strings.Contains(string(out), want) {
					t.Errorf("no %q in\n%s", want, out)
				}
			})
		}
	}
	for title := range sections {
		t.Errorf("no commands under %q", title)
	}
}
