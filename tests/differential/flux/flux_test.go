// Package flux lets Flux's own code fetch what oneloop pushes, and build it.
package flux

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/kustomize"
	"github.com/fluxcd/pkg/oci"
	"github.com/fluxcd/pkg/sourceignore"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/yaml"

	"github.com/oneloop-dev/oneloop/pkg/cli"
)

const example = "../../../examples/flux-podinfo"

// The test is the program as well, for scripts that call it by its name.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "oneloop" {
		os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

func serve(t *testing.T) (host string) {
	t.Helper()
	s := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

func read(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// push runs oneloop push and returns what it prints.
func push(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	if code := cli.Main(append([]string{"push"}, args...), strings.NewReader(stdin), &out, &errs); code != 0 {
		t.Fatalf("push %v: exit code %d: %s", args, code, errs.String())
	}
	return strings.TrimSpace(out.String())
}

// pull is what the source controller does with an artifact.
func pull(t *testing.T, ref string) (dir string, meta *oci.Metadata) {
	t.Helper()
	dir = t.TempDir()
	meta, err := oci.NewClient(oci.DefaultOptions()).Pull(t.Context(), ref, dir)
	if err != nil {
		t.Fatal(err)
	}
	return dir, meta
}

// build is what the kustomize controller does with a folder: spec is that of
// Flux's Kustomization.
func build(t *testing.T, dir string, spec map[string]any) (resmap.ResMap, error) {
	t.Helper()
	k := unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	path, _ := spec["path"].(string)
	path = filepath.Join(dir, path)
	if _, err := kustomize.NewGenerator(dir, k).WriteFile(path); err != nil {
		return nil, err
	}
	built, err := kustomize.SecureBuild(dir, path, false)
	if err != nil {
		return nil, err
	}
	for _, r := range built.Resources() {
		// Without a cluster there are no ConfigMaps with variables.
		if _, err := kustomize.SubstituteVariables(t.Context(), nil, k, r, kustomize.SubstituteWithDryRun(true)); err != nil {
			return nil, err
		}
	}
	return built, nil
}

// objects are the values of manifests, by kind and name.
func objects(t *testing.T, manifests string) map[string]any {
	t.Helper()
	out := map[string]any{}
	for _, text := range regexp.MustCompile(`(?m)^---$`).Split(manifests, -1) {
		o := map[string]any{}
		if err := yaml.Unmarshal([]byte(text), &o); err != nil {
			t.Fatal(err)
		}
		u := unstructured.Unstructured{Object: o}
		out[fmt.Sprintf("%s/%s/%s", u.GetNamespace(), u.GetKind(), u.GetName())] = o
	}
	return out
}

func wantBuild(t *testing.T, want map[string]any, dir string, spec map[string]any) {
	t.Helper()
	built, err := build(t, dir, spec)
	if err != nil {
		t.Fatal(err)
	}
	text, err := built.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	if d := gocmp.Diff(want, objects(t, string(text))); d != "" {
		t.Errorf("(-want +what Flux applies)\n%s", d)
	}
}

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=me", "-c", "user.email=me@example.com"}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", cmd, out)
	}
	return strings.TrimSpace(string(out))
}

