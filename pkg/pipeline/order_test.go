package pipeline_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oneloop-dev/oneloop/pkg/pipeline"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/report"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// A peer is a toy whose controller settles no order.
type peer struct {
	toy
	group string
}

func (p peer) Peers() string { return p.group }

// several are toys in one program.
type several []toy

func (s several) Policy() policy.Ref           { return s[0].Policy() }
func (s several) Selects(k resource.Kind) bool { return s[0].Selects(k) }
func (s several) Parts() (out []policy.Ref) {
	for _, t := range s {
		out = append(out, t.Policy())
	}
	return out
}

func (s several) InOrder(order []int) policy.Program {
	var out several
	for _, i := range order {
		out = append(out, s[i])
	}
	return out
}

func (s several) Apply(ctx context.Context, in policy.Input) (out []policy.Result, err error) {
	for _, t := range s {
		results, err := t.Apply(ctx, in)
		if err != nil {
			return nil, err
		}
		ref := t.Policy()
		results[0].Policy = &ref
		out = append(out, results...)
		if results[0].Err != nil {
			break
		}
		if results[0].Outcome == policy.Mutated {
			in.Object = results[0].Object
		}
	}
	return out, nil
}

// setIf is set for objects that have other fields.
func setIf(key string, value any, needs ...string) func(resource.Object) policy.Result {
	return func(o resource.Object) policy.Result {
		for _, k := range needs {
			if _, ok := o[k]; !ok {
				return policy.Result{Outcome: policy.Skipped}
			}
		}
		return set(key, value)(o)
	}
}

func needs(key string) func(resource.Object) policy.Result {
	return func(o resource.Object) policy.Result {
		if _, ok := o[key]; !ok {
			return fail(o)
		}
		return policy.Result{Outcome: policy.Passed}
	}
}

const one = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ncolor: red\n"

