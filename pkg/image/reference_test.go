package image_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oneloop-dev/oneloop/pkg/image"
)

var sha = "sha256:" + strings.Repeat("c", 64)

func TestParse(t *testing.T) {
	tests := []struct {
		input string
		want  image.Reference
	}{
		{"nginx", image.Reference{Registry: "docker.io", Name: "nginx", Path: "nginx", Tag: "latest", Full: "docker.io/nginx:latest", FullWithTag: "docker.io/nginx:latest"}},
		{"nginx:v10.3", image.Reference{Registry: "docker.io", Name: "nginx", Path: "nginx", Tag: "v10.3", Full: "docker.io/nginx:v10.3", FullWithTag: "docker.io/nginx:v10.3"}},
		{"team/nginx", image.Reference{Registry: "docker.io", Name: "nginx", Path: "team/nginx", Tag: "latest", Full: "docker.io/team/nginx:latest", FullWithTag: "docker.io/team/nginx:latest"}},
		// Kyverno leaves "library" to the registry client.
		{"docker.io/library/nginx", image.Reference{Registry: "docker.io", Name: "nginx", Path: "library/nginx", Tag: "latest", Full: "docker.io/library/nginx:latest", FullWithTag: "docker.io/library/nginx:latest"}},
		{"localhost/app:1", image.Reference{Registry: "localhost", Name: "app", Path: "app", Tag: "1", Full: "localhost/app:1", FullWithTag: "localhost/app:1"}},
		{"localhost:5055/team/app", image.Reference{Registry: "localhost:5055", Name: "app", Path: "team/app", Tag: "latest", Full: "localhost:5055/team/app:latest", FullWithTag: "localhost:5055/team/app:latest"}},
		{"[::1]:5000/app:1", image.Reference{Registry: "[::1]:5000", Name: "app", Path: "app", Tag: "1", Full: "[::1]:5000/app:1", FullWithTag: "[::1]:5000/app:1"}},
		// Without a slash a colon is that of a tag.
		{"localhost:5055", image.Reference{Registry: "docker.io", Name: "localhost", Path: "localhost", Tag: "5055", Full: "docker.io/localhost:5055", FullWithTag: "docker.io/localhost:5055"}},
		{"ghcr.io/a/b/c@" + sha, image.Reference{Registry: "ghcr.io", Name: "c", Path: "a/b/c", Digest: sha, Full: "ghcr.io/a/b/c@" + sha, FullWithTag: "ghcr.io/a/b/c:"}},
		{"ghcr.io/a/b:1@" + sha, image.Reference{Registry: "ghcr.io", Name: "b", Path: "a/b", Tag: "1", Digest: sha, Full: "ghcr.io/a/b@" + sha, FullWithTag: "ghcr.io/a/b:1"}},
		// Upper case makes a first part a domain.
		{"Registry/app", image.Reference{Registry: "Registry", Name: "app", Path: "app", Tag: "latest", Full: "Registry/app:latest", FullWithTag: "Registry/app:latest"}},
		// A first part with a dot and an underscore is no domain; Kyverno calls it
		// the registry all the same.
		{"my_registry.io/app:1", image.Reference{Registry: "my_registry.io", Name: "app", Path: "app", Tag: "1", Full: "my_registry.io/app:1", FullWithTag: "my_registry.io/app:1"}},
	}
	for _, test := range tests {
		got, err := image.Parse(test.input)
		if err != nil {
			t.Errorf("Parse(%q): %v", test.input, err)
			continue
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("Parse(%q) (-want +got):\n%s", test.input, diff)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	tests := []struct{ input, want string }{
		{"", "it is empty"},
		{" nginx", "expected lower-case letters"},
		{"Nginx", "expected lower case"},
		{"ghcr.io/Team/app", "expected lower case"},
		{"ghcr.io/team/app:", "tag"},
		{"ghcr.io/team/app:-x", "tag"},
		{"nginx:" + strings.Repeat("x", 129), "tag"},
		{"nginx@sha256:abc", "64 lower-case hexadecimal digits"},
		{"nginx@" + strings.ToUpper(sha), "expected sha256:"},
		{"nginx@md5:" + strings.Repeat("0", 32), "expected sha256:"},
		{"nginx@" + sha + "@" + sha, "hexadecimal"},
		{"ghcr.io/", "repository"},
		{"ghcr.io//app", "repository"},
		{"/app", "repository"},
		{"a..b", "repository"},
		{"a___b", "repository"},
		{"a-/b", "repository"},
		{"-a.io/b", "repository"},
		{"a.io:x/b", "repository"},
		{"docker.io/" + strings.Repeat("a", 256), "256 characters"},
		{"{{ image }}", "repository"},
	}
	for _, test := range tests {
		got, err := image.Parse(test.input)
		if err == nil {
			t.Errorf("Parse(%q) = %+v, want an error", test.input, got)
		} else if !strings.Contains(err.Error(), test.want) {
			t.Errorf("Parse(%q): error %q does not contain %q", test.input, err, test.want)
		}
	}
}

// FuzzParse: what Parse accepts, written in full, means the same.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"nginx", "a/b:c", "localhost:1/a", "a.b/c@" + sha, "a_b.c/d", "A/b", "[::1]/a", "a@" + sha} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := image.Parse(s)
		if err != nil {
			return
		}
		again, err := image.Parse(r.Full)
		if err != nil {
			t.Fatalf("Parse(%q).Full = %q, which is refused: %v", s, r.Full, err)
		}
		if again.Full != r.Full || again.Path != r.Path || again.Registry != r.Registry || again.Digest != r.Digest {
			t.Fatalf("Parse(%q) = %+v, in full %+v", s, r, again)
		}
	})
}
