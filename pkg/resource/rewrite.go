package resource

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// rewritten edits the nodes of yaml/v3 and writes the whole text anew. It is
// for the texts that the scanner can't read. It keeps anchors if that gives
// the wanted values; otherwise every alias and merge key becomes what it
// stands for, brackets become lines, and at last the text is made of nothing
// but the values: yaml/v3 does not read everything back that it writes. Where it
// can, the text then gets only those lines that the edit has changed.
func (r *Resource) rewritten(before, after Object) (string, error) {
	wide := !r.item && wideLists(r.text)
	unedited := ""
	if doc, err := decodeDocument(r.text); err == nil {
		untagMerges(doc)
		if out, err := encodeNode(doc, wide); err == nil {
			unedited = string(out)
		}
	}
	for attempt := range 3 {
		doc, err := decodeDocument(r.text)
		if err != nil {
			return "", err
		}
		root := doc.Content[0]
		if r.item {
			root = root.Content[0]
		}
		if attempt > 0 {
			expandAliases(root)
		}
		if attempt > 1 {
			unbracket(root)
		}
		editNode(root, before, after)
		untagMerges(root)
		out, err := encodeNode(doc, wide)
		if err != nil {
			continue
		}
		if probe := *r; !probe.says(string(out), after) {
			continue
		}
		if own, ok := transplanted(r.text, unedited, string(out)); ok {
			if probe := *r; probe.says(own, after) {
				return own, nil
			}
		}
		return string(out), nil
	}
	l := layout{step: 2}
	if r.item {
		text, err := l.appendElement(nil, after, 0)
		return string(text), err
	}
	text, err := l.appendBlock(nil, after, 0)
	return string(text), err
}

// transplanted makes the changes of a text that lead from unedited to edited,
// which are the text in another layout. It works with whole lines, and so may
// come out wrong, or not at all.
func transplanted(text, unedited, edited string) (string, bool) {
	lines, from, to := splitLines(text), splitLines(unedited), splitLines(edited)
	if len(from) == 0 {
		return "", false
	}
	in := samePairs(lines, from, words) // for each line of from, that of the text
	kept := samePairs(from, to, strings.Clone)
	kept = append(kept, len(from))
	in = append(in, len(lines))
	var out []string
	done := 0 // lines of the text that are written, or gone
	a, b := 0, 0
	for b < len(kept) {
		if kept[b] == a {
			a, b = a+1, b+1
			continue
		}
		// A change: up to the next line that is there in all three, from one that is.
		start, first := a, b
		for start > 0 && in[start-1] < 0 {
			start, first = start-1, first-1
		}
		for kept[b] < 0 || in[kept[b]] < 0 {
			b++
		}
		a = kept[b]
		before := 0
		if start > 0 {
			before = in[start-1] + 1
		}
		after := in[a]
		if before < done || after < before {
			return "", false
		}
		out = append(out, lines[done:before]...)
		indent := func(line string) int {
			return levelOf(line, from, start, func(n int) string { return lineAt(lines, in[n]) })
		}
		out = append(out, reindented(to[first:b], indent)...)
		done = before
		if start < a {
			done = after
			for done > before && strings.TrimSpace(lines[done-1]) == "" {
				done--
			}
		}
	}
	return strings.Join(append(out, lines[done:]...), ""), true
}

// samePairs returns for each line of b the one of a that is the same to what
// by makes of them, or -1.
func samePairs(a, b []string, by func(string) string) []int {
	values := func(lines []string) []any {
		out := make([]any, len(lines))
		for i, line := range lines {
			out[i] = by(line)
		}
		return out
	}
	x, y := values(a), values(b)
	pairs := make([]int, len(b))
	alignEqual(x, y, pairs)
	for i, j := range pairs {
		if j >= 0 && x[j] != y[i] {
			pairs[i] = -1
		}
	}
	return pairs
}

// words returns a line without what is only layout.
func words(line string) string { return strings.Join(strings.Fields(line), " ") }

func splitLines(text string) []string { return slices.Collect(strings.Lines(text)) }

func lineAt(lines []string, n int) string {
	if n < 0 || n >= len(lines) {
		return ""
	}
	return lines[n]
}

func indentOf(line string) int { return len(line) - len(strings.TrimLeft(line, " ")) }

