package spec

import (
	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/internal/constraints"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// A MutatingPolicy is a MutatingPolicy or NamespacedMutatingPolicy.
type MutatingPolicy struct {
	Document
	Spec MutatingSpec `json:"spec"`
}

// A MutatingSpec says what a policy changes.
type MutatingSpec struct {
	MatchConstraints       *constraints.Resources `json:"matchConstraints,omitempty"`
	FailurePolicy          string                 `json:"failurePolicy,omitempty"`
	MatchConditions        []Expression           `json:"matchConditions,omitempty"`
	Variables              []Expression           `json:"variables,omitempty"`
	Autogen                *MutatingAutogen       `json:"autogen,omitempty"`
	TargetMatchConstraints *TargetConstraints     `json:"targetMatchConstraints,omitempty"`
	TargetMatchConditions  []Expression           `json:"targetMatchConditions,omitempty"`
	Mutations              []Mutation             `json:"mutations,omitempty"`
	AuditAnnotations       []AuditAnnotation      `json:"auditAnnotations,omitempty"`
	WebhookConfiguration   *WebhookConfiguration  `json:"webhookConfiguration,omitempty"`
	Evaluation             *MutatingEvaluation    `json:"evaluation,omitempty"`
	// ReinvocationPolicy is for the MutatingAdmissionPolicy that Kyverno may make
	// of the policy; its own engine has none.
	ReinvocationPolicy string `json:"reinvocationPolicy,omitempty"`
}

// IgnoresFailures reports whether a resource that the policy fails on is
// admitted as it is.
func (s *MutatingSpec) IgnoresFailures() bool { return s.FailurePolicy == "Ignore" }

// AdmissionEnabled reports whether the policy runs at admission.
func (s *MutatingSpec) AdmissionEnabled() bool {
	return s.Evaluation == nil || s.Evaluation.Admission.Or(true)
}

// MutatesExisting reports whether the policy changes resources that are there
// when a trigger is admitted.
func (s *MutatingSpec) MutatesExisting() bool {
	return s.Evaluation != nil && s.Evaluation.MutateExisting.Or(false)
}

// SkipsBackgroundRequests reports whether the policy leaves requests alone that
// Kyverno's background controller makes.
func (s *MutatingSpec) SkipsBackgroundRequests() bool {
	return s.Evaluation == nil || s.Evaluation.SkipBackgroundRequests == nil || *s.Evaluation.SkipBackgroundRequests
}

// HasTargets reports whether the policy says itself what it changes, so that it
// leaves the resource that it matches alone.
func (s *MutatingSpec) HasTargets() bool {
	t := s.TargetMatchConstraints
	return t != nil && (len(t.ResourceRules) > 0 || t.Expression != "")
}

// A MutatingEvaluation says when a policy runs, and on what.
type MutatingEvaluation struct {
	Mode                   string   `json:"mode,omitempty"`
	Admission              *Enabled `json:"admission,omitempty"`
	Background             *Enabled `json:"background,omitempty"`
	MutateExisting         *Enabled `json:"mutateExisting,omitempty"`
	SkipBackgroundRequests *bool    `json:"skipBackgroundRequests,omitempty"`
	UseServerSideApply     bool     `json:"useServerSideApply,omitempty"`
}

// A MutatingAutogen says what is made of a policy.
type MutatingAutogen struct {
	PodControllers          *PodControllers `json:"podControllers,omitempty"`
	MutatingAdmissionPolicy *Enabled        `json:"mutatingAdmissionPolicy,omitempty"`
}

// TargetConstraints choose the existing resources that a policy changes.
type TargetConstraints struct {
	Expression string `json:"expression,omitempty"`
	constraints.Resources
}

// A Mutation is one patch. PatchType says which of the expressions counts.
type Mutation struct {
	PatchType          string `json:"patchType"`
	ApplyConfiguration *Patch `json:"applyConfiguration,omitempty"`
	JSONPatch          *Patch `json:"jsonPatch,omitempty"`
}

// A Patch is the expression of a mutation.
type Patch struct {
	Expression string `json:"expression,omitempty"`
}

// ReadMutating reads a MutatingPolicy or NamespacedMutatingPolicy; nil when it
// has faults.
func ReadMutating(r *resource.Resource) (*MutatingPolicy, []*policy.Error) {
	p := &MutatingPolicy{}
	if faults := Read(r, &p.Document, p); len(faults) > 0 {
		return nil, faults
	}
	c := &Checker{Document: &p.Document}
	s, at := &p.Spec, fieldpath.Path{}.Key("spec")
	c.OneOf(at.Key("failurePolicy"), s.FailurePolicy, "Ignore", "Fail")
	c.OneOf(at.Key("reinvocationPolicy"), s.ReinvocationPolicy, "Never", "IfNeeded")
	if s.Evaluation != nil {
		c.OneOf(at.Key("evaluation").Key("mode"), s.Evaluation.Mode, "Kubernetes", "JSON")
	}
	if s.MatchConstraints == nil || len(s.MatchConstraints.ResourceRules) == 0 {
		c.Errorf(at, "matchConstraints.resourceRules is missing; expected at least one rule")
	}
	if !s.AdmissionEnabled() && !s.MutatesExisting() {
		c.Errorf(at.Key("evaluation"), "admission and mutateExisting must not both be disabled")
	}
	c.Constraints(at.Key("matchConstraints"), s.MatchConstraints)
	if t := s.TargetMatchConstraints; t != nil {
		c.Constraints(at.Key("targetMatchConstraints"), &t.Resources)
	}
	c.Expressions(at.Key("variables"), s.Variables)
	c.Expressions(at.Key("matchConditions"), s.MatchConditions)
	c.Expressions(at.Key("targetMatchConditions"), s.TargetMatchConditions)
	for i, a := range s.AuditAnnotations {
		c.Required(at.Key("auditAnnotations").Index(i), "key", a.Key)
		c.Required(at.Key("auditAnnotations").Index(i), "valueExpression", a.ValueExpression)
	}
	for i, m := range s.Mutations {
		c.mutation(at.Key("mutations").Index(i), m)
	}
	if len(c.Faults) > 0 {
		return nil, c.Faults
	}
	return p, nil
}

// mutation checks what Kyverno takes and then passes over.
func (c *Checker) mutation(at fieldpath.Path, m Mutation) {
	switch m.PatchType {
	case "":
		c.Errorf(at, "patchType is missing; expected ApplyConfiguration or JSONPatch")
	case "ApplyConfiguration":
		if m.ApplyConfiguration == nil || m.ApplyConfiguration.Expression == "" {
			c.Failing(at, "applyConfiguration.expression is missing, as patchType asks for it")
		}
	case "JSONPatch":
		if m.JSONPatch == nil || m.JSONPatch.Expression == "" {
			c.Failing(at, "jsonPatch.expression is missing, as patchType asks for it")
		}
	default:
		c.Failing(at.Key("patchType"), "expected ApplyConfiguration or JSONPatch, found %q", m.PatchType)
	}
}
