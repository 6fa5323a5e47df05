package krm

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/kustomize/kyaml/kio"
)

// kyamlNoOp is what a function built on kyaml writes that does nothing.
func kyamlNoOp(t testing.TB, in []byte) (string, error) {
	t.Helper()
	var out bytes.Buffer
	rw := &kio.ByteReadWriter{
		Reader: bytes.NewReader(in), Writer: &out,
		OmitReaderAnnotations: true, KeepReaderAnnotations: true,
	}
	nodes, err := rw.Read()
	if err != nil {
		return "", err
	}
	if err := rw.Write(nodes); err != nil {
		return "", err
	}
	return out.String(), nil
}

func noOp(t testing.TB, in []byte) (string, error) {
	t.Helper()
	list, err := Read(in)
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	if err := list.Write(&out, nil); err != nil {
		return "", err
	}
	return out.String(), nil
}

func TestUntouchedItemsComeOutAsFromKyaml(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if extra := os.Getenv("KRM_SAMPLES"); extra != "" {
		more, _ := filepath.Glob(extra)
		files = append(files, more...)
	}
	if err != nil || len(files) == 0 {
		t.Fatalf("no samples: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			in, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			want, err := kyamlNoOp(t, in)
			if err != nil {
				t.Fatal(err)
			}
			got, err := noOp(t, in)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("(-kyaml +ours):\n%s", d)
			}
		})
	}
}
