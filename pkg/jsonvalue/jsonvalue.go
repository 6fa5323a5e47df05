// Package jsonvalue says in words what a JSON value is, for errors. Values
// consist of map[string]any, []any, string, bool, int64, float64 and nil.
package jsonvalue

import "fmt"

// Type names the type of a value: "a map", "a list", "a string", "a boolean",
// "a number" or "null".
func Type(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case map[string]any:
		return "a map"
	case []any:
		return "a list"
	case string:
		return "a string"
	case bool:
		return "a boolean"
	}
	return "a number"
}

// longest is how many characters of a string Describe shows.
const longest = 40

// Describe names a value: a map or a list by its type, a scalar with what it
// holds, such as `the string "x"`.
func Describe(v any) string {
	switch v := v.(type) {
	case nil, map[string]any, []any:
		return Type(v)
	case string:
		if r := []rune(v); len(r) > longest {
			v = string(r[:longest]) + "..."
		}
		return fmt.Sprintf("the string %q", v)
	case bool:
		return fmt.Sprintf("the boolean %t", v)
	}
	return fmt.Sprintf("the number %v", v)
}

// Clone returns a copy that shares no map and no list with v.
func Clone(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = Clone(e)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = Clone(e)
		}
		return out
	}
	return v
}

// Strings returns texts as a JSON list.
func Strings(texts []string) []any {
	out := make([]any, len(texts))
	for i, s := range texts {
		out[i] = s
	}
	return out
}
