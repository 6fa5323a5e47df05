package kyvernocel_test

import (
	"context"
	"testing"

	"github.com/oneloop-dev/oneloop/pkg/digest"
	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyvernocel"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

const benchmarked = `
apiVersion: policies.kyverno.io/v1
kind: MutatingPolicy
metadata: {name: pull}
spec:
  matchConstraints:
    resourceRules:
    - {apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}
  matchConditions:
  - {name: some, expression: object.spec.containers.size() > 0}
  mutations:
  - patchType: ApplyConfiguration
    applyConfiguration:
      expression: |
        Object{spec: Object.spec{containers: object.spec.containers.map(c, Object.spec.containers{name: c.name, imagePullPolicy: "Always"})}}
---
apiVersion: policies.kyverno.io/v1
kind: MutatingPolicy
metadata: {name: hash}
spec:
  matchConstraints:
    resourceRules:
    - {apiGroups: [apps], apiVersions: [v1], operations: [CREATE], resources: [deployments]}
  variables:
  - {name: id, expression: sha256(object.metadata.name)}
  mutations:
  - patchType: JSONPatch
    jsonPatch: {expression: '[JSONPatch{op: "add", path: "/metadata/annotations", value: {"id": variables.id}}]'}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "web:1", ports: [{containerPort: 80}]}, {name: proxy, image: "proxy:1"}]}
`

// BenchmarkApply is the work for one resource and two policies, without reading
// and writing it.
func BenchmarkApply(b *testing.B) {
	docs, err := resource.Parse("bench.yaml", []byte(benchmarked))
	if err != nil {
		b.Fatal(err)
	}
	object, err := docs[2].Object()
	if err != nil {
		b.Fatal(err)
	}
	set, err := kyvernocel.Language.Compile(docs[:2])
	if err != nil {
		b.Fatal(err)
	}
	known := facts.New()
	b.ReportAllocs()
	for b.Loop() {
		in := policy.Input{ID: docs[2].ID(), Object: object, Facts: known, Digests: digest.None("bench")}
		for _, p := range set.Programs {
			results, err := p.Apply(context.Background(), in)
			if err != nil || len(results) != 1 || results[0].Outcome != policy.Mutated {
				b.Fatalf("%+v, %v", results, err)
			}
			in.Object = results[0].Object
		}
	}
}
