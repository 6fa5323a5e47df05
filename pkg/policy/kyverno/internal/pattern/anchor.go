package pattern

import "strings"

// A Modifier is the sign before the parentheses of an anchor.
type Modifier byte

// The modifiers. Condition is the anchor without one.
const (
	Condition   Modifier = 0
	Global      Modifier = '<'
	AddIfAbsent Modifier = '+'
	Equality    Modifier = '='
	Negation    Modifier = 'X'
	Existence   Modifier = '^'
)

// An Anchor is a map key in parentheses, such as "(name)" or "+(replicas)".
type Anchor struct {
	Modifier Modifier
	Key      string
}

// ParseAnchor reports whether the key of a map is an anchor, and which.
// Space around it does not count.
func ParseAnchor(key string) (Anchor, bool) {
	key = strings.TrimSpace(key)
	if len(key) < 3 || key[len(key)-1] != ')' {
		return Anchor{}, false
	}
	m := Condition
	switch key[0] {
	case '<', '+', '=', 'X', '^':
		m = Modifier(key[0])
		key = key[1:]
	}
	if len(key) < 3 || key[0] != '(' {
		return Anchor{}, false
	}
	key = key[1 : len(key)-1]
	if strings.Contains(key, "\n") {
		return Anchor{}, false
	}
	return Anchor{m, key}, true
}

// String writes the anchor as a map key, without space around it.
func (a Anchor) String() string {
	if a.Modifier == Condition {
		return "(" + a.Key + ")"
	}
	return string(rune(a.Modifier)) + "(" + a.Key + ")"
}

// Holds reports whether the anchor is a condition: (k) or <(k).
func (a Anchor) Holds() bool { return a.Modifier == Condition || a.Modifier == Global }
