package cli_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oneloop-dev/oneloop/pkg/cli"
)

// A tagServer is a registry in which every tag of every repository points at the
// same image.
type tagServer struct {
	// together is how many manifest requests have to be there at once before the
	// first is answered.
	together int

	mu       sync.Mutex
	waiting  int
	gate     chan struct{}
	alone    bool           // requests waited in vain for others
	requests map[string]int // METHOD PATH
}

func (s *tagServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	const config = `{"os":"linux","architecture":"amd64","config":{"Labels":{"team":"shop"}}}`
	digest := func(text string) string { return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(text))) }
	manifest := fmt.Sprintf(`{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":%q,"size":%d},"layers":[]}`, digest(config), len(config))
	s.mu.Lock()
	s.requests[r.Method+" "+r.URL.Path]++
	s.mu.Unlock()
	switch {
	case strings.Contains(r.URL.Path, "/blobs/"):
		fmt.Fprint(w, config)
	case strings.Contains(r.URL.Path, "/manifests/"):
		s.wait(r)
		w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
		w.Header().Set("Docker-Content-Digest", digest(manifest))
		w.Header().Set("Content-Length", fmt.Sprint(len(manifest)))
		if r.Method == http.MethodGet {
			fmt.Fprint(w, manifest)
		}
	}
}

// wait returns when enough requests are there at once.
func (s *tagServer) wait(r *http.Request) {
	s.mu.Lock()
	s.waiting++
	if s.waiting == s.together && !s.alone {
		close(s.gate)
	}
	s.mu.Unlock()
	select {
	case <-s.gate:
	case <-r.Context().Done():
	case <-time.After(20 * time.Second): // nobody else comes
		s.mu.Lock()
		defer s.mu.Unlock()
		if !s.alone {
			s.alone = true
			close(s.gate)
		}
	}
}

func startTagServer(t *testing.T, together int) (*tagServer, string) {
	t.Helper()
	s := &tagServer{together: together, gate: make(chan struct{}), requests: map[string]int{}}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, strings.TrimPrefix(server.URL, "http://")
}

// manifests returns the requests for manifests, by path.
func (s *tagServer) manifests() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]int{}
	for request, n := range s.requests {
		if method, path, _ := strings.Cut(request, " "); strings.Contains(path, "/manifests/") && (method == "GET" || method == "HEAD") {
			out[path] += n
		}
	}
	return out
}

const pin = `apiVersion: kyverno.io/v1
kind: ClusterPolicy
metadata:
  name: pin
spec:
  rules:
  - name: tag-to-digest
    match:
      any:
      - resources:
          kinds: [Pod]
    verifyImages:
    - imageReferences: ["*"]
      failureAction: Enforce
      required: false
      mutateDigest: true
`

const label = `apiVersion: kyverno.io/v1
kind: ClusterPolicy
metadata:
  name: label
spec:
  rules:
  - name: from-image
    match:
      any:
      - resources:
          kinds: [Pod]
    mutate:
      foreach:
      - list: request.object.spec.containers
        context:
        - name: team
          imageRegistry:
            reference: "{{ element.image }}"
            jmesPath: configData.config.Labels.team
        patchStrategicMerge:
          metadata:
            labels:
              team: "{{ team }}"
`

// writePods writes Pods with some containers each, each with a tag of its own.
func writePods(t *testing.T, dir, host string, pods, containers int) string {
	t.Helper()
	var b strings.Builder
	for p := range pods {
		fmt.Fprintf(&b, "---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: p%d\nspec:\n  containers:\n", p)
		for c := range containers {
			fmt.Fprintf(&b, "  - name: c%d\n    image: %s/app%d:%d\n", c, host, c, p)
		}
	}
	return writeFile(t, dir, "pods.yaml", b.String())
}

func writeFile(t *testing.T, dir, name, text string) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func render(t *testing.T, args ...string) string {
	t.Helper()
	var out, stderr bytes.Buffer
	if code := cli.Main(append([]string{"render"}, args...), strings.NewReader(""), &out, &stderr); code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr.String())
	}
	return out.String()
}

// One rule on one resource asks for one reference after another; the registry is
// asked for eight at once all the same, and for each once.
func TestReferencesAreAskedTogether(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	for _, test := range []struct {
		name     string
		policies []string
		pods     int
		requests int // in all
	}{
		{"digests", []string{pin}, 1, 24},
		{"images", []string{label}, 12, 24},
		{"images and digests", []string{label, pin}, 12, 24},
		{"digests of images", []string{pin, label}, 12, 24 + 2}, // by tag, and then each digest
	} {
		t.Run(test.name, func(t *testing.T) {
			s, host := startTagServer(t, 8)
			dir := t.TempDir()
			args := []string{"--digests", "Resolve", "--allow-host", host, writePods(t, dir, host, test.pods, 24/test.pods)}
			for i, p := range test.policies {
				args = append(args, "-p", writeFile(t, dir, fmt.Sprintf("p%d.yaml", i), p))
			}
			out := render(t, args...)
			if s.alone {
				t.Error("fewer than eight requests were on their way at once")
			}
			if test.name != "images" && strings.Count(out, "@sha256:") != 24 {
				t.Errorf("not all images are pinned:\n%s", out)
			}
			if test.name != "digests" && !strings.Contains(out, "team: shop") {
				t.Errorf("the label is not there:\n%s", out)
			}
			sum := 0
			for path, n := range s.manifests() {
				sum += n
				if n != 1 {
					t.Errorf("%s was asked for %d times", path, n)
				}
			}
			if sum > test.requests {
				t.Errorf("%d requests, want %d at most: %v", sum, test.requests, s.requests)
			}
		})
	}
}

// With a lock nobody is asked, whatever else is allowed.
func TestLockedAsksNobody(t *testing.T) {
	s, host := startTagServer(t, 1)
	dir := t.TempDir()
	pod := writePods(t, dir, host, 3, 1)
	policy := writeFile(t, dir, "pin.yaml", pin)
	var b strings.Builder
	b.WriteString("apiVersion: oneloop.dev/v1alpha1\nkind: ImageLock\nmetadata:\n  name: images\nimages:\n")
	for i := range 3 {
		fmt.Fprintf(&b, "- reference: %s/app0:%d\n  digest: sha256:%064d\n", host, i, i)
	}
	lock := writeFile(t, dir, "images.lock.yaml", b.String())
	first := render(t, "-p", policy, "--lock", lock, "--allow-host", host, pod)
	t.Setenv("HOME", t.TempDir())
	t.Setenv("TZ", "Asia/Tokyo")
	t.Setenv("DOCKER_CONFIG", filepath.Join(dir, "none"))
	// LockedOrResolve asks for what is not in the lock: nothing.
	for _, mode := range []string{"Locked", "LockedOrResolve"} {
		if again := render(t, "-p", policy, "--lock", lock, "--allow-host", host, "--digests", mode, pod); again != first {
			t.Errorf("%s: two runs with one lock differ:\n%s\n%s", mode, first, again)
		}
	}
	if strings.Count(first, "@sha256:") != 3 || len(s.requests) != 0 {
		t.Errorf("the registry was asked: %v\n%s", s.requests, first)
	}
}