func isDash(line string) bool { return strings.HasPrefix(strings.TrimLeft(line, " "), "- ") }

func isComment(line string) bool { return strings.HasPrefix(strings.TrimLeft(line, " "), "#") }

// levelOf returns how far the text indents what is indented like line among the
// lines from, around from[at]; -1 when it has nothing of the kind there. own
// returns the line of the text for one of from, "" when there is none.
func levelOf(line string, from []string, at int, own func(n int) string) int {
	level := func(n int) (indent int, found, over bool) {
		mine, other := indentOf(line), indentOf(from[n])
		if other == mine && isDash(line) == isDash(from[n]) && own(n) != "" {
			return indentOf(own(n)), true, false
		}
		return 0, false, other < mine
	}
	for n := at - 1; n >= 0; n-- {
		if indent, found, over := level(n); found {
			return indent
		} else if over {
			break
		}
	}
	for n := at; n < len(from); n++ {
		if indent, found, over := level(n); found {
			return indent
		} else if over {
			break
		}
	}
	return -1
}

// reindented moves lines to the levels of a text. Those that it has nothing of
// keep their distance to the line above them.
func reindented(lines []string, indent func(line string) int) []string {
	out := make([]string, len(lines))
	for i, line := range lines {
		if strings.TrimSpace(line) == "" {
			out[i] = line
			continue
		}
		// A comment is as far from the edge as what it stands above.
		subject := line
		for n := i; n < len(lines) && isComment(subject); n++ {
			if !isComment(lines[n]) && indentOf(lines[n]) == indentOf(line) {
				subject = lines[n]
			}
		}
		want := indent(subject)
		if want < 0 {
			want = indentOf(line)
			for n := i - 1; n >= 0; n-- {
				if d := indentOf(line) - indentOf(lines[n]); d >= 0 {
					want = indentOf(out[n]) + d
					break
				}
			}
		}
		out[i] = strings.Repeat(" ", want) + strings.TrimLeft(line, " ")
	}
	return out
}

// untagMerges keeps yaml/v3 from writing !!merge in front of merge keys.
func untagMerges(n *yaml.Node) {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!merge" && n.Style&yaml.TaggedStyle == 0 {
		n.Tag = ""
	}
	for _, c := range n.Content {
		untagMerges(c)
	}
}

// unbracket turns flow style into block style.
func unbracket(n *yaml.Node) {
	n.Style &^= yaml.FlowStyle
	for _, c := range n.Content {
		unbracket(c)
	}
}

// wideLists reports whether the lists of a text are indented below their keys.
func wideLists(text string) bool {
	keyIndent := -1 // of the line before, if it ends in a colon
	for line := range strings.Lines(text) {
		trimmed := strings.TrimLeft(line, " ")
		indent := len(line) - len(trimmed)
		if keyIndent >= 0 && strings.HasPrefix(trimmed, "- ") {
			return indent > keyIndent
		}
		keyIndent = -1
		if strings.HasSuffix(strings.TrimRight(trimmed, " \n"), ":") && trimmed[0] != '#' {
			keyIndent = indent + 2*strings.Count(trimmed[:len(trimmed)-len(strings.TrimLeft(trimmed, "- "))], "-")
		}
	}
	return false
}

func isMapping(n *yaml.Node) bool  { return n.Kind == yaml.MappingNode }
func isSequence(n *yaml.Node) bool { return n.Kind == yaml.SequenceNode }

