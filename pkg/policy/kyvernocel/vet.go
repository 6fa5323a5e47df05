package kyvernocel

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"

	"github.com/oneloop-dev/oneloop/pkg/expr/cel"
	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/internal/configuration"
	"github.com/oneloop-dev/oneloop/pkg/policy/internal/constraints"
	"github.com/oneloop-dev/oneloop/pkg/policy/internal/defaulted"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyvernocel/internal/autogen"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyvernocel/internal/library"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyvernocel/internal/spec"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// vet implements policy.Language.Vet: the facts that expressions ask for, what
// autogen makes of a MutatingPolicy, and what of images can't be verified.
func vet(docs []*resource.Resource) []policy.Finding {
	v := &vetting{}
	for _, d := range docs {
		o, err := d.Object()
		if err != nil {
			continue
		}
		v.doc = d
		v.namespaced = !resource.ClusterScoped(d.ID().Kind)
		v.document(o)
		switch strings.TrimPrefix(d.ID().Kind.Kind, "Namespaced") {
		case "MutatingPolicy":
			if p, faults := spec.ReadMutating(d); len(faults) == 0 {
				v.mutating(p)
				v.defaults(o["spec"], p.Spec.MatchConstraints)
			}
		case "GeneratingPolicy":
			if p, faults := spec.ReadGenerating(d); len(faults) == 0 {
				v.generating(p)
				v.defaults(o["spec"], p.Spec.MatchConstraints)
			}
		case "ImageValidatingPolicy":
			if p, faults := spec.ReadImageValidating(d); len(faults) == 0 {
				v.imageValidating(p)
			}
		case "PolicyException":
			if e, faults := spec.ReadException(d); len(faults) == 0 {
				v.exception(e, docs)
			}
		}
	}
	return v.findings
}

// exception finds the policies that an exception names and nobody gave.
func (v *vetting) exception(e *spec.PolicyException, docs []*resource.Resource) {
	for i, ref := range e.Spec.PolicyRefs {
		at := fieldpath.Path{}.Key("spec").Key("policyRefs").Index(i)
		if _, ok := kinds[ref.Kind]; !ok {
			v.addf(at.Key("kind"), policy.Noted, policy.Warning, "exempts from nothing: %s is no kind of policy of %s", ref.Kind, spec.Group)
		} else if !slices.ContainsFunc(docs, func(d *resource.Resource) bool { return d.ID().Kind.Kind == ref.Kind && d.ID().Name == ref.Name }) {
			v.addf(at.Key("name"), policy.Noted, policy.Note, "exempts from the %s %s, which is not among the policies", ref.Kind, ref.Name)
		}
	}
}

// A vetting collects findings, about one document after another.
type vetting struct {
	doc        *resource.Resource
	namespaced bool
	findings   []policy.Finding
}

func (v *vetting) add(path fieldpath.Path, f policy.Finding) {
	f.Policy = refOf(v.doc)
	f.Path, f.Line = slices.Clone(path), v.doc.Line(path)
	v.findings = append(v.findings, f)
}

func (v *vetting) addf(path fieldpath.Path, check policy.Check, severity policy.Severity, format string, args ...any) {
	v.add(path, policy.Finding{Check: check, Severity: severity, Message: fmt.Sprintf(format, args...)})
}

// needs adds a fact. It is open when what has to stand in it depends on the
// resource.
func (v *vetting) needs(path fieldpath.Path, fact *facts.Spec, open bool, format string, args ...any) {
	v.add(path, policy.Finding{Check: policy.Needed, Severity: policy.Note, Needs: fact, Open: open, Message: fmt.Sprintf(format, args...)})
}

// document finds what all kinds have in common.
func (v *vetting) document(o resource.Object) {
	meta, _ := o["metadata"].(map[string]any)
	if id := v.doc.ID(); meta["namespace"] != nil && !v.namespaced {
		v.addf(fieldpath.Path{}.Key("metadata").Key("namespace"), policy.Noted, policy.Note,
			"a %s has no namespace, so this is ignored; a Namespaced%s is about one", id.Kind.Kind, id.Kind.Kind)
	}
	v.expressions(o["spec"], fieldpath.Path{}.Key("spec"), v.expression)
}

// expressions calls do for all expressions below path.
func (v *vetting) expressions(value any, path fieldpath.Path, do func(at fieldpath.Path, text string)) {
	switch value := value.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(value)) {
			at := path.Key(key)
			text, ok := value[key].(string)
			if ok && (key == "expression" || key == "valueExpression" || key == "messageExpression") {
				do(at, text)
			} else if key != "template" {
				v.expressions(value[key], at, do)
			}
		}
	case []any:
		for i, e := range value {
			v.expressions(e, path.Index(i), do)
		}
	}
}

