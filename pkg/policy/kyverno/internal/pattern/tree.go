package pattern

import (
	"maps"
	"slices"
	"strings"

	"github.com/IGLOU-EU/go-wildcard"

	"github.com/oneloop-dev/oneloop/pkg/jsonvalue"
)

// Satisfies reports whether value, which may be a tree, satisfies a pattern
// with anchors, as in a validate rule: every field of the pattern must match,
// except that
//
//   - (k) and <(k) decide whether their siblings count,
//   - =(k) matches only if k is there, ^(k) if one element of the list k matches,
//   - X(k) holds when k is absent.
//
// What is left out by a condition does not satisfy the pattern. Keys of
// metadata.labels and metadata.annotations may be wildcards.
func Satisfies(value, pattern any) bool {
	if namesMetadata(pattern) {
		pattern = jsonvalue.Clone(pattern) // it is rewritten while it is matched
	}
	return matchElement(value, pattern).ok()
}

// A verdict says how a pattern failed. Kyverno decides whether a failure only
// skips the elements beside it by the type of its error or, once that is wrapped, by what the text of the error
// contains; hence the two kinds of marks.
type verdict struct {
	kind   failure
	inText failure // among condition and global
}

type failure uint8

const (
	plain     failure = 1 << iota // values differ
	condition                     // an anchor (k) did not hold
	global                        // an anchor <(k) did not hold
	negation                      // an anchor X(k) did not hold
	skipped                       // every alternative was left out by a condition
)

func (v verdict) ok() bool { return v.kind == 0 }

// skips reports whether the failure leaves out, rather than refutes.
func (v verdict) skips() bool {
	switch v.kind {
	case condition, global:
		return true
	case negation:
		return false
	}
	return v.inText != 0
}

var failed = verdict{kind: plain}

func matchElement(value, pattern any) verdict {
	switch p := pattern.(type) {
	case map[string]any:
		v, ok := value.(map[string]any)
		if !ok {
			return failed
		}
		return matchMap(v, p)
	case []any:
		v, ok := value.([]any)
		if !ok {
			return failed
		}
		return matchList(v, p)
	}
	return matchLeaf(value, pattern)
}

// matchLeaf matches a scalar pattern with a value, or with all elements of a
// list.
func matchLeaf(value, pattern any) verdict {
	list, ok := value.([]any)
	if !ok {
		list = []any{value}
	}
	for _, v := range list {
		if !Match(widen(v), widen(pattern)) {
			return failed
		}
	}
	return verdict{}
}

// widen makes integers floats: inside trees Kyverno has no other numbers, and
// the texts of the two differ.
func widen(v any) any {
	if n, ok := v.(int64); ok {
		return float64(n)
	}
	return v
}

func matchMap(value, pattern map[string]any) verdict {
	expandMetadata(pattern, value)

	var anchors, rest []string
	for key := range pattern {
		if a, ok := ParseAnchor(key); ok && (a.Modifier == Condition || a.Modifier == Existence || a.Modifier == Equality || a.Modifier == Negation) {
			anchors = append(anchors, key)
		} else {
			rest = append(rest, key)
		}
	}
	slices.Sort(anchors)

	var skips failure
	skipping, outright, applied := false, false, false
	for _, key := range anchors {
		v := matchField(value, key, pattern[key])
		switch {
		case v.ok():
			applied = true
		case v.skips():
			skipping = true
			skips |= v.inText
			if v.kind != skipped {
				outright = true
			}
		case !outright:
			return v
		}
	}
	if skipping && (!applied || outright) {
		return verdict{skipped, skips}
	}

	for _, key := range ordered(pattern, rest) {
		if v := matchField(value, key, pattern[key]); !v.ok() {
			return v
		}
	}
	return verdict{}
}

// ordered sorts keys, those with anchors below them first, in reverse.
func ordered(pattern map[string]any, keys []string) []string {
	slices.Sort(keys)
	var early, late []string
	for _, k := range keys {
		a, ok := ParseAnchor(k)
		if ok && a.Modifier == Global || hasAnchors(pattern[k]) {
			early = append(early, k)
		} else {
			late = append(late, k)
		}
	}
	slices.Reverse(early)
	return append(early, late...)
}

