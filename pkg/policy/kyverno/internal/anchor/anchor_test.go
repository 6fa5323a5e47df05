package anchor

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/oneloop-dev/oneloop/pkg/resource"
	"github.com/oneloop-dev/oneloop/tests/bounds"
	"sigs.k8s.io/yaml"
)

func parse(t testing.TB, text string) map[string]any {
	t.Helper()
	data, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	return integers(m).(map[string]any)
}

func integers(v any) any {
	switch v := v.(type) {
	case float64:
		if n, err := strconv.ParseInt(strconv.FormatFloat(v, 'f', -1, 64), 10, 64); err == nil {
			return n
		}
	case map[string]any:
		for k, e := range v {
			v[k] = integers(e)
		}
	case []any:
		for i, e := range v {
			v[i] = integers(e)
		}
	}
	return v
}

func TestApply(t *testing.T) {
	tests := []struct{ name, object, patch, want string }{
		{"no anchors", "{spec: {a: 1}}", "{spec: {b: 2}}", "{spec: {a: 1, b: 2}}"},
		{"null deletes", "{spec: {a: 1}}", "{spec: {a: null}}", "{spec: {}}"},

		{"add, absent", "{spec: {}}", "{spec: {+(a): 1}}", "{spec: {a: 1}}"},
		{"add, present", "{spec: {a: 0}}", "{spec: {+(a): 1}}", "{spec: {a: 0}}"},
		{"add, null counts as present", "{spec: {a: null}}", "{spec: {+(a): 1}}", "{spec: {a: null}}"},
		{"add, no map above", "{}", "{spec: {x: {+(a): 1}}}", "{spec: {x: {a: 1}}}"},
		{"add, at the root", "{}", "{+(spec): {a: 1}}", "{spec: {a: 1}}"},
		{"add, a tree", "{spec: {}}", "{spec: {+(a): {b: [1], c: {d: x}}}}", "{spec: {a: {b: [1], c: {d: x}}}}"},
		{"add below add", "{spec: {}}", "{spec: {+(a): {+(b): 1}}}", "{spec: {a: {b: 1}}}"},

		{"condition holds", "{spec: {a: x, b: 1}}", "{spec: {(a): x, b: 2}}", "{spec: {a: x, b: 2}}"},
		{"condition fails", "{spec: {a: z, b: 1}}", "{spec: {(a): x, b: 2}}", "held"},
		{"condition on what is absent", "{spec: {b: 1}}", "{spec: {(a): '*', b: 2}}", "held"},
		{"condition holds back the whole patch", "{metadata: {name: n}, spec: {a: z}}", "{metadata: {labels: {x: z}}, spec: {(a): x}}", "held"},
		{"condition by wildcard", "{spec: {a: nginx:1.2}}", "{spec: {(a): 'nginx:*', b: 2}}", "{spec: {a: nginx:1.2, b: 2}}"},
		{"condition by alternatives", "{spec: {a: blue}}", "{spec: {(a): red|blue, b: 2}}", "{spec: {a: blue, b: 2}}"},
		{"condition by comparison", "{spec: {a: 3}}", "{spec: {(a): '>2 & <= 3', b: 2}}", "{spec: {a: 3, b: 2}}"},
		{"condition by number", "{spec: {a: 3}}", "{spec: {(a): 3, b: 2}}", "{spec: {a: 3, b: 2}}"},
		{"condition by quantity", "{spec: {a: 1024Mi}}", "{spec: {(a): '>= 1Gi', b: 2}}", "{spec: {a: 1024Mi, b: 2}}"},
		{"condition by range of durations", "{spec: {a: 90s}}", "{spec: {(a): 1m-2m, b: 2}}", "{spec: {a: 90s, b: 2}}"},
		{"condition by bool", "{spec: {a: true}}", "{spec: {(a): true, b: 2}}", "{spec: {a: true, b: 2}}"},
		{"condition on a map", "{spec: {a: {x: '1', z: '2'}}}", "{spec: {(a): {x: '1'}, b: 2}}", "{spec: {a: {x: '1', z: '2'}, b: 2}}"},
		{"condition on a list of scalars means each", "{spec: {a: [x1, x2]}}", "{spec: {(a): 'x*', b: 2}}", "{spec: {a: [x1, x2], b: 2}}"},
		{"condition on a list of scalars fails", "{spec: {a: [x1, z2]}}", "{spec: {(a): 'x*', b: 2}}", "held"},
		{"conditions add up", "{spec: {a: x, b: z}}", "{spec: {(a): x, (b): x, c: 1}}", "held"},
		{"condition deep down", "{spec: {a: {b: {c: x}}}}", "{spec: {a: {b: {(c): x, d: 1}}}}", "{spec: {a: {b: {c: x, d: 1}}}}"},
		{"quirk: anchors within a condition are fields afterwards, negation", "{spec: {a: {x: '1'}}}", "{spec: {(a): {X(z): ''}, b: 2}}", "{spec: {a: {x: '1', X(z): ''}, b: 2}}"},
		{"quirk: anchors within a condition are fields afterwards, equality", "{spec: {a: {x: '1'}}}", "{spec: {(a): {=(z): '2'}, b: 2}}", "{spec: {a: {x: '1', =(z): '2'}, b: 2}}"},
		{"quirk: anchors within a condition are fields afterwards, existence", "{spec: {a: {l: [{n: x}, {n: z}]}}}", "{spec: {(a): {^(l): [{n: z}]}, b: 2}}", "{spec: {a: {l: [{n: x}, {n: z}], ^(l): [{n: z}]}, b: 2}}"},

		{"global holds", "{spec: {a: x}}", "{spec: {<(a): x, b: 1}}", "{spec: {a: x, b: 1}}"},
		{"global fails", "{spec: {a: z}}", "{spec: {<(a): x, b: 1}}", "held"},
		{"global on an element", "{metadata: {name: n}, spec: {volumes: [{name: a}, {name: b, emptyDir: {}}]}}", "{metadata: {labels: {x: z}}, spec: {volumes: [{<(emptyDir): {}}]}}",
			"{metadata: {name: n, labels: {x: z}}, spec: {volumes: [{name: a}, {name: b, emptyDir: {}}]}}"},
		{"global on an element, none satisfies it", "{spec: {volumes: [{name: a}]}}", "{metadata: {labels: {x: z}}, spec: {volumes: [{<(emptyDir): {}}]}}", "held"},
		{"global on an element, no list", "{spec: {}}", "{metadata: {labels: {x: z}}, spec: {volumes: [{<(emptyDir): {}}]}}", "held"},
		{"quirk: global on an element of an empty list holds", "{spec: {volumes: []}}", "{metadata: {labels: {x: z}}, spec: {volumes: [{<(emptyDir): {}}]}}", "{metadata: {labels: {x: z}}, spec: {volumes: []}}"},

		{"condition selects elements", "{spec: {containers: [{name: a, image: 'x:latest'}, {name: b, image: 'x:1'}, {name: c, image: 'z:latest'}]}}", "{spec: {containers: [{(image): '*:latest', pull: Always}]}}",
			"{spec: {containers: [{name: a, image: 'x:latest', pull: Always}, {name: c, image: 'z:latest', pull: Always}, {name: b, image: 'x:1'}]}}"},
		{"condition selects no element", "{spec: {containers: [{name: a}]}}", "{metadata: {labels: {x: z}}, spec: {containers: [{(name): b, tty: true}]}}", "{metadata: {labels: {x: z}}, spec: {containers: [{name: a}]}}"},
		{"condition on elements of a list that is absent", "{spec: {}}", "{metadata: {labels: {x: z}}, spec: {containers: [{(name): b, tty: true}]}}", "{metadata: {labels: {x: z}}, spec: {}}"},
		{"selected elements, patched deep down", "{spec: {containers: [{name: a, r: {l: {m: 1}}}, {name: b}]}}", "{spec: {containers: [{(name): '*', r: {l: {+(m): 2, n: 3}}}]}}",
			"{spec: {containers: [{name: a, r: {l: {m: 1, n: 3}}}, {name: b, r: {l: {n: 3}}}]}}"},
		{"condition within an element", "{spec: {containers: [{name: a, s: {x: 1}}, {name: b, s: {x: 2}}]}}", "{spec: {containers: [{s: {(x): 1}, tty: true}]}}",
			"{spec: {containers: [{name: a, s: {x: 1}, tty: true}, {name: b, s: {x: 2}}]}}"},
		{"elements of lists within elements", "{spec: {containers: [{name: a, env: [{name: X, value: '1'}, {name: Z}]}]}}", "{spec: {containers: [{(name): '*', env: [{(name): X, value: '2'}]}]}}",
			"{spec: {containers: [{name: a, env: [{name: X, value: '2'}, {name: Z}]}]}}"},
		{"a plain element beside", "{spec: {containers: [{name: a}]}}", "{spec: {containers: [{name: b, image: i}]}}", "{spec: {containers: [{name: b, image: i}, {name: a}]}}"},
		{"elements with add only", "{spec: {containers: [{name: a}]}}", "{spec: {containers: [{+(tty): true}]}}", "{spec: {containers: [{name: a, tty: true}]}}"},
		{"quirk: an element without name is not patched, and deletes the others", "{spec: {containers: [{image: i}, {name: a, image: i}]}}", "{spec: {containers: [{(image): i, tty: true}]}}", "{spec: {containers: [{image: i}]}}"},
		{"conditions are taken out of a plain list element", "{spec: {volumes: [{name: v, configMap: {name: c}}]}}", "{spec: {volumes: [{name: v, configMap: {(name): c, x: 1}}]}}", "{spec: {volumes: [{name: v, configMap: {name: c, x: 1}}]}}"},

		{"quirk: what add came to for the first element holds for all, present", "{spec: {containers: [{name: a, pull: x}, {name: b}]}}", "{spec: {containers: [{(name): '*', +(pull): z}]}}", "{spec: {containers: [{name: a, pull: x}, {name: b}]}}"},
		{"quirk: what add came to for the first element holds for all, absent", "{spec: {containers: [{name: a}, {name: b, pull: x}]}}", "{spec: {containers: [{(name): '*', +(pull): z}]}}", "{spec: {containers: [{name: a, pull: z}, {name: b, pull: z}]}}"},
		{"quirk: empty maps are deleted from the patch", "{spec: {}}", "{spec: {securityContext: {}, volumes: [{name: v, emptyDir: {}}]}}", "{spec: {volumes: [{name: v}]}}"},
		{"quirk: a map whose condition holds more than conditions stays in the patch", "{spec: {a: {x: '1'}}}", "{spec: {(a): {x: '1'}, b: 2}}", "{spec: {a: {x: '1'}, b: 2}}"},
		{"quirk: the pattern of a map is merged", "{spec: {a: {x: foo}}}", "{spec: {(a): {x: 'f*'}, b: 2}}", "{spec: {a: {x: 'f*'}, b: 2}}"},
		{"quirk: a condition with add in it holds", "{spec: {a: {x: '1'}}}", "{spec: {(a): {+(z): 3, x: '2'}, b: 2}}", "{spec: {a: {x: '2', z: 3}, b: 2}}"},
		{"quirk: a condition on a map at the root keeps its parentheses", "{metadata: {name: n}}", "{(metadata): {name: n}, spec: {b: 2}}", "{metadata: {name: n}, (metadata): {name: n}, spec: {b: 2}}"},
		{"a condition on a scalar at the root", "{a: x}", "{(a): x, b: z}", "{a: x, b: z}"},
		{"quirk: other anchors are fields", "{spec: {a: 1}}", "{spec: {=(a): 1, X(b): 2, ^(c): 3}}", "{spec: {a: 1, =(a): 1, X(b): 2, ^(c): 3}}"},
		{"quirk: texts that look like conditions go from lists", "{spec: {args: [a]}}", "{spec: {args: ['(x)', z]}}", "{spec: {args: [z]}}"},
		{"quirk: a second element with anchors takes another element with it", "{spec: {containers: [{name: a1, image: x}, {name: b1, image: z}]}}", "{spec: {containers: [{(name): 'a*', pull: A}, {(name): 'b*', pull: B}]}}",
			"{spec: {containers: [{name: b1, pull: B}]}}"},
		{"quirk: a condition that fails still lets duplicates go", "{spec: {a: 1, volumes: [{name: v, x: 1}, {name: v, x: 2}]}}", "{spec: {(a): 2, b: 1}}", "{spec: {a: 1, volumes: [{name: v, x: 2}]}}"},
		{"quirk: the first of two fields counts", "{spec: {}}", "{spec: {+(a): 1, a: 2}}", "{spec: {a: 1}}"},
		{"quirk: space around an add leaves it a field", "{spec: {}}", "{spec: {' +(a)': 1}}", "{spec: {' +(a)': 1}}"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			read := func(text string) map[string]any {
				m := parse(t, text)
				m["apiVersion"], m["kind"] = "v1", "Pod"
				return m
			}
			object, patch := read(test.object), parse(t, test.patch)
			got, applied, err := Apply(resource.Kind{Version: "v1", Kind: "Pod"}, object, patch)
			if err != nil {
				t.Fatal(err)
			}
			if test.want == "held" {
				if applied || !identical(got, object) {
					t.Errorf("the patch was applied, want it held back:\n%v", got)
				}
				return
			}
			if !applied {
				t.Error("the patch was held back")
			}
			if diff := cmp.Diff(read(test.want), got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(read(test.object), object); diff != "" {
				t.Errorf("Apply modified the object (-before +after):\n%s", diff)
			}
			if diff := cmp.Diff(parse(t, test.patch), patch); diff != "" {
				t.Errorf("Apply modified the patch (-before +after):\n%s", diff)
			}
		})
	}
}

