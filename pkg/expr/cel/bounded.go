package cel

import (
	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"github.com/google/cel-go/interpreter"
)

// bounded is an option of programs: what an expression puts together is an error
// when it is too large written out. Otherwise a list of two that holds another one
// twice, and so on, costs nothing to make, and nothing ends what compares it.
var bounded = cel.CustomDecorator(func(i interpreter.Interpretable) (interpreter.Interpretable, error) {
	switch i := i.(type) {
	case interpreter.InterpretableConst:
	case interpreter.InterpretableConstructor:
		for _, v := range i.InitVals() { // of another type in later versions of cel-go
			if varies(v) {
				return boundedConstructor{i}, nil
			}
		}
		// cel-go makes a constant of it, which costs less.
	case interpreter.InterpretableCall:
		switch i.Function() {
		case operators.Add, "cel.@mapInsert":
			return boundedCall{i}, nil
		}
	}
	return i, nil
})

func varies(value any) bool {
	_, constant := value.(interpreter.InterpretableConst)
	return !constant
}

type boundedConstructor struct {
	interpreter.InterpretableConstructor
}

func (b boundedConstructor) Eval(a interpreter.Activation) ref.Val {
	return withinBounds(b.InterpretableConstructor.Eval(a))
}

type boundedCall struct{ interpreter.InterpretableCall }

func (b boundedCall) Eval(a interpreter.Activation) ref.Val {
	v := b.InterpretableCall.Eval(a)
	switch v.(type) {
	case traits.MutableLister, traits.MutableMapper:
		return v // a comprehension adds to it; its elements were looked at
	case traits.Lister, traits.Mapper:
		return withinBounds(v)
	}
	return v
}

func withinBounds(v ref.Val) ref.Val {
	if types.IsUnknownOrError(v) {
		return v
	}
	if err := made(v); err != nil {
		return types.WrapErr(err)
	}
	return v
}
