package library

import (
	"errors"
	"fmt"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
)

var attestorType = types.NewObjectType("imageverify.attestor")

// A Verification asks who signed images, for one policy and one resource.
type Verification interface {
	// Verify returns how many of the attestors, which are called by their names in
	// the policy, have signed an image. The error says why that is not known.
	Verify(image string, attestors []string) (int, error)
}

// Attestor is the value of attestors.NAME.
func Attestor(name string, by Verification) any {
	return attestor{opaque{attestorType}, name, by}
}

type attestor struct {
	opaque
	name string
	by   Verification
}

// Verifications declares the functions that only an ImageValidatingPolicy has, and
// its variables images, attestors and attestations.
func Verifications() []cel.EnvOption {
	str, list := types.StringType, types.NewListType(types.DynType)
	// What is not done here names itself in its error.
	refuse := func(what string) func(...ref.Val) ref.Val {
		return func(...ref.Val) ref.Val {
			return types.WrapErr(fmt.Errorf("%s at render time: %w", what, errors.ErrUnsupported))
		}
	}
	return []cel.EnvOption{
		cel.Variable("images", types.NewMapType(str, types.NewListType(str))),
		cel.Variable("attestors", types.NewMapType(str, types.DynType)),
		cel.Variable("attestations", types.NewMapType(str, str)),
		cel.Function("verifyImageSignatures", cel.Overload("verify_image_signature_string_stringarray",
			[]*types.Type{str, list}, types.IntType, cel.BinaryBinding(verifySignatures))),
		cel.Function("verifyAttestationSignatures", cel.Overload("verify_image_attestations_string_string_stringarray",
			[]*types.Type{str, str, list}, types.IntType, cel.FunctionBinding(refuse("verifyAttestationSignatures: attestations can't be verified")))),
		cel.Function("extractPayload", cel.Overload("payload_string_string",
			[]*types.Type{str, str}, types.DynType, cel.FunctionBinding(refuse("extractPayload: attestations can't be read")))),
		cel.Function("getImageData", cel.Overload("get_image_data_string",
			[]*types.Type{str}, types.DynType, cel.FunctionBinding(refuse("getImageData has no result that an expression could use; use image.GetMetadata: getImageData can't be evaluated")))),
	}
}

func verifySignatures(image, attestors ref.Val) ref.Val {
	s, fault := text(image)
	if fault != nil {
		return fault
	}
	list, ok := attestors.(traits.Lister)
	if !ok {
		return types.MaybeNoSuchOverloadErr(attestors)
	}
	var names []string
	var by Verification
	for it := list.Iterator(); it.HasNext() == types.True; {
		a, ok := it.Next().(attestor)
		if !ok {
			return types.NewErr("verifyImageSignatures: expected a list of attestors, such as [attestors.mine]")
		}
		names, by = append(names, a.name), a.by
	}
	if by == nil {
		return types.IntZero // nobody was asked
	}
	n, err := by.Verify(s, names)
	if err != nil {
		return types.WrapErr(fmt.Errorf("verifyImageSignatures: %w", err))
	}
	return types.Int(n)
}
