package kyverno

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/expr/jmespath"
	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/image"
	"github.com/oneloop-dev/oneloop/pkg/jsonvalue"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/match"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/spec"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/variable"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// A request is one policy applied to one resource, as an admission request
// would have put it. It belongs to one goroutine.
type request struct {
	ctx    context.Context
	in     policy.Input
	policy *spec.Policy
	env    jmespath.Env

	kind        resource.Kind // as policies name it: of a subresource, its parent's
	subresource string
	namespace   string // as policies see it
	assumed     bool   // the resource names no namespace; policies see namespace all the same
	operation   string
	given       map[string]any // of Kyverno's Values files

	object resource.Object // as policies see it, as it was when the policy began
	base   *scope          // of the policy; nil until some rule matched
}

func newRequest(ctx context.Context, in policy.Input, p *spec.Policy) *request {
	r := &request{
		ctx: ctx, in: in, policy: p,
		env:       jmespath.Env{Now: in.Now},
		kind:      in.ID.Kind,
		namespace: in.ID.Namespace,
		operation: in.Facts.Request.Operation,
		given:     in.Facts.ResourceValues(p.Metadata.Name, in.ID.Name),
		object:    in.Object,
	}
	for _, s := range in.Facts.Subresources() {
		if own := s.Subresource; r.kind == (resource.Kind{Group: own.Group, Version: own.Version, Kind: own.Kind}) {
			parent := s.ParentResource
			r.kind = resource.Kind{Group: parent.Group, Version: parent.Version, Kind: parent.Kind}
			_, r.subresource, _ = strings.Cut(own.Name, "/")
		}
	}
	if in.Operation != "" {
		r.operation = in.Operation
	}
	r.namespace = seenNamespace(in.Facts, in.ID)
	r.assumed = r.namespace != in.ID.Namespace
	if operation, ok := r.given["request.operation"].(string); ok {
		r.operation = operation
	}
	return r
}

// seenNamespace is the namespace of an object as policies see it.
func seenNamespace(known *facts.Facts, id resource.ID) string {
	if id.Namespace == "" && !resource.ClusterScoped(id.Kind) {
		return known.DefaultNamespace
	}
	return id.Namespace
}

// subject is what rules match o as.
func (r *request) subject(o resource.Object) match.Subject {
	id := r.in.ID
	id.Kind = r.kind
	return match.Subject{
		ID: id, Object: o, Namespace: r.namespace,
		Operation: r.operation, Subresource: r.subresource, Facts: r.in.Facts,
	}
}

// show returns o as policies see it: with the namespace that the API server
// would have filled in.
func (r *request) show(o resource.Object) resource.Object {
	if !r.assumed {
		return o
	}
	return resource.WithNamespace(o, r.namespace)
}

// hide undoes show.
func (r *request) hide(o resource.Object) resource.Object {
	if !r.assumed {
		return o
	}
	return resource.WithoutNamespace(o, r.namespace)
}

// admission returns the request variable.
func (r *request) admission(o resource.Object) map[string]any {
	kind := map[string]any{"group": r.kind.Group, "version": r.kind.Version, "kind": r.kind.Kind}
	plurals := map[string]any{"group": r.kind.Group, "version": r.kind.Version, "resource": resource.Plural(r.kind.Kind)}
	req := map[string]any{
		"object":          any(o),
		"oldObject":       nil,
		"namespace":       r.namespace,
		"operation":       r.operation,
		"kind":            kind,
		"requestKind":     kind,
		"resource":        plurals,
		"requestResource": plurals,
		"dryRun":          false,
	}
	if r.kind == (resource.Kind{Version: "v1", Kind: "Namespace"}) {
		// So does the API server.
		req["namespace"] = r.in.ID.Name
	}
	if r.in.ID.Name != "" {
		req["name"] = r.in.ID.Name
	}
	if r.subresource != "" {
		req["subResource"] = r.subresource
		req["requestSubResource"] = r.subresource
	}
	switch r.operation {
	case "UPDATE":
		// When nothing tells how the object was before, it was the same, as in
		// Kyverno's command line.
		req["oldObject"] = r.show(r.requested())
		if r.in.Old != nil {
			req["oldObject"] = r.show(r.in.Old)
		}
	case "DELETE":
		req["object"], req["oldObject"] = nil, o
	}
	if known := &r.in.Facts.Request; known.UserDeclared {
		req["userInfo"] = known.User.Object()
		// Kyverno leaves out empty lists.
		if len(known.Roles) > 0 {
			req["roles"] = jsonvalue.Strings(known.Roles)
		}
		if len(known.ClusterRoles) > 0 {
			req["clusterRoles"] = jsonvalue.Strings(known.ClusterRoles)
		}
	}
	return req
}

