package apply_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"

	"github.com/oneloop-dev/oneloop/pkg/patch/apply"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// object reads YAML into JSON values.
func object(t testing.TB, text string) map[string]any {
	t.Helper()
	data, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := utiljson.Unmarshal(data, &out); err != nil { // numbers become int64 or float64
		t.Fatal(err)
	}
	return out
}

func kindOf(object map[string]any) resource.Kind {
	apiVersion, _ := object["apiVersion"].(string)
	kind, _ := object["kind"].(string)
	return resource.ParseKind(apiVersion, kind)
}

const (
	pod = `{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {%s}}`
	dep = `{apiVersion: apps/v1, kind: Deployment, metadata: {name: d}, spec: {%s}}`
)

func TestMerge(t *testing.T) {
	tests := []struct {
		name        string
		frame       string // of live and want; that of the patch is without a name
		live, patch string
		want        string
		err         string
	}{
		{name: "nothing", frame: pod, live: `priority: 1`, patch: ``, want: `priority: 1`},
		{name: "scalar replaces", frame: dep, live: `replicas: 2`, patch: `replicas: 3`, want: `replicas: 3`},
		{name: "scalar is added", frame: dep, live: `paused: true`, patch: `replicas: 3`, want: `paused: true, replicas: 3`},
		{name: "null of a field replaces it", frame: dep, live: `replicas: 2`, patch: `replicas: null`, want: `replicas: null`},
		{name: "empty map is kept", frame: pod, live: `securityContext: {}`, patch: `securityContext: {}`, want: `securityContext: {}`},
		{name: "empty map adds nothing", frame: pod, live: `securityContext: {runAsUser: 1}`, patch: `securityContext: {}`, want: `securityContext: {runAsUser: 1}`},
		{name: "empty list adds nothing", frame: pod, live: `containers: [{name: a}]`, patch: `containers: []`, want: `containers: [{name: a}]`},
		{name: "null list adds nothing", frame: pod, live: `containers: [{name: a}]`, patch: `containers: null`, want: `containers: [{name: a}]`},
		{
			name: "whole template", frame: dep,
			live:  ``,
			patch: `replicas: 1, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i, ports: [{containerPort: 80}], resources: {limits: {cpu: 128M}}}]}}`,
			want:  `replicas: 1, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i, ports: [{containerPort: 80}], resources: {limits: {cpu: 128M}}}]}}`,
		},

		{
			name: "element is appended", frame: pod,
			live: `volumes: [{name: x}]`, patch: `volumes: [{name: z}]`, want: `volumes: [{name: x}, {name: z}]`,
		},
		{
			name: "element is merged", frame: pod,
			live: `volumes: [{name: x}, {name: z}]`, patch: `volumes: [{name: z, hostPath: {path: /}}]`, want: `volumes: [{name: x}, {name: z, hostPath: {path: /}}]`,
		},
		{
			name: "order of the patch wins among shared elements", frame: pod,
			live: `containers: [{name: a}, {name: b}, {name: c}]`, patch: `containers: [{name: c}, {name: a}]`, want: `containers: [{name: b}, {name: c}, {name: a}]`,
		},
		{
			name: "two keys, one with a default", frame: pod,
			live:  `containers: [{name: a, ports: [{containerPort: 53}, {containerPort: 53, protocol: UDP}]}]`,
			patch: `containers: [{name: a, ports: [{containerPort: 53, protocol: TCP, name: tcp}, {containerPort: 53, protocol: UDP, name: udp}]}]`,
			want:  `containers: [{name: a, ports: [{containerPort: 53, protocol: TCP, name: tcp}, {containerPort: 53, protocol: UDP, name: udp}]}]`,
		},
		{
			name: "duplicates that the patch does not name stay", frame: pod,
			live:  `containers: [{name: a, env: [{name: x, value: "1"}, {name: x, value: "2"}]}]`,
			patch: `containers: [{name: a, image: i}]`,
			want:  `containers: [{name: a, image: i, env: [{name: x, value: "1"}, {name: x, value: "2"}]}]`,
		},
		{
			name: "duplicates that the patch names become one", frame: pod,
			live:  `containers: [{name: a, env: [{name: x, value: "1"}, {name: x, value: "2"}, {name: z}]}]`,
			patch: `containers: [{name: a, env: [{name: x, value: "3"}]}]`,
			want:  `containers: [{name: a, env: [{name: x, value: "3"}, {name: z}]}]`,
		},
		{
			name: "map of strings", frame: `{apiVersion: v1, kind: ConfigMap, metadata: {name: c}, data: {%s}}`,
			live: `a: "1", b: "2"`, patch: `b: "3", c: "4"`, want: `a: "1", b: "3", c: "4"`,
		},
		{
			name: "set", frame: `{apiVersion: v1, kind: Pod, metadata: {name: p, finalizers: [%s]}}`,
			live: `a, b`, patch: `b, c`, want: `a, b, c`,
		},
		{
			name: "quantity of either type", frame: pod,
			live:  `containers: [{name: a, resources: {limits: {cpu: 1}}}]`,
			patch: `containers: [{name: a, resources: {limits: {cpu: 500m}}}]`,
			want:  `containers: [{name: a, resources: {limits: {cpu: 500m}}}]`,
		},
		{
			name: "int or string", frame: dep,
			live: `strategy: {rollingUpdate: {maxSurge: 1}}`, patch: `strategy: {rollingUpdate: {maxSurge: 25%}}`, want: `strategy: {rollingUpdate: {maxSurge: 25%}}`,
		},

		{name: "atomic map", frame: dep, patch: `selector: {matchLabels: {a: b}}`, err: "invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: .spec.selector"},
		{name: "atomic map of any keys", frame: pod, patch: `nodeSelector: {a: b}`, err: "invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: .spec.nodeSelector"},
		{name: "empty atomic map", frame: pod, patch: `nodeSelector: {}`, err: "invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: .spec.nodeSelector"},
		{name: "atomic lists", frame: pod, patch: `containers: [{name: a, command: [x], args: [z]}, {name: b, args: []}]`,
			err: "invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: .spec.containers[0].args, .spec.containers[0].command, .spec.containers[1].args"},
		{name: "atomic in an atomic", frame: pod, patch: `affinity: {podAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{namespaces: [x]}]}}`,
			err: "invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: .spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution, .spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].namespaces"},
		{name: "unknown field", frame: dep, patch: `replicasx: 1`, err: "failed to convert patch object to typed object: .spec.replicasx: field not declared in schema"},
		{name: "two unknown fields", frame: dep, patch: `b: 1, a: 1`, err: "failed to convert patch object to typed object: .spec.a: field not declared in schema"},
		{name: "string for a number", frame: dep, patch: `replicas: five`, err: "failed to convert patch object to typed object: .spec.replicas: expected numeric (int or float), got string"},
		{name: "number for a string", frame: pod, patch: `hostname: 1`, err: "failed to convert patch object to typed object: .spec.hostname: expected string, got &value.valueUnstructured{Value:1}"},
		{name: "string for a boolean", frame: dep, patch: `paused: "yes"`, err: "failed to convert patch object to typed object: .spec.paused: expected boolean, got &{yes}"},
		{name: "map for a quantity", frame: pod, patch: `containers: [{name: a, resources: {limits: {cpu: {a: b}}}}]`, err: "failed to convert patch object to typed object: .spec.containers[name=\"a\"].resources.limits.cpu: expected any scalar, got &{map[a:b]}"},
		{name: "list for a map", frame: pod, patch: `securityContext: [1]`, err: "failed to convert patch object to typed object: .spec.securityContext: expected map, got &{[1]}"},
		{name: "map for a list", frame: pod, patch: `volumes: {a: 1}`, err: "failed to convert patch object to typed object: .spec.volumes: expected list, got &{map[a:1]}"},
		{name: "several faults", frame: pod, patch: `priority: a, containers: [{name: a, tty: 1}]`,
			err: "failed to convert patch object to typed object: errors:\n  .spec.containers[name=\"a\"].tty: expected boolean, got &{1}\n  .spec.priority: expected numeric (int or float), got string"},
		{name: "duplicates in the patch", frame: pod, patch: `containers: [{name: a}, {name: a}]`, err: "failed to convert patch object to typed object: .spec.containers: duplicate entries for key [name=\"a\"]"},
		{name: "no key in the patch", frame: pod, patch: `volumes: [{mountPath: x}]`, err: "failed to convert patch object to typed object: .spec.volumes[name=\"\"].mountPath: field not declared in schema"},
		{name: "null element", frame: pod, patch: `volumes: [null]`, err: "failed to convert patch object to typed object: .spec.volumes: element 0: associative list with keys may not have a null element"},
		{name: "fault in the live object", frame: dep, live: `replicas: "3"`, patch: `paused: true`, err: "failed to convert original object to typed object: .spec.replicas: expected numeric (int or float), got string"},
		{name: "fault in the live object is named before its unknown fields", frame: dep, live: `a: 1, replicas: "3"`, patch: `paused: true`, err: "failed to convert original object to typed object: .spec.replicas: expected numeric (int or float), got string"},

		{
			name: "unknown fields of the live object stay", frame: pod,
			live:  `brandNew: {list: [1]}, containers: [{name: a, brandNew: x}]`,
			patch: `containers: [{name: a, image: i}]`,
			want:  `brandNew: {list: [1]}, containers: [{name: a, brandNew: x, image: i}]`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			live, patch := object(t, fmt.Sprintf(tt.frame, tt.live)), object(t, fmt.Sprintf(tt.frame, tt.patch))
			delete(patch["metadata"].(map[string]any), "name")
			before, beforePatch := jsonText(t, live), jsonText(t, patch)
			got, err := apply.BuiltIn().Merge(kindOf(live), live, patch)
			switch {
			case tt.err != "" && err == nil:
				t.Fatalf("got %s, want the error %q", jsonText(t, got), tt.err)
			case tt.err != "" && err.Error() != tt.err:
				t.Fatalf("got the error\n%s\nwant\n%s", err, tt.err)
			case tt.err == "" && err != nil:
				t.Fatal(err)
			case tt.err == "":
				if diff := cmp.Diff(object(t, fmt.Sprintf(tt.frame, tt.want)), got); diff != "" {
					t.Errorf("result (-want +got):\n%s", diff)
				}
			}
			if jsonText(t, live) != before || jsonText(t, patch) != beforePatch {
				t.Error("the input was modified")
			}
		})
	}
}

