package resource

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// What the scanner refuses goes through yaml/v3. This file reads and edits its
// nodes.

// decodeNode reads the first document of text with yaml/v3 and returns its
// root, or the only element of the root when item is set.
func decodeNode(text string, item bool) (*yaml.Node, error) {
	doc, err := decodeDocument(text)
	if err != nil {
		return nil, err
	}
	root := doc.Content[0]
	if item {
		if root.Kind != yaml.SequenceNode || len(root.Content) != 1 {
			return nil, errors.New("expected one list element")
		}
		root = root.Content[0]
	}
	return root, nil
}

func decodeDocument(text string) (doc *yaml.Node, err error) {
	// yaml/v3 has panicked on some malformed texts.
	defer func() {
		if p := recover(); p != nil {
			doc, err = nil, fmt.Errorf("malformed YAML: %v", p)
		}
	}()
	if len(text) > MaxUnusual {
		return nil, fmt.Errorf("the document has anchors, tags or other unusual YAML and is larger than the limit of %d MiB for such; split it", MaxUnusual>>20)
	}
	dec := yaml.NewDecoder(strings.NewReader(text))
	doc = new(yaml.Node)
	if err := dec.Decode(doc); err != nil {
		if err == io.EOF {
			return nil, errors.New("an empty document")
		}
		return nil, err
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) == 0 {
		return nil, errors.New("an empty document")
	}
	if err := dec.Decode(new(yaml.Node)); err != io.EOF {
		if err != nil {
			return nil, err
		}
		return nil, errors.New("found a second document")
	}
	return doc, nil
}

// A nodeError is a fault at a node.
type nodeError struct {
	line int // within the text, counted from 1
	err  error
}

func (e *nodeError) Error() string { return fmt.Sprintf("line %d: %v", e.line, e.err) }
func (e *nodeError) Unwrap() error { return e.err }

// maxExpansion bounds how many values the aliases of a document may stand for.
const maxExpansion = 1_000_000

// An evaluation turns nodes into JSON values.
type evaluation struct {
	expanded int
	inside   map[*yaml.Node]bool // anchors being expanded
	depth    int
	aliases  int
}

// nodeObject returns the JSON value of n by the rules of sigs.k8s.io/yaml.
func nodeObject(n *yaml.Node) (any, error) {
	e := evaluation{}
	return e.value(n)
}

func (e *evaluation) value(n *yaml.Node) (any, error) {
	if e.aliases > 0 {
		if e.expanded++; e.expanded > maxExpansion {
			return nil, &nodeError{n.Line, fmt.Errorf("the aliases of the document stand for more than %d values", maxExpansion)}
		}
	}
	if e.depth++; e.depth > maxDepth {
		return nil, &nodeError{n.Line, fmt.Errorf("the document is nested more than %d levels deep", maxDepth)}
	}
	defer func() { e.depth-- }()
	switch n.Kind {
	case yaml.MappingNode:
		m := make(map[string]any, len(n.Content)/2)
		return m, e.mapping(n, m)
	case yaml.SequenceNode:
		l := make([]any, 0, len(n.Content))
		for _, c := range n.Content {
			v, err := e.value(c)
			if err != nil {
				return nil, err
			}
			l = append(l, v)
		}
		return l, nil
	case yaml.AliasNode:
		if e.inside[n.Alias] {
			return nil, &nodeError{n.Line, fmt.Errorf("the anchor %q contains itself", n.Value)}
		}
		if e.inside == nil {
			e.inside = map[*yaml.Node]bool{}
		}
		e.inside[n.Alias] = true
		e.aliases++
		v, err := e.value(n.Alias)
		e.aliases--
		delete(e.inside, n.Alias)
		return v, err
	case yaml.ScalarNode:
		v, err := scalarValue(n)
		if err != nil {
			return nil, &nodeError{n.Line, err}
		}
		return v, nil
	}
	return nil, nil
}

// mapping adds the entries of n to m. A merge key acts where it stands, so
// that what follows it overrides it, and it overrides what it follows.
func (e *evaluation) mapping(n *yaml.Node, m map[string]any) error {
	var seen map[string]bool
	if len(n.Content) > 0 {
		seen = make(map[string]bool, len(n.Content)/2)
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if isMerge(k) {
			if err := e.merge(v, m); err != nil {
				return err
			}
			continue
		}
		key, err := nodeKey(k)
		if err != nil {
			return &nodeError{k.Line, err}
		}
		if seen[key] {
			return &nodeError{k.Line, fmt.Errorf("the key %q is there twice", key)}
		}
		seen[key] = true
		if m[key], err = e.value(v); err != nil {
			return err
		}
	}
	return nil
}

