package anchor

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/pattern"
)

// A node is a value of the patch while its anchors are worked out. Unlike a Go
// map, the fields of a node have an order, and two may come to have the same
// name.
type node struct {
	kind   nodeKind
	value  any     // of a scalar, or of a whole
	fields []entry // of a mapping, sorted by their first keys
	elems  []*node // of a sequence
}

type nodeKind uint8

const (
	scalar nodeKind = iota
	mapping
	sequence
	whole // a map or list in which there is nothing to work out
)

type entry struct {
	key   string
	value *node
}

// A workspace holds the nodes of one patch, so that they come from few
// allocations.
type workspace struct {
	nodes   []node
	entries []entry
	made    int // nodes; see maxNodes
}

// maxNodes limits what the anchors of a patch may make of it: in a list in a
// list, each element of the outer one appends to all inner ones.
const maxNodes = 1 << 21

func (w *workspace) node(kind nodeKind, v any) *node {
	if len(w.nodes) == cap(w.nodes) {
		w.nodes = make([]node, 0, 16)
	}
	w.made++
	w.nodes = append(w.nodes, node{kind: kind, value: v})
	return &w.nodes[len(w.nodes)-1]
}

// fields makes room for n fields.
func (w *workspace) fields(n int) []entry {
	if cap(w.entries)-len(w.entries) < n {
		w.entries = make([]entry, 0, max(16, n))
	}
	start := len(w.entries)
	w.entries = w.entries[:start+n]
	return w.entries[start : start : start+n]
}

// parse turns a part of the patch into nodes, as far as there is something to
// work out: anchors, and empty maps, which are deleted with the anchors.
func (w *workspace) parse(v any) *node {
	switch v := v.(type) {
	case map[string]any:
		fields := w.fields(len(v))
		settled := len(v) > 0
		for key, e := range v {
			if a, ok := pattern.ParseAnchor(key); ok && acts(a) {
				settled = false
			}
			n := w.parse(e)
			settled = settled && n.settled()
			fields = append(fields, entry{key, n})
		}
		if settled {
			return w.node(whole, v)
		}
		slices.SortFunc(fields, func(a, b entry) int { return strings.Compare(a.key, b.key) })
		n := w.node(mapping, nil)
		n.fields = fields
		return n
	case []any:
		elems := make([]*node, len(v))
		settled := true
		for i, e := range v {
			elems[i] = w.parse(e)
			settled = settled && elems[i].settled()
		}
		if settled {
			return w.node(whole, v)
		}
		n := w.node(sequence, nil)
		n.elems = elems
		return n
	}
	return w.node(scalar, v)
}

// settled reports whether there is nothing to work out in n.
func (n *node) settled() bool {
	return n.kind == whole || n.kind == scalar && settled(n.value)
}

// settled reports whether there is nothing to work out in a part of the patch.
func settled(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		for key, e := range v {
			if a, ok := pattern.ParseAnchor(key); ok && acts(a) {
				return false
			}
			if !settled(e) {
				return false
			}
		}
		return len(v) > 0
	case []any:
		for _, e := range v {
			if !settled(e) {
				return false
			}
		}
	case string:
		a, ok := pattern.ParseAnchor(v)
		return !ok || !a.Holds()
	}
	return true
}

// acts reports whether an anchor means something in a patch.
func acts(a pattern.Anchor) bool {
	return a.Holds() || a.Modifier == pattern.AddIfAbsent
}

func (w *workspace) copy(n *node) *node {
	c := w.node(n.kind, n.value)
	if n.fields != nil {
		c.fields = w.fields(len(n.fields))
		for _, f := range n.fields {
			c.fields = append(c.fields, entry{f.key, w.copy(f.value)})
		}
	}
	if n.elems != nil {
		c.elems = make([]*node, len(n.elems))
		for i, e := range n.elems {
			c.elems[i] = w.copy(e)
		}
	}
	return c
}

