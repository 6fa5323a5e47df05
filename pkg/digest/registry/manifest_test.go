package registry

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/types"
)

func TestCheckManifest(t *testing.T) {
	const (
		oci    = "application/vnd.oci.image.manifest.v1+json"
		index  = "application/vnd.oci.image.index.v1+json"
		docker = "application/vnd.docker.distribution.manifest.v2+json"
		list   = "application/vnd.docker.distribution.manifest.list.v2+json"
	)
	tests := []struct {
		contentType, data string
		want              string // part of the error; "": none
	}{
		{oci, `{"schemaVersion":2,"config":{},"layers":[]}`, ""},
		{oci, `{"schemaVersion":2,"mediaType":"` + oci + `","config":{},"layers":[]}`, ""},
		{oci + "; charset=utf-8", `{"schemaVersion":2,"config":{},"layers":[]}`, ""},
		{docker, `{"schemaVersion":2,"mediaType":"` + docker + `","config":{}}`, ""},
		{index, `{"schemaVersion":2,"manifests":[]}`, ""},
		{list, `{"schemaVersion":2,"mediaType":"` + list + `","manifests":[]}`, ""},

		{"text/html", `<html>log in to the hotel's network</html>`, `content type "text/html": expected an image manifest or an index`},
		{"application/json", `{"schemaVersion":2}`, "content type"},
		{"", `{"schemaVersion":2}`, "content type"},
		{"application/vnd.oci.artifact.manifest.v1+json", `{"schemaVersion":2}`, "content type"},
		{"application/vnd.docker.distribution.manifest.v1+prettyjws", `{"schemaVersion":1}`, "schema 1"},
		{"application/vnd.docker.distribution.manifest.v1+json", `{"schemaVersion":1}`, "schema 1"},
		{oci, `{"schemaVersion":1,"fsLayers":[]}`, "schema 1"},
		{oci, `{"schemaVersion":3}`, "schemaVersion 3: expected 2"},
		{oci, `{}`, "schemaVersion 0"},
		{oci, `{"schemaVersion":2,"config":{`, "no JSON, or not all of it came"},
		{oci, ``, "no JSON"},
		{oci, `[]`, "no JSON"},
		// Two clients could read two images out of one digest.
		{oci, `{"schemaVersion":2,"mediaType":"` + index + `","manifests":[]}`, "the registry says that the manifest is " + oci},
		{index, `{"schemaVersion":2,"manifests":[],"layers":[]}`, "an index and an image at once"},
		{index, `{"schemaVersion":2,"manifests":[],"config":{}}`, "an index and an image at once"},
		{oci, `{"schemaVersion":2,"manifests":[],"config":{}}`, "an index and an image at once"},
	}
	for _, test := range tests {
		m := manifest{mediaType: mediaTypeOf(types.MediaType(test.contentType)), data: []byte(test.data)}
		err := m.check()
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s %s: %v, want %q", test.contentType, test.data, err, test.want)
		}
		if strings.Contains(test.want, "schema 1") && !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s: %v does not say that it is unsupported", test.contentType, err)
		}
	}
}

// Whatever a registry sends is an answer or an error.
func FuzzManifest(f *testing.F) {
	f.Add("application/vnd.oci.image.index.v1+json", []byte(`{"schemaVersion":2,"manifests":[{"digest":"sha256:00","platform":{"os":"linux"}}]}`))
	f.Add("application/vnd.oci.image.manifest.v1+json; charset=\"", []byte(`{"schemaVersion":2,"config":{"digest":"x"}}`))
	f.Add("", []byte(`[1e999, 18446744073709551616, null]`))
	f.Fuzz(func(t *testing.T, contentType string, data []byte) {
		m := manifest{mediaType: mediaTypeOf(types.MediaType(contentType)), data: data}
		_ = m.check()
		_ = ownMediaType(data)
		_, _ = decode(data)
	})
}
