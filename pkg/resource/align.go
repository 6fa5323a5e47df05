package resource

import (
	"encoding/json"
	"maps"
	"math"
	"reflect"
	"slices"
)

// mergeKeys are the fields by which the elements of Kubernetes' lists are told
// apart, most telling first. A list aligns by the first of them that all its
// elements have and that no two of them share.
var mergeKeys = [][]string{
	{"name"}, {"reference"}, {"containerPort", "protocol"}, {"containerPort"}, {"port", "protocol"}, {"port"},
	{"mountPath"}, {"devicePath"}, {"ip"}, {"uid"}, {"topologyKey", "whenUnsatisfiable"}, {"topologyKey"},
	{"key"}, {"type"}, {"path"}, {"host"}, {"id"},
}

// align pairs the elements of two versions of a list: for each element of
// after it returns the index of the same element in before, -1 for a new one.
// Elements that are maps pair by a merge key, or where they stand if only that
// changed; all others by equality, and what then remains between two pairs by
// position.
func align(before, after []any) []int {
	pairs, _ := alignBy(before, after)
	return pairs
}

// alignBy is align, and returns the merge key; nil where there is none.
func alignBy(before, after []any) (pairs []int, keys []string) {
	pairs = make([]int, len(after))
	if sameNames(before, after) {
		for i := range pairs {
			pairs[i] = i
		}
		return pairs, mergeKeys[0]
	}
	for _, keys := range mergeKeys {
		old, ok := elementKeys(before, keys)
		if !ok {
			continue
		}
		now, ok := elementKeys(after, keys)
		if !ok {
			continue
		}
		index := make(map[string]int, len(old))
		for i, k := range old {
			index[k] = i
		}
		for i, k := range now {
			pairs[i] = -1
			if j, ok := index[k]; ok {
				pairs[i] = j
			}
		}
		alignRenamed(before, after, pairs, keys)
		return pairs, keys
	}
	alignEqual(before, after, pairs)
	return pairs, nil
}

// alignRenamed pairs what stands between the same two elements as before, and is the
// same but for its merge key.
func alignRenamed(before, after []any, pairs []int, keys []string) {
	if len(before)*len(after) > maxCells || !slices.Contains(pairs, -1) || !increasing(pairs) {
		return
	}
	kept := make([]bool, len(before))
	for _, i := range pairs {
		if i >= 0 {
			kept[i] = true
		}
	}
	last := -1
	for j := range pairs {
		for i := last + 1; pairs[j] < 0 && i < len(before) && !kept[i]; i++ {
			if renamed(before[i], after[j], keys) {
				pairs[j] = i
			}
		}
		if pairs[j] >= 0 {
			last = pairs[j]
		}
	}
}

// renamed reports whether two elements have the same fields, and the same values
// but for the merge key, which must not be all that they have.
func renamed(before, after any, keys []string) bool {
	b, _ := before.(map[string]any)
	a, _ := after.(map[string]any)
	if len(b) != len(a) {
		return false
	}
	more := false
	for k, v := range b {
		w, ok := a[k]
		switch {
		case !ok:
			return false
		case slices.Contains(keys, k):
		case !Equal(v, w):
			return false
		default:
			more = true
		}
	}
	return more
}

// fewNames is how many names are compared each with each: it takes less time
// than a map does.
const fewNames = 8

// sameNames reports whether two short lists have the same elements by name in
// the same order, which most lists have: what mergeKeys would find out.
func sameNames(before, after []any) bool {
	if len(before) != len(after) || len(before) > fewNames {
		return false
	}
	var names [fewNames]string
	for i := range before {
		b, _ := before[i].(map[string]any)
		a, _ := after[i].(map[string]any)
		was, ok := b["name"].(string)
		now, same := a["name"].(string)
		if !ok || !same || was != now || slices.Contains(names[:i], now) {
			return false
		}
		names[i] = now
	}
	return true
}

// elementKeys returns the merge key of every element; false when some element
// has none or two elements share one.
func elementKeys(list []any, keys []string) ([]string, bool) {
	out := make([]string, len(list))
	seen := make(map[string]bool, len(list))
	for i, e := range list {
		k, ok := elementKey(e, keys)
		if !ok || seen[k] {
			return nil, false
		}
		seen[k] = true
		out[i] = k
	}
	return out, true
}

// elementKey returns the merge key of an element; false when it has none.
func elementKey(e any, keys []string) (string, bool) {
	m, ok := e.(map[string]any)
	if !ok {
		return "", false
	}
	k := ""
	for n, key := range keys {
		v, ok := m[key]
		if !ok && n == 0 {
			return "", false
		}
		switch v := v.(type) {
		case map[string]any, []any:
			return "", false
		case string:
			k += "\"" + v + "\x00"
			continue
		}
		text, err := json.Marshal(v)
		if err != nil {
			return "", false
		}
		k += string(text) + "\x00"
	}
	return k, true
}

