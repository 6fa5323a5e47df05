package digest_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/oneloop-dev/oneloop/pkg/digest"
)

// always answers every reference with one digest.
type always struct{ sha string }

func (a always) Describe(_ context.Context, tag name.Tag) (digest.Description, error) {
	return digest.Description{Digest: tag.Context().Digest(a.sha), MediaType: "index"}, nil
}

func (a always) Resolve(ctx context.Context, tag name.Tag) (name.Digest, error) {
	d, err := a.Describe(ctx, tag)
	return d.Digest, err
}

func (a always) Inspect(_ context.Context, ref name.Reference) (digest.Image, error) {
	return digest.Image{Digest: ref.Context().Digest(a.sha), MediaType: "manifest", Platform: "linux/arm64"}, nil
}

func TestRecorder(t *testing.T) {
	const sha = "sha256:1111111111111111111111111111111111111111111111111111111111111111"
	var to digest.Recorder
	r := digest.Memo(to.Record(always{sha}))
	for _, ref := range []string{"b:1", "a:2", "b:1"} {
		tag, err := name.NewTag(ref)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Resolve(t.Context(), tag); err != nil {
			t.Fatal(err)
		}
	}
	for _, text := range []string{"c:3", "d@" + sha} {
		ref, err := name.ParseReference(text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.(digest.Inspector).Inspect(t.Context(), ref); err != nil {
			t.Fatal(err)
		}
	}
	var got [][3]string
	for _, a := range to.Answers() {
		got = append(got, [3]string{digest.Reference(a.Tag), a.MediaType, a.Platform})
	}
	want := [][3]string{
		{"docker.io/library/a:2", "index", ""}, {"docker.io/library/b:1", "index", ""}, {"docker.io/library/c:3", "manifest", "linux/arm64"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
