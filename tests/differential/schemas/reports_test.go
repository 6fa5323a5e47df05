// Package schemas holds what the report formats write against the schemas that
// the formats' own projects publish: the CustomResourceDefinitions of
// OpenReports and of PolicyReport, the JSON Schema of SARIF, and a reader of
// JUnit files, for which there is no schema. What diff prints is held against the
// schema in docs.
package schemas

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/joshdk/go-junit"
	_ "github.com/kyverno/kyverno/api/policyreport/v1alpha2" // its module has the CRDs
	_ "github.com/openreports/reports-api/apis/openreports.io/v1alpha1"
	_ "github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif" // has the schema of SARIF
	"github.com/xeipuuv/gojsonschema"
	"golang.org/x/tools/txtar"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"sigs.k8s.io/yaml"

	"github.com/oneloop-dev/oneloop/pkg/builtin"
	"github.com/oneloop-dev/oneloop/pkg/cli"
	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/report"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// check returns what a report breaks of its format.
type check func(t *testing.T, data []byte) []string

func checks(t *testing.T) map[string]check {
	t.Helper()
	reports := definitions(t, "github.com/openreports/reports-api", "config/crd/openreports.io_*.yaml")
	policyReports := definitions(t, "github.com/kyverno/kyverno", "config/crds/policyreport/*.yaml")
	return map[string]check{
		"openreports":  reports.check,
		"policyreport": policyReports.check,
		"sarif":        sarifCheck(t),
		"junit":        checkJUnit,
	}
}

// TestScript checks the reports of the script that shows them.
func TestScript(t *testing.T) {
	archive, err := txtar.ParseFile("../../script/render_reports.txtar")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, f := range archive.Files {
		if err := os.WriteFile(filepath.Join(dir, f.Name), f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	for name, check := range checks(t) {
		var stdout, stderr bytes.Buffer
		code := cli.Main([]string{"render", "--keep-going", "-p", "policies.yaml", "--report", name + "=out", "app.yaml"}, nil, &stdout, &stderr)
		if code != cli.ExitFailed {
			t.Fatalf("%s: exit code %d\n%s", name, code, &stderr)
		}
		data, err := os.ReadFile("out")
		if err != nil {
			t.Fatal(err)
		}
		for _, fault := range check(t, data) {
			t.Errorf("%s: %s\n%s", name, fault, data)
		}
	}
}

// TestChecksFindFaults shows that a report that is wrong would be found.
func TestChecksFindFaults(t *testing.T) {
	checks := checks(t)
	for name, wrong := range map[string]string{
		"openreports":  "apiVersion: openreports.io/v1alpha1\nkind: Report\nmetadata: {name: a, namespace: b}\nresults:\n- {policy: p, source: s, result: passed}\n",
		"policyreport": "apiVersion: wgpolicyk8s.io/v1alpha2\nkind: PolicyReport\nmetadata: {name: a, namespace: b}\nresults:\n- {policy: p, origin: x}\n",
		"sarif":        `{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "x"}}, "results": [{"message": {"text": "m"}, "level": "bad"}]}]}`,
		"junit":        `<testsuites><testsuite name="a"><testcase></testsuites>`,
	} {
		if faults := checks[name](t, []byte(wrong)); len(faults) == 0 {
			t.Errorf("%s: no fault found in %s", name, wrong)
		}
	}
}

// TestRandomEntries writes entries with all outcomes, and with texts that
// formats have to escape or to shorten.
func TestRandomEntries(t *testing.T) {
	checks := checks(t)
	for seed := range uint64(500) {
		entries := generate(rand.New(rand.NewPCG(seed, 1)))
		for _, format := range builtin.Formats {
			check := checks[format.Name]
			if check == nil {
				continue // json is our own
			}
			var out bytes.Buffer
			if err := format.Write(&out, entries); err != nil {
				t.Fatalf("seed %d, %s: %v", seed, format.Name, err)
			}
			for _, fault := range check(t, out.Bytes()) {
				t.Errorf("seed %d, %s: %s\n%.4000s", seed, format.Name, fault, &out)
			}
		}
		if t.Failed() {
			return
		}
	}
}

func generate(r *rand.Rand) []report.Entry {
	texts := []string{
		"", "a", "web", "Ünïcode ☃", "line\nbreak", "tab\tand\x00null\x1b[31m", "]]>&<\"'", "\xff\xfe not UTF-8",
		"'''", "key: value", "- item", strings.Repeat("long ", 3000), "\u2028", "../..", "C:\\x", "%41 #?", strings.Repeat("\x01", 400),
	}
	text := func() string { return texts[r.IntN(len(texts))] }
	id := func() resource.ID {
		kinds := []resource.Kind{{Version: "v1", Kind: "Pod"}, {Group: "apps", Version: "v1", Kind: "Deployment"}, {Version: "v1", Kind: "Namespace"}}
		return resource.ID{Kind: kinds[r.IntN(len(kinds))], Name: "web-" + fmt.Sprint(r.IntN(3)), Namespace: []string{"", "shop", "prod"}[r.IntN(3)]}
	}
	origin := func() resource.Origin { return resource.Origin{File: text(), Line: r.IntN(3)} }
	value := func() any {
		return []any{nil, true, int64(3), 1.5, text(), map[string]any{"a": text()}, []any{text()}}[r.IntN(7)]
	}
	changes := func() []resource.Change {
		before := resource.Object{"spec": map[string]any{"a": value(), "x.y/z": value()}}
		after := resource.Object{"spec": map[string]any{"a": value(), text(): value()}}
		return resource.Diff(before, after)
	}
	var out []report.Entry
	for range r.IntN(6) {
		e := report.Entry{
			Policy: policy.Ref{
				ID:     resource.ID{Kind: resource.Kind{Group: "kyverno.io", Version: "v1", Kind: "ClusterPolicy"}, Name: "policy"},
				Origin: origin(), Severity: []string{"", "low", "medium", "high", "critical", "info"}[r.IntN(6)], Category: text(),
			},
			Rule: text(), Resource: id(), Origin: origin(), Message: text(),
			Outcome: policy.Outcome(r.IntN(int(policy.Noticed) + 1)),
		}
		switch e.Outcome {
		case policy.Mutated:
			e.Changes = changes()
		case policy.Applied:
			e.Targets = []report.Target{
				{Resource: id(), Origin: origin(), Changes: changes()},
				{Resource: id(), Generated: true, Changes: []resource.Change{{After: map[string]any{"kind": "ConfigMap"}}}},
			}
		case policy.Denied, policy.Failed:
			e.Err = &policy.Error{Policy: e.Policy, Rule: e.Rule, Resource: e.Resource, Path: fieldpath.Path{}.Key(text()), Err: fmt.Errorf("%s", text())}
		case policy.Noticed:
			if r.IntN(2) == 0 {
				e.Resource, e.Origin = resource.ID{}, resource.Origin{}
			}
		}
		out = append(out, e)
	}
	return out
}

// crds are definitions by group, version and kind.
type crds map[resource.Kind]*apiextensions.JSONSchemaProps

// definitions reads the CustomResourceDefinitions of a module.
func definitions(t *testing.T, module, glob string) crds {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(moduleDir(t, module), glob))
	if err != nil || len(files) != 2 {
		t.Fatalf("%s of %s: expected two files, found %v, %v", glob, module, files, err)
	}
	out := crds{}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var crd apiextensionsv1.CustomResourceDefinition
		if err := yaml.Unmarshal(data, &crd); err != nil {
			t.Fatal(err)
		}
		for _, v := range crd.Spec.Versions {
			var props apiextensions.JSONSchemaProps
			if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(v.Schema.OpenAPIV3Schema, &props, nil); err != nil {
				t.Fatal(err)
			}
			out[resource.Kind{Group: crd.Spec.Group, Version: v.Name, Kind: crd.Spec.Names.Kind}] = &props
		}
	}
	return out
}

