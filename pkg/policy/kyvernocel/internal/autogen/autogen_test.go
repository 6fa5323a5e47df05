package autogen

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oneloop-dev/oneloop/pkg/policy/internal/constraints"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyvernocel/internal/spec"
)

func pods() *constraints.Resources {
	return &constraints.Resources{ResourceRules: []constraints.Rule{{
		APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}, Operations: []string{"CREATE"},
	}}}
}

func TestPossible(t *testing.T) {
	some := &constraints.Selector{MatchLabels: map[string]string{"a": "b"}}
	for name, tt := range map[string]struct {
		change func(*constraints.Resources)
		want   bool
	}{
		"pods":                  {func(*constraints.Resources) {}, true},
		"a namespace selector":  {func(m *constraints.Resources) { m.NamespaceSelector = some }, true},
		"an empty selector":     {func(m *constraints.Resources) { m.ObjectSelector = &constraints.Selector{} }, true},
		"an object selector":    {func(m *constraints.Resources) { m.ObjectSelector = some }, false},
		"names":                 {func(m *constraints.Resources) { m.ResourceRules[0].ResourceNames = []string{"a"} }, false},
		"an exclusion":          {func(m *constraints.Resources) { m.ExcludeResourceRules = m.ResourceRules }, false},
		"two rules":             {func(m *constraints.Resources) { m.ResourceRules = append(m.ResourceRules, m.ResourceRules[0]) }, false},
		"other resources":       {func(m *constraints.Resources) { m.ResourceRules[0].Resources = []string{"pods", "services"} }, false},
		"subresources":          {func(m *constraints.Resources) { m.ResourceRules[0].Resources = []string{"pods/binding"} }, false},
		"all versions":          {func(m *constraints.Resources) { m.ResourceRules[0].APIVersions = []string{"*"} }, false},
		"all groups":            {func(m *constraints.Resources) { m.ResourceRules[0].APIGroups = []string{"*"} }, false},
		"without operations":    {func(m *constraints.Resources) { m.ResourceRules[0].Operations = nil }, false},
		"two versions":          {func(m *constraints.Resources) { m.ResourceRules[0].APIVersions = []string{"v1", "v2"} }, false},
		"a scope is not looked": {func(m *constraints.Resources) { m.ResourceRules[0].Scope = "Namespaced" }, true},
	} {
		m := pods()
		tt.change(m)
		if got := Possible(m); got != tt.want {
			t.Errorf("%s: %t", name, got)
		}
	}
	if Possible(nil) {
		t.Error("no constraints")
	}
}

