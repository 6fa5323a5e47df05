package apply_test

import (
	"encoding/json"
	"testing"

	utiljson "k8s.io/apimachinery/pkg/util/json"

	"github.com/google/go-cmp/cmp"

	"github.com/oneloop-dev/oneloop/pkg/patch/apply"
)

// FuzzMerge merges anything into anything: nothing panics, the input stays as
// it is, faults have the same words twice, and merging the patch into the
// result changes nothing more.
func FuzzMerge(f *testing.F) {
	for _, seed := range [][2]string{
		{`{"apiVersion":"v1","kind":"Pod","spec":{"containers":[{"name":"a","env":[{"name":"x"},{"name":"x"}]}]}}`, `{"spec":{"containers":[{"name":"a","env":[{"name":"x","value":"1"}]}]}}`},
		{`{"apiVersion":"v1","kind":"Pod","spec":{"containers":[{"name":"a"},{"name":"b"}]}}`, `{"spec":{"containers":[{"name":"b"},{"name":"c","ports":[{"containerPort":1}]}]}}`},
		{`{"apiVersion":"apps/v1","kind":"Deployment","spec":{"x":1,"replicas":null}}`, `{"spec":{"a":1,"b":2}}`},
		{`{"apiVersion":"example.com/v1","kind":"Widget","spec":{"tags":["a","a"],"parts":[{"id":"a"}]}}`, `{"spec":{"tags":["b"],"parts":[{"id":"a","size":1.5}]}}`},
		{`{"apiVersion":"example.com/v1alpha1","kind":"Widget","spec":{"a":[1]}}`, `{"spec":{"a":{"b":[]}}}`},
		{`{"apiVersion":"other/v1","kind":"Unknown","metadata":{"labels":null}}`, `{"metadata":{"labels":{}}}`},
	} {
		f.Add([]byte(seed[0]), []byte(seed[1]))
	}
	s, err := apply.BuiltIn().With([]map[string]any{object(f, widgets)})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, liveText, patchText []byte) {
		var live, patch map[string]any
		if utiljson.Unmarshal(liveText, &live) != nil || utiljson.Unmarshal(patchText, &patch) != nil {
			return
		}
		before, _ := json.Marshal([]any{live, patch})
		k := kindOf(live)
		for _, merge := range []func() (map[string]any, error){
			func() (map[string]any, error) { return s.Merge(k, live, patch) },
			func() (map[string]any, error) { return s.MergeAtomics(k, live, patch) },
		} {
			got, err := merge()
			again, err2 := merge()
			if (err == nil) != (err2 == nil) || err != nil && err.Error() != err2.Error() {
				t.Fatalf("two runs give the errors\n%v\n%v", err, err2)
			}
			if diff := cmp.Diff(got, again); diff != "" {
				t.Fatalf("two runs differ:\n%s", diff)
			}
			if after, _ := json.Marshal([]any{live, patch}); string(after) != string(before) {
				t.Fatalf("the input was modified:\n%s\n%s", before, after)
			}
			if err != nil {
				continue
			}
			live = got
			if again, err = merge(); err != nil {
				t.Fatalf("the patch does not fit the result: %v", err)
			}
			if diff := cmp.Diff(got, again); diff != "" {
				t.Fatalf("merged again it changes (-once +twice):\n%s", diff)
			}
			var first map[string]any
			_ = utiljson.Unmarshal(liveText, &first)
			live = first
		}
	})
}

// FuzzShown shows anything and hides it again: nothing panics, and what comes
// back is what was written.
func FuzzShown(f *testing.F) {
	for _, seed := range []string{
		`{"apiVersion":"v1","kind":"Pod","status":null,"spec":{"containers":[{"name":"a"},{"name":"a","resources":{}},null,3]}}`,
		`{"apiVersion":"apps/v1","kind":"Deployment","spec":{"template":{"spec":{}},"strategy":[]}}`,
		`{"apiVersion":"v1","kind":"Node","status":{"nodeInfo":{},"images":[{}]}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var written map[string]any
		if utiljson.Unmarshal(text, &written) != nil || written == nil {
			return
		}
		before, _ := json.Marshal(written)
		k := kindOf(written)
		shown, err := apply.BuiltIn().Shown(k, written)
		if err != nil {
			t.Fatal(err)
		}
		hidden, err := apply.BuiltIn().Hidden(k, written, shown)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(written, hidden); diff != "" {
			t.Fatalf("shown and hidden (-written +got):\n%s", diff)
		}
		if _, err := apply.BuiltIn().Stored(k, written, shown); err != nil {
			t.Fatal(err)
		}
		if after, _ := json.Marshal(written); string(after) != string(before) {
			t.Fatalf("the input was modified:\n%s\n%s", before, after)
		}
	})
}
