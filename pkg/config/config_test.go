package config_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oneloop-dev/oneloop/pkg/config"
	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

func read(t *testing.T, text string) (*config.Spec, error) {
	t.Helper()
	docs, err := resource.Parse("fn.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return config.Read(docs[0])
}

// A ConfigMap says the same as ApplyPolicies, with each key as YAML text.
func TestBothFormsReadTheSame(t *testing.T) {
	want := &config.Spec{
		Mode:              "Validate",
		PolicyFiles:       []string{"policies/"},
		PoliciesFromItems: true,
		ClusterFacts:      facts.Spec{Operation: "UPDATE"},
		Images:            config.Images{Mode: "Resolve", Mirrors: map[string]string{"docker.io": "mirror.example"}},
		Network:           config.Network{Allow: []string{"ghcr.io"}},
		OnUnsupported:     "Warn",
		Results:           "None",
	}
	for name, text := range map[string]string{
		"ApplyPolicies": `
apiVersion: oneloop.dev/v1alpha1
kind: ApplyPolicies
metadata: {name: policies}
spec:
  mode: Validate
  policyFiles: [policies/]
  policiesFromItems: true
  clusterFacts: {operation: UPDATE}
  images: {mode: Resolve, mirrors: {docker.io: mirror.example}}
  network: {allow: [ghcr.io]}
  onUnsupported: Warn
  results: None
`,
		"ConfigMap": `
apiVersion: v1
kind: ConfigMap
metadata: {name: policies}
data:
  mode: Validate
  policyFiles: "[policies/]"
  policiesFromItems: "true"
  clusterFacts: |
    operation: UPDATE
  images: |
    mode: Resolve
    mirrors: {docker.io: mirror.example}
  network: "allow: [ghcr.io]"
  onUnsupported: Warn
  results: None
`,
	} {
		got, err := read(t, text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

func TestFaultsNameTheField(t *testing.T) {
	const head = "apiVersion: oneloop.dev/v1alpha1\nkind: ApplyPolicies\nmetadata: {name: policies}\n"
	const configMap = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: policies}\ndata:\n"
	for _, tt := range []struct {
		name, text string
		want       []string
	}{
		{"unknown field", head + "spec:\n  policyFile: [a]\n", []string{"fn.yaml:5", `spec.policyFile: unknown field "policyFile"; did you mean "policyFiles"?`}},
		{"wrong type", head + "spec:\n  policyFiles: a.yaml\n", []string{"fn.yaml:5", `spec.policyFiles: expected a list, found the string "a.yaml"`}},
		{"mode", head + "spec: {images: {mode: locked}}\n", []string{`spec.images.mode: expected Locked, LockedOrResolve, Resolve or Off, found "locked"`}},
		{"onUnsupported", head + "spec: {onUnsupported: Skip}\n", []string{`spec.onUnsupported: expected Error or Warn, found "Skip"`}},
		{"results", head + "spec: {results: All}\n", []string{`spec.results: expected Changes, Failures or None, found "All"`}},
		{"unknown key of a ConfigMap", configMap + "  policy: x\n", []string{`data.policy: unknown field "policy"`}},
		{"text of a ConfigMap", configMap + "  policies: \"[\"\n", []string{"data.policies: expected YAML text"}},
		{"two documents in a ConfigMap", configMap + "  policies: |\n    - a: b\n    ---\n    - c: d\n", []string{"data.policies: expected YAML text: expected one document"}},
		{"a key twice in a ConfigMap", configMap + "  images: |\n    mode: Off\n    mode: Locked\n", []string{"data.images: expected YAML text", "mode"}},
		{"all texts of a ConfigMap", configMap + "  images: \"[\"\n  policies: \"[\"\n", []string{"data.images", "data.policies"}},
		{"all faults", head + "spec: {mode: Fast, results: All}\n", []string{"spec.mode", "spec.results"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := read(t, tt.text)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %v\nwant an error with %q", err, want)
				}
			}
		})
	}
}
