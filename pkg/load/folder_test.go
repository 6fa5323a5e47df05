package load_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oneloop-dev/oneloop/pkg/load"
)

// plant writes files and, where the text begins with "-> ", links.
func plant(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if to, ok := strings.CutPrefix(text, "-> "); ok {
			err = os.Symlink(to, name)
		} else {
			err = os.WriteFile(name, []byte(text), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestFolder(t *testing.T) {
	dir := plant(t, map[string]string{
		"b.yaml": "b", "a/b/c.txt": "c", "a/.sourceignore": "x", ".git/config": "y", ".env": "z", "a/.hidden/d.yaml": "d",
		"link.yaml": "-> a/b/c.txt", "a/up.yaml": "-> ../b.yaml", "twice.yaml": "-> link.yaml",
	})
	files, hidden, err := load.Folder(dir, ".sourceignore")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for name, data := range files {
		got[name] = string(data)
	}
	want := map[string]string{"b.yaml": "b", "a/b/c.txt": "c", "a/.sourceignore": "x", "link.yaml": "c", "a/up.yaml": "b", "twice.yaml": "c"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	if d := cmp.Diff([]string{".env", ".git", "a/.hidden"}, hidden); d != "" {
		t.Errorf("hidden (-want +got)\n%s", d)
	}
}

func TestFolderRefuses(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(outside, []byte("s3cret"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := plant(t, map[string]string{
		"a.yaml": "a", "away.yaml": "-> " + outside, "up.yaml": "-> ../x/../" + filepath.Base(outside), "broken.yaml": "-> gone", "sub": "-> .", "loop": "-> loop",
	})
	socket, err := net.Listen("unix", filepath.Join(dir, "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	_, _, err = load.Folder(dir)
	if err == nil {
		t.Fatal("no error")
	}
	for name, want := range map[string]string{
		"away.yaml":   "the link leads out of the folder, or nowhere: put the file in its place",
		"up.yaml":     "the link leads out of the folder",
		"broken.yaml": "the link leads out of the folder, or nowhere",
		"loop":        "the link leads out of the folder, or nowhere",
		"sub":         "the link leads to a folder: put its files in its place",
		"socket":      "it is S---------: expected a regular file",
	} {
		if want := filepath.Join(dir, name) + ": " + want; !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in\n%v", want, err)
		}
	}
	if _, _, err := load.Folder(filepath.Join(dir, "a.yaml")); err == nil {
		t.Error("a file is no folder")
	}
}
