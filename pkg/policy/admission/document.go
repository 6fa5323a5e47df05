package admission

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/oneloop-dev/oneloop/pkg/decode"
	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/internal/constraints"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// A document is the part that policies and bindings share.
type document struct {
	ref    policy.Ref
	source *resource.Resource
}

func newDocument(d *resource.Resource) document {
	return document{policy.Ref{ID: d.ID(), Origin: d.Origin()}, d}
}

// fault is an error of the document at a path.
func (d *document) fault(at fieldpath.Path, err error) *policy.Error {
	return &policy.Error{Policy: d.ref, Line: d.source.Line(at), Path: at, Err: err}
}

// read decodes a document and returns what the API server says of its form.
func (d *document) read(into any) []error {
	o, err := d.source.Object()
	if err != nil {
		return []error{d.fault(nil, err)}
	}
	var errs []error
	if version := d.ref.ID.Kind.Version; !slices.Contains(versions, version) {
		errs = append(errs, d.fault(fieldpath.Path{}.Key("apiVersion"), fmt.Errorf("there is no version %s of %s; expected %s/v1", version, d.ref.ID.Kind.Kind, group)))
	}
	for _, f := range decode.Document(map[string]any(o), into, d.source.BareWord) {
		errs = append(errs, d.fault(f.Path, errors.New(f.Message)))
	}
	return errs
}

// A checker collects what the API server refuses in a document.
type checker struct {
	document
	faults []error
}

func (c *checker) fault(at fieldpath.Path, format string, args ...any) {
	c.faults = append(c.faults, c.document.fault(at, fmt.Errorf(format, args...)))
}

func (c *checker) all(faults []decode.Fault) {
	for _, f := range faults {
		c.fault(f.Path, "%s", f.Message)
	}
}

// name checks the name of the document.
func (c *checker) name() {
	name := c.ref.ID.Name
	for _, message := range validation.IsDNS1123Subdomain(name) {
		c.fault(fieldpath.Path{}.Key("metadata").Key("name"), "Invalid value: %q: %s", name, message)
	}
}

func (c *checker) oneOf(at fieldpath.Path, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		c.fault(at, `Unsupported value: %q: supported values: "%s"`, value, strings.Join(allowed, `", "`))
	}
}

// constraints checks constraints that stand at a path.
func (c *checker) constraints(at fieldpath.Path, r *constraints.Resources) {
	for _, f := range r.Faults(at) {
		c.fault(f.Path, "%s", f.Message)
	}
	for i, rule := range r.ResourceRules {
		for j, operation := range rule.Operations {
			if operation == "DELETE" {
				c.fault(at.Key("resourceRules").Index(i).Key("operations").Index(j), `Unsupported value: %q: supported values: "*", "CONNECT", "CREATE", "UPDATE"`, operation)
			}
		}
	}
}

// pathSegment checks a name that stands in a URL.
func (c *checker) pathSegment(at fieldpath.Path, name string) {
	if name == "." || name == ".." {
		c.fault(at, "Invalid value: %q: may not be '%s'", name, name)
	}
	for _, part := range []string{"/", "%"} {
		if strings.Contains(name, part) {
			c.fault(at, "Invalid value: %q: may not contain '%s'", name, part)
		}
	}
}

// A policyDocument is a MutatingAdmissionPolicy as it is written.
type policyDocument struct {
	APIVersion string         `json:"apiVersion"`
	Kind       string         `json:"kind"`
	Metadata   map[string]any `json:"metadata"`
	Spec       policySpec     `json:"spec"`
	Status     any            `json:"status,omitempty"`
}

type policySpec struct {
	ParamKind          *paramKind             `json:"paramKind,omitempty"`
	MatchConstraints   *constraints.Resources `json:"matchConstraints,omitempty"`
	Variables          []expression           `json:"variables,omitempty"`
	Mutations          []mutation             `json:"mutations,omitempty"`
	FailurePolicy      string                 `json:"failurePolicy,omitempty"`
	MatchConditions    []expression           `json:"matchConditions,omitempty"`
	ReinvocationPolicy string                 `json:"reinvocationPolicy,omitempty"`
}

type paramKind struct {
	APIVersion string `json:"apiVersion,omitempty"`
	Kind       string `json:"kind,omitempty"`
}

// An expression is a variable or a match condition.
type expression struct {
	Name       string `json:"name"`
	Expression string `json:"expression"`
}

