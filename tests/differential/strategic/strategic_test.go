// Package strategic_test compares oneloop's strategic merge with the filter
// that Kyverno 1.19 uses: kustomize's patchstrategicmerge.
package strategic_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/oneloop-dev/oneloop/pkg/patch/strategic"
	"github.com/oneloop-dev/oneloop/pkg/resource"
	"sigs.k8s.io/kustomize/api/filters/patchstrategicmerge"
	"sigs.k8s.io/kustomize/kyaml/filtersutil"
	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// raw is JSON that filtersutil reads and replaces.
type raw struct{ *bytes.Buffer }

func (r raw) MarshalJSON() ([]byte, error) { return r.Bytes(), nil }
func (r raw) UnmarshalJSON(b []byte) error {
	r.Reset()
	_, err := r.Write(b)
	return err
}

// reference merges as Kyverno does.
func reference(object, patch map[string]any) (map[string]any, error) {
	o, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}
	p, err := json.Marshal(patch)
	if err != nil {
		return nil, err
	}
	node, err := yaml.Parse(string(p))
	if err != nil {
		return nil, err
	}
	r := raw{bytes.NewBuffer(o)}
	if err := filtersutil.ApplyToJSON(patchstrategicmerge.Filter{Patch: node}, r); err != nil {
		return nil, err
	}
	var out map[string]any
	return out, json.Unmarshal(r.Bytes(), &out)
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

func TestMergeEqualsKustomize(t *testing.T) {
	pairs := 20_000
	if s := os.Getenv("PAIRS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		pairs = n
	}
	seed := uint64(1)
	if s := os.Getenv("SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seed = n
	}
	type count struct{ pairs, changed, failed int }
	counts := map[string]*count{}
	var total count
	differences := 0
	for i := range pairs {
		g := &generator{Rand: rand.New(rand.NewPCG(seed, uint64(i))), faults: []float64{0, 0.01, 0.05}[i%3], anything: anything}
		kind, object, patch := g.pair()
		want, wantErr := reference(object, patch)
		beforeObject, beforePatch := plain(t, object), plain(t, patch)
		out, err := strategic.Merge(resource.ParseKind(kind.apiVersion, kind.kind), object, patch)
		c := counts[kind.String()]
		if c == nil {
			c = &count{}
			counts[kind.String()] = c
		}
		for _, c := range []*count{c, &total} {
			c.pairs++
			if wantErr != nil {
				c.failed++
			} else if !cmp.Equal(any(want), beforeObject) {
				c.changed++
			}
		}
		show := func(format string, args ...any) {
			t.Helper()
			differences++
			o, _ := json.Marshal(beforeObject)
			p, _ := json.Marshal(beforePatch)
			t.Errorf("pair %d of seed %d:\nobject %s\npatch  %s\n"+format, append([]any{i, seed, o, p}, args...)...)
		}
		switch {
		case !cmp.Equal(beforeObject, plain(t, object)) || !cmp.Equal(beforePatch, plain(t, patch)):
			show("the merge modified its input")
		case (wantErr != nil) != (err != nil):
			show("error %v, want %v", err, wantErr)
		case err != nil:
		case !cmp.Equal(any(want), plain(t, out)):
			show("(-kustomize +oneloop):\n%s", cmp.Diff(any(want), plain(t, out)))
		}
		if differences >= 5 {
			t.Fatal("stopped after 5 differences")
		}
	}
	for _, k := range slices.Sorted(maps.Keys(counts)) {
		c := counts[k]
		t.Logf("%-62s %6d pairs, %6d changed the object, %5d failed", k, c.pairs, c.changed, c.failed)
	}
	t.Logf("%-62s %6d pairs, %6d changed the object, %5d failed; %d differences", strings.ToUpper("all"), total.pairs, total.changed, total.failed, differences)
}
