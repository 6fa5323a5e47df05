package digest_test

import (
	"context"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/oneloop-dev/oneloop/pkg/digest"
)

// Ahead asks about each reference once, for as much as a run wants to know.
func TestAhead(t *testing.T) {
	locked := tagOf(t, "example.com/locked:1")
	atHand := resolve(func(ctx context.Context, tag name.Tag) (name.Digest, error) {
		if tag.Name() == locked.Name() {
			return digestOf(tag, "a"), nil
		}
		return digest.None("test").Resolve(ctx, tag)
	})
	pin := func(r digest.Resolver, ref string) (name.Digest, bool) {
		d, err := r.Resolve(t.Context(), tagOf(t, ref))
		return d, err == nil
	}
	inspect := func(r digest.Resolver, ref name.Reference) bool {
		_, err := r.(digest.Inspector).Inspect(t.Context(), ref)
		return err == nil
	}
	for _, test := range []struct {
		name string
		run  func(r digest.Resolver)
		want [][]string // what is asked at once
	}{
		{"nothing", func(digest.Resolver) {}, nil},
		{"only what is locked", func(r digest.Resolver) { pin(r, "example.com/locked:1") }, nil},
		{"digests", func(r digest.Resolver) {
			pin(r, "example.com/b:1")
			pin(r, "example.com/a:1")
			pin(r, "example.com/b:1")
			pin(r, "example.com/locked:1")
		}, [][]string{{"resolve a:1", "resolve b:1"}}},
		{"an image and its digest", func(r digest.Resolver) {
			pin(r, "example.com/a:1")
			pin(r, "example.com/b:1")
			inspect(r, tagOf(t, "example.com/a:1"))
		}, [][]string{{"inspect a:1"}, {"resolve b:1"}}},
		{"one image after another", func(r digest.Resolver) {
			if inspect(r, tagOf(t, "example.com/a:1")) {
				inspect(r, tagOf(t, "example.com/b:1"))
			}
		}, [][]string{{"inspect a:1"}, {"inspect b:1"}}},
		{"an image by the digest that is locked", func(r digest.Resolver) {
			inspect(r, locked)
		}, [][]string{{"inspect locked@a"}}},
		{"an image by the digest that is asked for", func(r digest.Resolver) {
			if d, ok := pin(r, "example.com/a:1"); ok {
				inspect(r, d)
			}
		}, [][]string{{"resolve a:1"}, {"inspect a@b"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got [][]string
			var step []string
			note := func(what string, ref name.Reference) {
				id := ":" + ref.Identifier()
				if d, ok := ref.(name.Digest); ok {
					id = "@" + d.DigestStr()[len("sha256:"):][:1]
				}
				step = append(step, what+" "+ref.Context().RepositoryStr()+id)
			}
			r := digest.Memo(inspector{
				resolve: func(_ context.Context, tag name.Tag) (name.Digest, error) {
					note("resolve", tag)
					return digestOf(tag, "b"), nil
				},
				inspect: func(_ context.Context, ref name.Reference) (digest.Image, error) {
					note("inspect", ref)
					return digest.Image{Digest: ref.Context().Digest("sha256:" + "b")}, nil
				},
			})
			all := digest.First(atHand, r)
			digest.Ahead(t.Context(), atHand, all, test.run, func(questions []digest.Question, _ bool) {
				step = nil
				for _, q := range questions {
					q.Ask(t.Context(), all)
				}
				slices.Sort(step)
				got = append(got, step)
			})
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			step = nil
			test.run(all)
			if len(step) > 0 {
				t.Errorf("the run still asks: %v", step)
			}
		})
	}
}
