package registry_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	fake "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/oneloop-dev/oneloop/pkg/digest"
	"github.com/oneloop-dev/oneloop/pkg/digest/registry"
)

// A server is a registry on loopback that counts the requests it gets.
type server struct {
	*httptest.Server
	host string

	mu       sync.Mutex
	requests map[string]int // METHOD PATH
}

// serve starts a registry; wrap, when not nil, stands before it.
func serve(t *testing.T, start func(http.Handler) *httptest.Server, wrap func(http.Handler) http.Handler) *server {
	t.Helper()
	h := fake.New(fake.Logger(log.New(io.Discard, "", 0)))
	if wrap != nil {
		h = wrap(h)
	}
	s := &server{requests: map[string]int{}}
	s.Server = start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.requests[r.Method+" "+r.URL.Path]++
		s.mu.Unlock()
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	s.host = u.Host
	return s
}

func (s *server) count(request string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests[request]
}

func (s *server) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.requests)
}

func tagOf(t *testing.T, s string) name.Tag {
	t.Helper()
	tag, err := name.NewTag(s)
	if err != nil {
		t.Fatal(err)
	}
	return tag
}

func imageFor(t *testing.T, os, arch string) v1.Image {
	t.Helper()
	img, err := random.Image(64, 1)
	if err != nil {
		t.Fatal(err)
	}
	img, err = mutate.ConfigFile(img, &v1.ConfigFile{OS: os, Architecture: arch, Config: v1.Config{Labels: map[string]string{"arch": arch}}})
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// push writes an image and returns its digest.
func push(t *testing.T, ref string, img v1.Image, opts ...remote.Option) string {
	t.Helper()
	if err := remote.Write(tagOf(t, ref), img, opts...); err != nil {
		t.Fatal(err)
	}
	h, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return h.String()
}

// pushIndex writes an index of linux/amd64 and linux/arm64 and returns its
// digest and theirs.
func pushIndex(t *testing.T, ref string) (index string, children map[string]string) {
	t.Helper()
	children = map[string]string{}
	ii := v1.ImageIndex(empty.Index)
	for _, arch := range []string{"amd64", "arm64"} {
		img := imageFor(t, "linux", arch)
		h, err := img.Digest()
		if err != nil {
			t.Fatal(err)
		}
		children[arch] = h.String()
		ii = mutate.AppendManifests(ii, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}}})
	}
	if err := remote.WriteIndex(tagOf(t, ref), ii); err != nil {
		t.Fatal(err)
	}
	h, err := ii.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return h.String(), children
}

// newRegistry is a Registry that may reach s and does not wait long.
func newRegistry(s *server, opts ...registry.Option) *registry.Registry {
	return registry.New(append([]registry.Option{
		registry.WithAllow(s.host),
		registry.WithKeychain(anonymous{}),
		registry.WithBackoff(time.Millisecond),
		registry.WithTimeout(24 * time.Hour), // the longest Retry-After is not waited for because of maxWait
	}, opts...)...)
}

type anonymous struct{}

func (anonymous) Resolve(authn.Resource) (authn.Authenticator, error) { return authn.Anonymous, nil }

func wantResolve(t *testing.T, r digest.Resolver, ref, want string) {
	t.Helper()
	d, err := r.Resolve(t.Context(), tagOf(t, ref))
	if err != nil {
		t.Fatalf("Resolve(%s): %v", ref, err)
	}
	if d.DigestStr() != want {
		t.Errorf("Resolve(%s) = %s, want %s", ref, d.DigestStr(), want)
	}
	if wantRepo := tagOf(t, ref).Context().Name(); d.Context().Name() != wantRepo {
		t.Errorf("Resolve(%s) names repository %s, want %s", ref, d.Context().Name(), wantRepo)
	}
}

func wantError(t *testing.T, r digest.Resolver, ref string, parts ...string) error {
	t.Helper()
	d, err := r.Resolve(t.Context(), tagOf(t, ref))
	if err == nil {
		t.Fatalf("Resolve(%s) = %s, want an error", ref, d)
	}
	for _, p := range append(parts, digest.Reference(tagOf(t, ref))) {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("Resolve(%s): error %q does not contain %q", ref, err, p)
		}
	}
	return err
}

