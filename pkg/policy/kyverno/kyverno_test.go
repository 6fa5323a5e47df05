package kyverno_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"sigs.k8s.io/yaml"

	"github.com/oneloop-dev/oneloop/pkg/digest"
	"github.com/oneloop-dev/oneloop/pkg/digest/lock"
	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/pipeline"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

var update = flag.Bool("update", false, "write results and objects into testdata")

// parse reads the documents of one section.
func parse(t testing.TB, name string, data []byte) []*resource.Resource {
	t.Helper()
	docs, err := resource.Parse(name, data)
	if err != nil {
		t.Fatal(err)
	}
	return docs
}

// A run applies policies as the pipeline does, one resource after another.
type run struct {
	programs []policy.Program
	facts    *facts.Facts
	digests  digest.Resolver
}

// apply returns the final object and one line per result.
func (r *run) apply(t testing.TB, item *resource.Resource) (resource.Object, []string) {
	t.Helper()
	o, err := item.Object()
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, p := range r.programs {
		if !p.Selects(item.ID().Kind) {
			continue
		}
		results, err := p.Apply(context.Background(), policy.Input{ID: item.ID(), Object: o, Facts: r.facts, Digests: r.digests})
		if err != nil {
			t.Fatal(err)
		}
		for _, result := range results {
			message := result.Message
			if result.Err != nil {
				message = result.Err.Error()
			}
			lines = append(lines, fmt.Sprintf("%s %s/%s: %s: %s", item.ID(), p.Policy().ID.Name, result.Rule, result.Outcome.Status(), message))
			if result.Outcome == policy.Mutated {
				o = result.Object
			}
		}
	}
	return o, lines
}

// TestGolden runs testdata/*.txtar. Each has policies and resources; faults,
// notices, results and objects are what comes out.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no testdata", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			in := map[string][]byte{}
			for _, f := range archive.Files {
				in[f.Name] = f.Data
			}
			got := golden(t, in)
			if *update {
				archive.Files = slices.DeleteFunc(archive.Files, func(f txtar.File) bool { _, ok := got[f.Name]; return ok || slices.Contains(outputs, f.Name) })
				for _, name := range outputs {
					if got[name] != "" {
						archive.Files = append(archive.Files, txtar.File{Name: name, Data: []byte(got[name])})
					}
				}
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			for _, name := range outputs {
				if d := cmp.Diff(string(in[name]), got[name]); d != "" {
					t.Errorf("%s (-want +got):\n%s", name, d)
				}
			}
		})
	}
}

var outputs = []string{"faults", "notices", "results", "objects.yaml"}

func golden(t *testing.T, in map[string][]byte) map[string]string {
	out := map[string]string{}
	set, err := kyverno.Language.Compile(parse(t, "policy.yaml", in["policy.yaml"]))
	if err != nil {
		out["faults"] = err.Error() + "\n"
	}
	for _, n := range set.Notices {
		out["notices"] += n.Policy.ID.Name + ": " + n.Message + "\n"
	}
	known := facts.New()
	items := parse(t, "resources.yaml", in["resources.yaml"])
	known.AddResources(items...)
	if err := known.AddDocuments(parse(t, "facts.yaml", in["facts.yaml"])); err != nil {
		t.Fatal(err)
	}
	r := &run{programs: set.Admission(), facts: known, digests: digest.None("the test has no lock")}
	for _, d := range parse(t, "lock.yaml", in["lock.yaml"]) {
		l, err := lock.Parse(d)
		if err != nil {
			t.Fatal(err)
		}
		r.digests = l.Resolver()
	}
	for _, item := range items {
		before, _ := item.Object()
		text, err := yaml.Marshal(before)
		if err != nil {
			t.Fatal(err)
		}
		r.apply(t, item)
		after, _ := item.Object()
		if again, _ := yaml.Marshal(after); string(again) != string(text) {
			t.Errorf("%s: the input was modified", item.ID())
		}
	}
	made, err := pipeline.Apply(t.Context(), items, pipeline.Options{Set: set, Facts: known, Digests: r.digests, KeepGoing: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range made.Entries {
		message := e.Message
		if e.Err != nil {
			message = e.Err.Error()
		}
		out["results"] += fmt.Sprintf("%s %s/%s: %s: %s\n", e.Resource, e.Policy.ID.Name, e.Rule, e.Outcome.Status(), message)
	}
	var objects []string
	for _, item := range made.Resources {
		o, err := item.Object()
		if err != nil {
			t.Fatal(err)
		}
		data, err := yaml.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		objects = append(objects, string(data))
	}
	out["objects.yaml"] = strings.Join(objects, "---\n")
	return out
}

// One program serves many goroutines, and each gets the same result.
func TestProgramsAreConcurrent(t *testing.T) {
	archive, err := txtar.ParseFile("testdata/foreach.txtar")
	if err != nil {
		t.Fatal(err)
	}
	in := map[string][]byte{}
	for _, f := range archive.Files {
		in[f.Name] = f.Data
	}
	set, err := kyverno.Language.Compile(parse(t, "policy.yaml", in["policy.yaml"]))
	if err != nil {
		t.Fatal(err)
	}
	item := parse(t, "resources.yaml", in["resources.yaml"])[0]
	known := facts.New()
	known.AddResources(item)
	r := &run{programs: set.Admission(), facts: known, digests: digest.None("none")}
	want, _ := r.apply(t, item)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				if got, _ := r.apply(t, item); !cmp.Equal(want, got) {
					t.Error("another result:\n" + cmp.Diff(want, got))
					return
				}
			}
		})
	}
	wg.Wait()
}

// A cancelled run stops, and is not reported as a failed rule.
func TestCancelled(t *testing.T) {
	set, err := kyverno.Language.Compile(parse(t, "policy.yaml", []byte(`
apiVersion: kyverno.io/v1
kind: ClusterPolicy
metadata: {name: p}
spec:
  rules:
  - name: r
    match: {any: [{resources: {kinds: [ConfigMap]}}]}
    mutate: {patchStrategicMerge: {data: {a: b}}}
`)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = set.Admission()[0].Apply(ctx, policy.Input{Facts: facts.New()})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}

func TestClaims(t *testing.T) {
	for kind, want := range map[resource.Kind]bool{
		{Group: "kyverno.io", Version: "v1", Kind: "ClusterPolicy"}:                  true,
		{Group: "kyverno.io", Version: "v2beta1", Kind: "Policy"}:                    true,
		{Group: "kyverno.io", Version: "v2", Kind: "PolicyException"}:                true,
		{Group: "kyverno.io", Version: "v2", Kind: "ClusterCleanupPolicy"}:           true,
		{Group: "kyverno.io", Version: "v1", Kind: "UpdateRequest"}:                  false,
		{Group: "policies.kyverno.io", Version: "v1alpha1", Kind: "PolicyException"}: false,
		{Group: "policies.kyverno.io", Version: "v1alpha1", Kind: "MutatingPolicy"}:  false,
		{Group: "iam.example.com", Version: "v1", Kind: "Policy"}:                    false,
	} {
		if got := kyverno.Language.Claims(kind); got != want {
			t.Errorf("%s: got %v, want %v", kind, got, want)
		}
	}
}

func TestManual(t *testing.T) {
	title, rest, _ := strings.Cut(kyverno.Language.Doc, "\n\n")
	if title != "Kyverno's ClusterPolicy and Policy" {
		t.Errorf("title %q", title)
	}
	if !strings.Contains(rest, "# Context entries") || strings.Contains(rest, "//") {
		t.Errorf("manual:\n%s", rest)
	}
}
