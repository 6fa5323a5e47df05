package kyverno

import "github.com/oneloop-dev/oneloop/pkg/policy/internal/resourcefilter"

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

// filtered returns the resource filter that keeps a request from Kyverno, ""
// when none does.
func (r *request) filtered() string {
	return resourcefilter.Filtered(r.in.Facts, r.kind, r.subresource, r.namespace, r.in.ID.Name)
}
