package library

import (
	"fmt"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"

	expr "github.com/oneloop-dev/oneloop/pkg/expr/cel"
)

// JSON returns what encoding/json writes for a CEL value in Kyverno: a timestamp in
// RFC 3339, a duration as nanoseconds, bytes in base64. The keys of a map must be
// strings. A value that would be too large is an error.
func JSON(v ref.Val) (any, error) {
	if err := expr.Small(v); err != nil {
		return nil, err
	}
	return goValue(v)
}

func goValue(v ref.Val) (any, error) {
	switch v := v.(type) {
	case types.Null:
		return nil, nil
	case types.Bool:
		return bool(v), nil
	case types.String:
		return string(v), nil
	case types.Int:
		return int64(v), nil
	case types.Uint:
		return uint64(v), nil
	case types.Double:
		return float64(v), nil
	case types.Bytes:
		return []byte(v), nil
	case types.Timestamp:
		return v.Time, nil
	case types.Duration:
		return int64(v.Duration), nil
	case *types.Optional:
		if v.HasValue() {
			return goValue(v.GetValue())
		}
		return nil, nil
	case *types.Err:
		return nil, v
	case *record:
		return v.fields, nil
	case traits.Mapper:
		out := map[string]any{}
		for it := v.Iterator(); it.HasNext() == types.True; {
			key := it.Next()
			name, ok := key.(types.String)
			if !ok {
				return nil, fmt.Errorf("the key of a map has to be a string, found %s", key.Type().TypeName())
			}
			value, err := goValue(v.Get(key))
			if err != nil {
				return nil, err
			}
			out[string(name)] = value
		}
		return out, nil
	case traits.Lister:
		out := []any{}
		for it := v.Iterator(); it.HasNext() == types.True; {
			value, err := goValue(it.Next())
			if err != nil {
				return nil, err
			}
			out = append(out, value)
		}
		return out, nil
	}
	switch value := v.Value().(type) {
	case ref.Val:
		return nil, fmt.Errorf("%s has no value in JSON", v.Type().TypeName())
	case map[string]any: // of an Object
		return goValue(native(value))
	default: // such as a quantity
		return value, nil
	}
}
