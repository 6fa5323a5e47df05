package registry

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// AddCAs adds the certificates of a PEM text to the authorities that registries
// are verified by: those of pool, and of the system when pool is nil. It returns
// the pool. The error names the block that is no certificate.
func AddCAs(pool *x509.CertPool, text []byte) (*x509.CertPool, error) {
	if pool == nil {
		var err error
		if pool, err = x509.SystemCertPool(); err != nil {
			return nil, fmt.Errorf("the certificates of the system: %w", err)
		}
	}
	for n := 1; ; n++ {
		block, rest := pem.Decode(text)
		if block == nil {
			if n == 1 {
				return nil, errors.New("no certificate: expected PEM text, which begins with -----BEGIN CERTIFICATE-----")
			}
			return pool, nil
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("block %d is a %s: expected certificates only", n, block.Type)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("block %d is no certificate: %w", n, err)
		}
		pool.AddCert(cert)
		text = rest
	}
}
