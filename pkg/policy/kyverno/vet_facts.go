package kyverno

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/image"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/spec"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/variable"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/verifyimages"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// someUser declares a requester, someTime the time of the request. What nobody
// filled in has to be seen: it does not look like a value.
func someUser() *facts.Spec {
	return &facts.Spec{UserInfo: &facts.Requester{UserInfo: facts.UserInfo{Username: "{{ username }}", Groups: []string{"system:authenticated"}}}}
}

func someTime() *facts.Spec { return &facts.Spec{Now: "{{ time }}"} }

// someObject declares an object with a field to fill in, "" for none.
func someObject(kind resource.Kind, namespace, name, field string) *facts.Spec {
	meta := map[string]any{"name": name}
	if namespace != "" {
		meta["namespace"] = namespace
	}
	o := map[string]any{"apiVersion": kind.APIVersion(), "kind": kind.Kind, "metadata": meta}
	if field != "" {
		o[field] = map[string]any{}
	}
	return &facts.Spec{Resources: []map[string]any{o}}
}

// varies reports whether some text has a variable.
func varies(texts ...string) bool {
	return slices.ContainsFunc(texts, func(s string) bool { return strings.Contains(s, "{{") })
}

// block finds what match or exclude ask for.
func (v *vetting) block(path fieldpath.Path, b *spec.MatchResources, matching bool) {
	v.filter(path, &spec.ResourceFilter{UserInfo: b.UserInfo, Resources: b.Resources}, matching)
	for i := range b.Any {
		v.filter(path.Key("any").Index(i), &b.Any[i], matching)
	}
	for i := range b.All {
		v.filter(path.Key("all").Index(i), &b.All[i], matching)
	}
}

func (v *vetting) filter(path fieldpath.Path, f *spec.ResourceFilter, matching bool) {
	for _, asks := range []struct {
		field string
		yes   bool
	}{{"subjects", len(f.Subjects) > 0}, {"clusterRoles", len(f.ClusterRoles) > 0}, {"roles", len(f.Roles) > 0}} {
		if asks.yes {
			v.needs(path.Key(asks.field), someUser(), false, needsRequester)
			break
		}
	}
	d := &f.Resources
	path = path.Key("resources")
	v.kinds(path.Key("kinds"), d.Kinds)
	if d.NamespaceSelector != nil {
		fact := someObject(resource.Kind{Version: "v1", Kind: "Namespace"}, "", "{{ namespace }}", "")
		fact.Resources[0]["metadata"].(map[string]any)["labels"] = map[string]any{}
		v.needs(path.Key("namespaceSelector"), fact, true,
			"needs the labels of the namespaces it may apply to: give their Namespaces with the manifests, or as resources of ClusterFacts")
	}
	if matching && len(d.Operations) > 0 && !slices.Contains(d.Operations, "CREATE") {
		v.operation(path.Key("operations"), d.Operations[0])
	}
}

const needsRequester = "needs the requester: declare userInfo of ClusterFacts"

// operation says that something holds only for another operation than the one
// that rendering stands for.
func (v *vetting) operation(path fieldpath.Path, operation string) {
	v.needs(path, &facts.Spec{Operation: operation}, false,
		"never applies: rendering creates resources; where it should be %s, declare operation of ClusterFacts", operation)
}

