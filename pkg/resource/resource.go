// Package resource represents one Kubernetes manifest: who it is, where it was
// read, and what it says. It is the only package that edits YAML.
//
// Languages work on the plain JSON view of a resource (Object). Update writes
// their result back into the YAML, so that comments, key order and quoting of
// every field that did not change survive in every language.
//
// A Resource is its text. A scanner of our own reads the YAML that manifests
// consist of at more than 100 MB/s, knows the place of every value, and tells
// whether a text is just as yaml/v3 would write it. So nothing but the text is
// kept, an edit replaces the bytes of the changed fields, and what nobody
// changed is copied. What the scanner refuses (anchors, tags, ...) goes through
// the nodes of go.yaml.in/yaml/v3. Every edit is read again and compared with
// the wanted values before it counts, and tests hold the scanner against
// yaml/v3 and sigs.k8s.io/yaml.
package resource

import (
	"fmt"
	"strings"
)

// An Object is a manifest as plain JSON values: map[string]any, []any, string,
// bool, int64, float64 and nil. Treat it as read-only.
type Object = map[string]any

// A Kind is a group, version and kind. Group is empty for the core group.
type Kind struct{ Group, Version, Kind string }

// ParseKind splits an apiVersion and joins it with the kind.
func ParseKind(apiVersion, kind string) Kind {
	group, version, ok := strings.Cut(apiVersion, "/")
	if !ok {
		group, version = "", apiVersion
	}
	return Kind{Group: group, Version: version, Kind: kind}
}

// APIVersion joins group and version.
func (k Kind) APIVersion() string {
	if k.Group == "" {
		return k.Version
	}
	return k.Group + "/" + k.Version
}

// String prints apiVersion/kind.
func (k Kind) String() string { return k.APIVersion() + "/" + k.Kind }

// An ID names a resource within one input.
type ID struct {
	Kind      Kind
	Namespace string // as written; empty when the manifest names none
	Name      string
}

// String prints namespace/Kind/name, without what it lacks: the form that errors
// and summaries use.
func (id ID) String() string {
	out := id.Kind.Kind
	if id.Namespace != "" {
		out = id.Namespace + "/" + out
	}
	if id.Name != "" {
		out += "/" + id.Name
	}
	return out
}

// An Origin is the place a resource was read from.
type Origin struct {
	File string // as the user named it; "-" for standard input; empty when unknown
	Line int    // first line of the resource, counted from 1; 0 when unknown
}

// String prints file:line, as far as they are known.
func (o Origin) String() string {
	switch {
	case o.File == "" && o.Line == 0:
		return ""
	case o.Line == 0:
		return o.File
	}
	return fmt.Sprintf("%s:%d", o.File, o.Line)
}

// IDOf reads the identity out of a JSON view. Missing or mistyped fields come
// out empty.
func IDOf(o Object) ID {
	apiVersion, _ := o["apiVersion"].(string)
	kind, _ := o["kind"].(string)
	meta, _ := o["metadata"].(map[string]any)
	name, _ := meta["name"].(string)
	namespace, _ := meta["namespace"].(string)
	return ID{Kind: ParseKind(apiVersion, kind), Namespace: namespace, Name: name}
}
