package resource

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A mutator makes changes of all sorts to JSON values, the same for the same
// seed.
type mutator struct{ *rand.Rand }

var mutatedStrings = []string{
	"", "x", "yes", "null", "1", "1.5", "0x1F", "a: b", "# c", "- d", "{e", "x\ny", "x\ny\n", " lead", "trail ", "tab\there",
	"\n", "a\n\nb\n\n", "é", "\U0001F600", "'q'", "\"dq\"", "~", "=", "<<", "2001-01-01", "12:30", "%x", "@y", "a,b", "[z]", "-", "?", ":", "::", "x:", "---", "...", "\u2028", "\x00", "a #b", "  two\n spaces",
}

func (m mutator) scalar() any {
	switch m.IntN(6) {
	case 0:
		return nil
	case 1:
		return m.IntN(2) == 0
	case 2:
		return int64(m.IntN(2000) - 1000)
	case 3:
		return float64(m.IntN(1000)) / 8
	}
	return mutatedStrings[m.IntN(len(mutatedStrings))]
}

func (m mutator) value(depth int) any {
	n := m.IntN(8)
	switch {
	case n == 0 && depth > 0:
		out := map[string]any{}
		for range m.IntN(3) {
			out[m.key()] = m.value(depth - 1)
		}
		return out
	case n == 1 && depth > 0:
		out := []any{}
		for range m.IntN(3) {
			out = append(out, m.value(depth-1))
		}
		return out
	}
	return m.scalar()
}

func (m mutator) key() string {
	keys := []string{"name", "labels", "a", "image", "status", "odd key", "yes", "1", "apiVersion", "x/y"}
	return keys[m.IntN(len(keys))]
}

// mutate returns a changed copy of v.
func (m mutator) mutate(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := maps.Clone(v)
		for range 1 + m.IntN(2) {
			keys := sortedKeys(out)
			switch n := m.IntN(10); {
			case n == 0:
				out[m.key()] = m.value(2)
			case n == 1 && len(keys) > 0:
				delete(out, keys[m.IntN(len(keys))])
			case n == 2 && len(keys) > 0:
				out[keys[m.IntN(len(keys))]] = m.value(2)
			case len(keys) > 0:
				k := keys[m.IntN(len(keys))]
				out[k] = m.mutate(out[k])
			}
		}
		return out
	case []any:
		out := slices.Clone(v)
		switch n := m.IntN(10); {
		case n < 2:
			out = slices.Insert(out, m.IntN(len(out)+1), m.value(2))
		case n == 2 && len(out) > 0:
			i := m.IntN(len(out))
			out = slices.Delete(out, i, i+1)
		case n == 3:
			m.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
		case len(out) > 0:
			i := m.IntN(len(out))
			out[i] = m.mutate(out[i])
		}
		return out
	}
	return m.scalar()
}

// checkUpdate updates a document at random and looks at what must hold: the
// new values, no line lost that belongs to what did not change, and that a
// second update with the same values changes nothing.
func checkUpdate(t *testing.T, text string, seed uint64) {
	t.Helper()
	r := &Resource{text: text}
	rs, err := r.read()
	if err != nil || len(rs) != 1 {
		return
	}
	before, err := r.Object()
	if err != nil {
		return
	}
	m := mutator{rand.New(rand.NewPCG(seed, 1))}
	after, ok := m.mutate(before).(map[string]any)
	if !ok || len(after) == 0 {
		return
	}
	simple := r.simple
	text = r.text
	from := *r
	if err := r.Update(after); err != nil {
		t.Fatalf("%v\n%q\nafter %v", err, text, after)
	}
	got, err := r.Object()
	if err != nil {
		t.Fatalf("%v\n%s", err, r.text)
	}
	if !Equal(got, after) {
		t.Fatalf("(-want +got):\n%s\n%s", cmp.Diff(after, got), r.text)
	}
	if !Equal(before, after) != r.Changed() {
		t.Fatalf("Changed is %v", r.Changed())
	}
	if simple && !r.spliceable(text, before, after) {
		t.Fatalf("the edit of what the scanner reads needed yaml/v3\nbefore %q\nafter  %q", text, r.text)
	}
	// Merge keys may bring two keys that only differ in type, of which
	// sigs.k8s.io/yaml takes either.
	_, refused := reference(text)
	if refused == nil && (simple || !bareTag.MatchString(text) && !strings.Contains(text, "<<")) {
		checkReferences(t, r.text, after)
	}
	if err := from.UpdateFrom(before, after); err != nil || from.text != r.text {
		t.Fatalf("UpdateFrom: %v\n%q\nUpdate\n%q", err, from.text, r.text)
	}
	once := r.text
	if err := r.Update(after); err != nil || r.text != once {
		t.Fatalf("a second update changes the text: %v", err)
	}
	if simple {
		checkUntouchedLines(t, text, once, before, after)
	}
}

// spliceable reports whether the edit worked without yaml/v3.
func (r *Resource) spliceable(text string, before, after Object) bool {
	var t tree
	if t.scanDocument(text, false) != nil {
		return false
	}
	for _, tidy := range []bool{false, true} {
		if out, err := t.spliced(false, before, after, tidy); err == nil && out == r.text {
			return true
		}
	}
	return false
}

// checkReferences holds what Update wrote against the other readers of YAML.
func checkReferences(t *testing.T, text string, want any) {
	t.Helper()
	got, err := manifestReference(text)
	if err != nil {
		t.Fatalf("sigs.k8s.io/yaml refuses the result: %v\n%s", err, text)
	}
	if !Equal(got, want) {
		t.Fatalf("sigs.k8s.io/yaml reads the result differently (-want +got):\n%s\n%s", cmp.Diff(want, got), text)
	}
}

// checkUntouchedLines looks for the lines of top-level keys that did not
// change.
func checkUntouchedLines(t *testing.T, old, updated string, before, after Object) {
	t.Helper()
	var tr tree
	if tr.scanDocument(old, false) != nil || tr.nodes[0].style != blockStyle {
		return
	}
	for c := tr.nodes[0].first; c != 0; c = tr.nodes[c].next {
		n := tr.nodes[c]
		if v, ok := after[n.key]; ok && Equal(before[n.key], v) && !strings.Contains(updated, strings.TrimSuffix(old[n.start:n.end], "\n")) {
			t.Fatalf("the lines of %s changed:\n%s\nnow:\n%s", n.key, old[n.start:n.end], updated)
		}
	}
}

func TestUpdateOnSamples(t *testing.T) {
	n := uint64(0)
	samples(t, func(name, text string) {
		t.Run("", func(t *testing.T) {
			for range 3 {
				n++
				checkUpdate(t, text, n)
			}
		})
	})
	for i, s := range seeds {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			for seed := range uint64(50) {
				checkUpdate(t, s, seed)
			}
		})
	}
}

func FuzzUpdate(f *testing.F) {
	for _, s := range append(seeds, containers) {
		for seed := range uint64(5) {
			f.Add(s, seed)
		}
	}
	f.Fuzz(func(t *testing.T, text string, seed uint64) {
		if normalized, err := Text("", []byte(text)); err != nil || normalized != text {
			return
		}
		docs, err := splitDocuments("", text)
		if err != nil || len(docs) != 1 || docs[0].text != text {
			return
		}
		checkUpdate(t, text, seed)
	})
}