// entries finds the facts that context entries load. As in Kyverno one that
// nothing mentions is not loaded.
func (v *vetting) entries(r *spec.Rule, uses []variable.Use) {
	eachEntry(r, func(path fieldpath.Path, e *spec.ContextEntry) {
		// What its own expressions mention is an earlier entry of that name.
		used := slices.ContainsFunc(uses, func(u variable.Use) bool {
			own := len(u.Path) > len(path) && fieldpath.Compare(u.Path[:len(path)], path) == 0
			return !own && u.Mentions(e.Name)
		})
		if !used {
			return
		}
		switch {
		case e.ConfigMap != nil:
			name, namespace := e.ConfigMap.Name, e.ConfigMap.Namespace
			v.needs(path.Key("configMap"), someObject(resource.Kind{Version: "v1", Kind: "ConfigMap"}, namespace, name, "data"), varies(name, namespace),
				"needs ConfigMap %s/%s: give it with the manifests, or as one of resources of ClusterFacts", namespace, name)
		case e.APICall != nil:
			v.call(path.Key("apiCall"), &e.APICall.APICall)
		case e.GlobalReference != nil:
			name := e.GlobalReference.Name
			v.needs(path.Key("globalReference"), &facts.Spec{GlobalContext: map[string]any{name: []any{}}}, varies(name),
				"needs the value of GlobalContextEntry %s: declare it under globalContext of ClusterFacts", name)
		case e.ImageRegistry != nil:
			v.registry(path.Key("imageRegistry"), e, uses)
		}
	})
}

// call finds what an API call asks for.
func (v *vetting) call(path fieldpath.Path, call *spec.APICall) {
	fact := facts.APICall{URLPath: call.URLPath, Method: call.Method, Response: map[string]any{}}
	if fact.URLPath == "" && call.Service != nil {
		fact.URLPath = call.Service.URL
	}
	method, how := fact.Method, "record it with kubectl get --raw"
	if method == "" || method == "GET" {
		method, fact.Method = "GET", ""
	}
	if call.Service != nil || method != "GET" {
		how = "record it"
	}
	v.needs(path, &facts.Spec{APICalls: []facts.APICall{fact}}, varies(fact.URLPath),
		"needs the answer of %s %s: %s, and declare it under apiCalls of ClusterFacts", method, fact.URLPath, how)
}

// registry finds what an imageRegistry entry asks for.
func (v *vetting) registry(path fieldpath.Path, e *spec.ContextEntry, uses []variable.Use) {
	manifest := image.NeedsManifest(e.ImageRegistry.JMESPath, "")
	if e.ImageRegistry.JMESPath == "" {
		manifest = slices.ContainsFunc(uses, func(u variable.Use) bool { return image.NeedsManifest(u.Text, e.Name) })
	}
	if manifest {
		v.needs(path, nil, true, "needs the manifest or the configuration of %s, which no lock has: render with --digests LockedOrResolve and the registry under --allow-host", e.ImageRegistry.Reference)
		return
	}
	v.needs(path, nil, true, "needs the digest of %s: write it into the lock with oneloop lock", e.ImageRegistry.Reference)
}

// eachEntry calls do for all context entries of a rule.
func eachEntry(r *spec.Rule, do func(fieldpath.Path, *spec.ContextEntry)) {
	each := func(path fieldpath.Path, list []spec.ContextEntry) {
		for i := range list {
			do(path.Key("context").Index(i), &list[i])
		}
	}
	each(r.Path, r.Context)
	if m := r.Mutation; m != nil {
		at := r.Path.Key("mutate")
		for i := range m.Targets {
			each(at.Key("targets").Index(i), m.Targets[i].Context)
		}
		var loops func(fieldpath.Path, []spec.ForEachMutation)
		loops = func(path fieldpath.Path, list []spec.ForEachMutation) {
			for i := range list {
				each(path.Index(i), list[i].Context)
				loops(path.Index(i).Key("foreach"), list[i].ForEach)
			}
		}
		loops(at.Key("foreach"), m.ForEach)
	}
	if g := r.Generation; g != nil {
		for i := range g.ForEach {
			each(r.Path.Key("generate").Key("foreach").Index(i), g.ForEach[i].Context)
		}
	}
}

// first calls do for the first use that pattern matches: one finding for each
// rule is enough.
func first(uses []variable.Use, pattern func() *regexp.Regexp, do func(u *variable.Use, found string)) {
	for i := range uses {
		if m := pattern().FindStringSubmatch(uses[i].Text); m != nil {
			do(&uses[i], m[1])
			return
		}
	}
}

