package library

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"

	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// Types of what is no JSON value.
var (
	jsonType           = types.NewOpaqueType("json.Json")
	yamlType           = types.NewOpaqueType("yaml.Yaml")
	serviceAccountType = types.NewObjectType("user.ServiceAccount")
	exceptionType      = types.NewObjectType("libs.Exception")
)

// structs are the fields of the types with fields.
var structs = map[string]map[string]*types.Type{
	"user.ServiceAccount": {"Name": types.StringType, "Namespace": types.StringType},
	"libs.Exception":      {"allowedImages": types.NewListType(types.StringType), "allowedValues": types.NewListType(types.StringType)},
}

// structsOption makes the types with fields known to the checker.
func structsOption(env *cel.Env) (*cel.Env, error) {
	return cel.CustomTypeProvider(&provider{env.CELTypeProvider()})(env)
}

// A provider knows the fields of structs beside those of another provider.
type provider struct{ types.Provider }

// FindStructType implements types.Provider.
func (p *provider) FindStructType(name string) (*types.Type, bool) {
	if _, ok := structs[name]; ok {
		return types.NewTypeTypeWithParam(types.NewObjectType(name)), true
	}
	return p.Provider.FindStructType(name)
}

// FindStructFieldNames implements types.Provider.
func (p *provider) FindStructFieldNames(name string) ([]string, bool) {
	if fields, ok := structs[name]; ok {
		return slices.Sorted(maps.Keys(fields)), true
	}
	return p.Provider.FindStructFieldNames(name)
}

// FindStructFieldType implements types.Provider.
func (p *provider) FindStructFieldType(name, field string) (*types.FieldType, bool) {
	fields, ok := structs[name]
	if !ok {
		return p.Provider.FindStructFieldType(name, field)
	}
	t, ok := fields[field]
	if !ok {
		return nil, false
	}
	return &types.FieldType{Type: t}, true
}

// NewValue implements types.Provider.
func (p *provider) NewValue(name string, fields map[string]ref.Val) ref.Val {
	known, ok := structs[name]
	if !ok {
		return p.Provider.NewValue(name, fields)
	}
	out := &record{types.NewObjectType(name), make(map[string]any, len(known))}
	for field, t := range known {
		out.fields[field] = zero(t)
		if v, ok := fields[field]; ok {
			plain, err := JSON(v)
			if err != nil {
				return types.WrapErr(err)
			}
			out.fields[field] = plain
		}
	}
	return out
}

func zero(t *types.Type) any {
	if t.Kind() == types.ListKind {
		return []any{}
	}
	return ""
}

// A record is a value of a type with fields. All of them are there; has reports
// whether one is not empty.
type record struct {
	t      *types.Type
	fields map[string]any
}

// ConvertToNative implements ref.Val.
func (r *record) ConvertToNative(t reflect.Type) (any, error) {
	return native(r.fields).ConvertToNative(t)
}

// ConvertToType implements ref.Val.
func (r *record) ConvertToType(t ref.Type) ref.Val {
	switch t.TypeName() {
	case r.t.TypeName():
		return r
	case types.TypeType.TypeName():
		return r.t
	}
	return types.NewErr("type conversion error from %s to %s", r.t, t.TypeName())
}

// Equal implements ref.Val.
func (r *record) Equal(other ref.Val) ref.Val {
	o, ok := other.(*record)
	return types.Bool(ok && o.t.TypeName() == r.t.TypeName() && resource.Equal(r.fields, o.fields))
}

// Type implements ref.Val.
func (r *record) Type() ref.Type { return r.t }

// Value implements ref.Val.
func (r *record) Value() any { return r.fields }

// Get implements traits.Indexer.
func (r *record) Get(index ref.Val) ref.Val {
	name, _ := index.(types.String)
	v, ok := r.fields[string(name)]
	if !ok {
		return types.NewErr("no such field: %s", name)
	}
	return native(v)
}

// IsSet implements traits.FieldTester.
func (r *record) IsSet(field ref.Val) ref.Val {
	name, _ := field.(types.String)
	switch v := r.fields[string(name)].(type) {
	case string:
		return types.Bool(v != "")
	case []any:
		return types.Bool(len(v) > 0)
	}
	return types.NewErr("no such field: %s", name)
}

// users: parseServiceAccount of a user name. Name and Namespace are empty when it
// is none of a service account.
func users() []cel.EnvOption {
	var out []cel.EnvOption
	for name, suffix := range map[string]string{"parseServiceAccount": "non_prefixed", "user.parseServiceAccount": "prefixed"} {
		out = append(out, cel.Function(name, cel.Overload("parse_service_account_string_"+suffix,
			[]*cel.Type{cel.StringType}, serviceAccountType, unary(func(user string) ref.Val {
				account := &record{serviceAccountType, map[string]any{"Name": "", "Namespace": ""}}
				rest, ok := strings.CutPrefix(user, "system:serviceaccount:")
				if namespace, name, found := strings.Cut(rest, ":"); ok && found {
					account.fields["Namespace"], account.fields["Name"] = namespace, name
				}
				return account
			}))))
	}
	return out
}

// exceptions declares the variable that tells what PolicyExceptions allow.
func exceptions() []cel.EnvOption {
	return []cel.EnvOption{cel.Variable("exceptions", exceptionType)}
}

// Exceptions is the value of the variable exceptions.
func Exceptions(images, values []string) any {
	list := func(texts []string) []any {
		out := make([]any, len(texts))
		for i, s := range texts {
			out[i] = s
		}
		return out
	}
	return &record{exceptionType, map[string]any{"allowedImages": list(images), "allowedValues": list(values)}}
}

// An opaque value has a type and nothing that an expression could see.
type opaque struct{ t *types.Type }

// ConvertToNative implements ref.Val.
func (o opaque) ConvertToNative(t reflect.Type) (any, error) {
	return nil, fmt.Errorf("%s has no value of type %s", o.t, t)
}

// ConvertToType implements ref.Val.
func (o opaque) ConvertToType(t ref.Type) ref.Val {
	if t.TypeName() == types.TypeType.TypeName() {
		return o.t
	}
	return types.NewErr("type conversion error from %s to %s", o.t, t.TypeName())
}

// Equal implements ref.Val.
func (o opaque) Equal(other ref.Val) ref.Val {
	return types.Bool(other.Type().TypeName() == o.t.TypeName())
}

// Type implements ref.Val.
func (o opaque) Type() ref.Type { return o.t }

// Value implements ref.Val.
func (o opaque) Value() any { return o.t.TypeName() }
