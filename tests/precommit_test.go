package tests

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/oneloop-dev/oneloop/pkg/cli"
)

// TestPreCommitOfTheDocs runs the hooks that the page configures as pre-commit
// does: the entry, then the arguments, without the names of files. They pass in
// the example, and fail when its lock or its policies are at fault.
func TestPreCommitOfTheDocs(t *testing.T) {
	var hooks []struct {
		ID, Name, Description, Language, Entry, Files string
		PassFilenames                                 *bool `json:"pass_filenames"`
	}
	if err := yaml.UnmarshalStrict([]byte(read(t, "../.pre-commit-hooks.yaml")), &hooks); err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindStringSubmatch(read(t, "../docs/with-pre-commit.md"))
	if block == nil {
		t.Fatal("the page shows no configuration")
	}
	var config struct {
		Repos []struct {
			Repo, Rev string
			Hooks     []struct {
				ID   string
				Args []string
			}
		}
	}
	if err := yaml.UnmarshalStrict([]byte(block[1]), &config); err != nil {
		t.Fatal(err)
	}
	args := map[string][]string{}
	for _, repo := range config.Repos {
		for _, hook := range repo.Hooks {
			args[hook.ID] = hook.Args
		}
	}

	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../examples/argocd-demo")); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	run := func(entry string, args []string) (int, string) {
		words := strings.Fields(entry)
		if words[0] != "oneloop" {
			t.Fatalf("entry %q does not start the program", entry)
		}
		var out bytes.Buffer
		code := cli.Main(append(words[1:], args...), strings.NewReader(""), &out, &out)
		return code, out.String()
	}
	each := func(want map[string]int) {
		t.Helper()
		for _, hook := range hooks {
			if hook.PassFilenames == nil || *hook.PassFilenames {
				t.Errorf("%s: names of files would follow the arguments", hook.ID)
			}
			if !regexp.MustCompile(hook.Files).MatchString("policies/no-token.yaml") {
				t.Errorf("%s: does not run when a policy changes", hook.ID)
			}
			given, shown := args[hook.ID]
			if !shown {
				t.Errorf("%s: not on the page", hook.ID)
			}
			if code, out := run(hook.Entry, given); code != want[hook.ID] {
				t.Errorf("%s: exit code %d, want %d\n%s", hook.ID, code, want[hook.ID], out)
			}
		}
		if len(args) != len(hooks) {
			t.Errorf("the page shows %d hooks, there are %d", len(args), len(hooks))
		}
	}
	each(map[string]int{})

	web := read(t, "base/web.yaml")
	replace(t, "base/web.yaml", web, "shop/web:1.4.2", "shop/web:1.4.3")
	if code, out := run("oneloop lock --check --offline", args["oneloop-lock"]); code == 0 || !strings.Contains(out, "shop/web:1.4.3") {
		t.Errorf("a lock without the image: exit code %d\n%s", code, out)
	}
	replace(t, "policies/no-token.yaml", read(t, "policies/no-token.yaml"), "mutate:", "mutated:")
	if code, out := run("oneloop vet", args["oneloop-vet"]); code == 0 {
		t.Errorf("a policy with an unknown field: exit code %d\n%s", code, out)
	}
}

func replace(t *testing.T, file, text, old, with string) {
	t.Helper()
	if !strings.Contains(text, old) {
		t.Fatalf("%s does not say %q", file, old)
	}
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(text, old, with)), 0o644); err != nil {
		t.Fatal(err)
	}
}
