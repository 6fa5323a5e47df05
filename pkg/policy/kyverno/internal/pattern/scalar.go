package pattern

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/IGLOU-EU/go-wildcard"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Match reports whether a scalar value satisfies pattern.
//
// A pattern that is not a string asks for the same value; numbers are equal
// across types and to their texts, null stands for the zero value of any
// scalar, a map for any map. A string is a list of alternatives, separated by
// |, each a list of conditions, separated by &. A condition is a wildcard (*
// and ?), or an operator (! > >= < <=) and a value, or a range a-b or a!-b.
// Values are compared as durations or quantities when both sides are ones,
// else as texts; texts have no order, so that > and < never hold for them.
func Match(value, pattern any) bool {
	switch p := pattern.(type) {
	case bool:
		v, ok := value.(bool)
		return ok && v == p
	case int:
		return matchInt(value, int64(p))
	case int64:
		return matchInt(value, p)
	case float64:
		return matchFloat(value, p)
	case nil:
		return matchNull(value)
	case map[string]any:
		_, ok := value.(map[string]any)
		return ok
	case string:
		return matchText(value, p)
	}
	return false
}

func matchInt(value any, pattern int64) bool {
	switch v := value.(type) {
	case int:
		return int64(v) == pattern
	case int64:
		return v == pattern
	case float64:
		return v == math.Trunc(v) && int64(v) == pattern
	case string:
		n, err := strconv.ParseInt(v, 10, 64)
		return err == nil && n == pattern
	}
	return false
}

func matchFloat(value any, pattern float64) bool {
	switch v := value.(type) {
	case int:
		return pattern == math.Trunc(pattern) && int(pattern) == v
	case int64:
		return pattern == math.Trunc(pattern) && int64(pattern) == v
	case float64:
		return v == pattern
	case string:
		f, err := strconv.ParseFloat(v, 64)
		return err == nil && f == pattern
	}
	return false
}

func matchNull(value any) bool {
	switch v := value.(type) {
	case nil:
		return true
	case float64:
		return v == 0
	case int:
		return v == 0
	case int64:
		return v == 0
	case string:
		return v == ""
	case bool:
		return !v
	}
	return false
}

func matchText(value any, pattern string) bool {
	if v, ok := value.(string); ok && v == pattern {
		return true
	}
	for alternative := range strings.SplitSeq(pattern, "|") {
		if matchAll(value, strings.Trim(alternative, " ")) {
			return true
		}
	}
	return false
}

func matchAll(value any, pattern string) bool {
	for condition := range strings.SplitSeq(pattern, "&") {
		if !matchCondition(value, strings.Trim(condition, " ")) {
			return false
		}
	}
	return true
}

type operator uint8

const (
	equal operator = iota
	notEqual
	more
	less
	moreEqual
	lessEqual
)

func matchCondition(value any, pattern string) bool {
	if len(pattern) < 2 {
		return compare(value, strings.TrimSpace(pattern), equal)
	}
	switch {
	case strings.HasPrefix(pattern, ">="):
		return compare(value, strings.TrimSpace(pattern[2:]), moreEqual)
	case strings.HasPrefix(pattern, "<="):
		return compare(value, strings.TrimSpace(pattern[2:]), lessEqual)
	case pattern[0] == '>':
		return compare(value, strings.TrimSpace(pattern[1:]), more)
	case pattern[0] == '<':
		return compare(value, strings.TrimSpace(pattern[1:]), less)
	case pattern[0] == '!':
		return compare(value, strings.TrimSpace(pattern[1:]), notEqual)
	}
	from, to, outside, ok := parseRange(pattern)
	switch {
	case !ok:
		return compare(value, strings.TrimSpace(pattern), equal)
	case outside:
		return compare(value, from, less) || compare(value, to, more)
	}
	return compare(value, from, moreEqual) && compare(value, to, lessEqual)
}

// parseRange reads a-b or a!-b, in which both ends are numbers with an optional
// sign, fraction and suffix of letters.
func parseRange(s string) (from, to string, outside, ok bool) {
	n := rangeEnd(s)
	if n == 0 {
		return "", "", false, false
	}
	from, rest := s[:n], s[n:]
	rest, outside = strings.CutPrefix(rest, "!")
	rest, ok = strings.CutPrefix(rest, "-")
	if !ok || rest == "" || rangeEnd(rest) != len(rest) {
		return "", "", false, false
	}
	return from, rest, outside, true
}

