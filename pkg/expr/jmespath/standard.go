package jmespath

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// standardFunctions are those of the JMESPath specification, as the fork has
// them. sum is missing: Kyverno has its own.
var standardFunctions = []function{
	{name: "abs", params: []kind{aNumber}, result: aNumber, note: "the number without its sign", body: abs},
	{name: "avg", params: []kind{aListOfNumbers}, result: aNumber, note: "the mean of the numbers", body: avg},
	{name: "ceil", params: []kind{aNumber}, result: aNumber, note: "the number rounded up", body: rounding(math.Ceil)},
	{name: "contains", params: []kind{aList | aString, anything}, boolean: true, note: "whether the list has the element, or the string the text", body: contains},
	{name: "ends_with", params: []kind{aString, aString}, boolean: true, note: "whether the first string ends with the second", body: endsWith},
	{name: "floor", params: []kind{aNumber}, result: aNumber, note: "the number rounded down", body: rounding(math.Floor)},
	{name: "join", params: []kind{aString, aListOfStrings}, result: aString, note: "the strings with the first argument between them", body: join},
	{name: "keys", params: []kind{anObject}, result: aListOfStrings, note: "the keys, sorted", body: keysOf},
	{name: "length", params: []kind{aString | aList | anObject}, result: aNumber, note: "the number of characters, elements or keys", body: length},
	{name: "map", params: []kind{anExpression, aList}, result: aList, note: "the expression's value for each element, null included", body: mapEach},
	{name: "max", params: []kind{aListOfNumbers | aListOfStrings}, result: aNumber | aString, note: "the largest element, null for an empty list", body: extreme(1)},
	{name: "max_by", params: []kind{aList, anExpression}, result: anything, note: "the element for which the expression is largest", body: extremeBy(1)},
	{name: "merge", params: []kind{anObject}, variadic: true, result: anObject, note: "one object with the keys of all; later ones win", body: merge},
	{name: "min", params: []kind{aListOfNumbers | aListOfStrings}, result: aNumber | aString, note: "the smallest element, null for an empty list", body: extreme(-1)},
	{name: "min_by", params: []kind{aList, anExpression}, result: anything, note: "the element for which the expression is smallest", body: extremeBy(-1)},
	{name: "not_null", params: []kind{anything}, variadic: true, result: anything, note: "the first argument that is not null", body: notNull},
	{name: "reverse", params: []kind{aList | aString}, result: aList | aString, note: "the elements or characters in reverse order", body: reverse},
	{name: "sort", params: []kind{aListOfStrings | aListOfNumbers}, result: aList, note: "the elements in ascending order", body: sortList},
	{name: "sort_by", params: []kind{aList, anExpression}, result: aList, note: "the elements in ascending order of the expression", body: sortBy},
	{name: "starts_with", params: []kind{aString, aString}, boolean: true, note: "whether the first string starts with the second", body: startsWith},
	{name: "to_array", params: []kind{anything}, result: aList, note: "the list itself, or a list of the one value", body: toArray},
	{name: "to_number", params: []kind{anything}, result: aNumber, note: "the number that the string holds, null for anything else", body: toNumber},
	{name: "to_string", params: []kind{anything}, result: aString, note: "the string itself, or the value as JSON", body: toString},
	{name: "type", params: []kind{anything}, result: aString, note: "number, string, boolean, array, object or null", body: typeOf},
	{name: "values", params: []kind{anObject}, result: aList, note: "the values in key order", body: valuesOf},
}

func abs(_ *run, args []any) (any, error) {
	if i, ok := args[0].(int64); ok && i != math.MinInt64 {
		return max(i, -i), nil
	}
	return number(math.Abs(float(args[0]))), nil
}

func avg(_ *run, args []any) (any, error) {
	list := args[0].([]any)
	total := 0.0
	for _, e := range list {
		total += float(e)
	}
	// The mean of nothing is NaN, and an error if it gets as far as the result.
	return number(total / float64(len(list))), nil
}

func rounding(to func(float64) float64) func(*run, []any) (any, error) {
	return func(_ *run, args []any) (any, error) {
		if i, ok := args[0].(int64); ok {
			return i, nil
		}
		return number(to(float(args[0]))), nil
	}
}

func contains(r *run, args []any) (any, error) {
	if s, ok := args[0].(string); ok {
		part, ok := args[1].(string)
		return ok && strings.Contains(s, part), nil
	}
	list, _ := elements(args[0])
	for _, e := range list {
		if same, err := r.equal(e, args[1]); same || err != nil {
			return same, err
		}
	}
	return false, nil
}

func endsWith(_ *run, args []any) (any, error) {
	return strings.HasSuffix(args[0].(string), args[1].(string)), nil
}

func startsWith(_ *run, args []any) (any, error) {
	return strings.HasPrefix(args[0].(string), args[1].(string)), nil
}

func join(r *run, args []any) (any, error) {
	sep, list := args[0].(string), args[1].([]any)
	parts := make([]string, len(list))
	for i, e := range list {
		parts[i] = e.(string)
		if err := r.spend(len(sep) + len(parts[i])); err != nil {
			return nil, err
		}
	}
	return strings.Join(parts, sep), nil
}

func keysOf(r *run, args []any) (any, error) {
	m := args[0].(map[string]any)
	if err := r.spend(len(m)); err != nil {
		return nil, err
	}
	out := make([]any, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, k)
	}
	return out, nil
}

func valuesOf(r *run, args []any) (any, error) {
	m := args[0].(map[string]any)
	if err := r.spend(len(m)); err != nil {
		return nil, err
	}
	out := make([]any, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, m[k])
	}
	return out, nil
}