func TestVerifyOrder(t *testing.T) {
	rule := func(name string, f func(resource.Object) policy.Result) toy { return toy{name, "ConfigMap", f} }
	peers := func(group string, toys ...toy) (out []policy.Program) {
		for _, t := range toys {
			out = append(out, peer{t, group})
		}
		return out
	}
	var seven, clashing []toy
	for i := range 7 {
		seven = append(seven, rule(fmt.Sprintf("p%d", i), set(fmt.Sprintf("k%d", i), "x")))
		clashing = append(clashing, rule(fmt.Sprintf("p%d", i), set("k", fmt.Sprint(i))))
	}
	for _, tt := range []struct {
		name     string
		programs []policy.Program
		want     []string // a part of each fault
		tried    pipeline.Orders
	}{
		{"no peers", []policy.Program{rule("a", set("k", "1")), rule("b", set("k", "2"))}, nil, pipeline.Orders{}},
		{"each their own field", peers("g", rule("a", set("k", "1")), rule("b", set("l", "2"))), nil, pipeline.Orders{All: 1}},
		{"one acts", peers("g", rule("a", set("k", "1")), rule("b", setIf("l", "2", "m"))), nil, pipeline.Orders{}},
		{"one field", peers("g", rule("a", set("k", "1")), rule("b", set("k", "2"))),
			[]string{`Toy/a rule "rule" on ConfigMap/a (in.yaml:1) at k: "1" when Toy/b rule "rule" runs before it, "2" when it runs after it`}, pipeline.Orders{All: 1}},
		{"one sees the other, and would not act as given", peers("g", rule("a", setIf("l", "2", "k")), rule("b", set("k", "1"))),
			[]string{`Toy/a rule "rule" on ConfigMap/a (in.yaml:1) at l: "2" when Toy/b runs before it, absent when it runs after it`}, pipeline.Orders{All: 1}},
		{"one needs two others, and none of them alone", peers("g", rule("c", setIf("m", "3", "k", "l")), rule("a", set("k", "1")), rule("b", set("l", "2"))),
			[]string{"Toy/c rule \"rule\" on ConfigMap/a (in.yaml:1) at m: \"3\" when Toy/a", "Toy/c rule \"rule\" on ConfigMap/a (in.yaml:1) at m: \"3\" when Toy/b"}, pipeline.Orders{All: 1}},
		{"refused in one order", peers("g", rule("a", set("k", "1")), rule("b", needs("k"))),
			[]string{"Toy/a on ConfigMap/a (in.yaml:1): refused: boom when Toy/b runs before it, admitted when it runs after it"}, pipeline.Orders{All: 1}},
		{"groups keep their order", append(peers("g", rule("a", set("k", "1"))), peers("h", rule("b", set("k", "2")))...), nil, pipeline.Orders{}},
		{"a later one sets it anyway", append(peers("g", rule("a", set("k", "1")), rule("b", set("k", "2"))), rule("c", set("k", "3"))), nil, pipeline.Orders{All: 1}},
		{"a later one refuses one of the results", append(peers("g", rule("a", set("k", "1")), rule("b", setIf("l", "2", "k"))), rule("c", needs("l"))),
			[]string{"Toy/a on ConfigMap/a (in.yaml:1): refused: boom when Toy/b runs before it, admitted when it runs after it"}, pipeline.Orders{All: 1}},
		{"too many", peers("g", seven...), nil, pipeline.Orders{Some: 1}},
		{"too many, that clash", peers("g", clashing...), []string{`Toy/p0 rule "rule" on ConfigMap/a (in.yaml:1) at k: "0" when Toy/p6 rule "rule" runs before it, "6" when it runs after it`}, pipeline.Orders{Some: 1}},
		{"several in one", []policy.Program{several{rule("a", set("k", "1")), rule("b", set("k", "2")), rule("c", set("l", "3"))}},
			[]string{`Toy/a rule "rule" on ConfigMap/a (in.yaml:1) at k: "1" when Toy/b rule "rule" runs before it, "2" when it runs after it`}, pipeline.Orders{All: 1}},
		{"several in one that agree", []policy.Program{several{rule("a", set("k", "1")), rule("c", set("l", "3"))}}, nil, pipeline.Orders{All: 1}},
		{"many in one", []policy.Program{several(seven)}, nil, pipeline.Orders{Some: 1}},
		{"many in one that clash", []policy.Program{several(clashing)}, []string{`Toy/p0 rule "rule" on ConfigMap/a (in.yaml:1) at k: "0" when Toy/p6 rule "rule" runs before it, "6" when it runs after it`}, pipeline.Orders{Some: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			opts := options(tt.programs...)
			opts.VerifyOrder = true
			out, err := pipeline.Apply(t.Context(), parse(t, one), opts)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, e := range out.Entries {
				if e.Err != nil {
					got = append(got, e.Err.Error())
				}
			}
			for i, want := range tt.want {
				if i >= len(got) || !strings.Contains(got[i], want) {
					t.Errorf("fault %d: expected %s", i, want)
				}
			}
			if len(got) != len(tt.want) {
				t.Errorf("got %d faults, expected %d", len(got), len(tt.want))
			}
			if t.Failed() {
				t.Logf("got:\n%s", strings.Join(got, "\n"))
			}
			if d := cmp.Diff(tt.tried, out.Orders); d != "" {
				t.Errorf("tried (-want +got):\n%s", d)
			}
		})
	}
}

// One fault stands for all resources that show it.
func TestVerifyOrderCounts(t *testing.T) {
	rs := parse(t, one+"---\n"+strings.Replace(one, "name: a", "name: b", 1)+"---\n"+strings.Replace(one, "name: a", "name: c", 1))
	opts := options(peer{toy{"a", "ConfigMap", set("k", "1")}, "g"}, peer{toy{"b", "ConfigMap", set("k", "2")}, "g"})
	opts.VerifyOrder = true
	out, err := pipeline.Apply(t.Context(), rs, opts)
	if err != nil {
		t.Fatal(err)
	}
	var faults []string
	for _, e := range out.Entries {
		if e.Err != nil {
			faults = append(faults, e.Err.Error())
		}
	}
	if len(faults) != 1 || !strings.Contains(faults[0], "(the same on 2 other resources)") {
		t.Errorf("got %q", faults)
	}
}