var (
	requesterPattern = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?:^|[^.\w])(request\.userInfo|request\.roles|request\.clusterRoles|serviceAccountName|serviceAccountNamespace)\b`)
	})
	clockPattern = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`\b(time_now|time_now_utc|time_since)\s*\((?:[^()]*,\s*(?:''|"")\s*)?\)`)
	})
	oldObjectPattern = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\b(request\.oldObject)\b`) })
	assignedPattern  = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?:^|[^.\w])((?:request\.object|target|element\d*)\.metadata\.(?:uid|resourceVersion|creationTimestamp|generation)|request\.(?:uid|options))\b`)
	})
	authorizerPattern = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?:^|[^.\w'"])authorizer\.`) })
	dnsPattern        = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\b(is_external_url)\s*\(`) })
)

// requester finds variables about who makes the request.
func (v *vetting) requester(uses []variable.Use) {
	first(uses, requesterPattern, func(u *variable.Use, found string) {
		v.needs(u.Path, someUser(), false, "%s "+needsRequester, found)
	})
}

// matchConditions finds what CEL conditions of a policy ask for. They are
// searched as text: most of them are short.
func (v *vetting) matchConditions(p *spec.Policy) {
	if p.Spec.WebhookConfiguration == nil {
		return
	}
	for i, c := range p.Spec.WebhookConfiguration.MatchConditions {
		at := fieldpath.Path{}.Key("spec").Key("webhookConfiguration").Key("matchConditions").Index(i).Key("expression")
		if strings.Contains(c.Expression, "request.userInfo") {
			v.needs(at, someUser(), false, "request.userInfo "+needsRequester)
		}
		if authorizerPattern().MatchString(c.Expression) {
			v.addf(at, policy.Unsupported, policy.Warning, "the authorizer is only known in a cluster: the policy fails when it comes to this; leave it to the cluster, or write it without authorizer")
		}
	}
}

// clock finds functions that ask for the time.
func (v *vetting) clock(uses []variable.Use) {
	first(uses, clockPattern, func(u *variable.Use, found string) {
		v.needs(u.Path, someTime(), false, "%s needs the time of the request: give --now, or declare now of ClusterFacts", found)
	})
}

// limits finds what render time has no answer for.
func (v *vetting) limits(uses []variable.Use) {
	first(uses, oldObjectPattern, func(u *variable.Use, found string) {
		v.addf(u.Path, policy.Noted, policy.Note, "%s is null: rendering creates resources", found)
	})
	for i := range uses {
		u := &uses[i]
		if m := assignedPattern().FindStringSubmatch(u.Text); m != nil && !strings.Contains(u.Text, "||") {
			v.addf(u.Path, policy.Unsupported, policy.Warning, "%s is assigned by the API server, and no manifest has it: the rule fails when it comes to this; write a default with ||, or leave the rule to the cluster", m[1])
		}
		if m := dnsPattern().FindStringSubmatch(u.Text); m != nil {
			v.addf(u.Path, policy.Unsupported, policy.Warning, "%s asks DNS for the host in a URL, which rendering does not: the rule fails unless the URL has an IP address", m[1])
		}
		if u.Expression == nil {
			continue
		}
		for _, err := range flatten(u.Expression.Vet()) {
			check, severity, when := policy.Broken, policy.Warning, "the rule fails when it comes to this: "
			if errors.Is(err, errors.ErrUnsupported) {
				check, severity, when = policy.Unsupported, policy.Fault, ""
			}
			v.addf(u.Path, check, severity, "{{ %s }}: %s%s", u.Text, when, strings.TrimSuffix(err.Error(), ": "+errors.ErrUnsupported.Error()))
		}
	}
}

// preconditions finds those that only hold for another operation.
func (v *vetting) preconditions(r *spec.Rule) {
	at := r.Path.Key("preconditions")
	all, ok := r.Raw["preconditions"].([]any)
	if m, isMap := r.Raw["preconditions"].(map[string]any); isMap {
		at = at.Key("all")
		all, ok = m["all"].([]any)
		if one, _ := m["any"].([]any); !ok && len(one) == 1 {
			at, all, ok = r.Path.Key("preconditions").Key("any"), one, true
		}
	}
	if !ok {
		return
	}
	for i, e := range all {
		c, _ := e.(map[string]any)
		key, _ := c["key"].(string)
		operator, _ := c["operator"].(string)
		var values []any
		switch value := c["value"].(type) {
		case string:
			values = []any{value}
		case []any:
			values = value
		}
		if !operationKey().MatchString(key) || len(values) == 0 || slices.ContainsFunc(values, func(x any) bool { s, ok := x.(string); return !ok || varies(s) || s == "CREATE" }) {
			continue
		}
		switch operator {
		case "Equals", "Equal", "In", "AnyIn", "AllIn":
			v.operation(at.Index(i), values[0].(string))
		}
	}
}

var operationKey = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^\{\{-?\s*request\.operation\s*(\|\|[^{}]*)?\}\}$`)
})

