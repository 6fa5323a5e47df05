package constraints

import (
	"fmt"
	"slices"
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/decode"
	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
)

// Faults returns what the API server refuses in constraints that stand at path.
func (r *Resources) Faults(path fieldpath.Path) []decode.Fault {
	c := &checker{}
	c.selector(r.NamespaceSelector, path.Key("namespaceSelector"))
	c.selector(r.ObjectSelector, path.Key("objectSelector"))
	for i := range r.ResourceRules {
		c.rule(&r.ResourceRules[i], path.Key("resourceRules").Index(i))
	}
	for i := range r.ExcludeResourceRules {
		c.rule(&r.ExcludeResourceRules[i], path.Key("excludeResourceRules").Index(i))
	}
	c.oneOf(r.MatchPolicy, path.Key("matchPolicy"), "", "Equivalent", "Exact")
	return c.faults
}

// Faults returns what the API server refuses in a selector that stands at path.
func (s *Selector) Faults(path fieldpath.Path) []decode.Fault {
	c := &checker{}
	c.selector(s, path)
	return c.faults
}

type checker struct{ faults []decode.Fault }

func (c *checker) fault(path fieldpath.Path, format string, args ...any) {
	c.faults = append(c.faults, decode.Fault{Path: path, Message: fmt.Sprintf(format, args...)})
}

func (c *checker) oneOf(value string, path fieldpath.Path, allowed ...string) {
	if slices.Contains(allowed, value) {
		return
	}
	allowed = slices.DeleteFunc(slices.Clone(allowed), func(s string) bool { return s == "" })
	c.fault(path, `Unsupported value: %q: supported values: "%s"`, value, strings.Join(allowed, `", "`))
}

func (c *checker) selector(s *Selector, path fieldpath.Path) {
	if s == nil {
		return
	}
	for i, e := range s.MatchExpressions {
		at := path.Key("matchExpressions").Index(i)
		switch e.Operator {
		case "In", "NotIn":
			if len(e.Values) == 0 {
				c.fault(at.Key("values"), "Required value: must be specified when `operator` is 'In' or 'NotIn'")
			}
		case "Exists", "DoesNotExist":
			if len(e.Values) > 0 {
				c.fault(at.Key("values"), "Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
			}
		default:
			c.fault(at.Key("operator"), "Invalid value: %q: not a valid selector operator", e.Operator)
		}
	}
	if len(c.faults) > 0 {
		return
	}
	if _, err := s.Compile(); err != nil {
		c.fault(path, "%v", err)
	}
}

func (c *checker) rule(r *Rule, path fieldpath.Path) {
	for i, name := range r.ResourceNames {
		at := path.Key("resourceNames").Index(i)
		if name == "." || name == ".." {
			c.fault(at, "Invalid value: %q: may not be '%s'", name, name)
		}
		for _, part := range []string{"/", "%"} {
			if strings.Contains(name, part) {
				c.fault(at, "Invalid value: %q: may not contain '%s'", name, part)
			}
		}
		if slices.Contains(r.ResourceNames[:i], name) {
			c.fault(at, "Duplicate value: %q", name)
		}
	}
	c.wildcard(r.Operations, path.Key("operations"), "operations")
	for i, operation := range r.Operations {
		c.oneOf(operation, path.Key("operations").Index(i), "*", "CONNECT", "CREATE", "DELETE", "UPDATE")
	}
	c.wildcard(r.APIGroups, path.Key("apiGroups"), "API groups")
	c.wildcard(r.APIVersions, path.Key("apiVersions"), "API versions")
	for i, version := range r.APIVersions {
		if version == "" {
			c.fault(path.Key("apiVersions").Index(i), "Required value")
		}
	}
	c.resources(r.Resources, path.Key("resources"))
	c.oneOf(r.Scope, path.Key("scope"), "", "*", "Cluster", "Namespaced")
}

// wildcard wants a list with something in it, in which * stands alone.
func (c *checker) wildcard(list []string, path fieldpath.Path, what string) {
	if len(list) == 0 {
		c.fault(path, "Required value")
	}
	if len(list) > 1 && slices.Contains(list, "*") {
		c.fault(path, "Invalid value: %q: if '*' is present, must not specify other %s", list, what)
	}
}

func (c *checker) resources(list []string, path fieldpath.Path) {
	if len(list) == 0 {
		c.fault(path, "Required value")
	}
	everything, each, plain := false, false, false
	ofAll := map[string]bool{} // resources that stand with /*
	ofEvery := map[string]bool{}
	for i, name := range list {
		at := path.Index(i)
		if name == "" {
			c.fault(at, "Required value")
			continue
		}
		everything = everything || name == "*/*"
		res, sub, ok := strings.Cut(name, "/")
		if !ok {
			each, plain = each || name == "*", plain || name != "*"
			continue
		}
		if ofAll[res] {
			c.fault(at, "Invalid value: %q: if '%s/*' is present, must not specify %s", name, res, name)
		}
		if ofEvery[sub] {
			c.fault(at, "Invalid value: %q: if '*/%s' is present, must not specify %s", name, sub, name)
		}
		ofAll[res] = ofAll[res] || sub == "*"
		ofEvery[sub] = ofEvery[sub] || res == "*"
	}
	if len(list) > 1 && everything {
		c.fault(path, "Invalid value: %q: if '*/*' is present, must not specify other resources", list)
	}
	if each && plain {
		c.fault(path, "Invalid value: %q: if '*' is present, must not specify other resources without subresources", list)
	}
}
