package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oneloop-dev/oneloop/pkg/digest"
	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/pipeline"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/report"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// A toy is a program with one rule.
type toy struct {
	name string
	kind string // the kind it selects
	rule func(resource.Object) policy.Result
}

func (t toy) Policy() policy.Ref {
	return policy.Ref{ID: resource.ID{Kind: resource.Kind{Group: "test", Version: "v1", Kind: "Toy"}, Name: t.name}}
}

func (t toy) Selects(k resource.Kind) bool { return k.Kind == t.kind }

func (t toy) Apply(_ context.Context, in policy.Input) ([]policy.Result, error) {
	r := t.rule(in.Object)
	r.Rule = "rule"
	return []policy.Result{r}, nil
}

// set is a rule that sets one top-level field.
func set(key string, value any) func(resource.Object) policy.Result {
	return func(o resource.Object) policy.Result {
		after := maps.Clone(o)
		after[key] = value
		return policy.Result{Outcome: policy.Mutated, Object: after}
	}
}

func fail(resource.Object) policy.Result {
	return policy.Result{Outcome: policy.Failed, Err: errors.New("boom")}
}

func parse(t *testing.T, text string) []*resource.Resource {
	t.Helper()
	rs, err := resource.Parse("in.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return rs
}

func options(programs ...policy.Program) pipeline.Options {
	return pipeline.Options{Set: policy.Set{Programs: programs}, Facts: facts.New(), Digests: digest.None("test")}
}

func text(t *testing.T, rs []*resource.Resource) string {
	t.Helper()
	var docs []string
	for _, r := range rs {
		b, err := r.AppendYAML(nil)
		if err != nil {
			t.Fatal(err)
		}
		docs = append(docs, string(b))
	}
	return strings.Join(docs, "---\n")
}

// summary prints an entry in one line.
func summary(entries []report.Entry) []string {
	var out []string
	for _, e := range entries {
		line := fmt.Sprintf("%s %s %s", e.Policy.ID.Name, e.Resource, e.Outcome.Status())
		for _, c := range e.Changes {
			line += fmt.Sprintf(" %s: %v -> %v", c.Path, c.Before, c.After)
		}
		out = append(out, line)
	}
	return out
}

const two = `# first
apiVersion: v1
kind: ConfigMap
metadata: {name: a}
color: red # keep
---
apiVersion: v1
kind: Service
metadata: {name: b}
`

func TestApplyAttributesChanges(t *testing.T) {
	rs := parse(t, two)
	out, err := pipeline.Apply(t.Context(), rs, options(
		toy{"paint", "ConfigMap", set("color", "blue")},
		toy{"size", "ConfigMap", set("size", int64(3))},
	))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"paint ConfigMap/a pass color: red -> blue",
		"size ConfigMap/a pass size: <nil> -> 3",
	}
	if d := cmp.Diff(want, summary(out.Entries)); d != "" {
		t.Errorf("entries (-want +got):\n%s", d)
	}
	wantText := strings.Replace(two, "color: red # keep\n", "color: blue # keep\nsize: 3\n", 1)
	if d := cmp.Diff(wantText, text(t, rs)); d != "" {
		t.Errorf("text (-want +got):\n%s", d)
	}
}

// A dry run goes on from rule to rule, and leaves everything as it is.
func TestDryRun(t *testing.T) {
	rs := parse(t, two)
	opts := options(
		toy{"paint", "ConfigMap", set("color", "blue")},
		toy{"look", "ConfigMap", func(o resource.Object) policy.Result {
			if o["color"] != "blue" {
				t.Errorf("the second rule sees the color %v", o["color"])
			}
			return policy.Result{Outcome: policy.Passed}
		}},
	)
	opts.DryRun = true
	out, err := pipeline.Apply(t.Context(), rs, opts)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"paint ConfigMap/a pass", "look ConfigMap/a pass"}, summary(out.Entries)); d != "" {
		t.Errorf("entries (-want +got):\n%s", d)
	}
	if d := cmp.Diff(two, text(t, rs)); d != "" {
		t.Errorf("text (-want +got):\n%s", d)
	}
}

func TestNoChanges(t *testing.T) {
	for _, without := range []bool{false, true} {
		rs := parse(t, two)
		opts := options(toy{"paint", "ConfigMap", set("color", "blue")})
		opts.NoChanges = without
		out, err := pipeline.Apply(t.Context(), rs, opts)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(out.Entries[0].Changes) == 0; got != without {
			t.Errorf("NoChanges %t: entry without changes: %t", without, got)
		}
		if !rs[0].Changed() {
			t.Errorf("NoChanges %t: the resource did not change", without)
		}
	}
}

