// Package signature verifies signatures of container images as cosign makes
// them: a simple-signing payload that names the digest of the image, signed
// with a key or with the key of a certificate.
//
// It sees bytes and opens nothing; where signatures come from is another
// package's concern. What is accepted is what the admission controller of
// Kyverno 1.19 accepts, with one difference: nobody asks a transparency log,
// so that an entry of one has to come with the signature.
package signature

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
)

// ErrUnverified is wrapped by every error that says that an image is not signed
// as it has to be, in contrast to those that say that nobody could find out.
var ErrUnverified = errors.New("not verified")

// unverified is an error that wraps ErrUnverified.
func unverified(format string, args ...any) error {
	return &unverifiedError{fmt.Errorf(format, args...)}
}

type unverifiedError struct{ err error }

func (e *unverifiedError) Error() string        { return e.err.Error() }
func (e *unverifiedError) Unwrap() error        { return e.err }
func (e *unverifiedError) Is(target error) bool { return target == ErrUnverified }

// A Signature is one signature of an image, as it is stored. Only Payload and
// Signature are always there.
type Signature struct {
	Payload     []byte
	Signature   string // of Payload, in base64
	Certificate string // PEM: whose key signed
	Chain       string // PEM: what the certificate hangs on
	Bundle      string // JSON: the entry of a transparency log
}

// A Spec describes an Attestor. One of Key, Certificate and Chain is needed.
type Spec struct {
	Key string // PEM of one public key
	// Algorithm is sha224, sha256, sha384 or sha512; "" is sha256.
	Algorithm string
	// Certificate is the PEM of a certificate whose key has to have signed. Base64
	// around it is understood.
	Certificate string
	// Chain is PEM: with a Certificate its issuers with the root last, and without
	// one the roots that a certificate at the signature has to hang on.
	Chain string
	// Annotations have to be in the payload.
	Annotations map[string]string
	// Repository is where the signatures are; "" is the repository of the image.
	Repository string
	// Referrers also looks for signatures among the referrers of the image.
	Referrers bool
	// IgnoreLog asks for no entry of a transparency log. Otherwise LogKey is the
	// PEM of the log's public key; "" is the public Rekor of sigstore.dev.
	IgnoreLog bool
	LogKey    string
	// IgnoreSCT asks for no certificate transparency of a certificate.
	IgnoreSCT bool
}

// An Attestor is one party whose signature an image has to have. It is
// immutable.
type Attestor struct {
	spec     Spec
	id, text string
	hash     crypto.Hash
	key      crypto.PublicKey // nil: that of the certificate at the signature
	pem      []byte           // of key, as logs have it: a key or a certificate
	roots    *x509.CertPool
	log      *log // nil: no entry is asked for
}

var hashes = map[string]crypto.Hash{
	"": crypto.SHA256, "sha224": crypto.SHA224, "sha256": crypto.SHA256, "sha384": crypto.SHA384, "sha512": crypto.SHA512,
}

// maxCertificates bounds a chain; more would be work without a meaning.
const maxCertificates = 11

// New returns the Attestor that spec describes. A certificate that does not hang
// on its chain is an error that wraps ErrUnverified, as no image can be verified
// by it; what can't be checked here wraps errors.ErrUnsupported.
func New(spec Spec) (*Attestor, error) {
	a := &Attestor{spec: spec}
	var ok bool
	if a.hash, ok = hashes[spec.Algorithm]; !ok {
		return nil, fmt.Errorf("signature algorithm %q: expected sha224, sha256, sha384 or sha512", spec.Algorithm)
	}
	// What an image is verified by, in the form that is hashed.
	identity := map[string]any{"type": "cosign", "repository": spec.Repository}
	if len(spec.Annotations) > 0 {
		identity["annotations"] = spec.Annotations
	}
	var err error
	switch {
	case spec.Key != "":
		err = a.fromKey(identity)
	case spec.Certificate != "":
		err = a.fromCertificate(identity)
	case spec.Chain != "":
		err = a.fromRoots(identity)
	default:
		err = errors.New("expected a public key, a certificate or a chain of certificates")
	}
	if err != nil {
		return nil, err
	}
	if !spec.IgnoreLog {
		if a.log, err = newLog(spec.LogKey); err != nil {
			return nil, err
		}
		identity["log"] = a.log.id
	}
	text, err := json.Marshal(identity) // maps are sorted
	if err != nil {
		return nil, err
	}
	a.id = fingerprint(text)
	return a, nil
}

