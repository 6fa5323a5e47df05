package tests

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// seeds returns the folder of the policies that two articles printed. They are
// other projects' files and lie beside the repository, when they are there.
func seeds(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../shared/seed-policies")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skip("the articles' policies are not at ../shared/seed-policies")
	}
	return dir
}

func lockFile(t *testing.T, references ...string) string {
	t.Helper()
	text := "apiVersion: oneloop.dev/v1alpha1\nkind: ImageLock\nmetadata:\n  name: images\nimages:\n"
	for _, ref := range references {
		text += "- reference: " + ref + "\n  digest: sha256:" + strings.Repeat("ab", 32) + "\n"
	}
	file := filepath.Join(t.TempDir(), "images.lock.yaml")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// added returns the lines of after that before does not have, trimmed.
func added(before, after string) string {
	have := map[string]int{}
	for line := range strings.Lines(before) {
		have[line]++
	}
	var out []string
	for line := range strings.Lines(after) {
		if have[line]--; have[line] < 0 {
			out = append(out, strings.TrimSpace(line))
		}
	}
	return strings.Join(out, "\n")
}

func TestArgocdArticle(t *testing.T) {
	dir := seeds(t)
	lock := lockFile(t, "ghcr.io/nirmata/demo-argocd:v1")
	before := read(t, filepath.Join(dir, "demo-argocd-deployment.yaml"))
	stdout, stderr, code := render(t, dir, "-p", "demo-argocd.yaml", "--lock", lock, "demo-argocd-deployment.yaml")
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	want := `annotations:
cluster-autoscaler.kubernetes.io/safe-to-evict: "true"
image: ghcr.io/nirmata/demo-argocd:v1@sha256:` + strings.Repeat("ab", 32) + `
automountServiceAccountToken: false`
	if got := added(before, stdout); sorted(got) != sorted(want) {
		t.Errorf("added lines:\n%s\nwant:\n%s", got, want)
	}
}

func sorted(lines string) string {
	return strings.Join(slices.Sorted(strings.SplitSeq(lines, "\n")), "\n")
}

// TestArgocdArticleAsPrinted: the page indents with no-break spaces, and its
// third policy has a map under match.any where Kyverno wants a list.
func TestArgocdArticleAsPrinted(t *testing.T) {
	stdout, stderr, code := render(t, seeds(t), "-p", "article-argocd.yaml", "demo-argocd-deployment.yaml")
	if code != 1 || stdout != "" {
		t.Errorf("exit code %d, stdout %q", code, stdout)
	}
	if want := regexp.MustCompile(`^error: article-argocd\.yaml:89: ClusterPolicy/service-account .*match\.any: expected a list`); !want.MatchString(stderr) {
		t.Errorf("stderr %q does not match %s", stderr, want)
	}
}

func TestFluxArticle(t *testing.T) {
	dir := seeds(t)
	lock := lockFile(t, "ghcr.io/stefanprodan/podinfo:6.3.0")
	// The demo's Deployment gets its namespace from the Kustomization of Flux.
	facts := filepath.Join(t.TempDir(), "facts.yaml")
	text := "apiVersion: oneloop.dev/v1alpha1\nkind: ClusterFacts\nmetadata:\n  name: facts\nspec:\n  defaultNamespace: podinfo\n"
	if err := os.WriteFile(facts, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, code := render(t, dir, "-p", "demo-flux-image-digest.yaml", "-p", "demo-flux-securitycontext.yaml",
		"--facts", facts, "--lock", lock, "demo-flux-podinfo.yaml")
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	want := `securityContext:
fsGroup: 1337
runAsGroup: 3000
runAsNonRoot: true
runAsUser: 1000
- image: ghcr.io/stefanprodan/podinfo@sha256:` + strings.Repeat("ab", 32) + `
securityContext:
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
drop:
- ALL
seccompProfile:
type: RuntimeDefault`
	if got := added(read(t, "demo-flux-podinfo.yaml"), stdout); sorted(got) != sorted(want) {
		t.Errorf("added lines:\n%s\nwant:\n%s", got, want)
	}
}
