// Command release builds oneloop for all platforms. It writes for each an
// archive and an SBOM in CycloneDX's JSON, a manifest for krew, and SHA256SUMS of
// them all. Nothing in them tells of the machine or the time: the same commit and version give
// the same bytes. It runs in the root of the repository and needs no network
// once the modules are there.
package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"
)

// platforms are those that a release is made for.
const platforms = "linux/amd64,linux/arm64,darwin/amd64,darwin/arm64,windows/amd64,windows/arm64"

// beside stands in each archive beside the program.
var beside = []string{"LICENSE", "README.md", "CHANGELOG.md"}

func main() {
	version := flag.String("version", "", "version, such as v0.1.0")
	out := flag.String("o", "dist/release", "folder to write")
	targets := flag.String("platforms", platforms, "comma-separated GOOS/GOARCH")
	flag.Parse()
	if err := release(*version, *out, strings.Split(*targets, ",")); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

var semver = regexp.MustCompile(`^v\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$`)

func release(version, out string, targets []string) error {
	if !semver.MatchString(version) {
		return fmt.Errorf("-version %q: expected one such as v0.1.0", version)
	}
	if err := os.RemoveAll(out); err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	scratch, err := os.MkdirTemp("", "release")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	help, err := documentation(version, scratch)
	if err != nil {
		return err
	}
	archives := map[string]string{}
	for _, target := range targets {
		goos, goarch, ok := strings.Cut(target, "/")
		if !ok {
			return fmt.Errorf("-platforms %q: expected GOOS/GOARCH", target)
		}
		fmt.Fprintln(os.Stderr, target)
		program, err := build(version, goos, goarch, scratch)
		if err != nil {
			return err
		}
		base := filepath.Join(out, fmt.Sprintf("oneloop_%s_%s_%s", strings.TrimPrefix(version, "v"), goos, goarch))
		files, err := contents(program)
		if err != nil {
			return err
		}
		files = append(files, help...)
		archive := base + ".tar.gz"
		if goos == "windows" {
			archive = base + ".zip"
			err = writeZip(archive, files)
		} else {
			err = writeTar(archive, files)
		}
		if err != nil {
			return err
		}
		if err := writeSBOM(base+".cdx.json", program, version); err != nil {
			return err
		}
		archives[target] = filepath.Base(archive)
	}
	if err := writeKrew(out, version, targets, archives); err != nil {
		return err
	}
	return writeSums(out)
}

// build returns the path of the program.
func build(version, goos, goarch, scratch string) (string, error) {
	program := filepath.Join(scratch, goos+"-"+goarch, "oneloop")
	if goos == "windows" {
		program += ".exe"
	}
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false",
		"-ldflags", "-s -w -buildid= -X github.com/oneloop-dev/oneloop/pkg/cli.Version="+version, "-o", program, "./fn/oneloop")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+goos, "GOARCH="+goarch, "GOFLAGS=", "GOAMD64=v1", "GOARM64=v8.0")
	cmd.Stderr = os.Stderr
	return program, cmd.Run()
}

// A file is one of an archive.
type file struct {
	name string
	mode int64
	data []byte
}

func contents(program string) ([]file, error) {
	var out []file
	for _, path := range append([]string{program}, beside...) {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		f := file{filepath.Base(path), 0o644, data}
		if path == program {
			f.mode = 0o755
		}
		out = append(out, f)
	}
	return out, nil
}

// documentation makes the man pages, and the completions for shells.
func documentation(version, scratch string) ([]file, error) {
	folder := filepath.Join(scratch, "man")
	cmd := exec.Command("go", "run", "-C", "tests/tools/reference", "-trimpath", ".", "man", folder)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // as the programs, so that little is compiled
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, err
	}
	pages, err := filepath.Glob(filepath.Join(folder, "*.1"))
	if err != nil {
		return nil, err
	}
	var out []file
	for _, page := range pages {
		data, err := os.ReadFile(page)
		if err != nil {
			return nil, err
		}
		out = append(out, file{"man/" + filepath.Base(page), 0o644, data})
	}
	program, err := build(version, runtime.GOOS, runtime.GOARCH, scratch)
	if err != nil {
		return nil, err
	}
	for _, shell := range []string{"bash", "fish", "powershell", "zsh"} {
		cmd := exec.Command(program, "completion", shell)
		cmd.Stderr = os.Stderr
		data, err := cmd.Output()
		if err != nil {
			return nil, err
		}
		out = append(out, file{"completion/oneloop." + shell, 0o644, data})
	}
	return out, nil
}

func writeTar(path string, files []file) error {
	var buf bytes.Buffer
	compressed, err := gzip.NewWriterLevel(&buf, gzip.BestCompression)
	if err != nil {
		return err
	}
	w := tar.NewWriter(compressed)
	for _, f := range files {
		h := &tar.Header{Name: f.name, Mode: f.mode, Size: int64(len(f.data)), ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR}
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		if _, err := w.Write(f.data); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	if err := compressed.Close(); err != nil {
		return err
	}
	return os.WriteFile(path, buf.Bytes(), 0o644)
}

func writeZip(path string, files []file) error {
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for _, f := range files {
		h := &zip.FileHeader{Name: f.name, Method: zip.Deflate}
		h.SetMode(os.FileMode(f.mode))
		part, err := w.CreateHeader(h)
		if err != nil {
			return err
		}
		if _, err := part.Write(f.data); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	return os.WriteFile(path, buf.Bytes(), 0o644)
}

// A bom is the part of CycloneDX 1.6 that is known of a Go program.
type bom struct {
	Format      string      `json:"bomFormat"`
	SpecVersion string      `json:"specVersion"`
	Version     int         `json:"version"`
	Metadata    metadata    `json:"metadata"`
	Components  []component `json:"components"`
}

type metadata struct {
	Component component `json:"component"`
}

type component struct {
	Type    string `json:"type"`
	Ref     string `json:"bom-ref"`
	Name    string `json:"name"`
	Version string `json:"version"`
	PURL    string `json:"purl"`
}

// writeSBOM lists the modules that are linked, as the program itself tells.
func writeSBOM(path, program, version string) error {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return err
	}
	module := func(kind, name, version string) component {
		purl := "pkg:golang/" + strings.ToLower(name) + "@" + strings.ReplaceAll(version, "+", "%2B")
		return component{kind, purl, name, version, purl}
	}
	out := bom{Format: "CycloneDX", SpecVersion: "1.6", Version: 1, Metadata: metadata{module("application", info.Main.Path, version)}}
	out.Components = append(out.Components, module("library", "stdlib", strings.TrimPrefix(info.GoVersion, "go")))
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		out.Components = append(out.Components, module("library", m.Path, m.Version))
	}
	slices.SortFunc(out.Components, func(a, b component) int { return cmp.Compare(a.Ref, b.Ref) })
	text, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

// writeSums writes what sha256sum --check reads.
func writeSums(folder string) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	var out strings.Builder
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(folder, e.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&out, "%x  %s\n", sha256.Sum256(data), e.Name())
	}
	return os.WriteFile(filepath.Join(folder, "SHA256SUMS"), []byte(out.String()), 0o644)
}
