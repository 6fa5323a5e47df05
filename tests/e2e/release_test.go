//go:build e2e

package e2e

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// TestRelease makes a release in two copies of the source, and compares.
func TestRelease(t *testing.T) {
	host := runtime.GOOS + "/" + runtime.GOARCH
	listed, err := exec.Command("git", "-C", "../..", "ls-files", "-z", "--cached", "--others", "--exclude-standard").Output()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	var releases []map[string][]byte
	for range 2 {
		source := t.TempDir()
		for name := range strings.SplitSeq(strings.TrimSuffix(string(listed), "\x00"), "\x00") {
			copyFile(t, filepath.Join("../..", name), filepath.Join(source, name))
		}
		cmd := exec.Command("go", "run", "./tests/tools/release", "-version", "v1.2.3-rc.1", "-platforms", host)
		cmd.Dir = source
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		releases = append(releases, folder(t, filepath.Join(source, "dist/release")))
	}
	first, second := releases[0], releases[1]
	for name, data := range first {
		if !bytes.Equal(data, second[name]) {
			t.Errorf("%s differs from one copy of the source to the other", name)
		}
	}
	base := "oneloop_1.2.3-rc.1_" + strings.ReplaceAll(host, "/", "_")
	archive := base + ".tar.gz"
	if runtime.GOOS == "windows" {
		archive = base + ".zip"
	}
	want := ""
	for _, name := range []string{"oneloop.krew.yaml", base + ".cdx.json", archive} {
		want += fmt.Sprintf("%x  %s\n", sha256.Sum256(first[name]), name)
	}
	if diff := cmp.Diff(want, string(first["SHA256SUMS"])); diff != "" {
		t.Errorf("SHA256SUMS (-want +got)\n%s", diff)
	}

	files := unpack(t, archive, first[archive])
	for _, name := range []string{"LICENSE", "README.md", "CHANGELOG.md", "man/oneloop-render.1", "completion/oneloop.zsh"} {
		if len(files[name]) == 0 {
			t.Errorf("the archive has no %s", name)
		}
	}
	program := filepath.Join(t.TempDir(), "oneloop.exe")
	name := "oneloop"
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	if err := os.WriteFile(program, files[name], 0o755); err != nil {
		t.Fatal(err)
	}
	version, err := exec.Command(program, "--version").CombinedOutput()
	if err != nil || !strings.Contains(string(version), "v1.2.3-rc.1") {
		t.Errorf("--version: %v, %s", err, version)
	}
	checkSBOM(t, program, first[base+".cdx.json"])

	var plugin struct {
		Spec struct {
			Version   string
			Platforms []struct {
				Selector         struct{ MatchLabels map[string]string }
				URI, SHA256, Bin string
			}
		}
	}
	if err := yaml.Unmarshal(first["oneloop.krew.yaml"], &plugin); err != nil {
		t.Fatal(err)
	}
	spec := plugin.Spec
	if spec.Version != "v1.2.3-rc.1" || len(spec.Platforms) != 1 {
		t.Fatalf("krew: version %s and %d platforms", spec.Version, len(spec.Platforms))
	}
	p := spec.Platforms[0]
	if p.SHA256 != fmt.Sprintf("%x", sha256.Sum256(first[archive])) || p.Bin != name ||
		!strings.HasSuffix(p.URI, "/v1.2.3-rc.1/"+archive) || p.Selector.MatchLabels["os"] != runtime.GOOS {
		t.Errorf("krew: %+v", p)
	}
}

// checkSBOM compares the components with the modules that go version finds.
func checkSBOM(t *testing.T, program string, text []byte) {
	t.Helper()
	var bom struct {
		BOMFormat  string
		Components []struct{ Name, Version string }
	}
	if err := json.Unmarshal(text, &bom); err != nil || bom.BOMFormat != "CycloneDX" {
		t.Fatalf("%v, %s", err, text)
	}
	got := map[string]string{}
	for _, c := range bom.Components {
		got[c.Name] = c.Version
	}
	modules, err := exec.Command("go", "version", "-m", program).Output()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"stdlib": strings.TrimPrefix(runtime.Version(), "go")}
	for line := range strings.Lines(string(modules)) {
		if f := strings.Fields(line); len(f) > 2 && f[0] == "dep" {
			want[f[1]] = f[2]
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("components (-want +got)\n%s", diff)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if os.IsNotExist(err) {
		return // deleted, and not yet committed
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func folder(t *testing.T, path string) map[string][]byte {
	t.Helper()
	entries, err := os.ReadDir(path)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for _, e := range entries {
		if out[e.Name()], err = os.ReadFile(filepath.Join(path, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// unpack returns the files of an archive by name.
func unpack(t *testing.T, name string, data []byte) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	add := func(name string, r io.Reader) {
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		out[name] = text
	}
	if strings.HasSuffix(name, ".zip") {
		z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range z.File {
			r, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			add(f.Name, r)
		}
		return out
	}
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	r := tar.NewReader(z)
	for {
		h, err := r.Next()
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		add(h.Name, r)
	}
}
