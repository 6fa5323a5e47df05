package suite

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/expr/jmespath"
	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/load"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// cli is the group of the files of Kyverno's command line.
const cli = "cli.kyverno.io"

// A fixture is what the files of a suite hold.
type fixture struct {
	policies, exceptions []*resource.Resource
	triggers             []*resource.Resource // each identity once
	targets              []*resource.Resource // what rules may change that trigger nothing
	cluster              []*resource.Resource // what is only looked up
	values, userInfo     []*resource.Resource
	warnings             []string
}

// fixture reads the files that the suite names.
func (s *Suite) fixture() (*fixture, error) {
	f := &fixture{}
	var errs []error
	read := func(names ...string) []*resource.Resource {
		docs, err := s.load(s.Origin.Line, names)
		errs = append(errs, err)
		return docs
	}
	f.policies = read(s.policies...)
	f.exceptions = read(s.exceptions...)
	f.triggers = read(s.resources...)
	f.targets = read(s.targets...)
	f.cluster = read(s.params...)
	for _, d := range read(s.cluster...) {
		objects, err := s.clusterResource(d)
		f.cluster, errs = append(f.cluster, objects...), append(errs, err)
	}
	var sources []string
	for _, e := range s.Expectations {
		if e.cloneSources != "" && !slices.Contains(sources, e.cloneSources) {
			sources = append(sources, e.cloneSources)
		}
	}
	f.cluster = append(f.cluster, read(sources...)...)
	if s.context != "" {
		f.values = read(s.context)
	}
	var err error
	switch {
	case s.inlineValues != nil:
		o := maps.Clone(s.inlineValues)
		o["apiVersion"], o["kind"], o["metadata"] = cli+"/v1alpha1", "Values", map[string]any{"name": "values"}
		var d *resource.Resource
		if d, err = resource.New(o); err == nil {
			d.SetOrigin(s.Origin)
			f.values = append(f.values, d)
		}
	case s.values != "":
		var docs []*resource.Resource
		docs, err = f.named(read(s.values), "Values")
		f.values = append(f.values, docs...)
	}
	errs = append(errs, err)
	if s.userInfo != "" {
		f.userInfo, err = f.named(read(s.userInfo), "UserInfo")
		errs = append(errs, err)
	}
	for _, r := range slices.Concat(f.triggers, f.targets, f.cluster) {
		errs = append(errs, r.Complete())
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	f.triggers = f.distinct(f.triggers)
	return f, nil
}

// load reads files and folders that a line of the suite names.
func (s *Suite) load(line int, names []string) ([]*resource.Resource, error) {
	if len(names) == 0 {
		return nil, nil
	}
	at := resource.Origin{File: s.Origin.File, Line: line}
	for _, name := range names {
		if remote(name) {
			return nil, fmt.Errorf("%s: %s: files are not fetched; download it and name the file", at, name)
		}
	}
	docs, err := load.Files(s.paths(names), nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", at, err)
	}
	return docs, nil
}

// named gives documents of older releases, which name no kind, theirs.
func (f *fixture) named(docs []*resource.Resource, kind string) ([]*resource.Resource, error) {
	for i, d := range docs {
		if d.ID().Kind != (resource.Kind{}) {
			continue
		}
		o, err := d.Object()
		if err != nil {
			return nil, err
		}
		o["apiVersion"], o["kind"] = cli+"/v1alpha1", kind
		named, err := resource.New(o)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", d.Origin(), err)
		}
		named.SetOrigin(d.Origin())
		docs[i] = named
		f.warnings = append(f.warnings, fmt.Sprintf("%s: older spelling, which kyverno test refuses: add apiVersion: %s/v1alpha1 and kind: %s", d.Origin(), cli, kind))
	}
	return docs, nil
}

