package registry

import (
	"errors"
	"net/http"
	"net/netip"
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
		err := checkAddress(test.entry, "host:443", netip.MustParseAddr(test.address))
		if (err == nil) != test.ok {
			t.Errorf("checkAddress(%s, %s) = %v, want allowed %t", test.entry, test.address, err, test.ok)
		}
		var refused *refusedError
		if err != nil && !errors.As(err, &refused) {
			t.Errorf("checkAddress(%s, %s): %T would be repeated", test.entry, test.address, err)
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
	g, err := newGuard([]string{"docker.io", "ghcr.io", "localhost:5000", "10.0.0.5", "old.example", "quay.io:443"}, []string{"old.example"})
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
		if _, err := newGuard([]string{entry}, nil); err == nil {
			t.Errorf("entry %q was accepted", entry)
		}
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
