// Package load reads manifests from files, folders and standard input.
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

// Files reads every document that args name, in the order of args: files,
// folders (all .yaml, .yml and .json files below them, sorted by path), globs
// (sorted, quoted so that the shell leaves them alone) and - for stdin. The
// error joins the faults of all files. A folder or glob without any such file
// is a fault.
func Files(args []string, stdin io.Reader) ([]*resource.Resource, error) {
	var out []*resource.Resource
	var errs []error
	for _, arg := range args {
		if arg == "-" {
			data, err := io.ReadAll(stdin)
			if err == nil {
				out, err = parse(out, "-", data)
			}
			errs = append(errs, err)
			continue
		}
		names, err := expand(arg)
		errs = append(errs, err)
		for _, name := range names {
			data, err := os.ReadFile(name)
			if err == nil {
				out, err = parse(out, name, data)
			}
			errs = append(errs, err)
		}
	}
	return out, errors.Join(errs...)
}

func parse(out []*resource.Resource, name string, data []byte) ([]*resource.Resource, error) {
	docs, err := resource.Parse(name, data)
	return append(out, docs...), err
}

// expand lists the files that one argument names.
func expand(arg string) ([]string, error) {
	info, err := os.Stat(arg)
	switch {
	case err == nil && info.IsDir():
		return notEmpty(arg, "folder", func() ([]string, error) {
			names, err := below(os.DirFS(arg), ".")
			for i, n := range names {
				names[i] = filepath.Join(arg, filepath.FromSlash(n))
			}
			return names, err
		})
	case err == nil:
		return []string{arg}, nil
	case errors.Is(err, fs.ErrNotExist) && strings.ContainsAny(arg, "*?["):
		return notEmpty(arg, "glob", func() ([]string, error) { return filepath.Glob(arg) })
	}
	return nil, err
}

func notEmpty(arg, what string, list func() ([]string, error)) ([]string, error) {
	names, err := list()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", arg, err)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%s: the %s has no .yaml, .yml or .json file", arg, what)
	}
	return names, nil
}

// below lists the manifests in a folder and all folders under it, sorted by
// path. Hidden folders, such as .git, are left out.
func below(fsys fs.FS, dir string) ([]string, error) {
	var names []string
	err := fs.WalkDir(fsys, dir, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name != dir && strings.HasPrefix(entry.Name(), "."):
			return fs.SkipDir
		case !entry.IsDir() && slices.Contains([]string{".yaml", ".yml", ".json"}, path.Ext(name)):
			names = append(names, name)
		}
		return nil
	})
	slices.Sort(names)
	return names, err
}

// Below reads files, folders and globs that lie in or below the folder root,
// for names that come from a functionConfig and not from a person: a name or a
// symbolic link that leads elsewhere is refused.
func Below(root string, names []string) ([]*resource.Resource, error) {
	dir, err := os.OpenRoot(root)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	fsys := dir.FS()
	var out []*resource.Resource
	var errs []error
	for _, name := range names {
		files, err := expandBelow(fsys, name)
		errs = append(errs, err)
		for _, f := range files {
			data, err := fs.ReadFile(fsys, f)
			if err == nil {
				out, err = parse(out, f, data)
			}
			errs = append(errs, err)
		}
	}
	return out, errors.Join(errs...)
}

func expandBelow(fsys fs.FS, name string) ([]string, error) {
	clean := path.Clean(filepath.ToSlash(name))
	if !fs.ValidPath(clean) {
		return nil, fmt.Errorf("%s: expected a file below the working directory of the function; to allow another folder, run the function with --root FOLDER and name files relative to it", name)
	}
	info, err := fs.Stat(fsys, clean)
	switch {
	case err == nil && info.IsDir():
		return notEmpty(name, "folder", func() ([]string, error) { return below(fsys, clean) })
	case err == nil:
		return []string{clean}, nil
	case errors.Is(err, fs.ErrNotExist) && strings.ContainsAny(clean, "*?["):
		return notEmpty(name, "glob", func() ([]string, error) { return fs.Glob(fsys, clean) })
	}
	return nil, err
}
