// Package template reads the templates of a GeneratingPolicy: YAML text with
// placeholders that are expressions.
//
//	metadata:
//	  name: (( variables.name ))-config    # a part of a text: the result is a scalar
//	  labels: (( variables.labels ))       # a whole value: the result is anything
//	  note: \(( not a placeholder ))
//
// It knows no expression language. Whoever compiles and evaluates expressions
// gives a function for each.
package template

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/oneloop-dev/oneloop/pkg/jsonvalue"
)

// Budgets. A policy that a cluster stores is below 2 MiB.
const (
	maxText  = 4 << 20
	maxNodes = 200_000 // aliases written out
)

// A Template is a read template. It is immutable.
type Template struct {
	documents    []node
	placeholders []Placeholder
}

// A Placeholder is one expression of a template.
type Placeholder struct {
	Expression string
	Line       int // of the template, counted from 1
}

// An Error is a fault in a template.
type Error struct {
	Line int // of the template, counted from 1; 0 when it is not known
	Err  error
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return e.Err.Error()
	}
	return fmt.Sprintf("line %d of the template: %v", e.Line, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

func faultAt(n *yaml.Node, format string, args ...any) error {
	return &Error{n.Line, fmt.Errorf(format, args...)}
}

// Read reads a template of one or more YAML documents, each of which becomes a
// map. Without interpolate, placeholders are text like any other. Scalars are
// those of YAML 1.2, as Kyverno reads templates: yes is a string, unlike in a
// manifest. The error joins all faults, each an *Error but for malformed YAML.
func Read(text string, interpolate bool) (*Template, error) {
	if len(text) > maxText {
		return nil, &Error{Err: fmt.Errorf("the template is larger than the limit of %d MiB", maxText>>20)}
	}
	documents, err := parse(text)
	if err != nil {
		return nil, err
	}
	r := &reader{interpolate: interpolate, open: map[*yaml.Node]bool{}, marked: map[*yaml.Node]bool{}}
	var faults []error
	for _, d := range documents {
		n, err := r.node(d)
		if err == nil && !n.mayBeMap() {
			err = faultAt(d, "expected a map that describes a resource, found %s", n.describe())
		}
		if err != nil {
			faults = append(faults, err)
			continue
		}
		r.template.documents = append(r.template.documents, n)
	}
	if len(documents) == 0 {
		faults = append(faults, &Error{Err: errors.New("expected at least one YAML document, found none")})
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return &r.template, nil
}

// parse returns the root nodes of all documents that hold something.
func parse(text string) (roots []*yaml.Node, err error) {
	// yaml/v3 has panicked on some malformed texts.
	defer func() {
		if p := recover(); p != nil {
			roots, err = nil, &Error{Err: fmt.Errorf("malformed YAML: %v", p)}
		}
	}()
	for dec := yaml.NewDecoder(strings.NewReader(text)); ; {
		var d yaml.Node
		if err := dec.Decode(&d); err == io.EOF {
			return roots, nil
		} else if err != nil {
			return nil, &Error{Err: fmt.Errorf("malformed YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))}
		}
		root := &d
		if d.Kind == yaml.DocumentNode {
			if len(d.Content) == 0 {
				continue
			}
			root = d.Content[0]
		}
		if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
			continue
		}
		roots = append(roots, root)
	}
}

// Placeholders are the expressions of the template, in order. Those of an anchor
// are there once for each time that they are used.
func (t *Template) Placeholders() []Placeholder { return t.placeholders }

// Render returns the documents of the template. eval evaluates a placeholder, by
// its index, to a JSON value. What comes back shares values with the template
// and with what eval gave: treat it as read-only.
func (t *Template) Render(eval func(placeholder int) (any, error)) ([]map[string]any, error) {
	r := &rendering{t, eval}
	out := make([]map[string]any, 0, len(t.documents))
	for i := range t.documents {
		v, err := r.value(&t.documents[i])
		m, ok := v.(map[string]any)
		if err == nil && !ok {
			err = fmt.Errorf("expected a map that describes a resource, found %s", jsonvalue.Describe(v))
		}
		if err != nil {
			if len(t.documents) > 1 {
				err = fmt.Errorf("document %d: %w", i+1, err)
			}
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

// A node is a part of a document.
type node struct {
	kind     kind
	value    any      // of a literal
	keys     []string // of a mapping, beside children
	children []node   // of a mapping or sequence
	pieces   []piece  // of a text
	index    int      // of the placeholder that a splice is; that of the first one of a text
}

type kind int

const (
	literal  kind = iota // without placeholders
	mapping              // a map
	sequence             // a list
	splice               // a placeholder as a whole value
	text                 // a string with placeholders in it
)

// mayBeMap reports whether the root of a document may become a map.
func (n *node) mayBeMap() bool {
	_, isMap := n.value.(map[string]any)
	return n.kind == mapping || n.kind == splice || n.kind == literal && isMap
}

func (n *node) describe() string {
	switch n.kind {
	case sequence:
		return "a list"
	case text:
		return "a string"
	}
	return jsonvalue.Describe(n.value)
}

// A reader turns the nodes of YAML into nodes of a template.
type reader struct {
	template    Template
	interpolate bool
	open        map[*yaml.Node]bool // what aliases stand for, while it is read
	marked      map[*yaml.Node]bool // whether nodes have placeholders
	count       int
}

func (r *reader) node(n *yaml.Node) (node, error) {
	if r.count++; r.count > maxNodes {
		return node{}, faultAt(n, "the template stands for more than %d values once its anchors are written out", maxNodes)
	}
	if n.Kind == yaml.AliasNode {
		alias := n
		if n = n.Alias; r.open[n] {
			return node{}, faultAt(alias, "the anchor %q contains itself", alias.Value)
		}
		r.open[n] = true
		defer delete(r.open, n)
	}
	if !r.interpolate || !r.hasPlaceholder(n) {
		return r.literal(n)
	}
	switch n.Kind {
	case yaml.MappingNode:
		return r.mapping(n)
	case yaml.SequenceNode:
		out := node{kind: sequence}
		var faults []error
		for _, element := range n.Content {
			child, err := r.node(element)
			faults = append(faults, err)
			out.children = append(out.children, child)
		}
		return out, errors.Join(faults...)
	}
	return r.scalar(n)
}

// hasPlaceholder reports whether n has a placeholder or the escape of one.
func (r *reader) hasPlaceholder(n *yaml.Node) bool {
	if has, known := r.marked[n]; known {
		return has // false, too, while an anchor that contains itself is looked at
	}
	r.marked[n] = false
	has := n.Kind == yaml.ScalarNode && strings.Contains(n.Value, "((")
	if n.Kind == yaml.AliasNode {
		has = r.hasPlaceholder(n.Alias)
	}
	for _, child := range n.Content {
		has = r.hasPlaceholder(child) || has
	}
	r.marked[n] = has
	return has
}

func (r *reader) mapping(n *yaml.Node) (node, error) {
	out := node{kind: mapping}
	var faults []error
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case key.Kind != yaml.ScalarNode:
			faults = append(faults, faultAt(key, "expected a string as key of a map"))
			continue
		case hasPlaceholder(key.Value):
			faults = append(faults, faultAt(key, "key %q: a key is no place for a placeholder; put one in place of the whole map, as in labels: (( variables.labels ))", key.Value))
			continue
		case key.Value == "<<":
			faults = append(faults, faultAt(key, "merge keys (<<) don't go together with placeholders; write the fields out"))
			continue
		}
		child, err := r.node(value)
		faults = append(faults, err)
		out.keys = append(out.keys, key.Value)
		out.children = append(out.children, child)
	}
	return out, errors.Join(faults...)
}

func (r *reader) scalar(n *yaml.Node) (node, error) {
	pieces, err := split(n.Value)
	if err != nil {
		return node{}, &Error{n.Line, err}
	}
	out := node{kind: text, pieces: pieces, index: len(r.template.placeholders)}
	for _, p := range pieces {
		if p.placeholder {
			r.template.placeholders = append(r.template.placeholders, Placeholder{p.text, n.Line})
		}
	}
	switch {
	case len(r.template.placeholders) == out.index: // only escapes
		var b strings.Builder
		for _, p := range pieces {
			b.WriteString(p.text)
		}
		return node{kind: literal, value: b.String()}, nil
	case len(pieces) == 1:
		out.kind = splice
	}
	return out, nil
}

// literal reads what has no placeholders.
func (r *reader) literal(n *yaml.Node) (out node, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = faultAt(n, "malformed YAML: %v", p)
		}
	}()
	var v any
	if err := n.Decode(&v); err != nil {
		return node{}, faultAt(n, "%s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if v, err = jsonValue(v); err != nil {
		return node{}, &Error{n.Line, err}
	}
	return node{kind: literal, value: v}, nil
}

// jsonValue turns what yaml/v3 decodes into a JSON value, as encoding/json
// writes it.
func jsonValue(v any) (any, error) {
	var err error
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			if v[k], err = jsonValue(e); err != nil {
				return nil, fmt.Errorf("field %q: %w", k, err)
			}
		}
		return v, nil
	case map[any]any:
		return nil, errors.New("a key of a map is no string; write it in quotes")
	case []any:
		for i, e := range v {
			if v[i], err = jsonValue(e); err != nil {
				return nil, fmt.Errorf("item %d: %w", i, err)
			}
		}
		return v, nil
	case int:
		return int64(v), nil
	case uint64: // beyond int64
		return float64(v), nil
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, fmt.Errorf("JSON has no number %v", v)
		}
		return v, nil
	case time.Time:
		return v.Format(time.RFC3339Nano), nil
	}
	return v, nil
}

