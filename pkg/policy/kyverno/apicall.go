package kyverno

import (
	"fmt"
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/spec"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/variable"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

func (c *ruleCompiler) apiCallEntry(call *spec.ContextAPICall, at fieldpath.Path) func(*scope) (any, error) {
	urlPath := c.template(call.URLPath, at.Key("urlPath"))
	service := c.template("", at)
	if call.Service != nil {
		service = c.template(call.Service.URL, at.Key("service").Key("url"))
	}
	expression := c.query(call.JMESPath, at.Key("jmesPath"))
	var data []*variable.Template
	for i, d := range call.Data {
		data = append(data, c.template(d.Value, at.Key("data").Index(i).Key("value")))
	}
	own := c.policy.Namespace()
	method := call.Method
	if method == "" {
		method = "GET"
	}
	return func(s *scope) (any, error) {
		p, err := urlPath.Text(s)
		if err != nil {
			return nil, err
		}
		if p == "" {
			if p, err = service.Text(s); err != nil {
				return nil, err
			}
		} else if err := ownNamespace(p, own); err != nil {
			return nil, err
		}
		body, unknown := bodyOf(s, call.Data, data)
		if unknown != nil && !unknowable(unknown) {
			return nil, unknown
		}
		// An answer for every body needs to know none.
		recorded, ok := s.request.in.Facts.APICall(method, p, body)
		if !ok && unknown != nil {
			return nil, unknown
		}
		if recorded.Error != "" {
			if call.Default != nil {
				return call.Default, nil // as it is, without the expression
			}
			return nil, fmt.Errorf("%s %s failed, as the facts say: %s; add a default", method, p, recorded.Error)
		}
		answer := recorded.Response
		if !ok && method == "GET" && call.Service == nil {
			if answer, ok, err = answerFrom(s.request.in.Facts, p); err != nil {
				return nil, err
			}
		}
		if !ok {
			return nil, facts.MissingCall(method, p, body)
		}
		return expression.apply(s, answer)
	}
}

// bodyOf returns the body of a call, nil when it has none. Its error may be
// that the value of a variable is not known.
func bodyOf(s *scope, data []spec.RequestData, values []*variable.Template) (any, error) {
	if len(data) == 0 {
		return nil, nil
	}
	out := make(map[string]any, len(data))
	for i, d := range data {
		v, err := values[i].Resolve(s)
		if err != nil {
			return nil, fmt.Errorf("data, key %s: %w", d.Key, err)
		}
		out[d.Key] = v
	}
	return out, nil
}

// ownNamespace checks that the calls of a Policy stay in its own namespace.
func ownNamespace(urlPath, own string) error {
	if own == "" {
		return nil
	}
	if plain, err := url.PathUnescape(urlPath); err == nil {
		urlPath = plain
	}
	clean := path.Clean(urlPath)
	parts := strings.Split(clean, "/")
	i := slices.Index(parts, "namespaces")
	if i < 0 || i+1 >= len(parts) {
		return fmt.Errorf("a Policy may only ask for objects of its own namespace %s, found %s", own, clean)
	}
	if parts[i+1] != own {
		return fmt.Errorf("a Policy may only ask for objects of its own namespace %s, found %s in %s", own, parts[i+1], clean)
	}
	return nil
}

// answerFrom answers a GET of one object, or a list of objects of a kind of
// which at least one is known, from the objects of the stream and of the facts.
func answerFrom(known *facts.Facts, urlPath string) (any, bool, error) {
	plain, query, _ := strings.Cut(urlPath, "?")
	if query != "" {
		return nil, false, nil
	}
	parts := strings.Split(strings.Trim(plain, "/"), "/")
	var group, version string
	switch {
	case len(parts) >= 3 && parts[0] == "api":
		version, parts = parts[1], parts[2:]
	case len(parts) >= 4 && parts[0] == "apis":
		group, version, parts = parts[1], parts[2], parts[3:]
	default:
		return nil, false, nil
	}
	namespace := ""
	if len(parts) > 2 && parts[0] == "namespaces" {
		namespace, parts = parts[1], parts[2:]
	}
	if len(parts) > 2 {
		return nil, false, nil
	}
	kind, ok := kindOf(known, group, parts[0])
	if !ok {
		return nil, false, nil
	}
	if len(parts) == 2 {
		o, ok, err := known.Get(resource.ID{Kind: resource.Kind{Group: group, Version: version, Kind: kind}, Namespace: namespace, Name: parts[1]})
		return o, ok, err
	}
	objects, err := known.List(group, kind, namespace)
	if err != nil {
		return nil, false, err
	}
	items := make([]any, len(objects))
	for i, o := range objects {
		if group == "" || !strings.Contains(group, ".") || strings.HasSuffix(group, ".k8s.io") {
			// The API server writes lists of its own kinds so.
			o = maps.Clone(o)
			delete(o, "apiVersion")
			delete(o, "kind")
		}
		items[i] = o
	}
	return map[string]any{
		"apiVersion": resource.Kind{Group: group, Version: version}.APIVersion(),
		"kind":       kind + "List",
		"metadata":   map[string]any{},
		"items":      items,
	}, true, nil
}

// kindOf finds the kind whose objects are called resources in URLs, among those
// of which an object is known.
func kindOf(known *facts.Facts, group, resources string) (string, bool) {
	for _, k := range known.Kinds() {
		if k.Group == group && resource.Plural(k.Kind) == resources {
			return k.Kind, true
		}
	}
	return "", false
}
