package admission

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	gocel "github.com/google/cel-go/cel"

	"github.com/oneloop-dev/oneloop/pkg/expr/cel"
	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/internal/constraints"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// Unbound is the annotation that applies a policy that no binding names, as
// one binding without restrictions would.
const Unbound = "oneloop.dev/apply-unbound"

// A compiled is one policy with its bindings.
type compiled struct {
	document
	matcher    *constraints.Matcher
	params     *resource.Kind // nil: the policy has none
	conditions []condition
	variables  *cel.Definitions
	mutations  []*mutator
	ignore     bool // failurePolicy
	reinvoke   bool // reinvocationPolicy
	bindings   []*binding
	unbound    bool // it applies without a binding
}

type condition struct {
	name    string
	at      fieldpath.Path
	program *cel.Program
}

// A mutator is a compiled mutation.
type mutator struct {
	at      fieldpath.Path
	program *cel.Program
	apply   bool // an ApplyConfiguration, not a JSONPatch
}

// A binding is compiled.
type binding struct {
	name    string
	matcher *constraints.Matcher // nil: everything that the policy matches
	params  *params              // nil: params is null
}

// compile turns policies and bindings into one program: a cluster matches all
// policies before it applies the first, and may apply some twice. Their
// expressions are those of a version of Kubernetes, "" for the newest.
func compile(docs []*resource.Resource, version string) (policy.Set, error) {
	var set policy.Set
	var errs []error
	all := &program{}
	byName := map[string]*compiled{}
	for _, d := range docs {
		switch d.ID().Kind.Kind {
		case policyKind:
		case "ValidatingAdmissionPolicy":
			set.Notices = append(set.Notices, policy.Notice{Policy: policy.Ref{ID: d.ID(), Origin: d.Origin()},
				Message: "ValidatingAdmissionPolicy is not evaluated: it changes no manifest"})
			continue
		default:
			continue
		}
		p, faults := compilePolicy(d, version)
		errs = append(errs, faults...)
		name := d.ID().Name
		if other, ok := byName[name]; ok {
			errs = append(errs, &policy.Error{Policy: p.ref, Err: fmt.Errorf("%s %s is there twice; the other one is at %s", policyKind, name, other.ref.Origin)})
			continue
		}
		byName[name] = p
		if len(faults) == 0 {
			all.policies = append(all.policies, p)
		}
	}
	bindings := map[string]policy.Ref{}
	for _, d := range docs {
		if d.ID().Kind.Kind != bindingKind {
			continue
		}
		ref := policy.Ref{ID: d.ID(), Origin: d.Origin()}
		if other, ok := bindings[ref.ID.Name]; ok {
			errs = append(errs, &policy.Error{Policy: ref, Err: fmt.Errorf("%s %s is there twice; the other one is at %s", bindingKind, ref.ID.Name, other.Origin)})
			continue
		}
		bindings[ref.ID.Name] = ref
		b, name, faults := compileBinding(d)
		if len(faults) > 0 {
			errs = append(errs, faults...)
			continue
		}
		p, ok := byName[name]
		if !ok {
			set.Notices = append(set.Notices, policy.Notice{Policy: ref, Message: fmt.Sprintf("it binds the %s %s, which is not among the policies, and does nothing", policyKind, name)})
			continue
		}
		p.bindings = append(p.bindings, b)
	}
	for _, p := range all.policies {
		switch {
		case len(p.bindings) > 0:
		case p.unbound:
			p.bindings = []*binding{{}}
		default:
			set.Notices = append(set.Notices, policy.Notice{Policy: p.ref, Message: unboundMessage(p.ref.ID.Name)})
		}
	}
	if len(all.policies) > 0 {
		set.Programs = []policy.Program{all}
	}
	return set, errors.Join(errs...)
}

func unboundMessage(name string) string {
	return fmt.Sprintf("no %s names the policy, so that it does nothing, as in a cluster; add a binding, such as\n"+
		"  apiVersion: %s/v1\n  kind: %s\n  metadata: {name: %s}\n  spec: {policyName: %s}\n"+
		"or annotate the policy with %s: \"true\"", bindingKind, group, bindingKind, name, name, Unbound)
}

// An environmentKey says for which expressions an environment is.
type environmentKey struct {
	version   string // of Kubernetes, "" for the newest
	params    bool   // of a policy that has them
	mutations bool
}

// environments are built when they are first needed.
var environments sync.Map // environmentKey to func() (*cel.Environment, error)

func environment(key environmentKey) (*cel.Environment, error) {
	build, _ := environments.LoadOrStore(key, sync.OnceValues(func() (*cel.Environment, error) {
		options := []cel.Option{cel.WithAuthorizer(), cel.ForVersion(key.version)}
		if key.params {
			options = append(options, cel.WithParams())
		}
		if key.mutations {
			options = append(options, cel.WithPatches())
		}
		return cel.New(options...)
	}))
	return build.(func() (*cel.Environment, error))() //nolint:forcetypeassert // there is nothing else in it
}

// nothing defines no variables, for the policies that have none.
var nothing = cel.Define()

// withoutVariables are the environments of mutations of such policies.
var withoutVariables sync.Map // environmentKey to func() (*cel.Environment, error)