func hasAnchors(pattern any) bool {
	switch p := pattern.(type) {
	case map[string]any:
		for key, v := range p {
			if a, ok := ParseAnchor(key); ok && a.Modifier != AddIfAbsent || hasAnchors(v) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(p, hasAnchors)
	}
	return false
}

func matchField(object map[string]any, key string, pattern any) verdict {
	a, isAnchor := ParseAnchor(key)
	if !isAnchor || a.Modifier == AddIfAbsent {
		// Null is as good as absent here.
		v := object[key]
		if pattern == "*" {
			if v == nil {
				return failed
			}
			return verdict{}
		}
		return matchElement(v, pattern)
	}
	value, exists := object[a.Key]
	switch a.Modifier {
	case Negation:
		if exists {
			return verdict{kind: negation}
		}
		return verdict{}
	case Condition:
		if !exists {
			return verdict{condition, condition}
		}
	}
	if !exists {
		return verdict{}
	}
	if a.Modifier == Existence {
		return matchExistence(value, pattern)
	}
	v := matchElement(value, pattern)
	switch {
	case v.ok():
	case a.Modifier == Condition:
		return verdict{condition, condition | v.inText}
	case a.Modifier == Global:
		return verdict{global, global | v.inText}
	}
	return v
}

func matchExistence(value, pattern any) verdict {
	values, ok := value.([]any)
	if !ok {
		return failed
	}
	patterns, ok := pattern.([]any)
	if !ok {
		return failed
	}
	for _, p := range patterns {
		m, ok := p.(map[string]any)
		if !ok || !slices.ContainsFunc(values, func(v any) bool { return matchElement(v, m).ok() }) {
			return failed
		}
	}
	return verdict{}
}

// matchList matches a list. When the pattern starts with a map or a scalar,
// that is the pattern of every element, and what follows it does not count.
func matchList(values, patterns []any) verdict {
	if len(patterns) == 0 {
		return failed
	}
	switch p := patterns[0].(type) {
	case map[string]any:
		return matchEach(len(values), func(i int) verdict { return matchElement(values[i], p) })
	case []any:
		if len(values) < len(patterns) {
			return failed
		}
		return matchEach(len(patterns), func(i int) verdict { return matchElement(values[i], patterns[i]) })
	default:
		return matchLeaf(values, p)
	}
}

func matchEach(n int, match func(int) verdict) verdict {
	var skips failure
	skipping, applied := false, false
	for i := range n {
		v := match(i)
		switch {
		case v.ok():
			applied = true
		case v.skips():
			skipping = true
			skips |= v.inText
		default:
			return v
		}
	}
	if skipping && !applied {
		return verdict{skipped, skips}
	}
	return verdict{}
}

// expandMetadata replaces wildcards in the keys of the labels and annotations
// of a pattern by the first key, in the order of the keys, that the object has
// for them. (Kyverno takes any, so its result may change from run to run.) As
// in Kyverno, values that are not strings are left out of the pattern by it.
func expandMetadata(pattern, object map[string]any) {
	_, m := lookup(pattern, "metadata")
	meta, ok := m.(map[string]any)
	if !ok || object["metadata"] == nil {
		return
	}
	objectMeta, _ := object["metadata"].(map[string]any)
	for _, field := range [...]string{"labels", "annotations"} {
		key, p := lookup(meta, field)
		_, o := lookup(objectMeta, field)
		patterns, ok := p.(map[string]any)
		if !ok {
			continue
		}
		values, ok := o.(map[string]any)
		if !ok {
			continue
		}
		meta[key] = expandKeys(patterns, values)
	}
}

// lookup finds a key, or an anchor of it.
func lookup(m map[string]any, key string) (string, any) {
	if v, ok := m[key]; ok {
		return key, v
	}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if a, ok := ParseAnchor(k); ok && a.Key == key {
			return k, m[k]
		}
	}
	return "", nil
}

func expandKeys(patterns, values map[string]any) map[string]any {
	out := map[string]any{}
	for _, key := range slices.Sorted(maps.Keys(patterns)) {
		v, ok := patterns[key].(string)
		if !ok {
			continue
		}
		if strings.ContainsAny(key, "*?") {
			if a, ok := ParseAnchor(key); ok {
				a.Key = expandKey(a.Key, values)
				key = a.String()
			} else {
				key = expandKey(key, values)
			}
		}
		out[key] = v
	}
	return out
}

func expandKey(key string, values map[string]any) string {
	found := ""
	for k, v := range values {
		if _, ok := v.(string); ok && wildcard.Match(key, k) && (found == "" || k < found) {
			found = k
		}
	}
	if found == "" {
		return key
	}
	return found
}

func namesMetadata(pattern any) bool {
	switch p := pattern.(type) {
	case map[string]any:
		for key, v := range p {
			if strings.Contains(key, "metadata") || namesMetadata(v) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(p, namesMetadata)
	}
	return false
}
