package configuration_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oneloop-dev/oneloop/pkg/policy/internal/configuration"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

func TestFaults(t *testing.T) {
	pod := resource.Kind{Version: "v1", Kind: "Pod"}
	deployment := resource.Kind{Group: "apps", Version: "v1", Kind: "Deployment"}
	daemonSet := resource.Kind{Group: "apps", Version: "v1", Kind: "DaemonSet"}
	const atomic = " is atomic, and an ApplyConfiguration may not set it: merging fails; do so"
	for name, tt := range map[string]struct {
		expression string
		kinds      []resource.Kind
		atomics    bool
		want       []string
	}{
		"right":           {`Object{spec: Object.spec{replicas: 3}, metadata: Object.metadata{labels: {"a": "b"}}}`, []resource.Kind{deployment}, false, nil},
		"labels":          {`Object{metadata: Object.metadata{labels: Object.metadata.labels{anything: "b"}}}`, []resource.Kind{pod}, false, nil},
		"a typo":          {`Object{spec: Object.spec{replcas: 3}}`, []resource.Kind{deployment}, false, []string{"Deployment has no field spec.replcas: merging fails; did you mean replicas?"}},
		"far off":         {`Object{zzzzzzzz: 1}`, []resource.Kind{pod}, false, []string{"Pod has no field zzzzzzzz: merging fails"}},
		"one kind has it": {`Object{spec: Object.spec{replicas: 3}}`, []resource.Kind{daemonSet, deployment}, false, nil},
		"no kind has it":  {`Object{spec: Object.spec{replcas: 3}}`, []resource.Kind{daemonSet, deployment}, false, []string{"Deployment has no field spec.replcas: merging fails; did you mean replicas?"}},
		"below a field that is missing": {`Object{spce: Object.spce{a: 3}}`, []resource.Kind{pod}, false, []string{
			"Pod has no field spce: merging fails; did you mean spec?"}},
		"in a list": {`Object{spec: Object.spec{containers: object.spec.containers.map(c, Object.spec.containers{name: c.name, imag: "a"})}}`, []resource.Kind{pod}, false,
			[]string{"Pod has no field spec.containers.imag: merging fails; did you mean image?"}},
		"once":             {`c ? Object{a: 1} : Object{a: 2}`, []resource.Kind{pod}, false, []string{"Pod has no field a: merging fails"}},
		"optional":         {`Object{spec: Object.spec{?nme: object.?spec.?b}}`, []resource.Kind{pod}, false, []string{"Pod has no field spec.nme: merging fails"}},
		"an atomic list":   {`Object{spec: Object.spec{containers: [Object.spec.containers{name: "a", args: ["b"]}]}}`, []resource.Kind{pod}, false, []string{"spec.containers.args" + atomic}},
		"an atomic map":    {`Object{spec: Object.spec{nodeSelector: {"a": "b"}}}`, []resource.Kind{pod}, false, []string{"spec.nodeSelector" + atomic}},
		"an atomic struct": {`Object{spec: Object.spec{selector: Object.spec.selector{matchLabels: {"a": "b"}}}}`, []resource.Kind{deployment}, false, []string{"spec.selector" + atomic}},
		"atomics":          {`Object{spec: Object.spec{nodeSelector: {"a": "b"}}}`, []resource.Kind{pod}, true, nil},
		"no kinds":         {`Object{spce: 1}`, nil, false, nil},
		"of a custom kind": {`Object{spce: 1}`, []resource.Kind{{Group: "example.com", Version: "v1", Kind: "Goose"}}, false, nil},
		"no expression":    {`Object{spce:`, []resource.Kind{pod}, false, nil},
		"another type":     {`JSONPatch{op: "add", paht: "/a"}`, []resource.Kind{pod}, false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if d := cmp.Diff(tt.want, configuration.Faults(tt.expression, tt.kinds, tt.atomics, "do so")); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}
