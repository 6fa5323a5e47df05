package kyvernocel

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/oneloop-dev/oneloop/pkg/expr/cel"
	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/jsonvalue"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/internal/constraints"
	"github.com/oneloop-dev/oneloop/pkg/policy/internal/downstream"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyvernocel/internal/library"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyvernocel/internal/spec"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyvernocel/internal/template"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// A generator runs a GeneratingPolicy on its triggers. It is immutable.
type generator struct {
	policy      *spec.GeneratingPolicy
	match       *constraints.Matcher
	exceptions  []*exception
	variables   *cel.Definitions
	conditions  []*expression
	generations []*generation
	annotations []*expression
}

// A generation is an expression that generates, or a template.
type generation struct {
	at           fieldpath.Path
	expression   *expression
	template     *template.Template
	placeholders []*expression // of template
}

// generating compiles a GeneratingPolicy or NamespacedGeneratingPolicy.
func (c *compilation) generating(d *resource.Resource) {
	p, faults := spec.ReadGenerating(d)
	if c.fault(faults...); p == nil {
		return
	}
	g, faults := compileGeneration(p, c.exempting(&p.Document))
	if c.fault(faults...); len(faults) > 0 {
		return
	}
	if !p.Spec.Triggers() {
		c.set.Notices = append(c.set.Notices, policy.Notice{Policy: p.Ref, Message: "evaluation.admission.enabled is false: the policy generates nothing, here as in a cluster"})
		return
	}
	c.set.Generate = append(c.set.Generate, g)
}

func compileGeneration(p *spec.GeneratingPolicy, exceptions []*exception) (*generator, []*policy.Error) {
	base, err := generationEnvironment(p.Namespace())
	if err != nil {
		return nil, []*policy.Error{p.Error(nil, err)}
	}
	s, at := &p.Spec, fieldpath.Path{}.Key("spec")
	// Conditions come before the variables, and don't know them.
	before, err := newCompiler(&p.Document, base, nil, nil)
	if err != nil {
		return nil, []*policy.Error{p.Error(nil, err)}
	}
	c, err := newCompiler(&p.Document, base, s.Variables, at.Key("variables"))
	if err != nil {
		return nil, []*policy.Error{p.Error(nil, err)}
	}
	g := &generator{policy: p, variables: c.variables}
	g.match = c.matcher(at.Key("matchConstraints"), s.MatchConstraints)
	g.conditions = before.conditions(at.Key("matchConditions"), s.MatchConditions)
	for i, one := range s.Generate {
		g.generations = append(g.generations, c.generation(at.Key("generate").Index(i), &one))
	}
	for i, a := range s.AuditAnnotations {
		g.annotations = append(g.annotations, c.annotation(at.Key("auditAnnotations").Index(i).Key("valueExpression"), a.ValueExpression))
	}
	g.exceptions = c.exceptions(exceptions)
	return g, slices.Concat(before.faults, c.faults)
}

func (c *compiler) generation(at fieldpath.Path, s *spec.Generation) *generation {
	if s.Template == nil {
		return &generation{at: at, expression: c.compile(at.Key("expression"), s.Expression, cel.Bool)}
	}
	g := &generation{at: at.Key("template").Key("value")}
	var err error
	if g.template, err = template.Read(s.Template.Value, s.Template.Interpolate == "cel"); err != nil {
		c.fault(g.at, err)
		return g
	}
	for _, p := range g.template.Placeholders() {
		c.confine(g.at, p.Expression)
		program, err := c.environment.Compile(p.Expression, cel.Any)
		if err != nil {
			c.fault(g.at, &template.Error{Line: p.Line, Err: fmt.Errorf("placeholder (( %s )): %w", p.Expression, err)})
		}
		g.placeholders = append(g.placeholders, &expression{Program: program, at: g.at})
	}
	return g
}

// Policy implements policy.Background.
func (g *generator) Policy() policy.Ref { return g.policy.Ref }

// Selects implements policy.Background.
func (g *generator) Selects(k resource.Kind) bool { return g.match.Selects(k) }

// React implements policy.Background.
func (g *generator) React(ctx context.Context, in policy.Input, w policy.World) ([]policy.Result, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	req, err := newRequest(in)
	if err != nil {
		return nil, err
	}
	own := g.policy.Namespace()
	if w.Background() && g.policy.Spec.SkipsBackgroundRequests() || own != "" && own != req.requestNamespace() ||
		req.operation == "DELETE" && !g.asksForDeletions() || req.filtered() != "" {
		return nil, nil
	}
	run := &generating{generator: g, request: req, Generation: downstream.Generation{
		World: w, Facts: in.Facts, Replace: g.policy.Spec.Synchronizes(), Apply: g.policy.Spec.UseServerSideApply,
	}}
	result, matched := run.all(ctx)
	if !matched || ctx.Err() != nil {
		return nil, ctx.Err()
	}
	result.Targets = run.Targets() // also of a policy that failed half-way
	return []policy.Result{result}, nil
}

// asksForDeletions reports whether the policy names deletions, as it has to.
func (g *generator) asksForDeletions() bool {
	return slices.ContainsFunc(g.policy.Spec.MatchConstraints.ResourceRules, func(r constraints.Rule) bool {
		return slices.Contains(r.Operations, "DELETE")
	})
}

// A generating is a policy at work on one trigger.
type generating struct {
	*generator
	downstream.Generation
	request *request
}

