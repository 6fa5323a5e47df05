package apply_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oneloop-dev/oneloop/pkg/patch/apply"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

func TestPrune(t *testing.T) {
	deployment := resource.Kind{Group: "apps", Version: "v1", Kind: "Deployment"}
	type object = map[string]any
	widget, err := apply.BuiltIn().With([]map[string]any{{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"spec": object{
			"group": "acme.io", "names": object{"kind": "Widget", "plural": "widgets"}, "scope": "Namespaced",
			"versions": []any{object{"name": "v1", "served": true, "schema": object{"openAPIV3Schema": object{
				"type": "object", "properties": object{"spec": object{"type": "object", "properties": object{
					"size": object{"type": "integer"},
					"any":  object{"type": "object", "x-kubernetes-preserve-unknown-fields": true},
				}}},
			}}}},
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name                string
		kind                resource.Kind
		before, after, want object
		dropped             []string
	}{
		{
			"what no type names", deployment,
			object{"spec": object{"replicas": int64(1)}},
			object{"spec": object{"replicas": int64(2), "nodeSelector": object{"a": "b"}}, "extra": true},
			object{"spec": object{"replicas": int64(2)}},
			[]string{"extra", "spec.nodeSelector"},
		},
		{
			"in lists", deployment,
			object{},
			object{"spec": object{"template": object{"spec": object{"containers": []any{object{"name": "a", "imge": "b"}, object{"name": "b", "imge": "c"}}}}}},
			object{"spec": object{"template": object{"spec": object{"containers": []any{object{"name": "a"}, object{"name": "b"}}}}}},
			[]string{"spec.template.spec.containers[].imge"},
		},
		{
			"what was there stays", deployment,
			object{"spec": object{"old": object{"a": "b"}}},
			object{"spec": object{"old": object{"a": "c"}}},
			object{"spec": object{"old": object{"a": "c"}}},
			nil,
		},
		{
			"maps with any keys", resource.Kind{Version: "v1", Kind: "ConfigMap"},
			object{},
			object{"metadata": object{"labels": object{"x.y/z": "1"}}, "data": object{"any": "1"}},
			object{"metadata": object{"labels": object{"x.y/z": "1"}}, "data": object{"any": "1"}},
			nil,
		},
		{
			"an unknown kind", resource.Kind{Group: "acme.io", Version: "v2", Kind: "Widget"},
			object{}, object{"spec": object{"a": "b"}}, object{"spec": object{"a": "b"}}, nil,
		},
		{
			"a custom resource", resource.Kind{Group: "acme.io", Version: "v1", Kind: "Widget"},
			object{},
			object{"spec": object{"size": int64(1), "color": "red", "any": object{"a": "b"}}},
			object{"spec": object{"size": int64(1), "any": object{"a": "b"}}},
			[]string{"spec.color"},
		},
	}
	for _, tt := range tests {
		got, dropped, err := widget.Prune(tt.kind, tt.before, tt.after)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, d)
		}
		if d := cmp.Diff(tt.dropped, dropped); d != "" {
			t.Errorf("%s, dropped (-want +got):\n%s", tt.name, d)
		}
	}
}
