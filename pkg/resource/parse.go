package resource

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Budgets for what is read. A manifest that a cluster stores is below 2 MiB.
const (
	MaxInput    = 256 << 20 // bytes of one file or stream
	MaxDocument = 64 << 20  // bytes of one document
)

// A source is one file or stream.
type source struct {
	file string
	text string // without byte order mark, lines ending in \n
	crlf bool   // the lines of the file ended in \r\n

	lines     sync.Once
	lineStart []int // offsets of every 64th line
}

// linesPerMark is how many lines lie between two known offsets.
const linesPerMark = 64

// line returns the line of an offset, counted from 1.
func (s *source) line(offset int) int {
	s.lines.Do(func() {
		n := 0
		for i := 0; i < len(s.text); {
			if n%linesPerMark == 0 {
				s.lineStart = append(s.lineStart, i)
			}
			n++
			nl := strings.IndexByte(s.text[i:], '\n')
			if nl < 0 {
				break
			}
			i += nl + 1
		}
	})
	lo, hi := 0, len(s.lineStart)
	for lo < hi {
		if mid := (lo + hi) / 2; s.lineStart[mid] <= offset {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == 0 {
		return 1
	}
	mark := s.lineStart[lo-1]
	return 1 + (lo-1)*linesPerMark + strings.Count(s.text[mark:min(offset, len(s.text))], "\n")
}

// newSource checks and normalizes a text: it must be UTF-8; a byte order mark
// goes; lines end in \n.
func newSource(file string, data []byte) (*source, error) {
	if len(data) > MaxInput {
		return nil, fmt.Errorf("%s: the input has %d MiB, more than the limit of %d MiB; split it", name(file), len(data)>>20, MaxInput>>20)
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(data) {
		return nil, notUTF8(file, data)
	}
	s := &source{file: file}
	if bytes.IndexByte(data, '\r') >= 0 {
		s.crlf = bytes.Contains(data, []byte("\r\n"))
		data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
		data = bytes.ReplaceAll(data, []byte("\r"), []byte("\n"))
	}
	s.text = string(data)
	return s, nil
}

func name(file string) string {
	switch file {
	case "":
		return "input"
	case "-":
		return "standard input"
	}
	return file
}

func notUTF8(file string, data []byte) error {
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return fmt.Errorf("%s:1: the text is UTF-16; save it as UTF-8", file)
	}
	line := 1
	for len(data) > 0 {
		r, n := utf8.DecodeRune(data)
		if r == utf8.RuneError && n == 1 {
			break
		}
		if r == '\n' {
			line++
		}
		data = data[n:]
	}
	return fmt.Errorf("%s:%d: the text is not UTF-8 (byte 0x%02x); save it as UTF-8", file, line, data[0])
}

// Parse reads a file of YAML or JSON: all its documents, in order. Documents
// that hold nothing or only comments are dropped; the comments go to the top
// of the next document, or to the end of the last one. The items of a List
// (kind List, or any kind that ends in List and has apiVersion and items) take
// the place of the List.
//
// Each resource must have apiVersion, kind, and metadata.name or
// generateName... only kind is required here: see Manifest. Positions in
// errors and origins are those of the file.
//
// Texts are UTF-8, with or without a byte order mark. Lines may end in \r\n;
// what comes out ends in \n. The error joins the faults of all documents, each
// with file and line.
func Parse(file string, data []byte) ([]*Resource, error) {
	src, err := newSource(file, data)
	if err != nil {
		return nil, err
	}
	docs, err := splitDocuments(src)
	if err != nil {
		return nil, err
	}
	read := make([][]*Resource, len(docs))
	errs := make([]error, len(docs))
	parallel(len(docs), func(i int) {
		read[i], errs[i] = readDocument(docs[i])
	})
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	var out []*Resource
	for _, rs := range read {
		out = append(out, rs...)
	}
	return out, nil
}

// parallel calls f for 0..n-1 on all processors.
func parallel(n int, f func(i int)) {
	workers := min(runtime.GOMAXPROCS(0), n)
	if workers < 2 {
		for i := range n {
			f(i)
		}
		return
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				f(i)
			}
		})
	}
	wg.Wait()
}