// defaults finds expressions that hold only where a manifest lacks what the API
// server fills in.
func (v *vetting) defaults(body any, matched *constraints.Resources) {
	kinds, _ := matched.Kinds()
	v.expressions(body, fieldpath.Path{}.Key("spec"), func(at fieldpath.Path, text string) {
		for _, field := range defaulted.Absent(text, kinds) {
			v.addf(at, policy.Noted, policy.Warning, "%s", defaulted.Advice(field))
		}
	})
}

// expression finds what one expression asks for, each fact once.
func (v *vetting) expression(at fieldpath.Path, text string) {
	told := map[string]bool{}
	once := func(what string) bool {
		was := told[what]
		told[what] = true
		return !was
	}
	cel.Visit(text, func(e ast.Expr) {
		switch e.Kind() {
		case ast.SelectKind:
			s := e.AsSelect()
			if isIdent(s.Operand(), "request") && s.FieldName() == "userInfo" && once("user") {
				v.needs(at, &facts.Spec{UserInfo: &facts.Requester{UserInfo: facts.UserInfo{Username: "{{ username }}", Groups: []string{"system:authenticated"}}}}, false,
					"needs the requester: declare userInfo of ClusterFacts")
			}
		case ast.IdentKind:
			if e.AsIdent() == "namespaceObject" && once("namespace") {
				v.needs(at, someNamespace(), true, "needs the Namespaces it may apply to: give them with the manifests, or as resources of ClusterFacts")
			}
		case ast.CallKind:
			call := e.AsCall()
			v.call(at, call, once)
		}
	})
}

