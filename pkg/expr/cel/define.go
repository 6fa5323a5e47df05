package cel

import (
	"context"
	"fmt"
	"maps"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	apiservercel "k8s.io/apiserver/pkg/cel"
	"k8s.io/apiserver/pkg/cel/lazy"
)

const definedName = "variables"

// Definitions are the variables that a policy defines by expressions, which
// other expressions use as variables.NAME. Define all before the first
// evaluation; then they are immutable.
type Definitions struct {
	declared *apiservercel.DeclType
	exact    *exactFields // in place of declared
	names    []string
	programs map[string]*Program
}

// Define returns definitions to add to.
func Define() *Definitions {
	return &Definitions{
		declared: apiservercel.NewObjectType("kubernetes.variables", map[string]*apiservercel.DeclField{}),
		programs: map[string]*Program{},
	}
}

// DefineExact is Define as in Kyverno: a variable has the very type of its
// expression, where the API server takes those of objects for any type.
func DefineExact() *Definitions {
	return &Definitions{exact: &exactFields{}, programs: map[string]*Program{}}
}

// With returns e with variables, whose fields are those of d, also of those that
// are added later.
func (e *Environment) With(d *Definitions) (*Environment, error) {
	var opts []cel.EnvOption
	if d.exact != nil {
		opts = []cel.EnvOption{d.exact.provide, cel.Variable(definedName, exactType)}
	} else {
		declared, err := declare(e.env, d.declared)
		if err != nil {
			return nil, err
		}
		opts = append(declared, inOrder, cel.Variable(definedName, d.declared.CelType()))
	}
	env, err := e.env.Extend(opts...)
	if err != nil {
		return nil, fmt.Errorf("CEL environment: %w", err)
	}
	return &Environment{env}, nil
}

// Add compiles the expression of a variable in e, an environment with d. It may
// use the variables before it. Those after it know its type.
func (d *Definitions) Add(e *Environment, name, expression string) error {
	p, err := e.Compile(expression, Any)
	if err != nil {
		return err
	}
	if d.exact != nil {
		d.exact.add(name, p.output)
	} else {
		d.declared.Fields[name] = apiservercel.NewDeclField(name, declType(p.output), true, nil, nil)
	}
	if d.programs[name] == nil {
		d.names = append(d.names, name)
	}
	d.programs[name] = p
	return nil
}

// Bind adds variables to v, which it changes and returns. Each of them is
// evaluated when an expression first uses it, with what v holds then, and keeps
// its value, or error, until Bind is called again. What it costs counts for the
// expression that was first.
func (d *Definitions) Bind(v Variables) Variables {
	var t ref.Type = exactType
	if d.exact == nil {
		t = d.declared
	}
	values := &definedValues{MapValue: lazy.NewMapValue(t)}
	for _, name := range d.names {
		p := d.programs[name]
		values.Append(name, func(*lazy.MapValue) ref.Val { return values.eval(name, p, v) })
	}
	v[definedName] = values
	return v
}

// definedValues are the values of Definitions. It belongs to one goroutine.
type definedValues struct {
	*lazy.MapValue
	ctx  context.Context //nolint:containedctx // of the expression that is evaluated
	cost uint64          // of what it evaluated
	most uint64          // that it may cost
}

func (d *definedValues) eval(name string, p *Program, v Variables) ref.Val {
	if d.cost > d.most {
		return types.WrapErr(ErrBudget) // no more, as it fails anyway
	}
	value, details, err := p.program.ContextEval(d.ctx, v)
	if details == nil || details.ActualCost() == nil {
		return types.WrapErr(fmt.Errorf("unable to calculate cost of variable %q", name))
	}
	d.cost += *details.ActualCost()
	if err != nil {
		return types.WrapErr(fmt.Errorf("composited variable %q fails to evaluate: %w", name, err))
	}
	if err := made(value); err != nil {
		// Comparing two such values would not end.
		return types.WrapErr(fmt.Errorf("composited variable %q: %w", name, err))
	}
	return value
}

// declType is t as the type of a field. Types of objects are any type.
func declType(t *cel.Type) *apiservercel.DeclType {
	switch t {
	case cel.AnyType:
		return apiservercel.AnyType
	case cel.BoolType:
		return apiservercel.BoolType
	case cel.BytesType:
		return apiservercel.BytesType
	case cel.DoubleType:
		return apiservercel.DoubleType
	case cel.DurationType:
		return apiservercel.DurationType
	case cel.IntType:
		return apiservercel.IntType
	case cel.NullType:
		return apiservercel.NullType
	case cel.StringType:
		return apiservercel.StringType
	case cel.TimestampType:
		return apiservercel.TimestampType
	case cel.UintType:
		return apiservercel.UintType
	}
	if t.HasTrait(traits.ContainerType) && t.HasTrait(traits.IndexerType) {
		switch p := t.Parameters(); len(p) {
		case 1:
			return apiservercel.NewListType(declType(p[0]), -1)
		case 2:
			return apiservercel.NewMapType(declType(p[0]), declType(p[1]), -1)
		}
	}
	return apiservercel.DynType
}

// Clone returns a copy of v that can be changed by itself, without the values of
// definitions.
func (v Variables) Clone() Variables {
	out := maps.Clone(v)
	delete(out, definedName)
	return out
}
