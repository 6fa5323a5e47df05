// Package artifact builds OCI artifacts of manifests in the form that Flux's
// source controller reads. It opens no file and no connection, and the same
// files give the same bytes whatever the machine, the user and the day.
package artifact

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"
)

// The media types of an artifact, as Flux's own client writes them.
const (
	ManifestType = "application/vnd.oci.image.manifest.v1+json"
	ConfigType   = "application/vnd.cncf.flux.config.v1+json"
	LayerType    = "application/vnd.cncf.flux.content.v1.tar+gzip"
)

// The annotations that Flux shows where it speaks of an artifact.
const (
	CreatedKey  = "org.opencontainers.image.created"
	SourceKey   = "org.opencontainers.image.source"
	RevisionKey = "org.opencontainers.image.revision"
)

// An Artifact is what a registry stores: a manifest, and the two blobs that it
// names.
type Artifact struct {
	Manifest, Config, Layer Blob
}

// A Blob is bytes with their digest, such as sha256:4db1...
type Blob struct {
	MediaType string
	Digest    string
	Data      []byte
}

// New makes an artifact of files: their contents by name, relative and with
// slashes. created is what its annotation and its configuration say, in UTC and
// whole seconds. The other annotations are as given; those of which New takes
// care, and empty ones, are errors.
//
// In the archive files are sorted by name, belong to user 0 and group 0, and have
// the mode 0644 and the time 1970-01-01T00:00:00Z.
func New(files map[string][]byte, created time.Time, annotations map[string]string) (Artifact, error) {
	var a Artifact
	if len(files) == 0 {
		return a, errors.New("no files: expected at least one")
	}
	when := created.UTC().Format(time.RFC3339)
	all := map[string]string{CreatedKey: when}
	for key, value := range annotations {
		switch {
		case key == CreatedKey:
			return a, fmt.Errorf("annotation %s: it is the time of creation, which is given on its own", key)
		case key == "" || value == "":
			return a, fmt.Errorf("annotation %q=%q: expected a key and a value", key, value)
		}
		all[key] = value
	}
	archive, err := pack(files)
	if err != nil {
		return a, err
	}
	var compressed bytes.Buffer
	w := gzip.NewWriter(&compressed)
	_, err = w.Write(archive)
	if err := errors.Join(err, w.Close()); err != nil {
		return a, err
	}
	a.Layer = blob(LayerType, compressed.Bytes())
	// An image's configuration, so that what knows images only can read it, too.
	a.Config, err = jsonBlob(ConfigType, config{
		Created: when,
		RootFS:  rootFS{Type: "layers", DiffIDs: []string{digest(archive)}},
	})
	if err != nil {
		return a, err
	}
	a.Manifest, err = jsonBlob(ManifestType, manifest{
		SchemaVersion: 2,
		MediaType:     ManifestType,
		Config:        a.Config.descriptor(),
		Layers:        []descriptor{a.Layer.descriptor()},
		Annotations:   all,
	})
	return a, err
}

// pack writes the archive.
func pack(files map[string][]byte) ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		// The last two are what Flux refuses when it unpacks.
		if !fs.ValidPath(name) || name == "." || strings.Contains(name, `\`) || strings.Contains(name, "../") {
			return nil, fmt.Errorf("file name %q: expected a relative path with slashes that stays in its folder", name)
		}
		err := w.WriteHeader(&tar.Header{
			Typeflag: tar.TypeReg, Name: name, Size: int64(len(files[name])), Mode: 0o644, ModTime: time.Unix(0, 0),
		})
		if err == nil {
			_, err = w.Write(files[name])
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	err := w.Close()
	return out.Bytes(), err
}

type manifest struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	Config        descriptor        `json:"config"`
	Layers        []descriptor      `json:"layers"`
	Annotations   map[string]string `json:"annotations"`
}

type descriptor struct {
	MediaType string `json:"mediaType"`
	Size      int    `json:"size"`
	Digest    string `json:"digest"`
}

type config struct {
	Architecture string   `json:"architecture"`
	Created      string   `json:"created"`
	OS           string   `json:"os"`
	RootFS       rootFS   `json:"rootfs"`
	Config       struct{} `json:"config"`
}

type rootFS struct {
	Type    string   `json:"type"`
	DiffIDs []string `json:"diff_ids"`
}

func jsonBlob(mediaType string, v any) (Blob, error) {
	data, err := json.Marshal(v)
	return blob(mediaType, data), err
}

func blob(mediaType string, data []byte) Blob { return Blob{mediaType, digest(data), data} }

func (b Blob) descriptor() descriptor { return descriptor{b.MediaType, len(b.Data), b.Digest} }

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}
