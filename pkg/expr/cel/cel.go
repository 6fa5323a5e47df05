// Package cel compiles and evaluates CEL expressions as the API server does for
// admission: with its libraries, types, limits and costs.
//
// Values are JSON values going in (map[string]any, []any, string, bool, int64,
// float64, nil). The environment is built when the first expression is compiled,
// so that a run without CEL pays nothing for it.
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
	"k8s.io/apimachinery/pkg/util/version"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	apiservercel "k8s.io/apiserver/pkg/cel"
	"k8s.io/apiserver/pkg/cel/environment"
	"k8s.io/apiserver/pkg/cel/library"
)

// An Environment is what expressions may name.
type Environment struct{ env *cel.Env }

// Admission is the environment of conditions on admission requests, such as the
// matchConditions of webhooks: the variables object, oldObject, request,
// namespaceObject, authorizer and authorizer.requestResource.
var Admission = sync.OnceValues(func() (*Environment, error) {
	request, namespace := requestType(), namespaceType()
	set, err := environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()).Extend(
		environment.VersionedOptions{
			IntroducedVersion: version.MajorMinor(1, 0),
			EnvOptions: []cel.EnvOption{
				cel.Variable("object", cel.DynType),
				cel.Variable("oldObject", cel.DynType),
				cel.Variable("request", request.CelType()),
				cel.Variable("namespaceObject", namespace.CelType()),
				cel.Variable("authorizer", library.AuthorizerType),
				cel.Variable("authorizer.requestResource", library.ResourceCheckType),
			},
			DeclTypes: []*apiservercel.DeclType{request, namespace},
		},
		environment.StrictCostOpt,
	)
	if err != nil {
		return nil, fmt.Errorf("CEL environment: %w", err)
	}
	env, err := set.Env(environment.NewExpressions)
	if err != nil {
		return nil, fmt.Errorf("CEL environment: %w", err)
	}
	return &Environment{env}, nil
})

// A Program is a compiled expression. It is immutable and serves many
// goroutines.
type Program struct {
	source  string
	program cel.Program
}

// Bool is the type of conditions, for Compile.
var Bool = cel.BoolType

// Compile compiles an expression whose result has the given type. The error is
// that of the API server, with line and column in the expression.
func (e *Environment) Compile(expression string, result *cel.Type) (*Program, error) {
	ast, issues := e.env.Compile(expression)
	if issues != nil {
		return nil, fmt.Errorf("compilation failed: %s", issues)
	}
	if !ast.OutputType().IsExactType(result) {
		return nil, fmt.Errorf("must evaluate to %s but got %s", result, ast.OutputType())
	}
	program, err := e.env.Program(ast, cel.InterruptCheckFrequency(celconfig.CheckFrequency))
	if err != nil {
		return nil, fmt.Errorf("program instantiation failed: %w", err)
	}
	return &Program{expression, program}, nil
}

// A Budget is the cost that the expressions about one request may have together.
type Budget struct{ rest int64 }

// Conditions returns the budget of the match conditions of one request.
func Conditions() *Budget { return &Budget{celconfig.RuntimeCELCostBudgetMatchConditions} }

// ErrBudget is wrapped by the error of an expression that costs too much, by
// itself or together with those before it.
var ErrBudget = errors.New("cost budget")

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

// Eval evaluates the expression.
func (p *Program) Eval(ctx context.Context, v Variables, b *Budget) (ref.Val, error) {
	value, details, err := p.program.ContextEval(ctx, v)
	if details == nil || details.ActualCost() == nil {
		if err == nil {
			err = errors.New("its cost could not be calculated")
		}
		return nil, fmt.Errorf("expression '%s' resulted in error: %w", p.source, err)
	}
	cost := *details.ActualCost()
	if cost > math.MaxInt64 || int64(cost) > b.rest {
		return nil, fmt.Errorf("expression '%s': %w is used up", p.source, ErrBudget)
	}
	b.rest -= int64(cost)
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
