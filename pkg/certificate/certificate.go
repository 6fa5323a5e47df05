// Package certificate reads the certificates that expressions of Kyverno's
// languages decode: those with RSA keys, as in Kyverno.
package certificate

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// A PublicKey is an RSA key: its modulus in decimal and its exponent.
type PublicKey struct {
	N string
	E int
}

// Decode reads the first PEM block of text. It returns a certificate or a
// certificate request, whose PublicKey is a PublicKey; the other is nil.
func Decode(text string) (*x509.Certificate, *x509.CertificateRequest, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, nil, errors.New("the text is not PEM")
	}
	switch block.Type {
	case "CERTIFICATE":
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, nil, err
		}
		c.PublicKey, err = publicKey(c.PublicKey)
		return c, nil, err
	case "CERTIFICATE REQUEST":
		r, err := x509.ParseCertificateRequest(block.Bytes)
		if err != nil {
			return nil, nil, err
		}
		r.PublicKey, err = publicKey(r.PublicKey)
		return nil, r, err
	}
	return nil, nil, fmt.Errorf("the PEM block is a %s, expected a CERTIFICATE or a CERTIFICATE REQUEST", block.Type)
}

func publicKey(key any) (PublicKey, error) {
	k, ok := key.(*rsa.PublicKey)
	if !ok {
		return PublicKey{}, errors.New("the public key is not RSA; Kyverno reads no other")
	}
	return PublicKey{k.N.String(), k.E}, nil
}
