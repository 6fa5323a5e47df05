package defaulted_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oneloop-dev/oneloop/pkg/policy/internal/defaulted"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

func TestField(t *testing.T) {
	for field, want := range map[string]string{
		"Pod spec.restartPolicy":                                "Always",
		"Pod spec.containers.imagePullPolicy":                   defaulted.Depends,
		"Pod spec.initContainers.resources":                     defaulted.Struct,
		"Pod spec.containers.livenessProbe.periodSeconds":       "10",
		"Pod spec.containers.livenessProbe.initialDelaySeconds": "",
		"Pod spec.containers.securityContext":                   "",
		"Pod spec.securityContext":                              defaulted.Empty,
		"Pod spec.replicas":                                     "",
		"Deployment spec.replicas":                              "1",
		"Deployment spec.restartPolicy":                         "",
		"Deployment spec.template.spec.restartPolicy":           "Always",
		"Widget spec.template.spec.restartPolicy":               "Always",
		"CronJob spec.jobTemplate.spec.parallelism":             "1",
		"CronJob spec.jobTemplate.spec.template.spec.ephemeralContainers.terminationMessagePath": "/dev/termination-log",
		"ConfigMap data": "",
	} {
		kind, path, _ := strings.Cut(field, " ")
		got, ok := defaulted.Field(kind, strings.Split(path, ".")...)
		if got != want || ok != (want != "") {
			t.Errorf("%s: %q, %v, want %q", field, got, ok, want)
		}
	}
}

func TestAbsent(t *testing.T) {
	kinds := []resource.Kind{{Version: "v1", Kind: "Pod"}, {Group: "apps", Version: "v1", Kind: "Deployment"}}
	for expression, want := range map[string][]string{
		`!has(object.spec.replicas)`:                                                       {"spec.replicas"},
		`has(object.spec.replicas)`:                                                        nil,
		`!has(object.spec.paused)`:                                                         nil,
		`!has(object.spec.strategy)`:                                                       nil,
		`!has(oldObject.spec.replicas)`:                                                    nil,
		`!has(object.spec.securityContext) || !has(object.spec.replicas)`:                  {"spec.replicas"},
		`!has(object.spec.replicas) && !has(object.spec.replicas)`:                         {"spec.replicas"},
		`!has(object.spec.template.spec.containers[0].imagePullPolicy)`:                    {"spec.template.spec.containers.imagePullPolicy"},
		`object.spec.containers.exists(c, !has(c.imagePullPolicy))`:                        {"spec.containers.imagePullPolicy"},
		`object.spec.?initContainers.orValue([]).all(c, !has(c.imagePullPolicy))`:          {"spec.initContainers.imagePullPolicy"},
		`object.spec.containers.all(c, c.ports.exists(p, !has(p.protocol)))`:               {"spec.containers.ports.protocol"},
		`variables.list.exists(c, !has(c.imagePullPolicy))`:                                nil,
		`object.spec.containers.exists(c, true) && [1].exists(c, !has(c.imagePullPolicy))`: nil,
		`!has(`: nil,
	} {
		if d := cmp.Diff(want, defaulted.Absent(expression, kinds)); d != "" {
			t.Errorf("%s (-want +got):\n%s", expression, d)
		}
	}
	if got := defaulted.Absent(`!has(object.spec.replicas)`, nil); got != nil {
		t.Errorf("no kinds: %q", got)
	}
}
