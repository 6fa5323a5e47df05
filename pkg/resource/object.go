package resource

import "github.com/oneloop-dev/oneloop/pkg/fieldpath"

// object returns the JSON value of a node.
func (t *tree) object(i int32) (any, error) {
	n := &t.nodes[i]
	switch n.kind {
	case mapNode:
		m := make(map[string]any, n.size)
		for c := n.first; c != 0; c = t.nodes[c].next {
			v, err := t.object(c)
			if err != nil {
				return nil, err
			}
			m[t.nodes[c].key] = v
		}
		return m, nil
	case listNode:
		l := make([]any, 0, n.size)
		for c := n.first; c != 0; c = t.nodes[c].next {
			v, err := t.object(c)
			if err != nil {
				return nil, err
			}
			l = append(l, v)
		}
		return l, nil
	}
	if n.style == plainStyle {
		v, err := plainValue(t.text[n.val:n.valEnd])
		if err != nil {
			return nil, &scanError{offset: int(n.val), malformed: true, message: err.Error()}
		}
		return v, nil
	}
	if n.style == absentStyle {
		return nil, nil
	}
	return t.stringValue(n), nil
}

// stringValue decodes the text of a scalar that is not a plain one.
func (t *tree) stringValue(n *node) string {
	s := t.text[n.val:n.valEnd]
	switch n.style {
	case singleStyle, doubleStyle:
		return unquote(s, n.style)
	case literalStyle, foldedStyle:
		return blockText(s, int(n.col), n.style == foldedStyle)
	case plainMulti:
		return unfold(s, plainMulti)
	}
	return s
}

// child returns the value of a key, 0 when a map lacks it or n is no map.
func (t *tree) child(n int32, key string) int32 {
	if t.nodes[n].kind != mapNode {
		return 0
	}
	for c := t.nodes[n].first; c != 0; c = t.nodes[c].next {
		if t.nodes[c].key == key {
			return c
		}
	}
	return 0
}

// below returns what a step leads to, 0 when there is nothing.
func (t *tree) below(n int32, step fieldpath.Step) int32 {
	if !step.IsIndex() {
		return t.child(n, step.Key())
	}
	if t.nodes[n].kind != listNode || step.Index() >= int(t.nodes[n].size) {
		return 0
	}
	n = t.nodes[n].first
	for range step.Index() {
		n = t.nodes[n].next
	}
	return n
}

// stringAt returns the string at the path of keys, "" when there is none.
func (t *tree) stringAt(n int32, keys ...string) string {
	for _, k := range keys {
		if n = t.child(n, k); n == 0 {
			return ""
		}
	}
	if v, err := t.object(n); err == nil {
		s, _ := v.(string)
		return s
	}
	return ""
}
