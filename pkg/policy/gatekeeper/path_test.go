package gatekeeper

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseLocation(t *testing.T) {
	field := func(s string) node { return node{field: s} }
	list := func(key string, value any) node { return node{field: key, list: true, key: value} }
	for _, tt := range []struct {
		text string
		want location
	}{
		{"spec", location{field("spec")}},
		{"spec.replicas", location{field("spec"), field("replicas")}},
		{"spec.containers[name: web].image", location{field("spec"), field("containers"), list("name", "web"), field("image")}},
		{"spec.containers[name: *]", location{field("spec"), field("containers"), list("name", nil)}},
		// An integer is one only without quotes.
		{"ports[containerPort: 8080]", location{field("ports"), list("containerPort", int64(8080))}},
		{`ports[containerPort: "8080"]`, location{field("ports"), list("containerPort", "8080")}},
		{"a[b: 007].c", location{field("a"), list("b", int64(7)), field("c")}},
		// So is a star.
		{"a[b: '*'].c", location{field("a"), list("b", "*"), field("c")}},
		{`metadata.labels."example.com/team"`, location{field("metadata"), field("labels"), field("example.com/team")}},
		{`a.'it\'s'."\\\""`, location{field("a"), field("it's"), field(`\"`)}},
		{`"".''`, location{field(""), field("")}},
		{"a-b_c.D9", location{field("a-b_c"), field("D9")}},
		{`"9a"[ "k" : 'v' ]`, location{field("9a"), list("k", "v")}},
		// Space does not count.
		{" a\n. b [\tc :d ]\r\n", location{field("a"), field("b"), list("c", "d")}},
	} {
		got, err := parseLocation(tt.text)
		if d := cmp.Diff(tt.want, got, cmp.AllowUnexported(node{})); err != nil || d != "" {
			t.Errorf("%q: %v (-want +got)\n%s", tt.text, err, d)
			continue
		}
		// The short form says the same.
		back, err := parseLocation(got.String())
		if d := cmp.Diff(got, back, cmp.AllowUnexported(node{})); err != nil || d != "" {
			t.Errorf("%q as %q: %v (-want +got)\n%s", tt.text, got, err, d)
		}
	}
}

func TestParseLocationFaults(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"", "at character 1: expected a field name, found the end"},
		{".a", `at character 1: expected a field name, found "."`},
		{"a.", "at character 3: expected a field name, found the end"},
		{"a..b", `at character 3: expected a field name, found "."`},
		{"a b", `at character 3: expected "." or the end, found "b"`},
		{"1a", `at character 1: expected a field name, found "1"`},
		{"a.1", `at character 3: expected a field name, found "1"`},
		{"a[", "at character 3: expected the name of a key field, found the end"},
		{"a[1: x]", `at character 3: expected the name of a key field, found "1"`},
		{"a[*]", `at character 3: expected the name of a key field, found "*"`},
		{"a[b]", `at character 4: expected ":", found "]"`},
		{"a[b: ]", `at character 6: expected the value of the key, or *, found "]"`},
		{"a[b: -1]", ""}, // a word
		{"a[b: 1x]", `at character 7: expected "]", found "x"`},
		{"a[b: c", `at character 7: expected "]", found the end`},
		{"a[b: c]d", `at character 8: expected "." or the end, found "d"`},
		// A list of lists has no key.
		{"a[b: c][d: e]", `at character 8: expected "." or the end, found "["`},
		{"a.[b: c]", `at character 3: expected a field name, found "["`},
		{"a[b: 9223372036854775808]", "at character 6: 9223372036854775808 is out of range"},
		{"a.'b", "at character 3: the string has no closing '"},
		{`a."b\"`, `at character 3: the string has no closing "`},
		{strings.Repeat("a.", 5000) + "a", "at character 202: expected at most 100 fields"},
		{"é.a/b", `at character 1: 'é' has no meaning here; quote the name that it belongs to`},
		{"'é'.a/b", `at character 6: '/' has no meaning here; quote the name that it belongs to`},
	} {
		_, err := parseLocation(tt.text)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%.200q\ngot  %s\nwant %s", tt.text, got, tt.want)
		}
	}
}

func FuzzParseLocation(f *testing.F) {
	for _, s := range []string{"spec.containers[name: *].image", `a."b c"[d: '\''].e`, "a[b: 8080]", "\xff.'\xff'", "[", "a\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		l, err := parseLocation(text)
		if err != nil {
			return
		}
		back, err := parseLocation(l.String())
		if err != nil || !cmp.Equal(l, back, cmp.AllowUnexported(node{})) {
			t.Errorf("%q is %v, printed as %q, which is %v %v", text, l, l.String(), back, err)
		}
		if len(l) == 0 {
			t.Errorf("%q is an empty location", text)
		}
	})
}
