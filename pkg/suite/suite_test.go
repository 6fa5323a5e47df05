package suite_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/oneloop-dev/oneloop/pkg/digest"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno"
	"github.com/oneloop-dev/oneloop/pkg/resource"
	"github.com/oneloop-dev/oneloop/pkg/suite"
)

func TestReadOlderSpellings(t *testing.T) {
	const head = "apiVersion: cli.kyverno.io/v1alpha1\nkind: Test\nmetadata: {name: s}\n"
	for _, tt := range []struct {
		name, text string
		want       suite.Expectation
		warnings   []string
	}{
		{
			"as today", head + "results:\n- {policy: p, rule: r, kind: Pod, resources: [a, ns/b], result: pass, operation: UPDATE}\n",
			suite.Expectation{Policy: "p", Rule: "r", Kind: "Pod", Resources: []string{"a", "ns/b"}, Want: "pass", Operation: "UPDATE", Line: 5},
			nil,
		},
		{
			"name, status, resource", "name: s\nresults:\n- {policy: p, rule: r, resource: a, status: fail}\n",
			suite.Expectation{Policy: "p", Rule: "r", Resources: []string{"a"}, Want: "fail", Line: 3},
			[]string{"apiVersion", "metadata.name for name", "result for status", "resources: [a] for resource"},
		},
		{
			"namespace goes before every name without one", head + "results:\n- {policy: p, namespace: ns, resources: [a, other/b], resource: c, result: skip}\n",
			suite.Expectation{Policy: "p", Resources: []string{"ns/a", "other/b", "ns/c"}, Want: "skip", Line: 5},
			[]string{"resources: [c] for resource", "resources: [ns/NAME] for namespace"},
		},
		{
			"result goes before status", head + "results:\n- {policy: p, result: skip, status: pass}\n",
			suite.Expectation{Policy: "p", Want: "skip", Line: 5},
			[]string{"result for status"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			suites, err := suite.Read("t.yaml", []byte(tt.text))
			if err != nil || len(suites) != 1 || len(suites[0].Expectations) != 1 {
				t.Fatalf("got %v, %v; want one suite with one expectation", suites, err)
			}
			s := suites[0]
			if d := cmp.Diff(tt.want, s.Expectations[0], cmp.FilterPath(unexported, cmp.Ignore())); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			if s.Name != "s" || len(s.Warnings) != len(tt.warnings) {
				t.Fatalf("name %q, warnings %q; want s and %d warnings", s.Name, s.Warnings, len(tt.warnings))
			}
			for i, w := range tt.warnings {
				if !strings.Contains(s.Warnings[i], w) {
					t.Errorf("warning %q, want it to have %q", s.Warnings[i], w)
				}
			}
		})
	}
}

func unexported(p cmp.Path) bool {
	f, ok := p.Last().(cmp.StructField)
	return ok && strings.ToLower(f.Name()[:1]) == f.Name()[:1]
}

func TestReadFaults(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"", "t.yaml: expected a document of kind Test, found an empty file"},
		{"kind: Test\npolicys: []\n", `t.yaml:2: at policys: unknown field "policys"; did you mean "policies"?`},
		{"kind: Pod\napiVersion: v1\n", "t.yaml:1: expected a document of kind Test, found v1/Pod"},
		{"- a\n", "t.yaml:1: "},
		{"results:\n- {policy: p, result: Pass}\n", `t.yaml:2: at results[0]: expected one of pass, fail, skip, warn, error in result, found "Pass"`},
		{"results:\n- {result: pass}\n", "t.yaml:2: at results[0]: expected the name of a policy in policy, found none"},
		{"results:\n- {policy: p, result: pass, resources: a}\n", "t.yaml:2: at results[0].resources: expected a list, found the string"},
		{"results: [\n", "t.yaml:"},
	} {
		suites, err := suite.Read("t.yaml", []byte(tt.text))
		if err == nil || len(suites) > 0 || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%q: got %v, %v; want the error %s", tt.text, suites, err, tt.want)
		}
	}
}