func TestResolve(t *testing.T) {
	s := serve(t, httptest.NewServer, nil)
	single := push(t, s.host+"/team/app:v1", imageFor(t, "linux", "amd64"))
	index, children := pushIndex(t, s.host+"/team/multi:1")
	s.reset()

	r := newRegistry(s)
	wantResolve(t, r, s.host+"/team/app:v1", single)
	if got := s.count("GET /v2/team/app/manifests/v1"); got != 0 {
		t.Errorf("%d GET requests although HEAD has the digest", got)
	}
	wantResolve(t, r, s.host+"/team/multi:1", index)
	if got := s.count("GET /v2/"); got != 1 {
		t.Errorf("the registry was asked %d times how to log in, want once", got)
	}
	wantResolve(t, newRegistry(s, registry.WithPlatform("linux/arm64")), s.host+"/team/multi:1", children["arm64"])
	wantResolve(t, newRegistry(s, registry.WithPlatform("linux/amd64")), s.host+"/team/app:v1", single)
	wantError(t, newRegistry(s, registry.WithPlatform("windows/amd64")), s.host+"/team/multi:1", "no image for windows/amd64", "linux/amd64, linux/arm64")
	wantError(t, newRegistry(s, registry.WithPlatform("linux/arm64")), s.host+"/team/app:v1", "an image for linux/amd64 only")
	wantError(t, newRegistry(s, registry.WithPlatform("a/b/c/d")), s.host+"/team/app:v1", "expected os/architecture")
	wantError(t, r, s.host+"/team/app:v2", "no such image", "MANIFEST_UNKNOWN")
}

func TestInspect(t *testing.T) {
	s := serve(t, httptest.NewServer, nil)
	single := push(t, s.host+"/team/app:v1", imageFor(t, "linux", "amd64"))
	index, children := pushIndex(t, s.host+"/team/multi:1")

	image, err := newRegistry(s).Inspect(t.Context(), tagOf(t, s.host+"/team/app:v1"))
	if err != nil {
		t.Fatal(err)
	}
	if image.Digest.DigestStr() != single || image.ManifestList != nil {
		t.Errorf("single manifest: digest %s, index %v; want %s and none", image.Digest, image.ManifestList, single)
	}
	// Numbers are JSON values as everywhere, and unknown fields stay.
	if v, ok := image.Manifest.(map[string]any)["schemaVersion"].(int64); !ok || v != 2 {
		t.Errorf("schemaVersion = %#v, want int64 2", image.Manifest.(map[string]any)["schemaVersion"])
	}

	image, err = newRegistry(s).Inspect(t.Context(), tagOf(t, s.host+"/team/multi:1"))
	if err != nil {
		t.Fatal(err)
	}
	if image.Digest.DigestStr() != index {
		t.Errorf("digest of an index = %s, want %s", image.Digest, index)
	}
	if n := len(image.ManifestList.(map[string]any)["manifests"].([]any)); n != 2 {
		t.Errorf("the index lists %d manifests, want 2", n)
	}
	if got := image.Config.(map[string]any)["architecture"]; got != "amd64" {
		t.Errorf("architecture = %v, want amd64, Kyverno's default", got)
	}

	image, err = newRegistry(s, registry.WithPlatform("linux/arm64")).Inspect(t.Context(), tagOf(t, s.host+"/team/multi:1"))
	if err != nil {
		t.Fatal(err)
	}
	if got := image.Config.(map[string]any)["architecture"]; got != "arm64" || image.Digest.DigestStr() != children["arm64"] {
		t.Errorf("platform linux/arm64 shows %v with digest %s, want arm64 with %s", got, image.Digest, children["arm64"])
	}

	pinned := tagOf(t, s.host+"/team/multi:1").Context().Digest(index)
	if image, err = newRegistry(s).Inspect(t.Context(), pinned); err != nil || image.Digest.DigestStr() != index {
		t.Errorf("Inspect(%s) = %s, %v", pinned, image.Digest, err)
	}
}

