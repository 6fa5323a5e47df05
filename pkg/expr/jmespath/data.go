package jmespath

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"sigs.k8s.io/yaml"

	"github.com/oneloop-dev/oneloop/pkg/certificate"
)

var dataFunctions = []function{
	{name: "image_normalize", params: []kind{aString}, result: aString, note: "the image reference with docker.io and :latest filled in", body: imageNormalize},
	{name: "items", params: []kind{anObject | aList, aString, aString}, result: aList, note: "an object per key or index, which holds it under the second argument and its value under the third", body: items},
	{name: "lookup", params: []kind{anObject | aList, aString | aNumber}, result: anything, note: "the value at a key or index, null if there is none", body: lookup},
	{name: "object_from_lists", params: []kind{aList, aList}, result: anObject, note: "an object with the keys of the first list and the values of the second", body: objectFromLists},
	{name: "parse_json", params: []kind{aString}, result: anything, note: "the value that the JSON text holds", body: parseJSON},
	{name: "parse_yaml", params: []kind{aString}, result: anything, note: "the value that the YAML document holds", body: parseYAML},
	{name: "x509_decode", params: []kind{aString}, result: anObject, note: "the fields of a PEM certificate or certificate request with an RSA key", body: x509Decode},
}

func items(r *run, args []any) (any, error) {
	key, value := args[1].(string), args[2].(string)
	switch v := args[0].(type) {
	case map[string]any:
		if err := r.spend(8 * len(v)); err != nil {
			return nil, err
		}
		out := make(pairs, 0, len(v))
		for _, k := range slices.Sorted(maps.Keys(v)) {
			out = append(out, pair(key, k, value, v[k]))
		}
		return out, nil
	case []any:
		if err := r.spend(8 * len(v)); err != nil {
			return nil, err
		}
		out := make(pairs, len(v))
		for i, e := range v {
			out[i] = pair(key, int64(i), value, e)
		}
		return out, nil
	}
	return nil, errors.New("argument 1 is what items returned, expected an object or an array")
}

// pair holds two entries, or only the second when they have the same name.
func pair(key string, k any, value string, v any) map[string]any {
	m := map[string]any{key: k}
	m[value] = v
	return m
}

func lookup(_ *run, args []any) (any, error) {
	switch in := args[0].(type) {
	case map[string]any:
		key, ok := args[1].(string)
		if !ok {
			return nil, fmt.Errorf("argument 2 is %s, expected the key of an object", describe(args[1]))
		}
		return in[key], nil
	case []any:
		if !isNumber(args[1]) {
			return nil, fmt.Errorf("argument 2 is %s, expected the index of a list", describe(args[1]))
		}
		i, err := wholeArgument(args[1])
		if err != nil {
			return nil, fmt.Errorf("argument 2: %w", err)
		}
		if i < 0 || i >= len(in) {
			return nil, nil
		}
		return in[i], nil
	}
	return nil, errors.New("argument 1 is what items returned, expected an object or an array")
}

func objectFromLists(r *run, args []any) (any, error) {
	keys, ok := args[0].([]any)
	vals, ok2 := args[1].([]any)
	if !ok || !ok2 {
		return nil, errors.New("an argument is what items returned, expected two arrays")
	}
	if err := r.spend(4 * len(keys)); err != nil {
		return nil, err
	}
	out := make(map[string]any, len(keys))
	for i, k := range keys {
		name, ok := asText(k)
		if !ok {
			return nil, fmt.Errorf("element %d of argument 1 is %s, expected a string", i, describe(k))
		}
		if i < len(vals) {
			out[name] = vals[i]
		} else {
			out[name] = nil
		}
	}
	return out, nil
}

func parseJSON(r *run, args []any) (any, error) {
	text := args[0].(string)
	if err := r.spend(len(text)); err != nil {
		return nil, err
	}
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return nil, fmt.Errorf("the text is not JSON: %w", err)
	}
	return integers(v), nil
}

func parseYAML(r *run, args []any) (any, error) {
	text := args[0].(string)
	if err := r.spend(len(text)); err != nil {
		return nil, err
	}
	b, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("the text is not YAML: %w", err)
	}
	// Anchors may have made it longer.
	if err := r.spend(len(b)); err != nil {
		return nil, err
	}
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		return nil, err
	}
	return integers(v), nil
}

// x509Decode returns what encoding/json makes of the Go struct, with the public
// key as its modulus in decimal and its exponent. The fields are those of the
// Go release that built the program.
func x509Decode(r *run, args []any) (any, error) {
	text := args[0].(string)
	if err := r.spend(8 * len(text)); err != nil {
		return nil, err
	}
	cert, request, err := certificate.Decode(text)
	if err != nil {
		return nil, err
	}
	var out any = cert
	if request != nil {
		out = request
	}
	b, err := json.Marshal(out)
	if err != nil {
		return nil, err
	}
	var v map[string]any
	if err := json.Unmarshal(b, &v); err != nil {
		return nil, err
	}
	return integers(v), nil
}

// imagePattern is the grammar of image references with host, path, tag and
// digest. Unlike in go-containerregistry, no "library/" is implied.
var imagePattern = sync.OnceValue(func() *regexp.Regexp {
	const (
		label     = `[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?`
		host      = `(?:` + label + `(?:\.` + label + `)*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?`
		component = `[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*`
		tag       = `[\w][\w.-]{0,127}`
		digest    = `sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128}`
	)
	return regexp.MustCompile(`^(?:(` + host + `)/)?(` + component + `(?:/` + component + `)*)(?::(` + tag + `))?(?:@(` + digest + `))?$`)
})

func imageNormalize(r *run, args []any) (any, error) {
	const (
		defaultRegistry = "docker.io"
		maxPath         = 255
	)
	image := args[0].(string)
	if err := r.spend(len(image)); err != nil {
		return nil, err
	}
	full := image
	// The first part is a registry if it looks like a host name.
	if first, _, found := strings.Cut(image, "/"); !found ||
		!strings.ContainsAny(first, ".:") && first != "localhost" && strings.ToLower(first) == first {
		full = defaultRegistry + "/" + image
	}
	m := imagePattern().FindStringSubmatch(full)
	if m == nil {
		return nil, fmt.Errorf("%q is not an image reference such as registry.example/team/app:1.2", image)
	}
	host, path, tag, digest := m[1], m[2], m[3], m[4]
	if len(path) > maxPath {
		return nil, fmt.Errorf("the path of image reference %q is longer than %d characters", image, maxPath)
	}
	name := path
	if host != "" {
		name = host + "/" + path
	}
	switch {
	case digest != "":
		return name + "@" + digest, nil
	case tag != "":
		return name + ":" + tag, nil
	}
	return name + ":latest", nil
}
