package wildcard

import (
	"testing"

	reference "github.com/IGLOU-EU/go-wildcard"
)

func TestMatch(t *testing.T) {
	tests := []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true},
		{"", "a", false},
		{"*", "", true},
		{"*", "anything/at all", true},
		{"Deployment", "Deployment", true},
		{"Deployment", "deployment", false},
		{"Deploy*", "Deployment", true},
		{"*ment", "Deployment", true},
		{"D*o*t", "Deployment", true},
		{"D*x*t", "Deployment", false},
		{"a*b*c", "abbcbc", true},
		{"a?c", "abc", true},
		{"a?c", "ac", false},
		{"a?", "a", false},
		{"?", "é", true},
		{"?", "", false},
		{"*?", "", false},
		{"*?", "a", true},
		{"??*", "ab", true},
		{"prod-*", "prod-", true},
		{"a*", "b", false},
		{`\*`, `\x`, true},
		{"[ab]", "a", false},
	}
	for _, tt := range tests {
		if got := Match(tt.pattern, tt.s); got != tt.want {
			t.Errorf("Match(%q, %q) = %v, want %v", tt.pattern, tt.s, got, tt.want)
		}
		if got := reference.Match(tt.pattern, tt.s); got != tt.want {
			t.Errorf("reference.Match(%q, %q) = %v, want %v", tt.pattern, tt.s, got, tt.want)
		}
	}
}

// Kyverno's own matcher is the reference.
func FuzzMatch(f *testing.F) {
	for _, s := range [][2]string{{"a*b*c", "abbcbc"}, {"*?*", "é"}, {"a?", "a\xff"}, {"**", ""}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, pattern, s string) {
		if len(pattern) > 12 || len(s) > 16 {
			t.Skip("the reference takes exponential time")
		}
		if !In(pattern) && pattern != s {
			// The reference compares characters, so that all bytes that are
			// not UTF-8 are equal to it. Here texts are compared.
			return
		}
		if got, want := Match(pattern, s), reference.Match(pattern, s); got != want {
			t.Errorf("Match(%q, %q) = %v, want %v", pattern, s, got, want)
		}
	})
}

func TestMatchIsNotExponential(t *testing.T) {
	pattern, s := "", ""
	for range 200 {
		pattern += "*a"
		s += "a"
	}
	if Match(pattern+"b", s) {
		t.Error("matched")
	}
}

func BenchmarkMatch(b *testing.B) {
	b.Run("literal", func(b *testing.B) {
		for b.Loop() {
			Match("Deployment", "Deployment")
		}
	})
	b.Run("star", func(b *testing.B) {
		for b.Loop() {
			Match("Deploy*", "Deployment")
		}
	})
}
