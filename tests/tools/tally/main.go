// Command tally runs "go test -json" with its arguments and prints what went
// wrong, what was skipped and why, and a closing line with the counts:
//
//	612 passed, 0 failed, 3 skipped
//
// It exits as go test did, and also fails when no test ran. With TALLY_FILE
// set, the three counts are appended to that file, so that a caller can add up
// several runs.
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
)

// An event is one line of go test -json, as far as it is read here.
type event struct {
	Action     string
	Package    string
	ImportPath string
	Test       string
	Elapsed    float64
	Output     string
}

// A test is one test or subtest of a package; without a name, the package.
type test struct{ pkg, name string }

type tally struct {
	out                     io.Writer
	passed, failed, skipped int
	failing                 map[string]bool // packages with a failed test
	output                  map[test][]string
	skips                   map[string][]string // reason -> tests
}

func main() {
	cmd := exec.Command("go", append([]string{"test", "-json"}, os.Args[1:]...)...)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "tally:", err)
		os.Exit(1)
	}
	t := &tally{out: os.Stdout, failing: map[string]bool{}, output: map[test][]string{}, skips: map[string][]string{}}
	readErr := t.read(stdout)
	err = cmd.Wait()
	t.close()
	if err := t.record(os.Getenv("TALLY_FILE")); err != nil {
		fmt.Fprintln(os.Stderr, "tally:", err)
		os.Exit(1)
	}
	if err != nil || readErr != nil || t.failed > 0 || t.passed == 0 {
		os.Exit(1)
	}
}

func (t *tally) read(r io.Reader) error {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) == nil && e.Action != "" {
				t.add(e)
			} else {
				fmt.Fprintf(t.out, "%s", line) // what go test prints outside of its events
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (t *tally) add(e event) {
	k := test{e.Package, e.Test}
	switch e.Action {
	case "build-output":
		fmt.Fprint(t.out, e.Output)
	case "output":
		t.output[k] = append(t.output[k], e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			t.endPackage(k, e)
		} else {
			t.endTest(k, e)
		}
		delete(t.output, k)
	}
}

func (t *tally) endTest(k test, e event) {
	switch e.Action {
	case "pass":
		t.passed++
	case "fail":
		t.failed++
		t.failing[k.pkg] = true
		fmt.Fprintf(t.out, "%s\n%s", k.pkg, strings.Join(t.output[k], ""))
	case "skip":
		t.skipped++
		reason := reason(t.output[k])
		t.skips[reason] = append(t.skips[reason], e.Test)
	}
}

func (t *tally) endPackage(k test, e event) {
	switch e.Action {
	case "pass":
		fmt.Fprintf(t.out, "ok    %s  %.1fs\n", k.pkg, e.Elapsed)
	case "fail":
		// A package can fail without a failing test: a build error, a panic, os.Exit.
		fmt.Fprintf(t.out, "%sFAIL  %s\n", strings.Join(t.output[k], ""), k.pkg)
		if !t.failing[k.pkg] {
			t.failed++
		}
	}
}

var place = regexp.MustCompile(`^\s*\S+\.go:\d+: `)

// reason is what a skipped test printed.
func reason(output []string) string {
	var lines []string
	for _, l := range output {
		if l = strings.TrimSpace(l); !strings.HasPrefix(l, "=== ") && !strings.HasPrefix(l, "--- ") && l != "" {
			lines = append(lines, place.ReplaceAllString(l, ""))
		}
	}
	if len(lines) == 0 {
		return "no reason given"
	}
	return lines[len(lines)-1]
}

func (t *tally) close() {
	reasons := make([]string, 0, len(t.skips))
	for r := range t.skips {
		reasons = append(reasons, r)
	}
	slices.SortFunc(reasons, cmp.Compare)
	for _, r := range reasons {
		fmt.Fprintf(t.out, "skip  %s (%s)\n", r, strings.Join(t.skips[r], ", "))
	}
	fmt.Fprintf(t.out, "%d passed, %d failed, %d skipped\n", t.passed, t.failed, t.skipped)
}

func (t *tally) record(file string) error {
	if file == "" {
		return nil
	}
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, t.passed, t.failed, t.skipped)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}
