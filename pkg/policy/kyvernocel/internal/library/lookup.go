package library

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"

	"github.com/oneloop-dev/oneloop/pkg/resource"
)

var (
	resourceType      = types.NewOpaqueType("resource.Context")
	globalContextType = types.NewOpaqueType("globalcontext.Context")
	httpType          = types.NewOpaqueType("http.Context")
	gvrType           = types.NewOpaqueType("schema.GroupVersionResource")
)

// objectType is the type of what is looked up: that of Kyverno, which compares
// it with the type of a target expression.
var objectType = types.NewMapType(types.StringType, types.AnyType)

// lookups declares resource, globalContext and http. Their functions have two
// spellings, Get and get.
func lookups(namespace string) []cel.EnvOption {
	texts := types.NewMapType(types.StringType, types.StringType)
	str := types.StringType
	out := []cel.EnvOption{
		cel.Variable("resource", resourceType),
		cel.Variable("globalContext", globalContextType),
		cel.Variable("http", httpType),
	}
	for _, spelling := range []struct{ list, get, post, toGVR, client, suffix string }{
		{"List", "Get", "Post", "ToGVR", "Client", "pascal"},
		{"list", "get", "post", "toGVR", "client", "camel"},
	} {
		// method declares an overload of a function; its id needs to be unique.
		method := func(function, id string, receiver, result *types.Type, do func(w *World, args []ref.Val) ref.Val, args ...*types.Type) {
			out = append(out, cel.Function(function, cel.MemberOverload(id+"_"+spelling.suffix, slices.Concat([]*types.Type{receiver}, args), result,
				cel.FunctionBinding(func(args ...ref.Val) ref.Val {
					w, ok := args[0].(world)
					if !ok {
						return types.MaybeNoSuchOverloadErr(args[0])
					}
					return do(w.World, args[1:])
				}))))
		}
		if namespace == "" {
			method(spelling.list, "resource_list_string_string_string", resourceType, objectType, list(3), str, str, str)
			method(spelling.list, "resource_list_string_string_string_map", resourceType, objectType, list(3), str, str, str, texts)
			method(spelling.list, "list_resources_gvr_string", resourceType, objectType, list(2), gvrType, str)
			method(spelling.list, "list_resources_gvr_string_map", resourceType, objectType, list(2), gvrType, str, texts)
			method(spelling.get, "resource_get_string_string_string_string", resourceType, objectType, get, str, str, str, str)
			method(spelling.get, "resource_get_gvr_string_string", resourceType, objectType, get, gvrType, str, str)
			method(spelling.post, "resource_post_string_string_string_map", resourceType, objectType, post, str, str, str, objectType)
		} else {
			method(spelling.list, "resource_list_string_string", resourceType, objectType, list(2), str, str)
			method(spelling.list, "resource_list_string_string_map", resourceType, objectType, list(2), str, str, texts)
			method(spelling.list, "list_resources_gvr", resourceType, objectType, list(1), gvrType)
			method(spelling.list, "list_resources_gvr_map", resourceType, objectType, list(1), gvrType, texts)
			method(spelling.get, "resource_get_string_string_string", resourceType, objectType, get, str, str, str)
			method(spelling.get, "resource_get_gvr_string", resourceType, objectType, get, gvrType, str)
		}
		method(spelling.post, "resource_post_string_string_map", resourceType, objectType, post, str, str, objectType)
		method(spelling.toGVR, "convert_to_gvr_string_string", resourceType, gvrType, toGVR, str, str)

		method(spelling.get, "globalcontext_get_string", globalContextType, cel.DynType, global, str)
		method(spelling.get, "globalcontext_get_string_string", globalContextType, cel.DynType, global, str, str)

		method(spelling.get, "http_get_string", httpType, types.AnyType, request("GET"), str)
		method(spelling.get, "http_get_string_headers", httpType, types.AnyType, request("GET"), str, texts)
		method(spelling.post, "http_post_string_any", httpType, types.AnyType, request("POST"), str, types.AnyType)
		method(spelling.post, "http_post_string_any_headers", httpType, types.AnyType, request("POST"), str, types.AnyType, texts)
		method(spelling.client, "http_client_string", httpType, httpType, client, str)
	}
	return out
}

