package registry_test

import (
	"cmp"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/oneloop-dev/oneloop/pkg/artifact"
	"github.com/oneloop-dev/oneloop/pkg/digest/registry"
)

func artifactOf(t *testing.T, text string) artifact.Artifact {
	t.Helper()
	a, err := artifact.New(map[string][]byte{"app.yaml": []byte(text)}, time.Unix(0, 0), map[string]string{artifact.RevisionKey: "v1"})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// wantPush pushes, and compares whether that changed anything.
func wantPush(t *testing.T, r *registry.Registry, ref string, a artifact.Artifact, want bool) {
	t.Helper()
	changed, err := r.Push(t.Context(), tagOf(t, ref), a)
	if err != nil {
		t.Fatalf("Push(%s): %v", ref, err)
	}
	if changed != want {
		t.Errorf("Push(%s) = %t, want %t", ref, changed, want)
	}
	wantResolve(t, r, ref, a.Manifest.Digest)
}

func writes(s *server) int {
	n := 0
	s.mu.Lock()
	defer s.mu.Unlock()
	for request, times := range s.requests {
		if !strings.HasPrefix(request, "GET ") && !strings.HasPrefix(request, "HEAD ") {
			n += times
		}
	}
	return n
}

func TestPush(t *testing.T) {
	s := serve(t, httptest.NewServer, nil)
	one, two := artifactOf(t, "kind: One\n"), artifactOf(t, "kind: Two\n")
	ref := s.host + "/team/app:v1"

	// A mirror is asked for what is read, not for what is written.
	r := newRegistry(s, registry.WithMirrors(map[string]string{s.host: s.host + "/mirror"}))
	if changed, err := r.Push(t.Context(), tagOf(t, ref), one); err != nil || !changed {
		t.Fatalf("Push = %t, %v", changed, err)
	}
	img, err := remote.Image(tagOf(t, ref))
	if err != nil {
		t.Fatal(err)
	}
	m, err := img.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	layers, err := img.Layers()
	if err != nil || len(layers) != 1 || m.Annotations[artifact.RevisionKey] != "v1" || string(m.Config.MediaType) != artifact.ConfigType {
		t.Fatalf("%d layers, %v, %+v", len(layers), err, m)
	}
	archive, err := layers[0].Uncompressed() // verifies both digests
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(archive); err != nil || !strings.Contains(string(text), "kind: One\n") {
		t.Errorf("%v, %q", err, text)
	}

	// The same once more writes nothing, another tag the manifest alone.
	s.reset()
	r = newRegistry(s)
	wantPush(t, r, ref, one, false)
	if n := writes(s); n != 0 {
		t.Errorf("%d writes: %v", n, s.requests)
	}
	wantPush(t, r, s.host+"/team/app:v2", one, true)
	if n := writes(s); n != 1 || s.count("PUT /v2/team/app/manifests/v2") != 1 {
		t.Errorf("%d writes: %v", n, s.requests)
	}
	wantPush(t, r, ref, two, true)
	wantResolve(t, r, s.host+"/team/app:v2", one.Manifest.Digest)
}

func TestPushRepeats(t *testing.T) {
	for _, f := range []*faults{
		{method: http.MethodHead},
		{method: http.MethodHead, path: "/blobs/"},
		{method: http.MethodPost, path: "/blobs/uploads/"},
		{method: http.MethodPatch, path: "/blobs/uploads/"},
		{method: http.MethodPut, path: "/blobs/uploads/"},
		{method: http.MethodPut},
	} {
		f.left, f.answer = 2, status(503)
		s := serve(t, httptest.NewServer, f.wrap)
		wantPush(t, newRegistry(s), s.host+"/team/app:v1", artifactOf(t, "kind: One\n"), true)
		if f.left != 0 {
			t.Errorf("%s %s was not asked again", f.method, f.path)
		}
	}
}

func TestPushLogsIn(t *testing.T) {
	s := serve(t, httptest.NewServer, basicAuth("me", "s3cret"))
	ref := s.host + "/team/app:v1"
	me := keychain{s.host: &authn.Basic{Username: "me", Password: "s3cret"}}
	wantPush(t, newRegistry(s, registry.WithKeychain(me)), ref, artifactOf(t, "kind: One\n"), true)
	for _, k := range []authn.Keychain{anonymous{}, keychain{s.host: &authn.Basic{Username: "me", Password: "mistaken"}}} {
		_, err := newRegistry(s, registry.WithKeychain(k)).Push(t.Context(), tagOf(t, ref), artifactOf(t, "kind: Two\n"))
		if err == nil || !strings.Contains(err.Error(), "docker login "+s.host+"` as somebody who may push") || strings.Contains(err.Error(), "mistaken") {
			t.Errorf("error = %v", err)
		}
	}
	wantResolve(t, newRegistry(s, registry.WithKeychain(me)), ref, artifactOf(t, "kind: One\n").Manifest.Digest)
}

// One token to read and one to write, however many tags there are.
func TestPushWithTokens(t *testing.T) {
	k := &tokens{}
	s := serve(t, httptest.NewServer, k.wrap)
	r := newRegistry(s)
	for _, tag := range []string{"v1", "v2", "v3"} {
		wantPush(t, r, s.host+"/team/app:"+tag, artifactOf(t, "kind: One\n"), true)
	}
	if got := k.given.Load(); got != 2 {
		t.Errorf("%d tokens, want 2", got)
	}
}

// A registry may deny to tell what is not there, and still take it.
func TestPushWhereNothingIs(t *testing.T) {
	for _, code := range []int{http.StatusUnauthorized, http.StatusForbidden} {
		f := &faults{left: 1, answer: status(code), method: http.MethodHead}
		s := serve(t, httptest.NewServer, f.wrap)
		wantPush(t, newRegistry(s), s.host+"/team/app:v1", artifactOf(t, "kind: One\n"), true)
	}
}

// What is pushed goes to nobody but the registry, unless the user says so.
func TestPushIsNotSentOn(t *testing.T) {
	store := serve(t, httptest.NewServer, nil)
	sentTo := ""
	storeAt := strings.Replace(store.host, "127.0.0.1", "localhost", 1)
	s := serve(t, httptest.NewServer, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodPost {
				next.ServeHTTP(w, r)
				return
			}
			w.Header().Set("Location", "http://"+sentTo+"/v2/team/app/blobs/uploads/1")
			w.WriteHeader(http.StatusAccepted)
		})
	})
	ref, a := tagOf(t, s.host+"/team/app:v1"), artifactOf(t, "kind: One\n")
	for _, tt := range []struct{ allow, to, want string }{
		{"", storeAt, "host " + storeAt + " may not be reached: add it to network.allow (--allow-host)"},
		{"*.localhost", "store." + storeAt, "wants what is pushed to go to store." + storeAt},
	} {
		sentTo = tt.to
		if _, err := newRegistry(s, registry.WithAllow(cmp.Or(tt.allow, "example.com"))).Push(t.Context(), ref, a); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("with %q: %v, want %q", tt.allow, err, tt.want)
		}
	}
	if n := writes(store); n != 0 {
		t.Errorf("%d writes elsewhere", n)
	}
	sentTo = storeAt
	if _, err := newRegistry(s, registry.WithAllow(storeAt)).Push(t.Context(), ref, a); err != nil || writes(store) == 0 {
		t.Errorf("the host that is allowed got %d requests: %v", writes(store), err)
	}
}

func TestPushExplains(t *testing.T) {
	for code, want := range map[int]string{
		http.StatusNotFound:        "the repository may have to be created first",
		http.StatusForbidden:       "docker login",
		http.StatusTooManyRequests: "try again later",
	} {
		f := &faults{left: -1, answer: status(code), method: http.MethodPost, path: "/blobs/uploads/"}
		s := serve(t, httptest.NewServer, f.wrap)
		_, err := newRegistry(s).Push(t.Context(), tagOf(t, s.host+"/team/app:v1"), artifactOf(t, "kind: One\n"))
		if err == nil || !strings.HasPrefix(err.Error(), "push "+s.host+"/team/app:v1: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%d: %v, want %q", code, err, want)
		}
	}
}
