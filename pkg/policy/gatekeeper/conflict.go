package gatekeeper

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// What a location says of the value of a field. The end of one only says so for
// some kinds of mutators.
type form string

const (
	unknown form = ""
	aMap    form = "a map"
	aList   form = "a list with keys"
	aSet    form = "a set of values"
	aText   form = "a text"
)

// A binding is what mutators have to agree about: one kind, during one operation.
type binding struct {
	kind      resource.Kind
	operation string
}

// A place is a field that mutators lead to or through. The root is one, too.
type place struct {
	at     location
	under  map[string]map[form]*place
	by     []int        // the mutators, in order
	ending map[int]bool // those that end here, and want to be the only ones that know what is below
}

// conflicts returns a fault for each field that mutators do not agree about. In a
// cluster none of those that it names would be applied, until one is changed.
func conflicts(mutators []*mutator) []error {
	roots := map[binding]*place{}
	var order []binding
	for i, m := range mutators {
		for _, b := range m.bindings() {
			if roots[b] == nil {
				roots[b] = &place{}
				order = append(order, b)
			}
			roots[b].add(i, m)
		}
	}
	var out []error
	seen := map[string]bool{}
	for _, b := range order {
		roots[b].walk(func(message string, between []int) {
			named := make([]string, len(between))
			for i, n := range between {
				named[i] = mutators[n].String()
			}
			text := fmt.Sprintf("%s: %s; Gatekeeper applies none of them until one is changed", message, strings.Join(named, " and "))
			if !seen[text] {
				seen[text] = true
				first := mutators[between[0]]
				out = append(out, &policy.Error{Policy: first.ref, Line: first.line, Path: fieldpath.Path{}.Key("spec").Key("location"), Err: policy.Failing(errors.New("conflicts about " + text))})
			}
		})
	}
	return out
}

// bindings lists each kind and operation that m applies to, once. AssignMetadata
// has none: what it changes is known.
func (m *mutator) bindings() []binding {
	var out []binding
	for _, a := range m.applyTo {
		for _, operation := range operations {
			if !a.during(operation) {
				continue
			}
			for _, group := range a.Groups {
				for _, version := range a.Versions {
					for _, kind := range a.Kinds {
						b := binding{resource.Kind{Group: group, Version: version, Kind: kind}, operation}
						if !slices.Contains(out, b) {
							out = append(out, b)
						}
					}
				}
			}
		}
	}
	return out
}

// add takes up the location of the nth mutator.
func (p *place) add(n int, m *mutator) {
	p.by = append(p.by, n)
	for i, step := range m.at {
		what := m.end
		if i+1 < len(m.at) {
			what = aMap
			if m.at[i+1].list {
				what = aList
			}
		}
		if p.under == nil {
			p.under = map[string]map[form]*place{}
		}
		if p.under[step.field] == nil {
			p.under[step.field] = map[form]*place{}
		}
		next := p.under[step.field][what]
		if next == nil {
			next = &place{at: m.at[:i+1], ending: map[int]bool{}}
			p.under[step.field][what] = next
		}
		next.by = append(next.by, n)
		p = next
	}
	if m.alone {
		p.ending[n] = true
	}
}

// walk calls report for each conflict below p, in the order of the fields.
func (p *place) walk(report func(message string, between []int)) {
	for _, name := range slices.Sorted(maps.Keys(p.under)) {
		forms := p.under[name]
		conflict(forms, report)
		for _, f := range slices.Sorted(maps.Keys(forms)) {
			forms[f].walk(report)
		}
	}
}

// conflict looks at what mutators say of one field.
func conflict(forms map[form]*place, report func(message string, between []int)) {
	var known []string
	var between []int
	var at location
	for _, f := range slices.Sorted(maps.Keys(forms)) {
		at = forms[f].at
		if f != unknown {
			known = append(known, string(f))
			between = append(between, forms[f].by...)
		}
	}
	if len(known) > 1 {
		report(fmt.Sprintf("%s, which is taken for %s", at, strings.Join(known, " and for ")), ordered(between))
	}
	if list := forms[aList]; list != nil && len(list.under) > 1 {
		report(fmt.Sprintf("the list %s, whose elements are found by %s", list.at, strings.Join(slices.Sorted(maps.Keys(list.under)), " and by ")), ordered(list.by))
	}
	var ending, deeper []int
	for _, p := range forms {
		ending = slices.AppendSeq(ending, maps.Keys(p.ending))
		for _, below := range p.under {
			for _, q := range below {
				deeper = append(deeper, q.by...)
			}
		}
	}
	if len(ending) > 0 && len(deeper) > 0 {
		report(fmt.Sprintf("%s, which one sets as a whole, and another goes into", at), ordered(append(ending, deeper...)))
	}
}

// ordered sorts and drops what is there twice.
func ordered(list []int) []int {
	slices.Sort(list)
	return slices.Compact(list)
}
