package variable

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
)

const (
	maxText  = 2 << 20  // bytes of a text while variables are substituted in it
	maxWork  = 16 << 20 // bytes searched for variables on behalf of one text
	maxDepth = 64       // of values that bring in values
)

// A budget bounds what variables bring in that themselves bring in variables.
type budget struct{ work, depth int }

// spend reports whether the search of another text fits.
func (b *budget) spend(text int) bool {
	b.work += text + 256 // whatever its length, it costs something
	return text <= maxText && b.work <= maxWork
}

// A span is a variable in a text, from its first to behind its last brace.
type span struct{ start, end int }

// find returns the variables of a text that have no variable inside. As in
// Kyverno, one that follows another at once is not seen: it is found when the
// text is searched again.
func find(text string) []span {
	var out []span
	for from := 0; ; {
		i := strings.Index(text[from:], "{{")
		if i < 0 {
			return out
		}
		start := from + i
		if start > 0 && text[start-1] == '\\' {
			from = start + 1
			continue
		}
		end := closing(text, start)
		if end < 0 {
			from = start + 1
			continue
		}
		out = append(out, span{start, end})
		from = min(end+1, len(text))
	}
}

// closing returns where the variable that starts at start ends, -1 if it does
// not. Inside may be pairs of braces, as in {{ x.{a: b} }}, but not nested ones.
func closing(text string, start int) int {
	for i := start + 2; i < len(text); i++ {
		switch text[i] {
		case '{':
			n := strings.IndexAny(text[i+1:], "{}")
			if n < 0 || text[i+1+n] == '{' {
				return -1
			}
			i += 1 + n
		case '}':
			if i+1 < len(text) && text[i+1] == '}' {
				return i + 2
			}
			return -1
		}
	}
	return -1
}

// inside returns the expression of a variable. A variable that starts with a
// dash is shallow: what it brings in is not searched for variables.
func inside(variable string) (expression string, shallow bool) {
	e := strings.ReplaceAll(strings.ReplaceAll(variable, "{{", ""), "}}", "")
	e = strings.TrimSpace(e)
	if rest, ok := strings.CutPrefix(e, "-"); ok {
		return strings.TrimSpace(rest), true
	}
	return e, false
}

// unescape turns \{{ into {{.
func unescape(text string) string { return strings.ReplaceAll(text, `\{{`, `{{`) }

// text is a text with variables.
type text struct {
	raw         string
	object      string         // where {{ @ }} leads into
	place       fieldpath.Path // what {{ @ }} stands for
	path        fieldpath.Path // for errors
	expressions *Expressions
	parts       []part // nil: variables are nested, which needs the long way
	shallow     bool   // the last variable is
}

type part struct {
	literal    string
	expression *Expression // nil: literal
	shallow    bool
}

// text compiles one text, which stands at path; place is what {{ @ }} and
// references start from.
func (c *compilation) text(s string, place, path fieldpath.Path) node {
	if strings.Contains(s, "$(") {
		resolved, err := c.references(s, place)
		if err != nil {
			return broken{&Fault{slices.Concat(c.at, path), err}}
		}
		if resolved != s {
			if n := c.variables(resolved, place, path); n != nil {
				return n
			}
			return constant{resolved}
		}
	}
	return c.variables(s, place, path)
}

func (c *compilation) variables(s string, place, path fieldpath.Path) node {
	if !strings.Contains(s, "{{") {
		return nil
	}
	spans := find(s)
	if len(spans) == 0 {
		if plain := unescape(s); plain != s {
			return constant{plain}
		}
		return nil
	}
	t := &text{raw: s, object: c.object, place: slices.Clone(place), path: slices.Concat(c.at, path), expressions: c.expressions}
	var rest strings.Builder // what the search that follows the first one sees, at least
	end := 0
	for _, v := range spans {
		rest.WriteString(s[end:v.start] + "x")
		end = v.end
	}
	rest.WriteString(s[end:])
	if len(find(rest.String())) > 0 {
		return t
	}
	end = 0
	for _, v := range spans {
		if v.start > end {
			t.parts = append(t.parts, part{literal: s[end:v.start]})
		}
		end = v.end
		source, shallow := inside(s[v.start:v.end])
		e, err := t.compile(source)
		if err == nil && c.check != nil {
			err = c.check(e)
		}
		if err != nil {
			c.fault(path, fmt.Errorf("%s: %w", s[v.start:v.end], err))
			continue
		}
		t.parts = append(t.parts, part{expression: e, shallow: shallow})
		t.shallow = shallow
	}
	if end < len(s) {
		t.parts = append(t.parts, part{literal: s[end:]})
	}
	return t
}

// compile compiles the expression of a variable of t.
func (t *text) compile(source string) (*Expression, error) {
	if source == "@" {
		source = here(t.object, t.place)
	}
	return t.expressions.Compile(source)
}

