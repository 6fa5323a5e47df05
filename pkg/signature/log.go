package signature

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/sigstore/sigstore/pkg/cryptoutils"
)

// publicLog is the key of rekor.sigstore.dev, whose digest is the log's ID,
// c0d23d6ad406973f9559f3ba2d1ca01f84147d8ffc5b8445c224f98b9591801d.
const publicLog = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE2G2Y+2tabdTV5BcGiBIx0a9fAFwr
kBbmLSGtks4L3qX6yYY0zufBnhC8Ur/iy55GhWP/9A/bY2LhC30M9+RYtw==
-----END PUBLIC KEY-----
`

// A log is a transparency log, known by its key.
type log struct {
	key *ecdsa.PublicKey
	id  string // as entries have it
}

func newLog(text string) (*log, error) {
	if text == "" {
		text = publicLog
	}
	key, err := cryptoutils.UnmarshalPEMToPublicKey([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("rekor.pubkey: expected the PEM of a public key: %w", err)
	}
	is, ok := key.(*ecdsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("rekor.pubkey: expected an ECDSA key, found %T: %w", key, errors.ErrUnsupported)
	}
	der, err := cryptoutils.MarshalPublicKeyToDER(key)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(der)
	return &log{is, hex.EncodeToString(sum[:])}, nil
}

// A bundle is the entry of a log as cosign stores it beside a signature.
type bundle struct {
	SignedEntryTimestamp []byte
	Payload              entry
}

// An entry has its fields in the order in which the log signs them.
type entry struct {
	Body           string `json:"body"`
	IntegratedTime int64  `json:"integratedTime"`
	LogID          string `json:"logID"`
	LogIndex       int64  `json:"logIndex"`
}

// A record is the body of an entry, for the kinds that signatures of images have.
type record struct {
	Kind string `json:"kind"`
	Spec struct {
		Data struct {
			Hash struct {
				Algorithm string `json:"algorithm"`
				Value     string `json:"value"`
			} `json:"hash"`
		} `json:"data"`
		Signature struct {
			Content   string `json:"content"`
			PublicKey struct {
				Content []byte `json:"content"`
			} `json:"publicKey"`
		} `json:"signature"`
	} `json:"spec"`
}

// verify checks that s comes with an entry of the log about just this
// signature, and returns the time at which the log took it in.
func (l *log) verify(s *Signature, signer []byte) (time.Time, error) {
	var none time.Time
	if s.Bundle == "" {
		return none, unverified("the signature comes without an entry of the transparency log; sign with an upload to it, or set rekor.ignoreTlog")
	}
	var b bundle
	if err := json.Unmarshal([]byte(s.Bundle), &b); err != nil {
		return none, unverified("the entry of the transparency log is not understood: %w", err)
	}
	if b.Payload.LogID != l.id {
		return none, unverified("the entry is of the transparency log %q: expected %s", b.Payload.LogID, l.id)
	}
	var signed bytes.Buffer
	enc := json.NewEncoder(&signed)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(b.Payload); err != nil {
		return none, err
	}
	sum := sha256.Sum256(bytes.TrimSuffix(signed.Bytes(), []byte("\n")))
	if !ecdsa.VerifyASN1(l.key, sum[:], b.SignedEntryTimestamp) {
		return none, unverified("the entry was not signed by the transparency log")
	}
	body, err := base64.StdEncoding.DecodeString(b.Payload.Body)
	if err != nil {
		return none, unverified("the body of the entry is no base64: %w", err)
	}
	var r record
	if err := json.Unmarshal(body, &r); err != nil {
		return none, unverified("the body of the entry is not understood: %w", err)
	}
	if r.Kind != "hashedrekord" && r.Kind != "rekord" {
		return none, unverified("the entry is of kind %q: expected hashedrekord or rekord", r.Kind)
	}
	of := sha256.Sum256(s.Payload)
	switch {
	case r.Spec.Signature.Content != s.Signature:
		return none, unverified("the entry is about another signature")
	case r.Spec.Data.Hash.Algorithm != "sha256" || r.Spec.Data.Hash.Value != hex.EncodeToString(of[:]):
		return none, unverified("the entry is about another payload")
	case !samePEM(r.Spec.Signature.PublicKey.Content, signer):
		return none, unverified("the entry is about another key")
	}
	return time.Unix(b.Payload.IntegratedTime, 0), nil
}

func samePEM(a, b []byte) bool {
	first, _ := pem.Decode(a)
	second, _ := pem.Decode(b)
	return first != nil && second != nil && bytes.Equal(first.Bytes, second.Bytes)
}
