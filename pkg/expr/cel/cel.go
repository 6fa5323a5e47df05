// Package cel compiles and evaluates CEL expressions as the API server does for
// admission: with its libraries, types, limits and costs.
//
// Values are JSON values going in (map[string]any, []any, string, bool, int64,
// float64, nil); Object, Patch and JSON make them of results. A language builds
// an Environment once for each of its profiles, and only when it has something
// to compile, so that a run without CEL pays nothing for it.
package cel

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/interpreter"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/mutation"
)

// An Environment is what expressions may name. It is immutable and serves many
// goroutines.
type Environment struct{ env *cel.Env }

// Admission is the environment of conditions on admission requests, such as the
// matchConditions of webhooks: the variables object, oldObject, request,
// namespaceObject, authorizer and authorizer.requestResource.
var Admission = sync.OnceValues(func() (*Environment, error) { return New(WithAuthorizer()) })

// A Program is a compiled expression. It is immutable and serves many
// goroutines.
type Program struct {
	source  string
	program cel.Program
	output  *cel.Type
}

// The types of results, for Compile.
var (
	Bool = cel.BoolType
	// Any is every type.
	Any *cel.Type
	// ObjectResult is that of an apply configuration, Object{...}.
	ObjectResult = types.NewObjectType(mutation.ObjectTypeName)
	// PatchResult is that of a JSON patch, [JSONPatch{...}].
	PatchResult = cel.ListType(types.NewObjectType(mutation.JSONPatchTypeName))
)

// Compile compiles an expression whose result has the given type. The error is
// that of the API server, with line and column in the expression.
func (e *Environment) Compile(expression string, result *cel.Type) (*Program, error) {
	ast, issues := e.env.Compile(expression)
	if issues != nil {
		return nil, fmt.Errorf("compilation failed: %s", issues)
	}
	if result != nil && !ast.OutputType().IsExactType(result) {
		return nil, fmt.Errorf("must evaluate to %s but got %s", result, ast.OutputType())
	}
	program, err := e.env.Program(ast, cel.InterruptCheckFrequency(celconfig.CheckFrequency), bounded)
	if err != nil {
		return nil, fmt.Errorf("program instantiation failed: %w", err)
	}
	return &Program{expression, program, ast.OutputType()}, nil
}

// Output is the type of the result.
func (p *Program) Output() *cel.Type { return p.output }

// A Budget is the cost that several expressions may have together. It belongs to
// one goroutine. Nil is one without end; each expression has its own limit all
// the same.
type Budget struct{ rest int64 }

// Conditions returns the budget of the match conditions of one request.
func Conditions() *Budget { return &Budget{celconfig.RuntimeCELCostBudgetMatchConditions} }

// Mutation returns the budget of one mutation of one request, with the variables
// that it uses.
func Mutation() *Budget { return &Budget{celconfig.RuntimeCELCostBudget} }

// unbounded is what variables may cost together where there is no budget: enough
// for everything but what would not end.
const unbounded = 10 * celconfig.RuntimeCELCostBudget

func (b *Budget) left() uint64 {
	if b == nil {
		return unbounded
	}
	return uint64(max(b.rest, 0))
}

// spend takes cost from the budget, and reports whether there was enough left.
func (b *Budget) spend(cost uint64) bool {
	if b == nil {
		return true
	}
	if cost > math.MaxInt64 || int64(cost) > b.rest {
		return false
	}
	b.rest -= int64(cost)
	return true
}

// ErrBudget is the error of expressions that cost too much together.
var ErrBudget = errors.New("validation failed due to running out of cost budget, no further validation rules will be run")

// Variables are the values of what an expression names, by name. What is missing
// is null. An Unknown ends the expression that uses it.
type Variables map[string]any

// ResolveName implements interpreter.Activation.
func (v Variables) ResolveName(name string) (any, bool) { return v[name], true }

// Parent implements interpreter.Activation.
func (Variables) Parent() interpreter.Activation { return nil }

// Unknown returns a value that is not known: an expression that uses it, itself
// or as a field, fails with an error that wraps err. One that gets by without it,
// as behind false && does not.
func Unknown(err error) any { return types.WrapErr(err) }

// Eval evaluates the expression. It ends soon after ctx does. Its errors have
// the words of the API server.
func (p *Program) Eval(ctx context.Context, v Variables, b *Budget) (ref.Val, error) {
	defined, _ := v[definedName].(*definedValues)
	if defined != nil {
		defined.ctx, defined.cost, defined.most = ctx, 0, b.left()
	}
	value, details, err := p.program.ContextEval(ctx, v)
	if defined != nil && !b.spend(defined.cost) {
		return nil, ErrBudget
	}
	if details == nil || details.ActualCost() == nil {
		if err == nil {
			err = errors.New("its cost could not be calculated")
		}
		return nil, fmt.Errorf("expression '%s' resulted in error: %w", p.source, err)
	}
	if !b.spend(*details.ActualCost()) {
		return nil, ErrBudget
	}
	if err != nil {
		return nil, fmt.Errorf("expression '%s' resulted in error: %w", p.source, err)
	}
	return value, nil
}

// EvalBool evaluates an expression of type Bool.
func (p *Program) EvalBool(ctx context.Context, v Variables, b *Budget) (bool, error) {
	value, err := p.Eval(ctx, v, b)
	if err != nil {
		return false, err
	}
	result, ok := value.(types.Bool)
	if !ok {
		return false, fmt.Errorf("expression '%s': expected a boolean, found %s", p.source, value.Type())
	}
	return bool(result), nil
}