func TestApplyStopsAResourceAtItsFirstFailure(t *testing.T) {
	for _, tt := range []struct {
		keepGoing bool
		want      []string
	}{
		{false, []string{"bad ConfigMap/a error"}},
		{true, []string{"bad ConfigMap/a error", "paint ConfigMap/a pass color: red -> blue"}},
	} {
		opts := options(toy{"bad", "ConfigMap", fail}, toy{"paint", "ConfigMap", set("color", "blue")})
		opts.KeepGoing = tt.keepGoing
		out, err := pipeline.Apply(t.Context(), parse(t, two), opts)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(tt.want, summary(out.Entries)); d != "" {
			t.Errorf("KeepGoing %v (-want +got):\n%s", tt.keepGoing, d)
		}
	}
}

func TestApplyRefusesAChangeOfIdentity(t *testing.T) {
	for name, tt := range map[string]struct {
		rule func(resource.Object) policy.Result
		want string
	}{
		"name":      {set("metadata", map[string]any{"name": "c"}), "from v1/Service Service/b to v1/Service Service/c, and which of them a cluster knows it by"},
		"namespace": {set("metadata", map[string]any{"name": "b", "namespace": "shop"}), "to v1/Service shop/Service/b, which the API server refuses"},
		"kind":      {set("kind", "Secret"), "to v1/Secret Secret/b, which the API server refuses"},
	} {
		t.Run(name, func(t *testing.T) {
			rs := parse(t, two)
			out, err := pipeline.Apply(t.Context(), rs, options(toy{"rename", "Service", tt.rule}))
			if err != nil {
				t.Fatal(err)
			}
			if len(out.Entries) != 1 || out.Entries[0].Outcome != policy.Failed || !strings.Contains(out.Entries[0].Err.Error(), tt.want) {
				t.Errorf("got %+v, want one failed entry with %s", out.Entries, tt.want)
			}
			if got := text(t, rs); got != two {
				t.Errorf("the refused change reached the output:\n%s", got)
			}
		})
	}
}

func TestApplyLeavesInertResourcesAlone(t *testing.T) {
	opts := options(toy{"paint", "ConfigMap", set("color", "blue")})
	opts.Inert = func(r *resource.Resource) bool { return r.ID().Name == "a" }
	rs := parse(t, two)
	out, err := pipeline.Apply(t.Context(), rs, opts)
	if err != nil || len(out.Entries) != 0 || text(t, rs) != two {
		t.Errorf("got entries %v, error %v, text:\n%s", summary(out.Entries), err, text(t, rs))
	}
}

func TestApplyRedactsSecrets(t *testing.T) {
	rs := parse(t, "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {p: c2VjcmV0}\n")
	out, err := pipeline.Apply(t.Context(), rs, options(
		toy{"rotate", "Secret", set("data", map[string]any{"p": "bmV3"})},
		toy{"type", "Secret", set("type", "Opaque")},
	))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"rotate Secret/s pass data.p: (redacted) -> (redacted)",
		"type Secret/s pass type: <nil> -> (redacted)",
	}
	if d := cmp.Diff(want, summary(out.Entries)); d != "" {
		t.Errorf("entries (-want +got):\n%s", d)
	}
}

func TestApplyReportsAPanicAsAnError(t *testing.T) {
	_, err := pipeline.Apply(t.Context(), parse(t, two), options(toy{"bug", "Service", func(resource.Object) policy.Result {
		panic("bug")
	}}))
	if err == nil || !strings.Contains(err.Error(), "in.yaml:7: Service/b: internal error") {
		t.Errorf("got %v, want an error that names the resource and its line", err)
	}
}

// Parallel equals sequential, in entries and in text.
func TestApplyInParallelEqualsSequential(t *testing.T) {
	var docs []string
	for i := range 200 {
		docs = append(docs, fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c%d}\ncolor: red\n", i))
	}
	input := strings.Join(docs, "---\n")
	run := func(workers int) ([]string, string) {
		rs := parse(t, input)
		opts := options(toy{"paint", "ConfigMap", set("color", "blue")})
		opts.Workers = workers
		out, err := pipeline.Apply(t.Context(), rs, opts)
		if err != nil {
			t.Fatal(err)
		}
		return summary(out.Entries), text(t, rs)
	}
	entries1, text1 := run(1)
	entries8, text8 := run(8)
	if d := cmp.Diff(entries1, entries8); d != "" {
		t.Errorf("entries (-sequential +parallel):\n%s", d)
	}
	if d := cmp.Diff(text1, text8); d != "" {
		t.Errorf("text (-sequential +parallel):\n%s", d)
	}
	if strings.Count(text1, "blue") != 200 {
		t.Errorf("not every resource was changed:\n%s", text1)
	}
}

