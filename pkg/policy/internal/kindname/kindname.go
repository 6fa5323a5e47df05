// Package kindname reads the names of kinds, as Kyverno's policies and its
// configuration write them.
package kindname

import (
	"fmt"
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/resource"
	"github.com/oneloop-dev/oneloop/pkg/wildcard"
)

// A Selector selects kinds; each part may have wildcards.
type Selector struct{ Group, Version, Kind, Subresource string }

// Parse reads the forms in which kinds are named:
//
//	Kind                    Pod
//	version/Kind            v1/Pod
//	group/version/Kind      apps/*/Deployment
//	Kind/subresource        Pod/exec, also with version or group and version
//	Kind.subresource        Pod.exec, likewise
//	*/subresource           */scale
//	*/*                     everything, subresources included
func Parse(s string) (Selector, error) {
	i := strings.LastIndexByte(s, '/') + 1
	parts := strings.Split(s[i:], ".")
	if i > 0 {
		parts = append(strings.Split(s[:i-1], "/"), parts...)
	}
	switch len(parts) {
	case 1:
		return Selector{"*", "*", parts[0], ""}, nil
	case 2:
		switch {
		case parts[0] == "*" && parts[1] == "*":
			return Selector{"*", "*", "*", "*"}, nil
		case parts[0] == "*" && strings.ToLower(parts[1]) == parts[1]:
			return Selector{"*", "*", "*", parts[1]}, nil
		case isVersion(parts[0]):
			return Selector{"*", parts[0], parts[1], ""}, nil
		}
		return Selector{"*", "*", parts[0], parts[1]}, nil
	case 3:
		if isVersion(parts[0]) {
			return Selector{"*", parts[0], parts[1], parts[2]}, nil
		}
		return Selector{parts[0], parts[1], parts[2], ""}, nil
	case 4:
		return Selector{parts[0], parts[1], parts[2], parts[3]}, nil
	}
	return Selector{}, fmt.Errorf("%q has too many parts; expected Kind, version/Kind or group/version/Kind, each maybe with /subresource", s)
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

// Selects reports whether s selects objects of a kind, or subresources of them.
func (s *Selector) Selects(kind resource.Kind) bool {
	return wildcard.Match(s.Kind, kind.Kind) &&
		(s.Group == "*" || wildcard.Match(s.Group, kind.Group)) &&
		(s.Version == "*" || wildcard.Match(s.Version, kind.Version))
}

// SelectsRequest reports whether s selects requests about a subresource of a kind;
// a wildcard may stand for it, and "" is the object itself.
func (s *Selector) SelectsRequest(kind resource.Kind, subresource string) bool {
	return s.Selects(kind) && wildcard.Match(s.Subresource, subresource)
}
