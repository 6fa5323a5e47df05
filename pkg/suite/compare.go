package suite

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// tidy returns what counts when two resources are compared: as in kyverno test
// that is everything but nulls, empty maps and empty lists, the labels that
// Kyverno's controllers need, and a namespace that the API server fills in. The
// label managed-by counts unless it says kyverno, or nothing.
func tidy(o resource.Object) resource.Object {
	meta, _ := o["metadata"].(map[string]any)
	meta = maps.Clone(meta)
	if meta == nil {
		meta = map[string]any{}
	}
	if labels, ok := meta["labels"].(map[string]any); ok {
		kept := map[string]any{}
		for k, v := range labels {
			if !strings.HasPrefix(k, "generate.kyverno.io/") && (k != managedBy || v != "kyverno") {
				kept[k] = v
			}
		}
		meta["labels"] = kept
	}
	if id := resource.IDOf(o); id.Namespace == "" && !resource.ClusterScoped(id.Kind) {
		meta["namespace"] = "default"
	}
	o = maps.Clone(o)
	o["metadata"] = meta
	out, _ := withoutEmpty(o).(map[string]any)
	return out
}

const managedBy = "app.kubernetes.io/managed-by"

// withoutEmpty drops nulls, and maps and lists that hold nothing else.
func withoutEmpty(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, e := range v {
			if e = withoutEmpty(e); e != nil {
				out[k] = e
			}
		}
		if len(out) > 0 {
			return out
		}
		return nil
	case []any:
		var out []any
		for _, e := range v {
			if e = withoutEmpty(e); e != nil {
				out = append(out, e)
			}
		}
		if len(out) > 0 {
			return out
		}
		return nil
	}
	return v
}

// compare returns "" when both say the same, and a diff otherwise. What a
// Secret holds is never shown.
func compare(file string, expected, actual resource.Object) (string, error) {
	expected, actual = tidy(expected), tidy(actual)
	if resource.Equal(expected, actual) {
		return "", nil
	}
	if facts.IsSecret(resource.IDOf(actual).Kind) {
		var b strings.Builder
		for _, c := range resource.Diff(expected, actual) {
			how := "differs"
			switch {
			case c.Added():
				how = "is not expected"
			case c.Removed():
				how = "is missing"
			}
			fmt.Fprintf(&b, "%s %s\n", c.Path, how)
		}
		return b.String(), nil
	}
	want, err := text(expected)
	if err != nil {
		return "", err
	}
	got, err := text(actual)
	if err != nil {
		return "", err
	}
	_, out, _ := strings.Cut(string(diff.Diff(file+" (expected)", want, "actual", got)), "\n") // without its title
	return out, nil
}

// text writes an object with its keys in one order, whatever the order of the
// manifest it came from.
func text(o resource.Object) ([]byte, error) {
	r, err := resource.New(o)
	if err != nil {
		return nil, err
	}
	return r.AppendYAML(nil)
}

// identity is who a resource is in a cluster: the API server puts it into a
// namespace when it names none.
func identity(id resource.ID) resource.ID {
	if id.Namespace == "" && !resource.ClusterScoped(id.Kind) {
		id.Namespace = "default"
	}
	return id
}

// lookUp finds the resource of one identity.
func lookUp(rs []*resource.Resource, id resource.ID) *resource.Resource {
	i := slices.IndexFunc(rs, func(r *resource.Resource) bool { return identity(r.ID()) == id })
	if i < 0 {
		return nil
	}
	return rs[i]
}
