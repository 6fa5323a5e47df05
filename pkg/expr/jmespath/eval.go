package jmespath

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A node is one step of a compiled expression. On an error it returns nil, too:
// a key that does not exist counts as null wherever evaluation goes on.
type node interface {
	eval(r *run, cur any) (any, error)
}

// A run is one search.
type run struct {
	env  Env
	left int // units of work
}

const maxWork = 1 << 24

var errWork = fmt.Errorf("gave up after %d units of work: the expression multiplies its input", maxWork)

// spend takes n units of work.
func (r *run) spend(n int) error {
	if n > r.left {
		r.left = 0
		return errWork
	}
	r.left -= n
	return nil
}

// fatal reports whether err must not be swallowed, not even where Kyverno takes
// any error for null.
func fatal(err error) bool {
	return errors.Is(err, errWork) || errors.Is(err, errors.ErrUnsupported)
}

// value evaluates n and takes a key that does not exist for null.
func (r *run) value(n node, cur any) (any, error) {
	v, err := n.eval(r, cur)
	if err != nil && !absent(err) {
		return nil, err
	}
	return v, nil
}

// tolerant evaluates n and takes every error for null that may be.
func (r *run) tolerant(n node, cur any) (any, error) {
	v, err := n.eval(r, cur)
	if err != nil && fatal(err) {
		return nil, err
	}
	return v, nil
}

// current is @, and what is left out in [*] or [?x].
type current struct{}

func (current) eval(_ *run, cur any) (any, error) { return cur, nil }

type literal struct{ value any }

func (n literal) eval(*run, any) (any, error) { return n.value, nil }

// broken is what parses and yet means nothing.
type broken struct{ err error }

func (n broken) eval(*run, any) (any, error) { return nil, n.err }

// A keyPath is a chain of map keys: a.b.c.
type keyPath struct {
	keys []string
	// missed has the error for each key, so that a miss costs nothing.
	missed []notFound
}

func newKeyPath(key string) *keyPath {
	p := &keyPath{}
	p.add(key)
	return p
}

// add makes the path longer; only the compiler may.
func (n *keyPath) add(keys ...string) {
	for _, k := range keys {
		n.keys = append(n.keys, k)
		n.missed = append(n.missed, notFound{k, n})
	}
}

func (n *keyPath) eval(_ *run, cur any) (any, error) { return n.find(cur) }

func (n *keyPath) find(cur any) (any, error) {
	for i, k := range n.keys {
		m, ok := cur.(map[string]any)
		if !ok {
			return nil, nil
		}
		if cur, ok = m[k]; !ok {
			return nil, &n.missed[i]
		}
	}
	return cur, nil
}

func (n *keyPath) String() string { return strings.Join(n.keys, ".") }

// then is left.right where either is not a plain path.
type then struct{ left, right node }

func (n *then) eval(r *run, cur any) (any, error) {
	v, err := n.left.eval(r, cur)
	if err != nil {
		return nil, err
	}
	return n.right.eval(r, v)
}

type index int

func (n index) eval(_ *run, cur any) (any, error) {
	i := int(n)
	switch v := cur.(type) {
	case []any:
		if i < 0 {
			i += len(v)
		}
		if 0 <= i && i < len(v) {
			return v[i], nil
		}
	case pairs:
		if i < 0 {
			i += len(v)
		}
		if 0 <= i && i < len(v) {
			return v[i], nil
		}
	}
	return nil, nil
}

type slice struct{ start, stop, step *int }

func (n *slice) eval(r *run, cur any) (any, error) {
	in, ok := elements(cur)
	if !ok {
		return nil, nil
	}
	step := 1
	if n.step != nil {
		step = *n.step
	}
	if step == 0 {
		return nil, errors.New("the step of a slice must not be 0")
	}
	// The bounds of a slice are those of Python.
	first, last := 0, len(in)
	if step < 0 {
		first, last = len(in)-1, -1
	}
	clamp := func(at *int, otherwise int) int {
		if at == nil {
			return otherwise
		}
		i := *at
		if i < 0 {
			i += len(in)
		}
		switch {
		case step > 0:
			return min(max(i, 0), len(in))
		default:
			return min(max(i, -1), len(in)-1)
		}
	}
	start, stop := clamp(n.start, first), clamp(n.stop, last)
	if err := r.spend(len(in)); err != nil {
		return nil, err
	}
	out := []any{}
	if step > 0 {
		// i counts up to stop without passing it, so a huge step cannot overflow.
		for i := start; i < stop; i += min(step, stop-i) {
			out = append(out, in[i])
		}
	} else {
		for i := start; i > stop; i += max(step, stop-i) {
			out = append(out, in[i])
		}
	}
	return out, nil
}

// projection applies right to each element of the list on the left, and drops
// nulls.
type projection struct{ left, right node }

func (n *projection) eval(r *run, cur any) (any, error) {
	v, err := r.value(n.left, cur)
	if err != nil {
		return nil, err
	}
	in, ok := elements(v)
	if !ok {
		return nil, nil
	}
	if err := r.spend(1 + len(in)); err != nil {
		return nil, err
	}
	out := make([]any, 0, len(in))
	for _, e := range in {
		got, err := r.value(n.right, e)
		if err != nil {
			return nil, err
		}
		if got != nil {
			out = append(out, got)
		}
	}
	return out, nil
}

type filter struct{ left, right, condition node }

