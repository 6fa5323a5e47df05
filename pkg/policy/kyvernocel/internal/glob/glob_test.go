package glob_test

import (
	"strings"
	"testing"

	"github.com/oneloop-dev/oneloop/pkg/policy/kyvernocel/internal/glob"
)

func TestMatch(t *testing.T) {
	for _, tt := range []struct {
		pattern, s string
		want       bool
	}{
		{"ghcr.io/*", "ghcr.io/team/app:v1", true},
		{"ghcr.io/**", "ghcr.io/team/app:v1", true},
		{"ghcr.io/*", "ghcrxio/team", false},
		{"*", "", true},
		{"ghcr.io/*", "docker.io/ghcr.io/x", false},
		{"*app*", "ghcr.io/app:v1", true},
		{"app:v?", "app:v1", true},
		{"app:v?", "app:v12", false},
		{"app:v[12]", "app:v2", true},
		{"app:v[!12]", "app:v2", false},
		{"app:v[0-9]", "app:v7", true},
		{"app:v[!0-9]", "app:v7", false},
		{"app:[a-]", "app:-", true},
		{"{ghcr.io,quay.io}/*", "quay.io/x", true},
		{"{ghcr.io,quay.io}/*", "docker.io/x", false},
		{"{a,b{c,d*}}x", "bdeex", true},
		{"a,b}", "a,b}", true},
		{`a\*`, "a*", true},
		{`a\*`, "ab", false},
		{"a\nb*", "a\nb\nc", true},
		{"a.b", "a.b", true},
		{"a|b", "a", false},
	} {
		g, err := glob.Compile(tt.pattern)
		if err != nil {
			t.Errorf("%s: %v", tt.pattern, err)
			continue
		}
		if got := g.Match(tt.s); got != tt.want {
			t.Errorf("%s matches %q: %t", tt.pattern, tt.s, got)
		}
	}
}

func TestCompileRefuses(t *testing.T) {
	for _, pattern := range []string{"[", "[]", "[!]", "{a", `a\`, "[z-a]", strings.Repeat("*", 5000)} {
		if _, err := glob.Compile(pattern); err == nil {
			t.Errorf("%.10s: no error", pattern)
		}
	}
}

func FuzzCompile(f *testing.F) {
	for _, s := range []string{"ghcr.io/*", "[!a-z]", "{a,b{c}}", `\*`, "[^\\]", "[a-z-9]", "é[é-ü]"} {
		f.Add(s, "ghcr.io/a")
	}
	f.Fuzz(func(t *testing.T, pattern, s string) {
		g, err := glob.Compile(pattern)
		if err != nil {
			return
		}
		g.Match(s)
		if !strings.ContainsAny(pattern, `*?[]{},\`) && g.Match(s) != (pattern == s) && strings.ToValidUTF8(pattern+s, "") == pattern+s {
			t.Errorf("%q matches %q: %t", pattern, s, g.Match(s))
		}
	})
}
