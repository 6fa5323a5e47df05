package kyvernocel

import (
	"github.com/google/cel-go/common/ast"

	"github.com/oneloop-dev/oneloop/pkg/expr/cel"
)

// mentions reports whether an expression names a variable.
func mentions(expression, variable string) bool {
	found := false
	cel.Visit(expression, func(e ast.Expr) { found = found || e.Kind() == ast.IdentKind && e.AsIdent() == variable })
	return found
}
