package kyverno

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/digest"
	"github.com/oneloop-dev/oneloop/pkg/expr/jmespath"
	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/image"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/spec"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/variable"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// An entry is a compiled context entry.
type entry struct {
	name string
	load func(*scope) (any, error)
	// replaces is set for entries of kind variable. What others load is merged
	// into what has the name already, and a Values file may stand for them.
	replaces bool
}

// unknowable reports whether err says that something cannot be known at render
// time. No default hides such an error: the cluster might have had a value.
func unknowable(err error) bool {
	return errors.Is(err, facts.ErrMissing) || errors.Is(err, digest.ErrMissing) || errors.Is(err, errors.ErrUnsupported)
}

// compileEntries compiles the context of a rule or a foreach, which stands at
// path in the rule. Texts are all texts of the rule that may use the entries.
func (c *ruleCompiler) entries(list []spec.ContextEntry, path fieldpath.Path) []*entry {
	var out []*entry
	for i := range list {
		e := &list[i]
		at := path.Index(i)
		compiled := &entry{name: e.Name}
		switch {
		case e.Variable != nil:
			compiled.replaces = true
			compiled.load = c.variableEntry(e.Variable, at.Key("variable"))
		case e.ConfigMap != nil:
			compiled.load = c.configMapEntry(e.ConfigMap, at.Key("configMap"))
		case e.APICall != nil:
			compiled.load = c.apiCallEntry(e.APICall, at.Key("apiCall"))
		case e.GlobalReference != nil:
			compiled.load = c.globalEntry(e.GlobalReference, at.Key("globalReference"))
		case e.ImageRegistry != nil:
			compiled.load = c.imageEntry(e.Name, e.ImageRegistry, at.Key("imageRegistry"))
		}
		out = append(out, compiled)
	}
	return out
}

// A query is an expression that may have variables itself, as in jmesPath.
type query struct {
	fixed    *variable.Expression
	template *variable.Template
	compiled *variable.Expressions // with what template resolved to
}

// query compiles the expression at path, nil when there is none.
func (c *ruleCompiler) query(text string, path fieldpath.Path) *query {
	if text == "" {
		return nil
	}
	t := c.template(text, path)
	if t == nil || !t.Static() {
		return &query{template: t, compiled: &variable.Expressions{}}
	}
	plain, err := t.Text(nil)
	if err != nil {
		return &query{template: t, compiled: &variable.Expressions{}}
	}
	e, err := variable.NewExpression(plain)
	if err != nil && path[0].Key() != "context" { // of the rule
		err = policy.Failing(err)
	}
	if err != nil {
		c.fault(path, err)
	}
	return &query{fixed: e}
}

// expression returns the expression with its variables substituted.
func (q *query) expression(s *scope) (*variable.Expression, error) {
	if q.fixed != nil {
		return q.fixed, nil
	}
	text, err := q.template.Text(s)
	if err != nil {
		return nil, err
	}
	return q.compiled.Compile(text)
}

// apply searches v, all of it when q is nil.
func (q *query) apply(s *scope, v any) (any, error) {
	if q == nil {
		return v, nil
	}
	e, err := q.expression(s)
	if err != nil {
		return nil, err
	}
	return e.Search(v, s.request.env)
}

func (c *ruleCompiler) variableEntry(v *spec.Variable, path fieldpath.Path) func(*scope) (any, error) {
	value := c.template(v.Value, path.Key("value"))
	fallback := c.template(v.Default, path.Key("default"))
	expression := c.query(v.JMESPath, path.Key("jmesPath"))
	return func(s *scope) (any, error) {
		otherwise, err := fallback.Resolve(s)
		if err != nil {
			return nil, err
		}
		out := otherwise
		var found any
		switch {
		case v.Value != nil:
			if found, err = value.Resolve(s); err != nil {
				return nil, err
			}
			if found, err = expression.apply(s, found); err == nil {
				out = found
			}
		case expression != nil:
			var e *variable.Expression
			if e, err = expression.expression(s); err == nil {
				found, err = s.Search(e)
			}
			if found != nil {
				out = found
			}
		}
		if err != nil && (otherwise == nil || unknowable(err) || errors.Is(err, jmespath.ErrNoNumber)) {
			return nil, err
		}
		if out == nil {
			return nil, errors.New("its value is null, which Kyverno refuses; add a default")
		}
		return out, nil
	}
}

