// Command oneloop applies Kubernetes mutation policies to manifests when they
// are rendered, as a KRM function and from the command line.
package main

import (
	"os"

	"github.com/oneloop-dev/oneloop/pkg/cli"
)

func main() {
	os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
