package library

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/oneloop-dev/oneloop/pkg/digest"
	"github.com/oneloop-dev/oneloop/pkg/facts"
)

const sum = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

func TestImageReferences(t *testing.T) {
	tests := []struct{ reference, registry, repository, identifier, separated, tag, digest, contains string }{
		{"nginx", "index.docker.io", "library/nginx", "latest", ":latest", "latest", "", "false"},
		{"nginx:1.27", "index.docker.io", "library/nginx", "1.27", ":1.27", "1.27", "", "false"},
		{"ghcr.io/team/app:v1", "ghcr.io", "team/app", "v1", ":v1", "v1", "", "false"},
		{"ghcr.io/team/app@" + sum, "ghcr.io", "team/app", sum, "@" + sum, "", sum, "true"},
		{"ghcr.io/team/app:v1@" + sum, "ghcr.io", "team/app", "v1@" + sum, "@" + sum, "v1", sum, "true"},
		{"localhost:5000/app@" + sum, "localhost:5000", "app", sum, "@" + sum, "", sum, "true"},
		{"localhost:5000/app:v1@" + sum, "localhost:5000", "app", "v1@" + sum, "@" + sum, "v1", sum, "true"},
	}
	env, w := environment(t, ""), &World{Facts: facts.New()}
	for _, tt := range tests {
		for function, want := range map[string]string{
			"registry": tt.registry, "repository": tt.repository, "identifier": tt.identifier, "identifierWithSeparator": tt.separated,
			"tag": tt.tag, "digest": tt.digest,
		} {
			for _, parse := range []string{"image", "parseImageReference"} {
				expression := fmt.Sprintf("%s(%q).%s()", parse, tt.reference, function)
				if got, err := evaluate(env, w, expression); err != nil || got != fmt.Sprintf("%q", want) {
					t.Errorf("%s = %s, %v; want %q", expression, got, err, want)
				}
			}
		}
		expression := fmt.Sprintf("image(%q).containsDigest()", tt.reference)
		if got, err := evaluate(env, w, expression); err != nil || got != tt.contains {
			t.Errorf("%s = %s, %v; want %s", expression, got, err, tt.contains)
		}
	}
	for expression, want := range map[string]string{
		`isImage("ghcr.io/team/app:v1")`: "true",
		`isImage("Not an image")`:        "false",
		`isImage("a@sha256:12")`:         "false",
		`image("a") == image("a")`:       "true",
		// As in Kyverno the texts are compared, not what they mean.
		`image("a") == image("a:latest")`:         "false",
		`image("a:v1") == image("a@` + sum + `")`: "false",
	} {
		if got, err := evaluate(env, w, expression); err != nil || got != want {
			t.Errorf("%s = %s, %v; want %s", expression, got, err, want)
		}
	}
	if _, err := evaluate(env, w, `image("UPPER/x").registry()`); err == nil || !strings.Contains(err.Error(), `image reference "UPPER/x": `) {
		t.Errorf("got %v", err)
	}
}

// locked knows the digest of one tag, and nothing else about it.
type locked struct{}

func (locked) Resolve(_ context.Context, tag name.Tag) (name.Digest, error) {
	if tag.Name() != "ghcr.io/team/app:v1" {
		return name.Digest{}, fmt.Errorf("the digest of %s is %w", tag, digest.ErrMissing)
	}
	return tag.Digest(sum), nil
}

// registry knows all about that image.
type registry struct{ locked }

func (registry) Inspect(_ context.Context, ref name.Reference) (digest.Image, error) {
	return digest.Image{
		Digest: ref.Context().Digest(sum), Manifest: map[string]any{"schemaVersion": int64(2)}, Config: map[string]any{"architecture": "arm64"},
	}, nil
}

const declared = `
apiVersion: cli.kyverno.io/v1alpha1
kind: Context
metadata: {name: context}
spec:
  images:
  - image: ghcr.io/team/known
    config: {architecture: amd64}
    digest: sha256:0
`

