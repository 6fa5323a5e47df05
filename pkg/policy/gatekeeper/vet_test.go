package gatekeeper_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/oneloop-dev/oneloop/pkg/pipeline"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/gatekeeper"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// TestVet wants the findings that the comments of the file name, each on its line,
// and no others. A comment is # want "regular expression", of "severity: message
// [check]".
func TestVet(t *testing.T) {
	const file = "testdata/vet/mutators.yaml"
	comment := regexp.MustCompile(`# want "(.*)"$`)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	docs, err := resource.Parse(file, text)
	if err != nil {
		t.Fatal(err)
	}
	wants, met := map[int]*regexp.Regexp{}, map[int]bool{}
	for i, line := range strings.Split(string(text), "\n") {
		if m := comment.FindStringSubmatch(line); m != nil {
			wants[i+1] = regexp.MustCompile(strings.ReplaceAll(m[1], `\"`, `"`))
		}
	}
	for _, f := range pipeline.Vet([]policy.Language{gatekeeper.Language}, docs) {
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
}
