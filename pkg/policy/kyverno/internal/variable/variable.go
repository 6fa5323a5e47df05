// Package variable substitutes the variables of Kyverno's policies: the
// {{ JMESPath }} parts of texts, and $(path) references from one part of a
// rule to another.
//
// A value with variables is compiled once to a Template, together with its
// expressions, and resolved as often as needed. The semantics are those of
// Kyverno 1.19:
//
//   - A text that is one variable takes the variable's value and type. Inside
//     a longer text other values than strings are written as JSON.
//   - What a variable brings in is searched for variables again, unless it is
//     written {{- expression }}.
//   - A variable inside a variable is substituted first, as text.
//   - \{{ and \$( stand for {{ and $(.
//   - {{ @ }} is the value that the object has at the place of the text.
//   - Keys of maps have variables too.
package variable

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/oneloop-dev/oneloop/pkg/expr/jmespath"
	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
)

// A Scope answers the expressions of variables.
type Scope interface {
	// Search returns the value of e. Its error is passed on.
	Search(e *Expression) (any, error)
	// Deleting reports whether the request deletes the object: request.object
	// then means request.oldObject.
	Deleting() bool
}

// An Unresolved error says which variable has no value, and why.
type Unresolved struct {
	Variable string
	Path     fieldpath.Path // where the variable stands
	Err      error
}

func (e *Unresolved) Error() string {
	where := ""
	if len(e.Path) > 0 {
		where = " at " + e.Path.String()
	}
	if jmespath.IsNotFound(e.Err) {
		return fmt.Sprintf("variable {{ %s }}%s is not set: %v; write {{ %s || '' }} for a default, or exclude such resources by a precondition",
			e.Variable, where, e.Err, e.Variable)
	}
	return fmt.Sprintf("variable {{ %s }}%s: %v", e.Variable, where, e.Err)
}

// Unwrap returns the cause.
func (e *Unresolved) Unwrap() error { return e.Err }

// Place returns where the variable stands.
func (e *Unresolved) Place() fieldpath.Path { return e.Path }

// A Fault is a text that does not compile, and its place.
type Fault struct {
	Path fieldpath.Path
	Err  error
}

func (f *Fault) Error() string { return f.Path.String() + ": " + f.Err.Error() }

// Unwrap returns the cause.
func (f *Fault) Unwrap() error { return f.Err }

// Place returns where the text stands.
func (f *Fault) Place() fieldpath.Path { return f.Path }

// A Template is a compiled JSON value. It is immutable and may serve many
// goroutines.
type Template struct {
	root  node
	value any // what root was compiled from
}

// A node is a part of a value that has variables; parts without are nil.
type node interface {
	resolve(s Scope) (any, error)
}

// Options tell where a value stands.
type Options struct {
	// Document is the value that $(...) references lead into; nil: the value
	// itself.
	Document any
	// Path is where the value stands in Document.
	Path fieldpath.Path
	// At is where Document stands; it is put in front of the paths in errors.
	At fieldpath.Path
	// Object is what @ leads into: request.object when empty, or target.
	Object string
	// Check may refuse an expression. Those that only come into being when
	// variables inside them are substituted are not checked.
	Check func(e *Expression) error
}

// Compile compiles all texts of v. The error joins *Fault values.
func Compile(v any, opts Options) (*Template, error) {
	if opts.Document == nil {
		opts.Document = v
	}
	if opts.Object == "" {
		opts.Object = "request.object"
	}
	c := &compilation{document: opts.Document, at: opts.At, object: opts.Object, check: opts.Check, expressions: &Expressions{}}
	t := &Template{root: c.value(v, slices.Clone(opts.Path)), value: v}
	if err := errors.Join(c.faults...); err != nil {
		return nil, err
	}
	return t, nil
}

// Static reports whether the value has no variables, so that Resolve always
// returns the same.
func (t *Template) Static() bool {
	if t == nil || t.root == nil {
		return true
	}
	_, ok := t.root.(constant)
	return ok
}

