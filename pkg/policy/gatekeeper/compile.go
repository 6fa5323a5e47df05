package gatekeeper

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// compile turns all mutators into one program: each of them sees what the others
// do, until nothing changes any more.
func compile(docs []*resource.Resource) (policy.Set, error) {
	var set policy.Set
	var errs []error
	p := &program{providers: providers{}}
	seen := map[resource.ID]policy.Ref{} // without versions
	for _, d := range docs {
		ref := policy.Ref{ID: d.ID(), Origin: d.Origin()}
		id := ref.ID
		id.Kind.Version = ""
		if other, ok := seen[id]; ok {
			errs = append(errs, &policy.Error{Policy: ref, Err: fmt.Errorf("%s %s is there twice; the other one is at %s", id.Kind.Kind, id.Name, other.Origin)})
			continue
		}
		seen[id] = ref
		notice := func(message string) {
			set.Notices = append(set.Notices, policy.Notice{Policy: ref, Message: message})
		}
		switch {
		case id.Kind.Group == mutations:
			m, faults := compileMutator(d)
			errs = append(errs, faults...)
			if m == nil {
				continue
			}
			p.mutators = append(p.mutators, m)
			if m.match.Source == "Generated" {
				notice("source: Generated is for what ExpansionTemplates make up to validate it: it changes no manifest")
			}
		case id.Kind.Group == configuring && id.Kind.Kind == "Config":
			c, faults := compileConfig(d)
			errs = append(errs, faults...)
			p.config = c
		case id.Kind.Group == externalData && id.Kind.Kind == "Provider":
			o, err := d.Object()
			if err != nil {
				errs = append(errs, &policy.Error{Policy: ref, Err: err})
				continue
			}
			p.providers[id.Name] = o
		default:
			notice(ref.ID.Kind.Kind + " is not evaluated: it changes no manifest")
		}
	}
	errs = append(errs, conflicts(p.mutators)...)
	if len(p.mutators) > 0 {
		slices.SortStableFunc(p.mutators, func(a, b *mutator) int {
			x, y := a.ref.ID, b.ref.ID
			return cmp.Or(cmp.Compare(x.Kind.Kind, y.Kind.Kind), cmp.Compare(x.Namespace, y.Namespace), cmp.Compare(x.Name, y.Name))
		})
		set.Programs = []policy.Program{p}
	}
	return set, errors.Join(errs...)
}
