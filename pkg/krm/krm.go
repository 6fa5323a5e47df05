// Package krm speaks the KRM functions protocol: a ResourceList in, a
// ResourceList out.
package krm

import (
	"errors"
	"io"

	"github.com/oneloop-dev/oneloop/pkg/resource"
)

var errTODO = errors.New("not built yet")

// A ResourceList is the input and output of a function.
type ResourceList struct {
	APIVersion     string
	Items          []*resource.Resource
	FunctionConfig *resource.Resource // nil if there is none
}

// A Result is one finding of a function.
type Result struct {
	Message     string            `json:"message"`
	Severity    string            `json:"severity,omitempty"` // error, warning or info
	ResourceRef *ResourceRef      `json:"resourceRef,omitempty"`
	Field       *Field            `json:"field,omitempty"`
	File        *File             `json:"file,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
}

// A ResourceRef names the resource a result is about.
type ResourceRef struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace,omitempty"`
	Name       string `json:"name"`
}

// A Field is the place a result is about, with plain JSON values.
type Field struct {
	Path          string `json:"path"`
	CurrentValue  any    `json:"currentValue,omitempty"`
	ProposedValue any    `json:"proposedValue,omitempty"`
}

// A File is the file a resource was read from.
type File struct {
	Path  string `json:"path"`
	Index int    `json:"index,omitempty"`
}

// Read reads a ResourceList.
func Read(data []byte) (*ResourceList, error) { return nil, errTODO }

// Write writes the list with results.
func (l *ResourceList) Write(w io.Writer, results []Result) error { return errTODO }
