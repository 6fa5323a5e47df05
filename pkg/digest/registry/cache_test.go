package registry_test

import (
	"io/fs"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/oneloop-dev/oneloop/pkg/digest/registry"
)

// filesBelow lists the files in a folder, with what they hold.
func filesBelow(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(name)
		relative, _ := filepath.Rel(dir, name)
		out[relative] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestCache(t *testing.T) {
	s := serve(t, httptest.NewServer, nil)
	index, children := pushIndex(t, s.host+"/team/multi:1")
	tag := tagOf(t, s.host+"/team/multi:1")
	dir := filepath.Join(t.TempDir(), "made", "when needed")
	inspect := func(ref string) error {
		t.Helper()
		s.reset()
		d := tag.Context().Digest(ref)
		image, err := newRegistry(s, registry.WithCache(dir)).Inspect(t.Context(), d)
		if err == nil && (image.Digest.DigestStr() != ref || image.Config.(map[string]any)["architecture"] != "amd64") {
			t.Errorf("Inspect(%s) = %s, %v", d, image.Digest, image.Config)
		}
		return err
	}
	if err := inspect(index); err != nil {
		t.Fatal(err)
	}
	files := filesBelow(t, dir)
	if len(files) != 3 { // the index, the manifest, the configuration
		t.Errorf("the cache has %d files, want 3", len(files))
	}
	for _, d := range []string{index, children["amd64"]} {
		if _, ok := files["blobs/sha256/"+strings.TrimPrefix(d, "sha256:")]; !ok {
			t.Errorf("the cache has no file for %s", d)
		}
	}

	// By digest there is nothing left to ask for.
	if err := inspect(index); err != nil || len(s.requests) != 0 {
		t.Errorf("the second time: %v, with the requests %v", err, s.requests)
	}
	// A tag is asked for each time, the rest is known.
	s.reset()
	if _, err := newRegistry(s, registry.WithCache(dir)).Inspect(t.Context(), tag); err != nil {
		t.Fatal(err)
	}
	if s.count("GET /v2/team/multi/manifests/1") != 1 || s.count("GET /v2/team/multi/manifests/"+children["amd64"]) != 0 {
		t.Errorf("for the tag: %v", s.requests)
	}

	// What was changed is as good as not there, and is replaced.
	for name := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(`{"schemaVersion":2}`), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := inspect(index); err != nil {
		t.Fatal(err)
	}
	for name, text := range filesBelow(t, dir) {
		if text != files[name] {
			t.Errorf("%s was not replaced", name)
		}
	}

	// A folder that can't be written to is an error: the user asked for it.
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	dir = file
	if err := inspect(index); err == nil || !strings.Contains(err.Error(), "the cache: ") {
		t.Errorf("error = %v, want one about the cache", err)
	}
}