// images finds what a verifyImages rule asks for.
func (v *vetting) images(r *spec.Rule) {
	for i := range r.VerifyImages {
		image, at := &r.VerifyImages[i], r.Path.Key("verifyImages").Index(i)
		for _, f := range verifyimages.Unsupported(i, image) {
			v.addf(slices.Concat(r.Path, f.Path), policy.Unsupported, policy.Fault, "%v; rendering fails on images that nobody else here can verify: leave it to the cluster", f.Err)
		}
		if field := verifyimages.Asks(image); field != "" && field != "attestations" && !image.MutatesDigest() {
			v.needs(at.Key(field), nil, true, "needs the signatures of the images that it selects: oneloop lock verifies them and writes it into the lock")
		}
		if image.MutatesDigest() {
			v.needs(at, nil, true, "needs the digests of the images that it pins: write them into the lock with oneloop lock")
		}
	}
}

// sources finds what a generate rule copies.
func (v *vetting) sources(r *spec.Rule) {
	if r.Generation == nil {
		return
	}
	at := r.Path.Key("generate")
	v.source(at, &r.Generation.GeneratePattern)
	for i := range r.Generation.ForEach {
		v.source(at.Key("foreach").Index(i), &r.Generation.ForEach[i].GeneratePattern)
	}
}

func (v *vetting) source(path fieldpath.Path, g *spec.GeneratePattern) {
	if from := g.Clone; from.Name != "" {
		kind := resource.ParseKind(g.APIVersion, g.Kind)
		v.needs(path.Key("clone"), someObject(kind, from.Namespace, from.Name, ""), varies(kind.String(), from.Namespace, from.Name),
			"needs %s, which it copies: give it with the manifests, or as one of resources of ClusterFacts", resource.ID{Kind: kind, Namespace: from.Namespace, Name: from.Name})
	}
	if len(g.CloneList.Kinds) > 0 {
		where := ""
		if g.CloneList.Namespace != "" {
			where = " in namespace " + g.CloneList.Namespace
		}
		v.needs(path.Key("cloneList"), nil, true, "needs the objects of %s%s, which it copies: give them with the manifests, or with --facts", strings.Join(g.CloneList.Kinds, " and "), where)
	}
}

// targets finds the resources that a rule changes besides its trigger.
func (v *vetting) targets(r *spec.Rule) {
	if r.Mutation == nil {
		return
	}
	for i := range r.Mutation.Targets {
		t := &r.Mutation.Targets[i]
		which := t.Kind
		switch {
		case t.Namespace != "" && t.Name != "":
			which += " " + t.Namespace + "/" + t.Name
		case t.Name != "":
			which += " " + t.Name
		case t.Namespace != "":
			which += " in namespace " + t.Namespace
		}
		v.needs(r.Path.Key("mutate").Key("targets").Index(i), nil, true, "changes %s among the manifests that are rendered, and none elsewhere", which)
	}
}
