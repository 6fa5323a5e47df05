package library

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"

	"github.com/oneloop-dev/oneloop/pkg/certificate"
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

func decodeX509(text string) (any, error) {
	c, r, err := certificate.Decode(text)
	if err != nil {
		return nil, err
	}
	var out any = r
	if c != nil {
		// The fields that Kyverno has, under the names of Go's Certificate.
		out = map[string]any{
			"Raw": c.Raw, "RawTBSCertificate": c.RawTBSCertificate, "RawSubjectPublicKeyInfo": c.RawSubjectPublicKeyInfo,
			"RawSubject": c.RawSubject, "RawIssuer": c.RawIssuer, "Signature": c.Signature,
			"PublicKeyAlgorithm": c.PublicKeyAlgorithm, "PublicKey": c.PublicKey, "SerialNumber": c.SerialNumber.Int64(), "Issuer": c.Issuer,
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
