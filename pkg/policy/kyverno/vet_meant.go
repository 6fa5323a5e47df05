package kyverno

import (
	"maps"
	"slices"
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/patch/apply"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/internal/kindname"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/variable"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// kinds finds names that no kind has, and that one of Kubernetes' own is meant by:
// its plural, or in other letters.
func (v *vetting) kinds(path fieldpath.Path, names []string) {
	for i, name := range names {
		s, err := kindname.Parse(name)
		if err != nil {
			continue // an error of compile
		}
		if meant := meantKind(s); meant != "" {
			v.addf(path.Index(i), policy.Noted, policy.Warning, "matches nothing: kinds are named in the singular, as in manifests; write %s", strings.TrimSuffix(name, s.Kind)+meant)
		}
	}
}

// meantKind returns the kind that a selector means and does not name, or "".
func meantKind(s kindname.Selector) string {
	if s.Subresource != "" || strings.ContainsAny(s.Kind, "*?") {
		return ""
	}
	meant := ""
	for _, k := range apply.Kinds() {
		named := resource.Kind{Group: k.Group, Version: k.Version, Kind: s.Kind}
		if !s.Selects(named) {
			continue // another group
		}
		switch {
		case k.Kind == s.Kind:
			return ""
		case strings.EqualFold(k.Kind, s.Kind), strings.EqualFold(resource.Plural(k.Kind), s.Kind):
			meant = k.Kind
		}
	}
	return meant
}

// unclosed finds texts in which a variable begins and does not end.
func (v *vetting) unclosed(value any, path fieldpath.Path) {
	switch value := value.(type) {
	case string:
		if variable.Unclosed(value) {
			v.addf(path, policy.Noted, policy.Warning, "{{ begins no variable here, and stays as it is written: end it with }}, or write \\{{ where a text has it")
		}
	case []any:
		for i, e := range value {
			v.unclosed(e, path.Index(i))
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(value)) {
			v.unclosed(value[key], path.Key(key))
		}
	}
}
