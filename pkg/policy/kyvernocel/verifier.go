package kyvernocel

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/cel-go/common/types"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/oneloop-dev/oneloop/pkg/digest"
	"github.com/oneloop-dev/oneloop/pkg/expr/cel"
	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/jsonvalue"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyvernocel/internal/library"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyvernocel/internal/spec"
	"github.com/oneloop-dev/oneloop/pkg/resource"
	"github.com/oneloop-dev/oneloop/pkg/signature"
)

// A verifier checks images: that they have digests, that validations hold, and
// that some policy has verified them.
type verifier struct {
	*imagePolicy
	others []*imagePolicy // all policies about images, this one included
}

// Apply implements policy.Program.
func (p *verifier) Apply(ctx context.Context, in policy.Input) ([]policy.Result, error) {
	return p.each(ctx, in, func(v *imageVariant, ev *evaluation) []policy.Result {
		if v.extracted {
			return []policy.Result{p.failed(ev.request, errExtracted)}
		}
		run := &verification{imageVariant: v, ctx: ctx, ev: ev, resolver: in.Digests, verified: map[string]bool{}}
		reason, err := run.check()
		if err == nil && reason == "" && p.policy.Spec.Requires() {
			reason, err = p.required(ctx, in, run)
		}
		result := policy.Result{Rule: p.policy.Metadata.Name, Outcome: policy.Passed, Message: "success"}
		switch {
		case err != nil:
			result = p.failed(ev.request, err)
		case reason != "":
			result.Outcome, result.Message = policy.Denied, reason
			e := p.policy.Error(run.at, errors.New(reason))
			e.Resource, e.Path = ev.request.in.ID, nil
			if p.policy.Spec.Denies() {
				result.Err = e
			} else {
				e.Err = fmt.Errorf("%w; %s", e.Err, onlyReported)
				result.Ignored = e
			}
		}
		return []policy.Result{result}
	}, func(x *exemption) []policy.Result { return []policy.Result{x.result()} })
}

// errExtracted is the error of a policy about Pods that custom workloads make.
var errExtracted = fmt.Errorf("the Pods in custom workloads, which autogen.podControllers.controllers names, can't be checked at render time: %w", errors.ErrUnsupported)

// required returns which image no policy has verified; "": each of them is.
func (p *verifier) required(ctx context.Context, in policy.Input, run *verification) (string, error) {
	missing := slices.DeleteFunc(slices.Clone(run.chosen), func(image string) bool { return run.verified[image] })
	if len(missing) == 0 {
		return "", nil
	}
	// Others may have.
	known := run.verified
	var failure error
	for _, other := range p.others {
		if other == p.imagePolicy {
			continue
		}
		_, err := other.each(ctx, in, func(v *imageVariant, ev *evaluation) []policy.Result {
			if v.extracted {
				failure = errExtracted
				return nil
			}
			run := &verification{imageVariant: v, ctx: ctx, ev: ev, resolver: in.Digests, verified: map[string]bool{}}
			if _, err := run.check(); err != nil && failure == nil {
				failure = err
			}
			for image, ok := range run.verified {
				known[image] = known[image] || ok
			}
			return nil
		}, func(*exemption) []policy.Result { return nil })
		if err != nil {
			return "", err
		}
	}
	for _, image := range missing {
		ok, asked := known[image]
		switch {
		case ok:
			continue
		case failure != nil:
			return "", failure // that policy might have
		case asked:
			return "image " + image + " failed signature or attestation verification", nil
		}
		return "image " + image + " is not verified: no policy performed a signature or attestation check on it", nil
	}
	return "", nil
}

// A verification is a policy at work on one resource.
type verification struct {
	*imageVariant
	ctx      context.Context //nolint:containedctx // of the one call that it serves
	ev       *evaluation
	resolver digest.Resolver
	chosen   []string        // the images that the policy is about
	verified map[string]bool // of those that it asked about
	at       fieldpath.Path  // of what does not hold
}

// check returns why images are not as the policy demands, "" when they are.
func (r *verification) check() (string, error) {
	images, err := r.find()
	if err != nil {
		return "", err
	}
	if r.policy.Spec.VerifiesDigests() {
		_, off := r.resolver.(digest.Off)
		for _, image := range r.chosen {
			ref, err := name.ParseReference(image)
			if err != nil {
				return "", fmt.Errorf("image reference %q: %w", image, err)
			}
			if _, ok := ref.(name.Digest); !ok && !(off && r.policy.Spec.MutatesDigests()) {
				return "image " + image + " does not have a digest", nil
			}
		}
	}
	attestations, attestors := map[string]any{}, map[string]any{}
	for _, a := range r.policy.Spec.Attestations {
		attestations[a.Name] = a.Name
	}
	for _, a := range r.attestors {
		attestors[a.spec.Name] = library.Attestor(a.spec.Name, r)
	}
	r.ev.values["images"], r.ev.values["attestations"], r.ev.values["attestors"] = images, attestations, attestors
	for i, v := range r.validations {
		ok, err := v.expression.holds(r.ev)
		if err != nil {
			return "", err
		}
		if !ok {
			r.at = v.expression.at
			return r.message(i, v)
		}
	}
	for _, a := range r.annotations {
		if _, err := a.eval(r.ev); err != nil {
			return "", err
		}
	}
	return "", nil
}

