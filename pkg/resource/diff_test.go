package resource

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/parallel"
)

func TestDiff(t *testing.T) {
	tests := []struct{ name, before, after, want string }{
		{"nothing", "a: 1\nb: [x]\n", "b: [x]\na: 1.0\n", ""},
		{"scalars", "a: 1\nb: x\nc: null\n", "a: 2\nc: w\nd: null\n", "a: 1 -> 2\nb: removed x\nc: <nil> -> w\nd: added <nil>"},
		{"null is not absent", "a: null\n", "{}", "a: removed <nil>"},
		{"a subtree is one change", "a: {b: {c: 1}}\n", "a: {b: {c: 1, d: {e: [1]}}}\n", "a.b.d: added map[e:[1]]"},
		{"another kind of value", "a: [1]\n", "a: {b: 1}\n", "a: [1] -> map[b:1]"},
		{"by name", "c: [{name: a, i: 1}, {name: b, i: 1}]\n", "c: [{name: s}, {name: a, i: 2}, {name: b, i: 1}]\n", "c[0]: added map[name:s]\nc[1].i: 1 -> 2"},
		{"by name, one removed", "c: [{name: a}, {name: b, i: 1}]\n", "c: [{name: b, i: 2}]\n", "c[0]: removed map[name:a]\nc[0].i: 1 -> 2"},
		{"renamed", "r: [{host: a, http: {x: 1}}, {host: b}]\n", "r: [{host: a.org, http: {x: 1}}, {host: b}]\n", "r[0].host: a -> a.org"},
		{"renamed behind a new one", "c: [{name: a, i: 1}, {name: b, i: 2}]\n", "c: [{name: new, i: 3}, {name: a2, i: 1}, {name: b, i: 2}]\n", "c[0]: added map[i:3 name:new]\nc[1].name: a -> a2"},
		{"renamed and more", "c: [{name: a, i: 1}]\n", "c: [{name: b, i: 2}]\n", "c[0]: added map[i:2 name:b]\nc[0]: removed map[i:1 name:a]"},
		{"nothing but a name", "c: [{name: a}]\n", "c: [{name: b}]\n", "c[0]: added map[name:b]\nc[0]: removed map[name:a]"},
		{"renamed elsewhere", "c: [{name: a, i: 1}, {name: b, i: 2}]\n", "c: [{name: b, i: 2}, {name: a2, i: 1}]\n", "c[0]: removed map[i:1 name:a]\nc[1]: added map[i:1 name:a2]"},
		{"by port and protocol", "p: [{port: 1, protocol: TCP}, {port: 1, protocol: UDP}]\n", "p: [{port: 1, protocol: UDP, x: 1}]\n", "p[0]: removed map[port:1 protocol:TCP]\np[0].x: added 1"},
		{"by mount path", "m: [{mountPath: /a, name: v}, {mountPath: /b, name: v}]\n", "m: [{mountPath: /a, name: v}, {mountPath: /b, name: w}]\n", "m[1].name: v -> w"},
		{"by equality", "a: [x, v, z]\n", "a: [x, w, v, z]\n", "a[1]: added w"},
		{"by equality, changed", "a: [x, v, z]\n", "a: [x, w, z]\n", "a[1]: v -> w"},
		{"maps without a key", "r: [{verbs: [get]}, {verbs: [list]}]\n", "r: [{verbs: [get, watch]}, {verbs: [list]}]\n", "r[0].verbs[1]: added watch"},
		{"order", "a: [x, w]\n", "a: [w, x]\n", "a[0]: removed x\na[1]: added x"},
		{"order by name", "a: [{name: x}, {name: w}]\n", "a: [{name: w}, {name: x}]\n", "a: [map[name:x] map[name:w]] -> [map[name:w] map[name:x]]"},
		{"odd keys", "a: {}\n", "a: {x/y.z: 1}\n", `a["x/y.z"]: added 1`},
		{"path order", "a: {z: 1, b: 1}\nc: [1, 2]\n", "a: {z: 2, b: 2}\nc: [3, 4]\n", "a.b: 1 -> 2\na.z: 1 -> 2\nc[0]: 1 -> 3\nc[1]: 2 -> 4"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, c := range Diff(value(t, tt.before).(map[string]any), value(t, tt.after).(map[string]any)) {
				switch {
				case c.Added():
					got = append(got, fmt.Sprintf("%s: added %v", c.Path, c.After))
				case c.Removed():
					got = append(got, fmt.Sprintf("%s: removed %v", c.Path, c.Before))
				default:
					got = append(got, fmt.Sprintf("%s: %v -> %v", c.Path, c.Before, c.After))
				}
			}
			if d := cmp.Diff(tt.want, strings.Join(got, "\n")); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// A diff of equal values is empty, one of others is not; what it says of
// before and after is true, and paths come in order.
func TestDiffTellsTheTruth(t *testing.T) {
	base := object(t, parseOne(t, deployment(1)))
	for seed := range uint64(3000) {
		m := mutator{rand.New(rand.NewPCG(seed, 3))}
		after, ok := m.mutate(base).(map[string]any)
		if !ok {
			continue
		}
		changes := Diff(base, after)
		if (len(changes) == 0) != Equal(base, after) {
			t.Fatalf("seed %d: %d changes", seed, len(changes))
		}
		if !slices.IsSortedFunc(changes, func(a, b Change) int { return fieldpath.Compare(a.Path, b.Path) }) {
			t.Fatalf("seed %d: out of order: %v", seed, changes)
		}
		for _, c := range changes {
			if v, ok := fieldpath.Get(after, c.Path); !c.Removed() && (!ok || !Equal(v, c.After)) {
				t.Fatalf("seed %d: %s is %v after, not %v", seed, c.Path, v, c.After)
			}
		}
	}
}

func TestDiffOfMovedElements(t *testing.T) {
	port := func(number int64, more ...any) any {
		o := map[string]any{"containerPort": number}
		for i := 0; i < len(more); i += 2 {
			o[more[i].(string)] = more[i+1]
		}
		return o
	}
	named := func(name string, image any) any { return map[string]any{"name": name, "image": image} }
	for _, tt := range []struct {
		name          string
		before, after []any
		want          string
	}{
		{"moved", []any{named("a", "1"), named("b", "1")}, []any{named("b", "1"), named("a", "1")}, `[list: order ["a","b"] -> ["b","a"]]`},
		{"moved and changed", []any{named("a", "1"), named("b", "1")}, []any{named("b", "2"), named("a", "1")},
			`[list: order ["a","b"] -> ["b","a"] list[0].image: "1" -> "2"]`},
		{"moved, added and removed", []any{named("a", "1"), named("b", "1"), named("c", "1")}, []any{named("d", "1"), named("b", "1"), named("a", "1")},
			`[list: order ["a","b","c"] -> ["d","b","a"] list[0]: added {"image":"1","name":"d"} list[2]: removed {"image":"1","name":"c"}]`},
		{"by two fields", []any{port(80, "protocol", "TCP"), port(80, "protocol", "UDP"), port(81)}, []any{port(81), port(80, "protocol", "TCP"), port(80, "protocol", "UDP")},
			`[list: order ["80/TCP","80/UDP","81"] -> ["81","80/TCP","80/UDP"]]`},
		{"in place", []any{named("a", "1"), named("b", "1")}, []any{named("a", "1"), named("b", "2")}, `[list[1].image: "1" -> "2"]`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			changes := Diff(Object{"list": tt.before}, Object{"list": tt.after})
			if got := fmt.Sprint(changes); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if moved := changes[0].Moved(); moved != strings.Contains(tt.want, "order") {
				t.Errorf("moved %v", moved)
			}
		})
	}
	hidden := Diff(Object{"list": []any{named("a", "1"), named("b", "1")}}, Object{"list": []any{named("b", "1"), named("a", "1")}})[0]
	hidden.Before, hidden.After = "(redacted)", "(redacted)"
	if got, want := hidden.String(), `list: "(redacted)" -> "(redacted)"`; got != want {
		t.Errorf("hidden: %s, want %s", got, want)
	}
}

// Which changes are about one field shows in what they are about, not in where it
// stood at the time.
func TestTouches(t *testing.T) {
	const (
		first   = "spec: {c: [{name: web, image: w1}, {name: log, image: l1}], args: [a, b]}\n"
		front   = "spec: {c: [{name: new}, {name: web, image: w1}, {name: log, image: l1}], args: [a, b]}\n"
		changed = "spec: {c: [{name: web, image: w2}, {name: log, image: l1}], args: [a, b]}\n"
		last    = "spec: {c: [{name: log, image: l1}, {name: new}, {name: web, image: w2}], args: [a, b]}\n"
		ports   = "spec: {c: [{containerPort: 1, x: 1}, {containerPort: 2}]}\n"
		ports2  = "spec: {c: [{containerPort: 1, x: 2}, {containerPort: 2}]}\n"
		args    = "spec: {c: [{name: web, image: w1}, {name: log, image: l1}], args: [a, c]}\n"
		gone    = "spec: {}\n"
		renamed = "spec: {c: [{name: site, image: w1}, {name: log, image: l1}], args: [a, b]}\n"
		other   = "spec: {c: [{name: site, image: w2}, {name: log, image: l1}], args: [a, b]}\n"
		again   = "spec: {c: [{name: new}, {name: page, image: w1}, {name: log, image: l1}], args: [a, b]}\n"
	)
	for name, tt := range map[string]struct {
		before, after string // of the one change that is asked about the others
		path          string
		was, is       string
		want          string // the paths of those that it touches
	}{
		"moved since":                {first, changed, "spec.c[0].image", first, last, "spec.c[2].image"},
		"another element there":      {first, front, "spec.c[0]", first, last, "spec.c[1]"},
		"an order":                   {front, last, "spec.c", first, last, "spec.c"},
		"above":                      {first, gone, "spec.c", first, last, "spec.c spec.c[1] spec.c[2].image"},
		"told apart by other fields": {ports, ports2, "spec.c[0].x", first, changed, ""},
		"by value":                   {"spec: {args: [a]}\n", "spec: {args: [a, b]}\n", "spec.args[1]", "spec: {args: [a]}\n", "spec: {args: [c, a, b, d]}\n", "spec.args[2]"},
		"renamed":                    {first, renamed, "spec.c[0].name", first, again, "spec.c[1].name"},
		"renamed later":              {first, changed, "spec.c[0].image", first, other, "spec.c[0]"},
		"renamed before":             {renamed, other, "spec.c[0].image", first, other, "spec.c[0]"},
		"by place":                   {first, args, "spec.args[1]", first, args, "spec.args[1]"},
	} {
		t.Run(name, func(t *testing.T) {
			changes := Diff(value(t, tt.before).(map[string]any), value(t, tt.after).(map[string]any))
			i := slices.IndexFunc(changes, func(c Change) bool { return c.Path.String() == tt.path })
			if i < 0 {
				t.Fatalf("no change of %s in %v", tt.path, changes)
			}
			var got []string
			for _, c := range Diff(value(t, tt.was).(map[string]any), value(t, tt.is).(map[string]any)) {
				if a, b := changes[i].Touches(&c), c.Touches(&changes[i]); a != b {
					t.Errorf("%s: %v, the other way round %v", c.Path, a, b)
				} else if a {
					got = append(got, c.Path.String())
				}
			}
			if got := strings.Join(got, " "); got != tt.want {
				t.Errorf("touches %q, want %q", got, tt.want)
			}
		})
	}
}

// A change is found where its element stands in another state.
func TestIn(t *testing.T) {
	const written = "spec: {c: [{name: web, image: w1}, {name: log, image: l1}], args: [a, b]}\n"
	for after, want := range map[string]string{
		"spec: {c: [{name: new}, {name: log, image: l2}, {name: web, image: w2}], args: [a, c]}\n": "spec.args[1] spec.c spec.c spec.c[1].image spec.c[0].image",
		"spec: {c: [{name: log, image: l1}], args: [a, b]}\n":                                      "spec.c[0]",
	} {
		o := value(t, written).(map[string]any)
		var got []string
		for _, c := range Diff(o, value(t, after).(map[string]any)) {
			got = append(got, c.In(o).String())
		}
		if got := strings.Join(got, " "); got != want {
			t.Errorf("%s: %s, want %s", after, got, want)
		}
	}
}

func TestNew(t *testing.T) {
	o := Object{
		"status": nil, "kind": "X", "spec": map[string]any{"b": []any{map[string]any{"value": "1", "name": "n"}, []any{}}, "a": 1.5},
		"apiVersion": "v1", "metadata": map[string]any{"labels": map[string]any{"on": "yes"}, "name": "x"},
		"data": map[string]any{"f": "a\nb\n"},
	}
	r, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	want := `apiVersion: v1
kind: X
metadata:
  name: x
  labels:
    "on": "yes"
spec:
  a: 1.5
  b:
  - name: "n"
    value: "1"
  - []
data:
  f: |
    a
    b
status: null
`
	if d := cmp.Diff(want, yamlOf(t, r)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if d := cmp.Diff(o, object(t, r)); d != "" {
		t.Errorf("values (-want +got):\n%s", d)
	}
	if r.ID().String() != "X/x" || r.Origin() != (Origin{}) || r.Line(path(t, "spec")) != 0 || r.Changed() {
		t.Errorf("got %v at %q, line %d, changed %v", r.ID(), r.Origin(), r.Line(path(t, "spec")), r.Changed())
	}
	for _, bad := range []Object{nil, {"a": make(chan int)}, {"a": []any{struct{}{}}}} {
		if _, err := New(bad); err == nil {
			t.Errorf("%v: no error", bad)
		}
	}
}

func TestAnnotations(t *testing.T) {
	for _, tt := range []struct {
		annotations string
		value       string
		local       bool
	}{
		{"{}", "", false},
		{"{a: x, config.kubernetes.io/local-config: 'true'}", "x", true},
		{"{a: x, config.kubernetes.io/local-config: ''}", "x", true},
		{"{config.kubernetes.io/local-config: \"false\"}", "", false},
		{"&x {a: x, config.kubernetes.io/local-config: 'true'}", "x", true},
		{"[a]", "", false},
	} {
		r := parseOne(t, "metadata:\n  annotations: "+tt.annotations+"\n")
		if got := r.Annotation("a"); got != tt.value || r.LocalConfig() != tt.local {
			t.Errorf("%s: %q, %v; want %q, %v", tt.annotations, got, r.LocalConfig(), tt.value, tt.local)
		}
	}
}

// Reads may happen at the same time, and so may updates of different
// resources; the race detector watches.
func TestConcurrentUse(t *testing.T) {
	rs, err := Parse("", deployments(50))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	for range 4 {
		go func() {
			var first error
			for _, r := range rs {
				o, err := r.Object()
				if err == nil && (len(o) == 0 || r.Line(nil) == 0) {
					err = fmt.Errorf("%s is empty", r.ID())
				}
				if err == nil {
					_, err = r.AppendItem(nil)
				}
				if first == nil {
					first = err
				}
			}
			done <- first
		}()
	}
	for range 4 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	errs := make([]error, len(rs))
	parallel.Each(len(rs), 1, func(i int) {
		o, err := rs[i].Object()
		if err == nil {
			err = rs[i].Update(patched(o))
		}
		errs[i] = err
	})
	for i, err := range errs {
		if err != nil || !strings.Contains(rs[i].text, "team: shop") {
			t.Errorf("%s: %v", rs[i].ID(), err)
		}
	}
}

func TestEqual(t *testing.T) {
	for _, tt := range []struct {
		a, b any
		want bool
	}{
		{int64(1), 1.0, true},
		{1.0, int64(1), true},
		{int64(1), "1", false},
		{nil, nil, true},
		{nil, map[string]any{}, false},
		{map[string]any{"a": nil}, map[string]any{"b": nil}, false},
		{map[string]any{"a": []any{int64(1)}}, map[string]any{"a": []any{1.0}}, true},
		{[]any{int64(1)}, []any{int64(1), int64(2)}, false},
		{[]any{}, map[string]any{}, false},
	} {
		if got := Equal(tt.a, tt.b); got != tt.want {
			t.Errorf("Equal(%v, %v) = %v", tt.a, tt.b, got)
		}
	}
}
