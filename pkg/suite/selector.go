package suite

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	wildcard "github.com/IGLOU-EU/go-wildcard"
)

// A Selector chooses among the expectations of suites. The zero value chooses
// all.
type Selector struct {
	policy, rule, resource []string // patterns that must all match
}

// ParseSelector reads policy=PATTERN,rule=PATTERN,resource=PATTERN, where each
// part may be left out, and * and ? in a pattern stand for any characters and
// for any one.
func ParseSelector(text string) (Selector, error) {
	var s Selector
	var errs []error
	if text == "" {
		return s, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		key, pattern, ok := strings.Cut(part, "=")
		key, pattern = strings.TrimSpace(key), strings.TrimSpace(pattern)
		switch {
		case !ok || pattern == "" || strings.Contains(pattern, "="):
			errs = append(errs, fmt.Errorf("selector %q: expected policy=PATTERN, rule=PATTERN or resource=PATTERN", part))
		case key == "policy":
			s.policy = append(s.policy, pattern)
		case key == "rule":
			s.rule = append(s.rule, pattern)
		case key == "resource":
			s.resource = append(s.resource, pattern)
		default:
			errs = append(errs, fmt.Errorf("selector %q: expected policy, rule or resource, found %s", part, key))
		}
	}
	return s, errors.Join(errs...)
}

// all reports whether every pattern matches text.
func all(patterns []string, text string) bool {
	return !slices.ContainsFunc(patterns, func(p string) bool { return !wildcard.Match(p, text) })
}

// chooses reports whether e is chosen. A rule that e does not name is.
func (s Selector) chooses(e *Expectation) bool {
	if !all(s.policy, e.Policy) || e.Rule != "" && !all(s.rule, e.Rule) {
		return false
	}
	return len(e.Resources) == 0 || slices.ContainsFunc(e.Resources, func(name string) bool { return all(s.resource, name) })
}