// clusterResource reads a ClusterResource: objects, and files of CRDs.
func (s *Suite) clusterResource(d *resource.Resource) ([]*resource.Resource, error) {
	if kind := d.ID().Kind; kind.Group != cli || kind.Kind != "ClusterResource" {
		return nil, fmt.Errorf("%s: expected a document of kind ClusterResource, found %s", d.Origin(), kind)
	}
	var doc struct {
		APIVersion string         `json:"apiVersion"`
		Kind       string         `json:"kind"`
		Metadata   map[string]any `json:"metadata,omitempty"`
		Spec       struct {
			CRDs      []string         `json:"crds,omitempty"`
			Resources []map[string]any `json:"resources,omitempty"`
		} `json:"spec"`
	}
	if err := strict(d, &doc); err != nil {
		return nil, err
	}
	out, err := s.load(s.Origin.Line, doc.Spec.CRDs)
	errs := []error{err}
	for _, o := range doc.Spec.Resources {
		r, err := resource.New(o)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", d.Origin(), err))
			continue
		}
		r.SetOrigin(d.Origin())
		out = append(out, r)
	}
	return out, errors.Join(errs...)
}

// distinct drops resources that are there a second time.
func (f *fixture) distinct(rs []*resource.Resource) []*resource.Resource {
	type key struct{ group, kind, namespace, name string }
	seen := map[key]*resource.Resource{}
	var out []*resource.Resource
	for _, r := range rs {
		id := identity(r.ID())
		k := key{id.Kind.Group, id.Kind.Kind, id.Namespace, id.Name}
		if first, ok := seen[k]; ok && id.Name != "" {
			f.warnings = append(f.warnings, fmt.Sprintf("%s: %s is there twice; only that at %s counts", r.Origin(), r.ID(), first.Origin()))
			continue
		}
		seen[k] = r
		out = append(out, r)
	}
	return out
}

// facts returns what the suite says about the world. An operation other than ""
// goes before what the values say.
func (s *Suite) facts(f *fixture, operation, now string) (*facts.Facts, error) {
	known := facts.New()
	known.Complete = true
	values := f.values
	if operation != "" {
		values = make([]*resource.Resource, len(f.values))
		for i, d := range f.values {
			var err error
			if values[i], err = withoutOperation(d); err != nil {
				return nil, err
			}
		}
	}
	if err := errors.Join(known.AddDocuments(values), known.AddDocuments(f.userInfo)); err != nil {
		return nil, err
	}
	known.AddResources(f.cluster...)
	known.AddResources(f.targets...)
	known.AddResources(f.triggers...)
	if err := plainNamespaces(known, f.triggers); err != nil {
		return nil, err
	}
	spec := facts.Spec{Operation: operation, Now: now, GlobalContext: map[string]any{}}
	if len(f.userInfo) == 0 {
		// As in kyverno test nobody makes the request: a rule that asks for a
		// requester by role or name matches.
		spec.UserInfo = &facts.Requester{}
	}
	for i, c := range s.apiCalls {
		calls, err := c.recorded()
		if err != nil {
			return nil, fmt.Errorf("%s: at apiCallResponses[%d]: %w", s.Origin, i, err)
		}
		spec.APICalls = append(spec.APICalls, calls...)
	}
	for _, g := range s.globalContext {
		v, err := s.globalValue(g)
		if err != nil {
			return nil, fmt.Errorf("%s: globalContextEntries, %s: %w", s.Origin, g.Name, err)
		}
		spec.GlobalContext[g.Name] = v
	}
	return known, known.Declare(spec)
}

// plainNamespaces makes the namespaces of resources known that nobody tells
// anything about: as in kyverno test, they have no labels.
func plainNamespaces(known *facts.Facts, rs []*resource.Resource) error {
	var plain []any
	seen := map[string]bool{}
	for _, r := range rs {
		name := identity(r.ID()).Namespace
		if _, ok := known.NamespaceLabels(name); ok || name == "" || seen[name] {
			continue
		}
		seen[name] = true
		plain = append(plain, map[string]any{"name": name, "labels": map[string]any{}})
	}
	if len(plain) == 0 {
		return nil
	}
	d, err := resource.New(resource.Object{
		"apiVersion": cli + "/v1alpha1", "kind": "Values", "metadata": map[string]any{"name": "namespaces"},
		"namespaceSelector": plain,
	})
	if err != nil {
		return err
	}
	return known.AddDocuments([]*resource.Resource{d})
}

