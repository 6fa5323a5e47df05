package registry

import (
	"context"
	"encoding/binary"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// resolveTo makes every name in DNS have the addresses in turn, one for each
// question about IPv4.
func resolveTo(t *testing.T, addresses ...string) {
	t.Helper()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		buf := make([]byte, 512)
		for n := 0; ; {
			size, from, err := conn.ReadFrom(buf)
			if err != nil || size < 12 {
				return
			}
			question := buf[12:size]
			end := strings.IndexByte(string(question), 0) + 5 // name, type, class
			answer := append([]byte{buf[0], buf[1], 0x84, 0, 0, 1, 0, 0, 0, 0, 0, 0}, question[:end]...)
			if binary.BigEndian.Uint16(question[end-4:]) == 1 { // A
				answer[7] = 1
				a := netip.MustParseAddr(addresses[min(n, len(addresses)-1)]).As4()
				answer = append(append(answer, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4), a[:]...)
				n++
			}
			if _, err := conn.WriteTo(answer, from); err != nil {
				return
			}
		}
	}()
	before := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp4", conn.LocalAddr().String())
	}}
	t.Cleanup(func() {
		net.DefaultResolver = before
		_ = conn.Close()
	})
}

// What counts is the address that a connection is made to, and not what a name
// had before: an attacker who owns a name may let it lead anywhere.
func TestDNSRebinding(t *testing.T) {
	reached := false
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	t.Cleanup(inside.Close)
	_, port, err := net.SplitHostPort(strings.TrimPrefix(inside.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	host := "registry.rebound.example:" + port
	for _, test := range []struct {
		address           string
		allow, referenced []string
		want              string // part of the error
	}{
		{"127.0.0.1", []string{host}, nil, "has the loopback address 127.0.0.1"},
		{"127.0.0.1", []string{"*.rebound.example"}, nil, "has the loopback address 127.0.0.1"},
		{"127.0.0.1", nil, []string{host}, "has the loopback address 127.0.0.1"},
		{"169.254.169.254", []string{host}, nil, "never reached: it is link-local"},
		{"100.100.100.200", []string{host}, nil, "a cloud's metadata service"},
		{"10.0.0.5", []string{"*.rebound.example"}, nil, "has the private address 10.0.0.5: allow the host by its name"},
		{"10.0.0.5", nil, []string{host}, "has the private address 10.0.0.5, and nothing but an image reference names it"},
		{"0.0.0.0", []string{host}, nil, "never reached"},
	} {
		resolveTo(t, test.address)
		g, err := newGuard(test.allow, test.referenced, []string{host})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+host+"/v2/", nil)
		if err != nil {
			t.Fatal(err)
		}
		transport := newTransport(g, options{})
		transport.verified.(*http.Transport).Proxy, transport.unverified.(*http.Transport).Proxy = nil, nil // whatever the environment says
		_, err = transport.RoundTrip(req)
		cancel()
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s is %s: %v, want %q", host, test.address, err, test.want)
		}
	}
	if reached {
		t.Error("a request went inside")
	}

	// The second answer is checked like the first.
	resolveTo(t, "169.254.1.1", "127.0.0.1")
	g, err := newGuard([]string{host}, nil, []string{host})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"169.254.1.1", "127.0.0.1"} {
		if _, err := g.dial(t.Context(), "tcp", host); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want that %s is refused", err, want)
		}
	}
}
