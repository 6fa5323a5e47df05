package template

import (
	"errors"
	"fmt"
	"strings"
)

const (
	opening = "(("
	escaped = `\((`
)

// A piece is a part of a scalar: text, or the expression of a placeholder.
type piece struct {
	text        string
	placeholder bool
}

// hasPlaceholder reports whether a scalar has a placeholder.
func hasPlaceholder(s string) bool {
	return strings.Contains(strings.ReplaceAll(s, escaped, " "), opening)
}

// split cuts a scalar into texts and placeholders.
func split(s string) ([]piece, error) {
	var out []piece
	var plain strings.Builder
	end := func() {
		if plain.Len() > 0 {
			out = append(out, piece{text: plain.String()})
			plain.Reset()
		}
	}
	for rest := s; ; {
		i := strings.Index(rest, opening)
		if i < 0 {
			plain.WriteString(rest)
			end()
			return out, nil
		}
		if i > 0 && rest[i-1] == '\\' {
			plain.WriteString(rest[:i-1] + opening)
			rest = rest[i+len(opening):]
			continue
		}
		plain.WriteString(rest[:i])
		end()
		n, err := expressionEnd(rest[i+len(opening):])
		if err != nil {
			return nil, fmt.Errorf("the placeholder that begins %q %w", excerpt(rest[i:]), err)
		}
		expression := strings.TrimSpace(rest[i+len(opening):][:n])
		if expression == "" {
			return nil, errors.New("a placeholder is empty; for two opening brackets as text write \\((")
		}
		out = append(out, piece{expression, true})
		rest = rest[i+len(opening)+n+len("))"):]
	}
}

// expressionEnd returns where in s the two brackets are that end an expression:
// outside of its own brackets and of its strings. Like Kyverno, it knows neither
// raw strings nor those in triple quotes.
func expressionEnd(s string) (int, error) {
	depth := 0
	var quote byte
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quote != 0 && c == '\\':
			i++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '(':
			depth++
		case c == ')' && depth > 0:
			depth--
		case c == ')' && strings.HasPrefix(s[i+1:], ")"):
			return i, nil
		case c == ')':
			return 0, errors.New("has a closing bracket too many")
		}
	}
	if quote != 0 {
		return 0, errors.New("has a string that does not end")
	}
	return 0, errors.New("does not end; expected ))")
}

// excerpt is the beginning of s.
func excerpt(s string) string {
	const limit = 40
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "..."
}
