package pipeline_test

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oneloop-dev/oneloop/pkg/pipeline"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/report"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// A helper is a background program with one rule.
type helper struct {
	toy
	react func(ctx context.Context, in policy.Input, w policy.World) ([]policy.Target, error)
}

func (h helper) React(ctx context.Context, in policy.Input, w policy.World) ([]policy.Result, error) {
	targets, err := h.react(ctx, in, w)
	result := policy.Result{Rule: "rule", Outcome: policy.Applied, Targets: targets}
	if err != nil {
		result.Outcome, result.Err = policy.Failed, err
	}
	return []policy.Result{result}, nil
}

func object(kind, name string, fields map[string]any) resource.Object {
	o := map[string]any{"apiVersion": "v1", "kind": kind, "metadata": map[string]any{"name": name}}
	maps.Copy(o, fields)
	return o
}

// makes is a rule that generates an object.
func makes(replace bool, o func(policy.Input) resource.Object) func(context.Context, policy.Input, policy.World) ([]policy.Target, error) {
	return func(ctx context.Context, in policy.Input, w policy.World) ([]policy.Target, error) {
		t, err := w.Generate(ctx, o(in), replace)
		return []policy.Target{t}, err
	}
}

// sets is a rule that sets a field of all resources of a kind.
func sets(kind, key string, value func(policy.Input) any) func(context.Context, policy.Input, policy.World) ([]policy.Target, error) {
	return func(ctx context.Context, in policy.Input, w policy.World) ([]policy.Target, error) {
		objects, err := w.Resources(func(k resource.Kind) bool { return k.Kind == kind })
		var targets []policy.Target
		for _, o := range objects {
			o = maps.Clone(o)
			o[key] = value(in)
			t, err := w.Update(ctx, o)
			if err != nil {
				return targets, err
			}
			targets = append(targets, t)
		}
		return targets, err
	}
}

// targets prints what entries say about targets.
func targets(entries []report.Entry) []string {
	var out []string
	for _, e := range entries {
		line := fmt.Sprintf("%s %s %s", e.Policy.ID.Name, e.Resource, e.Outcome.Status())
		for _, t := range e.Targets {
			line += fmt.Sprintf("; %s %s generated=%v", t.Resource, t.Origin, t.Generated)
			for _, c := range t.Changes {
				line += fmt.Sprintf(" %s: %v -> %v", c.Path, c.Before, c.After)
			}
		}
		out = append(out, line)
	}
	return out
}

func TestGeneratedResourcesFollowTheirTriggerAndAreAdmitted(t *testing.T) {
	opts := options(toy{"paint", "Secret", set("color", "blue")})
	copyOf := func(in policy.Input) resource.Object { return object("Secret", in.ID.Name+"-copy", nil) }
	opts.Set.Generate = []policy.Background{helper{toy{name: "copy", kind: "ConfigMap"}, makes(false, copyOf)}}
	var encoded atomic.Int32
	opts.Encode = func(r *resource.Resource) ([]byte, error) {
		encoded.Add(1)
		return r.AppendYAML(nil)
	}
	out, err := pipeline.Apply(t.Context(), parse(t, two), opts)
	if err != nil {
		t.Fatal(err)
	}
	want := `# first
apiVersion: v1
kind: ConfigMap
metadata: {name: a}
color: red # keep
---
apiVersion: v1
kind: Secret
metadata:
  name: a-copy
color: blue
---
apiVersion: v1
kind: Service
metadata: {name: b}
`
	if d := cmp.Diff(want, text(t, out.Resources)); d != "" {
		t.Errorf("text (-want +got):\n%s", d)
	}
	if n := int(encoded.Load()); n != 3 || len(out.Texts) != 3 || !strings.Contains(string(out.Texts[1]), "a-copy") {
		t.Errorf("Encode was called %d times for 3 resources, texts are %q", n, out.Texts)
	}
	// A generated Secret is not shown.
	wantEntries := []string{
		"copy ConfigMap/a pass; Secret/a-copy  generated=true : <nil> -> (redacted)",
		"paint Secret/a-copy pass",
	}
	if d := cmp.Diff(wantEntries, targets(out.Entries)); d != "" {
		t.Errorf("entries (-want +got):\n%s", d)
	}
	// A run over the output changes nothing.
	again, err := pipeline.Apply(t.Context(), parse(t, want), opts)
	if err != nil || text(t, again.Resources) != want {
		t.Errorf("second run: %v\n%s", err, text(t, again.Resources))
	}
}

