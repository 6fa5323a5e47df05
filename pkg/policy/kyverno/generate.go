package kyverno

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/oneloop-dev/oneloop/pkg/decode"
	"github.com/oneloop-dev/oneloop/pkg/expr/jmespath"
	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/jsonvalue"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/internal/downstream"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/condition"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/match"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/spec"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/variable"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// A generation is what a generate rule makes: once, or with a list once per
// element.
type generation struct {
	path          fieldpath.Path
	pattern       *variable.Template // of a spec.GeneratePattern
	list          *variable.Expression
	context       []*entry
	preconditions *condition.Conditions
}

// generation compiles a generate rule.
func (c *ruleCompiler) generation(exceptions []*exception) *rule {
	r := c.common(exceptions)
	raw, _ := c.rule.Raw["generate"].(map[string]any)
	path := fieldpath.Path{fieldpath.Key("generate")}
	if c.rule.Generation.ForEach == nil {
		r.generations = []*generation{{path: path, pattern: c.pattern(raw, path)}}
		return r
	}
	c.inLoop = true
	list, _ := raw["foreach"].([]any)
	for i := range c.rule.Generation.ForEach {
		f, at := &c.rule.Generation.ForEach[i], path.Key("foreach").Index(i)
		g := &generation{path: at}
		var err error
		if g.list, err = variable.NewExpression(f.List); err != nil {
			c.fault(at.Key("list"), policy.Failing(err))
		}
		g.context = c.entries(f.Context, at.Key("context"))
		g.preconditions = c.conditions(f.Preconditions, at.Key("preconditions"))
		element, _ := list[i].(map[string]any)
		g.pattern = c.pattern(element, at)
		r.generations = append(r.generations, g)
	}
	return r
}

// pattern compiles the parts of a rule or an element of foreach, at path, that
// say what to generate. References in it lead into these parts.
func (c *ruleCompiler) pattern(raw map[string]any, path fieldpath.Path) *variable.Template {
	pattern := map[string]any{}
	for _, name := range []string{"apiVersion", "kind", "namespace", "name", "uid", "data", "clone", "cloneList"} {
		if v, ok := raw[name]; ok {
			pattern[name] = v
		}
	}
	return c.template(pattern, path)
}

// A generator runs the generate rules of a policy.
type generator struct{ program }

// React implements policy.Background.
func (g *generator) React(ctx context.Context, in policy.Input, w policy.World) ([]policy.Result, error) {
	return g.react(ctx, in, w, func(r *rule, s *scope) policy.Result {
		run := &generating{rule: r, trigger: in.Object, Generation: downstream.Generation{
			World: w, Facts: in.Facts, Replace: r.spec.Generation.Synchronize, Apply: r.policy.Spec.UseServerSideApply,
		}}
		var errs []error
		for _, one := range r.generations {
			if err := run.all(ctx, s, one); err != nil {
				errs = append(errs, placedAt(one.path, err))
			}
		}
		result := run.Result(r.spec.Name)
		if len(errs) > 0 {
			result = r.failed(s.request, errors.Join(errs...))
			result.Targets = run.Targets()
		}
		return result
	})
}

// A generating is one generate rule at work on one trigger.
type generating struct {
	downstream.Generation
	rule    *rule
	trigger resource.Object
}

// all generates once, or once for each element.
func (g *generating) all(ctx context.Context, s *scope, one *generation) error {
	if one.list == nil {
		return g.generate(ctx, s, one)
	}
	list, err := s.Search(one.list)
	if err != nil {
		err = fmt.Errorf("list: %w", err)
		if jmespath.IsNotFound(err) {
			err = fmt.Errorf("%w; write \"%s || `[]`\" for an empty list", err, one.list)
		}
		return err
	}
	elements, ok := list.([]any)
	if !ok {
		elements = []any{list}
	}
	// As in Kyverno an element that fails does not keep the others from being
	// generated.
	var errs []error
	for i, element := range elements {
		if element == nil {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		round := s.inner()
		round.setElement(element, i, 0)
		round.with(withoutGivenIn(s.request, one.context))
		ok, _, err := holds(one.preconditions, round)
		switch {
		case err != nil:
			err = fmt.Errorf("preconditions: %w", err)
		case ok:
			err = g.generate(ctx, round, one)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("element %d: %w", i, err))
		}
	}
	return errors.Join(errs...)
}

