package differential

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/digest"
	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/pipeline"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// errRefused is wrapped by the errors of Compile.
var errRefused = errors.New("refused")

func parse(name string, docs ...map[string]any) ([]*resource.Resource, error) {
	var out []*resource.Resource
	for _, d := range docs {
		rs, err := resource.Parse(name, []byte(text(d)))
		if err != nil {
			return nil, err
		}
		out = append(out, rs...)
	}
	return out, nil
}

// product runs one sample with oneloop, policy by policy.
func product(s *sample) ([]step, []error, error) {
	docs, err := parse("policy.yaml", append(append([]map[string]any{}, s.Policies...), s.Exceptions...)...)
	if err != nil {
		return nil, nil, err
	}
	set, err := pipeline.Compile([]policy.Language{kyverno.Language}, docs)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", errRefused, err)
	}
	known := facts.New()
	around := append([]map[string]any{}, s.ConfigMaps...)
	if s.Namespace != nil {
		around = append(around, s.Namespace)
	}
	objects, err := parse("facts.yaml", around...)
	if err != nil {
		return nil, nil, err
	}
	known.AddResources(objects...)
	if err := known.Declare(facts.Spec{
		Operation: s.Operation,
		UserInfo: &facts.Requester{
			UserInfo: facts.UserInfo{Username: s.User, Groups: []string{"system:authenticated"}},
			Roles:    s.Roles,
		},
	}); err != nil {
		return nil, nil, err
	}
	var steps []step
	var errs []error // of the rules
	for i, p := range s.Policies {
		// From the start each time: a request has all policies.
		var programs []policy.Program
		for _, p := range s.Policies[:i+1] {
			for _, program := range set.Admission() {
				if id := program.Policy().ID; id.Name == nameOf(p) && id.Namespace == namespaceOf(p) {
					programs = append(programs, program)
				}
			}
		}
		resources, err := parse("resource.yaml", s.Resource)
		if err != nil {
			return nil, nil, err
		}
		out, err := pipeline.Apply(context.Background(), resources, pipeline.Options{
			Set: policy.Set{Programs: programs}, Facts: known, Digests: digest.None("test"), KeepGoing: true, Workers: 1,
		})
		if err != nil {
			return nil, nil, err
		}
		st := step{policy: nameOf(p), moves: strings.Contains(text(p), "move")}
		for _, e := range out.Entries {
			if id := e.Policy.ID; id.Name != nameOf(p) || id.Namespace != namespaceOf(p) {
				continue
			}
			st.rules = append(st.rules, ruleResult{e.Rule, e.Outcome.Status(), e.Message})
			if e.Err != nil {
				errs = append(errs, e.Err)
			}
		}
		if st.object, err = out.Resources[0].Object(); err != nil {
			return nil, nil, err
		}
		steps = append(steps, st)
		if st.failed() {
			break
		}
	}
	return steps, errs, nil
}