func (n *node) isMap() bool {
	if n.kind == whole {
		_, ok := n.value.(map[string]any)
		return ok
	}
	return n.kind == mapping
}

// get returns the first field with the key, nil when there is none.
func (n *node) get(key string) *node {
	if i := n.index(key); i >= 0 {
		return n.fields[i].value
	}
	return nil
}

func (n *node) index(key string) int {
	return slices.IndexFunc(n.fields, func(f entry) bool { return f.key == key })
}

func (n *node) remove(key string) {
	if i := n.index(key); i >= 0 {
		n.fields = slices.Delete(n.fields, i, i+1)
	}
}

func (n *node) rename(key, to string) {
	if i := n.index(key); i >= 0 {
		n.fields[i].key = to
	}
}

// anchors lists the keys that are anchors of one of the given kinds. A key with
// space around the anchor is one, too, but no field is found by it.
func (n *node) anchors(want func(pattern.Anchor) bool) []pattern.Anchor {
	var out []pattern.Anchor
	for _, f := range n.fields {
		if a, ok := pattern.ParseAnchor(f.key); ok && want(a) {
			out = append(out, a)
		}
	}
	return out
}

// has reports whether there is an anchor of one of the given kinds in n or
// below, or a text that looks like a condition.
func (n *node) has(want func(pattern.Anchor) bool) bool {
	switch n.kind {
	case mapping:
		for _, f := range n.fields {
			if a, ok := pattern.ParseAnchor(f.key); ok && want(a) || f.value.has(want) {
				return true
			}
		}
	case sequence:
		return slices.ContainsFunc(n.elems, func(e *node) bool { return e.has(want) })
	case scalar:
		if s, ok := n.value.(string); ok {
			a, ok := pattern.ParseAnchor(s)
			return ok && a.Holds()
		}
	}
	return false
}

var errTwice = errors.New("the patch sets the field twice, with an anchor and without; remove one of them")

// plain makes n a plain value. object is what the object has at its place. Of
// two fields with one name the first counts if there is a map in the object.
// Otherwise that is an error, unless the first is null and only deletes itself.
func (n *node) plain(object any) (any, error) {
	switch n.kind {
	case mapping:
		o, exists := object.(map[string]any)
		out := make(map[string]any, len(n.fields))
		for _, f := range n.fields {
			if first, ok := out[f.key]; ok && (exists || first != nil) {
				if !exists {
					return nil, fieldpath.At(fieldpath.Key(f.key), errTwice)
				}
				continue
			}
			v, err := f.value.plain(o[f.key])
			if err != nil {
				return nil, fieldpath.At(fieldpath.Key(f.key), err)
			}
			out[f.key] = v
		}
		return out, nil
	case sequence:
		o, _ := object.([]any)
		if slices.ContainsFunc(n.elems, func(e *node) bool { return e.kind == mapping && e.get("name") == nil }) {
			o = nil // elements are not merged by name then
		}
		out := make([]any, len(n.elems))
		for i, e := range n.elems {
			v, err := e.plain(named(o, e))
			if err != nil {
				return nil, fieldpath.At(fieldpath.Index(i), err)
			}
			out[i] = v
		}
		return out, nil
	}
	return n.value, nil
}

// named finds the element that has the name of the patch's element.
func named(list []any, elem *node) any {
	name := elem.get("name")
	if name == nil || name.kind != scalar {
		return nil
	}
	for _, v := range list {
		m, _ := v.(map[string]any)
		if have, ok := m["name"]; ok && isScalar(have) && text(have) == text(name.value) {
			return v
		}
	}
	return nil
}

func isScalar(v any) bool {
	switch v.(type) {
	case map[string]any, []any:
		return false
	}
	return true
}

// text is the text of a scalar in JSON, without quotes.
func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case int64:
		return strconv.FormatInt(v, 10)
	case bool:
		return strconv.FormatBool(v)
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}
