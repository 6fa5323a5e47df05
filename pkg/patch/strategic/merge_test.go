package strategic

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/jsonvalue"
	"github.com/oneloop-dev/oneloop/pkg/resource"
	"github.com/oneloop-dev/oneloop/tests/bounds"
)

func parse(t testing.TB, text string) map[string]any {
	t.Helper()
	data, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	integers(m)
	return m
}

func integers(v any) any {
	switch v := v.(type) {
	case float64:
		if n, err := strconv.ParseInt(strconv.FormatFloat(v, 'f', -1, 64), 10, 64); err == nil {
			return n
		}
	case map[string]any:
		for k, e := range v {
			v[k] = integers(e)
		}
	case []any:
		for i, e := range v {
			v[i] = integers(e)
		}
	}
	return v
}

var (
	pod    = resource.Kind{Version: "v1", Kind: "Pod"}
	svc    = resource.Kind{Version: "v1", Kind: "Service"}
	custom = resource.Kind{Group: "example.com", Version: "v1", Kind: "Thing"}
)

func TestMerge(t *testing.T) {
	tests := []struct {
		name          string
		kind          resource.Kind
		object, patch string
		want          string
	}{
		{"maps are merged", custom, "{a: {b: 1, c: 2}}", "{a: {c: 3, d: {e: 4}}}", "{a: {b: 1, c: 3, d: {e: 4}}}"},
		{"empty maps are added", custom, "{}", "{a: {}}", "{a: {}}"},
		{"null deletes", custom, "{a: 1, b: {c: 1}, d: [1]}", "{a: null, b: null, d: null, e: null}", "{}"},
		{"null in the object stays", custom, "{a: null, b: {c: null}}", "{b: {d: 1}}", "{a: null, b: {c: null, d: 1}}"},
		{"null in the object is replaced", custom, "{a: null, b: null, c: null}", "{a: 1, b: {x: 1}, c: [1]}", "{a: 1, b: {x: 1}, c: [1]}"},
		{"null in what is added goes", custom, "{}", "{a: {b: null, c: {d: null}}}", "{a: {c: {}}}"},
		{"null within a replaced list stays", custom, "{a: [1]}", "{a: [null, {b: null}]}", "{a: [null, {b: null}]}"},

		{"lists of scalars are replaced", pod, "{spec: {containers: [{name: a, args: [x, y]}]}}", "{spec: {containers: [{name: a, args: [z]}]}}", "{spec: {containers: [{name: a, args: [z]}]}}"},
		{"lists without merge key are replaced", pod, "{spec: {tolerations: [{key: a}]}}", "{spec: {tolerations: [{key: b}]}}", "{spec: {tolerations: [{key: b}]}}"},
		{"lists of custom resources are replaced", custom, "{spec: {containers: [{name: a}]}}", "{spec: {containers: [{name: b}]}}", "{spec: {containers: [{name: b}]}}"},
		{"lists of kinds younger than Kubernetes 1.21 are replaced", resource.Kind{Group: "autoscaling", Version: "v2", Kind: "HorizontalPodAutoscaler"},
			"{metadata: {finalizers: [a]}}", "{metadata: {finalizers: [b]}}", "{metadata: {finalizers: [b]}}"},
		{"lists are merged by name", pod, "{spec: {containers: [{name: a, image: x}, {name: b, image: y}]}}", "{spec: {containers: [{name: a, tty: true}]}}",
			"{spec: {containers: [{name: a, image: x, tty: true}, {name: b, image: y}]}}"},
		{"new elements come first", pod, "{spec: {containers: [{name: a}]}}", "{spec: {containers: [{name: c}, {name: b}]}}", "{spec: {containers: [{name: c}, {name: b}, {name: a}]}}"},
		{"patched elements come first", pod, "{spec: {containers: [{name: a}, {name: b}, {name: c}]}}", "{spec: {containers: [{name: c, tty: true}]}}",
			"{spec: {containers: [{name: c, tty: true}, {name: a}, {name: b}]}}"},
		{"finalizers are merged", pod, "{metadata: {finalizers: [a, b]}}", "{metadata: {finalizers: [c, a]}}", "{metadata: {finalizers: [c, a, b]}}"},
		{"ports have two keys", pod, "{spec: {containers: [{name: a, ports: [{containerPort: 53, protocol: UDP}, {containerPort: 53, protocol: TCP}]}]}}",
			"{spec: {containers: [{name: a, ports: [{containerPort: 53, protocol: TCP, name: dns}]}]}}",
			"{spec: {containers: [{name: a, ports: [{containerPort: 53, protocol: UDP}, {containerPort: 53, protocol: TCP, name: dns}]}]}}"},
		{"service ports", svc, "{spec: {ports: [{port: 80, name: http}]}}", "{spec: {ports: [{port: 443, name: https}]}}", "{spec: {ports: [{port: 443, name: https}, {port: 80, name: http}]}}"},
		{"keys compare by their texts", pod, "{spec: {containers: [{name: 1, image: a}]}}", "{spec: {containers: [{name: '1', tty: true}]}}", "{spec: {containers: [{name: '1', image: a, tty: true}]}}"},

		{"delete a map", pod, "{spec: {securityContext: {a: 1}}}", "{spec: {securityContext: {$patch: delete}}}", "{spec: {}}"},
		{"delete an element", pod, "{spec: {containers: [{name: a}, {name: b}]}}", "{spec: {containers: [{name: a, $patch: delete}]}}", "{spec: {containers: [{name: b}]}}"},
		{"delete a list", pod, "{spec: {containers: [{name: a}]}}", "{spec: {containers: [{$patch: delete}]}}", "{spec: {}}"},
		{"replace a map", pod, "{spec: {securityContext: {a: 1}}}", "{spec: {securityContext: {$patch: replace, b: 2}}}", "{spec: {securityContext: {b: 2}}}"},
		{"replace a list", pod, "{spec: {containers: [{name: a}, {name: b}]}}", "{spec: {containers: [{$patch: replace}, {name: c}]}}", "{spec: {containers: [{name: c}]}}"},
		{"replace the root", pod, "{metadata: {name: a}, spec: {}}", "{$patch: replace, metadata: {name: b}}", "{metadata: {name: b}}"},
		{"merge a map", pod, "{spec: {securityContext: {a: 1}}}", "{spec: {securityContext: {$patch: merge, b: 2}}}", "{spec: {securityContext: {a: 1, b: 2}}}"},
		{"delete a map that is not there", pod, "{spec: {}}", "{spec: {securityContext: {$patch: delete, a: 1}}}", "{spec: {}}"},
		{"directives in what is added", pod, "{}", "{spec: {a: {$patch: delete}, b: {$patch: replace, c: 1}}}", "{spec: {b: {c: 1}}}"},
		{"setElementOrder is a field", pod, "{spec: {}}", "{spec: {$setElementOrder/containers: [{name: a}], $retainKeys: [a]}}", "{spec: {$setElementOrder/containers: [{name: a}], $retainKeys: [a]}}"},
		{"retainKeys does not apply", resource.Kind{Group: "apps", Version: "v1", Kind: "Deployment"}, "{spec: {strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 1}}}}",
			"{spec: {strategy: {type: Recreate}}}", "{spec: {strategy: {type: Recreate, rollingUpdate: {maxSurge: 1}}}}"},

		{"quirk: a number put in the place of a string becomes one", custom, "{a: x, b: x, c: x, d: 1}", "{a: 1, b: true, c: 1.5, d: '2'}", "{a: '1', b: 'true', c: '1.5', d: '2'}"},
		{"quirk: duplicates go even where the patch does not reach", pod, "{spec: {containers: [{name: a, env: [{name: X, value: '1'}, {name: Y}, {name: X, value: '2'}]}]}}", "{metadata: {labels: {a: b}}}",
			"{metadata: {labels: {a: b}}, spec: {containers: [{name: a, env: [{name: X, value: '2'}, {name: Y}]}]}}"},
		{"quirk: an empty element goes, with all that follow it", pod, "{spec: {hostAliases: [{ip: a}, {ip: b}, {}, {ip: c}]}}", "{}", "{spec: {hostAliases: [{ip: a}, {ip: b}]}}"},
		{"quirk: an element without merge key deletes the others", pod, "{spec: {volumes: [{name: a}, {name: b}, {emptyDir: {}}, {name: c}]}}", "{}", "{spec: {volumes: [{emptyDir: {}}]}}"},
		{"quirk: replace in an element does nothing", pod, "{spec: {containers: [{name: a, image: x}]}}", "{spec: {containers: [{name: a, $patch: replace, tty: true}]}}", "{spec: {containers: [{name: a, image: x}]}}"},
		{"quirk: a port without protocol does not meet the one with it", pod, "{spec: {containers: [{name: a, ports: [{containerPort: 80, protocol: TCP}]}]}}",
			"{spec: {containers: [{name: a, ports: [{containerPort: 80, name: http}]}]}}",
			"{spec: {containers: [{name: a, ports: [{containerPort: 80, protocol: TCP}]}]}}"},
		{"quirk: an unknown directive in an added map is a field", custom, "{}", "{a: {$patch: other}}", "{a: {$patch: other}}"},
		{"quirk: a directive in an added list is an element", custom, "{}", "{a: [{$patch: replace}, 1]}", "{a: [{$patch: replace}, 1]}"},
		{"quirk: maps in a custom resource that say their kind are merged as that kind", custom, "{spec: {template: {apiVersion: v1, kind: Pod, spec: {containers: [{name: a}]}}}}",
			"{spec: {template: {spec: {containers: [{name: b}]}}}}", "{spec: {template: {apiVersion: v1, kind: Pod, spec: {containers: [{name: b}, {name: a}]}}}}"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			object, patch := parse(t, test.object), parse(t, test.patch)
			got, err := Merge(test.kind, object, patch)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(parse(t, test.want), got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(parse(t, test.object), object); diff != "" {
				t.Errorf("Merge modified the object (-before +after):\n%s", diff)
			}
			if diff := cmp.Diff(parse(t, test.patch), patch); diff != "" {
				t.Errorf("Merge modified the patch (-before +after):\n%s", diff)
			}
		})
	}
}

