package defaulted

import (
	"slices"
	"strings"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"

	"github.com/oneloop-dev/oneloop/pkg/expr/cel"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// Advice says of a field of Absent what is different about it.
func Advice(field string) string {
	return "in a cluster the API server fills in " + field + " before, so that !has() of it never holds; here it does where a manifest lacks it: write the field into the manifests, or set it whatever it is"
}

// Absent returns the fields that a CEL expression asks not to be there, as in
// !has(object.spec.replicas), although the API server fills them in for objects of
// the kinds: their paths with dots. Maps are left out: who asks for one is about to
// make it, for what goes into it, and has another way where it is there.
func Absent(expression string, kinds []resource.Kind) []string {
	var out []string
	a := absent{"object": nil}
	cel.Visit(expression, func(e ast.Expr) {
		switch e.Kind() {
		case ast.ComprehensionKind:
			// A loop comes before what it holds.
			if c := e.AsComprehension(); c.IterVar() != "" {
				if path, ok := a.path(c.IterRange()); ok {
					a[c.IterVar()] = path
				} else {
					delete(a, c.IterVar())
				}
			}
		case ast.CallKind:
			call := e.AsCall()
			if call.FunctionName() != operators.LogicalNot || call.Args()[0].Kind() != ast.SelectKind || !call.Args()[0].AsSelect().IsTestOnly() {
				return
			}
			path, ok := a.path(call.Args()[0])
			if name := strings.Join(path, "."); ok && filled(kinds, path) && !slices.Contains(out, name) {
				out = append(out, name)
			}
		}
	})
	return out
}

func filled(kinds []resource.Kind, path []string) bool {
	return slices.ContainsFunc(kinds, func(k resource.Kind) bool {
		value, ok := Field(k.Kind, path...)
		return ok && value != Struct && value != Empty
	})
}

// absent knows the path in the object that a variable stands for.
type absent map[string][]string

// path is where e stands in the object; elements of lists have no step.
func (a absent) path(e ast.Expr) ([]string, bool) {
	switch e.Kind() {
	case ast.IdentKind:
		path, ok := a[e.AsIdent()]
		return path, ok
	case ast.SelectKind:
		path, ok := a.path(e.AsSelect().Operand())
		return append(slices.Clip(path), e.AsSelect().FieldName()), ok
	case ast.CallKind:
		call := e.AsCall()
		switch call.FunctionName() {
		case operators.OptSelect:
			field, isText := call.Args()[1].AsLiteral().Value().(string)
			path, ok := a.path(call.Args()[0])
			return append(slices.Clip(path), field), ok && isText
		case operators.Index:
			return a.path(call.Args()[0])
		case "orValue":
			return a.path(call.Target())
		}
	}
	return nil, false
}
