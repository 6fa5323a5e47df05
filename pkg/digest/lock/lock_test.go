package lock_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/oneloop-dev/oneloop/pkg/digest"
	"github.com/oneloop-dev/oneloop/pkg/digest/lock"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

var (
	a = "sha256:" + strings.Repeat("a", 64)
	b = "sha256:" + strings.Repeat("b", 64)
)

func parse(t *testing.T, text string) (*lock.Lock, error) {
	t.Helper()
	rs, err := resource.Parse("images.lock.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if len(rs) != 1 {
		t.Fatalf("%d documents, want one", len(rs))
	}
	return lock.Parse(rs[0])
}

const header = `apiVersion: oneloop.dev/v1alpha1
kind: ImageLock
metadata: {name: images}
`

func tagOf(t *testing.T, s string) name.Tag {
	t.Helper()
	tag, err := name.NewTag(s)
	if err != nil {
		t.Fatal(err)
	}
	return tag
}

func TestResolve(t *testing.T) {
	l, err := parse(t, header+`images:
- reference: localhost:5055/team/app:v1   # unsorted, and said twice: both are fine
  digest: `+b+`
- reference: docker.io/library/nginx:latest
  digest: `+a+`
  mediaType: application/vnd.oci.image.index.v1+json
- reference: nginx
  digest: `+a+`
`)
	if err != nil {
		t.Fatal(err)
	}
	for ref, want := range map[string]string{
		"nginx":                         a,
		"docker.io/nginx":               a,
		"index.docker.io/library/nginx": a,
		"library/nginx:latest":          a,
		"localhost:5055/team/app:v1":    b,
	} {
		d, err := l.Resolver().Resolve(t.Context(), tagOf(t, ref))
		if err != nil {
			t.Errorf("Resolve(%s): %v", ref, err)
		} else if d.DigestStr() != want || d.Context().Name() != tagOf(t, ref).Context().Name() {
			t.Errorf("Resolve(%s) = %s, want %s", ref, d, want)
		}
	}
	if _, ok := l.Resolver().(digest.Inspector); ok {
		t.Error("a lock claims to know image data")
	}
}

func TestMissSaysWhatToAdd(t *testing.T) {
	l, err := parse(t, header+"images: []\n")
	if err != nil {
		t.Fatal(err)
	}
	_, err = l.Resolver().Resolve(t.Context(), tagOf(t, "nginx:1.27"))
	if !errors.Is(err, digest.ErrMissing) {
		t.Fatalf("error = %v, want ErrMissing", err)
	}
	for _, part := range []string{
		"the digest of docker.io/library/nginx:1.27 is not in the lock",
		"images.lock.yaml",
		"oneloop lock --lock images.lock.yaml",
	} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not contain %q", err, part)
		}
	}
}

func TestFaults(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string
	}{
		{"unknown field", header + "images:\n- reference: nginx\n  digset: x\n", []string{"images.lock.yaml:6 at images[0].digset", "digest"}},
		{"wrong type", header + "images: {}\n", []string{"images.lock.yaml:4 at images"}},
		{"no reference", header + "images:\n- digest: " + a + "\n", []string{"images[0].reference", "expected an image reference"}},
		{"bad reference", header + "images:\n- {reference: 'NGINX:x y', digest: '" + a + "'}\n", []string{"images.lock.yaml:5 at images[0].reference"}},
		{"pinned reference", header + "images:\n- {reference: 'nginx@" + a + "', digest: '" + a + "'}\n", []string{"has a digest already"}},
		{"no digest", header + "images:\n- reference: nginx\n", []string{"images[0].digest", "64 hexadecimal digits"}},
		{"short digest", header + "images:\n- {reference: nginx, digest: 'sha256:abc'}\n", []string{"images.lock.yaml:5 at images[0].digest"}},
		{"upper-case digest", header + "images:\n- {reference: nginx, digest: 'sha256:" + strings.Repeat("A", 64) + "'}\n", []string{"images[0].digest"}},
		{"two digests", header + "images:\n- {reference: nginx, digest: '" + a + "'}\n- {reference: docker.io/nginx:latest, digest: '" + b + "'}\n",
			[]string{"images.lock.yaml:6 at images[1]", "docker.io/library/nginx:latest is locked to two digests", "images.lock.yaml:5 at images[0]"}},
		{"another kind", "apiVersion: v1\nkind: ImageLock\nimages: []\n", []string{"expected oneloop.dev/v1alpha1/ImageLock", "v1/ImageLock"}},
		{"all faults at once", header + "images:\n- reference: nginx\n- digest: x\n", []string{"images[0].digest", "images[1].reference"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			l, err := parse(t, test.text)
			if err == nil {
				t.Fatalf("no error, lock %+v", l)
			}
			for _, part := range test.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q does not contain %q", err, part)
				}
			}
		})
	}
}

// FuzzParse: no text makes Parse panic, and what it accepts resolves.
func FuzzParse(f *testing.F) {
	f.Add(header + "images:\n- {reference: nginx, digest: '" + a + "'}\n")
	f.Add(header + "images: [null]\n")
	f.Add(header + "images: null\n")
	f.Add("kind: ImageLock\r\nimages:\r\n- &x {reference: nginx}\r\n- *x\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		rs, err := resource.Parse("lock.yaml", []byte(text))
		if err != nil {
			return
		}
		for _, r := range rs {
			l, err := lock.Parse(r)
			if err != nil {
				continue
			}
			for _, e := range l.Images {
				d, err := l.Resolver().Resolve(t.Context(), tagOf(t, e.Reference))
				if err != nil || d.DigestStr() != e.Digest {
					t.Fatalf("entry %+v resolves to %v, %v", e, d, err)
				}
			}
		}
	})
}

func TestAgree(t *testing.T) {
	read := func(text string) *lock.Lock {
		t.Helper()
		l, err := parse(t, header+"images:\n"+text)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	one := read("- {reference: nginx, digest: '" + a + "'}\n- {reference: tool, digest: '" + a + "'}\n")
	same := read("- {reference: 'docker.io/library/nginx:latest', digest: '" + a + "'}\n")
	other := read("- {reference: 'nginx:latest', digest: '" + b + "'}\n")
	if err := lock.Agree(one, same); err != nil {
		t.Error(err)
	}
	want := "docker.io/library/nginx:latest is locked to " + a + " in images.lock.yaml:1 and to " + b + " in images.lock.yaml:1: keep one"
	if err := lock.Agree(one, other); err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
}
