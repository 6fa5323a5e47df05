package library

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
)

// certificates: x509.decode of a PEM certificate or certificate request with an
// RSA key.
func certificates() []cel.EnvOption {
	return []cel.EnvOption{cel.Function("x509.decode", cel.Overload("x509_decode_string", []*cel.Type{cel.StringType}, cel.DynType,
		unary(func(s string) ref.Val {
			out, err := decodeX509(s)
			if err != nil {
				return types.WrapErr(fmt.Errorf("x509.decode: %w", err))
			}
			return native(out)
		})))}
}

// A publicKey is an RSA key: its modulus in decimal and its exponent.
type publicKey struct {
	N string
	E int
}

func decodeX509(text string) (any, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("the text is not PEM")
	}
	var out any
	switch block.Type {
	case "CERTIFICATE":
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		key, err := rsaKey(c.PublicKey)
		if err != nil {
			return nil, err
		}
		// The fields that Kyverno has, under the names of Go's Certificate.
		out = map[string]any{
			"Raw": c.Raw, "RawTBSCertificate": c.RawTBSCertificate, "RawSubjectPublicKeyInfo": c.RawSubjectPublicKeyInfo,
			"RawSubject": c.RawSubject, "RawIssuer": c.RawIssuer, "Signature": c.Signature,
			"PublicKeyAlgorithm": c.PublicKeyAlgorithm, "PublicKey": key, "SerialNumber": c.SerialNumber.Int64(), "Issuer": c.Issuer,
			"NotBefore": c.NotBefore.Format(time.RFC3339), "NotAfter": c.NotAfter.Format(time.RFC3339),
			"KeyUsage": c.KeyUsage, "Extensions": c.Extensions, "ExtraExtensions": c.ExtraExtensions, "ExtKeyUsage": c.ExtKeyUsage,
			"BasicConstraintsValid": c.BasicConstraintsValid, "IsCA": c.IsCA, "MaxPathLen": c.MaxPathLen, "MaxPathLenZero": c.MaxPathLenZero,
			"AuthorityKeyId": c.AuthorityKeyId, "OCSPServer": c.OCSPServer, "IssuingCertificateURL": c.IssuingCertificateURL,
			"DNSNames": c.DNSNames, "EmailAddresses": c.EmailAddresses, "IPAddresses": c.IPAddresses,
			"PermittedDNSDomainsCritical": c.PermittedDNSDomainsCritical,
			"PermittedDNSDomains":         c.PermittedDNSDomains, "ExcludedDNSDomains": c.ExcludedDNSDomains,
			"PermittedIPRanges": c.PermittedIPRanges, "ExcludedIPRanges": c.ExcludedIPRanges,
			"PermittedEmailAddresses": c.PermittedEmailAddresses, "ExcludedEmailAddresses": c.ExcludedEmailAddresses,
			"PermittedURIDomains": c.PermittedURIDomains, "ExcludedURIDomains": c.ExcludedURIDomains,
			"CRLDistributionPoints": c.CRLDistributionPoints, "PolicyIdentifiers": c.PolicyIdentifiers,
		}
	case "CERTIFICATE REQUEST":
		r, err := x509.ParseCertificateRequest(block.Bytes)
		if err != nil {
			return nil, err
		}
		if r.PublicKey, err = rsaKey(r.PublicKey); err != nil {
			return nil, err
		}
		out = r
	default:
		return nil, fmt.Errorf("the PEM block is a %s, expected a CERTIFICATE or a CERTIFICATE REQUEST", block.Type)
	}
	b, err := json.Marshal(out)
	if err != nil {
		return nil, err
	}
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		return nil, err
	}
	return v, nil
}

func rsaKey(key any) (publicKey, error) {
	k, ok := key.(*rsa.PublicKey)
	if !ok {
		return publicKey{}, errors.New("the public key is not RSA; Kyverno reads no other")
	}
	return publicKey{k.N.String(), k.E}, nil
}
