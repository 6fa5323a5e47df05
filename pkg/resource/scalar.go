package resource

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// The rules of this file are those of sigs.k8s.io/yaml, which kubectl and the
// API server read YAML with: YAML 1.1 as go-yaml v2 understands it, followed
// by a trip through JSON. Tests compare every rule with the original.

// plainValue returns the JSON value of an unquoted scalar.
func plainValue(s string) (any, error) {
	if s == "" {
		return nil, nil
	}
	switch c := s[0]; {
	case c == '+' || c == '-' || c >= '0' && c <= '9':
		if simpleDecimal(s) {
			i, err := strconv.ParseInt(s, 10, 64)
			if err == nil {
				return i, nil
			}
		}
		return jsonNumber(number(s), s)
	case c == '.':
		return jsonNumber(number(s), s)
	case wordStart[c]:
		if v, ok := word(s); ok {
			return v, nil
		}
	}
	return s, nil
}

// wordStart tells which letters start a word with a meaning.
var wordStart = [256]bool{
	'y': true, 'Y': true, 'n': true, 'N': true, 't': true, 'T': true,
	'f': true, 'F': true, 'o': true, 'O': true, '~': true,
}

// word returns the meaning of the words of YAML 1.1.
func word(s string) (any, bool) {
	switch s {
	case "y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON":
		return true, true
	case "n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF":
		return false, true
	case "~", "null", "Null", "NULL":
		return nil, true
	}
	return nil, false
}

// simpleDecimal reports whether s is a decimal integer without a sign other
// than minus, without a leading zero, and short enough not to overflow.
func simpleDecimal(s string) bool {
	digits := strings.TrimPrefix(s, "-")
	if digits == "" || len(digits) > 18 || digits[0] == '0' && len(digits) > 1 {
		return false
	}
	for i := range len(digits) {
		if digits[i] < '0' || digits[i] > '9' {
			return false
		}
	}
	return true
}

// number returns the int64, uint64 or float64 that s stands for, or s itself.
func number(s string) any {
	if s[0] == '.' {
		switch s {
		case ".nan", ".NaN", ".NAN":
			return math.NaN()
		case ".inf", ".Inf", ".INF":
			return math.Inf(1)
		}
		// As upstream: anything Go reads as a number, such as .5e3 or ._5.
		if f, err := strconv.ParseFloat(s, 64); err == nil {
			return f
		}
		return s
	}
	switch s {
	case "+.inf", "+.Inf", "+.INF":
		return math.Inf(1)
	case "-.inf", "-.Inf", "-.INF":
		return math.Inf(-1)
	}
	if !numeric(s) || isTimestamp(s) {
		return s
	}
	plain := strings.ReplaceAll(s, "_", "")
	if i, err := strconv.ParseInt(plain, 0, 64); err == nil {
		return i
	}
	if u, err := strconv.ParseUint(plain, 0, 64); err == nil {
		return u
	}
	if isFloat(plain) {
		if f, err := strconv.ParseFloat(plain, 64); err == nil {
			return f
		}
	}
	if digits, ok := strings.CutPrefix(plain, "0b"); ok {
		if i, err := strconv.ParseInt(digits, 2, 64); err == nil {
			return i
		}
		if u, err := strconv.ParseUint(digits, 2, 64); err == nil {
			return u
		}
	} else if digits, ok := strings.CutPrefix(plain, "-0b"); ok {
		if i, err := strconv.ParseInt("-"+digits, 2, 64); err == nil {
			return i
		}
	}
	return s
}

// numeric reports whether s has only characters that numbers may have; most
// texts that start with a digit, such as quantities, do not.
func numeric(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'f', c >= 'A' && c <= 'F',
			c == '.', c == '_', c == '-', c == '+', c == 'x', c == 'X', c == 'o', c == 'O':
		default:
			return false
		}
	}
	return true
}

// isFloat matches [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?
func isFloat(s string) bool {
	i := 0
	digits := func() (n int) {
		for i < len(s) && s[i] >= '0' && s[i] <= '9' {
			i++
			n++
		}
		return n
	}
	if i < len(s) && (s[i] == '-' || s[i] == '+') {
		i++
	}
	whole := digits()
	if i < len(s) && s[i] == '.' {
		i++
		if digits() == 0 && whole == 0 {
			return false
		}
	} else if whole == 0 {
		return false
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		i++
		if i < len(s) && (s[i] == '-' || s[i] == '+') {
			i++
		}
		if digits() == 0 {
			return false
		}
	}
	return i == len(s)
}

