package verifyimages

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/oneloop-dev/oneloop/pkg/decode"
	"github.com/oneloop-dev/oneloop/pkg/digest"
	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/spec"
	"github.com/oneloop-dev/oneloop/pkg/resource"
	"github.com/oneloop-dev/oneloop/pkg/signature"
)

// A World is what a rule may ask about the world around the resource.
type World struct {
	Digests digest.Resolver
	// Facts has the Secrets with public keys; nil: none.
	Facts *facts.Facts
	// Resolved is the rule with its variables substituted; nil when it has none.
	Resolved any
}

// A set is a compiled AttestorSet: count of its members have to agree.
type set struct {
	at      fieldpath.Path
	count   int
	members []member
}

// A member of a set is an attestor, a set of its own, or the reason why it can
// be neither.
type member struct {
	at  fieldpath.Path
	by  *signature.Attestor
	set *set
	err error
}

// sets returns the attestors of the entry of a rule, all of which have to agree.
func (r *Rule) sets(i int, w World) ([]set, error) {
	if r.entries[i].sets != nil {
		return r.entries[i].sets, nil
	}
	v := r.entries[i].spec
	if rule, ok := w.Resolved.(map[string]any); ok {
		if list, ok := rule["verifyImages"].([]any); ok && i < len(list) {
			v = &spec.ImageVerification{}
			for _, f := range decode.Strict(list[i], v) {
				return nil, &Fault{append(fieldpath.Path{}.Key("verifyImages").Index(i), f.Path...), errors.New(f.Message)}
			}
		}
	}
	return compileSets(i, v, w.Facts), nil
}

// fixed reports whether the attestors of an entry can be compiled with the rule:
// they have no variables and no Secrets.
func fixed(v *spec.ImageVerification) bool {
	texts := []string{v.Key, v.Repository}
	for _, value := range v.Annotations {
		texts = append(texts, value)
	}
	add := func(sets []spec.AttestorSet) bool {
		for _, s := range sets {
			for _, e := range s.Entries {
				texts = append(texts, e.Repository, e.SignatureAlgorithm)
				for _, value := range e.Annotations {
					texts = append(texts, value)
				}
				switch {
				case e.Attestor != nil, e.Keys != nil && e.Keys.Secret != nil:
					return false
				case e.Keys != nil:
					texts = append(texts, e.Keys.PublicKeys, e.Keys.SignatureAlgorithm)
					texts = append(texts, logTexts(e.Keys.Rekor)...)
				case e.Certificates != nil:
					texts = append(texts, e.Certificates.Certificate, e.Certificates.CertificateChain)
					texts = append(texts, logTexts(e.Certificates.Rekor)...)
				}
			}
		}
		return true
	}
	return add(v.Attestors) && !slices.ContainsFunc(texts, func(s string) bool {
		return strings.Contains(s, "{{") || strings.Contains(s, "$(") || strings.Contains(s, "k8s://")
	})
}

func logTexts(r *spec.Rekor) []string {
	if r == nil {
		return nil
	}
	return []string{r.PubKey}
}

// compileSets never returns nil.
func compileSets(i int, v *spec.ImageVerification, known *facts.Facts) []set {
	at := fieldpath.Path{}.Key("verifyImages").Index(i)
	out := []set{}
	for j := range v.Attestors {
		out = append(out, compileSet(at.Key("attestors").Index(j), v, &v.Attestors[j], known))
	}
	// The form of Kyverno's first years.
	old := spec.Attestor{Annotations: v.Annotations}
	switch {
	case v.Key != "":
		old.Keys = &spec.StaticKeyAttestor{PublicKeys: v.Key}
	case v.Issuer != "":
		old.Keyless = &spec.KeylessAttestor{Issuer: v.Issuer, Subject: v.Subject, Roots: v.Roots}
	case v.Image == "" || len(v.Annotations) == 0:
		return out
	}
	one := compileSet(at, v, &spec.AttestorSet{Entries: []spec.Attestor{old}}, known)
	for i := range one.members {
		one.members[i].at = at.Key(signed(v))
	}
	return append(out, one)
}

func compileSet(at fieldpath.Path, v *spec.ImageVerification, from *spec.AttestorSet, known *facts.Facts) set {
	s := set{at: at}
	for i := range from.Entries {
		e, at := &from.Entries[i], at.Key("entries").Index(i)
		if e.Attestor != nil {
			var nested spec.AttestorSet
			at = at.Key("attestor")
			if faults := decode.Strict(e.Attestor, &nested); len(faults) > 0 {
				s.members = append(s.members, member{at: at, err: errors.New(faults[0].Message)})
				continue
			}
			below := compileSet(at, v, &nested, known)
			s.members = append(s.members, member{at: at, set: &below})
			continue
		}
		keys := []string{""}
		if e.Keys != nil {
			// Each key counts as an entry of its own.
			keys = splitKeys(e.Keys.PublicKeys)
		}
		for _, key := range keys {
			by, err := compileAttestor(v, e, key, known)
			s.members = append(s.members, member{at: at, by: by, err: err})
		}
	}
	s.count = len(s.members)
	if from.Count != nil && *from.Count > 0 {
		s.count = *from.Count
	}
	return s
}

