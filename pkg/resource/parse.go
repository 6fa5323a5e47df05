package resource

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/jsonvalue"
	"github.com/oneloop-dev/oneloop/pkg/parallel"
)

// Budgets for what is read. A manifest that a cluster stores is below 2 MiB.
const (
	MaxInput     = 256 << 20 // bytes of one file or stream
	MaxDocument  = 64 << 20  // bytes of one document
	MaxResources = 1 << 20   // documents, or items of a list
	// MaxUnusual is the limit for a document with anchors, tags or other YAML
	// that manifests do without. Reading it takes a hundred times its size.
	MaxUnusual = 16 << 20
)

// Text checks and normalizes the text of a file: it must be UTF-8 and within
// MaxInput; a byte order mark goes; lines end in \n.
func Text(file string, data []byte) (string, error) {
	if len(data) > MaxInput {
		return "", fmt.Errorf("%s: the input is larger than the limit of %d MiB; split it", name(file), MaxInput>>20)
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(data) {
		return "", notUTF8(file, data)
	}
	if bytes.IndexByte(data, '\r') >= 0 {
		data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
		data = bytes.ReplaceAll(data, []byte("\r"), []byte("\n"))
	}
	return string(data), nil
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
// Documents need not be manifests; Complete tells whether one is. Lines in
// errors and origins are those of the file.
//
// No-break spaces at the ends of lines, as copied from a web page, are read as if
// they were spaces, when the text can't be read as it is or has keys that begin
// with one.
//
// Texts are UTF-8, with or without a byte order mark. Lines may end in \r\n;
// what comes out ends in \n. The error joins the faults of all documents, each
// with file and line.
func Parse(file string, data []byte) ([]*Resource, error) {
	text, err := Text(file, data)
	if err != nil {
		return nil, err
	}
	out, err := parseText(file, text)
	if strings.Contains(text, noBreakSpace) && (err != nil || slices.ContainsFunc(out, oddlyKeyed)) {
		// It can only mean one thing.
		if again, err := parseText(file, plainEnds(text)); err == nil {
			for _, r := range again {
				r.start, r.end, r.docEnd = 0, 0, 0 // not places in the file as it is
			}
			return again, nil
		}
	}
	return out, err
}

// noBreakSpace is what web pages put in front of the lines of an example.
const noBreakSpace = "\u00a0"

// oddlyKeyed reports whether some key begins with a no-break space.
func oddlyKeyed(r *Resource) bool {
	o, err := r.object()
	return err == nil && oddKey(o)
}

func oddKey(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			if strings.HasPrefix(k, noBreakSpace) || oddKey(e) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, oddKey)
	}
	return false
}

