package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"sigs.k8s.io/kustomize/kyaml/kio"
	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// The mixed workload: resources of all kinds, and policies as people write them.
const (
	mixedResources = 4000
	mixedPolicies  = 20
)

// benchMixed measures `oneloop render` with policies of a conformance corpus on
// the resources of its cases. Without a corpus it says so.
func benchMixed(oneloop, corpus, scratch string, runs int) error {
	if _, err := os.Stat(filepath.Join(corpus, "cases")); err != nil {
		fmt.Printf("\nno corpus at %q: the mixed workload is not measured\n", corpus)
		return nil
	}
	resources, err := readResources(corpus)
	if err != nil {
		return err
	}
	policies, err := readPolicies(corpus)
	if err != nil {
		return err
	}
	once, err := writeFile(scratch, "once.yaml", len(resources), func(w io.Writer, n int) { writeMixed(w, resources, n) })
	if err != nil {
		return err
	}
	manifests, err := writeFile(scratch, "mixed.yaml", mixedResources, func(w io.Writer, n int) { writeMixed(w, resources, n) })
	if err != nil {
		return err
	}
	args, names, err := choosePolicies(oneloop, policies, once, scratch)
	if err != nil {
		return err
	}
	did, err := outcome(oneloop, args, manifests, filepath.Join(scratch, "report.json"))
	if err != nil {
		return err
	}
	rules := 0
	for _, name := range names {
		rules += policies[name].rules
	}

	// A comment that every document begins with shows that all came out.
	var best cost
	for run := range runs {
		c, err := measure(manifests, append([]string{oneloop, "render", "-"}, args...), mixedMark, mixedResources)
		if err != nil {
			return err
		}
		if run == 0 {
			best = c
		}
		best = cost{min(best.wall, c.wall), min(best.cpu, c.cpu), min(best.rss, c.rss)}
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\nmixed resources\tinput MB\tpolicies\trules\tchanged\tgenerated\twall s\tcpu s\tpeak MB\ttarget\t")
	fmt.Fprintf(w, "%d\t%.1f\t%d\t%d\t%d\t%d\t%.3f\t%.3f\t%.0f\t%s, %s\t\n", mixedResources, float64(manifests.size)/1e6, len(names), rules,
		did.changed, did.generated, best.wall.Seconds(), best.cpu.Seconds(), float64(best.rss)/1e6,
		verdict("under 3 s", best.wall < 3*time.Second), verdict("under 300 MB", best.rss < 300e6))
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Println("policies:", strings.Join(names, ", "))
	return nil
}

// documents reads a file of YAML documents; none, where it is no YAML.
func documents(path string) ([]*yaml.RNode, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	nodes, err := (&kio.ByteReader{Reader: bytes.NewReader(data), OmitReaderAnnotations: true, DisableUnwrapping: true}).Read()
	if err != nil {
		return nil, nil //nolint:nilerr // some cases are about input that is no manifest
	}
	return nodes, nil
}

// workloads are the kinds whose spec has containers.
var workloads = []string{"Pod", "Deployment", "DaemonSet", "StatefulSet", "ReplicaSet", "Job", "CronJob"}

// readResources returns the distinct resources that the cases of a corpus have
// as input, in the order of the cases.
func readResources(corpus string) ([]*yaml.RNode, error) {
	files, err := filepath.Glob(filepath.Join(corpus, "cases", "*", "*", "resources.yaml"))
	if err != nil {
		return nil, err
	}
	var out []*yaml.RNode
	seen := map[string]bool{}
	for _, f := range files {
		nodes, err := documents(f)
		if err != nil {
			return nil, err
		}
		for _, n := range nodes {
			id := strings.Join([]string{n.GetKind(), n.GetNamespace(), n.GetName()}, " ")
			name, err := n.Pipe(yaml.Lookup("metadata", "name"))
			if err != nil || name == nil || yaml.IsYaml1_1NonString(name.YNode()) || n.GetKind() == "" || seen[id] {
				continue // some cases are about input that is no manifest
			}
			if slices.Contains(workloads, n.GetKind()) && n.Field("spec") == nil {
				continue // in a cluster there is none, so that policies rely on it
			}
			seen[id] = true
			out = append(out, n)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s has no resources", corpus)
	}
	return out, nil
}

// mixedMark is a line that each of the mixed resources begins with.
const mixedMark = "# one of the mixed resources"

// writeMixed writes n resources: all again and again, from the second time on
// with names of their own.
func writeMixed(w io.Writer, resources []*yaml.RNode, n int) {
	for i := range n {
		r := resources[i%len(resources)]
		if round := i / len(resources); round > 0 {
			r = r.Copy()
			if err := r.SetName(fmt.Sprintf("%s-copy%d", r.GetName(), round)); err != nil {
				panic(err) // it has a name
			}
		}
		fmt.Fprintf(w, "---\n%s\n%s", mixedMark, r.MustString())
	}
}

// A candidate is a policy that may be in the workload.
type candidate struct {
	text  string
	rules int
}

// readPolicies returns, by name, the ClusterPolicies of the corpus' cases about
// mutation and generation whose rules do nothing else. Of several with one name
// it is that of the first case.
func readPolicies(corpus string) (map[string]candidate, error) {
	files, err := filepath.Glob(filepath.Join(corpus, "cases", "*", "*", "case.json"))
	if err != nil {
		return nil, err
	}
	out := map[string]candidate{}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		var about struct{ Category string }
		if err := json.Unmarshal(data, &about); err != nil {
			return nil, fmt.Errorf("%s: %w", f, err)
		}
		if about.Category != "mutate" && about.Category != "generate" {
			continue
		}
		nodes, err := documents(filepath.Join(filepath.Dir(f), "policy.yaml"))
		if err != nil {
			return nil, err
		}
		for _, n := range nodes {
			var policy struct {
				Spec struct{ Rules []map[string]any }
			}
			if n.GetKind() != "ClusterPolicy" || n.YNode().Decode(&policy) != nil {
				continue
			}
			rules := policy.Spec.Rules
			other := slices.ContainsFunc(rules, func(r map[string]any) bool { return r["mutate"] == nil && r["generate"] == nil })
			if _, taken := out[n.GetName()]; !taken && !other && len(rules) > 0 {
				out[n.GetName()] = candidate{n.MustString(), len(rules)}
			}
		}
	}
	return out, nil
}

// choosePolicies picks the policies of the workload and returns the flags that
// name them, and their names. They are spread evenly over all names in order, so
// that nobody chose them: at each of as many places it is the next policy that,
// beside those before it, needs no facts, fails on none of the resources and
// changes or generates at least one.
func choosePolicies(oneloop string, policies map[string]candidate, resources file, scratch string) (args, names []string, err error) {
	var all []string
	for name := range policies {
		all = append(all, name)
	}
	slices.Sort(all)
	before := result{}
	for place := range mixedPolicies {
		next := max(place*len(all)/mixedPolicies, slices.Index(all, last(names))+1)
		for ; ; next++ {
			if next == len(all) {
				return nil, nil, fmt.Errorf("only %d of the %d policies of the corpus suit the mixed workload, expected %d", len(names), len(all), mixedPolicies)
			}
			path := filepath.Join(scratch, fmt.Sprintf("policy-%d.yaml", place))
			if err := os.WriteFile(path, []byte(policies[all[next]].text), 0o644); err != nil {
				return nil, nil, err
			}
			with := append(slices.Clone(args), "-p", path)
			did, err := outcome(oneloop, with, resources, filepath.Join(scratch, "report.json"))
			var failed *exec.ExitError
			if errors.As(err, &failed) {
				continue
			}
			if err != nil {
				return nil, nil, err
			}
			if did.did > before.did {
				args, names, before = with, append(names, all[next]), did
				break
			}
		}
	}
	return args, names, nil
}

func last(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return names[len(names)-1]
}

// A result counts what a run did: the resources changed and generated, and how
// often a rule did either.
type result struct{ changed, generated, did int }

// outcome renders once and reads the result from the report.
func outcome(oneloop string, args []string, manifests file, report string) (result, error) {
	cmd := exec.Command(oneloop, append([]string{"render", "--report", "json=" + report, manifests.path}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		return result{}, fmt.Errorf("%w: %s", err, firstLine(stderr.String()))
	}
	data, err := os.ReadFile(report)
	if err != nil {
		return result{}, err
	}
	type id struct{ APIVersion, Kind, Namespace, Name string }
	var entries struct {
		Results []struct {
			Resource id
			Changes  []any
			Targets  []struct {
				Resource  id
				Generated bool
				Changes   []any
			}
		}
	}
	if err := json.Unmarshal(data, &entries); err != nil {
		return result{}, err
	}
	changed, generated, did := map[id]bool{}, map[id]bool{}, 0
	for _, e := range entries.Results {
		if len(e.Changes) > 0 {
			changed[e.Resource] = true
			did++
		}
		for _, t := range e.Targets {
			did++
			if t.Generated {
				generated[t.Resource] = true
			} else {
				changed[t.Resource] = true
			}
		}
	}
	return result{len(changed), len(generated), did}, nil
}
