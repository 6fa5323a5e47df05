package pinimages_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/oneloop-dev/oneloop/pkg/digest"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/pinimages"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

const sha = "sha256:1111111111111111111111111111111111111111111111111111111111111111"

// pinned answers every tag but example.com/missing.
type pinned struct{}

func (pinned) Resolve(_ context.Context, tag name.Tag) (name.Digest, error) {
	if strings.Contains(tag.Name(), "missing") {
		return name.Digest{}, digest.ErrMissing
	}
	return tag.Context().Digest(sha), nil
}

func one(t *testing.T, text string) *resource.Resource {
	t.Helper()
	docs, err := resource.Parse("in.yaml", []byte(text))
	if err != nil || len(docs) != 1 {
		t.Fatalf("%d documents, %v", len(docs), err)
	}
	return docs[0]
}

func TestApply(t *testing.T) {
	pod := func(image string) string {
		return "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers:\n  - image: " + image + "\n"
	}
	for _, tt := range []struct {
		name, spec, object string
		digests            digest.Resolver
		want               []string // outcome and message of each result, then images
	}{
		{"tag", "", pod("a/b:1"), pinned{}, []string{"pass pinned", "a/b:1@" + sha}},
		{"no tag", "", pod("b"), pinned{}, []string{"pass pinned", "b:latest@" + sha}},
		{"port and no tag", "", pod("localhost:5000/b"), pinned{}, []string{"pass pinned", "localhost:5000/b:latest@" + sha}},
		{"digest", "", pod("b:2@" + sha), pinned{}, []string{"skip every image has a digest or is left out"}},
		{"no image", "", "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {}\n", pinned{}, nil},
		{"other kind", "", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: p}\ndata: {image: b}\n", pinned{}, nil},
		{"kind of another group", "", "apiVersion: example.com/v1\nkind: Pod\nmetadata: {name: p}\nspec: {image: b}\n", pinned{}, nil},
		{"not wanted", "{images: [ghcr.io/*]}", pod("b"), pinned{}, []string{"skip every image has a digest or is left out"}},
		{"wanted in full", "{images: ['docker.io/b:*']}", pod("b"), pinned{}, []string{"pass pinned", "b:latest@" + sha}},
		{"left out", "{skip: ['b*']}", pod("b:1"), pinned{}, []string{"skip every image has a digest or is left out"}},
		{"unreadable", "", pod("'$(image)'"), pinned{}, []string{`error spec.containers[0].image: image reference "$(image)": repository "docker.io/$(image)": expected lower-case letters, digits and separators (. _ - /); correct it, or list it in skip`}},
		{"unreadable and left out", "{skip: ['$(*)']}", pod("'$(image)'"), pinned{}, []string{"skip every image has a digest or is left out"}},
		{"missing", "", pod("example.com/missing:1"), pinned{}, []string{"error spec.containers[0].image: not in the lock"}},
		{"off", "", pod("b"), digest.Off{}, []string{"skip resolving digests is switched off"}},
		{"extractor of a group", "{extractors: [{apiVersion: example.com, kind: T, path: /spec/*/image}]}",
			"apiVersion: example.com/v7\nkind: T\nmetadata: {name: t}\nspec: {a: {image: x:1}}\n", pinned{}, []string{"pass pinned", "x:1@" + sha}},
		{"extractor of another version", "{extractors: [{apiVersion: example.com/v1, kind: T, path: /spec/*/image}]}",
			"apiVersion: example.com/v2\nkind: T\nmetadata: {name: t}\nspec: {a: {image: x:1}}\n", pinned{}, nil},
		{"extractor beside the known fields", "{extractors: [{apiVersion: v1, kind: Pod, path: /metadata/annotations/image}]}",
			"apiVersion: v1\nkind: Pod\nmetadata: {name: p, annotations: {image: y:1}}\nspec: {initContainers: [{image: x:1}]}\n", pinned{},
			[]string{"pass pinned", "y:1@" + sha, "x:1@" + sha}},
		{"unknown kind with containers", "", "apiVersion: example.com/v1\nkind: T\nmetadata: {name: t}\nspec: {deep: [{containers: [{image: x:1}, {image: 'y@" + sha + "'}]}]}\n", pinned{},
			[]string{"warn spec.deep[0].containers[0].image: x:1 is not pinned: this kind is not known; name it in extractors, or the image in skip"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			doc := "apiVersion: oneloop.dev/v1alpha1\nkind: PinImages\nmetadata: {name: pin}\n"
			if tt.spec != "" {
				doc += "spec: " + tt.spec + "\n"
			}
			set, err := pinimages.Language.Compile([]*resource.Resource{one(t, doc)})
			if err != nil {
				t.Fatal(err)
			}
			r := one(t, tt.object)
			object, err := r.Object()
			if err != nil {
				t.Fatal(err)
			}
			results, err := set.Programs[0].Apply(t.Context(), policy.Input{ID: r.ID(), Object: object, Digests: tt.digests})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, result := range results {
				got = append(got, result.Outcome.Status()+" "+result.Message)
				if result.Object != nil {
					got = append(got, images(result.Object)...)
				}
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// images returns the texts in an object that hold a digest.
func images(o resource.Object) []string {
	var out []string
	for _, c := range resource.Diff(resource.Object{}, o) {
		for _, word := range strings.FieldsFunc(fmt.Sprint(c.After), func(r rune) bool { return strings.ContainsRune("[] ", r) }) {
			if i := strings.Index(word, "image:"); i >= 0 {
				word = word[i+len("image:"):]
			}
			if strings.Contains(word, "@") {
				out = append(out, strings.Trim(word, "]"))
			}
		}
	}
	return out
}

func TestCompileFaults(t *testing.T) {
	for _, tt := range []struct{ doc, want string }{
		{"apiVersion: oneloop.dev/v2\nkind: PinImages\nmetadata: {name: p}\n", `in.yaml:1: PinImages/p: version "v2" is not known: expected oneloop.dev/v1alpha1`},
		{"apiVersion: oneloop.dev/v1alpha1\nkind: PinImages\nmetadata: {name: p}\nspec:\n  image: [a]\n", `in.yaml:5: PinImages/p at spec.image: `},
		{"apiVersion: oneloop.dev/v1alpha1\nkind: PinImages\nmetadata: {name: p}\nspec:\n  extractors:\n  - {kind: T, path: /a}\n", "in.yaml:6: PinImages/p at spec.extractors[0]: expected apiVersion and kind"},
		{"apiVersion: oneloop.dev/v1alpha1\nkind: PinImages\nmetadata: {name: p}\nspec:\n  extractors:\n  - {apiVersion: e/v1, kind: T}\n", `in.yaml:6: PinImages/p at spec.extractors[0].path: path "" names no field`},
		{"apiVersion: oneloop.dev/v1alpha1\nkind: PinImages\nmetadata: {name: p}\nspec:\n  extractors:\n  - {apiVersion: e/v1, kind: T, path: /a/*}\n", "spec.extractors[0].path: expected a field at the end"},
	} {
		_, err := pinimages.Language.Compile([]*resource.Resource{one(t, tt.doc)})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s\ngot  %v\nwant %s", tt.doc, err, tt.want)
		}
		var fault *policy.Error
		if !errors.As(err, &fault) {
			t.Errorf("%T is no *policy.Error", err)
		}
	}
}

func TestVet(t *testing.T) {
	found := pinimages.Language.Vet([]*resource.Resource{one(t, "apiVersion: oneloop.dev/v1alpha1\nkind: PinImages\nmetadata: {name: p}\n")})
	if len(found) != 1 || found[0].Check != policy.Needed || !strings.Contains(found[0].Message, "oneloop lock") {
		t.Errorf("got %v, want a note about the lock", found)
	}
}
