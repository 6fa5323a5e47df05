package gatekeeper

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/jsonvalue"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// An external is a value that a provider of external data gives.
type external struct {
	Provider      string `json:"provider,omitempty"`
	DataSource    string `json:"dataSource,omitempty" enum:"ValueAtLocation,Username"`
	FailurePolicy string `json:"failurePolicy,omitempty" enum:"UseDefault,Ignore,Fail"`
	Default       string `json:"default,omitempty"`
}

const username = "Username" // a data source

func (r *reading) external(at fieldpath.Path, e *external) {
	if e.Provider == "" {
		r.fault(at, "expected a provider: the name of a Provider")
	}
	if e.FailurePolicy == "UseDefault" && e.Default == "" {
		r.fault(at, "failurePolicy: UseDefault needs a default")
	}
}

// A placeholder stands for the answer of a provider until nothing else changes.
type placeholder struct {
	external
	key string // what the provider is asked for
}

func (e external) field(old any, exists bool, a *admission) (any, bool, error) {
	p := placeholder{external: e}
	if e.DataSource == username {
		if !a.in.Facts.Request.UserDeclared {
			return nil, false, facts.MissingUser("the name of the requester, which provider " + e.Provider + " is asked for,")
		}
		p.key = a.in.Facts.Request.User.Username
	}
	if !exists {
		return p, true, nil
	}
	switch old := old.(type) {
	case string:
		p.key = old
	case placeholder:
		p.key = old.key
	default:
		return nil, false, fmt.Errorf("expected a string to ask provider %s for, found %s", e.Provider, jsonvalue.Describe(old))
	}
	return p, true, nil
}

// providers are those that are given among the policies, by name.
type providers map[string]resource.Object

// An answers is what the placeholders of an object stand for.
type answers map[placeholder]string

// resolve looks up what the placeholders of v stand for, in the recorded answers
// of their providers. Each provider is asked once for all keys.
func (p providers) resolve(v any, known *facts.Facts) (answers, error) {
	asked := map[string]map[string]bool{} // keys by provider
	var all []placeholder
	var find func(v any)
	find = func(v any) {
		switch v := v.(type) {
		case placeholder:
			if asked[v.Provider] == nil {
				asked[v.Provider] = map[string]bool{}
			}
			asked[v.Provider][v.key] = true
			all = append(all, v)
		case map[string]any:
			for _, k := range slices.Sorted(maps.Keys(v)) {
				find(v[k])
			}
		case []any:
			for _, e := range v {
				find(e)
			}
		}
	}
	find(v)
	out := answers{}
	var errs []error
	for _, h := range all {
		if _, ok := out[h]; ok {
			continue
		}
		value, err := p.ask(h.Provider, h.key, slices.Sorted(maps.Keys(asked[h.Provider])), known)
		switch {
		case err == nil:
		case errors.Is(err, facts.ErrMissing): // nobody can tell whether it would fail
			if !slices.ContainsFunc(errs, func(e error) bool { return e.Error() == err.Error() }) {
				errs = append(errs, err)
			}
		case h.FailurePolicy == "Ignore":
			value = h.key
		case h.FailurePolicy == "UseDefault":
			value = h.Default
		default:
			errs = append(errs, err)
		}
		out[h] = value
	}
	return out, errors.Join(errs...)
}

// ask returns what a provider answers for a key, given all that it is asked for.
func (p providers) ask(name, key string, keys []string, known *facts.Facts) (string, error) {
	o, ok := p[name]
	if !ok {
		var err error
		if o, ok, err = known.Get(resource.ID{Kind: resource.Kind{Group: externalData, Kind: "Provider"}, Name: name}); err != nil {
			return "", err
		}
	}
	if !ok {
		return "", facts.MissingObject("external data of", externalData+"/v1beta1/Provider", "", name)
	}
	address := url(o)
	if address == "" {
		return "", fmt.Errorf("provider %s has no spec.url; give the one that the recorded answers have", name)
	}
	request := map[string]any{
		"apiVersion": externalData + "/v1beta1", "kind": "ProviderRequest",
		"request": map[string]any{"keys": jsonvalue.Strings(keys)},
	}
	call, ok := known.APICall("POST", address, request)
	if !ok {
		return "", facts.MissingCall("POST", address, request)
	}
	if call.Error != "" {
		return "", fmt.Errorf("provider %s: %s", name, call.Error)
	}
	body, _ := call.Response.(map[string]any)
	response, ok := body["response"].(map[string]any)
	if !ok {
		return "", fmt.Errorf("the recorded answer of provider %s: expected a ProviderResponse with a response", name)
	}
	if fault, _ := response["systemError"].(string); fault != "" {
		return "", fmt.Errorf("provider %s: %s", name, fault)
	}
	if response["idempotent"] != true {
		return "", fmt.Errorf("provider %s: its answer is not idempotent, which Gatekeeper takes for a failure", name)
	}
	items, _ := response["items"].([]any)
	for _, i := range items {
		item, _ := i.(map[string]any)
		if item["key"] != key {
			continue
		}
		if fault, _ := item["error"].(string); fault != "" {
			return "", fmt.Errorf("provider %s, key %q: %s", name, key, fault)
		}
		value, ok := item["value"].(string)
		if !ok {
			return "", fmt.Errorf("provider %s, key %q: expected a string, found %s", name, key, jsonvalue.Describe(item["value"]))
		}
		return value, nil
	}
	if call.Data != nil {
		return "", fmt.Errorf("provider %s has no answer for key %q", name, key)
	}
	return "", fmt.Errorf("the recorded answer of provider %s: %w: it has no item with key %q; record it, with an error when the provider has none", name, facts.ErrMissing, key)
}

// plain returns v as JSON values: with the answers in place of placeholders, and
// integers for what Gatekeeper reads as floats. It shares with v what stays, and
// reports whether anything does not.
func (a answers) plain(v any) (out any, changed bool) {
	switch v := v.(type) {
	case float:
		return int64(v), true
	case placeholder:
		return a[v], true
	case map[string]any:
		m := v
		for k, e := range v {
			if p, is := a.plain(e); is {
				if !changed {
					m, changed = maps.Clone(v), true
				}
				m[k] = p
			}
		}
		return m, changed
	case []any:
		l := v
		for i, e := range v {
			if p, is := a.plain(e); is {
				if !changed {
					l, changed = slices.Clone(v), true
				}
				l[i] = p
			}
		}
		return l, changed
	}
	return v, false
}
