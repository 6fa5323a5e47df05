package krm

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/kustomize/kyaml/kio"
	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// errPanic says that kyaml panicked, as it does on metadata that is a list.
var errPanic = errors.New("kyaml panicked")

// kyamlNoOp is what a function built on kyaml writes that does nothing.
func kyamlNoOp(t testing.TB, in []byte) (_ string, err error) {
	t.Helper()
	defer func() {
		if p := recover(); p != nil {
			err = errPanic
		}
	}()
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
	return written(list)
}

func written(list *ResourceList) (string, error) {
	var out bytes.Buffer
	if err := list.Write(&out, nil); err != nil {
		return "", err
	}
	return out.String(), nil
}

// KRM_SAMPLES names more ResourceLists, as a glob.
func TestUntouchedItemsComeOutAsFromKyaml(t *testing.T) {
	files, err := filepath.Glob(os.Getenv("KRM_SAMPLES"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		in, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		lists[filepath.Base(file)] = string(in)
	}
	for name, in := range lists {
		t.Run(name, func(t *testing.T) {
			want, err := kyamlNoOp(t, []byte(in))
			if err != nil {
				t.Fatal(err)
			}
			got, err := noOp(t, []byte(in))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("(-kyaml +ours):\n%s", d)
			}
		})
	}
}

func kyamlRead(t testing.TB, in string, out *bytes.Buffer) ([]*yaml.RNode, *kio.ByteReadWriter) {
	t.Helper()
	rw := &kio.ByteReadWriter{
		Reader: bytes.NewReader([]byte(in)), Writer: out,
		OmitReaderAnnotations: true, KeepReaderAnnotations: true,
	}
	nodes, err := rw.Read()
	if err != nil {
		t.Fatal(err)
	}
	return nodes, rw
}