// splitDocuments cuts a source at its document markers. A line that starts
// with --- or ... ends a document wherever it stands, so this is exact.
func splitDocuments(src *source) ([]*Resource, error) {
	var docs []*Resource
	text := src.text
	var comments strings.Builder // of documents that hold nothing else
	add := func(start, end int, blank int) error {
		body := text[start:end]
		kind := contentOf(body)
		switch kind {
		case nothing:
			return nil
		case onlyComments:
			comments.WriteString(strings.TrimLeft(body, "\n"))
			if !strings.HasSuffix(body, "\n") {
				comments.WriteByte('\n')
			}
			return nil
		}
		if end-start > MaxDocument {
			return fmt.Errorf("%s: the document has %d MiB, more than the limit of %d MiB",
				Origin{src.file, src.line(start)}, (end-start)>>20, MaxDocument>>20)
		}
		if blank > 0 {
			body = strings.Repeat(" ", blank) + body[blank:]
		}
		r := &Resource{source: src, start: start, end: end, text: body}
		if comments.Len() > 0 {
			r.text = comments.String() + body
			r.glued = comments.Len()
			comments.Reset()
		}
		docs = append(docs, r)
		return nil
	}
	start, blank := 0, 0
	directives := false
	for i := 0; i < len(text); {
		nl := strings.IndexByte(text[i:], '\n')
		next := len(text)
		if nl >= 0 {
			next = i + nl + 1
		}
		line := text[i:next]
		switch {
		case isMarker(line, "---"):
			if directives {
				start = i // the directives themselves are dropped
				directives = false
			}
			if err := add(start, i, blank); err != nil {
				return nil, err
			}
			start, blank = next, 0
			if rest := strings.TrimSpace(line[3:]); rest != "" && rest[0] != '#' {
				start, blank = i, 3 // the document starts on this line
			} else if rest != "" {
				start = i + strings.IndexByte(line, '#')
			}
		case isMarker(line, "..."):
			if err := add(start, i, blank); err != nil {
				return nil, err
			}
			start, blank = next, 0
		case line[0] == '%' && contentOf(text[start:i]) != something:
			if strings.HasPrefix(line, "%TAG") {
				return nil, fmt.Errorf("%s: %%TAG directives are not supported; write the tags out", Origin{src.file, src.line(i)})
			}
			directives = true
		}
		i = next
	}
	if directives {
		return nil, fmt.Errorf("%s: expected --- after a directive", Origin{src.file, src.line(start)})
	}
	if err := add(start, len(text), blank); err != nil {
		return nil, err
	}
	if comments.Len() > 0 && len(docs) > 0 {
		last := docs[len(docs)-1]
		if !strings.HasSuffix(last.text, "\n") {
			last.text += "\n"
		}
		last.text += comments.String()
	}
	return docs, nil
}

func isMarker(line, marker string) bool {
	return strings.HasPrefix(line, marker) && (len(line) == 3 || line[3] == ' ' || line[3] == '\n' || line[3] == '\t')
}

type textContent int

const (
	nothing textContent = iota
	onlyComments
	something
)

func contentOf(body string) textContent {
	found := nothing
	for line := range strings.Lines(body) {
		switch line = strings.TrimLeft(line, " \t\n"); {
		case line == "":
		case line[0] == '#':
			found = onlyComments
		default:
			return something
		}
	}
	return found
}

// readDocument reads one document, or the items of one List.
func readDocument(r *Resource) ([]*Resource, error) {
	r.origin = Origin{File: r.source.file, Line: r.source.line(r.start)}
	return r.read()
}

// read reads the text of r and returns r, or the items if it is a List.
func (r *Resource) read() ([]*Resource, error) {
	t := trees.Get().(*tree)
	defer trees.Put(t)
	scanErr := t.scanDocument(r.text, r.item)
	if scanErr == nil {
		root := int32(0)
		if r.item {
			root = t.nodes[0].first
			if t.nodes[root].kind != mapNode {
				return nil, r.fault(errors.New("expected a manifest, which is a map"))
			}
		}
		return r.readScanned(t, root)
	}
	n, err := decodeNode(r.text, r.item)
	if err != nil {
		if scanErr.malformed {
			err = scanErr // knows the line better
		}
		return nil, r.fault(err)
	}
	return r.fromNode(n)
}

// fromNode takes over what the scanner can't read.
func (r *Resource) fromNode(n *yaml.Node) ([]*Resource, error) {
	v, err := nodeObject(n)
	if err != nil {
		return nil, r.fault(err)
	}
	r.origin.Line = r.lineOf(n.Line)
	o, ok := v.(map[string]any)
	if !ok {
		return nil, r.fault(fmt.Errorf("expected a manifest, which is a map; found %s", describe(v)))
	}
	r.identifyObject(o)
	if items, ok := o["items"].([]any); ok && listKind(r.id.Kind) {
		return r.nodeItems(n, items)
	}
	return []*Resource{r}, nil
}

