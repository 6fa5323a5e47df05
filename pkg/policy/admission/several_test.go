package admission

import (
	"errors"
	"testing"
)

func TestSeveral(t *testing.T) {
	a, b := errors.New("a"), errors.New("b")
	for want, errs := range map[string][]error{"a": {a}, "b": {b, errors.New("b")}, "[a, b]": {a, b, errors.New("a")}} {
		if got := several(errs).Error(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if !errors.Is(several{a, b}, b) {
		t.Error("an error in it is not found")
	}
}
