package signature_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	sigstore "github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/payload"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/oneloop-dev/oneloop/pkg/signature"
)

var (
	image = "sha256:" + strings.Repeat("1", 64)
	other = "sha256:" + strings.Repeat("2", 64)
	// now is when signatures are checked; certificates are valid for the hour around it.
	now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
)

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func publicPEM(t *testing.T, key crypto.PublicKey) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// sign signs as cosign does.
func sign(t *testing.T, key crypto.PrivateKey, digest string, annotations map[string]any) signature.Signature {
	t.Helper()
	return signWith(t, key, crypto.SHA256, digest, annotations)
}

func signWith(t *testing.T, key crypto.PrivateKey, hash crypto.Hash, digest string, annotations map[string]any) signature.Signature {
	t.Helper()
	ref, err := name.NewDigest("r.io/team/app@" + digest)
	if err != nil {
		t.Fatal(err)
	}
	text, err := payload.Cosign{Image: ref, Annotations: annotations}.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	signer, err := sigstore.LoadSigner(key, hash)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := signer.SignMessage(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return signature.Signature{Payload: text, Signature: base64.StdEncoding.EncodeToString(raw)}
}

func attestor(t *testing.T, spec signature.Spec) *signature.Attestor {
	t.Helper()
	a, err := signature.New(spec)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func verifies(t *testing.T, a *signature.Attestor, want string, signatures ...signature.Signature) {
	t.Helper()
	err := a.Verify(image, signatures, now)
	switch {
	case want == "" && err != nil:
		t.Errorf("%v", err)
	case want != "" && !errors.Is(err, signature.ErrUnverified):
		t.Errorf("error = %v, want ErrUnverified", err)
	case want != "" && !strings.Contains(err.Error(), want):
		t.Errorf("error = %v, want %q", err, want)
	}
}

func TestKey(t *testing.T) {
	key, wrong := newKey(t), newKey(t)
	a := attestor(t, signature.Spec{Key: publicPEM(t, key.Public()), IgnoreLog: true})
	good := sign(t, key, image, nil)
	tampered := good
	tampered.Payload = bytes.ReplaceAll(good.Payload, []byte(image), []byte(other))
	text := good
	text.Signature = "no base64!"
	none := good
	none.Signature = ""
	verifies(t, a, "", good)
	verifies(t, a, "", sign(t, wrong, image, nil), tampered, good)
	verifies(t, a, "there are no signatures")
	verifies(t, a, "another key signed", sign(t, wrong, image, nil))
	verifies(t, a, "the payload was changed", tampered)
	verifies(t, a, `of another image, "`+other, sign(t, key, other, nil))
	verifies(t, a, "no base64", text)
	verifies(t, a, "another key signed", none)
	if err := a.Verify(other, []signature.Signature{tampered}, now); !errors.Is(err, signature.ErrUnverified) {
		t.Errorf("a tampered payload about the image: %v", err)
	}
	if err := a.Verify("", []signature.Signature{sign(t, key, image, nil)}, now); err == nil {
		t.Error("no digest at all is verified")
	}
}

// What a key signed is no signature of an image when it is not a payload.
func TestPayload(t *testing.T) {
	key := newKey(t)
	signer, err := sigstore.LoadSigner(key, crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	a := attestor(t, signature.Spec{Key: publicPEM(t, key.Public()), IgnoreLog: true})
	for text, want := range map[string]string{
		"":                            "not understood",
		"null":                        "another image",
		`{"critical": {"image": {}}}`: "another image",
		`{"critical": []}`:            "not understood",
	} {
		raw, err := signer.SignMessage(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		verifies(t, a, want, signature.Signature{Payload: []byte(text), Signature: base64.StdEncoding.EncodeToString(raw)})
	}
}

func TestAlgorithms(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ec := newKey(t)
	for _, test := range []struct {
		name      string
		key       crypto.Signer
		algorithm string
		hash      crypto.Hash
	}{
		{"rsa", rsaKey, "", crypto.SHA256},
		{"rsa sha512", rsaKey, "sha512", crypto.SHA512},
		{"ed25519", edKey, "", crypto.SHA256},
		{"ecdsa sha224", ec, "sha224", crypto.SHA224},
		{"ecdsa sha384", ec, "sha384", crypto.SHA384},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := attestor(t, signature.Spec{Key: publicPEM(t, test.key.Public()), Algorithm: test.algorithm, IgnoreLog: true})
			verifies(t, a, "", signWith(t, test.key, test.hash, image, nil))
		})
	}
	a := attestor(t, signature.Spec{Key: publicPEM(t, ec.Public()), Algorithm: "sha512", IgnoreLog: true})
	verifies(t, a, "another key", sign(t, ec, image, nil))
}

func TestAnnotations(t *testing.T) {
	key := newKey(t)
	a := attestor(t, signature.Spec{Key: publicPEM(t, key.Public()), IgnoreLog: true, Annotations: map[string]string{"env": "prod", "team": "shop"}})
	verifies(t, a, "", sign(t, key, image, map[string]any{"env": "prod", "team": "shop", "more": 1}))
	verifies(t, a, "no annotation team=shop", sign(t, key, image, map[string]any{"env": "prod"}))
	verifies(t, a, "no annotation env=prod", sign(t, key, image, map[string]any{"env": []any{"prod"}, "team": "shop"}))
	verifies(t, a, "no annotation env=prod", sign(t, key, image, nil))
}

// An authority issues certificates for signing code.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func issue(t *testing.T, name string, by *authority, change func(*x509.Certificate)) authority {
	t.Helper()
	key := newKey(t)
	c := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		IsCA:     true, BasicConstraintsValid: true,
	}
	if change != nil {
		change(c)
	}
	parent, signer := c, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return authority{cert, key}
}

