package spec

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// parse reads the only document of text.
func parse(t *testing.T, text string) (*Policy, []string) {
	t.Helper()
	docs, err := resource.Parse("team.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if len(docs) != 1 {
		t.Fatalf("%d documents", len(docs))
	}
	p, faults := Parse(docs[0])
	var messages []string
	for _, f := range faults {
		messages = append(messages, f.Error())
	}
	if (p == nil) != (len(faults) > 0) {
		t.Errorf("policy %v with faults %q", p, messages)
	}
	return p, messages
}

func TestParseReadsEverything(t *testing.T) {
	p, faults := parse(t, `apiVersion: kyverno.io/v1
kind: ClusterPolicy
metadata:
  name: all
  creationTimestamp: null
  annotations:
    policies.kyverno.io/severity: high
    policies.kyverno.io/category: Other
spec:
  applyRules: One
  background: false
  webhookConfiguration:
    timeoutSeconds: 5
    matchConditions:
    - {name: c, expression: "true"}
  rules:
  - name: first
    match:
      any:
      - resources:
          kinds: [Pod, apps/v1/Deployment]
          selector: {matchLabels: {app: "*"}, matchExpressions: [{key: a, operator: In, values: [b]}]}
        subjects: [{kind: User, name: alice}]
        clusterRoles: [admin]
    exclude:
      resources: {namespaces: [kube-*]}
    context:
    - {name: v, variable: {jmesPath: request.object, default: 1}}
    - {name: m, configMap: {name: c, namespace: d}}
    - {name: a, apiCall: {urlPath: /api, method: POST, data: [{key: k, value: {x: 1}}], jmesPath: x}}
    - {name: i, imageRegistry: {reference: "{{ element.image }}"}}
    - {name: g, globalReference: {name: e}}
    preconditions:
      all:
      - {key: "{{ request.operation }}", operator: AnyIn, value: [CREATE, UPDATE]}
    mutate:
      targets:
      - {apiVersion: v1, kind: ConfigMap, name: c, selector: {matchLabels: {a: b}}, preconditions: {any: []}}
      foreach:
      - list: request.object.spec.containers
        order: Descending
        foreach:
        - list: element0.env
          patchesJson6902: |-
            - op: remove
              path: /a
  - name: second
    match: {resources: {kinds: [Namespace]}}
    generate:
      synchronize: true
      apiVersion: v1
      kind: ConfigMap
      name: c
      namespace: "{{ request.object.metadata.name }}"
      data: {kind: ConfigMap, data: {size: 1}}
status: {ready: true}
`)
	if len(faults) > 0 {
		t.Fatal(strings.Join(faults, "\n"))
	}
	if p.Ref.Severity != "high" || p.Ref.Category != "Other" || !p.Spec.AppliesOne() || p.Spec.BackgroundEnabled() {
		t.Errorf("severity %q, category %q, spec %+v", p.Ref.Severity, p.Ref.Category, p.Spec)
	}
	first := p.Spec.Rules[0]
	if diff := cmp.Diff([]string{"Pod", "apps/v1/Deployment"}, first.Match.Kinds()); diff != "" {
		t.Error(diff)
	}
	if got := first.Match.Any[0].Subjects[0].Name; got != "alice" {
		t.Errorf("subject %q", got)
	}
	if got := first.Mutation.ForEach[0].ForEach[0]; got.List != "element0.env" || !strings.HasPrefix(got.PatchesJSON6902, "- op: remove") {
		t.Errorf("nested foreach %+v", got)
	}
	if got := first.Mutation.Targets[0]; got.Kind != "ConfigMap" || got.Selector.MatchLabels["a"] != "b" {
		t.Errorf("target %+v", got)
	}
	if got := first.Context[2].APICall; got.URLPath != "/api" || got.JMESPath != "x" {
		t.Errorf("apiCall %+v", got)
	}
	if !first.HasMutate() || !first.HasMutateExisting() || first.HasGenerate() || first.HasValidate() || first.HasVerifyImages() {
		t.Error("wrong type of the first rule")
	}
	second := p.Spec.Rules[1]
	if diff := cmp.Diff(any(map[string]any{"kind": "ConfigMap", "data": map[string]any{"size": int64(1)}}), second.Generation.Data); diff != "" {
		t.Error(diff)
	}
	if second.Path.String() != "spec.rules[1]" || second.Raw["name"] != "second" {
		t.Errorf("path %s, raw %v", second.Path, second.Raw["name"])
	}
}