// splitKeys splits PEM after each public key.
func splitKeys(text string) []string {
	parts := strings.SplitAfter(text, "-----END PUBLIC KEY-----")
	if len(parts) < 3 {
		return []string{text}
	}
	return parts[:len(parts)-1]
}

func unsupported(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, errors.ErrUnsupported)...)
}

func compileAttestor(v *spec.ImageVerification, e *spec.Attestor, key string, known *facts.Facts) (*signature.Attestor, error) {
	if v.Type != "" && v.Type != "Cosign" {
		return nil, unsupported("signatures of type %s can't be verified at render time", v.Type)
	}
	s := signature.Spec{
		Algorithm: e.SignatureAlgorithm, Annotations: v.Annotations,
		Repository: v.Repository, Referrers: v.CosignOCI11,
	}
	if e.Annotations != nil {
		s.Annotations = e.Annotations
	}
	if e.Repository != "" {
		s.Repository = e.Repository
	}
	var log *spec.Rekor
	var sct *spec.CTLog
	switch {
	case e.Keys != nil:
		log, sct = e.Keys.Rekor, e.Keys.CTLog
		s.Algorithm = e.Keys.SignatureAlgorithm // as in Kyverno, also when it is not set
		var err error
		if s.Key, err = publicKey(e.Keys, key, known); err != nil {
			return nil, err
		}
	case e.Certificates != nil:
		log, sct = e.Certificates.Rekor, e.Certificates.CTLog
		s.Certificate, s.Chain = e.Certificates.Certificate, e.Certificates.CertificateChain
	default:
		return nil, unsupported("keyless signatures can't be verified at render time yet")
	}
	if log != nil {
		s.IgnoreLog, s.LogKey = log.IgnoreTlog, log.PubKey
	}
	if sct != nil {
		s.IgnoreSCT = sct.IgnoreSCT
		if sct.TSACertChain != "" {
			return nil, unsupported("ctlog.tsaCertChain: signed timestamps can't be verified at render time")
		}
	}
	return signature.New(s)
}

// publicKey returns the PEM of a key, from the policy or from a Secret.
func publicKey(k *spec.StaticKeyAttestor, text string, known *facts.Facts) (string, error) {
	from := strings.TrimSpace(text)
	var secret resource.ID
	switch {
	case strings.HasPrefix(from, "k8s://"):
		namespace, name, ok := strings.Cut(strings.TrimPrefix(from, "k8s://"), "/")
		if !ok {
			return "", fmt.Errorf("publicKeys %q: expected k8s://NAMESPACE/NAME", from)
		}
		secret.Namespace, secret.Name = namespace, name
	case strings.Contains(from, "://") && !strings.Contains(from, "-----BEGIN"):
		return "", unsupported("the key %s can't be fetched at render time: write it into the policy", from)
	case from != "":
		return text, nil
	case k.Secret != nil:
		secret.Namespace, secret.Name = k.Secret.Namespace, k.Secret.Name
	default:
		return "", unsupported("keys in a key management system can't be used at render time: write the public key into the policy")
	}
	secret.Kind = resource.Kind{Version: "v1", Kind: "Secret"}
	if known == nil {
		known = facts.New()
	}
	o, ok, err := known.Unwatched().Get(secret) // for what is public in it
	if err != nil {
		return "", err
	}
	if !ok {
		return "", fmt.Errorf("%w: %s with cosign.pub: give it with the manifests, or as one of resources of ClusterFacts", facts.ErrMissing, secret)
	}
	if data, ok := o["stringData"].(map[string]any); ok {
		if s, ok := data["cosign.pub"].(string); ok {
			return s, nil
		}
	}
	data, _ := o["data"].(map[string]any)
	encoded, _ := data["cosign.pub"].(string)
	decoded, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(decoded) == 0 {
		return "", fmt.Errorf("%s: expected a public key in base64 at data.cosign.pub", secret)
	}
	return string(decoded), nil
}

// verify asks whether image is signed as all sets demand.
func verify(ctx context.Context, sets []set, image name.Digest, resolver digest.Resolver) error {
	for i := range sets {
		if err := sets[i].verify(ctx, image, resolver); err != nil {
			return err
		}
	}
	return nil
}

// hopeless returns why a set can agree on no image; nil: it can.
func (s *set) hopeless() error {
	var errs faults
	for _, m := range s.members {
		err := m.err
		if m.set != nil {
			err = m.set.hopeless()
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", m.at, err))
		}
	}
	if len(s.members)-len(errs) < s.count {
		return errs
	}
	return nil
}

func (s *set) verify(ctx context.Context, image name.Digest, resolver digest.Resolver) error {
	var errs faults
	verified := 0
	for _, m := range s.members {
		err := m.err
		switch {
		case err != nil:
		case m.set != nil:
			err = m.set.verify(ctx, image, resolver)
		default:
			err = digest.Verify(ctx, resolver, image, m.by)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", m.at, err))
			continue
		}
		if verified++; verified == s.count {
			return nil
		}
	}
	return fmt.Errorf("%d of %d attestors agree: %w", verified, s.count, errs)
}

// faults is errors.Join on one line.
type faults []error

func (f faults) Unwrap() []error { return f }

func (f faults) Error() string {
	var parts []string
	for _, err := range f {
		parts = append(parts, err.Error())
	}
	return strings.Join(parts, "; ")
}
