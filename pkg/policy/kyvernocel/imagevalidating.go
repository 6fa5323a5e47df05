package kyvernocel

import (
	"context"
	"errors"
	"fmt"
	"slices"

	gocel "github.com/google/cel-go/cel"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/oneloop-dev/oneloop/pkg/digest"
	"github.com/oneloop-dev/oneloop/pkg/expr/cel"
	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/image"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/internal/constraints"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyvernocel/internal/autogen"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyvernocel/internal/glob"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyvernocel/internal/spec"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// An imagePolicy is a compiled ImageValidatingPolicy with the copies that autogen
// makes of it. As in Kyverno it runs twice: a pinner writes digests and verifies
// nothing, and when all mutations are done a verifier checks.
type imagePolicy struct {
	policy     *spec.ImageValidatingPolicy
	references []imageReference
	variants   []*imageVariant
}

// An imageVariant is the policy itself or one of its copies.
type imageVariant struct {
	*imagePolicy
	match     *constraints.Matcher
	extracted bool // a copy for controllers whose Pods Kyverno looks for

	conditions  []*expression
	exceptions  []*exception
	variables   *cel.Definitions
	images      []*expression // by name
	attestors   []*attestor
	validations []*validation
	annotations []*expression
}

// An imageReference chooses images by a glob or by an expression.
type imageReference struct {
	glob       *glob.Glob
	expression *expression
}

// A validation is a compiled spec.Validation.
type validation struct {
	expression, messageExpression *expression
	message                       string
}

// imageValidating compiles an ImageValidatingPolicy or
// NamespacedImageValidatingPolicy.
func (c *compilation) imageValidating(d *resource.Resource) {
	p, faults := spec.ReadImageValidating(d)
	if c.fault(faults...); p == nil {
		return
	}
	notice := func(message string) {
		c.set.Notices = append(c.set.Notices, policy.Notice{Policy: p.Ref, Message: message})
	}
	if p.Spec.Evaluation != nil && p.Spec.Evaluation.Mode == "JSON" {
		notice("evaluation.mode is JSON: the policy is about other payloads than resources, and is not evaluated")
		return
	}
	if !p.Spec.Admits() {
		notice("evaluation.admission.enabled is false: the policy does nothing, here as in a cluster")
		return
	}
	compiled, faults := compileImagePolicy(p, c.exempting(&p.Document))
	if c.fault(faults...); len(faults) > 0 {
		return
	}
	if p.Spec.MutatesDigests() {
		c.pins = append(c.pins, &pinner{compiled})
	}
	c.imagePolicies = append(c.imagePolicies, compiled)
}

// verifiers returns what checks images: each of them may have to know what the
// others verify.
func (c *compilation) verifiers() []policy.Program {
	var out []policy.Program
	for _, p := range c.imagePolicies {
		out = append(out, &verifier{p, c.imagePolicies})
	}
	return out
}

func compileImagePolicy(p *spec.ImageValidatingPolicy, exceptions []*exception) (*imagePolicy, []*policy.Error) {
	out := &imagePolicy{policy: p}
	var faults []*policy.Error
	at := fieldpath.Path{}.Key("spec").Key("matchImageReferences")
	for i, r := range p.Spec.MatchImageReferences {
		compiled, err := compileReference(at.Index(i), r)
		if err != nil {
			field := "glob"
			if r.Glob == "" {
				field = "expression"
			}
			faults = append(faults, p.Error(at.Index(i).Key(field), err))
		}
		out.references = append(out.references, compiled)
	}
	copies, err := autogen.Images(&p.Spec)
	if err != nil {
		return nil, append(faults, p.Error(nil, err))
	}
	copies[""] = &p.Spec
	for _, variant := range []autogen.Variant{"", autogen.CronJobs, autogen.Defaults, autogen.Extracted} {
		s, ok := copies[variant]
		if !ok || len(faults) > 0 {
			continue
		}
		v, more := out.compile(s, exceptions)
		v.extracted = variant == autogen.Extracted
		if variant != "" {
			// The text of the policy itself is all right.
			for _, f := range more {
				f.Err = policy.Failing(fmt.Errorf("as autogen rewrites it for %s: %w; limit autogen.podControllers.controllers, or write a policy for them", variant, f.Err))
			}
		}
		faults = append(faults, more...)
		out.variants = append(out.variants, v)
	}
	return out, faults
}

func compileReference(at fieldpath.Path, r spec.ImageReference) (imageReference, error) {
	if r.Glob != "" {
		g, err := glob.Compile(r.Glob)
		return imageReference{glob: g}, err
	}
	env, err := referenceEnvironment()
	if err != nil {
		return imageReference{}, err
	}
	program, err := env.Compile(r.Expression, cel.Bool)
	return imageReference{expression: &expression{Program: program, at: at.Key("expression")}}, err
}

// compile compiles the policy, or a copy of it.
func (p *imagePolicy) compile(s *spec.ImageValidatingSpec, exceptions []*exception) (*imageVariant, []*policy.Error) {
	v := &imageVariant{imagePolicy: p}
	base, err := imageEnvironment(p.policy.Namespace())
	if err != nil {
		return v, []*policy.Error{p.policy.Error(nil, err)}
	}
	at := fieldpath.Path{}.Key("spec")
	// Conditions come before the variables, and don't know them.
	before, err := newCompiler(&p.policy.Document, base, nil, nil)
	if err != nil {
		return v, []*policy.Error{p.policy.Error(nil, err)}
	}
	c, err := newCompiler(&p.policy.Document, base, s.Variables, at.Key("variables"))
	if err != nil {
		return v, []*policy.Error{p.policy.Error(nil, err)}
	}
	v.variables = c.variables
	v.match = c.matcher(at.Key("matchConstraints"), s.MatchConstraints)
	v.conditions = before.conditions(at.Key("matchConditions"), s.MatchConditions)
	for i, e := range s.Images {
		one := c.compile(at.Key("images").Index(i).Key("expression"), e.Expression, cel.Any)
		one.name = e.Name
		v.images = append(v.images, one)
	}
	for i := range s.Attestors {
		v.attestors = append(v.attestors, c.attestor(at.Key("attestors").Index(i), &s.Attestors[i]))
	}
	for i, one := range s.Validations {
		at := at.Key("validations").Index(i)
		out := &validation{expression: c.compile(at.Key("expression"), one.Expression, cel.Bool), message: one.Message}
		if one.MessageExpression != "" {
			out.messageExpression = c.compile(at.Key("messageExpression"), one.MessageExpression, gocel.StringType)
		}
		v.validations = append(v.validations, out)
	}
	for i, a := range s.AuditAnnotations {
		v.annotations = append(v.annotations, c.annotation(at.Key("auditAnnotations").Index(i).Key("valueExpression"), a.ValueExpression))
	}
	v.exceptions = c.exceptions(exceptions)
	return v, slices.Concat(before.faults, c.faults)
}

// Policy implements policy.Program.
func (p *imagePolicy) Policy() policy.Ref { return p.policy.Ref }

// Selects implements policy.Program.
func (p *imagePolicy) Selects(k resource.Kind) bool {
	return slices.ContainsFunc(p.variants, func(v *imageVariant) bool { return v.match.Selects(k) })
}

// each calls do for the policy and its copies that match a resource and do not
// exempt it; exempted is called for those that do.
func (p *imagePolicy) each(ctx context.Context, in policy.Input, do func(*imageVariant, *evaluation) []policy.Result, exempted func(*exemption) []policy.Result) ([]policy.Result, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	req, err := newRequest(in)
	if err != nil {
		return nil, err
	}
	if own := p.policy.Namespace(); own != "" && own != req.requestNamespace() || req.operation == "DELETE" {
		return nil, nil
	}
	o, err := req.show(in.Object)
	if err != nil {
		return nil, err
	}
	var out []policy.Result
	for _, v := range p.variants {
		_, matched, err := v.match.Match(req.subject(o))
		if err != nil {
			out = append(out, p.failed(req, err))
			continue
		}
		if !matched || req.filtered() != "" {
			continue
		}
		ev, err := newEvaluation(ctx, req, p.policy.Namespace(), o)
		if err != nil {
			out = append(out, p.failed(req, err))
			continue
		}
		holds, err := ev.hold(v.conditions)
		if err != nil {
			out = append(out, p.passedBy(req, err))
			continue
		}
		if !holds {
			continue
		}
		x, err := exempt(ev, v.exceptions)
		switch {
		case err != nil:
			out = append(out, p.passedBy(req, err))
		case x.full != nil:
			out = append(out, exempted(x)...)
		default:
			ev.begin(x, v.variables)
			out = append(out, do(v, ev)...)
		}
	}
	return out, ctx.Err()
}

// failed is the result of what could not be evaluated. A policy that does not
// deny lets the resource pass.
func (p *imagePolicy) failed(req *request, err error) policy.Result {
	result := failed(&p.policy.Document, false, req, err)
	if !p.policy.Spec.Denies() && !unknowable(err) {
		counted := failed(&p.policy.Document, false, req, fmt.Errorf("%w; %s", err, onlyReported))
		result.Err, result.Ignored = nil, counted.Err
	}
	result.Rule = p.policy.Metadata.Name
	return result
}

const onlyReported = "without Deny in validationActions the policy only reports it"

// passedBy is the result of conditions that could not be evaluated. With
// failurePolicy: Ignore the policy leaves the resource alone.
func (p *imagePolicy) passedBy(req *request, err error) policy.Result {
	result := failed(&p.policy.Document, p.policy.Spec.IgnoresFailures(), req, err)
	if result.Ignored == nil {
		return p.failed(req, err)
	}
	result.Rule, result.Outcome = p.policy.Metadata.Name, policy.Skipped
	return result
}

// chooses reports whether the policy is about an image.
func (p *imagePolicy) chooses(ctx context.Context, reference string) (bool, error) {
	for _, r := range p.references {
		if r.glob != nil {
			if r.glob.Match(reference) {
				return true, nil
			}
			continue
		}
		ok, err := r.expression.EvalBool(ctx, cel.Variables{"ref": reference}, nil)
		if err != nil {
			return false, placed(r.expression.at, err)
		}
		if ok {
			return true, nil
		}
	}
	return len(p.references) == 0, nil
}

// A pinner writes the digests of images.
type pinner struct{ *imagePolicy }

// Peers implements policy.Unordered: Kyverno keeps these policies in a map, too.
func (p *pinner) Peers() string { return "kyverno ImageValidatingPolicies" }

// pinRule is what Kyverno calls the results of a pinner.
const pinRule = "mutateDigest"

// Apply implements policy.Program. An image whose digest is not known does not
// keep the others from getting theirs.
func (p *pinner) Apply(ctx context.Context, in policy.Input) ([]policy.Result, error) {
	o := in.Object
	return p.each(ctx, in, func(v *imageVariant, ev *evaluation) []policy.Result {
		if v.extracted {
			return []policy.Result{{Rule: pinRule, Outcome: policy.Skipped, Message: "Kyverno does not pin the images of custom workloads"}}
		}
		groups, err := image.Groups(in.ID.Kind, o)
		if err != nil {
			return []policy.Result{p.pinFailed(ev.request, err)}
		}
		var results []policy.Result
		pinned := false
		for _, g := range groups {
			for _, f := range g.Fields {
				reference, err := p.pin(ctx, f, in.Digests)
				switch {
				case errors.Is(err, digest.ErrOff):
					return []policy.Result{{Rule: pinRule, Outcome: policy.Skipped, Message: "resolving digests is switched off"}}
				case err != nil:
					results = append(results, p.pinFailed(ev.request, &policy.FieldError{Path: f.At, Err: err}))
				case reference != "":
					after, err := image.Pin(o, f.At, reference)
					if err != nil {
						return []policy.Result{p.pinFailed(ev.request, err)}
					}
					o, pinned = after, true
				}
			}
		}
		if pinned {
			results = append([]policy.Result{{Rule: pinRule, Outcome: policy.Mutated, Message: "mutated image digest", Object: o}}, results...)
		}
		return results
	}, func(*exemption) []policy.Result { return nil }) // the verifier says so
}

func (p *pinner) pinFailed(req *request, err error) policy.Result {
	result := p.failed(req, err)
	result.Rule = pinRule
	return result
}

// pin returns the reference of an image with its digest; "" when there is nothing
// to do.
func (p *pinner) pin(ctx context.Context, f image.Field, resolver digest.Resolver) (string, error) {
	if f.Digest != "" {
		return "", nil
	}
	if ok, err := p.chooses(ctx, f.Full); !ok || err != nil {
		return "", err
	}
	tag, err := name.NewTag(f.Full)
	if err != nil {
		return "", fmt.Errorf("image reference %q: %w", f.Full, err)
	}
	d, err := resolver.Resolve(ctx, tag)
	if err != nil {
		return "", err
	}
	return f.Full + "@" + d.DigestStr(), nil
}
