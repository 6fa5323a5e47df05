package library

import (
	"strings"
	"sync"

	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// builtIn are the kinds of Kubernetes itself by group.
var builtIn = map[string]string{
	"":                             "Binding ComponentStatus ConfigMap Endpoints Event LimitRange Namespace Node PersistentVolume PersistentVolumeClaim Pod PodTemplate ReplicationController ResourceQuota Secret Service ServiceAccount",
	"apps":                         "ControllerRevision DaemonSet Deployment ReplicaSet StatefulSet",
	"batch":                        "CronJob Job",
	"autoscaling":                  "HorizontalPodAutoscaler",
	"policy":                       "PodDisruptionBudget",
	"rbac.authorization.k8s.io":    "ClusterRole ClusterRoleBinding Role RoleBinding",
	"networking.k8s.io":            "Ingress IngressClass IPAddress NetworkPolicy ServiceCIDR",
	"storage.k8s.io":               "CSIDriver CSINode CSIStorageCapacity StorageClass VolumeAttachment VolumeAttributesClass",
	"scheduling.k8s.io":            "PriorityClass",
	"node.k8s.io":                  "RuntimeClass",
	"coordination.k8s.io":          "Lease",
	"discovery.k8s.io":             "EndpointSlice",
	"events.k8s.io":                "Event",
	"certificates.k8s.io":          "CertificateSigningRequest",
	"admissionregistration.k8s.io": "MutatingAdmissionPolicy MutatingAdmissionPolicyBinding MutatingWebhookConfiguration ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding ValidatingWebhookConfiguration",
	"apiextensions.k8s.io":         "CustomResourceDefinition",
	"apiregistration.k8s.io":       "APIService",
	"authentication.k8s.io":        "SelfSubjectReview TokenReview",
	"authorization.k8s.io":         "LocalSubjectAccessReview SelfSubjectAccessReview SelfSubjectRulesReview SubjectAccessReview",
	"flowcontrol.apiserver.k8s.io": "FlowSchema PriorityLevelConfiguration",
	"resource.k8s.io":              "DeviceClass ResourceClaim ResourceClaimTemplate ResourceSlice",
}

// standardKinds are the built-in kinds by group and plural name.
var standardKinds = sync.OnceValue(func() map[[2]string]string {
	out := map[[2]string]string{}
	for group, kinds := range builtIn {
		for kind := range strings.FieldsSeq(kinds) {
			out[[2]string{group, resource.Plural(kind)}] = kind
		}
	}
	return out
})

// standard reports whether k is a built-in kind, whose scope is known.
func standard(k resource.Kind) bool {
	return standardKinds()[[2]string{k.Group, resource.Plural(k.Kind)}] == k.Kind
}