func TestGenerateReplacesOnlyWhenTold(t *testing.T) {
	const there = "apiVersion: v1\nkind: Namespace\nmetadata: {name: ns}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ncolor: red\n"
	for _, tt := range []struct {
		replace bool
		want    string
		entries []string
	}{
		{false, "color: red", []string{"make Namespace/ns pass"}},
		{true, "color: blue", []string{"make Namespace/ns pass; ConfigMap/c in.yaml:5 generated=false color: red -> blue"}},
	} {
		opts := options()
		blue := func(policy.Input) resource.Object { return object("ConfigMap", "c", map[string]any{"color": "blue"}) }
		opts.Set.Generate = []policy.Background{helper{toy{name: "make", kind: "Namespace"}, makes(tt.replace, blue)}}
		out, err := pipeline.Apply(t.Context(), parse(t, there), opts)
		if err != nil {
			t.Fatal(err)
		}
		if got := text(t, out.Resources); !strings.Contains(got, tt.want) || len(out.Resources) != 2 {
			t.Errorf("replace %v: got\n%s", tt.replace, got)
		}
		if d := cmp.Diff(tt.entries, targets(out.Entries)); d != "" {
			t.Errorf("replace %v: entries (-want +got):\n%s", tt.replace, d)
		}
	}
}

// Every resource is a trigger, also one that was a target before its turn.
func TestTargetsStayTriggers(t *testing.T) {
	const three = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: s}\n"
	var seen []string
	opts := options()
	note := func(in policy.Input) any { return in.ID.Name }
	opts.Set.MutateExisting = []policy.Background{
		helper{toy{name: "all", kind: "ConfigMap"}, func(ctx context.Context, in policy.Input, w policy.World) ([]policy.Target, error) {
			seen = append(seen, fmt.Sprintf("%s background=%v", in.ID.Name, w.Background()))
			if w.Background() {
				return nil, nil
			}
			return sets("ConfigMap", "by", note)(ctx, in, w)
		}},
	}
	out, err := pipeline.Apply(t.Context(), parse(t, three), opts)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"a background=false", "b background=false", "a background=true", "b background=true", "a background=true", "b background=true"}
	if d := cmp.Diff(want, seen); d != "" {
		t.Errorf("triggers (-want +got):\n%s", d)
	}
	if got := text(t, out.Resources); strings.Count(got, "by: b") != 2 {
		t.Errorf("got\n%s", got)
	}
}

func TestRulesThatNeverSettleAreAnError(t *testing.T) {
	opts := options()
	next := func(in policy.Input) resource.Object { return object("ConfigMap", in.ID.Name+"x", nil) }
	opts.Set.Generate = []policy.Background{helper{toy{name: "grow", kind: "ConfigMap"}, makes(false, next)}}
	_, err := pipeline.Apply(t.Context(), parse(t, two), opts)
	if err == nil || !strings.Contains(err.Error(), "Toy/grow on ConfigMap/axxx") || !strings.Contains(err.Error(), "do not settle") {
		t.Errorf("got %v, want an error that names the policy", err)
	}
}

func TestBackgroundStopsAtTheFirstFailure(t *testing.T) {
	for _, keepGoing := range []bool{false, true} {
		opts := options(toy{"bad", "Service", fail})
		opts.KeepGoing = keepGoing
		made := func(policy.Input) resource.Object { return object("Secret", "s", nil) }
		opts.Set.Generate = []policy.Background{helper{toy{name: "make", kind: "ConfigMap"}, makes(false, made)}}
		out, err := pipeline.Apply(t.Context(), parse(t, two), opts)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(out.Resources) == 3; got != keepGoing {
			t.Errorf("KeepGoing %v: %d resources, entries %v", keepGoing, len(out.Resources), summary(out.Entries))
		}
	}
}

func TestInertResourcesAreNeitherTriggersNorTargets(t *testing.T) {
	opts := options()
	opts.Inert = func(r *resource.Resource) bool { return r.ID().Name == "a" }
	opts.Set.Generate = []policy.Background{helper{toy{name: "copy", kind: "ConfigMap"}, makes(false, func(policy.Input) resource.Object { return object("Secret", "s", nil) })}}
	opts.Set.MutateExisting = []policy.Background{helper{toy{name: "paint", kind: "Service"}, sets("ConfigMap", "color", func(policy.Input) any { return "blue" })}}
	out, err := pipeline.Apply(t.Context(), parse(t, two), opts)
	if err != nil || text(t, out.Resources) != two {
		t.Errorf("got %v\n%s", err, text(t, out.Resources))
	}
}

func TestBackgroundReportsAPanicAsAnError(t *testing.T) {
	opts := options()
	opts.Set.Generate = []policy.Background{helper{toy{name: "bug", kind: "Service"}, makes(false, func(policy.Input) resource.Object { panic("bug") })}}
	_, err := pipeline.Apply(t.Context(), parse(t, two), opts)
	if err == nil || !strings.Contains(err.Error(), "in.yaml:7: Service/b: internal error") {
		t.Errorf("got %v, want an error that names the resource and its line", err)
	}
}
