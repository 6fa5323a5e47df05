package cel

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/google/cel-go/cel"
)

// A Function is what expressions may call.
type Function struct {
	Name string
	// Signatures are the forms it has, such as "string.find(string) string" of a
	// method and "quantity(string) kubernetes.Quantity".
	Signatures []string
}

var callable = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.]*$`)

// Functions lists the functions of the environment by name. Operators and macros
// are not among them.
func (e *Environment) Functions() []Function {
	declared := e.env.Functions()
	var out []Function
	for _, name := range slices.Sorted(maps.Keys(declared)) {
		if !callable.MatchString(name) {
			continue // an operator
		}
		f := Function{Name: name}
		for _, o := range declared[name].OverloadDecls() {
			var args []string
			for _, t := range o.ArgTypes() {
				args = append(args, typeName(t))
			}
			call := name
			if o.IsMemberFunction() {
				call, args = args[0]+"."+name, args[1:]
			}
			f.Signatures = append(f.Signatures, fmt.Sprintf("%s(%s) %s", call, strings.Join(args, ", "), typeName(o.ResultType())))
		}
		slices.Sort(f.Signatures)
		f.Signatures = slices.Compact(f.Signatures)
		out = append(out, f)
	}
	return out
}

// typeName prints a type as the language specification does, with dyn for the
// parameters of types.
func typeName(t *cel.Type) string {
	return strings.NewReplacer("<", "", ">", "").Replace(t.String())
}
