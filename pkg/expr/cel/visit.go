package cel

import (
	"sync"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
)

// parsing is an environment that knows the syntax of expressions and nothing
// else.
var parsing = sync.OnceValues(func() (*cel.Env, error) { return cel.NewEnv(cel.OptionalTypes()) })

// Visit calls do for each part of an expression. One that can't be parsed has
// none.
func Visit(expression string, do func(ast.Expr)) {
	env, err := parsing()
	if err != nil {
		return
	}
	parsed, issues := env.Parse(expression)
	if issues.Err() != nil {
		return
	}
	ast.PreOrderVisit(parsed.NativeRep().Expr(), ast.NewExprVisitor(do))
}