// answer makes a CEL value of what a look-up gave.
func answer(v any, err error) ref.Val {
	if err != nil {
		return types.WrapErr(err)
	}
	return native(v)
}

// placeOf reads a place from the arguments: apiVersion and resource, or a GVR,
// and then the namespace, unless the policy has its own. It returns the others.
func placeOf(w *World, args []ref.Val) (place, []ref.Val, ref.Val) {
	var p place
	if gvr, ok := args[0].(gvr); ok {
		p, args = gvr.place, args[1:]
	} else {
		apiVersion, fault := text(args[0])
		if fault != nil {
			return p, nil, fault
		}
		resources, fault := text(args[1])
		if fault != nil {
			return p, nil, fault
		}
		var err error
		if p, err = newPlace(apiVersion, resources, ""); err != nil {
			return p, nil, types.WrapErr(err)
		}
		args = args[2:]
	}
	if p.namespace = w.Namespace; p.namespace == "" && len(args) > 0 {
		namespace, fault := text(args[0])
		if fault != nil {
			return p, nil, fault
		}
		p.namespace, args = namespace, args[1:]
	}
	return p, args, nil
}

func get(w *World, args []ref.Val) ref.Val {
	p, rest, fault := placeOf(w, args)
	if fault != nil {
		return fault
	}
	name, fault := text(rest[0])
	if fault != nil {
		return fault
	}
	o, err := w.get(p, name)
	if errors.Is(err, errNotFound) {
		return types.NullValue
	}
	return answer(o, err)
}

// list has labels after the given number of arguments.
func list(arguments int) func(w *World, args []ref.Val) ref.Val {
	return func(w *World, args []ref.Val) ref.Val {
		p, _, fault := placeOf(w, args)
		if fault != nil {
			return fault
		}
		labels := map[string]string{}
		if len(args) > arguments {
			v, err := JSON(args[arguments])
			if err != nil {
				return types.WrapErr(err)
			}
			given, _ := v.(map[string]any)
			for k, v := range given {
				s, ok := v.(string)
				if !ok {
					return types.NewErr("the value of label %s is no string", k)
				}
				labels[k] = s
			}
		}
		return answer(w.list(p, labels))
	}
}

func post(w *World, args []ref.Val) ref.Val {
	data, err := JSON(args[len(args)-1])
	if err != nil {
		return types.WrapErr(err)
	}
	p, _, fault := placeOf(w, args[:len(args)-1])
	if fault != nil {
		return fault
	}
	return answer(w.post(p, data))
}

// A gvr is what ToGVR gives: where objects of a kind are.
type gvr struct {
	opaque
	place
}

func toGVR(_ *World, args []ref.Val) ref.Val {
	apiVersion, fault := text(args[0])
	if fault != nil {
		return fault
	}
	kind, fault := text(args[1])
	if fault != nil {
		return fault
	}
	p, err := newPlace(apiVersion, resource.Plural(kind), "")
	if err != nil {
		return types.WrapErr(fmt.Errorf("resource.ToGVR: %w", err))
	}
	return gvr{opaque{gvrType}, p}
}

func global(w *World, args []ref.Val) ref.Val {
	var names [2]string
	for i, arg := range args {
		s, fault := text(arg)
		if fault != nil {
			return fault
		}
		names[i] = s
	}
	return answer(w.global(names[0], names[1]))
}

func request(method string) func(*World, []ref.Val) ref.Val {
	return func(w *World, args []ref.Val) ref.Val {
		url, fault := text(args[0])
		if fault != nil {
			return fault
		}
		var data any
		if method == "POST" {
			var err error
			if data, err = JSON(args[1]); err != nil {
				return types.WrapErr(err)
			}
		}
		return answer(w.request(method, url, data))
	}
}

// client is the same context: who answers is not asked.
func client(w *World, args []ref.Val) ref.Val {
	bundle, fault := text(args[0])
	if fault != nil {
		return fault
	}
	if bundle != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(bundle)) {
		return types.NewErr("http.Client: the bundle has no certificate in PEM")
	}
	return world{opaque{httpType}, w}
}
