package registry_test

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/oneloop-dev/oneloop/pkg/digest/registry"
)

// The docker configuration may leave credentials to a helper, a program.
func TestCredentialHelper(t *testing.T) {
	s := serve(t, httptest.NewServer, basicAuth("me", "s3cret"))
	want := push(t, s.host+"/team/app:v1", imageFor(t, "linux", "amd64"), remote.WithAuth(&authn.Basic{Username: "me", Password: "s3cret"}))
	dir := t.TempDir()
	helper := "#!/bin/sh\nread host\n[ \"$1 $host\" = \"get " + s.host + "\" ] || exit 1\necho asked >>" + filepath.Join(dir, "log") + "\n" +
		`echo '{"ServerURL":"x","Username":"me","Secret":"s3cret"}'` + "\n"
	for name, text := range map[string]string{
		"docker-credential-test": helper,
		"config.json":            fmt.Sprintf(`{"credHelpers":{%q:"test"}}`, s.host),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("HOME", t.TempDir())
	t.Setenv("DOCKER_CONFIG", dir)
	t.Setenv("PATH", dir+string(filepath.ListSeparator)+os.Getenv("PATH"))
	r := registry.New(registry.WithAllow(s.host))
	wantResolve(t, r, s.host+"/team/app:v1", want)
	wantError(t, r, s.host+"/team/other:v1", "no such image")
	if log, err := os.ReadFile(filepath.Join(dir, "log")); err != nil || string(log) != "asked\n" {
		t.Errorf("the helper was started %d times for one host, want once: %v", strings.Count(string(log), "\n"), err)
	}
}

// podman keeps credentials for repositories as well.
func TestCredentialsOfARepository(t *testing.T) {
	s := serve(t, httptest.NewServer, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			user := strings.SplitN(r.URL.Path+"///", "/", 4)[2]
			if user == "" {
				user = "a"
			}
			basicAuth(user, "s3cret")(next).ServeHTTP(w, r)
		})
	})
	auths := map[string]authn.AuthConfig{}
	want := map[string]string{}
	for _, user := range []string{"a", "b"} {
		auth := authn.AuthConfig{Username: user, Password: "s3cret"}
		auths[s.host+"/"+user+"/app"] = auth
		want[user] = push(t, s.host+"/"+user+"/app:1", imageFor(t, "linux", "amd64"), remote.WithAuth(authn.FromConfig(auth)))
	}
	config, err := json.Marshal(map[string]any{"auths": auths})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "auth.json")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"HOME", "DOCKER_CONFIG", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"} {
		t.Setenv(name, t.TempDir())
	}
	t.Setenv("REGISTRY_AUTH_FILE", file)
	r := registry.New(registry.WithAllow(s.host))
	for user, digest := range want {
		wantResolve(t, r, s.host+"/"+user+"/app:1", digest)
	}
}

// tokens is a registry that asks for tokens of a service of its own.
type tokens struct {
	given atomic.Int32
	open  atomic.Bool // while images are pushed
}

func (k *tokens) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/token":
			k.given.Add(1)
			_ = json.NewEncoder(w).Encode(map[string]string{"token": "t-" + r.URL.Query().Get("scope")})
		case !k.open.Load() && !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer t-repository:"):
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token",service="test"`, r.Host))
			w.WriteHeader(http.StatusUnauthorized)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// However many tags of a repository are asked for at once, one token serves.
func TestOneTokenForEachRepository(t *testing.T) {
	k := &tokens{}
	s := serve(t, httptest.NewServer, k.wrap)
	k.open.Store(true)
	img := imageFor(t, "linux", "amd64")
	var refs []string
	for i := range 30 {
		refs = append(refs, fmt.Sprintf("%s/team/app%d:%d", s.host, i%3, i))
		push(t, refs[i], img)
	}
	d, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	k.open.Store(false)
	r := newRegistry(s)
	var wg sync.WaitGroup
	for _, ref := range refs {
		wg.Go(func() { wantResolve(t, r, ref, d.String()) })
	}
	wg.Wait()
	if got := k.given.Load(); got != 3 {
		t.Errorf("%d tokens for 30 tags in 3 repositories, want 3", got)
	}
}

// Who is not let in once is not let in for another tag, and does not try.
func TestDeniedOnce(t *testing.T) {
	var logIns atomic.Int32
	s := serve(t, httptest.NewServer, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/token" {
				logIns.Add(1)
			}
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token",service="test"`, r.Host))
			w.WriteHeader(http.StatusUnauthorized)
		})
	})
	r := newRegistry(s, registry.WithKeychain(keychain{s.host: &authn.Basic{Username: "me", Password: "wrong"}}))
	for i := range 10 {
		wantError(t, r, fmt.Sprintf("%s/team/app:%d", s.host, i), "docker login "+s.host)
	}
	if got := logIns.Load(); got != 1 {
		t.Errorf("%d log-ins for 10 tags of a repository, want 1", got)
	}
}

// A registry that says again and again that it was asked too often is left alone.
func TestSpentLimit(t *testing.T) {
	f := &faults{left: -1, answer: status(429)}
	s := serve(t, httptest.NewServer, f.wrap)
	r := newRegistry(s)
	for i := range 10 {
		wantError(t, r, fmt.Sprintf("%s/team/app%d:1", s.host, i), "429 Too Many Requests", "log in for a higher limit")
	}
	sum := 0
	for request, n := range s.requests {
		if strings.Contains(request, "/manifests/") {
			sum += n
		}
	}
	if sum != 4 {
		t.Errorf("%d requests, want the 4 for the first reference: %v", sum, s.requests)
	}
}

