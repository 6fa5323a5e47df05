package match

import (
	"github.com/oneloop-dev/oneloop/pkg/policy/internal/kindname"
	"github.com/oneloop-dev/oneloop/pkg/resource"
	"github.com/oneloop-dev/oneloop/pkg/wildcard"
)

// Kinds compiles one name of kinds, in the forms that match blocks have. The
// subresource is what the name asks for, "" for the objects themselves.
func Kinds(name string) (wanted func(resource.Kind) bool, subresource string, err error) {
	k, err := kindname.Parse(name)
	if err != nil {
		return nil, "", err
	}
	return k.Selects, k.Subresource, nil
}

func selectsKind(selectors []kindname.Selector, kind resource.Kind) bool {
	for i := range selectors {
		if selectors[i].Selects(kind) {
			return true
		}
	}
	return false
}

func matchesKind(selectors []kindname.Selector, kind resource.Kind, subresource string) bool {
	for i := range selectors {
		k := &selectors[i]
		if !k.Selects(kind) {
			continue
		}
		if wildcard.Match(k.Subresource, subresource) {
			return true
		}
		// Kyverno counts ephemeral containers as part of the pod.
		if subresource == "ephemeralcontainers" && kind == (resource.Kind{Version: "v1", Kind: "Pod"}) {
			return true
		}
	}
	return false
}
