package resource

import (
	"strings"
)

// scalar reads a scalar or a flow collection at pos and the rest of its line.
func (s *scanner) scalar(n int32, parent int) bool {
	t := s.text
	start := s.pos
	v := &s.nodes[n]
	v.kind, v.val = scalarNode, int32(start)
	switch c := t[start]; c {
	case '"', '\'':
		v.style = singleStyle
		if c == '"' {
			v.style = doubleStyle
		}
		end, multi, ok := s.quoted(start, parent)
		if !ok {
			return false
		}
		v.valEnd = int32(end)
		if multi {
			s.canonical = false
		} else if s.canonical {
			value := unquote(t[start:end], v.style)
			if c == '"' && !canonicalDouble(t[start:end], value) || c == '\'' && !canonicalSingle(value) {
				s.canonical = false
			}
		}
		return s.lineEnd(end)
	case '|', '>':
		return s.blockScalar(n, parent)
	case '{', '[':
		if !s.flow(n) {
			return false
		}
		end := s.pos
		if s.nodes[n].size > 0 || end != start+2 {
			s.canonical = false
		}
		// A colon would make the collection a key.
		return s.lineEnd(end)
	}
	if !s.plainStart(start) {
		return false
	}
	end, comment, ok := s.plainLine(start)
	if !ok {
		return false
	}
	v.style, v.valEnd = plainStyle, int32(end)
	if s.canonical && !canonicalPlain(t[start:end]) {
		s.canonical = false
	}
	if !s.lineEnd(end) {
		return false
	}
	if comment {
		return true
	}
	// Lines that are indented more continue the scalar.
	for {
		i := s.pos
		for i < len(t) {
			line := i
			for i < len(t) && t[i] == ' ' {
				i++
			}
			if i < len(t) && t[i] == '\n' {
				i++
				continue
			}
			if i < len(t) && t[i] == '\t' {
				s.pos = i
				if i-line <= parent {
					return s.malformed("tabs can't be used for indentation; use spaces")
				}
				return s.beyond("a tab outside of a block of text")
			}
			if i == len(t) || t[i] == '#' || i-line <= parent {
				return true
			}
			break
		}
		if i == len(t) {
			return true
		}
		s.pos = i
		end, comment, ok := s.plainLine(i)
		if !ok {
			if s.err.malformed {
				s.err.message = "the line is indented more than the lines it belongs to"
			}
			return false
		}
		s.nodes[n].style, s.nodes[n].valEnd = plainMulti, int32(end)
		s.canonical = false
		if !s.lineEnd(end) {
			return false
		}
		if comment {
			return true
		}
	}
}

// plainLine returns the end of the unquoted text at i within its line, and
// whether a comment follows it.
func (s *scanner) plainLine(i int) (end int, comment, ok bool) {
	t := s.text
	end = i
	for j := i; j < len(t) && t[j] != '\n'; j++ {
		switch t[j] {
		case ' ':
			continue
		case '\t':
			s.pos = j
			return 0, false, s.beyond("a tab outside of a block of text")
		case '#':
			if j > i && t[j-1] == ' ' {
				return end, true, true
			}
		case ':':
			if j+1 == len(t) || t[j+1] == ' ' || t[j+1] == '\n' {
				s.pos = j
				return 0, false, s.malformed("a value that holds a colon and a space must be quoted")
			}
		}
		end = j + 1
	}
	return end, false, true
}

// quoted returns the end of the quoted scalar at i, and whether it has several
// lines. They must be indented by more than parent.
func (s *scanner) quoted(i, parent int) (end int, multi, ok bool) {
	t := s.text
	quote := t[i]
	for j := i + 1; j < len(t); j++ {
		switch c := t[j]; c {
		case quote:
			if quote == '\'' && j+1 < len(t) && t[j+1] == '\'' {
				j++
				continue
			}
			return j + 1, multi, true
		case '\\':
			if quote == '\'' {
				continue
			}
			n := escapeLen(t[j:])
			if n == 0 {
				s.pos = j
				return 0, false, s.beyond("an unusual escape")
			}
			j += n - 1 // stays before a line break, which is looked at next
		case '\t':
			s.pos = j
			return 0, false, s.beyond("a tab outside of a block of text")
		case '\n':
			multi = true
			k := j + 1
			for k < len(t) && t[k] == ' ' {
				k++
			}
			if k < len(t) && t[k] != '\n' && k-j-1 <= parent {
				s.pos = i
				return 0, false, s.malformed("a quoted scalar has no end")
			}
			j = k - 1
		}
	}
	s.pos = i
	return 0, false, s.malformed("a quoted scalar has no end")
}

