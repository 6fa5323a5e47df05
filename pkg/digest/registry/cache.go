package registry

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// A cache keeps manifests and configurations in a folder, by their digest, in
// the layout of an OCI image layout's blobs. Tags are never kept: what they
// point at is what a run asks for. The empty string keeps nothing.
type cache string

func (c cache) file(h v1.Hash) string {
	return filepath.Join(string(c), "blobs", h.Algorithm, h.Hex)
}

// get returns what has the digest h. The bytes are hashed again: what somebody
// or something changed is as good as not there.
func (c cache) get(h v1.Hash) ([]byte, bool) {
	if c == "" || h.Algorithm != "sha256" {
		return nil, false
	}
	info, err := os.Stat(c.file(h))
	if err != nil || info.Size() > maxBody {
		return nil, false
	}
	data, err := os.ReadFile(c.file(h))
	if err != nil || !hasDigest(data, h) {
		return nil, false
	}
	return data, true
}

// put keeps data, whose digest is h. Other processes may do the same.
func (c cache) put(h v1.Hash, data []byte) error {
	if c == "" || h.Algorithm != "sha256" || !hasDigest(data, h) {
		return nil
	}
	// Only the user may read it: it may come from a private registry.
	dir := filepath.Dir(c.file(h))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("the cache: %w", err)
	}
	f, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return fmt.Errorf("the cache: %w", err)
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), c.file(h))
	}
	if err != nil {
		_ = os.Remove(f.Name()) // of no use; err says what is wrong
		return fmt.Errorf("the cache: %w", err)
	}
	return nil
}

func hasDigest(data []byte, h v1.Hash) bool {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]) == h.Hex
}
