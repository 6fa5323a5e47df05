package jsonpatch

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	evanphx "github.com/evanphx/json-patch/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/oneloop-dev/oneloop/pkg/jsonvalue"
)

var errCrash = errors.New("crash")

// reference applies a patch with the library and the options that Kyverno uses.
// A crash of the library is an error.
func reference(object map[string]any, operations []any) (out map[string]any, err error) {
	defer func() {
		if e := recover(); e != nil {
			err = fmt.Errorf("%w: %v", errCrash, e)
		}
	}()
	doc, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(operations)
	if err != nil {
		return nil, err
	}
	p, err := evanphx.DecodePatch(text)
	if err != nil {
		return nil, err
	}
	b, err := p.ApplyWithOptions(doc, &evanphx.ApplyOptions{SupportNegativeIndices: true, AllowMissingPathOnRemove: true, EnsurePathExistsOnAdd: true})
	if err != nil {
		return nil, err
	}
	v, err := decode("[" + string(b) + "]")
	if err != nil {
		return nil, err
	}
	m, ok := v.([]any)[0].(map[string]any)
	if !ok {
		return nil, errors.New("not an object")
	}
	return m, nil
}

type generator struct{ *rand.Rand }

func pick[T any](g generator, from ...T) T { return from[g.IntN(len(from))] }

func (g generator) value(depth int) any {
	if depth > 0 {
		switch g.IntN(4) {
		case 0:
			m := map[string]any{}
			for range g.IntN(4) {
				m[g.key()] = g.value(depth - 1)
			}
			return m
		case 1:
			l := []any{}
			for range g.IntN(4) {
				l = append(l, g.value(depth-1))
			}
			return l
		}
	}
	return pick[any](g, nil, true, false, "", "a", "<b>", int64(0), int64(7), 1.5, "x/y")
}

func (g generator) key() string {
	return pick(g, "a", "a", "b", "b", "c", "x/y", "0", "1", "-", "m~n", "")
}

// pointer follows the values of the object for a while.
func (g generator) pointer(v any) string {
	if g.IntN(40) == 0 {
		return pick(g, "", "/", "a", "a/b", "//a", "/a/", "/a//b", "~1", "/~0", "/~2")
	}
	var b strings.Builder
	for range 1 + g.IntN(4) {
		step := g.key()
		if step == "" && g.IntN(3) > 0 {
			step = "a"
		}
		switch c := v.(type) {
		case map[string]any:
			if len(c) > 0 && g.IntN(5) > 0 {
				keys := []string{}
				for k := range c {
					keys = append(keys, k)
				}
				slices.Sort(keys)
				step = pick(g, keys...)
			}
			v = c[step]
		case []any:
			if g.IntN(8) > 0 {
				step = pick(g, "0", "0", "1", "2", "3", "-", "-1", "-2", "-4", "+1", "01", "5")
			}
			v = nil
			if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(c) {
				v = c[i]
			}
		}
		b.WriteByte('/')
		b.WriteString(strings.NewReplacer("~", "~0", "/", "~1").Replace(step))
		if v == nil && g.IntN(2) == 0 {
			break
		}
	}
	return b.String()
}

func (g generator) operation(object map[string]any) map[string]any {
	op := pick(g, "add", "add", "add", "remove", "replace", "move", "copy", "test")
	o := map[string]any{"op": op, "path": g.pointer(object)}
	switch op {
	case "add", "replace", "test":
		o["value"] = g.value(2)
	case "move", "copy":
		o["from"] = g.pointer(object)
	}
	return o
}

// compare applies a patch with the library and with this package.
func compare(t *testing.T, object map[string]any, operations []any) (wantErr error) {
	t.Helper()
	want, wantErr := reference(object, operations)
	p, err := Parse(operations)
	var got map[string]any
	before := jsonvalue.Clone(object)
	if err == nil {
		got, err = p.Apply(object)
	}
	if !cmp.Equal(before, any(object)) {
		t.Errorf("Apply modified the object:\n%s", cmp.Diff(before, any(object)))
	}
	show := func() string {
		o, _ := json.Marshal(object)
		p, _ := json.Marshal(operations)
		return fmt.Sprintf("object %s\npatch %s", o, p)
	}
	switch {
	case errors.Is(err, errEmpty):
	case errors.Is(wantErr, errCrash):
		// Lists with null in them can't be tested with the library.
	case (err != nil) != (wantErr != nil):
		t.Errorf("%s\nerror is %v, want %v", show(), err, wantErr)
	case err == nil && !cmp.Equal(want, got):
		t.Errorf("%s\n(-library +package):\n%s", show(), cmp.Diff(want, got))
	}
	return wantErr
}

func TestApplyEqualsLibrary(t *testing.T) {
	failed := 0
	const pairs = 15_000
	for i := range pairs {
		g := generator{rand.New(rand.NewPCG(1, uint64(i)))}
		object := map[string]any{"a": g.value(3), "b": g.value(3), g.key(): g.value(2)}
		var operations []any
		for range 1 + g.IntN(3)*g.IntN(2) {
			operations = append(operations, g.operation(object))
		}
		if compare(t, object, operations) != nil {
			failed++
		}
		if t.Failed() {
			t.Fatalf("pair %d", i)
		}
	}
	t.Logf("%d pairs, of which %d failed", pairs, failed)
}

func FuzzApply(f *testing.F) {
	f.Add(`{"a":{"b":[1,2]}}`, `[{"op":"add","path":"/a/b/-","value":null},{"op":"test","path":"/a/b/2","value":null}]`)
	f.Add(`{"a":null}`, `[{"op":"add","path":"/a/1/x","value":{}},{"op":"move","from":"/a/1","path":"/c"}]`)
	f.Add(`{}`, `[{"op":"copy","from":"","path":"/x/-1"},{"op":"replace","path":"","value":{}}]`)
	f.Fuzz(func(t *testing.T, object, patch string) {
		o, err := decode("[" + object + "]")
		if err != nil || len(o.([]any)) != 1 {
			return
		}
		m, ok := o.([]any)[0].(map[string]any)
		if !ok {
			return
		}
		p, err := decode("[" + patch + "]")
		if err != nil || len(p.([]any)) != 1 {
			return
		}
		operations, ok := p.([]any)[0].([]any)
		if !ok || manyDigits(patch) {
			return // the library takes minutes to fill up long lists
		}
		compare(t, m, operations)
	})
}

func manyDigits(s string) bool {
	n := 0
	for _, c := range s {
		if n++; c < '0' || c > '9' {
			n = 0
		}
		if n > 3 {
			return true
		}
	}
	return false
}
