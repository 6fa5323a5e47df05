package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/report"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// AllOrders is how many programs that change one resource are tried in all
// orders: more orders than that take longer than anybody waits.
const AllOrders = 5

// Orders counts the resources on which several policies act whose order their
// controller does not settle.
type Orders struct {
	// All is how many of them were held against every order.
	All int
	// Some is how many had more than AllOrders policies that act: each policy was
	// put before all others and behind all others, and all were put in reverse.
	Some int
}

// orders finds out whether what programs make of one resource depends on
// their order, as far as their controllers leave it open.
//
// A state is what a sequence of programs made of the resource. Programs are
// functions of the state, so two sequences that lead to one state go on alike,
// and a set of programs that led to one state in all its orders need be looked
// at once: n programs have n! orders, but only 2^n sets. Programs that change
// nothing in any of the states can stand anywhere.
type orders struct {
	run      *run
	resource *resource.Resource
	in       policy.Input
	given    []move   // the programs, in the order given
	groups   []*group // those of which several act
	some     bool     // not all orders were tried
}

// A move is a program, and its position in the order given. A program that is
// several policies may stand for them in another order.
type move struct {
	policy.Program
	at    int
	parts []int // the order of its policies; nil: as given
}

// A group is given[from:to], which come in any order: peers, or one program that
// is several policies. active are those that act: positions of programs, or
// numbers of policies.
type group struct {
	from, to int
	active   []int
	several  policy.Several // nil for peers
}

// ref names one of active.
func (o *orders) ref(g *group, n int) policy.Ref {
	if g.several != nil {
		return g.several.Parts()[n]
	}
	return o.given[n].Policy()
}

// sequence returns the order given, but with the programs or policies of g, all
// of them, as order has them.
func (o *orders) sequence(g *group, order []int) []move {
	out := slices.Clone(o.given)
	if g.several != nil {
		out[g.from] = move{g.several.InOrder(order), g.from, order}
		return out
	}
	for n, i := range order {
		out[g.from+n] = o.given[i]
	}
	return out
}

// all lists the programs or policies of g in the order given.
func (g *group) all() []int {
	n, first := g.to-g.from, g.from
	if g.several != nil {
		n, first = len(g.several.Parts()), 0
	}
	out := make([]int, n)
	for i := range out {
		out[i] = first + i
	}
	return out
}

// A state is what programs made of the resource.
type state struct {
	object  resource.Object
	refused error // by the last program; nothing comes after it
	// before and move tell how it came about; nil at the start.
	before *state
	move   move
}

func (s *state) moves() []move {
	var out []move
	for ; s.before != nil; s = s.before {
		out = append(out, s.move)
	}
	slices.Reverse(out)
	return out
}

func (s *state) same(other *state) bool {
	if s.refused != nil || other.refused != nil {
		return s.refused != nil && other.refused != nil
	}
	return resource.Equal(s.object, other.object)
}

// acts reports whether the last program of s did anything.
func (s *state) acts() bool { return s.before.refused == nil && !s.same(s.before) }

// A clash is two policies whose order shows in a resource.
type clash struct {
	resource *resource.Resource
	at       resource.Origin // of the field, where it is there
	policies [2]policy.Ref
	rules    [2]string
	path     fieldpath.Path // nil: admission is refused in one of the orders
	texts    [2]string      // what comes out when the first policy comes first, and when it comes last
}

// verify tries the orders.
func (o *orders) verify(ctx context.Context, programs []policy.Program) (clashes []clash, seen Orders, err error) {
	for i, p := range programs {
		o.given = append(o.given, move{Program: p, at: i})
	}
	states := []*state{{object: o.in.Object}}
	for from := 0; from < len(o.given); {
		to := from + 1
		if name := peers(programs[from]); name != "" {
			for to < len(programs) && peers(programs[to]) == name {
				to++
			}
		}
		if to-from > 1 {
			states, err = o.peers(ctx, from, to, states)
		} else {
			states, err = o.one(ctx, from, states)
		}
		if err != nil {
			return nil, seen, err
		}
		from = to
	}
	switch {
	case len(o.groups) == 0:
	case o.some:
		seen.Some = 1
	default:
		seen.All = 1
	}
	if len(states) > 1 {
		clashes, err = o.name(ctx, states[0], states[1])
	}
	return clashes, seen, err
}

