package jsonvalue_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oneloop-dev/oneloop/pkg/jsonvalue"
)

func TestWords(t *testing.T) {
	for _, tt := range []struct {
		value          any
		typ, described string
	}{
		{nil, "null", "null"},
		{map[string]any{"a": nil}, "a map", "a map"},
		{[]any{1}, "a list", "a list"},
		{"x", "a string", `the string "x"`},
		{strings.Repeat("ä", 41), "a string", `the string "` + strings.Repeat("ä", 40) + `..."`},
		{false, "a boolean", "the boolean false"},
		{int64(3), "a number", "the number 3"},
		{1.5, "a number", "the number 1.5"},
	} {
		if got := jsonvalue.Type(tt.value); got != tt.typ {
			t.Errorf("Type(%v) = %s, want %s", tt.value, got, tt.typ)
		}
		if got := jsonvalue.Describe(tt.value); got != tt.described {
			t.Errorf("Describe(%v) = %s, want %s", tt.value, got, tt.described)
		}
	}
}

func TestClone(t *testing.T) {
	value := map[string]any{"list": []any{map[string]any{"a": int64(1)}}, "null": nil}
	clone := jsonvalue.Clone(value)
	if d := cmp.Diff(any(value), clone); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	clone.(map[string]any)["list"].([]any)[0].(map[string]any)["a"] = "changed"
	if value["list"].([]any)[0].(map[string]any)["a"] != int64(1) {
		t.Error("the copy shares a map with the value")
	}
}