// rangeEnd returns the length of the number at the start of s. Kyverno's
// regular expression takes | for a sign, too.
func rangeEnd(s string) int {
	i := 0
	if i < len(s) && (s[i] == '-' || s[i] == '+' || s[i] == '|') {
		i++
	}
	digits := func() bool {
		start := i
		for i < len(s) && '0' <= s[i] && s[i] <= '9' {
			i++
		}
		return i > start
	}
	if !digits() {
		return 0
	}
	if i < len(s) && s[i] == '.' {
		point := i
		i++
		if !digits() {
			i = point
		}
	}
	for i < len(s) && ('a' <= s[i]|0x20 && s[i]|0x20 <= 'z') {
		i++
	}
	return i
}

func compare(value any, pattern string, op operator) bool {
	if maybeDuration(pattern) {
		if order, ok := compareDurations(value, pattern); ok {
			return holds(order, op)
		}
	}
	if maybeQuantity(pattern) {
		if order, ok := compareQuantities(value, pattern); ok {
			return holds(order, op)
		}
	}
	if op != equal && op != notEqual {
		return false
	}
	text, ok := compared(value)
	return ok && wildcard.Match(pattern, text) == (op == equal)
}

func holds(order int, op operator) bool {
	switch op {
	case equal:
		return order == 0
	case notEqual:
		return order != 0
	case more:
		return order > 0
	case less:
		return order < 0
	case moreEqual:
		return order >= 0
	}
	return order <= 0
}

// maybeDuration is false for most of what time.ParseDuration refuses. It saves
// building the error.
func maybeDuration(s string) bool {
	if s == "" || s[0] >= 'a' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !('0' <= c && c <= '9') && c < 0x80 && strings.IndexByte("+-.hmsun", c) < 0 {
			return false
		}
	}
	return true
}

func compareDurations(value any, pattern string) (int, bool) {
	p, err := time.ParseDuration(pattern)
	if err != nil {
		return 0, false
	}
	text, ok := number(value)
	if !ok || !maybeDuration(text) {
		return 0, false
	}
	v, err := time.ParseDuration(text)
	if err != nil {
		return 0, false
	}
	switch {
	case v < p:
		return -1, true
	case v > p:
		return 1, true
	}
	return 0, true
}

// maybeQuantity is false for most of what resource.ParseQuantity refuses, and
// for numbers that take it minutes to write out. A suffix alone counts as zero.
func maybeQuantity(s string) bool {
	if HugeExponent(s) {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !('0' <= c && c <= '9') && strings.IndexByte("+-.eEinumkKMGTP", c) < 0 {
			return false
		}
	}
	return s != ""
}

// HugeExponent reports whether s has an exponent of five digits or more: as a
// quantity it takes minutes.
func HugeExponent(s string) bool {
	i := strings.LastIndexAny(s, "eE")
	return i >= 0 && len(strings.TrimLeft(s[i+1:], "+-0")) > 4
}

func compareQuantities(value any, pattern string) (int, bool) {
	p, err := resource.ParseQuantity(pattern)
	if err != nil {
		return 0, false
	}
	text, ok := number(value)
	if !ok || !maybeQuantity(text) {
		return 0, false
	}
	v, err := resource.ParseQuantity(text)
	if err != nil {
		return 0, false
	}
	return v.Cmp(p), true
}

// number is the text of a value for comparing durations and quantities.
func number(value any) (string, bool) {
	switch v := value.(type) {
	case nil:
		return "0", true
	case string:
		return v, true
	case float64:
		return fmt.Sprintf("%f", v), true
	case int64:
		return strconv.FormatInt(v, 10), true
	case int:
		return strconv.Itoa(v), true
	}
	return "", false
}

// compared is the text of a value for comparing texts. Null has none.
func compared(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case float64:
		return strconv.FormatFloat(v, 'E', -1, 64), true
	case int64:
		return strconv.FormatInt(v, 10), true
	case int:
		return strconv.Itoa(v), true
	case bool:
		return strconv.FormatBool(v), true
	}
	return "", false
}
