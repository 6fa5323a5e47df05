// Package load reads manifests from files, folders, globs and standard input,
// with the file and line of each.
package load

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// Files reads every argument in turn: a file, whatever its name; a folder, of
// which all *.yaml, *.yml and *.json files are read recursively, sorted by
// path; a glob (*, ?, [...] and ** for any folders), sorted by path, in which
// folders stand for their manifests; or "-" for stdin. A file that several arguments name is read once, at its first
// place. Hidden files and folders (.git, .github) are only read when an
// argument names them. A symbolic link that is found in a folder may lead to
// what is in that folder, in the working directory, or below them, and nowhere
// else; one that an argument names is followed wherever it leads.
//
// The error joins the faults of all files, each with file and line.
func Files(args []string, stdin io.Reader) ([]*resource.Resource, error) {
	return read(args, stdin, disk{})
}

// Below reads files, folders and globs like Files, but only such as lie in the
// folder root or below it, also after following symbolic links. Names are
// relative to root, and so are the origins. It never reads standard input.
func Below(root string, names []string) ([]*resource.Resource, error) {
	r, err := os.OpenRoot(root)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var errs []error
	for _, name := range names {
		if name == "-" {
			errs = append(errs, errors.New("standard input can't be named here; expected a file or folder"))
		} else if !filepath.IsLocal(filepath.Clean(name)) {
			errs = append(errs, outside(name))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return read(names, nil, confined{r})
}

// outside refuses a name that leads out of the folder of a function.
func outside(name string) error {
	return fmt.Errorf("%s: expected a path in the folder of the function or below it; args: [--root, FOLDER] of the function says which folder that is", name)
}

// FileBelow returns the text of a file that is no manifest, such as a
// certificate, and lies in the folder root or below it, also after following
// symbolic links. name is relative to root.
func FileBelow(root, name string) ([]byte, error) {
	r, err := os.OpenRoot(root)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if !filepath.IsLocal(filepath.Clean(name)) {
		return nil, outside(name)
	}
	f, err := r.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, resource.MaxInput+1))
	if err == nil && len(data) > resource.MaxInput {
		err = fmt.Errorf("%s: more than %d bytes", name, resource.MaxInput)
	}
	return data, err
}

// A Source is a file together with what it holds.
type Source struct {
	Name      string // as the user named it
	Data      []byte // its bytes, as they are
	Resources []*resource.Resource
}

// Names lists the files that arguments stand for, as Files reads them. A file
// that has several names, by symbolic links, is there under the first. Standard
// input is an error.
func Names(args []string) ([]string, error) {
	var out []string
	var errs []error
	seen := map[string]bool{}
	for _, arg := range args {
		if arg == "-" {
			errs = append(errs, errors.New("standard input can't be named here; expected a file or folder"))
			continue
		}
		names, err := expand(disk{}, arg)
		errs = append(errs, err)
		for _, name := range names {
			key, err := filepath.EvalSymlinks(name)
			if err != nil {
				errs = append(errs, err)
			} else if key, err = filepath.Abs(key); err != nil {
				errs = append(errs, err)
			} else if !seen[key] {
				seen[key] = true
				out = append(out, name)
			}
		}
	}
	return out, errors.Join(errs...)
}

// Read reads one file.
func Read(name string) (Source, error) {
	f, err := os.Open(name)
	if err != nil {
		return Source{}, err
	}
	defer f.Close()
	return readSource(f, name)
}

// Stdin reads standard input like a file; its name is "-".
func Stdin(in io.Reader) (Source, error) { return readSource(in, "-") }

func readSource(in io.Reader, name string) (Source, error) {
	// One byte over the limit is enough for Parse to refuse it.
	data, err := io.ReadAll(io.LimitReader(in, resource.MaxInput+1))
	if err != nil {
		return Source{}, fmt.Errorf("reading %s: %w", name, err)
	}
	rs, err := resource.Parse(name, data)
	return Source{name, data, rs}, err
}

// A tree is where files are read from. Names are as the user gave them.
type tree interface {
	Stat(name string) (fs.FileInfo, error)
	ReadDir(name string) ([]fs.DirEntry, error)
	Open(name string) (io.ReadCloser, error)
	// Holds refuses a name that was found in dir and leads out of the tree.
	Holds(dir, name string) error
	// Expected says what a name should have been that stands for nothing.
	Expected() string
}

type disk struct{}