func leaf(c *x509.Certificate) {
	c.IsCA, c.KeyUsage, c.ExtKeyUsage = false, x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}
}

func certPEM(certs ...authority) string {
	var b strings.Builder
	for _, c := range certs {
		_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: c.cert.Raw})
	}
	return b.String()
}

func TestCertificates(t *testing.T) {
	root := issue(t, "root", nil, nil)
	between := issue(t, "between", &root, nil)
	signer := issue(t, "signer", &between, leaf)
	expired := issue(t, "expired", &between, func(c *x509.Certificate) {
		leaf(c)
		c.NotBefore, c.NotAfter = now.Add(-50*time.Minute), now.Add(-40*time.Minute)
	})
	server := issue(t, "server", &between, func(c *x509.Certificate) {
		leaf(c)
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	})
	stranger := issue(t, "stranger", nil, nil)
	foreign := issue(t, "foreign", &stranger, leaf)
	signed := func(by authority, chain ...authority) signature.Signature {
		s := sign(t, by.key, image, nil)
		s.Certificate, s.Chain = certPEM(by), certPEM(chain...)
		return s
	}

	alone := attestor(t, signature.Spec{Certificate: certPEM(signer), IgnoreLog: true})
	verifies(t, alone, "", sign(t, signer.key, image, nil))
	verifies(t, alone, "another key", sign(t, foreign.key, image, nil))
	encoded := attestor(t, signature.Spec{Certificate: base64.StdEncoding.EncodeToString([]byte(certPEM(signer))), IgnoreLog: true})
	verifies(t, encoded, "", sign(t, signer.key, image, nil))

	chain := attestor(t, signature.Spec{Certificate: certPEM(signer), Chain: certPEM(between, root), IgnoreLog: true, IgnoreSCT: true})
	verifies(t, chain, "", sign(t, signer.key, image, nil))
	verifies(t, chain, "", signed(signer))
	verifies(t, chain, "another key", signed(foreign))

	old := attestor(t, signature.Spec{Certificate: certPEM(expired), Chain: certPEM(between, root), IgnoreLog: true, IgnoreSCT: true})
	verifies(t, old, "valid from", signed(expired))

	roots := attestor(t, signature.Spec{Chain: certPEM(between, root), IgnoreLog: true, IgnoreSCT: true})
	verifies(t, roots, "", signed(signer))
	onlyRoot := attestor(t, signature.Spec{Chain: certPEM(root), IgnoreLog: true, IgnoreSCT: true})
	verifies(t, onlyRoot, "", signed(signer, between))
	verifies(t, onlyRoot, "certificate signed by unknown authority", signed(signer))
	verifies(t, onlyRoot, "valid from", signed(expired, between))
	verifies(t, onlyRoot, "unknown authority", signed(foreign, stranger))
	verifies(t, onlyRoot, "incompatible key usage", signed(server, between))
	verifies(t, onlyRoot, "without a certificate", sign(t, signer.key, image, nil))
	stolen := signed(signer, between)
	stolen.Signature = sign(t, foreign.key, image, nil).Signature
	verifies(t, onlyRoot, "another key", stolen)
	broken := signed(signer, between)
	broken.Certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
	verifies(t, onlyRoot, "the certificate at the signature", broken)

	for _, test := range []struct {
		name string
		spec signature.Spec
		want string
	}{
		{"foreign", signature.Spec{Certificate: certPEM(foreign), Chain: certPEM(between, root), IgnoreLog: true, IgnoreSCT: true}, "unknown authority"},
		{"no SCT", signature.Spec{Certificate: certPEM(signer), Chain: certPEM(between, root), IgnoreLog: true}, "no signed certificate timestamp"},
	} {
		if _, err := signature.New(test.spec); !errors.Is(err, signature.ErrUnverified) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want ErrUnverified and %q", test.name, err, test.want)
		}
	}
	sct := issue(t, "sct", &between, func(c *x509.Certificate) {
		leaf(c)
		c.ExtraExtensions = []pkix.Extension{{Id: []int{1, 3, 6, 1, 4, 1, 11129, 2, 4, 2}, Value: []byte{4, 0}}}
	})
	if _, err := signature.New(signature.Spec{Certificate: certPEM(sct), Chain: certPEM(between, root), IgnoreLog: true}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a certificate with timestamps: %v, want ErrUnsupported", err)
	}
}

