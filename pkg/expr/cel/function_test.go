package cel_test

import (
	"slices"
	"testing"

	"github.com/oneloop-dev/oneloop/pkg/expr/cel"
)

func TestFunctions(t *testing.T) {
	env, err := cel.New(cel.WithPatches())
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	for _, f := range env.Functions() {
		got[f.Name] = f.Signatures
	}
	for name, want := range map[string]string{
		"find":                "string.find(string) string",
		"quantity":            "quantity(string) kubernetes.Quantity",
		"jsonpatch.escapeKey": "jsonpatch.escapeKey(string) string",
		"size":                "list(A).size() int",
	} {
		if !slices.Contains(got[name], want) {
			t.Errorf("%s: %q lacks %q", name, got[name], want)
		}
	}
	for _, name := range []string{"_+_", "@in", "resource.Get"} {
		if got[name] != nil {
			t.Errorf("%s is no function of this environment", name)
		}
	}
}
