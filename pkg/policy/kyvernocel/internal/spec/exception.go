package spec

import (
	"time"

	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// A PolicyException exempts resources from policies.
type PolicyException struct {
	Document
	Spec ExceptionSpec `json:"spec"`
}

// An ExceptionSpec says what is exempt from which policies.
type ExceptionSpec struct {
	PolicyRefs      []PolicyRef       `json:"policyRefs"`
	MatchConditions []Expression      `json:"matchConditions,omitempty"`
	Images          []string          `json:"images,omitempty"`
	AllowedValues   []string          `json:"allowedValues,omitempty"`
	ReportResult    string            `json:"reportResult,omitempty"`
	ExpiresAt       string            `json:"expiresAt,omitempty"`
	Properties      map[string]string `json:"properties,omitempty"`
	EvaluationMode  string            `json:"evaluationMode,omitempty"`
}

// A PolicyRef names a policy, whatever its namespace.
type PolicyRef struct {
	Name string `json:"name"`
	Kind string `json:"kind"`
}

// Key is what reports call the exception.
func (e *PolicyException) Key() string {
	if e.Metadata.Namespace == "" {
		return e.Metadata.Name
	}
	return e.Metadata.Namespace + "/" + e.Metadata.Name
}

// Names reports whether the exception is about a policy.
func (e *PolicyException) Names(d *Document) bool {
	for _, ref := range e.Spec.PolicyRefs {
		if ref.Name == d.Metadata.Name && ref.Kind == d.Kind {
			return true
		}
	}
	return false
}

// Full reports whether the exception leaves nothing of a policy; others only
// allow images and values.
func (e *PolicyException) Full() bool { return len(e.Spec.Images)+len(e.Spec.AllowedValues) == 0 }

// ReadException reads a PolicyException; nil when it has faults.
func ReadException(r *resource.Resource) (*PolicyException, []*policy.Error) {
	e := &PolicyException{}
	if faults := Read(r, &e.Document, e); len(faults) > 0 {
		return nil, faults
	}
	c := &Checker{Document: &e.Document}
	at := fieldpath.Path{}.Key("spec")
	if len(e.Spec.PolicyRefs) == 0 {
		c.Errorf(at, "policyRefs is missing; expected the kind and name of at least one policy")
	}
	for i, ref := range e.Spec.PolicyRefs {
		c.Required(at.Key("policyRefs").Index(i), "name", ref.Name)
		c.Required(at.Key("policyRefs").Index(i), "kind", ref.Kind)
	}
	c.OneOf(at.Key("reportResult"), e.Spec.ReportResult, "skip", "pass")
	c.Expressions(at.Key("matchConditions"), e.Spec.MatchConditions)
	if e.Spec.ExpiresAt != "" {
		if _, err := time.Parse(time.RFC3339, e.Spec.ExpiresAt); err != nil {
			c.Errorf(at.Key("expiresAt"), "expected a time such as 2026-01-31T00:00:00Z, found %q", e.Spec.ExpiresAt)
		}
	}
	if len(c.Faults) > 0 {
		return nil, c.Faults
	}
	return e, nil
}
