package library

import (
	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// Declares returns what a user declares for a look-up of resource.Get, as far as
// it can be told before it is made: the object, or the recorded answer where the
// kind of what is called resources is not known.
func Declares(apiVersion, resources, namespace, name string) *facts.Spec {
	p, err := newPlace(apiVersion, resources, namespace)
	if err != nil {
		return nil
	}
	kind, ok := standardKinds()[[2]string{p.group, p.resource}]
	if !ok || name == "" {
		return &facts.Spec{APICalls: []facts.APICall{{URLPath: p.path(name), Response: map[string]any{}}}}
	}
	meta := map[string]any{"name": name}
	if namespace != "" && !resource.ClusterScoped(resource.Kind{Group: p.group, Version: p.version, Kind: kind}) {
		meta["namespace"] = namespace
	}
	return &facts.Spec{Resources: []map[string]any{{"apiVersion": apiVersion, "kind": kind, "metadata": meta}}}
}

// Posts is Declares for resource.Post.
func Posts(apiVersion, resources, namespace string) *facts.Spec {
	p, err := newPlace(apiVersion, resources, namespace)
	if err != nil {
		return nil
	}
	return &facts.Spec{APICalls: []facts.APICall{{URLPath: p.path(""), Method: "POST", Response: map[string]any{}}}}
}
