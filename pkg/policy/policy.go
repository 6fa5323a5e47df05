// Package policy defines the interface between a policy language and the
// pipeline that applies it.
//
// A language turns policy documents into programs once; a program is a pure
// function from the JSON view of one resource, and what is known about the
// world around it, to the results of its rules. Programs open no files,
// sockets or clusters.
package policy

import (
	"context"
	"slices"
	"time"

	"github.com/oneloop-dev/oneloop/pkg/digest"
	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// A Language is one family of policy kinds, such as Kyverno's ClusterPolicy.
// Each language is a package that declares one variable of this type.
type Language struct {
	// Name is the word used in flags, reports and folder names.
	Name string
	// Doc is the manual; its title comes before the first blank line.
	Doc string
	// Kinds are the policies of the language, by which people look for its manual.
	Kinds []string
	// Claims reports whether documents of kind k belong to the language.
	Claims func(k resource.Kind) bool
	// Compile turns all documents of those kinds into a Set. It sees all of
	// them because policies refer to each other: bindings, exceptions,
	// parameters. The error joins every fault of every document, each an
	// *Error; what is understood but cannot be evaluated at render time wraps
	// errors.ErrUnsupported.
	Compile func(docs []*resource.Resource) (Set, error)
	// Vet returns what Compile has no reason to complain about: the facts that
	// documents ask for, deprecated spellings, what their own controller would
	// refuse. It may be nil. A document with faults may be left out.
	Vet func(docs []*resource.Resource) []Finding
	// Functions lists what the expressions of the language may call, for the
	// manual; nil when it has no expressions.
	Functions func() ([]Function, error)
	// ForVersion returns the language as a version of Kubernetes has it, such as
	// "1.34"; "" is the newest. It is nil when the version changes nothing.
	ForVersion func(kubernetes string) (Language, error)
}

// A Function is one that expressions may call.
type Function struct {
	Signatures []string // the forms it has, such as "round(number) number"
	Note       string   // one line; may be empty
}

// A Set is what the documents of one language compile to.
type Set struct {
	// Programs stand in the order in which they must run.
	Programs []Program
	// Checks change nothing and may refuse a resource. They run after the
	// programs of all languages.
	Checks []Program
	// Generate and MutateExisting act on other resources than those that they
	// match. They run after all programs, in this order.
	Generate, MutateExisting []Background
	// Notices tell what is knowingly not evaluated because it changes no
	// manifest, such as validate rules.
	Notices []Notice
}

// Admission returns what runs when a resource is admitted, in order: the
// Programs, then the Checks.
func (s Set) Admission() []Program { return slices.Concat(s.Programs, s.Checks) }

// Policies names the policies that may change or generate something, each once, in
// the order in which they run.
func (s Set) Policies() []Ref {
	var out []Ref
	add := func(refs ...Ref) {
		for _, ref := range refs {
			if !slices.Contains(out, ref) {
				out = append(out, ref)
			}
		}
	}
	for _, p := range s.Programs {
		if several, ok := p.(Several); ok {
			add(several.Parts()...)
		} else {
			add(p.Policy())
		}
	}
	for _, p := range slices.Concat(s.Generate, s.MutateExisting) {
		add(p.Policy())
	}
	return out
}

// A Notice is something a policy's author should know; it is not a fault.
type Notice struct {
	Policy  Ref
	Message string
}

// A Ref names a policy document and where it stands.
type Ref struct {
	ID     resource.ID
	Origin resource.Origin
	// Severity is the policy's own word for it (low, medium, high, critical,
	// info), "" when it has none. Category likewise.
	Severity, Category string
}

// Key is what reports call the policy: its name, with the namespace in front
// when the kind of policy belongs to one.
func (r Ref) Key() string {
	if r.ID.Namespace != "" && !resource.ClusterScoped(r.ID.Kind) {
		return r.ID.Namespace + "/" + r.ID.Name
	}
	return r.ID.Name
}

// A Program is a compiled policy, or several that a cluster applies as one. It
// is immutable, and one Program may serve many goroutines.
type Program interface {
	// Policy names the document that the program came from, or the first of
	// several.
	Policy() Ref
	// Selects reports whether the program may act on resources of kind k. It
	// may say yes too often, never no.
	Selects(k resource.Kind) bool
	// Apply runs the rules in order and returns one Result per rule that
	// matched. It never modifies in.Object. The error is for what stops the
	// whole run, such as a cancelled ctx; a rule that fails is a Result.
	Apply(ctx context.Context, in Input) ([]Result, error)
}

// Unordered is a Program that its controller may run before its peers as well as
// after them: what it runs for a request comes in an order that nothing settles.
// A run takes them in the order given.
type Unordered interface {
	Program
	// Peers names the group, the same for all its programs, which stand side by
	// side in a Set.
	Peers() string
}

// Several is a Program that runs policies whose order nothing settles, one after
// another. Its results say by Result.Policy which of them they come from.
type Several interface {
	Program
	// Parts names the policies, in order.
	Parts() []Ref
	// InOrder returns the program with its policies in another order: as many
	// indexes of Parts.
	InOrder(order []int) Program
}

// An Input is one resource together with what a rule may ask about the world
// around it.
type Input struct {
	ID     resource.ID
	Object resource.Object // read-only
	// Requested is the object before any program changed it, which some
	// languages let rules see; nil: Object.
	Requested resource.Object
	// Facts is what a cluster would have known: other resources of the stream
	// (as read, not as mutated) and what the user declared. Never nil.
	Facts *facts.Facts
	// Digests resolves image references. Never nil: a run without a source of
	// digests has a resolver that says what to give.
	Digests digest.Resolver
	// Now is the clock, frozen for the run so that output is reproducible. It
	// is nil when the user set none: then a rule that asks for the time fails.
	Now func() time.Time
	// Operation is what the request does, such as UPDATE; "" is what Facts
	// declare.
	Operation string
	// Old is the object before an UPDATE; nil when nobody knows it.
	Old resource.Object
}

// A Background program acts on other resources than the one it matched, its
// trigger: it changes or generates them. In a cluster a controller does so when
// the trigger is there; here it is done when all programs have run on all
// resources, one trigger after another.
type Background interface {
	// Policy and Selects are those of Program.
	Policy() Ref
	Selects(k resource.Kind) bool
	// React runs the rules that in.Object triggers, in order, and returns one
	// Result per rule that matched. What a rule does goes through w at once,
	// so that the next rule sees it; the Result lists it under Targets. The
	// error is for what stops the whole run.
	React(ctx context.Context, in Input, w World) ([]Result, error)
}

// A World is all resources of a run, as they are at the moment.
type World interface {
	// Resources lists the resources of the wanted kinds in stream order.
	Resources(wanted func(resource.Kind) bool) ([]resource.Object, error)
	// Update stores o in place of the resource with its identity, and returns
	// what admission made of it.
	Update(ctx context.Context, o resource.Object) (Target, error)
	// Generate adds o after the trigger. When the resource is there already, it
	// is replaced, or left alone without replace.
	Generate(ctx context.Context, o resource.Object, replace bool) (Target, error)
	// Background reports whether a Background program made or changed the
	// trigger, so that only rules that ask for it run.
	Background() bool
	// ControllerLabels reports whether generated resources get the labels that
	// a controller needs to find them again.
	ControllerLabels() bool
}

// A Target is a resource that a rule changed or generated because of another
// one.
type Target struct {
	ID     resource.ID
	Before resource.Object // nil when the rule generated the resource
	After  resource.Object // Before when nothing changed
}

// An Outcome is how one rule ended on one resource.
type Outcome int

// The outcomes, and the result each one has in reports.
const (
	Mutated   Outcome = iota // pass: the rule changed the resource
	Passed                   // pass: the rule holds and changed nothing
	Applied                  // pass: the rule changed or generated other resources
	Unchanged                // skip: the rule matched and changed nothing
	Skipped                  // skip: preconditions, an exception or an empty list
	Denied                   // fail: admission would have refused the resource
	Failed                   // error: the rule could not be evaluated
	Noticed                  // warn: knowingly not evaluated
)

// Status returns the word that reports use: pass, fail, warn, error or skip.
func (o Outcome) Status() string {
	switch o {
	case Mutated, Passed, Applied:
		return "pass"
	case Unchanged, Skipped:
		return "skip"
	case Denied:
		return "fail"
	case Noticed:
		return "warn"
	}
	return "error"
}

// A Result is what one rule did to one resource.
type Result struct {
	// Policy is the policy of the rule, when the program came from several; nil:
	// that of the program.
	Policy  *Ref
	Rule    string
	Outcome Outcome
	Message string
	Object  resource.Object // after the rule; nil unless Outcome is Mutated
	Targets []Target        // of a Background program; also those that did not change
	Err     error           // nil unless Outcome is Denied or Failed
	// Ignored is an error that the policy itself says does not count, as with
	// failurePolicy: Ignore, so that what failed was left out; nil: none. It says why.
	Ignored error
}

// Of returns the policy of the rule, given that of the program.
func (r *Result) Of(program Ref) Ref {
	if r.Policy != nil {
		return *r.Policy
	}
	return program
}