func TestMergeErrors(t *testing.T) {
	tests := []struct {
		kind                resource.Kind
		object, patch, want string
	}{
		{custom, "{a: {b: 1}}", "{a: {b: {c: 1}}}", "a.b: the patch has a map where the object has a number"},
		{custom, "{a: {b: {}}}", "{a: {b: x}}", `a.b: the patch has a string where the object has a map`},
		{custom, "{a: [1]}", "{a: {b: 1}}", "a: the patch has a map where the object has a list"},
		{custom, "{a: x}", "{a: []}", `a: the patch has a list where the object has a string`},
		{pod, "{spec: {containers: [{name: a, env: [{name: b, value: {}}]}]}}", "{spec: {containers: [{name: a, env: [{name: b, value: c}]}]}}",
			`spec.containers[0].env[0].value: the patch has a string where the object has a map`},
		{custom, "{a: {}}", "{a: {$patch: retain}}", `a: $patch: "retain" is not known, expected delete, replace or merge`},
		{pod, "{spec: {containers: [{name: a}]}}", "{spec: {containers: [{$patch: 1}]}}", `spec.containers: $patch: "1" is not known, expected delete, replace or merge`},
		{custom, "{a: 1}", "{$patch: delete}", "the patch deletes the whole object; only its fields can be deleted"},
		{custom, "{a: {}, b: {}}", "{b: 1, a: 1}", "a: the patch has a number where the object has a map"},
		{pod, "{spec: {containers: [a, b]}}", "{}", `spec.containers: the list has a string as an element, expected a map with the merge key name`},
	}
	for _, test := range tests {
		got, err := Merge(test.kind, parse(t, test.object), parse(t, test.patch))
		switch {
		case err == nil:
			t.Errorf("%s into %s gave %v, want an error", test.patch, test.object, got)
		case err.Error() != test.want:
			t.Errorf("%s into %s:\ngot  %s\nwant %s", test.patch, test.object, err, test.want)
		}
	}
}

