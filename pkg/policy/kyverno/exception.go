package kyverno

import (
	"errors"
	"fmt"
	"slices"

	"github.com/oneloop-dev/oneloop/pkg/decode"
	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/condition"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/match"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/spec"
	"github.com/oneloop-dev/oneloop/pkg/resource"
	"github.com/oneloop-dev/oneloop/pkg/wildcard"
)

// exceptionDocument is a PolicyException of kyverno.io v2 or v2beta1.
type exceptionDocument struct {
	APIVersion string          `json:"apiVersion"`
	Kind       string          `json:"kind"`
	Metadata   policy.Metadata `json:"metadata"`
	Spec       struct {
		Background  *bool               `json:"background,omitempty"`
		Match       spec.MatchResources `json:"match"`
		Conditions  any                 `json:"conditions,omitempty"`
		Exceptions  []exemption         `json:"exceptions"`
		PodSecurity any                 `json:"podSecurity,omitempty"`
	} `json:"spec"`
	Status any `json:"status,omitempty"`
}

// An exemption names rules of a policy.
type exemption struct {
	PolicyName string   `json:"policyName"`
	RuleNames  []string `json:"ruleNames"`
}

// An exception is a compiled PolicyException.
type exception struct {
	ref        policy.Ref
	key        string // namespace/name
	exempts    []exemption
	matcher    *match.Matcher // nil: matches nothing
	conditions *condition.Conditions
}

// compileException returns nil and the faults of a document that is none.
func compileException(d *resource.Resource) (*exception, []error) {
	id := d.ID()
	ref := policy.Ref{ID: id, Origin: d.Origin()}
	fault := func(path fieldpath.Path, err error) error {
		return &policy.Error{Policy: ref, Line: d.Line(path), Path: path, Err: err}
	}
	o, err := d.Object()
	if err != nil {
		return nil, []error{fault(nil, err)}
	}
	if v := id.Kind.Version; v != "v2" && v != "v2beta1" {
		return nil, []error{fault(fieldpath.Path{}.Key("apiVersion"), fmt.Errorf("kyverno.io has no PolicyException in version %q; expected kyverno.io/v2 or kyverno.io/v2beta1", v))}
	}
	var doc exceptionDocument
	var faults []error
	for _, f := range decode.Strict(o, &doc) {
		faults = append(faults, fault(f.Path, errors.New(f.Message)))
	}
	at := fieldpath.Path{}.Key("spec")
	for i, e := range doc.Spec.Exceptions {
		if e.PolicyName == "" {
			faults = append(faults, fault(at.Key("exceptions").Index(i), errors.New("policyName is missing; expected the name of a ClusterPolicy, or namespace/name of a Policy")))
		}
	}
	if len(faults) > 0 {
		return nil, faults
	}
	e := &exception{ref: ref, key: id.Name, exempts: doc.Spec.Exceptions}
	if id.Namespace != "" {
		e.key = id.Namespace + "/" + id.Name
	}
	m := &doc.Spec.Match
	if len(m.Any) > 0 || len(m.All) > 0 {
		if e.matcher, err = match.CompileException(m); err != nil {
			faults = append(faults, fault(at.Key("match"), err))
		}
	}
	c := &ruleCompiler{policy: &spec.Policy{Ref: ref, Document: d}, rule: &spec.Rule{Path: at}}
	e.conditions = c.conditions(doc.Spec.Conditions, fieldpath.Path{}.Key("conditions"))
	if faults = append(faults, c.faults...); len(faults) > 0 {
		return nil, faults
	}
	return e, nil
}

// contains reports whether the exception names a rule.
func (e *exception) contains(p *spec.Policy, rule string) bool {
	key := p.Metadata.Name
	if p.Metadata.Namespace != "" {
		key = p.Metadata.Namespace + "/" + key
	}
	return slices.ContainsFunc(e.exempts, func(x exemption) bool {
		return x.PolicyName == key && slices.ContainsFunc(x.RuleNames, func(pattern string) bool { return wildcard.Match(pattern, rule) })
	})
}

// applies reports whether the exception holds for o. Its conditions see the
// variables of the rule.
func (e *exception) applies(req *request, s *scope, o resource.Object) (bool, error) {
	if e.matcher == nil {
		return false, nil
	}
	matched, err := e.matcher.Matches(req.subject(o))
	if err != nil {
		return false, fmt.Errorf("PolicyException %s: %w", e.key, err)
	}
	if !matched {
		return false, nil
	}
	ok, _, err := holds(e.conditions, s)
	if err != nil {
		if unknowable(err) {
			return false, fmt.Errorf("PolicyException %s: conditions: %w", e.key, err)
		}
		// In Kyverno an exception whose conditions fail does not apply.
		return false, nil
	}
	return ok, nil
}