// head is four lines long.
const head = `apiVersion: kyverno.io/v1
kind: ClusterPolicy
metadata: {name: team}
spec:
`

// A rule that is fine but for what a test adds.
const rule = `  rules:
  - name: r
    match: {any: [{resources: {kinds: [Pod]}}]}
`

const patch = `    mutate: {patchStrategicMerge: {metadata: {labels: {a: b}}}}
`

func TestParseFaults(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string // what each fault contains
	}{
		{"map under any", head + `  rules:
  - name: r
    match:
      any:
        resources:
          kinds: [Pod]
` + patch, []string{`team.yaml:8: ClusterPolicy/team rule "r" at spec.rules[0].match.any: expected a list of resource filters, found a map with resources; put "- " before its first field`}},
		{"unknown field", head + rule + `    mutate:
      patchStrategicMarge: {}
`, []string{`team.yaml:9: ClusterPolicy/team rule "r" at spec.rules[0].mutate.patchStrategicMarge`}},
		{"unknown field in the spec", head + "  rule: []\n", []string{"rules"}},
		{"text for a list", head + `  rules:
  - name: r
    match: {any: [{resources: {kinds: Pod}}]}
` + patch, []string{`expected a list, found the text "Pod"; write kinds: [Pod]`}},
		{"map for rules", head + "  rules:\n    name: r\n", []string{"expected a list, found a map with name"}},
		{"patch as a list", head + rule + "    mutate:\n      patchesJson6902:\n      - {op: remove, path: /a}\n", []string{"write the operations as a block of text"}},
		{"unknown version", "apiVersion: kyverno.io/v3\nkind: ClusterPolicy\nmetadata: {name: team}\nspec: {}\n", []string{`no ClusterPolicy in version "v3"; expected kyverno.io/v1 or kyverno.io/v2beta1`}},
		{"no spec", "apiVersion: kyverno.io/v1\nkind: ClusterPolicy\nmetadata: {name: team}\n", []string{"spec is missing"}},
		{"no name", "apiVersion: kyverno.io/v1\nkind: ClusterPolicy\nmetadata: {}\nspec:\n" + rule + patch, []string{"name is missing"}},
		{"namespace of a ClusterPolicy", "apiVersion: kyverno.io/v1\nkind: ClusterPolicy\nmetadata: {name: team, namespace: a}\nspec:\n" + rule + patch, []string{"a ClusterPolicy has no namespace"}},
		{"autogen for all", "apiVersion: kyverno.io/v1\nkind: ClusterPolicy\nmetadata: {name: team, annotations: {pod-policies.kyverno.io/autogen-controllers: all}}\nspec:\n" + rule + patch, []string{"the value all is no longer accepted"}},
		{"bad settings", head + "  applyRules: Two\n  failurePolicy: Ignore\n  webhookTimeoutSeconds: 31\n  webhookConfiguration: {failurePolicy: Fail}\n" + rule + patch,
			[]string{`applyRules: expected one of All, One, found "Two"`, "found 31", "remove this deprecated field"}},
		{"duplicate rule", head + rule + patch + "  - name: r\n    match: {any: [{resources: {kinds: [Pod]}}]}\n" + patch, []string{`:9: ClusterPolicy/team rule "r" at spec.rules[1].name: the name "r" is taken`}},
		{"long rule name", strings.ReplaceAll(head+rule+patch, "name: r\n", "name: "+strings.Repeat("r", 64)+"\n"), []string{"64 characters; at most 63"}},
		{"no action", head + rule, []string{"expected exactly one of mutate, validate, generate and verifyImages, found none"}},
		{"two actions", head + rule + patch + "    validate: {message: m, pattern: {}}\n", []string{"found mutate and validate"}},
		{"no match", head + "  rules:\n  - name: r\n" + patch, []string{"match is missing"}},
		{"empty match", head + "  rules:\n  - name: r\n    match: {}\n" + patch, []string{"resources is missing"}},
		{"no kinds", head + "  rules:\n  - name: r\n    match: {any: [{resources: {namespaces: [a]}}]}\n" + patch, []string{"kinds is missing"}},
		{"any and all", head + "  rules:\n  - name: r\n    match: {any: [{resources: {kinds: [Pod]}}], all: [{resources: {kinds: [Pod]}}]}\n" + patch, []string{"any and all exclude each other"}},
		{"any and resources", head + "  rules:\n  - name: r\n    match: {any: [{resources: {kinds: [Pod]}}], resources: {kinds: [Pod]}}\n" + patch, []string{"resources must not stand beside any or all"}},
		{"name and names", head + "  rules:\n  - name: r\n    match: {any: [{resources: {kinds: [Pod], name: a, names: [b]}}]}\n" + patch, []string{"name and names exclude each other"}},
		{"empty set", head + rule + "    exclude: {any: [{resources: {kinds: [Pod]}}]}\n" + patch, []string{"excludes all that it matches"}},
		{"empty set, old form", head + "  rules:\n  - name: r\n    match: {resources: {kinds: [Pod], namespaces: [a]}}\n    exclude: {resources: {kinds: [Pod, Deployment], namespaces: [a, b]}}\n" + patch, []string{"excludes all that it matches"}},
		{"requester in background", head + "  rules:\n  - name: r\n    match: {any: [{resources: {kinds: [Pod]}, roles: [a]}]}\n" + patch, []string{"expected namespace:name", "set spec.background to false"}},
		{"bad subject", head + "  background: false\n  rules:\n  - name: r\n    match: {any: [{resources: {kinds: [Pod]}, subjects: [{kind: Robot, name: x}, {kind: ServiceAccount, name: x}]}]}\n" + patch,
			[]string{`expected one of User, Group, ServiceAccount, found "Robot"`, "namespace is missing"}},
		{"kind *", head + "  rules:\n  - name: r\n    match: {any: [{resources: {kinds: ['*']}}]}\n" + patch, []string{"the kind * is not allowed in background mode"}},
		{"bad selector", head + "  rules:\n  - name: r\n    match: {any: [{resources: {kinds: [Pod], selector: {matchExpressions: [{key: a, operator: in, values: [b]}]}}}]}\n" + patch, []string{"expected one of In, NotIn, Exists, DoesNotExist"}},
		{"empty selector", head + "  rules:\n  - name: r\n    match: {any: [{resources: {kinds: [Pod], selector: {}}}]}\n" + patch, []string{"the selector is empty"}},
		{"bad operation", head + "  rules:\n  - name: r\n    match: {any: [{resources: {kinds: [Pod], operations: [create]}}]}\n" + patch, []string{`found "create"`}},
		{"variable in match", head + "  rules:\n  - name: r\n    match: {any: [{resources: {kinds: [Pod], names: ['{{ x }}']}}]}\n" + patch, []string{"variables are not substituted in match"}},
		{"bad condition", head + rule + "    preconditions: {all: [{key: a, operator: equals, value: b}]}\n" + patch, []string{`"equals" is not one of Equals`}},
		{"half a condition", head + rule + "    preconditions: {all: [{key: a, operator: Equals}]}\n" + patch, []string{"expected key, operator and value"}},
		{"condition on the operation", head + rule + "    preconditions: {all: [{key: '{{request.operation}}', operator: AnyIn, value: [CREATED]}]}\n" + patch, []string{`found "CREATED"`}},
		{"context without source", head + rule + "    context: [{name: v}]\n" + patch, []string{"found none"}},
		{"context with a taken name", head + rule + "    context: [{name: request.x, variable: {value: 1}}]\n" + patch, []string{"belongs to one of Kyverno's own variables"}},
		{"configMap without namespace", head + rule + "    context: [{name: v, configMap: {name: c}}]\n" + patch, []string{"namespace is missing"}},
		{"two patches", head + rule + "    mutate: {patchStrategicMerge: {}, patchesJson6902: '- {op: remove, path: /a}'}\n", []string{"found patchStrategicMerge and patchesJson6902"}},
		{"foreach without patch", head + rule + "    mutate: {foreach: [{list: x}]}\n", []string{"spec.rules[0].mutate.foreach[0]: expected exactly one of"}},
		{"nested foreach with context", head + rule + "    mutate: {foreach: [{list: x, context: [{name: v, variable: {value: 1}}], foreach: [{list: z, patchStrategicMerge: {}}]}]}\n", []string{"only list and order"}},
		{"label that is null, first foreach", head + rule + "    mutate: {foreach: [{list: l, patchStrategicMerge: {metadata: {labels: {a: null}}}}]}\n", []string{"expected text, found <nil>; put it in quotes"}},
		{"label that is no text, second foreach", head + rule + "    mutate: {foreach: [{list: l, patchStrategicMerge: {}}, {list: l, patchStrategicMerge: {metadata: {labels: {a: null, b: 1}}}}]}\n", []string{"labels.b: expected text, found 1; put it in quotes"}},
		{"label that is no text", head + rule + "    mutate: {patchStrategicMerge: {metadata: {labels: {a: 1}}}}\n", []string{"expected text, found 1; put it in quotes"}},
		{"mutate existing without targets", head + "  mutateExistingOnPolicyUpdate: true\n" + rule + patch, []string{"targets is missing"}},
		{"generate without name", head + rule + "    generate: {apiVersion: v1, kind: ConfigMap, namespace: a, data: {}}\n", []string{"name is missing"}},
		{"generate without namespace", head + rule + "    generate: {apiVersion: v1, kind: ConfigMap, name: a, data: {}}\n", []string{"namespace is missing; ConfigMap needs one"}},
		{"generate with a namespace too much", head + rule + "    generate: {apiVersion: v1, kind: Namespace, name: a, namespace: b, data: {}}\n", []string{"Namespace has no namespace"}},
		{"generate data and clone", head + rule + "    generate: {apiVersion: v1, kind: ConfigMap, name: a, namespace: b, data: {}, clone: {name: a, namespace: b}}\n", []string{"found data and clone"}},
		{"mutateDigest without Enforce", head + rule + "    verifyImages: [{imageReferences: ['*']}]\n", []string{"needs the failure action Enforce"}},
		{"attestor of two kinds", head + rule + "    verifyImages: [{imageReferences: ['*'], mutateDigest: false, attestors: [{count: 2, entries: [{keys: {publicKeys: k}, keyless: {roots: r}}]}]}]\n", []string{"expected 1 to 1", "found keys and keyless"}},
		{"v2beta1 has no old form", "apiVersion: kyverno.io/v2beta1\nkind: ClusterPolicy\nmetadata: {name: team}\nspec:\n  rules:\n  - name: r\n    match: {resources: {kinds: [Pod]}}\n" + patch, []string{"kyverno.io/v2beta1 has resources only in the filters"}},
		{"namespaces in a Policy", "apiVersion: kyverno.io/v1\nkind: Policy\nmetadata: {name: team, namespace: a}\nspec:\n  rules:\n  - name: r\n    match: {any: [{resources: {kinds: [Pod], namespaces: [a]}}]}\n" + patch, []string{"a Policy applies to its own namespace only"}},
		{"cluster-scoped kind in a Policy", "apiVersion: kyverno.io/v1\nkind: Policy\nmetadata: {name: team, namespace: a}\nspec:\n  rules:\n  - name: r\n    match: {any: [{resources: {kinds: [Namespace]}}]}\n" + patch, []string{"Namespace has no namespace"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, faults := parse(t, tt.text)
			if len(faults) != len(tt.want) {
				t.Fatalf("faults %q, want %q", faults, tt.want)
			}
			for i, want := range tt.want {
				if !strings.Contains(faults[i], want) {
					t.Errorf("fault %q does not contain %q", faults[i], want)
				}
				if !strings.HasPrefix(faults[i], "team.yaml:") {
					t.Errorf("fault %q does not begin with the place", faults[i])
				}
			}
		})
	}
}

