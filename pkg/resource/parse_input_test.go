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

func TestCompleteTellsWhatIsMissing(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"apiVersion: v1\nkind: A\nmetadata:\n  name: x\n", ""},
		{"apiVersion: v1\nkind: A\nmetadata:\n  generateName: x-\n", ""},
		{"kind: A\nmetadata:\n  name: x\n", "in.yaml:1: expected a Kubernetes manifest, but apiVersion is missing"},
		{"apiVersion: v1\nmetadata:\n  name: x\n", "in.yaml:1: expected a Kubernetes manifest, but kind is missing"},
		{"apiVersion: v1\nkind: A\n", "in.yaml:1: expected a Kubernetes manifest, but metadata.name is missing"},
		{"apiVersion: v1\nkind: A\nmetadata:\n  name: y\n", ""},
		{"apiVersion: v1\nkind: A\nmetadata:\n  name: true\n", "in.yaml:4: expected a Kubernetes manifest, but metadata.name is the boolean true; quote it to make it a string"},
		{"apiVersion: v1\nkind: A\nmetadata:\n  name: 12\n", "in.yaml:4: expected a Kubernetes manifest, but metadata.name is the number 12; quote it to make it a string"},
	} {
		rs, err := resource.Parse("in.yaml", []byte(tt.text))
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if err := rs[0].Complete(); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.text, got, tt.want)
		}
	}
}
