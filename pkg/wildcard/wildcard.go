// Package wildcard matches text against patterns as Kyverno writes them: * stands for any
// text, also none, and ? for exactly one character. Every other character
// stands for itself; there is no escape.
package wildcard

import (
	"strings"
	"unicode/utf8"
)

// In reports whether s contains a wildcard.
func In(s string) bool { return strings.ContainsAny(s, "*?") }

// Match reports whether all of s matches pattern. The time it takes is at most
// proportional to the product of both lengths.
func Match(pattern, s string) bool {
	if !In(pattern) {
		return pattern == s
	}
	return match(pattern, s)
}

// MatchAny reports whether s matches one of the patterns.
func MatchAny(patterns []string, s string) bool {
	for _, p := range patterns {
		if Match(p, s) {
			return true
		}
	}
	return false
}

// match walks both texts; after a mismatch it returns to the last star and
// lets it take one character more. Earlier stars never need to change.
func match(pattern, s string) bool {
	var p, i int
	star, mark := -1, 0 // just behind the last star; where its rest began
	for i < len(s) {
		r, n := utf8.DecodeRuneInString(s[i:])
		if p < len(pattern) {
			c, m := utf8.DecodeRuneInString(pattern[p:])
			if c == '*' {
				p += m
				star, mark = p, i
				continue
			}
			if c == '?' || c == r {
				p += m
				i += n
				continue
			}
		}
		if star < 0 {
			return false
		}
		_, n = utf8.DecodeRuneInString(s[mark:])
		mark += n
		p, i = star, mark
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}
