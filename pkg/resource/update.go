package resource

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
)

// Update edits the text so that it says after, and leaves everything else as
// it is: comments, order, quotes, blank lines, indentation. List elements that
// are maps are found by the field that Kubernetes merges them by, so that
// their comments stay with them when others come before them. New keys follow
// the present ones, but the order that people write well-known fields in is
// kept. The runner annotations of items stay, whatever after says.
//
// The result is read again and compared with after before it counts.
func (r *Resource) Update(after Object) error {
	before, err := r.object()
	if err != nil {
		return err
	}
	return r.update(before, after)
}

// UpdateFrom is Update for a caller who still has what Object returned. What
// after shares with it need not be looked through, which is most of the work.
func (r *Resource) UpdateFrom(before, after Object) error {
	if r.runner { // before lacks what Object hides
		return r.Update(after)
	}
	return r.update(before, after)
}

// scan reads the text of r into t, and returns the root of the manifest.
func (r *Resource) scan(t *tree) (root int32, err error) {
	if scanErr := t.scanDocument(r.text, r.item); scanErr != nil {
		return 0, r.fault(scanErr)
	}
	return t.root(r.item), nil
}

// root returns the map that a text is about.
func (t *tree) root(item bool) int32 {
	if item {
		return t.nodes[0].first
	}
	return 0
}

// update is Update once the present values are known.
func (r *Resource) update(before, after Object) error {
	if r.runner {
		after = keepRunnerAnnotations(before, after)
	}
	if Equal(before, after) {
		return nil
	}
	text, err := r.edited(before, after)
	if err != nil {
		return fmt.Errorf("%s: %s: writing the changes: %w", r.origin, r.id, err)
	}
	r.text, r.changed = text, true
	return nil
}

// edited returns the new text, and sets simple and canonical for it.
func (r *Resource) edited(before, after Object) (string, error) {
	if r.simple {
		t := trees.Get().(*tree)
		defer trees.Put(t)
		if _, err := r.scan(t); err != nil {
			return "", err
		}
		for _, tidy := range []bool{false, true} {
			text, err := t.spliced(r.item, before, after, tidy)
			var invalid *valueError
			if errors.As(err, &invalid) {
				return "", err
			}
			if err == nil && r.says(text, after) {
				return text, nil
			}
		}
	}
	text, err := r.rewritten(before, after)
	if err != nil {
		return "", err
	}
	if !r.says(text, after) {
		return "", errors.New("the result would not say what the policy asks for; please report it with the manifest and the policy")
	}
	return text, nil
}

// says reports whether a text has the values of want, and takes over how the
// text is read.
func (r *Resource) says(text string, want Object) bool {
	t := trees.Get().(*tree)
	defer trees.Put(t)
	if t.scanDocument(text, r.item) == nil {
		root := t.root(r.item)
		if !t.says(root, want) {
			return false
		}
		r.simple = true
		r.canonical = t.canonical && !t.emptyMetadata(root)
		return true
	}
	n, err := decodeNode(text, r.item)
	if err != nil {
		return false
	}
	got, err := manifestObject(n)
	if err != nil || !Equal(got, want) {
		return false
	}
	r.simple, r.canonical = false, false
	return true
}

// says reports whether the node i has the value want.
func (t *tree) says(i int32, want any) bool {
	n := &t.nodes[i]
	switch n.kind {
	case mapNode:
		m, ok := want.(map[string]any)
		if !ok || len(m) != int(n.size) {
			return false
		}
		for c := n.first; c != 0; c = t.nodes[c].next {
			v, ok := m[t.nodes[c].key]
			if !ok || !t.says(c, v) {
				return false
			}
		}
		return true
	case listNode:
		l, ok := want.([]any)
		if !ok || len(l) != int(n.size) {
			return false
		}
		c := n.first
		for _, v := range l {
			if !t.says(c, v) {
				return false
			}
			c = t.nodes[c].next
		}
		return true
	}
	if n.style == plainStyle || n.style == absentStyle {
		v, err := t.object(i)
		return err == nil && Equal(v, want)
	}
	s, ok := want.(string)
	return ok && t.stringValue(n) == s
}

