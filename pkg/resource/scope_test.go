package resource

import (
	"testing"

	"sigs.k8s.io/kustomize/kyaml/openapi"
	"sigs.k8s.io/kustomize/kyaml/yaml"
)

func TestPlural(t *testing.T) {
	for kind, want := range map[string]string{
		"Pod": "pods", "Ingress": "ingresses", "NetworkPolicy": "networkpolicies", "Endpoints": "endpoints",
		"Gateway": "gateways", "StorageClass": "storageclasses", "Prefix": "prefixes",
	} {
		if got := Plural(kind); got != want {
			t.Errorf("%s: got %s, want %s", kind, got, want)
		}
	}
}

// Kubernetes' own API description, as kyaml carries it, has the last word.
func TestClusterScopedAgreesWithKubernetes(t *testing.T) {
	openapi.Schema()
	n := 0
	for _, kind := range []struct{ apiVersion, kind string }{
		{"v1", "Namespace"}, {"v1", "Node"}, {"v1", "PersistentVolume"}, {"v1", "PersistentVolumeClaim"}, {"v1", "Pod"},
		{"v1", "Service"}, {"v1", "ServiceAccount"}, {"v1", "Secret"}, {"v1", "ConfigMap"}, {"v1", "Event"}, {"v1", "LimitRange"},
		{"v1", "ResourceQuota"}, {"v1", "Endpoints"}, {"v1", "PodTemplate"}, {"v1", "ReplicationController"}, {"v1", "Binding"},
		{"apps/v1", "Deployment"}, {"apps/v1", "DaemonSet"}, {"apps/v1", "ReplicaSet"}, {"apps/v1", "StatefulSet"}, {"apps/v1", "ControllerRevision"},
		{"batch/v1", "Job"}, {"batch/v1", "CronJob"}, {"autoscaling/v2", "HorizontalPodAutoscaler"},
		{"rbac.authorization.k8s.io/v1", "ClusterRole"}, {"rbac.authorization.k8s.io/v1", "ClusterRoleBinding"},
		{"rbac.authorization.k8s.io/v1", "Role"}, {"rbac.authorization.k8s.io/v1", "RoleBinding"},
		{"networking.k8s.io/v1", "Ingress"}, {"networking.k8s.io/v1", "IngressClass"}, {"networking.k8s.io/v1", "NetworkPolicy"},
		{"policy/v1", "PodDisruptionBudget"}, {"scheduling.k8s.io/v1", "PriorityClass"}, {"node.k8s.io/v1", "RuntimeClass"},
		{"storage.k8s.io/v1", "StorageClass"}, {"storage.k8s.io/v1", "VolumeAttachment"}, {"storage.k8s.io/v1", "CSIDriver"}, {"storage.k8s.io/v1", "CSINode"},
		{"admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration"}, {"admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration"},
		{"apiextensions.k8s.io/v1", "CustomResourceDefinition"}, {"apiregistration.k8s.io/v1", "APIService"},
		{"certificates.k8s.io/v1", "CertificateSigningRequest"}, {"coordination.k8s.io/v1", "Lease"}, {"discovery.k8s.io/v1", "EndpointSlice"},
		{"events.k8s.io/v1", "Event"}, {"flowcontrol.apiserver.k8s.io/v1", "FlowSchema"}, {"flowcontrol.apiserver.k8s.io/v1", "PriorityLevelConfiguration"},
		{"authorization.k8s.io/v1", "LocalSubjectAccessReview"}, {"authorization.k8s.io/v1", "SubjectAccessReview"},
	} {
		namespaced, found := openapi.IsNamespaceScoped(yaml.TypeMeta{APIVersion: kind.apiVersion, Kind: kind.kind})
		if !found {
			continue
		}
		n++
		if got := ClusterScoped(ParseKind(kind.apiVersion, kind.kind)); got == namespaced {
			t.Errorf("%s/%s: cluster-scoped %v, Kubernetes says %v", kind.apiVersion, kind.kind, got, !namespaced)
		}
	}
	if n < 35 {
		t.Errorf("only %d kinds are known to kyaml", n)
	}
}

func TestClusterScopedExtensions(t *testing.T) {
	for kind, want := range map[Kind]bool{
		{"kyverno.io", "v1", "ClusterPolicy"}:                                    true,
		{"kyverno.io", "v1", "Policy"}:                                           false,
		{"policies.kyverno.io", "v1", "MutatingPolicy"}:                          true,
		{"policies.kyverno.io", "v1", "NamespacedMutatingPolicy"}:                false,
		{"mutations.gatekeeper.sh", "v1", "Assign"}:                              true,
		{"cert-manager.io", "v1", "ClusterIssuer"}:                               true,
		{"cert-manager.io", "v1", "Issuer"}:                                      false,
		{"gateway.networking.k8s.io", "v1", "GatewayClass"}:                      true,
		{"gateway.networking.k8s.io", "v1", "HTTPRoute"}:                         false,
		{"admissionregistration.k8s.io", "v1", "MutatingAdmissionPolicyBinding"}: true,
		{"storage.k8s.io", "v1", "CSIStorageCapacity"}:                           false,
		{"example.com", "v1", "Anything"}:                                        false,
	} {
		if got := ClusterScoped(kind); got != want {
			t.Errorf("%s: %v, want %v", kind, got, want)
		}
	}
}
