// Command conformance runs a oneloop binary over a corpus of Kyverno cases:
//
//	go run ./tests/conformance [-corpus DIR] [-update] ONELOOP
//
// Every case of the families must pass, but for those of exceptions.yaml; of the
// other policy kinds, the shares of floor.txt.
// docs/support-matrix.md says the result feature by feature. The corpus brings
// its own judge, in check/. With -update the floors that were beaten and the
// matrix are written; floors never go down by themselves. Without a corpus at
// DIR there is nothing to hold: it says so and succeeds.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// A verdict is what the judge says about one case.
type verdict struct {
	ID, Suite, Category string
	Pass                bool
	Exit                int
	Why                 string
}

// A group is a set of cases that has a floor. Excepted cases count in none of
// its other figures. silent counts the failed cases with exit code 0: wrong, and
// nobody was told.
type group struct {
	name                          string
	passed, all, silent, excepted int
}

func (g *group) add(v verdict) {
	g.all++
	switch {
	case v.Pass:
		g.passed++
	case v.Exit == 0:
		g.silent++
	}
}

// percent is rounded down to a tenth, so that a floor taken from it holds.
func (g *group) percent() float64 {
	if g.all == 0 {
		return 0
	}
	return math.Floor(1000*float64(g.passed)/float64(g.all)) / 10
}

func main() {
	corpus := flag.String("corpus", "../shared/conformance", "folder with cases/ and check/")
	update := flag.Bool("update", false, "write the floors that were beaten and the support matrix")
	failures := flag.Bool("v", false, "print why each failing case failed")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: conformance [flags] ONELOOP")
		os.Exit(2)
	}
	if _, err := os.Stat(filepath.Join(*corpus, "check")); err != nil {
		fmt.Printf("no corpus at %s: conformance is not measured\n", *corpus)
		return
	}
	if err := run(*corpus, flag.Arg(0), *update, *failures); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

const (
	floorFile     = "tests/conformance/floor.txt"
	exceptionFile = "tests/conformance/exceptions.yaml"
	matrixFile    = "docs/support-matrix.md"
)

func run(corpus, bin string, update, failures bool) error {
	floors, err := readFloors(floorFile)
	if err != nil {
		return err
	}
	excepted, err := readExceptions(exceptionFile)
	if err != nil {
		return err
	}
	scratch, err := os.MkdirTemp("", "conformance")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	judge := filepath.Join(scratch, "check")
	build := exec.Command("go", "build", "-o", judge, ".")
	build.Dir, build.Stderr = filepath.Join(corpus, "check"), os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("build the judge: %w", err)
	}
	all, err := verdicts(judge, bin, corpus, "")
	if err != nil {
		return err
	}
	ours := make([][]verdict, len(families))
	for i, f := range families {
		if ours[i], err = verdicts(judge, bin, corpus, f.kinds); err != nil {
			return err
		}
	}
	m, err := readMatrix(corpus, all, ours, excepted)
	if err != nil {
		return err
	}
	printSuites(all)
	groups := groupsOf(all, ours, excepted)
	if failures {
		for _, v := range all {
			if !v.Pass {
				fmt.Printf("FAIL %s (exit %d)\n     %s\n", v.ID, v.Exit, v.Why)
			}
		}
	}
	fallen := errors.Join(compare(groups, floors), excepted.check(slices.Concat(ours...)))
	if silent := groups[0].silent; float64(silent) > floors[mostSilent] {
		fallen = errors.Join(fallen, fmt.Errorf("%d cases are wrong without an error, at most %.0f may be: what can't be evaluated fails", silent, floors[mostSilent]))
	}
	if fallen != nil {
		return fallen
	}
	if update {
		return errors.Join(writeFloors(floorFile, groups, floors), os.WriteFile(matrixFile, []byte(m.markdown()), 0o644))
	}
	return m.compare(matrixFile)
}

