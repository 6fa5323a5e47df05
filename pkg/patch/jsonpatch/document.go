package jsonpatch

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
)

var unescaper = sync.OnceValue(func() *strings.Replacer { return strings.NewReplacer("~1", "/", "~0", "~") })

// A document is an object under operation. Its values are never modified:
// whatever changes is copied.
type document struct {
	root any // a map or a list
	// self is what the pointer "" or "/" reads: the document as it came, whatever
	// has been done to it. It is nil after the root was replaced by "replace".
	self  any
	nulls bool // there are addedNulls in root
	// added is what copies and filled up lists have added so far. A value that
	// is copied into itself again and again would grow without bound.
	added int
}

// maxAdded limits what the operations of a patch add beyond their own values:
// one for each value, and for each byte of keys and texts.
const maxAdded = 1 << 22

// weigh adds the weight of v to added, and reports whether it is in the limit.
func (d *document) weigh(v any) bool {
	d.added++
	switch v := v.(type) {
	case string:
		d.added += len(v)
	case map[string]any:
		for k, e := range v {
			d.added += len(k)
			if !d.weigh(e) {
				return false
			}
		}
	case []any:
		for _, e := range v {
			if !d.weigh(e) {
				return false
			}
		}
	}
	return d.added <= maxAdded
}

// addedNull is a null that an operation put into the document. It differs from
// one that was there: "test" takes only the latter for null, and "add" puts a
// map in the place of only the latter.
type addedNull struct{}

var (
	errMissing = errors.New("there is no such field or element")
	errEmpty   = fmt.Errorf("the path begins with an empty step, which Kyverno 1.19 ignores together with the operation; remove the second slash: %w", errors.ErrUnsupported)
)

func (d *document) apply(o Operation) error {
	switch o.Op {
	case "add":
		if o.Path == "" {
			if !isContainer(o.Value) {
				return errors.New("the value for the whole document must be a map or a list")
			}
			d.root, d.self = o.Value, o.Value
			return nil
		}
		path, err := d.steps(o.Path)
		if err != nil {
			return err
		}
		d.root, err = d.addCreating(d.root, path, d.mark(o.Value))
		return err
	case "remove":
		return d.remove(o.Path)
	case "replace":
		if o.Path == "" {
			if !isContainer(o.Value) {
				return errors.New("the value for the whole document must be a map or a list")
			}
			d.root, d.self = o.Value, nil
			return nil
		}
		path, err := d.steps(o.Path)
		if err != nil {
			return err
		}
		d.root, err = edit(d.root, path, func(c any, key string) (any, error) {
			if key != "" {
				if _, err := get(c, key); err != nil {
					return nil, err
				}
			}
			return set(c, key, d.mark(o.Value))
		})
		return err
	case "move":
		if o.From == "" {
			return errors.New("the whole document can't be moved")
		}
		v, err := d.read(o.From)
		if err != nil {
			return fmt.Errorf("from %q: %w", o.From, err)
		}
		if err := d.removeExisting(o.From); err != nil {
			return fmt.Errorf("from %q: %w", o.From, err)
		}
		return d.put(o.Path, v)
	case "copy":
		v, err := d.read(o.From)
		if err != nil {
			return fmt.Errorf("from %q: %w", o.From, err)
		}
		if !d.weigh(v) {
			return fmt.Errorf("from %q: the copies of the patch make the object larger than the limit of %d values and bytes", o.From, maxAdded)
		}
		return d.put(o.Path, v)
	case "test":
		return d.test(o)
	}
	return fmt.Errorf("op %q is unknown", o.Op)
}

// steps splits a path and makes sure that it does not lead through the empty
// step at the root.
func (d *document) steps(path string) ([]string, error) {
	s, err := steps(path)
	if err == nil && len(s) > 1 && s[0] == "" && d.self != nil {
		err = errEmpty
	}
	return s, err
}

func (d *document) mark(v any) any {
	if v == nil {
		d.nulls = true
		return addedNull{}
	}
	return v
}

func unmark(v any) any {
	switch v := v.(type) {
	case addedNull:
		return nil
	case map[string]any:
		var out map[string]any
		for k, e := range v {
			switch n := unmark(e).(type) {
			case nil:
				if e == nil {
					continue
				}
				out = own(out, v)
				out[k] = nil
			case map[string]any, []any:
				out = own(out, v)
				out[k] = n
			}
		}
		if out != nil {
			return out
		}
	case []any:
		out := slices.Clone(v)
		for i, e := range out {
			out[i] = unmark(e)
		}
		return out
	}
	return v
}

