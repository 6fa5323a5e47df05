package facts

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/oneloop-dev/oneloop/pkg/decode"
	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/jsonvalue"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// Kind is the kind of a document that declares facts.
var Kind = resource.Kind{Group: oneloop, Version: "v1alpha1", Kind: "ClusterFacts"}

// A Spec is what a user declares: spec of kind ClusterFacts, and
// spec.clusterFacts of ApplyPolicies.
type Spec struct {
	// Resources are objects that policies may look up: Namespaces, ConfigMaps,
	// parameters, CustomResourceDefinitions.
	Resources []map[string]any `json:"resources,omitempty"`
	// Files hold the same. The caller reads them, who knows where from.
	Files []string `json:"files,omitempty"`
	// APICalls are recorded answers of the API server or of a service.
	APICalls []APICall `json:"apiCalls,omitempty"`
	// GlobalContext gives GlobalContextEntries their values, by name.
	GlobalContext map[string]any `json:"globalContext,omitempty"`
	// Images are what a registry tells of images, as in Kyverno's Context: image
	// is the reference, the other fields are those of image.GetMetadata.
	Images []map[string]any `json:"images,omitempty"`
	// UserInfo is who makes the request.
	UserInfo *Requester `json:"userInfo,omitempty"`
	// Operation is what the request does; CREATE by default.
	Operation string `json:"operation,omitempty" enum:"CREATE,UPDATE,DELETE,CONNECT"`
	// DefaultNamespace is how policies see items that name none; "default".
	DefaultNamespace string `json:"defaultNamespace,omitempty"`
	// KubernetesVersion is that of the cluster, such as 1.34; the newest. New
	// policies in Kubernetes' own CEL have the functions that it accepts.
	KubernetesVersion string `json:"kubernetesVersion,omitempty"`
	// ResourceFilters are those of Kyverno's ConfigMap, such as
	// "[*/*,kube-system,*]": kind, namespace and name of what Kyverno never sees.
	ResourceFilters []string `json:"resourceFilters,omitempty"`
	// Now is the time of the request in RFC 3339, for policies that ask for it.
	Now string `json:"now,omitempty"`
}

// A Requester is who makes the request, with the roles that are bound to it.
type Requester struct {
	UserInfo
	Roles        []string `json:"roles,omitempty"`
	ClusterRoles []string `json:"clusterRoles,omitempty"`
}

// Faults returns what is wrong with the values of s.
func (s *Spec) Faults() []decode.Fault {
	var out []decode.Fault
	fault := func(at fieldpath.Path, format string, args ...any) {
		out = append(out, decode.Fault{Path: at, Message: fmt.Sprintf(format, args...)})
	}
	var root fieldpath.Path
	for i, o := range s.Resources {
		at := root.Key("resources").Index(i)
		if id := resource.IDOf(o); id.Kind.Kind == "" || id.Name == "" {
			fault(at, "expected an object with kind and metadata.name")
		}
		for _, f := range labelFaults(o) {
			fault(slices.Concat(at, f.Path), "%s", f.Message)
		}
	}
	for i, c := range s.APICalls {
		at := root.Key("apiCalls").Index(i)
		switch {
		case c.URLPath == "":
			fault(at, "expected a urlPath: the path of the API server, or the URL of the service")
		case c.Error != "" && c.Response != nil:
			fault(at.Key("error"), "expected either a response or the error of the call")
		}
	}
	for i, image := range s.Images {
		if reference, _ := image["image"].(string); reference == "" {
			fault(root.Key("images").Index(i), "expected an image: the reference that policies ask for")
		}
	}
	for i, filter := range s.ResourceFilters {
		if !strings.HasPrefix(filter, "[") || !strings.HasSuffix(filter, "]") || strings.Count(filter, ",") > 2 {
			fault(root.Key("resourceFilters").Index(i), "expected [kind,namespace,name], found %q", filter)
		}
	}
	if s.DefaultNamespace != "" && len(validation.IsDNS1123Label(s.DefaultNamespace)) > 0 {
		fault(root.Key("defaultNamespace"), "expected the name of a namespace, found %q", s.DefaultNamespace)
	}
	if s.Now != "" {
		if _, err := time.Parse(time.RFC3339, s.Now); err != nil {
			fault(root.Key("now"), "expected a time such as 2026-01-31T00:00:00Z, found %q", s.Now)
		}
	}
	return out
}

