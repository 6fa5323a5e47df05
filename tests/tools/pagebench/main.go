// Command pagebench measures the page of `oneloop diff -o html` for 5,000
// changed resources in a headless Chromium:
//
//	pagebench [-resources N] [-runs N] ONELOOP
//
// Times are those of a reader: from the request for the page, or from the input
// in a filter, until what it shows is painted. Each is the median of the runs.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/oneloop-dev/oneloop/tests/browser"
)

func main() {
	resources := flag.Int("resources", 5000, "changed resources")
	runs := flag.Int("runs", 5, "runs")
	flag.Parse()
	err := errors.New("usage: pagebench [flags] ONELOOP")
	if flag.NArg() == 1 {
		err = bench(flag.Arg(0), *resources, *runs)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "pagebench:", err)
		os.Exit(1)
	}
}

func bench(oneloop string, resources, runs int) error {
	if err := browser.Installed(); err != nil {
		fmt.Printf("\nno browser: the page is not measured: %v\n", err)
		return nil
	}
	scratch, err := os.MkdirTemp("", "pagebench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	page := filepath.Join(scratch, "diff.html")
	size, took, err := write(oneloop, scratch, page, resources)
	if err != nil {
		return err
	}
	b, err := browser.Start()
	if err != nil {
		return err
	}
	measured, err := measure(b, "file://"+page, resources, runs)
	if err := errors.Join(err, b.Close()); err != nil {
		return err
	}
	fmt.Printf("\npage of %d changed resources: %.1f MB, %s; written in %.2f s\n", resources, float64(size)/1e6, verdict("under 15 MB", size < 15e6), took.Seconds())
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "in the browser\tshown\tmedian s\tworst s\ttarget\t")
	for _, m := range measured {
		slices.Sort(m.took)
		median := m.took[len(m.took)/2]
		fmt.Fprintf(w, "%s\t%s\t%.3f\t%.3f\t%s\t\n", m.name, m.shown, median.Seconds(), m.took[len(m.took)-1].Seconds(), verdict("within 1 s", median < time.Second))
	}
	return w.Flush()
}

func verdict(target string, met bool) string {
	if met {
		return target + ": met"
	}
	return target + ": MISSED"
}

// write writes the page and returns its size and how long that took.
func write(oneloop, scratch, page string, resources int) (size int64, took time.Duration, err error) {
	manifests, policies := filepath.Join(scratch, "manifests.yaml"), filepath.Join(scratch, "policies.yaml")
	if err := errors.Join(os.WriteFile(manifests, input(resources), 0o644), os.WriteFile(policies, []byte(rules), 0o644)); err != nil {
		return 0, 0, err
	}
	out, err := os.Create(page)
	if err != nil {
		return 0, 0, err
	}
	var said bytes.Buffer
	cmd := exec.Command(oneloop, "diff", "-p", policies, "-o", "html", manifests)
	cmd.Stdout, cmd.Stderr = out, &said
	start := time.Now()
	err = cmd.Run()
	took = time.Since(start)
	if err := errors.Join(err, out.Close()); err != nil {
		return 0, 0, fmt.Errorf("%w: %s", err, said.String())
	}
	if want := fmt.Sprintf("%d of %d manifests changed", resources, resources); !strings.HasPrefix(said.String(), want) {
		return 0, 0, fmt.Errorf("%q, expected %s", said.String(), want)
	}
	info, err := os.Stat(page)
	if err != nil {
		return 0, 0, err
	}
	return info.Size(), took, nil
}

// A step is something a reader does, and how long it took each time.
type step struct {
	name, script string
	took         []time.Duration
	shown        string // what the page then says
}

