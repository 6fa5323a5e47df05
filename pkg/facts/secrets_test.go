package facts_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

func TestWatched(t *testing.T) {
	f := mustDocuments(t, `
apiVersion: v1
kind: Secret
metadata: {name: full, namespace: shop}
data: {a: eA==}
---
apiVersion: v1
kind: Secret
metadata: {name: texts, namespace: shop}
stringData: {a: x}
---
apiVersion: v1
kind: Secret
metadata: {name: empty, namespace: shop}
data: {}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: full, namespace: shop}
data: {a: x}
---
apiVersion: other.example.com/v1
kind: Secret
metadata: {name: full, namespace: shop}
data: {a: x}
---
apiVersion: oneloop.dev/v1alpha1
kind: ClusterFacts
spec:
  apiCalls:
  - {urlPath: /one, response: {apiVersion: v1, kind: Secret, metadata: {name: one}, data: {a: eA==}}}
  - {urlPath: /many, response: {kind: SecretList, items: [{metadata: {name: one}, data: {a: eA==}}, {metadata: {name: two}}]}}
  - {urlPath: /mixed, response: {kind: List, items: [{apiVersion: v1, kind: Secret, data: {a: eA==}}, {kind: ConfigMap, data: {a: b}}, text]}}
  - {urlPath: /text, response: Secret}
  globalContext:
    all: [{apiVersion: v1, kind: Secret, data: {a: eA==}}, {apiVersion: v1, kind: Secret, data: {b: eA==}}]
`)
	get := func(kind resource.Kind, name string) func(*facts.Facts) {
		return func(f *facts.Facts) {
			if _, ok, err := f.Get(resource.ID{Kind: kind, Namespace: "shop", Name: name}); !ok || err != nil {
				t.Errorf("%s %s: %v, %v", kind, name, ok, err)
			}
		}
	}
	call := func(path string) func(*facts.Facts) {
		return func(f *facts.Facts) {
			if _, ok := f.APICall("GET", path, nil); !ok {
				t.Errorf("%s is not there", path)
			}
		}
	}
	secret := resource.Kind{Version: "v1", Kind: "Secret"}
	for name, tt := range map[string]struct {
		read func(*facts.Facts)
		want int
	}{
		"with data":       {get(secret, "full"), 1},
		"with stringData": {get(secret, "texts"), 1},
		"without data":    {get(secret, "empty"), 0},
		"a ConfigMap":     {get(resource.Kind{Version: "v1", Kind: "ConfigMap"}, "full"), 0},
		"another group":   {get(resource.Kind{Group: "other.example.com", Version: "v1", Kind: "Secret"}, "full"), 0},
		"a list": {func(f *facts.Facts) {
			if _, err := f.List("", "Secret", "shop"); err != nil {
				t.Error(err)
			}
		}, 2},
		"an answer":           {call("/one"), 1},
		"a list as an answer": {call("/many"), 1},
		"a mixed list":        {call("/mixed"), 1},
		"a text":              {call("/text"), 0},
		"global context":      {func(f *facts.Facts) { f.GlobalContext("all") }, 2},
		"unwatched":           {func(f *facts.Facts) { get(secret, "full")(f.Unwatched()) }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			watched, secrets := f.Watched()
			tt.read(watched)
			tt.read(f) // tells nobody
			read := secrets.Read()
			if len(read) != tt.want {
				t.Errorf("read %v, want %d Secrets", read, tt.want)
			}
			for _, o := range read {
				if d := cmp.Diff("Secret", o["kind"]); d != "" {
					t.Error(d)
				}
			}
		})
	}
}
