package resource

import (
	"fmt"
	"strings"
)

// flow reads a flow collection at pos, or a scalar within one.
func (s *scanner) flow(n int32) bool {
	if s.depth++; s.depth > maxDepth {
		return s.malformed(fmt.Sprintf("the document is nested more than %d levels deep", maxDepth))
	}
	defer func() { s.depth-- }()
	t := s.text
	start := s.pos
	s.nodes[n].val = int32(start)
	switch c := t[start]; c {
	case '{', '[':
		s.nodes[n].style = flowStyle
		s.nodes[n].kind = listNode
		closing := byte(']')
		if c == '{' {
			s.nodes[n].kind = mapNode
			closing = '}'
		}
		s.pos++
		var seen keys
		last := int32(0)
		for {
			if !s.flowSpace() {
				return false
			}
			if t[s.pos] == closing {
				s.pos++
				s.nodes[n].valEnd = int32(s.pos)
				return true
			}
			if len(s.nodes) > maxValues {
				return s.tooLarge()
			}
			child := s.addChild(n, last)
			last = child
			s.nodes[child].lead, s.nodes[child].start, s.nodes[child].sep = int32(s.pos), int32(s.pos), int32(s.pos)
			if c == '{' && !s.flowKey(n, child, &seen) {
				return false
			}
			if !s.flow(child) {
				return false
			}
			s.nodes[child].end = int32(s.pos)
			if !s.flowSpace() {
				return false
			}
			switch t[s.pos] {
			case ',':
				s.pos++
			case closing:
			default:
				return s.beyond("expected a comma in a flow collection")
			}
		}
	case '"', '\'':
		end, multi, ok := s.quoted(start, -1)
		if !ok {
			return false
		}
		if multi {
			return s.beyond("a quoted scalar with several lines in a flow collection")
		}
		v := &s.nodes[n]
		v.style, v.valEnd = singleStyle, int32(end)
		if c == '"' {
			v.style = doubleStyle
		}
		s.pos = end
		return true
	}
	end, ok := s.flowPlain(start)
	if !ok {
		return false
	}
	v := &s.nodes[n]
	v.style, v.valEnd = plainStyle, int32(end)
	s.pos = end
	return true
}

// flowKey reads the key of a flow map, its colon, and the space behind it.
func (s *scanner) flowKey(parent, n int32, seen *keys) bool {
	t := s.text
	start := s.pos
	var key string
	switch c := t[start]; c {
	case '"', '\'':
		end, multi, ok := s.quoted(start, -1)
		if !ok {
			return false
		}
		if multi || end-start > 1000 {
			return s.beyond("a key with several lines")
		}
		style := singleStyle
		if c == '"' {
			style = doubleStyle
		}
		key = unquote(t[start:end], style)
		s.pos = end
	case '{', '[':
		return s.beyond("a collection as a key")
	default:
		end, ok := s.flowPlain(start)
		if !ok {
			return false
		}
		if end-start > 1000 {
			return s.beyond("a very long key")
		}
		var err error
		if key, err = plainKey(t[start:end]); err != nil {
			return s.beyond(err.Error())
		}
		s.pos = end
	}
	for s.pos < len(t) && t[s.pos] == ' ' {
		s.pos++
	}
	if s.pos == len(t) || t[s.pos] != ':' {
		return s.beyond("a key without a value")
	}
	if seen.add(s, parent, n, key) {
		s.pos = start
		return s.malformed(fmt.Sprintf("the key %q is there twice", key))
	}
	s.nodes[n].key = key
	s.pos++
	s.nodes[n].sep = int32(s.pos)
	if !s.flowSpace() {
		return false
	}
	if c := t[s.pos]; c == ',' || c == '}' {
		return s.beyond("a key without a value")
	}
	return true
}

// flowSpace skips blanks and line breaks. It refuses the end of the text.
func (s *scanner) flowSpace() bool {
	t := s.text
	for s.pos < len(t) && (t[s.pos] == ' ' || t[s.pos] == '\n') {
		s.pos++
	}
	switch {
	case s.pos == len(t):
		return s.malformed("a flow collection has no end")
	case t[s.pos] == '\t' || t[s.pos] == '#':
		return s.beyond("a tab or comment in a flow collection")
	}
	return true
}

// flowPlain returns the end of the unquoted scalar at i in a flow collection.
func (s *scanner) flowPlain(i int) (end int, ok bool) {
	t := s.text
	if t[i] == '?' || t[i] == ':' {
		s.pos = i
		return 0, s.beyond("an unusual scalar in a flow collection")
	}
	if !s.plainStart(i) {
		return 0, false
	}
	end = i
	for j := i; j < len(t); j++ {
		switch c := t[j]; c {
		case ' ':
			continue
		case '\n', '\t', '?', '#':
			s.pos = j
			// A line break may only stand behind the whole scalar.
			k := j
			for k < len(t) && (t[k] == ' ' || t[k] == '\n') {
				k++
			}
			if c == '\n' && k == len(t) {
				s.pos = i
				return 0, s.malformed("a flow collection has no end")
			}
			if c == '\n' && (t[k] == ',' || t[k] == ']' || t[k] == '}') {
				return end, true
			}
			return 0, s.beyond("an unusual scalar in a flow collection")
		case ',', '[', ']', '{', '}':
			return end, true
		case ':':
			if j+1 == len(t) || t[j+1] == ' ' || t[j+1] == '\n' {
				return end, true
			}
			if strings.IndexByte(",[]{}", t[j+1]) >= 0 {
				s.pos = j
				return 0, s.beyond("an unusual scalar in a flow collection")
			}
		}
		end = j + 1
	}
	s.pos = i
	return 0, s.malformed("a flow collection has no end")
}