// What Kyverno accepts must not be refused.
func TestParseAccepts(t *testing.T) {
	tests := map[string]string{
		"empty exclude":                head + rule + "    exclude: {}\n" + patch,
		"old conditions":               head + rule + "    preconditions: [{key: a, operator: NotIn, value: [b]}]\n" + patch,
		"null conditions":              head + rule + "    preconditions: null\n" + patch,
		"lower case action":            head + "  validationFailureAction: enforce\n" + rule + "    verifyImages: [{imageReferences: ['*']}]\n",
		"exclude of one namespace":     head + "  rules:\n  - name: r\n    match: {resources: {kinds: [Pod]}}\n    exclude: {resources: {namespaces: [a]}}\n" + patch,
		"namespaceSelector for all":    head + "  rules:\n  - name: r\n    match: {any: [{resources: {kinds: [Pod], namespaceSelector: {}}}]}\n" + patch,
		"clone of an unknown kind":     head + rule + "    generate: {apiVersion: example.com/v1, kind: Thing, name: a, clone: {name: b}}\n",
		"subject without background":   head + "  background: false\n  rules:\n  - name: r\n    match: {any: [{resources: {kinds: [Pod]}, subjects: [{kind: User, name: '*'}]}]}\n" + patch,
		"kind * without background":    head + "  background: false\n  rules:\n  - name: r\n    match: {any: [{resources: {kinds: ['*']}}]}\n" + patch,
		"condition without value":      head + rule + "    mutate: {foreach: [{list: x, preconditions: {all: [{key: a, operator: Equals}]}, patchStrategicMerge: {}}]}\n",
		"operation from a variable":    head + rule + "    preconditions: {all: [{key: '{{ request.operation }}', operator: Equals, value: '{{ op }}'}]}\n" + patch,
		"policy in version v2beta1":    strings.Replace(head, "v1", "v2beta1", 1) + rule + patch,
		"policy without rules":         head + "  background: true\n",
		"report properties and extras": head + rule + "    skipBackgroundRequests: false\n    reportProperties: {a: b}\n" + patch,
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			if _, faults := parse(t, text); len(faults) > 0 {
				t.Error(strings.Join(faults, "\n"))
			}
		})
	}
}

