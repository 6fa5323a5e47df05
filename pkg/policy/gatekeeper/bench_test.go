package gatekeeper_test

import (
	"testing"

	"github.com/oneloop-dev/oneloop/pkg/digest"
	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/gatekeeper"
)

func BenchmarkApply(b *testing.B) {
	docs := parse(b, assign("pull", "spec.containers[name: *].imagePullPolicy", "Always")+"---\n"+
		set("args", "spec.containers[name: web].args", "[--quiet]")+"---\n"+
		mutator("AssignMetadata", "team", "location: metadata.labels.team, parameters: {assign: {value: blue}}"))
	s, err := gatekeeper.Language.Compile(docs)
	if err != nil {
		b.Fatal(err)
	}
	r := parse(b, thing("{containers: [{name: web, image: web, args: [--port=80]}, {name: proxy, image: proxy}]}"))[0]
	o, err := r.Object()
	if err != nil {
		b.Fatal(err)
	}
	known := facts.New()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Programs[0].Apply(b.Context(), policy.Input{ID: r.ID(), Object: o, Facts: known, Digests: digest.Off{}}); err != nil {
			b.Fatal(err)
		}
	}
}