func copyOf(t *testing.T, dir string) string {
	t.Helper()
	out := t.TempDir()
	if err := os.CopyFS(out, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestPage goes the way of the page: CI's commands, then what the cluster does by
// the manifests of the page.
func TestPage(t *testing.T) {
	page := read(t, "../../../docs/with-flux.md")
	job := regexp.MustCompile("(?s)```sh\n(set -eo pipefail\n.*?)```").FindStringSubmatch(page)
	manifests := regexp.MustCompile("(?s)```yaml\n(apiVersion: source.*?)---\n(.*?)```").FindStringSubmatch(page)
	if job == nil || manifests == nil {
		t.Fatal("the page shows no job, or no manifests")
	}
	if shown := manifests[1] + "---\n" + manifests[2]; !strings.HasSuffix(read(t, example+"/flux.yaml"), shown) {
		t.Error("flux.yaml of the example is not what the page shows")
	}
	var repository sourcev1.OCIRepository
	var kustomization kustomizev1.Kustomization
	if err := errors.Join(yaml.UnmarshalStrict([]byte(manifests[1]), &repository), yaml.UnmarshalStrict([]byte(manifests[2]), &kustomization)); err != nil {
		t.Fatal(err)
	}
	if ref := kustomization.Spec.SourceRef; ref.Kind != sourcev1.OCIRepositoryKind || ref.Name != repository.Name || repository.Namespace != kustomization.Namespace {
		t.Errorf("the Kustomization has the source %+v", ref)
	}
	if repository.APIVersion != sourcev1.GroupVersion.String() || kustomization.APIVersion != kustomizev1.GroupVersion.String() {
		t.Errorf("API versions %s, %s", repository.APIVersion, kustomization.APIVersion)
	}

	host := serve(t)
	dir := copyOf(t, example)
	git(t, dir, "init", "--quiet")
	git(t, dir, "add", "-A")
	git(t, dir, "commit", "--quiet", "--message", "one")
	git(t, dir, "remote", "add", "origin", "https://ci:token@git.example.com/apps.git")
	commit := git(t, dir, "rev-parse", "HEAD")

	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	if err := os.Symlink(self, filepath.Join(bin, "oneloop")); err != nil {
		t.Fatal(err)
	}
	run := func() (stdout, stderr string, err error) {
		if err := os.RemoveAll(filepath.Join(dir, "rendered")); err != nil { // CI begins with a fresh clone
			t.Fatal(err)
		}
		cmd := exec.Command("bash", "-c", strings.ReplaceAll(job[1], "oci://registry.example.com/", "oci://"+host+"/"))
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"))
		var out, errs strings.Builder
		cmd.Stdout, cmd.Stderr = &out, &errs
		err = cmd.Run()
		return strings.TrimSpace(out.String()), errs.String(), err
	}
	printed, stderr, err := run()
	if err != nil {
		t.Fatalf("%v: %s", err, stderr)
	}

	url := strings.Replace(strings.TrimPrefix(repository.Spec.URL, sourcev1.OCIRepositoryPrefix), "registry.example.com", host, 1)
	fetched, meta := pull(t, url+":"+repository.Spec.Reference.Tag)
	want := oci.Metadata{Created: "1970-01-01T00:00:00Z", Source: "https://git.example.com/apps.git", Revision: "main@sha1:" + commit, Digest: printed, URL: meta.URL, Annotations: meta.Annotations}
	if d := gocmp.Diff(want, *meta); d != "" || len(meta.Annotations) != 3 {
		t.Errorf("metadata (-want +got)\n%s%v", d, meta.Annotations)
	}
	if _, byCommit := pull(t, url+":"+commit[:12]); byCommit.Digest != printed {
		t.Errorf("the commit's tag is %s, want %s", byCommit.Digest, printed)
	}
	if d := gocmp.Diff(read(t, example+"/after.yaml"), read(t, filepath.Join(fetched, "apps.yaml"))); d != "" {
		t.Errorf("(-after.yaml +artifact)\n%s", d)
	}
	spec, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&kustomization.Spec)
	if err != nil {
		t.Fatal(err)
	}
	wantBuild(t, objects(t, read(t, example+"/after.yaml")), fetched, spec)

	// A second run changes nothing, and one that fails pushes nothing.
	if again, stderr, err := run(); err != nil || again != printed || !strings.Contains(stderr, "production: unchanged") {
		t.Errorf("%v: %s\n%s", err, again, stderr)
	}
	if err := os.Remove(filepath.Join(dir, "images.lock.yaml")); err != nil {
		t.Fatal(err)
	}
	if printed, stderr, err := run(); err == nil || printed != "" {
		t.Errorf("without a lock: %s, %s", printed, stderr)
	}
	if _, now := pull(t, url+":production"); now.Digest != printed {
		t.Errorf("a run that failed pushed %s", now.Digest)
	}
}

// An image is a manifest and what is in its layer.
type image struct {
	Manifest *v1.Manifest
	Config   *v1.ConfigFile
	Files    map[string]string
}

func fetch(t *testing.T, ref string) image {
	t.Helper()
	r, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	img, err := remote.Image(r)
	if err != nil {
		t.Fatal(err)
	}
	out := image{Files: map[string]string{}}
	if out.Manifest, err = img.Manifest(); err != nil {
		t.Fatal(err)
	}
	raw, err := img.RawConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if out.Config, err = v1.ParseConfigFile(bytes.NewReader(raw)); err != nil {
		t.Fatal(err)
	}
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	blob, err := layers[0].Compressed()
	if err != nil {
		t.Fatal(err)
	}
	archive, err := gzip.NewReader(blob)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(archive)
	if err != nil {
		t.Fatal(err)
	}
	hash, _, err := v1.SHA256(bytes.NewReader(data))
	if err != nil || len(out.Config.RootFS.DiffIDs) > 0 && out.Config.RootFS.DiffIDs[0] != hash {
		t.Errorf("%s: the archive is %s, the configuration has %v, %v", ref, hash, out.Config.RootFS.DiffIDs, err)
	}
	for r := tar.NewReader(bytes.NewReader(data)); ; {
		h, err := r.Next()
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			text, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			out.Files[h.Name] = string(text)
		}
	}
}

