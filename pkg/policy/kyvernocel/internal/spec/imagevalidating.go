package spec

import (
	"slices"

	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/internal/constraints"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// An ImageValidatingPolicy is an ImageValidatingPolicy or
// NamespacedImageValidatingPolicy.
type ImageValidatingPolicy struct {
	Document
	Spec ImageValidatingSpec `json:"spec"`
}

// An ImageValidatingSpec says what is asked of images.
type ImageValidatingSpec struct {
	MatchConstraints         *constraints.Resources   `json:"matchConstraints,omitempty"`
	FailurePolicy            string                   `json:"failurePolicy,omitempty"`
	AuditAnnotations         []AuditAnnotation        `json:"auditAnnotations,omitempty"`
	ValidationActions        []string                 `json:"validationActions,omitempty"`
	MatchConditions          []Expression             `json:"matchConditions,omitempty"`
	Variables                []Expression             `json:"variables,omitempty"`
	ValidationConfigurations ValidationConfigurations `json:"validationConfigurations"`
	MatchImageReferences     []ImageReference         `json:"matchImageReferences,omitempty"`
	Credentials              any                      `json:"credentials,omitempty"` // those of the run count
	Images                   []Expression             `json:"images,omitempty"`
	Attestors                []Attestor               `json:"attestors,omitempty"`
	Attestations             []Attestation            `json:"attestations,omitempty"`
	Validations              []Validation             `json:"validations,omitempty"`
	WebhookConfiguration     *WebhookConfiguration    `json:"webhookConfiguration,omitempty"`
	Evaluation               *ImageEvaluation         `json:"evaluation,omitempty"`
	Autogen                  *ImageAutogen            `json:"autogen,omitempty"`
}

// ValidationConfigurations are what a policy does besides its validations. All of
// it is on unless it is switched off.
type ValidationConfigurations struct {
	MutateDigest *bool `json:"mutateDigest,omitempty"`
	VerifyDigest *bool `json:"verifyDigest,omitempty"`
	Required     *bool `json:"required,omitempty"`
}

// An ImageReference chooses images by a glob, or by an expression over ref.
type ImageReference struct {
	Glob       string `json:"glob,omitempty"`
	Expression string `json:"expression,omitempty"`
}

// An Attestor is who signs.
type Attestor struct {
	Name   string  `json:"name"`
	Cosign *Cosign `json:"cosign,omitempty"`
	Notary any     `json:"notary,omitempty"`
}

// Cosign are signatures of cosign.
type Cosign struct {
	Key         *CosignKey          `json:"key,omitempty"`
	Keyless     any                 `json:"keyless,omitempty"`
	Certificate *CosignCertificate  `json:"certificate,omitempty"`
	Source      *CosignSource       `json:"source,omitempty"`
	CTLog       *CosignLog          `json:"ctlog,omitempty"`
	TUF         any                 `json:"tuf,omitempty"`
	Annotations map[string]string   `json:"annotations,omitempty"`
	TrustedRoot *StringOrExpression `json:"trustedRoot,omitempty"`
}

// A CosignKey is a public key.
type CosignKey struct {
	Data          string `json:"data,omitempty"`
	KMS           string `json:"kms,omitempty"`
	HashAlgorithm string `json:"hashAlgorithm,omitempty"`
	Expression    string `json:"expression,omitempty"`
}

// A CosignCertificate is a certificate whose key signs.
type CosignCertificate struct {
	Certificate *StringOrExpression `json:"cert,omitempty"`
	Chain       *StringOrExpression `json:"certChain,omitempty"`
}

// A CosignSource is where signatures are.
type CosignSource struct {
	Repository  string `json:"repository,omitempty"`
	PullSecrets any    `json:"PullSecrets,omitempty"`
	TagPrefix   string `json:"tagPrefix,omitempty"`
}

// A CosignLog is a transparency log.
type CosignLog struct {
	URL                string `json:"url,omitempty"`
	RekorPubKey        string `json:"rekorPubKey,omitempty"`
	CTLogPubKey        string `json:"ctLogPubKey,omitempty"`
	TSACertChain       string `json:"tsaCertChain,omitempty"`
	InsecureIgnoreTlog bool   `json:"insecureIgnoreTlog,omitempty"`
	InsecureIgnoreSCT  bool   `json:"insecureIgnoreSCT,omitempty"`
}

// A StringOrExpression is a text, or an expression that gives one.
type StringOrExpression struct {
	Value      string `json:"value,omitempty"`
	Expression string `json:"expression,omitempty"`
}

// An Attestation is what is said about an image.
type Attestation struct {
	Name     string `json:"name"`
	InToto   any    `json:"intoto,omitempty"`
	Referrer any    `json:"referrer,omitempty"`
}

// A Validation is a condition that images have to meet.
type Validation struct {
	Expression        string `json:"expression"`
	Message           string `json:"message,omitempty"`
	Reason            string `json:"reason,omitempty"`
	MessageExpression string `json:"messageExpression,omitempty"`
}

// An ImageEvaluation says when a policy runs, and on what.
type ImageEvaluation struct {
	Mode       string   `json:"mode,omitempty"`
	Admission  *Enabled `json:"admission,omitempty"`
	Background *Enabled `json:"background,omitempty"`
}

// An ImageAutogen says what is made of a policy.
type ImageAutogen struct {
	PodControllers *PodControllers `json:"podControllers,omitempty"`
}

func orTrue(b *bool) bool { return b == nil || *b }

// MutatesDigests reports whether the policy writes digests.
func (s *ImageValidatingSpec) MutatesDigests() bool {
	return orTrue(s.ValidationConfigurations.MutateDigest)
}

// VerifiesDigests reports whether images have to have digests.
func (s *ImageValidatingSpec) VerifiesDigests() bool {
	return orTrue(s.ValidationConfigurations.VerifyDigest)
}

// Requires reports whether images have to be verified by some policy.
func (s *ImageValidatingSpec) Requires() bool { return orTrue(s.ValidationConfigurations.Required) }

// Denies reports whether a resource is refused that fails the policy.
func (s *ImageValidatingSpec) Denies() bool {
	return len(s.ValidationActions) == 0 || slices.Contains(s.ValidationActions, "Deny")
}

// IgnoresFailures reports whether the policy leaves a resource alone on which its
// conditions fail.
func (s *ImageValidatingSpec) IgnoresFailures() bool { return s.FailurePolicy == "Ignore" }

// Admits reports whether the policy runs at admission.
func (s *ImageValidatingSpec) Admits() bool {
	return s.Evaluation == nil || s.Evaluation.Admission.Or(true)
}

// ReadImageValidating reads an ImageValidatingPolicy or
// NamespacedImageValidatingPolicy; nil when it has faults.
func ReadImageValidating(r *resource.Resource) (*ImageValidatingPolicy, []*policy.Error) {
	p := &ImageValidatingPolicy{}
	if faults := Read(r, &p.Document, p); len(faults) > 0 {
		return nil, faults
	}
	c := &Checker{Document: &p.Document}
	s, at := &p.Spec, fieldpath.Path{}.Key("spec")
	if s.MatchConstraints == nil {
		// Kyverno takes it, and matches nothing.
		s.MatchConstraints = &constraints.Resources{}
		c.Failing(at, "matchConstraints is missing: the policy matches nothing")
	}
	c.OneOf(at.Key("failurePolicy"), s.FailurePolicy, "Ignore", "Fail")
	for i, a := range s.ValidationActions {
		c.OneOf(at.Key("validationActions").Index(i), a, "Deny", "Audit", "Warn")
	}
	if s.Evaluation != nil {
		c.OneOf(at.Key("evaluation").Key("mode"), s.Evaluation.Mode, "Kubernetes", "JSON")
	}
	if s.Attestors == nil {
		c.Errorf(at, "attestors is missing; write [] for none")
	}
	if s.Validations == nil {
		c.Errorf(at, "validations is missing; write [] for none")
	}
	c.Expressions(at.Key("variables"), s.Variables)
	c.Expressions(at.Key("matchConditions"), s.MatchConditions)
	c.Expressions(at.Key("images"), s.Images)
	c.Annotations(at.Key("auditAnnotations"), s.AuditAnnotations)
	for i, ref := range s.MatchImageReferences {
		if (ref.Glob == "") == (ref.Expression == "") {
			c.Errorf(at.Key("matchImageReferences").Index(i), "expected either a glob or an expression")
		}
	}
	for i, a := range s.Attestors {
		at := at.Key("attestors").Index(i)
		c.Required(at, "name", a.Name)
		if (a.Cosign == nil) == (a.Notary == nil) {
			c.Errorf(at, "expected either cosign or notary")
		}
	}
	for i, v := range s.Validations {
		c.Required(at.Key("validations").Index(i), "expression", v.Expression)
	}
	if len(c.Faults) > 0 {
		return nil, c.Faults
	}
	return p, nil
}
