package cel

import (
	"cmp"
	"slices"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
)

// Value makes a CEL value of a JSON value, as expressions see their variables:
// maps are walked through in the order of their keys. In Kubernetes the order
// differs from time to time, and rendering must not.
func Value(v any) ref.Val { return ordered.NativeToValue(v) }

// ordered is the adapter of all environments.
var ordered = orderedAdapter{types.DefaultTypeAdapter}

var inOrder = cel.CustomTypeAdapter(ordered)

type orderedAdapter struct{ types.Adapter }

// NativeToValue implements types.Adapter.
func (a orderedAdapter) NativeToValue(v any) ref.Val {
	switch v := v.(type) {
	case map[string]any:
		return orderedMap{types.NewStringInterfaceMap(a, v)}
	case map[string]string:
		return orderedMap{types.NewStringStringMap(a, v)}
	case map[ref.Val]ref.Val:
		return orderedMap{types.NewRefValMap(a, v)}
	case []any:
		return types.NewDynamicList(a, v)
	case []ref.Val:
		return types.NewRefValList(a, v)
	}
	return a.Adapter.NativeToValue(v)
}

// An orderedMap is a map whose iterator follows its keys.
type orderedMap struct{ traits.Mapper }

// Iterator implements traits.Iterable.
func (m orderedMap) Iterator() traits.Iterator {
	var keys []ref.Val
	for it := m.Mapper.Iterator(); it.HasNext() == types.True; {
		keys = append(keys, it.Next())
	}
	slices.SortFunc(keys, func(a, b ref.Val) int {
		x, ok1 := a.(types.String)
		y, ok2 := b.(types.String)
		if ok1 && ok2 {
			return cmp.Compare(x, y)
		}
		if c, ok := a.(traits.Comparer); ok {
			if n, ok := c.Compare(b).(types.Int); ok {
				return int(n)
			}
		}
		return cmp.Compare(a.Type().TypeName(), b.Type().TypeName())
	})
	return types.NewRefValList(ordered, keys).(traits.Iterable).Iterator()
}

// IsZeroValue implements traits.Zeroer.
func (m orderedMap) IsZeroValue() bool { return m.Size() == types.IntZero }
