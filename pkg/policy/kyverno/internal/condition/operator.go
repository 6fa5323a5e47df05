package condition

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/blang/semver/v4"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/pattern"
	"github.com/oneloop-dev/oneloop/pkg/wildcard"
)

// An operator compares a resolved key with a resolved value.
type operator func(key, value any) (bool, error)

// Operators lists the names of all operators. Equal, NotEqual, In, NotIn and
// the Duration operators are Kyverno's older spellings.
var Operators = []string{
	"Equals", "NotEquals", "AnyIn", "AllIn", "AnyNotIn", "AllNotIn",
	"GreaterThan", "GreaterThanOrEquals", "LessThan", "LessThanOrEquals",
	"Equal", "NotEqual", "In", "NotIn",
	"DurationGreaterThan", "DurationGreaterThanOrEquals", "DurationLessThan", "DurationLessThanOrEquals",
}

var operators = sync.OnceValue(func() map[string]operator {
	return map[string]operator{
		"Equals":                      equals,
		"Equal":                       equals,
		"NotEquals":                   notEquals,
		"NotEqual":                    notEquals,
		"In":                          func(k, v any) (bool, error) { return oldIn(k, v, false) },
		"NotIn":                       func(k, v any) (bool, error) { return oldIn(k, v, true) },
		"AnyIn":                       membership(false, anyIn),
		"AllIn":                       membership(false, allIn),
		"AnyNotIn":                    membership(true, anyNotIn),
		"AllNotIn":                    membership(true, allNotIn),
		"GreaterThan":                 numeric(func(c int) bool { return c > 0 }),
		"GreaterThanOrEquals":         numeric(func(c int) bool { return c >= 0 }),
		"LessThan":                    numeric(func(c int) bool { return c < 0 }),
		"LessThanOrEquals":            numeric(func(c int) bool { return c <= 0 }),
		"DurationGreaterThan":         durations(func(c int) bool { return c > 0 }),
		"DurationGreaterThanOrEquals": durations(func(c int) bool { return c >= 0 }),
		"DurationLessThan":            durations(func(c int) bool { return c < 0 }),
		"DurationLessThanOrEquals":    durations(func(c int) bool { return c <= 0 }),
	}
})

// equals follows the type of the key: texts are compared as durations, then
// quantities, then with the value as wildcard pattern; numbers also with
// numbers in text.
func equals(key, value any) (bool, error) {
	same, comparable := compare(key, value)
	return same && comparable, nil
}

// notEquals is the opposite of equals, except for keys of a type that has no
// comparison (null), which are neither equal nor unequal to anything.
func notEquals(key, value any) (bool, error) {
	switch key.(type) {
	case bool, int, int64, float64, string, map[string]any, []any:
	default:
		return false, nil
	}
	if k, ok := key.(string); ok && value == "" {
		// An empty text is no quantity; here alone Kyverno then compares text.
		return k != "", nil
	}
	same, comparable := compare(key, value)
	return !same || !comparable, nil
}

// compare reports whether key equals value, and whether their types compare.
func compare(key, value any) (same, comparable bool) {
	switch k := key.(type) {
	case bool:
		v, ok := value.(bool)
		return k == v, ok
	case int:
		return compareInt(int64(k), value)
	case int64:
		return compareInt(k, value)
	case float64:
		return compareFloat(k, value)
	case string:
		return compareString(k, value)
	case map[string]any:
		v, ok := value.(map[string]any)
		return ok && reflect.DeepEqual(k, v), ok
	case []any:
		v, ok := value.([]any)
		return ok && reflect.DeepEqual(k, v), ok
	}
	return false, false
}

func compareInt(k int64, value any) (same, comparable bool) {
	switch v := value.(type) {
	case int:
		return int64(v) == k, true
	case int64:
		return v == k, true
	case float64:
		return v == math.Trunc(v) && int64(v) == k, true
	case string:
		n, err := strconv.ParseInt(v, 10, 64)
		return n == k, err == nil
	}
	return false, false
}

func compareFloat(k float64, value any) (same, comparable bool) {
	switch v := value.(type) {
	case int:
		return k == math.Trunc(k) && int(k) == v, true
	case int64:
		return k == math.Trunc(k) && int64(k) == v, true
	case float64:
		return v == k, true
	case string:
		n, err := strconv.ParseFloat(v, 64)
		return n == k, err == nil
	}
	return false, false
}

func compareString(k string, value any) (same, comparable bool) {
	if a, b, ok := parseDurations(k, value); ok {
		return a.Seconds() == b.Seconds(), true
	}
	v, ok := value.(string)
	if !ok {
		return false, false
	}
	if a, err := parseQuantity(k); err == nil {
		b, err := parseQuantity(v)
		return err == nil && a.Equal(b), true
	}
	return wildcard.Match(v, k), true
}

// parseQuantity takes none that it would take minutes to compare.
func parseQuantity(s string) (resource.Quantity, error) {
	if pattern.HugeExponent(s) {
		return resource.Quantity{}, resource.ErrNumeric
	}
	return resource.ParseQuantity(s)
}

