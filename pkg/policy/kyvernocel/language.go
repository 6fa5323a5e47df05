package kyvernocel

import (
	_ "embed" // the manual

	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyvernocel/internal/spec"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

//go:embed doc.go
var source string

// Language evaluates the kinds of group policies.kyverno.io.
var Language = policy.Language{
	Name:    "kyvernocel",
	Doc:     policy.Manual(source),
	Claims:  func(k resource.Kind) bool { return k.Group == spec.Group },
	Compile: compile,
	Vet:     vet,
}