// spliced makes the new text from pieces of the old one. With tidy set,
// blank lines between the pieces go and comments that stand far to the right
// move to the left, so that they can't become part of a block of text above.
func (t *tree) spliced(item bool, before, after Object, tidy bool) (string, error) {
	s := splicer{tree: t, layout: t.layout(), tidy: tidy, out: make([]byte, 0, len(t.text)+256)}
	root := t.root(item)
	n := &t.nodes[root]
	if n.style == flowStyle {
		s.layout.json = json.Valid([]byte(t.text))
		s.copy(0, n.val)
		if err := s.flow(root, before, after, true); err != nil {
			return "", err
		}
		s.copy(n.valEnd, int32(len(t.text)))
		return string(s.out), nil
	}
	if len(after) == 0 {
		return "", errors.New("a manifest without any field")
	}
	first := t.nodes[n.first].lead
	s.copy(0, first)
	if err := s.mapping(root, before, after); err != nil {
		return "", err
	}
	s.between(t.text[n.end:], int(n.col))
	return string(s.out), nil
}

// layout finds out how the document is written.
func (t *tree) layout() layout {
	l := layout{step: 2}
	step, wide := false, false
	var walk func(i int32)
	walk = func(i int32) {
		n := &t.nodes[i]
		if n.style != blockStyle {
			return
		}
		for c := n.first; c != 0 && !(step && wide); c = t.nodes[c].next {
			child := &t.nodes[c]
			if child.style == blockStyle && n.kind == mapNode {
				if child.kind == mapNode && !step {
					l.step, step = int(child.col-n.col), true
				}
				if child.kind == listNode && !wide {
					l.wide, wide = child.col > n.col, true
				}
			}
			walk(c)
		}
	}
	walk(0)
	return l
}

// A splicer writes a new text: old pieces where nothing changed, new ones
// where something did.
type splicer struct {
	*tree
	layout
	tidy bool
	out  []byte
}

func (s *splicer) copy(from, to int32) { s.out = append(s.out, s.text[from:to]...) }

// between writes the comments and blank lines that follow an entry at column
// col.
func (s *splicer) between(lines string, col int) {
	if !s.tidy {
		s.out = append(s.out, lines...)
		return
	}
	for line := range strings.Lines(lines) {
		if trimmed := strings.TrimLeft(line, " "); trimmed != "" && trimmed[0] == '#' {
			s.out = appendSpaces(s.out, min(col, len(line)-len(trimmed)))
			s.out = append(s.out, trimmed...)
		}
	}
}

// endLine ends the current line, which only the last one of a text lacks.
func (s *splicer) endLine() {
	if n := len(s.out); n > 0 && s.out[n-1] != '\n' {
		s.out = append(s.out, '\n')
	}
}

// A piece is one entry of a map or element of a list in the new text.
type piece struct {
	node          int32 // 0 for a new one
	key           string
	before, after any
}

// mapping writes a block map from the comments above its first entry to the
// end of its last one. after is not empty.
func (s *splicer) mapping(n int32, before, after map[string]any) error {
	pieces := make([]piece, 0, max(int(s.nodes[n].size), len(after)))
	kept := 0
	for c := s.nodes[n].first; c != 0; c = s.nodes[c].next {
		key := s.nodes[c].key
		if v, ok := after[key]; ok {
			pieces = append(pieces, piece{c, key, before[key], v})
			kept++
		} else {
			pieces = append(pieces, piece{node: -c})
		}
	}
	var added []string
	if kept < len(after) {
		added = inOrder(missing(after, before))
	}
	for _, key := range added {
		at := len(pieces)
		if !freeKeys(s.nodes[n].key) {
			at = place(pieces, key)
		}
		pieces = append(pieces, piece{})
		copy(pieces[at+1:], pieces[at:])
		pieces[at] = piece{key: key, after: after[key]}
	}
	return s.pieces(n, pieces)
}