func isMerge(k *yaml.Node) bool {
	return k.Kind == yaml.ScalarNode && k.Value == "<<" && k.ShortTag() == "!!merge"
}

func (e *evaluation) merge(v *yaml.Node, m map[string]any) error {
	source := v
	if v.Kind == yaml.AliasNode {
		source = v.Alias
	}
	switch {
	case source.Kind == yaml.MappingNode:
		value, err := e.value(v)
		if err != nil {
			return err
		}
		for k, x := range value.(map[string]any) {
			m[k] = x
		}
		return nil
	case v.Kind == yaml.SequenceNode:
		for i := len(v.Content) - 1; i >= 0; i-- {
			if err := e.merge(v.Content[i], m); err != nil {
				return err
			}
		}
		return nil
	}
	return &nodeError{v.Line, errors.New("a merge key needs a map or a list of maps")}
}

// nodeKey returns the string that a key node stands for.
func nodeKey(k *yaml.Node) (string, error) {
	if k.Kind == yaml.AliasNode {
		k = k.Alias
	}
	if k.Kind != yaml.ScalarNode {
		return "", errors.New("expected a string as key, found a collection")
	}
	if quotedNode(k) {
		return k.Value, nil
	}
	if k.Style&yaml.TaggedStyle == 0 {
		return plainKey(k.Value)
	}
	v, err := scalarValue(k)
	if err != nil {
		return "", err
	}
	switch v := v.(type) {
	case string:
		return v, nil
	case nil:
		return "", errNullKey
	}
	return plainKey(k.Value)
}

func quotedNode(n *yaml.Node) bool {
	const quoted = yaml.SingleQuotedStyle | yaml.DoubleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle
	return n.Style&quoted != 0 && n.Style&yaml.TaggedStyle == 0
}

// scalarValue returns the JSON value of a scalar node.
func scalarValue(n *yaml.Node) (any, error) {
	if quotedNode(n) {
		return n.Value, nil
	}
	if n.Style&yaml.TaggedStyle == 0 {
		return plainValue(n.Value)
	}
	tag := n.ShortTag()
	switch tag {
	case "!!str":
		return n.Value, nil
	case "!!binary":
		data, err := base64.StdEncoding.DecodeString(n.Value)
		if err != nil {
			return nil, errors.New("!!binary needs base64 data")
		}
		return toUTF8(string(data)), nil
	case "!!bool", "!!int", "!!float", "!!null", "!!timestamp":
	default:
		return n.Value, nil
	}
	var v any = n.Value
	if n.Value == "" {
		v = nil
	} else if w, ok := word(n.Value); ok {
		v = w
	} else if c := n.Value[0]; c == '.' || c == '+' || c == '-' || c >= '0' && c <= '9' {
		v = number(n.Value)
	}
	found := ""
	switch x := v.(type) {
	case nil:
		found = "!!null"
	case bool:
		found = "!!bool"
	case int64:
		found = "!!int"
		if tag == "!!float" {
			found, v = "!!float", float64(x)
		}
	case uint64:
		found = "!!int"
	case float64:
		found = "!!float"
	case string:
		found = "!!str"
		if isTimestamp(x) {
			found = "!!timestamp"
		}
	}
	if found != tag {
		return nil, fmt.Errorf("%q can't be read as %s", n.Value, tag)
	}
	if f, ok := v.(float64); ok && (math.IsNaN(f) || math.IsInf(f, 0)) {
		return nil, fmt.Errorf("%s is a number that JSON has no form for; quote it", n.Value)
	}
	return jsonNumber(v, n.Value)
}

// toUTF8 replaces every byte that is not part of a character, as encoding/json
// does.
func toUTF8(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		b.WriteRune(r)
	}
	return b.String()
}

// encodeNode writes a document as kyaml does: indent 2, lists not indented
// below their key unless wide is set.
func encodeNode(root *yaml.Node, wide bool) (text []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			text, err = nil, fmt.Errorf("can't write YAML: %v", p)
		}
	}()
	var buf bytes.Buffer
	enc := yaml.NewEncoder(&buf)
	enc.SetIndent(2)
	if wide {
		enc.DefaultSeqIndent()
	} else {
		enc.CompactSeqIndent()
	}
	if err := enc.Encode(root); err != nil {
		return nil, err
	}
	if err := enc.Close(); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}