// logged puts an entry of a transparency log at a signature.
func logged(t *testing.T, logKey *ecdsa.PrivateKey, s signature.Signature, signer string, at time.Time, change func(body map[string]any)) signature.Signature {
	t.Helper()
	sum := sha256.Sum256(s.Payload)
	body := map[string]any{
		"apiVersion": "0.0.1", "kind": "hashedrekord",
		"spec": map[string]any{
			"data":      map[string]any{"hash": map[string]any{"algorithm": "sha256", "value": hex.EncodeToString(sum[:])}},
			"signature": map[string]any{"content": s.Signature, "publicKey": map[string]any{"content": base64.StdEncoding.EncodeToString([]byte(signer))}},
		},
	}
	if change != nil {
		change(body)
	}
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(logKey.Public())
	if err != nil {
		t.Fatal(err)
	}
	id := sha256.Sum256(der)
	entry := fmt.Sprintf(`{"body":%q,"integratedTime":%d,"logID":%q,"logIndex":7}`, base64.StdEncoding.EncodeToString(text), at.Unix(), hex.EncodeToString(id[:]))
	of := sha256.Sum256([]byte(entry))
	set, err := ecdsa.SignASN1(rand.Reader, logKey, of[:])
	if err != nil {
		t.Fatal(err)
	}
	s.Bundle = fmt.Sprintf(`{"SignedEntryTimestamp":%q,"Payload":%s}`, base64.StdEncoding.EncodeToString(set), entry)
	return s
}

