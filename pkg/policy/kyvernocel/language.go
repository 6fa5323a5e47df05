package kyvernocel

import (
	_ "embed" // the manual
	"maps"
	"slices"

	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyvernocel/internal/spec"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

//go:embed doc.go
var source string

// Language evaluates the kinds of group policies.kyverno.io.
var Language = policy.Language{
	Name: "kyvernocel",
	Doc:  policy.Manual(source),
	Kinds: []string{
		"MutatingPolicy", "NamespacedMutatingPolicy", "GeneratingPolicy", "NamespacedGeneratingPolicy",
		"ImageValidatingPolicy", "NamespacedImageValidatingPolicy", "PolicyException",
	},
	Claims:  func(k resource.Kind) bool { return k.Group == spec.Group },
	Compile: compile,
	Vet:     vet,
	Functions: func() ([]policy.Function, error) {
		mutating, err := mutationEnvironment("")
		if err != nil {
			return nil, err
		}
		generating, err := generationEnvironment("")
		if err != nil {
			return nil, err
		}
		signatures := map[string][]string{}
		for _, f := range slices.Concat(mutating.Functions(), generating.Functions()) {
			signatures[f.Name] = f.Signatures
		}
		var out []policy.Function
		for _, name := range slices.Sorted(maps.Keys(signatures)) {
			out = append(out, policy.Function{Signatures: signatures[name]})
		}
		return out, nil
	},
}