func TestNamespace(t *testing.T) {
	p := &Policy{Kind: "Policy"}
	if got := p.Namespace(); got != "default" {
		t.Errorf("namespace %q of a Policy that names none", got)
	}
	p.Metadata.Namespace = "shop"
	if got := p.Namespace(); got != "shop" {
		t.Errorf("namespace %q", got)
	}
	p.Kind = "ClusterPolicy"
	if got := p.Namespace(); got != "" {
		t.Errorf("namespace %q of a ClusterPolicy", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(head + rule + patch)
	f.Add(head + rule + "    preconditions: [{key: a, operator: In, value: [b]}]\n    verifyImages: [{image: x, attestations: [{conditions: [{any: [1]}]}]}]\n")
	f.Add(head + "  rules:\n  - name: r\n    match: {resources: {kinds: ['*/*/*/*/*']}}\n    generate: {foreach: [{list: a}], cloneList: {kinds: [v1/Secret]}}\n")
	f.Fuzz(func(t *testing.T, text string) {
		docs, err := resource.Parse("f", []byte(text))
		if err != nil {
			return
		}
		for _, d := range docs {
			if p, faults := Parse(d); (p == nil) == (len(faults) == 0) {
				t.Errorf("policy %v with faults %v", p, faults)
			}
		}
	})
}

func BenchmarkParse(b *testing.B) {
	docs, err := resource.Parse("team.yaml", []byte(head+rule+patch))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, faults := Parse(docs[0]); len(faults) > 0 {
			b.Fatal(faults)
		}
	}
}
