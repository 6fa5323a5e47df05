package jmespath

import (
	"fmt"
	"regexp"
	"sync"

	"github.com/blang/semver/v4"
)

var patternFunctions = []function{
	{name: "label_match", params: []kind{anObject, anObject}, boolean: true, note: "whether the second object has all labels of the first", body: labelMatch},
	{name: "pattern_match", params: []kind{aString, aString | aNumber}, boolean: true, note: "whether the pattern with * and ? matches the whole text", body: patternMatch},
	{name: "regex_match", params: []kind{aString, aString | aNumber}, boolean: true, note: "whether the RE2 expression matches somewhere in the text", body: regexMatch},
	{name: "regex_replace_all", params: []kind{aString, aString | aNumber, aString | aNumber}, result: aString, note: "the second string with matches of the RE2 expression replaced by the third, where $1 is a group", body: regexReplaceAll},
	{name: "regex_replace_all_literal", params: []kind{aString, aString | aNumber, aString | aNumber}, result: aString, note: "the second string with matches of the RE2 expression replaced by the third, taken literally", body: regexReplaceAllLiteral},
	{name: "semver_compare", params: []kind{aString, aString}, boolean: true, note: "whether the version lies in the range, such as '>=1.2.3 <2.0.0'", body: semverCompare},
}

func labelMatch(r *run, args []any) (any, error) {
	want, have := args[0].(map[string]any), args[1].(map[string]any)
	for k, v := range want {
		got, ok := have[k]
		if !ok {
			return false, nil
		}
		if same, err := r.equal(got, v); !same || err != nil {
			return false, err
		}
	}
	return true, nil
}

func patternMatch(_ *run, args []any) (any, error) {
	s, _ := asText(args[1])
	return matchWildcard([]rune(args[0].(string)), []rune(s)), nil
}

// matchWildcard matches * with any characters and ? with exactly one. When the
// rest does not match, only the last star needs to try again further on.
func matchWildcard(pattern, s []rune) bool {
	p, star, retry := 0, -1, 0
	for i := 0; i < len(s); {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, retry = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]):
			p++
			i++
		case star >= 0:
			retry++
			p, i = star+1, retry
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

func regexMatch(_ *run, args []any) (any, error) {
	re, err := regexps.get(args[0].(string))
	if err != nil {
		return nil, err
	}
	s, _ := asText(args[1])
	return re.MatchString(s), nil
}

func regexReplaceAll(r *run, args []any) (any, error) { return r.regexReplace(args, true) }

func regexReplaceAllLiteral(r *run, args []any) (any, error) { return r.regexReplace(args, false) }

// regexReplace is Regexp.ReplaceAll that pays as the text grows: a template may
// repeat a group that is the whole input.
func (r *run) regexReplace(args []any, template bool) (any, error) {
	re, err := regexps.get(args[0].(string))
	if err != nil {
		return nil, err
	}
	s, _ := asText(args[1])
	with, _ := asText(args[2])
	const perMatch = 8 // units: the indices of a match take more room than its text
	each := perMatch
	if !template {
		each += len(with)
	}
	var out []byte
	end := 0
	// More matches than can be paid for need not be found.
	for _, m := range re.FindAllStringSubmatchIndex(s, 1+r.left/each) {
		was := len(out)
		out = append(out, s[end:m[0]]...)
		if template {
			if err := r.spend(templateCost(with, m)); err != nil {
				return nil, err
			}
			out = re.ExpandString(out, with, s, m)
		} else {
			out = append(out, with...)
		}
		end = m[1]
		if err := r.spend(perMatch + len(out) - was); err != nil {
			return nil, err
		}
	}
	return r.text(string(append(out, s[end:]...)))
}

// templateCost bounds the length of an expanded template: each $ may stand for
// the longest group.
func templateCost(template string, match []int) int {
	groups := 0
	for i := range len(template) {
		if template[i] == '$' {
			groups++
		}
	}
	return groups * (match[1] - match[0])
}

func semverCompare(_ *run, args []any) (any, error) {
	in, err := semverRanges.get(args[1].(string))
	if err != nil {
		return nil, err
	}
	// What is no version counts as 0.0.0.
	v, _ := semver.Parse(args[0].(string))
	return in(v), nil
}

var (
	regexps = cache[*regexp.Regexp]{parse: func(s string) (*regexp.Regexp, error) {
		re, err := regexp.Compile(s)
		if err != nil {
			return nil, fmt.Errorf("the regular expression is not RE2: %w", err)
		}
		return re, nil
	}}
	semverRanges = cache[semver.Range]{parse: func(s string) (semver.Range, error) {
		in, err := semver.ParseRange(s)
		if err != nil {
			return nil, fmt.Errorf("the second argument is not a range of versions such as '>=1.2.3 <2.0.0': %w", err)
		}
		return in, nil
	}}
)

// A cache remembers what strings were parsed to. Patterns are mostly literals
// of policies, so they repeat for every resource; patterns made of data are few
// or fall out again. Faults are not remembered.
type cache[T any] struct {
	parse func(string) (T, error)

	mu   sync.RWMutex
	seen map[string]T
}

const (
	maxCached    = 256
	maxCachedKey = 4096 // bytes
)

func (c *cache[T]) get(s string) (T, error) {
	c.mu.RLock()
	v, ok := c.seen[s]
	c.mu.RUnlock()
	if ok {
		return v, nil
	}
	v, err := c.parse(s)
	if err != nil || len(s) > maxCachedKey {
		return v, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen == nil || len(c.seen) >= maxCached {
		c.seen = make(map[string]T)
	}
	c.seen[s] = v
	return v, nil
}
