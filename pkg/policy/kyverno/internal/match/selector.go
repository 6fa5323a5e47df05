package match

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/spec"
	"github.com/oneloop-dev/oneloop/pkg/resource"
	"github.com/oneloop-dev/oneloop/pkg/wildcard"
)

// A selector is a compiled label selector. Kyverno allows wildcards in the
// keys and values of matchLabels.
type selector struct {
	literals []pair
	patterns []pair
	requires []spec.LabelRequirement
	// never is set when an expression has wildcards: Kyverno accepts such a
	// selector and then finds that it is none.
	never bool
}

func compileSelector(s *spec.LabelSelector) (*selector, error) {
	if s == nil {
		return nil, nil
	}
	out := &selector{requires: s.MatchExpressions}
	for k, v := range s.MatchLabels {
		if wildcard.In(k) || wildcard.In(v) {
			out.patterns = append(out.patterns, pair{k, v})
		} else {
			out.literals = append(out.literals, pair{k, v})
		}
	}
	for _, e := range s.MatchExpressions {
		switch e.Operator {
		case "In", "NotIn", "Exists", "DoesNotExist":
		default:
			return nil, fmt.Errorf("expected the operator In, NotIn, Exists or DoesNotExist, found %q", e.Operator)
		}
		if wildcard.In(e.Key) || slices.ContainsFunc(e.Values, wildcard.In) {
			out.never = true
		}
	}
	return out, nil
}

// Labels compiles a selector as the API server reads it, without wildcards. It
// selects objects by their labels; a nil selector selects all.
func Labels(s *spec.LabelSelector) (selects func(resource.Object) bool, err error) {
	if s == nil {
		return func(resource.Object) bool { return true }, nil
	}
	compiled, err := compileSelector(s)
	if err != nil {
		return nil, err
	}
	if compiled.never || len(compiled.patterns) > 0 {
		return nil, errors.New("a label selector has no wildcards here: the API server reads it")
	}
	return func(o resource.Object) bool {
		meta, _ := o["metadata"].(map[string]any)
		return compiled.matches(objectLabels(meta["labels"]))
	}, nil
}

// matches reports whether all of s holds for l.
func (s *selector) matches(l labels) bool { return s.matchesSome(l, "") == yes }

// matchesSome is matches for labels of which only the one named only is known;
// with only "", l is complete.
func (s *selector) matchesSome(l labels, only string) verdict {
	if s.never {
		return no
	}
	result := yes
	for _, p := range s.literals {
		if only != "" && p.key != only {
			result = unknown
			continue
		}
		if v, ok := l.get(p.key); !ok || v != p.value {
			return no
		}
	}
	for _, p := range s.patterns {
		if l.has(p, validLabel) {
			continue
		}
		if only == "" || p.key == only {
			return no
		}
		result = unknown
	}
	for i := range s.requires {
		e := &s.requires[i]
		if only != "" && e.Key != only {
			result = unknown
			continue
		}
		v, ok := l.get(e.Key)
		held := ok
		switch e.Operator {
		case "In":
			held = ok && slices.Contains(e.Values, v)
		case "NotIn":
			held = !ok || !slices.Contains(e.Values, v)
		case "DoesNotExist":
			held = !ok
		}
		if !held {
			return no
		}
	}
	return result
}

// labels is a map of texts in one of the two forms it comes in.
type labels struct {
	texts  map[string]string
	object map[string]any
}

// objectLabels reads the labels or annotations of an object. When one of them
// is not text, there are none, as Kyverno sees it.
func objectLabels(v any) labels {
	m, _ := v.(map[string]any)
	for _, v := range m {
		if _, ok := v.(string); !ok {
			return labels{}
		}
	}
	return labels{object: m}
}

func (l labels) get(key string) (string, bool) {
	if l.texts != nil {
		v, ok := l.texts[key]
		return v, ok
	}
	v, ok := l.object[key].(string)
	return v, ok
}

// hasMatch reports whether a label or annotation matches p.
func (l labels) hasMatch(p pair) bool {
	return l.has(p, func(string, string) bool { return true })
}

// has reports whether a label matches p and is valid.
func (l labels) has(p pair, valid func(key, value string) bool) bool {
	matches := func(k, v string) bool {
		return wildcard.Match(p.key, k) && wildcard.Match(p.value, v) && valid(k, v)
	}
	if !wildcard.In(p.key) {
		v, ok := l.get(p.key)
		return ok && wildcard.Match(p.value, v) && valid(p.key, v)
	}
	for k, v := range l.texts {
		if matches(k, v) {
			return true
		}
	}
	for k, v := range l.object {
		if matches(k, v.(string)) {
			return true
		}
	}
	return false
}

// validLabel reports whether the API server takes a label. Kyverno puts what a
// pattern matches in its place, and a selector with a label that is invalid, as
// an earlier rule may write it, selects nothing.
func validLabel(key, value string) bool {
	return validLabelText(key[strings.LastIndexByte(key, '/')+1:]) && (value == "" || validLabelText(value))
}

func validLabelText(s string) bool {
	letter := func(c byte) bool {
		return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
	}
	if s == "" || len(s) > 63 || !letter(s[0]) || !letter(s[len(s)-1]) {
		return false
	}
	for i := range len(s) {
		if !letter(s[i]) && !strings.ContainsRune("-_.", rune(s[i])) {
			return false
		}
	}
	return true
}