func someNamespace() *facts.Spec {
	return &facts.Spec{Resources: []map[string]any{{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": "{{ namespace }}", "labels": map[string]any{}}}}}
}

func isIdent(e ast.Expr, name string) bool { return e.Kind() == ast.IdentKind && e.AsIdent() == name }

// call finds what a call asks for.
func (v *vetting) call(at fieldpath.Path, call ast.CallExpr, once func(string) bool) {
	name := call.FunctionName()
	if !call.IsMemberFunction() {
		if name == "random" {
			v.random(at)
		}
		return
	}
	receiver := call.Target()
	for receiver.Kind() == ast.CallKind && strings.EqualFold(receiver.AsCall().FunctionName(), "client") && receiver.AsCall().IsMemberFunction() {
		receiver = receiver.AsCall().Target()
	}
	args, fixed := literals(call.Args())
	switch {
	case isIdent(receiver, "time") && name == "now":
		if once("time") {
			v.needs(at, &facts.Spec{Now: "{{ time }}"}, false, "needs the time of the request: declare now of ClusterFacts")
		}
	case isIdent(receiver, "random") && name == "random":
		v.random(at)
	case isIdent(receiver, "globalContext") && strings.EqualFold(name, "get") && len(args) > 0:
		v.needs(at, &facts.Spec{GlobalContext: map[string]any{args[0]: []any{}}}, !fixed,
			"needs the value of GlobalContextEntry %s: declare it under globalContext of ClusterFacts", args[0])
	case isIdent(receiver, "http") && (strings.EqualFold(name, "get") || strings.EqualFold(name, "post")) && len(args) > 0:
		fact := facts.APICall{URLPath: args[0], Response: map[string]any{}}
		if strings.EqualFold(name, "post") {
			fact.Method = "POST"
		}
		v.needs(at, &facts.Spec{APICalls: []facts.APICall{fact}}, args[0] == unknownText,
			"needs the answer of %s %s: record it, and declare it under apiCalls of ClusterFacts", strings.ToUpper(name), args[0])
	case isIdent(receiver, "image") && strings.EqualFold(name, "getMetadata") && len(args) > 0:
		v.needs(at, &facts.Spec{Images: []map[string]any{{"image": args[0], "manifest": map[string]any{}, "config": map[string]any{}}}}, !fixed,
			"needs what a registry tells of the image %s: declare it under images of ClusterFacts, or let the registry be asked", args[0])
	case isIdent(receiver, "resource"):
		v.lookup(at, strings.ToLower(name), call, args)
	}
}

func (v *vetting) random(at fieldpath.Path) {
	v.addf(at, policy.Unsupported, policy.Fault, "random gives another text in every run: rendering refuses it; derive the text from the resource, as with sha256(object.metadata.name)")
}

// lookup finds what resource.Get and its relatives ask for.
func (v *vetting) lookup(at fieldpath.Path, name string, call ast.CallExpr, args []string) {
	wanted := map[string]int{"get": 4, "list": 3, "post": 3}[name]
	if v.namespaced {
		wanted--
	}
	if wanted <= 0 || len(args) < wanted || isToGVR(call.Args()[0]) {
		if name == "get" || name == "list" || name == "post" {
			v.needs(at, nil, true, "looks up objects: give them with the manifests, or as resources of ClusterFacts")
		}
		return
	}
	namespace := ""
	rest := args[2:]
	if v.namespaced {
		namespace = v.doc.ID().Namespace
	} else {
		namespace, rest = rest[0], rest[1:]
	}
	object := ""
	var fact *facts.Spec
	switch name {
	case "get":
		object = rest[0]
		fact = library.Declares(args[0], args[1], namespace, object)
	case "list":
		fact = library.Declares(args[0], args[1], namespace, "")
	case "post":
		fact = library.Posts(args[0], args[1], namespace)
	}
	open := slices.Contains([]string{args[0], args[1], namespace, object}, unknownText)
	what := args[1] + " " + strings.Trim(namespace+"/"+object, "/")
	switch name {
	case "get":
		v.needs(at, fact, open, "needs %s: give it with the manifests, or as one of resources of ClusterFacts", what)
	case "list":
		v.needs(at, fact, true, "needs the %s: give them with the manifests, or record the list under apiCalls of ClusterFacts", strings.TrimSpace(what))
	case "post":
		v.needs(at, fact, open, "needs the answer of a POST of %s: declare it under apiCalls of ClusterFacts", strings.TrimSpace(what))
	}
}

func isToGVR(e ast.Expr) bool {
	return e.Kind() == ast.CallKind && strings.EqualFold(e.AsCall().FunctionName(), "toGVR")
}

// unknownText stands for a text that depends on the resource.
const unknownText = "{{ expression }}"

// literals returns the texts of arguments, and whether all of them are written
// out.
func literals(args []ast.Expr) (texts []string, fixed bool) {
	fixed = true
	for _, a := range args {
		s, ok := types.String(""), false
		if a.Kind() == ast.LiteralKind {
			s, ok = a.AsLiteral().(types.String)
		}
		if !ok {
			s, fixed = unknownText, false
		}
		texts = append(texts, string(s))
	}
	return texts, fixed
}

// mutating finds what does not do what it seems to in a MutatingPolicy.
func (v *vetting) mutating(p *spec.MutatingPolicy) {
	at, s := fieldpath.Path{}.Key("spec"), &p.Spec
	v.constraints(at.Key("matchConstraints"), s.MatchConstraints)
	if t := s.TargetMatchConstraints; t != nil {
		for _, f := range t.Unserved(at.Key("targetMatchConstraints")) {
			v.addf(f.Path, policy.Noted, policy.Warning, "%s", f.Message)
		}
	}
	if s.ReinvocationPolicy == "IfNeeded" {
		v.addf(at.Key("reinvocationPolicy"), policy.Noted, policy.Note, "Kyverno's engine runs the policy once; only the MutatingAdmissionPolicy that it can make of it runs again")
	}
	if s.Autogen != nil && s.Autogen.MutatingAdmissionPolicy.Or(false) {
		v.addf(at.Key("autogen").Key("mutatingAdmissionPolicy"), policy.Noted, policy.Note, "Kyverno makes a MutatingAdmissionPolicy of the policy where it can, which the API server runs; here it runs as the policy itself")
	}
	if !s.AdmissionEnabled() && !s.HasTargets() {
		v.addf(at.Key("evaluation").Key("admission"), policy.Noted, policy.Note, "Kyverno's background controller changes what exists when the policy is created, without its matchConditions; here each resource is changed for which they hold")
	}
	if s.MutatesExisting() && s.AdmissionEnabled() && !s.HasTargets() && len(s.MatchConditions) > len(s.TargetMatchConditions) {
		v.addf(at.Key("evaluation").Key("mutateExisting"), policy.Noted, policy.Warning, "once one resource is admitted, Kyverno changes all that matchConstraints select, and asks only targetMatchConditions, not matchConditions; repeat them there, or use targetMatchConstraints")
	}
	if autogen.Possible(s.MatchConstraints) {
		v.autogen(at, s)
	}
	v.configurations(at.Key("mutations"), s)
}

// configurations finds ApplyConfigurations that fail.
func (v *vetting) configurations(at fieldpath.Path, s *spec.MutatingSpec) {
	changed := s.MatchConstraints
	if t := s.TargetMatchConstraints; t != nil {
		changed = &t.Resources
	}
	kinds, all := changed.Kinds()
	if !all {
		return
	}
	atomics := s.Evaluation != nil && s.Evaluation.UseServerSideApply
	for i, m := range s.Mutations {
		if m.ApplyConfiguration == nil {
			continue
		}
		for _, text := range configuration.Faults(m.ApplyConfiguration.Expression, kinds, atomics, "write a JSONPatch, or set evaluation.useServerSideApply") {
			v.addf(at.Index(i).Key("applyConfiguration").Key("expression"), policy.Broken, policy.Warning, "%s", text)
		}
	}
}

// constraints finds what matchConstraints ask for.
func (v *vetting) constraints(at fieldpath.Path, r *constraints.Resources) {
	if r.NamespaceSelector.AsksForLabels() {
		v.needs(at.Key("namespaceSelector"), someNamespace(), true, "needs the labels of the namespaces it may apply to: give their Namespaces with the manifests, or as resources of ClusterFacts")
	}
	for _, f := range r.Unserved(at) {
		v.addf(f.Path, policy.Noted, policy.Warning, "%s", f.Message)
	}
	for i, rule := range r.ResourceRules {
		switch at := at.Key("resourceRules").Index(i); {
		case len(rule.Operations) == 0:
			v.addf(at, policy.Noted, policy.Warning, "matches nothing: operations is missing")
		case !slices.Contains(rule.Operations, "*") && !slices.Contains(rule.Operations, "CREATE"):
			v.needs(at.Key("operations"), &facts.Spec{Operation: rule.Operations[0]}, false,
				"never applies: rendering creates resources; where it should be %s, declare operation of ClusterFacts", rule.Operations[0])
		}
	}
}

var (
	podPattern = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`\b(object|oldObject)\.\??(spec|metadata\.\??(labels|annotations))\b`)
	})
	metadataPattern = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\bObject\.metadata\s*\{`) })
	rootPattern     = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^\s*Object\s*\{`) })
	optionalPattern = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`\b(object|oldObject)\.\?(spec|metadata)\b|\b(object|oldObject)\.metadata\.\?(labels|annotations)\b`)
	})
)

