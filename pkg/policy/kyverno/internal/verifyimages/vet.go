package verifyimages

import (
	"errors"
	"fmt"

	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/spec"
)

// Asks names the field by which an entry of verifyImages asks for signatures, ""
// when it asks for none.
func Asks(v *spec.ImageVerification) string { return signed(v) }

// Unsupported returns what no image can be verified by at render time in the
// i-th entry of verifyImages, and where it stands below the rule: an entry with
// such attestors alone fails on all images that it selects.
func Unsupported(i int, v *spec.ImageVerification) []Fault {
	at := fieldpath.Path{}.Key("verifyImages").Index(i)
	switch signed(v) {
	case "":
		return nil
	case "attestations":
		return []Fault{{at.Key("attestations"), fmt.Errorf("attestations can't be verified at render time: %w", errors.ErrUnsupported)}}
	}
	var out []Fault
	var add func(s set)
	add = func(s set) {
		for _, m := range s.members {
			switch {
			case m.set != nil:
				add(*m.set)
			case errors.Is(m.err, errors.ErrUnsupported):
				out = append(out, Fault{m.at, m.err})
			}
		}
	}
	for _, s := range compileSets(i, v, nil) {
		add(s)
	}
	return out
}