// TestMergeShares checks what callers rely on: no change gives the very object,
// and untouched parts are not copied.
func TestMergeShares(t *testing.T) {
	object := parse(t, "{metadata: {name: a, labels: {x: z}}, spec: {containers: [{name: a, image: i}], replicas: 1}}")
	same := func(a, b any) bool {
		x, y := a.(map[string]any), b.(map[string]any)
		x["probe"] = true
		_, ok := y["probe"]
		delete(x, "probe")
		return ok
	}
	for _, patch := range []string{"{}", "{metadata: {name: a}}", "{spec: {containers: [{name: a, image: i}]}}", "{x: null}", "{y: {$patch: delete}}", "{spec: {replicas: 1}}"} {
		out, err := Merge(pod, object, parse(t, patch))
		if err != nil {
			t.Fatal(err)
		}
		if !same(out, object) {
			t.Errorf("%s changes nothing, but the result is a copy", patch)
		}
	}
	out, err := Merge(pod, object, parse(t, "{metadata: {name: b}}"))
	if err != nil {
		t.Fatal(err)
	}
	if !same(out["spec"], object["spec"]) || same(out["metadata"], object["metadata"]) {
		t.Error("spec must be shared, metadata must not")
	}
}

func TestMergeKeys(t *testing.T) {
	tests := []struct {
		apiVersion, kind, path string
		want                   []string
	}{
		{"v1", "Pod", "spec.containers", []string{"name"}},
		{"v1", "Pod", "spec.containers[3].env", []string{"name"}},
		{"v1", "Pod", "spec.containers[0].ports", []string{"containerPort", "protocol"}},
		{"v1", "Pod", "spec.containers[0].volumeMounts", []string{"mountPath"}},
		{"v1", "Pod", "spec.volumes", []string{"name"}},
		{"v1", "Pod", "spec.topologySpreadConstraints", []string{"topologyKey", "whenUnsatisfiable"}},
		{"v1", "Pod", "spec.hostAliases", []string{"ip"}},
		{"v1", "Pod", "metadata.ownerReferences", []string{"uid"}},
		{"v1", "Pod", "metadata.finalizers", nil}, // merged, but without a key
		{"v1", "Pod", "spec.tolerations", nil},
		{"v1", "Pod", "spec.containers[0].args", nil},
		{"v1", "Pod", "spec.containers.env", nil},
		{"v1", "Pod", "spec[0]", nil},
		{"v1", "Pod", "spec.nonsense.more", nil},
		{"v1", "Pod", "spec", nil},
		{"v1", "Pod", "", nil},
		{"apps/v1", "Deployment", "spec.template.spec.initContainers", []string{"name"}},
		{"batch/v1", "CronJob", "spec.jobTemplate.spec.template.spec.containers", []string{"name"}},
		{"v1", "Service", "spec.ports", []string{"port", "protocol"}},
		{"v1", "ServiceAccount", "secrets", []string{"name"}},
		{"v1", "Node", "status.addresses", []string{"type"}},
		{"admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", "webhooks", []string{"name"}},
		{"argoproj.io/v1alpha1", "Rollout", "spec.template.spec.containers", nil},
		{"v2", "Pod", "spec.containers", nil},
		{"", "", "spec.containers", nil},
	}
	for _, test := range tests {
		path, err := fieldpath.Parse(test.path)
		if err != nil {
			t.Fatal(err)
		}
		got := MergeKeys(resource.ParseKind(test.apiVersion, test.kind), path)
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s/%s at %s (-want +got):\n%s", test.apiVersion, test.kind, test.path, diff)
		}
	}
}

