package anchor

import (
	"testing"

	"github.com/oneloop-dev/oneloop/pkg/resource"
)

const benchmarkDeployment = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: podinfo, namespace: podinfo, labels: {app: podinfo, team: web}, annotations: {example.com/owner: me}}
spec:
  replicas: 3
  selector: {matchLabels: {app: podinfo}}
  template:
    metadata: {labels: {app: podinfo}, annotations: {prometheus.io/port: "9898"}}
    spec:
      containers:
      - name: podinfo
        image: ghcr.io/stefanprodan/podinfo:6.3.0
        env: [{name: A, value: b}, {name: C, value: d}]
        ports: [{name: http, containerPort: 9898}, {name: metrics, containerPort: 9797}]
        resources: {limits: {cpu: 100m, memory: 64Mi}, requests: {cpu: 10m, memory: 32Mi}}
        volumeMounts: [{name: data, mountPath: /data}]
        livenessProbe: {httpGet: {path: /healthz, port: 9898}}
      - {name: sidecar, image: envoy, args: [a, b, c]}
      volumes: [{name: data, emptyDir: {}}, {name: conf, configMap: {name: conf}}]
`

// The patches have the shape of common policies: defaults for security
// contexts, and an annotation for pods with a certain kind of volume.
var benchmarkPatches = map[string]string{
	"plain": `{metadata: {labels: {a: b}}, spec: {template: {metadata: {labels: {a: b}}}}}`,
	"defaults": `
spec:
  template:
    spec:
      securityContext: {+(runAsNonRoot): true, +(runAsUser): 1000, +(runAsGroup): 3000, +(fsGroup): 1337}
      containers:
      - (name): "*"
        securityContext:
          +(allowPrivilegeEscalation): false
          +(readOnlyRootFilesystem): true
          +(runAsNonRoot): true
          +(capabilities): {drop: [ALL]}
          +(seccompProfile): {type: RuntimeDefault}
`,
	"global":   `{spec: {template: {metadata: {annotations: {+(example.com/safe): "true"}}, spec: {volumes: [{<(emptyDir): {}}]}}}}`,
	"default":  `{spec: {template: {spec: {+(automountServiceAccountToken): false}}}}`,
	"held":     `{spec: {template: {spec: {volumes: [{<(hostPath): {path: "*"}}]}}}}`,
	"selected": `{spec: {template: {spec: {containers: [{(image): "*:latest | !*:*", imagePullPolicy: Always}]}}}}`,
}

func BenchmarkApply(b *testing.B) {
	object := parse(b, benchmarkDeployment)
	kind := resource.IDOf(object).Kind
	for name, text := range benchmarkPatches {
		patch := parse(b, text)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := Apply(kind, object, patch); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
