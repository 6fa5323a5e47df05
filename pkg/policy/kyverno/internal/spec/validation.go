package spec

// A Validation checks the matched object. It changes no manifest; what its
// parts say is kept as written.
type Validation struct {
	FailureAction           string                            `json:"failureAction,omitempty"`
	FailureActionOverrides  []ValidationFailureActionOverride `json:"failureActionOverrides,omitempty"`
	AllowExistingViolations *bool                             `json:"allowExistingViolations,omitempty"`
	Message                 string                            `json:"message,omitempty"`
	Manifests               *Manifests                        `json:"manifests,omitempty"`
	ForEach                 []ForEachValidation               `json:"foreach,omitempty"`
	Pattern                 any                               `json:"pattern,omitempty"`
	AnyPattern              any                               `json:"anyPattern,omitempty"`
	Deny                    *Deny                             `json:"deny,omitempty"`
	PodSecurity             *PodSecurity                      `json:"podSecurity,omitempty"`
	CEL                     *CEL                              `json:"cel,omitempty"`
	Assert                  any                               `json:"assert,omitempty"`
}

func (v *Validation) isZero() bool {
	return v.FailureAction == "" && v.FailureActionOverrides == nil && v.AllowExistingViolations == nil &&
		v.Message == "" && v.Manifests == nil && v.ForEach == nil && v.Pattern == nil && v.AnyPattern == nil &&
		v.Deny == nil && v.PodSecurity == nil && v.CEL == nil && v.Assert == nil
}

// Deny fails when its conditions hold.
type Deny struct {
	Conditions any `json:"conditions,omitempty"`
}

// A ForEachValidation checks each element of a list.
type ForEachValidation struct {
	List          string              `json:"list,omitempty"`
	ElementScope  *bool               `json:"elementScope,omitempty"`
	Context       []ContextEntry      `json:"context,omitempty"`
	Preconditions any                 `json:"preconditions,omitempty"`
	Pattern       any                 `json:"pattern,omitempty"`
	AnyPattern    any                 `json:"anyPattern,omitempty"`
	Deny          *Deny               `json:"deny,omitempty"`
	ForEach       []ForEachValidation `json:"foreach,omitempty"`
}

// PodSecurity applies a Pod Security Standard.
type PodSecurity struct {
	Level   string                `json:"level,omitempty"`
	Version string                `json:"version,omitempty"`
	Exclude []PodSecurityStandard `json:"exclude,omitempty"`
}

// A PodSecurityStandard exempts images or values from one control.
type PodSecurityStandard struct {
	ControlName     string   `json:"controlName"`
	Images          []string `json:"images,omitempty"`
	RestrictedField string   `json:"restrictedField,omitempty"`
	Values          []string `json:"values,omitempty"`
}

// CEL validates with CEL expressions. Expressions, parameters, annotations and
// variables have the form of a ValidatingAdmissionPolicy.
type CEL struct {
	Generate         *bool `json:"generate,omitempty"`
	Expressions      []any `json:"expressions,omitempty"`
	ParamKind        any   `json:"paramKind,omitempty"`
	ParamRef         any   `json:"paramRef,omitempty"`
	AuditAnnotations []any `json:"auditAnnotations,omitempty"`
	Variables        []any `json:"variables,omitempty"`
}

// Manifests verifies signatures of manifests.
type Manifests struct {
	Attestors        []AttestorSet        `json:"attestors,omitempty"`
	AnnotationDomain string               `json:"annotationDomain,omitempty"`
	IgnoreFields     []ObjectFieldBinding `json:"ignoreFields,omitempty"`
	DryRun           DryRunOption         `json:"dryRun,omitempty"`
	Repository       string               `json:"repository,omitempty"`
}

// An ObjectFieldBinding names fields of objects.
type ObjectFieldBinding struct {
	Fields  []string          `json:"fields,omitempty"`
	Objects []ObjectReference `json:"objects,omitempty"`
}

// An ObjectReference selects objects by kind and name.
type ObjectReference struct {
	Group     string `json:"group,omitempty"`
	Version   string `json:"version,omitempty"`
	Kind      string `json:"kind,omitempty"`
	Name      string `json:"name,omitempty"`
	Namespace string `json:"namespace,omitempty"`
}

// A DryRunOption tells how manifests are compared.
type DryRunOption struct {
	Enable    bool   `json:"enable,omitempty"`
	Namespace string `json:"namespace,omitempty"`
}

// An ImageVerification verifies images and pins them to digests. Image, Key,
// Roots, Subject, Issuer and AdditionalExtensions are the form of Kyverno's
// first years.
type ImageVerification struct {
	FailureAction            string                    `json:"failureAction,omitempty"`
	Type                     string                    `json:"type,omitempty"`
	Image                    string                    `json:"image,omitempty"`
	ImageReferences          []string                  `json:"imageReferences,omitempty"`
	SkipImageReferences      []string                  `json:"skipImageReferences,omitempty"`
	Key                      string                    `json:"key,omitempty"`
	Roots                    string                    `json:"roots,omitempty"`
	Subject                  string                    `json:"subject,omitempty"`
	Issuer                   string                    `json:"issuer,omitempty"`
	AdditionalExtensions     map[string]string         `json:"additionalExtensions,omitempty"`
	Attestors                []AttestorSet             `json:"attestors,omitempty"`
	Attestations             []Attestation             `json:"attestations,omitempty"`
	Annotations              map[string]string         `json:"annotations,omitempty"`
	Repository               string                    `json:"repository,omitempty"`
	CosignOCI11              bool                      `json:"cosignOCI11,omitempty"`
	MutateDigest             *bool                     `json:"mutateDigest,omitempty"`
	VerifyDigest             *bool                     `json:"verifyDigest,omitempty"`
	Validation               ValidateImageVerification `json:"validate,omitempty"`
	Required                 *bool                     `json:"required,omitempty"`
	ImageRegistryCredentials *ImageRegistryCredentials `json:"imageRegistryCredentials,omitempty"`
	UseCache                 *bool                     `json:"useCache,omitempty"`
}

