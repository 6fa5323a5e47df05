package library

import (
	"bytes"
	"compress/gzip"
	"crypto/md5"  //nolint:gosec // policies name it
	"crypto/sha1" //nolint:gosec // policies name it
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/parser"
	"sigs.k8s.io/yaml"
)

// hashes: md5, sha1 and sha256 of a text in hexadecimal digits, with and without
// the prefix hash.
func hashes() []cel.EnvOption {
	var out []cel.EnvOption
	for name, sum := range map[string]func([]byte) []byte{
		"md5":    func(b []byte) []byte { s := md5.Sum(b); return s[:] },  //nolint:gosec // as above
		"sha1":   func(b []byte) []byte { s := sha1.Sum(b); return s[:] }, //nolint:gosec // as above
		"sha256": func(b []byte) []byte { s := sha256.Sum256(b); return s[:] },
	} {
		for function, suffix := range map[string]string{name: "non_prefixed", "hash." + name: "prefixed"} {
			out = append(out, cel.Function(function, cel.Overload(name+"_string_"+suffix, []*cel.Type{cel.StringType}, cel.StringType,
				unary(func(s string) ref.Val { return types.String(hex.EncodeToString(sum([]byte(s)))) }))))
		}
	}
	return out
}

// numbers: math.round(number, digits).
func numbers() []cel.EnvOption {
	return []cel.EnvOption{cel.Function("math.round", cel.Overload("math_round_float_int",
		[]*cel.Type{cel.DoubleType, cel.IntType}, cel.DoubleType,
		cel.BinaryBinding(func(number, digits ref.Val) ref.Val {
			x, ok1 := number.(types.Double)
			n, ok2 := digits.(types.Int)
			if !ok1 || !ok2 {
				return types.MaybeNoSuchOverloadErr(number)
			}
			shift := math.Pow(10, float64(n))
			return types.Double(math.Round(float64(x)*shift) / shift)
		})))}
}

// documents: json.marshal, json.unmarshal and yaml.parse. What they read has
// only floating point numbers, as in Kyverno.
func documents() []cel.EnvOption {
	return []cel.EnvOption{
		cel.Variable("json", jsonType),
		cel.Variable("yaml", yamlType),
		cel.Function("unmarshal", cel.MemberOverload("unmarshal_string_dyn", []*cel.Type{jsonType, cel.DynType}, cel.DynType,
			cel.BinaryBinding(func(_, v ref.Val) ref.Val {
				s, fault := text(v)
				if fault != nil {
					return fault
				}
				var out any
				if err := json.Unmarshal([]byte(s), &out); err != nil {
					return types.WrapErr(fmt.Errorf("json.unmarshal: %w", err))
				}
				return native(out)
			}))),
		cel.Function("marshal", cel.MemberOverload("marshal_dyn_string", []*cel.Type{jsonType, cel.DynType}, cel.StringType,
			cel.BinaryBinding(func(_, v ref.Val) ref.Val {
				if types.IsUnknownOrError(v) {
					return v
				}
				plain, err := JSON(v)
				if err != nil {
					return types.WrapErr(fmt.Errorf("json.marshal: %w", err))
				}
				b, err := json.Marshal(plain)
				if err != nil {
					return types.WrapErr(fmt.Errorf("json.marshal: %w", err))
				}
				return types.String(b)
			}))),
		cel.Function("parse", cel.MemberOverload("parse_string_dyn", []*cel.Type{yamlType, cel.StringType}, cel.DynType,
			cel.BinaryBinding(func(_, v ref.Val) ref.Val {
				s, fault := text(v)
				if fault != nil {
					return fault
				}
				b, err := yaml.YAMLToJSON([]byte(s))
				if err != nil {
					return types.WrapErr(fmt.Errorf("yaml.parse: %w", err))
				}
				if len(b) > maxText {
					return types.WrapErr(fmt.Errorf("yaml.parse: the document has more than %d bytes once its anchors are written out", maxText))
				}
				var out any
				if err := json.Unmarshal(b, &out); err != nil {
					return types.WrapErr(fmt.Errorf("yaml.parse: %w", err))
				}
				return native(out)
			}))),
	}
}

// maxText bounds what a short text may grow to.
const maxText = 16 << 20

// now is the variable that stands for a call of time.now().
const now = "@now"

// times: time.now, time.truncate and time.toCron. The call of time.now becomes a
// variable, because a function doesn't see the run that it belongs to.
func times() []cel.EnvOption {
	return []cel.EnvOption{
		cel.Variable(now, cel.TimestampType),
		cel.Macros(cel.ReceiverMacro("now", 0, func(f parser.ExprHelper, target ast.Expr, _ []ast.Expr) (ast.Expr, *cel.Error) {
			if target.Kind() != ast.IdentKind || target.AsIdent() != "time" {
				return nil, nil //nolint:nilnil // no macro: a call as any other
			}
			return f.NewIdent(now), nil
		})),
		cel.Function("time.truncate", cel.Overload("time_truncate", []*cel.Type{cel.TimestampType, cel.DurationType}, cel.TimestampType,
			cel.BinaryBinding(func(at, to ref.Val) ref.Val {
				t, ok1 := at.(types.Timestamp)
				d, ok2 := to.(types.Duration)
				if !ok1 || !ok2 {
					return types.MaybeNoSuchOverloadErr(at)
				}
				return types.Timestamp{Time: t.Truncate(d.Duration)}
			}))),
		cel.Function("time.toCron", cel.Overload("time_to_cron", []*cel.Type{cel.TimestampType}, cel.StringType,
			cel.UnaryBinding(func(at ref.Val) ref.Val {
				t, ok := at.(types.Timestamp)
				if !ok {
					return types.MaybeNoSuchOverloadErr(at)
				}
				return types.String(fmt.Sprintf("%d %d %d %d %d", t.Minute(), t.Hour(), t.Day(), int(t.Month()), int(t.Weekday())))
			}))),
	}
}

