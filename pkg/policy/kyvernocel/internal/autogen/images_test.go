package autogen

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oneloop-dev/oneloop/pkg/policy/internal/constraints"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyvernocel/internal/spec"
)

func TestIntoTemplate(t *testing.T) {
	for text, want := range map[string][2]string{ // for controllers and for CronJobs
		"object.spec.containers":                 {"object.spec.template.spec.containers", "object.spec.jobTemplate.spec.template.spec.containers"},
		"oldObject.spec.x":                       {"oldObject.spec.template.spec.x", "oldObject.spec.jobTemplate.spec.template.spec.x"},
		"object.metadata.labels":                 {"object.spec.template.metadata.labels", "object.spec.jobTemplate.spec.template.metadata.labels"},
		"has(object.metadata)":                   {"has(object.spec.template.metadata)", "has(object.spec.jobTemplate.spec.template.metadata)"},
		"object.metadata.namespace":              {"object.metadata.namespace", "object.metadata.namespace"},
		"object.metadata.namespace == 'a'":       {"object.metadata.namespace == 'a'", "object.metadata.namespace == 'a'"},
		"object.metadata.namespaceX":             {"object.spec.template.metadata.namespaceX", "object.spec.jobTemplate.spec.template.metadata.namespaceX"},
		"object.metadata.namespace_":             {"object.spec.template.metadata.namespace_", "object.spec.jobTemplate.spec.template.metadata.namespace_"},
		"object.metadata.name + object.spec.a":   {"object.spec.template.metadata.name + object.spec.template.spec.a", "object.spec.jobTemplate.spec.template.metadata.name + object.spec.jobTemplate.spec.template.spec.a"},
		"myobject.spec":                          {"myobject.spec.template.spec", "myobject.spec.jobTemplate.spec.template.spec"},
		"object.?spec.a":                         {"object.?spec.a", "object.?spec.a"},
		"images.containers.all(i, i.size() > 0)": {"images.containers.all(i, i.size() > 0)", "images.containers.all(i, i.size() > 0)"},
	} {
		if got := [2]string{intoTemplate(text, Defaults), intoTemplate(text, CronJobs)}; got != want {
			t.Errorf("%s:\n got %q\nwant %q", text, got, want)
		}
	}
}

// TestImages: all texts of a policy are rewritten, and nothing of the policy
// itself is changed.
func TestImages(t *testing.T) {
	policy := func() *spec.ImageValidatingSpec {
		return &spec.ImageValidatingSpec{
			MatchConstraints: &constraints.Resources{ResourceRules: []constraints.Rule{{APIGroups: []string{""}, APIVersions: []string{"v1"}, Operations: []string{"CREATE"}, Resources: []string{"pods"}}}},
			MatchConditions:  []spec.Expression{{Name: "c", Expression: "object.spec.a < 1"}},
			Variables:        []spec.Expression{{Name: "v", Expression: "object.metadata.labels"}},
			Images:           []spec.Expression{{Name: "i", Expression: "[object.spec.image]"}},
			Attestors:        []spec.Attestor{{Name: "a", Cosign: &spec.Cosign{Key: &spec.CosignKey{Expression: "object.spec.key"}}}},
			Validations:      []spec.Validation{{Expression: "object.spec.b", MessageExpression: "object.spec.c", Message: "set object.spec.d"}},
			Autogen:          &spec.ImageAutogen{PodControllers: &spec.PodControllers{Controllers: []string{"deployments", "jobsets.v1alpha2.jobset.x-k8s.io", "nonsense"}}},
		}
	}
	original := policy()
	got, err := Images(original)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(policy(), original); d != "" {
		t.Errorf("the policy was changed:\n%s", d)
	}
	want := policy()
	want.MatchConstraints.ResourceRules[0] = constraints.Rule{APIGroups: []string{"apps"}, APIVersions: []string{"v1"}, Operations: []string{"CREATE"}, Resources: []string{"deployments"}}
	want.MatchConditions[0].Expression = "object.spec.template.spec.a < 1"
	want.Variables[0].Expression = "object.spec.template.metadata.labels"
	want.Images[0].Expression = "[object.spec.template.spec.image]"
	want.Attestors[0].Cosign.Key.Expression = "object.spec.template.spec.key"
	want.Validations[0] = spec.Validation{Expression: "object.spec.template.spec.b", MessageExpression: "object.spec.template.spec.c", Message: "set object.spec.template.spec.d"}
	extracted := policy()
	extracted.MatchConstraints.ResourceRules[0] = constraints.Rule{APIGroups: []string{"jobset.x-k8s.io"}, APIVersions: []string{"v1alpha2"}, Operations: []string{"CREATE"}, Resources: []string{"jobsets"}}
	if d := cmp.Diff(map[Variant]*spec.ImageValidatingSpec{Defaults: want, Extracted: extracted}, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
