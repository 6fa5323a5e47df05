package tests

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/oneloop-dev/oneloop/pkg/cli"
)

// render runs `oneloop render` in a folder and returns what it prints.
func render(t *testing.T, dir string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	t.Chdir(dir)
	var out, errs bytes.Buffer
	code = cli.Main(append([]string{"render"}, args...), strings.NewReader(""), &out, &errs)
	return out.String(), errs.String(), code
}

// objects reads manifests as values, by kind and name.
func objects(t *testing.T, text string) map[string]any {
	t.Helper()
	out := map[string]any{}
	for _, doc := range strings.Split(text, "\n---\n") {
		var o struct {
			Kind     string
			Metadata struct{ Namespace, Name string }
		}
		var values any
		if err := yaml.Unmarshal([]byte(doc), &o); err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal([]byte(doc), &values); err != nil {
			t.Fatal(err)
		}
		out[o.Metadata.Namespace+"/"+o.Kind+"/"+o.Metadata.Name] = values
	}
	return out
}

func read(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestArgocdDemo compares values, because the after.yaml of this example is
// what kustomize prints, with its own order of keys. The end-to-end tests
// compare the bytes.
func TestArgocdDemo(t *testing.T) {
	stdout, stderr, code := render(t, "../examples/argocd-demo",
		"-p", "policies", "--lock", "images.lock.yaml", "base/web.yaml", "base/notifier.yaml")
	if code != 0 || stderr != "" {
		t.Fatalf("exit code %d, stderr %q", code, stderr)
	}
	if diff := cmp.Diff(objects(t, read(t, "after.yaml")), objects(t, stdout)); diff != "" {
		t.Errorf("(-after.yaml +rendered)\n%s", diff)
	}
}

func TestFluxPodinfo(t *testing.T) {
	comesOut(t, "../examples/flux-podinfo", "-p", "policies", "--facts", "namespaces.yaml", "--lock", "images.lock.yaml", "apps")
}

func TestGatekeeper(t *testing.T) {
	comesOut(t, "../examples/gatekeeper", "-p", "policies", "--facts", "namespaces.yaml", "apps")
}

// comesOut compares what render prints in a folder with its after.yaml.
func comesOut(t *testing.T, dir string, args ...string) {
	t.Helper()
	stdout, stderr, code := render(t, dir, args...)
	if code != 0 || stderr != "" {
		t.Fatalf("exit code %d, stderr %q", code, stderr)
	}
	if *update {
		if err := os.WriteFile("after.yaml", []byte(stdout), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(read(t, "after.yaml"), stdout); diff != "" {
		t.Errorf("(-after.yaml +rendered)\n%s", diff)
	}
}

// TestMigration: the policies of argocd-demo, written anew in two languages, make
// the same manifests to the byte.
func TestMigration(t *testing.T) {
	manifests := []string{"--lock", "../argocd-demo/images.lock.yaml", "../argocd-demo/base/web.yaml", "../argocd-demo/base/notifier.yaml"}
	want, stderr, code := render(t, "../examples/migration", append([]string{"-p", "../argocd-demo/policies"}, manifests...)...)
	if code != 0 || stderr != "" {
		t.Fatalf("exit code %d, stderr %q", code, stderr)
	}
	for _, policies := range []string{"mutating-policies", "admission-policies"} {
		got, stderr, code := render(t, ".", append([]string{"-p", policies}, manifests...)...)
		if code != 0 || stderr != "" {
			t.Errorf("%s: exit code %d, stderr %q", policies, code, stderr)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-ClusterPolicy +%[1]s)\n%s", policies, diff)
		}
		var out, errs bytes.Buffer
		code = cli.Main(append([]string{"compare", "--before", "../argocd-demo/policies", "--after", policies}, manifests...), strings.NewReader(""), &out, &errs)
		if code != 0 || out.String() != "" || errs.String() != "3 manifests: both sets of policies make the same of them\n" {
			t.Errorf("compare with %s: exit code %d, %q, %q", policies, code, out.String(), errs.String())
		}
		// Each policy counts.
		files, err := filepath.Glob(policies + "/*.yaml")
		if err != nil || len(files) != 3 {
			t.Fatalf("%d policies, %v", len(files), err)
		}
		for i := range files {
			args := []string{"compare", "--before", "../argocd-demo/policies"}
			for j, file := range files {
				if i != j {
					args = append(args, "--after", file)
				}
			}
			out.Reset()
			if code := cli.Main(append(args, manifests...), strings.NewReader(""), &out, &errs); code != 2 || !strings.Contains(out.String(), "shop/Deployment/web at ") {
				t.Errorf("without %s: exit code %d\n%s", files[i], code, out.String())
			}
		}
	}
}

// TestReadmesShowTheResult ties the READMEs to what happens: each shows a
// line of the result.
func TestReadmesShowTheResult(t *testing.T) {
	for readme, example := range map[string]string{
		"../README.md":                       "argocd-demo",
		"../examples/argocd-demo/README.md":  "argocd-demo",
		"../examples/flux-podinfo/README.md": "flux-podinfo",
		"../examples/gatekeeper/README.md":   "gatekeeper",
	} {
		after := read(t, filepath.Join("../examples", example, "after.yaml"))
		shown := 0
		for line := range strings.Lines(read(t, readme)) {
			added, ok := strings.CutPrefix(line, "+")
			if !ok {
				continue
			}
			shown++
			if !strings.Contains(after, strings.TrimSpace(added)) {
				t.Errorf("%s shows %q, which the after.yaml of %s does not hold", readme, strings.TrimSpace(added), example)
			}
		}
		if shown == 0 {
			t.Errorf("%s shows no added line", readme)
		}
	}
}