func basicAuth(user, password string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if u, p, ok := r.BasicAuth(); !ok || u != user || p != password {
				w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
				http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"log in"}]}`, http.StatusUnauthorized)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

func TestBasicAuthFromDockerConfig(t *testing.T) {
	s := serve(t, httptest.NewServer, basicAuth("me", "s3cret"))
	want := push(t, s.host+"/team/app:v1", imageFor(t, "linux", "amd64"), remote.WithAuth(&authn.Basic{Username: "me", Password: "s3cret"}))

	config := t.TempDir()
	auth := base64.StdEncoding.EncodeToString([]byte("me:s3cret"))
	err := os.WriteFile(filepath.Join(config, "config.json"), fmt.Appendf(nil, `{"auths":{%q:{"auth":%q}}}`, s.host, auth), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", t.TempDir())
	t.Setenv("DOCKER_CONFIG", config)
	wantResolve(t, registry.New(registry.WithAllow(s.host)), s.host+"/team/app:v1", want)

	s.reset()
	err = wantError(t, newRegistry(s), s.host+"/team/app:v1", "docker login "+s.host)
	if strings.Contains(err.Error(), "s3cret") {
		t.Errorf("the error shows the password: %v", err)
	}
	if got := s.count("GET /v2/team/app/manifests/v1") + s.count("HEAD /v2/team/app/manifests/v1"); got != 1 {
		t.Errorf("a refused log-in was tried %d times, want once", got)
	}
}

// A token service on a host of its own gets the credentials once per
// repository, and the registry gets only tokens.
func TestTokenAuth(t *testing.T) {
	var tokens int
	var mu sync.Mutex
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if u, p, _ := r.BasicAuth(); u != "me" || p != "s3cret" {
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		mu.Lock()
		tokens++
		mu.Unlock()
		_ = json.NewEncoder(w).Encode(map[string]string{"token": "t-" + r.URL.Query().Get("scope")})
	}))
	t.Cleanup(issuer.Close)
	issuerHost := strings.TrimPrefix(issuer.URL, "http://")

	open := false
	s := serve(t, httptest.NewServer, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, _, basic := r.BasicAuth(); basic {
				t.Error("the registry got the password")
			}
			if !open && !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer t-repository:team/") {
				// go-containerregistry refuses realms that are private IP addresses.
				realm := strings.Replace(issuer.URL, "127.0.0.1", "localhost", 1)
				w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s/token",service="test"`, realm))
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	open = true
	a := push(t, s.host+"/team/a:1", imageFor(t, "linux", "amd64"))
	b := push(t, s.host+"/team/a:2", imageFor(t, "linux", "amd64"))
	open = false

	me := keychain{s.host: &authn.Basic{Username: "me", Password: "s3cret"}}
	_, port, _ := strings.Cut(issuerHost, ":")
	r := newRegistry(s, registry.WithKeychain(me), registry.WithAllow("localhost:"+port))
	wantResolve(t, r, s.host+"/team/a:1", a)
	wantResolve(t, r, s.host+"/team/a:2", b)
	if tokens != 1 {
		t.Errorf("%d tokens were fetched for one repository, want 1", tokens)
	}

	// The realm is a host like any other: not allowed, not reached.
	tokens = 0
	wantError(t, newRegistry(s, registry.WithKeychain(me)), s.host+"/team/a:1", "localhost:"+port+" may not be reached", "network.allow")
	if tokens != 0 {
		t.Error("a token service that is not allowed got the credentials")
	}
}

type keychain map[string]authn.Authenticator

func (k keychain) Resolve(r authn.Resource) (authn.Authenticator, error) {
	if a, ok := k[r.RegistryStr()]; ok {
		return a, nil
	}
	return authn.Anonymous, nil
}

func TestPrivateCA(t *testing.T) {
	s := serve(t, httptest.NewTLSServer, nil)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	want := push(t, s.host+"/team/app:v1", imageFor(t, "linux", "amd64"), remote.WithTransport(s.Client().Transport))

	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	wantResolve(t, newRegistry(s, registry.WithRootCAs(pool)), s.host+"/team/app:v1", want)
	wantResolve(t, newRegistry(s, registry.WithInsecure(s.host)), s.host+"/team/app:v1", want)
	wantError(t, newRegistry(s), s.host+"/team/app:v1", "certificate")
}

// A mirror that redirects to another host is followed there when that host is
// allowed, and gets no credentials of the registry.
func TestRedirectingMirror(t *testing.T) {
	store := serve(t, httptest.NewServer, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "" && r.Method != http.MethodPut {
				t.Error("the redirect's target got credentials")
			}
			next.ServeHTTP(w, r)
		})
	})
	want := push(t, store.host+"/hub/library/nginx:1.27", imageFor(t, "linux", "amd64"))
	storeAt := strings.Replace(store.host, "127.0.0.1", "localhost", 1) // go-containerregistry follows redirects to names only
	mirror := serve(t, httptest.NewServer, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "/manifests/") {
				http.Redirect(w, r, "http://"+storeAt+r.URL.Path, http.StatusTemporaryRedirect)
				return
			}
			basicAuth("m", "p")(next).ServeHTTP(w, r)
		})
	})
	mirrors := registry.WithMirrors(map[string]string{"docker.io": mirror.host + "/hub"})
	creds := registry.WithKeychain(keychain{mirror.host: &authn.Basic{Username: "m", Password: "p"}})

	wantResolve(t, newRegistry(mirror, creds, mirrors, registry.WithAllow(storeAt)), "nginx:1.27", want)
	wantError(t, newRegistry(mirror, creds, mirrors), "nginx:1.27", storeAt+", which may not be reached", mirror.host+" redirects to")
	// Without the mirror the registry itself would be asked.
	wantError(t, newRegistry(mirror), "nginx:1.27", "index.docker.io may not be reached")
}

