package cel

import (
	"slices"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
)

// exactType is the type of variables with exact types.
var exactType = types.NewObjectType("kyverno.variables")

// exactFields are the fields of exactType.
type exactFields struct {
	types.Provider // of all other types
	names          []string
	types          map[string]*types.Type
}

func (f *exactFields) add(name string, t *types.Type) {
	if f.types == nil {
		f.types = map[string]*types.Type{}
	}
	f.names = append(f.names, name)
	f.types[name] = t
}

// provide is a cel.EnvOption.
func (f *exactFields) provide(env *cel.Env) (*cel.Env, error) {
	f.Provider = env.CELTypeProvider()
	return cel.CustomTypeProvider(f)(env)
}

// FindStructType implements types.Provider.
func (f *exactFields) FindStructType(name string) (*types.Type, bool) {
	if name == exactType.TypeName() {
		return types.NewTypeTypeWithParam(exactType), true
	}
	return f.Provider.FindStructType(name)
}

// FindStructFieldNames implements types.Provider.
func (f *exactFields) FindStructFieldNames(name string) ([]string, bool) {
	if name == exactType.TypeName() {
		return slices.Clone(f.names), true
	}
	return f.Provider.FindStructFieldNames(name)
}

// FindStructFieldType implements types.Provider.
func (f *exactFields) FindStructFieldType(name, field string) (*types.FieldType, bool) {
	if name != exactType.TypeName() {
		return f.Provider.FindStructFieldType(name, field)
	}
	t, ok := f.types[field]
	if !ok {
		return nil, false
	}
	return &types.FieldType{Type: t}, true
}
