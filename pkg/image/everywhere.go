package image

import (
	"slices"
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// podSpecs tells where the kinds of a group hold the specification of a Pod:
// Kubernetes' own kinds, and some that have taken over its shape.
var podSpecs = map[string]map[string][]string{
	"":                    {"Pod": {"spec"}, "PodTemplate": {"template", "spec"}, "ReplicationController": inTemplate},
	"apps":                {"DaemonSet": inTemplate, "Deployment": inTemplate, "ReplicaSet": inTemplate, "StatefulSet": inTemplate},
	"batch":               {"CronJob": {"spec", "jobTemplate", "spec", "template", "spec"}, "Job": inTemplate},
	"argoproj.io":         {"Rollout": inTemplate},
	"serving.knative.dev": {"Configuration": inTemplate, "Revision": {"spec"}, "Service": inTemplate},
}

var inTemplate = []string{"spec", "template", "spec"}

// Everywhere returns extractors for every field of a kind that names an image:
// the containers of all sorts and the image volumes of Pods and of what has a
// template for them. It is nil for kinds that have none, or that it does not
// know. Unlike Extractors it goes by group and kind.
func Everywhere(kind resource.Kind) []Extractor {
	spec, ok := podSpecs[kind.Group][kind.Kind]
	if !ok {
		return nil
	}
	return append(podSpec(spec...), Extractor{Name: "volumes", steps: append(slices.Clone(spec), "volumes", "*", "image"), value: "reference"})
}

// A Written is an image reference as it stands in an object.
type Written struct {
	At   fieldpath.Path
	Text string // not blank
}

// Find returns the references of o as they are written, in the order of the
// object, also where they can't be read, and where several elements have one
// name.
func (e Extractor) Find(o resource.Object) ([]Written, error) {
	var out []Written
	err := walk(map[string]any(o), e.steps, nil, func(m map[string]any, at fieldpath.Path) error {
		if text, ok := m[e.value].(string); ok && strings.TrimSpace(text) != "" {
			out = append(out, Written{at.Key(e.value), text})
		}
		return nil
	})
	return out, err
}
