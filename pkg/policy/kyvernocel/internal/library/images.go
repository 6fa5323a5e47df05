package library

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/oneloop-dev/oneloop/pkg/digest"
	"github.com/oneloop-dev/oneloop/pkg/facts"
)

var (
	imageType     = types.NewOpaqueType("kyverno.image")
	imageDataType = types.NewOpaqueType("imagedata.Context")
)

// images declares what references say and image.GetMetadata. The parts of a
// reference are those of go-containerregistry: nginx is library/nginx of
// index.docker.io, other than in the variable images of a ClusterPolicy.
func images() []cel.EnvOption {
	argument := []*cel.Type{cel.StringType}
	parse := unary(func(s string) ref.Val {
		r, err := name.ParseReference(s)
		if err != nil {
			return types.WrapErr(fmt.Errorf("image reference %q: %w", s, err))
		}
		return reference{opaque{imageType}, r}
	})
	out := []cel.EnvOption{
		cel.Variable("image", imageDataType),
		cel.Function("image", cel.Overload("string_to_image_deprecated", argument, imageType, parse)),
		cel.Function("parseImageReference", cel.Overload("string_to_image", argument, imageType, parse)),
		cel.Function("isImage", cel.Overload("is_image_string", argument, cel.BoolType, unary(func(s string) ref.Val {
			_, err := name.ParseReference(s)
			return types.Bool(err == nil)
		}))),
	}
	for function, part := range map[string]struct {
		id string
		of func(reference) ref.Val
	}{
		"registry":   {"image_registry", func(r reference) ref.Val { return types.String(r.Context().RegistryStr()) }},
		"repository": {"image_repository", func(r reference) ref.Val { return types.String(r.Context().RepositoryStr()) }},
		"identifier": {"image_identifier", func(r reference) ref.Val { return types.String(r.identifier()) }},
		"identifierWithSeparator": {"image_identifier_with_separator", func(r reference) ref.Val {
			if _, ok := r.Reference.(name.Digest); ok {
				return types.String("@" + r.Identifier())
			}
			return types.String(":" + r.Identifier())
		}},
		"tag":    {"image_tag", func(r reference) ref.Val { return types.String(r.tag()) }},
		"digest": {"image_digest", func(r reference) ref.Val { return types.String(r.digest()) }},
		"containsDigest": {"image_contains_digest", func(r reference) ref.Val {
			return types.Bool(r.digest() != "")
		}},
	} {
		result := cel.StringType
		if function == "containsDigest" {
			result = cel.BoolType
		}
		out = append(out, cel.Function(function, cel.MemberOverload(part.id, []*cel.Type{imageType}, result, cel.UnaryBinding(func(v ref.Val) ref.Val {
			r, ok := v.(reference)
			if !ok {
				return types.MaybeNoSuchOverloadErr(v)
			}
			return part.of(r)
		}))))
	}
	for function, suffix := range map[string]string{"GetMetadata": "pascal", "getMetadata": "camel"} {
		out = append(out, cel.Function(function, cel.MemberOverload("imagedata_get_string_"+suffix,
			[]*cel.Type{imageDataType, cel.StringType}, cel.DynType, cel.BinaryBinding(func(receiver, arg ref.Val) ref.Val {
				w, ok := receiver.(world)
				if !ok {
					return types.MaybeNoSuchOverloadErr(receiver)
				}
				s, fault := text(arg)
				if fault != nil {
					return fault
				}
				return w.image(s)
			}))))
	}
	return out
}

// A reference is the value of image("nginx").
type reference struct {
	opaque
	name.Reference
}

// Equal implements ref.Val. As in Kyverno nginx and nginx:latest are different.
func (r reference) Equal(other ref.Val) ref.Val {
	o, ok := other.(reference)
	return types.Bool(ok && reflect.DeepEqual(r.Reference, o.Reference))
}

// Value implements ref.Val.
func (r reference) Value() any { return r.Reference }

func (r reference) digest() string {
	if d, ok := r.Reference.(name.Digest); ok {
		return d.DigestStr()
	}
	return ""
}

// tag is "" for a reference that has only a digest.
func (r reference) tag() string {
	if t, ok := r.Reference.(name.Tag); ok {
		return t.TagStr()
	}
	before, _, _ := strings.Cut(r.String(), "@")
	colon := strings.LastIndexByte(before, ':')
	if colon < strings.LastIndexByte(before, '/') {
		return "" // of a port
	}
	return before[colon+1:]
}

// identifier is the tag, the digest or tag@digest.
func (r reference) identifier() string {
	if tag := r.tag(); tag != "" && r.digest() != "" {
		return tag + "@" + r.digest()
	}
	return r.Identifier()
}

