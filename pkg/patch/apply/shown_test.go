package apply_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oneloop-dev/oneloop/pkg/patch/apply"
)

func TestShown(t *testing.T) {
	for _, tt := range []struct{ name, written, shown string }{
		{"pod", fmt.Sprintf(pod, `containers: [{name: a}, {name: b, resources: {}}]`),
			`{apiVersion: v1, kind: Pod, metadata: {name: p}, status: {}, spec: {containers: [{name: a, resources: {}}, {name: b, resources: {}}]}}`},
		{"null", `{apiVersion: v1, kind: Pod, metadata: {name: p}, status: null}`, `{apiVersion: v1, kind: Pod, metadata: {name: p}, status: {}, spec: {}}`},
		{"structs in structs", fmt.Sprintf(dep, `replicas: 1`),
			`{apiVersion: apps/v1, kind: Deployment, metadata: {name: d}, status: {}, spec: {replicas: 1, strategy: {}, template: {metadata: {}, spec: {}}}}`},
		{"behind pointers", fmt.Sprintf(pod, `securityContext: {}, volumes: [{name: v, emptyDir: {}}]`),
			`{apiVersion: v1, kind: Pod, metadata: {name: p}, status: {}, spec: {securityContext: {}, volumes: [{name: v, emptyDir: {}}]}}`},
		{"of another type", `{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: x, status: []}`, `{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: x, status: []}`},
		{"custom", `{apiVersion: example.com/v1, kind: Widget}`, `{apiVersion: example.com/v1, kind: Widget}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			written := object(t, tt.written)
			before := jsonText(t, written)
			got, err := apply.BuiltIn().Shown(kindOf(written), written)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(object(t, tt.shown), got); d != "" {
				t.Errorf("shown (-want +got):\n%s", d)
			}
			back, err := apply.BuiltIn().Hidden(kindOf(written), written, got)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(written, back); d != "" {
				t.Errorf("hidden again (-want +got):\n%s", d)
			}
			if jsonText(t, written) != before {
				t.Error("the object was modified")
			}
		})
	}
}

// What a patch sets stays, wherever it stands; what it empties goes.
func TestHidden(t *testing.T) {
	written := object(t, fmt.Sprintf(pod, `containers: [{name: a}, {name: b, resources: {limits: {cpu: 1}}}]`))
	after := object(t, `{apiVersion: v1, kind: Pod, metadata: {name: p}, status: {phase: Running}, spec: {containers: [
		{name: new, resources: {}}, {name: b, resources: {}}, {name: a, resources: {limits: {cpu: 2}}}]}}`)
	want := object(t, `{apiVersion: v1, kind: Pod, metadata: {name: p}, status: {phase: Running}, spec: {containers: [
		{name: new}, {name: b}, {name: a, resources: {limits: {cpu: 2}}}]}}`)
	got, err := apply.BuiltIn().Hidden(kindOf(written), written, after)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("hidden (-want +got):\n%s", d)
	}
}
