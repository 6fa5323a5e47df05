//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// TestArgocdPlugin runs the command of the plugin as the sidecar does: in the
// folder of the Application.
func TestArgocdPlugin(t *testing.T) {
	text, err := os.ReadFile("../../examples/argocd-install/plugin/plugin.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var plugin struct {
		APIVersion, Kind string
		Metadata         struct{ Name string }
		Spec             struct {
			Generate struct{ Command, Args []string }
		}
	}
	if err := yaml.UnmarshalStrict(text, &plugin); err != nil {
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

// repoServer has of Argo CD's own manifests what the components hang on: names of
// containers, volumes and mounts.
const repoServer = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: argocd-repo-server
spec:
  template:
    spec:
      containers:
      - name: argocd-repo-server
        image: quay.io/argoproj/argocd:v3.1.0
        volumeMounts:
        - name: tmp
          mountPath: /tmp
        - name: plugins
          mountPath: /home/argocd/cmp-server/plugins
      initContainers:
      - name: copyutil
        image: quay.io/argoproj/argocd:v3.1.0
        volumeMounts:
        - name: var-files
          mountPath: /var/run/argocd
      volumes:
      - name: tmp
        emptyDir: {}
      - name: var-files
        emptyDir: {}
      - name: plugins
        emptyDir: {}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: argocd-cm
data:
  timeout.reconciliation: 60s
`

// TestArgocdInstall builds the kustomization that the README of the example
// shows, with either component.
func TestArgocdInstall(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../../examples/argocd-install")); err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(readme), "```yaml\n")
	block, _, _ = strings.Cut(block, "```")
	kustomize, err := filepath.Abs("../../bin/kustomize")
	if err != nil {
		t.Fatal(err)
	}
	type container struct {
		Name, Image  string
		Args         []string
		VolumeMounts []struct{ Name, MountPath, SubPath string }
	}
	type object struct {
		Kind     string
		Metadata struct{ Name string }
		Data     map[string]string
		Spec     struct {
			Template struct {
				Spec struct {
					Containers, InitContainers []container
					Volumes                    []struct {
						Name      string
						ConfigMap struct{ Name string }
					}
				}
			}
		}
	}
	for component, containers := range map[string]int{"plugin": 2, "build-options": 1} {
		text := strings.Replace(block, "- plugin #", "- "+component+" #", 1)
		for name, text := range map[string]string{"kustomization.yaml": text, "install.yaml": repoServer} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.Command(kustomize, "build", dir)
		cmd.Stderr = t.Output()
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		objects := map[string]object{}
		for _, doc := range strings.Split(string(out), "\n---\n") {
			var o object
			if err := yaml.Unmarshal([]byte(doc), &o); err != nil {
				t.Fatal(err)
			}
			objects[o.Kind+"/"+o.Metadata.Name] = o
		}
		pod := objects["Deployment/argocd-repo-server"].Spec.Template.Spec
		if len(pod.Containers) != containers || len(pod.InitContainers) != 2 {
			t.Errorf("%s: %d containers and %d init containers", component, len(pod.Containers), len(pod.InitContainers))
		}
		volumes, mounts := map[string]bool{}, map[string]bool{}
		for _, v := range pod.Volumes {
			volumes[v.Name] = true
			if v.ConfigMap.Name != "" && objects["ConfigMap/"+v.ConfigMap.Name].Data["plugin.yaml"] == "" {
				t.Errorf("%s: volume %s has ConfigMap %q, which is not there", component, v.Name, v.ConfigMap.Name)
			}
		}
		for _, c := range append(pod.Containers, pod.InitContainers...) {
			for _, m := range c.VolumeMounts {
				mounts[m.MountPath] = true
				if !volumes[m.Name] {
					t.Errorf("%s: container %s mounts %s, which is not there", component, c.Name, m.Name)
				}
			}
			if strings.HasPrefix(c.Name, "oneloop-") && c.Image != "ghcr.io/your-team/oneloop:v0.1.0" {
				t.Errorf("%s: container %s has image %s", component, c.Name, c.Image)
			}
		}
		if !mounts["/usr/local/bin/oneloop"] || !mounts["/custom-tools"] {
			t.Errorf("%s: oneloop is not brought: %v", component, mounts)
		}
		if options := objects["ConfigMap/argocd-cm"].Data["kustomize.buildOptions"]; (options == "--enable-alpha-plugins --enable-exec") != (component == "build-options") {
			t.Errorf("%s: build options %q", component, options)
		}
	}
}