// TestAsFluxPushes compares with what Flux's own client makes of the same files.
// The archives differ in what Flux's takes from the machine, such as modes.
func TestAsFluxPushes(t *testing.T) {
	host := serve(t)
	dir := copyOf(t, example)
	created, source, revision := "2026-01-31T00:00:00Z", "https://git.example.com/apps.git", "main@sha1:4db1efc"
	annotations := map[string]string{"team": "shop"}
	for what, path := range map[string]string{"folder": dir, "file": filepath.Join(dir, "after.yaml")} {
		theirs := host + "/theirs/" + what + ":v1"
		meta := oci.Metadata{Created: created, Source: source, Revision: revision, Annotations: annotations}
		if _, err := oci.NewClient(oci.DefaultOptions()).Push(t.Context(), theirs, path, oci.WithPushMetadata(meta)); err != nil {
			t.Fatal(err)
		}
		ours := host + "/ours/" + what + ":v1"
		push(t, "", "oci://"+ours, "-f", path, "--created", created, "--source", source, "--revision", revision, "-a", "team=shop")
		want, got := fetch(t, theirs), fetch(t, ours)
		if len(got.Files) == 0 {
			t.Errorf("%s: no files", what)
		}
		for _, i := range []*image{&want, &got} {
			for _, d := range append(i.Manifest.Layers, i.Manifest.Config) {
				if d.Size == 0 || d.Digest.Hex == "" {
					t.Errorf("%s: %+v", what, d)
				}
			}
			// They hang on the archive.
			i.Manifest.Layers[0].Size, i.Manifest.Layers[0].Digest = 0, v1.Hash{}
			i.Manifest.Config.Size, i.Manifest.Config.Digest = 0, v1.Hash{}
			i.Config.RootFS.DiffIDs = nil // Flux's has none
		}
		if d := gocmp.Diff(want, got); d != "" {
			t.Errorf("%s (-flux +oneloop)\n%s", what, d)
		}
	}
}

