// Package spec holds Kyverno's ClusterPolicy and Policy language as Go types
// and reads policy documents into them.
//
// The language is that of Kyverno 1.19, versions v1 and v2beta1 of group
// kyverno.io; both are read into the same types. Values that Kyverno leaves
// free, such as patches and patterns, stay plain JSON values. Parse reports
// every unknown field, wrong type and every policy that Kyverno's own webhook
// would refuse without looking at a cluster.
package spec

import (
	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// A Policy is one ClusterPolicy or Policy document.
type Policy struct {
	APIVersion string          `json:"apiVersion"`
	Kind       string          `json:"kind"`
	Metadata   policy.Metadata `json:"metadata"`
	Spec       Spec            `json:"spec"`
	Status     any             `json:"status,omitempty"`

	// Ref names the document in results and errors.
	Ref policy.Ref `json:"-"`
	// Document is where the policy was read from; it knows the line of a path.
	Document *resource.Resource `json:"-"`
}

// Namespaced reports whether the policy is a Policy, which applies to its own
// namespace only.
func (p *Policy) Namespaced() bool { return p.Kind == "Policy" }

// Namespace is the namespace a Policy is limited to, "" for a ClusterPolicy.
// A Policy that names none lives in the namespace default.
func (p *Policy) Namespace() string {
	switch {
	case !p.Namespaced():
		return ""
	case p.Metadata.Namespace == "":
		return "default"
	}
	return p.Metadata.Namespace
}

// Error returns err as a fault of the policy at path, with its line. The rule
// is the name of the rule that the fault is in, "" for the policy as a whole.
func (p *Policy) Error(rule string, path fieldpath.Path, err error) *policy.Error {
	e := &policy.Error{Policy: p.Ref, Rule: rule, Path: path, Err: err}
	if p.Document != nil {
		e.Line = p.Document.Line(path)
	}
	return e
}

// A Spec is the policy's rules and its settings.
type Spec struct {
	Rules                            []Rule                            `json:"rules,omitempty"`
	ApplyRules                       string                            `json:"applyRules,omitempty"`
	FailurePolicy                    string                            `json:"failurePolicy,omitempty"`
	ValidationFailureAction          string                            `json:"validationFailureAction,omitempty"`
	ValidationFailureActionOverrides []ValidationFailureActionOverride `json:"validationFailureActionOverrides,omitempty"`
	EmitWarning                      *bool                             `json:"emitWarning,omitempty"`
	Admission                        *bool                             `json:"admission,omitempty"`
	Background                       *bool                             `json:"background,omitempty"`
	SchemaValidation                 *bool                             `json:"schemaValidation,omitempty"`
	WebhookTimeoutSeconds            *int32                            `json:"webhookTimeoutSeconds,omitempty"`
	MutateExistingOnPolicyUpdate     bool                              `json:"mutateExistingOnPolicyUpdate,omitempty"`
	GenerateExistingOnPolicyUpdate   *bool                             `json:"generateExistingOnPolicyUpdate,omitempty"`
	GenerateExisting                 bool                              `json:"generateExisting,omitempty"`
	UseServerSideApply               bool                              `json:"useServerSideApply,omitempty"`
	WebhookConfiguration             *WebhookConfiguration             `json:"webhookConfiguration,omitempty"`
}

// AppliesOne reports whether the policy stops after its first rule that
// applied.
func (s *Spec) AppliesOne() bool { return s.ApplyRules == "One" }

// AdmissionEnabled reports whether rules run at admission.
func (s *Spec) AdmissionEnabled() bool { return s.Admission == nil || *s.Admission }

// BackgroundEnabled reports whether rules run on existing objects.
func (s *Spec) BackgroundEnabled() bool { return s.Background == nil || *s.Background }

// A ValidationFailureActionOverride sets the failure action for namespaces.
type ValidationFailureActionOverride struct {
	Action            string         `json:"action,omitempty"`
	Namespaces        []string       `json:"namespaces,omitempty"`
	NamespaceSelector *LabelSelector `json:"namespaceSelector,omitempty"`
}

// A WebhookConfiguration tunes the admission webhook of a policy.
type WebhookConfiguration struct {
	FailurePolicy   string           `json:"failurePolicy,omitempty"`
	TimeoutSeconds  *int32           `json:"timeoutSeconds,omitempty"`
	MatchConditions []MatchCondition `json:"matchConditions,omitempty"`
}

// A MatchCondition is a named CEL expression.
type MatchCondition struct {
	Name       string `json:"name"`
	Expression string `json:"expression"`
}

// A Rule selects resources and does one thing to them.
type Rule struct {
	Name                   string                            `json:"name"`
	Context                []ContextEntry                    `json:"context,omitempty"`
	ReportProperties       map[string]string                 `json:"reportProperties,omitempty"`
	Match                  MatchResources                    `json:"match"`
	Exclude                *MatchResources                   `json:"exclude,omitempty"`
	ImageExtractors        map[string][]ImageExtractorConfig `json:"imageExtractors,omitempty"`
	Preconditions          any                               `json:"preconditions,omitempty"`
	CELPreconditions       []MatchCondition                  `json:"celPreconditions,omitempty"`
	Mutation               *Mutation                         `json:"mutate,omitempty"`
	Validation             *Validation                       `json:"validate,omitempty"`
	Generation             *Generation                       `json:"generate,omitempty"`
	VerifyImages           []ImageVerification               `json:"verifyImages,omitempty"`
	SkipBackgroundRequests *bool                             `json:"skipBackgroundRequests,omitempty"`

	// Path is where the rule stands in the policy. Rules that autogen made
	// have the path of the rule they were made from.
	Path fieldpath.Path `json:"-"`
	// Raw is the rule as JSON value, read-only.
	Raw map[string]any `json:"-"`
	// Fault, when set, is why the rule must fail on every resource that it
	// would change.
	Fault error `json:"-"`
}

// SkipsBackgroundRequests reports whether the rule leaves alone what Kyverno's
// background controller made or changed, as it does unless told.
func (r *Rule) SkipsBackgroundRequests() bool {
	return r.SkipBackgroundRequests == nil || *r.SkipBackgroundRequests
}

// HasMutate reports whether the rule mutates.
func (r *Rule) HasMutate() bool { return r.Mutation != nil && !r.Mutation.isZero() }

// HasMutateExisting reports whether the rule mutates other objects than the
// one it matched.
func (r *Rule) HasMutateExisting() bool { return r.Mutation != nil && r.Mutation.Targets != nil }

// HasValidate reports whether the rule validates.
func (r *Rule) HasValidate() bool { return r.Validation != nil && !r.Validation.isZero() }

// HasGenerate reports whether the rule generates.
func (r *Rule) HasGenerate() bool { return r.Generation != nil && !r.Generation.isZero() }

// HasVerifyImages reports whether the rule verifies images.
func (r *Rule) HasVerifyImages() bool { return len(r.VerifyImages) > 0 }

// MatchResources is a match or exclude block. Any and All exclude each other;
// the fields beside them are the form of Kyverno's first years.
type MatchResources struct {
	Any []ResourceFilter `json:"any,omitempty"`
	All []ResourceFilter `json:"all,omitempty"`
	UserInfo
	Resources ResourceDescription `json:"resources,omitempty"`
}

// IsEmpty reports whether the block says nothing.
func (m *MatchResources) IsEmpty() bool {
	return m == nil || len(m.Any) == 0 && len(m.All) == 0 && m.UserInfo.IsEmpty() && m.Resources.IsEmpty()
}

// Kinds lists the kinds of the whole block: the direct ones, then those under
// all, then those under any.
func (m *MatchResources) Kinds() []string {
	if m == nil {
		return nil
	}
	kinds := append([]string(nil), m.Resources.Kinds...)
	for _, f := range m.All {
		kinds = append(kinds, f.Resources.Kinds...)
	}
	for _, f := range m.Any {
		kinds = append(kinds, f.Resources.Kinds...)
	}
	return kinds
}

// A ResourceFilter selects resources and requesters; its parts must all hold.
type ResourceFilter struct {
	UserInfo
	Resources ResourceDescription `json:"resources,omitempty"`
}

// IsEmpty reports whether the filter says nothing.
func (f *ResourceFilter) IsEmpty() bool { return f.UserInfo.IsEmpty() && f.Resources.IsEmpty() }

// UserInfo selects requesters.
type UserInfo struct {
	Roles        []string      `json:"roles,omitempty"`
	ClusterRoles []string      `json:"clusterRoles,omitempty"`
	Subjects     []RBACSubject `json:"subjects,omitempty"`
}

// IsEmpty reports whether u says nothing.
func (u *UserInfo) IsEmpty() bool {
	return len(u.Roles) == 0 && len(u.ClusterRoles) == 0 && len(u.Subjects) == 0
}

// An RBACSubject is a user, a group or a service account.
type RBACSubject struct {
	Kind      string `json:"kind"`
	APIGroup  string `json:"apiGroup,omitempty"`
	Name      string `json:"name"`
	Namespace string `json:"namespace,omitempty"`
}

// A ResourceDescription selects resources; its parts must all hold.
type ResourceDescription struct {
	Kinds             []string          `json:"kinds,omitempty"`
	Name              string            `json:"name,omitempty"`
	Names             []string          `json:"names,omitempty"`
	Namespaces        []string          `json:"namespaces,omitempty"`
	Annotations       map[string]string `json:"annotations,omitempty"`
	Selector          *LabelSelector    `json:"selector,omitempty"`
	NamespaceSelector *LabelSelector    `json:"namespaceSelector,omitempty"`
	Operations        []string          `json:"operations,omitempty"`
}

// IsEmpty reports whether r says nothing.
func (r *ResourceDescription) IsEmpty() bool {
	return len(r.Kinds) == 0 && r.Name == "" && len(r.Names) == 0 && len(r.Namespaces) == 0 &&
		len(r.Annotations) == 0 && r.Selector == nil && r.NamespaceSelector == nil && len(r.Operations) == 0
}

// A LabelSelector selects by labels, as in Kubernetes.
type LabelSelector struct {
	MatchLabels      map[string]string  `json:"matchLabels,omitempty"`
	MatchExpressions []LabelRequirement `json:"matchExpressions,omitempty"`
}

// A LabelRequirement is one expression of a LabelSelector.
type LabelRequirement struct {
	Key      string   `json:"key"`
	Operator string   `json:"operator"`
	Values   []string `json:"values,omitempty"`
}

// An ImageExtractorConfig tells where a custom resource holds images.
type ImageExtractorConfig struct {
	Path     string `json:"path"`
	Value    string `json:"value,omitempty"`
	Name     string `json:"name,omitempty"`
	Key      string `json:"key,omitempty"`
	JMESPath string `json:"jmesPath,omitempty"`
}

// A ContextEntry names a value; exactly one of its sources is set.
type ContextEntry struct {
	Name            string                       `json:"name"`
	ConfigMap       *ConfigMapReference          `json:"configMap,omitempty"`
	APICall         *ContextAPICall              `json:"apiCall,omitempty"`
	ImageRegistry   *ImageRegistry               `json:"imageRegistry,omitempty"`
	Variable        *Variable                    `json:"variable,omitempty"`
	GlobalReference *GlobalContextEntryReference `json:"globalReference,omitempty"`
}

// A Variable is a literal value or an expression with a default.
type Variable struct {
	Value    any    `json:"value,omitempty"`
	JMESPath string `json:"jmesPath,omitempty"`
	Default  any    `json:"default,omitempty"`
}

// An ImageRegistry entry is what a registry knows of an image.
type ImageRegistry struct {
	Reference                string                    `json:"reference"`
	JMESPath                 string                    `json:"jmesPath,omitempty"`
	ImageRegistryCredentials *ImageRegistryCredentials `json:"imageRegistryCredentials,omitempty"`
}

// A ConfigMapReference names a ConfigMap.
type ConfigMapReference struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace,omitempty"`
}