func TestReadGoesOnAfterABrokenDocument(t *testing.T) {
	suites, err := suite.Read("t.yaml", []byte("kind: Pod\n---\nmetadata: {name: second}\nresults: []\n"))
	if err == nil || len(suites) != 1 || suites[0].Name != "second" || suites[0].Origin.Line != 3 {
		t.Errorf("got %v, %v; want the second document and an error about the first", suites, err)
	}
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"kyverno-test.yaml", "b/.hidden/kyverno-test.yaml", "a/kyverno-test.yaml", ".git/kyverno-test.yaml", "a/other.yaml"} {
		write(t, filepath.Join(dir, name), "")
	}
	got, err := suite.Find([]string{dir, filepath.Join(dir, "a", "other.yaml"), filepath.Join(dir, "a")}, suite.DefaultName)
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range got {
		got[i], _ = filepath.Rel(dir, name)
	}
	want := []string{"a/kyverno-test.yaml", "b/.hidden/kyverno-test.yaml", "kyverno-test.yaml", "a/other.yaml"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	for _, arg := range []string{"https://example.com/a.git", "git@example.com:a.git", filepath.Join(dir, "b", "none"), t.TempDir()} {
		if got, err := suite.Find([]string{arg}, suite.DefaultName); err == nil {
			t.Errorf("%s: got %v, want an error", arg, got)
		}
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// run runs the suite of an archive and prints each verdict in one line.
func run(t *testing.T, archive string, opts suite.Options) []string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range txtar.Parse([]byte(archive)).Files {
		write(t, filepath.Join(dir, f.Name), string(f.Data))
	}
	suites, err := suite.Open(filepath.Join(dir, suite.DefaultName))
	if err != nil {
		t.Fatal(err)
	}
	opts.Languages, opts.Digests = []policy.Language{kyverno.Language}, digest.None("test")
	var out []string
	for _, s := range suites {
		r := s.Run(t.Context(), opts)
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		for _, v := range r.Verdicts {
			out = append(out, fmt.Sprintf("%s %s: %s: %s", v.Rule, v.Place(), v.Status, v.Reason))
		}
	}
	return out
}

// files are what the suites below have in common.
const files = `
-- policy.yaml --
apiVersion: kyverno.io/v1
kind: ClusterPolicy
metadata: {name: p}
spec:
  rules:
  - name: label
    match: {any: [{resources: {kinds: [Pod]}}]}
    mutate: {patchStrategicMerge: {metadata: {labels: {+(team): shop}}}}
  - name: check
    match: {any: [{resources: {kinds: [Pod]}}]}
    validate: {message: m, pattern: {metadata: {name: "?*"}}}
---
apiVersion: kyverno.io/v1
kind: Policy
metadata: {name: q, namespace: a}
spec:
  rules:
  - name: label
    match: {any: [{resources: {kinds: [Pod]}}]}
    mutate: {patchStrategicMerge: {metadata: {labels: {q: a}}}}
---
apiVersion: kyverno.io/v1
kind: Policy
metadata: {name: q, namespace: b}
spec:
  rules:
  - name: label
    match: {any: [{resources: {kinds: [Pod]}}]}
    preconditions: {all: [{key: "{{ request.operation }}", operator: Equals, value: UPDATE}]}
    mutate: {patchStrategicMerge: {metadata: {labels: {q: b}}}}
-- resources.yaml --
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: a}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: b, labels: {team: bank}}
---
apiVersion: v1
kind: Pod
metadata: {name: web}
---
apiVersion: v1
kind: Service
metadata: {name: web}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: site}
spec: {template: {spec: {containers: []}}}
`

func TestJudge(t *testing.T) {
	const head = "-- kyverno-test.yaml --\npolicies: [policy.yaml]\nresources: [resources.yaml]\nresults:\n"
	for _, tt := range []struct {
		name, results string
		opts          suite.Options
		want          []string
	}{
		{
			"a name is that of every resource of the kind",
			"- {policy: p, rule: label, kind: Pod, resources: [web], result: pass}\n", suite.Options{},
			[]string{"label v1/Pod/a/web: pass: Ok", "label v1/Pod/b/web: fail: Want pass, got skip", "label v1/Pod/default/web: pass: Ok"},
		},
		{
			"without a kind it is that of every resource",
			"- {policy: p, rule: label, resources: [default/web], result: pass}\n", suite.Options{},
			[]string{"label v1/Pod/default/web: pass: Ok", "label v1/Service/default/web: excluded: Excluded"},
		},
		{
			"a kind that no resource of the name has does not matter",
			"- {policy: p, rule: label, kind: Pod, resources: [site], result: pass}\n", suite.Options{},
			[]string{"autogen-label apps/v1/Deployment/default/site: pass: Ok"},
		},
		{
			"without a name, all resources",
			"- {policy: q, rule: label, result: skip}\n", suite.Options{},
			[]string{
				"label v1/Pod/a/web: fail: Want skip, got pass", "label v1/Pod/b/web: pass: Ok", "label v1/Pod/default/web: pass: Excluded",
				"label v1/Service/default/web: pass: Excluded", "label apps/v1/Deployment/default/site: pass: Excluded",
			},
		},
		{
			"a policy is named with its namespace, or without",
			"- {policy: b/q, rule: label, resources: [a/web], result: pass}\n- {policy: q, rule: label, resources: [a/web], result: pass}\n- {policy: c/q, rule: label, resources: [a/web], result: pass}\n",
			suite.Options{},
			[]string{"label v1/Pod/a/web: excluded: Excluded", "label v1/Pod/a/web: pass: Ok", "label v1/Pod/a/web: pass: Ok"},
		},
		{
			"an operation is that of one result",
			"- {policy: b/q, rule: label, resources: [b/web], operation: UPDATE, result: pass}\n- {policy: b/q, rule: label, resources: [b/web], result: skip}\n",
			suite.Options{},
			[]string{"label v1/Pod/b/web: pass: Ok", "label v1/Pod/b/web: pass: Ok"},
		},
		{
			"without a rule, all of them",
			"- {policy: p, resources: [a/web], result: pass}\n", suite.Options{},
			[]string{"label v1/Pod/a/web: pass: Ok", " v1/Pod/a/web: not evaluated: Not evaluated"},
		},
		{
			"a name that nothing has is told, and all resources are judged",
			"- {policy: p, rule: label, resources: [wep, wob], result: skip}\n", suite.Options{},
			[]string{
				"label wep: excluded: No such resource", "label wob: excluded: No such resource", "label v1/Pod/a/web: fail: Want skip, got pass",
				"label v1/Pod/b/web: pass: Ok", "label v1/Pod/default/web: fail: Want skip, got pass",
				"label v1/Service/default/web: pass: Excluded", "autogen-label apps/v1/Deployment/default/site: fail: Want skip, got pass",
			},
		},
		{
			"resourceSpecs",
			"- {policy: p, rule: label, resourceSpecs: [{version: v1, kind: Pod, namespace: a, name: web}, {group: apps, version: v1, name: nobody}], result: pass}\n",
			suite.Options{},
			[]string{"label apps/v1/nobody: excluded: No such resource", "label v1/Pod/a/web: pass: Ok"},
		},
		{
			"strict",
			"- {policy: p, rule: label, resources: [default/web], kind: Service, result: pass}\n", suite.Options{Strict: true},
			[]string{"label v1/Service/default/web: fail: Excluded"},
		},
		{
			"evaluation required",
			"- {policy: p, rule: check, resources: [a/web], result: pass}\n", suite.Options{RequireEvaluated: true},
			[]string{"check v1/Pod/a/web: fail: Not evaluated"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if d := cmp.Diff(tt.want, run(t, head+tt.results+files, tt.opts)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// A label that names the owner of generated resources does not matter, nor do
// empty values and the default namespace.
func TestJudgeComparesLoosely(t *testing.T) {
	for _, tt := range []struct{ name, patched, want string }{
		{"equal", "{name: web, namespace: default, labels: {team: shop}}", "pass: Ok"},
		{"without a namespace", "{name: web, labels: {team: shop}}", "pass: Ok"},
		{"with empty values", "{name: web, labels: {team: shop}, annotations: {}, finalizers: [], generateName: null}", "pass: Ok"},
		{"with labels of Kyverno", `{name: web, labels: {team: shop, app.kubernetes.io/managed-by: kyverno, generate.kyverno.io/policy-name: x}}`, "pass: Ok"},
		{"managed by another", `{name: web, labels: {team: shop, app.kubernetes.io/managed-by: helm}}`, "fail: Resource diff"},
		{"an empty text", `{name: web, labels: {team: shop}, generateName: ""}`, "fail: Resource diff"},
		{"another namespace", "{name: web, namespace: c, labels: {team: shop}}", "fail: Not in the file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := run(t, "-- kyverno-test.yaml --\npolicies: [policy.yaml]\nresources: [resources.yaml]\nresults:\n"+
				"- {policy: p, rule: label, kind: Pod, resources: [default/web], patchedResources: patched.yaml, result: pass}\n"+
				"-- patched.yaml --\napiVersion: v1\nkind: Pod\nmetadata: "+tt.patched+"\n"+files, suite.Options{})
			if d := cmp.Diff([]string{"label v1/Pod/default/web: " + tt.want}, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// As in kyverno test, who makes the request does not matter until a suite says.
func TestJudgeWithoutRequester(t *testing.T) {
	const archive = `
-- policy.yaml --
apiVersion: kyverno.io/v1
kind: ClusterPolicy
metadata: {name: p}
spec:
  background: false
  rules:
  - name: label
    match: {any: [{resources: {kinds: [Pod]}, clusterRoles: [cluster-admin]}]}
    mutate: {patchStrategicMerge: {metadata: {labels: {+(team): shop}}}}
-- resources.yaml --
apiVersion: v1
kind: Pod
metadata: {name: web}
-- user.yaml --
apiVersion: cli.kyverno.io/v1alpha1
kind: UserInfo
metadata: {name: user}
userInfo: {username: jane}
-- kyverno-test.yaml --
policies: [policy.yaml]
resources: [resources.yaml]
results: [{policy: p, rule: label, resources: [web], result: pass}]
`
	for user, want := range map[string]string{"": "pass: Ok", "userinfo: user.yaml\n": "excluded: Excluded"} {
		if d := cmp.Diff([]string{"label v1/Pod/default/web: " + want}, run(t, archive+user, suite.Options{})); d != "" {
			t.Errorf("%q: (-want +got):\n%s", user, d)
		}
	}
}

func TestTable(t *testing.T) {
	runs := []*suite.Run{{
		Suite: &suite.Suite{Name: "s", Origin: resource.Origin{File: "t.yaml"}},
		Verdicts: []suite.Verdict{
			{ID: 1, Policy: "p", Rule: "r", Named: "wéb", Status: suite.Excluded, Reason: "Excluded"},
			{ID: 2, Policy: "p", Rule: "r", Named: "a\x1b[2Jb", Status: suite.Fail, Reason: "Resource diff", Message: "differs\nhere", Diff: "-a\n+b\n c\x07\n"},
		},
	}, {Suite: &suite.Suite{Origin: resource.Origin{File: "u.yaml"}}, Err: errors.New("broken")}}
	for _, tt := range []struct {
		table suite.Table
		want  string
	}{
		{suite.Table{}, `s (t.yaml)
│────│────────│──────│──────────│──────────│───────────────│
│ ID │ POLICY │ RULE │ RESOURCE │ RESULT   │ REASON        │
│────│────────│──────│──────────│──────────│───────────────│
│ 1  │ p      │ r    │ wéb      │ Excluded │ Excluded      │
│ 2  │ p      │ r    │ a [2Jb   │ Fail     │ Resource diff │
│────│────────│──────│──────────│──────────│───────────────│

2: differs
   here
   -a
   +b
    c` + " " + `

Test Summary: 0 tests passed and 1 tests failed; 1 excluded, 1 suite could not be run
`},
		{suite.Table{Color: true}, "s (t.yaml)\n" + `
│────│────────│──────│──────────│──────────│───────────────│
│ ID │ POLICY │ RULE │ RESOURCE │ RESULT   │ REASON        │
│────│────────│──────│──────────│──────────│───────────────│
│ 1  │ {36m}p{0m}      │ {36m}r{0m}    │ {36m}wéb{0m}      │ {33m}Excluded{0m} │ Excluded      │
│ 2  │ {36m}p{0m}      │ {36m}r{0m}    │ {36m}a [2Jb{0m}   │ {31m}Fail{0m}     │ Resource diff │
│────│────────│──────│──────────│──────────│───────────────│

2: {31m}differs
   here{0m}
   {31m}-a{0m}
   {32m}+b{0m}
    c` + " " + `

Test Summary: 0 tests passed and 1 tests failed; 1 excluded, 1 suite could not be run
`},
	} {
		var out strings.Builder
		if err := tt.table.Write(&out, runs, suite.Summarize(runs)); err != nil {
			t.Fatal(err)
		}
		want := strings.NewReplacer("{", "\x1b[", "}", "").Replace(strings.Replace(tt.want, "(t.yaml)\n\n", "(t.yaml)\n", 1))
		if d := cmp.Diff(want, out.String()); d != "" {
			t.Errorf("colour %v (-want +got):\n%s", tt.table.Color, d)
		}
	}
}

func TestParseSelector(t *testing.T) {
	for _, text := range []string{"policy", "policy=", "kind=Pod", "policy=a=b", ",", "policy=a,"} {
		if _, err := suite.ParseSelector(text); err == nil {
			t.Errorf("%q: got no error", text)
		}
	}
	const head = "-- kyverno-test.yaml --\npolicies: [policy.yaml]\nresources: [resources.yaml]\nresults:\n" +
		"- {policy: p, rule: label, kind: Pod, resources: [a/web, b/web], result: skip}\n- {policy: q, resources: [a/web], result: pass}\n- {policy: p, result: pass}\n"
	for _, tt := range []struct {
		text string
		want int
	}{{"", 2 + 1 + 9}, {"policy=*,rule=*,resource=*", 2 + 1 + 9}, {"policy=q", 1}, {"policy=q,rule=nothing", 1}, {"rule=label, resource=b/*", 3}, {"policy=nobody", 0}} {
		s, err := suite.ParseSelector(tt.text)
		if err != nil {
			t.Fatal(err)
		}
		if got := run(t, head+files, suite.Options{Selector: s}); len(got) != tt.want {
			t.Errorf("%q: got %d verdicts, want %d:\n%s", tt.text, len(got), tt.want, strings.Join(got, "\n"))
		}
	}
}

// outside matches texts that may name files outside of the folder.
var outside = regexp.MustCompile(`\.\.|\\|(^|\W)/`)

// FuzzRead holds that no file makes the reader panic, and that what it returns
// can be judged.
func FuzzRead(f *testing.F) {
	f.Add("apiVersion: cli.kyverno.io/v1alpha1\nkind: Test\nmetadata: {name: s}\npolicies: [p.yaml]\nresults:\n- {policy: p, rule: r, kind: Pod, resources: [a], result: pass}\n")
	f.Add("name: s\nresults:\n- {policy: a/p, resource: b, namespace: c, status: skip, patchedResource: d}\n---\nkind: Test\nvalues: {globalValues: {request.operation: DELETE}}\n")
	f.Add("kind: Test\nresults:\n- {policy: p, resourceSpecs: [{group: g, version: v, kind: k, name: n}], result: error, operation: UPDATE}\n")
	f.Add("globalContextEntries: [{name: g, data: {a: 1}, fieldPath: a, projections: [{name: b, path: '@'}]}]\napiCallResponses: [{urlPath: /api, response: {statusCode: 404, body: {}}}]\nresults: [{policy: p, result: pass}]\n")
	f.Add("policies: [policy.yaml]\nresources: [resources.yaml]\ntargetResources: [targets.yaml]\nresults:\n" +
		"- {policy: p, rule: mark, kind: Namespace, resources: [shop, bank/own], patchedResources: patched.yaml, result: pass}\n" +
		"- {policy: g, resources: [made], generatedResources: [made.yaml, other.yaml], cloneSourceResource: made.yaml, failOnMissingResources: true, result: skip}\n")
	dir := f.TempDir()
	for _, file := range txtar.Parse([]byte(targetFiles)).Files {
		if err := os.WriteFile(filepath.Join(dir, file.Name), file.Data, 0o644); err != nil {
			f.Fatal(err)
		}
	}
	opts := suite.Options{Languages: []policy.Language{kyverno.Language}, Digests: digest.None("test")}
	f.Fuzz(func(t *testing.T, text string) {
		suites, err := suite.Read(filepath.Join(dir, suite.DefaultName), []byte(text))
		if err == nil && len(suites) == 0 {
			t.Error("got no suite and no error")
		}
		for _, s := range suites {
			if outside.MatchString(text) {
				return
			}
			run := s.Run(t.Context(), opts)
			for i, v := range run.Verdicts {
				if v.ID != i+1 || v.Policy == "" || v.Reason == "" || v.Status.String() == "" {
					t.Errorf("verdict %+v", v)
				}
			}
		}
	})
}

// What a suite gives besides resources: values, exceptions, answers of calls,
// values of the global context, and what is in the cluster.
func TestRunKnowsWhatTheSuiteGives(t *testing.T) {
	const archive = `
-- policy.yaml --
apiVersion: kyverno.io/v1
kind: ClusterPolicy
metadata: {name: p}
spec:
  rules:
  - name: label
    match:
      any:
      - resources:
          kinds: [Pod]
          namespaceSelector: {matchLabels: {labels: "yes"}}
    context:
    - name: given
      apiCall: {urlPath: /api/v1/given, jmesPath: a}
    - name: called
      apiCall: {urlPath: /api/v1/called, jmesPath: a}
    - name: global
      globalReference: {name: global, jmesPath: one}
    - name: listed
      globalReference: {name: listed, jmesPath: "[0].metadata.name"}
    - name: settings
      configMap: {name: settings, namespace: shop}
    mutate:
      patchStrategicMerge:
        metadata:
          labels:
            given: "{{ given }}"
            called: "{{ called }}"
            global: "{{ global }}"
            listed: "{{ listed }}"
            settings: "{{ settings.data.a }}"
-- exception.yaml --
apiVersion: kyverno.io/v2
kind: PolicyException
metadata: {name: e, namespace: shop}
spec:
  exceptions: [{policyName: p, ruleNames: [label]}]
  match: {any: [{resources: {kinds: [Pod], names: [free]}}]}
-- resources.yaml --
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop}
---
apiVersion: v1
kind: Pod
metadata: {name: free, namespace: shop}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: other}
-- cluster.yaml --
apiVersion: cli.kyverno.io/v1alpha1
kind: ClusterResource
metadata: {name: c}
spec:
  resources:
  - apiVersion: v1
    kind: ConfigMap
    metadata: {name: settings, namespace: shop}
    data: {a: from-the-cluster}
-- list.yaml --
apiVersion: v1
kind: Namespace
metadata: {name: from-a-file}
-- patched.yaml --
apiVersion: v1
kind: Pod
metadata:
  name: web
  namespace: shop
  labels: {given: from-values, called: from-a-call, global: from-data, listed: from-a-file, settings: from-the-cluster}
-- kyverno-test.yaml --
apiVersion: cli.kyverno.io/v1alpha1
kind: Test
metadata: {name: s}
policies: [policy.yaml]
resources: [resources.yaml]
exceptions: [exception.yaml]
clusterResources: [cluster.yaml]
values:
  policies:
  - name: p
    rules:
    - name: label
      values: {given: from-values}
  namespaceSelector:
  - name: shop
    labels: {labels: "yes"}
apiCallResponses:
- urlPath: /api/v1/called
  response: {body: {a: from-a-call}}
globalContextEntries:
- name: global
  data: {b: {c: from-data}}
  fieldPath: b
  projections: [{name: one, path: c}]
- name: listed
  resourceFiles: [list.yaml]
results:
- {policy: p, rule: label, resources: [shop/web], patchedResources: patched.yaml, result: pass}
- {policy: p, rule: label, resources: [free], result: skip}
- {policy: p, rule: label, resources: [other/web], result: skip}
`
	want := []string{"label v1/Pod/shop/web: pass: Ok", "label v1/Pod/shop/free: pass: Ok", "label v1/Pod/other/web: pass: Excluded"}
	if d := cmp.Diff(want, run(t, archive, suite.Options{})); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// targetFiles are those of a suite about rules that act on other resources.
const targetFiles = `
-- policy.yaml --
apiVersion: kyverno.io/v1
kind: ClusterPolicy
metadata: {name: p}
spec:
  rules:
  - name: mark
    match: {any: [{resources: {kinds: [Namespace]}}]}
    mutate:
      targets:
      - {apiVersion: v1, kind: ConfigMap, namespace: "{{ request.object.metadata.name }}", name: "*"}
      - {apiVersion: v1, kind: Namespace, name: "{{ request.object.metadata.name }}"}
      patchStrategicMerge: {metadata: {labels: {marked: "yes"}}}
---
apiVersion: kyverno.io/v1
kind: ClusterPolicy
metadata: {name: g}
spec:
  rules:
  - name: secret
    match: {any: [{resources: {kinds: [Namespace]}}]}
    preconditions: {all: [{key: "{{ request.object.metadata.name }}", operator: Equals, value: shop}]}
    generate:
      apiVersion: v1
      kind: Secret
      namespace: "{{ request.object.metadata.name }}"
      name: made
      data: {stringData: {a: b}}
-- resources.yaml --
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Namespace
metadata: {name: bank}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: own, namespace: shop}
-- targets.yaml --
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: shop}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: nowhere}
-- patched.yaml --
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: shop, labels: {marked: "yes"}}
-- made.yaml --
apiVersion: v1
kind: Secret
metadata: {name: made, namespace: shop}
stringData: {a: b}
-- other.yaml --
apiVersion: v1
kind: Secret
metadata: {name: made, namespace: shop}
stringData: {a: c}
`

// A resource that is a trigger as well as a target is judged once.
func TestJudgeTargets(t *testing.T) {
	const head = "-- kyverno-test.yaml --\npolicies: [policy.yaml]\nresources: [resources.yaml]\ntargetResources: [targets.yaml]\nresults:\n"
	for _, tt := range []struct {
		name, results string
		want          []string
	}{
		{"a target", "- {policy: p, rule: mark, resources: [shop/settings], patchedResources: patched.yaml, result: pass}\n",
			[]string{"mark v1/ConfigMap/shop/settings: pass: Ok"}},
		{"a target that nothing changed", "- {policy: p, rule: mark, resources: [nowhere/settings], result: pass}\n",
			[]string{"mark v1/ConfigMap/nowhere/settings: excluded: Excluded"}},
		{"a trigger whose targets are in the file", "- {policy: p, rule: mark, resources: [shop], patchedResources: patched.yaml, result: pass}\n",
			[]string{"mark v1/Namespace/shop: pass: Ok"}},
		{"a trigger whose targets are not", "- {policy: p, rule: mark, resources: [bank], patchedResources: patched.yaml, result: pass}\n",
			[]string{"mark v1/Namespace/bank: fail: Not in the file"}},
		{"a target among the resources that triggers nothing", "- {policy: p, rule: mark, resources: [shop/own], result: pass}\n",
			[]string{"mark v1/ConfigMap/shop/own: pass: Ok"}},
		{"and is not expected to be a trigger", "- {policy: p, rule: mark, resources: [shop/own], result: skip}\n",
			[]string{"mark v1/ConfigMap/shop/own: pass: Excluded"}},
		{"what is generated, in one of the files", "- {policy: g, rule: secret, resources: [shop], generatedResources: [other.yaml, made.yaml], result: pass}\n",
			[]string{"secret v1/Secret/shop/made: pass: Ok"}},
		{"in none", "- {policy: g, rule: secret, resources: [shop], generatedResource: other.yaml, result: pass}\n",
			[]string{"secret v1/Secret/shop/made: fail: Resource diff"}},
		{"named itself", "- {policy: g, rule: secret, resources: [made], generatedResource: made.yaml, result: pass}\n",
			[]string{"secret v1/Secret/shop/made: pass: Ok"}},
		{"a rule that is skipped", "- {policy: g, rule: secret, resources: [bank], generatedResource: made.yaml, result: skip}\n",
			[]string{"secret v1/Namespace/bank: pass: Ok"}},
		{"a resource that is in the file of nobody", "- {policy: p, rule: mark, resources: [shop/settings], patchedResources: made.yaml, result: fail}\n",
			[]string{"mark v1/ConfigMap/shop/settings: excluded: Not in the file"}},
		{"and has to be", "- {policy: p, rule: mark, resources: [shop/settings], patchedResources: made.yaml, failOnMissingResources: true, result: fail}\n",
			[]string{"mark v1/ConfigMap/shop/settings: fail: Want fail, got pass"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if d := cmp.Diff(tt.want, run(t, head+tt.results+targetFiles, suite.Options{})); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}
