package fieldpath

import (
	"errors"
	"slices"
)

// An Error is a fault at a place inside of a value. At puts the place together
// while the error travels from the fault to the root.
type Error struct {
	Err     error
	inverse Path // from the last step to the first
}

// At adds the step that leads to where err arose.
func At(step Step, err error) error {
	var e *Error
	if errors.As(err, &e) {
		e.inverse = append(e.inverse, step)
		return err
	}
	return &Error{Err: err, inverse: Path{step}}
}

// Path returns the place.
func (e *Error) Path() Path {
	p := slices.Clone(e.inverse)
	slices.Reverse(p)
	return p
}

// Error prints the place and the fault.
func (e *Error) Error() string { return e.Path().String() + ": " + e.Err.Error() }

// Unwrap returns the fault.
func (e *Error) Unwrap() error { return e.Err }
