package kyvernocel

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyvernocel/internal/library"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyvernocel/internal/spec"
)

// An exception is a PolicyException. Its conditions are compiled for each policy
// that it names, because they may use what the policy may use.
type exception struct {
	spec       *spec.PolicyException
	conditions []*expression
}

// applies reports whether the conditions hold and the exception is not over.
func (e *exception) applies(ev *evaluation) (bool, error) {
	now, end := ev.request.in.Now, e.spec.Spec.ExpiresAt
	if end != "" && now != nil {
		at, err := time.Parse(time.RFC3339, end)
		if err != nil || now().After(at) {
			return false, err
		}
	}
	applies, err := ev.hold(e.conditions)
	if err == nil && applies && end != "" && now == nil {
		return false, facts.MissingTime("expiresAt")
	}
	return applies, err
}

// priority is what decides between exceptions.
func priority(e *spec.PolicyException) int {
	n, err := strconv.Atoi(e.Metadata.Labels["polex.kyverno.io/priority"])
	if err != nil {
		return 0
	}
	return n
}

// An exemption is what the exceptions of a policy come to for one resource.
type exemption struct {
	full            []*spec.PolicyException // that leave nothing of the policy
	images, allowed []string
}

// exempt evaluates exceptions before the variables of the policy exist. As in
// Kyverno, one that fails after one that exempts from all is passed over.
func exempt(ev *evaluation, list []*exception) (*exemption, error) {
	out := &exemption{}
	isFull := false
	for _, e := range list {
		applies, err := e.applies(ev)
		if err != nil {
			if isFull {
				continue
			}
			return nil, fmt.Errorf("PolicyException %s: %w", e.spec.Key(), err)
		}
		if !applies {
			continue
		}
		out.full = append(out.full, e.spec)
		switch {
		case e.spec.Full():
			isFull = true
		case !isFull:
			out.images = append(out.images, e.spec.Spec.Images...)
			out.allowed = append(out.allowed, e.spec.Spec.AllowedValues...)
		}
	}
	if !isFull {
		out.full = nil
	}
	return out, nil
}

// variable is the variable exceptions.
func (x *exemption) variable() any { return library.Exceptions(x.images, x.allowed) }

// result is what a policy reports that is left out because of exceptions: what
// the one says that has the highest priority.
func (x *exemption) result() policy.Result {
	keys := make([]string, len(x.full))
	chosen, highest := x.full[0], 0
	for i, e := range x.full {
		keys[i] = e.Key()
		if n := priority(e); n > highest {
			chosen, highest = e, n
		}
	}
	text := "rule is %s due to policy exception: " + strings.Join(keys, ", ")
	if chosen.Spec.ReportResult == "pass" {
		return policy.Result{Rule: "exception", Outcome: policy.Passed, Message: fmt.Sprintf(text, "passed")}
	}
	return policy.Result{Rule: "exception", Outcome: policy.Skipped, Message: fmt.Sprintf(text, "skipped")}
}