// peers names the programs among which p may come anywhere.
func peers(p policy.Program) string {
	if u, ok := p.(policy.Unordered); ok {
		return u.Peers()
	}
	return ""
}

// step applies one program.
func (o *orders) step(ctx context.Context, s *state, m move) (*state, error) {
	next := &state{object: s.object, refused: s.refused, before: s, move: m}
	if s.refused != nil {
		return next, nil
	}
	results, err := o.results(ctx, s, m)
	if err != nil {
		return nil, err
	}
	for _, r := range results {
		if r.Outcome == policy.Mutated {
			if err := sameIdentity(next.object, r.Object); err != nil {
				next.refused = err
				return next, nil
			}
			next.object = r.Object
		} else if r.Err != nil && !(o.run.WarnUnsupported && errors.Is(r.Err, errors.ErrUnsupported)) {
			next.refused = r.Err
			return next, nil
		}
	}
	return next, nil
}

func (o *orders) results(ctx context.Context, s *state, m move) ([]policy.Result, error) {
	in := o.in
	in.Object = s.object
	return m.Apply(ctx, in)
}

// apply applies programs in a row.
func (o *orders) apply(ctx context.Context, s *state, moves []move) (*state, error) {
	for _, m := range moves {
		next, err := o.step(ctx, s, m)
		if err != nil {
			return nil, err
		}
		s = next
	}
	return s, nil
}

// one applies a single program to states, in all orders of its policies if it is
// several. Like peers, it returns the states that they lead to, first the one
// that the order as given leads to from the first state.
func (o *orders) one(ctx context.Context, at int, states []*state) ([]*state, error) {
	moves := []move{o.given[at]}
	if s, ok := moves[0].Program.(policy.Several); ok && len(s.Parts()) > 1 {
		g := &group{from: at, to: at + 1, several: s}
		results, err := o.results(ctx, states[0], moves[0])
		if err != nil {
			return nil, err
		}
		for i, ref := range s.Parts() {
			if slices.ContainsFunc(results, func(r policy.Result) bool { return r.Policy != nil && r.Policy.ID == ref.ID }) {
				g.active = append(g.active, i)
			}
		}
		if len(g.active) > 1 {
			o.groups = append(o.groups, g)
			orders := permutations(len(g.active))
			if len(g.active) > allParts {
				orders, o.some = shifts(len(g.active)), true
			}
			for _, order := range orders {
				parts := g.all()
				for n, k := range order {
					parts[g.active[n]] = g.active[k]
				}
				moves = append(moves, move{s.InOrder(parts), at, parts})
			}
		}
	}
	var out []*state
	for _, s := range states {
		for _, m := range moves {
			next, err := o.step(ctx, s, m)
			if err != nil {
				return nil, err
			}
			out = distinct(out, next)
		}
	}
	return out, nil
}

// allParts is AllOrders for the policies of one program, which starts anew for
// each order.
const allParts = 4

// permutations returns the orders of n things, but for the given one.
func permutations(n int) [][]int {
	out := [][]int{{}}
	for i := range n {
		var longer [][]int
		for _, p := range out {
			for at := range len(p) + 1 {
				longer = append(longer, slices.Insert(slices.Clone(p), at, i))
			}
		}
		out = longer
	}
	return slices.DeleteFunc(out, slices.IsSorted[[]int])
}

// shifts returns the orders of n things that have one of them before all others,
// or behind them, and all in reverse.
func shifts(n int) [][]int {
	given := make([]int, n)
	for i := range given {
		given[i] = i
	}
	var out [][]int
	for i := range n {
		others := slices.Delete(slices.Clone(given), i, i+1)
		out = append(out, append([]int{i}, others...), append(slices.Clone(others), i))
	}
	reverse := slices.Clone(given)
	slices.Reverse(reverse)
	return append(out, reverse)
}

