// Package image reads image references and finds them in objects, with the
// words and the defaults of Kyverno 1.19.
package image

import (
	"errors"
	"fmt"
	"strings"
)

// DefaultRegistry is the registry of references that name none.
const DefaultRegistry = "docker.io"

// A Reference is an image reference taken apart as in Kyverno's `images`
// variable: without a registry it is one of docker.io, without tag and digest
// its tag is latest, and "library" is not added to a path.
type Reference struct {
	Registry string // host, with its port: docker.io, localhost:5000
	Name     string // the last part of the path: app
	Path     string // team/app
	Tag      string // "" when there is a digest and no tag
	Digest   string // sha256:..., or ""

	// Full is the reference in full: registry/path@digest, or
	// registry/path:tag when there is no digest.
	Full string
	// FullWithTag is registry/path:tag, also when the tag is empty.
	FullWithTag string
}

// String returns registry/path@digest, or registry/path:tag when there is no
// digest: what Kyverno compares with imageReferences.
func (r Reference) String() string { return r.Full }

// Parse reads an image reference with the grammar of the distribution project.
func Parse(s string) (Reference, error) {
	r, err := parse(s)
	if err != nil {
		return Reference{}, fmt.Errorf("image reference %q: %w", s, err)
	}
	return r, nil
}

func parse(s string) (Reference, error) {
	if s == "" {
		return Reference{}, errors.New("it is empty: expected [registry/]path[:tag][@digest]")
	}
	if first, _, ok := strings.Cut(s, "/"); !ok || !strings.ContainsAny(first, ".:") && first != "localhost" && strings.ToLower(first) == first {
		s = DefaultRegistry + "/" + s
	}
	var r Reference
	rest, digest, hasDigest := strings.Cut(s, "@")
	if hasDigest {
		if err := checkDigest(digest); err != nil {
			return Reference{}, err
		}
		r.Digest = digest
	}
	if colon := strings.LastIndexByte(rest, ':'); colon > strings.LastIndexByte(rest, '/') {
		r.Tag = rest[colon+1:]
		rest = rest[:colon]
		if !isTag(r.Tag) {
			return Reference{}, fmt.Errorf("tag %q: expected up to 128 letters, digits, underscores, dots and dashes, not starting with a dot or dash", r.Tag)
		}
	}
	if domain, path, ok := strings.Cut(rest, "/"); ok && isDomain(domain) && isPath(path) {
		r.Registry, r.Path = domain, path
	} else if isPath(rest) {
		r.Path = rest
	} else {
		if lower := strings.ToLower(rest); lower != rest {
			if _, path, _ := strings.Cut(lower, "/"); isPath(path) || isPath(lower) {
				return Reference{}, fmt.Errorf("repository %q: expected lower case", rest)
			}
		}
		return Reference{}, fmt.Errorf("repository %q: expected lower-case letters, digits and separators (. _ - /)", rest)
	}
	if len(r.Path) > 255 {
		return Reference{}, fmt.Errorf("the repository has %d characters: expected at most 255", len(r.Path))
	}
	if r.Tag == "" && r.Digest == "" {
		r.Tag = "latest"
	}
	r.Name = r.Path[strings.LastIndexByte(r.Path, '/')+1:]
	full := r.Path
	if r.Registry != "" {
		full = r.Registry + "/" + r.Path
	}
	r.FullWithTag = full + ":" + r.Tag
	r.Full = r.FullWithTag
	if r.Digest != "" {
		r.Full = full + "@" + r.Digest
	}
	// Kyverno takes a first part that is no domain because of an underscore for
	// the registry all the same, once the rest is settled.
	if r.Registry == "" {
		if first, path, ok := strings.Cut(r.Path, "/"); ok && strings.Contains(first, "_") {
			r.Registry, r.Path = first, path
		}
	}
	return r, nil
}

func checkDigest(s string) error {
	algorithm, hex, _ := strings.Cut(s, ":")
	n, ok := map[string]int{"sha256": 64, "sha384": 96, "sha512": 128}[algorithm]
	if !ok {
		return fmt.Errorf("digest %q: expected sha256: and 64 hexadecimal digits", s)
	}
	if len(hex) != n || strings.Trim(hex, "0123456789abcdef") != "" {
		return fmt.Errorf("digest %q: expected %d lower-case hexadecimal digits", s, n)
	}
	return nil
}

func isLower(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' }
func isAlnum(c byte) bool { return isLower(c) || 'A' <= c && c <= 'Z' }

func isTag(s string) bool {
	if s == "" || len(s) > 128 || s[0] == '.' || s[0] == '-' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !isAlnum(c) && c != '_' && c != '.' && c != '-' {
			return false
		}
	}
	return true
}

// isDomain accepts host or host:port; a host is an IPv6 address in brackets or
// dot-separated parts of letters, digits and inner dashes.
func isDomain(s string) bool {
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 2 || strings.Trim(s[1:end], "0123456789abcdefABCDEF:") != "" {
			return false
		}
		return s[end+1:] == "" || s[end+1] == ':' && isPort(s[end+2:])
	}
	host, port, hasPort := strings.Cut(s, ":")
	if hasPort && !isPort(port) {
		return false
	}
	for part := range strings.SplitSeq(host, ".") {
		if part == "" || part[0] == '-' || part[len(part)-1] == '-' {
			return false
		}
		for i := range len(part) {
			if !isAlnum(part[i]) && part[i] != '-' {
				return false
			}
		}
	}
	return true
}

func isPort(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// isPath accepts slash-separated parts of lower-case letters and digits, with
// one dot, one or two underscores, or any number of dashes between them.
func isPath(s string) bool {
	for part := range strings.SplitSeq(s, "/") {
		if part == "" || !isLower(part[0]) || !isLower(part[len(part)-1]) {
			return false
		}
		for i := 0; i < len(part); {
			if isLower(part[i]) {
				i++
				continue
			}
			start := i
			for i < len(part) && !isLower(part[i]) {
				i++
			}
			if sep := part[start:i]; sep != "." && sep != "_" && sep != "__" && strings.Trim(sep, "-") != "" {
				return false
			}
		}
	}
	return true
}