func (n *filter) eval(r *run, cur any) (any, error) {
	v, err := r.tolerant(n.left, cur)
	if err != nil {
		return nil, err
	}
	in, ok := elements(v)
	if !ok {
		return nil, nil
	}
	if err := r.spend(1 + len(in)); err != nil {
		return nil, err
	}
	out := []any{}
	for _, e := range in {
		keep, err := r.value(n.condition, e)
		if err != nil {
			return nil, err
		}
		if isFalse(keep) {
			continue
		}
		got, err := r.value(n.right, e)
		if err != nil {
			return nil, err
		}
		if got != nil {
			out = append(out, got)
		}
	}
	return out, nil
}

type flatten struct{ left node }

func (n *flatten) eval(r *run, cur any) (any, error) {
	v, err := r.tolerant(n.left, cur)
	if err != nil {
		return nil, err
	}
	in, ok := elements(v)
	if !ok {
		return nil, nil
	}
	out := make([]any, 0, len(in))
	for _, e := range in {
		if inner, ok := elements(e); ok {
			if err := r.spend(len(inner)); err != nil {
				return nil, err
			}
			out = append(out, inner...)
		} else {
			out = append(out, e)
		}
	}
	return out, r.spend(1 + len(in))
}

// values is left.*: it applies right to each value of a map, in key order.
type values struct{ left, right node }

func (n *values) eval(r *run, cur any) (any, error) {
	v, err := r.tolerant(n.left, cur)
	if err != nil {
		return nil, err
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, nil
	}
	if err := r.spend(1 + 2*len(m)); err != nil {
		return nil, err
	}
	out := []any{}
	add := func(e any) error {
		got, err := r.value(n.right, e)
		if err == nil && got != nil {
			out = append(out, got)
		}
		return err
	}
	// Kyverno visits one null for each value before the values. It shows only
	// where right makes something of null, as in *.to_string(@).
	if _, plain := n.right.(current); !plain {
		for range m {
			if err := add(nil); err != nil {
				return nil, err
			}
		}
	}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if err := add(m[k]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

type pipe struct{ left, right node }

func (n *pipe) eval(r *run, cur any) (any, error) {
	v, err := r.value(n.left, cur)
	if err != nil {
		return nil, err
	}
	return r.value(n.right, v)
}

type or struct{ left, right node }

func (n *or) eval(r *run, cur any) (any, error) {
	v, err := r.value(n.left, cur)
	if err != nil || !isFalse(v) {
		return v, err
	}
	return r.value(n.right, cur)
}

type and struct{ left, right node }

func (n *and) eval(r *run, cur any) (any, error) {
	v, err := r.value(n.left, cur)
	if err != nil || isFalse(v) {
		return v, err
	}
	return n.right.eval(r, cur)
}

type not struct{ operand node }

func (n *not) eval(r *run, cur any) (any, error) {
	v, err := r.value(n.operand, cur)
	if err != nil {
		return nil, err
	}
	return isFalse(v), nil
}

type equality struct {
	left, right node
	want        bool
}

func (n *equality) eval(r *run, cur any) (any, error) {
	a, err := r.value(n.left, cur)
	if err != nil {
		return nil, err
	}
	b, err := r.value(n.right, cur)
	if err != nil {
		return nil, err
	}
	same, err := r.equal(a, b)
	if err != nil {
		return nil, err
	}
	return same == n.want, nil
}

// comparison orders numbers; anything else gives null.
type comparison struct {
	left, right node
	op          string
}

func (n *comparison) eval(r *run, cur any) (any, error) {
	a, err := r.value(n.left, cur)
	if err != nil {
		return nil, err
	}
	b, err := r.value(n.right, cur)
	if err != nil {
		return nil, err
	}
	if !isNumber(a) || !isNumber(b) {
		return nil, nil
	}
	switch n.op {
	case "tLT":
		return less(a, b), nil
	case "tGT":
		return less(b, a), nil
	case "tLTE":
		return less(a, b) || sameNumber(a, b), nil
	default:
		return less(b, a) || sameNumber(a, b), nil
	}
}

type list []node

func (n list) eval(r *run, cur any) (any, error) {
	if cur == nil {
		return nil, nil
	}
	if err := r.spend(1 + len(n)); err != nil {
		return nil, err
	}
	out := make([]any, len(n))
	for i, e := range n {
		v, err := r.value(e, cur)
		if err != nil {
			return nil, err
		}
		out[i] = v
	}
	return out, nil
}

type hash struct {
	keys   []string
	values []node
}

func (n *hash) eval(r *run, cur any) (any, error) {
	if cur == nil {
		return nil, nil
	}
	if err := r.spend(8 + 4*len(n.keys)); err != nil {
		return nil, err
	}
	out := make(map[string]any, len(n.keys))
	for i, k := range n.keys {
		v, err := r.value(n.values[i], cur)
		if err != nil {
			return nil, err
		}
		out[k] = v
	}
	return out, nil
}

// A reference is &expression: an expression as an argument, not yet evaluated.
type reference struct{ body node }

func (n *reference) eval(*run, any) (any, error) { return n, nil }

type call struct {
	fn    *function
	args  []node
	fault error // what is known to be wrong with the call itself
}

func (n *call) eval(r *run, cur any) (any, error) {
	if err := r.spend(1); err != nil {
		return nil, err
	}
	args := make([]any, len(n.args))
	for i, a := range n.args {
		v, err := r.value(a, cur)
		if err != nil {
			return nil, err
		}
		args[i] = v
	}
	if n.fault != nil {
		return nil, n.fault
	}
	v, err := n.fn.apply(r, args)
	if err != nil {
		return nil, fmt.Errorf("function %s: %w", n.fn.name, err)
	}
	return v, nil
}
