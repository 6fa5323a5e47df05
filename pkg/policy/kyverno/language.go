package kyverno

import (
	_ "embed"
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

//go:embed doc.go
var source string

// Language evaluates ClusterPolicy and Policy of group kyverno.io.
var Language = policy.Language{
	Name:    "kyverno",
	Doc:     manual(source),
	Claims:  claims,
	Compile: compile,
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

// manual takes the package comment out of the source of doc.go.
func manual(source string) string {
	var b strings.Builder
	for line := range strings.Lines(source) {
		text, ok := strings.CutPrefix(line, "//")
		if !ok {
			break
		}
		b.WriteString(strings.TrimPrefix(text, " "))
	}
	title, rest, _ := strings.Cut(strings.TrimPrefix(b.String(), "Package kyverno evaluates "), "\n")
	return strings.TrimSuffix(title, ".") + "\n" + rest
}