func mutationEnvironment(key environmentKey, d *cel.Definitions) (*cel.Environment, error) {
	key.mutations = true
	build := func() (*cel.Environment, error) {
		env, err := environment(key)
		if err != nil {
			return nil, err
		}
		return env.With(d)
	}
	if d != nothing {
		return build()
	}
	shared, _ := withoutVariables.LoadOrStore(key, sync.OnceValues(build))
	return shared.(func() (*cel.Environment, error))() //nolint:forcetypeassert // there is nothing else in it
}

// compilePolicy returns the policy, also when it has faults.
func compilePolicy(d *resource.Resource, version string) (*compiled, []error) {
	doc := newDocument(d)
	p := &compiled{document: doc, variables: nothing}
	var written policyDocument
	c := &checker{document: doc}
	c.faults = doc.read(&written)
	if len(c.faults) > 0 {
		return p, c.faults
	}
	written.check(c)
	s := &written.Spec
	p.ignore, p.reinvoke = s.FailurePolicy == "Ignore", s.ReinvocationPolicy == "IfNeeded"
	if s.ParamKind != nil {
		kind := s.ParamKind.kind()
		p.params = &kind
	}
	if err := p.expressions(c, s, version); err != nil {
		return p, append(c.faults, doc.fault(nil, err))
	}
	if len(c.faults) > 0 {
		return p, c.faults
	}
	var err error
	if p.matcher, err = constraints.Compile(s.MatchConstraints, constraints.Options{}); err != nil {
		return p, []error{doc.fault(spec.Key("matchConstraints"), err)}
	}
	annotations, _ := written.Metadata["annotations"].(map[string]any)
	switch value := annotations[Unbound]; value {
	case nil, "false":
	case "true":
		p.unbound = true
	default:
		return p, []error{doc.fault(fieldpath.Path{}.Key("metadata").Key("annotations").Key(Unbound), fmt.Errorf(`expected "true" or "false", found %v`, value))}
	}
	return p, nil
}

// expressions compiles the expressions of a policy. The error is for what no
// policy is responsible for.
func (p *compiled) expressions(c *checker, s *policySpec, version string) error {
	key := environmentKey{version: version, params: p.params != nil}
	plain, err := environment(key)
	if err != nil {
		return err
	}
	compile := func(env *cel.Environment, at fieldpath.Path, text string, result *gocel.Type) *cel.Program {
		trimmed := strings.TrimSpace(text)
		if trimmed == "" {
			return nil // a fault already
		}
		out, err := env.Compile(text, result)
		if err != nil {
			// The API server counts columns so.
			if _, other := env.Compile(trimmed, result); other != nil {
				err = other
			}
			c.fault(at, "Invalid value: %q: %w", trimmed, err)
		}
		return out
	}
	for i, e := range s.MatchConditions {
		at := spec.Key("matchConditions").Index(i).Key("expression")
		p.conditions = append(p.conditions, condition{e.Name, at, compile(plain, at, e.Expression, cel.Bool)})
	}
	if len(s.Variables) > 0 {
		p.variables = cel.Define()
		env, err := plain.With(p.variables)
		if err != nil {
			return err
		}
		for i, v := range s.Variables {
			if strings.TrimSpace(v.Expression) == "" {
				continue
			}
			if err := p.variables.Add(env, v.Name, v.Expression); err != nil {
				c.fault(spec.Key("variables").Index(i).Key("expression"), "Invalid value: %q: %w", v.Expression, err)
			}
		}
	}
	env, err := mutationEnvironment(key, p.variables)
	if err != nil {
		return err
	}
	for i, m := range s.Mutations {
		at := spec.Key("mutations").Index(i)
		switch {
		case m.PatchType == applyConfiguration && m.ApplyConfiguration != nil:
			at = at.Key("applyConfiguration").Key("expression")
			p.mutations = append(p.mutations, &mutator{at, compile(env, at, m.ApplyConfiguration.Expression, cel.ObjectResult), true})
		case m.PatchType == jsonPatch && m.JSONPatch != nil:
			at = at.Key("jsonPatch").Key("expression")
			p.mutations = append(p.mutations, &mutator{at, compile(env, at, m.JSONPatch.Expression, cel.PatchResult), false})
		}
	}
	return nil
}

// compileBinding returns a binding and the name of its policy.
func compileBinding(d *resource.Resource) (*binding, string, []error) {
	doc := newDocument(d)
	var written bindingDocument
	c := &checker{document: doc}
	if c.faults = doc.read(&written); len(c.faults) > 0 {
		return nil, "", c.faults
	}
	written.check(c)
	if len(c.faults) > 0 {
		return nil, "", c.faults
	}
	b := &binding{name: d.ID().Name}
	var err error
	if r := written.Spec.MatchResources; r != nil {
		if b.matcher, err = constraints.Compile(r, constraints.Options{}); err != nil {
			return nil, "", []error{doc.fault(spec.Key("matchResources"), err)}
		}
	}
	if ref := written.Spec.ParamRef; ref != nil {
		b.params = &params{name: ref.Name, namespace: ref.Namespace, deny: ref.ParameterNotFoundAction == "Deny"}
		if ref.Selector != nil {
			if b.params.selector, err = ref.Selector.Compile(); err != nil {
				return nil, "", []error{doc.fault(spec.Key("paramRef").Key("selector"), err)}
			}
		}
	}
	return b, written.Spec.PolicyName, nil
}