// Resolve returns the value with all variables substituted. Parts without
// variables are shared with the value that was compiled: treat the result as
// read-only. The error wraps an *Unresolved. A nil Template resolves to nil.
func (t *Template) Resolve(s Scope) (any, error) {
	switch {
	case t == nil:
		return nil, nil
	case t.root == nil:
		return t.value, nil
	}
	return t.root.resolve(s)
}

// Text resolves a value that has to be a text.
func (t *Template) Text(s Scope) (string, error) {
	v, err := t.Resolve(s)
	if err != nil {
		return "", err
	}
	text, ok := v.(string)
	if !ok && v != nil {
		return "", fmt.Errorf("expected a text, found %s", kindOf(v))
	}
	return text, nil
}

func kindOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return strconv.FormatBool(v)
	case string:
		return strconv.Quote(v)
	case []any:
		return "a list"
	case map[string]any:
		return "a map"
	}
	return fmt.Sprintf("the number %v", v)
}

type compilation struct {
	document    any
	at          fieldpath.Path
	object      string
	check       func(*Expression) error
	expressions *Expressions
	faults      []error
}

func (c *compilation) fault(path fieldpath.Path, err error) {
	c.faults = append(c.faults, &Fault{slices.Concat(c.at, path), err})
}

// value returns nil when v has nothing to substitute.
func (c *compilation) value(v any, path fieldpath.Path) node {
	switch v := v.(type) {
	case string:
		return c.text(v, path, path)
	case []any:
		var l *list
		for i, element := range v {
			if n := c.value(element, append(path, fieldpath.Index(i))); n != nil {
				if l == nil {
					l = &list{base: v}
				}
				l.elements = append(l.elements, indexed{i, n})
			}
		}
		if l != nil {
			return l
		}
	case map[string]any:
		var m *object
		for _, key := range slices.Sorted(maps.Keys(v)) {
			// The place of a key is the map's for a reference and for {{ @ }}.
			k := c.text(key, path, append(path, fieldpath.Key(key)))
			n := c.value(v[key], append(path, fieldpath.Key(key)))
			if k == nil && n == nil {
				continue
			}
			if m == nil {
				m = &object{base: v}
			}
			m.fields = append(m.fields, field{key, k, n})
		}
		if m != nil {
			return m
		}
	}
	return nil
}

type constant struct{ value any }

func (c constant) resolve(Scope) (any, error) { return c.value, nil }

// broken is a text that Kyverno fails on whenever it comes to it.
type broken struct{ err error }

func (b broken) resolve(Scope) (any, error) { return nil, b.err }

type indexed struct {
	index int
	node  node
}

type list struct {
	base     []any
	elements []indexed
}

func (l *list) resolve(s Scope) (any, error) {
	out := slices.Clone(l.base)
	for _, e := range l.elements {
		v, err := e.node.resolve(s)
		if err != nil {
			return nil, err
		}
		out[e.index] = v
	}
	return out, nil
}

type field struct {
	name       string
	key, value node // nil: as written
}

type object struct {
	base   map[string]any
	fields []field
}

func (o *object) resolve(s Scope) (any, error) {
	out := maps.Clone(o.base)
	for _, f := range o.fields {
		value := o.base[f.name]
		if f.value != nil {
			var err error
			if value, err = f.value.resolve(s); err != nil {
				return nil, err
			}
		}
		name := f.name
		if f.key != nil {
			v, err := f.key.resolve(s)
			if err != nil {
				return nil, err
			}
			if v != nil {
				text, ok := v.(string)
				if !ok {
					return nil, fmt.Errorf("the key %q: expected a text, found %s", f.name, kindOf(v))
				}
				name = text
			}
			if name != f.name {
				delete(out, f.name)
			}
		}
		out[name] = value
	}
	return out, nil
}
