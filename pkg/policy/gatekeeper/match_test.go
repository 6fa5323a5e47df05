package gatekeeper

import "testing"

func TestPattern(t *testing.T) {
	for _, tt := range []struct {
		pattern, name       string
		matches, generating bool // as a name, as a generateName
	}{
		{"shop", "shop", true, false},
		{"shop", "shop-1", false, false},
		{"", "", true, false},
		{"shop-*", "shop-1", true, true},
		{"shop-*", "shop-", true, true},
		{"shop-*", "shop", false, false},
		{"*-shop", "my-shop", true, false},
		{"*-shop", "shop", false, false},
		{"*shop*", "my-shop-1", true, true},
		{"*shop*", "my-store", false, false},
		{"*", "anything", true, true},
		{"*", "", true, true},
		{"**", "anything", true, true},
		// A star in the middle is none.
		{"a*b", "axb", false, false},
	} {
		if got := pattern(tt.pattern).matches(tt.name); got != tt.matches {
			t.Errorf("%q matches %q: %t", tt.pattern, tt.name, got)
		}
		if got := pattern(tt.pattern).matchesBeginning(tt.name); got != tt.generating {
			t.Errorf("%q matches the beginning %q: %t", tt.pattern, tt.name, got)
		}
	}
}