type mutation struct {
	PatchType          string `json:"patchType"`
	ApplyConfiguration *patch `json:"applyConfiguration,omitempty"`
	JSONPatch          *patch `json:"jsonPatch,omitempty"`
}

type patch struct {
	Expression string `json:"expression,omitempty"`
}

const (
	applyConfiguration = "ApplyConfiguration"
	jsonPatch          = "JSONPatch"
)

var spec = fieldpath.Path{}.Key("spec")

// check holds the policy against what the API server accepts, but for its
// expressions.
func (p *policyDocument) check(c *checker) {
	c.name()
	s := &p.Spec
	if s.ParamKind != nil {
		s.ParamKind.check(c, spec.Key("paramKind"))
	}
	at := spec.Key("matchConstraints")
	if s.MatchConstraints == nil {
		c.fault(at, "Required value")
	} else {
		c.constraints(at, s.MatchConstraints)
		if len(s.MatchConstraints.ResourceRules) == 0 {
			c.fault(at.Key("resourceRules"), "Required value")
		}
	}
	for i, v := range s.Variables {
		at := spec.Key("variables").Index(i)
		switch {
		case strings.TrimSpace(v.Name) == "":
			c.fault(at.Key("name"), "Required value: name is not specified")
		case !isIdentifier(v.Name):
			c.fault(at.Key("name"), "Invalid value: %q: must be a valid CEL identifier", v.Name)
		}
		if strings.TrimSpace(v.Expression) == "" {
			c.fault(at.Key("expression"), "Required value: expression is not specified")
		}
	}
	if len(s.Mutations) == 0 {
		c.fault(spec.Key("mutations"), "Required value: mutations must contain at least one item")
	}
	for i := range s.Mutations {
		s.Mutations[i].check(c, spec.Key("mutations").Index(i))
	}
	if s.FailurePolicy != "" {
		c.oneOf(spec.Key("failurePolicy"), s.FailurePolicy, "Fail", "Ignore")
	}
	checkConditions(c, s.MatchConditions)
	if s.ReinvocationPolicy == "" {
		c.fault(spec.Key("reinvocationPolicy"), "Required value: expected Never or IfNeeded")
	} else {
		c.oneOf(spec.Key("reinvocationPolicy"), s.ReinvocationPolicy, "IfNeeded", "Never")
	}
}

func (k *paramKind) check(c *checker, at fieldpath.Path) {
	switch {
	case k.APIVersion == "":
		c.fault(at.Key("apiVersion"), "Required value")
	case strings.Count(k.APIVersion, "/") > 1:
		c.fault(at.Key("apiVersion"), "Invalid value: %q: unexpected GroupVersion string: %s", k.APIVersion, k.APIVersion)
	default:
		kind := k.kind()
		if messages := validation.IsDNS1123Subdomain(kind.Group); kind.Group != "" && len(messages) > 0 {
			c.fault(at.Key("apiVersion"), "Invalid value: %q: %s", kind.Group, strings.Join(messages, ","))
		}
		if kind.Version == "" {
			c.fault(at.Key("apiVersion"), "Invalid value: %q: version must be specified", k.APIVersion)
		} else if messages := validation.IsDNS1035Label(kind.Version); len(messages) > 0 {
			c.fault(at.Key("apiVersion"), "Invalid value: %q: %s", kind.Version, strings.Join(messages, ","))
		}
	}
	if k.Kind == "" {
		c.fault(at.Key("kind"), "Required value")
	} else if messages := validation.IsDNS1035Label(strings.ToLower(k.Kind)); len(messages) > 0 {
		c.fault(at.Key("kind"), "Invalid value: %q: may have mixed case, but should otherwise match: %s", k.Kind, strings.Join(messages, ","))
	}
}

func (k *paramKind) kind() resource.Kind {
	group, version, ok := strings.Cut(k.APIVersion, "/")
	if !ok {
		group, version = "", k.APIVersion
	}
	return resource.Kind{Group: group, Version: version, Kind: k.Kind}
}

