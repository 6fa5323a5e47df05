// Package rfc6902 applies JSON patches as the API server of Kubernetes applies
// those of its own policies, with its errors. Kyverno's ClusterPolicy reads them
// more freely, which is what package jsonpatch does.
package rfc6902

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	utiljson "k8s.io/apimachinery/pkg/util/json"
)

// ErrTestFailed is wrapped by the error of a patch with a "test" that does not
// hold.
var ErrTestFailed = jsonpatch.ErrTestFailed

// MaxOperations is how many operations a patch may have: as many as the API
// server takes in a request.
const MaxOperations = 10000

// limited bounds what "copy" may add to an object, as the API server does.
var limited = sync.OnceFunc(func() { jsonpatch.AccumulatedCopySizeLimit = 3 << 20 })

// Apply returns object with operations applied in order, each a map with op,
// path, from and value. Neither argument is modified. As in the API server the
// parent of what is added must be there, what is replaced need not be when it is
// a field, and negative indices count from the end.
func Apply(object map[string]any, operations []any) (out map[string]any, err error) {
	defer func() {
		if p := recover(); p != nil {
			out, err = nil, fmt.Errorf("JSON Patch: it can't be applied: %v", p)
		}
	}()
	if len(operations) > MaxOperations {
		return nil, fmt.Errorf("JSON Patch: expected at most %d operations, found %d", MaxOperations, len(operations))
	}
	patch := make(jsonpatch.Patch, len(operations))
	for i, o := range operations {
		fields, ok := o.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("JSON Patch: operation %d is %T, not a map", i, o)
		}
		patch[i] = jsonpatch.Operation{}
		for name, v := range fields {
			text, err := json.Marshal(v)
			if err != nil {
				return nil, fmt.Errorf("JSON Patch: %s of operation %d: %w", name, i, err)
			}
			raw := json.RawMessage(text)
			patch[i][name] = &raw
		}
	}
	document, err := json.Marshal(object)
	if err != nil {
		return nil, fmt.Errorf("JSON Patch: %w", err)
	}
	limited()
	patched, err := patch.Apply(document)
	if err != nil {
		return nil, fmt.Errorf("JSON Patch: %w", err)
	}
	var result any
	if err := utiljson.Unmarshal(patched, &result); err != nil {
		return nil, fmt.Errorf("JSON Patch: %w", err)
	}
	out, ok := result.(map[string]any)
	if !ok {
		return nil, errors.New("JSON Patch: the result is not an object")
	}
	return out, nil
}
