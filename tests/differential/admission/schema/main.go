// Command schema writes the schemas of the built-in kinds that package apply
// carries, from the OpenAPI documents of Kubernetes.
package main

import (
	"flag"
	"log"
	"os"

	"github.com/oneloop-dev/oneloop/tests/differential/admission/schema/table"
)

func main() {
	out := flag.String("o", "", "file to write")
	flag.Parse()
	text, err := table.Generate()
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(*out, text, 0o644); err != nil {
		log.Fatal(err)
	}
}