// image returns what image.GetMetadata gives for a reference.
func (w *World) image(s string) ref.Val {
	if data, ok := w.Facts.Image(s); ok {
		return native(data)
	}
	r, err := name.ParseReference(s)
	if err != nil {
		return types.WrapErr(fmt.Errorf("image.GetMetadata: image reference %q: %w", s, err))
	}
	if w.Digests == nil {
		return types.WrapErr(facts.MissingImage(s))
	}
	known := map[string]any{
		"image":      s,
		"registry":   r.Context().RegistryStr(),
		"repository": r.Context().RepositoryStr(),
		"identifier": r.Identifier(),
	}
	ctx := w.Context
	if ctx == nil {
		ctx = context.Background()
	}
	switch r := r.(type) {
	case name.Digest:
		known["digest"], known["resolvedImage"] = r.DigestStr(), r.Name()
	case name.Tag:
		d, err := w.Digests.Resolve(ctx, r)
		if err != nil {
			return types.WrapErr(fmt.Errorf("image.GetMetadata: %w", err))
		}
		known["tag"], known["digest"] = r.TagStr(), d.DigestStr()
		known["resolvedImage"] = r.Context().Name() + ":" + r.TagStr() + "@" + d.DigestStr()
	}
	return &imageData{native(known).(traits.Mapper), sync.OnceValues(func() (traits.Mapper, error) {
		in, ok := w.Digests.(digest.Inspector)
		if !ok {
			return nil, facts.MissingImage(s)
		}
		image, err := in.Inspect(ctx, r)
		if errors.Is(err, digest.ErrMissing) {
			return nil, facts.MissingImage(s)
		}
		if err != nil {
			return nil, fmt.Errorf("image.GetMetadata: %w", err)
		}
		all := map[string]any{"manifest": image.Manifest, "config": image.Config}
		if image.ManifestList != nil {
			all["imageIndex"] = image.ManifestList
		}
		for k, v := range known {
			all[k] = v
		}
		return native(all).(traits.Mapper), nil
	})}
}

// An imageData is a map of what is known about an image. Its manifest, config and
// imageIndex are asked for when an expression looks at them: a lock has only the
// rest.
type imageData struct {
	traits.Mapper
	all func() (traits.Mapper, error)
}

// of returns the map that tells about a field.
func (d *imageData) of(key ref.Val) (traits.Mapper, error) {
	switch k, _ := key.(types.String); k {
	case "manifest", "config", "imageIndex":
		return d.all()
	}
	return d.Mapper, nil
}

// Get implements traits.Indexer.
func (d *imageData) Get(key ref.Val) ref.Val {
	m, err := d.of(key)
	if err != nil {
		return types.WrapErr(err)
	}
	return m.Get(key)
}

// Find implements traits.Mapper.
func (d *imageData) Find(key ref.Val) (ref.Val, bool) {
	m, err := d.of(key)
	if err != nil {
		return types.WrapErr(err), true
	}
	return m.Find(key)
}

// Contains implements traits.Container.
func (d *imageData) Contains(key ref.Val) ref.Val {
	m, err := d.of(key)
	if err != nil {
		return types.WrapErr(err)
	}
	return m.Contains(key)
}

// Equal implements ref.Val.
func (d *imageData) Equal(other ref.Val) ref.Val {
	if o, ok := other.(*imageData); ok {
		// What is known has the reference, by which all else is looked up. Functions such
		// as indexOf take an error for a difference.
		return d.Mapper.Equal(o.Mapper)
	}
	m, err := d.all()
	if err != nil {
		return types.WrapErr(err)
	}
	return m.Equal(other)
}

// Size implements traits.Sizer.
func (d *imageData) Size() ref.Val {
	m, err := d.all()
	if err != nil {
		return types.WrapErr(err)
	}
	return m.Size()
}

// Iterator implements traits.Iterable. When not all fields are known, the error
// is the only key.
func (d *imageData) Iterator() traits.Iterator {
	m, err := d.all()
	if err != nil {
		return types.NewRefValList(types.DefaultTypeAdapter, []ref.Val{types.WrapErr(err)}).Iterator()
	}
	return m.Iterator()
}

// Value implements ref.Val.
func (d *imageData) Value() any {
	m, err := d.all()
	if err != nil {
		return err
	}
	return m.Value()
}

// ConvertToNative implements ref.Val.
func (d *imageData) ConvertToNative(t reflect.Type) (any, error) {
	m, err := d.all()
	if err != nil {
		return nil, err
	}
	return m.ConvertToNative(t)
}
