package admission

import (
	"errors"
	"fmt"
	"maps"

	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// as returns o as an object of another version of its kind, for a policy whose
// rules name that version.
func (r *request) as(kind resource.Kind, o resource.Object) (resource.Object, error) {
	if kind == r.kind || o == nil {
		return o, nil
	}
	if r.kinds.Converts(r.kind) {
		return withVersion(o, kind), nil
	}
	convert := conversions[[2]resource.Kind{r.kind, kind}]
	if convert != nil {
		if out, ok := convert(o); ok {
			return withVersion(out, kind), nil
		}
	}
	return nil, fmt.Errorf("the policy matches %s as %s (matchPolicy: Equivalent), and only a cluster can convert it: %w; name %s in the rules of the policy",
		r.kind, kind, errors.ErrUnsupported, r.kind.APIVersion())
}

// back undoes as.
func (r *request) back(kind resource.Kind, after resource.Object) (resource.Object, error) {
	if kind == r.kind || after == nil {
		return after, nil
	}
	if r.kinds.Converts(r.kind) {
		return withVersion(after, r.kind), nil
	}
	convert := conversions[[2]resource.Kind{kind, r.kind}]
	if convert != nil {
		if out, ok := convert(after); ok {
			return withVersion(out, r.kind), nil
		}
	}
	return nil, fmt.Errorf("what the policy made of %s as %s can't be converted back here: %w; name %s in the rules of the policy",
		r.kind, kind, errors.ErrUnsupported, r.kind.APIVersion())
}

func withVersion(o resource.Object, kind resource.Kind) resource.Object {
	o = maps.Clone(o)
	o["apiVersion"], o["kind"] = kind.APIVersion(), kind.Kind
	return o
}

var (
	hpaV1 = resource.Kind{Group: "autoscaling", Version: "v1", Kind: "HorizontalPodAutoscaler"}
	hpaV2 = resource.Kind{Group: "autoscaling", Version: "v2", Kind: "HorizontalPodAutoscaler"}
)

// conversions are those between the versions of built-in kinds. They report
// false for an object that has what the other version keeps in annotations.
var conversions = map[[2]resource.Kind]func(resource.Object) (resource.Object, bool){
	{hpaV1, hpaV2}: func(o resource.Object) (resource.Object, bool) {
		return withSpec(o, func(spec map[string]any) bool {
			percent, ok := spec["targetCPUUtilizationPercentage"]
			if ok {
				delete(spec, "targetCPUUtilizationPercentage")
				spec["metrics"] = []any{map[string]any{"type": "Resource", "resource": map[string]any{
					"name": "cpu", "target": map[string]any{"type": "Utilization", "averageUtilization": percent}}}}
			}
			return true
		})
	},
	{hpaV2, hpaV1}: func(o resource.Object) (resource.Object, bool) {
		return withSpec(o, func(spec map[string]any) bool {
			metrics, _ := spec["metrics"].([]any)
			if spec["behavior"] != nil || len(metrics) > 1 {
				return false
			}
			for _, m := range metrics {
				percent, ok := cpuUtilization(m)
				if !ok {
					return false
				}
				spec["targetCPUUtilizationPercentage"] = percent
			}
			delete(spec, "metrics")
			return true
		})
	},
}

// withSpec changes a copy of the spec of an object without a status.
func withSpec(o resource.Object, change func(map[string]any) bool) (resource.Object, bool) {
	spec, ok := o["spec"].(map[string]any)
	if status, _ := o["status"].(map[string]any); !ok || len(status) > 0 {
		return nil, false
	}
	spec = maps.Clone(spec)
	if !change(spec) {
		return nil, false
	}
	o = maps.Clone(o)
	o["spec"] = spec
	return o, true
}

// cpuUtilization returns the percentage of a metric that is nothing else.
func cpuUtilization(metric any) (any, bool) {
	m, _ := metric.(map[string]any)
	source, _ := m["resource"].(map[string]any)
	target, _ := source["target"].(map[string]any)
	percent, ok := target["averageUtilization"]
	return percent, ok && len(m) == 2 && m["type"] == "Resource" && source["name"] == "cpu" && len(target) == 2 && target["type"] == "Utilization"
}
