package gatekeeper

import (
	"regexp"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/oneloop-dev/oneloop/pkg/policy/internal/constraints"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// An applyTo names kinds whose objects a mutator may change, and when.
type applyTo struct {
	Groups     []string `json:"groups,omitempty"`
	Kinds      []string `json:"kinds,omitempty"`
	Versions   []string `json:"versions,omitempty"`
	Operations []string `json:"operations,omitempty"` // CREATE, UPDATE, or * alone; none: all
}

func (a *applyTo) selects(k resource.Kind) bool {
	return slices.Contains(a.Groups, k.Group) && slices.Contains(a.Versions, k.Version) && slices.Contains(a.Kinds, k.Kind)
}

func (a *applyTo) during(operation string) bool {
	return len(a.Operations) == 0 || slices.Contains(a.Operations, "*") || slices.Contains(a.Operations, operation)
}

// operations are those that Gatekeeper changes objects during.
var operations = []string{"CREATE", "UPDATE"}

// A match is a part of a mutator: the objects that it is about.
type match struct {
	Source             string                `json:"source,omitempty" enum:"All,Generated,Original"`
	Kinds              []kinds               `json:"kinds,omitempty"`
	Scope              string                `json:"scope,omitempty"`
	Namespaces         []pattern             `json:"namespaces,omitempty"`
	ExcludedNamespaces []pattern             `json:"excludedNamespaces,omitempty"`
	LabelSelector      *constraints.Selector `json:"labelSelector,omitempty"`
	NamespaceSelector  *constraints.Selector `json:"namespaceSelector,omitempty"`
	Name               pattern               `json:"name,omitempty"`

	labels, namespaceLabels labels.Selector // compiled; nil for none
}

// kinds selects kinds in any version; an empty list is for any.
type kinds struct {
	APIGroups []string `json:"apiGroups,omitempty"`
	Kinds     []string `json:"kinds,omitempty"`
}

func (m *match) selects(k resource.Kind) bool {
	in := func(list []string, what string) bool {
		return len(list) == 0 || slices.Contains(list, "*") || slices.Contains(list, what)
	}
	return len(m.Kinds) == 0 || slices.ContainsFunc(m.Kinds, func(s kinds) bool {
		return in(s.Kinds, k.Kind) && in(s.APIGroups, k.Group)
	})
}

// A pattern is a name; a * at its beginning, its end or both stands for anything.
type pattern string

// patternForm is what the CustomResourceDefinitions accept as a pattern.
var patternForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^\*?[-:a-z0-9]*\*?$`) })

func (p pattern) matches(name string) bool {
	rest, front := strings.CutPrefix(string(p), "*")
	if front {
		if middle, back := strings.CutSuffix(string(p), "*"); back {
			return strings.Contains(name, strings.TrimPrefix(middle, "*"))
		}
		return strings.HasSuffix(name, rest)
	}
	if prefix, ok := strings.CutSuffix(rest, "*"); ok {
		return strings.HasPrefix(name, prefix)
	}
	return rest == name
}

// matchesBeginning reports whether p matches whatever name the API server makes of
// a generateName, as far as Gatekeeper looks: not for a * at the beginning alone.
func (p pattern) matchesBeginning(generateName string) bool {
	return strings.HasSuffix(string(p), "*") && p.matches(generateName)
}

func anyMatches(list []pattern, name string) bool {
	return slices.ContainsFunc(list, func(p pattern) bool { return p.matches(name) })
}

// matches reports whether the object of a, as it is at the moment, is one of m's.
// What needs the labels of a namespace is asked last.
func (m *match) matches(a *admission, o resource.Object) (bool, error) {
	if !m.selects(a.kind) {
		return false, nil
	}
	isNamespace := a.kind.Group == "" && a.kind.Kind == "Namespace"
	switch m.Scope {
	case "Cluster":
		if !isNamespace && a.namespace != "" {
			return false, nil
		}
	case "Namespaced":
		if isNamespace || a.namespace == "" {
			return false, nil
		}
	}
	namespace := a.namespace
	if isNamespace {
		namespace = a.name
	}
	if isNamespace || namespace != "" {
		if len(m.Namespaces) > 0 && !anyMatches(m.Namespaces, namespace) || anyMatches(m.ExcludedNamespaces, namespace) {
			return false, nil
		}
	}
	if m.labels != nil && !m.labels.Matches(labelsOf(a.kind, o)) {
		return false, nil
	}
	if m.Name != "" && !m.Name.matches(a.name) && !m.Name.matchesBeginning(a.generateName) {
		return false, nil
	}
	switch {
	case m.Source == "Generated":
		return false, nil // what is admitted is original
	case m.namespaceLabels == nil:
		return true, nil
	case isNamespace:
		return m.namespaceLabels.Matches(labelsOf(a.kind, o)), nil
	case namespace == "":
		return true, nil
	}
	return constraints.NamespaceMatches("the mutator", m.namespaceLabels, a.in.Facts, namespace)
}

// labelsOf returns the labels of an object. As in Gatekeeper, one that is no text
// hides all the others.
func labelsOf(kind resource.Kind, o resource.Object) labels.Set {
	meta, _ := o["metadata"].(map[string]any)
	written, _ := meta["labels"].(map[string]any)
	out := make(labels.Set, len(written))
	for k, v := range written {
		text, ok := v.(string)
		if !ok {
			return nil
		}
		out[k] = text
	}
	if name, ok := meta["name"].(string); ok && kind.Group == "" && kind.Kind == "Namespace" {
		out[constraints.NameLabel] = name // the API server has set it
	}
	return out
}
