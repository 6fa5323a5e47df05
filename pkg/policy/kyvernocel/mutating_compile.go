package kyvernocel

import (
	"fmt"
	"slices"
	"strings"

	gocel "github.com/google/cel-go/cel"

	"github.com/oneloop-dev/oneloop/pkg/expr/cel"

	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/internal/constraints"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyvernocel/internal/autogen"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyvernocel/internal/spec"
)

// compileMutation compiles a policy or, with a variant, a copy of it.
func compileMutation(p *spec.MutatingPolicy, s *spec.MutatingSpec, variant autogen.Variant, exceptions []*exception) (*mutation, []*policy.Error) {
	base, err := mutationEnvironment(p.Namespace())
	if err != nil {
		return nil, []*policy.Error{p.Error(nil, err)}
	}
	at := fieldpath.Path{}.Key("spec")
	c, err := newCompiler(&p.Document, base, s.Variables, at.Key("variables"))
	if err != nil {
		return nil, []*policy.Error{p.Error(nil, err)}
	}
	m := &mutation{policy: p, copied: controllers[variant], extracted: variant == autogen.Extracted, variables: c.variables}
	m.match = c.matcher(at.Key("matchConstraints"), s.MatchConstraints)
	m.conditions = c.conditions(at.Key("matchConditions"), s.MatchConditions)
	m.targetConditions = c.conditions(at.Key("targetMatchConditions"), s.TargetMatchConditions)
	if t := s.TargetMatchConstraints; t != nil {
		at := at.Key("targetMatchConstraints")
		m.targets = c.targetMatcher(at, t.Resources)
		if t.Expression != "" {
			m.target = c.compile(at.Key("expression"), t.Expression, gocel.MapType(gocel.StringType, gocel.AnyType))
		}
	}
	atomics := s.Evaluation != nil && s.Evaluation.UseServerSideApply
	for i, mutation := range s.Mutations {
		at := at.Key("mutations").Index(i)
		if mutation.PatchType == "JSONPatch" {
			m.patches = append(m.patches, c.jsonPatch(at.Key("jsonPatch").Key("expression"), mutation.JSONPatch.Expression))
		} else {
			m.patches = append(m.patches, c.applyConfiguration(at.Key("applyConfiguration").Key("expression"), mutation.ApplyConfiguration.Expression, atomics))
		}
	}
	for i, a := range s.AuditAnnotations {
		m.annotations = append(m.annotations, c.annotation(at.Key("auditAnnotations").Index(i).Key("valueExpression"), a.ValueExpression))
	}
	m.exceptions = c.exceptions(exceptions)
	return m, c.faults
}

// annotation compiles what a policy adds to Kyverno's reports. An error of it
// counts as one of the policy.
func (c *compiler) annotation(at fieldpath.Path, text string) *expression {
	e := c.compile(at, text, cel.Any)
	if e.Program != nil {
		if t := e.Output(); !t.IsExactType(gocel.StringType) && !t.IsExactType(gocel.NullType) {
			c.fault(at, fmt.Errorf("must evaluate to string or null_type but got %s", t))
		}
	}
	return e
}

// matcher compiles what a policy matches.
func (c *compiler) matcher(at fieldpath.Path, r *constraints.Resources) *constraints.Matcher {
	out, err := constraints.Compile(r, constraints.Options{Exact: true, GenerateName: true})
	if err != nil {
		c.fault(at, err)
	}
	return out
}

// targetMatcher compiles which resources a policy changes, whatever happens to
// them. A rule about a subresource chooses the resources that have it.
func (c *compiler) targetMatcher(at fieldpath.Path, r constraints.Resources) *constraints.Matcher {
	r.ResourceRules = slices.Clone(r.ResourceRules)
	for i := range r.ResourceRules {
		rule := &r.ResourceRules[i]
		rule.Operations = []string{"*"}
		rule.Resources = slices.Clone(rule.Resources)
		for j := range rule.Resources {
			rule.Resources[j], _, _ = strings.Cut(rule.Resources[j], "/")
		}
	}
	r.ExcludeResourceRules = nil
	out, err := constraints.Compile(&r, constraints.Options{Exact: true})
	if err != nil {
		c.fault(at, err)
	}
	return out
}

// exceptions compiles the conditions of the exceptions of a policy, which know
// what the policy knows.
func (c *compiler) exceptions(list []*exception) []*exception {
	var out []*exception
	for _, e := range list {
		own := &compiler{document: &e.spec.Document, environment: c.environment}
		out = append(out, &exception{spec: e.spec, conditions: own.conditions(fieldpath.Path{}.Key("spec").Key("matchConditions"), e.spec.Spec.MatchConditions)})
		c.faults = append(c.faults, own.faults...)
	}
	return out
}
