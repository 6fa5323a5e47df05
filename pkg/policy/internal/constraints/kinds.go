package constraints

import (
	"slices"
	"sync"

	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/patch/apply"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// Kinds knows how a cluster serves kinds: the built-in ones, and those that have
// a CustomResourceDefinition among the facts.
type Kinds struct{ defined map[groupKind]definition }

type groupKind struct{ group, kind string }

// A definition is what a CustomResourceDefinition says.
type definition struct {
	plural   string
	cluster  bool
	versions []string // that are served
	webhook  bool     // converts between them
}

// KindsOf returns the kinds that f tells about; it looks at f once.
func KindsOf(f *facts.Facts) (*Kinds, error) {
	type key struct{}
	return facts.Derived(f, key{}, readKinds)
}

func readKinds(f *facts.Facts) (*Kinds, error) {
	out := &Kinds{map[groupKind]definition{}}
	objects, err := f.List(facts.CRD.Group, facts.CRD.Kind, "")
	if err != nil {
		return nil, err
	}
	for _, o := range objects {
		spec, _ := o["spec"].(map[string]any)
		names, _ := spec["names"].(map[string]any)
		group, _ := spec["group"].(string)
		kind, _ := names["kind"].(string)
		if kind == "" {
			continue
		}
		var d definition
		d.plural, _ = names["plural"].(string)
		if d.plural == "" {
			d.plural = resource.Plural(kind)
		}
		d.cluster = spec["scope"] == "Cluster"
		conversion, _ := spec["conversion"].(map[string]any)
		d.webhook = conversion["strategy"] == "Webhook"
		versions, _ := spec["versions"].([]any)
		for _, v := range versions {
			version, _ := v.(map[string]any)
			if name, ok := version["name"].(string); ok && version["served"] != false {
				d.versions = append(d.versions, name)
			}
		}
		out.defined[groupKind{group, kind}] = d
	}
	return out, nil
}

// Resource returns the plural name of a kind, as in rules and URLs.
func (k *Kinds) Resource(kind resource.Kind) string {
	if d, ok := k.defined[groupKind{kind.Group, kind.Kind}]; ok {
		return d.plural
	}
	return resource.Plural(kind.Kind)
}

// ClusterScoped reports whether objects of a kind have no namespace.
func (k *Kinds) ClusterScoped(kind resource.Kind) bool {
	if d, ok := k.defined[groupKind{kind.Group, kind.Kind}]; ok {
		return d.cluster
	}
	return resource.ClusterScoped(kind)
}

// Known reports whether a kind is defined, or in a group of Kubernetes itself.
func (k *Kinds) Known(kind resource.Kind) bool {
	_, ok := k.defined[groupKind{kind.Group, kind.Kind}]
	return ok || builtIn(kind)
}

// Served reports whether a kind is built in or defined, in whatever version.
func (k *Kinds) Served(kind resource.Kind) bool {
	_, ok := k.defined[groupKind{kind.Group, kind.Kind}]
	return ok || kind.Kind != "" && served()[kind.Group][resource.Plural(kind.Kind)] == kind.Kind
}

// Converts reports whether the versions of a kind differ in nothing but their
// names, as those of a CustomResourceDefinition without a conversion webhook.
func (k *Kinds) Converts(kind resource.Kind) bool {
	d, ok := k.defined[groupKind{kind.Group, kind.Kind}]
	return ok && !d.webhook
}

// equivalents are the other versions in which a cluster serves the objects of a
// kind: those of built-in kinds that Kubernetes 1.36 serves by default.
func (k *Kinds) equivalents(kind resource.Kind) []Match {
	if d, ok := k.defined[groupKind{kind.Group, kind.Kind}]; ok {
		var out []Match
		for _, v := range d.versions {
			if v != kind.Version {
				out = append(out, Match{resource.Kind{Group: kind.Group, Version: v, Kind: kind.Kind}, d.plural})
			}
		}
		return out
	}
	for _, list := range same {
		if slices.Contains(list, kind) {
			var out []Match
			for _, other := range list {
				if other != kind {
					out = append(out, Match{other, resource.Plural(other.Kind)})
				}
			}
			return out
		}
	}
	return nil
}

// same lists the built-in kinds that are served in more than one version.
var same = [][]resource.Kind{
	{{Group: "autoscaling", Version: "v1", Kind: "HorizontalPodAutoscaler"}, {Group: "autoscaling", Version: "v2", Kind: "HorizontalPodAutoscaler"}},
	{{Version: "v1", Kind: "Event"}, {Group: "events.k8s.io", Version: "v1", Kind: "Event"}},
}

func isEvent(k resource.Kind) bool { return slices.Contains(same[1], k) }

// served are the kinds of Kubernetes itself by group and plural name.
var served = sync.OnceValue(func() map[string]map[string]string {
	out := map[string]map[string]string{}
	for _, k := range apply.Kinds() {
		if out[k.Group] == nil {
			out[k.Group] = map[string]string{}
		}
		out[k.Group][resource.Plural(k.Kind)] = k.Kind
	}
	return out
})

// builtIn reports whether a kind is in a group of Kubernetes itself.
func builtIn(k resource.Kind) bool { return len(served()[k.Group]) > 0 }
