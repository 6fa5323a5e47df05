package gatekeeper

import (
	_ "embed" // the manual
	"slices"

	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

//go:embed doc.go
var source string

// Language evaluates Gatekeeper's mutators.
var Language = policy.Language{
	Name:    "gatekeeper",
	Doc:     policy.Manual(source),
	Kinds:   []string{"Assign", "AssignMetadata", "AssignImage", "ModifySet"},
	Claims:  func(k resource.Kind) bool { return slices.Contains(groups, k.Group) },
	Compile: compile,
	Vet:     vet,
}

const (
	mutations    = "mutations.gatekeeper.sh"
	configuring  = "config.gatekeeper.sh"
	externalData = "externaldata.gatekeeper.sh"
)

// groups are those whose objects configure Gatekeeper, and which it changes
// nothing in itself.
var groups = []string{
	mutations, configuring, externalData,
	"templates.gatekeeper.sh", "constraints.gatekeeper.sh", "expansion.gatekeeper.sh",
}

// versions are those of each kind of mutator, newest first. Their fields are the
// same.
var versions = map[string][]string{
	"Assign":         {"v1", "v1beta1", "v1alpha1"},
	"AssignMetadata": {"v1", "v1beta1", "v1alpha1"},
	"ModifySet":      {"v1", "v1beta1", "v1alpha1"},
	"AssignImage":    {"v1alpha1"},
}
