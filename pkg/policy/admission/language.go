package admission

import (
	_ "embed" // the manual

	"github.com/oneloop-dev/oneloop/pkg/expr/cel"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

//go:embed doc.go
var source string

// Language evaluates MutatingAdmissionPolicy and its bindings.
var Language = language("")

// language is Language as a version of Kubernetes has it, "" for the newest.
func language(version string) policy.Language {
	return policy.Language{
		Name:    "admission",
		Doc:     policy.Manual(source),
		Kinds:   []string{policyKind, bindingKind},
		Claims:  claims,
		Compile: func(docs []*resource.Resource) (policy.Set, error) { return compile(docs, version) },
		Vet:     vet,
		Functions: func() ([]policy.Function, error) {
			env, err := environment(environmentKey{version: version, params: true, mutations: true})
			if err != nil {
				return nil, err
			}
			var out []policy.Function
			for _, f := range env.Functions() {
				out = append(out, policy.Function{Signatures: f.Signatures})
			}
			return out, nil
		},
		ForVersion: func(version string) (policy.Language, error) {
			return language(version), cel.CheckVersion(version)
		},
	}
}

const (
	group       = "admissionregistration.k8s.io"
	policyKind  = "MutatingAdmissionPolicy"
	bindingKind = "MutatingAdmissionPolicyBinding"
)

func claims(k resource.Kind) bool {
	if k.Group != group {
		return false
	}
	switch k.Kind {
	case policyKind, bindingKind, "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding":
		return true
	}
	return false
}

// versions are those in which Kubernetes has had the kinds, newest first. Their
// fields are the same.
var versions = []string{"v1", "v1beta1", "v1alpha1"}
