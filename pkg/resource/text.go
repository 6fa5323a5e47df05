package resource

import (
	"strings"
	"unicode/utf8"
)

// unquote decodes a quoted scalar, quotes included, that the scanner accepted.
func unquote(s string, style nodeStyle) string {
	body := s[1 : len(s)-1]
	special := "'\n"
	if style == doubleStyle {
		special = "\\\n"
	}
	if !strings.ContainsAny(body, special) {
		return body
	}
	return unfold(body, style)
}

// unfold decodes the text of a scalar with escapes or several lines: one line
// break with the blanks around it is a space, more are one less.
func unfold(s string, style nodeStyle) string {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); {
		joined := false // an escaped line break: nothing takes its place
		for i < len(s) && s[i] != ' ' && s[i] != '\n' {
			switch {
			case s[i] == '\'' && style == singleStyle:
				b = append(b, '\'')
				i += 2
			case s[i] == '\\' && style == doubleStyle:
				if s[i+1] == '\n' {
					joined = true
					i += 2
				} else {
					b, i = appendEscaped(b, s, i)
				}
			default:
				b = append(b, s[i])
				i++
			}
			if joined {
				break
			}
		}
		blanks := i
		breaks := 0
		if joined {
			breaks = 1
		}
		for i < len(s) && (s[i] == ' ' || s[i] == '\n') {
			if s[i] == '\n' {
				breaks++
			}
			i++
		}
		switch {
		case breaks == 0:
			b = append(b, s[blanks:i]...)
		case breaks == 1 && !joined:
			b = append(b, ' ')
		default:
			for range breaks - 1 {
				b = append(b, '\n')
			}
		}
	}
	return string(b)
}

// appendEscaped decodes the escape at s[i:] and returns the offset behind it.
func appendEscaped(b []byte, s string, i int) ([]byte, int) {
	n := 0
	switch s[i+1] {
	case '0':
		b = append(b, 0)
	case 'a':
		b = append(b, '\a')
	case 'b':
		b = append(b, '\b')
	case 't':
		b = append(b, '\t')
	case 'n':
		b = append(b, '\n')
	case 'v':
		b = append(b, '\v')
	case 'f':
		b = append(b, '\f')
	case 'r':
		b = append(b, '\r')
	case 'e':
		b = append(b, 0x1b)
	case 'N':
		b = utf8.AppendRune(b, 0x85)
	case '_':
		b = utf8.AppendRune(b, 0xa0)
	case 'L':
		b = utf8.AppendRune(b, 0x2028)
	case 'P':
		b = utf8.AppendRune(b, 0x2029)
	case 'x':
		n = 2
	case 'u':
		n = 4
	case 'U':
		n = 8
	default: // stands for itself
		b = append(b, s[i+1])
	}
	if n > 0 {
		r := rune(0)
		for _, c := range []byte(s[i+2 : i+2+n]) {
			r = r<<4 | rune(hexDigit(c))
		}
		b = utf8.AppendRune(b, r)
	}
	return b, i + 2 + n
}

// blockText decodes a literal or folded scalar, from its | or > to its end.
func blockText(s string, indent int, folded bool) string {
	nl := strings.IndexByte(s, '\n')
	if nl < 0 {
		return ""
	}
	header, _, _ := strings.Cut(s[:nl], "#")
	strip, keep := strings.Contains(header, "-"), strings.Contains(header, "+")
	body := s[nl+1:]
	b := make([]byte, 0, len(body))
	lineBreak := false   // of the line before
	blankLines := 0      // since then
	moreIndented := true // the line before starts with a blank, as if there were one at the start
	first := true
	for len(body) > 0 {
		line, rest, ended := strings.Cut(body, "\n")
		body = rest
		if n := len(line) - len(strings.TrimLeft(line, " ")); n == len(line) && n <= indent {
			if ended {
				blankLines++
			}
			continue
		}
		line = line[indent:]
		startsBlank := line[0] == ' ' || line[0] == '\t'
		if folded && lineBreak && !first && !moreIndented && !startsBlank {
			if blankLines == 0 {
				b = append(b, ' ')
			}
		} else if lineBreak {
			b = append(b, '\n')
		}
		for range blankLines {
			b = append(b, '\n')
		}
		b = append(b, line...)
		lineBreak, blankLines, first = ended, 0, false
		moreIndented = startsBlank
	}
	if !strip && lineBreak {
		b = append(b, '\n')
	}
	if keep {
		for range blankLines {
			b = append(b, '\n')
		}
	}
	return string(b)
}

// The canonical functions tell whether yaml/v3 writes a scalar just as it
// stands, given that the scanner accepted it. It escapes what lies beyond the
// basic plane of Unicode.

func canonicalPlain(s string) bool {
	return s != "-" && s != "?" && !strings.HasPrefix(s, "---") && !strings.HasPrefix(s, "...") && !strings.HasSuffix(s, ":") && basicPlane(s)
}

func canonicalSingle(value string) bool { return basicPlane(value) }

func canonicalDouble(raw, value string) bool {
	if strings.IndexByte(raw, '\\') < 0 {
		return basicPlane(value)
	}
	// A byte order mark at the start makes yaml/v3 escape everything.
	return !strings.HasPrefix(value, "\ufeff") && string(appendDouble(nil, value)) == raw
}

func basicPlane(s string) bool {
	for i := range len(s) {
		if s[i] >= 0xf0 {
			return false
		}
	}
	return true
}

// canonicalLiteral is told the lines of a literal scalar.
func canonicalLiteral(body string, indent int) bool {
	if body == "" || body[len(body)-1] != '\n' || !basicPlane(body) {
		return false
	}
	for first := true; body != ""; first = false {
		line, rest, _ := strings.Cut(body, "\n")
		body = rest
		if line == "" {
			if first {
				return false
			}
			continue
		}
		if len(line) <= indent || line[len(line)-1] == ' ' || first && line[indent] == ' ' {
			return false
		}
	}
	return true
}

// appendDouble writes s in double quotes as yaml/v3 does.
func appendDouble(b []byte, s string) []byte {
	const hex = "0123456789ABCDEF"
	b = append(b, '"')
	for _, r := range s {
		switch r {
		case 0:
			b = append(b, `\0`...)
		case '\a':
			b = append(b, `\a`...)
		case '\b':
			b = append(b, `\b`...)
		case '\t':
			b = append(b, `\t`...)
		case '\n':
			b = append(b, `\n`...)
		case '\v':
			b = append(b, `\v`...)
		case '\f':
			b = append(b, `\f`...)
		case '\r':
			b = append(b, `\r`...)
		case 0x1b:
			b = append(b, `\e`...)
		case '"':
			b = append(b, `\"`...)
		case '\\':
			b = append(b, `\\`...)
		case 0x85:
			b = append(b, `\N`...)
		case 0x2028:
			b = append(b, `\L`...)
		case 0x2029:
			b = append(b, `\P`...)
		default:
			digits := 0
			switch {
			case r >= ' ' && r < 0x7f, r >= 0xa0 && r <= 0xffff && r != 0xfeff && r != 0xfffe && r != 0xffff:
				b = utf8.AppendRune(b, r)
				continue
			case r <= 0xff:
				b, digits = append(b, `\x`...), 2
			case r <= 0xffff:
				b, digits = append(b, `\u`...), 4
			default:
				b, digits = append(b, `\U`...), 8
			}
			for i := (digits - 1) * 4; i >= 0; i -= 4 {
				b = append(b, hex[r>>i&0xf])
			}
		}
	}
	return append(b, '"')
}
