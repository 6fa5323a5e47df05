package resource

import (
	"errors"
	"fmt"
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRewrite(t *testing.T) {
	mark := func(o Object) Object {
		after := maps.Clone(o)
		after["x"] = "new"
		return after
	}
	for _, tt := range []struct {
		name, in string
		update   []int // of the resources
		want     string
	}{
		{"nothing", "# c\na: 1\n---\n\nb:   2", nil, "# c\na: 1\n---\n\nb:   2"},
		{"one of three", "# c\na: 1\n--- # sep\n\nb:   2 # b\n\n# foot\n---\nc: 3\n", []int{1}, "# c\na: 1\n--- # sep\n\nb:   2 # b\nx: new\n\n# foot\n---\nc: 3\n"},
		{"all", "a: 1\n---\nb: 2\n", []int{0, 1}, "a: 1\nx: new\n---\nb: 2\nx: new\n"},
		{"comments of their own", "# license\n---\na: 1\n---\n# end\n", []int{0}, "# license\n---\na: 1\nx: new\n---\n# end\n"},
		{"CRLF and BOM", "\xef\xbb\xbfa: |\r\n  t\r\n---\r\nb: 2\r\n", []int{0}, "\xef\xbb\xbfa: |\r\n  t\r\nx: new\r\n---\r\nb: 2\r\n"},
		{"mixed line breaks", "a: 1\r\n# c\nb:\r\n  c: 1\r---\r\nd: 1\n# e\r\n", []int{0, 1}, "a: 1\r\n# c\nb:\r\n  c: 1\rx: new\r---\r\nd: 1\nx: new\n# e\r\n"},
		{"one line of Windows", "\xef\xbb\xbf{a: 1}\r\n", []int{0}, "\xef\xbb\xbf{a: 1, x: new}\r\n"},
		{"no line break at the end", "a: 1\n---\nb: 2", []int{1}, "a: 1\n---\nb: 2\nx: new"},
		{"directive", "%YAML 1.1\n---\na: 1\n...\n# c\n", []int{0}, "%YAML 1.1\n---\na: 1\nx: new\n...\n# c\n"},
		{"on the line of the marker", "a: 1\n--- {b: 2}\n", []int{1}, "a: 1\n--- {b: 2, x: new}\n"},
		{"items of a List", "kind: List\napiVersion: v1\nitems:\n# a\n- kind: A\n\n  a: 1\n- kind: B # b\nmore: 1\n", []int{0, 1}, "kind: List\napiVersion: v1\nitems:\n# a\n- kind: A\n\n  a: 1\n  x: new\n- kind: B # b\n  x: new\nmore: 1\n"},
		{"items of a JSON List", "{\n  \"kind\": \"List\",\n  \"apiVersion\": \"v1\",\n  \"items\": [\n    {\n      \"kind\": \"A\"\n    }\n  ]\n}\n", []int{0}, "{\n  \"kind\": \"List\",\n  \"apiVersion\": \"v1\",\n  \"items\": [\n    {\n      \"kind\": \"A\",\n      \"x\": \"new\"\n    }\n  ]\n}\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rs, err := Parse("in.yaml", []byte(tt.in))
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range tt.update {
				if err := rs[i].Update(mark(object(t, rs[i]))); err != nil {
					t.Fatal(err)
				}
			}
			got, err := Rewrite([]byte(tt.in), rs)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, string(got)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestRewriteAdds(t *testing.T) {
	fresh := func(name string) *Resource {
		r, err := New(Object{"kind": name})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for _, tt := range []struct {
		name, in string
		behind   []int // a resource for each addition
		update   bool
		want     string
	}{
		{"one", "a: 1\n# c\n", []int{0}, false, "a: 1\n# c\n---\nkind: G0\n"},
		{"in the middle", "a: 1\n---\nb: 1\n", []int{0}, false, "a: 1\n---\nkind: G0\n---\nb: 1\n"},
		{"two", "a: 1\n---\nb: 1\n", []int{1, 0, 1}, false, "a: 1\n---\nkind: G1\n---\nb: 1\n---\nkind: G0\n---\nkind: G2\n"},
		{"before a document on the line of its marker", "a: 1\n--- {b: 1}\n", []int{0, 1}, true, "a: 1\nx: new\n---\nkind: G0\n--- {b: 1, x: new}\n---\nkind: G1\n"},
		{"no line break at the end", "a: 1", []int{0, 0}, true, "a: 1\nx: new\n---\nkind: G0\n---\nkind: G1"},
		{"CRLF", "a: 1\r\n---\r\nb: 1\r\n", []int{0, 1}, false, "a: 1\r\n---\r\nkind: G0\r\n---\r\nb: 1\r\n---\r\nkind: G1\r\n"},
		{"items of a List", "kind: List\napiVersion: v1\nitems:\n- kind: A\n- kind: B\nmore: 1\n", []int{0, 1}, false, "kind: List\napiVersion: v1\nitems:\n- kind: A\n- kind: B\nmore: 1\n---\nkind: G0\n---\nkind: G1\n"},
		{"items of a List with anchors", "kind: List\napiVersion: v1\nitems:\n- &a {kind: A}\n", []int{0}, false, "kind: List\napiVersion: v1\nitems:\n- &a {kind: A}\n---\nkind: G0\n"},
		{"end marker", "a: 1\n...\n", []int{0}, false, "a: 1\n---\nkind: G0\n...\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rs, err := Parse("in.yaml", []byte(tt.in))
			if err != nil {
				t.Fatal(err)
			}
			var added []Addition
			for i, b := range tt.behind {
				added = append(added, Addition{rs[b], []*Resource{fresh(fmt.Sprintf("G%d", i))}})
			}
			for _, r := range rs {
				if o := object(t, r); tt.update {
					o["x"] = "new"
					if err := r.Update(o); err != nil {
						t.Fatal(err)
					}
				}
			}
			got, err := Rewrite([]byte(tt.in), rs, added...)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, string(got)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
	rs, err := Parse("in.json", []byte(`{"kind": "A"}`))
	if err != nil {
		t.Fatal(err)
	}
	_, err = Rewrite([]byte(`{"kind": "A"}`), nil, Addition{rs[0], []*Resource{fresh("B")}})
	if want := "in.json:1: B can't follow A: a JSON file holds one document; write the file as YAML"; fmt.Sprint(err) != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestRewriteFaults(t *testing.T) {
	in := "kind: List\napiVersion: v1\nitems:\n- &a {kind: A}\n"
	rs, err := Parse("in.yaml", []byte(in))
	if err != nil {
		t.Fatal(err)
	}
	if err := rs[0].Update(Object{"kind": "A", "x": "y"}); err != nil {
		t.Fatal(err)
	}
	_, err = Rewrite([]byte(in), rs)
	if want := "in.yaml:4: A can't be changed in its place: it has no place of its own in the file, as with anchors in a List; write it as a document"; fmt.Sprint(err) != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// Whatever is changed, the file reads back as the changed resources.
func FuzzRewrite(f *testing.F) {
	for _, s := range []string{"a: 1\r\n# c\n---\rb: 2", "a: 1\n---\nb: 2\n", "# c\n---\na: |\n  x\n---\n# d\n", "kind: List\napiVersion: v1\nitems:\n- a: 1\n- {b: 2}\n", "--- {a: 1}\n--- # c\nb: 1\n...\n"} {
		f.Add(s, uint8(1))
		f.Add(s, uint8(3))
		f.Add(s, uint8(255))
	}
	f.Fuzz(func(t *testing.T, in string, which uint8) {
		rs, err := Parse("", []byte(in))
		if err != nil {
			return
		}
		var want []Object
		var added []Addition
		pending, end := 0, 0 // documents to add, behind the document that ends there
		for i, r := range rs {
			if r.docEnd != end {
				for ; pending > 0; pending-- {
					want = append(want, Object{"kind": "G"})
				}
				end = r.docEnd
			}
			o, err := r.Object()
			if err != nil {
				return
			}
			if which>>(i%8)&1 == 1 && !listKind(r.id.Kind) {
				o["x"] = "new"
				if err := r.Update(o); err != nil {
					t.Fatal(err)
				}
			}
			want = append(want, o)
			if which>>(i%5+3)&1 == 1 {
				g, err := New(Object{"kind": "G"})
				if err != nil {
					t.Fatal(err)
				}
				added = append(added, Addition{r, []*Resource{g}})
				pending++
			}
		}
		for ; pending > 0; pending-- {
			want = append(want, Object{"kind": "G"})
		}
		out, err := Rewrite([]byte(in), rs, added...)
		if errors.Is(err, errRewritten) {
			t.Fatalf("%v\n%q", err, in)
		}
		if err != nil {
			return
		}
		back, err := Parse("", out)
		if err != nil {
			t.Fatalf("%v\n%q\n%q", err, in, out)
		}
		var got []Object
		for _, r := range back {
			o, err := r.Object()
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, o)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatalf("(-want +got):\n%s\n%q\n%q", d, in, out)
		}
	})
}
