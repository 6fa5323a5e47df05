package admission

import (
	"fmt"
	"slices"
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/internal/configuration"
	"github.com/oneloop-dev/oneloop/pkg/policy/internal/constraints"
	"github.com/oneloop-dev/oneloop/pkg/policy/internal/defaulted"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// vet tells what documents ask the cluster for, and what is different here.
func vet(docs []*resource.Resource) []policy.Finding {
	var out []policy.Finding
	params := map[string]*paramKind{} // by policy
	for _, d := range docs {
		if d.ID().Kind.Kind != policyKind {
			continue
		}
		v := &vetting{document: newDocument(d)}
		var p policyDocument
		if len(v.read(&p)) > 0 {
			continue
		}
		params[d.ID().Name] = p.Spec.ParamKind
		v.version()
		v.policy(&p.Spec)
		out = append(out, v.findings...)
	}
	for _, d := range docs {
		if d.ID().Kind.Kind != bindingKind {
			continue
		}
		v := &vetting{document: newDocument(d)}
		var b bindingDocument
		if len(v.read(&b)) > 0 {
			continue
		}
		v.version()
		v.constraints(spec.Key("matchResources"), b.Spec.MatchResources)
		if kind := params[b.Spec.PolicyName]; kind != nil && b.Spec.ParamRef != nil {
			v.params(kind.kind(), b.Spec.ParamRef)
		}
		out = append(out, v.findings...)
	}
	return out
}

type vetting struct {
	document
	kinds    []resource.Kind // that the policy may match, as far as they are known
	findings []policy.Finding
}

func (v *vetting) add(at fieldpath.Path, check policy.Check, severity policy.Severity, needs *facts.Spec, open bool, format string, args ...any) {
	v.findings = append(v.findings, policy.Finding{
		Policy: v.ref, Line: v.source.Line(at), Path: at, Check: check, Severity: severity, Needs: needs, Open: open,
		Message: fmt.Sprintf(format, args...),
	})
}

func (v *vetting) version() {
	if version := v.ref.ID.Kind.Version; version != versions[0] && slices.Contains(versions, version) {
		v.add(fieldpath.Path{}.Key("apiVersion"), policy.Deprecated, policy.Warning, nil, false,
			"%s/%s is no longer the version to write: write %s/v1, which has the same fields and is served since Kubernetes 1.36", group, version, group)
	}
}

func (v *vetting) policy(s *policySpec) {
	v.constraints(spec.Key("matchConstraints"), s.MatchConstraints)
	v.operations(s.MatchConstraints)
	kinds, all := s.MatchConstraints.Kinds()
	v.kinds = kinds
	for i, e := range s.MatchConditions {
		v.expression(spec.Key("matchConditions").Index(i).Key("expression"), e.Expression)
	}
	for i, e := range s.Variables {
		v.expression(spec.Key("variables").Index(i).Key("expression"), e.Expression)
	}
	if !all {
		kinds = nil
	}
	for i, m := range s.Mutations {
		at := spec.Key("mutations").Index(i)
		if m.ApplyConfiguration != nil {
			at := at.Key("applyConfiguration").Key("expression")
			v.expression(at, m.ApplyConfiguration.Expression)
			for _, text := range configuration.Faults(m.ApplyConfiguration.Expression, kinds, false, "write a JSONPatch") {
				v.add(at, policy.Broken, policy.Warning, nil, false, "%s", text)
			}
		}
		if m.JSONPatch == nil {
			continue
		}
		at = at.Key("jsonPatch").Key("expression")
		v.expression(at, m.JSONPatch.Expression)
		if s.ReinvocationPolicy == "IfNeeded" && strings.Contains(m.JSONPatch.Expression, `/-"`) {
			v.add(at, policy.Noted, policy.Warning, nil, false,
				"it appends to a list, and with reinvocationPolicy: IfNeeded it runs twice: let it look whether its element is there, or write reinvocationPolicy: Never")
		}
	}
}

// expression finds what an expression asks a cluster for, and what a cluster would
// have filled in.
func (v *vetting) expression(at fieldpath.Path, text string) {
	for _, field := range defaulted.Absent(text, v.kinds) {
		v.add(at, policy.Noted, policy.Warning, nil, false, "%s", defaulted.Advice(field))
	}
	if mentions(text, "authorizer") {
		v.add(at, policy.Unsupported, policy.Warning, nil, false,
			"authorizer is only known in a cluster: the expression fails when it comes to it")
	}
	if mentions(text, "request") && strings.Contains(text, "userInfo") {
		v.add(at, policy.Needed, policy.Note,
			&facts.Spec{UserInfo: &facts.Requester{UserInfo: facts.UserInfo{Username: "{{ username }}", Groups: []string{"system:authenticated"}}}}, false,
			"needs the requester: declare userInfo of ClusterFacts")
	}
	if mentions(text, "namespaceObject") {
		v.add(at, policy.Needed, policy.Note, someNamespace(), true,
			"needs the namespaces of the resources: give their Namespaces with the manifests, or as resources of ClusterFacts")
	}
}

// mentions reports whether a name stands in an expression as a word.
func mentions(text, name string) bool {
	for rest := text; ; {
		i := strings.Index(rest, name)
		if i < 0 {
			return false
		}
		before, after := rest[:i], rest[i+len(name):]
		if !strings.HasSuffix(before, ".") && !inWord(before, len(before)-1) && !inWord(after, 0) {
			return true
		}
		rest = after
	}
}

func inWord(s string, i int) bool {
	return i >= 0 && i < len(s) && (s[i] == '_' || s[i] >= 'a' && s[i] <= 'z' || s[i] >= 'A' && s[i] <= 'Z' || s[i] >= '0' && s[i] <= '9')
}

func someNamespace() *facts.Spec {
	return &facts.Spec{Resources: []map[string]any{{
		"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": "{{ namespace }}", "labels": map[string]any{}},
	}}}
}

