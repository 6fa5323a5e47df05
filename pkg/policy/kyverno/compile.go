package kyverno

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/jsonvalue"
	"github.com/oneloop-dev/oneloop/pkg/patch/jsonpatch"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/autogen"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/condition"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/match"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/spec"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/variable"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/verifyimages"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// compile turns policies and exceptions into programs. What can be evaluated
// is in the Set even when the error is not nil.
func compile(docs []*resource.Resource) (policy.Set, error) {
	var set policy.Set
	var errs []error
	var exceptions []*exception
	for _, d := range docs {
		if d.ID().Kind.Kind == "PolicyException" {
			e, faults := compileException(d)
			errs = append(errs, faults...)
			if e != nil {
				exceptions = append(exceptions, e)
			}
		}
	}
	var pins []policy.Program
	for _, d := range docs {
		ref := policy.Ref{ID: d.ID(), Origin: d.Origin()}
		switch kind := d.ID().Kind; {
		case kind.Kind == "PolicyException":
		case kind.Kind == "GlobalContextEntry":
			set.Notices = append(set.Notices, policy.Notice{Policy: ref,
				Message: "a GlobalContextEntry asks a cluster; at render time its value is taken from globalContext of the cluster facts"})
		case !spec.Claims(kind):
			errs = append(errs, &policy.Error{Policy: ref,
				Err: fmt.Errorf("%s acts on a running cluster and changes no manifest; remove it from the policies: %w", kind.Kind, errors.ErrUnsupported)})
		default:
			p, faults := spec.Parse(d)
			for _, f := range faults {
				errs = append(errs, f)
			}
			if p == nil {
				continue
			}
			compiled, err := compilePolicy(p, exceptions)
			if err != nil {
				errs = append(errs, err)
			}
			if compiled == nil {
				continue
			}
			if len(compiled.mutations) > 0 {
				set.Programs = append(set.Programs, &mutator{program{policy: p, conditions: compiled.conditions, rules: compiled.mutations}})
			}
			if len(compiled.existing) > 0 {
				set.MutateExisting = append(set.MutateExisting, &targetMutator{program{policy: p, conditions: compiled.conditions, rules: compiled.existing}})
			}
			if len(compiled.generations) > 0 {
				set.Generate = append(set.Generate, &generator{program{policy: p, conditions: compiled.conditions, rules: compiled.generations}})
			}
			if len(compiled.images) > 0 {
				pins = append(pins, &pinner{program{policy: p, conditions: compiled.conditions, rules: compiled.images}})
				if slices.ContainsFunc(compiled.images, func(r *rule) bool { return r.images.Checks() }) {
					set.Checks = append(set.Checks, &checker{program{policy: p, conditions: compiled.conditions, rules: compiled.images}})
				}
			}
			if n := compiled.validations; n > 0 {
				set.Notices = append(set.Notices, policy.Notice{Policy: p.Ref, Message: validateNotice(n)})
			}
		}
	}
	set.Programs = append(clusterFirst(set.Programs), clusterFirst(pins)...)
	return set, errors.Join(errs...)
}

// clusterFirst puts the policies of namespaces behind those of the cluster, as the
// admission controller does.
func clusterFirst(programs []policy.Program) []policy.Program {
	slices.SortStableFunc(programs, func(a, b policy.Program) int {
		return cmp.Compare(a.Policy().ID.Kind.Kind, b.Policy().ID.Kind.Kind) // ClusterPolicy, Policy
	})
	return programs
}

func validateNotice(rules int) string {
	if rules == 1 {
		return "1 validate rule is not evaluated: it changes no manifest"
	}
	return fmt.Sprintf("%d validate rules are not evaluated: they change no manifest", rules)
}

// A compiledPolicy holds the rules of a policy by what they do.
type compiledPolicy struct {
	mutations, images, existing, generations []*rule
	validations                              int
	conditions                               *matchConditions
}

