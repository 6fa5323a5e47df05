package differential

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/oneloop-dev/oneloop/pkg/builtin"
	"github.com/oneloop-dev/oneloop/pkg/pipeline"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// TestVetEqualsKyverno puts each rule of the policies that vet is tested with
// before Kyverno's webhook: it refuses those, and no others, of which vet says
// that Kyverno refuses them.
func TestVetEqualsKyverno(t *testing.T) {
	files, err := filepath.Glob("../../../pkg/policy/kyverno/testdata/vet/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	refused, accepted := 0, 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		docs, err := resource.Parse(filepath.Base(file), text)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range docs {
			if kind := d.ID().Kind; kind.Group != "kyverno.io" || kind.Kind != "ClusterPolicy" {
				continue
			}
			o, err := d.Object()
			if err != nil {
				t.Fatal(err)
			}
			if spec, ok := o["spec"].(map[string]any); ok {
				delete(spec, "webhookConfiguration") // without a cluster Kyverno crashes on match conditions
			}
			for _, p := range ruleByRule(o) {
				by := vetRefuses(t, p)
				kyverno, err := kyvernoPolicy(p)
				if err == nil {
					err = validate(kyverno)
				}
				if len(ruleName(p)) > 63 && err == nil {
					err = errors.New("the schema of its API allows no such name")
				}
				name := fmt.Sprintf("%s: %s", d.Origin(), ruleName(p))
				switch {
				case err != nil && len(by) == 0:
					t.Errorf("%s: Kyverno refuses it, and vet does not say so: %v", name, err)
				case err == nil && len(by) > 0:
					t.Errorf("%s: Kyverno accepts it, and vet says %q", name, by)
				case err != nil:
					refused++
				default:
					accepted++
				}
			}
		}
	}
	t.Logf("%d rules refused by both, %d accepted by both", refused, accepted)
	if refused == 0 || accepted == 0 {
		t.Error("one of the two never happens")
	}
}

// ruleByRule splits a policy into one for each name of a rule.
func ruleByRule(o map[string]any) []map[string]any {
	spec, _ := o["spec"].(map[string]any)
	rules, _ := spec["rules"].([]any)
	var names []string
	for _, r := range rules {
		if n := fmt.Sprint(r.(map[string]any)["name"]); !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	var out []map[string]any
	for _, n := range names {
		p := clone(o).(map[string]any)
		p["spec"].(map[string]any)["rules"] = slices.DeleteFunc(clone(rules).([]any), func(r any) bool { return fmt.Sprint(r.(map[string]any)["name"]) != n })
		out = append(out, p)
	}
	return out
}

func ruleName(p map[string]any) string {
	rules := p["spec"].(map[string]any)["rules"].([]any)
	return fmt.Sprint(rules[0].(map[string]any)["name"])
}

// clone copies a value with all that is below it.
func clone(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, e := range v {
			out[k] = clone(e)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = clone(e)
		}
		return out
	}
	return v
}

// vetRefuses returns what vet says that Kyverno refuses.
func vetRefuses(t *testing.T, p map[string]any) []string {
	t.Helper()
	r, err := resource.New(p)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range pipeline.Vet(builtin.Languages, []*resource.Resource{r}) {
		if f.Check == policy.Rejected {
			out = append(out, f.Message)
		}
	}
	return out
}