// TestTableIsSorted guards the searches in the generated table.
func TestTableIsSorted(t *testing.T) {
	for i, k := range kinds {
		if i > 0 && kinds[i-1].name >= k.name {
			t.Errorf("%s comes after %s", k.name, kinds[i-1].name)
		}
		i := strings.LastIndexByte(k.name, '/')
		if got := shapeOfKind(k.name[:i], k.name[i+1:]); got != k.shape {
			t.Errorf("%s is found as shape %d, want %d", k.name, got, k.shape)
		}
	}
}

// TestRegularListsAreKept checks the short cut for lists that merging with
// nothing does not change against the long way.
func TestRegularListsAreKept(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	pick := func(from ...any) any { return from[r.IntN(len(from))] }
	regulars := 0
	for range 50_000 {
		f := field{shape: leaf, keys: uint8(1 + r.IntN(len(keyLists)-1))}
		keys := f.mergeKeys()
		list := []any{}
		for range r.IntN(4) {
			if keys[0] == "" {
				list = append(list, pick("a", "b", "c", "", int64(1), nil, true))
				continue
			}
			m := map[string]any{}
			for _, k := range keys {
				if v := pick("a", "b", "c", "d", "", int64(1), "1", nil, "absent"); v != "absent" || r.IntN(2) == 0 {
					m[k] = v
				}
			}
			list = append(list, pick(m, m, m, m, m, m, "scalar", nil, map[string]any{}))
		}
		if !regular(list, keys) {
			continue
		}
		regulars++
		l := newEditList(list)
		out, err := mergeElements(f, l, nil)
		if err != nil || !equal(list, out.values()) {
			t.Fatalf("keys %v, list %v is not regular: %v, %v", keys, list, out.values(), err)
		}
	}
	if regulars < 1000 {
		t.Errorf("only %d lists were regular", regulars)
	}
}