func own(copied, original map[string]any) map[string]any {
	if copied == nil {
		return maps.Clone(original)
	}
	return copied
}

// read returns the value at a path for move and copy.
func (d *document) read(path string) (any, error) {
	if path == "" || path == "/" {
		return d.self, nil
	}
	s, err := d.steps(path)
	if err != nil {
		return nil, err
	}
	c, err := parent(d.root, s)
	if err != nil {
		return nil, err
	}
	if s[len(s)-1] == "" {
		return nil, nil
	}
	return get(c, unescape(s[len(s)-1]))
}

// put adds a value for move and copy, which create nothing on the way.
func (d *document) put(path string, v any) error {
	s := []string{""}
	if path != "" {
		var err error
		if s, err = d.steps(path); err != nil {
			return err
		}
	}
	root, err := edit(d.root, s, func(c any, key string) (any, error) { return add(c, key, v) })
	if err == nil {
		d.root = root
	}
	return err
}

func (d *document) remove(path string) error {
	s := []string{""}
	if path != "" {
		var err error
		if s, err = d.steps(path); errors.Is(err, errEmpty) {
			return err
		} else if err != nil {
			return nil // leads nowhere, so there is nothing to remove
		}
	}
	if _, err := parent(d.root, s); err != nil {
		return nil
	}
	return d.removeSteps(s)
}

func (d *document) removeExisting(path string) error {
	s, err := d.steps(path)
	if err != nil {
		return err
	}
	return d.removeSteps(s)
}

func (d *document) removeSteps(s []string) error {
	root, err := edit(d.root, s, remove)
	if err == nil {
		d.root = root
	}
	return err
}

var errTest = errors.New("the value is a different one")

func (d *document) test(o Operation) error {
	if o.Path == "" {
		if equal(d.root, o.Value) {
			return nil
		}
		return errTest
	}
	v := d.self
	if o.Path != "/" {
		s, err := d.steps(o.Path)
		if err != nil {
			return err
		}
		c, err := parent(d.root, s)
		if err != nil {
			return err
		}
		switch key := unescape(s[len(s)-1]); {
		case key == "":
			v = nil
		default:
			if v, err = get(c, key); err != nil && !errors.Is(err, errMissing) {
				return err
			}
		}
	}
	if (v == nil) != (o.Value == nil) || v != nil && !equal(v, o.Value) {
		return errTest
	}
	return nil
}