// labelFaults finds labels of a Namespace that are no text: the API server has
// none, and a selector would pass them over.
func labelFaults(o resource.Object) []decode.Fault {
	if resource.IDOf(o).Kind != (resource.Kind{Version: "v1", Kind: "Namespace"}) {
		return nil
	}
	meta, _ := o["metadata"].(map[string]any)
	labels, _ := meta["labels"].(map[string]any)
	var out []decode.Fault
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		if _, ok := labels[k].(string); !ok {
			out = append(out, decode.Fault{Path: fieldpath.Path{}.Key("metadata").Key("labels").Key(k),
				Message: "expected a string, found " + jsonvalue.Describe(labels[k]) + "; quote it"})
		}
	}
	return out
}

// Declare adds what s declares. It reads no files: s.Files is for the caller.
func (f *Facts) Declare(s Spec) error {
	var errs []error
	for _, fault := range s.Faults() {
		errs = append(errs, fmt.Errorf("clusterFacts at %s: %s", fault.Path, fault.Message))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for _, o := range s.Resources {
		f.AddObject(o)
	}
	f.apiCalls = append(f.apiCalls[:len(f.apiCalls):len(f.apiCalls)], s.APICalls...)
	if len(s.GlobalContext) > 0 {
		merged := maps.Clone(s.GlobalContext)
		for k, v := range f.globalContext {
			if _, ok := merged[k]; !ok {
				merged[k] = v
			}
		}
		f.globalContext = merged
	}
	if len(s.Images) > 0 {
		merged := maps.Clone(f.images)
		if merged == nil {
			merged = map[string]map[string]any{}
		}
		for _, image := range s.Images {
			reference, _ := image["image"].(string)
			merged[reference] = image
		}
		f.images = merged
	}
	if u := s.UserInfo; u != nil {
		f.Request.User, f.Request.Roles, f.Request.ClusterRoles = u.UserInfo, u.Roles, u.ClusterRoles
		f.Request.UserDeclared = true
	}
	if s.Operation != "" {
		f.Request.Operation = s.Operation
	}
	if s.DefaultNamespace != "" {
		f.DefaultNamespace = s.DefaultNamespace
	}
	if s.KubernetesVersion != "" {
		f.KubernetesVersion = s.KubernetesVersion
	}
	f.ResourceFilters = append(f.ResourceFilters, s.ResourceFilters...)
	if s.Now != "" {
		t, err := time.Parse(time.RFC3339, s.Now)
		if err != nil {
			return err
		}
		f.Now = func() time.Time { return t }
	}
	return nil
}

// clusterFacts is a document of kind ClusterFacts.
type clusterFacts struct {
	APIVersion string         `json:"apiVersion"`
	Kind       string         `json:"kind"`
	Metadata   map[string]any `json:"metadata,omitempty"`
	Spec       Spec           `json:"spec"`
}

// values is Kyverno's cli.kyverno.io Values, in its 1.19 form.
type values struct {
	APIVersion        string           `json:"apiVersion,omitempty"`
	Kind              string           `json:"kind,omitempty"`
	Metadata          map[string]any   `json:"metadata,omitempty"`
	GlobalValues      map[string]any   `json:"globalValues,omitempty"`
	Policies          []policyValues   `json:"policies,omitempty"`
	NamespaceSelector []namespace      `json:"namespaceSelector,omitempty"`
	Namespaces        []map[string]any `json:"namespaces,omitempty"`
	Subresources      []subresource    `json:"subresources,omitempty"`
}

type policyValues struct {
	Name      string           `json:"name"`
	Resources []resourceValues `json:"resources,omitempty"`
	Rules     []RuleValues     `json:"rules,omitempty"`
}

type resourceValues struct {
	Name   string         `json:"name"`
	Values map[string]any `json:"values,omitempty"`
}

// RuleValues are the values that a Kyverno Values file gives to one rule: they
// stand for what the rule's context entries would have loaded.
type RuleValues struct {
	Name          string           `json:"name"`
	Values        map[string]any   `json:"values,omitempty"`
	ForeachValues map[string][]any `json:"foreachValues,omitempty"`
}

type namespace struct {
	Name   string            `json:"name"`
	Labels map[string]string `json:"labels"`
}

// subresource accepts every field of metav1.APIResource; only some are used.
type subresource struct {
	Subresource    map[string]any `json:"subresource"`
	ParentResource map[string]any `json:"parentResource"`
}

// userInfo is Kyverno's cli.kyverno.io UserInfo.
type userInfo struct {
	APIVersion   string         `json:"apiVersion,omitempty"`
	Kind         string         `json:"kind,omitempty"`
	Metadata     map[string]any `json:"metadata,omitempty"`
	Roles        []string       `json:"roles,omitempty"`
	ClusterRoles []string       `json:"clusterRoles,omitempty"`
	UserInfo     UserInfo       `json:"userInfo,omitempty"`
	// Synthetic belongs to Kyverno's own bookkeeping and means nothing here.
	Synthetic bool `json:"synthetic,omitempty"`
}

// cliContext is Kyverno's cli.kyverno.io Context.
type cliContext struct {
	APIVersion string         `json:"apiVersion,omitempty"`
	Kind       string         `json:"kind,omitempty"`
	Metadata   map[string]any `json:"metadata,omitempty"`
	Spec       struct {
		Resources []map[string]any `json:"resources,omitempty"`
		Images    []map[string]any `json:"images,omitempty"`
	} `json:"spec"`
}

// Groups of the kinds that are not plain objects.
const (
	kyvernoCLI = "cli.kyverno.io"
	oneloop    = "oneloop.dev"
)

// AddDocuments adds what a facts file says: Kyverno's Values, UserInfo and
// Context, our own ClusterFacts, and every other document as a plain object of
// the cluster. The error joins all faults, each with file and line.
func (f *Facts) AddDocuments(docs []*resource.Resource) error {
	var errs []error
	for _, d := range docs {
		if err := f.addDocument(d); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (f *Facts) addDocument(d *resource.Resource) error {
	kind := d.ID().Kind
	switch {
	case kind.Group == kyvernoCLI && (kind.Kind == "Values" || kind.Kind == "Value"):
		var v values
		if err := into(d, &v); err != nil {
			return err
		}
		f.addValues(v)
		return nil
	case kind.Group == kyvernoCLI && kind.Kind == "UserInfo":
		var u userInfo
		if err := into(d, &u); err != nil {
			return err
		}
		return f.Declare(Spec{UserInfo: &Requester{UserInfo: u.UserInfo, Roles: u.Roles, ClusterRoles: u.ClusterRoles}})
	case kind.Group == kyvernoCLI && kind.Kind == "Context":
		var c cliContext
		if err := into(d, &c); err != nil {
			return err
		}
		return f.Declare(Spec{Resources: c.Spec.Resources, Images: c.Spec.Images})
	case kind.Group == oneloop && kind.Kind == "ClusterFacts":
		var c clusterFacts
		if err := into(d, &c); err != nil {
			return err
		}
		if len(c.Spec.Files) > 0 {
			return fmt.Errorf("%s: ClusterFacts/%s: spec.files is only read in ApplyPolicies; give each file to --facts", d.Origin(), d.ID().Name)
		}
		if err := faultsAt(d, fieldpath.Path{}.Key("spec"), c.Spec.Faults()); err != nil {
			return err
		}
		return f.Declare(c.Spec)
	case kind.Group == kyvernoCLI || kind.Group == oneloop:
		return fmt.Errorf("%s: %s is not a kind of facts; expected Values, UserInfo or Context (%s), ClusterFacts (%s) or plain Kubernetes objects",
			d.Origin(), kind, kyvernoCLI, oneloop)
	case kind.Kind == "":
		return fmt.Errorf("%s: expected an object of the cluster, a ClusterFacts, or Kyverno's Values or UserInfo, found a document without kind", d.Origin())
	}
	if kind == (resource.Kind{Version: "v1", Kind: "Namespace"}) {
		o, err := d.Object()
		if err != nil {
			return err
		}
		if err := faultsAt(d, nil, labelFaults(o)); err != nil {
			return err
		}
	}
	f.AddResources(d)
	return nil
}

// into decodes d strictly and names file and line of each fault.
func into(d *resource.Resource, target any) error {
	o, err := d.Object()
	if err != nil {
		return err
	}
	return faultsAt(d, nil, decode.Strict(o, target))
}

// faultsAt names file and line of faults below a path of d.
func faultsAt(d *resource.Resource, below fieldpath.Path, faults []decode.Fault) error {
	var errs []error
	for _, fault := range faults {
		path := slices.Concat(below, fault.Path)
		at := d.Origin()
		if line := d.Line(path); line > 0 {
			at.Line = line
		}
		errs = append(errs, fmt.Errorf("%s: %s at %s: %s", at, d.ID(), path, fault.Message))
	}
	return errors.Join(errs...)
}

func (f *Facts) addValues(v values) {
	if len(v.GlobalValues) > 0 {
		merged := maps.Clone(f.globalValues)
		if merged == nil {
			merged = map[string]any{}
		}
		maps.Copy(merged, v.GlobalValues)
		f.globalValues = merged
		if op, ok := v.GlobalValues["request.operation"].(string); ok && op != "" {
			f.Request.Operation = op
		}
	}
	f.values = append(f.values[:len(f.values):len(f.values)], v.Policies...)
	declared := maps.Clone(f.nsLabels)
	if declared == nil {
		declared = map[string]map[string]string{}
	}
	for _, n := range v.NamespaceSelector {
		declared[n.Name] = n.Labels
	}
	f.nsLabels = declared
	for _, n := range v.Namespaces {
		o := maps.Clone(n)
		o["apiVersion"], o["kind"] = "v1", "Namespace"
		f.AddObject(o)
	}
	for _, s := range v.Subresources {
		f.subresources = append(f.subresources[:len(f.subresources):len(f.subresources)], Subresource{
			Subresource:    apiResource(s.Subresource),
			ParentResource: apiResource(s.ParentResource),
		})
	}
}

func apiResource(m map[string]any) APIResource {
	text := func(key string) string { s, _ := m[key].(string); return s }
	return APIResource{Name: text("name"), Group: text("group"), Version: text("version"), Kind: text("kind")}
}

// ResourceValues returns the values that Kyverno Values files give to one
// resource (by its name) under a policy: global values first, then the
// resource's own. Keys are JMESPath-like dotted paths, such as
// request.operation. The result is nil when there are none.
func (f *Facts) ResourceValues(policy, name string) map[string]any {
	out := f.globalValues
	own := false
	for _, p := range f.values {
		if p.Name != policy {
			continue
		}
		for _, r := range p.Resources {
			if r.Name != name || len(r.Values) == 0 {
				continue
			}
			if !own {
				out, own = maps.Clone(out), true
				if out == nil {
					out = map[string]any{}
				}
			}
			maps.Copy(out, r.Values)
		}
	}
	return out
}

// RuleValues returns what Kyverno Values files give to one rule of a policy.
// As in Kyverno, the first policy of that name that lists the rule counts.
func (f *Facts) RuleValues(policy, rule string) (RuleValues, bool) {
	for _, p := range f.values {
		if p.Name != policy {
			continue
		}
		for _, r := range p.Rules {
			if r.Name == rule {
				return r, true
			}
		}
	}
	return RuleValues{}, false
}
