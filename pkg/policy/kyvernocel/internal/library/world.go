package library

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/cel-go/common/types"

	"github.com/oneloop-dev/oneloop/pkg/digest"
	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// A World is what functions that look something up may know: the objects of the
// stream and of the facts, recorded answers, and the time of the request.
type World struct {
	Facts *facts.Facts
	Now   func() time.Time // nil when nobody declared a time
	// Namespace is that of the policy, "" when it is cluster-scoped.
	Namespace string
	// Digests answers image.GetMetadata, for what the facts say nothing about; nil
	// when nobody may ask.
	Digests digest.Resolver
	// Context ends what Digests does; nil: never.
	Context context.Context //nolint:containedctx // functions of CEL get none
}

// Values returns the variables that Options declares, but for exceptions.
func (w *World) Values() map[string]any {
	out := map[string]any{
		"json": opaque{jsonType}, "yaml": opaque{yamlType},
		"resource":      world{opaque{resourceType}, w},
		"globalContext": world{opaque{globalContextType}, w},
		"http":          world{opaque{httpType}, w},
		"image":         world{opaque{imageDataType}, w},
		now:             types.WrapErr(facts.MissingTime("time.now()")),
	}
	if w.Now != nil {
		out[now] = types.Timestamp{Time: w.Now()}
	}
	return out
}

// world is the receiver of the functions that look something up.
type world struct {
	opaque
	*World
}

// A place is where objects of a kind are, as resource.Get names it.
type place struct {
	group, version string
	resource       string // plural, with a subresource
	namespace      string // "": none, or all
}

func newPlace(apiVersion, resources, namespace string) (place, error) {
	group, version, ok := strings.Cut(apiVersion, "/")
	if !ok {
		group, version = "", apiVersion
	}
	if version == "" || strings.Contains(version, "/") {
		return place{}, fmt.Errorf("expected an apiVersion such as apps/v1, found %q", apiVersion)
	}
	if resources == "" || strings.ToLower(resources) != resources {
		return place{}, fmt.Errorf("expected the name of a resource such as configmaps, found %q", resources)
	}
	return place{group, version, resources, namespace}, nil
}

// path is the path of the API server; name may be "".
func (p place) path(name string) string {
	out := "/apis/" + p.group + "/" + p.version
	if p.group == "" {
		out = "/api/" + p.version
	}
	if p.namespace != "" {
		out += "/namespaces/" + p.namespace
	}
	resources, sub, _ := strings.Cut(p.resource, "/")
	for _, part := range []string{resources, name, sub} {
		if part != "" {
			out += "/" + part
		}
	}
	return out
}

// errNotFound says that there is no such object, as somebody declared.
var errNotFound = errors.New("not found")

// recorded returns the recorded answer of a call of the API server.
func (w *World) recorded(method, path string, data any) (any, bool, error) {
	call, ok := w.Facts.APICall(method, path, data)
	if !ok {
		return nil, false, nil
	}
	if call.Error == "" {
		return call.Response, true, nil
	}
	if text := strings.ToLower(call.Error); strings.Contains(text, "not found") || strings.Contains(text, "notfound") {
		return nil, false, fmt.Errorf("%w: %s %s, as the facts say", errNotFound, method, path)
	}
	return nil, false, fmt.Errorf("%s %s failed, as the facts say: %s", method, path, call.Error)
}

// get returns an object. One that nobody knows is an error, unless the facts say
// that there is none.
func (w *World) get(p place, name string) (any, error) {
	if name == "" {
		return nil, errors.New("resource.Get: the name is empty")
	}
	path := p.path(name)
	if answer, ok, err := w.recorded("GET", path, nil); ok || err != nil {
		return answer, err
	}
	if strings.Contains(p.resource, "/") {
		return nil, facts.MissingCall("GET", path, nil)
	}
	kind, known := w.kind(p)
	id := resource.ID{Kind: kind, Namespace: p.namespace, Name: name}
	if known {
		if p.namespace == "" && standard(kind) && !resource.ClusterScoped(kind) {
			return nil, fmt.Errorf("resource.Get: a %s is in a namespace, and the policy names none", kind.Kind)
		}
		o, ok, err := w.Facts.Get(id)
		if err != nil {
			return nil, err
		}
		if ok {
			return inNamespace(o, p.namespace), nil
		}
	}
	if w.Facts.Complete {
		return nil, errNotFound
	}
	if kind.Kind == "" {
		return nil, facts.MissingCall("GET", path, nil)
	}
	return nil, fmt.Errorf("%w\nWhere the cluster has none, give the answer {urlPath: %s, error: not found} as one of apiCalls of ClusterFacts",
		facts.MissingObject("resource.Get:", kind.APIVersion()+"/"+kind.Kind, p.namespace, name), path)
}

