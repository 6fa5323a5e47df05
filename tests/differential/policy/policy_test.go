// Package differential compares whole policies with Kyverno's own engine, on
// random policies and resources.
//
// Plain go test compares a fixed number of samples of a fixed seed. A longer run,
// whose counts of policies, rules, objects, intended and other differences and
// features are printed at its end:
//
//	go test -timeout 0 -v -run TestPoliciesEqualKyverno -args -campaign 30m -seed 7
//	go test -timeout 0 -v -run TestBackgroundEqualsKyverno -args -campaign 10m -seed 7
//	go test -timeout 0 -v -run TestMutatingPoliciesEqualKyverno -args -campaign 10m -seed 7
//
// TestPoliciesEqualKyverno compares mutate rules as admission runs them,
// TestBackgroundEqualsKyverno mutate rules with targets and generate rules as
// the background controller does, TestMutatingPoliciesEqualKyverno policies in CEL
// as its engine does. Not compared are verifyImages rules, which ask
// registries, nor apiCall, globalReference and imageRegistry, which ask others.
package differential

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

var (
	campaign = flag.Duration("campaign", 0, "compare for so long instead of a fixed number of samples")
	seed     = flag.Uint64("seed", 1, "seed of the samples")
	samples  = flag.Int("samples", 1200, "number of samples")
	one      = flag.Int("one", -1, "compare this sample alone, and print it")
	most     = flag.Int("most", 5, "stop after so many differences")
)

func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard())
	os.Exit(m.Run())
}

// counts are what a run showed.
type counts struct {
	samples, rejected, crashed, refused, policies, rules, objects, effective, undecided, differences int

	statuses   map[string]int
	intentions map[string]int
	reasons    map[string]int // of rejections
	kinds      map[string]int // of differences
	features   map[string][2]int
}

func newCounts() *counts {
	return &counts{statuses: map[string]int{}, intentions: map[string]int{}, reasons: map[string]int{}, kinds: map[string]int{}, features: map[string][2]int{}}
}

func (c *counts) add(s *sample, o outcome) {
	c.samples++
	switch {
	case o.rejected != nil:
		c.rejected++
		reason := o.rejected.Error()
		if len(reason) > 110 {
			reason = reason[:110]
		}
		c.reasons[strings.ReplaceAll(reason, "\n", " ")]++
		return
	case o.crashed != nil:
		c.crashed++
		return
	case o.refused != nil && o.difference == "":
		c.refused++
	}
	if o.intention != "" {
		c.intentions[o.intention]++
	}
	if o.undecided {
		c.undecided++
	}
	if o.difference != "" {
		c.differences++
		c.kinds[o.kind]++
	}
	c.policies += len(s.Policies)
	c.objects++
	effective := false
	for _, st := range o.steps {
		for _, r := range st.rules {
			c.rules++
			c.statuses[r.status]++
			effective = effective || r.status == "pass"
			if r.status != "pass" && os.Getenv("WHY") != "" {
				m := r.message
				if len(m) > 60 {
					m = m[:60]
				}
				c.reasons[r.status+": "+m]++
			}
		}
	}
	if effective {
		c.effective++
	}
	for f := range features(s) {
		n := c.features[f]
		n[0]++
		if effective {
			n[1]++
		}
		c.features[f] = n
	}
}

func (c *counts) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d samples, of which Kyverno rejects %d and crashes on %d\n", c.samples, c.rejected, c.crashed)
	fmt.Fprintf(&b, "%d objects compared with %d policies; %d rules matched: %v\n", c.objects, c.policies, c.rules, c.statuses)
	fmt.Fprintf(&b, "%d samples (%d %%) had a rule that changed the object\n", c.effective, 100*c.effective/max(1, c.objects))
	fmt.Fprintf(&b, "intended: %v\n", c.intentions)
	fmt.Fprintf(&b, "undecided: Kyverno gives several results for %d\n", c.undecided)
	fmt.Fprintf(&b, "%d differences: %v\n", c.differences, c.kinds)
	fmt.Fprintf(&b, "samples with a feature, and those of them in which a rule changed the object:\n")
	for _, f := range slices.Sorted(maps.Keys(c.features)) {
		fmt.Fprintf(&b, "  %-40s %7d %7d\n", f, c.features[f][0], c.features[f][1])
	}
	fmt.Fprintf(&b, "rejections:\n")
	reasons := slices.Collect(maps.Keys(c.reasons))
	slices.SortFunc(reasons, func(a, b string) int { return c.reasons[b] - c.reasons[a] })
	for _, r := range reasons[:min(15, len(reasons))] {
		fmt.Fprintf(&b, "  %6d %s\n", c.reasons[r], r)
	}
	return b.String()
}

func TestPoliciesEqualKyverno(t *testing.T) {
	run(t, func(i int) *sample {
		g := &generator{Rand: rand.New(rand.NewPCG(*seed, uint64(i)))}
		return g.effective(g.sample)
	})
}

// effective makes samples until Kyverno takes the policies and, for most of
// them, some rule changes the object. It gives up after a few: what should not
// change the object is compared too.
func (g *generator) effective(make func() *sample) *sample {
	var s *sample
	most := pick(g, 1, 2, 4, 6, 6)
	for tries := 0; tries < most; {
		s = make()
		ref, err := newReference(s)
		if err != nil {
			continue
		}
		tries++
		steps, err := ref.run(admission)
		if err != nil {
			continue
		}
		for _, st := range steps {
			for _, r := range st.rules {
				if r.status == "pass" {
					return s
				}
			}
		}
	}
	return s
}

func run(t *testing.T, next func(i int) *sample) {
	c := newCounts()
	start, reported := time.Now(), time.Now()
	seen := map[string]int{}
	for i := 0; ; i++ {
		if *one >= 0 {
			i = *one
		}
		switch {
		case *one >= 0:
		case *campaign > 0 && time.Since(start) > *campaign, *campaign == 0 && i >= *samples:
			t.Logf("seed %d, %s\n%s", *seed, time.Since(start).Round(time.Second), c)
			return
		}
		s := next(i)
		o := compare(s)
		c.add(s, o)
		if *one >= 0 {
			t.Logf("%s\n%+v", s, o)
		}
		if o.difference != "" {
			// Show each kind a few times, cut down.
			if seen[o.kind]++; seen[o.kind] <= 3 {
				small := minimise(s, o.kind, 600)
				t.Errorf("sample %d of seed %d: %s\n%s\n%s", i, *seed, o.kind, small, compare(small).difference)
			} else {
				t.Errorf("sample %d of seed %d: %s", i, *seed, o.kind)
			}
		}
		if *one >= 0 {
			return
		}
		if c.differences >= *most {
			t.Logf("seed %d\n%s", *seed, c)
			t.Fatalf("stopped after %d differences", c.differences)
		}
		if *campaign > 0 && time.Since(reported) > 5*time.Minute {
			reported = time.Now()
			fmt.Printf("%s: %d samples, %d objects, %d effective, %d differences\n", time.Since(start).Round(time.Second), c.samples, c.objects, c.effective, c.differences)
		}
	}
}