// TestLayouts builds folders of the example as if Flux watched them in Git.
func TestLayouts(t *testing.T) {
	// What lists the function can't be built.
	_, err := build(t, copyOf(t, example), map[string]any{"path": "./"})
	want := "external plugins disabled; unable to load external plugin 'ApplyPolicies'"
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("the top of the example: %v, want %q", err, want)
	}
	if page := strings.Join(strings.Fields(read(t, "../../../docs/with-flux.md")), " "); !strings.Contains(page, want) {
		t.Errorf("the page does not say %q", want)
	}
	// What is below it can.
	manifests := objects(t, read(t, example+"/apps/exporter.yaml")+"---\n"+read(t, example+"/apps/podinfo.yaml"))
	wantBuild(t, manifests, copyOf(t, example), map[string]any{"path": "./apps"})

	// In a folder without a kustomization everything is applied that is not marked.
	names := func(dir string) (out []string) {
		built, err := build(t, dir, map[string]any{"path": "./"})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range built.Resources() {
			out = append(out, r.GetKind()+"/"+r.GetName())
		}
		slices.Sort(out)
		return out
	}
	dir := copyOf(t, example)
	for _, file := range []string{"kustomization.yaml", "after.yaml", "flux.yaml"} {
		if err := os.Remove(filepath.Join(dir, file)); err != nil {
			t.Fatal(err)
		}
	}
	marked := []string{"Deployment/exporter", "Deployment/podinfo", "Service/podinfo"}
	all := append([]string{"ClusterPolicy/pin-images", "ClusterPolicy/restricted", "ImageLock/images", "Namespace/monitoring", "Namespace/podinfo"}, marked...)
	slices.Sort(all)
	if d := gocmp.Diff(all, names(copyOf(t, dir))); d != "" {
		t.Errorf("not marked (-want +got)\n%s", d)
	}
	annotated := regexp.MustCompile(`(?m)^metadata:$`)
	for _, file := range []string{"images.lock.yaml", "namespaces.yaml", "policies/pin-images.yaml", "policies/restricted.yaml"} {
		file = filepath.Join(dir, file)
		text := annotated.ReplaceAllString(read(t, file), "metadata:\n  annotations:\n    config.kubernetes.io/local-config: \"true\"")
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if d := gocmp.Diff(marked, names(copyOf(t, dir))); d != "" {
		t.Errorf("marked (-want +got)\n%s", d)
	}
	// For oneloop they are what they were.
	after := read(t, example+"/after.yaml")
	t.Chdir(dir)
	var out, errs bytes.Buffer
	cli.Main(strings.Fields("render -p policies --facts namespaces.yaml --lock images.lock.yaml apps"), nil, &out, &errs)
	if d := gocmp.Diff(after, out.String()); d != "" {
		t.Errorf("%s(-after.yaml +rendered)\n%s", errs.String(), d)
	}
}

