package registry

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// attempts is how often one request is sent at most.
	attempts = 4
	// maxBody bounds every answer: manifests, configurations and tokens are
	// far smaller.
	maxBody = 8 << 20
	// maxWait is the longest Retry-After that is waited for.
	maxWait = time.Minute
)

// A roundTripper sends the requests of go-containerregistry: it asks the
// guard, repeats what failed for the moment, bounds and verifies what comes
// back, and asks a registry only once how it wants to be logged in to.
type roundTripper struct {
	guard      *guard
	verified   http.RoundTripper
	unverified http.RoundTripper // for insecure registries
	backoff    time.Duration

	mu    sync.Mutex
	pings map[string]*ping
	// spent has the last answer of hosts that went on saying 429: they are left
	// alone for the rest of the run.
	spent map[string]http.Header
}

func newTransport(g *guard, o options) *roundTripper {
	base := func(insecure bool) *http.Transport {
		return &http.Transport{
			Proxy:                 g.proxy,
			DialContext:           g.dial,
			TLSClientConfig:       &tls.Config{RootCAs: o.roots, InsecureSkipVerify: insecure, MinVersion: tls.VersionTLS12},
			ForceAttemptHTTP2:     true,
			MaxIdleConns:          100,
			MaxIdleConnsPerHost:   32,
			IdleConnTimeout:       30 * time.Second,
			TLSHandshakeTimeout:   15 * time.Second,
			ResponseHeaderTimeout: 30 * time.Second,

			MaxResponseHeaderBytes: 1 << 20,
			// Manifests are small, and their digest is of the bytes as sent.
			DisableCompression: true,
		}
	}
	return &roundTripper{guard: g, verified: base(false), unverified: base(true), backoff: o.backoff, pings: map[string]*ping{}, spent: map[string]http.Header{}}
}

// RoundTrip implements http.RoundTripper.
func (t *roundTripper) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := t.guard.checkRequest(req); err != nil {
		return nil, err
	}
	if req.Method == http.MethodGet && req.URL.Path == "/v2/" && req.Header.Get("Authorization") == "" {
		return t.ping(req)
	}
	return t.send(req)
}

// send repeats a request until it has an answer that is worth returning.
func (t *roundTripper) send(req *http.Request) (*http.Response, error) {
	inner := t.verified
	if t.guard.isInsecure(req.URL.Host) {
		inner = t.unverified
	}
	for n := 1; ; n++ {
		if header, ok := t.isSpent(req.URL.Host); ok {
			return answered(req, http.StatusTooManyRequests, header), nil
		}
		if n > 1 && req.Body != nil {
			if req.GetBody == nil {
				return nil, fmt.Errorf("%s %s cannot be repeated", req.Method, req.URL.Redacted())
			}
			body, err := req.GetBody()
			if err != nil {
				return nil, err
			}
			req = req.Clone(req.Context())
			req.Body = body
		}
		resp, err := inner.RoundTrip(req)
		if err == nil && !momentary(resp.StatusCode) {
			return check(req, resp)
		}
		wait := t.backoff << (n - 1)
		if err != nil {
			if n == attempts || !worthRepeating(req, err) {
				return nil, err
			}
		} else {
			after, told := retryAfter(resp, time.Until)
			if told {
				wait = after
			}
			if deadline, ok := req.Context().Deadline(); n == attempts || wait > maxWait || ok && wait > time.Until(deadline) {
				if resp.StatusCode == http.StatusTooManyRequests {
					t.spend(req.URL.Host, resp.Header)
				}
				return check(req, resp)
			}
			_, _ = io.CopyN(io.Discard, resp.Body, 4<<10) // so that the connection can be used again
			_ = resp.Body.Close()
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-req.Context().Done():
			timer.Stop()
			return nil, req.Context().Err()
		}
	}
}

func (t *roundTripper) isSpent(host string) (http.Header, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	header, ok := t.spent[host]
	return header, ok
}

func (t *roundTripper) spend(host string, header http.Header) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.spent[host] = header.Clone()
}

// answered is an answer that was got before, without its body.
func answered(req *http.Request, status int, header http.Header) *http.Response {
	return &http.Response{
		Status: http.StatusText(status), StatusCode: status, Header: header.Clone(),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Body: io.NopCloser(bytes.NewReader(nil)), Request: req,
	}
}

