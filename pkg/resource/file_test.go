package resource

import (
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
	if want := "in.yaml:4: A/ can't be changed in its place: it has no place of its own in the file"; fmt.Sprint(err) != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// Whatever is changed, the file reads back as the changed resources.
func FuzzRewrite(f *testing.F) {
	for _, s := range []string{"a: 1\n---\nb: 2\n", "# c\n---\na: |\n  x\n---\n# d\n", "kind: List\napiVersion: v1\nitems:\n- a: 1\n- {b: 2}\n", "--- {a: 1}\n--- # c\nb: 1\n...\n"} {
		f.Add(s, uint8(1))
		f.Add(s, uint8(3))
	}
	f.Fuzz(func(t *testing.T, in string, which uint8) {
		rs, err := Parse("", []byte(in))
		if err != nil {
			return
		}
		var want []Object
		for i, r := range rs {
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
		}
		out, err := Rewrite([]byte(in), rs)
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