// plainEnds turns the no-break spaces in front of lines into spaces, and takes
// away those behind them.
func plainEnds(text string) string {
	const blanks = " " + noBreakSpace
	var b strings.Builder
	for line := range strings.Lines(text) {
		rest := strings.TrimLeft(line, blanks)
		b.WriteString(strings.ReplaceAll(line[:len(line)-len(rest)], noBreakSpace, " "))
		body, ended := strings.CutSuffix(rest, "\n")
		b.WriteString(strings.TrimRight(body, blanks))
		if ended {
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// parseText parses a text without byte order mark, with lines that end in \n.
func parseText(file, text string) ([]*Resource, error) {
	docs, err := splitDocuments(file, text)
	if err != nil {
		return nil, err
	}
	read := make([][]*Resource, len(docs))
	errs := make([]error, len(docs))
	parallel.Each(len(docs), 1, func(i int) {
		read[i], errs[i] = docs[i].read()
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

// splitDocuments cuts a text at its document markers. A line that starts with
// --- or ... ends a document wherever it stands, so this is exact.
func splitDocuments(file, text string) ([]*Resource, error) {
	var docs []*Resource
	comments := "" // of documents that hold nothing else
	// The document being collected: where it starts, and how many characters of
	// a marker on its first line to blank out.
	start, line, blank := 0, 1, 0
	add := func(end int) error {
		body := text[start:end]
		switch contentOf(body) {
		case nothing:
			return nil
		case onlyComments:
			comments += strings.Trim(body, "\n") + "\n"
			return nil
		}
		if len(docs) == MaxResources {
			return fmt.Errorf("%s: the input has more than %d documents; split it", Origin{file, line}, MaxResources)
		}
		r := &Resource{origin: Origin{file, line}, firstLine: line, start: start, end: end, docEnd: end, text: body}
		if len(body) > MaxDocument {
			return fmt.Errorf("%s: the document is larger than the limit of %d MiB", r.origin, MaxDocument>>20)
		}
		if blank > 0 {
			r.text = strings.Repeat(" ", blank) + body[blank:]
		}
		r.text, r.before, comments = comments+r.text, comments, ""
		docs = append(docs, r)
		return nil
	}
	directive := 0 // the line of a directive that waits for its document
	n := 0
	for i := 0; i < len(text); {
		n++
		next := len(text)
		if nl := strings.IndexByte(text[i:], '\n'); nl >= 0 {
			next = i + nl + 1
		}
		switch l := text[i:next]; {
		case l[0] != '-' && l[0] != '.' && l[0] != '%':
		case isMarker(l, "---"):
			if directive > 0 {
				start, line, directive = i, n, 0
			}
			if err := add(i); err != nil {
				return nil, err
			}
			start, line, blank = next, n+1, 0
			if rest := strings.TrimLeft(l[3:], " \t\n"); rest != "" {
				start, line = i, n // the document starts on this line
				switch rest[0] {
				case '#':
					start = next - len(rest)
				case '{', '[':
					blank = 3
				}
			}
		case isMarker(l, "..."):
			if err := add(i); err != nil {
				return nil, err
			}
			start, line, blank = next, n+1, 0
		case l[0] == '%' && contentOf(text[start:i]) != something && directive == 0 || l[0] == '%' && directive > 0:
			if strings.HasPrefix(l, "%TAG") {
				return nil, fmt.Errorf("%s: %%TAG directives are not supported; write the tags out", Origin{file, n})
			}
			directive = n
		}
		i = next
	}
	if directive > 0 {
		return nil, fmt.Errorf("%s: expected --- after a directive", Origin{file, directive})
	}
	if err := add(len(text)); err != nil {
		return nil, err
	}
	if comments != "" && len(docs) > 0 {
		last := docs[len(docs)-1]
		if !strings.HasSuffix(last.text, "\n") {
			last.text += "\n"
		}
		last.text += comments
		last.after = comments
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

// read reads the text of r and returns r, or the items if it is a List.
func (r *Resource) read() ([]*Resource, error) {
	t := trees.Get().(*tree)
	defer trees.Put(t)
	scanErr := t.scanDocument(r.text, r.item)
	if scanErr == nil && !strings.HasSuffix(r.text, "\n") {
		r.text = t.endLine()
		scanErr = t.scanDocument(r.text, r.item)
	}
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
	if scanErr.budget {
		return nil, r.fault(scanErr)
	}
	n, err := decodeNode(r.text, r.item)
	if err != nil {
		if scanErr.malformed {
			err = scanErr // knows the line better
		}
		return nil, r.unread(err)
	}
	return r.fromNode(n)
}

// templating finds what only a template of Helm has. Kyverno's variables look
// otherwise.
var templating = regexp.MustCompile(`\{\{-?\s*(\.[A-Z]|\$|(if|else|end|with|range|include|template|define|toYaml)\b)`)

// unread is the fault of a text that can't be read.
func (r *Resource) unread(err error) error {
	err = r.fault(err)
	if templating.MatchString(r.text) {
		err = fmt.Errorf("%w; this looks like a template of Helm: give what helm template makes of it", err)
	}
	return err
}

// lastLeaf returns the value that ends the text.
func (t *tree) lastLeaf() *node {
	last := &t.nodes[0]
	for last.style == blockStyle {
		c := last.first
		for t.nodes[c].next != 0 {
			c = t.nodes[c].next
		}
		last = &t.nodes[c]
	}
	return last
}

// endLine returns the text with a line break at its end. A block of text that
// ends without one must not get one, which its header then says.
func (t *tree) endLine() string {
	last := t.lastLeaf()
	if last.style != literalStyle && last.style != foldedStyle || int(last.valEnd) != len(t.text) {
		return t.text + "\n"
	}
	header, body, _ := strings.Cut(t.text[last.val:], "\n")
	if !strings.Contains(strings.SplitN(header, "#", 2)[0], "-") {
		header = header[:1] + "-" + strings.Replace(header[1:], "+", "", 1)
	}
	return t.text[:last.val] + header + "\n" + body + "\n"
}

// fromNode takes over what the scanner can't read.
func (r *Resource) fromNode(n *yaml.Node) ([]*Resource, error) {
	v, err := manifestObject(n)
	if err != nil {
		return nil, r.unread(err)
	}
	r.origin.Line = r.lineOf(n.Line)
	o, ok := v.(map[string]any)
	if !ok {
		return nil, r.fault(fmt.Errorf("expected a manifest, which is a map; found %s", jsonvalue.Describe(v)))
	}
	r.identifyObject(o)
	if items, ok := o["items"].([]any); ok && listKind(r.id.Kind) {
		return r.nodeItems(items)
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
	r.misplaced = r.id.Namespace == "" && t.child(meta, "namespace") != 0
	r.bare = t.bare
	all := t.child(meta, "annotations")
	if all == 0 || t.nodes[all].kind != mapNode {
		return
	}
	r.annotations = make([]annotation, 0, t.nodes[all].size)
	for c := t.nodes[all].first; c != 0; c = t.nodes[c].next {
		if v, err := t.object(c); err == nil {
			if s, ok := v.(string); ok {
				r.annotate(t.nodes[c].key, s)
			}
		}
	}
}

func (r *Resource) annotate(key, value string) {
	r.annotations = append(r.annotations, annotation{key, value})
	r.runner = r.runner || key == helmAnnotation
}

func (r *Resource) identifyObject(o Object) {
	r.id = IDOf(o)
	r.annotations = nil
	meta, _ := o["metadata"].(map[string]any)
	_, there := meta["namespace"]
	r.misplaced = r.id.Namespace == "" && there
	all, _ := meta["annotations"].(map[string]any)
	for k, v := range all {
		if s, ok := v.(string); ok {
			r.annotate(k, s)
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
	r.simple, r.canonical = true, t.canonical && !t.emptyMetadata(root)
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
		item := &Resource{item: true, origin: Origin{File: r.origin.File}, docEnd: r.docEnd}
		from, to := int(n.lead), int(n.end)
		if t.nodes[list].style == flowStyle {
			item.item = false
			from, to = int(n.val), int(n.valEnd)
			item.dedented = indentAt(t.text, to-1)
			item.text = dedent(t.text[from:to], item.dedented)
		} else {
			if strings.Trim(t.text[strings.LastIndexByte(t.text[:n.start], '\n')+1:n.start], " ") != "" { // behind another dash
				return nil, r.fault(&scanError{offset: from, message: "expected a manifest, found a list"})
			}
			item.text = t.text[from:to]
		}
		item.start, item.end = r.start+from-len(r.before), r.start+to-len(r.before)
		item.firstLine = r.line(from)
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
func (r *Resource) nodeItems(values []any) ([]*Resource, error) {
	var out []*Resource
	for i, v := range values {
		o, ok := v.(map[string]any)
		if !ok {
			return nil, r.fault(fmt.Errorf("items[%d]: expected a manifest, which is a map; found %s", i, jsonvalue.Describe(v)))
		}
		item, err := New(o)
		if err != nil {
			return nil, r.fault(fmt.Errorf("items[%d]: %w", i, err))
		}
		item.origin, item.docEnd = Origin{File: r.origin.File, Line: r.Line(itemPath(i))}, r.docEnd
		if listKind(item.id.Kind) {
			if nested, ok := o["items"].([]any); ok {
				rs, err := item.nodeItems(nested)
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

// Complete returns an error, with file and line, unless r has what every
// manifest needs: apiVersion, kind, and metadata.name or generateName. A namespace
// must be text, too: n and 1 are not.
func (r *Resource) Complete() error {
	if r.id.Kind.Version != "" && r.id.Kind.Kind != "" && r.id.Name != "" && !r.misplaced {
		return nil
	}
	o, err := r.object()
	if err != nil {
		return err
	}
	var root fieldpath.Path
	meta := root.Key("metadata")
	for _, path := range []fieldpath.Path{root.Key("apiVersion"), root.Key("kind"), meta.Key("name"), meta.Key("namespace")} {
		v, there := fieldpath.Get(o, path)
		text, isText := v.(string)
		generated, _ := fieldpath.Get(o, meta.Key("generateName"))
		optional := path.String() == "metadata.namespace" || path.String() == "metadata.name" && generated != nil && !there
		switch {
		case text != "", optional && (v == nil || isText):
		case there && v != nil && !isText:
			at := Origin{File: r.origin.File, Line: r.Line(path)}
			return fmt.Errorf("%s: expected a Kubernetes manifest, but %s is %s; quote it to make it a string", at, path, jsonvalue.Describe(v))
		default:
			return r.fault(fmt.Errorf("expected a Kubernetes manifest, but %s is missing", path))
		}
	}
	return nil
}
