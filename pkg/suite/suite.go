// Package suite runs the test suites that users of Kyverno's command line have:
// files called kyverno-test.yaml that name policies, resources and the results
// to expect.
//
// Read turns a file into Suites, Suite.Run applies the policies with the
// engine that renders, and judges the results as kyverno test 1.19 does, with
// these differences: what is not evaluated at render time never counts as
// passed, and neither does a result that nothing stands behind, such as that of
// a rule that did not match.
package suite

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/decode"
	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// DefaultName is what files of suites are called.
const DefaultName = "kyverno-test.yaml"

// A Suite is one document of a kyverno-test.yaml. Its files are named relative
// to the folder of the document, or absolute.
type Suite struct {
	Name   string // "" when the document has none
	Origin resource.Origin

	policies, resources, targets, params, exceptions, cluster []string
	payloads                                                  []string // of policies that judge no Kubernetes resource
	values, userInfo, context                                 string   // files
	inlineValues                                              map[string]any
	apiCalls                                                  []apiCall
	globalContext                                             []globalContext

	// Expectations are the results that the suite expects.
	Expectations []Expectation
	// Warnings name older spellings, with their place.
	Warnings []string
}

// An Expectation is one of a suite's results: what a rule does to resources.
type Expectation struct {
	Policy    string   // NAME or NAMESPACE/NAME
	Rule      string   // "" for every rule of the policy
	Resources []string // NAME or NAMESPACE/NAME; none for every resource
	Kind      string   // "" for any
	Want      string   // pass, fail, skip, warn or error
	Operation string   // "" for what the values say, or CREATE

	Line int // in the file of the suite

	specs         []resourceSpec
	patched       string // file of the resource after the policy
	generated     []string
	failOnMissing bool // whatever is expected, these files have to hold the resource
	cloneSources  string
}

// document is a kyverno-test.yaml, with the spellings of older releases.
type document struct {
	APIVersion string         `json:"apiVersion,omitempty"`
	Kind       string         `json:"kind,omitempty"`
	Metadata   map[string]any `json:"metadata,omitempty"`
	Name       string         `json:"name,omitempty"` // until 1.10

	Policies         []string        `json:"policies,omitempty"`
	Resources        []string        `json:"resources,omitempty"`
	JSONPayload      string          `json:"jsonPayload,omitempty"`
	JSONPayloads     []string        `json:"jsonPayloads,omitempty"`
	HTTPPayloads     []string        `json:"httpPayloads,omitempty"`
	EnvoyPayloads    []string        `json:"envoyPayloads,omitempty"`
	TargetResources  []string        `json:"targetResources,omitempty"`
	ParamResources   []string        `json:"paramResources,omitempty"`
	Variables        string          `json:"variables,omitempty"`
	Values           map[string]any  `json:"values,omitempty"`
	UserInfo         string          `json:"userinfo,omitempty"`
	Exceptions       []string        `json:"exceptions,omitempty"`
	Context          string          `json:"context,omitempty"`
	ClusterResources []string        `json:"clusterResources,omitempty"`
	APICallResponses []apiCall       `json:"apiCallResponses,omitempty"`
	GlobalContext    []globalContext `json:"globalContextEntries,omitempty"`
	Results          []result        `json:"results,omitempty"`
}

