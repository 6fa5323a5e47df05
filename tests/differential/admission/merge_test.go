// Package admission compares oneloop with the API server of Kubernetes 1.36: its
// merge of apply configurations with package apply, and what it makes of objects
// by MutatingAdmissionPolicies with package policy/admission. A long comparison is
//
//	go test -timeout 0 -v -run TestMerge -args -campaign 10m -seed 7
//	go test -timeout 0 -v -run TestPolicies -args -campaign 10m -seed 7
package admission

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	runtimeschema "k8s.io/apimachinery/pkg/runtime/schema"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/apiserver/pkg/admission/plugin/policy/mutating/patch"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/structured-merge-diff/v6/schema"

	"github.com/oneloop-dev/oneloop/pkg/patch/apply"
	"github.com/oneloop-dev/oneloop/pkg/resource"
	"github.com/oneloop-dev/oneloop/tests/differential/admission/schema/table"
)

var (
	campaign = flag.Duration("campaign", 0, "compare for so long instead of a fixed number of samples")
	seed     = flag.Uint64("seed", 1, "seed of the samples")
	samples  = flag.Int("samples", 6000, "number of samples of each comparison")
	one      = flag.Int("one", -1, "compare this sample alone, and print it")
	most     = flag.Int("most", 5, "stop after so many differences")
)

// A served kind is one that the API server has.
type served struct {
	kind      resource.Kind
	converter managedfields.TypeConverter
	schema    *schema.Schema
	ref       schema.TypeRef
}

func (s *served) gvk() runtimeschema.GroupVersionKind {
	return runtimeschema.GroupVersionKind{Group: s.kind.Group, Version: s.kind.Version, Kind: s.kind.Kind}
}

func newServed(kind resource.Kind, converter managedfields.TypeConverter) (*served, error) {
	s := &served{kind: kind, converter: converter}
	stub := &unstructured.Unstructured{}
	stub.SetGroupVersionKind(s.gvk())
	value, err := converter.ObjectToTyped(stub)
	if err != nil {
		return nil, err
	}
	s.schema, s.ref = value.Schema(), value.TypeRef()
	for i := range s.schema.Types {
		table.Sort(&s.schema.Types[i].Atom) // so that a seed gives the same samples again
	}
	return s, nil
}

// builtIn returns the kinds that the API server has built in.
func builtIn(t *testing.T) []*served {
	t.Helper()
	documents, err := table.Documents()
	if err != nil {
		t.Fatal(err)
	}
	var out []*served
	for _, path := range slices.Sorted(maps.Keys(documents)) {
		converter, err := managedfields.NewTypeConverter(documents[path].Components.Schemas, false)
		if err != nil {
			t.Fatal(err)
		}
		for _, kind := range table.Kinds(documents[path].Components.Schemas) {
			if _, version, _ := strings.Cut(path, "/"); version != kind.GroupVersion().String() {
				continue // another document has it
			}
			s, err := newServed(resource.Kind(kind), converter)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, s)
		}
	}
	return out
}

// run compares that many samples, or those of a campaign, and reports the differences.
func run(t *testing.T, samples int, compare func(r *rand.Rand, print bool) (what, difference string)) {
	start := time.Now()
	counts, differences := map[string]int{}, 0
	i := 0
	for ; ; i++ {
		if *one >= 0 {
			i = *one
		}
		if *one < 0 && (*campaign > 0 && time.Since(start) > *campaign || *campaign == 0 && i >= samples) {
			break
		}
		what, difference := compare(rand.New(rand.NewPCG(*seed, uint64(i))), *one >= 0)
		counts[what]++
		if difference != "" {
			differences++
			t.Errorf("sample %d (-seed %d -one %d): %s", i, *seed, i, difference)
		}
		if *one >= 0 || differences >= *most {
			break
		}
	}
	t.Logf("%d samples, %d differences, %s", i, differences, time.Since(start).Round(time.Millisecond))
	for _, what := range slices.Sorted(maps.Keys(counts)) {
		t.Logf("%7d %s", counts[what], what)
	}
}