func TestImageMetadata(t *testing.T) {
	f := known(t, declared)
	env := environment(t, "")
	tests := []struct {
		expression string
		resolver   digest.Resolver
		want       string
	}{
		{`image.GetMetadata("ghcr.io/team/known").config.architecture`, nil, `"amd64"`},
		{`image.getMetadata("ghcr.io/team/known").digest`, nil, `"sha256:0"`},
		{`image.GetMetadata("ghcr.io/team/app:v1").resolvedImage`, locked{}, `"ghcr.io/team/app:v1@` + sum + `"`},
		{`image.GetMetadata("ghcr.io/team/app:v1").digest`, locked{}, `"` + sum + `"`},
		{`image.GetMetadata("ghcr.io/team/app:v1").tag`, locked{}, `"v1"`},
		{`image.GetMetadata("ghcr.io/team/app:v1").identifier`, locked{}, `"v1"`},
		{`image.GetMetadata("ghcr.io/team/app:v1").repository`, locked{}, `"team/app"`},
		{`has(image.GetMetadata("ghcr.io/team/app:v1").digest)`, locked{}, `true`},
		{`has(image.GetMetadata("ghcr.io/team/app:v1").other)`, locked{}, `false`},
		{`"tag" in image.GetMetadata("ghcr.io/team/app@` + sum + `")`, locked{}, `false`},
		{`image.GetMetadata("ghcr.io/team/app@` + sum + `").resolvedImage`, locked{}, `"ghcr.io/team/app@` + sum + `"`},
		{`image.GetMetadata("nginx@` + sum + `").image`, locked{}, `"nginx@` + sum + `"`},
		{`image.GetMetadata("ghcr.io/team/app:v1").config.architecture`, registry{}, `"arm64"`},
		{`has(image.GetMetadata("ghcr.io/team/app:v1").imageIndex)`, registry{}, `false`},
		{`image.GetMetadata("ghcr.io/team/app:v1").size()`, registry{}, `9`},
		{`image.GetMetadata("ghcr.io/team/app:v1").exists(k, k == "config")`, registry{}, `true`},
		{`image.GetMetadata("ghcr.io/team/app:v1") == image.GetMetadata("ghcr.io/team/app:v1")`, registry{}, `true`},
		{`image.GetMetadata("ghcr.io/team/app:v1") == image.GetMetadata("ghcr.io/team/app:v1")`, locked{}, `true`},
		{`image.GetMetadata("ghcr.io/team/app:v1") == image.GetMetadata("ghcr.io/team/app@` + sum + `")`, locked{}, `false`},
		{`image.GetMetadata("ghcr.io/team/app:v1") in [image.GetMetadata("ghcr.io/team/app@` + sum + `"), image.GetMetadata("ghcr.io/team/app:v1")]`, locked{}, `true`},
		{`json.marshal(image.GetMetadata("ghcr.io/team/app:v1").manifest)`, registry{}, `"{\"schemaVersion\":2}"`},
	}
	for _, tt := range tests {
		got, err := evaluate(env, &World{Facts: f, Digests: tt.resolver, Context: context.Background()}, tt.expression)
		if err != nil || got != tt.want {
			t.Errorf("%s = %s, %v; want %s", tt.expression, got, err, tt.want)
		}
	}
}

// What nobody knows is an error with what to declare, also for has.
func TestImageMetadataUnknown(t *testing.T) {
	env := environment(t, "")
	w := &World{Facts: facts.New(), Digests: locked{}}
	for expression, want := range map[string]string{
		`image.GetMetadata("ghcr.io/team/app:v2").registry`:                 "not in the lock",
		`image.GetMetadata("ghcr.io/team/app:v1").config`:                   "- image: ghcr.io/team/app:v1",
		`has(image.GetMetadata("ghcr.io/team/app:v1").config.Volumes)`:      "- image: ghcr.io/team/app:v1",
		`has(image.GetMetadata("ghcr.io/team/app:v1").imageIndex)`:          "- image: ghcr.io/team/app:v1",
		`"manifest" in image.GetMetadata("ghcr.io/team/app:v1")`:            "- image: ghcr.io/team/app:v1",
		`image.GetMetadata("ghcr.io/team/app:v1").size() > 0`:               "- image: ghcr.io/team/app:v1",
		`image.GetMetadata("ghcr.io/team/app:v1").exists(k, k == "config")`: "- image: ghcr.io/team/app:v1",
		`image.GetMetadata("ghcr.io/team/app:v1") == {"a": "b"}`:            "- image: ghcr.io/team/app:v1",
		`json.marshal(image.GetMetadata("ghcr.io/team/app:v1"))`:            "",
		`image.GetMetadata("UPPER/x").config`:                               `image.GetMetadata: image reference "UPPER/x"`,
	} {
		if got, err := evaluate(env, w, expression); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s = %s, %v; want an error with %q", expression, got, err, want)
		}
	}
	_, err := evaluate(env, &World{Facts: facts.New()}, `image.GetMetadata("a").config`)
	if !errors.Is(err, facts.ErrMissing) {
		t.Errorf("%v does not wrap ErrMissing", err)
	}
}