// all does what the policy says; matched is false when it says nothing about the
// trigger.
func (g *generating) all(ctx context.Context) (result policy.Result, matched bool) {
	fail := func(err error) (policy.Result, bool) {
		result := failed(&g.policy.Document, false, g.request, err)
		result.Rule = g.policy.Metadata.Name
		return result, true
	}
	o, err := g.request.show(g.request.in.Object)
	if err != nil {
		return fail(err)
	}
	_, ok, err := g.match.Match(g.request.subject(o))
	if err != nil {
		return fail(err)
	}
	if !ok {
		return policy.Result{}, false
	}
	ev, err := newEvaluation(ctx, g.request, g.policy.Namespace(), o)
	if err != nil {
		return fail(err)
	}
	if g.request.operation == "DELETE" {
		ev.values["object"] = resource.Object{}
	}
	exempt, err := exempt(ev, g.exceptions)
	if err != nil {
		return fail(err)
	}
	if exempt.full != nil {
		return exempt.result(), true
	}
	ev.values["exceptions"] = exempt.variable()
	if ok, err := ev.hold(g.conditions); err != nil {
		return fail(err)
	} else if !ok {
		return policy.Result{}, false
	}
	ev.begin(exempt, g.variables)
	ev.values["generator"] = library.Generate(func(namespace string, objects []map[string]any) error {
		if own := g.policy.Namespace(); own != "" {
			namespace = own
		}
		return g.generate(ctx, namespace, objects)
	})
	for _, one := range g.generations {
		if err := g.one(ctx, ev, one); err != nil {
			return fail(placed(one.at, err))
		}
	}
	for _, a := range g.annotations {
		if _, err := a.eval(ev); err != nil {
			return fail(err)
		}
	}
	return g.Result(g.policy.Metadata.Name), true
}

// one evaluates an expression, which generates as it goes, or a template.
func (g *generating) one(ctx context.Context, ev *evaluation, one *generation) error {
	if one.expression != nil {
		_, err := one.expression.eval(ev)
		return err
	}
	objects, err := one.template.Render(func(i int) (any, error) {
		v, err := one.placeholders[i].Eval(ctx, ev.values, nil)
		if err != nil {
			return nil, unwrapped(err)
		}
		return library.Scalar(v)
	})
	if err != nil {
		return err
	}
	// What goes to one namespace goes together.
	own := g.policy.Namespace()
	var namespaces []string
	grouped := map[string][]map[string]any{}
	for _, o := range objects {
		namespace := resource.IDOf(o).Namespace
		switch {
		case own != "" && namespace == "":
			namespace = own
		case own != "" && namespace != own:
			return fmt.Errorf("the policy of namespace %s cannot generate in namespace %s", own, namespace)
		}
		if _, ok := grouped[namespace]; !ok {
			namespaces = append(namespaces, namespace)
		}
		grouped[namespace] = append(grouped[namespace], o)
	}
	for _, namespace := range namespaces {
		if err := g.generate(ctx, namespace, grouped[namespace]); err != nil {
			return err
		}
	}
	return nil
}

// generate makes objects in a namespace. Those of a List count one by one.
func (g *generating) generate(ctx context.Context, namespace string, objects []map[string]any) error {
	for _, o := range objects {
		items, isList := o["items"].([]any)
		if !isList {
			items = []any{o}
		}
		for i, item := range items {
			o, ok := item.(map[string]any)
			if !ok {
				return fmt.Errorf("item %d of the list: expected an object, found %s", i, jsonvalue.Describe(item))
			}
			if err := g.put(ctx, namespace, o); err != nil {
				return err
			}
		}
	}
	return nil
}

// put makes one object. A cluster-scoped one has no namespace, whatever the
// policy says.
func (g *generating) put(ctx context.Context, namespace string, o resource.Object) error {
	source := resource.IDOf(o)
	target := resource.ID{Kind: source.Kind, Namespace: namespace, Name: source.Name}
	known := g.request.kinds
	switch {
	case known.ClusterScoped(target.Kind):
		target.Namespace = ""
		if own := g.policy.Namespace(); own != "" {
			return fmt.Errorf("the policy of namespace %s cannot generate the cluster-scoped %s", own, target)
		}
	case namespace == "" && target.Kind.Kind != "" && known.Known(target.Kind):
		return fmt.Errorf("%s: a %s is in a namespace, and the policy names none", target, target.Kind.Kind)
	}
	meta, ok := o["metadata"].(map[string]any)
	if !ok && o["metadata"] != nil {
		return fmt.Errorf("%s: metadata: expected a map, found %s", target, jsonvalue.Describe(o["metadata"]))
	}
	if meta = maps.Clone(meta); meta == nil {
		meta = map[string]any{}
	}
	o = maps.Clone(o)
	o["metadata"] = meta
	// What belongs to the source of a copy alone.
	for _, name := range []string{"uid", "selfLink", "creationTimestamp", "managedFields", "resourceVersion", "namespace"} {
		delete(meta, name)
	}
	if source.Namespace != "" && source.Namespace != target.Namespace {
		delete(meta, "ownerReferences")
	}
	if target.Namespace != "" {
		meta["namespace"] = target.Namespace
	}
	if annotations, ok := meta["annotations"].(map[string]any); ok && annotations["config.kubernetes.io/local-config"] != nil {
		// The copy does reach the cluster.
		annotations = maps.Clone(annotations)
		delete(annotations, "config.kubernetes.io/local-config")
		if meta["annotations"] = annotations; len(annotations) == 0 {
			delete(meta, "annotations")
		}
	}
	if err := g.label(target, meta); err != nil {
		return err
	}
	return g.Put(ctx, o)
}

// label handles the labels of Kyverno's controller.
func (g *generating) label(target resource.ID, meta map[string]any) error {
	trigger := g.request.in.ID
	labels := downstream.Trigger(g.World, trigger, g.request.namespace)
	if labels != nil {
		labels["policy-name"], labels["trigger-name"] = g.policy.Metadata.Name, trigger.Name
	}
	if err := downstream.Label(meta, labels); err != nil {
		return fmt.Errorf("%s: %w", target, err)
	}
	return nil
}