// clone makes sure that nothing is shared, and that numbers are int64 or float64.
func clone(v map[string]any) map[string]any {
	var out map[string]any
	data, err := json.Marshal(v)
	if err == nil {
		err = utiljson.Unmarshal(data, &out)
	}
	if err != nil {
		panic(err)
	}
	return out
}

func text(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(data)
}

// lines are the parts of an error that lists several faults, sorted: the API
// server gives them in any order.
func lines(err error) string {
	parts := strings.Split(err.Error(), "\n")
	slices.Sort(parts)
	// Atomics are in one line, in any order.
	for i, part := range parts {
		if head, list, ok := strings.Cut(part, "structs: "); ok {
			paths := strings.Split(list, ", ")
			slices.Sort(paths)
			parts[i] = head + "structs: " + strings.Join(paths, ", ")
		}
	}
	return strings.Join(parts, "\n")
}

// difference compares two errors. The API server tells of only one of the
// unknown fields of a map, any one: it gets several tries.
func differ(theirs, ours error, again func() error) string {
	switch {
	case theirs == nil && ours == nil:
		return ""
	case theirs == nil:
		return "only oneloop fails: " + ours.Error()
	case ours == nil:
		return "only the API server fails: " + theirs.Error()
	}
	for range 200 {
		if lines(theirs) == lines(ours) {
			return ""
		}
		theirs = again()
	}
	return fmt.Sprintf("the API server fails with\n%s\noneloop with\n%s", lines(theirs), lines(ours))
}

// hasUnknown reports whether the live object has fields that its kind does not
// have. The API server refuses or removes them before a policy sees the object;
// oneloop leaves them alone.
func hasUnknown(err error) bool {
	return strings.HasPrefix(err.Error(), "failed to convert original object") && strings.Contains(err.Error(), ": field not declared in schema")
}

// prune removes the fields that the type of v does not have.
func prune(s *schema.Schema, ref schema.TypeRef, v any) any {
	atom, _ := s.Resolve(ref)
	switch v := v.(type) {
	case map[string]any:
		if atom.Map == nil {
			return v
		}
		out := map[string]any{}
		for key, value := range v {
			if field, ok := atom.Map.FindField(key); ok {
				out[key] = prune(s, field.Type, value)
			} else if (atom.Map.ElementType != schema.TypeRef{}) {
				out[key] = prune(s, atom.Map.ElementType, value)
			}
		}
		return out
	case []any:
		if atom.List == nil {
			return v
		}
		out := make([]any, len(v))
		for i, value := range v {
			out[i] = prune(s, atom.List.ElementType, value)
		}
		return out
	}
	return v
}

// newPair makes an object and a patch of a kind.
func newPair(r *rand.Rand, s *served) (live, change map[string]any) {
	g := &generator{Rand: r, schema: s.schema, atomic: 1}
	if g.likely(0.2) {
		g.faults = 0.01
	}
	live, _ = g.value(s.ref, nil, 0).(map[string]any)
	if live == nil {
		live = map[string]any{}
	}
	g.faults, g.atomic = 0, 0
	if g.likely(0.3) {
		g.faults = 0.02
	}
	if g.likely(0.15) {
		g.atomic = 0.3
	}
	change, _ = g.value(s.ref, live, 0).(map[string]any)
	if change == nil {
		change = map[string]any{}
	}
	for _, object := range []map[string]any{live, change} {
		object["apiVersion"], object["kind"] = s.kind.APIVersion(), s.kind.Kind
	}
	return clone(live), clone(change)
}

// reference merges as the API server does.
func reference(s *served, live runtime.Object, change map[string]any) (map[string]any, error) {
	out, err := patch.ApplyStructuredMergeDiff(s.converter, live, &unstructured.Unstructured{Object: clone(change)})
	if err != nil {
		return nil, err
	}
	return out.(*unstructured.Unstructured).Object, nil
}

