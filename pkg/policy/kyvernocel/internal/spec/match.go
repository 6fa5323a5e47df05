package spec

// MatchResources choose resources, as in the API server's admission policies.
type MatchResources struct {
	NamespaceSelector    *LabelSelector `json:"namespaceSelector,omitempty"`
	ObjectSelector       *LabelSelector `json:"objectSelector,omitempty"`
	ResourceRules        []ResourceRule `json:"resourceRules,omitempty"`
	ExcludeResourceRules []ResourceRule `json:"excludeResourceRules,omitempty"`
	MatchPolicy          string         `json:"matchPolicy,omitempty"`
}

// A ResourceRule chooses requests about resources of some kinds.
type ResourceRule struct {
	ResourceNames []string `json:"resourceNames,omitempty"`
	Operations    []string `json:"operations,omitempty"`
	APIGroups     []string `json:"apiGroups,omitempty"`
	APIVersions   []string `json:"apiVersions,omitempty"`
	Resources     []string `json:"resources,omitempty"`
	Scope         string   `json:"scope,omitempty"`
}

// A LabelSelector chooses by labels.
type LabelSelector struct {
	MatchLabels      map[string]string  `json:"matchLabels,omitempty"`
	MatchExpressions []LabelRequirement `json:"matchExpressions,omitempty"`
}

// A LabelRequirement is one condition on labels.
type LabelRequirement struct {
	Key      string   `json:"key"`
	Operator string   `json:"operator"`
	Values   []string `json:"values,omitempty"`
}
