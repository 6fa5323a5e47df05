package resource_test

import (
	"strings"
	"testing"

	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// Examples on web pages are indented with no-break spaces.
func TestParseReadsNoBreakSpacesInIndentation(t *testing.T) {
	rs, err := resource.Parse("page.yaml", []byte("kind: A\nmetadata:\n\u00a0 name: x\n\u00a0 labels:\u00a0\n\u00a0 \u00a0 b: c\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := rs[0].ID().Name; got != "x" {
		t.Errorf("name %q, want x", got)
	}
}

// They stay where the text can be read with them.
func TestParseKeepsNoBreakSpacesOfValues(t *testing.T) {
	const text = "kind: A\ndata:\n  page: |\n    \u00a0indented\n"
	rs, err := resource.Parse("page.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	got, err := rs[0].AppendYAML(nil)
	if err != nil || string(got) != text {
		t.Errorf("got %q, %v, want the text as it was", got, err)
	}
}

// An error that has nothing to do with them is the one of the text as it is.
func TestParseErrorBesidesNoBreakSpaces(t *testing.T) {
	_, err := resource.Parse("page.yaml", []byte("kind: A\nmetadata:\n\u00a0 name: [x\n"))
	if err == nil || !strings.Contains(err.Error(), "page.yaml:") {
		t.Errorf("got %v, want an error of page.yaml", err)
	}
}
