package facts

import (
	"slices"
	"sync"

	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// Secrets are those with data that were read from facts: objects, and answers of
// the API server as they were recorded.
type Secrets struct {
	mu   sync.Mutex
	read []map[string]any
}

// Read returns them in the order in which they were read, one as often as it was.
func (s *Secrets) Read() []map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.read)
}

// Watched returns a view of f, and the Secrets that will be read through it.
func (f *Facts) Watched() (*Facts, *Secrets) {
	watched := *f
	watched.secrets = &Secrets{}
	return &watched, watched.secrets
}

// Unwatched undoes Watched, for who reads of a Secret what is none.
func (f *Facts) Unwatched() *Facts {
	unwatched := *f
	unwatched.secrets = nil
	return &unwatched
}

// IsSecret reports whether objects of kind k hold secrets.
func IsSecret(k resource.Kind) bool { return k.Group == "" && k.Kind == "Secret" }

// sawObject notes a Secret that has data. One without tells only that it is there.
func (f *Facts) sawObject(o map[string]any) {
	if f.secrets == nil || !IsSecret(resource.IDOf(o).Kind) {
		return
	}
	data, _ := o["data"].(map[string]any)
	text, _ := o["stringData"].(map[string]any)
	if len(data)+len(text) == 0 {
		return
	}
	f.secrets.mu.Lock()
	defer f.secrets.mu.Unlock()
	f.secrets.read = append(f.secrets.read, o)
}

// sawAnswer notes the Secrets in what was recorded of an API server, one or a list
// of them.
func (f *Facts) sawAnswer(v any) {
	if f.secrets == nil {
		return
	}
	switch v := v.(type) {
	case map[string]any:
		items, ok := v["items"].([]any)
		if !ok {
			f.sawObject(v)
			return
		}
		of, _ := v["kind"].(string)
		for _, item := range items {
			o, ok := item.(map[string]any)
			if !ok {
				continue
			}
			if of == "SecretList" && o["kind"] == nil {
				// The API server leaves the kind out of the items of a list.
				o = map[string]any{"kind": "Secret", "data": o["data"], "stringData": o["stringData"]}
			}
			f.sawObject(o)
		}
	case []any:
		for _, item := range v {
			f.sawAnswer(item)
		}
	}
}