func TestApplyErrors(t *testing.T) {
	tests := []struct{ object, patch, want string }{
		{"{spec: {a: 1}}", "{spec: {a: {b: 1}}}", "spec.a: the patch has a map where the object has a number"},
		{"{spec: {a: {}}}", "{spec: {a: [{(x): 1}]}}", "spec.a: the patch has a list where the object has another type"},
		{"{spec: {containers: {}}}", "{spec: {containers: [{name: a}], +(b): 1}}", "spec.containers: the patch has a list where the object has another type"},
		{"{spec: {containers: [{name: c}]}}", "{spec: {containers: [{(name): a, x: 1}, {(name): b, x: 1}]}}",
			"spec.containers[1]: the patch has several elements with anchors, or empty ones, in one list, which makes Kyverno 1.19 crash; write one rule for each of them"},
		{"{spec: {}}", "{spec: {x: {+(a): 1, a: 2}}}", "spec.x.a: the patch sets the field twice, with an anchor and without; remove one of them"},
		{"{spec: {containers: [{name: a}, {name: b}]}}", "{spec: {containers: [{+(x): '1', x: false}, {}]}}",
			"spec.containers[1].x: the patch sets the field twice, with an anchor and without; remove one of them"},
		{"{spec: {a: 1}}", "{spec: {' (a)': 1}}", `spec.(a): there is space around the anchor; remove it`},
	}
	for _, test := range tests {
		got, applied, err := Apply(resource.Kind{Version: "v1", Kind: "Pod"}, parse(t, test.object), parse(t, test.patch))
		switch {
		case err == nil:
			t.Errorf("%s on %s gave %v, want an error", test.patch, test.object, got)
		case applied:
			t.Errorf("%s on %s failed, but says that it was applied", test.patch, test.object)
		case err.Error() != test.want:
			t.Errorf("%s on %s:\ngot  %s\nwant %s", test.patch, test.object, err, test.want)
		}
	}
}

