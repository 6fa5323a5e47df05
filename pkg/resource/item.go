package resource

import (
	"errors"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/oneloop-dev/oneloop/pkg/jsonvalue"
)

// ParseItem reads one item of a ResourceList from its text, which is a list
// with one element: the dash, and the lines that belong to it. line is where it
// starts in file. It refuses a text that may say something else among its
// neighbours; then the list must be read as a whole (NodeItem).
//
// Annotations of the runner are hidden from Object, and survive Update.
func ParseItem(file string, line int, text string) (*Resource, error) {
	r := &Resource{text: text, item: true, runner: true, firstLine: line, origin: Origin{file, line}}
	t := trees.Get().(*tree)
	defer trees.Put(t)
	scanErr := t.scanDocument(text, true)
	if scanErr == nil {
		// Comments between two items belong to either; so does one behind a null.
		last := t.lastLeaf()
		if first := t.nodes[0].start; first > 0 && strings.Trim(text[:first], " ") != "" ||
			strings.IndexByte(text[t.nodes[0].end:], '#') >= 0 ||
			last.style == absentStyle && strings.IndexByte(text[last.valEnd:], '#') >= 0 {
			return nil, errors.New("comments between items")
		}
		root := t.nodes[0].first
		r.simple = true
		r.canonical = t.canonical && !t.emptyMetadata(root)
		r.identify(t, root)
		return r, nil
	}
	n, err := decodeNode(text, true)
	if err != nil {
		return nil, r.fault(err)
	}
	if trailingComment(text) {
		return nil, errors.New("comments between items")
	}
	return r, r.takeNode(n)
}

// takeNode reads the identity from a node.
func (r *Resource) takeNode(n *yaml.Node) error {
	v, err := manifestObject(n)
	if err != nil {
		return r.fault(err)
	}
	o, ok := v.(map[string]any)
	if !ok {
		return r.fault(errors.New("expected a manifest, which is a map; found " + jsonvalue.Describe(v)))
	}
	r.identifyObject(o)
	return nil
}

// trailingComment reports whether a text may end in a comment.
func trailingComment(text string) bool {
	for text != "" {
		i := strings.LastIndexByte(strings.TrimSuffix(text, "\n"), '\n') + 1
		line := strings.Trim(text[i:], " \t\n")
		if line != "" {
			return line[0] == '#'
		}
		text = text[:i]
	}
	return false
}

// NodeItem makes an item of a ResourceList from a node of the list as a whole.
// It is written as yaml/v3 writes the node. Aliases are resolved, since their
// anchors may be in other items.
func NodeItem(file string, n *yaml.Node) (*Resource, error) {
	r := &Resource{item: true, runner: true, origin: Origin{file, n.Line}, firstLine: 1}
	if err := r.takeNode(n); err != nil {
		return nil, err
	}
	r.firstLine = 0 // what follows is not the text that was read
	if aliased(n) {
		expandAliases(n)
	}
	clearEmptyAnnotations(n)
	list := &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{n}}
	text, err := encodeNode(list, false)
	if err != nil {
		return nil, r.fault(err)
	}
	r.text = string(text)
	t := trees.Get().(*tree)
	defer trees.Put(t)
	r.simple = t.scanDocument(r.text, true) == nil
	// A second pass through yaml/v3 may move comments; the first one counts.
	r.canonical = true
	return r, nil
}

func aliased(n *yaml.Node) bool {
	if n.Kind == yaml.AliasNode || isMapping(n) && len(n.Content) > 0 && isMerge(n.Content[0]) {
		return true
	}
	for _, c := range n.Content {
		if aliased(c) {
			return true
		}
	}
	return false
}

// emptyMetadata reports whether kyaml would remove metadata or its annotations
// because they are empty.
func (t *tree) emptyMetadata(root int32) bool {
	empty := func(i int32) bool { return t.nodes[i].size == 0 }
	meta := t.child(root, "metadata")
	if meta == 0 {
		return false
	}
	annotations := t.child(meta, "annotations")
	return empty(meta) || annotations != 0 && empty(annotations)
}

// SetOrigin says where r really comes from, for those who know better than the
// text: the runner of a function writes it into annotations.
func (r *Resource) SetOrigin(o Origin) {
	r.origin = o
	r.firstLine = o.Line
}
