// Package jmespath evaluates JMESPath expressions the way Kyverno 1.19 does.
//
// The grammar is that of github.com/kyverno/go-jmespath, whose parser is used
// as it is. The evaluation is this package's own, for four reasons: whole
// numbers may be int64 as well as float64, the clock belongs to one search
// instead of the process, the input is never modified, and hostile expressions
// end with an error.
//
// # Semantics
//
// The reference is Kyverno 1.19.1 behind its admission webhook, where every
// number of the request is a float64. Results and error conditions are the
// same, its peculiarities included; testdata holds its recorded answers. Known
// differences:
//
//   - keys, values and * visit a map in key order; Kyverno's order is random.
//   - sort_by returns a new list; Kyverno reorders the list it was given.
//   - Once a rule has changed the resource, and for elementIndex always,
//     Kyverno holds whole numbers in a Go type that its functions and
//     comparisons refuse: replicas == `3` is true in the first rule and false
//     in the second. Here a number stays a number.
//   - An int64 beyond ±2^53 keeps its digits until it meets arithmetic.
//   - Where Kyverno panics, the obvious answer is given, or an error. Where it
//     runs out of time or memory, such as for the quantity 1e2147483648, there
//     is an error.
//   - A result that JSON cannot express (NaN, infinity, a bare &expression) is
//     an error here and not one step later.
//   - random, and is_external_url for a host name, fail with an error that
//     wraps [errors.ErrUnsupported]: they would make the output differ from
//     run to run. So do the functions that read the clock when [Env] has none.
//     No projection hides such an error.
//
// # Numbers
//
// int64 and float64 are one type, number, everywhere. A number that a function
// or a literal makes is an int64 when it is whole and within ±2^53, else a
// float64, so that replicas: "{{ add(a, b) }}" gives 3 and not 3.0.
//
// # Limits
//
// An expression has at most 4 MiB, of which 16 KiB may stand outside string
// and JSON literals, and is nested at most 1000 levels deep. One search may do
// about 16 million units of work; a unit is one element visited or made, or
// one byte of text made.
package jmespath

import (
	"errors"
	"strconv"
	"time"
)

// A Query is a compiled expression. It is immutable and may serve many
// goroutines.
type Query struct {
	text string
	root node
	// audit is set when a result may need attention before it can be handed
	// out: it was made here, not found in the data.
	audit  bool
	faults []error
}

// An Env is what an expression may ask about the world.
type Env struct {
	// Now is the clock. time_now formats it in its own time zone. When it is
	// nil, functions that need the time fail with an error that wraps
	// errors.ErrUnsupported.
	Now func() time.Time
}

// Search evaluates the query against data, which consists of map[string]any,
// []any, string, bool, int64, float64 and nil, and returns a value made of the
// same types. Data is not modified. The result may share parts with data and
// with q, so treat it as read-only.
//
// An error for which [IsNotFound] holds means that the path ends at a key that
// does not exist; a key that exists with the value null gives nil and no error,
// and so does a path that steps into something that is not a map.
func (q *Query) Search(data any, env Env) (any, error) {
	if p, ok := q.root.(*keyPath); ok {
		return p.find(data)
	}
	return q.search(data, &run{env: env, left: maxWork})
}

func (q *Query) search(data any, r *run) (any, error) {
	v, err := q.root.eval(r, data)
	if err != nil || !q.audit {
		return v, err
	}
	return r.finish(v)
}

// String returns the expression as it was given to Compile.
func (q *Query) String() string { return q.text }

// Vet reports what can be known to fail before any data is seen: unknown
// functions, wrong numbers of arguments, and functions that are never available
// at render time (wrapping errors.ErrUnsupported). These do not make Compile
// fail, because Kyverno reports them only when evaluation reaches them, as in
// "a || nosuch(b)".
func (q *Query) Vet() error { return errors.Join(q.faults...) }

// IsNotFound reports whether err says that a path ends at a key that does not
// exist.
func IsNotFound(err error) bool {
	var e *notFound
	return errors.As(err, &e)
}

// A notFound says which key of which path does not exist.
type notFound struct {
	key  string
	path *keyPath
}

func (e *notFound) Error() string {
	return "key " + strconv.Quote(e.key) + " does not exist in " + e.path.String()
}

// absent is IsNotFound for errors that evaluation itself passes on, which are
// never wrapped.
func absent(err error) bool {
	_, ok := err.(*notFound) //nolint:errorlint // it is never wrapped here, and every element may ask
	return ok
}
