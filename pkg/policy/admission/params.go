package admission

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// params says which objects a binding takes as params.
type params struct {
	name, namespace string
	selector        labels.Selector // nil when there is a name
	deny            bool            // parameterNotFoundAction
}

// errNoParams is the error of a binding with parameterNotFoundAction: Deny.
var errNoParams = errors.New("no params found for policy binding with `Deny` parameterNotFoundAction")

// paramsKnown returns an error when nobody can tell what the params are.
func (p *compiled) paramsKnown(r *request) error {
	if p.params == nil {
		return nil
	}
	switch {
	case r.kinds.Served(*p.params):
		return nil
	case r.kinds.Known(*p.params):
		return fmt.Errorf("failed to find resource referenced by paramKind: '%s, Kind=%s': Kubernetes 1.36 has no such kind", p.params.APIVersion(), p.params.Kind)
	}
	for _, k := range r.in.Facts.Kinds() {
		if k.Group == p.params.Group && k.Kind == p.params.Kind {
			return nil
		}
	}
	return fmt.Errorf("failed to find resource referenced by paramKind: '%s, Kind=%s': %w; give its CustomResourceDefinition and the params with --facts",
		p.params.APIVersion(), p.params.Kind, facts.ErrMissing)
}

// collect returns the params of a binding: none when the policy is not to be
// invoked, and a nil one when it is invoked without.
func (p *compiled) collect(r *request, b *binding) ([]resource.Object, error) {
	if p.params == nil || b.params == nil {
		return []resource.Object{nil}, nil
	}
	namespace := ""
	cluster := r.clusterScoped(*p.params)
	switch {
	case !cluster && b.params.namespace != "":
		namespace = b.params.namespace
	case !cluster && r.namespace == "":
		return nil, errors.New("cannot use namespaced paramRef in policy binding that matches cluster-scoped resources")
	case !cluster:
		namespace = r.namespace
	case b.params.namespace != "":
		return nil, errors.New("paramRef.namespace must not be provided for a cluster-scoped `paramKind`")
	}
	var found []resource.Object
	if b.params.selector == nil {
		o, ok, err := r.in.Facts.Get(resource.ID{Kind: *p.params, Namespace: namespace, Name: b.params.name})
		if err != nil {
			return nil, err
		}
		if ok {
			found = append(found, o)
		}
	} else {
		all, err := r.in.Facts.List(p.params.Group, p.params.Kind, namespace)
		if err != nil {
			return nil, err
		}
		for _, o := range all {
			if b.params.selector.Matches(labels.Set(labelsOf(o))) {
				found = append(found, o)
			}
		}
		slices.SortStableFunc(found, func(a, b resource.Object) int {
			return strings.Compare(resource.IDOf(a).Name, resource.IDOf(b).Name)
		})
	}
	if len(found) == 0 && b.params.deny {
		what := b.params.name
		if what == "" {
			what = "of its selector"
		} else if namespace != "" {
			what = namespace + "/" + what
		}
		return nil, fmt.Errorf("%w (there is no %s %s among the manifests and the facts; where a cluster has it, give it with --facts)", errNoParams, p.params.Kind, what)
	}
	for i, o := range found {
		if !cluster {
			found[i] = resource.WithNamespace(o, namespace)
		}
	}
	return found, nil
}

func labelsOf(o resource.Object) map[string]string {
	meta, _ := o["metadata"].(map[string]any)
	set, _ := meta["labels"].(map[string]any)
	out := map[string]string{}
	for k, v := range set {
		if s, ok := v.(string); ok {
			out[k] = s
		}
	}
	return out
}
