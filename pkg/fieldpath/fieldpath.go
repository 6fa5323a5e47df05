// Package fieldpath names places inside a manifest, such as
// spec.containers[0].image.
//
// A Path is a list of map keys and list indices. It prints in the dotted form
// that the KRM functions specification uses for field.path, reads that form
// and JSON pointers (RFC 6901), and looks values up in plain JSON values.
package fieldpath

import (
	"fmt"
	"strconv"
	"strings"
)

// A Step is one map key or one list index.
type Step struct {
	key   string
	index int // -1 for a key
}

// Key is the step into the map entry k.
func Key(k string) Step { return Step{key: k, index: -1} }

// Index is the step into the list element i, counted from 0.
func Index(i int) Step { return Step{index: i} }

// IsIndex reports whether s is a list index.
func (s Step) IsIndex() bool { return s.index >= 0 }

// Key returns the map key, "" for an index.
func (s Step) Key() string { return s.key }

// Index returns the list index, -1 for a key.
func (s Step) Index() int { return s.index }

// A Path leads from the root of a manifest to one value. The empty path is the
// root itself.
type Path []Step

// Child returns the path one step below p. It never shares memory with p.
func (p Path) Child(s Step) Path {
	out := make(Path, len(p)+1)
	copy(out, p)
	out[len(p)] = s
	return out
}

// Key is Child(Key(k)).
func (p Path) Key(k string) Path { return p.Child(Key(k)) }

// Index is Child(Index(i)).
func (p Path) Index(i int) Path { return p.Child(Index(i)) }

// String prints the dotted form: keys joined by dots, indices and keys with
// special characters in brackets, as in
// metadata.annotations["example.com/team"] or spec.containers[0].
func (p Path) String() string {
	var b strings.Builder
	for _, s := range p {
		switch {
		case s.IsIndex():
			fmt.Fprintf(&b, "[%d]", s.index)
		case !plainKey(s.key):
			fmt.Fprintf(&b, "[%q]", s.key)
		default:
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(s.key)
		}
	}
	return b.String()
}

func plainKey(k string) bool {
	return k != "" && !strings.ContainsAny(k, ".[]\"/\\ \t\n")
}

// Pointer prints p as a JSON pointer (RFC 6901).
func (p Path) Pointer() string {
	var b strings.Builder
	for _, s := range p {
		b.WriteByte('/')
		if s.IsIndex() {
			b.WriteString(strconv.Itoa(s.index))
		} else {
			b.WriteString(strings.NewReplacer("~", "~0", "/", "~1").Replace(s.key))
		}
	}
	return b.String()
}

// Parse reads the form that String prints.
func Parse(text string) (Path, error) {
	var p Path
	for i := 0; i < len(text); {
		switch {
		case text[i] == '[':
			s, n, err := bracket(text[i:])
			if err != nil {
				return nil, fmt.Errorf("field path %q at offset %d: %w", text, i, err)
			}
			p = append(p, s)
			i += n
		case text[i] == '.' && i > 0:
			i++
			if i == len(text) || text[i] == '.' || text[i] == '[' {
				return nil, fmt.Errorf("field path %q at offset %d: expected a key after the dot", text, i)
			}
		default:
			if i > 0 && text[i-1] != '.' {
				return nil, fmt.Errorf("field path %q at offset %d: expected a dot or a bracket", text, i)
			}
			n := strings.IndexAny(text[i:], ".[")
			if n < 0 {
				n = len(text) - i
			}
			key := text[i : i+n]
			if !plainKey(key) {
				return nil, fmt.Errorf("field path %q: the key %q must be written as [%q]", text, key, key)
			}
			p = append(p, Key(key))
			i += n
		}
	}
	return p, nil
}

// bracket reads [0] or ["key"] at the start of text and returns its length.
func bracket(text string) (Step, int, error) {
	if len(text) > 1 && text[1] == '"' {
		quoted, err := strconv.QuotedPrefix(text[1:])
		if err != nil {
			return Step{}, 0, fmt.Errorf("unterminated quoted key")
		}
		key, err := strconv.Unquote(quoted)
		if err != nil {
			return Step{}, 0, err
		}
		end := 1 + len(quoted)
		if end >= len(text) || text[end] != ']' {
			return Step{}, 0, fmt.Errorf("expected ] after the quoted key")
		}
		return Key(key), end + 1, nil
	}
	end := strings.IndexByte(text, ']')
	if end < 0 {
		return Step{}, 0, fmt.Errorf("unterminated [")
	}
	i, err := strconv.Atoi(text[1:end])
	if err != nil || i < 0 || text[1] == '+' {
		return Step{}, 0, fmt.Errorf("expected an index or a quoted key, found %q", text[1:end])
	}
	return Index(i), end + 1, nil
}

// Get returns the value at p below root, which consists of map[string]any,
// []any and scalars. It reports false when some step does not exist.
func Get(root any, p Path) (any, bool) {
	for _, s := range p {
		switch v := root.(type) {
		case map[string]any:
			child, ok := v[s.key]
			if !ok || s.IsIndex() {
				return nil, false
			}
			root = child
		case []any:
			if !s.IsIndex() || s.index >= len(v) {
				return nil, false
			}
			root = v[s.index]
		default:
			return nil, false
		}
	}
	return root, true
}

// Compare orders paths step by step: indices by number and before keys, keys
// by their text, a prefix before what it is a prefix of.
func Compare(a, b Path) int {
	for i := 0; i < len(a) && i < len(b); i++ {
		x, y := a[i], b[i]
		switch {
		case x.IsIndex() && y.IsIndex():
			if x.index != y.index {
				return x.index - y.index
			}
		case x.IsIndex():
			return -1
		case y.IsIndex():
			return 1
		default:
			if c := strings.Compare(x.key, y.key); c != 0 {
				return c
			}
		}
	}
	return len(a) - len(b)
}
