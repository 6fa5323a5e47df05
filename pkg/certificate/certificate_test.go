package certificate_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"testing"

	"github.com/oneloop-dev/oneloop/pkg/certificate"
)

func TestDecode(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, der []byte, err error) string {
		if err != nil {
			t.Fatal(err)
		}
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	cert := func(key crypto.Signer) string {
		der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(7)}, &x509.Certificate{}, key.Public(), key)
		return block("CERTIFICATE", der, err)
	}
	request := func(key crypto.Signer) string {
		der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
		return block("CERTIFICATE REQUEST", der, err)
	}
	want := certificate.PublicKey{N: key.N.String(), E: 65537}

	c, r, err := certificate.Decode(cert(key) + "trailing text")
	if err != nil || r != nil || c.PublicKey != want || c.SerialNumber.Int64() != 7 {
		t.Errorf("a certificate: %v, %v, %v", c, r, err)
	}
	c, r, err = certificate.Decode(request(key))
	if err != nil || c != nil || r.PublicKey != want {
		t.Errorf("a request: %v, %v, %v", c, r, err)
	}
	for text, want := range map[string]string{
		"x":                                    "the text is not PEM",
		cert(other):                            "the public key is not RSA; Kyverno reads no other",
		request(other):                         "the public key is not RSA; Kyverno reads no other",
		block("PUBLIC KEY", []byte("x"), nil):  "the PEM block is a PUBLIC KEY, expected a CERTIFICATE or a CERTIFICATE REQUEST",
		block("CERTIFICATE", []byte("x"), nil): "x509: malformed certificate",
	} {
		if _, _, err := certificate.Decode(text); err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}
