package cel

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"google.golang.org/protobuf/types/known/structpb"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apiserver/pkg/cel/mutation"
	"k8s.io/apiserver/pkg/cel/mutation/dynamic"
)

// Object returns the fields of an Object{...}, whose types must be called as the
// fields are. As in the API server, a null, and what stands in a list or map of the result
// and is itself a list or map made by the expression is no JSON value, and
// merging refuses it.
func Object(v ref.Val) (out map[string]any, err error) {
	defer recovered(&err)
	if err := Small(v); err != nil {
		return nil, err
	}
	o, ok := v.(*dynamic.ObjectVal)
	if !ok {
		return nil, fmt.Errorf("unsupported return type from ApplyConfiguration expression: %v", v.Type())
	}
	if err := o.CheckTypeNamesMatchFieldPathNames(); err != nil {
		return nil, fmt.Errorf("type mismatch: %w", err)
	}
	out, ok = o.Value().(map[string]any)
	if !ok {
		return nil, fmt.Errorf("invalid return type: %T", v)
	}
	fillLists(out)
	return out, nil
}

// fillLists makes of the nil that cel-go has for an empty list an empty list, which
// JSON does not take for null. It leaves alone what comes from the input, which
// has no such lists.
func fillLists(v any) {
	unfilled := func(v any) bool {
		list, ok := v.([]any)
		return ok && list == nil
	}
	switch v := v.(type) {
	case map[string]any:
		for key, e := range v {
			if unfilled(e) {
				v[key] = []any{}
			} else {
				fillLists(e)
			}
		}
	case []any:
		for i, e := range v {
			if unfilled(e) {
				v[i] = []any{}
			} else {
				fillLists(e)
			}
		}
	}
}

// recovered turns a panic in a conversion of cel-go into an error.
func recovered(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("the result can't be converted: %v", p)
		if strings.Contains(fmt.Sprint(p), "structpb") {
			*err = fmt.Errorf("%w (no Object{...} may stand in a list or map of a JSON patch, in a cluster neither: write the element as {\"key\": value})", *err)
		}
	}
}

// Patch returns the operations of a list of JSONPatch{...}, each a map with op,
// path, from and value. As in the API server, a value passes through a JSON whose
// numbers are floats: an int of more than 53 bits becomes a string.
func Patch(v ref.Val) (out []any, err error) {
	defer recovered(&err)
	if err := Small(v); err != nil {
		return nil, err
	}
	list, ok := v.(traits.Lister)
	if !ok {
		return nil, errors.New("type mismatch: JSONPatchType.expression should evaluate to array")
	}
	out = []any{}
	for it := list.Iterator(); it.HasNext() == types.True; {
		item := it.Next()
		op, ok := item.(*mutation.JSONPatchVal)
		if !ok {
			return nil, fmt.Errorf("type mismatch: JSONPatchType.expression should evaluate to array of JSONPatch, got element of %T", item)
		}
		operation := map[string]any{}
		for name, s := range map[string]string{"op": op.Op, "path": op.Path, "from": op.From} {
			if s == "" && name == "from" {
				continue
			}
			// The API server writes it into JSON as Go source does.
			var text string
			if err := json.Unmarshal([]byte(strconv.Quote(s)), &text); err != nil {
				return nil, fmt.Errorf("JSON Patch: %s %q holds characters that the API server does not take: %w", name, s, err)
			}
			operation[name] = text
		}
		if op.Val != nil {
			if operation["value"], err = patchValue(op.Val); err != nil {
				return nil, err
			}
		}
		out = append(out, operation)
	}
	return out, nil
}

func patchValue(v ref.Val) (any, error) {
	if o, ok := v.(*dynamic.ObjectVal); ok {
		if err := o.CheckTypeNamesMatchFieldPathNames(); err != nil {
			return nil, fmt.Errorf("type mismatch: %w", err)
		}
	}
	value, err := v.ConvertToNative(reflect.TypeFor[*structpb.Value]())
	if err != nil {
		return nil, fmt.Errorf("JSONPath valueExpression evaluated to a type that could not marshal to JSON: %w", err)
	}
	text, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("JSONPath valueExpression evaluated to a type that could not marshal to JSON: %w", err)
	}
	var out any
	if err := utiljson.Unmarshal(text, &out); err != nil {
		return nil, fmt.Errorf("JSONPath valueExpression evaluated to a type that could not marshal to JSON: %w", err)
	}
	return out, nil
}

// JSON returns any result as a JSON value: bytes as base64, durations and
// timestamps as text, an optional without a value as null.
func JSON(v ref.Val) (out any, err error) {
	defer recovered(&err)
	if err := Small(v); err != nil {
		return nil, err
	}
	return jsonOf(v)
}

func jsonOf(v ref.Val) (any, error) {
	switch v := v.(type) {
	case nil, types.Null:
		return nil, nil
	case types.Bool:
		return bool(v), nil
	case types.String:
		return string(v), nil
	case types.Int:
		return int64(v), nil
	case types.Uint:
		if v > math.MaxInt64 {
			return nil, fmt.Errorf("%d is too large for JSON", uint64(v))
		}
		return int64(v), nil
	case types.Double:
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return nil, fmt.Errorf("%v is no number of JSON", float64(v))
		}
		return float64(v), nil
	case types.Bytes:
		return base64.StdEncoding.EncodeToString(v), nil
	case types.Duration:
		return strconv.FormatFloat(v.Seconds(), 'f', -1, 64) + "s", nil
	case types.Timestamp:
		return v.UTC().Format(time.RFC3339Nano), nil
	case *types.Err:
		return nil, v
	case *types.Optional:
		if !v.HasValue() {
			return nil, nil
		}
		return jsonOf(v.GetValue())
	case traits.Mapper:
		out := map[string]any{}
		for it := v.Iterator(); it.HasNext() == types.True; {
			key := it.Next()
			name, ok := key.(types.String)
			if !ok {
				return nil, fmt.Errorf("map key %v is of type %s, not string", key.Value(), key.Type().TypeName())
			}
			field, err := jsonOf(v.Get(key))
			if err != nil {
				return nil, err
			}
			out[string(name)] = field
		}
		return out, nil
	case traits.Lister:
		out := []any{}
		for it := v.Iterator(); it.HasNext() == types.True; {
			element, err := jsonOf(it.Next())
			if err != nil {
				return nil, err
			}
			out = append(out, element)
		}
		return out, nil
	case *dynamic.ObjectVal:
		fields, ok := v.Value().(map[string]any)
		if !ok {
			return nil, fmt.Errorf("%s can't be converted to JSON", v.Type().TypeName())
		}
		return jsonOf(types.DefaultTypeAdapter.NativeToValue(fields))
	}
	return nil, fmt.Errorf("a value of type %s can't be converted to JSON", v.Type().TypeName())
}
