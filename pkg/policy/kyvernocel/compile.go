package kyvernocel

import (
	"errors"
	"fmt"

	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyvernocel/internal/spec"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// A compilation collects what the documents of a run compile to.
type compilation struct {
	set        policy.Set
	exceptions []*exception
	pins       []policy.Program // of ImageValidatingPolicies, which run after all mutations
	faults     []error

	imagePolicies []*imagePolicy
}

// kinds says what compiles the documents of a kind.
var kinds = map[string]func(*compilation, *resource.Resource){
	"MutatingPolicy":                  (*compilation).mutating,
	"NamespacedMutatingPolicy":        (*compilation).mutating,
	"GeneratingPolicy":                (*compilation).generating,
	"NamespacedGeneratingPolicy":      (*compilation).generating,
	"ImageValidatingPolicy":           (*compilation).imageValidating,
	"NamespacedImageValidatingPolicy": (*compilation).imageValidating,
	"ValidatingPolicy":                (*compilation).validating,
	"NamespacedValidatingPolicy":      (*compilation).validating,
	"DeletingPolicy":                  (*compilation).cluster,
	"NamespacedDeletingPolicy":        (*compilation).cluster,
}

// compile turns policies and exceptions into programs. What can be evaluated is
// in the Set even when the error is not nil.
func compile(docs []*resource.Resource) (policy.Set, error) {
	c := &compilation{}
	for _, d := range docs {
		if d.ID().Kind.Kind == "PolicyException" {
			e, faults := spec.ReadException(d)
			c.fault(faults...)
			if e != nil {
				c.exceptions = append(c.exceptions, &exception{spec: e})
			}
		}
	}
	for _, d := range docs {
		kind := d.ID().Kind.Kind
		if kind == "PolicyException" {
			continue
		}
		do, ok := kinds[kind]
		if !ok {
			c.faults = append(c.faults, &policy.Error{Policy: refOf(d), Err: fmt.Errorf(
				"%s has no kind %s; expected a MutatingPolicy, GeneratingPolicy, ImageValidatingPolicy, ValidatingPolicy, DeletingPolicy, one of these with Namespaced in front, or a PolicyException", spec.Group, kind)})
			continue
		}
		do(c, d)
	}
	c.set.Programs = append(c.set.Programs, c.pins...)
	c.set.Checks = append(c.set.Checks, c.verifiers()...)
	return c.set, errors.Join(c.faults...)
}

func refOf(d *resource.Resource) policy.Ref { return policy.Ref{ID: d.ID(), Origin: d.Origin()} }

func (c *compilation) fault(faults ...*policy.Error) {
	for _, f := range faults {
		c.faults = append(c.faults, f)
	}
}

// exempting returns the exceptions that name a policy.
func (c *compilation) exempting(d *spec.Document) []*exception {
	var out []*exception
	for _, e := range c.exceptions {
		if e.spec.Names(d) {
			out = append(out, e)
		}
	}
	return out
}

// validating notices a policy that changes nothing.
func (c *compilation) validating(d *resource.Resource) {
	c.set.Notices = append(c.set.Notices, policy.Notice{Policy: refOf(d), Message: d.ID().Kind.String() + " is not evaluated: it changes no manifest"})
}

// cluster refuses a policy that is no part of admission.
func (c *compilation) cluster(d *resource.Resource) {
	c.faults = append(c.faults, &policy.Error{Policy: refOf(d), Err: fmt.Errorf(
		"%s acts on a running cluster and changes no manifest; remove it from the policies: %w", d.ID().Kind.Kind, errors.ErrUnsupported)})
}
