package kyvernocel

import (
	"errors"
	"strings"
	"sync"

	gocel "github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types/ref"
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

// imageEnvironment is the environment of an ImageValidatingPolicy.
func imageEnvironment(namespace string) (*cel.Environment, error) {
	return environment("imagevalidating", namespace, cel.With(library.Verifications()...))
}

// referenceEnvironment is the environment of matchImageReferences.
func referenceEnvironment() (*cel.Environment, error) {
	return environment("reference", "", cel.With(gocel.Variable("ref", gocel.StringType)))
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

// eval evaluates the expression. Unlike the API server, Kyverno does not repeat it
// in its errors.
func (e *expression) eval(ev *evaluation) (ref.Val, error) {
	v, err := e.Eval(ev.ctx, ev.values, nil)
	return v, e.placed(err)
}

// holds evaluates a condition.
func (e *expression) holds(ev *evaluation) (bool, error) {
	ok, err := e.EvalBool(ev.ctx, ev.values, nil)
	return ok, e.placed(err)
}

func (e *expression) placed(err error) error {
	if err == nil {
		return nil
	}
	return placed(e.at, unwrapped(err))
}

// unwrapped takes the expression out of an error of its evaluation.
func unwrapped(err error) error {
	if cause := errors.Unwrap(err); cause != nil {
		return cause
	}
	return err
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
		c.confine(at.Index(i).Key("expression"), v.Expression)
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
	c.confine(at, text)
	p, err := c.environment.Compile(text, result)
	if err != nil {
		c.fault(at, err)
	}
	return &expression{Program: p, at: at}
}

// confine refuses what Kyverno refuses in the policies of a namespace.
func (c *compiler) confine(at fieldpath.Path, text string) {
	if c.document.Namespace() == "" {
		return
	}
	if mentions(text, "globalContext") {
		c.fault(at, errors.New("globalContext is not allowed in the policies of a namespace; use a "+strings.TrimPrefix(c.document.Kind, "Namespaced")))
	}
	if mentions(text, "http") {
		c.fault(at, errors.New("http is not allowed in the policies of a namespace, unless Kyverno is started with --allowHTTPInNamespacedPolicies; use a "+strings.TrimPrefix(c.document.Kind, "Namespaced")))
	}
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