// message says what a validation says that does not hold.
func (r *verification) message(i int, v *validation) (string, error) {
	message := v.message
	if v.messageExpression != nil {
		value, err := v.messageExpression.eval(r.ev)
		if err != nil {
			return "", err
		}
		text, _ := value.(types.String)
		message = string(text)
	}
	if message == "" {
		message = fmt.Sprintf("CEL expression validation failed at index %d", i)
	}
	return message, nil
}

// find returns the images that the policy is about, as they are written, by the
// name of their list.
func (r *verification) find() (map[string]any, error) {
	out := map[string]any{}
	add := func(list string, images []string) error {
		chosen := []any{}
		for _, image := range images {
			ok, err := r.chooses(r.ctx, image)
			if err != nil {
				return err
			}
			if ok {
				chosen = append(chosen, image)
				r.chosen = append(r.chosen, image)
			}
		}
		out[list] = chosen
		return nil
	}
	if podSpec, ok := r.podSpec(); ok {
		for _, list := range []string{"containers", "initContainers", "ephemeralContainers"} {
			images, err := written(podSpec, list)
			if err == nil {
				err = add(list, images)
			}
			if err != nil {
				return nil, err
			}
		}
	}
	for _, e := range r.images {
		value, err := e.eval(r.ev)
		if err != nil {
			return nil, err
		}
		plain, err := library.JSON(value)
		if err != nil {
			return nil, placed(e.at, err)
		}
		list, ok := plain.([]any)
		if !ok {
			return nil, placed(e.at, fmt.Errorf("expected a list of image references, found %s", jsonvalue.Describe(plain)))
		}
		var images []string
		for i, element := range list {
			image, ok := element.(string)
			if !ok {
				return nil, placed(e.at, fmt.Errorf("element %d: expected an image reference, found %s", i, jsonvalue.Describe(element)))
			}
			images = append(images, image)
		}
		if err := add(e.name, images); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// podSpecs is where the kinds have a Pod's spec in which Kyverno looks for
// images.
var podSpecs = map[resource.Kind]string{
	{Version: "v1", Kind: "Pod"}:                        "spec",
	{Group: "apps", Version: "v1", Kind: "Deployment"}:  "spec.template.spec",
	{Group: "apps", Version: "v1", Kind: "StatefulSet"}: "spec.template.spec",
	{Group: "apps", Version: "v1", Kind: "DaemonSet"}:   "spec.template.spec",
	{Group: "apps", Version: "v1", Kind: "ReplicaSet"}:  "spec.template.spec",
	{Group: "batch", Version: "v1", Kind: "Job"}:        "spec.template.spec",
	{Group: "batch", Version: "v1", Kind: "CronJob"}:    "spec.jobTemplate.spec.template.spec",
}

func (r *verification) podSpec() (map[string]any, bool) {
	path, ok := podSpecs[r.ev.request.kind]
	if !ok {
		return nil, false
	}
	o := r.ev.request.in.Object
	for step := range strings.SplitSeq(path, ".") {
		o, _ = o[step].(map[string]any)
	}
	return o, true
}

// written returns the images of a list of containers as they are written.
func written(podSpec map[string]any, list string) ([]string, error) {
	containers, _ := podSpec[list].([]any)
	var out []string
	for i, c := range containers {
		container, _ := c.(map[string]any)
		image, ok := container["image"].(string)
		if !ok {
			return nil, fmt.Errorf("%s[%d] has no image", list, i)
		}
		out = append(out, image)
	}
	return out, nil
}

// Verify implements library.Verification. An attestor that has not signed is not
// counted; one that can't be asked is an error, and nothing is verified then.
func (r *verification) Verify(image string, attestors []string) (int, error) {
	if ok, err := r.chooses(r.ctx, image); !ok || err != nil {
		return 0, err
	}
	ref, err := name.ParseReference(image)
	if err != nil {
		return 0, fmt.Errorf("image reference %q: %w", image, err)
	}
	var asked []*signature.Attestor
	for _, called := range attestors {
		a := r.attestors[slices.IndexFunc(r.attestors, func(a *attestor) bool { return a.spec.Name == called })]
		by, err := a.compiled(r.ev)
		if err != nil {
			return 0, fmt.Errorf("attestor %s of image %s: %w", called, image, err)
		}
		asked = append(asked, by)
	}
	var d name.Digest
	switch ref := ref.(type) {
	case name.Digest:
		d = ref
	case name.Tag:
		if d, err = r.resolver.Resolve(r.ctx, ref); err != nil {
			return 0, err
		}
	}
	count := 0
	for _, by := range asked {
		switch err := digest.Verify(r.ctx, r.resolver, d, by); {
		case err == nil:
			count++
		case !errors.Is(err, signature.ErrUnverified):
			return 0, err
		}
	}
	r.verified[image] = r.verified[image] || count > 0
	return count, nil
}

var errNotary = fmt.Errorf("signatures of Notary can't be verified at render time: %w", errors.ErrUnsupported)

// An attestor is a compiled spec.Attestor.
type attestor struct {
	spec *spec.Attestor
	// by is who is asked, or err why nobody can be, unless texts of the attestor
	// are expressions.
	by    *signature.Attestor
	err   error
	texts map[*string]*expression // by what they give
}

// attestor compiles an attestor.
func (c *compiler) attestor(at fieldpath.Path, s *spec.Attestor) *attestor {
	a := &attestor{spec: s}
	if s.Cosign == nil {
		a.err = errNotary
		return a
	}
	at = at.Key("cosign")
	text := func(at fieldpath.Path, source string, into *string) {
		if source == "" {
			return
		}
		if a.texts == nil {
			a.texts = map[*string]*expression{}
		}
		a.texts[into] = c.compile(at.Key("expression"), source, cel.Any)
	}
	if k := s.Cosign.Key; k != nil {
		text(at.Key("key"), k.Expression, &k.Data)
	}
	if cert := s.Cosign.Certificate; cert != nil {
		if cert.Certificate != nil {
			text(at.Key("certificate").Key("cert"), cert.Certificate.Expression, &cert.Certificate.Value)
		}
		if cert.Chain != nil {
			text(at.Key("certificate").Key("certChain"), cert.Chain.Expression, &cert.Chain.Value)
		}
	}
	if a.texts == nil {
		a.by, a.err = newAttestor(s.Cosign, func(s *string) string { return *s })
	}
	return a
}

// compiled returns who is asked for signatures.
func (a *attestor) compiled(ev *evaluation) (*signature.Attestor, error) {
	if a.texts == nil {
		return a.by, a.err
	}
	values := map[*string]string{}
	for into, e := range a.texts {
		v, err := e.eval(ev)
		if err != nil {
			return nil, err
		}
		s, ok := v.(types.String)
		if !ok {
			return nil, placed(e.at, fmt.Errorf("expected a string, found %s", v.Type().TypeName()))
		}
		values[into] = string(s)
	}
	return newAttestor(a.spec.Cosign, func(s *string) string {
		if v, ok := values[s]; ok {
			return v
		}
		return *s
	})
}

// newAttestor makes what signatures are verified with. text gives the value of a
// text of s.
func newAttestor(s *spec.Cosign, text func(*string) string) (*signature.Attestor, error) {
	refuse := func(what string) (*signature.Attestor, error) {
		return nil, fmt.Errorf("%s at render time: %w", what, errors.ErrUnsupported)
	}
	out := signature.Spec{Annotations: s.Annotations}
	switch {
	case s.Keyless != nil:
		return refuse("keyless signatures can't be verified")
	case s.Key != nil && s.Key.KMS != "":
		return refuse("keys in a key management system can't be used; write the public key into the policy: signatures can't be verified")
	case s.Key != nil:
		out.Key, out.Algorithm = text(&s.Key.Data), s.Key.HashAlgorithm
	case s.Certificate != nil:
		if c := s.Certificate.Certificate; c != nil {
			out.Certificate = text(&c.Value)
		}
		if c := s.Certificate.Chain; c != nil {
			out.Chain = text(&c.Value)
		}
	default:
		return refuse("an attestor without key and certificate can't be asked")
	}
	if s.Source != nil {
		if out.Repository = s.Source.Repository; s.Source.TagPrefix != "" {
			return refuse("source.tagPrefix: signatures under another tag can't be found")
		}
	}
	if log := s.CTLog; log != nil {
		out.IgnoreLog, out.IgnoreSCT, out.LogKey = log.InsecureIgnoreTlog, log.InsecureIgnoreSCT, log.RekorPubKey
		switch {
		case log.TSACertChain != "":
			return refuse("ctlog.tsaCertChain: signed timestamps can't be verified")
		case !out.IgnoreLog && out.LogKey == "" && log.URL != "" && strings.TrimSuffix(log.URL, "/") != "https://rekor.sigstore.dev":
			return refuse("the key of the log " + log.URL + " is not known; give it as ctlog.rekorPubKey: its entries can't be verified")
		}
	}
	if s.TUF != nil && !out.IgnoreLog && out.LogKey == "" {
		return refuse("the keys of the log come from a TUF repository; give them as ctlog.rekorPubKey: its entries can't be verified")
	}
	return signature.New(out)
}
