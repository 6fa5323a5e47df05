package image_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/oneloop-dev/oneloop/pkg/digest"
	"github.com/oneloop-dev/oneloop/pkg/image"
)

type resolve func(name.Tag) (name.Digest, error)

func (f resolve) Resolve(_ context.Context, tag name.Tag) (name.Digest, error) { return f(tag) }

type inspector struct {
	resolve
	image func(name.Reference) (digest.Image, error)
}

func (i inspector) Inspect(_ context.Context, ref name.Reference) (digest.Image, error) {
	return i.image(ref)
}

var known = resolve(func(tag name.Tag) (name.Digest, error) { return tag.Context().Digest(sha), nil })

// The values were read off Kyverno 1.19.1.
func TestData(t *testing.T) {
	tests := []struct{ reference, registry, repository, identifier, resolved string }{
		{"localhost:5055/team/app:v1", "localhost:5055", "team/app", "v1", "localhost:5055/team/app@" + sha},
		{"nginx", "index.docker.io", "library/nginx", "latest", "index.docker.io/library/nginx@" + sha},
		{"ghcr.io/a/b@" + sha, "ghcr.io", "a/b", sha, "ghcr.io/a/b@" + sha},
		{"ghcr.io/a/b:1@" + sha, "ghcr.io", "a/b", "1@" + sha, "ghcr.io/a/b@" + sha},
		// What looks like a tag there is the end of registry and repository.
		{"localhost:5055/team/app@" + sha, "localhost:5055", "team/app", "5055/team/app@" + sha, "localhost:5055/team/app@" + sha},
	}
	for _, test := range tests {
		got, err := image.Data(t.Context(), test.reference, known, false)
		if err != nil {
			t.Errorf("%s: %v", test.reference, err)
			continue
		}
		want := map[string]any{
			"image": test.reference, "registry": test.registry, "repository": test.repository,
			"identifier": test.identifier, "resolvedImage": test.resolved,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.reference, diff)
		}
	}
}

func TestDataOfPinnedReferenceAsksNobody(t *testing.T) {
	_, err := image.Data(t.Context(), "ghcr.io/a/b@"+sha, digest.None("nobody was to be asked"), false)
	if err != nil {
		t.Error(err)
	}
}

func TestDataInspect(t *testing.T) {
	in := inspector{known, func(ref name.Reference) (digest.Image, error) {
		return digest.Image{Digest: ref.Context().Digest(sha), Manifest: "m", ManifestList: nil, Config: "c"}, nil
	}}
	got, err := image.Data(t.Context(), "nginx:1", in, true)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"image": "nginx:1", "registry": "index.docker.io", "repository": "library/nginx", "identifier": "1",
		"resolvedImage": "index.docker.io/library/nginx@" + sha, "manifest": "m", "manifestList": nil, "configData": "c",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDataErrors(t *testing.T) {
	for what, resolver := range map[string]digest.Resolver{
		"a lock alone":        known,
		"a lock behind First": digest.First(known, digest.None("x")),
	} {
		_, err := image.Data(t.Context(), "nginx:1", resolver, true)
		if !errors.Is(err, digest.ErrMissing) {
			t.Errorf("%s: error = %v, want ErrMissing", what, err)
			continue
		}
		for _, part := range []string{"index.docker.io/library/nginx:1", "images.mode", "network.allow", "resolvedImage"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: error %q does not contain %q", what, err, part)
			}
		}
	}
	broken := inspector{known, func(name.Reference) (digest.Image, error) { return digest.Image{}, errors.New("broken") }}
	if _, err := image.Data(t.Context(), "nginx:1", broken, true); err == nil || err.Error() != "broken" {
		t.Errorf("error = %v, want broken", err)
	}
	if _, err := image.Data(t.Context(), "NGINX!", known, false); err == nil || !strings.Contains(err.Error(), `"NGINX!"`) {
		t.Errorf("error = %v", err)
	}
	if _, err := image.Data(t.Context(), "nginx", digest.None("x"), false); !errors.Is(err, digest.ErrMissing) {
		t.Errorf("error = %v, want ErrMissing", err)
	}
}

func TestNeedsManifest(t *testing.T) {
	tests := []struct {
		expression, entry string
		want              bool
	}{
		{"resolvedImage", "", false},
		{"resolvedImage | split(@, '@')[1]", "", false},
		{"join('/', [registry, repository])", "", false},
		{"{a: registry, b: identifier}", "", false},
		{"resolvedImage || manifest", "", true},
		{"resolvedImage || to_string(@)", "", true},
		{"manifest.layers[].size", "", true},
		{"configData.config.User || ''", "", true},
		{`"configData"`, "", true},
		{"manifestList", "", true},
		{"@", "", true},
		{"*", "", true},
		{"keys(@)", "", true},
		{"", "", true}, // the whole entry
		{"d.registry", "d", false},
		{"join('|', [d.registry, d.repository, d.image])", "d", false},
		{"d.resolvedImage | @", "d", false},
		{`"d"."registry"`, "d", false},
		{"element.image", "d", false},
		{"element.d.manifest", "d", false},
		{"data.manifest", "d", false},
		{"@.d.manifest", "d", true},
		{"d", "d", true},
		{"to_string(d)", "d", true},
		{"d.*", "d", true},
		{"d.[registry]", "d", true},
		{"d.configData.config.Env", "d", true},
		{"d.registryX", "d", true},
		{"d.registry == x && d.manifest", "d", true},
	}
	for _, test := range tests {
		if got := image.NeedsManifest(test.expression, test.entry); got != test.want {
			t.Errorf("NeedsManifest(%q, %q) = %t, want %t", test.expression, test.entry, got, test.want)
		}
	}
}
