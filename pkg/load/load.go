// Package load reads manifests from files, folders and standard input.
package load

import (
	"errors"
	"io"

	"github.com/oneloop-dev/oneloop/pkg/resource"
)

var errTODO = errors.New("not built yet")

// Files reads files, folders, globs, and "-" for standard input.
func Files(args []string, stdin io.Reader) ([]*resource.Resource, error) { return nil, errTODO }

// Below reads files, folders and globs that lie in or below the folder root;
// names are relative to it.
func Below(root string, names []string) ([]*resource.Resource, error) { return nil, errTODO }