func TestTargets(t *testing.T) {
	rule := func(group, version string, resources ...string) constraints.Rule {
		return constraints.Rule{APIGroups: []string{group}, APIVersions: []string{version}, Resources: resources, Operations: []string{"CREATE"}}
	}
	match := func(rules ...constraints.Rule) *constraints.Resources {
		return &constraints.Resources{ResourceRules: rules}
	}
	for name, tt := range map[string]struct {
		chosen []string
		want   map[Variant]*constraints.Resources
	}{
		"all": {nil, map[Variant]*constraints.Resources{
			Defaults: match(rule("apps", "v1", "daemonsets", "deployments", "replicasets", "statefulsets"), rule("batch", "v1", "jobs")),
			CronJobs: match(rule("batch", "v1", "cronjobs")),
		}},
		"none":    {[]string{}, map[Variant]*constraints.Resources{}},
		"unknown": {[]string{"jobsets", "a..b"}, map[Variant]*constraints.Resources{}},
		"some": {[]string{"jobs", "deployments", "jobs"}, map[Variant]*constraints.Resources{
			Defaults: match(rule("apps", "v1", "deployments"), rule("batch", "v1", "jobs")),
		}},
		"custom": {[]string{"jobsets.v1alpha2.jobset.x-k8s.io", "cronjobs"}, map[Variant]*constraints.Resources{
			CronJobs:  match(rule("batch", "v1", "cronjobs")),
			Extracted: match(rule("jobset.x-k8s.io", "v1alpha2", "jobsets")),
		}},
	} {
		if d := cmp.Diff(tt.want, Targets(pods(), tt.chosen)); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

func TestRewrite(t *testing.T) {
	for _, tt := range []struct{ name, expression, defaults, cronjobs string }{
		{
			"a construction",
			`Object{spec: Object.spec{dnsPolicy: "None"}}`,
			`Object{spec: Object.spec{template: Object.spec.template{spec: Object.spec.template.spec{dnsPolicy: "None"}}}}`,
			`Object{spec: Object.spec{jobTemplate: Object.spec.jobTemplate{spec: Object.spec.jobTemplate.spec{template: Object.spec.jobTemplate.spec.template{spec: Object.spec.jobTemplate.spec.template.spec{dnsPolicy: "None"}}}}}}`,
		},
		{
			"a condition", `has(object.spec.x) && object.metadata.labels.a == "b" && oldObject.metadata.annotations.c == object.metadata.name`,
			`has(object.spec.template.spec.x) && object.spec.template.metadata.labels.a == "b" && oldObject.spec.template.metadata.annotations.c == object.metadata.name`,
			`has(object.spec.jobTemplate.spec.template.spec.x) && object.spec.jobTemplate.spec.template.metadata.labels.a == "b" && oldObject.spec.jobTemplate.spec.template.metadata.annotations.c == object.metadata.name`,
		},
		{
			"optional fields, metadata as a whole and what only begins so",
			`object.?spec.x == object.metadata && object.specials && myobject.spec && x.object.spec`,
			`object.?spec.x == object.metadata && object.spec.template.specials && myobject.spec && x.object.spec.template.spec`,
			`object.?spec.x == object.metadata && object.spec.jobTemplate.spec.template.specials && myobject.spec && x.object.spec.jobTemplate.spec.template.spec`,
		},
		{
			"metadata of a construction is not rewritten before its labels",
			"  Object {metadata: Object.metadata{labels: Object.metadata.labels{a: \"b\"}}} ",
			`Object{spec: Object.spec{template: Object.spec.template{metadata: Object.metadata{labels: Object.spec.template.metadata.labels{a: "b"}}}}}`,
			`Object{spec: Object.spec{jobTemplate: Object.spec.jobTemplate{spec: Object.spec.jobTemplate.spec{template: Object.spec.jobTemplate.spec.template{metadata: Object.metadata{labels: Object.spec.jobTemplate.spec.template.metadata.labels{a: "b"}}}}}}}`,
		},
		{"what does not begin with a construction", `true ? Object{} : Object{}`, `true ? Object{} : Object{}`, `true ? Object{} : Object{}`},
		{"an empty one", `Object{}`, `Object{}`, `Object{}`},
		{"one without end", `Object{a: 1`, `Object{a: 1`, `Object{a: 1`},
		{"another name", `Objects{a: 1}`, `Objects{a: 1}`, `Objects{a: 1}`},
		{
			"braces in texts are counted", `Object{a: "}"}`,
			`Object{spec: Object.spec{template: Object.spec.template{a: "}}}"}`,
			`Object{spec: Object.spec{jobTemplate: Object.spec.jobTemplate{spec: Object.spec.jobTemplate.spec{template: Object.spec.jobTemplate.spec.template{a: "}}}}}"}`,
		},
	} {
		if d := cmp.Diff(tt.defaults, rewrite(tt.expression, Defaults)); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, d)
		}
		if d := cmp.Diff(tt.cronjobs, rewrite(tt.expression, CronJobs)); d != "" {
			t.Errorf("%s, cronjobs (-want +got):\n%s", tt.name, d)
		}
	}
}

// Variables and JSON patches are not rewritten: so does Kyverno.
func TestMutatingLeavesVariablesAndJSONPatches(t *testing.T) {
	s := &spec.MutatingSpec{
		MatchConstraints: pods(),
		Variables:        []spec.Expression{{Name: "a", Expression: "object.spec"}},
		MatchConditions:  []spec.Expression{{Name: "a", Expression: "object.spec.a"}},
		Mutations: []spec.Mutation{
			{PatchType: "JSONPatch", JSONPatch: &spec.Patch{Expression: "object.spec"}},
			{PatchType: "ApplyConfiguration", ApplyConfiguration: &spec.Patch{Expression: "object.spec"}},
		},
	}
	got := Mutating(s)[Defaults]
	want := *s
	want.MatchConstraints = Targets(pods(), nil)[Defaults]
	want.MatchConditions = []spec.Expression{{Name: "a", Expression: "object.spec.template.spec.a"}}
	want.Mutations = []spec.Mutation{
		{PatchType: "JSONPatch", JSONPatch: &spec.Patch{Expression: "object.spec"}},
		{PatchType: "ApplyConfiguration", ApplyConfiguration: &spec.Patch{Expression: "object.spec.template.spec"}},
	}
	if d := cmp.Diff(&want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if s.MatchConditions[0].Expression != "object.spec.a" {
		t.Error("the policy itself was changed")
	}
}
