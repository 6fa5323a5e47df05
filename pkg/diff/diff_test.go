package diff_test

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oneloop-dev/oneloop/pkg/diff"
	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/jsonvalue"
	"github.com/oneloop-dev/oneloop/pkg/pipeline"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/report"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

func parse(t *testing.T, text string) []*resource.Resource {
	t.Helper()
	rs, err := resource.Parse("in.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return rs
}

// output is that of a run that made after out of the manifests, rule by rule.
func output(t *testing.T, name, manifests, after string) pipeline.Output {
	t.Helper()
	was := map[resource.ID]resource.Object{}
	for _, r := range parse(t, manifests) {
		o, err := r.Object()
		if err != nil {
			t.Fatal(err)
		}
		was[r.ID()] = o
	}
	out := pipeline.Output{Resources: parse(t, after)}
	for _, r := range out.Resources {
		o, err := r.Object()
		if err != nil {
			t.Fatal(err)
		}
		for i, c := range resource.Diff(was[r.ID()], o) {
			out.Entries = append(out.Entries, report.Entry{
				Policy: policy.Ref{ID: resource.ID{Name: name}}, Rule: fmt.Sprint(i), Resource: r.ID(), Changes: []resource.Change{c},
			})
		}
	}
	return out
}

func TestRuns(t *testing.T) {
	const manifests = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\ndata:\n  kept: a\n  changed: b\n"
	for _, tt := range []struct {
		name, before, after string
		want                []string
	}{
		{"the same", manifests + "  more: c\n", manifests + "  more: c\n", nil},
		{"one side as written", manifests + "  more: c\n", manifests, []string{"in.yaml:5 data.more: c by old 0 | absent"}},
		{"both sides", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\ndata:\n  kept: a\n  changed: x\n",
			"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\ndata:\n  kept: a\n  changed: z\n",
			[]string{"in.yaml:7 data.changed: x by old 0 | z by new 0"}},
		{"a field below what one side removed", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\n", manifests,
			[]string{"in.yaml:5 data: absent by old 0 | map[changed:b kept:a]"}},
		{"a resource of one side", manifests + "---\napiVersion: v1\nkind: Secret\nmetadata: {name: s}\n", manifests,
			[]string{"in.yaml:9 Secret/s: <nil> by old 2 | absent"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			found, err := diff.Runs(parse(t, manifests), output(t, "old", manifests, tt.before), output(t, "new", manifests, tt.after))
			if err != nil {
				t.Fatal(err)
			}
			state := func(s diff.State) string {
				text := "absent"
				if !s.Absent {
					text = fmt.Sprint(s.Value)
				}
				if s.Policy.ID.Name != "" {
					text += " by " + s.Policy.ID.Name + " " + s.Rule
				}
				return text
			}
			var got []string
			for _, d := range found {
				at := d.Resource.String()
				if d.Path != nil {
					at = d.Path.String()
				}
				got = append(got, fmt.Sprintf("%s %s: %s | %s", d.Origin, at, state(d.Before), state(d.After)))
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// A run that is recorded while it goes on differs by the same as one that is
// compared afterwards, also where a field changes twice.
func TestRecorder(t *testing.T) {
	const manifests = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  x: one\n---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: b\ndata:\n  x: one\n"
	after := strings.ReplaceAll(manifests, "one", "two\n  y: new")
	for _, later := range []bool{false, true} {
		before, out := parse(t, manifests), output(t, "p", manifests, after)
		recorder := diff.NewRecorder(len(before), true)
		for i, r := range out.Resources {
			was, err := before[i].Object()
			if err != nil {
				t.Fatal(err)
			}
			is, err := r.Object()
			if err != nil {
				t.Fatal(err)
			}
			recorder.Admitted(i, before[i], was, is)
		}
		if later {
			// A background rule changes a resource after it was admitted.
			const last = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: b\ndata:\n  x: three\n"
			more := output(t, "later", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: b\ndata:\n  x: two\n  y: new\n", last)
			out.Resources[1] = more.Resources[0]
			for _, e := range more.Entries {
				target := report.Target{Resource: e.Resource, Changes: e.Changes}
				e.Resource, e.Changes, e.Targets = before[0].ID(), nil, []report.Target{target}
				out.Entries = append(out.Entries, e)
			}
		}
		got, err := recorder.Differences(before, out)
		if err != nil {
			t.Fatal(err)
		}
		want, err := diff.Runs(before, pipeline.Output{Resources: before}, out)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got, cmp.AllowUnexported(fieldpath.Step{})); d != "" || len(got) < 3 {
			t.Errorf("later %v: %d differences (-compared +recorded):\n%s", later, len(got), d)
		}
	}
}

// Whatever rules do to lists after one another, each difference has the rule that
// did it: every rule marks what it writes with its number.
func TestEachDifferenceHasItsRule(t *testing.T) {
	number := regexp.MustCompile(`#\d+`)
	moved, found := 0, 0
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 1))
		object := resource.Object{
			"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": "web"},
			"spec": map[string]any{"containers": []any{
				map[string]any{"name": "a", "image": "a", "args": []any{"x", "y"}},
				map[string]any{"name": "b", "image": "b"},
				map[string]any{"name": "c", "image": "c"},
			}},
		}
		manifest, err := resource.New(object)
		if err != nil {
			t.Fatal(err)
		}
		out := pipeline.Output{}
		for rule := range 1 + r.IntN(5) {
			next := jsonvalue.Clone(object).(map[string]any)
			spec := next["spec"].(map[string]any)
			rewrite(r, spec, fmt.Sprintf("#%d", rule+1))
			out.Entries = append(out.Entries, report.Entry{
				Policy:   policy.Ref{ID: resource.ID{Name: "p"}},
				Rule:     fmt.Sprintf("#%d", rule+1),
				Resource: manifest.ID(), Outcome: policy.Mutated, Changes: resource.Diff(object, next),
			})
			object = next
		}
		after, err := resource.New(object)
		if err != nil {
			t.Fatal(err)
		}
		out.Resources = []*resource.Resource{after}
		manifests := []*resource.Resource{manifest}
		differences, err := diff.Runs(manifests, pipeline.Output{Resources: manifests}, out)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range differences {
			found++
			if d.Moved {
				moved++
			}
			if d.After.Rule == "" {
				t.Fatalf("seed %d: %s: no rule\n%v", seed, d.Field(), out.Entries)
			}
			marks := number.FindAllString(d.After.Text(), -1)
			if d.Moved || d.After.Absent || len(marks) == 0 {
				continue
			}
			// What was taken out of a container leaves no mark in it.
			_, scalar := d.After.Value.(string)
			if last := slices.Max(marks); d.After.Rule < last || scalar && d.After.Rule != last {
				t.Fatalf("seed %d: %s is %s by %s\n%v", seed, d.Field(), d.After.Text(), d.After.Rule, out.Entries)
			}

		}
	}
	if found < 2000 || moved < 200 {
		t.Errorf("%d differences, %d of them of order", found, moved)
	}
}

// rewrite changes the containers of a Pod in one of the ways that policies do.
func rewrite(r *rand.Rand, spec map[string]any, mark string) {
	containers := spec["containers"].([]any)
	fresh := map[string]any{"name": "new" + mark, "image": mark}
	some := func() map[string]any { return containers[r.IntN(len(containers))].(map[string]any) }
	switch r.IntN(8) {
	case 0:
		containers = slices.Insert(containers, r.IntN(len(containers)+1), any(fresh))
	case 1:
		if len(containers) > 1 {
			i := r.IntN(len(containers))
			containers = slices.Delete(containers, i, i+1)
		}
	case 2:
		r.Shuffle(len(containers), func(i, j int) { containers[i], containers[j] = containers[j], containers[i] })
		some()["image"] = mark
	case 3:
		some()["image"] = mark
	case 4:
		some()["imagePullPolicy"] = mark
	case 5:
		c := some()
		args, _ := c["args"].([]any)
		c["args"] = slices.Insert(args, r.IntN(len(args)+1), any("--arg"+mark))
	case 6:
		some()["name"] = "renamed" + mark
	default:
		c := some()
		if args, _ := c["args"].([]any); len(args) > 0 {
			args[r.IntN(len(args))] = mark
		}
	}
	spec["containers"] = containers
}
