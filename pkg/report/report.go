// Package report renders what a run did.
//
// A report format is a variable of type Format in a package below this one;
// package builtin lists them.
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
	Lines    []int             // of Changes, in the file of Origin; nil when nobody asked
	// Targets are the other resources that the rule changed or generated
	// because of Resource, their trigger, in the order in which it did.
	Targets []Target
	Err     error // nil unless Outcome is Denied or Failed
	Ignored error // that the policy itself says does not count; nil: none
}

// Effects says in a line each what the rule changed and generated, such as
// "shop/Deployment/web: spec.replicas: 2 -> 3".
func (e Entry) Effects() []string {
	var out []string
	for _, c := range e.Changes {
		out = append(out, e.Resource.String()+": "+c.String())
	}
	for _, t := range e.Targets {
		if t.Generated {
			out = append(out, t.Resource.String()+": generated")
			continue
		}
		for _, c := range t.Changes {
			out = append(out, t.Resource.String()+": "+c.String())
		}
	}
	return out
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
	Lines     bool // it shows the Lines of entries
	Write     func(w io.Writer, entries []Entry) error
}
