package jmespath

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
)

// pairs is what the function items returns. Kyverno's list of maps has a Go
// type of its own there, which shows: projections and length take it for a
// list, type, lookup, sum and a few others do not. It becomes []any when the
// search ends.
type pairs []map[string]any

// order is what the function compare returns: in Kyverno an integer which no
// number function or comparison accepts. It becomes int64 when the search ends.
type order int

// elements returns the elements of a list.
func elements(v any) ([]any, bool) {
	switch v := v.(type) {
	case []any:
		return v, true
	case pairs:
		out := make([]any, len(v))
		for i, m := range v {
			out[i] = m
		}
		return out, true
	}
	return nil, false
}

func isNumber(v any) bool {
	switch v.(type) {
	case int64, float64:
		return true
	}
	return false
}

// float returns a number as float64, and 0 for anything else.
func float(v any) float64 {
	switch v := v.(type) {
	case int64:
		return float64(v)
	case float64:
		return v
	}
	return 0
}

// less orders two numbers.
func less(a, b any) bool {
	x, ok := a.(int64)
	if y, ok2 := b.(int64); ok && ok2 {
		return x < y
	}
	return float(a) < float(b)
}

// sameNumber reports whether two numbers are equal.
func sameNumber(a, b any) bool {
	x, ok := a.(int64)
	if y, ok2 := b.(int64); ok && ok2 {
		return x == y
	}
	return float(a) == float(b)
}

// compareNumbers orders numbers for sorting; NaN comes first.
func compareNumbers(a, b any) int {
	x, ok := a.(int64)
	if y, ok2 := b.(int64); ok && ok2 {
		return cmp.Compare(x, y)
	}
	return cmp.Compare(float(a), float(b))
}

// isFalse is the truth of JMESPath: null, false and whatever is empty are
// false. Numbers never are.
func isFalse(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case bool:
		return !v
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	case pairs:
		return len(v) == 0
	}
	return false
}

// equal compares values deeply. Numbers are equal by value.
func (r *run) equal(a, b any) (bool, error) {
	if err := r.spend(1); err != nil {
		return false, err
	}
	switch x := a.(type) {
	case nil:
		return b == nil, nil
	case bool:
		y, ok := b.(bool)
		return ok && x == y, nil
	case string:
		y, ok := b.(string)
		return ok && x == y, nil
	case int64, float64:
		return isNumber(b) && sameNumber(a, b), nil
	case order:
		y, ok := b.(order)
		return ok && x == y, nil
	case *reference:
		y, ok := b.(*reference)
		return ok && x == y, nil
	case []any:
		y, ok := b.([]any)
		if !ok || len(x) != len(y) {
			return false, nil
		}
		for i := range x {
			if same, err := r.equal(x[i], y[i]); !same || err != nil {
				return false, err
			}
		}
		return true, nil
	case pairs:
		y, ok := b.(pairs)
		if !ok || len(x) != len(y) {
			return false, nil
		}
		for i := range x {
			if same, err := r.equal(x[i], y[i]); !same || err != nil {
				return false, err
			}
		}
		return true, nil
	case map[string]any:
		y, ok := b.(map[string]any)
		if !ok || len(x) != len(y) {
			return false, nil
		}
		for k, e := range x {
			other, ok := y[k]
			if !ok {
				return false, nil
			}
			if same, err := r.equal(e, other); !same || err != nil {
				return false, err
			}
		}
		return true, nil
	}
	return false, nil
}

// weigh takes the work that walking all of v would cost. A small expression can
// make a value that holds itself many times over.
func (r *run) weigh(v any) error {
	switch v := v.(type) {
	case string:
		return r.spend(1 + len(v))
	case []any:
		for _, e := range v {
			if err := r.weigh(e); err != nil {
				return err
			}
		}
	case pairs:
		for _, e := range v {
			if err := r.weigh(e); err != nil {
				return err
			}
		}
	case map[string]any:
		for k, e := range v {
			if err := r.spend(len(k)); err != nil {
				return err
			}
			if err := r.weigh(e); err != nil {
				return err
			}
		}
	}
	return r.spend(1)
}

// ErrNoNumber is wrapped by the error of a search whose result holds NaN or an
// infinity. Kyverno notices when it stores the result, behind all defaults.
var ErrNoNumber = errors.New("which is not a number in JSON")

// finish turns a result into plain JSON values. A list or map that holds what
// must change was made by this search, since neither data nor literals hold it,
// so it changes in place.
func (r *run) finish(v any) (any, error) {
	if err := r.spend(1); err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, fmt.Errorf("the result holds %v, %w", v, ErrNoNumber)
		}
	case order:
		return int64(v), nil
	case *reference:
		return nil, errors.New("the result is an unevaluated expression: & may only stand before an argument of sort_by, max_by, min_by or map")
	case pairs:
		list, _ := elements(v)
		return r.finish(list)
	case []any:
		for i, e := range v {
			done, err := r.finish(e)
			if err != nil {
				return nil, err
			}
			if private(e) {
				v[i] = done
			}
		}
	case map[string]any:
		for k, e := range v {
			done, err := r.finish(e)
			if err != nil {
				return nil, err
			}
			if private(e) {
				v[k] = done
			}
		}
	}
	return v, nil
}

// private reports whether v is of a type that only this package knows.
func private(v any) bool {
	switch v.(type) {
	case order, pairs:
		return true
	}
	return false
}

// describe names the type of a value for an error message.
func describe(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case string:
		return "a string"
	case int64, float64:
		return "a number"
	case []any, pairs:
		return "a list"
	case map[string]any:
		return "an object"
	case *reference:
		return "an expression reference"
	case order:
		return "the result of compare"
	default:
		return fmt.Sprintf("a Go value of type %T", v)
	}
}

// encode writes a value as JSON text.
func (r *run) encode(v any) (string, error) {
	if err := r.weigh(v); err != nil {
		return "", err
	}
	b, err := json.Marshal(v)
	return string(b), err
}