func length(_ *run, args []any) (any, error) {
	switch v := args[0].(type) {
	case string:
		return int64(utf8.RuneCountInString(v)), nil
	case []any:
		return int64(len(v)), nil
	case pairs:
		return int64(len(v)), nil
	default:
		return int64(len(v.(map[string]any))), nil
	}
}

func mapEach(r *run, args []any) (any, error) {
	body := args[0].(*reference).body
	list, _ := elements(args[1])
	if err := r.spend(len(list)); err != nil {
		return nil, err
	}
	out := make([]any, len(list))
	for i, e := range list {
		v, err := r.value(body, e)
		if err != nil {
			return nil, err
		}
		out[i] = v
	}
	return out, nil
}

// compareKeys orders two numbers or two strings.
func compareKeys(a, b any) int {
	if s, ok := a.(string); ok {
		return strings.Compare(s, b.(string))
	}
	return compareNumbers(a, b)
}

// extreme returns the first element that no other one surpasses in direction
// sign.
func extreme(sign int) func(*run, []any) (any, error) {
	return func(_ *run, args []any) (any, error) {
		list := args[0].([]any)
		if len(list) == 0 {
			return nil, nil
		}
		best := list[0]
		for _, e := range list[1:] {
			if surpasses(e, best, sign) {
				best = e
			}
		}
		return best, nil
	}
}

// surpasses compares like < and >, for which NaN is on neither side.
func surpasses(a, b any, sign int) bool {
	if s, ok := a.(string); ok {
		return strings.Compare(s, b.(string)) == sign
	}
	if sign > 0 {
		return less(b, a)
	}
	return less(a, b)
}

// sortKeys evaluates ref for every element of list; all keys are numbers or all
// are strings.
func sortKeys(r *run, list []any, ref any) ([]any, error) {
	body := ref.(*reference).body
	if err := r.spend(len(list)); err != nil {
		return nil, err
	}
	keys := make([]any, len(list))
	for i, e := range list {
		k, err := r.value(body, e)
		if err != nil {
			return nil, err
		}
		if !isNumber(k) && !isString(k) {
			return nil, fmt.Errorf("the expression gives %s for element %d, expected a number or a string", describe(k), i)
		}
		if isString(k) != isString(keys[0]) && i > 0 {
			return nil, fmt.Errorf("the expression gives %s for element 0 but %s for element %d", describe(keys[0]), describe(k), i)
		}
		keys[i] = k
	}
	return keys, nil
}

func extremeBy(sign int) func(*run, []any) (any, error) {
	return func(r *run, args []any) (any, error) {
		list, _ := elements(args[0])
		switch len(list) {
		case 0:
			return nil, nil
		case 1: // whatever the expression gives for it
			return list[0], nil
		}
		keys, err := sortKeys(r, list, args[1])
		if err != nil {
			return nil, err
		}
		best := 0
		for i := range keys {
			if surpasses(keys[i], keys[best], sign) {
				best = i
			}
		}
		return list[best], nil
	}
}

func sortBy(r *run, args []any) (any, error) {
	list, _ := elements(args[0])
	if len(list) < 2 { // whatever the expression gives for it
		return args[0], nil
	}
	keys, err := sortKeys(r, list, args[1])
	if err != nil {
		return nil, err
	}
	order := make([]int, len(list))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return compareKeys(keys[i], keys[j]) })
	out := make([]any, len(list))
	for to, from := range order {
		out[to] = list[from]
	}
	return out, nil
}

func sortList(r *run, args []any) (any, error) {
	list := args[0].([]any)
	if err := r.spend(len(list)); err != nil {
		return nil, err
	}
	out := append(make([]any, 0, len(list)), list...)
	slices.SortStableFunc(out, compareKeys)
	return out, nil
}

func merge(r *run, args []any) (any, error) {
	out := map[string]any{}
	for _, a := range args {
		m := a.(map[string]any)
		if err := r.spend(len(m)); err != nil {
			return nil, err
		}
		maps.Copy(out, m)
	}
	return out, nil
}

func notNull(_ *run, args []any) (any, error) {
	for _, a := range args {
		if a != nil {
			return a, nil
		}
	}
	return nil, nil
}

func reverse(r *run, args []any) (any, error) {
	if s, ok := args[0].(string); ok {
		if err := r.spend(len(s)); err != nil {
			return nil, err
		}
		runes := []rune(s)
		slices.Reverse(runes)
		return string(runes), nil
	}
	list, _ := elements(args[0])
	if err := r.spend(len(list)); err != nil {
		return nil, err
	}
	out := append(make([]any, 0, len(list)), list...)
	slices.Reverse(out)
	return out, nil
}

func toArray(_ *run, args []any) (any, error) {
	if _, ok := args[0].([]any); ok {
		return args[0], nil
	}
	return args[:1:1], nil
}

func toNumber(_ *run, args []any) (any, error) {
	switch v := args[0].(type) {
	case int64, float64:
		return v, nil
	case string:
		f, err := strconv.ParseFloat(v, 64)
		if err != nil {
			return nil, nil
		}
		return number(f), nil
	case nil, bool, []any, map[string]any:
		return nil, nil
	}
	return nil, fmt.Errorf("cannot convert %s", describe(args[0]))
}

func toString(r *run, args []any) (any, error) {
	if s, ok := args[0].(string); ok {
		return s, nil
	}
	return r.encode(args[0])
}

func typeOf(_ *run, args []any) (any, error) {
	switch args[0].(type) {
	case nil:
		return "null", nil
	case bool:
		return "boolean", nil
	case string:
		return "string", nil
	case int64, float64:
		return "number", nil
	case []any:
		return "array", nil
	case map[string]any:
		return "object", nil
	case pairs:
		return nil, errors.New("what items returns has no type in Kyverno")
	}
	return nil, fmt.Errorf("%s has no type", describe(args[0]))
}
