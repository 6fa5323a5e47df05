// Package tests holds what is tested from outside of the packages: the shape
// of the source tree, the behaviour of the program, and the examples.
package tests

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/oneloop-dev/oneloop/"

// layers lists the packages from the bottom to the top. A package imports only
// packages of lower layers, never one of its own. A name that ends in /* stands
// for every package right below it, which then owns what is below itself.
var layers = [][]string{
	{"pkg/fieldpath", "pkg/jsonvalue", "pkg/parallel", "pkg/certificate", "pkg/schema", "pkg/wildcard", "pkg/signature", "pkg/artifact"},
	{"pkg/resource", "pkg/decode", "pkg/digest"},
	{"pkg/expr/*", "pkg/patch/*", "pkg/image", "pkg/facts"},
	{"pkg/policy", "pkg/digest/*"},
	{"pkg/report", "pkg/policy/*"},
	{"pkg/report/*", "pkg/pipeline", "pkg/load", "pkg/krm", "pkg/config"},
	{"pkg/builtin", "pkg/suite", "pkg/diff"},
	{"pkg/diff/*"},
	{"pkg/cli"},
	{"fn/*"},
}

// fences name what only a few packages may import.
var fences = []struct {
	imported string
	allowed  []string
	why      string
}{
	{"go.yaml.in/yaml/v3", []string{"pkg/resource", "pkg/load", "pkg/krm", "pkg/policy/kyvernocel"},
		"languages see JSON values; YAML nodes stay where YAML is edited, and where a policy holds a template of it"},
	{"sigs.k8s.io/kustomize", nil, "kyaml costs 90 ms at start and megabytes"},
	{"github.com/google/go-containerregistry/pkg/v1", []string{"pkg/digest/*"}, "only digest sources speak to registries"},
	{"github.com/google/go-containerregistry/pkg/authn", []string{"pkg/digest/*"}, "only digest sources see credentials"},
	{"net/http", []string{"pkg/digest/*"}, "only digest sources use the network"},
	{"k8s.io/apiserver", []string{"pkg/expr/cel"}, "the API server's CEL libraries are big, and one package is enough to know them"},
	{"sigs.k8s.io/structured-merge-diff", []string{"pkg/patch/apply"}, "what is merged there is JSON values everywhere else"},
	{"github.com/spf13/cobra", []string{"pkg/cli"}, "only the command line has flags"},
}

// heavy lists what the program must not link, not even through others.
var heavy = []string{
	"sigs.k8s.io/kustomize/",
	"k8s.io/client-go/",
	"github.com/kyverno/kyverno",
	"k8s.io/apiserver/pkg/admission",
}

// A goPackage is what go list tells about a package.
type goPackage struct {
	ImportPath string
	Name       string
	Doc        string
	Imports    []string
}

func goList(t *testing.T, args ...string) []goPackage {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Name,Doc,Imports"}, args...)...)
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("%v: %s", cmd, exit.Stderr)
		}
		t.Fatal(err)
	}
	var packages []goPackage
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := dec.Decode(&p); err == io.EOF {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}

// product returns the packages that are part of the program.
func product(t *testing.T) []goPackage {
	var out []goPackage
	for _, p := range goList(t, "./fn/...", "./pkg/...") {
		p.ImportPath = strings.TrimPrefix(p.ImportPath, module)
		out = append(out, p)
	}
	return out
}

// owner returns the entry of layers that pkg belongs to, with /* replaced by
// the package's own name, and the number of the layer.
func owner(pkg string) (name string, layer int) {
	for i, entries := range layers {
		for _, e := range entries {
			parent, star := strings.CutSuffix(e, "/*")
			if !star && (pkg == e || strings.HasPrefix(pkg, e+"/internal/")) {
				return e, i
			}
			if rest, ok := strings.CutPrefix(pkg, parent+"/"); star && ok {
				first, below, deeper := strings.Cut(rest, "/")
				if !deeper || strings.HasPrefix(below, "internal/") {
					return path.Join(parent, first), i
				}
			}
		}
	}
	return "", -1
}

