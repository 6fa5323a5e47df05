package spec

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/condition"
)

// AutogenAnnotation is the annotation that limits autogen.
const AutogenAnnotation = "pod-policies.kyverno.io/autogen-controllers"

// maxName is the longest name that Kyverno takes for policies and rules.
const maxName = 63

// A checker collects what Kyverno's API and webhook would refuse.
type checker struct {
	policy *Policy
	rule   string
	faults []*policy.Error
	// lenient is set while what is checked is of no concern to Kyverno's webhook.
	lenient bool
}

func (c *checker) errorf(path fieldpath.Path, format string, args ...any) {
	err := fmt.Errorf(format, args...)
	if c.lenient {
		err = policy.Failing(err)
	}
	c.faults = append(c.faults, c.policy.Error(c.rule, path, err))
}

// oneOf reports a value that is set and not in the list.
func (c *checker) oneOf(path fieldpath.Path, value string, allowed ...string) {
	if value != "" && !slices.Contains(allowed, value) {
		c.errorf(path, "expected one of %s, found %q", strings.Join(allowed, ", "), value)
	}
}

// unseen runs checks that Kyverno's webhook does not make.
func (c *checker) unseen(check func()) {
	c.lenient = true
	check()
	c.lenient = false
}

func (c *checker) required(path fieldpath.Path, field, value string) bool {
	if value == "" {
		c.errorf(path, "%s is missing", field)
		return false
	}
	return true
}

// check returns what Kyverno would refuse about p without asking a cluster.
func check(p *Policy) []*policy.Error {
	c := &checker{policy: p}
	c.metadata()
	c.spec()
	names := map[string]bool{}
	for i := range p.Spec.Rules {
		r := &p.Spec.Rules[i]
		c.rule = r.Name
		if c.required(r.Path, "name", r.Name) && names[r.Name] {
			c.errorf(r.Path.Key("name"), "the name %q is taken by an earlier rule; rule names must be unique", r.Name)
		}
		names[r.Name] = true
		c.checkRule(r)
	}
	return c.faults
}

func (c *checker) metadata() {
	m, path := &c.policy.Metadata, fieldpath.Path{fieldpath.Key("metadata")}
	c.required(path, "name", m.Name)
	if len(m.Name) > maxName {
		c.errorf(path.Key("name"), "the name has %d characters; at most %d are allowed", len(m.Name), maxName)
	}
	if !c.policy.Namespaced() && m.Namespace != "" {
		c.errorf(path.Key("namespace"), "a ClusterPolicy has no namespace; remove it, or use kind Policy")
	}
	if m.Annotations[AutogenAnnotation] == "all" {
		c.errorf(path.Key("annotations").Key(AutogenAnnotation), "the value all is no longer accepted; remove the annotation, or list controllers such as Deployment,CronJob")
	}
}

func (c *checker) spec() {
	s, path := &c.policy.Spec, fieldpath.Path{fieldpath.Key("spec")}
	c.oneOf(path.Key("applyRules"), s.ApplyRules, "All", "One")
	c.oneOf(path.Key("failurePolicy"), s.FailurePolicy, "Ignore", "Fail")
	c.oneOf(path.Key("validationFailureAction"), s.ValidationFailureAction, failureActions...)
	c.overrides(path.Key("validationFailureActionOverrides"), s.ValidationFailureActionOverrides)
	c.timeout(path.Key("webhookTimeoutSeconds"), s.WebhookTimeoutSeconds)
	if w := s.WebhookConfiguration; w != nil {
		wp := path.Key("webhookConfiguration")
		c.oneOf(wp.Key("failurePolicy"), w.FailurePolicy, "Ignore", "Fail")
		c.timeout(wp.Key("timeoutSeconds"), w.TimeoutSeconds)
		if s.WebhookTimeoutSeconds != nil && w.TimeoutSeconds != nil {
			c.errorf(path.Key("webhookTimeoutSeconds"), "remove this deprecated field; spec.webhookConfiguration.timeoutSeconds is set")
		}
		if s.FailurePolicy != "" && w.FailurePolicy != "" {
			c.errorf(path.Key("failurePolicy"), "remove this deprecated field; spec.webhookConfiguration.failurePolicy is set")
		}
		c.matchConditions(wp.Key("matchConditions"), w.MatchConditions)
	}
	if s.GenerateExistingOnPolicyUpdate != nil {
		c.errorf(path.Key("generateExistingOnPolicyUpdate"), "this field is no longer accepted; set generateExisting under generate in the rule")
	}
	if c.policy.Namespaced() && len(s.ValidationFailureActionOverrides) > 0 {
		c.errorf(path.Key("validationFailureActionOverrides"), "only a ClusterPolicy may have overrides")
	}
	if !s.AdmissionEnabled() {
		switch {
		case !s.BackgroundEnabled():
			c.errorf(path.Key("admission"), "admission and background must not both be false")
		case slices.ContainsFunc(s.Rules, func(r Rule) bool { return r.HasMutate() || r.HasGenerate() || r.HasVerifyImages() }):
			c.errorf(path.Key("admission"), "only policies that validate may set admission to false")
		}
	}
}

