package kyverno_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oneloop-dev/oneloop/pkg/digest"
	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/pipeline"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno"
)

// What a variable gives need not be UTF-8; what a patch writes has to be.
func TestVariablesThatAreNoText(t *testing.T) {
	const start = `
apiVersion: kyverno.io/v1
kind: ClusterPolicy
metadata: {name: p}
spec:
  rules:
  - name: r
    match: {any: [{resources: {kinds: [ConfigMap]}}]}
    mutate:
`
	for name, mutate := range map[string]string{
		"patchStrategicMerge": `
      patchStrategicMerge: {data: {out: "{{ base64_decode('/v9h') }}"}}`,
		"in a list and a text": `
      patchStrategicMerge: {data: {"o{{ to_lower('UT') }}": "{{ ['', base64_decode('/v9h')] | join('', @) }}"}}`,
		"patchesJson6902": `
      patchesJson6902: |-
        - {op: add, path: /data/out, value: "{{ base64_decode('/v9h') }}"}`,
		"foreach": `
      foreach:
      - list: "['/v9h']"
        patchStrategicMerge: {data: {out: "{{ base64_decode(element) }}"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			set, err := pipeline.Compile([]policy.Language{kyverno.Language}, parse(t, "policy.yaml", []byte(start+strings.TrimPrefix(mutate, "\n"))))
			if err != nil {
				t.Fatal(err)
			}
			in := parse(t, "in.yaml", []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {in: x}\n"))
			out, err := pipeline.Apply(t.Context(), in, pipeline.Options{Set: set, Facts: facts.New(), Digests: digest.None("test")})
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range out.Entries {
				if e.Err != nil {
					t.Fatal(e.Err)
				}
			}
			got, err := out.Resources[0].Object()
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]any{"in": "x", "out": "\uFFFD\uFFFDa"}
			if d := cmp.Diff(want, got["data"]); d != "" {
				t.Error(d)
			}
		})
	}
}