func (disk) Stat(name string) (fs.FileInfo, error)      { return os.Stat(name) }
func (disk) ReadDir(name string) ([]fs.DirEntry, error) { return os.ReadDir(name) }
func (disk) Open(name string) (io.ReadCloser, error)    { return os.Open(name) }

func (disk) Expected() string {
	return "expected a file, a folder, a glob such as policies/*.yaml, or -"
}

// Holds keeps links within dir and the working directory: who writes manifests
// does not choose what else is read of the machine.
func (disk) Holds(dir, name string) error {
	to, err := target(name)
	if err != nil {
		return nil //nolint:nilerr // a broken link is an error when it is read, if it ever is
	}
	for _, root := range []string{dir, "."} {
		if root, err = target(root); err != nil {
			return err
		}
		if relative, err := filepath.Rel(root, to); err == nil && filepath.IsLocal(relative) {
			return nil
		}
	}
	return fmt.Errorf("%s: the link leads out of the folder and out of the working directory; start in the folder that holds both, or name the file that it leads to", name)
}

// target is the absolute path of a file without links in it.
func target(name string) (string, error) {
	to, err := filepath.EvalSymlinks(name)
	if err != nil {
		return "", err
	}
	return filepath.Abs(to)
}

type confined struct{ root *os.Root }

// Holds has nothing to do: the root follows no link that leads out of it.
func (confined) Holds(string, string) error { return nil }

func (confined) Expected() string {
	return "expected a file, a folder or a glob in the folder of the function; args: [--root, FOLDER] of the function says which folder that is"
}

func (c confined) Stat(name string) (fs.FileInfo, error)   { return c.root.Stat(name) }
func (c confined) Open(name string) (io.ReadCloser, error) { return c.root.Open(name) }
func (c confined) ReadDir(name string) ([]fs.DirEntry, error) {
	f, err := c.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	entries, err := f.ReadDir(-1)
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, err
}

func read(args []string, stdin io.Reader, from tree) ([]*resource.Resource, error) {
	var out []*resource.Resource
	var errs []error
	seen := map[string]bool{}
	for _, arg := range args {
		names, err := expand(from, arg)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, name := range names {
			key := filepath.Clean(name)
			if seen[key] {
				continue
			}
			seen[key] = true
			rs, err := readFile(from, name, stdin)
			errs = append(errs, err)
			out = append(out, rs...)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return out, nil
}

func readFile(from tree, name string, stdin io.Reader) ([]*resource.Resource, error) {
	in := stdin
	if name != "-" {
		f, err := from.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	} else if stdin == nil {
		return nil, errors.New("there is no standard input to read")
	}
	s, err := readSource(in, name)
	return s.Resources, err
}

// expand returns the files that an argument stands for.
func expand(from tree, arg string) ([]string, error) {
	if arg == "-" {
		return []string{arg}, nil
	}
	info, err := from.Stat(arg)
	switch {
	case err == nil && info.IsDir():
		names, err := manifests(from, arg)
		if err == nil && len(names) == 0 {
			err = fmt.Errorf("%s: the folder holds no *.yaml, *.yml or *.json file", arg)
		}
		return names, err
	case err == nil:
		return []string{arg}, nil
	case !strings.ContainsAny(arg, "*?["):
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%s: %w: %s", arg, fs.ErrNotExist, from.Expected())
		}
		return nil, err
	}
	names, err := glob(from, filepath.ToSlash(arg))
	if err == nil && len(names) == 0 {
		err = fmt.Errorf("%s: no file matches", arg)
	}
	return names, err
}

// manifests lists the manifest files in a folder and all below it.
func manifests(from tree, dir string) ([]string, error) {
	var out []string
	err := walk(from, dir, false, func(name string, isDir, link bool) error {
		if !isDir && !isManifest(name) {
			return nil
		}
		if !isDir {
			out = append(out, name)
		}
		if link {
			return from.Holds(dir, name)
		}
		return nil
	})
	slices.SortFunc(out, byPath)
	return out, err
}

// byPath sorts like a listing of folders: element by element.
func byPath(a, b string) int {
	return slices.Compare(strings.Split(filepath.ToSlash(a), "/"), strings.Split(filepath.ToSlash(b), "/"))
}

func isManifest(name string) bool {
	switch filepath.Ext(name) {
	case ".yaml", ".yml", ".json":
		return true
	}
	return false
}

// walk visits everything below dir. Links to folders are followed, but not to one
// that they lie in, which would be endless.
// What visit returns ends the walk, but fs.SkipDir only leaves out a folder.
func walk(from tree, dir string, hidden bool, visit func(name string, isDir, link bool) error, above ...fs.FileInfo) error {
	start := dir
	if start == "" {
		start = "."
	}
	info, err := from.Stat(start)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(above, func(a fs.FileInfo) bool { return os.SameFile(a, info) }) {
		return fmt.Errorf("%s: the link leads to a folder that it lies in; remove it, or name the files", dir)
	}
	above = append(slices.Clone(above), info)
	entries, err := from.ReadDir(start)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") && !hidden {
			continue
		}
		name := join(dir, e.Name())
		isDir := e.IsDir()
		link := e.Type()&fs.ModeSymlink != 0
		if link {
			// A broken link is an error when it is read, if it ever is.
			info, err := from.Stat(name)
			isDir = err == nil && info.IsDir()
		}
		err := visit(name, isDir, link)
		if errors.Is(err, fs.SkipDir) {
			continue
		}
		if err != nil {
			return err
		}
		if isDir {
			if err := walk(from, name, hidden, visit, above...); err != nil {
				return err
			}
		}
	}
	return nil
}