// maxCells bounds how many elements are compared each with each. Longer lists align
// by position, or by their merge key alone.
const maxCells = 1 << 20

func alignEqual(before, after []any, pairs []int) {
	for i := range pairs {
		pairs[i] = -1
	}
	lo := 0
	for lo < len(before) && lo < len(after) && Equal(before[lo], after[lo]) {
		pairs[lo] = lo
		lo++
	}
	hiB, hiA := len(before), len(after)
	for hiB > lo && hiA > lo && Equal(before[hiB-1], after[hiA-1]) {
		hiB--
		hiA--
		pairs[hiA] = hiB
	}
	b, a := before[lo:hiB], after[lo:hiA]
	if len(b) > 0 && len(a) > 0 && len(b)*len(a) <= maxCells {
		longestCommon(b, a, func(i, j int) { pairs[lo+j] = lo + i })
	}
	// Between two pairs, what is of one kind is taken for an edit.
	prev := lo - 1
	for j := lo; j < hiA; {
		if pairs[j] >= 0 {
			prev = pairs[j]
			j++
			continue
		}
		end := j
		for end < hiA && pairs[end] < 0 {
			end++
		}
		limit := hiB
		if end < hiA {
			limit = pairs[end]
		}
		for i := prev + 1; i < limit && j < end; i++ {
			if sameKind(before[i], after[j]) {
				pairs[j] = i
				prev = i
				j++
			}
		}
		j = end
	}
}

// longestCommon calls pair for the elements of a longest common subsequence.
func longestCommon(b, a []any, pair func(i, j int)) {
	w := len(a) + 1
	table := make([]int32, (len(b)+1)*w)
	for i := len(b) - 1; i >= 0; i-- {
		for j := len(a) - 1; j >= 0; j-- {
			if Equal(b[i], a[j]) {
				table[i*w+j] = table[(i+1)*w+j+1] + 1
			} else {
				table[i*w+j] = max(table[(i+1)*w+j], table[i*w+j+1])
			}
		}
	}
	for i, j := 0, 0; i < len(b) && j < len(a); {
		switch {
		case table[i*w+j] == table[(i+1)*w+j]:
			i++
		case table[i*w+j] == table[i*w+j+1]:
			j++
		default:
			pair(i, j)
			i++
			j++
		}
	}
}

func sameKind(a, b any) bool {
	switch a.(type) {
	case map[string]any:
		_, ok := b.(map[string]any)
		return ok
	case []any:
		_, ok := b.([]any)
		return ok
	}
	switch b.(type) {
	case map[string]any, []any:
		return false
	}
	return true
}

// Equal compares JSON values. Numbers are equal by value: a policy may compute
// 3.0 where the manifest says 3. Values that share memory are equal at once,
// and policies share what they don't change.
func Equal(a, b any) bool {
	switch x := a.(type) {
	case map[string]any:
		y, ok := b.(map[string]any)
		if !ok || len(x) != len(y) {
			return false
		}
		if reflect.ValueOf(x).UnsafePointer() == reflect.ValueOf(y).UnsafePointer() {
			return true
		}
		for k, v := range x {
			w, ok := y[k]
			if !ok || !Equal(v, w) {
				return false
			}
		}
		return true
	case []any:
		y, ok := b.([]any)
		if !ok || len(x) != len(y) {
			return false
		}
		if len(x) == 0 || &x[0] == &y[0] {
			return true
		}
		for i := range x {
			if !Equal(x[i], y[i]) {
				return false
			}
		}
		return true
	case string:
		y, ok := b.(string)
		return ok && x == y
	case bool:
		y, ok := b.(bool)
		return ok && x == y
	case nil:
		return b == nil
	}
	if i, ok := whole(a); ok {
		j, ok := whole(b)
		return ok && i == j
	}
	f, ok := a.(float64)
	if !ok {
		return false
	}
	g, ok := b.(float64)
	return ok && f == g
}

// whole returns the int64 that a number equals.
func whole(v any) (int64, bool) {
	switch n := v.(type) {
	case int64:
		return n, true
	case int:
		return int64(n), true
	case int32:
		return int64(n), true
	case float64:
		if n == math.Trunc(n) && math.Abs(n) < 1<<63 {
			return int64(n), true
		}
	}
	return 0, false
}

// sortedKeys returns the keys of m in order.
func sortedKeys(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }
