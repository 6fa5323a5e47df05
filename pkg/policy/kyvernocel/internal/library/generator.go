package library

import (
	"errors"
	"fmt"
	"math"
	"reflect"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"google.golang.org/protobuf/types/known/structpb"

	expr "github.com/oneloop-dev/oneloop/pkg/expr/cel"
)

var generatorType = types.NewOpaqueType("generator.Context")

// Generator declares generator.Apply, which only a GeneratingPolicy has, and its
// variable. The policy of a namespace does not say where to: it generates in its
// own namespace.
func Generator(namespace string) []cel.EnvOption {
	arguments, id := []*types.Type{generatorType, types.StringType, types.NewListType(objectType)}, "generator_apply_string_list_"
	if namespace != "" {
		arguments, id = []*types.Type{generatorType, types.NewListType(objectType)}, "generator_apply_list_"
	}
	out := []cel.EnvOption{cel.Variable("generator", generatorType)}
	for function, suffix := range map[string]string{"Apply": "pascal", "apply": "camel"} {
		out = append(out, cel.Function(function, cel.MemberOverload(id+suffix, arguments, types.BoolType, cel.FunctionBinding(func(args ...ref.Val) ref.Val {
			g, ok := args[0].(generator)
			if !ok {
				return types.MaybeNoSuchOverloadErr(args[0])
			}
			target := ""
			if namespace == "" {
				var fault ref.Val
				if target, fault = text(args[1]); fault != nil {
					return fault
				}
			}
			objects, err := objectsOf(args[len(args)-1])
			if err == nil {
				err = g.apply(target, objects)
			}
			if err != nil {
				return types.WrapErr(fmt.Errorf("generator.Apply: %w", err))
			}
			return types.True
		}))))
	}
	return out
}

// A generator is the value of the variable generator.
type generator struct {
	opaque
	apply func(namespace string, objects []map[string]any) error
}

// Generate is the value of the variable generator. apply is called with what an
// expression generates, in order: the namespace that it names, "" for none, and
// objects.
func Generate(apply func(namespace string, objects []map[string]any) error) any {
	return generator{opaque{generatorType}, apply}
}

func objectsOf(v ref.Val) ([]map[string]any, error) {
	list, ok := v.(traits.Lister)
	if !ok {
		return nil, fmt.Errorf("expected a list of objects, found %s", v.Type().TypeName())
	}
	var out []map[string]any
	for it := list.Iterator(); it.HasNext() == types.True; {
		element := it.Next()
		plain, err := ProtoJSON(element)
		if err != nil {
			return nil, fmt.Errorf("object %d: %w", len(out), err)
		}
		o, ok := plain.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("object %d: expected a map, found %s", len(out), element.Type().TypeName())
		}
		out = append(out, o)
	}
	return out, nil
}

// ProtoJSON returns a CEL value as protobuf's JSON mapping has it, which is how
// Kyverno takes objects out of CEL: whole numbers beyond 2^53 become strings, as
// do times, durations and, in base64, bytes. A value that would be too large is an
// error.
func ProtoJSON(v ref.Val) (any, error) {
	if err, ok := v.(*types.Err); ok {
		return nil, err
	}
	if err := expr.Small(v); err != nil {
		return nil, err
	}
	value, err := v.ConvertToNative(reflect.TypeFor[*structpb.Value]())
	if err != nil {
		return nil, err
	}
	message, ok := value.(*structpb.Value)
	if !ok {
		return nil, errors.New("no JSON value")
	}
	return jsonOf(message.AsInterface()), nil
}

// jsonOf turns the numbers of protobuf, which are floating, into those of JSON
// values.
func jsonOf(v any) any {
	switch v := v.(type) {
	case float64:
		if whole := int64(v); v == float64(whole) && whole > -1<<53 && whole < 1<<53 {
			return whole
		}
	case map[string]any:
		for k, e := range v {
			v[k] = jsonOf(e)
		}
	case []any:
		for i, e := range v {
			v[i] = jsonOf(e)
		}
	}
	return v
}

// Scalar returns a CEL value as a placeholder of a template gives it: like ProtoJSON,
// but a number as it is, however large.
func Scalar(v ref.Val) (any, error) {
	switch v := v.(type) {
	case types.Int:
		return int64(v), nil
	case types.Uint:
		if v > math.MaxInt64 {
			return nil, fmt.Errorf("%d is larger than any whole number of a manifest", v)
		}
		return int64(v), nil
	case types.Double:
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return nil, fmt.Errorf("JSON has no number %v", v)
		}
		return float64(v), nil
	}
	return ProtoJSON(v)
}