// compilePolicy returns nil when the policy has faults. Rules that cannot be
// evaluated at render time are no faults: they are left out and in the error.
func compilePolicy(p *spec.Policy, exceptions []*exception) (*compiledPolicy, error) {
	out := &compiledPolicy{}
	rules, err := autogen.Expand(p)
	if err != nil {
		return nil, p.Error("", nil, err)
	}
	for i := range p.Spec.Rules {
		if p.Spec.Rules[i].HasValidate() {
			out.validations++
		}
	}
	if out.conditions, err = compileMatchConditions(p); err != nil {
		return nil, err
	}
	var faults []error
	broken := false
	faulty := map[string]bool{} // by the path of a rule: those derived from it have the same faults
	for i := range rules {
		r := &rules[i]
		at := r.Path.String()
		if faulty[at] {
			continue
		}
		c := &ruleCompiler{policy: p, rule: r}
		var list *[]*rule
		var compile func([]*exception) *rule
		switch {
		case r.HasGenerate():
			list, compile = &out.generations, c.generation
		case r.HasMutateExisting():
			list, compile = &out.existing, c.targetMutation
		case r.HasMutate():
			list, compile = &out.mutations, c.mutation
		case r.HasVerifyImages():
			list, compile = &out.images, c.verification
		default:
			continue
		}
		compiled := compile(exceptions)
		if len(c.faults) == 0 {
			*list = append(*list, compiled)
			continue
		}
		faulty[at] = true
		for _, f := range c.faults {
			faults = append(faults, f)
			broken = broken || !errors.Is(f, errors.ErrUnsupported)
		}
	}
	if broken {
		out = nil
	}
	return out, errors.Join(faults...)
}

// A ruleCompiler compiles one rule and collects its faults.
type ruleCompiler struct {
	policy *spec.Policy
	rule   *spec.Rule
	texts  []string // all texts of the rule
	names  []string // of all context entries of the rule
	inLoop bool     // inside a foreach
	object string   // what {{ @ }} leads into; "": the matched object
	faults []error
}

// fault adds a fault at a path below the rule.
func (c *ruleCompiler) fault(path fieldpath.Path, err error) {
	c.faults = append(c.faults, c.policy.Error(c.rule.Name, slices.Concat(c.rule.Path, path), err))
}

// common compiles what rules of all kinds have.
func (c *ruleCompiler) common(exceptions []*exception) *rule {
	r := &rule{policy: c.policy, spec: c.rule}
	var err error
	if r.matcher, err = match.Compile(c.policy.Namespace(), c.rule); err != nil {
		c.fault(nil, policy.Failing(err))
	}
	c.texts = ruleTexts(c.rule.Raw)
	c.names = entryNames(c.rule)
	r.context = c.entries(c.rule.Context, fieldpath.Path{fieldpath.Key("context")})
	r.preconditions = c.conditions(c.rule.Preconditions, fieldpath.Path{fieldpath.Key("preconditions")})
	for _, e := range exceptions {
		if e.contains(c.policy, c.rule.Name) {
			r.exceptions = append(r.exceptions, e)
		}
	}
	return r
}

// mutation compiles a mutate rule.
func (c *ruleCompiler) mutation(exceptions []*exception) *rule {
	r := c.common(exceptions)
	m, path := c.rule.Mutation, fieldpath.Path{fieldpath.Key("mutate")}
	if m.ForEach != nil {
		r.loops = c.loops(m.ForEach, path.Key("foreach"))
		return r
	}
	r.patch = c.patch(c.rule.Raw, nil, path, m.PatchStrategicMerge, m.PatchesJSON6902)
	r.rest = c.rest("mutate")
	return r
}

// verification compiles a verifyImages rule.
func (c *ruleCompiler) verification(exceptions []*exception) *rule {
	r := c.common(exceptions)
	images, err := verifyimages.Compile(c.rule)
	for _, e := range flatten(err) {
		var f *verifyimages.Fault
		if errors.As(e, &f) {
			c.fault(f.Path, f.Err)
		} else {
			c.fault(nil, e)
		}
	}
	r.images = images
	r.rest = c.rest()
	return r
}

// flatten returns the errors that errors.Join joined.
func flatten(err error) []error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}