func moduleDir(t *testing.T, module string) string {
	t.Helper()
	cmd := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module)
	cmd.Dir = source
	dir, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(dir))
}

// source is the folder of this file: a test may be elsewhere.
var source = func() string {
	dir, err := os.Getwd()
	if err != nil {
		panic(err)
	}
	return dir
}()

// check validates documents as the API server would, and finds fields that it
// would prune.
func (d crds) check(_ *testing.T, data []byte) []string {
	var faults []string
	for doc := range strings.SplitSeq(string(data), "\n---\n") {
		var o map[string]any
		if err := yaml.Unmarshal([]byte(doc), &o); err != nil {
			return []string{err.Error()}
		}
		if o == nil {
			continue
		}
		props := d[resource.IDOf(o).Kind]
		if props == nil {
			faults = append(faults, fmt.Sprintf("no definition of %s", resource.IDOf(o).Kind))
			continue
		}
		validator, _, err := validation.NewSchemaValidator(props)
		if err != nil {
			return []string{err.Error()}
		}
		for _, e := range validation.ValidateCustomResource(nil, o, validator) {
			faults = append(faults, e.Error())
		}
		structural, err := schema.NewStructural(props)
		if err != nil {
			return []string{err.Error()}
		}
		pruned := pruning.PruneWithOptions(o, structural, true, schema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
		slices.Sort(pruned)
		for _, p := range pruned {
			faults = append(faults, "unknown field "+p)
		}
	}
	return faults
}

// sarifCheck validates against the schema that a reader of SARIF has in its
// source, as a constant.
func sarifCheck(t *testing.T) check {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(moduleDir(t, "github.com/owenrumney/go-sarif/v3"), "pkg/report/v210/sarif/schema.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	spec := file.Scope.Lookup("schema").Decl.(*ast.ValueSpec) //nolint:staticcheck // one file needs no package
	text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
	if err != nil {
		t.Fatal(err)
	}
	published, err := gojsonschema.NewSchema(gojsonschema.NewStringLoader(text))
	if err != nil {
		t.Fatal(err)
	}
	return func(_ *testing.T, data []byte) []string {
		result, err := published.Validate(gojsonschema.NewBytesLoader(data))
		if err != nil {
			return []string{err.Error()}
		}
		var faults []string
		for _, e := range result.Errors() {
			faults = append(faults, e.String())
		}
		return faults
	}
}

func checkJUnit(_ *testing.T, data []byte) []string {
	suites, err := junit.Ingest(data)
	if err != nil {
		return []string{err.Error()}
	}
	var faults []string
	for _, s := range suites {
		if s.Totals.Tests != len(s.Tests) {
			faults = append(faults, fmt.Sprintf("suite %s: %d tests are said to be there, and %d are", s.Name, s.Totals.Tests, len(s.Tests)))
		}
	}
	return faults
}
