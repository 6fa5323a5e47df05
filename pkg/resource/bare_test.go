package resource

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
)

func TestBareTexts(t *testing.T) {
	for _, tt := range []struct{ name, text, want, bare string }{
		{
			"every text of metadata",
			"apiVersion: v1\nkind: A\nmetadata:\n  name: y\n  namespace: No\n  generateName: on\n  labels: {x: n, z: a}\n  annotations:\n    k: yes\n",
			"map[annotations:map[k:yes] generateName:on labels:map[x:n z:a] name:y namespace:No]",
			"[metadata.name metadata.namespace metadata.generateName metadata.labels.x metadata.annotations.k]",
		},
		{
			"what every reader takes for a boolean, and other fields",
			"apiVersion: v1\nkind: A\nmetadata:\n  name: \"y\"\n  labels: {x: true, z: False}\n  paused: on\n",
			"map[labels:map[x:true z:false] name:y paused:true]",
			"[]",
		},
		{
			"an item of a list",
			"apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: A\n  metadata:\n    name: off\n",
			"map[name:off]",
			"[metadata.name]",
		},
		{ // yaml/v3 reads it
			"beside an anchor",
			"apiVersion: v1\nkind: A\nmetadata:\n  name: y\n  labels: {x: n}\nspec: [&a b, *a]\n",
			"map[labels:map[x:n] name:y]",
			"[]",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := parseOne(t, tt.text)
			o, err := r.Object()
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(o["metadata"]); got != tt.want {
				t.Errorf("metadata is %s, want %s", got, tt.want)
			}
			if got := fmt.Sprint(r.BareTexts()); got != tt.bare {
				t.Errorf("bare: %s, want %s", got, tt.bare)
			}
		})
	}
}

// A change elsewhere leaves a bare word as it is written.
func TestUpdateKeepsBareTexts(t *testing.T) {
	r := parseOne(t, "apiVersion: v1\nkind: A\nmetadata:\n  name: y\n  labels:\n    x: n\n")
	o, err := r.Object()
	if err != nil {
		t.Fatal(err)
	}
	o["metadata"].(map[string]any)["labels"].(map[string]any)["z"] = "y"
	if err := r.Update(o); err != nil {
		t.Fatal(err)
	}
	want := "apiVersion: v1\nkind: A\nmetadata:\n  name: y\n  labels:\n    x: n\n    z: \"y\"\n"
	if d := cmp.Diff(want, r.text); d != "" {
		t.Error(d)
	}
}

func TestBareWord(t *testing.T) {
	r := parseOne(t, "apiVersion: v1\nkind: A\nmetadata: {name: a}\nspec:\n- name: n\n- name: false\n- name: \"y\"\n- name: a\n")
	for i, want := range []string{"n true", " false", " false", " false", " false"} {
		word, ok := r.BareWord(fieldpath.Path{}.Key("spec").Index(i).Key("name"))
		if got := fmt.Sprint(word, " ", ok); got != want {
			t.Errorf("%d: got %q, want %q", i, got, want)
		}
	}
}