// A rendering renders a template once.
type rendering struct {
	template *Template
	eval     func(int) (any, error)
}

func (r *rendering) value(n *node) (any, error) {
	switch n.kind {
	case mapping:
		out := make(map[string]any, len(n.keys))
		for i, k := range n.keys {
			v, err := r.value(&n.children[i])
			if err != nil {
				return nil, fmt.Errorf("field %q: %w", k, err)
			}
			out[k] = v
		}
		return out, nil
	case sequence:
		out := make([]any, 0, len(n.children))
		for i := range n.children {
			v, err := r.value(&n.children[i])
			if err != nil {
				return nil, fmt.Errorf("item %d: %w", i, err)
			}
			out = append(out, v)
		}
		return out, nil
	case splice:
		return r.placeholder(n.index)
	case text:
		return r.text(n)
	}
	return n.value, nil
}

func (r *rendering) placeholder(i int) (any, error) {
	v, err := r.eval(i)
	if err != nil {
		return nil, fmt.Errorf("placeholder (( %s )): %w", r.template.placeholders[i].Expression, err)
	}
	return v, nil
}

func (r *rendering) text(n *node) (any, error) {
	var b strings.Builder
	at := n.index
	for _, p := range n.pieces {
		if !p.placeholder {
			b.WriteString(p.text)
			continue
		}
		v, err := r.placeholder(at)
		if err != nil {
			return nil, err
		}
		at++
		switch v := v.(type) {
		case string:
			b.WriteString(v)
		case bool:
			b.WriteString(strconv.FormatBool(v))
		case int64, float64: // 1e+06 for a million, as in Kyverno
			fmt.Fprint(&b, v)
		default:
			return nil, fmt.Errorf("placeholder (( %s )) is a part of a text: expected a string, number or boolean, found %s; let it be the whole value, or make a string of it",
				p.text, jsonvalue.Describe(v))
		}
	}
	return b.String(), nil
}