var failureActions = []string{"Audit", "Enforce", "audit", "enforce"}

func (c *checker) timeout(path fieldpath.Path, seconds *int32) {
	if seconds != nil && (*seconds < 1 || *seconds > 30) {
		c.errorf(path, "expected 1 to 30 seconds, found %d", *seconds)
	}
}

func (c *checker) overrides(path fieldpath.Path, overrides []ValidationFailureActionOverride) {
	for i, o := range overrides {
		if c.required(path.Index(i), "action", o.Action) {
			c.oneOf(path.Index(i).Key("action"), o.Action, failureActions...)
		}
		c.selector(path.Index(i).Key("namespaceSelector"), o.NamespaceSelector)
	}
}

func (c *checker) matchConditions(path fieldpath.Path, conditions []MatchCondition) {
	for i, m := range conditions {
		c.required(path.Index(i), "name", m.Name)
		c.required(path.Index(i), "expression", m.Expression)
	}
}

func (c *checker) checkRule(r *Rule) {
	if len(r.Name) > maxName {
		c.errorf(r.Path.Key("name"), "the name has %d characters; at most %d are allowed", len(r.Name), maxName)
	}
	c.action(r)
	c.match(r)
	c.variablesInSelection(r)
	c.context(r)
	c.conditions(r.Path.Key("preconditions"), r.Preconditions, true)
	c.matchConditions(r.Path.Key("celPreconditions"), r.CELPreconditions)
	if r.CELPreconditions != nil && (r.Mutation != nil || r.Generation != nil) {
		c.errorf(r.Path.Key("celPreconditions"), "only rules with validate.cel may have celPreconditions; use preconditions")
	}
	switch {
	case r.HasMutate():
		c.mutation(r)
	case r.HasGenerate():
		c.generation(r)
	case r.HasVerifyImages():
		c.verifyImages(r)
	case r.HasValidate():
		c.validation(r)
	}
}

// A part is a field that is there or not.
type part struct {
	name string
	has  bool
}

// names lists the parts that are there.
func names(parts ...part) []string {
	var out []string
	for _, p := range parts {
		if p.has {
			out = append(out, p.name)
		}
	}
	return out
}

// list joins names for a message.
func list(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, " and ")
}

// action checks that the rule does one thing.
func (c *checker) action(r *Rule) {
	found := names(part{"mutate", r.HasMutate()}, part{"validate", r.HasValidate()},
		part{"generate", r.HasGenerate()}, part{"verifyImages", r.HasVerifyImages()})
	if len(found) != 1 {
		c.errorf(r.Path, "expected exactly one of mutate, validate, generate and verifyImages, found %s", list(found))
	}
	if r.ImageExtractors != nil && !r.HasVerifyImages() {
		c.errorf(r.Path.Key("imageExtractors"), "only verifyImages rules may have imageExtractors")
	}
	for kind, extractors := range r.ImageExtractors {
		for i, e := range extractors {
			c.required(r.Path.Key("imageExtractors").Key(kind).Index(i), "path", e.Path)
		}
	}
}