// Each element of the outer list appends to the inner lists of all.
func TestAnchorsDoNotMultiply(t *testing.T) {
	var outer []any
	for i := range 3000 {
		outer = append(outer, map[string]any{"name": strconv.Itoa(i), "b": []any{map[string]any{"name": "x"}}})
	}
	object := map[string]any{"a": outer}
	patch := parse(t, `{"a": [{"(name)": "*", "b": [{"(name)": "*", "v": 1}]}]}`)
	_, _, err := Apply(resource.Kind{Version: "v1", Kind: "Own"}, object, patch)
	if err == nil || !strings.Contains(err.Error(), "a[0]: the anchors make more than 2097152 values") {
		t.Errorf("got %v", err)
	}
}

func FuzzApply(f *testing.F) {
	f.Add(`{"spec":{"containers":[{"name":"a"},{"name":"b"}]}}`, `{"spec":{"containers":[{"(name)":"a*","+(x)":{"y":1}},{"<(name)":"b"}]}}`)
	f.Add(`{"metadata":{"labels":{"a":"b"}}}`, `{"(metadata)":{"labels":{"a?":"b","X(c)":""}}," +(a)":{},"^(l)":[[{}]]}`)
	f.Add(`{"a":[[{"b":1}],2]}`, `{"a":[{"(b)":[{"=(c)":1}]},[{"(b)":null}],"(x)"],"+((b))":1}`)
	f.Add(`{"a":[{"name":"1","b":[{"name":"x"},{"name":"y"}]},{"name":"2","b":[{"name":"x"}]}]}`, `{"a":[{"(name)":"*","b":[{"(name)":"*","c":[{"(name)":"?*"}]}]}]}`)
	f.Add(`{"a":[{"name":"1","n":5,"t":"1Gi"}]}`, `{"a":[{"<(n)":"1-9","(t)":">1Mi & !2Gi","+(x)":{"+(y)":1},"$patch":"delete"},{"$setElementOrder/a":[],"$retainKeys":[]}]}`)
	f.Fuzz(func(t *testing.T, object, patch string) {
		var o, p map[string]any
		if json.Unmarshal([]byte(object), &o) != nil || json.Unmarshal([]byte(patch), &p) != nil || o == nil || p == nil {
			return
		}
		integers(o)
		integers(p)
		beforeObject, _ := json.Marshal(o)
		beforePatch, _ := json.Marshal(p)
		bounds.Hold(t)
		out, applied, err := Apply(resource.Kind{Version: "v1", Kind: "Pod"}, o, p)
		afterObject, _ := json.Marshal(o)
		afterPatch, _ := json.Marshal(p)
		if !bytes.Equal(beforeObject, afterObject) || !bytes.Equal(beforePatch, afterPatch) {
			t.Error("Apply modified its input")
		}
		if err == nil && !applied && !identical(out, o) || err != nil && applied {
			t.Errorf("applied %v, error %v, output %v", applied, err, out)
		}
	})
}
