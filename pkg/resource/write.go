package resource

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// A layout is how a document is written, so that what is added looks like what
// is there.
type layout struct {
	step int  // columns per level
	wide bool // lists are indented below their key
	json bool // strings and keys in double quotes, as in JSON
}

// usualOrder is the order of well-known fields in hand-written manifests;
// others follow by name.
var usualOrder = []string{
	"apiVersion", "kind", "metadata", "name", "generateName", "namespace", "labels", "annotations",
	"reference", "spec", "replicas", "selector", "matchLabels", "template", "type", "image", "imagePullPolicy", "command", "args",
	"workingDir", "ports", "env", "envFrom", "key", "operator", "value", "valueFrom", "resources", "volumeMounts",
	"initContainers", "containers", "data", "stringData", "items", "status",
}

// orderedKeys returns the keys of m as New and Update write them.
func orderedKeys(m map[string]any) []string {
	return inOrder(slices.Collect(maps.Keys(m)))
}

// inOrder sorts keys in place as people write them.
func inOrder(keys []string) []string {
	slices.Sort(keys)
	slices.SortStableFunc(keys, func(a, b string) int { return rank(a) - rank(b) })
	return keys
}

func rank(key string) int {
	if i := slices.Index(usualOrder, key); i >= 0 {
		if key == "items" || key == "status" {
			return len(usualOrder) + i
		}
		return i
	}
	return len(usualOrder)
}

// A valueError is a value that YAML has no form for.
type valueError struct{ value any }

func (e *valueError) Error() string {
	return fmt.Sprintf("expected a JSON value, found a %T", e.value)
}

// appendBlock writes a non-empty map or list in block style, each line
// indented by col and ended. The first line is not indented: the caller has.
func (l layout) appendBlock(b []byte, v any, col int) ([]byte, error) {
	var err error
	switch v := v.(type) {
	case map[string]any:
		for i, k := range orderedKeys(v) {
			if i > 0 {
				b = appendSpaces(b, col)
			}
			if b, err = l.appendEntry(b, k, v[k], col); err != nil {
				return nil, err
			}
		}
	case []any:
		for i, e := range v {
			if i > 0 {
				b = appendSpaces(b, col)
			}
			if b, err = l.appendElement(b, e, col); err != nil {
				return nil, err
			}
		}
	}
	return b, nil
}

// appendEntry writes a key and its value, to the end of its last line.
func (l layout) appendEntry(b []byte, key string, v any, col int) ([]byte, error) {
	b = l.appendKey(b, key)
	b = append(b, ':')
	return l.appendValue(b, v, col, "\n")
}

// appendElement writes a dash and its value, to the end of its last line.
func (l layout) appendElement(b []byte, v any, col int) ([]byte, error) {
	b = append(b, '-')
	switch v := v.(type) {
	case map[string]any:
		if len(v) > 0 {
			return l.appendBlock(append(b, ' '), v, col+2)
		}
	case []any:
		if len(v) > 0 {
			return l.appendBlock(append(b, ' '), v, col+2)
		}
	}
	return l.appendValue(b, v, col, "\n")
}

// appendValue writes what follows the colon of a key, or the dash of a scalar
// element, at column col. The rest of the line is a comment, if any, and the
// line break.
func (l layout) appendValue(b []byte, v any, col int, rest string) ([]byte, error) {
	switch v := v.(type) {
	case map[string]any:
		if len(v) == 0 {
			b = append(b, " {}"...)
			return append(b, rest...), nil
		}
		b = append(b, rest...)
		return l.appendBlock(appendSpaces(b, col+l.step), v, col+l.step)
	case []any:
		if len(v) == 0 {
			b = append(b, " []"...)
			return append(b, rest...), nil
		}
		b = append(b, rest...)
		if l.wide {
			col += l.step
		}
		return l.appendBlock(appendSpaces(b, col), v, col)
	case string:
		if literalFits(v) {
			return appendLiteral(append(b, ' '), v, col+l.step, rest), nil
		}
	case nil:
		b = append(b, " null"...)
		return append(b, rest...), nil
	}
	b, err := l.appendScalar(append(b, ' '), v, plainStyle, false)
	return append(b, rest...), err
}

// AppendKey appends a map key, quoted if needed.
func AppendKey(dst []byte, key string) []byte { return layout{step: 2}.appendKey(dst, key) }

// AppendValue appends a JSON value as it follows the colon of a key at column
// col, to the end of its last line.
func AppendValue(dst []byte, v any, col int) ([]byte, error) {
	return layout{step: 2}.appendValue(dst, v, col, "\n")
}

func appendSpaces(b []byte, n int) []byte {
	const spaces = "                                "
	for n > len(spaces) {
		b = append(b, spaces...)
		n -= len(spaces)
	}
	return append(b, spaces[:n]...)
}

// literalFits reports whether s is written as a block of text.
func literalFits(s string) bool {
	if strings.IndexByte(s, '\n') < 0 || s[0] == ' ' || s[0] == '\n' || s[0] == '\t' ||
		strings.HasSuffix(s, " ") || strings.HasSuffix(s, "\n\n") || strings.Contains(s, " \n") {
		return false
	}
	for line := range strings.SplitSeq(s, "\n") {
		if line != "" && line[0] == '\t' {
			return false // editors and readers confuse it with the indentation
		}
	}
	return printable(s, true)
}

