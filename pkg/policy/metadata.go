package policy

// Metadata is the metadata of a policy document. What only an API server fills in is
// accepted and not read.
type Metadata struct {
	Name        string            `json:"name,omitempty"`
	Namespace   string            `json:"namespace,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`

	GenerateName               any `json:"generateName,omitempty"`
	SelfLink                   any `json:"selfLink,omitempty"`
	UID                        any `json:"uid,omitempty"`
	ResourceVersion            any `json:"resourceVersion,omitempty"`
	Generation                 any `json:"generation,omitempty"`
	CreationTimestamp          any `json:"creationTimestamp,omitempty"`
	DeletionTimestamp          any `json:"deletionTimestamp,omitempty"`
	DeletionGracePeriodSeconds any `json:"deletionGracePeriodSeconds,omitempty"`
	OwnerReferences            any `json:"ownerReferences,omitempty"`
	Finalizers                 any `json:"finalizers,omitempty"`
	ManagedFields              any `json:"managedFields,omitempty"`
}
