package resource

import (
	"iter"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
)

// An unquoted y, on or No is a boolean to kubectl and text to kustomize and kpt.
// Where Kubernetes' metadata takes text alone, as in a name or a label, a boolean
// would be refused, so that it can only be meant as text.

// bareWord reports whether an unquoted s is a boolean in YAML 1.1 alone.
func bareWord(s string) bool {
	v, ok := word(s)
	return ok && v != nil && !strings.EqualFold(s, "true") && !strings.EqualFold(s, "false")
}

// bareText makes texts of the bare words in the metadata of a manifest.
func (t *tree) bareText(root int32) {
	for i := range t.metadataTexts(root) {
		if _, ok := t.bareWord(i); ok {
			t.nodes[i].style = bareStyle
			t.bare = true
		}
	}
}

// metadataTexts yields the values in metadata that must be text, with their
// places below it.
func (t *tree) metadataTexts(root int32) iter.Seq2[int32, [2]string] {
	return func(yield func(int32, [2]string) bool) {
		meta := t.child(root, "metadata")
		if meta == 0 {
			return
		}
		for c := t.nodes[meta].first; c != 0; c = t.nodes[c].next {
			n := &t.nodes[c]
			switch n.key {
			case "name", "namespace", "generateName":
				if !yield(c, [2]string{n.key}) {
					return
				}
			case "labels", "annotations":
				for e := n.first; e != 0 && n.kind == mapNode; e = t.nodes[e].next {
					if !yield(e, [2]string{n.key, t.nodes[e].key}) {
						return
					}
				}
			}
		}
	}
}

// BareTexts returns the fields of metadata that are taken as text although
// kubectl would read a boolean, and refuse it.
func (r *Resource) BareTexts() []fieldpath.Path {
	if !r.bare {
		return nil
	}
	t := trees.Get().(*tree)
	defer trees.Put(t)
	root, err := r.scan(t)
	if err != nil {
		return nil
	}
	var out []fieldpath.Path
	for i, place := range t.metadataTexts(root) {
		if t.nodes[i].style != bareStyle {
			continue
		}
		p := fieldpath.Path{}.Key("metadata").Key(place[0])
		if place[1] != "" {
			p = p.Key(place[1])
		}
		out = append(out, p)
	}
	return out
}

// manifestObject is nodeObject for the root of a manifest.
func manifestObject(root *yaml.Node) (any, error) {
	v, err := nodeObject(root)
	if err == nil {
		bareNodes(root, v)
	}
	return v, err
}

// bareNodes is bareText for what yaml/v3 read: o are the values of root.
func bareNodes(root *yaml.Node, o any) {
	m, _ := o.(map[string]any)
	meta, _ := m["metadata"].(map[string]any)
	n := nodeAt(root, "metadata")
	if meta == nil || n == nil {
		return
	}
	set := func(n *yaml.Node, m map[string]any, key string) {
		if c := nodeAt(n, key); c != nil && c.Kind == yaml.ScalarNode && c.Style&^yaml.FlowStyle == 0 && bareWord(c.Value) {
			m[key] = c.Value
		}
	}
	for _, key := range []string{"name", "namespace", "generateName"} {
		set(n, meta, key)
	}
	for _, key := range []string{"labels", "annotations"} {
		all, _ := meta[key].(map[string]any)
		for k := range all {
			set(nodeAt(n, key), all, k)
		}
	}
}

// nodeAt returns the value of a key that n itself has, nil when there is none.
func nodeAt(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key && !isMerge(n.Content[i]) {
			return n.Content[i+1]
		}
	}
	return nil
}

// BareWord returns the word at a path, as it is written, when it is one without
// quotes that only YAML 1.1 takes for a boolean, such as y, on or No.
func (r *Resource) BareWord(p fieldpath.Path) (string, bool) {
	if !r.simple {
		return "", false
	}
	t := trees.Get().(*tree)
	defer trees.Put(t)
	i, err := r.scan(t)
	if err != nil {
		return "", false
	}
	for _, step := range p {
		if i = t.below(i, step); i == 0 {
			return "", false
		}
	}
	return t.bareWord(i)
}

// bareWord returns the bare word of a node.
func (t *tree) bareWord(i int32) (string, bool) {
	n := &t.nodes[i]
	if n.kind != scalarNode || n.style != plainStyle && n.style != bareStyle {
		return "", false
	}
	s := t.text[n.val:n.valEnd]
	if !bareWord(s) {
		return "", false
	}
	return s, true
}
