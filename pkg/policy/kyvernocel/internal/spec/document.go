// Package spec holds the kinds of group policies.kyverno.io as Go types and
// reads documents into them.
//
// The versions v1alpha1, v1beta1 and v1 have the same fields. Reading reports
// every unknown field, wrong type and every policy that Kyverno's own webhook
// would refuse, each with its line; expressions are compiled elsewhere.
package spec

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/decode"
	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/internal/constraints"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// Group is the API group of all kinds here.
const Group = "policies.kyverno.io"

var versions = []string{"v1", "v1beta1", "v1alpha1"}

// A Document is what all kinds have in common.
type Document struct {
	APIVersion string          `json:"apiVersion"`
	Kind       string          `json:"kind"`
	Metadata   policy.Metadata `json:"metadata"`
	Status     any             `json:"status,omitempty"`

	// Ref names the document in results and errors.
	Ref policy.Ref `json:"-"`
	// Resource is where the document was read from; it knows the line of a path.
	Resource *resource.Resource `json:"-"`
}

// Namespace is the namespace that a namespaced policy belongs to, "" for a
// cluster-scoped one. One that names none lives in the namespace default.
func (d *Document) Namespace() string {
	switch {
	case resource.ClusterScoped(d.Ref.ID.Kind):
		return ""
	case d.Metadata.Namespace == "":
		return "default"
	}
	return d.Metadata.Namespace
}

// Error returns err as a fault at path, with its line.
func (d *Document) Error(path fieldpath.Path, err error) *policy.Error {
	e := &policy.Error{Policy: d.Ref, Path: path, Err: err}
	if d.Resource != nil {
		e.Line = d.Resource.Line(path)
	}
	return e
}

// Read decodes r into a struct of which document is the embedded Document. It
// returns nil when nothing is wrong.
func Read(r *resource.Resource, document *Document, into any) []*policy.Error {
	document.Resource, document.Ref = r, policy.Ref{ID: r.ID(), Origin: r.Origin()}
	object, err := r.Object()
	if err != nil {
		return []*policy.Error{document.Error(nil, err)}
	}
	kind := r.ID().Kind
	if !slices.Contains(versions, kind.Version) {
		return []*policy.Error{document.Error(fieldpath.Path{}.Key("apiVersion"), fmt.Errorf(
			"%s has no %s in version %q; expected %s/%s", Group, kind.Kind, kind.Version, Group, strings.Join(versions, ", "+Group+"/")))}
	}
	document.Ref.Severity = r.Annotation("policies.kyverno.io/severity")
	document.Ref.Category = r.Annotation("policies.kyverno.io/category")
	var faults []*policy.Error
	for _, f := range decode.Document(object, into, r.BareWord) {
		faults = append(faults, document.Error(f.Path, errors.New(f.Message)))
	}
	if len(faults) > 0 {
		return faults
	}
	c := &Checker{Document: document}
	c.Required(fieldpath.Path{}.Key("metadata"), "name", document.Metadata.Name)
	if _, ok := object["spec"].(map[string]any); !ok {
		c.Errorf(nil, "spec is missing")
	}
	return c.Faults
}

// A Checker collects what is wrong with a document.
type Checker struct {
	Document *Document
	Faults   []*policy.Error
}

// Errorf adds a fault.
func (c *Checker) Errorf(path fieldpath.Path, format string, args ...any) {
	c.Faults = append(c.Faults, c.Document.Error(path, fmt.Errorf(format, args...)))
}

// Failing adds a fault that Kyverno's webhook does not look for.
func (c *Checker) Failing(path fieldpath.Path, format string, args ...any) {
	c.Faults = append(c.Faults, c.Document.Error(path, policy.Failing(fmt.Errorf(format, args...))))
}

// Required reports a field below path without value.
func (c *Checker) Required(path fieldpath.Path, field, value string) {
	if value == "" {
		c.Errorf(path, "%s is missing", field)
	}
}

// OneOf reports a value that is set and not allowed.
func (c *Checker) OneOf(path fieldpath.Path, value string, allowed ...string) {
	if value != "" && !slices.Contains(allowed, value) {
		c.Errorf(path, "expected one of %s, found %q", strings.Join(allowed, ", "), value)
	}
}

// An Expression is a named expression: a variable or a condition.
type Expression struct {
	Name       string `json:"name"`
	Expression string `json:"expression"`
}

// Expressions reports expressions without name or text, and names that occur
// twice.
func (c *Checker) Expressions(path fieldpath.Path, list []Expression) {
	names := map[string]bool{}
	for i, e := range list {
		at := path.Index(i)
		c.Required(at, "name", e.Name)
		c.Required(at, "expression", e.Expression)
		if e.Name != "" && names[e.Name] {
			c.Errorf(at.Key("name"), "the name %q is taken by an earlier one", e.Name)
		}
		names[e.Name] = true
	}
}

// Constraints reports what Kyverno accepts and no request ever matches, and
// selectors that it fails on.
func (c *Checker) Constraints(path fieldpath.Path, r *constraints.Resources) {
	if r == nil {
		return
	}
	if _, err := constraints.Compile(r, constraints.Options{}); err != nil {
		c.Failing(path, "%w", err)
	}
	for name, rules := range map[string][]constraints.Rule{"resourceRules": r.ResourceRules, "excludeResourceRules": r.ExcludeResourceRules} {
		for i, rule := range rules {
			at := path.Key(name).Index(i)
			for j, operation := range rule.Operations {
				if !slices.Contains(operations, operation) {
					c.Failing(at.Key("operations").Index(j), "expected one of %s, found %q", strings.Join(operations, ", "), operation)
				}
			}
			if !slices.Contains([]string{"", "*", "Cluster", "Namespaced"}, rule.Scope) {
				c.Failing(at.Key("scope"), "expected one of *, Cluster, Namespaced, found %q", rule.Scope)
			}
		}
	}
}

var operations = []string{"*", "CREATE", "UPDATE", "DELETE", "CONNECT"}

// An AuditAnnotation is what a policy adds to reports.
type AuditAnnotation struct {
	Key             string `json:"key"`
	ValueExpression string `json:"valueExpression"`
}

// A WebhookConfiguration tunes the admission webhook of a policy.
type WebhookConfiguration struct {
	TimeoutSeconds *int32 `json:"timeoutSeconds,omitempty"`
}

// Enabled is a switch that may be unset.
type Enabled struct {
	Enabled *bool `json:"enabled,omitempty"`
}

// Or returns the switch, or the default when it is not set.
func (e *Enabled) Or(otherwise bool) bool {
	if e == nil || e.Enabled == nil {
		return otherwise
	}
	return *e.Enabled
}

// PodControllers lists the kinds for which autogen copies a policy for Pods; nil
// stands for all.
type PodControllers struct {
	Controllers []string `json:"controllers,omitempty"`
}