// rest compiles the parts of the rule besides its patch. Kyverno substitutes
// the variables in all of them before it patches, and fails when one does not
// resolve, also when nothing uses it. It is nil when there are none.
func (c *ruleCompiler) rest(without ...string) *variable.Template {
	parts := maps.Clone(c.rule.Raw)
	for _, name := range append([]string{"name", "match", "exclude"}, without...) {
		delete(parts, name)
	}
	if mutate, _ := c.rule.Raw["mutate"].(map[string]any); mutate["targets"] != nil {
		// All targets, for each of them.
		parts["mutate"] = map[string]any{"targets": mutate["targets"]}
	}
	// In these Kyverno substitutes only when it comes to them.
	if list, ok := parts["verifyImages"].([]any); ok {
		list = slices.Clone(list)
		for i := range list {
			v, _ := list[i].(map[string]any)
			v = maps.Clone(v)
			delete(v, "validate")
			if attestations, ok := v["attestations"].([]any); ok {
				attestations = slices.Clone(attestations)
				for j := range attestations {
					a, _ := attestations[j].(map[string]any)
					a = maps.Clone(a)
					delete(a, "conditions")
					attestations[j] = a
				}
				v["attestations"] = attestations
			}
			list[i] = v
		}
		parts["verifyImages"] = list
	}
	t, err := variable.Compile(parts, variable.Options{Document: c.rule.Raw, Check: c.defined})
	if err != nil {
		if len(c.faults) == 0 {
			c.templateFaults(nil, err)
		}
		return nil
	}
	if t.Static() {
		return nil
	}
	return t
}

// template compiles a value that stands at path in the rule. References in it
// lead into the value itself.
func (c *ruleCompiler) template(v any, path fieldpath.Path) *variable.Template {
	if v == nil {
		return nil
	}
	t, err := variable.Compile(v, variable.Options{At: path, Check: c.defined})
	c.templateFaults(nil, err)
	return t
}

// templateFaults adds the faults of a template whose document stands at path.
func (c *ruleCompiler) templateFaults(path fieldpath.Path, err error) {
	for _, e := range flatten(err) {
		var f *variable.Fault
		if errors.As(e, &f) {
			c.fault(slices.Concat(path, f.Path), f.Err)
		} else {
			c.fault(path, e)
		}
	}
}

// conditions compiles preconditions. Each key and value becomes a template
// that resolve turns into a value.
func (c *ruleCompiler) conditions(v any, path fieldpath.Path) *condition.Conditions {
	compiled, err := condition.Compile(c.templates(v, path))
	if err != nil {
		c.fault(path, err)
	}
	return compiled
}

// templates replaces the keys and values of conditions.
func (c *ruleCompiler) templates(v any, path fieldpath.Path) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			at := path.Index(i)
			m, ok := e.(map[string]any)
			if !ok {
				return v
			}
			m = maps.Clone(m)
			for _, side := range []string{"key", "value"} {
				if m[side] != nil {
					m[side] = c.template(m[side], at.Key(side))
				}
			}
			out[i] = m
		}
		return out
	case map[string]any:
		out := maps.Clone(v)
		for name := range out {
			if name == "any" || name == "all" {
				out[name] = c.templates(out[name], path.Key(name))
			}
		}
		return out
	}
	return v
}

// holds evaluates conditions in s.
func holds(c *condition.Conditions, s *scope) (bool, string, error) {
	return c.Evaluate(func(v any) (any, error) {
		if t, ok := v.(*variable.Template); ok {
			return t.Resolve(s)
		}
		return v, nil
	})
}

// entryNames lists the names of all context entries of a rule.
func entryNames(r *spec.Rule) []string {
	var out []string
	add := func(entries []spec.ContextEntry) {
		for i := range entries {
			out = append(out, entries[i].Name)
		}
	}
	add(r.Context)
	var loops func([]spec.ForEachMutation)
	loops = func(list []spec.ForEachMutation) {
		for i := range list {
			add(list[i].Context)
			loops(list[i].ForEach)
		}
	}
	if r.Mutation != nil {
		loops(r.Mutation.ForEach)
		for i := range r.Mutation.Targets {
			add(r.Mutation.Targets[i].Context)
		}
	}
	if r.Generation != nil {
		for i := range r.Generation.ForEach {
			add(r.Generation.ForEach[i].Context)
		}
	}
	return out
}

// reserved are the names of Kyverno's own variables, besides element and its
// like.
var reserved = []string{"request", "images", "image", "target", "serviceAccountName", "serviceAccountNamespace"}

// computes finds what makes Kyverno take any expression: @ or a function call.
var computes = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`@|[a-z_0-9]\([^{}]`) })