// missing returns the keys of m that other lacks, in no order.
func missing(m, other map[string]any) []string {
	var keys []string
	for key := range m {
		if _, ok := other[key]; !ok {
			keys = append(keys, key)
		}
	}
	return keys
}

// freeKeys reports whether the keys below key are the user's choice, so that a
// well-known name means nothing.
func freeKeys(key string) bool {
	switch key {
	case "labels", "annotations", "matchLabels", "nodeSelector", "data", "stringData", "binaryData":
		return true
	}
	return false
}

// place returns where a new key goes: before the present keys that usually
// follow it, if they are the last ones; otherwise to the end.
func place(pieces []piece, key string) int {
	r := rank(key)
	at := len(pieces)
	for at > 0 && (pieces[at-1].node < 0 || rank(pieces[at-1].key) > r) {
		at--
	}
	return at
}

// list writes a block list from the comments above its first element to the
// end of its last one. after is not empty.
func (s *splicer) list(n int32, before, after []any) error {
	children := make([]int32, 0, len(before))
	for c := s.nodes[n].first; c != 0; c = s.nodes[c].next {
		children = append(children, c)
	}
	pairs := align(before, after)
	ordered := increasing(pairs)
	pieces := make([]piece, 0, max(len(before), len(after)))
	next := 0 // the first old element that is not written yet
	for j, i := range pairs {
		if i < 0 {
			pieces = append(pieces, piece{after: after[j]})
			continue
		}
		for ; ordered && next < i; next++ {
			pieces = append(pieces, piece{node: -children[next]})
		}
		pieces = append(pieces, piece{node: children[i], before: before[i], after: after[j]})
		next = i + 1
	}
	for ; ordered && next < len(children); next++ {
		pieces = append(pieces, piece{node: -children[next]})
	}
	return s.pieces(n, pieces)
}

// pieces writes the entries or elements of the block n. A piece whose node is
// negative was removed: what stands between it and the next one stays if it
// holds a comment.
func (s *splicer) pieces(n int32, pieces []piece) error {
	col := int(s.nodes[n].col)
	isList := s.nodes[n].kind == listNode
	// A block behind a dash starts in the middle of a line.
	first := s.nodes[s.nodes[n].first].start
	inline := strings.Trim(s.text[s.lineOf(first):first], " ") != ""
	lineStart := bytes.LastIndexByte(s.out, '\n') + 1
	written := false
	for i, p := range pieces {
		removed := p.node < 0
		c := max(p.node, -p.node)
		if !removed {
			if written || !inline {
				s.endLine()
			}
			if c > 0 {
				child := &s.nodes[c]
				line := s.lineOf(child.start)
				if child.lead < line {
					if written || !inline {
						s.copy(child.lead, line)
					} else {
						// Comments of what is now first go before the dash.
						s.insert(lineStart, s.text[child.lead:line])
					}
				}
			}
			if written || !inline {
				s.out = appendSpaces(s.out, col)
			}
			written = true
			if err := s.piece(p, col, isList); err != nil {
				return err
			}
		}
		// What stands between this one and the next in the old text.
		if c > 0 {
			if next := s.nodes[c].next; next != 0 {
				gap := s.text[s.nodes[c].end:s.nodes[next].lead]
				follows := i+1 < len(pieces) && max(pieces[i+1].node, -pieces[i+1].node) == next
				newFollows := i+1 < len(pieces) && pieces[i+1].node == 0
				switch {
				case gap == "":
				case removed && strings.IndexByte(gap, '#') < 0:
				case removed && !written && inline:
					s.insert(lineStart, gap)
				case follows, newFollows, strings.IndexByte(gap, '#') >= 0:
					s.endLine()
					s.between(gap, col)
				}
			}
		}
	}
	return nil
}

// lineOf returns the start of the line of an offset.
func (s *splicer) lineOf(offset int32) int32 {
	return int32(strings.LastIndexByte(s.text[:offset], '\n') + 1)
}