func TestImportsPointDown(t *testing.T) {
	for _, p := range product(t) {
		name, layer := owner(p.ImportPath)
		if layer < 0 {
			t.Errorf("%s is in no layer: add it to the table in this test", p.ImportPath)
			continue
		}
		for _, imported := range p.Imports {
			imported, ours := strings.CutPrefix(imported, module)
			if !ours {
				continue
			}
			other, below := owner(imported)
			if other != name && below >= layer {
				t.Errorf("%s (layer %d) imports %s (layer %d): imports point to lower layers", p.ImportPath, layer, imported, below)
			}
		}
	}
}

// TestLanguagesArePure keeps files, sockets, processes and clocks out of the
// policy languages: what they know comes in with their input.
func TestLanguagesArePure(t *testing.T) {
	impure := []string{"os", "os/exec", "io/ioutil", "net", "net/http", "log", "log/slog", "math/rand", "math/rand/v2", "crypto/rand"}
	for _, p := range product(t) {
		if !strings.HasPrefix(p.ImportPath, "pkg/policy/") && !strings.HasPrefix(p.ImportPath, "pkg/expr/") && !strings.HasPrefix(p.ImportPath, "pkg/patch/") {
			continue
		}
		for _, imported := range p.Imports {
			if slices.Contains(impure, imported) {
				t.Errorf("%s imports %s", p.ImportPath, imported)
			}
		}
	}
}

func TestFences(t *testing.T) {
	for _, p := range product(t) {
		name, _ := owner(p.ImportPath)
		for _, f := range fences {
			allowed := slices.ContainsFunc(f.allowed, func(entry string) bool {
				parent, star := strings.CutSuffix(entry, "/*")
				return name == entry || star && path.Dir(name) == parent
			})
			for _, imported := range p.Imports {
				if (imported == f.imported || strings.HasPrefix(imported, f.imported+"/")) && !allowed {
					t.Errorf("%s imports %s: %s", p.ImportPath, imported, f.why)
				}
			}
		}
	}
}

func TestNothingHeavyIsLinked(t *testing.T) {
	for _, p := range goList(t, "-deps", "./fn/oneloop") {
		for _, prefix := range heavy {
			if strings.HasPrefix(p.ImportPath+"/", prefix) {
				t.Errorf("the program links %s", p.ImportPath)
			}
		}
	}
}

func TestPackagesHaveAJobAndSayIt(t *testing.T) {
	nothing := []string{"util", "utils", "common", "helper", "helpers", "misc", "types", "api", "base", "shared", "lib"}
	for _, p := range product(t) {
		if slices.Contains(nothing, path.Base(p.ImportPath)) {
			t.Errorf("%s is named for nothing: name it for its job", p.ImportPath)
		}
		if p.Doc == "" {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}

// TestOwner shows that the table above can fail.
func TestOwner(t *testing.T) {
	tests := []struct {
		pkg, owner string
		layer      int
	}{
		{"pkg/fieldpath", "pkg/fieldpath", 0},
		{"pkg/policy", "pkg/policy", 3},
		{"pkg/policy/internal/constraints", "pkg/policy", 3}, // of what languages share
		{"pkg/policy/kyverno", "pkg/policy/kyverno", 4},
		{"pkg/policy/kyverno/internal/match", "pkg/policy/kyverno", 4},
		{"pkg/policy/kyverno/match", "", -1}, // only internal packages belong to a language
		{"pkg/elsewhere", "", -1},
	}
	for _, tt := range tests {
		if name, layer := owner(tt.pkg); name != tt.owner || layer != tt.layer {
			t.Errorf("owner(%q) = %q, %d; want %q, %d", tt.pkg, name, layer, tt.owner, tt.layer)
		}
	}
}
