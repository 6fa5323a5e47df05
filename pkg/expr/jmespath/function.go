package jmespath

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// A Function documents one function of the language.
type Function struct {
	Name      string
	Signature string // such as "replace(string, string, string, number) string"
	Note      string // one line: what it returns
}

// Functions lists all functions by name: those of JMESPath and those Kyverno
// adds. Kyverno's sum replaces the one of JMESPath.
func Functions() []Function {
	var out []Function
	for _, f := range functionTable() {
		out = append(out, Function{f.name, f.signature(), f.note})
	}
	slices.SortFunc(out, func(a, b Function) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// A kind is a set of types that an argument may have.
type kind uint16

const (
	aNumber kind = 1 << iota
	aString
	aList
	anObject
	aListOfNumbers
	aListOfStrings
	anExpression
	anything
)

var kindNames = []struct {
	kind kind
	name string
}{
	{aNumber, "number"}, {aString, "string"}, {aList, "array"}, {anObject, "object"},
	{aListOfNumbers, "array[number]"}, {aListOfStrings, "array[string]"},
	{anExpression, "expression"}, {anything, "any"},
}

func (k kind) String() string {
	var names []string
	for _, n := range kindNames {
		if k&n.kind != 0 {
			names = append(names, n.name)
		}
	}
	return strings.Join(names, "|")
}

// holds reports whether v is of one of the types.
func (k kind) holds(v any) bool {
	if k&anything != 0 {
		return true
	}
	switch v := v.(type) {
	case int64, float64:
		return k&aNumber != 0
	case string:
		return k&aString != 0
	case map[string]any:
		return k&anObject != 0
	case *reference:
		return k&anExpression != 0
	case pairs:
		return k&aList != 0
	case []any:
		return k&aList != 0 || k&aListOfNumbers != 0 && all(v, isNumber) || k&aListOfStrings != 0 && all(v, isString)
	}
	return false
}

func all(list []any, is func(any) bool) bool {
	for _, e := range list {
		if !is(e) {
			return false
		}
	}
	return true
}

func isString(v any) bool {
	_, ok := v.(string)
	return ok
}

type function struct {
	name     string
	params   []kind
	variadic bool // the last parameter may repeat
	result   kind
	boolean  bool // the result is true or false; no parameter ever is
	note     string
	body     func(r *run, args []any) (any, error)
	// never says why calls fail at render time, and what to do instead.
	never error
}

// signature prints name, parameters and result.
func (f *function) signature() string {
	names := make([]string, len(f.params))
	for i, p := range f.params {
		names[i] = p.String()
	}
	s := f.name + "(" + strings.Join(names, ", ")
	if f.variadic {
		s += "..."
	}
	s += ") "
	if f.boolean {
		return s + "boolean"
	}
	return s + f.result.String()
}

// apply calls the function with arguments whose number is right.
func (f *function) apply(r *run, args []any) (any, error) {
	for i, a := range args {
		if len(f.params) == 0 {
			break
		}
		want := f.params[min(i, len(f.params)-1)]
		if !want.holds(a) {
			return nil, fmt.Errorf("argument %d is %s, expected %s", i+1, describe(a), want)
		}
	}
	return f.body(r, args)
}

// functionTable is built on first use, so that a program that evaluates no
// expression does not pay for it.
var functionTable = sync.OnceValue(func() map[string]*function {
	table := make(map[string]*function, 96)
	for _, group := range [][]function{standardFunctions, stringFunctions, patternFunctions, arithmeticFunctions, timeFunctions, dataFunctions, environmentFunctions} {
		for i := range group {
			table[group[i].name] = &group[i]
		}
	}
	return table
})

// nearest returns the function whose name differs least from name, or "" when
// none is close: two letters in a long name, one in a short one.
func nearest(name string) string {
	best, distance := "", min(3, 1+len(name)/3)
	for _, f := range Functions() {
		if d := editDistance(name, f.Name); d < distance {
			best, distance = f.Name, d
		}
	}
	return best
}

// editDistance counts the letters to insert, delete or replace between two
// short names; for names of very different length it only says "many".
func editDistance(a, b string) int {
	if d := len(a) - len(b); d < -2 || d > 2 {
		return len(a) + len(b)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
