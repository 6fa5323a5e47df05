// Package glob matches image references with the patterns of matchImageReferences.
//
// A slash is a character like any other: * and ** stand for any text, ? for one
// character, [abc], [a-z] and [!a-z] for one of some, {a,b*} for one of several
// patterns. A backslash takes the meaning from the character after it.
package glob

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// A Glob is a compiled pattern.
type Glob struct{ re *regexp.Regexp }

// maxPattern bounds what a pattern costs.
const maxPattern = 4096

// Compile compiles a pattern.
func Compile(pattern string) (*Glob, error) {
	if len(pattern) > maxPattern {
		return nil, fmt.Errorf("the pattern is longer than %d bytes", maxPattern)
	}
	var b strings.Builder
	b.WriteString(`(?s)\A(?:`)
	depth := 0
	runes := []rune(pattern)
	for i := 0; i < len(runes); i++ {
		switch r := runes[i]; {
		case r == '\\':
			if i++; i == len(runes) {
				return nil, errors.New(`a \ at the end of a pattern has nothing to stand in front of`)
			}
			b.WriteString(regexp.QuoteMeta(string(runes[i])))
		case r == '*':
			b.WriteString(".*")
		case r == '?':
			b.WriteString(".")
		case r == '[':
			n, err := class(&b, runes[i+1:])
			if err != nil {
				return nil, err
			}
			i += n + 1
		case r == '{':
			depth++
			b.WriteString("(?:")
		case r == ',' && depth > 0:
			b.WriteString("|")
		case r == '}' && depth > 0:
			depth--
			b.WriteString(")")
		default:
			b.WriteString(regexp.QuoteMeta(string(r)))
		}
	}
	if depth > 0 {
		return nil, errors.New("a { without }")
	}
	b.WriteString(`)\z`)
	re, err := regexp.Compile(b.String())
	if err != nil {
		return nil, err
	}
	return &Glob{re}, nil
}

// class writes the class that runes begin with, behind its bracket, and returns
// the index of the closing one.
func class(b *strings.Builder, runes []rune) (int, error) {
	b.WriteString("[")
	i := 0
	if i < len(runes) && runes[i] == '!' {
		b.WriteString("^")
		i++
	}
	start := i
	for ; i < len(runes); i++ {
		switch r := runes[i]; r {
		case ']':
			if i == start {
				return 0, errors.New("[] stands for no character")
			}
			b.WriteString("]")
			return i, nil
		case '-':
			if i > start && i+1 < len(runes) && runes[i+1] != ']' {
				b.WriteString("-")
				continue
			}
			b.WriteString(`\-`)
		case '\\', '[', '^':
			b.WriteString(`\` + string(r))
		default:
			b.WriteString(regexp.QuoteMeta(string(r)))
		}
	}
	return 0, errors.New("a [ without ]")
}

// Match reports whether the whole of s is as the pattern says.
func (g *Glob) Match(s string) bool { return g.re.MatchString(s) }
