package registry

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
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
	allow    []entry
	insecure []string
	// redirects are the patterns of the hosts that allowed registries redirect
	// to, by the registry: reached in no other way.
	redirects map[string][]string
	// proxies are the addresses of the proxies that the environment names:
	// they are the user's choice and not a policy's.
	proxies sync.Map
}

// An entry allows a host.
type entry struct {
	host string // host, host:port or *.domain
	// referenced says that an image reference chose the host, and not the user.
	referenced bool
}

// pattern reports whether an entry stands for more than one name.
func (e entry) pattern() bool { return strings.HasPrefix(e.host, "*") }

func newGuard(allow, referenced, insecure []string) (*guard, error) {
	g := &guard{insecure: insecure, redirects: map[string][]string{}}
	for i, host := range slices.Concat(allow, referenced) {
		h := strings.ToLower(strings.TrimSpace(host))
		if h == "" || strings.ContainsAny(h, "/@ ") || strings.Contains(strings.TrimPrefix(h, "*."), "*") {
			return nil, fmt.Errorf("allowed host %q: expected host, host:port or *.domain", host)
		}
		known := wellKnown[canonicalHost(strings.TrimSuffix(h, ":443"))]
		for _, h := range append([]string{h}, known.with...) {
			g.allow = append(g.allow, entry{h, i >= len(allow)})
			if known.redirects != nil {
				g.redirects[hostname(h)] = known.redirects
			}
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

// entryFor returns the entry that allows host: the user's own before one that
// a reference made, and one that names it before a pattern.
func (g *guard) entryFor(host string) (entry, bool) {
	var found entry
	rank := func(e entry) int {
		switch {
		case e.host == "":
			return 3
		case e.referenced:
			return 2
		case e.pattern():
			return 1
		}
		return 0
	}
	for _, e := range g.allow {
		if hostMatches(e.host, host) && rank(e) < rank(found) {
			found = e
		}
	}
	return found, found.host != ""
}

// allowed is entryFor the host of a URL.
func (g *guard) allowed(u *url.URL) (entry, bool) {
	e, ok := g.entryFor(u.Host)
	if !ok && u.Port() == "" {
		e, ok = g.entryFor(u.Host + map[string]string{"http": ":80", "https": ":443"}[u.Scheme])
	}
	return e, ok
}

// checkRequest refuses requests to hosts that are not allowed, over plain HTTP
// to hosts that are not known to be insecure, and with credentials to hosts
// that have no business with them.
func (g *guard) checkRequest(req *http.Request) error {
	host, from := req.URL.Host, redirectedFrom(req)
	if _, ok := g.allowed(req.URL); !ok {
		switch {
		case from == "":
			return refuse("host %s may not be reached: add it to network.allow (--allow-host)", host)
		case !matchesAny(g.redirects[hostname(from)], host):
			return refuse("%s redirects to host %s, which may not be reached: add it to network.allow (--allow-host)", from, host)
		}
	}
	if err := g.checkCredentials(req); err != nil {
		return err
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

// redirectedFrom is the other host that sent a request here, or "".
func redirectedFrom(req *http.Request) string {
	if req.Response == nil || req.Response.Request == nil || req.Response.Request.URL.Host == req.URL.Host {
		return ""
	}
	return req.Response.Request.URL.Host
}

// askedRegistry is the key of the context under which requests know the host of
// the registry on whose behalf they are sent.
type askedRegistry struct{}

// checkCredentials lets a password or a refresh token go to the registry that
// it belongs to, and to a token service on another host when that host is
// allowed by its very name: neither a pattern nor a redirect is enough. The same
// holds for what is pushed. The
// tokens that a token service gives out are go-containerregistry's to guard;
// they are good for one repository, for minutes.
func (g *guard) checkCredentials(req *http.Request) error {
	scheme, _, _ := strings.Cut(req.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Basic") && (req.Body == nil || req.Body == http.NoBody) {
		return nil
	}
	own, _ := req.Context().Value(askedRegistry{}).(string)
	if own != "" && canonicalHost(req.URL.Host) == canonicalHost(own) {
		return nil
	}
	upload := req.Method == http.MethodPatch || req.Method == http.MethodPut
	if from := redirectedFrom(req); from != "" && !upload {
		return refuse("%s redirects a log-in to %s: credentials are not sent on", from, req.URL.Host)
	}
	if e, ok := g.allowed(req.URL); !ok || e.pattern() {
		if upload {
			return refuse("%s wants what is pushed to go to %s: it goes to another host only when network.allow (--allow-host) has its very name", own, req.URL.Host)
		}
		return refuse("%s wants to be logged in to at %s: credentials go to another host only when network.allow (--allow-host) has its very name", own, req.URL.Host)
	}
	return nil
}

func matchesAny(entries []string, host string) bool {
	return slices.ContainsFunc(entries, func(e string) bool { return hostMatches(e, host) })
}

func (g *guard) isInsecure(host string) bool {
	return matchesAny(g.insecure, host)
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
	allowed, ok := g.entryFor(hostport)
	for _, patterns := range g.redirects {
		if !ok && matchesAny(patterns, hostport) {
			// As strict as a pattern: no user named the host.
			allowed, ok = entry{host: "*"}, true
		}
	}
	if !ok {
		return nil, refuse("host %s may not be reached: add it to network.allow (--allow-host)", hostport)
	}
	d.ControlContext = func(_ context.Context, _, address string, _ syscall.RawConn) error {
		ap, err := netip.ParseAddrPort(address)
		if err != nil {
			return refuse("%s has the address %s, which is not understood", hostport, address)
		}
		return checkAddress(allowed, hostport, ap.Addr())
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

// checkAddress refuses addresses that no registry has, and those in private
// networks of which the user did not speak. e is what allows hostport.
func checkAddress(e entry, hostport string, a netip.Addr) error {
	a = a.Unmap().WithZone("")
	if nat64.Contains(a) {
		b := a.As16()
		a = netip.AddrFrom4([4]byte(b[12:]))
	}
	private := a.IsPrivate() || sharedSpace.Contains(a)
	switch {
	case slices.Contains(metadata, a):
		return refuse("%s has the address %s of a cloud's metadata service, which is never reached", hostport, a)
	case a.IsLinkLocalUnicast(), a.IsMulticast(), a.IsUnspecified():
		return refuse("%s has the address %s, which is never reached: it is link-local, multicast or unspecified", hostport, a)
	case a.IsLoopback() && !loopbackName(e.host):
		return refuse("%s has the loopback address %s: allow localhost or the address itself to reach it", hostport, a)
	case private && e.pattern():
		return refuse("%s has the private address %s: allow the host by its name, not by %s, to reach it", hostport, a, e.host)
	case private && e.referenced && !isAddress(e.host):
		return refuse("%s has the private address %s, and nothing but an image reference names it: add it to network.allow (--allow-host) to reach it", hostport, a)
	}
	return nil
}

// isAddress reports whether a host is an IP address as written.
func isAddress(host string) bool {
	_, err := netip.ParseAddr(strings.Trim(hostname(host), "[]"))
	return err == nil
}