// defined refuses expressions that start with a name that nothing defines, as
// Kyverno does: with a default, a misspelt name would go unnoticed.
func (c *ruleCompiler) defined(e *variable.Expression) error {
	name := e.Root()
	if name == "" || computes().MatchString(strings.ReplaceAll(e.String(), `"`, "")) && !isElement(name) || slices.ContainsFunc(c.names, func(n string) bool { return strings.HasPrefix(e.String(), n) || e.Mentions(n) }) ||
		slices.ContainsFunc(reserved, e.Mentions) || c.inLoop && !strings.HasPrefix(name, "element") && strings.Contains(e.String(), "element") {
		return nil
	}
	if isElement(name) {
		if c.inLoop {
			return nil
		}
		return fmt.Errorf("%s is only defined inside foreach", name)
	}
	known := append(slices.Clone(c.names), "request", "images")
	if c.inLoop {
		known = append(known, "element", "elementIndex")
	}
	err := fmt.Errorf("nothing defines %s; expected a function or one of %s", name, strings.Join(known, ", "))
	if acceptable(c.policy, c.rule, e) {
		err = policy.Failing(err)
	}
	return err
}

// isElement reports whether name is element or elementIndex, with or without
// the depth of the foreach.
func isElement(name string) bool {
	rest, ok := strings.CutPrefix(name, "element")
	return ok && strings.Trim(strings.TrimPrefix(rest, "Index"), "0123456789") == ""
}

// A patch is a compiled strategic merge patch or JSON patch.
type patch struct {
	merge      *variable.Template
	operations *variable.Template
	fixed      jsonpatch.Patch // of operations without variables
	parsed     bool
}

// patch compiles the patches of a rule or a foreach. They stand at path in
// document, which itself stands at below the rule.
func (c *ruleCompiler) patch(document any, at, path fieldpath.Path, merge any, operations string) *patch {
	p := &patch{}
	compile := func(v any, name string) *variable.Template {
		t, err := variable.Compile(v, variable.Options{Document: document, Path: path.Key(name), At: at, Object: c.object, Check: c.defined})
		c.templateFaults(nil, err)
		return t
	}
	if merge != nil {
		p.merge = compile(merge, "patchStrategicMerge")
		if _, ok := merge.(map[string]any); !ok {
			if _, ok := merge.(string); !ok {
				c.fault(slices.Concat(at, path.Key("patchStrategicMerge")), policy.Failing(fmt.Errorf("expected a map, found %s", jsonvalue.Describe(merge))))
			}
		}
	}
	if operations != "" {
		p.operations = compile(operations, "patchesJson6902")
		if p.operations != nil && p.operations.Static() {
			if text, err := p.operations.Text(nil); err == nil {
				fixed, err := jsonpatch.Parse(text)
				if err != nil && at != nil { // of a foreach
					err = policy.Failing(err)
				}
				if err != nil {
					c.fault(slices.Concat(at, path.Key("patchesJson6902")), err)
				}
				p.fixed, p.parsed = fixed, true
			}
		}
	}
	return p
}

// A loop is a compiled foreach.
type loop struct {
	path          fieldpath.Path
	list          *variable.Expression
	descending    bool
	context       []*entry
	preconditions *condition.Conditions
	patch         *patch
	loops         []*loop // nested; instead of patch
}

func (c *ruleCompiler) loops(list []spec.ForEachMutation, path fieldpath.Path) []*loop {
	c.inLoop = true
	var out []*loop
	for i := range list {
		f, at := &list[i], path.Index(i)
		l := &loop{path: at}
		var err error
		if l.list, err = variable.NewExpression(f.List); err != nil {
			c.fault(at.Key("list"), policy.Failing(err))
		}
		// Additions to a list go to its front, so that the elements of a merge
		// patch are taken from the end unless the policy says otherwise.
		l.descending = f.PatchStrategicMerge != nil
		if f.Order != "" {
			l.descending = f.Order == "Descending"
		}
		l.context = c.entries(f.Context, at.Key("context"))
		l.preconditions = c.conditions(f.Preconditions, at.Key("preconditions"))
		if len(f.ForEach) > 0 {
			l.loops = c.loops(f.ForEach, at.Key("foreach"))
		} else {
			document := map[string]any{"patchStrategicMerge": f.PatchStrategicMerge, "patchesJson6902": f.PatchesJSON6902}
			l.patch = c.patch(document, at, nil, f.PatchStrategicMerge, f.PatchesJSON6902)
		}
		out = append(out, l)
	}
	return out
}