func TestTransparencyLog(t *testing.T) {
	key, log, otherLog := newKey(t), newKey(t), newKey(t)
	public := publicPEM(t, key.Public())
	a := attestor(t, signature.Spec{Key: public, LogKey: publicPEM(t, log.Public())})
	s := sign(t, key, image, nil)
	good := logged(t, log, s, public, now, nil)
	verifies(t, a, "", good)
	verifies(t, a, "without an entry", s)
	verifies(t, a, "expected", logged(t, otherLog, s, public, now, nil))
	forged := good
	forged.Bundle = strings.Replace(good.Bundle, `"logIndex":7`, `"logIndex":8`, 1)
	verifies(t, a, "not signed by the transparency log", forged)
	later := sign(t, key, image, map[string]any{"a": "b"})
	later.Bundle = good.Bundle
	verifies(t, a, "another signature", later)
	verifies(t, a, "another key", logged(t, log, s, publicPEM(t, newKey(t).Public()), now, nil))
	verifies(t, a, "another payload", logged(t, log, s, public, now, func(body map[string]any) {
		body["spec"].(map[string]any)["data"] = map[string]any{"hash": map[string]any{"algorithm": "sha256", "value": "00"}}
	}))
	verifies(t, a, `of kind "intoto"`, logged(t, log, s, public, now, func(body map[string]any) { body["kind"] = "intoto" }))
	garbage := s
	garbage.Bundle = "{"
	verifies(t, a, "not understood", garbage)

	// The public log by default.
	verifies(t, attestor(t, signature.Spec{Key: public}), "expected c0d23d6ad406973f9559f3ba2d1ca01f84147d8ffc5b8445c224f98b9591801d", good)

	// The time of the log is the one that counts for a certificate.
	root := issue(t, "root", nil, nil)
	short := issue(t, "short", &root, func(c *x509.Certificate) {
		leaf(c)
		c.NotBefore, c.NotAfter = now.Add(-30*time.Minute), now.Add(-20*time.Minute)
	})
	keyless := attestor(t, signature.Spec{Chain: certPEM(root), LogKey: publicPEM(t, log.Public()), IgnoreSCT: true})
	cert := sign(t, short.key, image, nil)
	cert.Certificate = certPEM(short)
	verifies(t, keyless, "", logged(t, log, cert, cert.Certificate, now.Add(-25*time.Minute), nil))
	verifies(t, keyless, "valid from", logged(t, log, cert, cert.Certificate, now, nil))
}

// What was verified by one Attestor is taken for verified by those with its ID,
// so that everything that matters has to change it.
func TestID(t *testing.T) {
	key, log := publicPEM(t, newKey(t).Public()), publicPEM(t, newKey(t).Public())
	ids := map[string]int{}
	for i, spec := range []signature.Spec{
		{Key: key},
		{Key: publicPEM(t, newKey(t).Public())},
		{Key: key, IgnoreLog: true},
		{Key: key, LogKey: log},
		{Key: key, Algorithm: "sha512"},
		{Key: key, Repository: "r.io/signatures"},
		{Key: key, Annotations: map[string]string{"a": "b"}},
		{Key: key, Annotations: map[string]string{"a": "c"}},
	} {
		id := attestor(t, spec).ID()
		if was, ok := ids[id]; ok {
			t.Errorf("%d and %d have one ID", was, i)
		}
		ids[id] = i
	}
	same := attestor(t, signature.Spec{Key: "\n" + key + "\n", Algorithm: "sha256", Referrers: true, LogKey: ""})
	if i, ok := ids[same.ID()]; !ok || i != 0 {
		t.Error("the same key, written in another way, has another ID")
	}
}

func TestFaults(t *testing.T) {
	key := publicPEM(t, newKey(t).Public())
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	many := strings.Repeat(certPEM(issue(t, "root", nil, nil)), 12)
	for _, test := range []struct {
		name string
		spec signature.Spec
		want string
	}{
		{"nothing", signature.Spec{}, "expected a public key"},
		{"no PEM", signature.Spec{Key: "AAAA"}, "PEM of a public key"},
		{"algorithm", signature.Spec{Key: key, Algorithm: "md5"}, `"md5": expected sha224`},
		{"no certificate", signature.Spec{Certificate: key}, "certificate"},
		{"empty certificate", signature.Spec{Certificate: " "}, "-----BEGIN CERTIFICATE-----"},
		{"long chain", signature.Spec{Chain: many}, "at most 11 certificates, found 12"},
		{"log", signature.Spec{Key: key, LogKey: "x"}, "rekor.pubkey"},
		{"log of another kind", signature.Spec{Key: key, LogKey: publicPEM(t, rsaKey.Public())}, "ECDSA"},
	} {
		if _, err := signature.New(test.spec); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
}

// FuzzVerify: no signature of a registry makes Verify panic, and none but a
// real one is accepted.
func FuzzVerify(f *testing.F) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		f.Fatal(err)
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	a, err := signature.New(signature.Spec{Key: text, LogKey: text})
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(`{"critical":{}}`), "AAAA", text, "", `{"SignedEntryTimestamp":"AA==","Payload":{"body":"e30="}}`)
	f.Fuzz(func(t *testing.T, data []byte, sig, cert, chain, bundle string) {
		if a.Verify(image, []signature.Signature{{data, sig, cert, chain, bundle}}, now) == nil {
			t.Error("verified")
		}
	})
}
