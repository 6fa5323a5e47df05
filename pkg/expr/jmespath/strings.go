package jmespath

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"path"
	"strconv"
	"strings"
)

var stringFunctions = []function{
	{name: "base64_decode", params: []kind{aString}, result: aString, note: "the text behind standard base64", body: base64Decode},
	{name: "base64_encode", params: []kind{aString}, result: aString, note: "the text as standard base64", body: base64Encode},
	{name: "compare", params: []kind{aString, aString}, result: aNumber, note: "-1, 0 or 1: how the first string sorts against the second", body: compareStrings},
	{name: "equal_fold", params: []kind{aString, aString}, boolean: true, note: "whether the strings differ in case only", body: equalFold},
	{name: "md5", params: []kind{aString}, result: aString, note: "the MD5 sum in hexadecimal", body: md5Sum},
	{name: "path_canonicalize", params: []kind{aString}, result: aString, note: "the file path without needless slashes and dots", body: pathCanonicalize},
	{name: "replace", params: []kind{aString, aString, aString, aNumber}, result: aString, note: "the first string with the second replaced by the third, that many times; all when negative", body: replace},
	{name: "replace_all", params: []kind{aString, aString, aString}, result: aString, note: "the first string with the second replaced by the third everywhere", body: replaceAll},
	{name: "sha1", params: []kind{aString}, result: aString, note: "the SHA-1 sum in hexadecimal", body: sha1Sum},
	{name: "sha256", params: []kind{aString}, result: aString, note: "the SHA-256 sum in hexadecimal", body: sha256Sum},
	{name: "split", params: []kind{aString, aString}, result: aListOfStrings, note: "the parts of the first string between occurrences of the second", body: split},
	{name: "to_boolean", params: []kind{aString}, boolean: true, note: "true or false for the word in any case; anything else fails", body: toBoolean},
	{name: "to_lower", params: []kind{aString}, result: aString, note: "the string in lower case", body: toLower},
	{name: "to_upper", params: []kind{aString}, result: aString, note: "the string in upper case", body: toUpper},
	{name: "trim", params: []kind{aString, aString}, result: aString, note: "the first string without characters of the second at both ends", body: trim},
	{name: "trim_prefix", params: []kind{aString, aString}, result: aString, note: "the first string without the second at its start", body: trimPrefix},
	{name: "truncate", params: []kind{aString, aNumber}, result: aString, note: "at most that many characters of the string", body: truncate},
}

// text returns s as a result, for its price.
func (r *run) text(s string) (any, error) {
	if err := r.spend(len(s)); err != nil {
		return nil, err
	}
	return s, nil
}

// wholeNumber cuts the fraction of a number off. What an int cannot hold becomes
// the smallest int, as on the processors Kyverno runs on.
func wholeNumber(v any) int {
	f := float(v)
	if f > -(1<<63) && f < 1<<63 {
		return int(f)
	}
	return math.MinInt
}

// asText is how Kyverno makes text of an argument that may be a string or a
// number. Numbers have the precision of a float32: 123456789 gives 123456790.
func asText(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case int64, float64:
		return strconv.FormatFloat(float(v), 'f', -1, 32), true
	case bool:
		return strconv.FormatBool(v), true
	case order:
		return strconv.Itoa(int(v)), true
	}
	return "", false
}

func base64Decode(r *run, args []any) (any, error) {
	b, err := base64.StdEncoding.DecodeString(args[0].(string))
	if err != nil {
		return nil, fmt.Errorf("the text is not standard base64: %w", err)
	}
	return r.text(string(b))
}

func base64Encode(r *run, args []any) (any, error) {
	return r.text(base64.StdEncoding.EncodeToString([]byte(args[0].(string))))
}

func compareStrings(_ *run, args []any) (any, error) {
	return order(strings.Compare(args[0].(string), args[1].(string))), nil
}

func equalFold(_ *run, args []any) (any, error) {
	return strings.EqualFold(args[0].(string), args[1].(string)), nil
}

func md5Sum(r *run, args []any) (any, error) {
	sum := md5.Sum([]byte(args[0].(string)))
	return r.text(hex.EncodeToString(sum[:]))
}

func sha1Sum(r *run, args []any) (any, error) {
	sum := sha1.Sum([]byte(args[0].(string)))
	return r.text(hex.EncodeToString(sum[:]))
}

func sha256Sum(r *run, args []any) (any, error) {
	sum := sha256.Sum256([]byte(args[0].(string)))
	return r.text(hex.EncodeToString(sum[:]))
}

func pathCanonicalize(r *run, args []any) (any, error) {
	return r.text(path.Join(args[0].(string)))
}

func replace(r *run, args []any) (any, error) {
	return r.replace(args[0].(string), args[1].(string), args[2].(string), wholeNumber(args[3]))
}

func replaceAll(r *run, args []any) (any, error) {
	return r.replace(args[0].(string), args[1].(string), args[2].(string), -1)
}

func (r *run) replace(s, from, to string, n int) (any, error) {
	hits := strings.Count(s, from)
	if n >= 0 {
		hits = min(hits, n)
	}
	// Pay before the text is made: it may be the product of two long ones.
	if to != "" && hits > r.left/len(to) {
		return nil, r.spend(r.left + 1)
	}
	if err := r.spend(len(s) + hits*len(to)); err != nil {
		return nil, err
	}
	return strings.Replace(s, from, to, n), nil
}

func split(r *run, args []any) (any, error) {
	parts := strings.Split(args[0].(string), args[1].(string))
	if err := r.spend(len(parts)); err != nil {
		return nil, err
	}
	out := make([]any, len(parts))
	for i, p := range parts {
		out[i] = p
	}
	return out, nil
}

func toBoolean(_ *run, args []any) (any, error) {
	switch strings.ToLower(args[0].(string)) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return nil, errors.New("the text is neither true nor false")
}

func toLower(r *run, args []any) (any, error) { return r.text(strings.ToLower(args[0].(string))) }

func toUpper(r *run, args []any) (any, error) { return r.text(strings.ToUpper(args[0].(string))) }

func trim(_ *run, args []any) (any, error) {
	return strings.Trim(args[0].(string), args[1].(string)), nil
}

func trimPrefix(_ *run, args []any) (any, error) {
	return strings.TrimPrefix(args[0].(string), args[1].(string)), nil
}

func truncate(r *run, args []any) (any, error) {
	s, most := args[0].(string), wholeNumber(args[1])
	for i := range s {
		if most <= 0 {
			return s[:i], nil
		}
		most--
	}
	return s, nil
}
