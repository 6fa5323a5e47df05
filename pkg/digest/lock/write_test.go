package lock_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oneloop-dev/oneloop/pkg/digest/lock"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

const (
	one = "sha256:1111111111111111111111111111111111111111111111111111111111111111"
	two = "sha256:2222222222222222222222222222222222222222222222222222222222222222"
)

func TestWrite(t *testing.T) {
	const was = `# Ours.
apiVersion: oneloop.dev/v1alpha1
kind: ImageLock
metadata: {name: images}
images:
# the web server
- digest: ` + one + ` # reviewed
  reference: nginx:1.27
- {reference: ghcr.io/team/app:2, digest: "` + one + `", mediaType: m}
`
	for _, tt := range []struct {
		name    string
		set     []lock.Entry
		drop    func(lock.Entry) bool
		changed bool
		replace []string // pairs of old and new text
	}{
		{name: "nothing"},
		{name: "the same, spelt in full", set: []lock.Entry{{Reference: "docker.io/library/nginx:1.27", Digest: one}}},
		{
			name: "moved", changed: true,
			set:     []lock.Entry{{Reference: "docker.io/library/nginx:1.27", Digest: two, MediaType: "i"}},
			replace: []string{"- digest: " + one + " # reviewed\n  reference: nginx:1.27\n", "- digest: " + two + " # reviewed\n  reference: nginx:1.27\n  mediaType: i\n"},
		},
		{
			name: "added, in order", changed: true,
			set:     []lock.Entry{{Reference: "docker.io/library/zsh:1", Digest: two}},
			replace: []string{"- {reference: ghcr", "- reference: docker.io/library/zsh:1\n  digest: " + two + "\n- {reference: ghcr"},
		},
		{
			name: "dropped", changed: true,
			drop:    func(e lock.Entry) bool { return strings.HasPrefix(e.Reference, "ghcr.io/") },
			replace: []string{`- {reference: ghcr.io/team/app:2, digest: "` + one + `", mediaType: m}` + "\n", ""},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			docs, err := resource.Parse("images.lock.yaml", []byte(was))
			if err != nil {
				t.Fatal(err)
			}
			changed, err := lock.Write(docs[0], tt.set, tt.drop)
			if err != nil {
				t.Fatal(err)
			}
			got, err := docs[0].AppendYAML(nil)
			if err != nil {
				t.Fatal(err)
			}
			want := was
			for i := 0; i < len(tt.replace); i += 2 {
				want = strings.Replace(want, tt.replace[i], tt.replace[i+1], 1)
			}
			if changed != tt.changed {
				t.Errorf("changed = %v", changed)
			}
			if d := cmp.Diff(want, string(got)); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
			if _, err := lock.Parse(docs[0]); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestNewIsALock(t *testing.T) {
	doc, err := lock.New()
	if err != nil {
		t.Fatal(err)
	}
	if changed, err := lock.Write(doc, []lock.Entry{{Reference: "docker.io/library/nginx:1.27", Digest: one}}, nil); err != nil || !changed {
		t.Fatal(changed, err)
	}
	l, err := lock.Parse(doc)
	if err != nil {
		t.Fatal(err)
	}
	if d, err := l.Resolver().Resolve(t.Context(), tagOf(t, "nginx:1.27")); err != nil || d.DigestStr() != one {
		t.Error(d, err)
	}
}
