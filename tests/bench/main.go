// Command bench measures a oneloop binary against kyaml on the same
// ResourceLists in the same run:
//
//	bench [-runs N] [-sizes 1,1000,10000] [-corpus DIR] [-kyverno CLI] ONELOOP
//
// The reference is kyaml's framework.Execute with a function that does
// nothing, which this program runs as a child process of itself. oneloop
// applies two policies, once as a function on the same ResourceList and once
// as `oneloop render` and `oneloop diff` on the same Deployments as plain
// manifests. Each figure
// is the best of the runs, which alternate so that both meet the same machine.
//
// With a conformance corpus it then measures 20 of its policies on 4,000
// resources of all kinds.
//
// It measures policies in CEL, with a Kyverno CLI beside it when there is one, and
// what proofs cost.
//
// Last it measures what image digests cost: from a lock, and from a registry on
// loopback that takes 20 ms for each answer.
package main

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"sigs.k8s.io/kustomize/kyaml/fn/framework"
	"sigs.k8s.io/kustomize/kyaml/kio"
)

func main() {
	runs := flag.Int("runs", 3, "runs of each program and size")
	sizes := flag.String("sizes", "1,1000,10000", "numbers of Deployments")
	corpus := flag.String("corpus", "", "folder of the conformance corpus, for the mixed workload")
	kyverno := flag.String("kyverno", "", "Kyverno CLI to measure on the same input")
	reference := flag.Bool("reference", false, "be the reference: copy a ResourceList through kyaml")
	flag.Parse()
	var err error
	switch {
	case *reference:
		err = framework.Execute(framework.ResourceListProcessorFunc(func(*framework.ResourceList) error { return nil }),
			&kio.ByteReadWriter{Reader: os.Stdin, Writer: os.Stdout})
	case flag.NArg() == 1:
		err = bench(flag.Arg(0), *sizes, *corpus, *kyverno, *runs)
	default:
		err = errors.New("usage: bench [flags] ONELOOP")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// A cost is what one run of a program took.
type cost struct {
	wall, cpu time.Duration
	rss       int64 // bytes
}

func bench(oneloop, sizes, corpus, kyverno string, runs int) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	scratch, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	policyFile := filepath.Join(scratch, "policies.yaml")
	if err := os.WriteFile(policyFile, []byte(policies), 0o644); err != nil {
		return err
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "Deployments\tinput MB\tprogram\twall s\tcpu s\tpeak MB\twall ratio\tpeak ratio\ttarget\t")
	for _, size := range strings.Split(sizes, ",") {
		n, err := strconv.Atoi(size)
		if err != nil {
			return err
		}
		list, err := writeFile(scratch, "list.yaml", n, writeList)
		if err != nil {
			return err
		}
		manifests, err := writeFile(scratch, "manifests.yaml", n, writePlain)
		if err != nil {
			return err
		}
		programs := []struct {
			name  string
			stdin file
			args  []string
			want  string // what its output must contain n times
			best  cost
		}{
			{name: "kyaml, nothing", stdin: list, args: []string{self, "-reference"}, want: "kind: Deployment"},
			{name: "oneloop function", stdin: list, args: []string{oneloop}, want: "automountServiceAccountToken: false"},
			{name: "oneloop render", stdin: manifests, args: []string{oneloop, "render", "-p", policyFile, "-"}, want: "automountServiceAccountToken: false"},
			{name: "oneloop diff", stdin: manifests, args: []string{oneloop, "diff", "-p", policyFile, "-"},
				want: "+ spec.template.spec.automountServiceAccountToken  false"},
		}
		for run := range runs {
			for i := range programs {
				p := &programs[i]
				c, err := measure(p.stdin, p.args, p.want, n)
				if err != nil {
					return err
				}
				if run == 0 {
					p.best = c
				}
				p.best = cost{min(p.best.wall, c.wall), min(p.best.cpu, c.cpu), min(p.best.rss, c.rss)}
			}
		}
		base := programs[0].best
		for i, p := range programs {
			ratio := p.best.wall.Seconds() / base.wall.Seconds()
			target := ""
			switch {
			case i == 0:
			case n == 1:
				target = verdict("under 25 ms", p.best.wall < 25*time.Millisecond)
			case p.name == "oneloop diff":
				render := programs[i-1].best
				times := p.best.wall.Seconds() / render.wall.Seconds()
				target = verdict(fmt.Sprintf("%.2f of render (cpu %.2f), at most 1.3", times, p.best.cpu.Seconds()/render.cpu.Seconds()), times <= 1.3)
			default:
				target = verdict("ratio at most 1.0", ratio <= 1)
				if n >= 10000 {
					target += ", " + verdict("under 500 MB", p.best.rss < 500e6)
				}
			}
			fmt.Fprintf(w, "%d\t%.1f\t%s\t%.3f\t%.3f\t%.0f\t%.2f\t%.2f\t%s\t\n", n, float64(p.stdin.size)/1e6, p.name,
				p.best.wall.Seconds(), p.best.cpu.Seconds(), float64(p.best.rss)/1e6, ratio, float64(p.best.rss)/float64(base.rss), target)
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if err := benchMixed(oneloop, corpus, scratch, runs); err != nil {
		return err
	}
	if err := benchCEL(self, oneloop, kyverno, scratch, runs); err != nil {
		return err
	}
	if err := benchProofs(oneloop, scratch, runs); err != nil {
		return err
	}
	if err := benchImages(oneloop, scratch, runs); err != nil {
		return err
	}
	info, err := os.Stat(oneloop)
	if err != nil {
		return err
	}
	fmt.Printf("\nbinary: %.1f MB, %s\n", float64(info.Size())/1e6, verdict("under 30 MB", info.Size() < 30e6))
	fmt.Println("Wall, cpu and peak are the best of", runs, "runs; one Deployment is the cold start.")
	return nil
}

func verdict(target string, met bool) string {
	if met {
		return target + ": met"
	}
	return target + ": MISSED"
}

// A file is an input on disk. Inputs and outputs stay on disk because Linux
// counts the memory of this process, at the time of the fork, into the peak of
// its child.
type file struct {
	path string
	size int64
}

func writeFile(dir, name string, n int, write func(io.Writer, int)) (file, error) {
	f, err := os.Create(filepath.Join(dir, name))
	if err != nil {
		return file{}, err
	}
	w := bufio.NewWriter(f)
	write(w, n)
	err = errors.Join(w.Flush(), f.Close())
	info, statErr := os.Stat(f.Name())
	if err = errors.Join(err, statErr); err != nil {
		return file{}, err
	}
	return file{f.Name(), info.Size()}, nil
}

// measure runs a program once and reads from the system what it took. The
// output has to show that the work was done.
func measure(input file, args []string, want string, n int) (cost, error) {
	stdin, err := os.Open(input.path)
	if err != nil {
		return cost{}, err
	}
	defer stdin.Close()
	stdout, err := os.Create(input.path + ".out")
	if err != nil {
		return cost{}, err
	}
	defer stdout.Close()
	cmd := exec.Command(args[0], args[1:]...)
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, &stderr
	start := time.Now()
	err = cmd.Run()
	wall := time.Since(start)
	if err != nil {
		return cost{}, fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, firstLine(stderr.String()))
	}
	got, err := count(stdout, want)
	if err != nil {
		return cost{}, err
	}
	if got != n {
		return cost{}, fmt.Errorf("%s: its output has %q %d times, expected %d", strings.Join(args, " "), want, got, n)
	}
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	cpu := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return cost{wall: wall, cpu: cpu, rss: usage.Maxrss * 1024}, nil
}

// count counts the lines that hold want and nothing else but indentation.
func count(f *os.File, want string) (n int, err error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return 0, err
	}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if strings.TrimLeft(lines.Text(), " -") == want {
			n++
		}
	}
	return n, lines.Err()
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line[:min(len(line), 300)]
}