// peers applies given[from:to], which are peers, to states in all orders.
func (o *orders) peers(ctx context.Context, from, to int, states []*state) ([]*state, error) {
	last := states[0]
	active := map[int]bool{}
	steps := []*state{last}
	for i := from; i < to; i++ {
		next, err := o.step(ctx, last, o.given[i])
		if err != nil {
			return nil, err
		}
		active[i] = next.acts()
		last = next
		steps = append(steps, last)
	}
	for {
		g := &group{from: from, to: to}
		var acting, idle []move
		for i := from; i < to; i++ {
			if active[i] {
				acting = append(acting, o.given[i])
				g.active = append(g.active, i)
			} else {
				idle = append(idle, o.given[i])
			}
		}
		var out []*state
		var err error
		all := len(acting) <= AllOrders
		if all {
			var also int
			out, also, err = o.allOrders(ctx, states, acting, idle)
			if err == nil && also >= 0 {
				active[also] = true // in some order it does act
				continue
			}
		} else {
			out, err = o.someOrders(ctx, steps, from, to)
		}
		if err != nil {
			return nil, err
		}
		if len(acting) > 1 {
			o.groups = append(o.groups, g)
			o.some = o.some || !all
		}
		return slices.Insert(slices.DeleteFunc(out, last.same), 0, last), nil
	}
}

// allOrders applies the acting programs in all orders. When an idle one acts in
// some state, its position is returned, and the rest is void; otherwise -1.
func (o *orders) allOrders(ctx context.Context, states []*state, acting, idle []move) ([]*state, int, error) {
	of := make([][]*state, 1<<len(acting)) // by the set of programs that were applied
	of[0] = states
	for set := range of {
		for _, s := range of[set] {
			for _, m := range idle {
				next, err := o.step(ctx, s, m)
				if err != nil || next.acts() {
					return nil, m.at, err
				}
			}
			for n, m := range acting {
				if set&(1<<n) != 0 {
					continue
				}
				next, err := o.step(ctx, s, m)
				if err != nil {
					return nil, -1, err
				}
				of[set|1<<n] = distinct(of[set|1<<n], next)
			}
		}
	}
	return of[len(of)-1], -1, nil
}

// maxStates bounds how many states of one set are followed: when there are so
// many, the order shows.
const maxStates = 4

// distinct appends a state unless it is there.
func distinct(states []*state, s *state) []*state {
	if len(states) >= maxStates || slices.ContainsFunc(states, s.same) {
		return states
	}
	return append(states, s)
}

// someOrders puts each of given[from:to] before all others and behind all
// others, and all of them in reverse. steps are the states of the order given.
func (o *orders) someOrders(ctx context.Context, steps []*state, from, to int) ([]*state, error) {
	var out []*state
	given := o.given[from:to]
	try := func(s *state, moves ...move) error {
		s, err := o.apply(ctx, s, moves)
		if err == nil {
			out = distinct(out, s)
		}
		return err
	}
	last := steps[len(steps)-1]
	for n, m := range given {
		if !steps[n+1].acts() {
			// Where it does nothing at either end, it changes nothing by standing there.
			atFirst, err := o.step(ctx, steps[0], m)
			if err != nil {
				return nil, err
			}
			atLast, err := o.step(ctx, last, m)
			if err != nil {
				return nil, err
			}
			if !atFirst.acts() && !atLast.acts() {
				continue
			}
		}
		first, err := o.apply(ctx, steps[0], append([]move{m}, given[:n]...))
		if err != nil {
			return nil, err
		}
		if !first.same(steps[n+1]) { // otherwise it goes on alike
			if err := try(first, given[n+1:]...); err != nil {
				return nil, err
			}
		}
		if err := try(steps[n], append(slices.Clone(given[n+1:]), m)...); err != nil {
			return nil, err
		}
	}
	reverse := slices.Clone(given)
	slices.Reverse(reverse)
	return out, try(steps[0], reverse...)
}