// parent returns the container that the last step leads into.
func parent(c any, path []string) (any, error) {
	for _, step := range path[:len(path)-1] {
		var err error
		if c, err = into(c, unescape(step)); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// into is get for a step that must lead into a map or a list.
func into(c any, key string) (any, error) {
	if key == "" {
		return nil, errMissing
	}
	v, err := get(c, key)
	if err != nil {
		return nil, err
	}
	if !isContainer(v) {
		return nil, errMissing
	}
	return v, nil
}

// edit replaces the container that the last step leads into by what f makes of
// it, and those above it accordingly.
func edit(c any, path []string, f func(c any, key string) (any, error)) (any, error) {
	key := unescape(path[0])
	if len(path) == 1 {
		return f(c, key)
	}
	child, err := into(c, key)
	if err != nil {
		return nil, err
	}
	if child, err = edit(child, path[1:], f); err != nil {
		return nil, err
	}
	return set(c, key, child)
}

// addCreating adds a value and creates the containers that are missing on the
// way: a list where the next step is a number or "-", a map elsewhere. Lists
// are filled up with null. A key that the path has to escape is not created:
// Kyverno forgets to unescape it there, and then does not find it.
func (d *document) addCreating(c any, path []string, v any) (any, error) {
	step, key := path[0], unescape(path[0])
	if len(path) == 1 {
		return add(c, key, v)
	}
	var child any
	if key != "" {
		child, _ = get(c, key)
	}
	if child != nil {
		if !isContainer(child) {
			return nil, errors.New("the path leads into a value that is neither a map nor a list")
		}
		child, err := d.addCreating(child, path[1:], v)
		if err != nil {
			return nil, err
		}
		return set(c, key, child)
	}

	if list, ok := c.([]any); ok {
		if i, err := strconv.Atoi(step); err == nil && i > len(list) {
			if c, err = d.fill(list, i); err != nil {
				return nil, err
			}
		}
	}
	child = map[string]any{}
	if i, err := strconv.Atoi(path[1]); err == nil || path[1] == "-" {
		if i < -1 {
			return nil, fmt.Errorf("there is no element %d in a new list", i)
		}
		if child, err = d.fill(nil, i); err != nil {
			return nil, err
		}
	}
	child, err := d.addCreating(child, path[1:], v)
	if err != nil {
		return nil, err
	}
	if _, isList := c.([]any); step == "" || step != key || isList && step == "-" {
		return nil, errMissing
	}
	return add(c, key, child)
}

// maxIndex limits the lists that a path can make.
const maxIndex = 1 << 16

func (d *document) fill(list []any, n int) ([]any, error) {
	if n > maxIndex {
		return nil, fmt.Errorf("the index %d is too large", n)
	}
	if d.added += max(0, n-len(list)); d.added > maxAdded {
		return nil, fmt.Errorf("the patch makes lists with more than %d elements", maxAdded)
	}
	out := slices.Clone(list)
	for len(out) < n {
		d.nulls = true
		out = append(out, addedNull{})
	}
	if out == nil {
		out = []any{}
	}
	return out, nil
}

func isContainer(v any) bool {
	switch v.(type) {
	case map[string]any, []any:
		return true
	}
	return false
}

func get(c any, key string) (any, error) {
	switch c := c.(type) {
	case map[string]any:
		v, ok := c[key]
		if !ok {
			return nil, errMissing
		}
		return v, nil
	case []any:
		i, err := index(c, key, len(c))
		if err != nil {
			return nil, err
		}
		return c[i], nil
	}
	return nil, errMissing
}

// An indexError is an index that is no number or not in the list.
type indexError struct {
	key string
	n   int
}

func (e *indexError) Error() string {
	if _, err := strconv.Atoi(e.key); err != nil {
		return fmt.Sprintf("%q is no index of a list", e.key)
	}
	if e.n == 1 {
		return fmt.Sprintf("the list has no index %s, it has 1 element", e.key)
	}
	return fmt.Sprintf("the list has no index %s, it has %d elements", e.key, e.n)
}

// index reads the index of an element; -1 is the last one, n-1.
func index(list []any, key string, n int) (int, error) {
	i, err := strconv.Atoi(key)
	if err == nil && i < 0 {
		i += n
	}
	if err != nil || i < 0 || i >= n {
		return 0, &indexError{key, len(list)}
	}
	return i, nil
}

// set replaces a value that exists; in a map it may also be new.
func set(c any, key string, v any) (any, error) {
	switch c := c.(type) {
	case map[string]any:
		out := maps.Clone(c)
		if out == nil {
			out = map[string]any{}
		}
		out[key] = v
		return out, nil
	case []any:
		i, err := index(c, key, len(c))
		if err != nil {
			return nil, err
		}
		out := slices.Clone(c)
		out[i] = v
		return out, nil
	}
	return nil, errMissing
}

func add(c any, key string, v any) (any, error) {
	list, ok := c.([]any)
	if !ok {
		return set(c, key, v)
	}
	i := len(list)
	if key != "-" {
		var err error
		if i, err = index(list, key, len(list)+1); err != nil {
			return nil, err
		}
	}
	out := make([]any, len(list)+1)
	copy(out, list[:i])
	out[i] = v
	copy(out[i+1:], list[i:])
	return out, nil
}

// remove deletes a value, if there is one.
func remove(c any, key string) (any, error) {
	switch c := c.(type) {
	case map[string]any:
		if _, ok := c[key]; !ok {
			return c, nil
		}
		out := maps.Clone(c)
		delete(out, key)
		return out, nil
	case []any:
		if _, err := strconv.Atoi(key); err != nil {
			return nil, &indexError{key, len(c)}
		}
		i, err := index(c, key, len(c))
		if err != nil {
			return c, nil
		}
		return slices.Delete(slices.Clone(c), i, i+1), nil
	}
	return nil, errMissing
}

func equal(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for k, v := range a {
			w, ok := b[k]
			if !ok || !equal(v, w) {
				return false
			}
		}
		return true
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !equal(a[i], b[i]) {
				return false
			}
		}
		return true
	case addedNull:
		return b == nil || b == addedNull{}
	case string, bool, nil:
		if _, ok := b.(addedNull); ok {
			return a == nil
		}
		return !isContainer(b) && a == b
	}
	return number(a) == number(b)
}

// number is the JSON text of a number.
func number(v any) string {
	switch v := v.(type) {
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		b, err := json.Marshal(v)
		if err != nil {
			return ""
		}
		return string(b)
	}
	return "no number"
}
