// Package report renders what a run did.
//
// A report format is a package below this one that declares one variable of
// type Format; package builtin lists them.
package report

import (
	"io"

	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// An Entry is one rule applied to one resource.
type Entry struct {
	Policy   policy.Ref
	Rule     string
	Resource resource.ID     // zero for a notice about the policy itself
	Origin   resource.Origin // of the resource
	Outcome  policy.Outcome
	Message  string
	Changes  []resource.Change // what the rule changed, in path order
	// Targets are the other resources that the rule changed or generated
	// because of Resource, their trigger, in the order in which it did.
	Targets []Target
	Err     error // nil unless Outcome is Denied or Failed
}

// A Target is a resource that a rule changed or generated because of another
// one, the trigger.
type Target struct {
	Resource resource.ID
	Origin   resource.Origin // zero for a generated resource
	// Generated is set when the rule made the resource. Its Changes then are
	// one, of the whole resource.
	Generated bool
	Changes   []resource.Change
}

// A Format writes a report. Entries come in input order: by resource, then in
// the order in which the rules ran.
type Format struct {
	Name, Doc string
	Write     func(w io.Writer, entries []Entry) error
}
