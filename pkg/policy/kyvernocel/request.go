package kyvernocel

import (
	"fmt"
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/expr/cel"
	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/patch/apply"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/internal/constraints"
	"github.com/oneloop-dev/oneloop/pkg/policy/internal/resourcefilter"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// A request is an admission request about one resource, as policies see it.
type request struct {
	in          policy.Input
	kinds       *constraints.Kinds
	kind        resource.Kind // of a subresource, its parent's
	subresource string
	namespace   string // as policies see it
	assumed     bool   // the resource names no namespace; policies see namespace all the same
	operation   string

	dropped []string // fields that a policy added and the kind does not have
}

func newRequest(in policy.Input) (*request, error) {
	kinds, err := constraints.KindsOf(in.Facts)
	if err != nil {
		return nil, err
	}
	r := &request{kinds: kinds, in: in, kind: in.ID.Kind, namespace: in.ID.Namespace, operation: in.Facts.Request.Operation}
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
	r.namespace = r.seenNamespace(in.ID)
	r.assumed = r.namespace != in.ID.Namespace
	return r, nil
}

// seenNamespace is the namespace of an object as policies see it.
func (r *request) seenNamespace(id resource.ID) string {
	if id.Namespace == "" && !r.kinds.ClusterScoped(id.Kind) {
		return r.in.Facts.DefaultNamespace
	}
	return id.Namespace
}

// filtered returns the filter of Kyverno's configuration that keeps the request
// from it, "" when none does.
func (r *request) filtered() string {
	return resourcefilter.Filtered(r.in.Facts, r.kind, r.subresource, r.namespace, r.in.ID.Name)
}

// notices tells what became of the resource besides what the policy says.
func (r *request) notices() []policy.Result {
	if len(r.dropped) == 0 {
		return nil
	}
	message := fmt.Sprintf("%s has no field %s in Kubernetes 1.36, whose API server drops what the policy adds there, as is done here", r.in.ID.Kind, strings.Join(r.dropped, ", "))
	r.dropped = nil
	return []policy.Result{{Outcome: policy.Noticed, Message: message}}
}

// show returns o as policies see it, in the JSON that the API server sends to a
// webhook: with the namespace that it would have filled in, and with the structs
// that its types always have.
func (r *request) show(o resource.Object) (resource.Object, error) {
	if r.assumed {
		o = resource.WithNamespace(o, r.namespace)
	}
	return apply.BuiltIn().Shown(resource.IDOf(o).Kind, o)
}

// hide undoes show for what became of an object, unless somebody changed the
// namespace or filled a struct.
func (r *request) hide(written, o resource.Object) (resource.Object, error) {
	if r.assumed {
		o = resource.WithoutNamespace(o, r.namespace)
	}
	return apply.BuiltIn().Hidden(resource.IDOf(o).Kind, written, o)
}

// subject is what policies match o as.
func (r *request) subject(o resource.Object) *constraints.Subject {
	s := &constraints.Subject{
		Kind: r.kind, Subresource: r.subresource, Name: r.in.ID.Name, Namespace: r.requestNamespace(),
		Operation: r.operation, Object: o, Facts: r.in.Facts, Kinds: r.kinds,
	}
	if r.operation == "DELETE" {
		s.Object, s.Old = nil, o
	}
	return s
}

// objects returns object and oldObject of the request; what it has not is empty.
func (r *request) objects(o resource.Object) (object, old resource.Object, err error) {
	if object, err = r.show(o); err != nil {
		return nil, nil, err
	}
	if r.operation == "DELETE" {
		return resource.Object{}, object, nil
	}
	old, err = r.oldObject(object)
	return object, old, err
}

// oldObject returns oldObject of a request about what policies see as o.
func (r *request) oldObject(o resource.Object) (resource.Object, error) {
	switch {
	case r.operation == "DELETE":
		return o, nil
	case r.operation != "UPDATE":
		return resource.Object{}, nil
	case r.in.Old != nil:
		return r.show(r.in.Old)
	case r.in.Requested != nil:
		// When nothing tells how the object was before, it was the same, as in
		// Kyverno's command line.
		return r.show(r.in.Requested)
	}
	return o, nil
}

// variable returns the variable request. Its object is the resource as it was
// before all policies, and stays so.
func (r *request) variable() (map[string]any, error) {
	requested := r.in.Object
	if r.in.Requested != nil {
		requested = r.in.Requested
	}
	object, old, err := r.objects(requested)
	if err != nil {
		return nil, err
	}
	kind := map[string]any{"group": r.kind.Group, "version": r.kind.Version, "kind": r.kind.Kind}
	plural := map[string]any{"group": r.kind.Group, "version": r.kind.Version, "resource": r.kinds.Resource(r.kind)}
	out := map[string]any{
		"uid": "", "kind": kind, "resource": plural, "requestKind": kind, "requestResource": plural,
		"name": r.in.ID.Name, "namespace": r.requestNamespace(), "operation": r.operation, "dryRun": false,
		"object": object, "oldObject": old, "options": nil,
		"userInfo": r.user(),
	}
	if r.subresource != "" {
		out["subResource"], out["requestSubResource"] = r.subresource, r.subresource
	}
	// As in JSON, where what is empty is left out.
	for _, name := range []string{"name", "namespace"} {
		if out[name] == "" {
			delete(out, name)
		}
	}
	options := map[string]string{"CREATE": "CreateOptions", "UPDATE": "UpdateOptions", "DELETE": "DeleteOptions"}[r.operation]
	if options != "" {
		out["options"] = map[string]any{"apiVersion": "meta.k8s.io/v1", "kind": options}
	}
	return out, nil
}

// requestNamespace is that of the request: about a Namespace, it is its name.
func (r *request) requestNamespace() string {
	if r.kind == (resource.Kind{Version: "v1", Kind: "Namespace"}) {
		return r.in.ID.Name
	}
	return r.namespace
}

// user returns the requester.
func (r *request) user() any {
	known := &r.in.Facts.Request
	if !known.UserDeclared {
		return cel.Unknown(facts.MissingUser("request.userInfo"))
	}
	return known.User.Object()
}

// namespaceObject returns the Namespace that the resource is in: null when it is
// in none or is one itself.
func (r *request) namespaceObject() (any, error) {
	if r.kind == (resource.Kind{Version: "v1", Kind: "Namespace"}) && r.operation != "CREATE" {
		o, err := r.show(r.in.Object)
		if err != nil {
			return nil, err
		}
		return r.oldObject(o) // it is there already
	}
	if r.namespace == "" {
		return nil, nil
	}
	id := resource.ID{Kind: resource.Kind{Version: "v1", Kind: "Namespace"}, Name: r.namespace}
	o, ok, err := r.in.Facts.Get(id)
	if err != nil {
		return nil, err
	}
	if ok {
		return o, nil
	}
	labels, known := r.in.Facts.NamespaceLabels(r.namespace)
	if !known {
		return cel.Unknown(facts.MissingObject("namespaceObject:", "v1/Namespace", "", r.namespace)), nil
	}
	set := make(map[string]any, len(labels))
	for k, v := range labels {
		set[k] = v
	}
	return resource.Object{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": r.namespace, "labels": set}}, nil
}