func appendLiteral(b []byte, s string, col int, rest string) []byte {
	b = append(b, '|')
	if !strings.HasSuffix(s, "\n") {
		b = append(b, '-')
	}
	b = append(b, rest...)
	for line := range strings.Lines(s) {
		if line != "\n" {
			b = appendSpaces(b, col)
		}
		b = append(b, line...)
	}
	if !strings.HasSuffix(s, "\n") {
		b = append(b, '\n')
	}
	return b
}

// printable reports whether s has only characters that need no escape.
func printable(s string, tabs bool) bool {
	for _, r := range s {
		switch {
		case r >= ' ' && r < 0x7f, r == '\n', r == '\t' && tabs:
		case r >= 0xa0 && r <= 0xfffd && r != 0xfeff && r != 0x2028 && r != 0x2029:
		default:
			return false
		}
	}
	return true
}

// appendKey writes a map key.
func (l layout) appendKey(b []byte, key string) []byte {
	if l.json {
		return appendJSON(b, key)
	}
	return appendString(b, key, plainStyle, false)
}

// appendScalar writes a scalar on one line. Strings keep the quotes of style
// if they can; flow says that it stands in brackets.
func (l layout) appendScalar(b []byte, v any, style nodeStyle, flow bool) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...), nil
	case bool:
		return strconv.AppendBool(b, v), nil
	case int64:
		return strconv.AppendInt(b, v, 10), nil
	case int:
		return strconv.AppendInt(b, int64(v), 10), nil
	case int32:
		return strconv.AppendInt(b, int64(v), 10), nil
	case float64:
		if i, ok := whole(v); ok && i > -1<<53 && i < 1<<53 {
			return strconv.AppendInt(b, i, 10), nil
		}
		if text := strconv.FormatFloat(v, 'g', -1, 64); number(text) == any(v) {
			return append(b, text...), nil
		}
		return nil, &valueError{v}
	case string:
		if l.json {
			return appendJSON(b, v), nil
		}
		return appendString(b, v, style, flow), nil
	}
	return nil, &valueError{v}
}

func appendJSON(b []byte, s string) []byte {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		return appendDouble(b, s)
	}
	return append(b, bytes.TrimSuffix(buf.Bytes(), []byte("\n"))...)
}

// appendString writes a string without quotes where every reader of YAML takes
// it for that string, or with the quotes of style.
func appendString(b []byte, s string, style nodeStyle, flow bool) []byte {
	single := printable(s, false) && strings.IndexByte(s, '\n') < 0
	switch {
	case style == singleStyle && single:
		return appendSingle(b, s)
	case style == doubleStyle, !readsAsString(s):
		return appendDouble(b, s)
	case single && plainFits(s, flow):
		return append(b, s...)
	case single:
		return appendSingle(b, s)
	}
	return appendDouble(b, s)
}

func appendSingle(b []byte, s string) []byte {
	b = append(b, '\'')
	b = append(b, strings.ReplaceAll(s, "'", "''")...)
	return append(b, '\'')
}

// plainFits reports whether the characters of s allow it to stand without
// quotes.
func plainFits(s string, flow bool) bool {
	switch s[0] {
	case '#', ',', '[', ']', '{', '}', '&', '*', '!', '|', '>', '\'', '"', '%', '@', '`', ' ':
		return false
	case '-', '?', ':':
		if len(s) == 1 || s[1] == ' ' || flow {
			return false
		}
	}
	if s[len(s)-1] == ' ' || s[len(s)-1] == ':' || strings.HasPrefix(s, "---") || strings.HasPrefix(s, "...") ||
		strings.Contains(s, ": ") || strings.Contains(s, " #") {
		return false
	}
	return !flow || !strings.ContainsAny(s, ",[]{}?:#")
}

// appendFlow writes a value in brackets. Below indent >= 0 each element has a
// line of its own, indented by step more.
func (l layout) appendFlow(b []byte, v any, indent int) ([]byte, error) {
	open, closing, n := byte('{'), byte('}'), 0
	var keys []string
	var list []any
	m, isMap := v.(map[string]any)
	switch {
	case isMap:
		keys, n = orderedKeys(m), len(m)
	default:
		var ok bool
		if list, ok = v.([]any); !ok {
			return l.appendScalar(b, v, plainStyle, true)
		}
		open, closing, n = '[', ']', len(list)
	}
	b = append(b, open)
	inner := indent
	if indent >= 0 {
		inner = indent + l.step
	}
	var err error
	for i := range n {
		if i > 0 {
			b = append(b, ',')
		}
		if indent >= 0 {
			b = appendSpaces(append(b, '\n'), inner)
		} else if i > 0 {
			b = append(b, ' ')
		}
		var e any
		if isMap {
			if l.json {
				b = appendJSON(b, keys[i])
			} else {
				b = appendString(b, keys[i], plainStyle, true)
			}
			b = append(b, ": "...)
			e = m[keys[i]]
		} else {
			e = list[i]
		}
		if b, err = l.appendFlow(b, e, inner); err != nil {
			return nil, err
		}
	}
	if n > 0 && indent >= 0 {
		b = appendSpaces(append(b, '\n'), indent)
	}
	return append(b, closing), nil
}