func jsonText(t testing.TB, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestMergeSetsKind(t *testing.T) {
	live := object(t, `{apiVersion: v1, kind: Pod, metadata: {name: p}}`)
	patch := map[string]any{"apiVersion": "x/v1", "kind": "Y", "spec": map[string]any{"hostname": "h"}}
	got, err := apply.BuiltIn().Merge(kindOf(live), live, patch)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(object(t, `{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {hostname: h}}`), got); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
	if got, err = apply.BuiltIn().Merge(kindOf(live), live, nil); err != nil || !cmp.Equal(got, live) {
		t.Errorf("got %v, %v for no patch, want the object", got, err)
	}
}

func TestMergeAtomics(t *testing.T) {
	live := object(t, `{apiVersion: v1, kind: Pod, spec: {nodeSelector: {a: b}, containers: [{name: c, image: i, args: [x, z]}]}}`)
	patch := object(t, `{spec: {nodeSelector: {c: d}, containers: [{name: c, args: [z]}]}}`)
	got, err := apply.BuiltIn().MergeAtomics(kindOf(live), live, patch)
	if err != nil {
		t.Fatal(err)
	}
	want := object(t, `{apiVersion: v1, kind: Pod, spec: {nodeSelector: {c: d}, containers: [{name: c, image: i, args: [z]}]}}`)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
	if _, err := apply.BuiltIn().MergeAtomics(kindOf(live), live, object(t, `{spec: {x: y}}`)); err == nil {
		t.Error("an unknown field is no error")
	}
}

func TestUnknownKind(t *testing.T) {
	live := object(t, `{apiVersion: example.com/v1, kind: Widget, metadata: {name: w, finalizers: [a]}, spec: {a: {b: 1, c: [1]}}}`)
	s := apply.BuiltIn()
	if s.Knows(kindOf(live)) {
		t.Fatal("the kind is known")
	}
	got, err := s.Merge(kindOf(live), live, object(t, `{metadata: {finalizers: [b]}, spec: {a: {b: 2, d: x}}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := object(t, `{apiVersion: example.com/v1, kind: Widget, metadata: {name: w, finalizers: [a, b]}, spec: {a: {b: 2, c: [1], d: x}}}`)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
	_, err = s.Merge(kindOf(live), live, object(t, `{spec: {a: {c: [2]}}}`))
	const msg = "the patch has a list at .spec.a.c, and whether lists of example.com/v1/Widget are merged or replaced is not known: give its CustomResourceDefinition"
	if err == nil || err.Error() != msg {
		t.Errorf("got the error\n%v\nwant\n%s", err, msg)
	}
	if _, err = s.Merge(kindOf(live), live, object(t, `{metadata: {lables: {a: b}}}`)); err == nil {
		t.Error("a field that no metadata has is no error")
	}
}

const widgets = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  names: {kind: Widget}
  versions:
  - name: v1
    served: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          metadata: {type: object}
          spec:
            type: object
            properties:
              size: {type: integer}
              title: {type: string}
              since: {type: string, format: date-time}
              port: {x-kubernetes-int-or-string: true}
              plain: {type: array, items: {type: string}}
              tags: {type: array, x-kubernetes-list-type: set, items: {type: string}}
              parts:
                type: array
                x-kubernetes-list-type: map
                x-kubernetes-list-map-keys: [id, side]
                items:
                  type: object
                  properties: {id: {type: string}, side: {type: string, default: left}, size: {type: integer}}
              pair: {type: object, x-kubernetes-map-type: atomic, properties: {a: {type: string}, b: {type: string}}}
              labels: {type: object, additionalProperties: {type: string}}
              loose: {type: object, x-kubernetes-preserve-unknown-fields: true, properties: {known: {type: integer}, below: {type: object, properties: {x: {type: string}}}}}
              template: {type: object, x-kubernetes-embedded-resource: true, properties: {spec: {type: object}}}
  - name: v1alpha1
    served: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
  - name: v0
    served: false
    schema: {openAPIV3Schema: {type: object}}
`

func TestCustomResources(t *testing.T) {
	s, err := apply.BuiltIn().With([]map[string]any{object(t, widgets)})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, live, patch, want, err string }{
		{name: "scalars", live: `size: 1`, patch: `size: 2, title: t`, want: `size: 2, title: t`},
		{name: "unknown field", patch: `sizes: 2`, err: ".spec.sizes: field not declared in schema"},
		{name: "wrong type", patch: `size: x`, err: ".spec.size: expected numeric (int or float), got string"},
		{name: "string with a format", live: `since: a`, patch: `since: b`, want: `since: b`},
		{name: "int or string", live: `port: 1`, patch: `port: http`, want: `port: http`},
		{name: "list without a type is atomic", live: `plain: [a]`, patch: `plain: [b]`, err: "may not mutate atomic arrays, maps or structs: .spec.plain"},
		{name: "set", live: `tags: [a]`, patch: `tags: [b, a]`, want: `tags: [b, a]`},
		{name: "keys and their default", live: `parts: [{id: a, size: 1}, {id: b}]`, patch: `parts: [{id: a, side: left, size: 2}, {id: b, side: right}]`,
			want: `parts: [{id: a, side: left, size: 2}, {id: b}, {id: b, side: right}]`},
		{name: "atomic map", live: `pair: {a: x}`, patch: `pair: {b: x}`, err: "may not mutate atomic arrays, maps or structs: .spec.pair"},
		{name: "additional properties", live: `labels: {a: x}`, patch: `labels: {b: x}`, want: `labels: {a: x, b: x}`},
		{name: "additional properties of a wrong type", patch: `labels: {b: 1}`, err: ".spec.labels.b: expected string"},
		{name: "preserved fields", live: `loose: {a: {b: 1}}`, patch: `loose: {a: {c: 1}, below: {z: 1}}`, want: `loose: {a: {b: 1, c: 1}, below: {z: 1}}`},
		{name: "preserved lists are replaced", live: `loose: {a: [1]}`, patch: `loose: {a: [2]}`, want: `loose: {a: [2]}`},
		{name: "known field among preserved ones", patch: `loose: {known: x}`, err: ".spec.loose.known: expected numeric"},
		{name: "embedded object", live: `template: {metadata: {finalizers: [a]}, spec: {x: 1}}`, patch: `template: {metadata: {finalizers: [b]}, spec: {z: 1}}`,
			want: `template: {metadata: {finalizers: [a, b]}, spec: {x: 1, z: 1}}`},
		{name: "unknown field of an embedded object", patch: `template: {status: {}}`, err: ".spec.template.status: field not declared in schema"},
	}
	const frame = `{apiVersion: example.com/v1, kind: Widget, metadata: {name: w}, spec: {%s}}`
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			live, patch := object(t, fmt.Sprintf(frame, tt.live)), object(t, fmt.Sprintf(frame, tt.patch))
			got, err := s.Merge(kindOf(live), live, patch)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("got %v and the error %v, want the error %q", got, err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(object(t, fmt.Sprintf(frame, tt.want)), got); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
		})
	}
	for version, known := range map[string]bool{"v1": true, "v1alpha1": true, "v0": false} {
		if got := s.Knows(resource.Kind{Group: "example.com", Version: version, Kind: "Widget"}); got != known {
			t.Errorf("Knows(%s) = %v", version, got)
		}
	}
	if apply.BuiltIn().Knows(resource.Kind{Group: "example.com", Version: "v1", Kind: "Widget"}) {
		t.Error("With changed what it was called on")
	}
}

func TestFaultyDefinitions(t *testing.T) {
	const frame = `{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: x}, spec: {group: g, names: {kind: K}, versions: [{name: v1, schema: {openAPIV3Schema: %s}}]}}`
	for _, tt := range []struct{ name, schema, err string }{
		{"no object", `{type: string}`, `openAPIV3Schema.type: expected object, got string`},
		{"no type", `{type: object, properties: {a: {type: number, properties: {}}, b: {type: text}}}`, `openAPIV3Schema.properties.b.type: text is no type`},
		{"list of no type", `{type: object, properties: {a: {type: array, x-kubernetes-list-type: bag, items: {type: string}}}}`, `openAPIV3Schema.properties.a.x-kubernetes-list-type: bag is none of atomic, set and map`},
		{"list without keys", `{type: object, properties: {a: {type: array, x-kubernetes-list-type: map, items: {type: object}}}}`, `openAPIV3Schema.properties.a.x-kubernetes-list-map-keys: a list of type map needs keys`},
		{"list without items", `{type: object, properties: {a: {type: array}}}`, `openAPIV3Schema.properties.a.items: an array needs them`},
		{"map of no type", `{type: object, properties: {a: {type: object, x-kubernetes-map-type: x}}}`, `openAPIV3Schema.properties.a.x-kubernetes-map-type: x is neither atomic nor granular`},
		{"property of no schema", `{type: object, properties: {a: string}}`, `openAPIV3Schema.properties.a: expected a schema, got string`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := apply.BuiltIn().With([]map[string]any{object(t, fmt.Sprintf(frame, tt.schema))})
			if err != nil {
				t.Fatal(err)
			}
			k := object(t, `{apiVersion: g/v1, kind: K}`)
			_, err = s.Merge(kindOf(k), k, nil)
			if want := `CustomResourceDefinition "x": version v1: ` + tt.err; err == nil || err.Error() != want {
				t.Errorf("got the error\n%v\nwant\n%s", err, want)
			}
		})
	}
	for _, tt := range []struct{ name, text, err string }{
		{"another kind", `{apiVersion: v1, kind: Pod}`, `CustomResourceDefinition "": it is v1/Pod: expected apiextensions.k8s.io/v1/CustomResourceDefinition`},
		{"no kind", `{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: x}, spec: {group: g}}`, `CustomResourceDefinition "x": spec.group and spec.names.kind must not be empty`},
		{"no versions", `{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: x}, spec: {group: g, names: {kind: K}}}`, `CustomResourceDefinition "x": spec.versions must not be empty`},
		{"version without a name", `{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: x}, spec: {group: g, names: {kind: K}, versions: [{}]}}`, `CustomResourceDefinition "x": spec.versions[0].name must not be empty`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := apply.BuiltIn().With([]map[string]any{object(t, tt.text)}); err == nil || err.Error() != tt.err {
				t.Errorf("got the error\n%v\nwant\n%s", err, tt.err)
			}
		})
	}
}

func TestManyGoroutines(t *testing.T) {
	s, err := apply.BuiltIn().With([]map[string]any{object(t, widgets)})
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for _, text := range []string{
				`{apiVersion: apps/v1, kind: StatefulSet, spec: {unknown: 1, replicas: 1}}`,
				`{apiVersion: v1, kind: PersistentVolume, spec: {claimRef: {name: a}}}`,
				`{apiVersion: example.com/v1, kind: Widget, spec: {unknown: 1}}`,
				`{apiVersion: example.com/v1, kind: Other, spec: {unknown: 1}}`,
			} {
				live := object(t, text)
				if _, err := s.Merge(kindOf(live), live, nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
}
