// Package resourcefilter tells which requests Kyverno's configuration keeps from
// its policies, of all kinds.
package resourcefilter

import (
	"strings"
	"sync"

	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/policy/internal/kindname"
	"github.com/oneloop-dev/oneloop/pkg/resource"
	"github.com/oneloop-dev/oneloop/pkg/wildcard"
)

// A filter is an entry of resourceFilters, [kind,namespace,name].
type filter struct {
	kind            *kindname.Selector // nil selects nothing
	namespace, name string
}

// parsed keeps filters: every policy asks for them about every resource.
var parsed sync.Map // text to filter

// Filtered returns the filter among the facts that keeps a request about a
// resource from Kyverno, "" when none does.
func Filtered(f *facts.Facts, kind resource.Kind, subresource, namespace, name string) string {
	for _, text := range f.ResourceFilters {
		known, ok := parsed.Load(text)
		if !ok {
			known, _ = parsed.LoadOrStore(text, parse(text))
		}
		if known.(filter).matches(kind, subresource, namespace, name) { //nolint:forcetypeassert // nothing else is stored
			return text
		}
	}
	return ""
}

// parse reads a filter. Name and namespace may be missing, and are then empty, as
// in Kyverno.
func parse(text string) filter {
	parts := append(strings.Split(strings.Trim(strings.TrimSpace(text), "[]"), ","), "", "")
	kind, err := kindname.Parse(parts[0])
	if err != nil {
		return filter{}
	}
	return filter{&kind, parts[1], parts[2]}
}

func (f filter) matches(kind resource.Kind, subresource, namespace, name string) bool {
	if f.kind == nil || !f.kind.SelectsRequest(kind, subresource) {
		return false
	}
	if wildcard.Match(f.namespace, namespace) && wildcard.Match(f.name, name) {
		return true
	}
	// A filter for a namespace is one for its Namespace, too.
	return kind == resource.Kind{Version: "v1", Kind: "Namespace"} && wildcard.Match(f.namespace, name)
}
