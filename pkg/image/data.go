package image

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/oneloop-dev/oneloop/pkg/digest"
)

// Data returns what Kyverno's imageRegistry context entry holds for a
// reference: image, resolvedImage, registry, repository, identifier, and when
// inspect is set also manifest, manifestList and configData. Registries and
// repositories are named as go-containerregistry does (index.docker.io,
// library/nginx), other than in the `images` variable.
//
// Without inspect the digest is all that has to be known, so that a lock
// answers; a reference with a digest then needs no answer at all. With
// inspect the resolver has to be an Inspector: an error that wraps
// digest.ErrMissing says so. NeedsManifest tells which of the two a rule
// needs.
func Data(ctx context.Context, reference string, resolver digest.Resolver, inspect bool) (map[string]any, error) {
	ref, err := name.ParseReference(reference)
	if err != nil {
		return nil, fmt.Errorf("image reference %q: %w", reference, err)
	}
	repo := ref.Context()
	data := map[string]any{
		"image":      reference,
		"registry":   repo.RegistryStr(),
		"repository": repo.RepositoryStr(),
		"identifier": identifier(reference, ref),
	}
	if inspect {
		in, ok := resolver.(digest.Inspector)
		if !ok {
			return nil, errNoImageData(ref)
		}
		image, err := in.Inspect(ctx, ref)
		if errors.Is(err, digest.ErrMissing) {
			return nil, errNoImageData(ref)
		}
		if err != nil {
			return nil, err
		}
		data["resolvedImage"] = image.Digest.Name()
		data["manifest"] = image.Manifest
		data["manifestList"] = image.ManifestList
		data["configData"] = image.Config
		return data, nil
	}
	switch ref := ref.(type) {
	case name.Digest:
		data["resolvedImage"] = ref.Name()
	case name.Tag:
		d, err := resolver.Resolve(ctx, ref)
		if err != nil {
			return nil, err
		}
		data["resolvedImage"] = d.Name()
	}
	return data, nil
}

// identifier is the tag, the digest, or for references with a digest what
// stands between the last colon before the @ and the end: Kyverno takes the
// port of a registry for a tag there.
func identifier(reference string, ref name.Reference) string {
	id := ref.Identifier()
	before, _, pinned := strings.Cut(reference, "@")
	if colon := strings.LastIndexByte(before, ':'); pinned && colon >= 0 && strings.HasPrefix(id, "sha256:") {
		if tag := before[colon+1:]; tag != "" {
			return tag + "@" + id
		}
	}
	return id
}

func errNoImageData(ref name.Reference) error {
	return fmt.Errorf("manifest and configuration of %s are %w, which holds digests only: "+
		"set images.mode to LockedOrResolve or Resolve, with the registry's host in network.allow, "+
		"or use no more of the imageRegistry entry than image, resolvedImage, registry, repository and identifier",
		ref.Name(), digest.ErrMissing)
}

// NeedsManifest reports whether a JMESPath expression may read more of an
// imageRegistry context entry than Data gives without inspect. entry is the
// name of the context entry, or "" for the expression in the entry's own
// jmesPath, which starts at its value. It goes by the words of the expression
// and errs on the side of true.
func NeedsManifest(expression, entry string) bool {
	if entry == "" {
		if strings.Contains(expression, "manifest") || strings.Contains(expression, "configData") {
			return true
		}
		field, rest := word(strings.TrimSpace(expression))
		if rest = strings.TrimSpace(rest); isLight(field) && strings.HasPrefix(rest, "|") && !strings.HasPrefix(rest, "||") {
			return false // the rest sees that field alone
		}
		return expression == "" || strings.ContainsAny(expression, "@*$`")
	}
	for i := 0; i < len(expression); {
		w, _ := word(expression[i:])
		if w == "" {
			i++
			continue
		}
		before := strings.TrimRight(expression[:i], `" `)
		i += len(w)
		if w != entry || strings.HasSuffix(before, ".") && !strings.HasSuffix(before, "@.") && !strings.HasSuffix(before, "$.") {
			continue
		}
		below, ok := strings.CutPrefix(strings.TrimLeft(expression[i:], `" `), ".")
		if !ok {
			return true
		}
		if field, _ := word(strings.TrimLeft(below, `" `)); !isLight(field) {
			return true
		}
	}
	return false
}

// isLight reports whether a field of the entry needs the digest at most.
func isLight(field string) bool {
	switch field {
	case "image", "resolvedImage", "registry", "repository", "identifier":
		return true
	}
	return false
}

// word returns the identifier that s starts with.
func word(s string) (string, string) {
	i := 0
	for i < len(s) && (isAlnum(s[i]) || s[i] == '_') {
		i++
	}
	return s[:i], s[i:]
}
