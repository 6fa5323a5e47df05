package cli

import (
	"strings"
	"testing"
	"time"
)

// What CI systems put into the URL of a clone does not get out.
func TestWithoutPassword(t *testing.T) {
	for source, want := range map[string]string{
		"https://git.example.com/shop.git":               "https://git.example.com/shop.git",
		"https://ci-token:s3cret@git.example.com/shop":   "https://git.example.com/shop",
		"https://s3cret@git.example.com/shop":            "https://git.example.com/shop",
		"https://x:s3cret@git.example.com:8443/a?b=c#d":  "https://git.example.com:8443/a?b=c#d",
		"ssh://git@git.example.com/shop.git":             "ssh://git@git.example.com/shop.git",
		"ssh://git:s3cret@git.example.com/shop.git":      "ssh://git.example.com/shop.git",
		"git@git.example.com:team/shop.git":              "git@git.example.com:team/shop.git",
		"../shop":                                        "../shop",
		"https://user:%zz@git.example.com/not/a/url.git": "https://git.example.com/not/a/url.git",
	} {
		got, secret := withoutPassword(source)
		if got != want || secret != (got != source) || strings.Contains(got, "s3cret") {
			t.Errorf("withoutPassword(%q) = %q, %t; want %q", source, got, secret, want)
		}
	}
}

func TestPushTags(t *testing.T) {
	for _, tt := range []struct {
		target string
		more   []string
		want   string // or part of the error
	}{
		{"oci://ghcr.io/team/shop:v1", nil, "ghcr.io/team/shop:v1"},
		{"oci://ghcr.io/team/shop:v1", []string{"latest", "v1", "latest"}, "ghcr.io/team/shop:v1 ghcr.io/team/shop:latest"},
		{"oci://localhost:5000/shop:v1", []string{"b"}, "localhost:5000/shop:v1 localhost:5000/shop:b"},
		{"oci://docker.io/team/shop:v1", nil, "index.docker.io/team/shop:v1"},
		{"https://ghcr.io/team/shop:v1", nil, "expected oci://HOST/REPOSITORY:TAG"},
		{"oci://ghcr.io/team/shop:", nil, "expected oci://HOST/REPOSITORY:TAG"},
		{"oci://ghcr.io/Team/shop:v1", nil, "expected oci://HOST/REPOSITORY:TAG"},
		{"oci://", nil, "expected oci://HOST/REPOSITORY:TAG"},
		{"oci://ghcr.io/team/shop:v1", []string{""}, `--tag "": expected a tag alone`},
		{"oci://ghcr.io/team/shop:v1", []string{"a:b"}, `--tag "a:b": expected a tag alone`},
		{"oci://ghcr.io/team/shop:v1", []string{"a b"}, `--tag "a b": expected a tag alone`},
	} {
		tags, err := pushTags(tt.target, tt.more)
		var names []string
		for _, tag := range tags {
			names = append(names, tag.Name())
		}
		got := strings.Join(names, " ")
		if err != nil {
			got = err.Error()
		}
		if got != tt.want && (err == nil || !strings.Contains(got, tt.want)) {
			t.Errorf("pushTags(%q, %q): %s; want %s", tt.target, tt.more, got, tt.want)
		}
	}
}

func TestCreation(t *testing.T) {
	for _, tt := range []struct{ flag, epoch, want string }{
		{"", "", "1970-01-01T00:00:00Z"},
		{"", "1700000000", "2023-11-14T22:13:20Z"},
		{"2026-01-31T01:00:00+01:00", "1700000000", "2026-01-31T00:00:00Z"},
		{"now", "", "--created"},
		{"2026-01-31", "", "--created"},
		{"", "-1", "SOURCE_DATE_EPOCH"},
		{"", "1e9", "SOURCE_DATE_EPOCH"},
		{"", "99999999999999", "SOURCE_DATE_EPOCH"},
	} {
		created, err := creation(tt.flag, tt.epoch)
		got := created.UTC().Format(time.RFC3339)
		if err != nil {
			got = err.Error()
		}
		if got != tt.want && (err == nil || !strings.HasPrefix(got, tt.want)) {
			t.Errorf("creation(%q, %q): %s; want %s", tt.flag, tt.epoch, got, tt.want)
		}
	}
}

func TestContent(t *testing.T) {
	files := map[string][]byte{"a.yaml": nil, "b.yaml": nil}
	for want, c := range map[string]content{
		"1 manifest in 2 files":                                                {files: files, manifests: 1},
		"3 manifests in 2 files; left out as hidden: .a, .b":                   {files: files, manifests: 3, hidden: []string{".a", ".b"}},
		"0 manifests in 2 files; left out as hidden: 1, 2, 3, 4, 5 and 2 more": {files: files, hidden: strings.Split("1234567", "")},
	} {
		if got := c.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
