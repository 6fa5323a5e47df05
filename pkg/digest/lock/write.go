package lock

import (
	"maps"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/oneloop-dev/oneloop/pkg/digest"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// New returns an empty lock.
func New() (*resource.Resource, error) {
	return resource.New(map[string]any{
		"apiVersion": Kind.APIVersion(),
		"kind":       Kind.Kind,
		"metadata":   map[string]any{"name": "images"},
	})
}

// Write gives the document of a lock the entries in set, in place of those it
// has for the same references, and takes those out that drop names. The
// entries come out sorted by their references in full; everything else in the
// text, comments and untouched entries included, stays as it is. It reports
// whether anything changed.
func Write(doc *resource.Resource, set []Entry, drop func(Entry) bool) (changed bool, err error) {
	o, err := doc.Object()
	if err != nil {
		return false, err
	}
	l, err := Parse(doc)
	if err != nil {
		return false, err
	}
	wanted := map[string]Entry{}
	for _, e := range set {
		wanted[e.key()] = e
	}
	was, _ := o["images"].([]any)
	type line struct {
		key   string
		value any
	}
	var lines []line
	for i, e := range l.Images {
		k := e.key()
		value := was[i]
		now, ok := wanted[k]
		switch {
		case ok && value != nil:
			delete(wanted, k)
			// As it was spelt, and with the fields that are not ours to change.
			now.Reference = e.Reference
			m, _ := value.(map[string]any)
			m = maps.Clone(m)
			for _, field := range []string{"digest", "mediaType", "platform"} {
				delete(m, field)
			}
			maps.Copy(m, now.values())
			value = m
		case drop != nil && drop(e), slices.ContainsFunc(lines, func(l line) bool { return l.key == k }):
			continue
		}
		lines = append(lines, line{k, value})
	}
	for k, e := range wanted {
		lines = append(lines, line{k, e.values()})
	}
	slices.SortStableFunc(lines, func(a, b line) int { return strings.Compare(a.key, b.key) })
	images := make([]any, len(lines))
	for i := range lines {
		images[i] = lines[i].value
	}
	after := maps.Clone(o)
	after["images"] = images
	if len(images) == 0 {
		delete(after, "images")
	}
	if resource.Equal(o, after) {
		return false, nil
	}
	return true, doc.Update(after)
}

// key is the reference in full; a fault is found when the lock is read.
func (e Entry) key() string {
	tag, err := name.NewTag(e.Reference)
	if err != nil {
		return e.Reference
	}
	return digest.Reference(tag)
}

func (e Entry) values() map[string]any {
	m := map[string]any{"reference": e.Reference, "digest": e.Digest}
	if e.MediaType != "" {
		m["mediaType"] = e.MediaType
	}
	if e.Platform != "" {
		m["platform"] = e.Platform
	}
	return m
}