func resolveAlias(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// expandAliases replaces every alias and merge key below n by what it stands
// for, and drops the anchors. Expansion is bounded: n was evaluated before.
func expandAliases(n *yaml.Node) {
	if n.Kind == yaml.AliasNode {
		v, err := nodeObject(n)
		if err != nil {
			return
		}
		fresh := newNode(v)
		fresh.HeadComment, fresh.LineComment, fresh.FootComment = n.HeadComment, n.LineComment, n.FootComment
		*n = *fresh
		return
	}
	merges := false
	if isMapping(n) {
		for i := 0; i+1 < len(n.Content); i += 2 {
			merges = merges || isMerge(n.Content[i])
		}
	}
	if merges {
		v, err := nodeObject(n)
		all, ok := v.(map[string]any)
		if err != nil || !ok {
			return
		}
		var kept []*yaml.Node
		seen := map[string]bool{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			if k, err := nodeKey(n.Content[i]); err == nil && !isMerge(n.Content[i]) {
				seen[k] = true
				if value, err := nodeObject(n.Content[i+1]); err != nil || !Equal(value, all[k]) {
					n.Content[i+1] = newNode(all[k])
				}
				kept = append(kept, n.Content[i], n.Content[i+1])
			}
		}
		for _, k := range orderedKeys(all) {
			if !seen[k] {
				kept = append(kept, newNode(k), newNode(all[k]))
			}
		}
		n.Content = kept
	}
	for _, c := range n.Content {
		expandAliases(c)
	}
	n.Anchor = ""
}

// editNode makes n say after, where it says before.
func editNode(n *yaml.Node, before, after any) {
	if Equal(before, after) {
		return
	}
	switch after := after.(type) {
	case map[string]any:
		if b, ok := before.(map[string]any); ok && isMapping(n) {
			editMapping(n, b, after)
			return
		}
	case []any:
		if b, ok := before.([]any); ok && isSequence(n) && len(n.Content) == len(b) {
			old := n.Content
			n.Content = nil
			for j, i := range align(b, after) {
				if i < 0 {
					n.Content = append(n.Content, newNode(after[j]))
					continue
				}
				editNode(old[i], b[i], after[j])
				n.Content = append(n.Content, old[i])
			}
			if len(n.Content) > 0 && len(old) == 0 {
				n.Style &^= yaml.FlowStyle
			}
			return
		}
	}
	fresh := newNode(after)
	fresh.HeadComment, fresh.LineComment, fresh.FootComment = n.HeadComment, n.LineComment, n.FootComment
	const quotes = yaml.SingleQuotedStyle | yaml.DoubleQuotedStyle
	if n.Kind == yaml.ScalarNode && fresh.Kind == yaml.ScalarNode && fresh.Tag == "!!str" && fresh.Style == 0 {
		fresh.Style = n.Style & quotes
	}
	if n.Kind != yaml.AliasNode {
		fresh.Anchor = n.Anchor
	}
	*n = *fresh
}

func editMapping(n *yaml.Node, before, after map[string]any) {
	if len(n.Content) == 0 {
		n.Style &^= yaml.FlowStyle
	}
	var kept []*yaml.Node
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if isMerge(k) {
			kept = append(kept, k, v)
			continue
		}
		key, err := nodeKey(k)
		if err != nil {
			kept = append(kept, k, v)
			continue
		}
		seen[key] = true
		if value, ok := after[key]; ok {
			editNode(v, before[key], value)
			kept = append(kept, k, v)
		}
	}
	for _, key := range orderedKeys(after) {
		if old, ok := before[key]; !seen[key] && (!ok || !Equal(old, after[key])) {
			kept = append(kept, newNode(key), newNode(after[key]))
		}
	}
	n.Content = kept
}

// newNode returns a node for a JSON value, written as Update writes it.
func newNode(v any) *yaml.Node {
	switch v := v.(type) {
	case map[string]any:
		n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		for _, k := range orderedKeys(v) {
			n.Content = append(n.Content, newNode(k), newNode(v[k]))
		}
		return n
	case []any:
		n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		for _, e := range v {
			n.Content = append(n.Content, newNode(e))
		}
		return n
	case string:
		n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: v}
		switch {
		case literalFits(v):
			n.Style = yaml.LiteralStyle
		case !readsAsString(v) || strings.IndexByte(v, '\n') >= 0:
			n.Style = yaml.DoubleQuotedStyle
		}
		return n
	}
	b, err := layout{}.appendScalar(nil, v, plainStyle, false)
	if err != nil {
		b = []byte("null") // the comparison with the wanted values finds it
	}
	n := &yaml.Node{Kind: yaml.ScalarNode, Value: string(b)}
	switch v.(type) {
	case nil:
		n.Tag = "!!null"
	case bool:
		n.Tag = "!!bool"
	case float64:
		n.Tag = "!!float"
		if strings.Trim(n.Value, "-0123456789") == "" {
			n.Tag = "!!int"
		}
	default:
		n.Tag = "!!int"
	}
	return n
}

// StringStyle returns the style that Update writes a new string in: none where
// every reader takes it for a string, a block of text for several lines,
// double quotes otherwise.
func StringStyle(s string) yaml.Style { return newNode(s).Style }
