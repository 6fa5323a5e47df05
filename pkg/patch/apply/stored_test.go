package apply_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oneloop-dev/oneloop/pkg/patch/apply"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// What a patch sets to nothing is not there once it is stored, as far as the API
// server can't tell the two apart; what was written so before stays.
func TestStored(t *testing.T) {
	pod := resource.Kind{Version: "v1", Kind: "Pod"}
	claim := resource.Kind{Version: "v1", Kind: "PersistentVolumeClaim"}
	type m = map[string]any
	spec := func(fields m) m { return m{"spec": fields} }
	for _, tt := range []struct {
		name          string
		kind          resource.Kind
		before, after m
		want          m
	}{
		{"text", pod, spec(m{}), spec(m{"priorityClassName": "", "hostname": "a"}), spec(m{"hostname": "a"})},
		{"text behind a pointer", claim, spec(m{}), spec(m{"storageClassName": "", "volumeName": ""}), spec(m{"storageClassName": ""})},
		{"false", pod, spec(m{}), spec(m{"hostNetwork": false, "enableServiceLinks": false}), spec(m{"enableServiceLinks": false})},
		{"zero", pod, spec(m{}), spec(m{"containers": []any{m{"name": "c", "ports": []any{m{"containerPort": int64(1), "hostPort": int64(0)}}}}, "terminationGracePeriodSeconds": int64(0)}),
			spec(m{"containers": []any{m{"name": "c", "ports": []any{m{"containerPort": int64(1)}}}}, "terminationGracePeriodSeconds": int64(0)})},
		{"lists and maps", pod, spec(m{}), spec(m{"tolerations": []any{}, "nodeSelector": m{}, "containers": []any{}, "volumes": []any{m{"name": "v", "emptyDir": m{}}}}),
			spec(m{"containers": []any{}, "volumes": []any{m{"name": "v", "emptyDir": m{}}}})},
		{"null", pod, spec(m{}), spec(m{"enableServiceLinks": nil, "containers": nil}), spec(m{})},
		{"null in a map", pod, spec(m{}), m{"metadata": m{"labels": m{"a": "", "b": nil}}, "spec": m{"overhead": m{"cpu": nil}}}, m{"metadata": m{"labels": m{"a": "", "b": ""}}, "spec": m{"overhead": m{"cpu": "0"}}}},
		{"null in a list", pod, spec(m{"containers": []any{m{"name": "a"}}}), spec(m{"containers": []any{m{"name": "a", "args": []any{"b", nil}}, nil}}), spec(m{"containers": []any{m{"name": "a", "args": []any{"b", ""}}, m{}}})},
		{"emptied", pod, spec(m{"hostname": "a"}), spec(m{"hostname": ""}), spec(m{})},
		{"as it was", pod, spec(m{"hostname": "", "hostPID": nil}), spec(m{"hostname": "", "hostPID": nil, "hostIPC": false}), spec(m{"hostname": "", "hostPID": nil})},
		{"as it was in a list", pod, spec(m{"containers": []any{m{"name": "a"}, m{"name": "b", "tty": false}}}),
			spec(m{"containers": []any{m{"name": "b", "tty": false, "stdin": false}, m{"name": "c", "tty": false}}}),
			spec(m{"containers": []any{m{"name": "b", "tty": false}, m{"name": "c"}}})},
		{"not in the schema", pod, m{}, m{"odd": m{"a": ""}}, m{"odd": m{"a": ""}}},
		{"custom", resource.Kind{Group: "example.com", Version: "v1", Kind: "Widget"}, m{}, spec(m{"a": "", "b": nil}), spec(m{"a": "", "b": nil})},
	} {
		got, err := apply.BuiltIn().Stored(tt.kind, tt.before, tt.after)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%s: want -, got +:\n%s", tt.name, d)
		}
	}
}
