package resource

import (
	"maps"
	"strings"
)

// ClusterScoped reports whether objects of kind k have no namespace, as far as
// that is known without a cluster: for the kinds of Kubernetes itself and of
// well-known extensions. The version does not matter.
func ClusterScoped(k Kind) bool {
	switch k.Group {
	case "":
		switch k.Kind {
		case "Namespace", "Node", "PersistentVolume", "ComponentStatus":
			return true
		}
	case "admissionregistration.k8s.io", "apiregistration.k8s.io", "apiextensions.k8s.io", "node.k8s.io",
		"flowcontrol.apiserver.k8s.io", "internal.apiserver.k8s.io", "storagemigration.k8s.io",
		"templates.gatekeeper.sh", "constraints.gatekeeper.sh", "mutations.gatekeeper.sh", "expansion.gatekeeper.sh",
		"operator.openshift.io", "config.openshift.io":
		return true
	case "rbac.authorization.k8s.io":
		return k.Kind == "ClusterRole" || k.Kind == "ClusterRoleBinding"
	case "storage.k8s.io":
		return k.Kind != "CSIStorageCapacity"
	case "scheduling.k8s.io":
		return k.Kind == "PriorityClass"
	case "networking.k8s.io":
		switch k.Kind {
		case "IngressClass", "IPAddress", "ServiceCIDR", "ClusterNetworkPolicy":
			return true
		}
	case "policy.networking.k8s.io":
		return true
	case "certificates.k8s.io":
		switch k.Kind {
		case "CertificateSigningRequest", "ClusterTrustBundle":
			return true
		}
	case "resource.k8s.io":
		switch k.Kind {
		case "DeviceClass", "ResourceSlice", "ResourceClass", "DeviceTaintRule":
			return true
		}
	case "authentication.k8s.io":
		switch k.Kind {
		case "TokenReview", "SelfSubjectReview":
			return true
		}
	case "authorization.k8s.io":
		switch k.Kind {
		case "SubjectAccessReview", "SelfSubjectAccessReview", "SelfSubjectRulesReview":
			return true
		}
	case "policy":
		return k.Kind == "PodSecurityPolicy"
	case "extensions":
		return k.Kind == "PodSecurityPolicy"
	case "gateway.networking.k8s.io":
		return k.Kind == "GatewayClass"
	case "snapshot.storage.k8s.io":
		switch k.Kind {
		case "VolumeSnapshotClass", "VolumeSnapshotContent":
			return true
		}
	case "kyverno.io":
		switch k.Kind {
		case "ClusterPolicy", "ClusterCleanupPolicy", "GlobalContextEntry", "ClusterAdmissionReport", "ClusterBackgroundScanReport":
			return true
		}
	case "policies.kyverno.io":
		switch k.Kind {
		case "MutatingPolicy", "ValidatingPolicy", "GeneratingPolicy", "DeletingPolicy", "ImageValidatingPolicy":
			return true
		}
	case "reports.kyverno.io":
		return k.Kind == "ClusterEphemeralReport"
	case "wgpolicyk8s.io":
		return k.Kind == "ClusterPolicyReport"
	case "openreports.io":
		return k.Kind == "ClusterReport"
	case "cert-manager.io":
		return k.Kind == "ClusterIssuer"
	case "external-secrets.io":
		switch k.Kind {
		case "ClusterSecretStore", "ClusterExternalSecret", "ClusterPushSecret":
			return true
		}
	case "karpenter.sh", "karpenter.k8s.aws":
		return true
	case "crd.projectcalico.org", "projectcalico.org":
		switch k.Kind {
		case "NetworkPolicy", "NetworkSet", "StagedNetworkPolicy", "StagedKubernetesNetworkPolicy":
			return false
		}
		return true
	case "cilium.io":
		switch k.Kind {
		case "CiliumNetworkPolicy", "CiliumEndpoint", "CiliumNodeConfig", "CiliumEnvoyConfig", "CiliumLocalRedirectPolicy", "CiliumGatewayClassConfig":
			return false
		}
		return true
	}
	return false
}

// Plural is the name of a kind in URLs and in the rules of policies, such as
// networkpolicies, as Kubernetes makes it from the name of the kind.
func Plural(kind string) string {
	s := strings.ToLower(kind)
	switch {
	case s == "endpoints" || s == "":
		return s
	case strings.HasSuffix(s, "s"), strings.HasSuffix(s, "x"), strings.HasSuffix(s, "ch"), strings.HasSuffix(s, "sh"):
		return s + "es"
	case strings.HasSuffix(s, "y") && len(s) > 1 && !strings.ContainsRune("aeiou", rune(s[len(s)-2])):
		return s[:len(s)-1] + "ies"
	}
	return s + "s"
}

// WithNamespace returns a copy of o in a namespace, as the API server fills in the
// one of the request. Without metadata, o is returned as it is.
func WithNamespace(o Object, namespace string) Object {
	meta, ok := o["metadata"].(map[string]any)
	if !ok {
		return o
	}
	meta = maps.Clone(meta)
	meta["namespace"] = namespace
	o = maps.Clone(o)
	o["metadata"] = meta
	return o
}

// WithoutNamespace undoes WithNamespace, unless somebody changed it.
func WithoutNamespace(o Object, namespace string) Object {
	meta, ok := o["metadata"].(map[string]any)
	if !ok || meta["namespace"] != namespace {
		return o
	}
	meta = maps.Clone(meta)
	delete(meta, "namespace")
	o = maps.Clone(o)
	o["metadata"] = meta
	return o
}