// errRandom says why random has no answer.
var errRandom = fmt.Errorf("random gives another text in every run, which would change the manifests each time: %w; derive the text from the resource, as with sha256(object.metadata.name)", errors.ErrUnsupported)

// randomness: random is an error.
func randomness() []cel.EnvOption {
	var out []cel.EnvOption
	for name, suffix := range map[string]string{"random": "non_prefixed", "random.random": "prefixed"} {
		out = append(out, cel.Function(name,
			cel.Overload("random_string_"+suffix, []*cel.Type{cel.StringType}, cel.StringType,
				cel.UnaryBinding(func(ref.Val) ref.Val { return types.WrapErr(errRandom) })),
			cel.Overload("random_string_default_expr_"+suffix, nil, cel.StringType,
				cel.FunctionBinding(func(...ref.Val) ref.Val { return types.WrapErr(errRandom) }))))
	}
	return out
}

// transforms: listObjToMap(keys, values, key, value) makes a map of two lists of
// objects, by a field of the ones and a field of the others.
func transforms() []cel.EnvOption {
	var out []cel.EnvOption
	for name, suffix := range map[string]string{"listObjToMap": "non_prefixed", "transform.listObjToMap": "prefixed"} {
		out = append(out, cel.Function(name, cel.Overload("list_of_object_to_map_"+suffix,
			[]*cel.Type{types.ListType, types.ListType, types.StringType, types.StringType}, types.MapType,
			cel.FunctionBinding(listObjToMap))))
	}
	return out
}

func listObjToMap(args ...ref.Val) ref.Val {
	var lists [2][]any
	for i := range lists {
		v, err := JSON(args[i])
		if err != nil {
			return types.WrapErr(fmt.Errorf("listObjToMap: %w", err))
		}
		list, ok := v.([]any)
		if !ok {
			return types.MaybeNoSuchOverloadErr(args[i])
		}
		lists[i] = list
	}
	key, fault := text(args[2])
	if fault != nil {
		return fault
	}
	value, fault := text(args[3])
	if fault != nil {
		return fault
	}
	if len(lists[0]) != len(lists[1]) {
		return types.NewErr("listObjToMap: expected two lists of the same length, found %d keys and %d values", len(lists[0]), len(lists[1]))
	}
	out := make(map[string]any, len(lists[0]))
	for i := range lists[0] {
		k, ok1 := lists[0][i].(map[string]any)
		v, ok2 := lists[1][i].(map[string]any)
		if !ok1 || !ok2 {
			return types.NewErr("listObjToMap: expected lists of objects, found something else at index %d", i)
		}
		name, ok := k[key].(string)
		if !ok {
			return types.NewErr("listObjToMap: the field %q at index %d of the keys is no string", key, i)
		}
		out[name] = v[value]
	}
	return native(out)
}

// compression: gzip.compress and gzip.decompress.
func compression() []cel.EnvOption {
	return []cel.EnvOption{
		cel.Function("gzip.compress", cel.Overload("compress_any_bytes", []*cel.Type{cel.DynType}, cel.BytesType,
			unary(func(s string) ref.Val {
				var b bytes.Buffer
				w := gzip.NewWriter(&b)
				w.ModTime = time.Unix(0, 0)
				if _, err := io.WriteString(w, s); err != nil {
					return types.WrapErr(err)
				}
				if err := w.Close(); err != nil {
					return types.WrapErr(err)
				}
				return types.Bytes(b.Bytes())
			}))),
		cel.Function("gzip.decompress", cel.Overload("decompress_bytes_string", []*cel.Type{cel.BytesType}, cel.StringType,
			cel.UnaryBinding(func(v ref.Val) ref.Val {
				b, ok := v.(types.Bytes)
				if !ok {
					return types.MaybeNoSuchOverloadErr(v)
				}
				r, err := gzip.NewReader(bytes.NewReader(b))
				if err != nil {
					return types.WrapErr(fmt.Errorf("gzip.decompress: %w", err))
				}
				out, err := io.ReadAll(io.LimitReader(r, maxText+1))
				if err != nil {
					return types.WrapErr(fmt.Errorf("gzip.decompress: %w", err))
				}
				if len(out) > maxText {
					return types.NewErr("gzip.decompress: the text has more than %d bytes", maxText)
				}
				return types.String(out)
			}))),
	}
}

// orValue lets x.orValue(y) be x where x is no optional, as before cel-go 0.28.
func orValue() []cel.EnvOption {
	const name = "__orValueCompat__"
	return []cel.EnvOption{
		cel.Macros(cel.ReceiverMacro("orValue", 1, func(f parser.ExprHelper, target ast.Expr, args []ast.Expr) (ast.Expr, *cel.Error) {
			return f.NewCall(name, target, args[0]), nil
		})),
		cel.Function(name, cel.Overload(name+"_dyn_dyn", []*cel.Type{cel.DynType, cel.DynType}, cel.DynType,
			cel.BinaryBinding(func(v, otherwise ref.Val) ref.Val {
				o, ok := v.(*types.Optional)
				switch {
				case !ok:
					return v
				case o.HasValue():
					return o.GetValue()
				}
				return otherwise
			}))),
	}
}