// An APICall asks the API server or a service.
type APICall struct {
	URLPath string        `json:"urlPath,omitempty"`
	Method  string        `json:"method,omitempty"`
	Data    []RequestData `json:"data,omitempty"`
	Service *ServiceCall  `json:"service,omitempty"`
}

// A ContextAPICall is an APICall whose answer is filtered.
type ContextAPICall struct {
	APICall
	Default  any    `json:"default,omitempty"`
	JMESPath string `json:"jmesPath,omitempty"`
}

// A GlobalContextEntryReference names a GlobalContextEntry.
type GlobalContextEntryReference struct {
	Name     string `json:"name"`
	JMESPath string `json:"jmesPath,omitempty"`
}

// A ServiceCall names an HTTP service.
type ServiceCall struct {
	URL      string       `json:"url"`
	Headers  []HTTPHeader `json:"headers,omitempty"`
	CABundle string       `json:"caBundle,omitempty"`
}

// RequestData is one entry of the body of a POST.
type RequestData struct {
	Key   string `json:"key"`
	Value any    `json:"value"`
}

// An HTTPHeader is one header of a service call.
type HTTPHeader struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// A Mutation changes the matched object, or its targets.
type Mutation struct {
	MutateExistingOnPolicyUpdate *bool                `json:"mutateExistingOnPolicyUpdate,omitempty"`
	Targets                      []TargetResourceSpec `json:"targets,omitempty"`
	PatchStrategicMerge          any                  `json:"patchStrategicMerge,omitempty"`
	PatchesJSON6902              string               `json:"patchesJson6902,omitempty"`
	ForEach                      []ForEachMutation    `json:"foreach,omitempty"`
}