// TestSourceIgnore: the source controller heeds a .sourceignore where it unpacks.
func TestSourceIgnore(t *testing.T) {
	host, dir := serve(t), t.TempDir()
	for name, text := range map[string]string{
		"app.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n", "values.yaml": "a: b\n", ".sourceignore": "values.yaml\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	push(t, "", "oci://"+host+"/apps:v1", "-f", dir)
	dir, _ = pull(t, host+"/apps:v1")
	domain := strings.Split(dir, string(filepath.Separator))
	patterns, err := sourceignore.LoadIgnorePatterns(dir, domain)
	if err != nil {
		t.Fatal(err)
	}
	matcher := sourceignore.NewMatcher(patterns)
	for name, want := range map[string]bool{"values.yaml": true, "app.yaml": false} {
		if got := matcher.Match(append(slices.Clone(domain), name), false); got != want {
			t.Errorf("%s is ignored: %t", name, got)
		}
	}
}

// TestAfterwards holds what the page says of the fields of Flux's Kustomization.
func TestAfterwards(t *testing.T) {
	host := serve(t)
	policy := filepath.Join(t.TempDir(), "policy.yaml")
	text := `apiVersion: kyverno.io/v1
kind: ClusterPolicy
metadata: {name: team}
spec:
  rules:
  - name: team
    match: {any: [{resources: {kinds: [ConfigMap]}}]}
    mutate: {patchStrategicMerge: {metadata: {labels: {team: "{{ request.object.data.team }}", in: "{{ request.namespace }}"}}}}
`
	if err := os.WriteFile(policy, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	manifest := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\ndata: {team: \"${TEAM}\"}\n"
	var out, errs bytes.Buffer
	if code := cli.Main([]string{"render", "-p", policy, "-"}, strings.NewReader(manifest), &out, &errs); code != 0 {
		t.Fatal(errs.String())
	}
	push(t, out.String(), "oci://"+host+"/apps:v1", "-f", "-")
	dir, _ := pull(t, host+"/apps:v1")
	object := func(namespace, in string) map[string]any {
		return map[string]any{
			"apiVersion": "v1", "kind": "ConfigMap",
			"metadata": map[string]any{"name": "web", "namespace": namespace, "labels": map[string]any{"team": "blue", "in": in}},
			"data":     map[string]any{"team": "blue"},
		}
	}
	// The variable stays, for Flux to replace; the namespace comes too late.
	wantBuild(t, map[string]any{"shop/ConfigMap/web": object("shop", "default")}, dir, map[string]any{
		"path": "./", "targetNamespace": "shop", "postBuild": map[string]any{"substitute": map[string]any{"TEAM": "blue"}},
	})

	// An image with a variable in it can't be pinned.
	pod := "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {containers: [{name: web, image: \"${REGISTRY}/web:1\"}]}\n"
	errs.Reset()
	if code := cli.Main([]string{"render", "--pin-all", "-"}, strings.NewReader(pod), io.Discard, &errs); code == 0 || !strings.Contains(errs.String(), `image reference "${REGISTRY}/web:1"`) {
		t.Errorf("exit code %d: %s", code, errs.String())
	}
}

// TestRandomFolders: what Flux unpacks is what was in the folder, whatever names
// and contents there are. FOLDERS says how many, SEED which.
func TestRandomFolders(t *testing.T) {
	number := func(name string, otherwise int) int {
		n, err := strconv.Atoi(cmp.Or(os.Getenv(name), fmt.Sprint(otherwise)))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	host, seed := serve(t), number("SEED", 1)
	for n := range number("FOLDERS", 200) {
		random := rand.New(rand.NewPCG(uint64(seed), uint64(n)))
		dir, want := t.TempDir(), map[string]string{"app.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"}
		words := []string{"a", "b.yaml", "..c", "d..", "e f", "ü", "世", "-g", "%h", "i\tj", "k\nl", "$m", strings.Repeat("n", 120), "o'\"", "~p", "PaxHeaders.0"}
		for range random.IntN(20) {
			name := words[random.IntN(len(words))]
			for range random.IntN(4) {
				name += "/" + words[random.IntN(len(words))]
			}
			data := make([]byte, random.IntN(3)*random.IntN(1000))
			for i := range data {
				data[i] = byte(random.Uint32())
			}
			want[name] = string(data)
		}
		for name, data := range want {
			file := filepath.Join(dir, filepath.FromSlash(name))
			// One name may be a folder of another.
			if os.MkdirAll(filepath.Dir(file), 0o755) != nil || os.WriteFile(file, []byte(data), os.FileMode(0o400|random.Uint32()&0o377)) != nil {
				delete(want, name)
			}
		}
		refused := ""
		for name := range want {
			if strings.HasPrefix(name, ".") || strings.Contains(name, "/.") {
				delete(want, name) // hidden
				continue
			}
			if strings.Contains(name, "../") { // as in d../a: Flux would refuse it all
				refused = name
			}
		}
		var out, errs bytes.Buffer
		code := cli.Main([]string{"push", fmt.Sprintf("oci://%s/apps:v%d", host, n), "-f", dir}, nil, &out, &errs)
		if refused != "" {
			if code == 0 || !strings.Contains(errs.String(), "file name") {
				t.Fatalf("folder %d: exit code %d with %q: %s", n, code, refused, errs.String())
			}
			continue
		}
		if code != 0 {
			t.Fatalf("folder %d: exit code %d: %s", n, code, errs.String())
		}
		fetched, _ := pull(t, fmt.Sprintf("%s/apps:v%d", host, n))
		got := map[string]string{}
		err := filepath.WalkDir(fetched, func(file string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			name, err := filepath.Rel(fetched, file)
			got[filepath.ToSlash(name)] = read(t, file)
			return err
		})
		if d := gocmp.Diff(want, got); d != "" || err != nil {
			t.Fatalf("folder %d: %v (-folder +what Flux unpacks)\n%s", n, err, d)
		}
	}
}