// faults answers requests of one method, for manifests or for what path says,
// with what it is told, a number of times.
type faults struct {
	mu     sync.Mutex
	method string
	path   string // /manifests/ when empty
	left   int
	answer http.HandlerFunc
}

func (f *faults) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		hit := f.left != 0 && strings.Contains(r.URL.Path, cmp.Or(f.path, "/manifests/")) && (f.method == "" || f.method == r.Method)
		if hit {
			f.left--
		}
		f.mu.Unlock()
		if hit {
			f.answer(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func status(code int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
	}
}

func TestFaults(t *testing.T) {
	const forever = -1
	manifest := func(mediaType, claimed string, body []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", mediaType)
			if claimed != "" {
				w.Header().Set("Docker-Content-Digest", claimed)
			}
			_, _ = w.Write(body)
		}
	}
	const oci = "application/vnd.oci.image.manifest.v1+json"
	other := "sha256:" + strings.Repeat("0", 64)
	tests := []struct {
		name     string
		method   string
		times    int
		answer   http.HandlerFunc
		want     []string // parts of the error; nil: success
		requests int      // for the manifest; 0: any number
	}{
		{name: "429 without Retry-After", times: 1, answer: status(429), requests: 2},
		{name: "429 with Retry-After", times: 2, answer: status(429, "Retry-After", "0"), requests: 3},
		{name: "429 with a date that passed", times: 1, answer: status(429, "Retry-After", "Mon, 02 Jan 2006 15:04:05 GMT"), requests: 2},
		{name: "429 for longer than anybody waits", times: forever, answer: status(429, "Retry-After", "3600"), want: []string{"429"}, requests: 1},
		{name: "429 for ever", times: forever, answer: status(429), want: []string{"429"}, requests: 4},
		{name: "503 twice", times: 2, answer: status(503), requests: 3},
		{name: "500 for ever", times: forever, answer: status(500), want: []string{"500"}, requests: 4},
		{name: "HEAD is not offered", method: "HEAD", times: forever, answer: status(405), requests: 2},
		{name: "HEAD says that there is nothing", method: "HEAD", times: forever, answer: status(404), requests: 2},
		{name: "HEAD has no digest", method: "HEAD", times: forever, answer: manifest(oci, "", nil), requests: 2},
		{name: "HEAD has an unusual digest", method: "HEAD", times: forever, answer: status(200, "Content-Type", oci, "Content-Length", "500",
			"Docker-Content-Digest", "sha512:"+strings.Repeat("0", 128)), requests: 2},
		{name: "a digest that the bytes do not have", times: forever, answer: func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodHead {
				w.WriteHeader(http.StatusMethodNotAllowed)
				return
			}
			manifest(oci, other, []byte(`{"schemaVersion":2}`))(w, r)
		}, want: []string{"the manifest hashes to sha256:", "the registry claims " + other}, requests: 2},
		{name: "a truncated manifest", times: forever, answer: func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodHead {
				w.WriteHeader(http.StatusMethodNotAllowed)
				return
			}
			w.Header().Set("Content-Length", "500")
			manifest(oci, "", []byte(`{"schemaVersion":2`))(w, r)
		}, want: []string{"the answer broke off", "EOF"}},
		{name: "a part of a manifest", times: forever, answer: func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodHead {
				w.WriteHeader(http.StatusMethodNotAllowed)
				return
			}
			manifest(oci, "", []byte(`{"schemaVersion":2`))(w, r)
		}, want: []string{"not all of it came"}, requests: 2},
		{name: "a page to log in to a network", times: forever, answer: func(w http.ResponseWriter, r *http.Request) {
			// HEAD gets a digest as well.
			sum := sha256.Sum256([]byte("<html>"))
			manifest("text/html", "sha256:"+hex.EncodeToString(sum[:]), []byte("<html>"))(w, r)
		}, want: []string{`content type "text/html"`}, requests: 2},
		{name: "an endless manifest", times: forever, answer: func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodHead {
				w.WriteHeader(http.StatusMethodNotAllowed)
				return
			}
			manifest(oci, "", bytes.Repeat([]byte(" "), 9<<20))(w, r)
		}, want: []string{"more than 8 MiB"}},
		{name: "schema 1", times: forever, answer: manifest("application/vnd.docker.distribution.manifest.v1+prettyjws", other, []byte(`{"schemaVersion":1}`)), want: []string{"schema 1"}},
		{name: "a cut connection", times: 1, answer: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := &faults{method: test.method}
			s := serve(t, httptest.NewServer, f.wrap)
			ref := s.host + "/team/app:v1"
			digest := push(t, ref, imageFor(t, "linux", "amd64"))
			f.left, f.answer = test.times, test.answer
			s.reset()

			if test.want == nil {
				wantResolve(t, newRegistry(s), ref, digest)
			} else {
				wantError(t, newRegistry(s), ref, test.want...)
			}
			if got := s.count("HEAD /v2/team/app/manifests/v1") + s.count("GET /v2/team/app/manifests/v1"); test.requests > 0 && got != test.requests {
				t.Errorf("%d requests for the manifest, want %d", got, test.requests)
			}
		})
	}
}

