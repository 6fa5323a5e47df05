package gatekeeper

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"

	"github.com/oneloop-dev/oneloop/pkg/jsonvalue"
)

// An imageParts sets parts of an image reference; "" leaves one as it is.
type imageParts struct{ domain, path, tag string }

func (p imageParts) field(old any, exists bool, _ *admission) (any, bool, error) {
	text, ok := old.(string)
	if exists && !ok {
		return nil, false, fmt.Errorf("expected the text of an image reference, found %s", jsonvalue.Describe(old))
	}
	was := splitImage(text)
	keep := func(part *string, was string) {
		if *part == "" {
			*part = was
		}
	}
	keep(&p.domain, was.domain)
	keep(&p.path, was.path)
	keep(&p.tag, was.tag)
	if p.domain != "" {
		p.domain += "/"
	}
	return p.domain + p.path + p.tag, true, nil
}

// splitImage takes a reference apart. A domain has a dot or a port, or is
// localhost; a tag is from the first : or @, which it keeps.
func splitImage(text string) imageParts {
	var p imageParts
	if first, rest, ok := strings.Cut(text, "/"); ok && (first == "localhost" || strings.ContainsAny(first, ".:")) {
		p.domain, text = first, rest
	}
	p.path = text
	if i := strings.IndexAny(text, ":@"); i >= 0 {
		p.path, p.tag = text[:i], text[i:]
	}
	return p
}

// The forms of parts that Gatekeeper accepts, so that setting them twice is no
// different from setting them once.
var imageForms = sync.OnceValue(func() (forms struct{ domain, path, tag *regexp.Regexp }) {
	forms.domain = regexp.MustCompile(`^(localhost|\w[\w-]*\.[\w.-]*\w)(:\d+)?$`)
	forms.path = regexp.MustCompile(`^[a-z0-9]+((__|[._/]|-*)[a-z0-9]+)*$`)
	forms.tag = regexp.MustCompile(`^(:\w[\w.-]{0,127}|@[A-Za-z][A-Za-z0-9]*([-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9A-Fa-f]{32,})$`)
	return forms
})

// check returns the name of the field that is wrong, "" for all of them.
func (p imageParts) check() (field string, err error) {
	forms := imageForms()
	switch {
	case p == imageParts{}:
		return "", errors.New("expected assignDomain, assignPath or assignTag, or several of them")
	case p.domain != "" && !forms.domain.MatchString(p.domain):
		return "assignDomain", fmt.Errorf("expected a domain with a dot, such as registry.example.com:5000, or localhost; found %q", p.domain)
	case p.path != "" && !forms.path.MatchString(p.path):
		return "assignPath", fmt.Errorf("expected a path such as team/app, in lower case; found %q", p.path)
	case p.tag != "" && !forms.tag.MatchString(p.tag):
		return "assignTag", fmt.Errorf("expected a tag with its colon, such as :v1.2, or a digest, such as @sha256:...; found %q", p.tag)
	case p.domain == "" && splitImage(p.path).domain != "":
		return "assignPath", fmt.Errorf("%q begins like a domain, which Gatekeeper would set again and again; write that part as assignDomain", p.path)
	}
	return "", nil
}
