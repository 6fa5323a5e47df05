package kyvernocel_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/oneloop-dev/oneloop/pkg/pipeline"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyvernocel"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// TestVet wants the findings that the comments of testdata/vet name, each on its
// line, and no others. A comment is # want "regular expression", or # want -1
// "..." for the line above. It matches "severity: message [check]".
func TestVet(t *testing.T) {
	comment := regexp.MustCompile(`# want (-1 )?"(.*)"$`)
	for _, file := range vetFiles(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			docs, err := resource.Parse(file, text)
			if err != nil {
				t.Fatal(err)
			}
			wants := map[int]*regexp.Regexp{}
			for i, line := range strings.Split(string(text), "\n") {
				if m := comment.FindStringSubmatch(line); m != nil {
					at := i + 1
					if m[1] != "" {
						at--
					}
					wants[at] = regexp.MustCompile(m[2])
				}
			}
			met := map[int]bool{}
			for _, f := range pipeline.Vet([]policy.Language{kyvernocel.Language}, docs) {
				line := f.Origin().Line
				got := fmt.Sprintf("%s: %s [%s]", f.Severity, f.Message, f.Check)
				if w := wants[line]; w != nil && w.MatchString(got) {
					met[line] = true
				} else {
					t.Errorf("%s:%d: unexpected %s (at %s)", file, line, got, f.Path)
				}
			}
			for line, w := range wants {
				if !met[line] {
					t.Errorf("%s:%d: nothing matches %q", file, line, w)
				}
			}
		})
	}
}

func vetFiles(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/vet/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	return files
}

// FuzzVet looks for documents that reading, compiling or looking through does not
// come back from.
func FuzzVet(f *testing.F) {
	for _, file := range vetFiles(f) {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for doc := range strings.SplitSeq(string(text), "\n---\n") {
			f.Add(doc)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		docs, err := resource.Parse("f", []byte(text))
		if err != nil {
			return
		}
		for _, finding := range pipeline.Vet([]policy.Language{kyvernocel.Language}, docs) {
			if finding.Message == "" || finding.Check == "" {
				t.Errorf("%+v says nothing", finding)
			}
		}
	})
}
