package artifact_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/oneloop-dev/oneloop/pkg/artifact"
)

var files = map[string][]byte{
	"web.yaml":        []byte("kind: Deployment\n"),
	"a/kustomize.yml": []byte("resources: [b.yaml]\n"),
	"a.yaml":          []byte("kind: Service\n"),
	strings.Repeat("long/", 50) + "ümlaut.yaml": nil, // more than the oldest format of tar has room for
}

func build(t *testing.T, files map[string][]byte, created time.Time, annotations map[string]string) artifact.Artifact {
	t.Helper()
	a, err := artifact.New(files, created, annotations)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// The digest is part of the contract: a new one makes every cluster fetch what it
// has. It may change with the compression of a new Go, and then alone.
func TestDigestIsFixed(t *testing.T) {
	annotations := map[string]string{artifact.SourceKey: "https://example.com/shop.git", artifact.RevisionKey: "main@sha1:4db1", "team": "<shop>"}
	const archive = "sha256:157c370bc1a80fc6d4ea2d180296087216127907f76166c1bee4feb1ebc6530a"
	const want = "sha256:37812a8c294736e45e0b71864603d1f621421a7ee432e4069ca5c5b77150efeb"
	for range 3 {
		// The same instant somewhere else.
		a := build(t, files, time.Unix(1700000000, 999).In(time.FixedZone("", 9*3600)), annotations)
		if a.Manifest.Digest != want || !strings.Contains(string(a.Config.Data), `"diff_ids":["`+archive+`"]`) {
			t.Errorf("digest %s, want %s; configuration %s, want archive %s", a.Manifest.Digest, want, a.Config.Data, archive)
		}
	}
}

func TestManifest(t *testing.T) {
	a := build(t, files, time.Unix(0, 0), map[string]string{artifact.RevisionKey: "v1"})
	var got any
	if err := json.Unmarshal(a.Manifest.Data, &got); err != nil {
		t.Fatal(err)
	}
	descriptor := func(b artifact.Blob) map[string]any {
		if want := fmt.Sprintf("sha256:%x", sha256.Sum256(b.Data)); b.Digest != want {
			t.Errorf("%s has the digest %s, want %s", b.MediaType, b.Digest, want)
		}
		return map[string]any{"mediaType": b.MediaType, "size": float64(len(b.Data)), "digest": b.Digest}
	}
	descriptor(a.Manifest)
	want := map[string]any{
		"schemaVersion": 2.0,
		"mediaType":     "application/vnd.oci.image.manifest.v1+json",
		"config":        descriptor(a.Config),
		"layers":        []any{descriptor(a.Layer)},
		"annotations": map[string]any{
			"org.opencontainers.image.created":  "1970-01-01T00:00:00Z",
			"org.opencontainers.image.revision": "v1",
		},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	if a.Config.MediaType != "application/vnd.cncf.flux.config.v1+json" || a.Layer.MediaType != "application/vnd.cncf.flux.content.v1.tar+gzip" {
		t.Errorf("media types %s, %s", a.Config.MediaType, a.Layer.MediaType)
	}
}

func TestArchive(t *testing.T) {
	gz, err := gzip.NewReader(bytes.NewReader(build(t, files, time.Now(), nil).Layer.Data))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]byte{}
	last := ""
	for r := tar.NewReader(gz); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Name < last {
			t.Errorf("%s comes after %s", h.Name, last)
		}
		last = h.Name
		if h.Mode != 0o644 || h.Uid != 0 || h.Gid != 0 || h.Uname+h.Gname != "" || h.ModTime.Unix() != 0 || h.Typeflag != tar.TypeReg {
			t.Errorf("%+v", h)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if len(data) == 0 {
			data = nil
		}
		got[h.Name] = data
	}
	if d := cmp.Diff(files, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func TestNewRefuses(t *testing.T) {
	one := map[string][]byte{"a.yaml": nil}
	for _, tt := range []struct {
		files       map[string][]byte
		annotations map[string]string
		want        string
	}{
		{nil, nil, "no files"},
		{one, map[string]string{artifact.CreatedKey: "now"}, "org.opencontainers.image.created: it is the time of creation"},
		{one, map[string]string{"": "x"}, `annotation ""="x": expected a key and a value`},
		{one, map[string]string{"x": ""}, `annotation "x"="": expected a key and a value`},
		{map[string][]byte{"": nil}, nil, `file name ""`},
		{map[string][]byte{".": nil}, nil, `file name "."`},
		{map[string][]byte{"/etc/passwd": nil}, nil, `file name "/etc/passwd"`},
		{map[string][]byte{"../a.yaml": nil}, nil, `file name "../a.yaml"`},
		{map[string][]byte{"b/../a.yaml": nil}, nil, `file name "b/../a.yaml"`},
		{map[string][]byte{"b../a.yaml": nil}, nil, `file name "b../a.yaml"`}, // harmless, but Flux would refuse all of it
		{map[string][]byte{`b\a.yaml`: nil}, nil, `expected a relative path with slashes`},
	} {
		if _, err := artifact.New(tt.files, time.Now(), tt.annotations); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v, %v: %v, want %q", tt.files, tt.annotations, err, tt.want)
		}
	}
}
