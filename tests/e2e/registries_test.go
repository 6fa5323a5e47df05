//go:build e2e

package e2e

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/rogpeppe/go-internal/testscript"
)

// startRegistry starts go-containerregistry's registry on loopback.
func startRegistry(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: registry")
	}
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	ts.Defer(server.Close)
	fill(ts, strings.TrimPrefix(server.URL, "http://"))
}

// fill pushes web:1, an index of two platforms, and tool:2, a single image. It
// sets REGISTRY, WEB_DIGEST, WEB_ARM64 and TOOL_DIGEST.
func fill(ts *testscript.TestScript, host string, opts ...remote.Option) {
	platform := func(arch string) v1.Image {
		img, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{OS: "linux", Architecture: arch})
		ts.Check(err)
		return img
	}
	index := mutate.AppendManifests(empty.Index,
		mutate.IndexAddendum{Add: platform("amd64"), Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}},
		mutate.IndexAddendum{Add: platform("arm64"), Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "arm64"}}},
	)
	ts.Check(remote.WriteIndex(must(name.ParseReference(host+"/web:1")), index, opts...))
	ts.Check(remote.Write(must(name.ParseReference(host+"/tool:2")), platform("amd64"), opts...))
	digest := func(d interface{ Digest() (v1.Hash, error) }) string {
		h, err := d.Digest()
		ts.Check(err)
		return h.String()
	}
	ts.Setenv("REGISTRY", host)
	ts.Setenv("WEB_DIGEST", digest(index))
	ts.Setenv("WEB_ARM64", digest(platform("arm64")))
	ts.Setenv("TOOL_DIGEST", digest(platform("amd64")))
}

// startDistribution [login] [tls] starts Debian's docker-registry on loopback,
// with the same images: with login for the user me with the password s3cret
// alone, with tls under a certificate of a private authority, ca.pem.
func startDistribution(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 2 {
		ts.Fatalf("usage: distribution [login] [tls]")
	}
	dir := ts.MkAbs(".distribution")
	ts.Check(os.MkdirAll(dir, 0o700))
	file := func(name, text string) string {
		path := dir + "/" + name
		ts.Check(os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	config := fmt.Sprintf("version: 0.1\nlog: {level: info}\nstorage: {filesystem: {rootdirectory: %s/data}}\n", dir)
	var opts []remote.Option
	if slices.Contains(args, "login") {
		// htpasswd -B of s3cret
		config += "auth: {htpasswd: {realm: test, path: " + file("htpasswd", "me:$2b$04$abcdefghijklmnopqrstuuLZYjhNQAOdpbzt4WxWlUHjv1wsyH5DG\n") + "}}\n"
		opts = append(opts, remote.WithAuth(&authn.Basic{Username: "me", Password: "s3cret"}))
	}
	config += "http:\n  addr: 127.0.0.1:0\n"
	if slices.Contains(args, "tls") {
		ca, cert, key := certificates(ts)
		ts.Check(os.WriteFile(ts.MkAbs("ca.pem"), []byte(ca), 0o600))
		config += "  tls: {certificate: " + file("cert.pem", cert) + ", key: " + file("key.pem", key) + "}\n"
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM([]byte(ca))
		opts = append(opts, remote.WithTransport(&http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}))
	}
	cmd := exec.Command("docker-registry", "serve", file("config.yml", config))
	cmd.Env = []string{"OTEL_TRACES_EXPORTER=none"}
	out, err := cmd.StderrPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	ts.Defer(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
	listening := make(chan string, 1)
	go func() {
		said := regexp.MustCompile(`listening on (127\.0\.0\.1:\d+)`)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if m := said.FindStringSubmatch(lines.Text()); m != nil {
				listening <- m[1]
			}
		}
		close(listening)
	}()
	host, ok := <-listening
	if !ok {
		ts.Fatalf("docker-registry did not start")
	}
	fill(ts, host, opts...)
}

// certificates makes an authority and what it certifies 127.0.0.1 with, as PEM.
func certificates(ts *testscript.TestScript) (ca, cert, key string) {
	text := func(kind string, data []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}))
	}
	newKey := func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) }
	until := time.Now().Add(time.Hour)
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotAfter: until,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	rootKey, leafKey := newKey(), newKey()
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, &rootKey.PublicKey, rootKey)
	ts.Check(err)
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "registry"}, NotAfter: until,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, root, &leafKey.PublicKey, rootKey)
	ts.Check(err)
	keyDER, err := x509.MarshalECPrivateKey(leafKey)
	ts.Check(err)
	return text("CERTIFICATE", rootDER), text("CERTIFICATE", leafDER), text("EC PRIVATE KEY", keyDER)
}