// parseDurations reads two durations when at least one of the two is written
// as one; the other may then be a number of seconds. "0" is a number.
func parseDurations(key, value any) (a, b time.Duration, ok bool) {
	a, isA := durationText(key)
	b, isB := durationText(value)
	if !isA && !isB {
		return 0, 0, false
	}
	if !isA {
		if a, isA = seconds(key); !isA {
			return 0, 0, false
		}
	}
	if !isB {
		if b, isB = seconds(value); !isB {
			return 0, 0, false
		}
	}
	return a, b, true
}

func durationText(v any) (time.Duration, bool) {
	s, ok := v.(string)
	if !ok || s == "" || s == "0" || !strings.ContainsRune("+-.0123456789", rune(s[0])) {
		return 0, false
	}
	d, err := time.ParseDuration(s)
	return d, err == nil
}

// seconds reads a number as seconds; fractions are cut off.
func seconds(v any) (time.Duration, bool) {
	switch v := v.(type) {
	case int:
		return time.Duration(v) * time.Second, true
	case int64:
		return time.Duration(v) * time.Second, true
	case float64:
		return time.Duration(v) * time.Second, true
	}
	return 0, false
}

// numeric compares durations, quantities, numbers and versions, whichever both
// sides can be read as.
func numeric(holds func(int) bool) operator {
	return func(key, value any) (bool, error) {
		c, ok := order(key, value)
		return ok && holds(c), nil
	}
}

// orderFloats orders two numbers; NaN has no order.
func orderFloats(a, b float64) (int, bool) {
	switch {
	case a < b:
		return -1, true
	case a > b:
		return 1, true
	case a == b:
		return 0, true
	}
	return 0, false
}

func order(key, value any) (int, bool) {
	switch k := key.(type) {
	case int:
		return orderNumber(float64(k), key, value)
	case int64:
		return orderNumber(float64(k), key, value)
	case float64:
		return orderNumber(k, key, value)
	case string:
		if a, b, ok := parseDurations(key, value); ok {
			return orderFloats(a.Seconds(), b.Seconds())
		}
		if v, ok := value.(string); ok {
			a, err := parseQuantity(k)
			b, err2 := parseQuantity(v)
			if err == nil && err2 == nil {
				return a.Cmp(b), true
			}
		}
		if f, err := strconv.ParseFloat(k, 64); err == nil {
			return orderNumber(f, f, value)
		}
		if a, err := semver.Parse(k); err == nil {
			v, ok := value.(string)
			if !ok {
				return 0, false
			}
			b, err := semver.Parse(v)
			return a.Compare(b), err == nil
		}
	}
	return 0, false
}

func orderNumber(k float64, key, value any) (int, bool) {
	switch v := value.(type) {
	case int:
		return orderFloats(k, float64(v))
	case int64:
		return orderFloats(k, float64(v))
	case float64:
		return orderFloats(k, v)
	case string:
		if a, b, ok := parseDurations(key, v); ok {
			return orderFloats(a.Seconds(), b.Seconds())
		}
		f, err := strconv.ParseFloat(v, 64)
		if err != nil {
			return 0, false
		}
		return orderFloats(k, f)
	}
	return 0, false
}

// durations compares durations; numbers are seconds.
func durations(holds func(int) bool) operator {
	read := func(v any) (time.Duration, bool) {
		if s, ok := v.(string); ok {
			d, err := time.ParseDuration(s)
			return d, err == nil
		}
		return seconds(v)
	}
	return func(key, value any) (bool, error) {
		a, ok := read(key)
		if !ok {
			return false, nil
		}
		b, ok := read(value)
		if !ok {
			return false, nil
		}
		switch {
		case a < b:
			return holds(-1), nil
		case a > b:
			return holds(1), nil
		}
		return holds(0), nil
	}
}

// text prints a scalar the way Kyverno does before it compares texts.
func text(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	return fmt.Sprint(v)
}

func texts(list []any) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = text(v)
	}
	return out
}

// membership builds the operators that look a key up in a value. The key is
// one text or number, or a list of them; set is how a list is looked up. The
// value is a list, a text with wildcards, a range such as 1-10, or a list
// written as JSON text.
func membership(not bool, set func(keys []string, value any) (holds, valid bool)) operator {
	return func(key, value any) (bool, error) {
		switch k := key.(type) {
		case []any:
			holds, valid := set(texts(k), value)
			return holds && valid, nil
		case string, int, int64, float64, bool:
			found, valid := oneIn(text(k), value)
			return valid && found != not, nil
		}
		return false, nil
	}
}

func oneIn(key string, value any) (found, valid bool) {
	switch v := value.(type) {
	case []any:
		for _, element := range v {
			if alike(key, text(element)) {
				return true, true
			}
		}
		return false, true
	case string:
		if wildcard.Match(v, key) {
			return true, true
		}
		if isRange(v) {
			return inRange(key, v), true
		}
		list, valid := listText(v)
		for _, element := range list {
			if element == key {
				return true, true
			}
		}
		return false, valid
	}
	return false, false
}

