package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"
)

// downloads is where the files of a release are published.
const downloads = "https://github.com/oneloop-dev/oneloop/releases/download/"

// A krewPlugin is what krew, the manager of kubectl's plugins, installs by:
// krew.googlecontainertools.github.com/v1alpha2.
type krewPlugin struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Metadata   map[string]string `json:"metadata"`
	Spec       krewSpec          `json:"spec"`
}

type krewSpec struct {
	Version          string         `json:"version"`
	Homepage         string         `json:"homepage"`
	ShortDescription string         `json:"shortDescription"`
	Description      string         `json:"description"`
	Platforms        []krewPlatform `json:"platforms"`
}

type krewPlatform struct {
	Selector krewSelector `json:"selector"`
	URI      string       `json:"uri"`
	SHA256   string       `json:"sha256"`
	Bin      string       `json:"bin"`
}

type krewSelector struct {
	MatchLabels map[string]string `json:"matchLabels"`
}

// writeKrew writes the manifest of a kubectl plugin for the archives, by
// GOOS/GOARCH.
func writeKrew(folder, version string, targets []string, archives map[string]string) error {
	plugin := krewPlugin{
		APIVersion: "krew.googlecontainertools.github.com/v1alpha2",
		Kind:       "Plugin",
		Metadata:   map[string]string{"name": "oneloop"},
		Spec: krewSpec{
			Version:          version,
			Homepage:         "https://github.com/oneloop-dev/oneloop",
			ShortDescription: "Apply mutation policies before you apply",
			Description: `Applies Kubernetes mutation policies to manifests before they reach a cluster:
Kyverno's, MutatingAdmissionPolicy and Gatekeeper's mutators. Shows which policy
changes which field.
`,
		},
	}
	for _, target := range targets {
		data, err := os.ReadFile(filepath.Join(folder, archives[target]))
		if err != nil {
			return err
		}
		goos, goarch, _ := strings.Cut(target, "/")
		bin := "oneloop"
		if goos == "windows" {
			bin += ".exe"
		}
		plugin.Spec.Platforms = append(plugin.Spec.Platforms, krewPlatform{
			Selector: krewSelector{map[string]string{"os": goos, "arch": goarch}},
			URI:      downloads + version + "/" + archives[target],
			SHA256:   fmt.Sprintf("%x", sha256.Sum256(data)),
			Bin:      bin,
		})
	}
	text, err := yaml.Marshal(plugin)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "oneloop.krew.yaml"), text, 0o644)
}