func FuzzMerge(f *testing.F) {
	f.Add("v1", "Pod", `{"spec":{"containers":[{"name":"a","ports":[{"containerPort":1},{"protocol":"TCP"}]}]}}`, `{"spec":{"containers":[{"name":"a","$patch":"delete"},{"$patch":"replace"}]}}`)
	f.Add("v1", "Service", `{"spec":{"ports":[{"port":1},{"port":1,"protocol":"UDP"},{},null,1]}}`, `{"spec":{"ports":[{"port":1,"protocol":"TCP"},{"port":null}]}}`)
	f.Add("apps/v1", "Deployment", `{"metadata":{"finalizers":["a","a",1,null]},"a":{"apiVersion":"v1","kind":"Pod","spec":{"volumes":[{}]}}}`, `{"metadata":{"finalizers":[{"a":1}]},"a":null}`)
	f.Fuzz(func(t *testing.T, apiVersion, kind, object, patch string) {
		var o, p map[string]any
		if json.Unmarshal([]byte(object), &o) != nil || json.Unmarshal([]byte(patch), &p) != nil {
			return
		}
		integers(o)
		integers(p)
		beforeObject, beforePatch := jsonvalue.Clone(o), jsonvalue.Clone(p)
		bounds.Hold(t)
		out, err := Merge(resource.ParseKind(apiVersion, kind), o, p)
		if !cmp.Equal(beforeObject, jsonvalue.Clone(o)) || !cmp.Equal(beforePatch, jsonvalue.Clone(p)) {
			t.Errorf("Merge modified its input")
		}
		if err != nil {
			var placed *fieldpath.Error
			if out != nil || errors.As(err, &placed) && len(placed.Path()) == 0 {
				t.Errorf("unexpected %v with %v", out, err)
			}
		}
	})
}

func BenchmarkMerge(b *testing.B) {
	object := parse(b, `
apiVersion: apps/v1
kind: Deployment
metadata: {name: podinfo, labels: {app: podinfo, team: web}, annotations: {example.com/owner: me}}
spec:
  replicas: 3
  selector: {matchLabels: {app: podinfo}}
  template:
    metadata: {labels: {app: podinfo}}
    spec:
      containers:
      - name: podinfo
        image: ghcr.io/stefanprodan/podinfo:6.3.0
        env: [{name: A, value: b}, {name: C, value: d}]
        ports: [{name: http, containerPort: 9898}, {name: metrics, containerPort: 9797}]
        resources: {limits: {cpu: 100m, memory: 64Mi}, requests: {cpu: 10m, memory: 32Mi}}
      - {name: sidecar, image: envoy, args: [a, b, c]}
      volumes: [{name: data, emptyDir: {}}, {name: conf, configMap: {name: conf}}]
`)
	patch := parse(b, "{metadata: {labels: {x: z}}, spec: {template: {spec: {containers: [{name: podinfo, securityContext: {runAsNonRoot: true}}]}}}}")
	kind := resource.IDOf(object).Kind
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Merge(kind, object, patch); err != nil {
			b.Fatal(err)
		}
	}
}
