package registry

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A refusedError says that a host or address was not reached because it must
// not be. It is never worth a repetition.
type refusedError struct{ reason string }

func (e *refusedError) Error() string { return e.reason }

func refuse(format string, args ...any) error {
	return &refusedError{reason: fmt.Sprintf(format, args...)}
}

// A guard decides which hosts and addresses may be reached. A request passes
// it twice: by the host in its URL, and by the address that is dialled, so
// that neither redirects nor DNS answers lead elsewhere.
type guard struct {
	allow    []string
	insecure []string
	// proxies are the addresses of the proxies that the environment names:
	// they are the user's choice and not a policy's.
	proxies sync.Map
}

// dockerHub lists the hosts that one pull from Docker Hub talks to.
var dockerHub = []string{"docker.io", "index.docker.io", "registry-1.docker.io", "auth.docker.io", "production.cloudflare.docker.com"}

func newGuard(allow, insecure []string) (*guard, error) {
	g := &guard{insecure: insecure}
	for _, entry := range allow {
		e := strings.ToLower(strings.TrimSpace(entry))
		if e == "" || strings.ContainsAny(e, "/@ ") || strings.Contains(strings.TrimPrefix(e, "*."), "*") {
			return nil, fmt.Errorf("allowed host %q: expected host, host:port or *.domain", entry)
		}
		g.allow = append(g.allow, e)
		if canonicalHost(e) == "index.docker.io" {
			g.allow = append(g.allow, dockerHub...)
		}
	}
	return g, nil
}

// canonicalHost is the name under which go-containerregistry knows a registry.
func canonicalHost(host string) string {
	host = strings.ToLower(host)
	if host == "docker.io" || host == "registry-1.docker.io" {
		return "index.docker.io"
	}
	return host
}

// hostMatches reports whether host, with or without a port, is what entry
// names. An entry without a port means all of them.
func hostMatches(entry, host string) bool {
	entry, host = strings.ToLower(entry), strings.ToLower(host)
	if entry == host {
		return true
	}
	bare := hostname(host)
	if suffix, ok := strings.CutPrefix(entry, "*"); ok {
		return strings.HasSuffix(bare, suffix) || strings.HasSuffix(host, suffix)
	}
	return hostname(entry) == entry && strings.Trim(entry, "[]") == strings.Trim(bare, "[]")
}

// hostname cuts the port off.
func hostname(host string) string {
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") && (strings.Count(host, ":") == 1 || host[i-1] == ']') {
		return host[:i]
	}
	return host
}

// entryFor returns the entry that allows host, an exact one if there is one.
func (g *guard) entryFor(host string) (string, bool) {
	wild := ""
	for _, e := range g.allow {
		if hostMatches(e, host) {
			if !strings.HasPrefix(e, "*") {
				return e, true
			}
			wild = e
		}
	}
	return wild, wild != ""
}

// checkRequest refuses requests to hosts that are not allowed, and over plain
// HTTP to hosts that are not known to be insecure.
func (g *guard) checkRequest(req *http.Request) error {
	host := req.URL.Host
	port := map[string]string{"http": ":80", "https": ":443"}[req.URL.Scheme]
	_, ok := g.entryFor(host)
	if !ok && req.URL.Port() == "" {
		_, ok = g.entryFor(host + port)
	}
	if !ok {
		return refuse("host %s may not be reached: add it to network.allow (--allow-host)", host)
	}
	switch req.URL.Scheme {
	case "https":
		return nil
	case "http":
		if loopbackName(host) || g.isInsecure(host) {
			return nil
		}
		return refuse("%s may not be asked over plain HTTP: add it to images.insecureRegistries (--insecure-registry) if it has no TLS", host)
	}
	return refuse("%s: expected an http or https URL", req.URL.Redacted())
}

func (g *guard) isInsecure(host string) bool {
	for _, e := range g.insecure {
		if hostMatches(e, host) {
			return true
		}
	}
	return false
}

// loopbackName reports whether host is a loopback address or localhost as
// written, so that no DNS answer is involved.
func loopbackName(host string) bool {
	h := strings.Trim(hostname(host), "[]")
	if h == "localhost" || strings.HasSuffix(h, ".localhost") {
		return true
	}
	a, err := netip.ParseAddr(h)
	return err == nil && a.Unmap().IsLoopback()
}

// proxy is http.ProxyFromEnvironment, remembering what it answered.
func (g *guard) proxy(req *http.Request) (*url.URL, error) {
	u, err := http.ProxyFromEnvironment(req)
	if u != nil {
		port := u.Port()
		if port == "" {
			port = map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}[u.Scheme]
		}
		g.proxies.Store(net.JoinHostPort(u.Hostname(), port), true)
	}
	return u, err
}

// dial connects to host:port when both the host and the address that it
// resolves to may be reached.
func (g *guard) dial(ctx context.Context, network, hostport string) (net.Conn, error) {
	d := net.Dialer{Timeout: 15 * time.Second, KeepAlive: 30 * time.Second}
	if _, ok := g.proxies.Load(hostport); ok {
		return d.DialContext(ctx, network, hostport)
	}
	entry, ok := g.entryFor(hostport)
	if !ok {
		return nil, refuse("host %s may not be reached: add it to network.allow (--allow-host)", hostport)
	}
	d.ControlContext = func(_ context.Context, _, address string, _ syscall.RawConn) error {
		ap, err := netip.ParseAddrPort(address)
		if err != nil {
			return refuse("%s has the address %s, which is not understood", hostport, address)
		}
		return checkAddress(entry, hostport, ap.Addr())
	}
	return d.DialContext(ctx, network, hostport)
}

// Addresses outside the link-local range at which clouds serve credentials.
var metadata = []netip.Addr{
	netip.MustParseAddr("fd00:ec2::254"),   // AWS
	netip.MustParseAddr("100.100.100.200"), // Alibaba Cloud
	netip.MustParseAddr("192.0.0.192"),     // Oracle Cloud
	netip.MustParseAddr("168.63.129.16"),   // Azure
}

var (
	nat64       = netip.MustParsePrefix("64:ff9b::/96")
	sharedSpace = netip.MustParsePrefix("100.64.0.0/10")
)

// checkAddress refuses addresses that no registry has. entry is the allowed
// host that hostport matched.
func checkAddress(entry, hostport string, a netip.Addr) error {
	a = a.Unmap().WithZone("")
	if nat64.Contains(a) {
		b := a.As16()
		a = netip.AddrFrom4([4]byte(b[12:]))
	}
	for _, m := range metadata {
		if a == m {
			return refuse("%s has the address %s of a cloud's metadata service, which is never reached", hostport, a)
		}
	}
	switch {
	case a.IsLinkLocalUnicast(), a.IsMulticast(), a.IsUnspecified():
		return refuse("%s has the address %s, which is never reached: it is link-local, multicast or unspecified", hostport, a)
	case a.IsLoopback() && !loopbackName(entry):
		return refuse("%s has the loopback address %s: allow localhost or the address itself to reach it", hostport, a)
	case strings.HasPrefix(entry, "*") && (a.IsPrivate() || sharedSpace.Contains(a)):
		return refuse("%s has the private address %s: allow the host by its name, not by %s, to reach it", hostport, a, entry)
	}
	return nil
}
