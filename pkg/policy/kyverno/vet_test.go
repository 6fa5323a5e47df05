package kyverno_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/oneloop-dev/oneloop/pkg/builtin"
	"github.com/oneloop-dev/oneloop/pkg/pipeline"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// TestVet wants the findings that the comments of testdata/vet name, each on
// its line, and no others. A comment is
//
//	# want "regular expression" ...
//
// or # want -1 "..." for the line above, where the finding has no comment of its
// own. It matches "severity: message [check]".
func TestVet(t *testing.T) {
	files, err := filepath.Glob("testdata/vet/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			docs, err := resource.Parse(file, text)
			if err != nil {
				t.Fatal(err)
			}
			wants := wantsOf(t, string(text))
			for _, f := range pipeline.Vet(builtin.Languages, docs) {
				line := f.Origin().Line
				got := fmt.Sprintf("%s: %s [%s]", f.Severity, f.Message, f.Check)
				found := false
				for i, w := range wants[line] {
					if found = w.MatchString(got); found {
						wants[line] = append(wants[line][:i:i], wants[line][i+1:]...)
						break
					}
				}
				if !found {
					t.Errorf("%s:%d: unexpected %s (at %s)", file, line, got, f.Path)
				}
			}
			for line, left := range wants {
				for _, w := range left {
					t.Errorf("%s:%d: nothing matches %q", file, line, w)
				}
			}
		})
	}
}

// wantsOf reads the comments, by the line that they are about.
func wantsOf(t *testing.T, text string) map[int][]*regexp.Regexp {
	t.Helper()
	comment := regexp.MustCompile(`# want (-?\d+ )?(".*)`)
	quoted := regexp.MustCompile(`"[^"]*"`)
	out := map[int][]*regexp.Regexp{}
	for i, line := range strings.Split(text, "\n") {
		m := comment.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		offset := 0
		if m[1] != "" {
			var err error
			if offset, err = strconv.Atoi(strings.TrimSpace(m[1])); err != nil {
				t.Fatal(err)
			}
		}
		for _, q := range quoted.FindAllString(m[2], -1) {
			out[i+1+offset] = append(out[i+1+offset], regexp.MustCompile(strings.Trim(q, `"`)))
		}
	}
	return out
}

// FuzzVet looks for policies that vet does not come back from.
func FuzzVet(f *testing.F) {
	files, err := filepath.Glob("testdata/vet/*.yaml")
	if err != nil || len(files) == 0 {
		f.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
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
		for _, finding := range pipeline.Vet(builtin.Languages, docs) {
			if finding.Message == "" || finding.Check == "" {
				t.Errorf("%+v says nothing", finding)
			}
		}
	})
}