// requested returns the object as the request brought it, before all policies.
func (r *request) requested() resource.Object {
	if r.in.Requested != nil {
		return r.in.Requested
	}
	return r.in.Object
}

// scope returns the scope of the policy, in which o is the object.
func (r *request) scope(o resource.Object) *scope {
	if r.base == nil {
		root := map[string]any{}
		if known := &r.in.Facts.Request; known.UserDeclared {
			root["serviceAccountName"], root["serviceAccountNamespace"] = serviceAccount(known.User.Username)
		}
		original := r.requested()
		images := &entry{name: "images", load: func(*scope) (any, error) {
			groups, err := image.Groups(r.in.ID.Kind, original)
			if err != nil || len(groups) == 0 {
				return nothing{}, err
			}
			return image.Variables(groups), nil
		}}
		r.base = &scope{request: r, root: root, entries: []*deferred{{entry: images}}}
	}
	s := r.base.inner()
	s.root["request"] = r.admission(o)
	for key, value := range r.given {
		s.give(key, value)
	}
	return s
}

// serviceAccount splits the user name of a service account. As in Kyverno, the
// length of the prefix is taken off whatever the name starts with, so that
// https://login.example.com:shop:ana has parts too.
func serviceAccount(user string) (name, namespace string) {
	const prefix = "system:serviceaccount:"
	if len(user) <= len(prefix) {
		return "", ""
	}
	parts := strings.Split(user[len(prefix):], ":")
	if len(parts) < 2 {
		return "", ""
	}
	return parts[1], parts[0]
}

// A scope holds what variables mean at one place: in a policy, in a rule, in
// one round of a foreach. Leaving a scope is dropping it.
type scope struct {
	request *request
	parent  *scope
	root    map[string]any // what expressions see; of this scope alone
	entries []*deferred    // of this scope, in order
}

// A deferred is a context entry that is loaded when it is first needed.
type deferred struct {
	entry  *entry
	loaded bool
	value  any
}

// nothing is the value of an entry that turned out not to exist.
type nothing struct{}

// inner returns a new scope below s.
func (s *scope) inner() *scope {
	return &scope{request: s.request, parent: s, root: maps.Clone(s.root)}
}

// with adds context entries to a new scope.
func (s *scope) with(entries []*entry) {
	if len(entries) == 0 {
		return
	}
	s.entries = make([]*deferred, len(entries))
	for i, e := range entries {
		s.entries[i] = &deferred{entry: e}
	}
}

// setObject makes o the object that expressions see from now on.
func (s *scope) setObject(o resource.Object) {
	req, _ := s.root["request"].(map[string]any)
	req = maps.Clone(req)
	req["object"] = o
	s.root["request"] = req
}

// setTarget makes o the target that expressions see.
func (s *scope) setTarget(o resource.Object) { s.root["target"] = o }

// setElement sets the variables of one round of a foreach.
func (s *scope) setElement(element any, index, nesting int) {
	n := strconv.Itoa(nesting)
	s.root["element"], s.root["element"+n] = element, element
	s.root["elementIndex"], s.root["elementIndex"+n] = int64(index), int64(index)
}

