package gatekeeper_test

import (
	"strings"
	"testing"

	"github.com/oneloop-dev/oneloop/pkg/digest"
	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/gatekeeper"
)

func BenchmarkApply(b *testing.B) {
	mutators := assign("pull", "spec.template.spec.containers[name: *].imagePullPolicy", "Always") + "---\n" +
		assign("token", "spec.template.spec.automountServiceAccountToken", "false") + "---\n" +
		mutator("AssignMetadata", "team", "location: metadata.labels.team, parameters: {assign: {value: blue}}")
	docs := parse(b, strings.ReplaceAll(mutators, `{groups: [""], versions: [v1], kinds: [Thing]}`, "{groups: [apps], versions: [v1], kinds: [Deployment]}"))
	s, err := gatekeeper.Language.Compile(docs)
	if err != nil {
		b.Fatal(err)
	}
	r := parse(b, `apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: "web:1", args: [--port=8080], env: [{name: A, value: b}], ports: [{containerPort: 8080}]}
      - {name: proxy, image: "proxy:1"}
`)[0]
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