// autogen finds what Kyverno forgets to rewrite when it copies a policy for Pods.
func (v *vetting) autogen(at fieldpath.Path, s *spec.MutatingSpec) {
	var chosen []string
	if s.Autogen != nil && s.Autogen.PodControllers != nil {
		chosen = s.Autogen.PodControllers.Controllers
		for i, name := range chosen {
			if !autogen.Known(name) {
				v.addf(at.Key("autogen").Key("podControllers").Key("controllers").Index(i), policy.Noted, policy.Warning,
					"%s is no controller that Kyverno knows: expected cronjobs, daemonsets, deployments, jobs, replicasets, statefulsets, or RESOURCE.VERSION.GROUP", name)
			}
		}
	}
	copies := autogen.Targets(s.MatchConstraints, chosen)
	if copies[autogen.Extracted] != nil {
		v.addf(at.Key("autogen").Key("podControllers"), policy.Noted, policy.Warning, "Kyverno does not change custom workloads, which it only validates")
	}
	delete(copies, autogen.Extracted)
	if len(copies) == 0 {
		return
	}
	const where = "autogen copies the policy to the kinds that make Pods"
	for i, e := range s.Variables {
		if podPattern().MatchString(e.Expression) {
			v.addf(at.Key("variables").Index(i).Key("expression"), policy.Noted, policy.Warning,
				where+", and leaves variables as they are: there this reads the fields of the Deployment, not of its Pods; write it into the mutation, or limit autogen.podControllers.controllers")
		}
	}
	for i, m := range s.Mutations {
		at := at.Key("mutations").Index(i)
		if m.JSONPatch != nil && m.PatchType == "JSONPatch" {
			v.addf(at.Key("jsonPatch").Key("expression"), policy.Noted, policy.Warning,
				where+", and leaves JSON patches as they are: there it patches the Deployment, not its Pods; use ApplyConfiguration, or limit autogen.podControllers.controllers")
			continue
		}
		if m.ApplyConfiguration == nil {
			continue
		}
		at, text := at.Key("applyConfiguration").Key("expression"), m.ApplyConfiguration.Expression
		switch {
		case !rootPattern().MatchString(text):
			v.addf(at, policy.Noted, policy.Warning,
				where+", and finds the Object only where the expression begins with it: there this fails, or changes the Deployment; begin with Object{, or limit autogen.podControllers.controllers")
		case metadataPattern().MatchString(text):
			v.addf(at, policy.Noted, policy.Warning,
				where+", and does not rewrite Object.metadata{: there this fails, and admission refuses the resource; limit autogen.podControllers.controllers, and write a policy for the others")
		case optionalPattern().MatchString(text):
			v.addf(at, policy.Noted, policy.Warning,
				where+", and does not rewrite optional fields such as object.?spec: there this reads the fields of the Deployment")
		}
	}
	for i, c := range s.MatchConditions {
		if optionalPattern().MatchString(c.Expression) {
			v.addf(at.Key("matchConditions").Index(i).Key("expression"), policy.Noted, policy.Warning,
				where+", and does not rewrite optional fields such as object.?spec: there this reads the fields of the Deployment")
		}
	}
}
