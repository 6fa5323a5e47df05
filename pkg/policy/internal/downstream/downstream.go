// Package downstream generates resources as both of Kyverno's languages do, with
// the labels by which its controllers find them again.
package downstream

import (
	"context"
	"fmt"
	"maps"
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/jsonvalue"
	"github.com/oneloop-dev/oneloop/pkg/patch/strategic"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

const (
	prefix = "generate.kyverno.io/"
	// managedBy is set by Kyverno, whatever the source had.
	managedBy = "app.kubernetes.io/managed-by"
)

// A Generation is what one rule or policy makes of one trigger.
type Generation struct {
	World policy.World
	Facts *facts.Facts
	// Replace makes what is already there as generated.
	Replace bool
	// Apply keeps what others wrote in what is there, as server-side apply does.
	Apply bool

	targets  []policy.Target
	messages []string // in the words of Kyverno
}

// Put generates o.
func (g *Generation) Put(ctx context.Context, o resource.Object) error {
	target := resource.IDOf(o)
	if g.Apply {
		was, ok, err := g.Facts.Get(target)
		if err != nil {
			return err
		}
		if ok {
			if o, err = strategic.Merge(target.Kind, was, o); err != nil {
				return err
			}
		}
	}
	made, err := g.World.Generate(ctx, o, g.Replace)
	if err != nil {
		return fmt.Errorf("%s: %w", target, err)
	}
	g.targets = append(g.targets, made)
	switch {
	case made.Before == nil:
		g.messages = append(g.messages, "generated "+made.ID.String())
	case !resource.Equal(made.Before, made.After):
		g.messages = append(g.messages, "synchronized "+made.ID.String())
	}
	return nil
}

// Targets returns all that was generated, changed or not.
func (g *Generation) Targets() []policy.Target { return g.targets }

// Result tells what became of all that was generated.
func (g *Generation) Result(rule string) policy.Result {
	out := policy.Result{Rule: rule, Outcome: policy.Passed, Targets: g.targets}
	switch {
	case len(g.messages) > 0:
		out.Outcome, out.Message = policy.Applied, strings.Join(g.messages, ", ")
	case len(g.targets) > 0:
		out.Message = "what it generates is there already"
	default:
		out.Message = "nothing to generate"
	}
	return out
}

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