// name finds the pairs that are behind two results that differ.
func (o *orders) name(ctx context.Context, base, other *state) ([]clash, error) {
	var out []clash
	for _, g := range o.groups {
		if len(g.active) > AllOrders {
			continue
		}
		// The pairs by themselves, when all others of their group are done.
		for n, x := range g.active {
			for _, y := range g.active[n+1:] {
				order := slices.DeleteFunc(g.all(), func(i int) bool { return i == x || i == y })
				found, err := o.swap(ctx, g, append(order, x, y), len(order))
				if err != nil {
					return nil, err
				}
				out = append(out, found...)
			}
		}
	}
	if len(out) > 0 {
		return out, nil
	}
	// Then the way from one order to the other, neighbour by neighbour: its ends
	// differ, so there is a swap on it that shows.
	for _, g := range o.groups {
		found, err := o.between(ctx, g, order(g, other))
		if err != nil || len(found) > 0 {
			return found, err
		}
	}
	g := o.groups[0]
	return o.compare(ctx, base.moves(), other.moves(), [2]policy.Ref{o.ref(g, g.active[0]), o.ref(g, g.active[1])})
}

// order returns the order of a group's programs or policies that led to s.
func order(g *group, s *state) []int {
	var out []int
	for _, m := range s.moves() {
		switch {
		case m.at < g.from || m.at >= g.to:
		case g.several == nil:
			out = append(out, m.at)
		case m.parts != nil:
			out = m.parts
		}
	}
	for _, i := range g.all() { // those that did nothing
		if !slices.Contains(out, i) {
			out = append(out, i)
		}
	}
	return out
}

// between looks for the first swap that shows on the way from the order given to
// another one.
func (o *orders) between(ctx context.Context, g *group, want []int) ([]clash, error) {
	rank := map[int]int{}
	for n, i := range want {
		rank[i] = n
	}
	order := g.all()
	for sorted := false; !sorted; {
		sorted = true
		for n := range len(order) - 1 {
			if rank[order[n]] < rank[order[n+1]] {
				continue
			}
			sorted = false
			if found, err := o.swap(ctx, g, order, n); err != nil || len(found) > 0 {
				return found, err
			}
			order[n], order[n+1] = order[n+1], order[n]
		}
	}
	return nil, nil
}

// swap compares an order of a group with the same but for two neighbours.
func (o *orders) swap(ctx context.Context, g *group, order []int, n int) ([]clash, error) {
	swapped := slices.Clone(order)
	swapped[n], swapped[n+1] = order[n+1], order[n]
	return o.compare(ctx, o.sequence(g, order), o.sequence(g, swapped),
		[2]policy.Ref{o.ref(g, order[n]), o.ref(g, order[n+1])})
}

// compare returns the fields in which the results of two orders differ. In the
// first the first of the policies comes first.
func (o *orders) compare(ctx context.Context, first, second []move, policies [2]policy.Ref) ([]clash, error) {
	start := &state{object: o.in.Object}
	var read *facts.Secrets
	o.in.Facts, read = o.in.Facts.Watched()
	a, err := o.apply(ctx, start, first)
	if err != nil {
		return nil, err
	}
	b, err := o.apply(ctx, start, second)
	if err != nil || a.same(b) {
		return nil, err
	}
	base := clash{resource: o.resource, at: o.resource.Origin(), policies: policies}
	if a.refused != nil || b.refused != nil {
		base.texts = [2]string{hide(o.resource, read, outcome(a)), hide(o.resource, read, outcome(b))}
		return []clash{base}, nil
	}
	var touched []touch
	for _, s := range []*state{a, b} {
		more, err := o.touches(ctx, s)
		if err != nil {
			return nil, err
		}
		touched = append(touched, more...)
	}
	var out []clash
	for _, c := range redact(resource.Diff(a.object, b.object), read, o.in.ID.Kind) {
		clash := base
		clash.path = c.Path
		if line := o.resource.Line(c.In(o.in.Requested)); line > 0 {
			clash.at.Line = line
		}
		clash.texts = [2]string{value(c.Before, c.Added()), value(c.After, c.Removed())}
		if was, now := c.Order(); was != nil {
			clash.texts = [2]string{value(was, false), value(now, false)}
		}
		for j := range touched {
			t := &touched[j]
			if i := slices.IndexFunc(policies[:], func(p policy.Ref) bool { return p.ID == t.policy }); i >= 0 && t.Touches(&c) {
				clash.rules[i] = t.rule
			}
		}
		if clash.rules[0] == "" && clash.rules[1] != "" {
			// It is about the one that touches the field; the other one matters to it.
			slices.Reverse(clash.policies[:])
			slices.Reverse(clash.rules[:])
			slices.Reverse(clash.texts[:])
		}
		out = append(out, clash)
	}
	return out, nil
}