// escapeLen returns the length of the escape at the start of t, 0 for one that
// is not known here. A backslash at the end of a line counts as length 1.
func escapeLen(t string) int {
	if len(t) < 2 {
		return 0
	}
	n := 0
	switch t[1] {
	case '0', 'a', 'b', 't', 'n', 'v', 'f', 'r', 'e', ' ', '"', '\'', '\\', 'N', '_', 'L', 'P':
		return 2
	case '\n':
		return 1
	case 'x':
		n = 2
	case 'u':
		n = 4
	case 'U':
		n = 8
	default:
		return 0
	}
	if len(t) < 2+n {
		return 0
	}
	r := rune(0)
	for _, c := range []byte(t[2 : 2+n]) {
		d := hexDigit(c)
		if d < 0 || r > 0x10ffff {
			return 0
		}
		r = r<<4 | rune(d)
	}
	if r > 0x10ffff || r >= 0xd800 && r <= 0xdfff {
		return 0
	}
	return 2 + n
}

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// blockScalar reads a literal or folded scalar. Its lines are indented by more
// than parent.
func (s *scanner) blockScalar(n int32, parent int) bool {
	t := s.text
	start := s.pos
	style := literalStyle
	if t[start] == '>' {
		style = foldedStyle
		s.canonical = false
	}
	i := start + 1
	indent := -1
	chomp := byte(0)
	for ; i < len(t); i++ {
		c := t[i]
		if (c == '+' || c == '-') && chomp == 0 {
			chomp = c
		} else if c >= '1' && c <= '9' && indent < 0 {
			indent = int(c - '0')
			if parent >= 0 {
				indent += parent
			}
			s.canonical = false
		} else {
			break
		}
	}
	if !s.lineEnd(i) {
		return false
	}
	body := s.pos
	if indent < 0 {
		// The first line with text sets the indent; blank lines before it must
		// not be longer.
		blank := 0
		for j := body; ; {
			k := j
			for k < len(t) && t[k] == ' ' {
				k++
			}
			if k < len(t) && t[k] == '\n' {
				blank = max(blank, k-j)
				j = k + 1
				continue
			}
			if k < len(t) && t[k] == '\t' {
				s.pos = k
				return s.beyond("a tab where an indentation is expected")
			}
			indent = k - j
			if k == len(t) {
				indent = max(indent, blank)
			}
			break
		}
		indent = max(indent, parent+1, 1)
		if blank > indent {
			return s.beyond("blank lines that are longer than the text below them")
		}
	}
	// Find the end: the first line with text that is indented less.
	end := body // behind the last line with text
	stop := body
	for stop < len(t) {
		k := stop
		for k < len(t) && t[k] == ' ' && k-stop < indent {
			k++
		}
		if k == len(t) {
			stop = k
			break
		}
		if t[k] == '\n' {
			stop = k + 1
			continue
		}
		if k-stop < indent {
			if t[k] == '\t' {
				s.pos = k
				return s.beyond("a tab where an indentation is expected")
			}
			break
		}
		if nl := strings.IndexByte(t[k:], '\n'); nl >= 0 {
			stop = k + nl + 1
		} else {
			stop = len(t)
		}
		end = stop
	}
	if chomp == '+' {
		end = stop
		s.canonical = false
	}
	v := &s.nodes[n]
	v.style, v.col, v.valEnd = style, int32(indent), int32(end)
	if s.canonical {
		s.canonical = i == body-1 && (parent < 0 && indent == 2 || parent >= 0 && indent == parent+2) &&
			canonicalLiteral(t[body:end], indent)
	}
	s.pos = end
	return true
}