// identify reads who r is.
func (r *Resource) identify(t *tree, root int32) {
	r.id = ID{
		Kind:      ParseKind(t.stringAt(root, "apiVersion"), t.stringAt(root, "kind")),
		Namespace: t.stringAt(root, "metadata", "namespace"),
		Name:      t.stringAt(root, "metadata", "name"),
	}
	at := t.nodes[root].val
	r.origin.Line = r.line(int(at))
	meta := t.child(root, "metadata")
	if meta == 0 {
		return
	}
	all := t.child(meta, "annotations")
	if all == 0 || t.nodes[all].kind != mapNode {
		return
	}
	r.annotations = make([]annotation, 0, t.nodes[all].size)
	for c := t.nodes[all].first; c != 0; c = t.nodes[c].next {
		if v, err := t.object(c); err == nil {
			if s, ok := v.(string); ok {
				r.annotations = append(r.annotations, annotation{t.nodes[c].key, s})
			}
		}
	}
}

func (r *Resource) identifyObject(o Object) {
	r.id = IDOf(o)
	r.annotations = nil
	meta, _ := o["metadata"].(map[string]any)
	all, _ := meta["annotations"].(map[string]any)
	for k, v := range all {
		if s, ok := v.(string); ok {
			r.annotations = append(r.annotations, annotation{k, s})
		}
	}
}

// listKind reports whether k is a List whose items stand for themselves.
func listKind(k Kind) bool {
	return strings.HasSuffix(k.Kind, "List") && k.Version != "" && k.Kind != "ResourceList"
}

func isList(t *tree, root int32) bool {
	kind := Kind{Version: t.stringAt(root, "apiVersion"), Kind: t.stringAt(root, "kind")}
	if !listKind(kind) {
		return false
	}
	items := t.child(root, "items")
	return items != 0 && t.nodes[items].kind == listNode
}

// readScanned finishes a resource whose text is in t.
func (r *Resource) readScanned(t *tree, root int32) ([]*Resource, error) {
	r.simple, r.canonical = true, t.canonical
	r.identify(t, root)
	if isList(t, root) {
		return r.listItems(t, t.child(root, "items"))
	}
	return []*Resource{r}, nil
}

// listItems cuts the items of a List out of its text.
func (r *Resource) listItems(t *tree, list int32) ([]*Resource, error) {
	var out []*Resource
	for c := t.nodes[list].first; c != 0; c = t.nodes[c].next {
		n := t.nodes[c]
		item := &Resource{source: r.source, item: true}
		from, to := int(n.lead), int(n.end)
		if t.nodes[list].style == flowStyle {
			item.item = false
			from, to = int(n.val), int(n.valEnd)
			item.text = dedent(t.text[from:to], indentAt(t.text, to-1))
		} else {
			if n.lead == n.start { // behind another dash
				return nil, r.fault(&scanError{offset: from, message: "expected a manifest, found a list"})
			}
			item.text = t.text[from:to]
		}
		item.start, item.end = r.start+from-r.glued, r.start+to-r.glued
		item.origin = Origin{File: r.origin.File, Line: r.line(int(n.start))}
		rs, err := item.read()
		if err != nil {
			return nil, err
		}
		out = append(out, rs...)
	}
	return out, nil
}

// indentAt returns the number of spaces that the line around offset starts
// with.
func indentAt(text string, offset int) int {
	line := text[strings.LastIndexByte(text[:offset], '\n')+1:]
	return len(line) - len(strings.TrimLeft(line, " "))
}

// dedent removes up to n spaces from the start of every line but the first.
func dedent(text string, n int) string {
	if n == 0 {
		return text
	}
	var b strings.Builder
	first := true
	for line := range strings.Lines(text) {
		if !first {
			line = line[min(n, len(line)-len(strings.TrimLeft(line, " "))):]
		}
		first = false
		b.WriteString(line)
	}
	return b.String()
}

// nodeItems is listItems for what the scanner can't read: each item is written
// anew, with its aliases resolved.
func (r *Resource) nodeItems(list *yaml.Node, values []any) ([]*Resource, error) {
	var out []*Resource
	for i, v := range values {
		o, ok := v.(map[string]any)
		if !ok {
			return nil, r.fault(fmt.Errorf("items[%d]: expected a manifest, which is a map; found %s", i, describe(v)))
		}
		item, err := New(o)
		if err != nil {
			return nil, r.fault(fmt.Errorf("items[%d]: %w", i, err))
		}
		item.origin = Origin{File: r.origin.File, Line: r.Line(itemPath(i))}
		if listKind(item.id.Kind) {
			if nested, ok := o["items"].([]any); ok {
				rs, err := item.nodeItems(nil, nested)
				if err != nil {
					return nil, err
				}
				out = append(out, rs...)
				continue
			}
		}
		out = append(out, item)
	}
	return out, nil
}
