package resource

import (
	"errors"

	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
)

var errTODO = errors.New("not built yet")

// A Resource is one manifest. It is safe for concurrent reads; Update must not
// run at the same time as anything else on the same resource.
type Resource struct {
	id     ID
	origin Origin
}

// Parse reads all documents of a file.
func Parse(file string, data []byte) ([]*Resource, error) { return nil, errTODO }

// ID returns the identity as it was read.
func (r *Resource) ID() ID { return r.id }

// Origin returns the place r was read from.
func (r *Resource) Origin() Origin { return r.origin }

// Object returns the JSON view.
func (r *Resource) Object() (Object, error) { return nil, errTODO }

// Update edits the YAML so that it says after.
func (r *Resource) Update(after Object) error { return errTODO }

// Line returns the line of the deepest existing ancestor of p.
func (r *Resource) Line(p fieldpath.Path) int { return 0 }

// Changed reports whether Update changed anything.
func (r *Resource) Changed() bool { return false }

// Annotation returns the value of an annotation, "" when it is not there.
func (r *Resource) Annotation(key string) string { return "" }

// LocalConfig reports whether r only exists on the client.
func (r *Resource) LocalConfig() bool { return false }

// AppendYAML appends the text of the document.
func (r *Resource) AppendYAML(dst []byte) ([]byte, error) { return dst, errTODO }

// New makes a resource from values.
func New(o Object) (*Resource, error) { return nil, errTODO }

// A Change is one field that differs. Before is nil for an added field, After
// is nil for a removed one.
type Change struct {
	Path          fieldpath.Path
	Before, After any
}

// Diff lists the fields that differ, in path order.
func Diff(before, after Object) []Change { return nil }

// ClusterScoped reports whether k is known to have no namespace.
func ClusterScoped(k Kind) bool { return false }
