package cli

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/oneloop-dev/oneloop/pkg/digest"
	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// A missing fact only decides the exit code when nothing worse happened.
func TestExitCode(t *testing.T) {
	missing := &policyError{fmt.Errorf("labels: %w", facts.ErrMissing)}
	unlocked := &policyError{fmt.Errorf("nginx: %w", digest.ErrMissing)}
	unsupported := fmt.Errorf("generate: %w", errors.ErrUnsupported)
	failed := &policyError{errors.New("variable")}
	input := errors.New("not YAML")
	for _, tt := range []struct {
		name string
		err  error
		want int
	}{
		{"nothing", nil, ExitDone},
		{"a fact", missing, ExitMissing},
		{"a lock entry", unlocked, ExitMissing},
		{"two missing", errors.Join(missing, unlocked), ExitMissing},
		{"a failed rule", failed, ExitFailed},
		{"an unsupported rule", unsupported, ExitFailed},
		{"a fact and a failed rule", errors.Join(missing, failed), ExitFailed},
		{"input", input, ExitInput},
		{"input and a failed rule", errors.Join(errors.Join(input), failed, missing), ExitInput},
		{"told already", errors.Join(&reportedError{ExitFailed}), ExitFailed},
	} {
		if got := exitCode(tt.err); got != tt.want {
			t.Errorf("%s: exit code %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestComplainSaysEachFaultOnce(t *testing.T) {
	var out bytes.Buffer
	s := &streams{err: &out}
	s.complain(errors.Join(errors.New("a"), errors.Join(errors.New("b"), errors.New("a")), &reportedError{3}))
	if got, want := out.String(), "error: a\nerror: b\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestUnique(t *testing.T) {
	doc := func(version, extra string) string {
		return "apiVersion: apps/" + version + "\nkind: Deployment\nmetadata: {name: web" + extra + "}\n"
	}
	parse := func(texts ...string) []*resource.Resource {
		rs, err := resource.Parse("in.yaml", []byte(strings.Join(texts, "---\n")))
		if err != nil {
			t.Fatal(err)
		}
		return rs
	}
	local := `, annotations: {config.kubernetes.io/local-config: "true"}`
	for _, tt := range []struct {
		name  string
		items []*resource.Resource
		scope func(*resource.Resource) string
		want  string
	}{
		{"one", parse(doc("v1", "")), nil, ""},
		{"two namespaces", parse(doc("v1", ""), doc("v1", ", namespace: shop")), nil, ""},
		{"twice", parse(doc("v1", ""), doc("v1", "")), nil, "in.yaml:5: Deployment/web is there twice, first at in.yaml:1; remove one"},
		{"twice in two versions", parse(doc("v1", ""), doc("v1beta1", "")), nil, "in.yaml:5: Deployment/web is there twice, first at in.yaml:1; remove one"},
		{"local configuration", parse(doc("v1", local), doc("v1", local)), nil, ""},
		{"two packages", parse(doc("v1", ""), doc("v1", "")), func(r *resource.Resource) string { return fmt.Sprint(r.Origin().Line) }, ""},
	} {
		got := ""
		if err := unique(tt.items, tt.scope); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}