// startRedirecting starts a mirror of Docker Hub that redirects to REGISTRY. It
// sets MIRROR and STORE, where it redirects to.
func startRedirecting(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: redirecting")
	}
	// go-containerregistry follows redirects to names only.
	store := strings.Replace(ts.Getenv("REGISTRY"), "127.0.0.1", "localhost", 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v2/" {
			http.Redirect(w, r, "http://"+store+strings.Replace(r.URL.Path, "/library/", "/", 1), http.StatusTemporaryRedirect)
		}
	}))
	ts.Defer(server.Close)
	ts.Setenv("MIRROR", strings.TrimPrefix(server.URL, "http://"))
	ts.Setenv("STORE", store)
}

// startFaulty FAULT puts a proxy before REGISTRY that gets manifests wrong, for
// ever or, when it is a fault of the moment, two times. It sets FAULTY.
func startFaulty(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 || faults[args[0]] == nil {
		ts.Fatalf("usage: faulty FAULT")
	}
	proxy := httputil.NewSingleHostReverseProxy(must(url.Parse("http://" + ts.Getenv("REGISTRY"))))
	var n atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.URL.Path, "/manifests/") || !faults[args[0]](w, r, int(n.Add(1))) {
			proxy.ServeHTTP(w, r)
		}
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	ts.Defer(server.Close)
	ts.Setenv("FAULTY", strings.TrimPrefix(server.URL, "http://"))
}

// faults answer the nth request for a manifest, or leave it to the registry.
var faults = map[string]func(w http.ResponseWriter, r *http.Request, n int) bool{
	"429": func(w http.ResponseWriter, _ *http.Request, n int) bool {
		if n > 2 {
			return false
		}
		w.Header().Set("Retry-After", "0")
		w.WriteHeader(http.StatusTooManyRequests)
		return true
	},
	"503": func(w http.ResponseWriter, _ *http.Request, n int) bool {
		if n > 2 {
			return false
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	},
	"cut": func(_ http.ResponseWriter, _ *http.Request, n int) bool {
		if n > 2 {
			return false
		}
		panic(http.ErrAbortHandler)
	},
	"slow": func(_ http.ResponseWriter, r *http.Request, _ int) bool {
		select {
		case <-r.Context().Done():
		case <-time.After(100 * time.Millisecond):
		}
		return false
	},
	"head": func(w http.ResponseWriter, r *http.Request, _ int) bool {
		if r.Method == http.MethodHead {
			w.WriteHeader(http.StatusMethodNotAllowed)
		}
		return r.Method == http.MethodHead
	},
	"quota": func(w http.ResponseWriter, _ *http.Request, _ int) bool {
		w.Header().Set("Retry-After", "86400")
		w.WriteHeader(http.StatusTooManyRequests)
		return true
	},
	"truncated": answer("application/vnd.oci.image.index.v1+json", "", 500, `{"schemaVersion":2,"manifests":[`),
	"digest":    answer("application/vnd.oci.image.index.v1+json", "sha256:"+strings.Repeat("0", 64), 0, `{"schemaVersion":2,"manifests":[]}`),
	"schema1":   answer("application/vnd.docker.distribution.manifest.v1+prettyjws", "sha256:"+strings.Repeat("0", 64), 0, `{"schemaVersion":1}`),
	"page":      answer("text/html", "", 0, "<html>please log in to the network</html>"),
	"giant":     answer("application/vnd.oci.image.index.v1+json", "", 0, strings.Repeat(" ", 9<<20)),
}

// answer has no HEAD, and for GET always the same text.
func answer(contentType, digest string, length int, text string) func(http.ResponseWriter, *http.Request, int) bool {
	return func(w http.ResponseWriter, r *http.Request, _ int) bool {
		if r.Method == http.MethodHead {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return true
		}
		w.Header().Set("Content-Type", contentType)
		if digest != "" {
			w.Header().Set("Docker-Content-Digest", digest)
		}
		if length > 0 {
			w.Header().Set("Content-Length", fmt.Sprint(length))
		}
		_, _ = io.WriteString(w, text)
		return true
	}
}