func fingerprint(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func (a *Attestor) fromKey(identity map[string]any) error {
	text := strings.TrimSpace(a.spec.Key)
	key, err := cryptoutils.UnmarshalPEMToPublicKey([]byte(text))
	if err != nil {
		return fmt.Errorf("expected the PEM of a public key: %w", err)
	}
	return a.use(key, "key", identity)
}

// use makes key the one that has to have signed.
func (a *Attestor) use(key crypto.PublicKey, what string, identity map[string]any) error {
	if _, err := signature.LoadVerifier(key, a.hash); err != nil {
		return fmt.Errorf("the key can't be used: %w", err)
	}
	der, err := cryptoutils.MarshalPublicKeyToDER(key)
	if err != nil {
		return err
	}
	a.key = key
	if a.pem == nil {
		if a.pem, err = cryptoutils.MarshalPublicKeyToPEM(key); err != nil {
			return err
		}
	}
	id := fingerprint(der)
	identity["key"], identity["algorithm"] = id, a.hash.String()
	a.text = what + " " + id[:len("sha256:")+12]
	return nil
}

func (a *Attestor) fromCertificate(identity map[string]any) error {
	text := []byte(a.spec.Certificate)
	if decoded, err := base64.StdEncoding.DecodeString(a.spec.Certificate); err == nil {
		text = decoded
	}
	certs, err := certificates(string(text))
	if err != nil {
		return fmt.Errorf("certificate: %w", err)
	}
	cert := certs[0]
	if a.spec.Chain != "" {
		chain, err := certificates(a.spec.Chain)
		if err != nil {
			return fmt.Errorf("certificate chain: %w", err)
		}
		roots, between := x509.NewCertPool(), x509.NewCertPool()
		roots.AddCert(chain[len(chain)-1])
		for _, c := range chain[:len(chain)-1] {
			between.AddCert(c)
		}
		if _, err := a.trusted(cert, roots, between); err != nil {
			return err
		}
		var all []string
		for _, c := range chain {
			all = append(all, fingerprint(c.Raw))
		}
		identity["chain"] = all
		// Kyverno takes the hash from the rule without a chain only.
		a.hash = crypto.SHA256
	}
	identity["certificate"] = fingerprint(cert.Raw)
	return a.use(cert.PublicKey, "certificate with the key", identity)
}

func (a *Attestor) fromRoots(identity map[string]any) error {
	chain, err := certificates(a.spec.Chain)
	if err != nil {
		return fmt.Errorf("certificate chain: %w", err)
	}
	a.roots, a.hash = x509.NewCertPool(), crypto.SHA256
	var all []string
	for _, c := range chain {
		a.roots.AddCert(c)
		all = append(all, fingerprint(c.Raw))
	}
	slices.Sort(all)
	identity["roots"], identity["sct"] = all, !a.spec.IgnoreSCT
	a.text = "a certificate of " + chain[0].Subject.String()
	return nil
}

// certificates reads PEM. There is at least one.
func certificates(text string) ([]*x509.Certificate, error) {
	if n := strings.Count(text, "-----BEGIN CERTIFICATE-----"); n > maxCertificates {
		return nil, fmt.Errorf("expected at most %d certificates, found %d", maxCertificates, n)
	}
	certs, err := cryptoutils.UnmarshalCertificatesFromPEM([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("expected PEM: %w", err)
	}
	if len(certs) == 0 {
		return nil, errors.New("expected PEM with -----BEGIN CERTIFICATE-----")
	}
	return certs, nil
}

// sct is the extension with the signed certificate timestamps.
const sct = "1.3.6.1.4.1.11129.2.4.2"

// trusted returns the issuers of a certificate for signing code, up to the root.
// As in cosign it is checked for the time at which it was issued: whether it
// still held when it signed is another question.
func (a *Attestor) trusted(cert *x509.Certificate, roots, between *x509.CertPool) ([]*x509.Certificate, error) {
	chains, err := cert.Verify(x509.VerifyOptions{
		CurrentTime: cert.NotBefore, Roots: roots, Intermediates: between,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
	})
	if err != nil {
		return nil, unverified("the certificate of %s: %w", cert.Subject, err)
	}
	if !a.spec.IgnoreSCT {
		for _, e := range cert.Extensions {
			if e.Id.String() == sct {
				return nil, fmt.Errorf("the certificate transparency of the certificate of %s can't be checked at render time; set ctlog.ignoreSCT: %w", cert.Subject, errors.ErrUnsupported)
			}
		}
		return nil, unverified("the certificate of %s has no signed certificate timestamp; set ctlog.ignoreSCT if it needs none", cert.Subject)
	}
	return chains[0][1:], nil
}

// ID is a digest of all that an image is verified by: what was verified by one
// Attestor is verified by every other one with the same ID.
func (a *Attestor) ID() string { return a.id }

// String names the key or the certificate.
func (a *Attestor) String() string { return a.text }

// Repository is where the signatures are; "" is the repository of the image.
func (a *Attestor) Repository() string { return a.spec.Repository }

// Referrers reports whether signatures are also among the referrers.
func (a *Attestor) Referrers() bool { return a.spec.Referrers }

// Verify returns nil when one of the signatures is of digest and by the
// Attestor. now is the time that counts for certificates whose signatures come
// without the time at which they were made. The error wraps ErrUnverified,
// unless something could not be checked.
func (a *Attestor) Verify(digest string, signatures []Signature, now time.Time) error {
	if len(signatures) == 0 {
		return unverified("there are no signatures")
	}
	var errs []error
	for i := range signatures {
		err := a.verify(digest, &signatures[i], now)
		if err == nil {
			return nil
		}
		if len(errs) == 0 || !slices.ContainsFunc(errs, func(e error) bool { return e.Error() == err.Error() }) {
			errs = append(errs, err)
		}
	}
	if len(errs) == 1 {
		return fmt.Errorf("no signature by %s: %w", a, errs[0])
	}
	return fmt.Errorf("no signature by %s: %w", a, joined(errs))
}

// joined is errors.Join on one line.
type joined []error

func (e joined) Unwrap() []error { return e }

func (e joined) Error() string {
	var parts []string
	for _, err := range e {
		parts = append(parts, err.Error())
	}
	return strings.Join(parts, "; ")
}

func (a *Attestor) verify(digest string, s *Signature, now time.Time) error {
	key, signer := a.key, a.pem
	var cert *x509.Certificate
	var issuers []*x509.Certificate
	if s.Certificate != "" {
		certs, err := certificates(s.Certificate)
		if err != nil {
			return unverified("the certificate at the signature: %w", err)
		}
		cert = certs[0]
	}
	if key == nil {
		if cert == nil {
			return unverified("the signature comes without a certificate")
		}
		var err error
		if issuers, err = a.issuers(cert, s.Chain); err != nil {
			return err
		}
		key = cert.PublicKey
	}
	if cert != nil {
		if a.log != nil && a.key != nil && cryptoutils.EqualKeys(cert.PublicKey, a.key) != nil {
			return unverified("the signature comes with a certificate of another key")
		}
		// A log has the certificate in place of its key.
		signer = []byte(s.Certificate)
	}
	verifier, err := signature.LoadVerifier(key, a.hash)
	if err != nil {
		return unverified("the key of the certificate can't be used: %w", err)
	}
	raw, err := base64.StdEncoding.DecodeString(s.Signature)
	if err != nil {
		return unverified("the signature is no base64: %w", err)
	}
	if err := verifier.VerifySignature(bytes.NewReader(raw), bytes.NewReader(s.Payload)); err != nil {
		return unverified("another key signed, or the payload was changed")
	}
	if err := a.claims(digest, s.Payload); err != nil {
		return err
	}
	if a.log != nil {
		if now, err = a.log.verify(s, signer); err != nil {
			return err
		}
	}
	if cert == nil {
		return nil
	}
	for _, c := range append([]*x509.Certificate{cert}, issuers...) {
		if now.Before(c.NotBefore) || now.After(c.NotAfter) {
			return unverified("the certificate of %s is valid from %s to %s, and nothing says that the signature was made then",
				c.Subject, c.NotBefore.UTC().Format(time.RFC3339), c.NotAfter.UTC().Format(time.RFC3339))
		}
	}
	return nil
}

// issuers finds the way from a certificate at a signature to the roots.
func (a *Attestor) issuers(cert *x509.Certificate, chain string) ([]*x509.Certificate, error) {
	between := x509.NewCertPool()
	if chain != "" {
		certs, err := certificates(chain)
		if err != nil {
			return nil, unverified("the chain at the signature: %w", err)
		}
		for _, c := range certs {
			between.AddCert(c)
		}
	}
	return a.trusted(cert, a.roots, between)
}

// A payload is what is signed.
type payload struct {
	Critical struct {
		Image struct {
			Digest string `json:"docker-manifest-digest"`
		} `json:"image"`
	} `json:"critical"`
	Optional map[string]any `json:"optional"`
}

// claims checks what a payload says, whose signature has been verified.
func (a *Attestor) claims(digest string, data []byte) error {
	var p payload
	if err := json.Unmarshal(data, &p); err != nil {
		return unverified("the signed payload is not understood: %w", err)
	}
	if got := p.Critical.Image.Digest; got != digest || digest == "" {
		return unverified("the signature is of another image, %q", got)
	}
	for _, k := range slices.Sorted(maps.Keys(a.spec.Annotations)) {
		if want := a.spec.Annotations[k]; p.Optional[k] != any(want) {
			return unverified("the signature has no annotation %s=%s", k, want)
		}
	}
	return nil
}
