package kyverno_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What Kyverno 1.19's admission controller does and nobody would guess. The
// names say it.
func TestUpstreamQuirks(t *testing.T) {
	const head = "apiVersion: kyverno.io/v1\nkind: ClusterPolicy\nmetadata: {name: p}\nspec:\n  rules:\n"
	policy := func(name, rules string) string {
		return strings.Replace(head, "name: p}", "name: "+name+"}", 1) + rules
	}
	const update = "apiVersion: oneloop.dev/v1alpha1\nkind: ClusterFacts\nmetadata: {name: f}\nspec: {operation: UPDATE, userInfo: {username: alice}}\n"
	tests := []struct {
		name, policies, resource, facts string
		want                            string // results, and then the object
	}{
		{
			name: "images are those of the request, also in later policies",
			policies: policy("first", "  - {name: r, match: {any: [{resources: {kinds: [Pod]}}]}, mutate: {patchStrategicMerge: {spec: {containers: [{(name): a, image: redis}]}}}}\n") + "---\n" +
				policy("second", "  - {name: r, match: {any: [{resources: {kinds: [Pod]}}]}, mutate: {patchStrategicMerge: {metadata: {labels: {was: '{{ images.containers.a.name }}'}}}}}\n"),
			resource: "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: b}\nspec: {containers: [{name: a, image: nginx}]}\n",
			want: `b/Pod/a first/r: pass
b/Pod/a second/r: pass
apiVersion: v1
kind: Pod
metadata:
  labels:
    was: nginx
  name: a
  namespace: b
spec:
  containers:
  - image: redis
    name: a
`,
		},
		{
			name: "the old object of an update stays as it was",
			policies: policy("first", "  - {name: r, match: {any: [{resources: {kinds: [ConfigMap]}}]}, mutate: {patchStrategicMerge: {data: {a: changed}}}}\n") + "---\n" +
				policy("second", "  - {name: r, match: {any: [{resources: {kinds: [ConfigMap]}}]}, mutate: {patchStrategicMerge: {data: {was: '{{ request.oldObject.data.a }}'}}}}\n"),
			resource: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: b}\ndata: {a: old}\n",
			facts:    update,
			want: `b/ConfigMap/a first/r: pass
b/ConfigMap/a second/r: pass
apiVersion: v1
data:
  a: changed
  was: old
kind: ConfigMap
metadata:
  name: a
  namespace: b
`,
		},
		{
			name:     "the namespace of a request for a Namespace is its name",
			policies: policy("p", "  - {name: r, match: {any: [{resources: {kinds: [Namespace]}}]}, mutate: {patchStrategicMerge: {metadata: {labels: {of: '{{ request.namespace }}', as: '{{ request.resource.resource }}'}}}}}\n"),
			resource: "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n",
			want: `Namespace/shop p/r: pass
apiVersion: v1
kind: Namespace
metadata:
  labels:
    as: namespaces
    of: shop
  name: shop
`,
		},
		{
			name:     "roles are missing when there are none",
			policies: policy("p", "  - {name: r, match: {any: [{resources: {kinds: [ConfigMap]}}]}, mutate: {patchStrategicMerge: {data: {roles: '{{ request.roles || ''none'' }}'}}}}\n"),
			resource: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: b}\n",
			facts:    update,
			want: `b/ConfigMap/a p/r: pass
apiVersion: v1
data:
  roles: none
kind: ConfigMap
metadata:
  name: a
  namespace: b
`,
		},
		{
			name:     "a name that nothing defines is taken beside a function call or @",
			policies: policy("p", "  - {name: r, match: {any: [{resources: {kinds: [ConfigMap]}}]}, mutate: {patchStrategicMerge: {data: {a: '{{ nobody.a || to_upper(''x'') }}', b: '{{ nobody.b || ''y'' | @ }}'}}}}\n"),
			resource: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: b}\n",
			want: `b/ConfigMap/a p/r: pass
apiVersion: v1
data:
  a: X
  b: "y"
kind: ConfigMap
metadata:
  name: a
  namespace: b
`,
		},
		{
			name: "operations of an exception do not count",
			policies: policy("p", "  - {name: r, match: {any: [{resources: {kinds: [ConfigMap]}}]}, mutate: {patchStrategicMerge: {data: {a: b}}}}\n") +
				"---\napiVersion: kyverno.io/v2\nkind: PolicyException\nmetadata: {name: e, namespace: b}\nspec: {exceptions: [{policyName: p, ruleNames: ['*']}], match: {any: [{resources: {operations: [DELETE]}}]}}\n",
			resource: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: b}\n",
			want: `b/ConfigMap/a p/r: skip
apiVersion: v1
kind: ConfigMap
metadata:
  name: a
  namespace: b
`,
		},
		{
			name:     "a name that nothing defines is taken beside element",
			policies: policy("p", "  - {name: r, match: {any: [{resources: {kinds: [ConfigMap]}}]}, mutate: {foreach: [{list: '[`1`]', patchStrategicMerge: {data: {a: 'x{{ nobody.a || elementIndex }}'}}}]}}\n"),
			resource: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: b}\n",
			want: `b/ConfigMap/a p/r: pass
apiVersion: v1
data:
  a: x0
kind: ConfigMap
metadata:
  name: a
  namespace: b
`,
		},
		{
			name:     "null removes a label in a nested foreach",
			policies: policy("p", "  - {name: r, match: {any: [{resources: {kinds: [ConfigMap]}}]}, mutate: {foreach: [{list: '[`1`]', foreach: [{list: '[`1`]', patchStrategicMerge: {metadata: {labels: {a: null}}}}]}]}}\n"),
			resource: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: b, labels: {a: x, b: c}}\n",
			want: `b/ConfigMap/a p/r: pass
apiVersion: v1
kind: ConfigMap
metadata:
  labels:
    b: c
  name: a
  namespace: b
`,
		},
		{
			name:     "autogen of a nested foreach fails where it would remove the pod template",
			policies: policy("p", "  - {name: r, match: {any: [{resources: {kinds: [Pod]}}]}, mutate: {foreach: [{list: 'request.object.spec.containers', foreach: [{list: 'element.env', patchesJson6902: '[{\"op\": \"remove\", \"path\": \"/spec/a\"}]'}]}]}}\n"),
			resource: "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a, namespace: b}\nspec: {template: {spec: {containers: [{name: a}]}}}\n",
			want: `b/Deployment/a p/autogen-r: error
apiVersion: apps/v1
kind: Deployment
metadata:
  name: a
  namespace: b
spec:
  template:
    spec:
      containers:
      - name: a
`,
		},
		{
			name:     "autogen of a nested foreach without elements does nothing",
			policies: policy("p", "  - {name: r, match: {any: [{resources: {kinds: [Pod]}}]}, mutate: {foreach: [{list: 'request.object.spec.containers', foreach: [{list: 'element.env', patchesJson6902: '[{\"op\": \"remove\", \"path\": \"/spec/a\"}]'}]}]}}\n"),
			resource: "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a, namespace: b}\nspec: {template: {spec: {containers: []}}}\n",
			want: `b/Deployment/a p/autogen-r: skip
apiVersion: apps/v1
kind: Deployment
metadata:
  name: a
  namespace: b
spec:
  template:
    spec:
      containers: []
`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out := golden(t, map[string][]byte{"policy.yaml": []byte(tt.policies), "resources.yaml": []byte(tt.resource), "facts.yaml": []byte(tt.facts)})
			got := out["faults"]
			for line := range strings.Lines(out["results"]) {
				rule, rest, _ := strings.Cut(line, ": ")
				status, _, _ := strings.Cut(rest, ":")
				got += rule + ": " + status + "\n"
			}
			if d := cmp.Diff(tt.want, got+out["objects.yaml"]); d != "" {
				t.Errorf("(-want +got):\n%s\n%s", d, out["results"])
			}
		})
	}
}