func (m *mutation) check(c *checker, at fieldpath.Path) {
	of := map[string]*patch{applyConfiguration: m.ApplyConfiguration, jsonPatch: m.JSONPatch}
	fields := map[string]string{applyConfiguration: "applyConfiguration", jsonPatch: "jsonPatch"}
	own, known := of[m.PatchType]
	switch {
	case m.PatchType == "":
		c.fault(at.Key("patchType"), "Required value: expected ApplyConfiguration or JSONPatch")
		return
	case !known:
		c.oneOf(at.Key("patchType"), m.PatchType, applyConfiguration, jsonPatch)
		return
	case own == nil:
		c.fault(at.Key(fields[m.PatchType]), "Required value: must be specified when patchType is %s", m.PatchType)
	case strings.TrimSpace(own.Expression) == "":
		c.fault(at.Key(fields[m.PatchType]).Key("expression"), "Required value")
	}
	for _, kind := range []string{applyConfiguration, jsonPatch} {
		if kind != m.PatchType && of[kind] != nil {
			c.fault(at.Key(fields[kind]), `Invalid value: "{%s}": must not be specified when patchType is %s`, fields[kind], m.PatchType)
		}
	}
}

// maxConditions is how many match conditions a policy may have.
const maxConditions = 64

func checkConditions(c *checker, conditions []expression) {
	at := spec.Key("matchConditions")
	if len(conditions) > maxConditions {
		c.fault(at, "Too many: %d: must have at most %d items", len(conditions), maxConditions)
	}
	names := map[string]bool{}
	for i, condition := range conditions {
		at := at.Index(i)
		if strings.TrimSpace(condition.Expression) == "" {
			c.fault(at.Key("expression"), "Required value")
		}
		switch {
		case condition.Name == "":
			c.fault(at.Key("name"), "Required value")
		case names[condition.Name]:
			c.fault(at.Key("name"), "Duplicate value: %q", condition.Name)
		default:
			for _, message := range validation.IsQualifiedName(condition.Name) {
				c.fault(at.Key("name"), "Invalid value: %q: %s", condition.Name, message)
			}
		}
		names[condition.Name] = true
	}
}

// reserved are the words that are no identifiers in CEL.
var reserved = []string{
	"true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if",
	"import", "let", "loop", "package", "namespace", "return", "var", "void", "while",
}

func isIdentifier(name string) bool {
	for i, r := range name {
		letter := r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return !slices.Contains(reserved, name)
}

// A bindingDocument is a MutatingAdmissionPolicyBinding as it is written.
type bindingDocument struct {
	APIVersion string         `json:"apiVersion"`
	Kind       string         `json:"kind"`
	Metadata   map[string]any `json:"metadata"`
	Spec       bindingSpec    `json:"spec"`
}

type bindingSpec struct {
	PolicyName     string                 `json:"policyName,omitempty"`
	ParamRef       *paramRef              `json:"paramRef,omitempty"`
	MatchResources *constraints.Resources `json:"matchResources,omitempty"`
}

type paramRef struct {
	Name                    string                `json:"name,omitempty"`
	Namespace               string                `json:"namespace,omitempty"`
	Selector                *constraints.Selector `json:"selector,omitempty"`
	ParameterNotFoundAction string                `json:"parameterNotFoundAction,omitempty"`
}

func (b *bindingDocument) check(c *checker) {
	c.name()
	s := &b.Spec
	if s.PolicyName == "" {
		c.fault(spec.Key("policyName"), "Required value")
	} else if messages := validation.IsDNS1123Subdomain(s.PolicyName); len(messages) > 0 {
		c.fault(spec.Key("policyName"), "Invalid value: %q: %s", s.PolicyName, strings.Join(messages, ", "))
	}
	if s.MatchResources != nil {
		c.constraints(spec.Key("matchResources"), s.MatchResources)
	}
	if s.ParamRef == nil {
		return
	}
	at := spec.Key("paramRef")
	c.pathSegment(at.Key("name"), s.ParamRef.Name)
	switch {
	case s.ParamRef.Name != "" && s.ParamRef.Selector != nil:
		c.fault(at.Key("name"), "Forbidden: name and selector are mutually exclusive")
	case s.ParamRef.Name == "" && s.ParamRef.Selector == nil:
		c.fault(at, "Required value: one of name or selector must be specified")
	}
	if s.ParamRef.Selector != nil {
		c.all(s.ParamRef.Selector.Faults(at.Key("selector")))
	}
	if s.ParamRef.ParameterNotFoundAction == "" && c.ref.ID.Kind.Version == "v1alpha1" {
		// The default of that version.
		s.ParamRef.ParameterNotFoundAction = "Deny"
	}
	if s.ParamRef.ParameterNotFoundAction == "" {
		c.fault(at.Key("parameterNotFoundAction"), "Required value: expected Allow or Deny")
	} else {
		c.oneOf(at.Key("parameterNotFoundAction"), s.ParamRef.ParameterNotFoundAction, "Allow", "Deny")
	}
}