// A token is for the registry: what it redirects to gets none.
func TestTokensAreNotForwarded(t *testing.T) {
	var leaked atomic.Bool
	store := serve(t, httptest.NewServer, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "" {
				leaked.Store(true)
			}
			next.ServeHTTP(w, r)
		})
	})
	want := push(t, store.host+"/team/app:1", imageFor(t, "linux", "amd64"))
	storeAt := strings.Replace(store.host, "127.0.0.1", "localhost", 1)
	k := &tokens{}
	s := serve(t, httptest.NewServer, func(http.Handler) http.Handler {
		return k.wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/v2/" {
				return
			}
			http.Redirect(w, r, "http://"+storeAt+r.URL.Path, http.StatusTemporaryRedirect)
		}))
	})
	wantResolve(t, newRegistry(s, registry.WithAllow(storeAt)), s.host+"/team/app:1", want)
	if leaked.Load() {
		t.Error("the token went to another host")
	}
}

// A token service that sends a log-in on to somebody else does not take the
// credentials along.
func TestLogInsAreNotRedirected(t *testing.T) {
	var caught atomic.Int32
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { caught.Add(1) }))
	t.Cleanup(thief.Close)
	thiefAt := strings.Replace(strings.TrimPrefix(thief.URL, "http://"), "127.0.0.1", "localhost", 1)
	s := serve(t, httptest.NewServer, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/token" {
				http.Redirect(w, r, "http://"+thiefAt+"/token", http.StatusTemporaryRedirect) // 307: with the body
				return
			}
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token",service="test"`, r.Host))
			w.WriteHeader(http.StatusUnauthorized)
		})
	})
	for name, auth := range map[string]authn.Authenticator{
		"password":      &authn.Basic{Username: "me", Password: "s3cret"},
		"refresh token": authn.FromConfig(authn.AuthConfig{IdentityToken: "s3cret"}),
	} {
		_, err := newRegistry(s, registry.WithKeychain(keychain{s.host: auth}), registry.WithAllow(thiefAt)).Resolve(t.Context(), tagOf(t, s.host+"/team/app:1"))
		if err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: error = %v", name, err)
		}
		if name == "refresh token" && (!strings.Contains(err.Error(), "credentials are not sent on") || caught.Load() != 0) {
			t.Errorf("%s: error = %v, and the other host got %d requests", name, err, caught.Load())
		}
		caught.Store(0)
	}
}

func TestAddCAs(t *testing.T) {
	s := serve(t, httptest.NewTLSServer, nil)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	want := push(t, s.host+"/team/app:v1", imageFor(t, "linux", "amd64"), remote.WithTransport(s.Client().Transport))
	text := func(kind string, data []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}))
	}
	cert := text("CERTIFICATE", s.Certificate().Raw)

	pool, err := registry.AddCAs(nil, []byte("# ours\n"+cert+"\n"+cert))
	if err != nil {
		t.Fatal(err)
	}
	wantResolve(t, newRegistry(s, registry.WithRootCAs(pool)), s.host+"/team/app:v1", want)
	system, err := x509.SystemCertPool()
	if err != nil {
		t.Fatal(err)
	}
	if system.AddCert(s.Certificate()); !pool.Equal(system) {
		t.Error("the authorities of the system are gone")
	}
	for text, want := range map[string]string{
		"":        "no certificate: expected PEM text",
		"not PEM": "no certificate: expected PEM text",
		cert + text("EC PRIVATE KEY", []byte("x")): "block 2 is a EC PRIVATE KEY: expected certificates only",
		text("CERTIFICATE", []byte("x")):           "block 1 is no certificate",
	} {
		if _, err := registry.AddCAs(nil, []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("AddCAs(%q) = %v, want %q", text, err, want)
		}
	}
}

// What a server says ends up on a terminal.
func TestErrorsAreOneLine(t *testing.T) {
	f := &faults{left: -1, answer: func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"errors":[{"code":"DENIED","message":"no\u001b[2J\n\r\u0007way`+strings.Repeat("!", 5000)+`"}]}`)
	}}
	s := serve(t, httptest.NewServer, f.wrap)
	f.method = http.MethodGet
	_, err := newRegistry(s).Inspect(t.Context(), tagOf(t, s.host+"/team/app:1"))
	if err == nil || strings.ContainsAny(err.Error(), "\x1b\n\r\a") || len(err.Error()) > 1500 || !strings.Contains(err.Error(), "no [2J way") {
		t.Errorf("error = %q", err)
	}
}

// An answer that trickles in holds up nobody for longer than the time-out.
func TestSlowBody(t *testing.T) {
	f := &faults{left: -1, answer: func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
		_, _ = io.WriteString(w, `{"schemaVersion":`)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}}
	s := serve(t, httptest.NewServer, f.wrap)
	start := time.Now()
	wantError(t, newRegistry(s, registry.WithTimeout(100*time.Millisecond)), s.host+"/team/app:v1", "deadline")
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
}
