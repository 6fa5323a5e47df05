package tests

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// block is a piece of a page: a file, which the text before it names, or
// commands with what they print.
var block = regexp.MustCompile("(?s)```(yaml|console)\n(.*?)```")

// named is the last name of a file in a text.
var named = regexp.MustCompile("`([a-z/.-]+\\.yaml)`")

// TestTutorial turns pages into scripts and runs them.
func TestTutorial(t *testing.T) {
	for page, steps := range map[string]int{"tutorial": 10, "semantics": 3} {
		t.Run(page, func(t *testing.T) { tutorial(t, read(t, "../docs/"+page+".md"), steps) })
	}
}

func tutorial(t *testing.T, page string, atLeast int) {
	var script, files strings.Builder
	end, steps := 0, 0
	for _, m := range block.FindAllStringSubmatchIndex(page, -1) {
		before, language, text := page[end:m[0]], page[m[2]:m[3]], page[m[4]:m[5]]
		end = m[1]
		if language == "yaml" {
			names := named.FindAllStringSubmatch(before, -1)
			if len(names) == 0 {
				t.Fatalf("no name for the file\n%s", text)
			}
			// A file is there from its place on.
			name := names[len(names)-1][1]
			fmt.Fprintf(&script, "mkdir %s\ncp $WORK/files/%s %s\n", filepath.Dir(name), name, name)
			fmt.Fprintf(&files, "-- files/%s --\n%s", name, text)
			continue
		}
		for _, command := range strings.Split(text, "$ ")[1:] {
			line, want, _ := strings.Cut(command, "\n")
			steps++
			fmt.Fprintf(&script, "exec sh $WORK/files/step%d.sh\ncmp stdout $WORK/files/want%d\n", steps, steps)
			fmt.Fprintf(&files, "-- files/step%d.sh --\nexec 2>&1\n%s\nexit 0\n-- files/want%d --\n%s", steps, line, steps, want)
		}
	}
	if steps < atLeast {
		t.Fatalf("only %d commands", steps)
	}
	archive := "mkdir work\ncd work\n" + script.String() + files.String()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "tutorial.txtar"), []byte(archive), 0o600); err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{Dir: dir, RequireExplicitExec: true})
}
