package fieldpath_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
)

func p(steps ...any) fieldpath.Path {
	var out fieldpath.Path
	for _, s := range steps {
		switch s := s.(type) {
		case string:
			out = append(out, fieldpath.Key(s))
		case int:
			out = append(out, fieldpath.Index(s))
		}
	}
	return out
}

func same(a, b fieldpath.Path) bool { return fieldpath.Compare(a, b) == 0 }

func TestString(t *testing.T) {
	tests := []struct {
		path          fieldpath.Path
		text, pointer string
	}{
		{nil, "", ""},
		{p("spec", "replicas"), "spec.replicas", "/spec/replicas"},
		{p("spec", "containers", 0, "image"), "spec.containers[0].image", "/spec/containers/0/image"},
		{p(0), "[0]", "/0"},
		{p(0, 1, "a"), "[0][1].a", "/0/1/a"},
		{p("metadata", "annotations", "example.com/team"), `metadata.annotations["example.com/team"]`, "/metadata/annotations/example.com~1team"},
		{p("a", "", "b"), `a[""].b`, "/a//b"},
		{p("~x/y"), `["~x/y"]`, "/~0x~1y"},
		{p("say \"hi\"\n"), `["say \"hi\"\n"]`, "/say \"hi\"\n"},
		{p("[0]"), `["[0]"]`, "/[0]"},
		{p("0"), "0", "/0"},
		{p("ключ", "-"), "ключ.-", "/ключ/-"},
	}
	for _, tt := range tests {
		if got := tt.path.String(); got != tt.text {
			t.Errorf("text %s, want %s", got, tt.text)
		}
		if got := tt.path.Pointer(); got != tt.pointer {
			t.Errorf("pointer %s, want %s", got, tt.pointer)
		}
		back, err := fieldpath.Parse(tt.text)
		if err != nil || !same(back, tt.path) {
			t.Errorf("%s reads back as %v (%v)", tt.text, back, err)
		}
	}
}

func TestParseFaults(t *testing.T) {
	for text, want := range map[string]string{
		".a":                      "must be written as",
		"a.":                      "expected a key after the dot",
		"a..b":                    "expected a key after the dot",
		"a.[0]":                   "expected a key after the dot",
		"a[":                      "unterminated [",
		"a[0":                     "unterminated [",
		"a[x]":                    "expected an index or a quoted key",
		"a[-1]":                   "expected an index or a quoted key",
		"a[+1]":                   "expected an index or a quoted key",
		`a["x]`:                   "unterminated quoted key",
		`a["x"`:                   "expected ]",
		`a["x"y]`:                 "expected ]",
		"a[0]b":                   "expected a dot or a bracket",
		"a b":                     "must be written as",
		`a]`:                      "must be written as",
		"a[99999999999999999999]": "expected an index or a quoted key",
	} {
		_, err := fieldpath.Parse(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want one that says %q", text, err, want)
		}
	}
}

func TestGet(t *testing.T) {
	root := map[string]any{"a": []any{map[string]any{"b": nil}, "x"}, "0": "zero"}
	tests := []struct {
		path fieldpath.Path
		want any
		ok   bool
	}{
		{nil, root, true},
		{p("a", 1), "x", true},
		{p("a", 0, "b"), nil, true},
		{p("a", 0, "c"), nil, false},
		{p("a", 2), nil, false},
		{p("a", "0"), nil, false},
		{p(0), nil, false},
		{p("0"), "zero", true},
		{p("a", 1, "x"), nil, false},
	}
	for _, tt := range tests {
		got, ok := fieldpath.Get(root, tt.path)
		if d := cmp.Diff(tt.want, got); d != "" || ok != tt.ok {
			t.Errorf("%s: %v, %v; want %v, %v", tt.path, got, ok, tt.want, tt.ok)
		}
	}
}

func TestCompare(t *testing.T) {
	sorted := []fieldpath.Path{
		nil, p(2), p(2, "a"), p(10), p("a"), p("a", 0), p("a", 9, "z"), p("a", 10), p("a", "0"), p("a", "b"), p("b"),
	}
	shuffled := slices.Clone(sorted)
	slices.Reverse(shuffled)
	slices.SortFunc(shuffled, fieldpath.Compare)
	if !slices.EqualFunc(sorted, shuffled, same) {
		t.Errorf("got %v, want %v", shuffled, sorted)
	}
}

func TestChildSharesNothing(t *testing.T) {
	base := make(fieldpath.Path, 0, 8)
	base = append(base, fieldpath.Key("a"))
	x, y := base.Key("x"), base.Index(1)
	if x.String() != "a.x" || y.String() != "a[1]" {
		t.Errorf("got %s and %s", x, y)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "a", "a.b[0]", `a["x.y"][1].z`, `["\u00e9"]`, "a..b", "[0][1]", "\xff", "a\x00b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		path, err := fieldpath.Parse(text)
		if err != nil {
			return
		}
		printed := path.String()
		back, err := fieldpath.Parse(printed)
		if err != nil || !same(back, path) {
			t.Fatalf("%q prints as %q, which reads back as %v (%v)", text, printed, back, err)
		}
	})
}