type result struct {
	Policy    string         `json:"policy"`
	Rule      string         `json:"rule,omitempty"`
	Resources []string       `json:"resources,omitempty"`
	Specs     []resourceSpec `json:"resourceSpecs,omitempty"`
	Kind      string         `json:"kind,omitempty"`
	Result    string         `json:"result,omitempty"`
	Operation string         `json:"operation,omitempty"`

	PatchedResources       string   `json:"patchedResources,omitempty"`
	GeneratedResource      string   `json:"generatedResource,omitempty"`
	GeneratedResources     []string `json:"generatedResources,omitempty"`
	CloneSourceResource    string   `json:"cloneSourceResource,omitempty"`
	FailOnMissingResources bool     `json:"failOnMissingResources,omitempty"`

	IsValidatingAdmissionPolicy bool `json:"isValidatingAdmissionPolicy,omitempty"`
	IsMutatingAdmissionPolicy   bool `json:"isMutatingAdmissionPolicy,omitempty"`
	IsValidatingPolicy          bool `json:"isValidatingPolicy,omitempty"`
	IsDeletingPolicy            bool `json:"isDeletingPolicy,omitempty"`
	IsImageValidatingPolicy     bool `json:"isImageValidatingPolicy,omitempty"`
	IsGeneratingPolicy          bool `json:"isGeneratingPolicy,omitempty"`
	IsMutatingPolicy            bool `json:"isMutatingPolicy,omitempty"`

	// Spellings of releases before 1.10.
	Status          string `json:"status,omitempty"`
	Resource        string `json:"resource,omitempty"`
	Namespace       string `json:"namespace,omitempty"`
	PatchedResource string `json:"patchedResource,omitempty"`
	IsVap           bool   `json:"isVap,omitempty"`
}

type resourceSpec struct {
	Group       string `json:"group,omitempty"`
	Version     string `json:"version,omitempty"`
	Kind        string `json:"kind,omitempty"`
	Namespace   string `json:"namespace,omitempty"`
	Subresource string `json:"subresource,omitempty"`
	Name        string `json:"name,omitempty"`
}

type apiCall struct {
	URL      string `json:"url,omitempty"`
	URLPath  string `json:"urlPath,omitempty"`
	Method   string `json:"method,omitempty"`
	Response struct {
		StatusCode int `json:"statusCode,omitempty"`
		Body       any `json:"body,omitempty"`
	} `json:"response"`
}

type globalContext struct {
	Name          string           `json:"name"`
	Data          any              `json:"data,omitempty"`
	Resources     []map[string]any `json:"resources,omitempty"`
	ResourceFiles []string         `json:"resourceFiles,omitempty"`
	FieldPath     string           `json:"fieldPath,omitempty"`
	Projections   []struct {
		Name string `json:"name"`
		Path string `json:"path"`
	} `json:"projections,omitempty"`
}

// wants are the results that can be expected.
var wants = []string{"pass", "fail", "skip", "warn", "error"}

// Read reads the suites of a file: one for each document. The error joins all
// faults, each with file and line; a document with faults is left out.
func Read(file string, data []byte) ([]*Suite, error) {
	docs, err := resource.Parse(file, data)
	if err != nil {
		return nil, err
	}
	if len(docs) == 0 {
		return nil, fmt.Errorf("%s: expected a document of kind Test, found an empty file", file)
	}
	var suites []*Suite
	var errs []error
	for _, d := range docs {
		s, err := read(d)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		suites = append(suites, s)
	}
	return suites, errors.Join(errs...)
}

func read(d *resource.Resource) (*Suite, error) {
	at := func(line int) resource.Origin { return origin(d, line) }
	if kind := d.ID().Kind; kind.Kind != "" && kind.Kind != "Test" {
		return nil, fmt.Errorf("%s: expected a document of kind Test, found %s", d.Origin(), kind)
	}
	var doc document
	if err := strict(d, &doc); err != nil {
		return nil, err
	}
	var errs []error
	s := &Suite{
		Name: d.ID().Name, Origin: d.Origin(),
		policies: unique(doc.Policies), resources: unique(doc.Resources), targets: unique(doc.TargetResources),
		params: doc.ParamResources, exceptions: doc.Exceptions, cluster: doc.ClusterResources,
		payloads: slices.Concat(doc.JSONPayloads, doc.HTTPPayloads, doc.EnvoyPayloads),
		values:   doc.Variables, userInfo: doc.UserInfo, context: doc.Context, inlineValues: doc.Values,
		apiCalls: doc.APICallResponses, globalContext: doc.GlobalContext,
	}
	if doc.JSONPayload != "" {
		s.payloads = append(s.payloads, doc.JSONPayload)
	}
	for i, name := range s.payloads {
		s.payloads[i] = filepath.ToSlash(filepath.Clean(name))
	}
	older := func(line int, format string, args ...any) {
		s.Warnings = append(s.Warnings, fmt.Sprintf("%s: older spelling, which kyverno test refuses: ", at(line))+fmt.Sprintf(format, args...))
	}
	if doc.APIVersion == "" || doc.Kind == "" {
		older(0, "add apiVersion: cli.kyverno.io/v1alpha1 and kind: Test")
	}
	if doc.Name != "" {
		older(d.Line(fieldpath.Path{}.Key("name")), "write metadata.name for name")
		if s.Name == "" {
			s.Name = doc.Name
		}
	}
	for i := range doc.Results {
		r := &doc.Results[i]
		line := d.Line(fieldpath.Path{}.Key("results").Index(i))
		e, err := r.expectation(func(format string, args ...any) { older(line, format, args...) })
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: at results[%d]: %w", at(line), i, err))
			continue
		}
		e.Line = line
		s.Expectations = append(s.Expectations, e)
	}
	return s, errors.Join(errs...)
}

