package spec

import (
	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/internal/constraints"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// A GeneratingPolicy is a GeneratingPolicy or NamespacedGeneratingPolicy.
type GeneratingPolicy struct {
	Document
	Spec GeneratingSpec `json:"spec"`
}

// A GeneratingSpec says what a policy generates.
type GeneratingSpec struct {
	MatchConstraints     *constraints.Resources `json:"matchConstraints,omitempty"`
	MatchConditions      []Expression           `json:"matchConditions,omitempty"`
	Variables            []Expression           `json:"variables,omitempty"`
	Evaluation           *GeneratingEvaluation  `json:"evaluation,omitempty"`
	WebhookConfiguration *WebhookConfiguration  `json:"webhookConfiguration,omitempty"`
	Generate             []Generation           `json:"generate"`
	AuditAnnotations     []AuditAnnotation      `json:"auditAnnotations,omitempty"`
	UseServerSideApply   bool                   `json:"useServerSideApply,omitempty"`
}

// A GeneratingEvaluation says when a policy runs, and what becomes of what it
// generated.
type GeneratingEvaluation struct {
	Admission        *Enabled `json:"admission,omitempty"`
	GenerateExisting *Enabled `json:"generateExisting,omitempty"`
	Synchronize      *Enabled `json:"synchronize,omitempty"`
	// OrphanDownstreamOnPolicyDelete is about a policy that goes; here none does.
	OrphanDownstreamOnPolicyDelete *Enabled `json:"orphanDownstreamOnPolicyDelete,omitempty"`
	SkipBackgroundRequests         *bool    `json:"skipBackgroundRequests,omitempty"`
}

// A Generation generates by an expression or by a template.
type Generation struct {
	Expression string              `json:"expression,omitempty"`
	Template   *GenerationTemplate `json:"template,omitempty"`
}

// A GenerationTemplate is YAML. Interpolate is none or cel.
type GenerationTemplate struct {
	Value       string `json:"value"`
	Interpolate string `json:"interpolate,omitempty"`
}

// Triggers reports whether a resource triggers the policy: when it is admitted,
// or because the policy also generates for what is there already.
func (s *GeneratingSpec) Triggers() bool {
	return s.Evaluation == nil || s.Evaluation.Admission.Or(true) || s.Evaluation.GenerateExisting.Or(false)
}

// Synchronizes reports whether what is generated is brought back to what the
// policy says.
func (s *GeneratingSpec) Synchronizes() bool {
	return s.Evaluation != nil && s.Evaluation.Synchronize.Or(false)
}

// SkipsBackgroundRequests reports whether the policy leaves requests alone that
// Kyverno's background controller makes.
func (s *GeneratingSpec) SkipsBackgroundRequests() bool {
	return s.Evaluation == nil || s.Evaluation.SkipBackgroundRequests == nil || *s.Evaluation.SkipBackgroundRequests
}

// ReadGenerating reads a GeneratingPolicy or NamespacedGeneratingPolicy; nil when
// it has faults.
func ReadGenerating(r *resource.Resource) (*GeneratingPolicy, []*policy.Error) {
	p := &GeneratingPolicy{}
	if faults := Read(r, &p.Document, p); len(faults) > 0 {
		return nil, faults
	}
	c := &Checker{Document: &p.Document}
	s, at := &p.Spec, fieldpath.Path{}.Key("spec")
	if s.MatchConstraints == nil || len(s.MatchConstraints.ResourceRules) == 0 {
		c.Errorf(at, "matchConstraints.resourceRules is missing; expected at least one rule")
	}
	c.Expressions(at.Key("variables"), s.Variables)
	c.Expressions(at.Key("matchConditions"), s.MatchConditions)
	c.Annotations(at.Key("auditAnnotations"), s.AuditAnnotations)
	if len(s.Generate) == 0 {
		c.Errorf(at, "generate is missing; expected at least one expression or template")
	}
	for i, g := range s.Generate {
		at := at.Key("generate").Index(i)
		switch {
		case g.Expression != "" && g.Template != nil:
			c.Errorf(at, "expected either an expression or a template, found both")
		case g.Template != nil:
			c.Required(at.Key("template"), "value", g.Template.Value)
			c.OneOf(at.Key("template").Key("interpolate"), g.Template.Interpolate, "none", "cel")
		case g.Expression == "":
			c.Errorf(at, "expected an expression or a template")
		}
	}
	if len(c.Faults) > 0 {
		return nil, c.Faults
	}
	return p, nil
}

// Annotations reports audit annotations without key or expression.
func (c *Checker) Annotations(path fieldpath.Path, list []AuditAnnotation) {
	for i, a := range list {
		c.Required(path.Index(i), "key", a.Key)
		c.Required(path.Index(i), "valueExpression", a.ValueExpression)
	}
}