// A manifest that is asked for by its digest has to have it, whatever the
// header says.
func TestInspectRefusesAnotherManifest(t *testing.T) {
	f := &faults{}
	s := serve(t, httptest.NewServer, f.wrap)
	ref := tagOf(t, s.host+"/team/app:v1")
	d := push(t, ref.String(), imageFor(t, "linux", "amd64"))
	f.left, f.answer = -1, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
		w.Header().Set("Docker-Content-Digest", d)
		_, _ = io.WriteString(w, `{"schemaVersion":2}`)
	}
	_, err := newRegistry(s).Inspect(t.Context(), ref.Context().Digest(d))
	if err == nil || !strings.Contains(err.Error(), "hashes to") {
		t.Errorf("error = %v, want one about the hash", err)
	}
}

func TestTimeout(t *testing.T) {
	release := make(chan struct{})
	f := &faults{left: -1, answer: func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}}
	s := serve(t, httptest.NewServer, f.wrap)
	t.Cleanup(func() { close(release) })
	err := wantError(t, newRegistry(s, registry.WithTimeout(50*time.Millisecond)), s.host+"/team/app:v1")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error = %v, want a deadline", err)
	}
}

// What the registry wants to wait for longer than there is time is not waited
// for at all.
func TestRetryAfterTheDeadline(t *testing.T) {
	f := &faults{left: -1, answer: status(429, "Retry-After", "30")}
	s := serve(t, httptest.NewServer, f.wrap)
	wantError(t, newRegistry(s, registry.WithTimeout(20*time.Second)), s.host+"/team/app:v1", "429", "log in for a higher limit")
	if got := s.count("HEAD /v2/team/app/manifests/v1"); got != 1 {
		t.Errorf("%d requests, want one", got)
	}
}

func TestEveryReferenceIsAskedOnce(t *testing.T) {
	s := serve(t, httptest.NewServer, nil)
	const repos = 20
	want := make([]string, repos)
	for i := range want {
		want[i] = push(t, fmt.Sprintf("%s/team/app%d:v1", s.host, i), imageFor(t, "linux", "amd64"))
	}
	s.reset()
	r := digest.Memo(digest.Limit(newRegistry(s), 4))
	var wg sync.WaitGroup
	for range 5 {
		for i := range want {
			wg.Go(func() { wantResolve(t, r, fmt.Sprintf("%s/team/app%d:v1", s.host, i), want[i]) })
		}
	}
	wg.Wait()
	for i := range want {
		if got := s.count(fmt.Sprintf("HEAD /v2/team/app%d/manifests/v1", i)); got != 1 {
			t.Errorf("app%d was asked for %d times, want once", i, got)
		}
	}
	if got := s.count("GET /v2/"); got != 1 {
		t.Errorf("the registry was asked %d times how to log in, want once", got)
	}
}

func TestNothingIsReachedUnlessAllowed(t *testing.T) {
	s := serve(t, httptest.NewServer, nil)
	ref := s.host + "/team/app:v1"
	push(t, ref, imageFor(t, "linux", "amd64"))
	s.reset()
	wantError(t, registry.New(registry.WithKeychain(anonymous{})), ref, s.host+" may not be reached", "network.allow")
	if len(s.requests) != 0 {
		t.Errorf("requests were sent: %v", s.requests)
	}
	// A pattern does not reach loopback, whatever it matches.
	wantError(t, registry.New(registry.WithKeychain(anonymous{}), registry.WithAllow("*.0.0.1")), ref, "has the loopback address 127.0.0.1")
	if len(s.requests) != 0 {
		t.Errorf("requests were sent: %v", s.requests)
	}
	wantError(t, registry.New(registry.WithAllow("https://ghcr.io")), ref, "expected host, host:port or *.domain")
}
