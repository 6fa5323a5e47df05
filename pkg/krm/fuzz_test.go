package krm

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzNoOp holds a function that does nothing against one built on kyaml.
// Where kyaml fails we may fail; where it succeeds and we do too, every byte
// must be the same.
func FuzzNoOp(f *testing.F) {
	for _, in := range lists {
		f.Add(in)
	}
	f.Fuzz(func(t *testing.T, in string) {
		split, err := readSplit(in)
		if err != nil {
			return // read as a whole, like kyaml does
		}
		if len(split.Items) == 0 && split.FunctionConfig == nil {
			return // kyaml takes it for a manifest
		}
		got, err := written(split)
		if err != nil {
			t.Skipf("nothing to compare: %v", err)
		}
		want, err := kyamlNoOp(t, []byte(in))
		if errors.Is(err, errPanic) || err != nil && strings.Contains(err.Error(), "wrong node kind") {
			return
		}
		if err != nil {
			t.Fatalf("accepted what kyaml refuses: %v\n%s", err, in)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatalf("(-kyaml +ours):\n%s\n%q", d, in)
		}
	})
}
