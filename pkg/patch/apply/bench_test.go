package apply_test

import (
	"testing"

	"github.com/oneloop-dev/oneloop/pkg/patch/apply"
)

const web = `{apiVersion: apps/v1, kind: Deployment, metadata: {name: d, labels: {app: d}}, spec: {replicas: 2,
  selector: {matchLabels: {app: d}}, template: {metadata: {labels: {app: d}}, spec: {
    containers: [{name: main, image: i, ports: [{containerPort: 80}], env: [{name: A, value: b}]}, {name: side, image: j}],
    volumes: [{name: v, emptyDir: {}}]}}}}`

const webPatch = `{metadata: {annotations: {a: b}}, spec: {template: {spec: {containers: [
  {name: main, imagePullPolicy: Always, securityContext: {runAsNonRoot: true}}, {name: side, imagePullPolicy: Always}]}}}}`

// BenchmarkFirstMerge reads the schema of a Deployment each time, as the first
// merge of a run does.
func BenchmarkFirstMerge(b *testing.B) {
	live, patch := object(b, web), object(b, webPatch)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := apply.Fresh().Merge(kindOf(live), live, patch); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMerge(b *testing.B) {
	live, patch := object(b, web), object(b, webPatch)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := apply.BuiltIn().Merge(kindOf(live), live, patch); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkShown shows a Deployment and hides again what is not written.
func BenchmarkShown(b *testing.B) {
	written := object(b, web)
	b.ReportAllocs()
	for b.Loop() {
		out, err := apply.BuiltIn().Shown(kindOf(written), written)
		if err == nil {
			_, err = apply.BuiltIn().Hidden(kindOf(written), written, out)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}
