package condition

import (
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
)

// isRange reports whether s is a range such as 1-10, -5--1 or 128Mi-1Gi.
func isRange(s string) bool {
	_, _, ok := splitRange(s)
	return ok
}

// splitRange splits a range at the dash between its two ends.
func splitRange(s string) (low, high string, ok bool) {
	n := endpoint(s)
	if n == 0 || n >= len(s) || s[n] != '-' {
		return "", "", false
	}
	if m := endpoint(s[n+1:]); m == 0 || n+1+m != len(s) {
		return "", "", false
	}
	return s[:n], s[n+1:], true
}

// endpoint returns the length of the end of a range that s begins with: a
// number with an optional sign, fraction and unit.
func endpoint(s string) int {
	i := 0
	if i < len(s) && (s[i] == '-' || s[i] == '+') {
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
func inRange(key, rng string) bool {
	if key == rng {
		return true
	}
	low, high, _ := splitRange(rng)
	a, ok := orderText(key, low)
	if !ok || a < 0 {
		return false
	}
	b, ok := orderText(key, high)
	return ok && b <= 0
}

// outOfRange reports whether key lies outside of the range. What cannot be
// compared lies neither inside nor outside.
func outOfRange(key, rng string) bool {
	if rng[0] == '-' {
		// Kyverno negates a range at its first dash, which here is a sign, and
		// so compares with a text that nobody writes.
		return key != "-"+rng
	}
	low, high, _ := splitRange(rng)
	if a, ok := orderText(key, low); ok && a < 0 {
		return true
	}
	b, ok := orderText(key, high)
	return ok && b > 0
}

// orderText compares two texts as durations or else as quantities.
func orderText(a, b string) (int, bool) {
	if x, err := time.ParseDuration(b); err == nil {
		if y, err := time.ParseDuration(a); err == nil {
			switch {
			case y < x:
				return -1, true
			case y > x:
				return 1, true
			}
			return 0, true
		}
	}
	x, err := resource.ParseQuantity(a)
	if err != nil {
		return 0, false
	}
	y, err := resource.ParseQuantity(b)
	if err != nil {
		return 0, false
	}
	return x.Cmp(y), true
}
