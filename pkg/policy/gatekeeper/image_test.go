package gatekeeper

import (
	"strings"
	"testing"
)

const sha = "@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func TestImageParts(t *testing.T) {
	for _, tt := range []struct {
		parts     imageParts
		was, want string
	}{
		{imageParts{domain: "r.example.com"}, "web", "r.example.com/web"},
		{imageParts{domain: "r.example.com"}, "team/web:1", "r.example.com/team/web:1"},
		{imageParts{domain: "r.example.com"}, "docker.io/team/web:1", "r.example.com/team/web:1"},
		{imageParts{domain: "localhost"}, "localhost:5000/web", "localhost/web"},
		// What has neither a dot nor a port is no domain.
		{imageParts{domain: "r.example.com"}, "local/web", "r.example.com/local/web"},
		{imageParts{path: "app"}, "docker.io/team/web:1", "docker.io/app:1"},
		{imageParts{path: "app"}, "docker.io/team/web" + sha, "docker.io/app" + sha},
		{imageParts{tag: ":2"}, "docker.io:443/team/web:1", "docker.io:443/team/web:2"},
		{imageParts{tag: ":2"}, "web", "web:2"},
		// A digest takes the place of the tag, and of tag and digest.
		{imageParts{tag: sha}, "web:1", "web" + sha},
		{imageParts{tag: ":2"}, "web:1" + sha, "web:2"},
		{imageParts{domain: "r.example.com", path: "team/app", tag: ":2"}, "", "r.example.com/team/app:2"},
		{imageParts{tag: ":2"}, "", ":2"},
		{imageParts{path: "app"}, "docker.io/", "docker.io/app"},
	} {
		if field, err := tt.parts.check(); err != nil {
			t.Errorf("%+v: %s: %v", tt.parts, field, err)
		}
		got, write, err := tt.parts.field(tt.was, true, nil)
		if got != tt.want || !write || err != nil {
			t.Errorf("%+v on %q: got %v, %t, %v; want %q", tt.parts, tt.was, got, write, err, tt.want)
		}
		// Once is enough.
		if again, _, err := tt.parts.field(got, true, nil); again != got || err != nil {
			t.Errorf("%+v on %q: first %q, then %v, %v", tt.parts, tt.was, got, again, err)
		}
	}
}

func TestImagePartsFaults(t *testing.T) {
	for _, tt := range []struct {
		parts       imageParts
		field, want string
	}{
		{imageParts{}, "", "expected assignDomain, assignPath or assignTag"},
		{imageParts{domain: "registry"}, "assignDomain", "expected a domain with a dot"},
		{imageParts{domain: "r.example.com/"}, "assignDomain", ""},
		{imageParts{domain: "r.example.com:"}, "assignDomain", ""},
		{imageParts{domain: ".example.com"}, "assignDomain", ""},
		{imageParts{path: "Team/web"}, "assignPath", "in lower case"},
		{imageParts{path: "team//web"}, "assignPath", ""},
		{imageParts{path: "/web"}, "assignPath", ""},
		{imageParts{path: "web:1"}, "assignPath", ""},
		{imageParts{path: "web-"}, "assignPath", ""},
		{imageParts{path: "a___b"}, "assignPath", ""},
		{imageParts{tag: "1"}, "assignTag", "expected a tag with its colon"},
		{imageParts{tag: ":"}, "assignTag", ""},
		{imageParts{tag: ":" + strings.Repeat("a", 129)}, "assignTag", ""},
		{imageParts{tag: "@sha256:0123"}, "assignTag", ""},
		{imageParts{tag: ":1" + sha}, "assignTag", ""},
		// It would be added to the domain again each time.
		{imageParts{path: "r.example.com/web"}, "assignPath", "begins like a domain"},
	} {
		field, err := tt.parts.check()
		if err == nil || field != tt.field || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: got %q %v, want %q %s", tt.parts, field, err, tt.field, tt.want)
		}
	}
	if field, err := (imageParts{domain: "r.example.com", path: "r.example.com/web"}).check(); err != nil {
		t.Errorf("with a domain, a path may look like one: %s: %v", field, err)
	}
	if _, _, err := (imageParts{tag: ":1"}).field(int64(7), true, nil); err == nil || !strings.Contains(err.Error(), "the number 7") {
		t.Errorf("a number as an image: %v", err)
	}
}
