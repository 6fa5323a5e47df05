package policy

import (
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// An Error is a fault in a policy or in its evaluation, with its place.
type Error struct {
	Policy   Ref
	Line     int             // in the policy's file; 0: the line of the document
	Rule     string          // empty: the policy as a whole
	Resource resource.ID     // zero while compiling
	At       resource.Origin // of the resource or of the field in it that matters; zero when unknown
	Path     fieldpath.Path  // of the policy while compiling, of the resource while applying
	Err      error           // what went wrong and what to do
}

// Error prints the place first, so that editors and CI link it:
//
//	team.yaml:14: ClusterPolicy/team rule "add-label" on shop/Deployment/web (web.yaml:3) at spec.template: variable "team" is not set
func (e *Error) Error() string {
	var b strings.Builder
	origin := e.Policy.Origin
	if e.Line > 0 {
		origin.Line = e.Line
	}
	if s := origin.String(); s != "" {
		b.WriteString(s + ": ")
	}
	b.WriteString(e.Policy.ID.String())
	if e.Rule != "" {
		b.WriteString(" rule \"" + e.Rule + "\"")
	}
	if e.Resource != (resource.ID{}) {
		b.WriteString(" on " + e.Resource.String())
		if s := e.At.String(); s != "" {
			b.WriteString(" (" + s + ")")
		}
	}
	if len(e.Path) > 0 {
		b.WriteString(" at " + e.Path.String())
	}
	if e.Policy.ID != (resource.ID{}) {
		b.WriteString(": ")
	}
	b.WriteString(e.Err.Error())
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// A FieldError is the cause of a Result's Err when it is about one field of the
// resource, so that its line can be found.
type FieldError struct {
	Path fieldpath.Path
	Err  error
}

func (e *FieldError) Error() string { return e.Path.String() + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *FieldError) Unwrap() error { return e.Err }