// give sets a value of a Values file; the key is a path with dots, and parts in
// quotes.
func (s *scope) give(key string, value any) {
	path := splitKey(key)
	m := s.root
	for _, name := range path[:len(path)-1] {
		below, _ := m[name].(map[string]any)
		if below = maps.Clone(below); below == nil {
			below = map[string]any{}
		}
		m[name] = below
		m = below
	}
	last := path[len(path)-1]
	m[last] = merged(m[last], value)
}

// splitKey splits a key at its dots, but not inside quotes.
func splitKey(key string) []string {
	var out []string
	for {
		if strings.HasPrefix(key, `"`) {
			if name, rest, ok := strings.Cut(key[1:], `"`); ok && (rest == "" || rest[0] == '.') {
				out = append(out, name)
				if rest == "" {
					return out
				}
				key = rest[1:]
				continue
			}
		}
		name, rest, ok := strings.Cut(key, ".")
		out = append(out, name)
		if !ok {
			return out
		}
		key = rest
	}
}

// merged returns value with the fields of old that it lacks.
func merged(old, value any) any {
	was, ok1 := old.(map[string]any)
	is, ok2 := value.(map[string]any)
	if !ok1 || !ok2 || len(was) == 0 {
		return value
	}
	out := maps.Clone(was)
	for k, v := range is {
		out[k] = merged(was[k], v)
	}
	return out
}

// Deleting implements variable.Scope.
func (s *scope) Deleting() bool { return s.request.operation == "DELETE" }

// Search implements variable.Scope. The context entries that e mentions are
// loaded first, the outer ones before the inner ones.
func (s *scope) Search(e *variable.Expression) (any, error) {
	if err := s.load(s, e); err != nil {
		return nil, err
	}
	v, err := e.Search(s.root, s.request.env)
	if !s.request.in.Facts.Request.UserDeclared {
		// A default does not stand in for the requester, whom a cluster knows.
		for _, name := range []string{"request.userInfo", "request.roles", "request.clusterRoles", "serviceAccountName", "serviceAccountNamespace"} {
			if strings.Contains(e.String(), name) && !s.gave(name) && (err == nil || jmespath.IsNotFound(err)) {
				return nil, facts.MissingUser(name)
			}
		}
	}
	if err != nil && jmespath.IsNotFound(err) {
		req, _ := s.root["request"].(map[string]any)
		for _, name := range []string{"uid", "options"} {
			if _, known := req[name]; !known && e.Mentions("request") && strings.Contains(e.String(), "request."+name) {
				return nil, missingRequest("request." + name)
			}
		}
		for _, name := range []string{"uid", "resourceVersion", "creationTimestamp", "generation"} {
			if strings.Contains(e.String(), ".metadata."+name) {
				return nil, assigned(name)
			}
		}
	}
	return v, err
}

// gave reports whether something gave a value of the request, such as Kyverno's
// Values.
func (s *scope) gave(name string) bool {
	values := map[string]any(s.root)
	if rest, ok := strings.CutPrefix(name, "request."); ok {
		values, _ = s.root["request"].(map[string]any)
		name = rest
	}
	_, ok := values[name]
	return ok
}

func (s *scope) load(at *scope, e *variable.Expression) error {
	if at.parent != nil {
		if err := s.load(at.parent, e); err != nil {
			return err
		}
	}
	for i, d := range at.entries {
		if !e.Mentions(d.entry.name) {
			continue
		}
		if !d.loaded {
			// The entry sees what stands before it.
			view := &scope{request: at.request, parent: at.parent, root: at.root, entries: at.entries[:i]}
			v, err := d.entry.load(view)
			if jmespath.IsNotFound(err) {
				// The variable that needs the entry is there all the same.
				return fmt.Errorf("context entry %q: %v; add a default to it", d.entry.name, err) //nolint:errorlint // not wrapped: see above
			}
			if err != nil {
				return fmt.Errorf("context entry %q: %w", d.entry.name, err)
			}
			if !d.entry.replaces {
				v = merged(at.root[d.entry.name], v)
			}
			d.value, d.loaded = v, true
		}
		if _, ok := d.value.(nothing); ok {
			continue
		}
		at.root[d.entry.name] = d.value
		s.root[d.entry.name] = d.value
	}
	return nil
}
