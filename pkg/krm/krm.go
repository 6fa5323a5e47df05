// Package krm speaks the KRM functions protocol
// (https://github.com/kubernetes-sigs/kustomize/blob/master/cmd/config/docs/api-conventions/functions-spec.md):
// a ResourceList in, a ResourceList out.
//
// What goes out is, byte for byte, what a function built on kyaml writes, but
// items are read and written one by one and in parallel, which takes a small
// part of the time and memory.
package krm

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// A ResourceList is the input and output of a function.
type ResourceList struct {
	APIVersion     string
	Items          []*resource.Resource
	FunctionConfig *resource.Resource // nil if there is none

	functionConfig section // as it is written back
	results        section // of the input; written back unless there are new ones
}

// versions lists the API versions of ResourceList, newest first.
var versions = []string{"config.kubernetes.io/v1", "config.kubernetes.io/v1beta1", "config.kubernetes.io/v1alpha1"}

// Read reads a ResourceList from YAML or JSON. Items must have apiVersion and
// kind. Keys of the list that the protocol does not know are dropped.
//
// An item's Origin is the file its runner names: the path in
// config.kubernetes.io/origin, which kustomize writes if it is told to;
// otherwise internal.config.kubernetes.io/path or config.kubernetes.io/path,
// unless the item has a kustomize.config.k8s.io/id. Kustomize gives each item
// that a function returns an invented path (deployment_web.yaml), so what its
// later functions see is no file. An item without a file has no Origin: lines
// of the stream mean nothing to those who did not write it.
func Read(data []byte) (*ResourceList, error) {
	text, err := resource.Text("-", data)
	if err != nil {
		return nil, err
	}
	if strings.TrimSpace(text) == "" {
		return nil, fmt.Errorf("standard input is empty: expected a ResourceList (apiVersion: %s) from kustomize, kpt or another runner of KRM functions", versions[0])
	}
	list, err := readSplit(text)
	if errors.Is(err, errUnusual) {
		list, err = readWhole(text) // which also tells what is wrong
	}
	if err != nil {
		return nil, err
	}
	for i, item := range list.Items {
		if k := item.ID().Kind; k.Version == "" || k.Kind == "" {
			missing := "apiVersion"
			if k.Kind == "" {
				missing = "kind"
			}
			return nil, fmt.Errorf("%s: items[%d]: expected a Kubernetes manifest, but %s is missing", item.Origin(), i, missing)
		}
		item.SetOrigin(resource.Origin{File: sourceFile(item)})
	}
	if fc := list.FunctionConfig; fc != nil {
		file := sourceFile(fc)
		if file == "" {
			file = "functionConfig"
		}
		fc.SetOrigin(resource.Origin{File: file})
	}
	return list, nil
}

// sourceFile returns the file that an item was read from, "" when the runner
// does not tell.
func sourceFile(r *resource.Resource) string {
	for line := range strings.Lines(r.Annotation("config.kubernetes.io/origin")) {
		if path, ok := strings.CutPrefix(line, "path: "); ok {
			return strings.Trim(strings.TrimSpace(path), `"'`)
		}
	}
	if r.Annotation("kustomize.config.k8s.io/id") != "" {
		return ""
	}
	if path := r.Annotation("internal.config.kubernetes.io/path"); path != "" {
		return path
	}
	return r.Annotation("config.kubernetes.io/path")
}

// checkWrapper checks apiVersion and kind of what should be a ResourceList.
func checkWrapper(apiVersion, kind string) error {
	if kind == "ResourceList" && slices.Contains(versions, apiVersion) {
		return nil
	}
	found := strings.TrimPrefix(apiVersion+" "+kind, " ")
	if found == "" {
		found = "a document without apiVersion and kind"
	}
	return fmt.Errorf("standard input: expected a ResourceList of %s, found %s", strings.Join(versions, " or "), found)
}