// isTimestamp reports whether s is a time, which stays a string.
func isTimestamp(s string) bool {
	if len(s) < 8 || s[4] != '-' {
		return false
	}
	for i := range 4 {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	for _, layout := range []string{
		"2006-1-2T15:4:5.999999999Z07:00",
		"2006-1-2t15:4:5.999999999Z07:00",
		"2006-1-2 15:4:5.999999999",
		"2006-1-2",
	} {
		if _, err := time.Parse(layout, s); err == nil {
			return true
		}
	}
	return false
}

// jsonNumber takes v through JSON: whole numbers become int64 where they fit,
// so that 1.0 and 1e3 are integers.
func jsonNumber(v any, text string) (any, error) {
	switch n := v.(type) {
	case uint64:
		if n <= math.MaxInt64 {
			return int64(n), nil
		}
		return float64(n), nil
	case float64:
		if math.IsNaN(n) || math.IsInf(n, 0) {
			return nil, fmt.Errorf("%s is a number that JSON has no form for; quote it", text)
		}
		if abs := math.Abs(n); abs < 1e21 && n == math.Trunc(n) {
			// Written without an exponent, and so read as an integer.
			if i, err := strconv.ParseInt(strconv.FormatFloat(n, 'f', -1, 64), 10, 64); err == nil {
				return i, nil
			}
		}
		return n, nil
	}
	return v, nil
}

var errNullKey = errors.New("a key is null; quote it")

// plainKey returns the map key that an unquoted scalar stands for.
func plainKey(s string) (string, error) {
	if s == "" {
		return "", errNullKey
	}
	switch c := s[0]; {
	case c == '+' || c == '-' || c == '.' || c >= '0' && c <= '9':
		switch n := number(s).(type) {
		case int64:
			return strconv.FormatInt(n, 10), nil
		case uint64:
			return "", fmt.Errorf("the key %s is a number out of range; quote it", s)
		case float64:
			switch f := strconv.FormatFloat(n, 'g', -1, 32); f {
			case "NaN":
				return ".nan", nil
			case "+Inf":
				return ".inf", nil
			case "-Inf":
				return "-.inf", nil
			default:
				return f, nil
			}
		}
	case wordStart[c]:
		if v, ok := word(s); ok {
			switch v {
			case true:
				return "true", nil
			case false:
				return "false", nil
			}
			return "", errNullKey
		}
	}
	return s, nil
}

// readsAsString reports whether every common reader of YAML takes the unquoted
// scalar s for the string s: YAML 1.1 and 1.2, sigs.k8s.io/yaml and yaml/v3.
func readsAsString(s string) bool {
	if s == "" {
		return false
	}
	switch c := s[0]; {
	case c == '+' || c == '-' || c == '.' || c >= '0' && c <= '9':
		if v, ok := number(s).(string); !ok || v != s || isTimestamp(s) || isBase60(s) {
			return false
		}
		// yaml/v3 also knows octal numbers as YAML 1.2 writes them.
		plain := strings.TrimPrefix(strings.ReplaceAll(s, "_", ""), "-")
		if digits, ok := strings.CutPrefix(plain, "0o"); ok {
			if _, err := strconv.ParseUint(digits, 8, 64); err == nil {
				return false
			}
		}
	case c == '=':
		return s != "=" // YAML 1.1's default value
	case c == '<':
		return s != "<<"
	case wordStart[c]:
		_, ok := word(s)
		return !ok
	}
	return true
}

// isBase60 reports whether YAML 1.1 reads s as a sexagesimal number, as in
// 12:30:45.
func isBase60(s string) bool {
	s = strings.TrimLeft(s[:1], "+-") + s[1:]
	head, rest, ok := strings.Cut(s, ":")
	if !ok || head == "" || head[0] < '0' || head[0] > '9' {
		return false
	}
	if strings.Trim(head, "0123456789_") != "" {
		return false
	}
	if whole, fraction, ok := strings.Cut(rest, "."); ok {
		if strings.Trim(fraction, "0123456789_") != "" {
			return false
		}
		rest = whole
	}
	for part := range strings.SplitSeq(rest, ":") {
		if len(part) == 0 || len(part) > 2 || strings.Trim(part, "0123456789") != "" || len(part) == 2 && part[0] > '5' {
			return false
		}
	}
	return true
}
