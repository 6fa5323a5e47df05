package match

import (
	"fmt"
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/resource"
	"github.com/oneloop-dev/oneloop/pkg/wildcard"
)

// A kindSelector selects kinds; each part may have wildcards.
type kindSelector struct{ group, version, kind, subresource string }

// Kinds compiles one name of kinds, in the forms that match blocks have. The
// subresource is what the name asks for, "" for the objects themselves.
func Kinds(name string) (wanted func(resource.Kind) bool, subresource string, err error) {
	k, err := parseKindSelector(name)
	if err != nil {
		return nil, "", err
	}
	return k.selects, k.subresource, nil
}

// Requests compiles one name of kinds as Kinds does, for requests of which the
// subresource is known; a wildcard in the name may stand for it.
func Requests(name string) (func(k resource.Kind, subresource string) bool, error) {
	s, err := parseKindSelector(name)
	if err != nil {
		return nil, err
	}
	return func(k resource.Kind, subresource string) bool {
		return s.selects(k) && wildcard.Match(s.subresource, subresource)
	}, nil
}

// parseKindSelector reads the forms in which policies name kinds:
//
//	Kind                    Pod
//	version/Kind            v1/Pod
//	group/version/Kind      apps/*/Deployment
//	Kind/subresource        Pod/exec, also with version or group and version
//	Kind.subresource        Pod.exec, likewise
//	*/subresource           */scale
//	*/*                     everything, subresources included
func parseKindSelector(s string) (kindSelector, error) {
	i := strings.LastIndexByte(s, '/') + 1
	parts := strings.Split(s[i:], ".")
	if i > 0 {
		parts = append(strings.Split(s[:i-1], "/"), parts...)
	}
	switch len(parts) {
	case 1:
		return kindSelector{"*", "*", parts[0], ""}, nil
	case 2:
		switch {
		case parts[0] == "*" && parts[1] == "*":
			return kindSelector{"*", "*", "*", "*"}, nil
		case parts[0] == "*" && strings.ToLower(parts[1]) == parts[1]:
			return kindSelector{"*", "*", "*", parts[1]}, nil
		case isVersion(parts[0]):
			return kindSelector{"*", parts[0], parts[1], ""}, nil
		}
		return kindSelector{"*", "*", parts[0], parts[1]}, nil
	case 3:
		if isVersion(parts[0]) {
			return kindSelector{"*", parts[0], parts[1], parts[2]}, nil
		}
		return kindSelector{parts[0], parts[1], parts[2], ""}, nil
	case 4:
		return kindSelector{parts[0], parts[1], parts[2], parts[3]}, nil
	}
	return kindSelector{}, fmt.Errorf("%q has too many parts; expected Kind, version/Kind or group/version/Kind, each maybe with /subresource", s)
}

// isVersion reports whether s is * or a version that Kyverno recognizes as
// one: v1, v2beta1, but not v10.
func isVersion(s string) bool {
	if s == "*" {
		return true
	}
	if len(s) < 2 || s[0] != 'v' || !isDigit(s[1]) {
		return false
	}
	rest, stage := strings.CutPrefix(s[2:], "alpha")
	if !stage {
		rest, stage = strings.CutPrefix(rest, "beta")
	}
	if !stage {
		return rest == ""
	}
	return len(rest) == 1 && isDigit(rest[0])
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func (k *kindSelector) selects(kind resource.Kind) bool {
	return wildcard.Match(k.kind, kind.Kind) &&
		(k.group == "*" || wildcard.Match(k.group, kind.Group)) &&
		(k.version == "*" || wildcard.Match(k.version, kind.Version))
}

func selectsKind(selectors []kindSelector, kind resource.Kind) bool {
	for i := range selectors {
		if selectors[i].selects(kind) {
			return true
		}
	}
	return false
}

func matchesKind(selectors []kindSelector, kind resource.Kind, subresource string) bool {
	for i := range selectors {
		k := &selectors[i]
		if !k.selects(kind) {
			continue
		}
		if wildcard.Match(k.subresource, subresource) {
			return true
		}
		// Kyverno counts ephemeral containers as part of the pod.
		if subresource == "ephemeralcontainers" && kind == (resource.Kind{Version: "v1", Kind: "Pod"}) {
			return true
		}
	}
	return false
}