// A touch is what a rule changed.
type touch struct {
	resource.Change
	policy resource.ID
	rule   string
}

// touches lists what was changed on the way to s.
func (o *orders) touches(ctx context.Context, s *state) ([]touch, error) {
	var out []touch
	before := &state{object: o.in.Object}
	for _, m := range s.moves() {
		results, err := o.results(ctx, before, m)
		if err != nil {
			return nil, err
		}
		for _, r := range results {
			if r.Outcome != policy.Mutated {
				continue
			}
			for _, c := range resource.Diff(before.object, r.Object) {
				out = append(out, touch{c, r.Of(m.Policy()).ID, r.Rule})
			}
			before = &state{object: r.Object}
		}
	}
	return out, nil
}

func outcome(s *state) string {
	if s.refused == nil {
		return "admitted"
	}
	var e *policy.Error
	if errors.As(s.refused, &e) {
		return "refused: " + e.Err.Error()
	}
	return "refused: " + s.refused.Error()
}

func value(v any, absent bool) string {
	if absent {
		return "absent"
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}

// clashEntries turns clashes into failures: one for each pair of rules and
// field, about the first resource, with a count of the others.
func clashEntries(clashes []clash) []report.Entry {
	type key struct{ policies, field string }
	var keys []key
	groups := map[key][]clash{}
	for _, c := range clashes {
		k := key{c.policies[0].ID.String() + c.rules[0] + "\x00" + c.policies[1].ID.String() + c.rules[1], anyElement(c.path).String()}
		if groups[k] == nil {
			keys = append(keys, k)
		}
		groups[k] = append(groups[k], c)
	}
	var out []report.Entry
	for _, k := range keys {
		c := groups[k][0]
		others := map[*resource.Resource]bool{}
		for _, other := range groups[k] {
			others[other.resource] = true
		}
		err := &policy.Error{
			Policy: c.policies[0], Rule: c.rules[0], Resource: c.resource.ID(), At: c.at, Path: c.path,
			Err: fmt.Errorf("%s when %s runs before it, %s when it runs after it, and no order is settled%s; let one policy set it, or one policy hold both rules",
				c.texts[1], who(c.policies[1], c.rules[1]), c.texts[0], andOthers(len(others)-1)),
		}
		out = append(out, report.Entry{
			Policy: c.policies[0], Rule: c.rules[0], Resource: c.resource.ID(), Origin: c.at,
			Outcome: policy.Failed, Message: err.Err.Error(), Err: err,
		})
	}
	return out
}

// anyElement is a path without the positions of list elements.
func anyElement(p fieldpath.Path) fieldpath.Path {
	out := slices.Clone(p)
	for i, s := range out {
		if s.IsIndex() {
			out[i] = fieldpath.Index(0)
		}
	}
	return out
}

func who(ref policy.Ref, rule string) string {
	var b strings.Builder
	b.WriteString(ref.ID.String())
	if rule != "" {
		fmt.Fprintf(&b, " rule %q", rule)
	}
	if at := ref.Origin.String(); at != "" {
		fmt.Fprintf(&b, " (%s)", at)
	}
	return b.String()
}

func andOthers(n int) string {
	switch n {
	case 0:
		return ""
	case 1:
		return " (the same on 1 other resource)"
	}
	return fmt.Sprintf(" (the same on %d other resources)", n)
}