// join is filepath.Join, but keeps names as the user began them.
func join(dir, name string) string {
	if dir == "" {
		return name
	}
	if strings.HasSuffix(dir, string(filepath.Separator)) {
		return dir + name
	}
	return dir + string(filepath.Separator) + name
}

// glob returns the files that a pattern matches: what path.Match matches, and
// ** for any number of folders. A folder that matches stands for the manifests
// in it, and a last element of nothing but stars for manifests alone.
func glob(from tree, pattern string) ([]string, error) {
	elements := strings.Split(pattern, "/")
	for _, e := range elements {
		if _, err := path.Match(e, ""); err != nil {
			return nil, fmt.Errorf("%s: malformed pattern", pattern)
		}
	}
	// The folder to start in has no special characters.
	n := 0
	for n < len(elements)-1 && !strings.ContainsAny(elements[n], "*?[") {
		n++
	}
	dir := strings.Join(elements[:n], "/")
	if dir == "" && n > 0 {
		dir = "/"
	}
	start := dir
	if start == "" {
		start = "."
	}
	if info, err := from.Stat(filepath.FromSlash(start)); err != nil || !info.IsDir() {
		return nil, nil // nothing matches
	}
	hidden := false
	for _, e := range elements[n:] {
		hidden = hidden || strings.HasPrefix(e, ".")
	}
	var out, folders []string
	top := filepath.FromSlash(start)
	err := walk(from, top, hidden, func(name string, isDir, link bool) error {
		relative := filepath.ToSlash(strings.TrimPrefix(strings.TrimPrefix(name, filepath.FromSlash(start)), string(filepath.Separator)))
		if dir == "" {
			name = filepath.FromSlash(relative)
		}
		found := strings.Split(relative, "/")
		if isDir && link {
			if !reaches(elements[n:], found) {
				return fs.SkipDir
			}
			if err := from.Holds(top, name); err != nil {
				return err
			}
		}
		switch {
		case !matches(elements[n:], found):
		case isDir:
			folders = append(folders, name)
		case isManifest(name) || strings.Trim(elements[len(elements)-1], "*") != "":
			out = append(out, name)
			if link {
				return from.Holds(top, name)
			}
		}
		return nil
	})
	for _, f := range folders {
		names, folderErr := manifests(from, f)
		out, err = append(out, names...), errors.Join(err, folderErr)
	}
	slices.SortFunc(out, byPath)
	return slices.Compact(out), err
}

// reaches reports whether a pattern may match the folder name, or what is in it.
func reaches(pattern, name []string) bool {
	if len(name) == 0 || len(pattern) > 0 && pattern[0] == "**" {
		return true
	}
	if len(pattern) == 0 {
		return false
	}
	ok, _ := path.Match(pattern[0], name[0])
	return ok && reaches(pattern[1:], name[1:])
}

func matches(pattern, name []string) bool {
	if len(pattern) == 0 {
		return len(name) == 0
	}
	if pattern[0] == "**" {
		for i := range len(name) + 1 {
			if matches(pattern[1:], name[i:]) {
				return true
			}
		}
		return false
	}
	if len(name) == 0 {
		return false
	}
	if strings.HasPrefix(name[0], ".") && !strings.HasPrefix(pattern[0], ".") {
		return false
	}
	ok, _ := path.Match(pattern[0], name[0])
	return ok && matches(pattern[1:], name[1:])
}
