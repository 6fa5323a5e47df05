package spec

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/resource"
	"github.com/oneloop-dev/oneloop/pkg/wildcard"
)

func (c *checker) match(r *Rule) {
	path := r.Path.Key("match")
	if _, ok := r.Raw["match"]; !ok {
		c.errorf(r.Path, "match is missing; write match.any with a list of resource filters")
		return
	}
	c.block(path, r, &r.Match)
	for i := range r.Match.Any {
		c.needsKinds(path.Key("any").Index(i), &r.Match.Any[i].Resources)
	}
	for i := range r.Match.All {
		c.needsKinds(path.Key("all").Index(i), &r.Match.All[i].Resources)
	}
	if len(r.Match.Any) == 0 && len(r.Match.All) == 0 {
		c.needsKinds(path, &r.Match.Resources)
	}
	if r.Exclude != nil {
		c.block(r.Path.Key("exclude"), r, r.Exclude)
		if emptySet(&r.Match, r.Exclude) {
			c.errorf(r.Path.Key("exclude"), "the rule excludes all that it matches")
		}
	}
}

// needsKinds checks what only filters under match need.
func (c *checker) needsKinds(path fieldpath.Path, d *ResourceDescription) {
	switch {
	case d.IsEmpty():
		c.errorf(path, "resources is missing; expected at least kinds")
	case len(d.Kinds) == 0:
		c.errorf(path.Key("resources"), "kinds is missing; expected a list of kinds such as Pod or apps/v1/Deployment")
	}
}

func (c *checker) block(path fieldpath.Path, r *Rule, m *MatchResources) {
	if len(m.Any) > 0 && len(m.All) > 0 {
		c.errorf(path, "any and all exclude each other")
	}
	if (len(m.Any) > 0 || len(m.All) > 0) && !m.Resources.IsEmpty() {
		c.errorf(path.Key("resources"), "resources must not stand beside any or all; move it into a filter")
	}
	if strings.HasSuffix(c.policy.APIVersion, "/v2beta1") {
		for _, name := range names(part{"resources", !m.Resources.IsEmpty()}, part{"subjects", m.Subjects != nil},
			part{"roles", m.Roles != nil}, part{"clusterRoles", m.ClusterRoles != nil}) {
			c.errorf(path.Key(name), "kyverno.io/v2beta1 has %s only in the filters of any and all", name)
		}
	}
	for i := range m.Any {
		c.filter(path.Key("any").Index(i), r, &m.Any[i])
	}
	for i := range m.All {
		c.filter(path.Key("all").Index(i), r, &m.All[i])
	}
	c.filter(path, r, &ResourceFilter{UserInfo: m.UserInfo, Resources: m.Resources})
}

func (c *checker) filter(path fieldpath.Path, r *Rule, f *ResourceFilter) {
	for i, role := range f.Roles {
		if strings.Count(role, ":") != 1 {
			c.errorf(path.Key("roles").Index(i), "expected namespace:name, found %q", role)
		}
	}
	for i, s := range f.Subjects {
		sp := path.Key("subjects").Index(i)
		if c.required(sp, "kind", s.Kind) {
			c.oneOf(sp.Key("kind"), s.Kind, "User", "Group", "ServiceAccount")
		}
		c.required(sp, "name", s.Name)
		if s.Kind == "ServiceAccount" {
			c.required(sp, "namespace", s.Namespace)
		}
	}
	if !f.UserInfo.IsEmpty() && c.policy.Spec.BackgroundEnabled() {
		c.errorf(path, "roles, clusterRoles and subjects are only known at admission; set spec.background to false")
	}

	d := &f.Resources
	path = path.Key("resources")
	if d.Name != "" && len(d.Names) > 0 {
		c.errorf(path.Key("name"), "name and names exclude each other; use names")
	}
	if c.policy.Namespaced() && len(d.Namespaces) > 0 {
		c.errorf(path.Key("namespaces"), "a Policy applies to its own namespace only; remove namespaces, or use a ClusterPolicy")
	}
	for i, operation := range d.Operations {
		c.oneOf(path.Key("operations").Index(i), operation, operations...)
	}
	c.selector(path.Key("selector"), d.Selector)
	if d.Selector != nil && len(d.Selector.MatchLabels) == 0 && len(d.Selector.MatchExpressions) == 0 {
		c.errorf(path.Key("selector"), "the selector is empty; expected matchLabels or matchExpressions")
	}
	c.unseen(func() { c.selector(path.Key("namespaceSelector"), d.NamespaceSelector) })
	c.kinds(path.Key("kinds"), r, d.Kinds)
}

// kinds checks the kind * and the scope of kinds.
func (c *checker) kinds(path fieldpath.Path, r *Rule, kinds []string) {
	if c.policy.Namespaced() {
		for i, k := range kinds {
			if resource.ClusterScoped(parseKind(k)) {
				c.errorf(path.Index(i), "%s has no namespace, so that a Policy cannot match it; use a ClusterPolicy", k)
			}
		}
	}
	i := slices.Index(kinds, "*")
	if i < 0 {
		return
	}
	switch {
	case c.policy.Spec.BackgroundEnabled():
		c.errorf(path.Index(i), "the kind * is not allowed in background mode; set spec.background to false, or list kinds")
	case len(kinds) > 1:
		c.errorf(path.Index(i), "the kind * must stand alone")
	case r.HasGenerate() || r.HasVerifyImages() || r.Validation != nil && r.Validation.ForEach != nil:
		c.errorf(path.Index(i), "this type of rule does not take the kind *; list kinds")
	case r.HasMutate() && !onlyMetadata(r.Mutation.PatchStrategicMerge):
		c.errorf(path.Index(i), "a rule for the kind * may only patch metadata")
	}
}

