package gatekeeper

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A location is the field that a mutator is about: spec.containers[name: web].image.
// A list is always the value of the field before it, and only a field follows it.
type location []node

// A node is a field of a map, or elements of a list.
type node struct {
	field string // of the map; in a list, the key field of its elements
	list  bool
	key   any // of the elements: a string or an int64; nil for all of them
}

// all reports whether n stands for all elements of a list.
func (n node) all() bool { return n.list && n.key == nil }

// String writes a location in its shortest form.
func (l location) String() string {
	var b strings.Builder
	for i, n := range l {
		switch {
		case n.all():
			b.WriteString("[" + word(n.field) + ": *]")
		case n.list:
			key, ok := n.key.(string)
			if ok {
				key = word(key)
			} else {
				key = fmt.Sprint(n.key)
			}
			b.WriteString("[" + word(n.field) + ": " + key + "]")
		default:
			if i > 0 {
				b.WriteByte('.')
			}
			b.WriteString(word(n.field))
		}
	}
	return b.String()
}

// word quotes s where it has to be.
func word(s string) string {
	if s != "" && !isDigit(rune(s[0])) && !strings.ContainsFunc(s, func(r rune) bool { return !isLetter(r) }) {
		return s
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// begins reports whether l is the beginning of other, or all of it.
func (l location) begins(other location) bool {
	return len(l) <= len(other) && slices.Equal(l, other[:len(l)])
}

// A syntaxError is a fault in the text of a location.
type syntaxError struct {
	at      int // counted from 1, in characters
	message string
}

func (e *syntaxError) Error() string { return fmt.Sprintf("at character %d: %s", e.at, e.message) }

// deepest is how many nodes a location may have. Gatekeeper has no bound, and no
// kind of Kubernetes comes near it; what is added for it has to be walked through.
const deepest = 100

// parseLocation reads a location:
//
//	location = field { "." field } .
//	field    = word [ "[" word ":" ( "*" | word | integer ) "]" ] .
//
// A word is letters, digits, - and _, and begins with no digit; or anything in
// single or double quotes, in which \ takes the next character as it is. Space
// between them does not count.
func parseLocation(text string) (location, error) {
	p := &parser{text: text}
	p.next()
	var out location
	for {
		field, err := p.word("a field name")
		if err != nil {
			return nil, err
		}
		out = append(out, node{field: field})
		if p.kind == '[' {
			elements, err := p.elements()
			if err != nil {
				return nil, err
			}
			out = append(out, elements)
		}
		if len(out) > deepest {
			return nil, &syntaxError{p.at, fmt.Sprintf("expected at most %d fields", deepest)}
		}
		switch p.kind {
		case end:
			return out, nil
		case '.':
			p.next()
		default:
			return nil, p.expected(`"." or the end`)
		}
	}
}

// The kinds of tokens besides '.', '[', ']', ':' and '*'.
const (
	end     = 'e'
	name    = 'n'
	integer = 'i'
	faulty  = 'f'
)

type parser struct {
	text string
	pos  int // of what comes after the token

	// The token:
	kind  rune
	value string
	at    int
	fault string // what is wrong with it
}

func (p *parser) expected(what string) error {
	switch p.kind {
	case end:
		return &syntaxError{p.at, "expected " + what + ", found the end"}
	case faulty:
		return &syntaxError{p.at, p.fault}
	}
	return &syntaxError{p.at, fmt.Sprintf("expected %s, found %q", what, p.value)}
}

// word takes a word.
func (p *parser) word(what string) (string, error) {
	if p.kind != name {
		return "", p.expected(what)
	}
	value := p.value
	p.next()
	return value, nil
}

// elements takes [key: value].
func (p *parser) elements() (node, error) {
	p.next()
	n := node{list: true}
	var err error
	if n.field, err = p.word("the name of a key field"); err != nil {
		return n, err
	}
	if p.kind != ':' {
		return n, p.expected(`":"`)
	}
	p.next()
	switch p.kind {
	case '*':
	case name:
		n.key = p.value
	case integer:
		i, err := strconv.ParseInt(p.value, 10, 64)
		if errors.Is(err, strconv.ErrRange) {
			return n, &syntaxError{p.at, p.value + " is out of range"}
		}
		n.key = i
	default:
		return n, p.expected("the value of the key, or *")
	}
	p.next()
	if p.kind != ']' {
		return n, p.expected(`"]"`)
	}
	p.next()
	return n, nil
}

// next reads a token.
func (p *parser) next() {
	p.pos += len(p.text[p.pos:]) - len(strings.TrimLeft(p.text[p.pos:], " \t\r\n"))
	start := p.pos
	p.at = 1 + utf8.RuneCountInString(p.text[:start])
	if start == len(p.text) {
		p.kind, p.value = end, ""
		return
	}
	r, size := utf8.DecodeRuneInString(p.text[start:])
	switch {
	case isDigit(r):
		p.take(isDigit)
		p.kind, p.value = integer, p.text[start:p.pos]
	case isLetter(r):
		p.take(isLetter)
		p.kind, p.value = name, p.text[start:p.pos]
	case r == '"' || r == '\'':
		p.quoted(r)
	case strings.ContainsRune(".[]:*", r):
		p.pos += size
		p.kind, p.value = r, string(r)
	default:
		p.pos += size
		p.kind, p.fault = faulty, fmt.Sprintf("%q has no meaning here; quote the name that it belongs to", r)
	}
}

func (p *parser) take(while func(rune) bool) {
	p.pos += len(p.text[p.pos:]) - len(strings.TrimLeftFunc(p.text[p.pos:], while))
}

// quoted reads a string in quotes.
func (p *parser) quoted(quote rune) {
	var b strings.Builder
	escaped := false
	for i, r := range p.text[p.pos+1:] {
		switch {
		case escaped:
			b.WriteRune(r)
			escaped = false
		case r == '\\':
			escaped = true
		case r == quote:
			p.pos += 1 + i + 1
			p.kind, p.value = name, b.String()
			return
		default:
			b.WriteRune(r)
		}
	}
	p.pos = len(p.text)
	p.kind, p.fault = faulty, fmt.Sprintf("the string has no closing %c", quote)
}

func isDigit(r rune) bool { return '0' <= r && r <= '9' }

func isLetter(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || isDigit(r) || r == '_' || r == '-'
}
