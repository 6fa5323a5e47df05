package suite

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// Find lists the files called name in the folders that args name and in all
// below them, hidden ones too; an argument that is a file is one of a suite,
// whatever its name. Links to folders are not followed. Nothing is fetched.
func Find(args []string, name string) ([]string, error) {
	var out []string
	var errs []error
	for _, arg := range args {
		if remote(arg) {
			errs = append(errs, fmt.Errorf("%s: suites are not fetched; clone the repository and name the folder", arg))
			continue
		}
		found, err := find(arg, name)
		if err != nil {
			errs = append(errs, err)
		} else if len(found) == 0 {
			errs = append(errs, fmt.Errorf("%s: no %s in the folder or below it", arg, name))
		}
		for _, f := range found {
			if !slices.Contains(out, f) {
				out = append(out, f)
			}
		}
	}
	return out, errors.Join(errs...)
}

func find(arg, name string) ([]string, error) {
	info, err := os.Stat(arg)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{arg}, nil
	}
	var out []string
	err = filepath.WalkDir(arg, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && e.Name() == ".git":
			return filepath.SkipDir
		case !e.IsDir() && e.Name() == name:
			out = append(out, path)
		}
		return nil
	})
	return out, err
}

// remote reports whether a name is a URL, or a place that only git knows.
func remote(name string) bool {
	return strings.Contains(name, "://") || strings.HasPrefix(name, "git@")
}

// Open reads the suites of a file.
func Open(file string) ([]*Suite, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	// One byte over the limit is enough for Read to refuse it.
	data, err := io.ReadAll(io.LimitReader(f, resource.MaxInput+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", file, err)
	}
	return Read(file, data)
}