// alike reports whether one of two texts is a pattern that the other matches.
func alike(a, b string) bool { return wildcard.Match(a, b) || wildcard.Match(b, a) }

// listText reads a list of texts written as JSON; other text is the only
// element. JSON that is not such a list is not valid.
func listText(s string) ([]string, bool) {
	if !json.Valid([]byte(s)) {
		return []string{s}, true
	}
	var list []string
	if err := json.Unmarshal([]byte(s), &list); err != nil {
		return nil, false
	}
	return list, true
}

func anyOf(keys, values []string) bool {
	for _, k := range keys {
		if isOneOf(k, values) {
			return true
		}
	}
	return false
}

func allOf(keys, values []string) bool {
	for _, k := range keys {
		if !isOneOf(k, values) {
			return false
		}
	}
	return true
}

func isOneOf(key string, values []string) bool {
	for _, v := range values {
		if alike(key, v) {
			return true
		}
	}
	return false
}

func anyIn(keys []string, value any) (holds, valid bool) {
	switch v := value.(type) {
	case []any:
		return anyOf(keys, texts(v)), true
	case int, int64, float64, bool:
		return anyOf(keys, []string{text(v)}), true
	case string:
		if len(keys) == 1 && keys[0] == v {
			return true, true
		}
		if isRange(v) {
			for _, k := range keys {
				if inRange(k, v) {
					return true, true
				}
			}
			return false, true
		}
		list, valid := listText(v)
		return anyOf(keys, list), valid
	}
	return false, false
}

func anyNotIn(keys []string, value any) (holds, valid bool) {
	switch v := value.(type) {
	case []any:
		return !allOf(keys, texts(v)), true
	case int, int64, float64, bool:
		return !allOf(keys, []string{text(v)}), true
	case string:
		if len(keys) == 1 && keys[0] == v {
			return false, true
		}
		if isRange(v) {
			for _, k := range keys {
				if outOfRange(k, v) {
					return true, true
				}
			}
			return false, true
		}
		list, valid := listText(v)
		return !allOf(keys, list), valid
	}
	return false, false
}

func allIn(keys []string, value any) (holds, valid bool) {
	switch v := value.(type) {
	case []any:
		return allOf(keys, texts(v)), true
	case string:
		if len(keys) == 1 && keys[0] == v {
			return true, true
		}
		if isRange(v) {
			for _, k := range keys {
				if !inRange(k, v) {
					return false, true
				}
			}
			return true, true
		}
		list, valid := listText(v)
		return allOf(keys, list), valid
	}
	return false, false
}

func allNotIn(keys []string, value any) (holds, valid bool) {
	switch v := value.(type) {
	case []any:
		return !anyOf(keys, texts(v)), true
	case string:
		if len(keys) == 1 && keys[0] == v {
			return false, true
		}
		if isRange(v) {
			for _, k := range keys {
				if inRange(k, v) {
					return false, true
				}
			}
			return true, true
		}
		list, valid := listText(v)
		return !anyOf(keys, list), valid
	}
	return false, false
}

// oldIn is In and NotIn. Lists are compared without wildcards, and NotIn holds
// for a list when one of its elements is missing.
func oldIn(key, value any, not bool) (bool, error) {
	switch k := key.(type) {
	case string, int, int64, float64, bool:
		found, valid := oldOneIn(text(k), value)
		return valid && found != not, nil
	case []any:
		keys, ok := stringsOf(k)
		if !ok {
			return false, fmt.Errorf("the operators In and NotIn take lists of text only; use AnyIn, AllIn, AnyNotIn or AllNotIn")
		}
		var values []string
		switch v := value.(type) {
		case []any:
			if values, ok = stringsOf(v); !ok {
				return false, nil
			}
		case string:
			if len(keys) == 1 && keys[0] == v {
				// Kyverno answers yes here for NotIn too.
				return true, nil
			}
			if err := json.Unmarshal([]byte(v), &values); err != nil {
				return false, nil
			}
		default:
			return false, nil
		}
		return subset(keys, values) != not, nil
	}
	return false, nil
}

func oldOneIn(key string, value any) (found, valid bool) {
	switch v := value.(type) {
	case []any:
		return oneIn(key, v)
	case string:
		if wildcard.Match(v, key) {
			return true, true
		}
		var list []string
		if err := json.Unmarshal([]byte(v), &list); err != nil {
			return false, false
		}
		for _, element := range list {
			if element == key {
				return true, true
			}
		}
		return false, true
	}
	return false, false
}

func stringsOf(list []any) ([]string, bool) {
	out := make([]string, len(list))
	for i, v := range list {
		s, ok := v.(string)
		if !ok {
			return nil, false
		}
		out[i] = s
	}
	return out, true
}

func subset(keys, values []string) bool {
	set := make(map[string]bool, len(values))
	for _, v := range values {
		set[v] = true
	}
	for _, k := range keys {
		if !set[k] {
			return false
		}
	}
	return true
}
