package registry

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestCheckAddress(t *testing.T) {
	tests := []struct {
		entry, address string
		ok             bool
	}{
		{"ghcr.io", "140.82.121.33", true},
		{"ghcr.io", "2606:50c0:8000::153", true},
		// A registry of one's own, allowed by name, may be in a private network;
		// what a pattern happens to match may not.
		{"registry.corp.example", "10.1.2.3", true},
		{"registry.corp.example", "100.64.1.2", true},
		{"*.corp.example", "10.1.2.3", false},
		{"*.corp.example", "100.64.1.2", false},
		{"*.corp.example", "fd12::1", false},
		{"*.corp.example", "140.82.121.33", true},
		// Loopback only when the user wrote it.
		{"localhost", "127.0.0.1", true},
		{"localhost:5000", "::1", true},
		{"127.0.0.1:5000", "127.0.0.1", true},
		{"registry.corp.example", "127.0.0.1", false},
		{"registry.corp.example", "::ffff:127.0.0.1", false},
		// Never, not even by name.
		{"169.254.169.254", "169.254.169.254", false},
		{"ghcr.io", "169.254.169.254", false},
		{"ghcr.io", "::ffff:169.254.169.254", false},
		{"ghcr.io", "64:ff9b::a9fe:a9fe", false}, // the same through NAT64
		{"ghcr.io", "fe80::1%eth0", false},
		{"ghcr.io", "fd00:ec2::254", false},
		{"ghcr.io", "100.100.100.200", false},
		{"ghcr.io", "168.63.129.16", false},
		{"ghcr.io", "0.0.0.0", false},
		{"ghcr.io", "::", false},
		{"ghcr.io", "224.0.0.1", false},
	}
	for _, test := range tests {
		err := checkAddress(entry{host: test.entry}, "host:443", netip.MustParseAddr(test.address))
		if (err == nil) != test.ok {
			t.Errorf("checkAddress(%s, %s) = %v, want allowed %t", test.entry, test.address, err, test.ok)
		}
		var refused *refusedError
		if err != nil && !errors.As(err, &refused) {
			t.Errorf("checkAddress(%s, %s): %T would be repeated", test.entry, test.address, err)
		}
	}
}