// clusterGroups holds the groups of kinds without namespace that policies name
// without their group.
var clusterGroups = map[string]string{
	"ClusterRole": "rbac.authorization.k8s.io", "ClusterRoleBinding": "rbac.authorization.k8s.io",
	"StorageClass": "storage.k8s.io", "PriorityClass": "scheduling.k8s.io", "IngressClass": "networking.k8s.io",
	"CustomResourceDefinition": "apiextensions.k8s.io",
}

// parseKind reads a kind of the forms Kind, version/Kind and
// group/version/Kind.
func parseKind(s string) resource.Kind {
	parts := strings.Split(s, "/")
	k := resource.Kind{Version: "v1", Kind: parts[len(parts)-1]}
	switch len(parts) {
	case 1:
		k.Group = clusterGroups[k.Kind]
	case 2:
		k.Version = parts[0]
	case 3:
		k.Group, k.Version = parts[0], parts[1]
	}
	return k
}

func onlyMetadata(patch any) bool {
	m, _ := patch.(map[string]any)
	for k := range m {
		if k != "metadata" {
			return false
		}
	}
	return true
}

// selector checks operators and values. Labels with wildcards stand for labels
// that are there, so that their syntax is not checked.
func (c *checker) selector(path fieldpath.Path, s *LabelSelector) {
	if s == nil {
		return
	}
	for i, e := range s.MatchExpressions {
		ep := path.Key("matchExpressions").Index(i)
		c.required(ep, "key", e.Key)
		switch e.Operator {
		case "In", "NotIn":
			if len(e.Values) == 0 {
				c.errorf(ep, "values is missing; the operator %s needs at least one", e.Operator)
			}
		case "Exists", "DoesNotExist":
			if len(e.Values) > 0 {
				c.errorf(ep.Key("values"), "the operator %s takes no values", e.Operator)
			}
		default:
			c.errorf(ep.Key("operator"), "expected one of In, NotIn, Exists, DoesNotExist, found %q", e.Operator)
		}
	}
}

// emptySet reports whether exclude takes away everything that match selects,
// as far as Kyverno tells.
func emptySet(match, exclude *MatchResources) bool {
	if len(exclude.All) > 0 || len(match.All) > 0 {
		return false
	}
	if len(match.Any) > 0 && len(exclude.Any) > 0 {
		return slices.ContainsFunc(match.Any, func(m ResourceFilter) bool {
			return slices.ContainsFunc(exclude.Any, func(x ResourceFilter) bool { return reflect.DeepEqual(m, x) })
		})
	}
	x, m := &exclude.Resources, &match.Resources
	if exclude.IsEmpty() ||
		!covers(exclude.Roles, match.Roles) ||
		!covers(exclude.ClusterRoles, match.ClusterRoles) ||
		!covers(exclude.Subjects, match.Subjects) ||
		x.Name != "" && !wildcard.Match(x.Name, m.Name) {
		return false
	}
	if len(x.Names) > 0 {
		return slices.ContainsFunc(m.Names, func(name string) bool { return wildcard.MatchAny(x.Names, name) })
	}
	return covers(x.Namespaces, m.Namespaces) && covers(x.Kinds, m.Kinds) &&
		selectorCovers(x.Selector, m.Selector) && selectorCovers(x.NamespaceSelector, m.NamespaceSelector) &&
		(x.Annotations == nil) == (m.Annotations == nil) && maps.Equal(x.Annotations, m.Annotations)
}

// covers reports whether all of inner is in outer; an empty outer is no limit.
func covers[T comparable](outer, inner []T) bool {
	if len(outer) == 0 {
		return true
	}
	return len(inner) > 0 && !slices.ContainsFunc(inner, func(v T) bool { return !slices.Contains(outer, v) })
}

func selectorCovers(outer, inner *LabelSelector) bool {
	if outer == nil || inner == nil {
		return outer == nil && inner == nil
	}
	for _, e := range inner.MatchExpressions {
		if len(outer.MatchExpressions) > 0 &&
			!slices.ContainsFunc(outer.MatchExpressions, func(o LabelRequirement) bool { return reflect.DeepEqual(o, e) }) {
			return false
		}
	}
	for k, v := range inner.MatchLabels {
		if len(outer.MatchLabels) > 0 && outer.MatchLabels[k] != v {
			return false
		}
	}
	return (len(outer.MatchExpressions) == 0 || len(inner.MatchExpressions) > 0) &&
		(len(outer.MatchLabels) == 0 || len(inner.MatchLabels) > 0)
}

// variablesInSelection refuses variables where Kyverno never substitutes them.
func (c *checker) variablesInSelection(r *Rule) {
	for _, field := range []string{"match", "exclude"} {
		if path, ok := findVariable(r.Path.Key(field), r.Raw[field]); ok {
			c.errorf(path, "variables are not substituted in %s; use preconditions", field)
		}
	}
	for i, v := range r.VerifyImages {
		for j, image := range v.References() {
			if hasVariable(image) {
				c.errorf(r.Path.Key("verifyImages").Index(i).Key("imageReferences").Index(j), "variables are not substituted in image references")
			}
		}
	}
}

func findVariable(path fieldpath.Path, v any) (fieldpath.Path, bool) {
	switch v := v.(type) {
	case string:
		return path, hasVariable(v)
	case []any:
		for i, e := range v {
			if p, ok := findVariable(path.Index(i), e); ok {
				return p, true
			}
		}
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			if hasVariable(k) {
				return path.Key(k), true
			}
			if p, ok := findVariable(path.Key(k), v[k]); ok {
				return p, true
			}
		}
	}
	return nil, false
}
