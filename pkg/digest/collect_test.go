package digest_test

import (
	"context"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/oneloop-dev/oneloop/pkg/digest"
)

func TestCollect(t *testing.T) {
	tag := func(s string) name.Tag {
		out, err := name.NewTag(s)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	known := tag("example.com/known:1")
	c := digest.Collect(resolve(func(ctx context.Context, tag name.Tag) (name.Digest, error) {
		if tag.Name() == known.Name() {
			return known.Context().Digest(standsForNothing), nil
		}
		return digest.None("test").Resolve(ctx, tag)
	}))
	if d, err := c.Resolve(t.Context(), known); err != nil || d.DigestStr() != standsForNothing {
		t.Errorf("known: %v, %v", d, err)
	}
	a, err := c.Resolve(t.Context(), tag("nginx"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := c.Resolve(t.Context(), tag("docker.io/library/nginx:latest"))
	if err != nil || a.DigestStr() != b.DigestStr() {
		t.Errorf("one tag has two stand-ins: %v, %v, %v", a, b, err)
	}
	if other, _ := c.Resolve(t.Context(), tag("nginx:1")); other.DigestStr() == a.DigestStr() {
		t.Error("two tags share a stand-in")
	}
	if got, ok := c.StandsFor("docker.io/nginx:latest@" + a.DigestStr()); !ok || got.Name() != a.Context().Tag("latest").Name() {
		t.Errorf("StandsFor = %v, %v", got, ok)
	}
	if _, ok := c.StandsFor("example.com/known:1@" + standsForNothing); ok {
		t.Error("a real digest stands for a tag")
	}
	if len(c.Asked()) != 3 || len(c.Missing()) != 2 || c.Missing()[0].TagStr() != "1" {
		t.Errorf("asked %v, missing %v", c.Asked(), c.Missing())
	}
}

const standsForNothing = "sha256:1111111111111111111111111111111111111111111111111111111111111111"