// A name that only an image reference chose may not lead into a private network;
// an address that the reference itself shows may.
func TestCheckAddressOfReferences(t *testing.T) {
	for _, test := range []struct {
		host, address string
		ok            bool
	}{
		{"ghcr.io", "140.82.121.33", true},
		{"registry.corp.example", "10.1.2.3", false},
		{"registry.corp.example:5000", "192.168.1.1", false},
		{"registry.corp.example", "127.0.0.1", false},
		{"10.1.2.3:5000", "10.1.2.3", true},
		{"localhost:5000", "127.0.0.1", true},
		{"169.254.169.254", "169.254.169.254", false},
	} {
		err := checkAddress(entry{host: test.host, referenced: true}, test.host, netip.MustParseAddr(test.address))
		if (err == nil) != test.ok {
			t.Errorf("checkAddress(%s, %s) = %v, want allowed %t", test.host, test.address, err, test.ok)
		}
	}
	// What the user says himself counts more.
	g, err := newGuard([]string{"registry.corp.example"}, []string{"registry.corp.example", "ghcr.io"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for host, referenced := range map[string]bool{"registry.corp.example": false, "ghcr.io": true} {
		if e, ok := g.entryFor(host); !ok || e.referenced != referenced {
			t.Errorf("entryFor(%s) = %+v, %t; want referenced %t", host, e, ok, referenced)
		}
	}
}

// Names are resolved by the dialler, and what they resolve to is what counts.
func TestDialChecksTheAddress(t *testing.T) {
	g, err := newGuard([]string{"registry.k8s.io", "localhost:5000"}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for hostport, want := range map[string]string{
		"ghcr.io:443":            "may not be reached",
		"localhost:80":           "may not be reached",
		"evil.pkg.dev.corp:443":  "may not be reached",
		"127.0.0.1:5000":         "may not be reached", // only localhost was named
		"169.254.169.254:80":     "may not be reached",
		"registry.k8s.io.x:443":  "may not be reached",
		"xn--registry.k8s.io:80": "may not be reached",
	} {
		_, err := g.dial(t.Context(), "tcp", hostport)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("dial %s: %v, want %q", hostport, err, want)
		}
	}
	// An allowed name may not lead to a metadata address or loopback; here the
	// name is its own answer.
	for entry, hostport := range map[string]string{
		"169.254.169.254": "169.254.169.254:80",
		"[fd00:ec2::254]": "[fd00:ec2::254]:80",
		"0.0.0.0":         "0.0.0.0:80",
	} {
		g, err := newGuard([]string{entry}, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := g.dial(t.Context(), "tcp", hostport); err == nil || !strings.Contains(err.Error(), "never reached") {
			t.Errorf("dial %s: %v, want that it is never reached", hostport, err)
		}
	}
}

func TestHostMatches(t *testing.T) {
	tests := []struct {
		entry, host string
		want        bool
	}{
		{"ghcr.io", "ghcr.io", true},
		{"ghcr.io", "GHCR.io:443", true},
		{"ghcr.io", "evil-ghcr.io", false},
		{"ghcr.io", "ghcr.io.evil.example", false},
		{"ghcr.io", "sub.ghcr.io", false},
		{"localhost:5000", "localhost:5000", true},
		{"localhost:5000", "localhost:5001", false},
		{"localhost:5000", "localhost", false},
		{"localhost", "localhost:5000", true},
		{"*.pkg.dev", "europe-docker.pkg.dev", true},
		{"*.pkg.dev", "europe-docker.pkg.dev:443", true},
		{"*.pkg.dev", "pkg.dev", false},
		{"*.pkg.dev", "evilpkg.dev", false},
		{"[::1]", "[::1]:5000", true},
		{"[::1]:5000", "[::1]:5000", true},
		{"[::1]", "[::2]:5000", false},
	}
	for _, test := range tests {
		if got := hostMatches(test.entry, test.host); got != test.want {
			t.Errorf("hostMatches(%q, %q) = %t, want %t", test.entry, test.host, got, test.want)
		}
	}
}

func TestCheckRequest(t *testing.T) {
	g, err := newGuard([]string{"docker.io", "ghcr.io", "localhost:5000", "10.0.0.5", "old.example", "quay.io:443"}, nil, []string{"old.example"})
	if err != nil {
		t.Fatal(err)
	}
	for url, ok := range map[string]bool{
		"https://ghcr.io/v2/":         true,
		"http://ghcr.io/v2/":          false, // no way down to plain HTTP
		"http://10.0.0.5/v2/":         false, // go-containerregistry would try it
		"https://10.0.0.5/v2/":        true,
		"http://old.example/v2/":      true,
		"http://localhost:5000/v2/":   true,
		"http://localhost:5001/v2/":   false,
		"https://index.docker.io/v2/": true, // with docker.io comes all of Docker Hub
		"https://auth.docker.io/t":    true,
		"https://quay.io/v2/":         true,
		"https://quay.io:8443/v2/":    false,
		"https://gcr.io/v2/":          false,
		"ftp://ghcr.io/v2/":           false,
	} {
		req, err := http.NewRequest(http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := g.checkRequest(req); (err == nil) != ok {
			t.Errorf("%s: %v, want allowed %t", url, err, ok)
		}
	}
	for _, entry := range []string{"", "https://ghcr.io", "ghcr.io/team", "*", "*ghcr.io", "a.*.b", "user@ghcr.io"} {
		if _, err := newGuard([]string{entry}, nil, nil); err == nil {
			t.Errorf("entry %q was accepted", entry)
		}
	}
}

// request is one that a redirect led to when from is not empty.
func request(t *testing.T, url, from, authorization, own string) *http.Request {
	t.Helper()
	ctx := context.WithValue(t.Context(), askedRegistry{}, own)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	if from != "" {
		before, err := http.NewRequest(http.MethodGet, from, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Response = &http.Response{Request: before}
	}
	return req
}

// A registry that is known to redirect takes what it redirects to along, but
// only that way.
func TestRedirects(t *testing.T) {
	g, err := newGuard([]string{"registry.k8s.io", "example.com", "*.corp.example"}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	const manifest = "/v2/pause/manifests/3.10"
	for _, test := range []struct {
		from, to string
		want     string // part of the error
	}{
		{"https://registry.k8s.io", "https://us-west1-docker.pkg.dev", ""},
		{"https://registry.k8s.io:443", "https://us-west1-docker.pkg.dev", ""},
		{"https://registry.k8s.io", "https://x.s3.dualstack.us-east-2.amazonaws.com", ""},
		{"https://registry.k8s.io", "https://example.com", ""},
		{"https://registry.k8s.io", "https://a.corp.example", ""},
		{"https://registry.k8s.io", "http://us-west1-docker.pkg.dev", "plain HTTP"},
		{"https://registry.k8s.io", "https://evil.example", "registry.k8s.io redirects to host evil.example, which may not be reached: add it to network.allow"},
		{"https://us-west1-docker.pkg.dev", "https://eu-docker.pkg.dev", "may not be reached"},
		{"https://example.com", "https://us-west1-docker.pkg.dev", "may not be reached"},
		{"", "https://us-west1-docker.pkg.dev", "host us-west1-docker.pkg.dev may not be reached"},
	} {
		from := test.from
		if from != "" {
			from += manifest
		}
		err := g.checkRequest(request(t, test.to+manifest, from, "", "registry.k8s.io"))
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s to %s: %v, want %q", test.from, test.to, err, test.want)
		}
	}
}

// A password goes to its registry, and to a token service elsewhere when the
// user allowed that one by name.
func TestCredentials(t *testing.T) {
	g, err := newGuard([]string{"reg.example", "auth.example", "*.corp.example", "docker.io", "registry.gitlab.com"}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		own, to, from, authorization string
		ok                           bool
	}{
		{own: "reg.example", to: "https://reg.example/v2/", authorization: "Basic eA==", ok: true},
		{own: "reg.example", to: "https://auth.example/token", authorization: "Basic eA==", ok: true},
		{own: "reg.example", to: "https://auth.example/token", from: "https://reg.example/token", authorization: "Basic eA=="},
		{own: "reg.example", to: "https://auth.corp.example/token", authorization: "Basic eA=="},
		{own: "reg.example", to: "https://auth.corp.example/token", authorization: "basic eA=="},
		{own: "reg.example", to: "https://auth.corp.example/token", ok: true}, // anonymous
		{own: "r.corp.example", to: "https://r.corp.example/v2/", authorization: "Basic eA==", ok: true},
		{own: "r.corp.example", to: "https://s.corp.example/v2/", authorization: "Basic eA=="},
		{own: "index.docker.io", to: "https://auth.docker.io/token", authorization: "Basic eA==", ok: true},
		{own: "registry.gitlab.com", to: "https://gitlab.com/jwt/auth", authorization: "Basic eA==", ok: true},
		{own: "", to: "https://a.corp.example/", authorization: "Basic eA=="},
	} {
		err := g.checkRequest(request(t, test.to, test.from, test.authorization, test.own))
		if (err == nil) != test.ok {
			t.Errorf("%+v: %v", test, err)
		}
	}
	// A refresh token travels in the body.
	req := request(t, "https://auth.corp.example/token", "", "", "reg.example")
	req.Body = io.NopCloser(strings.NewReader("refresh_token=x"))
	if err := g.checkRequest(req); err == nil || !strings.Contains(err.Error(), "auth.corp.example: credentials go to another host only when") {
		t.Errorf("a refresh token: %v", err)
	}
}

func TestRetryAfter(t *testing.T) {
	until := func(at time.Time) time.Duration { return at.Sub(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)) }
	tests := []struct {
		header string
		want   time.Duration
		ok     bool
	}{
		{"", 0, false},
		{"7", 7 * time.Second, true},
		{"-7", 0, false},
		{"99999999999999999999", 0, false},
		{"999999999999", 24 * time.Hour, true},
		{"Fri, 02 Jan 2026 03:04:15 GMT", 10 * time.Second, true},
		{"Fri, 02 Jan 2026 03:03:00 GMT", 0, true},
		{"soon", 0, false},
	}
	for _, test := range tests {
		resp := &http.Response{Header: http.Header{}}
		resp.Header.Set("Retry-After", test.header)
		if got, ok := retryAfter(resp, until); got != test.want || ok != test.ok {
			t.Errorf("retryAfter(%q) = %s, %t; want %s, %t", test.header, got, ok, test.want, test.ok)
		}
	}
}