// momentary reports whether a status says that the same request may succeed
// later.
func momentary(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// worthRepeating reports whether a request without an answer may get one.
func worthRepeating(req *http.Request, err error) bool {
	if req.Context().Err() != nil {
		return false
	}
	var refused *refusedError
	if errors.As(err, &refused) {
		return false
	}
	var cert *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	if errors.As(err, &cert) || errors.As(err, &record) || strings.Contains(err.Error(), "server gave HTTP response to HTTPS client") {
		return false
	}
	// A registry that nobody listens at does not begin to within a second.
	return !strings.Contains(err.Error(), "connection refused") && !strings.Contains(err.Error(), "no such host")
}

// retryAfter reads the header Retry-After: seconds or a date.
func retryAfter(resp *http.Response, until func(time.Time) time.Duration) (time.Duration, bool) {
	v := resp.Header.Get("Retry-After")
	if v == "" {
		return 0, false
	}
	if s, err := strconv.Atoi(v); err == nil && s >= 0 {
		return min(time.Duration(s), 24*3600) * time.Second, true
	}
	if at, err := http.ParseTime(v); err == nil {
		return max(until(at), 0), true
	}
	return 0, false
}

// check bounds an answer, and compares a manifest with the digest that the
// registry claims for it.
func check(req *http.Request, resp *http.Response) (*http.Response, error) {
	resp.Body = &limitedBody{body: resp.Body, left: maxBody}
	if req.Method != http.MethodGet || resp.StatusCode != http.StatusOK || !strings.Contains(req.URL.Path, "/manifests/") {
		return resp, nil
	}
	claimed := resp.Header.Get("Docker-Content-Digest")
	// The digest of a signed schema 1 manifest is not that of its bytes.
	if hexDigest, ok := strings.CutPrefix(claimed, "sha256:"); ok && !strings.Contains(resp.Header.Get("Content-Type"), "manifest.v1+prettyjws") {
		resp.Body = &verifiedBody{body: resp.Body, want: hexDigest, hash: sha256.New()}
	}
	return resp, nil
}

type limitedBody struct {
	body io.ReadCloser
	left int64
}

func (b *limitedBody) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, fmt.Errorf("the answer has more than %d MiB", maxBody>>20)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("the answer broke off: %w", err)
	}
	return n, err
}

func (b *limitedBody) Close() error { return b.body.Close() }

// A verifiedBody fails at its end when the bytes do not hash to want.
type verifiedBody struct {
	body io.ReadCloser
	want string
	hash hash.Hash
}

func (b *verifiedBody) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	b.hash.Write(p[:n])
	if err == io.EOF {
		if got := hex.EncodeToString(b.hash.Sum(nil)); got != b.want {
			return n, &refusedError{reason: fmt.Sprintf("the manifest hashes to sha256:%s, and the registry claims sha256:%s", got, b.want)}
		}
	}
	return n, err
}

func (b *verifiedBody) Close() error { return b.body.Close() }

// A ping is the answer of a registry to GET /v2/: whether and how to log in.
// go-containerregistry asks once per repository.
type ping struct {
	done   chan struct{}
	status int // 0: no answer that can be kept
	header http.Header
}

func (t *roundTripper) ping(req *http.Request) (*http.Response, error) {
	key := req.URL.Scheme + "://" + req.URL.Host
	for {
		t.mu.Lock()
		if req.URL.Scheme == "https" {
			// Once it was found that a registry speaks plain HTTP, asking it over
			// TLS is not tried again.
			if p := t.pings["http://"+req.URL.Host]; p != nil && p.answered() {
				t.mu.Unlock()
				return nil, errors.New("the registry speaks plain HTTP")
			}
		}
		p, found := t.pings[key]
		if !found {
			p = &ping{done: make(chan struct{})}
			t.pings[key] = p
		}
		t.mu.Unlock()
		if !found {
			return t.firstPing(req, key, p)
		}
		select {
		case <-p.done:
		case <-req.Context().Done():
			return nil, req.Context().Err()
		}
		if p.status != 0 {
			return answered(req, p.status, p.header), nil
		}
	}
}

func (p *ping) answered() bool {
	select {
	case <-p.done:
		return p.status != 0
	default:
		return false
	}
}

func (t *roundTripper) firstPing(req *http.Request, key string, p *ping) (*http.Response, error) {
	defer func() {
		if p.status == 0 {
			t.mu.Lock()
			delete(t.pings, key)
			t.mu.Unlock()
		}
		close(p.done)
	}()
	// The race between https and http ends with the ctx of the loser; its
	// answer is of no use to others either.
	resp, err := t.send(req.WithContext(context.WithoutCancel(req.Context())))
	if err == nil && (resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusUnauthorized) {
		p.status, p.header = resp.StatusCode, resp.Header.Clone()
	}
	return resp, err
}
