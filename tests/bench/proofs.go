package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
)

// annotator is a policy that changes every Deployment, in a place of its own.
const annotator = `apiVersion: kyverno.io/v1
kind: ClusterPolicy
metadata:
  name: p%[1]d
spec:
  rules:
  - name: annotate
    match:
      any:
      - resources:
          kinds: [Deployment]%[2]s
    mutate:
      patchStrategicMerge:
        metadata:
          annotations:
            +(example.com/a%[1]d): x
`

// benchProofs measures what the proofs of a result cost: 20 policies, of which
// some act on each of 1,000 Deployments.
func benchProofs(oneloop, scratch string, runs int) error {
	const n, policies = 1000, 20
	manifests, err := writeFile(scratch, "manifests.yaml", n, writePlain)
	if err != nil {
		return err
	}
	fmt.Printf("\nProofs: %d Deployments, %d policies\n", n, policies)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "act on each\trun\twall s\tcpu s\tpeak MB\t")
	for _, acting := range []int{3, 5, 6, policies} {
		var docs []string
		for i := range policies {
			selector := ""
			if i >= acting {
				selector = "\n          selector: {matchLabels: {tier: none}}"
			}
			docs = append(docs, fmt.Sprintf(annotator, i, selector))
		}
		file := filepath.Join(scratch, "proofs.yaml")
		if err := os.WriteFile(file, []byte(strings.Join(docs, "---\n")), 0o644); err != nil {
			return err
		}
		for _, flag := range []string{"", "--verify-fixed-point", "--verify-order"} {
			args := []string{oneloop, "render", "-p", file, "-"}
			if flag != "" {
				args = append(args, flag)
			}
			var best cost
			for run := range runs {
				c, err := measure(manifests, args, "example.com/a0: x", n)
				if err != nil {
					return err
				}
				if run == 0 {
					best = c
				}
				best = cost{min(best.wall, c.wall), min(best.cpu, c.cpu), min(best.rss, c.rss)}
			}
			fmt.Fprintf(w, "%d\trender %s\t%.3f\t%.3f\t%.0f\t\n", acting, flag, best.wall.Seconds(), best.cpu.Seconds(), float64(best.rss)/1e6)
		}
	}
	return w.Flush()
}
