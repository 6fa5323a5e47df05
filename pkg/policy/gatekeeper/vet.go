package gatekeeper

import (
	"fmt"
	"slices"

	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// vet tells what mutators ask the cluster for, and what is different here. Those
// with faults are left out.
func vet(docs []*resource.Resource) []policy.Finding {
	v := &vetting{urls: map[string]string{}}
	for _, d := range docs {
		if k := d.ID().Kind; k.Group == externalData && k.Kind == "Provider" {
			if o, err := d.Object(); err == nil {
				v.urls[d.ID().Name] = url(o)
			}
		}
	}
	for _, d := range docs {
		if d.ID().Kind.Group != mutations {
			continue
		}
		if m, _ := compileMutator(d); m != nil {
			v.source = d
			v.mutator(m)
		}
	}
	return v.findings
}

type vetting struct {
	urls     map[string]string // of the providers that are given
	source   *resource.Resource
	findings []policy.Finding
}

func (v *vetting) add(at fieldpath.Path, check policy.Check, severity policy.Severity, needs *facts.Spec, open bool, format string, args ...any) {
	v.findings = append(v.findings, policy.Finding{
		Policy: policy.Ref{ID: v.source.ID(), Origin: v.source.Origin()}, Line: v.source.Line(at), Path: at,
		Check: check, Severity: severity, Needs: needs, Open: open, Message: fmt.Sprintf(format, args...),
	})
}

func (v *vetting) mutator(m *mutator) {
	kind := m.ref.ID.Kind
	if newest := versions[kind.Kind][0]; kind.Version != newest {
		v.add(fieldpath.Path{}.Key("apiVersion"), policy.Deprecated, policy.Warning, nil, false,
			"%s is no longer the version to write: write %s/%s, which has the same fields", kind.APIVersion(), mutations, newest)
	}
	at := spec.Key("match")
	if m.match.NamespaceSelector.AsksForLabels() {
		v.add(at.Key("namespaceSelector"), policy.Needed, policy.Note, &facts.Spec{Resources: []map[string]any{{
			"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": "{{ namespace }}", "labels": map[string]any{}},
		}}}, true, "needs the labels of the namespaces it may apply to: give their Namespaces with the manifests, or as resources of ClusterFacts")
	}
	switch m.match.Scope {
	case "", "*", "Cluster", "Namespaced":
	default:
		v.add(at.Key("scope"), policy.Noted, policy.Warning, nil, false,
			"Gatekeeper takes %q for *: write Cluster or Namespaced, or leave it out", m.match.Scope)
	}
	if m.applyTo != nil && !slices.ContainsFunc(m.applyTo, func(a applyTo) bool { return a.during("CREATE") }) {
		v.add(spec.Key("applyTo"), policy.Needed, policy.Note, &facts.Spec{Operation: "UPDATE"}, false,
			"never applies: rendering creates resources; where it should be UPDATE, declare operation of ClusterFacts")
	}
	if m.applyTo != nil && !slices.ContainsFunc(m.applyTo, m.anyKind) {
		v.add(at.Key("kinds"), policy.Noted, policy.Warning, nil, false, "never applies: none of the kinds of applyTo is among these")
	}
	if m.podsOnly() {
		v.add(spec, policy.Noted, policy.Note, nil, false,
			"applies to Pods alone, not to the templates of Deployments and others: a cluster changes the Pods that they make; to render that, name those kinds in another mutator, with the location in their template")
	}
	if e, ok := m.set.(external); ok {
		v.external(&e)
	}
}

// anyKind reports whether match leaves over any kind of a.
func (m *mutator) anyKind(a applyTo) bool {
	return slices.ContainsFunc(a.Groups, func(group string) bool {
		return slices.ContainsFunc(a.Kinds, func(kind string) bool { return m.match.selects(resource.Kind{Group: group, Kind: kind}) })
	})
}

// podsOnly reports whether m applies to Pods and to nothing that makes Pods.
func (m *mutator) podsOnly() bool {
	if m.match.Source == "Generated" {
		return false
	}
	selects := func(group, kind string) bool {
		return m.selects(resource.Kind{Group: group, Version: "v1", Kind: kind})
	}
	return selects("", "Pod") && !selects("apps", "Deployment") && !selects("apps", "StatefulSet") && !selects("apps", "DaemonSet") &&
		!selects("apps", "ReplicaSet") && !selects("batch", "Job") && !selects("batch", "CronJob")
}

func (v *vetting) external(e *external) {
	at := parameters.Key("assign").Key("externalData")
	if e.DataSource == username {
		v.add(at, policy.Needed, policy.Note, &facts.Spec{UserInfo: &facts.Requester{UserInfo: facts.UserInfo{Username: "{{ username }}"}}}, false,
			"needs the requester: declare userInfo of ClusterFacts")
	}
	address, known := v.urls[e.Provider]
	if !known {
		address = "{{ url of Provider " + e.Provider + " }}"
		v.add(at, policy.Needed, policy.Note, &facts.Spec{Resources: []map[string]any{{
			"apiVersion": externalData + "/v1beta1", "kind": "Provider", "metadata": map[string]any{"name": e.Provider},
			"spec": map[string]any{"url": address},
		}}}, false, "needs Provider %s: give it with the policies, or as one of resources of ClusterFacts", e.Provider)
	}
	v.add(at, policy.Needed, policy.Note, &facts.Spec{APICalls: []facts.APICall{{
		URLPath: address, Method: "POST",
		Response: map[string]any{"response": map[string]any{"idempotent": true, "items": []any{map[string]any{"key": "{{ key }}", "value": "{{ value }}"}}}},
	}}}, !known, "needs what Provider %s answers: record it as an apiCall of ClusterFacts with the URL of the Provider", e.Provider)
}

// url returns the address of a Provider, "" when it has none.
func url(provider resource.Object) string {
	spec, _ := provider["spec"].(map[string]any)
	url, _ := spec["url"].(string)
	return url
}
