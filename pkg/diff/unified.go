package diff

import (
	"fmt"
	"io"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// WriteUnified writes the text of each resource that differs as a unified diff.
// Secrets are named and not shown.
func WriteUnified(w io.Writer, before, after []*resource.Resource) error {
	was := map[resource.ID]*resource.Resource{}
	for _, r := range before {
		was[r.ID()] = r
	}
	for _, r := range after {
		var old []byte
		var err error
		name := "/dev/null"
		if b := was[r.ID()]; b != nil {
			if !r.Changed() {
				continue
			}
			if old, err = b.AppendYAML(nil); err != nil {
				return err
			}
			name = b.ID().String()
			if at := b.Origin().String(); at != "" {
				name += " (" + at + ")"
			}
		}
		if k := r.ID().Kind; k.Group == "" && k.Kind == "Secret" {
			if _, err := fmt.Fprintf(w, "Secret %s differs\n", r.ID()); err != nil {
				return err
			}
			continue
		}
		now, err := r.AppendYAML(nil)
		if err != nil {
			return err
		}
		text := diff.Diff(name, old, r.ID().String(), now)
		if _, err := w.Write(text); err != nil {
			return err
		}
	}
	return nil
}
