package kyvernocel

import (
	"sync"

	gocel "github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
)

// parsing is an environment that knows the syntax of expressions and nothing
// else.
var parsing = sync.OnceValues(func() (*gocel.Env, error) { return gocel.NewEnv(gocel.OptionalTypes()) })

// visit calls do for each part of an expression. One that can't be parsed has
// none.
func visit(expression string, do func(ast.Expr)) {
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

// mentions reports whether an expression names a variable.
func mentions(expression, variable string) bool {
	found := false
	visit(expression, func(e ast.Expr) { found = found || e.Kind() == ast.IdentKind && e.AsIdent() == variable })
	return found
}
