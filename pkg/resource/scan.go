package resource

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// A tree is the structure of one YAML text with the place of every part, which
// is what an edit needs that leaves all other bytes alone.
//
// It is made by a reader for the YAML that manifests consist of: block maps
// and lists, scalars of every style, flow collections, comments. What goes
// beyond that (anchors, tags, directives, complex keys, ...) it refuses, and
// yaml/v3 takes over. It must never accept a text that yaml/v3 refuses, and
// never read one differently: fuzz tests compare the two.
type tree struct {
	text  string
	nodes []node // nodes[0] is the root
	// canonical: the text is, byte for byte, what yaml/v3 writes with an indent
	// of two and compact lists after it has read the text.
	canonical bool
}

type nodeKind uint8

const (
	scalarNode nodeKind = iota
	mapNode
	listNode
)

type nodeStyle uint8

const (
	absentStyle  nodeStyle = iota // a null that is not written
	plainStyle                    // one line without quotes
	plainMulti                    // several lines without quotes
	singleStyle                   // 'single quotes'
	doubleStyle                   // "double quotes"
	literalStyle                  // |
	foldedStyle                   // >
	blockStyle                    // a map or list by indentation
	flowStyle                     // a map or list in brackets
)

// A node is a value together with the key or dash before it. All positions are
// offsets into the text.
type node struct {
	kind  nodeKind
	style nodeStyle

	first, next int32 // the first child and the next sibling; 0: none
	size        int32 // how many children

	lead   int32 // start of the comment lines right above, or of the line
	start  int32 // start of the key or dash
	sep    int32 // behind the colon or dash
	val    int32 // start of the value
	valEnd int32 // end of the value, without a comment behind it
	end    int32 // end of the last line of the value, with its line break
	col    int32 // column of the children of a block; indent of a block scalar

	key string // decoded
}

// A scanError tells why a text was refused.
type scanError struct {
	offset int
	// malformed: no YAML reader accepts it. Otherwise it is beyond this one.
	malformed bool
	message   string
}

func (e *scanError) Error() string { return e.message }

// maxDepth bounds the nesting of a document.
const maxDepth = 1000

type scanner struct {
	tree
	pos   int
	depth int
	err   *scanError

	// The line found by content, and from where: every level that ends there
	// asks again.
	found      bool
	foundFrom  int
	lineLead   int // start of the comments right above it
	lineStart  int
	lineIndent int
}

// scanDocument reads a whole document whose root is a map, or a list with one
// element when item is set. It reuses the nodes of t.
func (t *tree) scanDocument(text string, item bool) *scanError {
	s := scanner{tree: tree{text: text, nodes: t.nodes[:0], canonical: true}}
	ok := s.document(item)
	*t = s.tree
	if !ok {
		if s.err == nil {
			s.err = &scanError{offset: s.pos, message: "unusual YAML"}
		}
		return s.err
	}
	return nil
}

func (s *scanner) beyond(message string) bool {
	s.err = &scanError{offset: s.pos, message: message}
	return false
}

func (s *scanner) malformed(message string) bool {
	s.err = &scanError{offset: s.pos, message: message, malformed: true}
	return false
}

func (s *scanner) document(item bool) bool {
	if !s.characters() {
		return false
	}
	if strings.HasPrefix(s.text, "---") {
		return s.beyond("a document that starts on the line of its marker")
	}
	root := s.add()
	if !s.content() {
		return s.beyond("an empty document")
	}
	if s.err != nil {
		return false
	}
	if s.lineLead != 0 || s.lineStart != 0 {
		s.canonical = false
	}
	s.pos = s.lineStart + s.lineIndent
	if s.lineIndent != 0 {
		s.canonical = false
	}
	dash := s.atDash(s.pos)
	if dash != item {
		return s.beyond("the document is not a map")
	}
	s.nodes[root].lead = int32(s.lineLead)
	s.nodes[root].start = int32(s.pos)
	if !s.block(root, -1) {
		return false
	}
	if s.content() {
		s.pos = s.lineStart
		return s.malformed("the line is indented less than the lines it belongs to")
	}
	if s.err != nil {
		return false
	}
	if k := s.nodes[root]; item && (k.kind != listNode || k.size != 1 || s.nodes[k.first].kind != mapNode) || !item && k.kind != mapNode {
		return s.beyond("the document is not a map")
	}
	if s.text[len(s.text)-1] != '\n' {
		s.canonical = false
	}
	return true
}

