package load

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

// Folder returns all files in a folder and below it, manifests or not, by their
// names relative to it and with slashes. Hidden files and folders are left out,
// and returned sorted as hidden, but for those called as one of keep.
//
// A symbolic link stands for the file that it leads to, in the folder or below
// it. One that leads elsewhere, nowhere or to a folder is an error, and so is
// what is no regular file. The error joins all faults.
func Folder(dir string, keep ...string) (files map[string][]byte, hidden []string, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, nil, err
	}
	defer root.Close()
	files = map[string][]byte{}
	var errs []error
	left := int64(resource.MaxInput)
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		at := filepath.Join(dir, filepath.FromSlash(name))
		switch {
		case err != nil:
			return err
		case name == ".":
			return nil
		case strings.HasPrefix(d.Name(), ".") && !slices.Contains(keep, d.Name()):
			hidden = append(hidden, name)
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir():
			return nil
		}
		data, err := readRegular(root, filepath.FromSlash(name), left+1)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", at, err))
			return nil
		}
		if left -= int64(len(data)); left < 0 {
			return fmt.Errorf("%s: the files have more than %d MiB: name a folder with nothing but manifests", dir, resource.MaxInput>>20)
		}
		files[name] = data
		return nil
	})
	slices.Sort(hidden)
	return files, hidden, errors.Join(append(errs, err)...)
}

// readRegular reads a regular file or, through links, one below root: at most
// limit bytes.
func readRegular(root *os.Root, name string, limit int64) ([]byte, error) {
	// Opening a pipe would wait for who writes to it.
	info, err := root.Stat(name)
	if err != nil {
		if l, linkErr := root.Lstat(name); linkErr == nil && l.Mode()&fs.ModeSymlink != 0 {
			return nil, errors.New("the link leads out of the folder, or nowhere: put the file in its place")
		}
		return nil, err
	}
	if info.IsDir() {
		return nil, errors.New("the link leads to a folder: put its files in its place")
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("it is %s: expected a regular file", info.Mode().Type())
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit))
}
