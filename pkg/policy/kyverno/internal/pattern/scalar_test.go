package pattern

import (
	"testing"
	"time"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/oneloop-dev/oneloop/tests/bounds"
)

func TestMatch(t *testing.T) {
	tests := []struct {
		value, pattern any
		want           bool
	}{
		// Same value.
		{"a", "a", true},
		{"a", "b", false},
		{true, true, true},
		{false, true, false},
		{"true", true, false},
		{int64(3), int64(3), true},
		{int64(3), int64(4), false},
		{3.0, int64(3), true},
		{3.5, int64(3), false},
		{"3", int64(3), true},
		{"3.0", int64(3), false},
		{true, int64(1), false},
		{1.5, 1.5, true},
		{int64(2), 2.0, true},
		{int64(2), 2.5, false},
		{"1.50", 1.5, true},
		{nil, nil, true},
		{"", nil, true},
		{int64(0), nil, true},
		{0.0, nil, true},
		{false, nil, true},
		{"0", nil, false},
		{map[string]any{}, nil, false},
		{map[string]any{"a": "b"}, map[string]any{"c": "d"}, true},
		{"a", map[string]any{}, false},
		{[]any{"a"}, []any{"a"}, false},
		{"a", []any{"a"}, false},

		// Wildcards.
		{"nginx:1.2", "nginx:*", true},
		{"nginx:1.2", "nginx:1.?", true},
		{"nginx", "nginx?", false},
		{"", "*", true},
		{"", "?*", false},
		{"a*b", "a*b", true},
		{true, "t*", true},
		{int64(80), "8*", true},
		{1.5, "1.5", true},
		{1.5, "1.?", false}, // its text is 1.5E+00
		{nil, "*", false},
		{map[string]any{}, "*", false},

		// Operators.
		{"b", "!a", true},
		{"a", "!a", false},
		{"ab", "! a*", false},
		{int64(3), ">2", true},
		{int64(3), "> 3", false},
		{int64(3), ">=3", true},
		{int64(3), "<= 2", false},
		{int64(3), "<4", true},
		{"10", "<9", false},
		{"b", ">a", false},
		{"b", "<a", false},
		{nil, "<1", true}, // null is 0
		{nil, "0", true},
		{"", "0", false},

		// Quantities and durations.
		{"1Gi", "1024Mi", true},
		{"1Gi", "!1024Mi", false},
		{"512Mi", "<1Gi", true},
		{"100m", "0.1", true},
		{"1h", "60m", true}, // a duration before it is a quantity
		{"90s", ">1m", true},
		{"1.5", "1500m", true},
		{"k", "M", true}, // suffixes alone are zero
		{"m", "0", true},
		{"1e99999999", "1", false}, // too large to compute

		// Ranges.
		{int64(5), "1-10", true},
		{int64(11), "1-10", false},
		{int64(1), "1-10", true},
		{int64(11), "1!-10", true},
		{int64(5), "1!-10", false},
		{"2Gi", "1Gi-4Gi", true},
		{"90s", "1m-2m", true},
		{int64(-3), "-5--1", true},
		{"1-10", "1-10", true},
		{"a-b", "a-b", true},
		{"a-c", "a-b", false},

		// Alternatives and conjunctions.
		{"b", "a|b", true},
		{"c", "a | b", false},
		{int64(5), ">1 & <10", true},
		{int64(15), ">1 & <10", false},
		{int64(15), ">1 & <10 | 15", true},
		{"a|b", "a|b", true},
		{"x", "!a & !b", true},
		{"", "|", true},
		{"", "", true},
		{"a", "", false},
	}
	for _, test := range tests {
		if got := Match(test.value, test.pattern); got != test.want {
			t.Errorf("Match(%#v, %#v) = %v, want %v", test.value, test.pattern, got, test.want)
		}
	}
}

func TestParseAnchor(t *testing.T) {
	tests := []struct {
		key  string
		want Anchor
		ok   bool
	}{
		{"(a)", Anchor{Condition, "a"}, true},
		{"<(a)", Anchor{Global, "a"}, true},
		{"+(a)", Anchor{AddIfAbsent, "a"}, true},
		{"=(a)", Anchor{Equality, "a"}, true},
		{"X(a)", Anchor{Negation, "a"}, true},
		{"^(a)", Anchor{Existence, "a"}, true},
		{" +(a) ", Anchor{AddIfAbsent, "a"}, true},
		{"( a )", Anchor{Condition, " a "}, true},
		{"(a/b.c)", Anchor{Condition, "a/b.c"}, true},
		{"((a))", Anchor{Condition, "(a)"}, true},
		{"(a)(b)", Anchor{Condition, "a)(b"}, true},
		{"a", Anchor{}, false},
		{"", Anchor{}, false},
		{"()", Anchor{}, false},
		{"+()", Anchor{}, false},
		{"(a", Anchor{}, false},
		{"a)", Anchor{}, false},
		{"-(a)", Anchor{}, false},
		{"++(a)", Anchor{}, false},
		{"(a)b", Anchor{}, false},
		{"(a\nb)", Anchor{}, false},
	}
	for _, test := range tests {
		got, ok := ParseAnchor(test.key)
		if got != test.want || ok != test.ok {
			t.Errorf("ParseAnchor(%q) = %v, %v, want %v, %v", test.key, got, ok, test.want, test.ok)
		}
		if ok {
			if again, _ := ParseAnchor(got.String()); again != got {
				t.Errorf("%q prints as %q, which is %v", test.key, got.String(), again)
			}
		}
	}
}

// FuzzMatch also checks that the quick refusals of durations and quantities
// refuse nothing that the parsers take.
func FuzzMatch(f *testing.F) {
	for _, s := range []string{">= 1Gi & <2", "1-2", "1!-2h", "!*a?", "µs", "1e3", ".5m", "+0", "-.5Ki|a", "1µs"} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, value, pattern string) {
		bounds.Hold(t)
		Match(value, pattern)
		if _, err := time.ParseDuration(pattern); err == nil && !maybeDuration(pattern) {
			t.Errorf("%q is a duration", pattern)
		}
		if HugeExponent(pattern) {
			return
		}
		if _, err := resource.ParseQuantity(pattern); err == nil && !maybeQuantity(pattern) {
			t.Errorf("%q is a quantity", pattern)
		}
		if value != "" && utf8.ValidString(value) && !Match(value, value) {
			t.Errorf("%q does not match itself", value)
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	for _, p := range []string{"*", "nginx:*|redis:*", ">= 1Gi", "1-10"} {
		b.Run(p, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Match("ghcr.io/stefanprodan/podinfo:6.3.0", p)
			}
		})
	}
}