// verdicts runs the judge over the cases whose policies are all of the kinds;
// without kinds, over all cases.
func verdicts(judge, bin, corpus, kinds string) ([]verdict, error) {
	out := judge + ".json"
	cmd := exec.Command(judge, "-bin", bin, "-kind", kinds, "-json", out, filepath.Join(corpus, "cases"))
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("judge: %w", err)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		return nil, err
	}
	var list []verdict
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, errors.New("the judge found no case")
	}
	return list, nil
}

func printSuites(all []verdict) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	defer w.Flush()
	fmt.Fprintln(w, "SUITE\tCATEGORY\tPASSED\tFAILED")
	suites := map[[2]string]*group{}
	var order []*group
	for _, v := range all { // sorted by the judge
		key := [2]string{v.Suite, v.Category}
		if suites[key] == nil {
			suites[key] = &group{name: v.Suite + "\t" + v.Category}
			order = append(order, suites[key])
		}
		suites[key].add(v)
	}
	for _, g := range order {
		fmt.Fprintf(w, "%s\t%d\t%d\n", g.name, g.passed, g.all-g.passed)
	}
}

// groupsOf returns the groups in the order in which they are printed.
func groupsOf(all []verdict, ours [][]verdict, excepted exceptions) []*group {
	groups := []*group{{name: "all"}}
	byName := map[string]*group{}
	add := func(g *group, v verdict) {
		if excepted.holds(v) {
			g.excepted++
			return
		}
		g.add(v)
	}
	for _, v := range all {
		add(groups[0], v)
	}
	for i, f := range families {
		whole := &group{name: f.name}
		groups = append(groups, whole)
		for _, v := range ours[i] {
			add(whole, v)
			name := f.name + "/" + v.Category
			if byName[name] == nil {
				byName[name] = &group{name: name}
				groups = append(groups, byName[name])
			}
			add(byName[name], v)
		}
	}
	return groups
}

// compare prints the groups beside their floors. The error names what fell.
func compare(groups []*group, floors map[string]float64) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nGROUP\tPASSED\tFAILED\tOF THOSE WITHOUT AN ERROR\tEXCEPTED\tPERCENT\tFLOOR")
	var fallen error
	seen := map[string]bool{}
	for _, g := range groups {
		seen[g.name] = true
		floor, held := floors[g.name]
		text := "none"
		if held {
			text = fmt.Sprintf("%.1f", floor)
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%.1f\t%s\n", g.name, g.passed, g.all-g.passed, g.silent, g.excepted, g.percent(), text)
		if g.percent() < floor {
			fallen = errors.Join(fallen, fmt.Errorf("%s: %.1f %% of the cases pass, the floor is %.1f %%", g.name, g.percent(), floor))
		}
	}
	_ = w.Flush()
	for name := range floors {
		if !seen[name] && name != mostSilent {
			fallen = errors.Join(fallen, fmt.Errorf("%s has a floor but no cases", name))
		}
	}
	return fallen
}

func readFloors(file string) (map[string]float64, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	floors := map[string]float64{}
	for i, line := range strings.Split(string(data), "\n") {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		fields := strings.Fields(line)
		if len(fields) != 2 {
			return nil, fmt.Errorf("%s:%d: expected a group and a percentage, found %q", file, i+1, line)
		}
		percent, err := strconv.ParseFloat(fields[1], 64)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, i+1, err)
		}
		floors[fields[0]] = percent
	}
	return floors, nil
}

// mostSilent is the line of the file that bounds the number of failed cases
// with exit code 0.
const mostSilent = "most-silent"

const head = `# The least share of the conformance cases that must pass, in percent, by group;
# and how many may be wrong without an error.
# Floors only go up: go run ./tests/conformance -update bin/oneloop
`

func writeFloors(file string, groups []*group, floors map[string]float64) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s%-32s %.0f\n", head, mostSilent, floors[mostSilent])
	for _, g := range groups {
		fmt.Fprintf(&b, "%-32s %.1f\n", g.name, math.Max(g.percent(), floors[g.name]))
	}
	return os.WriteFile(file, []byte(b.String()), 0o644)
}
