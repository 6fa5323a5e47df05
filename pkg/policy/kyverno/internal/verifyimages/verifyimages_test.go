package verifyimages_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/oneloop-dev/oneloop/pkg/digest"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/spec"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/verifyimages"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// shas are the digests of the tests: sha("1") is sha256:111...
func sha(fill string) string { return "sha256:" + strings.Repeat(fill, 64) }

// locked resolves r.io/team/app:v1 to 1..., and so on; all else is missing.
type locked map[string]string

func (l locked) Resolve(_ context.Context, tag name.Tag) (name.Digest, error) {
	if fill, ok := l[tag.Name()]; ok {
		return tag.Context().Digest(sha(fill)), nil
	}
	return name.Digest{}, fmt.Errorf("%s is %w", tag.Name(), digest.ErrMissing)
}

var lock = locked{
	"r.io/team/app:v1":                   "1",
	"r.io/team/side:1":                   "2",
	"r.io/other/tool:latest":             "3",
	"index.docker.io/library/nginx:1.27": "4",
}

func object(t *testing.T, text string) resource.Object {
	t.Helper()
	var o resource.Object
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		t.Fatal(err)
	}
	return o
}

const pod = `{"spec": {
	"initContainers": [{"name": "i", "image": "r.io/team/side:1"}],
	"containers": [{"name": "a", "image": "r.io/team/app:v1"}, {"name": "b", "image": "r.io/other/tool"}]
}}`

