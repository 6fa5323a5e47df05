package variable

import (
	"maps"
	"slices"
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
)

// A Use is an expression in a text, for whoever wants to know what a rule asks
// for without evaluating it.
type Use struct {
	Path       fieldpath.Path // of the text
	Text       string         // of the expression; an x stands for each variable inside
	Expression *Expression    // nil when Text does not compile, or has variables inside
}

// Mentions is that of Expression, for the text.
func (u *Use) Mentions(name string) bool { return (&Expression{text: u.Text}).Mentions(name) }

// UseOf is the use of a text that is an expression as a whole.
func UseOf(text string, path fieldpath.Path) []Use {
	if !strings.Contains(text, "{{") {
		e, _ := NewExpression(text)
		return []Use{{path, strings.TrimSpace(text), e}}
	}
	inner, outer := usesIn(text, path)
	return append(inner, Use{Path: path, Text: strings.TrimSpace(outer)})
}

// Uses lists the variables in all texts of v, which stands at path: those of
// maps by key, inner ones before the ones around them.
func Uses(v any, path fieldpath.Path) []Use {
	switch v := v.(type) {
	case string:
		out, _ := usesIn(v, slices.Clone(path))
		return out
	case []any:
		var out []Use
		for i, e := range v {
			out = append(out, Uses(e, path.Index(i))...)
		}
		return out
	case map[string]any:
		var out []Use
		for _, key := range slices.Sorted(maps.Keys(v)) {
			at := path.Key(key)
			inKey, _ := usesIn(key, at)
			out = append(append(out, inKey...), Uses(v[key], at)...)
		}
		return out
	}
	return nil
}

// Plain returns a text with an x for each variable.
func Plain(text string) string {
	_, rest := usesIn(text, nil)
	return rest
}

// Unclosed reports whether {{ stands in a text, not escaped, and begins no
// variable: Kyverno leaves such a text as it is.
func Unclosed(text string) bool {
	for rest := Plain(text); ; {
		i := strings.Index(rest, "{{")
		if i < 0 {
			return false
		}
		if i == 0 || rest[i-1] != '\\' {
			return true
		}
		rest = rest[i+2:]
	}
}

// usesIn returns the variables of one text, and the text with an x for each.
func usesIn(text string, path fieldpath.Path) (out []Use, rest string) {
	nested := false
	for {
		spans := find(text)
		if len(spans) == 0 {
			return out, text
		}
		var b strings.Builder
		end := 0
		for _, s := range spans {
			source, _ := inside(text[s.start:s.end])
			u := Use{Path: path, Text: source}
			if !nested {
				u.Expression, _ = NewExpression(source)
			}
			out = append(out, u)
			b.WriteString(text[end:s.start] + "x")
			end = s.end
		}
		b.WriteString(text[end:])
		text, nested = b.String(), true
	}
}

// Vet reports what can be known to fail before any data is seen, as
// jmespath.Query.Vet does.
func (e *Expression) Vet() error { return e.query.Vet() }
