package jmespath

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"gopkg.in/inf.v0"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Kyverno computes with numbers, quantities and durations. A string is a
// quantity if it reads as one, so '5m' is five thousandths, and only '5m0s' is
// five minutes.
var arithmeticFunctions = []function{
	{name: "add", params: []kind{anything, anything}, result: anything, note: "the sum of two numbers, two quantities or two durations", body: add},
	{name: "divide", params: []kind{anything, anything}, result: anything, note: "the first argument divided by the second: alike ones give a number, a quantity or duration by a number its kind", body: divide},
	{name: "modulo", params: []kind{anything, anything}, result: anything, note: "the remainder of two whole numbers, whole quantities or durations", body: modulo},
	{name: "multiply", params: []kind{anything, anything}, result: anything, note: "the product of a number with a number, a quantity or a duration", body: multiply},
	{name: "round", params: []kind{aNumber, aNumber}, result: aNumber, note: "the first number with so many decimal places", body: round},
	{name: "subtract", params: []kind{anything, anything}, result: anything, note: "the difference of two numbers, two quantities or two durations", body: subtract},
	{name: "sum", params: []kind{aList}, result: anything, note: "the sum of the elements: all numbers, all quantities or all durations", body: sum},
}

// An operand is a number (float64), a resource.Quantity or a time.Duration.
type operand any

func newOperand(v any, position int) (operand, error) {
	switch v := v.(type) {
	case int64, float64:
		return float(v), nil
	case string:
		if q, err := parseQuantity(v); err == nil {
			return q, nil
		}
		if d, err := time.ParseDuration(v); err == nil {
			return d, nil
		}
		if len(v) > maxQuantity {
			v = v[:maxQuantity] + "…"
		}
		return nil, fmt.Errorf("argument %d, %q, is neither a quantity such as 512Mi nor a duration such as 1h30m", position, v)
	}
	return nil, fmt.Errorf("argument %d is %s, expected a number, a quantity or a duration", position, describe(v))
}

func newOperands(args []any) (a, b operand, err error) {
	if a, err = newOperand(args[0], 1); err != nil {
		return nil, nil, err
	}
	b, err = newOperand(args[1], 2)
	return a, b, err
}

const (
	maxQuantity = 400 // bytes: any float64 written out
	maxExponent = 420
	minExponent = -100_000
)

// parseQuantity is resource.ParseQuantity for strings that it can read in
// reasonable time: it writes 1e1000000000 out.
func parseQuantity(s string) (resource.Quantity, error) {
	if len(s) > maxQuantity {
		return resource.Quantity{}, errors.New("too long")
	}
	if i := strings.LastIndexAny(s, "eE"); i >= 0 {
		e, err := strconv.Atoi(s[i+1:])
		switch {
		case err == nil && e > maxExponent || errors.Is(err, strconv.ErrRange):
			return resource.Quantity{}, errors.New("exponent too large")
		case err == nil && e < minExponent:
			return resource.Quantity{}, errors.New("exponent too small")
		case err == nil && e < -maxExponent:
			// However many digits stand before it, it is rounded up to 1n.
			s = s[:i+1] + strconv.Itoa(-maxExponent)
		}
	}
	return resource.ParseQuantity(s)
}

// scalarQuantity is f as a quantity, to multiply and divide in decimals.
func scalarQuantity(f float64) (resource.Quantity, error) {
	q, err := parseQuantity(fmt.Sprint(f))
	if err != nil {
		return q, fmt.Errorf("%v cannot be applied to a quantity: %w", f, err)
	}
	return q, nil
}

func operandName(o operand) string {
	switch o.(type) {
	case float64:
		return "a number"
	case resource.Quantity:
		return "a quantity"
	}
	return "a duration"
}

func mismatch(a, b operand) error {
	return fmt.Errorf("%s does not go with %s", operandName(a), operandName(b))
}

var (
	errZeroDivisor = errors.New("the divisor is zero")
	errNotWhole    = errors.New("both arguments must be whole numbers")
)

func add(_ *run, args []any) (any, error) {
	a, b, err := newOperands(args)
	if err != nil {
		return nil, err
	}
	switch x := a.(type) {
	case float64:
		if y, ok := b.(float64); ok {
			return number(x + y), nil
		}
	case resource.Quantity:
		if y, ok := b.(resource.Quantity); ok {
			x.Add(y)
			return x.String(), nil
		}
	case time.Duration:
		if y, ok := b.(time.Duration); ok {
			return (x + y).String(), nil
		}
	}
	return nil, mismatch(a, b)
}

func subtract(_ *run, args []any) (any, error) {
	a, b, err := newOperands(args)
	if err != nil {
		return nil, err
	}
	switch x := a.(type) {
	case float64:
		if y, ok := b.(float64); ok {
			return number(x - y), nil
		}
	case resource.Quantity:
		if y, ok := b.(resource.Quantity); ok {
			x.Sub(y)
			return x.String(), nil
		}
	case time.Duration:
		if y, ok := b.(time.Duration); ok {
			return (x - y).String(), nil
		}
	}
	return nil, mismatch(a, b)
}

