package spec

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/decode"
	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// versions lists the API versions that have these kinds.
var versions = []string{"v1", "v2beta1"}

// Claims reports whether k is a kind of policy that this package reads.
func Claims(k resource.Kind) bool {
	return k.Group == "kyverno.io" && (k.Kind == "ClusterPolicy" || k.Kind == "Policy")
}

// Parse reads a ClusterPolicy or Policy. It returns every fault it finds; the
// policy is nil when there is one.
func Parse(r *resource.Resource) (*Policy, []*policy.Error) {
	p := &Policy{Document: r, Ref: policy.Ref{ID: r.ID(), Origin: r.Origin()}}
	fail := func(path fieldpath.Path, err error) (*Policy, []*policy.Error) {
		return nil, []*policy.Error{p.Error("", path, err)}
	}
	object, err := r.Object()
	if err != nil {
		return fail(nil, err)
	}
	kind := p.Ref.ID.Kind
	if !Claims(kind) {
		return fail(nil, fmt.Errorf("expected a ClusterPolicy or Policy of group kyverno.io, found %s", kind))
	}
	if !slices.Contains(versions, kind.Version) {
		return fail(fieldpath.Path{fieldpath.Key("apiVersion")},
			fmt.Errorf("kyverno.io has no %s in version %q; expected kyverno.io/%s", kind.Kind, kind.Version, strings.Join(versions, " or kyverno.io/")))
	}
	p.Ref.Severity = annotation(object, "policies.kyverno.io/severity")
	p.Ref.Category = annotation(object, "policies.kyverno.io/category")

	var faults []*policy.Error
	for _, f := range decode.Strict(object, p) {
		err := errors.New(explain(object, f))
		if nested(f.Path) && strings.HasPrefix(f.Message, "unknown field") {
			err = policy.Failing(err)
		}
		faults = append(faults, p.Error(ruleNameAt(object, f.Path), f.Path, err))
	}
	if len(faults) > 0 {
		return nil, faults
	}
	specObject, _ := object["spec"].(map[string]any)
	if specObject == nil {
		return fail(nil, errors.New("spec is missing; expected a map with rules"))
	}
	rules, _ := specObject["rules"].([]any)
	for i := range p.Spec.Rules {
		p.Spec.Rules[i].Path = rulesPath.Index(i)
		p.Spec.Rules[i].Raw, _ = rules[i].(map[string]any)
	}
	if faults := check(p); len(faults) > 0 {
		return nil, faults
	}
	return p, nil
}

// nested reports whether a path leads into a foreach in a foreach, which for
// Kyverno's API is a value with any fields.
func nested(path fieldpath.Path) bool {
	n := 0
	for _, step := range path {
		if step.Key() == "foreach" {
			n++
		}
	}
	return n > 1
}

// DecodeRule reads a rule from its JSON value, as autogen makes them. The path
// is where the rule it was made from stands.
func DecodeRule(raw map[string]any, path fieldpath.Path) (*Rule, error) {
	r := &Rule{Path: path, Raw: raw}
	for _, f := range decode.Strict(raw, r) {
		return nil, fmt.Errorf("%s: %s", f.Path, f.Message)
	}
	return r, nil
}

var rulesPath = fieldpath.Path{fieldpath.Key("spec"), fieldpath.Key("rules")}

// ruleNameAt returns the name of the rule that path leads into.
func ruleNameAt(object resource.Object, path fieldpath.Path) string {
	if len(path) < 3 || fieldpath.Compare(path[:2], rulesPath) != 0 || !path[2].IsIndex() {
		return ""
	}
	name, _ := fieldpath.Get(object, path[:3].Key("name"))
	s, _ := name.(string)
	return s
}

func annotation(object resource.Object, name string) string {
	v, _ := fieldpath.Get(object, fieldpath.Path{fieldpath.Key("metadata"), fieldpath.Key("annotations"), fieldpath.Key(name)})
	s, _ := v.(string)
	return s
}

// explain turns the fault of a general decoder into words of this language
// where it knows what the author most likely meant.
func explain(object resource.Object, f decode.Fault) string {
	found, ok := fieldpath.Get(object, f.Path)
	if !ok || len(f.Path) < 2 {
		return f.Message
	}
	last, block := f.Path[len(f.Path)-1], f.Path[len(f.Path)-2]
	m, isMap := found.(map[string]any)
	switch {
	case isMap && (last.Key() == "any" || last.Key() == "all") && (block.Key() == "match" || block.Key() == "exclude"):
		return fmt.Sprintf("expected a list of resource filters, found a map with %s; put \"- \" before its first field, as in\n  %s:\n  - resources:\n      kinds: [Pod]",
			keys(m), last.Key())
	case isMap && (last.Key() == "rules" || last.Key() == "context" || last.Key() == "foreach" || last.Key() == "targets" || last.Key() == "verifyImages"):
		return fmt.Sprintf("expected a list, found a map with %s; put \"- \" before the first field of each element", keys(m))
	case last.Key() == "patchesJson6902":
		return f.Message + "; write the operations as a block of text, as in\n  patchesJson6902: |-\n    - op: add\n      path: /metadata/labels/team\n      value: shop"
	}
	if s, isString := found.(string); isString && stringLists[last.Key()] {
		return fmt.Sprintf("expected a list, found the text %q; write %s: [%s]", s, last.Key(), s)
	}
	return f.Message
}

var stringLists = map[string]bool{
	"kinds": true, "names": true, "namespaces": true, "operations": true, "roles": true, "clusterRoles": true, "values": true,
	"imageReferences": true,
}

func keys(m map[string]any) string {
	if len(m) == 0 {
		return "no fields"
	}
	var names []string
	for k := range m {
		names = append(names, k)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}
