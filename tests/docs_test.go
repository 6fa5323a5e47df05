package tests

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oneloop-dev/oneloop/pkg/cli"
)

// pages returns the Markdown files of the repository.
func pages(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, pattern := range []string{"../*.md", "../docs/*.md", "../docs/reference/*.md", "../examples/*/*.md"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(files), err)
		}
		out = append(out, files...)
	}
	return out
}

// link is a link of Markdown to a file: its words, the file and the anchor.
var link = regexp.MustCompile(`\[([^\]]*)\]\(([^)#]*)#?([^)]*)\)`)

// code is what Markdown shows as it is written.
var code = regexp.MustCompile("(?ms)^ *```.*?^ *```")

// anchors are the names that GitHub gives to the headings of a page.
func anchors(page string) []string {
	var out []string
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(code.ReplaceAllString(page, ""), -1) {
		name := regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(m[1]), "")
		name = strings.ReplaceAll(name, " ", "-")
		unique := name
		for n := 1; slices.Contains(out, unique); n++ {
			unique = fmt.Sprintf("%s-%d", name, n)
		}
		out = append(out, unique)
	}
	return out
}

func TestLinksOfTheDocs(t *testing.T) {
	for _, page := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(code.ReplaceAllString(read(t, page), ""), -1) {
			words, file, anchor := m[1], m[2], m[3]
			if strings.Contains(file, "://") || file == "" && anchor == "" {
				continue
			}
			to := page
			if file != "" {
				to = filepath.Join(filepath.Dir(page), file)
			}
			if _, err := os.Stat(to); err != nil {
				t.Errorf("%s links to %s, which is not there", page, file)
				continue
			}
			if anchor != "" && (filepath.Ext(to) != ".md" || !slices.Contains(anchors(read(t, to)), anchor)) {
				t.Errorf("%s links to #%s, which %s does not have", page, anchor, to)
			}
			// A link that has the name of a test leads to the test.
			if strings.HasPrefix(words, "Test") && !strings.Contains(read(t, to), "func "+words+"(t *testing.T)") {
				t.Errorf("%s links to %s, which %s does not have", page, words, file)
			}
		}
	}
}

// TestReachTheDocs: the index of the docs has a link to each page, and the front
// page leads to each.
func TestReachTheDocs(t *testing.T) {
	linked := func(from string) (out []string) {
		for _, m := range link.FindAllStringSubmatch(read(t, from), -1) {
			to := filepath.Join(filepath.Dir(from), m[2])
			out = append(out, to, filepath.Join(to, "README.md"))
		}
		return out
	}
	all := pages(t)
	index := append(linked("../docs/README.md"), "../docs/README.md", "../README.md")
	reached := []string{"../README.md"}
	for i := 0; i < len(reached); i++ {
		for _, to := range linked(reached[i]) {
			if slices.Contains(all, to) && !slices.Contains(reached, to) {
				reached = append(reached, to)
			}
		}
	}
	for _, page := range all {
		if !slices.Contains(index, page) {
			t.Errorf("docs/README.md does not link to %s", page)
		}
		if !slices.Contains(reached, page) {
			t.Errorf("no way leads from README.md to %s", page)
		}
	}
}

func TestFlagsOfTheDocs(t *testing.T) {
	flags := func(text string, pattern string) []string {
		var out []string
		for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
			if m[1] != "help" {
				out = append(out, m[1])
			}
		}
		slices.Sort(out)
		return slices.Compact(out)
	}
	for _, command := range []string{"render", "diff", "lock", "compare", "test", "vet", "explain", "push"} {
		var help bytes.Buffer
		if code := cli.Main([]string{command, "--help"}, strings.NewReader(""), &help, &help); code != 0 {
			t.Fatal(help.String())
		}
		page := "../docs/" + command + ".md"
		inHelp := flags(help.String(), `(?m)^ +(?:-\w, )?--([a-z-]+)`)
		inDocs := flags(read(t, page), "(?m)^\\| (?:`-\\w`, )?`--([a-z-]+)`")
		if diff := cmp.Diff(inHelp, inDocs); diff != "" {
			t.Errorf("flags of %s (-help +%s)\n%s", command, page, diff)
		}
	}
}