// insert puts lines of comments before the line at offset at, and indents them
// like it.
func (s *splicer) insert(at int, lines string) {
	tail := string(s.out[at:])
	indent := len(tail) - len(strings.TrimLeft(tail, " "))
	s.out = s.out[:at]
	for line := range strings.Lines(lines) {
		if line = strings.TrimLeft(line, " "); line != "\n" {
			s.out = appendSpaces(s.out, indent)
		}
		s.out = append(s.out, line...)
	}
	s.endLine()
	s.out = append(s.out, tail...)
}

// piece writes one entry or element from its key or dash to the end of its
// last line.
func (s *splicer) piece(p piece, col int, isList bool) (err error) {
	if p.node == 0 {
		if isList {
			s.out, err = s.appendElement(s.out, p.after, col)
		} else {
			s.out, err = s.appendEntry(s.out, p.key, p.after, col)
		}
		return err
	}
	n := &s.nodes[p.node]
	if Equal(p.before, p.after) {
		s.copy(n.start, n.end)
		return nil
	}
	switch after := p.after.(type) {
	case map[string]any:
		if before, ok := p.before.(map[string]any); ok && n.size > 0 && len(after) > 0 {
			return s.collection(p.node, func() error {
				if n.style == flowStyle {
					return s.flow(p.node, before, after, false)
				}
				return s.mapping(p.node, before, after)
			})
		}
	case []any:
		if before, ok := p.before.([]any); ok && n.size > 0 && len(after) > 0 {
			return s.collection(p.node, func() error {
				if n.style == flowStyle {
					return s.flow(p.node, before, after, false)
				}
				return s.list(p.node, before, after)
			})
		}
	}
	return s.replace(n, p.after, col, isList)
}

// collection writes what stands before a map or list, and lets write do the
// rest.
func (s *splicer) collection(i int32, write func() error) error {
	n := &s.nodes[i]
	if n.style == flowStyle {
		s.copy(n.start, n.val)
		if err := write(); err != nil {
			return err
		}
		s.copy(n.valEnd, n.end)
		return nil
	}
	s.copy(n.start, s.nodes[n.first].lead)
	return write()
}

// replace writes another value behind a key or dash.
func (s *splicer) replace(n *node, v any, col int, isList bool) (err error) {
	s.copy(n.start, n.sep)
	// The comment behind the old value, or behind the key of an old block,
	// stays on the line.
	rest := "\n"
	switch {
	case n.style == literalStyle || n.style == foldedStyle:
	case n.style == blockStyle || n.kind == scalarNode && strings.IndexByte(s.text[n.sep:n.val], '\n') >= 0:
		if line, _, ok := strings.Cut(s.text[n.sep:], "\n"); ok && strings.HasPrefix(strings.TrimLeft(line, " "), "#") {
			rest = line + "\n"
		}
	default:
		rest = s.text[n.valEnd:n.end]
		if i := strings.IndexByte(rest, '\n'); i < 0 {
			rest += "\n"
		}
	}
	scalar := true
	switch v := v.(type) {
	case map[string]any:
		scalar = len(v) == 0
	case []any:
		scalar = len(v) == 0
	}
	if isList && !scalar {
		if comment := strings.TrimSpace(rest); comment != "" {
			s.insert(bytes.LastIndexByte(s.out, '\n')+1, comment+"\n")
		}
		s.out, err = s.appendBlock(append(s.out, ' '), v, col+2)
		return err
	}
	str, isString := v.(string)
	if !scalar || isString && literalFits(str) || n.kind != scalarNode {
		s.out, err = s.appendValue(s.out, v, col, rest)
		return err
	}
	space := s.text[n.sep:n.val]
	if space == "" || strings.IndexByte(space, '\n') >= 0 {
		space = " "
	}
	s.out = append(s.out, space...)
	switch {
	case isString:
		s.out = appendString(s.out, str, n.style, false)
	default:
		if s.out, err = s.appendFlow(s.out, v, -1); err != nil {
			return err
		}
	}
	s.out = append(s.out, rest...)
	return nil
}

