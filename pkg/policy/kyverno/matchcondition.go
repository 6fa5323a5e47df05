package kyverno

import (
	"errors"
	"fmt"

	"github.com/oneloop-dev/oneloop/pkg/expr/cel"
	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/spec"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// matchConditions are those of the webhook that a policy gets for them. In a
// cluster it is the API server that evaluates them, before it calls Kyverno.
type matchConditions struct {
	list   []matchCondition
	ignore bool // failurePolicy: an error lets the request pass the webhook by
}

type matchCondition struct {
	name    string
	at      fieldpath.Path
	program *cel.Program
}

// compileMatchConditions returns nil when the policy has none.
func compileMatchConditions(p *spec.Policy) (*matchConditions, error) {
	w := p.Spec.WebhookConfiguration
	if w == nil || len(w.MatchConditions) == 0 {
		return nil, nil
	}
	env, err := cel.Admission()
	if err != nil {
		return nil, err
	}
	failure := w.FailurePolicy
	if failure == "" {
		failure = p.Spec.FailurePolicy
	}
	out := &matchConditions{ignore: failure == "Ignore"}
	var errs []error
	for i, c := range w.MatchConditions {
		at := fieldpath.Path{}.Key("spec").Key("webhookConfiguration").Key("matchConditions").Index(i)
		program, err := env.Compile(c.Expression, cel.Bool)
		if err != nil {
			errs = append(errs, p.Error("", at.Key("expression"), err))
			continue
		}
		out.list = append(out.list, matchCondition{c.Name, at.Key("expression"), program})
	}
	return out, errors.Join(errs...)
}

// hold reports whether the API server would call the webhook. As there, all
// conditions are evaluated: one that is false decides, whatever the others are.
// passedOver is an error that failurePolicy: Ignore makes a request pass with.
func (c *matchConditions) hold(req *request, o resource.Object) (holds bool, passedOver, err error) {
	values := req.celVariables(o)
	budget := cel.Conditions()
	var errs []error
	isFalse := false
	for _, condition := range c.list {
		ok, err := condition.program.EvalBool(req.ctx, values, budget)
		if err != nil {
			err = fmt.Errorf("match condition %q at %s: %w", condition.name, condition.at, err)
		}
		if errors.Is(err, cel.ErrBudget) {
			// That ends it all, whatever the others are.
			return failing(c.ignore, err)
		}
		if err != nil {
			errs = append(errs, err)
		}
		isFalse = isFalse || err == nil && !ok
	}
	if isFalse {
		return false, nil, nil
	}
	if len(errs) > 0 {
		return failing(c.ignore && !unknown(errs), errors.Join(errs...))
	}
	return true, nil, nil
}

func failing(ignore bool, err error) (holds bool, passedOver, failure error) {
	if ignore {
		return false, err, nil
	}
	return false, nil, err
}

// unknown reports whether some error is about what only a cluster knows, so that
// nobody can tell whether it would have been an error there.
func unknown(errs []error) bool {
	for _, err := range errs {
		if errors.Is(err, facts.ErrMissing) || errors.Is(err, errors.ErrUnsupported) {
			return true
		}
	}
	return false
}

// celVariables are the variables that the API server gives to match conditions.
func (r *request) celVariables(o resource.Object) cel.Variables {
	admission := r.admission(r.show(o))
	out := cel.Variables{
		"object":    admission["object"],
		"oldObject": admission["oldObject"],
		"request":   admission,
		"authorizer": cel.Unknown(fmt.Errorf("the authorizer is only known in a cluster: %w; leave the policy to the cluster, or write it without authorizer",
			errors.ErrUnsupported)),
	}
	out["authorizer.requestResource"] = out["authorizer"]
	// Nothing but the two variables holds the objects, and empty is missing.
	delete(admission, "object")
	delete(admission, "oldObject")
	if admission["namespace"] == "" {
		delete(admission, "namespace")
	}
	if s, ok := admission["subResource"]; ok {
		admission["requestSubResource"] = s
	}
	options := map[string]string{"CREATE": "CreateOptions", "UPDATE": "UpdateOptions", "DELETE": "DeleteOptions"}[r.operation]
	if options != "" {
		admission["options"] = map[string]any{"apiVersion": "meta.k8s.io/v1", "kind": options}
	}
	if !r.in.Facts.Request.UserDeclared {
		admission["userInfo"] = cel.Unknown(facts.MissingUser("request.userInfo"))
	}
	return out
}