// generate resolves the pattern and makes what it says.
func (g *generating) generate(ctx context.Context, s *scope, one *generation) error {
	v, err := one.pattern.Resolve(s)
	if err != nil {
		return err
	}
	var pattern spec.GeneratePattern
	for _, f := range decode.Strict(validText(v), &pattern) {
		return placedAt(one.path, fmt.Errorf("%s: %s", f.Path, f.Message))
	}
	target := resource.ID{Kind: resource.ParseKind(pattern.APIVersion, pattern.Kind), Namespace: pattern.Namespace, Name: pattern.Name}
	switch {
	case pattern.Clone.Name != "":
		return g.clone(ctx, s, resource.ID{Kind: target.Kind, Namespace: pattern.Clone.Namespace, Name: pattern.Clone.Name}, target)
	case len(pattern.CloneList.Kinds) > 0:
		return g.cloneList(ctx, s, &pattern.CloneList, target.Namespace)
	}
	data, ok := pattern.Data.(map[string]any)
	if !ok && pattern.Data != nil {
		return placedAt(one.path.Key("data"), fmt.Errorf("expected a map, found %s", jsonvalue.Describe(pattern.Data)))
	}
	if kind, _ := data["kind"].(string); kind != "" && kind != target.Kind.Kind {
		return placedAt(one.path.Key("data").Key("kind"), fmt.Errorf("the rule generates a %s, but its data is a %s, which the API server refuses", target.Kind.Kind, kind))
	}
	return g.put(ctx, s, data, target)
}

// clone copies source, which may be a resource or a fact, to target.
func (g *generating) clone(ctx context.Context, s *scope, source, target resource.ID) error {
	if source.Namespace == target.Namespace && source.Name == target.Name {
		return nil // a copy of itself
	}
	o, ok, err := s.request.in.Facts.Get(source)
	switch {
	case err != nil:
		return err
	case !ok:
		return facts.MissingObject("the clone source", source.Kind.String(), source.Namespace, source.Name)
	}
	return g.put(ctx, s, copied(o, source.Namespace == target.Namespace), target)
}

// cloneList copies all sources of some kinds to a namespace.
func (g *generating) cloneList(ctx context.Context, s *scope, list *spec.CloneList, namespace string) error {
	selected, err := match.Labels(list.Selector)
	if err != nil {
		return err
	}
	known := s.request.in.Facts
	for _, name := range list.Kinds {
		wanted, _, err := match.Kinds(name)
		if err != nil {
			return err
		}
		found := false
		for _, kind := range known.Kinds() {
			if !wanted(kind) {
				continue
			}
			sources, err := known.List(kind.Group, kind.Kind, list.Namespace)
			if err != nil {
				return err
			}
			for _, o := range sources {
				id := resource.IDOf(o)
				if id.Kind != kind {
					continue
				}
				found = true
				if !selected(o) || seenNamespace(known, id) == namespace {
					continue
				}
				target := resource.ID{Kind: kind, Namespace: namespace, Name: id.Name}
				if err := g.put(ctx, s, copied(o, false), target); err != nil {
					return err
				}
			}
		}
		if !found && !known.Complete {
			// Whether there is none cannot be seen.
			return missingList(name, list.Namespace)
		}
	}
	return nil
}

// copied returns a copy of a clone source without what belongs to the source
// alone.
func copied(o resource.Object, sameNamespace bool) resource.Object {
	o = maps.Clone(o)
	meta, _ := o["metadata"].(map[string]any)
	meta = maps.Clone(meta)
	for _, name := range []string{"uid", "selfLink", "creationTimestamp", "managedFields", "resourceVersion"} {
		delete(meta, name)
	}
	if !sameNamespace {
		delete(meta, "ownerReferences")
	}
	if annotations, ok := meta["annotations"].(map[string]any); ok {
		// The copy does reach the cluster.
		annotations = maps.Clone(annotations)
		delete(annotations, "config.kubernetes.io/local-config")
		if meta["annotations"] = annotations; len(annotations) == 0 {
			delete(meta, "annotations")
		}
	}
	o["metadata"] = meta
	return o
}

// put generates o as target.
func (g *generating) put(ctx context.Context, s *scope, o resource.Object, target resource.ID) error {
	if o = maps.Clone(o); o == nil {
		o = map[string]any{}
	}
	o["apiVersion"], o["kind"] = target.Kind.APIVersion(), target.Kind.Kind
	meta, ok := o["metadata"].(map[string]any)
	if !ok && o["metadata"] != nil {
		return fmt.Errorf("metadata: expected a map, found %s", jsonvalue.Describe(o["metadata"]))
	}
	if meta = maps.Clone(meta); meta == nil {
		meta = map[string]any{}
	}
	meta["name"] = target.Name
	delete(meta, "namespace")
	if target.Namespace != "" {
		meta["namespace"] = target.Namespace
	}
	if err := g.label(s, meta); err != nil {
		return err
	}
	o["metadata"] = meta
	return g.Put(ctx, o)
}

// label handles the labels of Kyverno's controller.
func (g *generating) label(s *scope, meta map[string]any) error {
	labels := downstream.Trigger(g.World, s.request.in.ID, s.request.namespace)
	if labels != nil {
		labels["policy-name"], labels["policy-namespace"] = g.rule.policy.Metadata.Name, g.rule.policy.Metadata.Namespace
		labels["rule-name"] = g.rule.spec.Name
	}
	return downstream.Label(meta, labels)
}
