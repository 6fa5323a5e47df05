package admission

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/expr/cel"
	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/patch/apply"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/internal/constraints"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// A request is a resource as an admission request would have put it.
type request struct {
	ctx   context.Context //nolint:containedctx // of the one call that it serves
	in    policy.Input
	kinds *constraints.Kinds

	kind        resource.Kind // of a subresource, its parent's
	subresource string
	namespace   string // of a Namespace its own name, "" for what has none
	assumed     bool   // the object names no namespace; policies see one all the same
	operation   string
	old         resource.Object
	world       map[string]any // request, without what differs between policies
	namespaced  any            // namespaceObject
}

var namespaceKind = resource.Kind{Version: "v1", Kind: "Namespace"}

func newRequest(ctx context.Context, in policy.Input) (*request, error) {
	kinds, err := constraints.KindsOf(in.Facts)
	if err != nil {
		return nil, err
	}
	r := &request{ctx: ctx, in: in, kinds: kinds, kind: in.ID.Kind, namespace: in.ID.Namespace, operation: in.Facts.Request.Operation}
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
	switch {
	case r.kind == namespaceKind:
		r.namespace = in.ID.Name
	case r.namespace == "" && !r.clusterScoped(r.kind):
		r.namespace, r.assumed = in.Facts.DefaultNamespace, true
	}
	if r.operation == "UPDATE" {
		// When nothing tells how the object was before, it was the same.
		r.old = in.Object
		if in.Requested != nil {
			r.old = in.Requested
		}
		if in.Old != nil {
			r.old = in.Old
		}
	}
	return r, nil
}

// clusterScoped reports whether objects of a kind have no namespace.
func (r *request) clusterScoped(kind resource.Kind) bool {
	return r.kinds.ClusterScoped(kind) && (r.in.ID.Kind != kind || r.in.ID.Namespace == "")
}

// subject is what constraints are held against.
func (r *request) subject(o resource.Object) *constraints.Subject {
	return &constraints.Subject{
		Kind: r.kind, Subresource: r.subresource, Name: r.in.ID.Name, Namespace: r.namespace, Operation: r.operation,
		Object: o, Old: r.old, Facts: r.in.Facts, Kinds: r.kinds,
	}
}

// see returns o in the version of kind as policies see it: as show does, and with
// the structs that the API server always has.
func (r *request) see(kind resource.Kind, o resource.Object) (resource.Object, error) {
	o, err := r.as(kind, r.show(o))
	if err != nil || o == nil {
		return o, err
	}
	return apply.BuiltIn().Shown(kind, o)
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

// errAuthorizer is why authorizer has no value.
var errAuthorizer = fmt.Errorf("the authorizer is only known in a cluster: %w; leave the policy to the cluster, or write it without authorizer", errors.ErrUnsupported)

// values are the variables that the expressions of an invocation see.
func (r *request) values(object resource.Object, m matched) cel.Variables {
	if r.world == nil {
		r.world = r.variable()
		r.namespaced = r.namespaceObject()
	}
	request := maps.Clone(r.world)
	request["kind"], request["resource"] = kindOf(m.match.Kind), resourceOf(m.match.Kind, m.match.Resource)
	out := cel.Variables{
		"object": any(object), "oldObject": nil, "request": request, "namespaceObject": r.namespaced,
		"params": nil, "authorizer": cel.Unknown(errAuthorizer), "authorizer.requestResource": cel.Unknown(errAuthorizer),
	}
	if m.params != nil {
		out["params"] = m.params
	}
	switch r.operation {
	case "UPDATE":
		old, err := r.see(m.match.Kind, r.old)
		out["oldObject"] = old
		if err != nil {
			out["oldObject"] = cel.Unknown(err)
		}
	case "DELETE":
		out["object"], out["oldObject"] = nil, object
	}
	return out
}

func kindOf(k resource.Kind) map[string]any {
	return map[string]any{"group": k.Group, "version": k.Version, "kind": k.Kind}
}

func resourceOf(k resource.Kind, name string) map[string]any {
	return map[string]any{"group": k.Group, "version": k.Version, "resource": name}
}

// variable is the value of request. What the API server leaves out when it is
// empty is left out.
func (r *request) variable() map[string]any {
	out := map[string]any{
		"requestKind":     kindOf(r.kind),
		"requestResource": resourceOf(r.kind, r.kinds.Resource(r.kind)),
		"operation":       r.operation,
		"dryRun":          false,
		"userInfo":        cel.Unknown(facts.MissingUser("request.userInfo")),
	}
	for name, value := range map[string]string{"name": r.in.ID.Name, "namespace": r.namespace, "subResource": r.subresource, "requestSubResource": r.subresource} {
		if value != "" {
			out[name] = value
		}
	}
	options := map[string]string{"CREATE": "CreateOptions", "UPDATE": "UpdateOptions", "DELETE": "DeleteOptions"}[r.operation]
	if options != "" {
		out["options"] = map[string]any{"apiVersion": "meta.k8s.io/v1", "kind": options}
	}
	if known := &r.in.Facts.Request; known.UserDeclared {
		out["userInfo"] = known.User.Object()
	}
	return out
}

// namespaceObject is the namespace of the object as the API server shows it:
// null for what is in none, and not all of its fields.
func (r *request) namespaceObject() any {
	if r.namespace == "" || r.kind == namespaceKind {
		return nil
	}
	labels, known := r.in.Facts.NamespaceLabels(r.namespace)
	if !known && !r.in.Facts.Complete {
		return cel.Unknown(facts.MissingObject("namespaceObject:", "v1/Namespace", "", r.namespace))
	}
	o, _, err := r.in.Facts.Get(resource.ID{Kind: namespaceKind, Name: r.namespace})
	if err != nil {
		return cel.Unknown(err)
	}
	set := map[string]any{"kubernetes.io/metadata.name": r.namespace}
	for k, v := range labels {
		set[k] = v
	}
	meta := map[string]any{"name": r.namespace, "labels": set}
	written, _ := o["metadata"].(map[string]any)
	for _, name := range []string{"annotations", "finalizers", "generateName", "creationTimestamp", "deletionTimestamp", "uid", "resourceVersion", "generation"} {
		if v, ok := written[name]; ok {
			meta[name] = v
		}
	}
	out := map[string]any{"metadata": meta, "spec": map[string]any{"finalizers": []any{"kubernetes"}}, "status": map[string]any{"phase": "Active"}}
	for _, name := range []string{"spec", "status"} {
		if v, ok := o[name].(map[string]any); ok && len(v) > 0 {
			out[name] = v
		}
	}
	return out
}
