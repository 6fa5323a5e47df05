package kyverno

import (
	_ "embed" // the manual

	"github.com/oneloop-dev/oneloop/pkg/expr/jmespath"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

//go:embed doc.go
var source string

// Language evaluates ClusterPolicy and Policy of group kyverno.io.
var Language = policy.Language{
	Name:    "kyverno",
	Doc:     policy.Manual(source),
	Kinds:   []string{"ClusterPolicy", "Policy"},
	Claims:  claims,
	Compile: compile,
	Vet:     vet,
	Functions: func() ([]policy.Function, error) {
		var out []policy.Function
		for _, f := range jmespath.Functions() {
			out = append(out, policy.Function{Signatures: []string{f.Signature}, Note: f.Note})
		}
		return out, nil
	},
}

func claims(k resource.Kind) bool {
	if k.Group != "kyverno.io" {
		return false
	}
	switch k.Kind {
	case "ClusterPolicy", "Policy", "PolicyException", "GlobalContextEntry", "CleanupPolicy", "ClusterCleanupPolicy":
		return true
	}
	return false
}