// comparePair compares the merge of one pair.
func comparePair(s *served, schemas *apply.Schemas, live, change map[string]any, print bool) (what, difference string) {
	ours, ourErr := schemas.Merge(s.kind, live, change)
	merge := func(live map[string]any) (map[string]any, error) {
		return reference(s, &unstructured.Unstructured{Object: clone(live)}, change)
	}
	theirs, theirErr := merge(live)
	if theirErr != nil && hasUnknown(theirErr) {
		what = "unknown fields in the object: "
		live, _ = prune(s.schema, s.ref, live).(map[string]any)
		if ourErr == nil {
			ours, _ = prune(s.schema, s.ref, ours).(map[string]any)
		}
		theirs, theirErr = merge(live)
	}
	if print {
		fmt.Printf("%s\nobject %s\npatch  %s\nAPI server %s %v\noneloop    %s %v\n", s.kind, text(live), text(change), text(theirs), theirErr, text(ours), ourErr)
	}
	switch {
	case theirErr == nil && text(theirs) == text(live):
		what += "no change"
	case theirErr == nil:
		what += "merged"
	default:
		head, rest, _ := strings.Cut(theirErr.Error(), ": ")
		if strings.HasPrefix(rest, "may not mutate") {
			head = "atomic"
		}
		what += "refused: " + head
	}
	difference = differ(theirErr, ourErr, func() error { _, err := merge(live); return err })
	if difference == "" && theirErr == nil {
		difference = cmp.Diff(theirs, ours)
	}
	if difference != "" {
		difference = fmt.Sprintf("%s\nobject %s\npatch  %s\n%s", s.kind, text(live), text(change), difference)
	}
	return what, difference
}

// TestMergeOfBuiltInKinds compares merges of objects of all kinds, faulty ones
// too, as they are written.
func TestMergeOfBuiltInKinds(t *testing.T) {
	kinds := builtIn(t)
	t.Logf("%d kinds", len(kinds))
	for _, s := range kinds {
		if !apply.BuiltIn().Knows(s.kind) {
			t.Errorf("%s is not known", s.kind)
		}
	}
	run(t, *samples, func(r *rand.Rand, print bool) (string, string) {
		s := kinds[r.IntN(len(kinds))]
		live, change := newPair(r, s)
		return comparePair(s, apply.BuiltIn(), live, change, print)
	})
}

// TestMergeOfGoObjects compares merges of objects that the API server has
// decoded, as it has when it evaluates a policy, and decodes the results.
func TestMergeOfGoObjects(t *testing.T) {
	var kinds []*served
	for _, s := range builtIn(t) {
		if scheme.Scheme.Recognizes(s.gvk()) {
			kinds = append(kinds, s)
		}
	}
	t.Logf("%d kinds", len(kinds))
	decode := func(s *served, v map[string]any) (runtime.Object, error) {
		object, err := scheme.Scheme.New(s.gvk())
		if err != nil {
			return nil, err
		}
		return object, runtime.DefaultUnstructuredConverter.FromUnstructured(clone(v), object)
	}
	run(t, *samples, func(r *rand.Rand, print bool) (string, string) {
		s := kinds[r.IntN(len(kinds))]
		live, change := newPair(r, s)
		object, err := decode(s, live)
		if err != nil {
			return "cannot be decoded", ""
		}
		if live, err = runtime.DefaultUnstructuredConverter.ToUnstructured(object); err != nil {
			return "cannot be encoded", ""
		}
		theirs, theirErr := reference(s, object.DeepCopyObject(), change)
		ours, ourErr := apply.BuiltIn().Merge(s.kind, clone(live), change)
		if print {
			fmt.Printf("%s\nobject %s\npatch  %s\nAPI server %s %v\noneloop    %s %v\n", s.kind, text(live), text(change), text(theirs), theirErr, text(ours), ourErr)
		}
		frame := fmt.Sprintf("%s\nobject %s\npatch  %s\n", s.kind, text(live), text(change))
		if d := differ(theirErr, ourErr, func() error { _, err := reference(s, object.DeepCopyObject(), change); return err }); d != "" {
			return "differs", frame + d
		}
		if theirErr != nil {
			return "refused", ""
		}
		want, err := decode(s, theirs)
		if err != nil {
			return "the result cannot be decoded", ""
		}
		got, err := decode(s, ours)
		if err != nil {
			return "differs", frame + "the result cannot be decoded: " + err.Error()
		}
		if d := cmp.Diff(text(want), text(got)); d != "" {
			return "differs", frame + d
		}
		return "merged", ""
	})
}
