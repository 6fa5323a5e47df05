//go:build e2e

package e2e

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// web is a manifest that token changes.
const web = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: web # of the shop
spec:
  selector:
    matchLabels: {app: web}
  template:
    metadata:
      labels: {app: web}
    spec:
      containers:
      - name: web
        image: registry.example.com/shop/web:1.4.2
`

const token = `apiVersion: kyverno.io/v1
kind: ClusterPolicy
metadata:
  name: no-token
  annotations:
    config.kubernetes.io/local-config: "true"
spec:
  rules:
  - name: disable-automount
    match:
      any:
      - resources:
          kinds: [Pod]
    mutate:
      patchStrategicMerge:
        spec:
          +(automountServiceAccountToken): false
`

// TestPages runs what pages of the manual tell to run, in a folder with the
// files that they show under a comment with the name.
func TestPages(t *testing.T) {
	const changed = "automountServiceAccountToken: false\n"
	pages := []struct {
		name  string
		needs string            // besides what make e2e builds
		files map[string]string // besides those of the page
		// commands has for each block of commands, by the heading above, the
		// program that a name stands for, the file that it writes ("" for
		// standard output) and what is to be there.
		commands []pageCommand
	}{
		{
			name: "with-helm",
			files: map[string]string{
				"chart/Chart.yaml":         "apiVersion: v2\nname: web\nversion: 0.1.0\n",
				"chart/templates/web.yaml": web,
				// Only the namespace of the release makes it match.
				"policies/no-token.yaml": strings.Replace(token, "kinds: [Pod]", "kinds: [Pod]\n          namespaces: [shop]", 1),
			},
			commands: []pageCommand{
				{"With Helm", "helm4", "", changed},
				{"Helm 4", "helm4", "", changed},
				{"Helm 3", "helm3", "", changed},
			},
		},
		{
			name: "with-kustomize",
			files: map[string]string{
				"overlays/prod/kustomization.yaml": "resources: [web.yaml]\n",
				"overlays/prod/web.yaml":           web,
				"policies/no-token.yaml":           token,
			},
			commands: []pageCommand{
				{"The program", "", "prod.yaml", changed},
				{"The program", "", "", ""},
				{"A container", "", "", changed},
				{"As a check", "", "", ""},
			},
			needs: "engine",
		},
		{
			name: "with-kpt",
			files: map[string]string{
				"shop/web.yaml":          web,
				"shop/no-token.yaml":     token,
				"policies/no-token.yaml": token,
			},
			commands: []pageCommand{
				{"In the pipeline of a package", "", "shop/web.yaml", "name: web # of the shop\n"},
				{"Once", "", "shop/web.yaml", changed},
				{"Once", "", "shop/web.yaml", changed},
			},
			needs: "kpt",
		},
	}
	for _, p := range pages {
		t.Run(p.name, func(t *testing.T) {
			var err error
			switch p.needs {
			case "engine":
				err = buildImage("../..")
			case "kpt":
				_, err = exec.LookPath("kpt")
			}
			if err != nil && slices.Contains(strings.Fields(os.Getenv("E2E_REQUIRE")), p.needs) {
				t.Fatal(err)
			} else if err != nil {
				t.Skip(err)
			}
			runPage(t, p.name, p.files, p.commands)
		})
	}
}

// A pageCommand is what a block of commands on a page is expected to do.
type pageCommand struct{ heading, helm, file, want string }

func runPage(t *testing.T, name string, files map[string]string, commands []pageCommand) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(root, "docs", name+".md"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(page), "registry.example.com/oneloop:v0.1.0", image)
	files = maps.Clone(files)
	manifests := regexp.MustCompile("(?ms)^```yaml\n(?:# (\\S+)\n)?(.*?)^```")
	for _, m := range manifests.FindAllStringSubmatch(text, -1) {
		if m[1] != "" {
			files[m[1]] = m[2]
		}
	}
	text = manifests.ReplaceAllString(text, "") // their comments are no headings
	dir := t.TempDir()
	for file, text := range files {
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
	home := t.TempDir()
	heading := ""
	for _, m := range regexp.MustCompile("(?ms)^#+ (.*?)\n|^ *```sh\n(.*?)```").FindAllStringSubmatch(text, -1) {
		if m[2] == "" {
			heading = m[1]
			continue
		}
		if len(commands) == 0 || commands[0].heading != heading {
			t.Fatalf("nobody knows what to expect of the commands below %q:\n%s", heading, m[2])
		}
		want := commands[0]
		commands = commands[1:]
		path := filepath.Join(root, "bin")
		if want.helm != "" {
			path = t.TempDir()
			for name, program := range map[string]string{"helm": want.helm, "oneloop": "oneloop"} {
				if err := os.Symlink(filepath.Join(root, "bin", program), filepath.Join(path, name)); err != nil {
					t.Fatal(err)
				}
			}
		}
		cmd := exec.Command("sh", "-ec", m[2])
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "HOME="+home, "PATH="+path+string(os.PathListSeparator)+os.Getenv("PATH"))
		cmd.Stderr = t.Output()
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %s", err, m[2])
		}
		if want.file != "" {
			if out, err = os.ReadFile(filepath.Join(dir, want.file)); err != nil {
				t.Fatal(err)
			}
		}
		if want.want != "" && !strings.Contains(string(out), want.want) || want.want == "" && len(out) > 0 {
			t.Errorf("expected %q of\n%s\ngot:\n%s", want.want, m[2], out)
		}
	}
	for _, c := range commands {
		t.Errorf("the page shows no commands below %q", c.heading)
	}
}
