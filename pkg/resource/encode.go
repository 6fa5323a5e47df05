package resource

import (
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// New makes a resource from values, as for a generated manifest. Its fields
// come in the usual order: apiVersion, kind, metadata, then by name.
func New(o Object) (*Resource, error) {
	if len(o) == 0 {
		return nil, fmt.Errorf("expected a manifest, found an empty map")
	}
	text, err := layout{step: 2}.appendBlock(nil, o, 0)
	if err != nil {
		return nil, err
	}
	r := &Resource{text: string(text)}
	if !r.says(r.text, o) {
		return nil, fmt.Errorf("%s can't be written as YAML", IDOf(o))
	}
	r.identifyObject(o)
	return r, nil
}

// AppendYAML appends the text of the document, without a --- line, and ends it
// with a line break. It is what was read, byte for byte, unless Update changed
// it; an item of a list is moved to column 0.
func (r *Resource) AppendYAML(dst []byte) ([]byte, error) {
	if !r.item && !strings.HasPrefix(r.text, "---") {
		dst = append(dst, r.text...)
		if !strings.HasSuffix(r.text, "\n") {
			dst = append(dst, '\n')
		}
		return dst, nil
	}
	if r.item && r.simple {
		return appendDedented(dst, r.text), nil
	}
	n, err := decodeNode(r.text, r.item)
	if err != nil {
		return nil, r.fault(err)
	}
	text, err := encodeNode(n, wideLists(r.text))
	if err != nil {
		return nil, r.fault(err)
	}
	return append(dst, text...), nil
}

// appendDedented turns a list with one element into that element.
func appendDedented(dst []byte, text string) []byte {
	col := -1
	for line := range strings.Lines(text) {
		trimmed := strings.TrimLeft(line, " ")
		indent := len(line) - len(trimmed)
		switch {
		case col >= 0:
			line = line[min(col, indent):]
		case trimmed[0] == '-':
			rest := strings.TrimLeft(trimmed[1:], " ")
			if rest == "\n" || rest == "" || rest[0] == '#' {
				// The map starts on the next line with content.
				col = nextIndent(text[len(text)-len(rest):], text, line)
				if rest != "" && rest[0] == '#' {
					dst = append(dst, rest...)
				}
				continue
			}
			col = indent + 1 + len(trimmed[1:]) - len(rest)
			line = rest
		default:
			line = trimmed // comments above
		}
		dst = append(dst, line...)
	}
	if n := len(dst); n > 0 && dst[n-1] != '\n' {
		dst = append(dst, '\n')
	}
	return dst
}

// nextIndent returns the indent of the first line with content behind line.
func nextIndent(_, text, line string) int {
	rest := text[strings.Index(text, line)+len(line):]
	for l := range strings.Lines(rest) {
		if trimmed := strings.TrimLeft(l, " "); trimmed != "\n" && trimmed[0] != '#' {
			return len(l) - len(trimmed)
		}
	}
	return 0
}

// AppendItem appends the resource as an element of a list in column 0, as kyaml
// writes the items of a ResourceList.
func (r *Resource) AppendItem(dst []byte) ([]byte, error) {
	if r.item && r.canonical {
		return append(dst, r.text...), nil
	}
	if !r.item && r.canonical {
		first := true
		for line := range strings.Lines(r.text) {
			switch {
			case first:
				dst = append(dst, "- "...)
			case line != "\n":
				dst = append(dst, "  "...)
			}
			first = false
			dst = append(dst, line...)
		}
		return dst, nil
	}
	var root *yaml.Node
	var err error
	if r.item {
		root, err = decodeAmongItems(r.text)
	} else {
		root, err = decodeNode(r.text, false)
	}
	if err != nil {
		return nil, r.fault(err)
	}
	clearEmptyAnnotations(root)
	doc := &yaml.Node{Kind: yaml.DocumentNode, Content: []*yaml.Node{{
		Kind: yaml.SequenceNode, Content: []*yaml.Node{root},
	}}}
	text, err := encodeNode(doc, false)
	if err != nil {
		return nil, r.fault(err)
	}
	return append(dst, text...), nil
}

// decodeAmongItems reads an item as if others came before it: yaml/v3 takes
// comments for something else at the start of a document.
func decodeAmongItems(text string) (*yaml.Node, error) {
	indent := text[:len(text)-len(strings.TrimLeft(text, " "))]
	doc, err := decodeDocument("items:\n" + indent + "- 0\n" + text)
	if err != nil {
		return nil, err
	}
	if items := doc.Content[0].Content; len(items) == 2 && len(items[1].Content) == 2 {
		return items[1].Content[1], nil
	}
	return nil, errors.New("expected one list element")
}

// clearEmptyAnnotations removes metadata.annotations if empty, then metadata
// if empty, as kyaml does when it writes.
func clearEmptyAnnotations(root *yaml.Node) {
	meta := field(root, "metadata")
	if meta == nil {
		return
	}
	if all := field(meta, "annotations"); all != nil && emptyNode(all) {
		removeField(meta, "annotations")
	}
	if emptyNode(meta) {
		removeField(root, "metadata")
	}
}

func field(n *yaml.Node, key string) *yaml.Node {
	if isMapping(n) {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == key {
				return n.Content[i+1]
			}
		}
	}
	return nil
}

func removeField(n *yaml.Node, key string) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			n.Content = append(n.Content[:i:i], n.Content[i+2:]...)
			return
		}
	}
}

// emptyNode is kyaml's test, which takes every scalar for empty. An alias is
// not: kyaml would lose what it stands for.
func emptyNode(n *yaml.Node) bool { return n.Kind != yaml.AliasNode && len(n.Content) == 0 }
