// Package differential compares patches with anchors with Kyverno's own code.
package differential

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"github.com/kyverno/kyverno/pkg/engine/mutate/patch"
	kyvernopattern "github.com/kyverno/kyverno/pkg/engine/pattern"
	"github.com/kyverno/kyverno/pkg/engine/validate"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/anchor"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/pattern"
	"github.com/oneloop-dev/oneloop/pkg/resource"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard()) // Kyverno's anchors log to it
	os.Exit(m.Run())
}

// reference patches as Kyverno does. A crash is an error.
func reference(object, p map[string]any) (out map[string]any, err error) {
	defer func() {
		if e := recover(); e != nil {
			err = fmt.Errorf("crash: %v", e)
		}
	}()
	o, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}
	b, err := patch.ProcessStrategicMergePatch(logr.Discard(), p, o)
	if err != nil {
		return nil, err
	}
	return out, json.Unmarshal(b, &out)
}

// plain makes values comparable: all numbers float64.
func plain(t *testing.T, v any) any {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var out any
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func setting(t *testing.T, name string, value int) int {
	t.Helper()
	if s := os.Getenv(name); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	return value
}

func TestApplyEqualsKyverno(t *testing.T) {
	pairs, seed := setting(t, "PAIRS", 20_000), uint64(setting(t, "SEED", 1))
	var changed, failed, crashed, heldBack, differences int
	for i := range pairs {
		g := &generator{Rand: rand.New(rand.NewPCG(seed, uint64(i)))}
		object := g.object()
		p := g.patch(object)
		beforeObject, beforePatch := plain(t, object), plain(t, p)
		want, wantErr := reference(object, p)
		out, applied, err := anchor.Apply(resource.IDOf(object).Kind, object, p)
		// Kyverno's result is not always the same; see below.
		for n := 0; n < 20 && ((wantErr != nil) != (err != nil) || err == nil && !cmp.Equal(any(want), plain(t, out))); n++ {
			want, wantErr = reference(object, p)
		}
		show := func(format string, args ...any) {
			t.Helper()
			differences++
			o, _ := json.Marshal(beforeObject)
			p, _ := json.Marshal(beforePatch)
			t.Errorf("pair %d of seed %d:\nobject: %s\npatch: %s\n"+format, append([]any{i, seed, o, p}, args...)...)
		}
		switch {
		case wantErr != nil && wantErr.Error()[:5] == "crash":
			crashed++
		case wantErr != nil:
			failed++
		case !cmp.Equal(any(want), beforeObject):
			changed++
		}
		if err == nil && !applied {
			heldBack++
		}
		switch {
		case !cmp.Equal(beforeObject, plain(t, object)) || !cmp.Equal(beforePatch, plain(t, p)):
			show("the input was modified")
		case (wantErr != nil) != (err != nil):
			show("error %v, want %v", err, wantErr)
		case err != nil:
		case !cmp.Equal(any(want), plain(t, out)):
			show("(-kyverno +oneloop):\n%s", cmp.Diff(any(want), plain(t, out)))
		}
		if differences >= 5 {
			t.Fatal("stopped after 5 differences")
		}
	}
	t.Logf("%d pairs: %d changed the object, %d were held back, %d failed, %d make Kyverno crash; %d differences", pairs, changed, heldBack, failed, crashed, differences)
}

func TestMatchEqualsKyverno(t *testing.T) {
	pairs, seed := setting(t, "PAIRS", 20_000)*10, uint64(setting(t, "SEED", 1))
	matched, differences := 0, 0
	for i := range pairs {
		g := &generator{Rand: rand.New(rand.NewPCG(seed, uint64(i)))}
		value, p := g.matchValue(), g.matchPattern()
		want := kyvernopattern.Validate(logr.Discard(), value, p)
		if want {
			matched++
		}
		if got := pattern.Match(value, p); got != want {
			differences++
			t.Errorf("Match(%#v, %#v) = %v, Kyverno says %v", value, p, got, want)
		}
		if differences > 20 {
			t.Fatal("stopped")
		}
	}
	t.Logf("%d pairs, %d matched; %d differences", pairs, matched, differences)
}

func TestSatisfiesEqualsKyverno(t *testing.T) {
	pairs, seed := setting(t, "PAIRS", 20_000)*2, uint64(setting(t, "SEED", 1))
	matched, random, differences := 0, 0, 0
	for i := range pairs {
		g := &generator{Rand: rand.New(rand.NewPCG(seed, uint64(i)))}
		value := g.object()
		p := g.validatePattern(value)
		before := plain(t, p)
		got, want := pattern.Satisfies(value, p), validate.MatchPattern(logr.Discard(), plain(t, value), plain(t, p)) == nil
		// Where a wildcard in a label stands for several, Kyverno takes any of
		// them, another one each time.
		for n := 0; got != want && n < 100; n++ {
			want = validate.MatchPattern(logr.Discard(), plain(t, value), plain(t, p)) == nil
			if got == want {
				random++
			}
		}
		if got != want {
			differences++
			v, _ := json.Marshal(value)
			p, _ := json.Marshal(p)
			t.Errorf("pair %d of seed %d:\nobject: %s\npattern: %s\nSatisfies is %v, Kyverno says %v", i, seed, v, p, got, want)
		} else if want {
			matched++
		}
		if !cmp.Equal(before, plain(t, p)) {
			t.Errorf("pair %d of seed %d: the pattern was modified", i, seed)
		}
		if differences > 5 {
			t.Fatal("stopped")
		}
	}
	t.Logf("%d pairs, %d matched, Kyverno is undecided about %d; %d differences", pairs, matched, random, differences)
}