// characters refuses the characters that YAML refuses or treats specially
// (byte order marks, exotic line breaks, control characters).
func (s *scanner) characters() bool {
	t := s.text
	if len(t) == 0 {
		return s.beyond("an empty document")
	}
	for i := 0; i < len(t); {
		c := t[i]
		if c < utf8.RuneSelf {
			if c < ' ' && c != '\n' && c != '\t' || c == 0x7f {
				s.pos = i
				return s.malformed("control characters are not allowed; write them as escapes in double quotes")
			}
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(t[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			s.pos = i
			return s.malformed("the text is not UTF-8")
		case r < 0xa0, r == 0x2028, r == 0x2029, r == 0xfeff, r == 0xfffe, r == 0xffff:
			s.pos = i
			return s.beyond("a character with a special meaning")
		}
		i += n
	}
	return true
}

func (s *scanner) add() int32 {
	s.nodes = append(s.nodes, node{})
	return int32(len(s.nodes) - 1)
}

// addChild appends a child to parent; last is the child before it, 0 for none.
func (s *scanner) addChild(parent, last int32) int32 {
	child := s.add()
	if last == 0 {
		s.nodes[parent].first = child
	} else {
		s.nodes[last].next = child
	}
	s.nodes[parent].size++
	return child
}

// content moves from the start of a line to the next line that holds more than
// a comment, and reports whether there is one.
func (s *scanner) content() bool {
	from := s.pos
	if s.found && from == s.foundFrom {
		s.pos = s.lineStart
		return true
	}
	s.found = false
	t := s.text
	lead := -1 // start of a run of comments
	leadIndent := 0
	for s.pos < len(t) {
		i := s.pos
		for i < len(t) && t[i] == ' ' {
			i++
		}
		if i < len(t) && t[i] == '\t' {
			j := i
			for j < len(t) && (t[j] == ' ' || t[j] == '\t') {
				j++
			}
			s.pos = j
			if j == len(t) || t[j] == '\n' || t[j] == '#' {
				return s.beyond("a tab before a comment or the end of a line")
			}
			return s.malformed("tabs can't be used for indentation; use spaces")
		}
		switch {
		case i == len(t):
			s.canonical = false
			s.pos = i
			return false
		case t[i] == '\n':
			s.canonical = false
			lead = -1
			s.pos = i + 1
		case t[i] == '#':
			if lead < 0 || leadIndent != i-s.pos {
				lead, leadIndent = s.pos, i-s.pos
			}
			n := strings.IndexByte(t[i:], '\n')
			if n < 0 {
				n = len(t) - i
				s.pos = len(t)
			} else {
				s.pos = i + n + 1
			}
			if t[i+n-1] == ' ' {
				s.canonical = false
			}
		default:
			s.lineStart, s.lineIndent, s.lineLead = s.pos, i-s.pos, s.pos
			if lead >= 0 && leadIndent == s.lineIndent {
				s.lineLead = lead
			}
			if s.lineLead != from {
				s.canonical = false // comments that belong to something else
			}
			s.found, s.foundFrom = true, from
			return true
		}
	}
	if s.pos != from {
		s.canonical = false
	}
	return false
}

func (s *scanner) atDash(i int) bool {
	t := s.text
	return i < len(t) && t[i] == '-' && (i+1 == len(t) || t[i+1] == ' ' || t[i+1] == '\n')
}

// block reads the value at pos, which is the first thing on its line or stands
// behind a dash. It may span lines that are indented by more than parent.
func (s *scanner) block(n int32, parent int) bool {
	if s.depth++; s.depth > maxDepth {
		return s.malformed(fmt.Sprintf("the document is nested more than %d levels deep", maxDepth))
	}
	defer func() { s.depth-- }()
	t := s.text
	if s.atDash(s.pos) {
		return s.list(n, s.column())
	}
	switch c := t[s.pos]; c {
	case '"', '\'':
		end, multi, ok := s.quoted(s.pos, parent)
		if !ok {
			return false
		}
		i := end
		for i < len(t) && t[i] == ' ' {
			i++
		}
		if i < len(t) && t[i] == ':' && (i+1 == len(t) || t[i+1] == ' ' || t[i+1] == '\n') && !multi {
			return s.mapping(n, s.column())
		}
	case '{', '[', '|', '>':
	default:
		if colon, ok := s.plainKeyEnd(s.pos); ok && colon >= 0 {
			return s.mapping(n, s.column())
		} else if !ok {
			return false
		}
	}
	return s.scalar(n, parent)
}

// column returns the column of pos.
func (s *scanner) column() int {
	return s.pos - (strings.LastIndexByte(s.text[:s.pos], '\n') + 1)
}

// plainKeyEnd looks for the colon that ends an unquoted key at i, and returns
// -1 when the line holds none. It refuses what can't start a scalar.
func (s *scanner) plainKeyEnd(i int) (colon int, ok bool) {
	t := s.text
	if !s.plainStart(i) {
		return 0, false
	}
	for j := i; j < len(t); j++ {
		switch t[j] {
		case '\n':
			return -1, true
		case '\t':
			s.pos = j
			return 0, s.beyond("a tab outside of a block of text")
		case '#':
			if j > i && t[j-1] == ' ' {
				return -1, true
			}
		case ':':
			if j+1 == len(t) || t[j+1] == ' ' || t[j+1] == '\n' {
				if j-i > 1000 {
					s.pos = i
					return 0, s.beyond("a very long key")
				}
				return j, true
			}
		}
	}
	return -1, true
}

// plainStart reports whether an unquoted scalar may start at i.
func (s *scanner) plainStart(i int) bool {
	t := s.text
	switch c := t[i]; c {
	case '&', '*':
		s.pos = i
		return s.beyond("an anchor or alias")
	case '!':
		s.pos = i
		return s.beyond("a tag")
	case '?', ':':
		if i+1 == len(t) || t[i+1] == ' ' || t[i+1] == '\n' || t[i+1] == '\t' {
			s.pos = i
			return s.beyond(fmt.Sprintf("a scalar that starts with %q", c))
		}
	case ',', '[', ']', '{', '}', '#', '|', '>', '\'', '"', '%', '@', '`':
		s.pos = i
		return s.beyond(fmt.Sprintf("a scalar that starts with %q", c))
	case '-':
		if i+1 == len(t) || t[i+1] == ' ' || t[i+1] == '\n' || t[i+1] == '\t' {
			s.pos = i
			return s.beyond("a dash in an unusual place")
		}
	case '<':
		if strings.HasPrefix(t[i:], "<<") {
			s.pos = i
			return s.beyond("a merge key")
		}
	}
	return true
}

// mapping reads a block map whose keys stand at column col. pos is at the
// first key.
func (s *scanner) mapping(n int32, col int) bool {
	t := s.text
	m := &s.nodes[n]
	m.kind, m.style, m.col, m.val = mapNode, blockStyle, int32(col), int32(s.pos)
	var seen keys
	last := int32(0)
	lead := s.pos // of the first key, which may stand behind a dash
	if s.pos == s.lineStart+s.lineIndent {
		lead = s.lineLead
	}
	for {
		child := s.addChild(n, last)
		last = child
		start := s.pos
		var keyEnd, colon int
		var key string
		switch c := t[start]; c {
		case '"', '\'':
			end, multi, ok := s.quoted(start, col)
			if !ok {
				return false
			}
			keyEnd, colon = end, end
			for colon < len(t) && t[colon] == ' ' {
				colon++
			}
			if multi || colon == len(t) || t[colon] != ':' || colon+1 < len(t) && t[colon+1] != ' ' && t[colon+1] != '\n' {
				return s.malformed("expected a colon and a space behind the key")
			}
			if end-start > 1000 {
				return s.beyond("a very long key")
			}
			style := singleStyle
			if c == '"' {
				style = doubleStyle
			}
			key = unquote(t[start:end], style)
			if style == doubleStyle && !canonicalDouble(t[start:end], key) || style == singleStyle && !canonicalSingle(key) {
				s.canonical = false
			}
		default:
			if s.atDash(start) {
				return s.malformed("expected a key, found a list element; a list needs a key of its own or more indentation")
			}
			end, ok := s.plainKeyEnd(start)
			if !ok {
				return false
			}
			if end < 0 {
				return s.malformed("expected a colon and a space behind the key")
			}
			keyEnd, colon = end, end
			for keyEnd > start && t[keyEnd-1] == ' ' {
				keyEnd--
			}
			text := t[start:keyEnd]
			var err error
			if key, err = plainKey(text); err != nil {
				return s.beyond(err.Error())
			}
			if !canonicalPlain(text) {
				s.canonical = false
			}
		}
		if keyEnd != colon || keyEnd-start > 128 {
			s.canonical = false
		}
		if seen.add(s, n, child, key) {
			s.pos = start
			return s.malformed(fmt.Sprintf("the key %q is there twice", key))
		}
		s.nodes[child].key = key
		s.nodes[child].lead = int32(lead)
		s.nodes[child].start = int32(start)
		s.pos = colon + 1
		s.nodes[child].sep = int32(s.pos)
		if !s.value(child, col) {
			return false
		}
		s.nodes[child].end = int32(s.pos)

		if !s.content() {
			if s.err != nil {
				return false
			}
			break
		}
		if s.lineIndent < col {
			s.pos = s.lineStart
			break
		}
		if s.lineIndent > col {
			s.pos = s.lineStart
			return s.malformed("the line is indented more than the lines it belongs to")
		}
		lead = s.lineLead
		s.pos = s.lineStart + s.lineIndent
	}
	end := s.nodes[last].end
	m = &s.nodes[n]
	m.valEnd, m.end = end, end
	s.pos = int(end)
	return true
}

// keys finds duplicates: by looking through the keys while a map is small,
// which most are, and with a set from then on.
type keys struct {
	set map[string]struct{}
}

const smallMap = 24

// add reports whether the map parent, whose newest child is self, has key
// already.
func (k *keys) add(s *scanner, parent, self int32, key string) (duplicate bool) {
	if s.nodes[parent].size <= smallMap {
		for c := s.nodes[parent].first; c != self; c = s.nodes[c].next {
			if s.nodes[c].key == key {
				return true
			}
		}
		return false
	}
	if k.set == nil {
		k.set = make(map[string]struct{}, 2*smallMap)
		for c := s.nodes[parent].first; c != self; c = s.nodes[c].next {
			k.set[s.nodes[c].key] = struct{}{}
		}
	}
	_, duplicate = k.set[key]
	k.set[key] = struct{}{}
	return duplicate
}

// value reads what stands behind the colon of a key at column col.
func (s *scanner) value(n int32, col int) bool {
	t := s.text
	i := s.pos
	for i < len(t) && t[i] == ' ' {
		i++
	}
	if i < len(t) && t[i] != '\n' && t[i] != '#' {
		if i != s.pos+1 {
			s.canonical = false
		}
		s.pos = i
		if s.atDash(i) {
			return s.malformed("a list element can't stand on the line of its key")
		}
		return s.scalar(n, col)
	}
	// Nothing on the line: the value is on the next lines, or null.
	if i != s.pos {
		s.canonical = false
	}
	s.nodes[n].val, s.nodes[n].valEnd = int32(s.pos), int32(s.pos)
	if !s.lineEnd(i) {
		return false
	}
	after := s.pos
	if !s.content() {
		s.pos = after
		return s.err == nil
	}
	s.pos = s.lineStart + s.lineIndent
	switch dash := s.atDash(s.pos); {
	case s.lineIndent > col:
		if !s.block(n, col) {
			return false
		}
		if v := &s.nodes[n]; v.style != blockStyle || v.kind == listNode || int(v.col) != col+2 {
			s.canonical = false
		}
		return true
	case s.lineIndent == col && dash:
		return s.block(n, col)
	}
	s.pos = after
	return true
}

// lineEnd moves behind the line break that follows i, over blanks and a
// comment.
func (s *scanner) lineEnd(i int) bool {
	t := s.text
	j := i
	for j < len(t) && t[j] == ' ' {
		j++
	}
	if j < len(t) && t[j] == '#' && t[j-1] == ' ' {
		if j != i+1 {
			s.canonical = false
		}
		if n := strings.IndexByte(t[j:], '\n'); n >= 0 {
			j += n
		} else {
			j = len(t)
		}
		if t[j-1] == ' ' {
			s.canonical = false
		}
	} else if j != i {
		s.canonical = false
	}
	s.pos = j
	if j == len(t) {
		s.canonical = false
		return true
	}
	if t[j] != '\n' {
		if t[j] == '\t' {
			return s.beyond("a tab outside of a block of text")
		}
		return s.malformed("expected the end of the line")
	}
	s.pos = j + 1
	return true
}

// list reads a block list whose dashes stand at column col. pos is at the
// first dash.
func (s *scanner) list(n int32, col int) bool {
	t := s.text
	l := &s.nodes[n]
	l.kind, l.style, l.col, l.val = listNode, blockStyle, int32(col), int32(s.pos)
	last := int32(0)
	lead := s.pos
	if s.pos == s.lineStart+s.lineIndent {
		lead = s.lineLead
	}
	for {
		child := s.addChild(n, last)
		last = child
		start := s.pos
		s.nodes[child].lead = int32(lead)
		s.nodes[child].start = int32(start)
		s.nodes[child].sep = int32(start + 1)
		i := start + 1
		for i < len(t) && t[i] == ' ' {
			i++
		}
		if i < len(t) && t[i] != '\n' && t[i] != '#' {
			if i != start+2 {
				s.canonical = false
			}
			s.pos = i
			if !s.block(child, col) {
				return false
			}
		} else {
			s.nodes[child].val, s.nodes[child].valEnd = int32(start+1), int32(start+1)
			comment := i == start+2 && i < len(t) && t[i] == '#'
			if !s.lineEnd(start + 1) {
				return false
			}
			after := s.pos
			if s.content() && s.lineIndent > col {
				s.pos = s.lineStart + s.lineIndent
				if !s.block(child, col) {
					return false
				}
				// A comment behind the dash is the head of a map below it.
				if v := &s.nodes[child]; !comment || v.kind != mapNode || v.style != blockStyle || int(v.col) != col+2 {
					s.canonical = false
				}
			} else if s.err != nil {
				return false
			} else {
				s.pos = after
				s.canonical = false
			}
		}
		s.nodes[child].end = int32(s.pos)
		if !s.content() {
			if s.err != nil {
				return false
			}
			break
		}
		if s.lineIndent < col || s.lineIndent == col && !s.atDash(s.lineStart+s.lineIndent) {
			s.pos = s.lineStart
			break
		}
		if s.lineIndent > col {
			s.pos = s.lineStart
			return s.malformed("the line is indented more than the lines it belongs to")
		}
		lead = s.lineLead
		s.pos = s.lineStart + s.lineIndent
	}
	end := s.nodes[last].end
	l = &s.nodes[n]
	l.valEnd, l.end = end, end
	s.pos = int(end)
	return true
}

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