func compile(t *testing.T, rule spec.Rule) *verifyimages.Rule {
	t.Helper()
	rule.Name = "r"
	r, err := verifyimages.Compile(&rule)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func describe(results []policy.Result) []string {
	var out []string
	for _, r := range results {
		out = append(out, r.Outcome.Status()+" "+r.Message)
	}
	return out
}

func images(o resource.Object) []string {
	var out []string
	s := o["spec"].(map[string]any)
	for _, list := range []string{"initContainers", "containers", "ephemeralContainers", "steps"} {
		l, _ := s[list].([]any)
		for _, c := range l {
			out = append(out, c.(map[string]any)["image"].(string))
		}
	}
	return out
}

var no = new(bool)

func refs(patterns ...string) spec.ImageVerification {
	return spec.ImageVerification{ImageReferences: patterns, Required: no}
}

func with(v spec.ImageVerification, change func(*spec.ImageVerification)) spec.ImageVerification {
	change(&v)
	return v
}

func noMutate(v *spec.ImageVerification) { v.MutateDigest = no }
func noVerify(v *spec.ImageVerification) { v.VerifyDigest = no }
func required(v *spec.ImageVerification) { v.Required = nil }
func attest(v *spec.ImageVerification) {
	v.Attestors = []spec.AttestorSet{{Entries: []spec.Attestor{{Keys: &spec.StaticKeyAttestor{PublicKeys: "k"}}}}}
}
func skip(patterns ...string) func(*spec.ImageVerification) {
	return func(v *spec.ImageVerification) { v.SkipImageReferences = patterns }
}

const (
	side = "r.io/team/side:1"
	app  = "r.io/team/app:v1"
	tool = "r.io/other/tool"
)

// The expectations were read off Kyverno 1.19.1 on the same rules, except
// where signatures are asked for.
func TestRule(t *testing.T) {
	pinnedSide, pinnedApp, pinnedTool := side+"@"+sha("2"), app+"@"+sha("1"), tool+":latest@"+sha("3")
	const mutated = "pass mutated image digest"
	const skipping = "skip skipping image reference "
	tests := []struct {
		name    string
		object  string // pod when empty
		entries []spec.ImageVerification
		images  []string // after Pin
		pin     []string
		check   []string
	}{
		{
			name: "all", entries: []spec.ImageVerification{refs("*")},
			images: []string{pinnedSide, pinnedApp, pinnedTool},
			pin:    []string{mutated, mutated, mutated}, check: []string{"pass image verified"},
		},
		{
			name: "the old form", entries: []spec.ImageVerification{{Image: "*", Required: no}},
			images: []string{pinnedSide, pinnedApp, pinnedTool},
			pin:    []string{mutated, mutated, mutated}, check: []string{"pass image verified"},
		},
		{
			name: "the default registry", object: `{"spec": {"containers": [{"name": "a", "image": "nginx:1.27"}]}}`,
			entries: []spec.ImageVerification{refs("docker.io/*")},
			images:  []string{"docker.io/nginx:1.27@" + sha("4")}, pin: []string{mutated}, check: []string{"pass image verified"},
		},
		{
			// With the digest in it the image no longer matches: nothing to check.
			name: "a tag in the pattern", entries: []spec.ImageVerification{refs("r.io/team/app:*")},
			images: []string{side, pinnedApp, tool}, pin: []string{mutated},
		},
		{
			name: "pinned already", object: `{"spec": {"containers": [{"name": "a", "image": "r.io/team/app:v1@` + sha("9") + `"}, {"name": "b", "image": "r.io/team/app@` + sha("9") + `"}]}}`,
			entries: []spec.ImageVerification{refs("*")},
			images:  []string{app + "@" + sha("9"), "r.io/team/app@" + sha("9")}, check: []string{"pass image verified"},
		},
		{
			name: "no image matches", entries: []spec.ImageVerification{refs("ghcr.io/*")}, images: []string{side, app, tool},
		},
		{
			name: "no containers", object: `{"spec": {}}`, entries: []spec.ImageVerification{refs("*")},
		},
		{
			name: "nothing to do", entries: []spec.ImageVerification{with(with(refs("*"), noMutate), noVerify)}, images: []string{side, app, tool},
		},
		{
			name: "verify only", entries: []spec.ImageVerification{with(refs("*"), noMutate)},
			images: []string{side, app, tool}, check: []string{"fail missing digest for " + side},
		},
		{
			name: "required", entries: []spec.ImageVerification{with(refs("*"), required)},
			images: []string{pinnedSide, pinnedApp, pinnedTool},
			pin:    []string{mutated, mutated, mutated}, check: []string{"fail unverified image r.io/team/side@" + sha("2")},
		},
		{
			// skipImageReferences is about signatures; digests are written all the same.
			name: "skipImageReferences", entries: []spec.ImageVerification{with(refs("*"), skip("*/team/*"))},
			images: []string{pinnedSide, pinnedApp, pinnedTool},
			pin:    []string{mutated, mutated, mutated}, check: []string{"pass image verified"},
		},
		{
			// mutateDigest of one entry pins what another one matched.
			name: "two entries", entries: []spec.ImageVerification{refs("*/team/*"), with(refs("*/other/*"), noMutate)},
			images: []string{pinnedSide, pinnedApp, pinnedTool},
			pin:    []string{mutated, mutated, mutated}, check: []string{"pass image verified"},
		},
		{
			name: "two entries match one image", entries: []spec.ImageVerification{refs("*/team/app*"), refs("*/team/*")},
			images: []string{pinnedSide, pinnedApp, tool},
			pin:    []string{mutated, mutated, mutated, mutated, mutated, mutated}, check: []string{"pass image verified"},
		},
		{
			// Kyverno writes these digests too, and reports only the skips.
			name: "signatures of no image here", entries: []spec.ImageVerification{with(with(with(refs("*"), attest), skip("*")), required)},
			images: []string{pinnedSide, pinnedApp, pinnedTool},
			pin:    []string{skipping + side, mutated, skipping + app, mutated, skipping + tool + ":latest", mutated},
			check: []string{"skip image skipped, skipped images: r.io/team/side@" + sha("2") + " r.io/team/app@" + sha("1") +
				" r.io/other/tool@" + sha("3")},
		},
		{
			name: "signatures of images of another entry", entries: []spec.ImageVerification{with(with(refs("*/nothing/*"), attest), required), with(refs("*/team/*"), required)},
			images: []string{pinnedSide, pinnedApp, tool},
			pin:    []string{skipping + side, mutated, skipping + app, mutated, mutated, mutated},
			check:  []string{"skip image skipped, skipped images: r.io/team/side@" + sha("2") + " r.io/team/app@" + sha("1")},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			text := test.object
			if text == "" {
				text = pod
			}
			r := compile(t, spec.Rule{VerifyImages: test.entries})
			kind, before := resource.Kind{Version: "v1", Kind: "Pod"}, object(t, text)
			found, err := r.Images(kind, before)
			if err != nil {
				t.Fatal(err)
			}
			results := r.Pin(t.Context(), before, found, verifyimages.World{Digests: lock})
			if diff := cmp.Diff(object(t, text), before); diff != "" {
				t.Errorf("Pin modified its input (-want +got):\n%s", diff)
			}
			after := before
			for _, result := range results {
				if (result.Object != nil) != (result.Outcome == policy.Mutated) {
					t.Errorf("result %+v: an object goes with Mutated, and only with it", result)
				}
				if result.Object != nil {
					after = result.Object
				}
			}
			if diff := cmp.Diff(test.images, images(after)); diff != "" {
				t.Errorf("images after Pin (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.pin, describe(results)); diff != "" {
				t.Errorf("results of Pin (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.check, describe(r.Check(t.Context(), kind, after, verifyimages.World{Digests: lock}))); diff != "" {
				t.Errorf("results of Check (-want +got):\n%s", diff)
			}
			// A second run writes nothing.
			found, err = r.Images(kind, after)
			if err != nil {
				t.Fatal(err)
			}
			for _, result := range r.Pin(t.Context(), after, found, verifyimages.World{Digests: locked{}}) {
				if result.Outcome != policy.Skipped {
					t.Errorf("second Pin: %+v", result)
				}
			}
		})
	}
}

// Rules of one policy see the images as the first of them did.
func TestRulesOfOnePolicy(t *testing.T) {
	first := compile(t, spec.Rule{VerifyImages: []spec.ImageVerification{refs("*/team/*")}})
	second := compile(t, spec.Rule{VerifyImages: []spec.ImageVerification{refs("*")}})
	kind, before := resource.Kind{Kind: "Pod"}, object(t, pod)
	a, _ := first.Images(kind, before)
	b, _ := second.Images(kind, before)
	results := first.Pin(t.Context(), before, a, verifyimages.World{Digests: lock})
	after := results[len(results)-1].Object
	got := second.Pin(t.Context(), after, b, verifyimages.World{Digests: lock})
	if len(got) != 3 || got[0].Outcome != policy.Passed || got[1].Outcome != policy.Passed || got[2].Outcome != policy.Mutated {
		t.Errorf("results of the second rule: %+v, want two that find their digest and one that writes it", got)
	}
}

func TestSignaturesAreUnsupported(t *testing.T) {
	tests := []struct {
		field string
		ask   func(*spec.ImageVerification)
	}{
		{"verifyImages[0].attestors", func(v *spec.ImageVerification) {
			v.Attestors = []spec.AttestorSet{{Entries: []spec.Attestor{{Keys: &spec.StaticKeyAttestor{KMS: "awskms:///alias/key"}}}}}
		}},
		{"verifyImages[0].attestations", func(v *spec.ImageVerification) { v.Attestations = []spec.Attestation{{Type: "x"}} }},
		{"verifyImages[0].key", func(v *spec.ImageVerification) { v.Key = "awskms:///alias/key" }},
		{"verifyImages[0].issuer", func(v *spec.ImageVerification) { v.Issuer = "i" }},
		{"verifyImages[0].annotations", func(v *spec.ImageVerification) { v.Image, v.Annotations = "*", map[string]string{"a": "b"} }},
	}
	for _, test := range tests {
		t.Run(test.field, func(t *testing.T) {
			r := compile(t, spec.Rule{VerifyImages: []spec.ImageVerification{with(with(refs("r.io/team/app*"), test.ask), required)}})
			kind, o := resource.Kind{Kind: "Pod"}, object(t, `{"spec": {"containers": [{"name": "a", "image": "`+app+`"}]}}`)
			found, err := r.Images(kind, o)
			if err != nil {
				t.Fatal(err)
			}
			results := r.Pin(t.Context(), o, found, verifyimages.World{Digests: lock})
			if len(results) == 0 {
				t.Fatal("no result")
			}
			for _, result := range results {
				if result.Outcome != policy.Failed || !errors.Is(result.Err, errors.ErrUnsupported) {
					t.Errorf("result %+v, want Failed and ErrUnsupported", result)
				}
				if !strings.Contains(result.Err.Error(), test.field) || !strings.Contains(result.Err.Error(), app) {
					t.Errorf("error %q names neither field nor image", result.Err)
				}
			}
			// Nothing is ever said to be verified, also not with a digest.
			if got := r.Check(t.Context(), kind, o, verifyimages.World{Digests: lock}); len(got) > 0 && got[0].Outcome == policy.Passed {
				t.Errorf("Check: %+v", got)
			}
			pinned := object(t, `{"spec": {"containers": [{"name": "a", "image": "`+app+`@`+sha("1")+`"}]}}`)
			if got := r.Check(t.Context(), kind, pinned, verifyimages.World{Digests: lock}); len(got) > 0 && got[0].Outcome == policy.Passed {
				t.Errorf("Check of a pinned image: %+v", got)
			}
		})
	}
}

func TestMissingDigest(t *testing.T) {
	r := compile(t, spec.Rule{VerifyImages: []spec.ImageVerification{refs("*")}})
	o := object(t, `{"spec": {"containers": [{"name": "a", "image": "r.io/team/app:v9"}, {"name": "b", "image": "`+app+`"}]}}`)
	found, _ := r.Images(resource.Kind{Kind: "Pod"}, o)
	results := r.Pin(t.Context(), o, found, verifyimages.World{Digests: lock})
	if len(results) != 2 || results[0].Outcome != policy.Failed || results[1].Outcome != policy.Mutated {
		t.Fatalf("results: %+v", results)
	}
	if !errors.Is(results[0].Err, digest.ErrMissing) || !strings.Contains(results[0].Err.Error(), "spec.containers[0].image") {
		t.Errorf("error = %v, want ErrMissing with the field", results[0].Err)
	}
}

func TestSwitchedOff(t *testing.T) {
	r := compile(t, spec.Rule{VerifyImages: []spec.ImageVerification{refs("*")}})
	kind, o := resource.Kind{Kind: "Pod"}, object(t, pod)
	found, _ := r.Images(kind, o)
	results := r.Pin(t.Context(), o, found, verifyimages.World{Digests: digest.Off{}})
	if diff := cmp.Diff([]string{"skip resolving digests is switched off"}, describe(results)); diff != "" {
		t.Errorf("Pin (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"pass image verified"}, describe(r.Check(t.Context(), kind, o, verifyimages.World{Digests: digest.Off{}}))); diff != "" {
		t.Errorf("Check holds against the rule what was switched off (-want +got):\n%s", diff)
	}
	strict := compile(t, spec.Rule{VerifyImages: []spec.ImageVerification{with(refs("*"), noMutate)}})
	if got := strict.Check(t.Context(), kind, o, verifyimages.World{Digests: digest.Off{}}); len(got) != 1 || got[0].Outcome != policy.Denied {
		t.Errorf("a rule that only verifies: %+v, want Denied", got)
	}
}

func TestViolation(t *testing.T) {
	r := compile(t, spec.Rule{VerifyImages: []spec.ImageVerification{with(refs("*"), func(v *spec.ImageVerification) {
		v.MutateDigest, v.FailureAction = no, "Audit"
	})}})
	got := r.Check(t.Context(), resource.Kind{Kind: "Pod"}, object(t, pod), verifyimages.World{Digests: lock})
	var v *verifyimages.Violation
	if len(got) != 1 || !errors.As(got[0].Err, &v) || v.FailureAction != "Audit" || v.Image != side {
		t.Errorf("results: %+v, want one with a Violation of %s", got, side)
	}
}

func TestImageExtractors(t *testing.T) {
	r := compile(t, spec.Rule{
		VerifyImages: []spec.ImageVerification{refs("*")},
		ImageExtractors: map[string][]spec.ImageExtractorConfig{
			"Task": {{Path: "/spec/steps/*", Value: "image", Key: "name", Name: "steps"}},
		},
	})
	o := object(t, `{"spec": {"steps": [{"name": "a", "image": "r.io/team/app:v1"}]}}`)
	kind := resource.Kind{Group: "example.com", Version: "v1", Kind: "Task"}
	found, err := r.Images(kind, o)
	if err != nil {
		t.Fatal(err)
	}
	results := r.Pin(t.Context(), o, found, verifyimages.World{Digests: lock})
	if len(results) != 1 || results[0].Outcome != policy.Mutated {
		t.Fatalf("results: %+v", results)
	}
	if diff := cmp.Diff([]string{app + "@" + sha("1")}, images(results[0].Object)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"pass image verified"}, describe(r.Check(t.Context(), kind, results[0].Object, verifyimages.World{Digests: lock}))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// Kinds without an extractor of their own keep the usual ones.
	if found, err := r.Images(resource.Kind{Kind: "Pod"}, object(t, pod)); err != nil || len(found) != 3 {
		t.Errorf("a Pod: %d images, %v; want 3", len(found), err)
	}
}

func TestExtractorWithJMESPath(t *testing.T) {
	r := compile(t, spec.Rule{
		VerifyImages: []spec.ImageVerification{with(refs("r.io/*"), noMutate)},
		ImageExtractors: map[string][]spec.ImageExtractorConfig{
			"Task": {{Path: "/spec/uri", JMESPath: "trim_prefix(@, 'docker://')"}},
		},
	})
	kind := resource.Kind{Kind: "Task"}
	for uri, want := range map[string]string{
		"docker://" + app:                  "fail missing digest for " + app,
		"docker://" + app + "@" + sha("1"): "pass image verified",
	} {
		got := describe(r.Check(t.Context(), kind, resource.Object{"spec": map[string]any{"uri": uri}}, verifyimages.World{Digests: lock}))
		if diff := cmp.Diff([]string{want}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", uri, diff)
		}
	}
}

func TestBadImage(t *testing.T) {
	r := compile(t, spec.Rule{VerifyImages: []spec.ImageVerification{refs("*")}})
	o := object(t, `{"spec": {"containers": [{"name": "a", "image": "NGINX"}]}}`)
	if _, err := r.Images(resource.Kind{Kind: "Pod"}, o); err == nil || !strings.Contains(err.Error(), "spec.containers[0].image") {
		t.Errorf("Images: %v", err)
	}
	if got := r.Check(t.Context(), resource.Kind{Kind: "Pod"}, o, verifyimages.World{Digests: lock}); len(got) != 1 || got[0].Outcome != policy.Failed {
		t.Errorf("Check: %+v", got)
	}
}

func TestCompileFaults(t *testing.T) {
	_, err := verifyimages.Compile(&spec.Rule{
		VerifyImages: []spec.ImageVerification{{}},
		ImageExtractors: map[string][]spec.ImageExtractorConfig{
			"A": {{Path: "/"}}, "B": {}, "C": {{Path: "/spec/image", JMESPath: "@"}},
		},
	})
	if err == nil {
		t.Fatal("no error")
	}
	_, syntax := verifyimages.Compile(&spec.Rule{
		VerifyImages:    []spec.ImageVerification{with(refs("*"), noMutate)},
		ImageExtractors: map[string][]spec.ImageExtractorConfig{"C": {{Path: "/spec/image", JMESPath: "a("}}},
	})
	if syntax == nil || !strings.Contains(syntax.Error(), "imageExtractors.C[0].jmesPath") {
		t.Errorf("a jmesPath that is none: %v", syntax)
	}
	for _, part := range []string{"verifyImages[0].imageReferences", "imageExtractors.A[0].path", "imageExtractors.B", "imageExtractors.C[0].jmesPath"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not contain %q", err, part)
		}
	}
	var fault *verifyimages.Fault
	if !errors.As(err, &fault) || len(fault.Path) == 0 {
		t.Errorf("error %v carries no *Fault with a path", err)
	}
}

func BenchmarkRule(b *testing.B) {
	r, err := verifyimages.Compile(&spec.Rule{Name: "r", VerifyImages: []spec.ImageVerification{refs("*")}})
	if err != nil {
		b.Fatal(err)
	}
	var o resource.Object
	if err := json.Unmarshal([]byte(pod), &o); err != nil {
		b.Fatal(err)
	}
	kind := resource.Kind{Version: "v1", Kind: "Pod"}
	b.ReportAllocs()
	for b.Loop() {
		found, err := r.Images(kind, o)
		if err != nil {
			b.Fatal(err)
		}
		results := r.Pin(b.Context(), o, found, verifyimages.World{Digests: lock})
		if len(r.Check(b.Context(), kind, results[len(results)-1].Object, verifyimages.World{Digests: lock})) != 1 {
			b.Fatal("no result")
		}
	}
}