func (c *ruleCompiler) configMapEntry(ref *spec.ConfigMapReference, path fieldpath.Path) func(*scope) (any, error) {
	name := c.template(ref.Name, path.Key("name"))
	namespace := c.template(ref.Namespace, path.Key("namespace"))
	own := c.policy.Namespace()
	return func(s *scope) (any, error) {
		n, err := name.Text(s)
		if err != nil {
			return nil, err
		}
		ns, err := namespace.Text(s)
		if err != nil {
			return nil, err
		}
		if ns == "" {
			if ns = own; ns == "" {
				ns = "default"
			}
		}
		if own != "" && ns != own {
			return nil, fmt.Errorf("a Policy may only read ConfigMaps of its own namespace %s, found %s", own, ns)
		}
		o, ok, err := s.request.in.Facts.Get(resource.ID{Kind: resource.Kind{Version: "v1", Kind: "ConfigMap"}, Namespace: ns, Name: n})
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, missingConfigMap(ns, n)
		}
		meta, _ := o["metadata"].(map[string]any)
		if meta = maps.Clone(meta); meta == nil {
			meta = map[string]any{}
		}
		meta["namespace"] = ns
		return map[string]any{"data": o["data"], "metadata": meta}, nil
	}
}

func (c *ruleCompiler) globalEntry(ref *spec.GlobalContextEntryReference, path fieldpath.Path) func(*scope) (any, error) {
	name := c.template(ref.Name, path.Key("name"))
	expression := c.query(ref.JMESPath, path.Key("jmesPath"))
	return func(s *scope) (any, error) {
		n, err := name.Text(s)
		if err != nil {
			return nil, err
		}
		v, ok := s.request.in.Facts.GlobalContext(n)
		if !ok {
			return nil, facts.MissingGlobal(n)
		}
		return expression.apply(s, v)
	}
}

func (c *ruleCompiler) imageEntry(name string, ref *spec.ImageRegistry, path fieldpath.Path) func(*scope) (any, error) {
	reference := c.template(ref.Reference, path.Key("reference"))
	expression := c.query(ref.JMESPath, path.Key("jmesPath"))
	// More than the digest is only asked for when something reads it.
	var inspect bool
	if ref.JMESPath != "" {
		inspect = image.NeedsManifest(ref.JMESPath, "")
	} else {
		inspect = slices.ContainsFunc(c.texts, func(s string) bool { return image.NeedsManifest(s, name) })
	}
	return func(s *scope) (any, error) {
		r, err := reference.Text(s)
		if err != nil {
			return nil, err
		}
		data, err := image.Data(s.request.ctx, r, s.request.in.Digests, inspect)
		if err != nil {
			return nil, err
		}
		return expression.apply(s, data)
	}
}

// given reports whether a Values file has a value for a context entry.
func given(values map[string]any, name string) bool {
	for key := range values {
		if splitKey(key)[0] == name {
			return true
		}
	}
	return false
}

// ruleTexts lists all texts of a rule but the names of its context entries.
func ruleTexts(v any) []string {
	var out []string
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		for _, e := range v {
			out = append(out, ruleTexts(e)...)
		}
	case map[string]any:
		for key, value := range v {
			if list, ok := value.([]any); ok && key == "context" {
				for _, e := range list {
					if m, ok := e.(map[string]any); ok {
						m = maps.Clone(m)
						delete(m, "name")
						out = append(out, ruleTexts(m)...)
					}
				}
				continue
			}
			if strings.Contains(key, "{{") {
				out = append(out, key)
			}
			out = append(out, ruleTexts(value)...)
		}
	}
	return out
}