// Values of Secrets are not shown.
func TestVerifyOrderHidesSecrets(t *testing.T) {
	rs := parse(t, "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n")
	opts := options(peer{toy{"a", "Secret", set("k", "geheim")}, "g"}, peer{toy{"b", "Secret", set("k", "secreto")}, "g"})
	opts.VerifyOrder = true
	out, err := pipeline.Apply(t.Context(), rs, opts)
	if err != nil {
		t.Fatal(err)
	}
	last := out.Entries[len(out.Entries)-1]
	if last.Err == nil || strings.Contains(last.Err.Error(), "geheim") || !strings.Contains(last.Err.Error(), pipeline.Redacted) {
		t.Errorf("got %v", last.Err)
	}
}

// randomRule does something that depends on the state in ways that pairs alone
// do not show.
func randomRule(r *rand.Rand) func(resource.Object) policy.Result {
	keys := []string{"k", "l", "m", "color"}
	var conditions []func(resource.Object) bool
	for range r.IntN(3) {
		key, present := keys[r.IntN(len(keys))], r.IntN(3) > 0
		conditions = append(conditions, func(o resource.Object) bool { _, ok := o[key]; return ok == present })
	}
	key, value, do := keys[r.IntN(len(keys))], fmt.Sprint(r.IntN(2)), r.IntN(8)
	return func(o resource.Object) policy.Result {
		for _, c := range conditions {
			if !c(o) {
				return policy.Result{Outcome: policy.Skipped}
			}
		}
		after := maps.Clone(o)
		switch do {
		case 0:
			return fail(o)
		case 1:
			delete(after, key)
		case 2:
			list, _ := o["list"].([]any)
			after["list"] = append(slices.Clone(list), value)
		default:
			after[key] = value
		}
		return policy.Result{Outcome: policy.Mutated, Object: after}
	}
}

// The verdict is that of trying all orders, one after another.
func TestVerifyOrderIsExact(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	clashes, agree := 0, 0
	for n := range 3000 {
		var programs []policy.Program
		var rules []func(resource.Object) policy.Result
		for i := range 2 + r.IntN(4) {
			rules = append(rules, randomRule(r))
			programs = append(programs, peer{toy{fmt.Sprint(i), "ConfigMap", rules[i]}, "g"})
		}
		if n%3 == 0 { // what comes after may hide what happened, or show it
			rules = append(rules, randomRule(r))
			programs = append(programs, toy{"last", "ConfigMap", rules[len(rules)-1]})
		}
		free := len(rules)
		if n%3 == 0 {
			free--
		}
		rs := parse(t, one)
		start, err := rs[0].Object()
		if err != nil {
			t.Fatal(err)
		}
		var results []resource.Object // nil: refused
		var try func(o resource.Object, left []int)
		try = func(o resource.Object, left []int) {
			if o != nil && len(left) == 0 && free < len(rules) {
				o = applied(rules[free], o)
			}
			if o == nil || len(left) == 0 {
				if !slices.ContainsFunc(results, func(x resource.Object) bool { return (x == nil) == (o == nil) && resource.Equal(x, o) }) {
					results = append(results, o)
				}
				return
			}
			for i := range left {
				try(applied(rules[left[i]], o), slices.Delete(slices.Clone(left), i, i+1))
			}
		}
		var all []int
		for i := range free {
			all = append(all, i)
		}
		try(start, all)
		if results[0] == nil {
			continue // a rule fails in the order given: there is nothing to verify
		}
		opts := options(programs...)
		opts.VerifyOrder = true
		out, err := pipeline.Apply(t.Context(), rs, opts)
		if err != nil {
			t.Fatalf("%d: %v", n, err)
		}
		found := slices.ContainsFunc(out.Entries, func(e report.Entry) bool { return e.Err != nil })
		if found != (len(results) > 1) {
			t.Fatalf("%d: %d programs have %d results, clash %t:\n%v", n, free, len(results), found, results)
		}
		if found {
			clashes++
		} else {
			agree++
		}
	}
	t.Logf("%d sets of programs clash, %d do not", clashes, agree)
	if clashes < 100 || agree < 100 {
		t.Error("the programs are not random enough")
	}
}

func applied(rule func(resource.Object) policy.Result, o resource.Object) resource.Object {
	switch r := rule(o); {
	case r.Err != nil:
		return nil
	case r.Object != nil:
		return r.Object
	}
	return o
}
