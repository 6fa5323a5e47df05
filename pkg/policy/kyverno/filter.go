package kyverno

import (
	"strings"
	"sync"

	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/match"
	"github.com/oneloop-dev/oneloop/pkg/resource"
	"github.com/oneloop-dev/oneloop/pkg/wildcard"
)

// DefaultResourceFilters are those that the Helm chart of Kyverno 1.19 writes
// into Kyverno's ConfigMap, but for the ones that name Kyverno's own objects.
var DefaultResourceFilters = []string{
	"[Event,*,*]",
	"[*/*,kube-system,*]",
	"[*/*,kube-public,*]",
	"[*/*,kube-node-lease,*]",
	"[Node,*,*]",
	"[Node/?*,*,*]",
	"[APIService,*,*]",
	"[APIService/?*,*,*]",
	"[TokenReview,*,*]",
	"[SubjectAccessReview,*,*]",
	"[SelfSubjectAccessReview,*,*]",
	"[Binding,*,*]",
	"[Pod/binding,*,*]",
	"[ReplicaSet,*,*]",
	"[ReplicaSet/?*,*,*]",
	"[EphemeralReport,*,*]",
	"[ClusterEphemeralReport,*,*]",
}

// A resourceFilter is an entry of resourceFilters, [kind,namespace,name].
type resourceFilter struct {
	selects         func(k resource.Kind, subresource string) bool
	namespace, name string
}

// parsed keeps filters: every policy asks for them about every resource.
var parsed sync.Map // text to resourceFilter

// filtered returns the resource filter that keeps a request from Kyverno, ""
// when none does.
func (r *request) filtered() string {
	for _, text := range r.in.Facts.ResourceFilters {
		f, ok := parsed.Load(text)
		if !ok {
			f, _ = parsed.LoadOrStore(text, parseFilter(text))
		}
		if f.(resourceFilter).matches(r) {
			return text
		}
	}
	return ""
}

// parseFilter reads a filter. Name and namespace may be missing, and are then
// empty, as in Kyverno.
func parseFilter(text string) resourceFilter {
	parts := append(strings.Split(strings.Trim(strings.TrimSpace(text), "[]"), ","), "", "")
	selects, err := match.Requests(parts[0])
	if err != nil {
		return resourceFilter{selects: func(resource.Kind, string) bool { return false }}
	}
	return resourceFilter{selects, parts[1], parts[2]}
}

func (f resourceFilter) matches(r *request) bool {
	if !f.selects(r.kind, r.subresource) {
		return false
	}
	if wildcard.Match(f.namespace, r.namespace) && wildcard.Match(f.name, r.in.ID.Name) {
		return true
	}
	// A filter for a namespace is one for its Namespace, too.
	return r.kind == resource.Kind{Version: "v1", Kind: "Namespace"} && wildcard.Match(f.namespace, r.in.ID.Name)
}
