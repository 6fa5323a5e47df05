package policy

import (
	"errors"
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// A Finding is something that the author of a policy should know before the
// policy is applied to anything.
type Finding struct {
	Policy   Ref
	Line     int            // in the policy's file; 0: the line of the document
	Rule     string         // empty: the policy as a whole
	Path     fieldpath.Path // of the policy
	Check    Check
	Severity Severity
	Message  string // one fact, and what to do about it
	// Needs is what the policy asks the cluster for, as a user would declare it,
	// with the values left out; nil for other findings and for what is not
	// declared as a fact, such as digests.
	Needs *facts.Spec
	// Open tells that which fact it is depends on the resource, so that Needs
	// holds the text of the policy where a name has to stand.
	Open bool
	// Fix changes the values of the document so that the finding is gone and the
	// policy does the same; nil: that takes a person. What is fixed already it
	// leaves alone.
	Fix func(document map[string]any)
}

// A Check is the kind of a finding.
type Check string

// The checks.
const (
	Rejected    Check = "rejected"    // the policy is invalid: its own controller refuses it
	Unsupported Check = "unsupported" // it can't be evaluated at render time
	Broken      Check = "broken"      // it is accepted, and fails when it is evaluated
	Needed      Check = "fact"        // it asks for what a cluster would have known
	Deprecated  Check = "deprecated"  // there is a newer spelling
	Noted       Check = "notice"      // it does not do what it would do in a cluster
)

// A Severity tells how bad a finding is.
type Severity int

// The severities.
const (
	Note    Severity = iota // good to know
	Warning                 // works, and should be changed
	Fault                   // rendering with the policy fails, or its controller refuses it
)

// String returns note, warning or error.
func (s Severity) String() string {
	switch s {
	case Note:
		return "note"
	case Warning:
		return "warning"
	}
	return "error"
}

// Origin is the place of the finding.
func (f *Finding) Origin() resource.Origin {
	o := f.Policy.Origin
	if f.Line > 0 {
		o.Line = f.Line
	}
	return o
}

// Error returns the finding as an error, which prints its place.
func (f *Finding) Error() *Error {
	return &Error{Policy: f.Policy, Line: f.Line, Rule: f.Rule, Path: f.Path, Err: errors.New(f.Message)}
}

// Failing marks a fault that a policy's own controller does not look for: it
// accepts the policy, and fails when it comes to that place.
func Failing(err error) error { return &failing{err} }

type failing struct{ error }

func (f *failing) Unwrap() error { return f.error }

// FindingOf turns a fault that Compile returned into a finding.
func FindingOf(err error) Finding {
	f := Finding{Check: Rejected, Severity: Fault, Message: err.Error()}
	var e *Error
	if errors.As(err, &e) {
		f.Policy, f.Line, f.Rule, f.Path, f.Message = e.Policy, e.Line, e.Rule, e.Path, e.Err.Error()
	}
	var broken *failing
	if errors.As(err, &broken) {
		f.Check = Broken
	}
	if errors.Is(err, errors.ErrUnsupported) {
		f.Check = Unsupported
		f.Message = strings.TrimSuffix(f.Message, ": "+errors.ErrUnsupported.Error())
	}
	return f
}