// MutatesDigest reports whether tags are replaced by digests, the default.
func (v *ImageVerification) MutatesDigest() bool { return v.MutateDigest == nil || *v.MutateDigest }

// VerifiesDigest reports whether images must have a digest, the default.
func (v *ImageVerification) VerifiesDigest() bool { return v.VerifyDigest == nil || *v.VerifyDigest }

// IsRequired reports whether images must be verified, the default.
func (v *ImageVerification) IsRequired() bool { return v.Required == nil || *v.Required }

// References lists the image patterns, with the one of the old form last.
func (v *ImageVerification) References() []string {
	if v.Image == "" {
		return v.ImageReferences
	}
	return append(append([]string(nil), v.ImageReferences...), v.Image)
}

// An AttestorSet is a set of attestors of which Count must agree, all of them
// when Count is not set.
type AttestorSet struct {
	Count   *int       `json:"count,omitempty"`
	Entries []Attestor `json:"entries,omitempty"`
}

// An Attestor is one way to verify a signature. Attestor holds a nested
// AttestorSet as plain value.
type Attestor struct {
	Keys               *StaticKeyAttestor   `json:"keys,omitempty"`
	Certificates       *CertificateAttestor `json:"certificates,omitempty"`
	Keyless            *KeylessAttestor     `json:"keyless,omitempty"`
	Attestor           any                  `json:"attestor,omitempty"`
	Annotations        map[string]string    `json:"annotations,omitempty"`
	Repository         string               `json:"repository,omitempty"`
	SignatureAlgorithm string               `json:"signatureAlgorithm,omitempty"`
}

// A StaticKeyAttestor verifies with public keys.
type StaticKeyAttestor struct {
	PublicKeys         string           `json:"publicKeys,omitempty"`
	SignatureAlgorithm string           `json:"signatureAlgorithm,omitempty"`
	KMS                string           `json:"kms,omitempty"`
	Secret             *SecretReference `json:"secret,omitempty"`
	Rekor              *Rekor           `json:"rekor,omitempty"`
	CTLog              *CTLog           `json:"ctlog,omitempty"`
}

// A SecretReference names a Secret.
type SecretReference struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
}

// A CertificateAttestor verifies with a certificate.
type CertificateAttestor struct {
	Certificate      string `json:"cert,omitempty"`
	CertificateChain string `json:"certChain,omitempty"`
	Rekor            *Rekor `json:"rekor,omitempty"`
	CTLog            *CTLog `json:"ctlog,omitempty"`
}

// A KeylessAttestor verifies with an identity.
type KeylessAttestor struct {
	Rekor                *Rekor            `json:"rekor,omitempty"`
	CTLog                *CTLog            `json:"ctlog,omitempty"`
	Issuer               string            `json:"issuer,omitempty"`
	IssuerRegExp         string            `json:"issuerRegExp,omitempty"`
	Subject              string            `json:"subject,omitempty"`
	SubjectRegExp        string            `json:"subjectRegExp,omitempty"`
	Roots                string            `json:"roots,omitempty"`
	AdditionalExtensions map[string]string `json:"additionalExtensions,omitempty"`
}

// Rekor names a transparency log.
type Rekor struct {
	URL        string `json:"url,omitempty"`
	PubKey     string `json:"pubkey,omitempty"`
	IgnoreTlog bool   `json:"ignoreTlog,omitempty"`
}

// CTLog names a certificate transparency log.
type CTLog struct {
	IgnoreSCT    bool   `json:"ignoreSCT,omitempty"`
	PubKey       string `json:"pubkey,omitempty"`
	TSACertChain string `json:"tsaCertChain,omitempty"`
}

// An Attestation is a signed statement about an image.
type Attestation struct {
	Name          string        `json:"name,omitempty"`
	PredicateType string        `json:"predicateType,omitempty"`
	Type          string        `json:"type,omitempty"`
	Attestors     []AttestorSet `json:"attestors,omitempty"`
	Conditions    []any         `json:"conditions,omitempty"`
}

// ImageRegistryCredentials tell how to log in to a registry.
type ImageRegistryCredentials struct {
	AllowInsecureRegistry bool     `json:"allowInsecureRegistry,omitempty"`
	Providers             []string `json:"providers,omitempty"`
	Secrets               []string `json:"secrets,omitempty"`
}

// A ValidateImageVerification denies by the facts of an image.
type ValidateImageVerification struct {
	Message string `json:"message,omitempty"`
	Deny    *Deny  `json:"deny,omitempty"`
}