func (m *Mutation) isZero() bool {
	return m.MutateExistingOnPolicyUpdate == nil && m.Targets == nil &&
		m.PatchStrategicMerge == nil && m.PatchesJSON6902 == "" && m.ForEach == nil
}

// A TargetResourceSpec selects the objects that a mutation changes.
type TargetResourceSpec struct {
	ResourceSpec
	Selector      *LabelSelector `json:"selector,omitempty"`
	Context       []ContextEntry `json:"context,omitempty"`
	Preconditions any            `json:"preconditions,omitempty"`
}

// A ResourceSpec names an object.
type ResourceSpec struct {
	APIVersion string `json:"apiVersion,omitempty"`
	Kind       string `json:"kind,omitempty"`
	Namespace  string `json:"namespace,omitempty"`
	Name       string `json:"name,omitempty"`
	UID        string `json:"uid,omitempty"`
}

// A ForEachMutation changes the object once per element of a list.
type ForEachMutation struct {
	List                string            `json:"list,omitempty"`
	Order               string            `json:"order,omitempty"`
	Context             []ContextEntry    `json:"context,omitempty"`
	Preconditions       any               `json:"preconditions,omitempty"`
	PatchStrategicMerge any               `json:"patchStrategicMerge,omitempty"`
	PatchesJSON6902     string            `json:"patchesJson6902,omitempty"`
	ForEach             []ForEachMutation `json:"foreach,omitempty"`
}