func multiply(_ *run, args []any) (any, error) {
	a, b, err := newOperands(args)
	if err != nil {
		return nil, err
	}
	factor, ok := b.(float64)
	if !ok { // the number may stand first
		a, b = b, a
		if factor, ok = b.(float64); !ok {
			return nil, mismatch(b, a)
		}
	}
	switch x := a.(type) {
	case float64:
		return number(x * factor), nil
	case resource.Quantity:
		q, err := scalarQuantity(factor)
		if err != nil {
			return nil, err
		}
		var product inf.Dec
		product.Mul(x.AsDec(), q.AsDec())
		return resource.NewDecimalQuantity(product, x.Format).String(), nil
	default:
		return seconds(x.(time.Duration).Seconds() * factor).String(), nil
	}
}

func divide(_ *run, args []any) (any, error) {
	a, b, err := newOperands(args)
	if err != nil {
		return nil, err
	}
	switch x := a.(type) {
	case float64:
		if y, ok := b.(float64); ok {
			return quotient(x, y)
		}
	case resource.Quantity:
		switch y := b.(type) {
		case resource.Quantity:
			return quotient(x.AsApproximateFloat64(), y.AsApproximateFloat64())
		case float64:
			if y == 0 {
				return nil, errZeroDivisor
			}
			q, err := scalarQuantity(y)
			if err != nil {
				return nil, err
			}
			dividend, divisor := x.AsDec(), q.AsDec()
			if divisor.Sign() == 0 {
				return nil, errZeroDivisor
			}
			var result inf.Dec
			result.QuoRound(dividend, divisor, max(dividend.Scale(), divisor.Scale()), inf.RoundDown)
			return resource.NewDecimalQuantity(result, x.Format).String(), nil
		}
	case time.Duration:
		switch y := b.(type) {
		case time.Duration:
			return quotient(x.Seconds(), y.Seconds())
		case float64:
			if y == 0 {
				return nil, errZeroDivisor
			}
			return seconds(x.Seconds() / y).String(), nil
		}
	}
	return nil, mismatch(a, b)
}

func quotient(x, y float64) (any, error) {
	if y == 0 {
		return nil, errZeroDivisor
	}
	return number(x / y), nil
}

// seconds converts without regard for overflow, like the reference; only the
// result for what does not fit is fixed.
func seconds(s float64) time.Duration {
	return time.Duration(int64Of(s * float64(time.Second)))
}

func int64Of(f float64) int64 {
	if f > -(1<<63) && f < 1<<63 {
		return int64(f)
	}
	return math.MinInt64
}

func modulo(_ *run, args []any) (any, error) {
	a, b, err := newOperands(args)
	if err != nil {
		return nil, err
	}
	switch x := a.(type) {
	case float64:
		if y, ok := b.(float64); ok {
			rest, err := remainder(x, y)
			if err != nil {
				return nil, err
			}
			return number(float64(rest)), nil
		}
	case resource.Quantity:
		if y, ok := b.(resource.Quantity); ok {
			rest, err := remainder(x.ToDec().AsApproximateFloat64(), y.ToDec().AsApproximateFloat64())
			if err != nil {
				return nil, err
			}
			return resource.NewQuantity(rest, x.Format).String(), nil
		}
	case time.Duration:
		if y, ok := b.(time.Duration); ok {
			if y == 0 {
				return nil, errZeroDivisor
			}
			return (x % y).String(), nil
		}
	}
	return nil, mismatch(a, b)
}

func remainder(x, y float64) (int64, error) {
	i, j := int64Of(x), int64Of(y)
	if float64(i) != x || float64(j) != y {
		return 0, errNotWhole
	}
	if j == 0 {
		return 0, errZeroDivisor
	}
	return i % j, nil
}

func round(_ *run, args []any) (any, error) {
	places, err := wholeArgument(args[1])
	if err != nil {
		return nil, fmt.Errorf("argument 2: %w", err)
	}
	if places < 0 {
		return nil, fmt.Errorf("argument 2 is %d, expected a number of decimal places", places)
	}
	shift := math.Pow(10, float64(places))
	return number(math.Round(float(args[0])*shift) / shift), nil
}

// wholeArgument is a number that must be whole and fit an int.
func wholeArgument(v any) (int, error) {
	f := float(v)
	if f != math.Trunc(f) || f <= -(1<<63) || f >= 1<<63 {
		return 0, fmt.Errorf("%v is not a whole number", v)
	}
	return int(f), nil
}

func sum(r *run, args []any) (any, error) {
	list, ok := args[0].([]any)
	if !ok {
		return nil, errors.New("what items returns cannot be added up")
	}
	if len(list) == 0 {
		return nil, errors.New("the list is empty, expected at least one element")
	}
	if err := r.spend(len(list)); err != nil {
		return nil, err
	}
	total := list[0] // alone, it may be anything
	for i, e := range list[1:] {
		var err error
		if total, err = add(r, []any{total, e}); err != nil {
			return nil, fmt.Errorf("element %d: %w", i+1, err)
		}
	}
	return total, nil
}
