package condition

import (
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/pattern"
)

// isRange reports whether s is a range such as 1-10, -5--1 or 128Mi-1Gi.
func isRange(s string) bool {
	n := endpoint(s)
	if n == 0 || n >= len(s) || s[n] != '-' {
		return false
	}
	m := endpoint(s[n+1:])
	return m > 0 && n+1+m == len(s)
}

// endpoint returns the length of the end of a range that s begins with: a
// number with an optional sign, fraction and unit. Kyverno takes | for a sign.
func endpoint(s string) int {
	i := 0
	if i < len(s) && strings.IndexByte("-+|", s[i]) >= 0 {
		i++
	}
	digits := i
	for i < len(s) && isDigit(s[i]) {
		i++
	}
	if i == digits {
		return 0
	}
	if i+1 < len(s) && s[i] == '.' && isDigit(s[i+1]) {
		for i++; i < len(s) && isDigit(s[i]); {
			i++
		}
	}
	for i < len(s) && (s[i] >= 'a' && s[i] <= 'z' || s[i] >= 'A' && s[i] <= 'Z') {
		i++
	}
	return i
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// inRange reports whether key lies within the range, ends included.
func inRange(key, rng string) bool { return pattern.Match(key, rng) }

// outOfRange reports whether key lies outside of the range. Kyverno negates a
// range at its first dash, which may be a sign.
func outOfRange(key, rng string) bool {
	return pattern.Match(key, strings.Replace(rng, "-", "!-", 1))
}