// list returns a list of objects. It holds those that are known, once there is
// one of that kind.
func (w *World) list(p place, labels map[string]string) (any, error) {
	path := p.path("")
	if len(labels) > 0 {
		var terms []string
		for _, k := range slices.Sorted(maps.Keys(labels)) {
			terms = append(terms, k+"="+labels[k])
		}
		if answer, ok, err := w.recorded("GET", path+"?labelSelector="+strings.Join(terms, ","), nil); ok || err != nil {
			return answer, err
		}
	}
	if answer, ok, err := w.recorded("GET", path, nil); err != nil {
		return nil, err
	} else if ok {
		return selected(answer, labels), nil
	}
	kind, known := w.kind(p)
	if !known && !w.Facts.Complete {
		return nil, facts.MissingCall("GET", path, nil)
	}
	objects, err := w.Facts.List(kind.Group, kind.Kind, p.namespace)
	if err != nil {
		return nil, err
	}
	items := make([]any, len(objects))
	for i, o := range objects {
		namespace := p.namespace
		if id := resource.IDOf(o); namespace == "" && id.Namespace == "" && !resource.ClusterScoped(id.Kind) && standard(id.Kind) {
			namespace = w.Facts.DefaultNamespace
		}
		items[i] = inNamespace(o, namespace)
	}
	return selected(map[string]any{
		"apiVersion": kind.APIVersion(), "kind": kind.Kind + "List", "metadata": map[string]any{}, "items": items,
	}, labels), nil
}

// post returns the recorded answer of a request that creates something.
func (w *World) post(p place, data any) (any, error) {
	path := p.path("")
	answer, ok, err := w.recorded("POST", path, data)
	if ok || err != nil {
		return answer, err
	}
	return nil, facts.MissingCall("POST", path, data)
}

// kind finds the kind of what is called p.resource. It is known when an object of
// it is.
func (w *World) kind(p place) (kind resource.Kind, known bool) {
	resources, _, _ := strings.Cut(p.resource, "/")
	for _, k := range w.Facts.Kinds() {
		if k.Group == p.group && resource.Plural(k.Kind) == resources {
			return resource.Kind{Group: p.group, Version: p.version, Kind: k.Kind}, true
		}
	}
	return resource.Kind{Group: p.group, Version: p.version, Kind: standardKinds()[[2]string{p.group, resources}]}, false
}

// selected leaves only what has the labels in a list.
func selected(answer any, labels map[string]string) any {
	list, ok := answer.(map[string]any)
	items, isList := list["items"].([]any)
	if len(labels) == 0 || !ok || !isList {
		return answer
	}
	kept := []any{}
	for _, item := range items {
		o, _ := item.(map[string]any)
		meta, _ := o["metadata"].(map[string]any)
		has, _ := meta["labels"].(map[string]any)
		matches := true
		for k, v := range labels {
			matches = matches && has[k] == v
		}
		if matches {
			kept = append(kept, item)
		}
	}
	list = maps.Clone(list)
	list["items"] = kept
	return list
}

// inNamespace returns o with the namespace that the API server would have filled
// in.
func inNamespace(o resource.Object, namespace string) resource.Object {
	if namespace == "" || resource.IDOf(o).Namespace != "" {
		return o
	}
	return resource.WithNamespace(o, namespace)
}

// global returns the value of a GlobalContextEntry, or one of its projections.
func (w *World) global(name, projection string) (any, error) {
	if w.Namespace != "" {
		return nil, errors.New("globalContext is not allowed in the policies of a namespace")
	}
	v, ok := w.Facts.GlobalContext(name)
	if !ok {
		return nil, facts.MissingGlobal(name)
	}
	if projection == "" {
		return v, nil
	}
	fields, _ := v.(map[string]any)
	v, ok = fields[projection]
	if !ok {
		return nil, fmt.Errorf("the value of GlobalContextEntry %s has no projection %q: %w; declare it as a field of the value", name, projection, facts.ErrMissing)
	}
	return v, nil
}

// request returns the recorded answer of a service.
func (w *World) request(method, url string, data any) (any, error) {
	if w.Namespace != "" {
		return nil, errors.New("http calls are not allowed in the policies of a namespace, unless Kyverno is started with --allowHTTPInNamespacedPolicies")
	}
	answer, ok, err := w.recorded(method, url, data)
	if ok || err != nil {
		return answer, err
	}
	return nil, facts.MissingCall(method, url, data)
}