// TestSuiteOfTheDocs runs the suite that a page shows and compares what it
// shows of the output.
func TestSuiteOfTheDocs(t *testing.T) {
	page := read(t, "../docs/test.md")
	shown := func(pattern string) string {
		m := regexp.MustCompile("(?s)```" + pattern + "(.*?)```").FindStringSubmatch(page)
		if m == nil {
			t.Fatalf("docs/test.md has no block %q", pattern)
		}
		return m[1]
	}
	t.Chdir(t.TempDir())
	if err := os.Mkdir("policies", 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"kyverno-test.yaml": shown("yaml\n"),
		"team.yaml": `apiVersion: kyverno.io/v1
kind: ClusterPolicy
metadata: {name: team}
spec:
  rules:
  - name: add-label
    match: {any: [{resources: {kinds: [ConfigMap]}}]}
    mutate: {patchStrategicMerge: {metadata: {labels: {team: shop}}}}
`,
		"resources.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n",
		"patched.yaml":   "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, labels: {team: bank}}\n",
	} {
		if err := os.WriteFile(filepath.Join("policies", name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var out, errs bytes.Buffer
	if code := cli.Main([]string{"test", "policies"}, strings.NewReader(""), &out, &errs); code != cli.ExitFailed {
		t.Errorf("exit code %d: %s", code, errs.String())
	}
	if diff := cmp.Diff(shown(`\n\$ oneloop test policies\n`), out.String()); diff != "" {
		t.Errorf("output (-docs/test.md +oneloop)\n%s", diff)
	}
}

// TestDiffOfTheDocs runs the commands that a page shows and compares what it
// shows of their output.
func TestDiffOfTheDocs(t *testing.T) {
	page := read(t, "../docs/diff.md")
	t.Chdir(t.TempDir())
	const label = `  - name: label
    match: {any: [{resources: {kinds: [Deployment]}}]}
    mutate: {patchStrategicMerge: {metadata: {labels: {team: blue}}}}
`
	const replicas = `  - name: replicas
    match: {any: [{resources: {kinds: [Deployment]}}]}
    mutate: {patchStrategicMerge: {spec: {replicas: 3}}}
`
	const settings = `  - name: settings
    match: {any: [{resources: {kinds: [Namespace]}}]}
    generate: {apiVersion: v1, kind: ConfigMap, name: settings, namespace: shop, data: {data: {a: b}}}
`
	const policy = "apiVersion: kyverno.io/v1\nkind: ClusterPolicy\nmetadata: {name: team}\nspec:\n  rules:\n"
	const app = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: shop
spec:
  replicas: 2
---
apiVersion: v1
kind: Namespace
metadata:
  name: shop
`
	for name, text := range map[string]string{
		"app.yaml": app, "policies.yaml": policy + label + replicas + settings, "replicas.yaml": policy + replicas,
		"manifests/app.yaml": app, "policies/team.yaml": policy + label,
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	run := func(command string) string {
		command, _, _ = strings.Cut(command, " >")
		_, command, _ = strings.Cut(command, "oneloop ") // behind what renders before
		var out, errs bytes.Buffer
		if code := cli.Main(strings.Fields(command), strings.NewReader(app), &out, &errs); code != cli.ExitDone {
			t.Errorf("%s: exit code %d: %s", command, code, errs.String())
		}
		return out.String()
	}
	shown := regexp.MustCompile("(?s)```console\n\\$ (oneloop diff [^\n]*)\n(.*?)```").FindAllStringSubmatch(page, -1)
	only := regexp.MustCompile("(?s)```sh\n([^\n]*)\n```").FindAllStringSubmatch(page, -1)
	if len(shown) != 2 || len(only) != 2 {
		t.Fatalf("docs/diff.md has %d commands with their output and %d without", len(shown), len(only))
	}
	for _, m := range shown {
		if diff := cmp.Diff(m[2], run(m[1])); diff != "" {
			t.Errorf("%s (-docs/diff.md +oneloop)\n%s", m[1], diff)
		}
	}
	for _, m := range only {
		if got := run(m[1]); !strings.Contains(got, "shop/Deployment/web") && !strings.Contains(got, `"kind":"Deployment","namespace":"shop","name":"web"`) {
			t.Errorf("%s prints %q", m[1], got)
		}
	}
}

// TestShopOfThePictures holds what the pictures of the docs are taken of, so that
// they can be taken again.
func TestShopOfThePictures(t *testing.T) {
	t.Chdir("tools/screenshots/shop")
	var out, errs bytes.Buffer
	code := cli.Main(strings.Fields("diff -p policies.yaml --lock images.lock.yaml manifests.yaml"), strings.NewReader(""), &out, &errs)
	if want := "2 of 4 manifests changed, in 6 fields; 1 resource generated\n"; code != cli.ExitDone || errs.String() != want {
		t.Errorf("exit code %d, %q, want %q", code, errs.String(), want)
	}
}

// TestVetOfTheDocs vets the policy that a page shows and compares what it shows
// of the output.
func TestVetOfTheDocs(t *testing.T) {
	page := read(t, "../docs/vet.md")
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindStringSubmatch(page)
	shown := regexp.MustCompile("(?s)```\n\\$ oneloop (vet[^\n]*)\n(.*?)```").FindAllStringSubmatch(page, -1)
	if block == nil || len(shown) != 2 {
		t.Fatalf("docs/vet.md has %d blocks of output", len(shown))
	}
	t.Chdir(t.TempDir())
	if err := os.WriteFile("team.yaml", []byte(block[1]), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, m := range shown {
		var out, errs bytes.Buffer
		if code := cli.Main(strings.Fields(m[1]), strings.NewReader(""), &out, &errs); code != cli.ExitFailed {
			t.Errorf("%s: exit code %d: %s", m[1], code, errs.String())
		}
		if diff := cmp.Diff(m[2], out.String()); diff != "" {
			t.Errorf("%s (-docs/vet.md +oneloop)\n%s", m[1], diff)
		}
	}
}

// TestManifestsOfTheDocs runs the function with each ApplyPolicies that a page
// shows, and render with each lock and each set of facts: unknown fields and
// wrong types are errors.
func TestManifestsOfTheDocs(t *testing.T) {
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```")
	seen := map[string]int{}
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("policies/policy.yaml", read(t, "../examples/argocd-demo/policies/no-token.yaml"))
	write("images.lock.yaml", read(t, "../examples/argocd-demo/images.lock.yaml"))
	texts := map[string]string{}
	for _, page := range pages(t) {
		texts[page] = read(t, page)
	}
	t.Chdir(dir)
	run := func(stdin string, args ...string) string {
		var out, errs bytes.Buffer
		if code := cli.Main(args, strings.NewReader(stdin), &out, &errs); code != 0 {
			return errs.String()
		}
		return ""
	}
	for page, text := range texts {
		for _, m := range block.FindAllStringSubmatch(text, -1) {
			fault := ""
			switch {
			case strings.Contains(m[1], "\nkind: ApplyPolicies\n"):
				seen["ApplyPolicies"]++
				config := "  " + strings.ReplaceAll(strings.TrimSpace(m[1]), "\n", "\n  ")
				fault = run("apiVersion: config.kubernetes.io/v1\nkind: ResourceList\nitems: []\nfunctionConfig:\n" + config + "\n")
			case strings.Contains(m[1], "\nkind: ImageLock\n"):
				seen["ImageLock"]++
				fault = run(anyManifest, "render", "-p", "policies", "--lock", saved(t, dir, m[1]))
			case strings.Contains(m[1], "\nkind: ClusterFacts\n"):
				seen["ClusterFacts"]++
				fault = run(anyManifest, "render", "-p", "policies", "--facts", saved(t, dir, m[1]))
			}
			if fault != "" {
				t.Errorf("%s: %s\n%s", page, fault, m[1])
			}
		}
	}
	for _, kind := range []string{"ApplyPolicies", "ImageLock", "ClusterFacts"} {
		if seen[kind] == 0 {
			t.Errorf("no page shows kind %s", kind)
		}
	}
}

const anyManifest = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\n"

func saved(t *testing.T, dir, text string) string {
	t.Helper()
	file := filepath.Join(dir, "shown.yaml")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestProofsOfTheDocs looks up what a page shows of the output in the scripts,
// which the program was held against.
func TestProofsOfTheDocs(t *testing.T) {
	scripts := ""
	files, err := filepath.Glob("script/verify_*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		scripts += read(t, f)
	}
	shown := regexp.MustCompile(`(?m)^\$ oneloop (.*)\n(error: .*\n)`).FindAllStringSubmatch(read(t, "../docs/proofs.md"), -1)
	if len(shown) != 2 {
		t.Fatalf("docs/proofs.md shows %d runs", len(shown))
	}
	for _, m := range shown {
		if !strings.Contains(scripts, "oneloop "+m[1]+"\n") || !strings.Contains(scripts, "\n"+m[2]) {
			t.Errorf("no script has\n$ oneloop %s\n%s", m[1], m[2])
		}
	}
}

// TestInPlaceOfTheDocs runs the command that a page shows.
func TestInPlaceOfTheDocs(t *testing.T) {
	m := regexp.MustCompile("(?s)```console\n\\$ oneloop ([^\n]*)\n(.*?)```").FindStringSubmatch(read(t, "../docs/in-place.md"))
	if m == nil {
		t.Fatal("docs/in-place.md shows no run")
	}
	policy := read(t, "../examples/argocd-demo/policies/no-token.yaml")
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{
		"policies/no-token.yaml": policy,
		"manifests/web.yaml":     "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {}\n",
		"manifests/service.yaml": anyManifest,
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var out, errs bytes.Buffer
	if code := cli.Main(strings.Fields(m[1]), strings.NewReader(""), &out, &errs); code != 0 || out.Len() > 0 {
		t.Errorf("exit code %d: %s", code, out.String())
	}
	if diff := cmp.Diff(m[2], errs.String()); diff != "" {
		t.Errorf("output (-docs/in-place.md +oneloop)\n%s", diff)
	}
}