// A Generation creates objects.
type Generation struct {
	GenerateExisting               *bool `json:"generateExisting,omitempty"`
	Synchronize                    bool  `json:"synchronize,omitempty"`
	OrphanDownstreamOnPolicyDelete bool  `json:"orphanDownstreamOnPolicyDelete,omitempty"`
	GeneratePattern
	ForEach []ForEachGeneration `json:"foreach,omitempty"`
}

func (g *Generation) isZero() bool {
	return g.GenerateExisting == nil && !g.Synchronize && !g.OrphanDownstreamOnPolicyDelete &&
		g.ResourceSpec == (ResourceSpec{}) && g.Data == nil && g.Clone == (CloneFrom{}) &&
		g.CloneList.isZero() && g.ForEach == nil
}

// A GeneratePattern is what is created: an object written out, a copy of one
// object, or copies of several.
type GeneratePattern struct {
	ResourceSpec
	Data      any       `json:"data,omitempty"`
	Clone     CloneFrom `json:"clone,omitempty"`
	CloneList CloneList `json:"cloneList,omitempty"`
}

// A ForEachGeneration creates objects once per element of a list.
type ForEachGeneration struct {
	List          string         `json:"list,omitempty"`
	Context       []ContextEntry `json:"context,omitempty"`
	Preconditions any            `json:"preconditions,omitempty"`
	GeneratePattern
}

// CloneFrom names the object to copy.
type CloneFrom struct {
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name,omitempty"`
}

// A CloneList selects the objects to copy.
type CloneList struct {
	Namespace string         `json:"namespace,omitempty"`
	Kinds     []string       `json:"kinds,omitempty"`
	Selector  *LabelSelector `json:"selector,omitempty"`
}

func (c *CloneList) isZero() bool { return c.Namespace == "" && c.Kinds == nil && c.Selector == nil }
