// Package library has the CEL functions that Kyverno's policies know beside
// those of the API server.
//
// Functions that compute do so here. Those that look something up, such as
// resource.Get, are answered from a World: what the stream and the facts know.
// What they don't know is an error that says how to declare it, never an empty
// answer. Names, overloads and results are those of Kyverno 1.19.
package library

import (
	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"

	expr "github.com/oneloop-dev/oneloop/pkg/expr/cel"
)

// Options declares all functions and the variables that Values gives. namespace
// is that of the policy, "" for a cluster-scoped one: a policy of a namespace
// looks up objects of that namespace only, and its functions don't ask for one.
func Options(namespace string) []cel.EnvOption {
	out := []cel.EnvOption{structsOption}
	out = append(out, hashes()...)
	out = append(out, numbers()...)
	out = append(out, documents()...)
	out = append(out, times()...)
	out = append(out, randomness()...)
	out = append(out, transforms()...)
	out = append(out, compression()...)
	out = append(out, users()...)
	out = append(out, certificates()...)
	out = append(out, orValue()...)
	out = append(out, exceptions()...)
	out = append(out, lookups(namespace)...)
	out = append(out, images()...)
	return out
}

// text returns the Go string of a CEL string; the value is nil then. Otherwise
// the value is the error to return.
func text(v ref.Val) (string, ref.Val) {
	if s, ok := v.(types.String); ok {
		return string(s), nil
	}
	if types.IsUnknownOrError(v) {
		return "", v
	}
	return "", types.NewErr("expected a string, found %s", v.Type().TypeName())
}

// native makes a CEL value of a JSON value.
func native(v any) ref.Val { return expr.Value(v) }

// unary is a function of one string.
func unary(f func(string) ref.Val) cel.OverloadOpt {
	return cel.UnaryBinding(func(v ref.Val) ref.Val {
		s, fault := text(v)
		if fault != nil {
			return fault
		}
		return f(s)
	})
}