// measure opens the page again and again and goes through all filters.
func measure(b *browser.Browser, url string, resources, runs int) ([]*step, error) {
	set := func(id, value string) string {
		return fmt.Sprintf(`const e = document.getElementById(%q);
			e.value = e.options ? [...e.options].find(o => o.label.startsWith(%[2]q)).value : %[2]q;
			e.dispatchEvent(new Event('input', {bubbles: true}));`, id, value)
	}
	clear := "document.getElementById('clear').click();"
	steps := []*step{
		{name: "open"},
		{name: "search, the first time", script: set("text", "replicas app-4")},
		{name: "search again", script: set("text", "app-42")},
		{name: "clear", script: clear},
		{name: "policy", script: set("policy", "team-labels")},
		{name: "severity", script: set("severity", "high")},
		{name: "namespace", script: set("namespace", "team-7")},
		{name: "kind", script: set("kind", "StatefulSet")},
		{name: "clear all", script: clear},
		{name: "open 100 resources", script: "document.getElementById('toggle').click();"},
	}
	if err := b.View(1280, 900, false); err != nil {
		return nil, err
	}
	for range runs {
		if err := b.Open("about:blank"); err != nil {
			return nil, err
		}
		for i, s := range steps {
			var ms float64
			var err error
			if i == 0 {
				start := time.Now()
				if err = b.Open(url); err == nil {
					err = b.Run(nil, painted)
				}
				ms = float64(time.Since(start).Microseconds()) / 1000
			} else {
				err = b.Run(&ms, "const start = performance.now();"+s.script+strings.Replace(painted, "done()", "done(performance.now() - start)", 1))
			}
			if err == nil {
				err = b.Run(&s.shown, "return document.getElementById('shown').textContent")
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", s.name, err)
			}
			s.took = append(s.took, time.Duration(ms*float64(time.Millisecond)))
		}
	}
	if want := fmt.Sprintf("%d", resources%1000); !strings.Contains(steps[0].shown, want) {
		return nil, fmt.Errorf("the page shows %s", steps[0].shown)
	}
	return steps, nil
}

// painted waits until what is to be shown is painted: the frame after the next
// begins when the next is done.
const painted = "return new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(() => done()))));"

// input is n manifests of four kinds in fifty namespaces.
func input(n int) []byte {
	var b bytes.Buffer
	for i := range n {
		if i > 0 {
			b.WriteString("---\n")
		}
		kind := []string{"Deployment", "Deployment", "StatefulSet", "Service", "ConfigMap"}[i%5]
		version := map[string]string{"Deployment": "apps/v1", "StatefulSet": "apps/v1"}[kind]
		if version == "" {
			version = "v1"
		}
		fmt.Fprintf(&b, "apiVersion: %s\nkind: %s\nmetadata:\n  name: app-%d\n  namespace: team-%d\n  labels:\n    app.kubernetes.io/name: app-%d\n    app.kubernetes.io/part-of: shop\n",
			version, kind, i, i%50, i)
		switch kind {
		case "Service":
			fmt.Fprintf(&b, "spec:\n  selector:\n    app.kubernetes.io/name: app-%d\n  ports:\n  - name: http\n    port: 80\n    targetPort: http\n", i)
		case "ConfigMap":
			b.WriteString("data:\n")
			for line := range 30 {
				fmt.Fprintf(&b, "  setting-%d: \"the value of setting %d in app %d\"\n", line, line, i)
			}
		default:
			fmt.Fprintf(&b, workload, i)
		}
	}
	return b.Bytes()
}

const workload = `spec:
  replicas: 1
  selector:
    matchLabels:
      app.kubernetes.io/name: app-%[1]d
  template:
    metadata:
      labels:
        app.kubernetes.io/name: app-%[1]d
    spec:
      containers:
      - name: app
        image: registry.example.com/shop/app-%[1]d:1.4.2
        args:
        - --listen=:8080
        - --log=json
        env:
        - name: LOG_LEVEL
          value: info
        - name: POD_NAME
          valueFrom:
            fieldRef:
              fieldPath: metadata.name
        ports:
        - name: http
          containerPort: 8080
        readinessProbe:
          httpGet:
            path: /healthz
            port: http
        resources:
          requests:
            cpu: 100m
            memory: 64Mi
      - name: shipper
        image: registry.example.com/shop/shipper:0.9.0
        volumeMounts:
        - name: logs
          mountPath: /logs
      volumes:
      - name: logs
        emptyDir: {}
`

const rules = `apiVersion: kyverno.io/v1
kind: ClusterPolicy
metadata:
  name: team-labels
  annotations: {policies.kyverno.io/severity: low}
spec:
  rules:
  - name: team
    match: {any: [{resources: {kinds: [Deployment, StatefulSet, Service, ConfigMap]}}]}
    mutate:
      patchStrategicMerge:
        metadata: {labels: {example.com/team: "{{request.namespace}}"}}
---
apiVersion: kyverno.io/v1
kind: ClusterPolicy
metadata:
  name: restricted
  annotations: {policies.kyverno.io/severity: high}
spec:
  rules:
  - name: escalation
    match: {any: [{resources: {kinds: [Pod]}}]}
    mutate:
      patchStrategicMerge:
        spec:
          automountServiceAccountToken: false
          containers:
          - (name): "*"
            securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
---
apiVersion: kyverno.io/v1
kind: ClusterPolicy
metadata:
  name: availability
  annotations: {policies.kyverno.io/severity: medium}
spec:
  rules:
  - name: replicas
    match: {any: [{resources: {kinds: [Deployment]}}]}
    mutate: {patchStrategicMerge: {spec: {replicas: 2}}}
`
