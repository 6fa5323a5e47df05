package kyvernocel

import (
	"sync"

	gocel "github.com/google/cel-go/cel"
	"github.com/google/cel-go/ext"

	"github.com/oneloop-dev/oneloop/pkg/expr/cel"
	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyvernocel/internal/library"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyvernocel/internal/spec"
)

// environments are those of policies of a kind, without their variables. The
// functions of a policy of a namespace differ from those of others. Each is built
// when the first policy needs it.
var environments sync.Map // profile to func() (*cel.Environment, error)

type profile struct {
	kind       string
	namespaced bool
}

func environment(kind, namespace string, options ...cel.Option) (*cel.Environment, error) {
	build, _ := environments.LoadOrStore(profile{kind, namespace != ""}, sync.OnceValues(func() (*cel.Environment, error) {
		options := append(options, cel.ForStored(), cel.WithRequestObjects(), cel.With(extensions()...), cel.With(library.Options(namespace)...))
		return cel.New(options...)
	}))
	return build.(func() (*cel.Environment, error))()
}

// mutationEnvironment is the environment of a MutatingPolicy.
func mutationEnvironment(namespace string) (*cel.Environment, error) {
	return environment("mutating", namespace, cel.WithPatches())
}

// generationEnvironment is the environment of a GeneratingPolicy.
func generationEnvironment(namespace string) (*cel.Environment, error) {
	return environment("generating", namespace, cel.WithMixedLiterals(), cel.With(library.Generator(namespace)...))
}

// extensions are the libraries of CEL itself that Kyverno has and the API server
// has not.
func extensions() []gocel.EnvOption {
	return []gocel.EnvOption{ext.Bindings(), ext.Encoders(), ext.Math(), ext.Protos(), ext.Regex(ext.RegexVersion(1))}
}

// An expression is a compiled expression of a policy.
type expression struct {
	*cel.Program
	name string // of a condition
	at   fieldpath.Path
}

// A compiler compiles the expressions of one policy and collects their faults.
type compiler struct {
	document    *spec.Document
	environment *cel.Environment
	variables   *cel.Definitions
	faults      []*policy.Error
}

// newCompiler compiles the variables of a policy; at is where they stand.
func newCompiler(d *spec.Document, base *cel.Environment, variables []spec.Expression, at fieldpath.Path) (*compiler, error) {
	c := &compiler{document: d, variables: cel.DefineExact()}
	var err error
	if c.environment, err = base.With(c.variables); err != nil {
		return nil, err
	}
	for i, v := range variables {
		if err := c.variables.Add(c.environment, v.Name, v.Expression); err != nil {
			c.fault(at.Index(i).Key("expression"), err)
		}
	}
	return c, nil
}

func (c *compiler) fault(at fieldpath.Path, err error) {
	c.faults = append(c.faults, c.document.Error(at, err))
}

// compile compiles an expression whose result has the given type, nil for any.
func (c *compiler) compile(at fieldpath.Path, text string, result *gocel.Type) *expression {
	p, err := c.environment.Compile(text, result)
	if err != nil {
		c.fault(at, err)
	}
	return &expression{Program: p, at: at}
}

// conditions compiles a list of conditions.
func (c *compiler) conditions(at fieldpath.Path, list []spec.Expression) []*expression {
	var out []*expression
	for i, condition := range list {
		e := c.compile(at.Index(i).Key("expression"), condition.Expression, cel.Bool)
		e.name = condition.Name
		out = append(out, e)
	}
	return out
}
