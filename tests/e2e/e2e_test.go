//go:build e2e

// Package e2e drives the program through the runners that people use: real
// kustomize, real kpt, a real container engine, a real registry on loopback and
// a real browser. `make e2e` builds what it needs.
package e2e

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "rewrite the expectations of the scripts")

// kpt puts a registry of its own before names without a slash.
const image = "localhost/oneloop:e2e"

func TestScript(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(root, "bin")
	for _, program := range []string{"oneloop", "kustomize", "helm3", "helm4"} {
		if _, err := os.Stat(filepath.Join(bin, program)); err != nil {
			t.Fatalf("%v: run these tests with `make e2e`", err)
		}
	}
	missing := map[string]error{}
	_, missing["kpt"] = exec.LookPath("kpt")
	_, missing["kubectl"] = exec.LookPath("kubectl")
	missing["engine"] = buildImage(root)
	_, missing["docker-registry"] = exec.LookPath("docker-registry")
	missing["unshare"] = exec.Command("unshare", "--map-root-user", "--net", "true").Run()
	for what, err := range missing {
		switch {
		case err == nil:
		case slices.Contains(strings.Fields(os.Getenv("E2E_REQUIRE")), what):
			t.Fatalf("no %s: %v", what, err)
		default:
			t.Logf("no %s: %v", what, err)
		}
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "script",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", bin+string(filepath.ListSeparator)+env.Getenv("PATH"))
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("ROOT", root)
			env.Setenv("IMAGE", image)
			env.Setenv("DOCKER_HOST", os.Getenv("DOCKER_HOST"))
			return nil
		},
		Condition: func(cond string) (bool, error) {
			err, known := missing[cond]
			if !known {
				return false, fmt.Errorf("unknown condition %q", cond)
			}
			return err == nil, nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits":        exits,
			"registry":     startRegistry,
			"distribution": startDistribution,
			"redirecting":  startRedirecting,
			"faulty":       startFaulty,
			"expand":       expand,
			"movetag":      moveTag,
			"fetch":        fetchArtifact,
			"newkey":       newKeys,
			"sign":         sign,
		},
	})
}

// buildImage builds the image when a container engine answers.
func buildImage(root string) error {
	out, err := exec.Command("docker", "version", "--format", "{{.Server.Version}}").CombinedOutput()
	if err != nil {
		return fmt.Errorf("docker version: %w: %s", err, strings.TrimSpace(string(out)))
	}
	build := exec.Command("make", "image", "IMAGE="+image)
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		panic(fmt.Sprintf("make image: %v\n%s", err, out)) // an engine that can't build is a fault, not a skip
	}
	return nil
}

// exits CODE PROGRAM [ARG]... runs a program and requires its exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM [ARG]...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, expected %d", got, want)
	}
}

// expand FILE... replaces $NAME in files by the value from the environment.
func expand(ts *testscript.TestScript, neg bool, args []string) {
	for _, file := range args {
		text := os.Expand(ts.ReadFile(file), ts.Getenv)
		ts.Check(os.WriteFile(ts.MkAbs(file), []byte(text), 0o644))
	}
}

// movetag REFERENCE FROM makes the tag of REFERENCE point at what FROM is.
func moveTag(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: movetag REFERENCE FROM")
	}
	tag, err := name.NewTag(args[0])
	ts.Check(err)
	from, err := remote.Get(must(name.ParseReference(args[1])))
	ts.Check(err)
	ts.Check(remote.Tag(tag, from))
}

// fetch REFERENCE DIR writes the manifest of an artifact, as JSON, and the files
// of its layer.
func fetchArtifact(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: fetch REFERENCE DIR")
	}
	files, err := artifactFiles(args[0])
	ts.Check(err)
	for file, data := range files {
		file = filepath.Join(ts.MkAbs(args[1]), file)
		ts.Check(os.MkdirAll(filepath.Dir(file), 0o755))
		ts.Check(os.WriteFile(file, data, 0o644))
	}
}

// artifactFiles reads an artifact: its manifest, as manifest.json, and the files
// of its layer.
func artifactFiles(ref string) (map[string][]byte, error) {
	r, err := name.ParseReference(ref)
	if err != nil {
		return nil, err
	}
	// The registry may want to be logged in to.
	img, err := remote.Image(r, remote.WithAuth(&authn.Basic{Username: "me", Password: "s3cret"}))
	if err != nil {
		return nil, err
	}
	raw, err := img.RawManifest()
	if err != nil {
		return nil, err
	}
	var manifest bytes.Buffer
	if err := json.Indent(&manifest, raw, "", "  "); err != nil {
		return nil, err
	}
	layers, err := img.Layers()
	if err != nil {
		return nil, err
	}
	archive, err := layers[0].Uncompressed()
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{"manifest.json": append(manifest.Bytes(), '\n')}
	for r := tar.NewReader(archive); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		if files[h.Name], err = io.ReadAll(r); err != nil {
			return nil, err
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