// withoutOperation drops the operations that a Values document declares.
func withoutOperation(d *resource.Resource) (*resource.Resource, error) {
	o, err := d.Object()
	if err != nil || o["kind"] == "Context" {
		return d, err
	}
	drop := func(v any) {
		if m, ok := v.(map[string]any); ok {
			delete(m, "request.operation")
		}
	}
	drop(o["globalValues"])
	policies, _ := o["policies"].([]any)
	for _, p := range policies {
		p, _ := p.(map[string]any)
		resources, _ := p["resources"].([]any)
		for _, r := range resources {
			if r, ok := r.(map[string]any); ok {
				drop(r["values"])
			}
		}
	}
	out, err := resource.New(o)
	if err != nil {
		return nil, err
	}
	out.SetOrigin(d.Origin())
	return out, nil
}

// recorded returns the answer as facts. A call that answers with an error is
// none: the rule that makes it fails, as it does in Kyverno.
func (c *apiCall) recorded() ([]facts.APICall, error) {
	url, method := strings.TrimSpace(c.URL), strings.ToUpper(strings.TrimSpace(c.Method))
	urlPath := strings.TrimSpace(c.URLPath)
	switch {
	case (url == "") == (urlPath == ""):
		return nil, errors.New("expected one of url and urlPath")
	case c.Response.Body == nil:
		return nil, errors.New("expected response.body")
	case method != "" && method != "GET" && method != "POST":
		return nil, fmt.Errorf("expected method GET or POST, found %s", c.Method)
	}
	if code := c.Response.StatusCode; code != 0 && (code < 200 || code > 299) {
		return nil, nil
	}
	var out []facts.APICall
	for _, m := range []string{"GET", "POST"} {
		if method == "" || method == m {
			out = append(out, facts.APICall{URLPath: url + urlPath, Method: m, Response: c.Response.Body})
		}
	}
	return out, nil
}

// globalValue computes the value of a GlobalContextEntry.
func (s *Suite) globalValue(g globalContext) (any, error) {
	sources := 0
	root := g.Data
	if g.Data != nil {
		sources++
	}
	if g.Resources != nil {
		sources++
		list := make([]any, len(g.Resources))
		for i, r := range g.Resources {
			list[i] = r
		}
		root = list
	}
	if g.ResourceFiles != nil {
		sources++
		docs, err := s.load(s.Origin.Line, g.ResourceFiles)
		if err != nil {
			return nil, err
		}
		list := make([]any, len(docs))
		for i, d := range docs {
			if list[i], err = d.Object(); err != nil {
				return nil, err
			}
		}
		root = list
	}
	if g.Name == "" || sources != 1 {
		return nil, errors.New("expected a name and one of data, resources and resourceFiles")
	}
	search := func(expression string, in any) (any, error) {
		q, err := jmespath.Compile(expression)
		if err != nil {
			return nil, err
		}
		return q.Search(in, jmespath.Env{})
	}
	if g.FieldPath != "" {
		var err error
		if root, err = search(g.FieldPath, root); err != nil {
			return nil, fmt.Errorf("fieldPath: %w", err)
		}
	}
	if len(g.Projections) == 0 {
		return root, nil
	}
	out := map[string]any{}
	for _, p := range g.Projections {
		v, err := search(p.Path, root)
		if err != nil {
			return nil, fmt.Errorf("projection %s: %w", p.Name, err)
		}
		out[p.Name] = v
	}
	return out, nil
}