func (v *vetting) constraints(at fieldpath.Path, r *constraints.Resources) {
	if r != nil && r.NamespaceSelector.AsksForLabels() {
		v.add(at.Key("namespaceSelector"), policy.Needed, policy.Note, someNamespace(), true,
			"needs the labels of the namespaces it may apply to: give their Namespaces with the manifests, or as resources of ClusterFacts")
	}
	for _, f := range r.Unserved(at) {
		v.add(f.Path, policy.Noted, policy.Warning, nil, false, "%s", f.Message)
	}
}

// operations tells when a policy never applies to what is created.
func (v *vetting) operations(r *constraints.Resources) {
	if r == nil || len(r.ResourceRules) == 0 {
		return
	}
	other := ""
	for _, rule := range r.ResourceRules {
		if len(rule.Operations) == 0 || slices.Contains(rule.Operations, "CREATE") || slices.Contains(rule.Operations, "*") {
			return
		}
		other = rule.Operations[0]
	}
	v.add(spec.Key("matchConstraints").Key("resourceRules"), policy.Needed, policy.Note, &facts.Spec{Operation: other}, false,
		"never applies: rendering creates resources; where it should be %s, declare operation of ClusterFacts", other)
}

// params tells which objects a binding asks for.
func (v *vetting) params(kind resource.Kind, ref *paramRef) {
	at := spec.Key("paramRef")
	if ref.Name == "" {
		v.add(at, policy.Needed, policy.Note, nil, true,
			"needs the %s objects that its selector finds: give them with the manifests, or as resources of ClusterFacts", kind.Kind)
		return
	}
	meta := map[string]any{"name": ref.Name}
	namespace := ref.Namespace
	if namespace == "" && !resource.ClusterScoped(kind) {
		namespace = "{{ namespace }}"
	}
	where := ref.Name
	if namespace != "" {
		meta["namespace"] = namespace
		where = namespace + "/" + ref.Name
	}
	param := map[string]any{"apiVersion": kind.APIVersion(), "kind": kind.Kind, "metadata": meta}
	if kind == (resource.Kind{Version: "v1", Kind: "ConfigMap"}) {
		param["data"] = map[string]any{} // to fill in
	}
	v.add(at, policy.Needed, policy.Note, &facts.Spec{Resources: []map[string]any{param}},
		strings.Contains(namespace, "{{"),
		"needs %s %s: give it with the manifests, or as one of resources of ClusterFacts", kind.Kind, where)
}
