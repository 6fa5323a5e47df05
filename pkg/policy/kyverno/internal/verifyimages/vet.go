package verifyimages

import "github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/spec"

// Signed names the field by which an entry of verifyImages asks for signatures,
// "" when it asks for none. Check fails on images of such an entry.
func Signed(v *spec.ImageVerification) string { return signed(v) }