func (t *text) resolve(s Scope) (any, error) {
	if t.parts == nil {
		return t.substitute(s, t.raw, &budget{})
	}
	if len(t.parts) == 1 {
		v, err := t.search(s, t.parts[0].expression)
		if err != nil {
			return nil, err
		}
		if !hasBraces(v) {
			return v, nil
		}
		return t.inner(s, v, &budget{})
	}
	var b strings.Builder
	again := false
	for _, p := range t.parts {
		if p.expression == nil {
			b.WriteString(p.literal)
			continue
		}
		v, err := t.search(s, p.expression)
		if err != nil {
			return nil, err
		}
		value, err := print(v, p.shallow)
		if err == nil {
			err = cut(b.String())
		}
		if err != nil {
			return nil, t.unresolved(p.expression.String(), err)
		}
		again = again || strings.ContainsAny(value, "{}")
		b.WriteString(value)
	}
	if again && !t.shallow {
		return t.substitute(s, b.String(), &budget{})
	}
	return unescape(b.String()), nil
}

// substitute replaces variables until there are none left.
func (t *text) substitute(s Scope, value string, left *budget) (any, error) {
	for {
		if !left.spend(len(value)) {
			return nil, t.endless()
		}
		spans := find(value)
		if len(spans) == 0 {
			return unescape(value), nil
		}
		var b strings.Builder
		end := 0
		shallow := false
		for _, v := range spans {
			var source string
			source, shallow = inside(value[v.start:v.end])
			if err := cut(value[:v.start]); err != nil {
				return nil, t.unresolved(source, err)
			}
			e, err := t.compile(source)
			if err != nil {
				return nil, t.unresolved(source, err)
			}
			found, err := t.search(s, e)
			if err != nil {
				return nil, err
			}
			if v.start == 0 && v.end == len(value) {
				return t.inner(s, found, left)
			}
			text, err := print(found, shallow)
			if err != nil {
				return nil, t.unresolved(source, err)
			}
			b.WriteString(value[end:v.start])
			b.WriteString(text)
			end = v.end
			if b.Len() > maxText {
				break
			}
		}
		b.WriteString(value[end:])
		value = b.String()
		if shallow {
			return unescape(value), nil
		}
	}
}

// cut fails on what no variable may follow: of a character before it Kyverno
// takes the first byte away, and the rest for a part of the variable.
func cut(before string) error {
	if r, n := utf8.DecodeLastRuneInString(before); n > 1 {
		return fmt.Errorf("a variable follows the character %q at once, on which Kyverno fails; put another character between them", r)
	}
	return nil
}

// search evaluates one variable.
func (t *text) search(s Scope, e *Expression) (any, error) {
	if s.Deleting() && strings.Contains(e.text, "request.object") {
		old, err := t.expressions.Compile(strings.ReplaceAll(e.text, "request.object", "request.oldObject"))
		if err != nil {
			return nil, t.unresolved(e.text, err)
		}
		e = old
	}
	v, err := s.Search(e)
	if err != nil {
		return nil, t.unresolved(e.text, err)
	}
	return v, nil
}

func (t *text) unresolved(variable string, err error) error {
	return &Unresolved{Variable: variable, Path: t.path, Err: err}
}

func (t *text) endless() error {
	return &Fault{t.path, errors.New("the variables of the text bring in variables without end")}
}

// print writes a value into a text.
func print(v any, shallow bool) (string, error) {
	s, ok := v.(string)
	if !ok {
		data, err := json.Marshal(v)
		if err != nil {
			return "", err
		}
		s = string(data)
	}
	if shallow && v != nil {
		s = strings.ReplaceAll(s, "{{", `\{{`)
	}
	return s, nil
}

// inner substitutes the variables in the texts of a map or list that a
// variable brought in. A text that it brought in is final.
func (t *text) inner(s Scope, v any, left *budget) (any, error) {
	if _, ok := v.(string); ok || !hasBraces(v) {
		return v, nil
	}
	if left.depth++; left.depth > maxDepth {
		return nil, t.endless()
	}
	defer func() { left.depth-- }()
	return t.within(s, v, t.place, left)
}

func (t *text) within(s Scope, v any, place fieldpath.Path, left *budget) (any, error) {
	if !hasBraces(v) {
		return v, nil
	}
	if !left.spend(0) {
		return nil, t.endless()
	}
	switch v := v.(type) {
	case string:
		inner := &text{raw: v, object: t.object, place: place, path: t.path, expressions: t.expressions}
		return inner.substitute(s, v, left)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			var err error
			if out[i], err = t.within(s, v[i], place.Index(i), left); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			name, err := t.within(s, key, place, left)
			if err != nil {
				return nil, err
			}
			newKey, ok := name.(string)
			if name == nil {
				newKey = key
			} else if !ok {
				return nil, fmt.Errorf("the key %q: expected a text, found %s", key, kindOf(name))
			}
			if out[newKey], err = t.within(s, v[key], place.Key(key), left); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	return v, nil
}

// hasBraces reports whether some text in v has a pair of braces.
func hasBraces(v any) bool {
	switch v := v.(type) {
	case string:
		return strings.Contains(v, "{{")
	case []any:
		return slices.ContainsFunc(v, hasBraces)
	case map[string]any:
		for key, value := range v {
			if strings.Contains(key, "{{") || hasBraces(value) {
				return true
			}
		}
	}
	return false
}
