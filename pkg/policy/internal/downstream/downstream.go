// Package downstream handles the labels by which Kyverno's controllers find the
// resources that policies generated, in both of Kyverno's languages.
package downstream

import (
	"fmt"
	"maps"
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/jsonvalue"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

const (
	prefix = "generate.kyverno.io/"
	// managedBy is set by Kyverno, whatever the source had.
	managedBy = "app.kubernetes.io/managed-by"
)

// Label takes the labels of Kyverno's controllers, which tell nothing to anybody
// else, out of the metadata of a generated resource, and sets those of controller,
// whose keys lack the prefix generate.kyverno.io/; nil: none. It changes meta.
func Label(meta map[string]any, controller map[string]string) error {
	labels, ok := meta["labels"].(map[string]any)
	if !ok && meta["labels"] != nil {
		return fmt.Errorf("metadata.labels: expected a map, found %s", jsonvalue.Describe(meta["labels"]))
	}
	out := maps.Clone(labels)
	for k, v := range labels {
		if _, ok := v.(string); !ok {
			// Kyverno sees no labels at all then, and writes its own.
			out = nil
			break
		}
		if strings.HasPrefix(k, prefix) || k == managedBy {
			delete(out, k)
		}
	}
	if controller != nil {
		if out == nil {
			out = map[string]any{}
		}
		out[managedBy] = "kyverno"
		for k, v := range controller {
			out[prefix+k] = v
		}
	}
	if meta["labels"] = out; len(out) == 0 {
		delete(meta, "labels")
	}
	return nil
}

// Trigger returns the labels of the trigger of a generated resource, when w wants
// labels of controllers; else nil. Its uid is in no manifest.
func Trigger(w policy.World, trigger resource.ID, namespace string) map[string]string {
	if !w.ControllerLabels() {
		return nil
	}
	return map[string]string{
		"trigger-version":   trigger.Kind.Version,
		"trigger-group":     trigger.Kind.Group,
		"trigger-kind":      trigger.Kind.Kind,
		"trigger-namespace": namespace,
	}
}