var variablePattern = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\{\{[^{}]*\}\}`) })

func hasVariable(s string) bool { return strings.Contains(s, "{{") && variablePattern().MatchString(s) }

// conditions checks preconditions and deny conditions. Where complete is set,
// Kyverno refuses conditions without key or value.
func (c *checker) conditions(path fieldpath.Path, v any, complete bool) {
	if _, err := condition.Compile(v); err != nil {
		if strings.Contains(err.Error(), "unknown field") {
			err = policy.Failing(err)
		} else if !strings.Contains(err.Error(), "operator") {
			c.lenient = false // a wrong type gets past nobody
		}
		c.errorf(path, "%w", err)
		return
	}
	if !complete {
		return
	}
	if m, ok := v.(map[string]any); ok {
		c.completeConditions(path.Key("any"), m["any"])
		c.completeConditions(path.Key("all"), m["all"])
		return
	}
	c.completeConditions(path, v)
}

func (c *checker) completeConditions(path fieldpath.Path, v any) {
	conditions, _ := v.([]any)
	for i, e := range conditions {
		m, _ := e.(map[string]any)
		if m["key"] == nil || m["value"] == nil {
			c.errorf(path.Index(i), "expected key, operator and value, none of them null")
		}
		if key, _ := m["key"].(string); strings.ReplaceAll(key, " ", "") == "{{request.operation}}" {
			c.operations(path.Index(i).Key("value"), m["value"])
		}
	}
}

var operations = []string{"CREATE", "UPDATE", "DELETE", "CONNECT"}

// operations checks what {{ request.operation }} is compared with.
func (c *checker) operations(path fieldpath.Path, v any) {
	switch v := v.(type) {
	case nil:
	case string:
		if !strings.HasPrefix(v, "{{") || !strings.HasSuffix(v, "}}") {
			c.oneOf(path, v, operations...)
		}
	case []any:
		for i, e := range v {
			s, ok := e.(string)
			if !ok {
				c.errorf(path.Index(i), "expected one of %s", strings.Join(operations, ", "))
				continue
			}
			c.oneOf(path.Index(i), s, operations...)
		}
	default:
		c.errorf(path, "expected one of %s, or a list of them", strings.Join(operations, ", "))
	}
}

var reserved = []string{"images", "request", "serviceAccountName", "serviceAccountNamespace", "element", "elementIndex"}

func (c *checker) context(r *Rule) {
	if len(r.Context) > 0 && r.Validation != nil && r.Validation.CEL != nil {
		c.errorf(r.Path.Key("context"), "rules with validate.cel take no context")
	}
	for i := range r.Context {
		c.contextEntry(r.Path.Key("context").Index(i), &r.Context[i])
	}
}

func (c *checker) contextEntry(path fieldpath.Path, e *ContextEntry) {
	c.required(path, "name", e.Name)
	for _, name := range reserved {
		if e.Name == name || strings.HasPrefix(e.Name, name+".") {
			c.errorf(path.Key("name"), "the name %s belongs to one of Kyverno's own variables; choose another", name)
		}
	}
	found := names(part{"variable", e.Variable != nil}, part{"configMap", e.ConfigMap != nil}, part{"apiCall", e.APICall != nil},
		part{"imageRegistry", e.ImageRegistry != nil}, part{"globalReference", e.GlobalReference != nil})
	if len(found) != 1 {
		c.errorf(path, "expected exactly one of variable, configMap, apiCall, imageRegistry and globalReference, found %s", list(found))
		return
	}
	path = path.Key(found[0])
	switch {
	case e.ConfigMap != nil:
		c.required(path, "name", e.ConfigMap.Name)
		c.required(path, "namespace", e.ConfigMap.Namespace)
	case e.APICall != nil:
		c.apiCall(path, e.APICall)
	case e.ImageRegistry != nil:
		c.required(path, "reference", e.ImageRegistry.Reference)
		c.credentials(path.Key("imageRegistryCredentials"), e.ImageRegistry.ImageRegistryCredentials)
	case e.Variable != nil:
		switch {
		case e.Variable.Value == nil && e.Variable.JMESPath == "":
			c.errorf(path, "expected value or jmesPath")
		case e.Variable.Default != nil && e.Variable.JMESPath == "":
			c.errorf(path.Key("default"), "a default needs a jmesPath")
		}
	case e.GlobalReference != nil:
		if c.policy.Namespaced() {
			c.errorf(path, "a Policy may not use globalReference; use a ClusterPolicy")
		}
		c.required(path, "name", e.GlobalReference.Name)
	}
}

func (c *checker) apiCall(path fieldpath.Path, call *ContextAPICall) {
	c.oneOf(path.Key("method"), call.Method, "GET", "POST")
	if call.URLPath != "" && call.Service != nil {
		c.errorf(path, "urlPath and service exclude each other")
	}
	for i, d := range call.Data {
		c.required(path.Key("data").Index(i), "key", d.Key)
	}
	if call.Service != nil {
		c.required(path.Key("service"), "url", call.Service.URL)
	}
}

func (c *checker) credentials(path fieldpath.Path, credentials *ImageRegistryCredentials) {
	if credentials == nil {
		return
	}
	for i, p := range credentials.Providers {
		c.oneOf(path.Key("providers").Index(i), p, "default", "amazon", "azure", "google", "github")
	}
}