// origin is a line of a document.
func origin(d *resource.Resource, line int) resource.Origin {
	o := d.Origin()
	if line > 0 {
		o.Line = line
	}
	return o
}

// strict decodes a document and names file and line of each fault.
func strict(d *resource.Resource, into any) error {
	o, err := d.Object()
	if err != nil {
		return err
	}
	var errs []error
	for _, f := range decode.Strict(o, into) {
		errs = append(errs, fmt.Errorf("%s: at %s: %s", origin(d, d.Line(f.Path)), f.Path, f.Message))
	}
	return errors.Join(errs...)
}

// expectation reads one result; older is told about its older spellings.
func (r *result) expectation(older func(format string, args ...any)) (Expectation, error) {
	e := Expectation{
		Policy: r.Policy, Rule: r.Rule, Resources: slices.Clone(r.Resources), specs: r.Specs, Kind: r.Kind,
		Want: r.Result, Operation: r.Operation, patched: r.PatchedResources, cloneSources: r.CloneSourceResource,
		generated: r.GeneratedResources, failOnMissing: r.FailOnMissingResources,
	}
	if len(e.generated) == 0 && r.GeneratedResource != "" {
		e.generated = []string{r.GeneratedResource}
	}
	if r.Status != "" {
		older("write result for status")
		if e.Want == "" {
			e.Want = r.Status
		}
	}
	if r.Resource != "" {
		older("write resources: [%s] for resource", r.Resource)
		if !slices.Contains(e.Resources, r.Resource) {
			e.Resources = append(e.Resources, r.Resource)
		}
	}
	if r.Namespace != "" {
		older("write resources: [%s/NAME] for namespace", r.Namespace)
		for i, name := range e.Resources {
			if !strings.Contains(name, "/") {
				e.Resources[i] = r.Namespace + "/" + name
			}
		}
	}
	if r.PatchedResource != "" {
		older("write patchedResources for patchedResource")
		if e.patched == "" {
			e.patched = r.PatchedResource
		}
	}
	switch {
	case e.Policy == "":
		return e, errors.New("expected the name of a policy in policy, found none")
	case !slices.Contains(wants, e.Want):
		return e, fmt.Errorf("expected one of %s in result, found %q", strings.Join(wants, ", "), e.Want)
	case e.Operation != "" && !slices.Contains([]string{"CREATE", "UPDATE", "DELETE"}, e.Operation):
		return e, fmt.Errorf("expected CREATE, UPDATE or DELETE in operation, found %q", e.Operation)
	}
	return e, nil
}

// unique drops what a list names a second time.
func unique(list []string) []string {
	var out []string
	for _, s := range list {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// path returns the path of a file of the suite.
func (s *Suite) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(filepath.Dir(s.Origin.File), name)
}

// paths returns the paths of files of the suite.
func (s *Suite) paths(names []string) []string {
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = s.path(name)
	}
	return out
}
