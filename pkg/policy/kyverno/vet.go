package kyverno

import (
	"fmt"
	"slices"

	"github.com/oneloop-dev/oneloop/pkg/decode"
	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/spec"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/variable"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// vet implements policy.Language.Vet. It says nothing that compile says: a
// document with faults is only searched for deprecated spellings.
func vet(docs []*resource.Resource) []policy.Finding {
	v := &vetting{rules: map[string][]string{}}
	for _, d := range docs {
		if spec.Claims(d.ID().Kind) {
			v.know(d)
		}
	}
	for _, d := range docs {
		v.doc, v.rule = d, ""
		o, err := d.Object()
		if err != nil {
			continue
		}
		switch kind := d.ID().Kind; {
		case spec.Claims(kind):
			v.removed(kind.Kind)
			v.spellings(o)
			if p, _ := spec.Parse(d); p != nil {
				v.policy(p, o)
			}
		case kind.Kind == "PolicyException":
			v.exception(o)
		}
	}
	return v.findings
}

// A vetting collects findings, about one document after another.
type vetting struct {
	doc      *resource.Resource
	rule     string
	told     bool                // that the kinds are removed
	rules    map[string][]string // of each policy, as exceptions name it; nil: not known
	findings []policy.Finding
}

func (v *vetting) add(path fieldpath.Path, f policy.Finding) {
	f.Policy = policy.Ref{ID: v.doc.ID(), Origin: v.doc.Origin()}
	f.Rule, f.Path, f.Line = v.rule, slices.Clone(path), v.doc.Line(path)
	v.findings = append(v.findings, f)
}

func (v *vetting) addf(path fieldpath.Path, check policy.Check, severity policy.Severity, format string, args ...any) {
	v.add(path, policy.Finding{Check: check, Severity: severity, Message: fmt.Sprintf(format, args...)})
}

// needs adds a fact. It is open when what has to stand in it depends on the
// resource.
func (v *vetting) needs(path fieldpath.Path, fact *facts.Spec, open bool, format string, args ...any) {
	v.add(path, policy.Finding{Check: policy.Needed, Severity: policy.Note, Needs: fact, Open: open, Message: fmt.Sprintf(format, args...)})
}

// policy finds what a policy without faults asks for, and what Kyverno's
// webhook has against it all the same.
func (v *vetting) policy(p *spec.Policy, o resource.Object) {
	v.background(p, o)
	v.matchConditions(p)
	for i := range p.Spec.Rules {
		r := &p.Spec.Rules[i]
		v.rule = r.Name
		if r.HasValidate() {
			continue // not evaluated: a notice of compile
		}
		v.block(r.Path.Key("match"), &r.Match, true)
		if r.Exclude != nil {
			v.block(r.Path.Key("exclude"), r.Exclude, false)
		}
		for _, part := range varying {
			v.unclosed(r.Raw[part], r.Path.Key(part))
		}
		uses := expressions(r)
		v.entries(r, uses)
		v.requester(uses)
		v.clock(uses)
		v.limits(uses)
		v.preconditions(r)
		v.jsonPatch(r)
		v.early(p, r)
		v.variables(p, r)
		v.images(r)
		v.sources(r)
		v.targets(r)
		v.defaults(r)
	}
	v.rule = ""
}

// exception finds what a PolicyException asks for.
func (v *vetting) exception(o resource.Object) {
	if v.doc.ID().Kind.Version == "v2beta1" {
		v.deprecated(fieldpath.Path{}.Key("apiVersion"), written(nil, "apiVersion", "kyverno.io/v2"),
			"kyverno.io/v2beta1 is the older version; write kyverno.io/v2, which reads the same")
	}
	var e exceptionDocument
	if len(decode.Strict(o, &e)) > 0 {
		return // faults of compile
	}
	at := fieldpath.Path{}.Key("spec")
	v.exempts(at.Key("exceptions"), e.Spec.Exceptions)
	v.block(at.Key("match"), &e.Spec.Match, false)
	uses := variable.Uses(e.Spec.Conditions, at.Key("conditions"))
	v.requester(uses)
	v.clock(uses)
	v.operators(at.Key("conditions"), e.Spec.Conditions)
}

// varying are the parts of a rule that may have variables.
var varying = []string{"context", "preconditions", "mutate", "generate", "verifyImages", "imageExtractors"}

// expressions lists all variables and queries of a rule but those of match and
// exclude, which have none.
func expressions(r *spec.Rule) []variable.Use {
	var out []variable.Use
	for _, part := range varying {
		at := r.Path.Key(part)
		out = append(append(out, variable.Uses(r.Raw[part], at)...), queries(r.Raw[part], at)...)
	}
	return out
}

// queries lists the expressions that stand without braces: jmesPath, and list
// of a foreach.
func queries(v any, path fieldpath.Path) []variable.Use {
	var out []variable.Use
	switch v := v.(type) {
	case []any:
		for i, e := range v {
			out = append(out, queries(e, path.Index(i))...)
		}
	case map[string]any:
		for key, e := range v {
			text, ok := e.(string)
			isQuery := key == "jmesPath" || key == "list" && len(path) > 1 && path[len(path)-2].Key() == "foreach"
			switch {
			case key == "patchStrategicMerge" || key == "data":
				// Of the user's objects.
			case ok && isQuery:
				out = append(out, variable.UseOf(text, path.Key(key))...)
			default:
				out = append(out, queries(e, path.Key(key))...)
			}
		}
	}
	return out
}