func TestCompileNamesUnclaimedKinds(t *testing.T) {
	toys := policy.Language{
		Name: "toy", Doc: "Toys, group toys.example.com\n\nMore.", Kinds: []string{"Toy"},
		Claims:  func(k resource.Kind) bool { return k.Group == "toys.example.com" },
		Compile: func([]*resource.Resource) (policy.Set, error) { return policy.Set{}, nil },
	}
	tools := toys
	tools.Name, tools.Doc, tools.Kinds = "tool", "Tools", nil
	in := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\napiVersion: v1\nkind: Toy\nmetadata: {name: b}\n"
	_, err := pipeline.Compile([]policy.Language{toys, tools}, parse(t, in))
	want := "in.yaml:1: ConfigMap/a: v1/ConfigMap is not a kind of policy; expected a kind of toy (Toys, group toys.example.com), tool (Tools)\n" +
		"in.yaml:5: Toy/b: v1/Toy is not a kind of policy, but Toy is one of toy (Toys, group toys.example.com): mend its apiVersion"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestCompileTellsWhatIsNoPolicy(t *testing.T) {
	language := policy.Language{Name: "toy", Doc: "Toys\n\nMore.", Claims: func(resource.Kind) bool { return false }}
	for _, tt := range []struct{ docs, want string }{
		{"replicas: 3\n", "in.yaml:1: the document has no kind, and so is no policy; expected a kind of toy (Toys)"},
		{"apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [a.yaml]\n",
			"in.yaml:1: Kustomization: this is a kustomization and no policy: name the files of the policies, as in -p 'policies/*-policy.yaml', or give what it builds, as in kustomize build policies | oneloop render -p - MANIFESTS"},
	} {
		if _, err := pipeline.Compile([]policy.Language{language}, parse(t, tt.docs)); err == nil || err.Error() != tt.want {
			t.Errorf("got  %v\nwant %s", err, tt.want)
		}
	}
}

func TestCompileTakesOneOfEachName(t *testing.T) {
	const a = "apiVersion: v1\nkind: Toy\nmetadata: {name: a}\n"
	for _, tt := range []struct{ name, docs, want, err string }{
		{"the same", a + "---\n" + a, "in.yaml:1", ""},
		{"with other content", a + "---\n" + a + "spec: {}\n", "in.yaml:1", "in.yaml:5: Toy/a: a cluster has one of this kind and name, and another one is at in.yaml:1; remove or rename one"},
		{"in another version", a + "---\n" + strings.Replace(a, "v1", "v2", 1), "in.yaml:1", "in.yaml:5: Toy/a: a cluster has one of this kind and name, and another one is at in.yaml:1; remove or rename one"},
		{"in another namespace", a + "---\n" + strings.Replace(a, "name: a", "name: a, namespace: b", 1), "in.yaml:1 in.yaml:5", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			language := policy.Language{
				Name: "toy", Doc: "Toys\n\nMore.",
				Claims: func(k resource.Kind) bool { return k.Kind == "Toy" },
				Compile: func(docs []*resource.Resource) (policy.Set, error) {
					for _, d := range docs {
						got = append(got, d.Origin().String())
					}
					return policy.Set{}, nil
				},
			}
			_, err := pipeline.Compile([]policy.Language{language}, parse(t, tt.docs))
			text := ""
			if err != nil {
				text = err.Error()
			}
			if text != tt.err || strings.Join(got, " ") != tt.want {
				t.Errorf("compiled %v with error %q, want %s with %q", got, text, tt.want, tt.err)
			}
		})
	}
}

func TestUnsupportedSplitsFaults(t *testing.T) {
	soft := fmt.Errorf("generate: %w", errors.ErrUnsupported)
	hard := errors.New("unknown field")
	unsupported, rest := pipeline.Unsupported(errors.Join(errors.Join(soft, hard), fmt.Errorf("two causes: %w, %w", soft, hard)))
	if len(unsupported) != 2 || len(rest) != 1 || rest[0] != hard {
		t.Errorf("got unsupported %v, rest %v", unsupported, rest)
	}
}

func TestApplyTellsOfEachResource(t *testing.T) {
	rs := parse(t, two)
	var mu sync.Mutex
	seen := map[string]int{}
	opts := options(toy{"fail", "ConfigMap", fail})
	opts.Done = func(r *resource.Resource) {
		mu.Lock()
		defer mu.Unlock()
		seen[r.ID().Name]++
	}
	if _, err := pipeline.Apply(t.Context(), rs, opts); err != nil {
		t.Fatal(err)
	}
	if want := map[string]int{"a": 1, "b": 1}; !maps.Equal(seen, want) {
		t.Errorf("done with %v, want %v", seen, want)
	}
}
