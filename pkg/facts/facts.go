// Package facts holds what a cluster would have known at admission time, given
// as data: other objects, namespace labels, the requester, answers of API
// calls, and the values of Kyverno's command-line test files.
//
// A Facts value is built by the command line from files and from the stream,
// and is read-only while policies apply. Every lookup says whether it knows;
// callers turn "unknown" into an error that wraps ErrMissing.
package facts

import (
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/oneloop-dev/oneloop/pkg/jsonvalue"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// ErrMissing is wrapped by every error that says that a run was not told a
// fact it needs. The command line exits with 4 on it.
var ErrMissing = errors.New("cluster fact missing")

// A UserInfo is the requester, as in an AdmissionReview.
type UserInfo struct {
	Username string              `json:"username,omitempty"`
	UID      string              `json:"uid,omitempty"`
	Groups   []string            `json:"groups,omitempty"`
	Extra    map[string][]string `json:"extra,omitempty"`
}

// Object returns u as JSON values; empty fields are left out.
func (u *UserInfo) Object() map[string]any {
	out := map[string]any{}
	if u.Username != "" {
		out["username"] = u.Username
	}
	if u.UID != "" {
		out["uid"] = u.UID
	}
	if len(u.Groups) > 0 {
		out["groups"] = jsonvalue.Strings(u.Groups)
	}
	if len(u.Extra) > 0 {
		extra := map[string]any{}
		for k, v := range u.Extra {
			extra[k] = jsonvalue.Strings(v)
		}
		out["extra"] = extra
	}
	return out
}

// A Request is what the admission request would have said besides the object.
type Request struct {
	Operation    string   // CREATE unless declared
	User         UserInfo // empty unless declared
	Roles        []string // namespace:name, as Kyverno lists them
	ClusterRoles []string
	UserDeclared bool // whether a requester was given at all
}

// An APICall is a recorded answer of the API server or of a service.
type APICall struct {
	// URLPath is the path of the API server, or the URL of the service.
	URLPath string `json:"urlPath"`
	// Method is GET by default.
	Method string `json:"method,omitempty" enum:"GET,POST"`
	// Data is the body that the answer is for: key and value of each entry of
	// the policy's data. Without it the answer is for every body.
	Data any `json:"data,omitempty"`
	// Response is the decoded body of the answer.
	Response any `json:"response"`
	// Error is what the call failed with, in place of a response.
	Error string `json:"error,omitempty"`
}

// same reports whether c and other are about the same call.
func (c *APICall) same(other *APICall) bool {
	return c.URLPath == other.URLPath && c.method() == other.method() && resource.Equal(c.Data, other.Data)
}

func (c *APICall) method() string {
	if c.Method == "" {
		return "GET"
	}
	return c.Method
}

// Facts is the set of known facts. The zero value is not usable; call New.
type Facts struct {
	Request           Request
	DefaultNamespace  string // how policies see namespaced items that name none
	KubernetesVersion string
	ResourceFilters   []string // of Kyverno's configuration: what it never sees
	// Complete says that nothing exists but what is known, as in a test suite: a
	// kind without objects has none.
	Complete bool
	Now      func() time.Time // the time of the request; nil when it was not declared

	apiCalls      []APICall
	globalContext map[string]any
	images        map[string]map[string]any    // by reference, as policies write it
	nsLabels      map[string]map[string]string // declared by Values.namespaceSelector
	values        []policyValues
	globalValues  map[string]any
	subresources  []Subresource

	objects map[objectKey]*entry
	lists   map[listKey][]*entry  // in the order in which they were added
	kinds   []resource.Kind       // of objects, each once; elements never change
	counts  map[resource.Kind]int // how many objects are of a kind

	derived *sync.Map // of Derived
	secrets *Secrets  // nil: nobody asks which are read
}

// A Subresource tells the kind of a subresource of another kind, as in
// Kyverno's Values files.
type Subresource struct {
	Subresource    APIResource `json:"subresource"`
	ParentResource APIResource `json:"parentResource"`
}

// An APIResource names one API resource.
type APIResource struct {
	Name    string `json:"name,omitempty"`
	Group   string `json:"group,omitempty"`
	Version string `json:"version,omitempty"`
	Kind    string `json:"kind,omitempty"`
}

type objectKey struct{ group, kind, namespace, name string }

// A listKey names the objects of a kind that are written with a namespace, or
// without one, or all of them.
type listKey struct {
	group, kind, namespace string
	all                    bool
}

// An entry decodes its object when it is first asked for.
type entry struct {
	id     resource.ID
	at     [2]int // in the list of all of its kind, and of its namespace
	decode func() (resource.Object, error)
}

// assumedNamespace is how policies see namespaced items that name none, unless
// facts say otherwise.
const assumedNamespace = "default"

// New returns facts that know nothing but the defaults: operation CREATE and
// the namespace that is assumed.
func New() *Facts {
	return &Facts{
		Request:          Request{Operation: "CREATE"},
		DefaultNamespace: assumedNamespace,
		objects:          map[objectKey]*entry{},
		lists:            map[listKey][]*entry{},
		counts:           map[resource.Kind]int{},
		derived:          &sync.Map{},
	}
}

// Clone returns a copy that can be extended without changing f.
func (f *Facts) Clone() *Facts {
	c := *f
	c.objects = maps.Clone(f.objects)
	c.lists = make(map[listKey][]*entry, len(f.lists))
	for k, list := range f.lists {
		c.lists[k] = slices.Clone(list)
	}
	c.kinds, c.counts = slices.Clone(f.kinds), maps.Clone(f.counts)
	c.derived = &sync.Map{}
	return &c
}

// CRD is the kind of the objects that describe custom resources.
var CRD = resource.Kind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"}

// Derived returns what derive made of f, which it calls once for each key: for
// what takes long and depends on nothing but the CustomResourceDefinitions among
// the objects. It serves many goroutines.
func Derived[T any](f *Facts, key any, derive func(*Facts) (T, error)) (T, error) {
	once, ok := f.derived.Load(key)
	if !ok {
		once, _ = f.derived.LoadOrStore(key, sync.OnceValues(func() (T, error) { return derive(f) }))
	}
	return once.(func() (T, error))() //nolint:forcetypeassert // a key stands for one type
}

// AddResources makes rs known to lookups, as they are now: a later Update of
// one is not seen. A later one replaces an earlier one of the same group, kind,
// namespace and name.
func (f *Facts) AddResources(rs ...*resource.Resource) {
	for _, r := range rs {
		asRead := *r
		f.add(r.ID(), sync.OnceValues(asRead.Object))
	}
}

// AddObject is AddResources for a JSON view.
func (f *Facts) AddObject(o resource.Object) {
	f.add(resource.IDOf(o), func() (resource.Object, error) { return o, nil })
}

func (f *Facts) add(id resource.ID, decode func() (resource.Object, error)) {
	e := &entry{id: id, decode: decode}
	if id.Kind == CRD {
		f.derived.Clear()
	}
	k := f.key(id)
	old, known := f.objects[k]
	f.objects[k] = e
	for i, list := range []listKey{{k.group, k.kind, "", true}, {k.group, k.kind, k.namespace, false}} {
		if known {
			e.at[i] = old.at[i]
			f.lists[list][e.at[i]] = e
		} else {
			e.at[i] = len(f.lists[list])
			f.lists[list] = append(f.lists[list], e)
		}
	}
	if f.counts[id.Kind]++; f.counts[id.Kind] == 1 {
		f.kinds = append(f.kinds, id.Kind)
	}
	if !known {
		return
	}
	if f.counts[old.id.Kind]--; f.counts[old.id.Kind] == 0 {
		// It was the last one of its version.
		f.kinds = slices.DeleteFunc(slices.Clone(f.kinds), func(k resource.Kind) bool { return k == old.id.Kind })
	}
}

// key identifies an object as written. Versions are left out: one object has
// several.
func (f *Facts) key(id resource.ID) objectKey {
	return objectKey{id.Kind.Group, id.Kind.Kind, id.Namespace, id.Name}
}

// namespaceOf returns the namespace an object lives in: none for cluster-scoped
// kinds, DefaultNamespace for other objects that name none.
func (f *Facts) namespaceOf(id resource.ID) string {
	if id.Namespace != "" || resource.ClusterScoped(id.Kind) {
		return id.Namespace
	}
	return f.DefaultNamespace
}

// Get returns the object id names; the version is not compared, and no
// namespace means DefaultNamespace.
func (f *Facts) Get(id resource.ID) (resource.Object, bool, error) {
	e, ok := f.objects[f.key(id)]
	if !ok && id.Namespace == "" {
		id.Namespace = f.DefaultNamespace
		e, ok = f.objects[f.key(id)]
	} else if !ok && id.Namespace == f.DefaultNamespace {
		id.Namespace = ""
		e, ok = f.objects[f.key(id)]
	}
	if !ok {
		return nil, false, nil
	}
	o, err := e.decode()
	f.sawObject(o)
	return o, err == nil, err
}

// List returns the objects of a group and kind in the order they were added;
// namespace "" means all namespaces.
func (f *Facts) List(group, kind, namespace string) ([]resource.Object, error) {
	list := f.lists[listKey{group, kind, namespace, namespace == ""}]
	if namespace != "" && namespace == f.DefaultNamespace {
		// Objects need not say it.
		list = slices.Concat(list, f.lists[listKey{group, kind, "", false}])
		slices.SortFunc(list, func(a, b *entry) int { return a.at[0] - b.at[0] })
	}
	var out []resource.Object
	for _, e := range list {
		if namespace != "" && f.namespaceOf(e.id) != namespace {
			continue
		}
		o, err := e.decode()
		if err != nil {
			return nil, err
		}
		f.sawObject(o)
		out = append(out, o)
	}
	return out, nil
}

// NamespaceLabels returns the labels of a namespace, from a Namespace object
// or from Kyverno's Values. The label kubernetes.io/metadata.name is always
// there when the namespace is known, as the API server sets it.
func (f *Facts) NamespaceLabels(name string) (labels map[string]string, known bool) {
	labels = map[string]string{}
	if o, ok, err := f.Get(resource.ID{Kind: resource.Kind{Version: "v1", Kind: "Namespace"}, Name: name}); ok && err == nil {
		known = true
		meta, _ := o["metadata"].(map[string]any)
		set, _ := meta["labels"].(map[string]any)
		for k, v := range set {
			if s, ok := v.(string); ok {
				labels[k] = s
			}
		}
	}
	if declared, ok := f.nsLabels[name]; ok {
		known = true
		maps.Copy(labels, declared)
	}
	if known {
		labels["kubernetes.io/metadata.name"] = name
	}
	return labels, known
}

// Subresources lists the declared kinds of subresources.
func (f *Facts) Subresources() []Subresource { return f.subresources }

// APICall returns the recorded call with a method, a URL path and the data that
// it sends; one that was recorded without data answers when none has this. Data
// is nil when nothing is sent, or what is sent is not known.
func (f *Facts) APICall(method, urlPath string, data any) (APICall, bool) {
	asked := APICall{Method: method, URLPath: urlPath, Data: data}
	i := slices.IndexFunc(f.apiCalls, func(c APICall) bool { return c.same(&asked) })
	if i < 0 && data != nil {
		return f.APICall(method, urlPath, nil)
	}
	if i < 0 {
		return APICall{}, false
	}
	f.sawAnswer(f.apiCalls[i].Response)
	return f.apiCalls[i], true
}

// GlobalContext returns the declared value of a GlobalContextEntry.
func (f *Facts) GlobalContext(name string) (any, bool) {
	v, ok := f.globalContext[name]
	f.sawAnswer(v)
	return v, ok
}

// Image returns what is declared about an image: the fields that Kyverno's
// image.GetMetadata gives. The reference is compared as text.
func (f *Facts) Image(reference string) (map[string]any, bool) {
	v, ok := f.images[reference]
	return v, ok
}

// Kinds returns the kinds of the known objects, each once, in the order in
// which they were added. Objects added later do not show in it.
func (f *Facts) Kinds() []resource.Kind { return slices.Clip(f.kinds) }
