// Package configuration looks for faults in the expressions of ApplyConfigurations
// that show without a manifest.
package configuration

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/cel-go/common/ast"

	"github.com/oneloop-dev/oneloop/pkg/decode"
	"github.com/oneloop-dev/oneloop/pkg/expr/cel"
	"github.com/oneloop-dev/oneloop/pkg/patch/apply"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// Faults returns what fails when an expression comes to it, whatever manifest of
// the kinds it is evaluated for: fields that none of them has, and, unless they may
// be replaced, atomic lists, maps and structs. remedy says what to do about the
// latter. Without kinds there are no faults.
func Faults(expression string, kinds []resource.Kind, atomics bool, remedy string) []string {
	if len(kinds) == 0 {
		return nil
	}
	var out []string
	cel.Visit(expression, func(e ast.Expr) {
		if e.Kind() != ast.StructKind {
			return
		}
		root, path, _ := strings.Cut(e.AsStruct().TypeName(), ".")
		if root != "Object" {
			return
		}
		var at []string
		if path != "" {
			at = strings.Split(path, ".")
		}
		for _, f := range e.AsStruct().Fields() {
			field := append(slices.Clip(at), f.AsStructField().Name())
			if text := fault(field, kinds, atomics, remedy); text != "" && !slices.Contains(out, text) {
				out = append(out, text)
			}
		}
	})
	return out
}

// fault is what is wrong about a field with all kinds; "" if it is right with one.
func fault(field []string, kinds []resource.Kind, atomics bool, remedy string) string {
	text := ""
	for _, kind := range kinds {
		place, names, err := apply.BuiltIn().Field(kind, field)
		switch {
		case err == nil && place == apply.Absent:
			text = fmt.Sprintf("%s has no field %s: merging fails", kind.Kind, strings.Join(field, "."))
			if near := decode.Nearest(field[len(field)-1], names); near != "" {
				text += fmt.Sprintf("; did you mean %s?", near)
			}
		case err == nil && place == apply.Atomic && !atomics:
			text = fmt.Sprintf("%s is atomic, and an ApplyConfiguration may not set it: merging fails; %s", strings.Join(field, "."), remedy)
		default:
			return ""
		}
	}
	return text
}