// flow writes a flow collection from bracket to bracket. root says that it is
// the whole document, where lines are kept.
func (s *splicer) flow(i int32, before, after any, root bool) error {
	n := &s.nodes[i]
	multi := n.style == flowStyle && strings.IndexByte(s.text[n.val:n.valEnd], '\n') >= 0
	var pieces []piece
	switch after := after.(type) {
	case map[string]any:
		b, ok := before.(map[string]any)
		if !ok || n.size == 0 || len(after) == 0 {
			return s.flowNew(n, after, multi || root && s.json)
		}
		for c := n.first; c != 0; c = s.nodes[c].next {
			if v, ok := after[s.nodes[c].key]; ok {
				pieces = append(pieces, piece{c, s.nodes[c].key, b[s.nodes[c].key], v})
			}
		}
		for _, key := range orderedKeys(after) {
			if _, ok := b[key]; !ok {
				pieces = append(pieces, piece{key: key, after: after[key]})
			}
		}
	case []any:
		b, ok := before.([]any)
		if !ok || n.size == 0 || len(after) == 0 {
			return s.flowNew(n, after, multi)
		}
		var children []int32
		for c := n.first; c != 0; c = s.nodes[c].next {
			children = append(children, c)
		}
		for j, i := range align(b, after) {
			p := piece{after: after[j]}
			if i >= 0 {
				p.node, p.before = children[i], b[i]
			}
			pieces = append(pieces, p)
		}
	default:
		return s.flowNew(n, after, false)
	}
	first, last := &s.nodes[n.first], n.first
	for s.nodes[last].next != 0 {
		last = s.nodes[last].next
	}
	opening := s.text[n.val:first.start]
	closing := s.text[s.nodes[last].end:n.valEnd]
	between := ", "
	if first.next != 0 {
		between = s.text[first.end:s.nodes[first.next].start]
	} else if nl := strings.IndexByte(opening, '\n'); nl >= 0 {
		between = "," + opening[nl:]
	} else if s.json && strings.IndexByte(s.text, ' ') < 0 {
		between = ","
	}
	indent := -1
	if multi {
		indent = int(first.start) - int(s.lineOf(first.start))
	}
	s.out = append(s.out, opening...)
	for j, p := range pieces {
		if j > 0 {
			s.out = append(s.out, between...)
		}
		if p.node == 0 {
			if n.kind == mapNode {
				if s.json {
					s.out = appendJSON(s.out, p.key)
				} else {
					s.out = appendString(s.out, p.key, plainStyle, true)
				}
				s.out = append(s.out, ':')
				if space := s.text[first.sep:first.val]; strings.TrimSpace(space) == "" && (space != "" || s.json) {
					s.out = append(s.out, strings.ReplaceAll(space, "\n", " ")...)
				} else {
					s.out = append(s.out, ' ')
				}
			}
			var err error
			if s.out, err = s.appendFlow(s.out, p.after, indent); err != nil {
				return err
			}
			continue
		}
		c := &s.nodes[p.node]
		if Equal(p.before, p.after) {
			s.copy(c.start, c.end)
			continue
		}
		s.copy(c.start, c.val)
		if err := s.flow(p.node, p.before, p.after, false); err != nil {
			return err
		}
	}
	s.out = append(s.out, closing...)
	return nil
}

// flowNew writes a value in the place of another one in a flow collection.
func (s *splicer) flowNew(n *node, v any, multi bool) (err error) {
	if str, ok := v.(string); ok && n.kind == scalarNode && !s.json {
		s.out = appendString(s.out, str, n.style, true)
		return nil
	}
	indent := -1
	if line := s.lineOf(n.start); multi || s.json && strings.TrimLeft(s.text[line:n.start], " ") == "" && strings.IndexByte(s.text, '\n') >= 0 {
		indent = len(s.text[line:]) - len(strings.TrimLeft(s.text[line:], " "))
	}
	s.out, err = s.appendFlow(s.out, v, indent)
	return err
}

func itemPath(i int) fieldpath.Path {
	return fieldpath.Path{fieldpath.Key("items"), fieldpath.Index(i)}
}
