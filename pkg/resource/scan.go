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
	// bare: there is some bareStyle.
	bare bool
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
	bareStyle                     // an unquoted word, where only text can stand
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
	// budget: the text is larger than what is read at all.
	budget  bool
	message string
}

func (e *scanError) Error() string { return e.message }

// maxDepth bounds the nesting of a document, maxValues how many values it has.
const (
	maxDepth  = 1000
	maxValues = 4 << 20
)

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
	t.bareText(t.root(item))
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

// tooLarge refuses one value more than maxValues.
func (s *scanner) tooLarge() bool {
	s.err = &scanError{offset: s.pos, budget: true, message: fmt.Sprintf("the document has more than %d values; split it", maxValues)}
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
		if len(s.nodes) > maxValues {
			return s.tooLarge()
		}
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
			return s.malformed("the indentation fits no line above that this one could belong to")
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
		if len(s.nodes) > maxValues {
			return s.tooLarge()
		}
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
			return s.malformed("the indentation fits no line above that this one could belong to")
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
