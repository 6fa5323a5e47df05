package load_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oneloop-dev/oneloop/pkg/load"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// folder makes files that each hold manifests of the given names.
func folder(t *testing.T, files map[string]string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, content := range files {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func manifest(names ...string) string {
	var docs []string
	for _, n := range names {
		docs = append(docs, fmt.Sprintf("apiVersion: v1\nkind: X\nmetadata:\n  name: %s\n", n))
	}
	return strings.Join(docs, "---\n")
}

func names(rs []*resource.Resource) []string {
	var out []string
	for _, r := range rs {
		out = append(out, r.Origin().String()+" "+r.ID().Name)
	}
	return out
}

func TestFiles(t *testing.T) {
	folder(t, map[string]string{
		"b.yaml":              manifest("b1", "b2"),
		"a/z.yml":             manifest("z"),
		"a/b/x.json":          `{"apiVersion": "v1", "kind": "X", "metadata": {"name": "x"}}`,
		"a-b/q.yaml":          manifest("q"),
		"a/readme.md":         "not: [yaml",
		"a/.hidden/h.yaml":    manifest("h"),
		"a/.hidden.yaml":      manifest("h"),
		"policies/p1.policy":  manifest("p1"),
		"policies/[odd].yaml": manifest("odd"),
	})
	for _, tt := range []struct {
		args []string
		want []string
	}{
		{[]string{"b.yaml"}, []string{"b.yaml:1 b1", "b.yaml:6 b2"}},
		{[]string{"policies/p1.policy"}, []string{"policies/p1.policy:1 p1"}},
		{[]string{"policies/[odd].yaml"}, []string{"policies/[odd].yaml:1 odd"}},
		{[]string{"."}, []string{"./a/b/x.json:1 x", "./a/z.yml:1 z", "./a-b/q.yaml:1 q", "./b.yaml:1 b1", "./b.yaml:6 b2", "./policies/[odd].yaml:1 odd"}},
		{[]string{"a/"}, []string{"a/b/x.json:1 x", "a/z.yml:1 z"}},
		{[]string{"a/.hidden"}, []string{"a/.hidden/h.yaml:1 h"}},
		{[]string{"a/*.yml", "**/x.json", "a*"}, []string{"a/z.yml:1 z", "a/b/x.json:1 x", "a-b/q.yaml:1 q"}},
		{[]string{"policies/*"}, []string{"policies/[odd].yaml:1 odd"}},
		{[]string{"policies/*.p*"}, []string{"policies/p1.policy:1 p1"}},
		{[]string{"**/*.yaml"}, []string{"a-b/q.yaml:1 q", "b.yaml:1 b1", "b.yaml:6 b2", "policies/[odd].yaml:1 odd"}},
		{[]string{"a/**"}, []string{"a/b/x.json:1 x", "a/z.yml:1 z"}},
		{[]string{"-", "b.yaml", "./b.yaml"}, []string{"-:2 in", "b.yaml:1 b1", "b.yaml:6 b2"}},
	} {
		rs, err := load.Files(tt.args, strings.NewReader("# comment\n"+manifest("in")))
		if err != nil {
			t.Errorf("%v: %v", tt.args, err)
			continue
		}
		if d := cmp.Diff(tt.want, names(rs)); d != "" {
			t.Errorf("%v (-want +got):\n%s", tt.args, d)
		}
	}
}

func TestLinkedFolders(t *testing.T) {
	folder(t, map[string]string{"shared/team/a.yaml": manifest("a"), "app/b.yaml": manifest("b"), "loop/c.yaml": manifest("c")})
	for link, to := range map[string]string{"app/team": "../shared/team", "loop/self": "../loop"} {
		if err := os.Symlink(to, link); err != nil {
			t.Fatal(err)
		}
	}
	rs, err := load.Files([]string{"app"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"app/b.yaml:1 b", "app/team/a.yaml:1 a"}, names(rs)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	_, err = load.Files([]string{"loop"}, nil)
	if d := cmp.Diff("loop/self: the link leads to a folder that it lies in; remove it, or name the files", fmt.Sprint(err)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// Who writes manifests does not choose what is read of the machine.
func TestLinksStayWhereTheyAre(t *testing.T) {
	secret := t.TempDir()
	if err := os.WriteFile(filepath.Join(secret, "token.yaml"), []byte("geheim"), 0o600); err != nil {
		t.Fatal(err)
	}
	folder(t, map[string]string{"file/a.yaml": manifest("a"), "folder/b.yaml": manifest("b"), "other/c.yaml": manifest("c"), "shared.yaml": manifest("s")})
	for link, to := range map[string]string{
		"file/link.yaml": filepath.Join(secret, "token.yaml"), "folder/sub": secret, "other/readme": filepath.Join(secret, "token.yaml"),
		"other/shared.yaml": "../shared.yaml", "named.yaml": filepath.Join(secret, "token.yaml"),
	} {
		if err := os.Symlink(to, link); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct{ arg, want string }{
		{"file", "file/link.yaml: the link leads out of the folder"},
		{"file/*.yaml", "file/link.yaml: the link leads out of the folder"},
		{"fi*", "file/link.yaml: the link leads out of the folder"},
		{"file/[l-m]*", "file/link.yaml: the link leads out of the folder"},
		{"folder", "folder/sub: the link leads out of the folder"},
		{"folder/**", "folder/sub: the link leads out of the folder"},
	} {
		if _, err := load.Files([]string{tt.arg}, nil); err == nil || !strings.HasPrefix(err.Error(), tt.want) || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: error %v, want %s", tt.arg, err, tt.want)
		}
		if _, err := load.Names([]string{tt.arg}); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%s: names: error %v, want %s", tt.arg, err, tt.want)
		}
	}
	rs, err := load.Files([]string{"other"}, nil)
	if d := cmp.Diff([]string{"other/c.yaml:1 c", "other/shared.yaml:1 s"}, names(rs)); err != nil || d != "" {
		t.Errorf("%v (-want +got):\n%s", err, d)
	}
	// What the user names is the user's to know.
	if _, err := load.Files([]string{"named.yaml"}, nil); err == nil || !strings.Contains(err.Error(), "geheim") {
		t.Errorf("named.yaml: error %v", err)
	}
}

func TestFilesFaults(t *testing.T) {
	folder(t, map[string]string{
		"bad.yaml":     "a: b\n\tc: d\n",
		"worse.yaml":   "a: [\n",
		"empty/readme": "",
		"nothing.yaml": "",
	})
	for _, tt := range []struct{ args, want string }{
		{"bad.yaml worse.yaml", "bad.yaml:2: tabs can't be used for indentation; use spaces\nworse.yaml:1: a flow collection has no end"},
		{"empty", "empty: the folder holds no *.yaml, *.yml or *.json file"},
		{"*.json", "*.json: no file matches"},
		{"[x", "[x: malformed pattern"},
		{"missing.yaml", "missing.yaml: file does not exist: expected a file, a folder, a glob such as policies/*.yaml, or -"},
		{"nothing.yaml", "<nil>"},
	} {
		_, err := load.Files(strings.Fields(tt.args), nil)
		if d := cmp.Diff(tt.want, fmt.Sprint(err)); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.args, d)
		}
	}
	if _, err := load.Files([]string{"missing"}, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want one that says that the file does not exist", err)
	}
}

func TestBelow(t *testing.T) {
	folder(t, map[string]string{
		"root/in.yaml":    manifest("in"),
		"root/sub/s.yaml": manifest("s"),
		"outside.yaml":    manifest("outside"),
		"outside/o.yaml":  manifest("outside"),
	})
	for link, to := range map[string]string{
		"root/link.yaml": "../outside.yaml", "root/folder": "../outside", "root/good.yaml": "in.yaml",
	} {
		if err := os.Symlink(to, link); err != nil {
			t.Fatal(err)
		}
	}
	rs, err := load.Below("root", []string{"in.yaml", "./sub", "s*/*.yaml", "good.yaml"})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"in.yaml:1 in", "./sub/s.yaml:1 s", "good.yaml:1 in"}, names(rs)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if text, err := load.FileBelow("root", "good.yaml"); err != nil || string(text) != manifest("in") {
		t.Errorf("FileBelow = %q, %v", text, err)
	}
	outside, err := filepath.Abs("outside.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"../outside.yaml", outside, "sub/../../outside.yaml", "link.yaml", "folder/o.yaml", "folder", "-"} {
		rs, err := load.Below("root", []string{name})
		if err == nil {
			t.Errorf("%s: read %v from outside", name, names(rs))
		}
		if text, err := load.FileBelow("root", name); err == nil {
			t.Errorf("%s: read %q from outside", name, text)
		}
	}
}

func TestNames(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range []string{"app/web.yaml", "app/notes.txt", "app/.hidden/x.yaml"} {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte("a: 1\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("web.yaml", "app/also.yaml"); err != nil {
		t.Skipf("no symbolic links here: %v", err)
	}
	names, err := load.Names([]string{"app", "./app/web.yaml"})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{filepath.Join("app", "also.yaml")}, names); d != "" {
		t.Errorf("one file is read once (-want +got):\n%s", d)
	}
	if _, err := load.Names([]string{"-"}); err == nil || !strings.Contains(err.Error(), "standard input can't be named here") {
		t.Errorf("got %v", err)
	}
}
