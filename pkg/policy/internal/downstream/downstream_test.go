package downstream_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oneloop-dev/oneloop/pkg/policy/internal/downstream"
)

func TestLabel(t *testing.T) {
	for name, tt := range map[string]struct {
		meta       map[string]any
		controller map[string]string
		want       map[string]any
	}{
		"none":           {map[string]any{"name": "a"}, nil, map[string]any{"name": "a"}},
		"own stay":       {map[string]any{"labels": map[string]any{"a": "b"}}, nil, map[string]any{"labels": map[string]any{"a": "b"}}},
		"controller's":   {map[string]any{"labels": map[string]any{"generate.kyverno.io/x": "b", "app.kubernetes.io/managed-by": "me"}}, nil, map[string]any{}},
		"no text":        {map[string]any{"labels": map[string]any{"a": "b", "c": int64(1)}}, nil, map[string]any{}},
		"asked for":      {map[string]any{}, map[string]string{"rule-name": "r"}, map[string]any{"labels": map[string]any{"app.kubernetes.io/managed-by": "kyverno", "generate.kyverno.io/rule-name": "r"}}},
		"asked, no text": {map[string]any{"labels": map[string]any{"c": int64(1)}}, map[string]string{}, map[string]any{"labels": map[string]any{"app.kubernetes.io/managed-by": "kyverno"}}},
	} {
		t.Run(name, func(t *testing.T) {
			if err := downstream.Label(tt.meta, tt.controller); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, tt.meta); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
	if err := downstream.Label(map[string]any{"labels": "x"}, nil); err == nil {
		t.Error("labels that are no map are no fault")
	}
}
