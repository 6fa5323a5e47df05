package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/load"
)

// A matrix is the result of a run, feature by feature.
type matrix struct {
	corpus   string // fingerprint of its cases
	rows     []row
	suites   []*group // by category, over all policy kinds
	excepted exceptions
}

// A row is one feature and the cases that use it.
type row struct {
	feature
	family     *family
	cases, met int
	not        []string // the cases that are excepted, or fail
}

// readMatrix looks up in the policies of the cases which features they use.
func readMatrix(corpus string, all []verdict, ours [][]verdict, excepted exceptions) (*matrix, error) {
	m := &matrix{excepted: excepted}
	for i := range families {
		first := len(m.rows)
		for _, f := range families[i].features() {
			m.rows = append(m.rows, row{feature: f, family: &families[i]})
		}
		for _, v := range ours[i] {
			lines, err := outline(filepath.Join(corpus, "cases", v.ID))
			if err != nil {
				return nil, err
			}
			for i := range m.rows[first:] {
				r := &m.rows[first+i]
				if !slices.ContainsFunc(lines, r.uses.MatchString) {
					continue
				}
				r.cases++
				if v.Pass {
					r.met++
				} else {
					r.not = append(r.not, v.ID)
				}
			}
		}
	}
	sum := sha256.New()
	byName := map[string]*group{}
	for _, v := range all {
		fmt.Fprintln(sum, v.ID)
		if byName[v.Category] == nil {
			byName[v.Category] = &group{name: v.Category}
			m.suites = append(m.suites, byName[v.Category])
		}
		byName[v.Category].add(v)
	}
	m.corpus = fmt.Sprintf("%x", sum.Sum(nil))[:16]
	return m, nil
}

// outline returns a line for each field of the policies of a case: its path,
// and its value when that is a scalar; and one for each expected rule result.
func outline(dir string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "policy.yaml"))
	if err != nil {
		return nil, err
	}
	if exceptions, err := filepath.Glob(filepath.Join(dir, "exceptions.yaml")); err == nil {
		files = append(files, exceptions...)
	}
	policies, err := load.Files(files, nil)
	if err != nil {
		return nil, err
	}
	var out []string
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			out = append(out, path)
			for k, below := range v {
				walk(path+"."+k, below)
			}
		case []any:
			out = append(out, path)
			for _, below := range v {
				walk(path+"[]", below)
			}
		default:
			out = append(out, fmt.Sprintf("%s: %v", path, v))
		}
	}
	for _, p := range policies {
		switch kind := p.ID().Kind; kind.Group {
		case "kyverno.io", "policies.kyverno.io", "admissionregistration.k8s.io":
			object, err := p.Object()
			if err != nil {
				return nil, err
			}
			walk(kind.Kind, map[string]any(object))
		}
	}
	data, err := os.ReadFile(filepath.Join(dir, "case.json"))
	if err != nil {
		return nil, err
	}
	var c struct {
		Expect []struct{ Rule, Resource string }
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, err
	}
	for _, e := range c.Expect {
		out = append(out, "result of "+e.Rule+" on "+e.Resource)
	}
	return out, nil
}

// fingerprint finds the corpus that a written matrix is of.
var fingerprint = regexp.MustCompile(`<!-- corpus ([0-9a-f]+) -->`)

// compare returns an error when the file says something else than the run. A
// file about another corpus is not compared.
func (m *matrix) compare(file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if of := fingerprint.FindSubmatch(data); of != nil && string(of[1]) != m.corpus {
		fmt.Printf("%s is about another corpus: not compared\n", file)
		return nil
	}
	if !bytes.Equal(data, []byte(m.markdown())) {
		return fmt.Errorf("%s is not what this run says: go run ./tests/conformance -update bin/oneloop", file)
	}
	return nil
}

func (m *matrix) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Support matrix

<!-- corpus %s -->
Written by `+"`go run ./tests/conformance -update`"+` from a run over the conformance corpus: Kyverno's own tests, and what a
real API server and Kyverno's admission controller answered. The gate fails when it is out of date. A case counts for
every feature that its policies use, and is met when the whole output is what was expected.

A feature without a case is held by the tests beside the code, most of them answers recorded from Kyverno, and by the
comparison with Kyverno's engine on random policies in [tests/differential](../tests/differential). Gatekeeper's mutators have
no cases in the corpus: they are compared with Gatekeeper's own code there.

## By category

| category | cases | met |
|---|---:|---:|
`, m.corpus)
	for _, g := range m.suites {
		fmt.Fprintf(&b, "| %s | %d | %d |\n", g.name, g.all, g.passed)
	}
	for rows := m.rows; len(rows) > 0; {
		n := slices.IndexFunc(rows, func(r row) bool { return r.area != rows[0].area || r.family != rows[0].family })
		if n < 0 {
			n = len(rows)
		}
		m.area(&b, rows[:n])
		rows = rows[n:]
	}
	b.WriteString("\n## Exceptions\n\n")
	for i, id := range m.numbered() {
		fmt.Fprintf(&b, "%d. `%s`: %s\n", i+1, id, strings.Join(strings.Fields(m.excepted[id].Reason), " "))
	}
	return b.String()
}

// area writes the features of one area: those that have cases as a table.
func (m *matrix) area(b *strings.Builder, rows []row) {
	fmt.Fprintf(b, "\n## %s: %s\n\n| feature | cases | met |\n|---|---:|---:|\n", rows[0].family.title, rows[0].area)
	var without []string
	for _, r := range rows {
		if r.cases == 0 {
			without = append(without, r.name)
			continue
		}
		fmt.Fprintf(b, "| %s | %d | %d", r.name, r.cases, r.met)
		for _, id := range r.not {
			fmt.Fprintf(b, " [%d](#exceptions)", m.number(id))
		}
		b.WriteString(" |\n")
	}
	if len(without) > 0 {
		fmt.Fprintf(b, "\nWithout a case: %s.\n", strings.Join(without, ", "))
	}
}

// numbered returns the exceptions in the order of their numbers.
func (m *matrix) numbered() []string {
	var out []string
	for id := range m.excepted {
		out = append(out, id)
	}
	slices.Sort(out)
	return out
}

func (m *matrix) number(id string) int { return slices.Index(m.numbered(), id) + 1 }
