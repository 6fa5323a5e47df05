package main

import (
	"fmt"
	"io"
	"strings"
)

// policies are two policies that need no network, written for Pods: autogen
// applies them to the Pod templates of the Deployments.
const policies = `apiVersion: kyverno.io/v1
kind: ClusterPolicy
metadata:
  name: allow-eviction
spec:
  rules:
  - name: annotate-empty-dir
    match:
      any:
      - resources:
          kinds: [Pod]
    exclude:
      any:
      - resources:
          namespaces: [argocd]
    mutate:
      patchStrategicMerge:
        metadata:
          annotations:
            +(cluster-autoscaler.kubernetes.io/safe-to-evict): "true"
        spec:
          volumes:
          - <(emptyDir): {}
---
apiVersion: kyverno.io/v1
kind: ClusterPolicy
metadata:
  name: no-token
spec:
  rules:
  - name: disable-automount
    match:
      any:
      - resources:
          kinds: [Pod]
    exclude:
      any:
      - resources:
          namespaces: [argocd]
    mutate:
      patchStrategicMerge:
        spec:
          +(automountServiceAccountToken): false
`

const deployment = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: app-%[1]d
  namespace: team-%[2]d
  labels:
    app.kubernetes.io/name: app-%[1]d
    app.kubernetes.io/part-of: shop
spec:
  replicas: 2
  selector:
    matchLabels:
      app.kubernetes.io/name: app-%[1]d
  template:
    metadata:
      labels:
        app.kubernetes.io/name: app-%[1]d
    spec:
      containers:
      - name: app
        image: registry.example.com/shop/app-%[1]d:1.4.2
        args:
        - --listen=:8080
        - --log=json
        env:
        - name: LOG_LEVEL
          value: info
        - name: POD_NAME
          valueFrom:
            fieldRef:
              fieldPath: metadata.name
        ports:
        - name: http
          containerPort: 8080
        readinessProbe:
          httpGet:
            path: /healthz
            port: http
        resources:
          requests:
            cpu: 100m
            memory: 64Mi
          limits:
            memory: 128Mi
        volumeMounts:
        - name: cache
          mountPath: /cache
      volumes:
      - name: cache
        emptyDir:
          sizeLimit: 500Mi
`

// writePlain writes n Deployments as documents.
func writePlain(w io.Writer, n int) {
	for i := range n {
		if i > 0 {
			fmt.Fprint(w, "---\n")
		}
		fmt.Fprintf(w, deployment, i, i%20)
	}
}

// writeList writes n Deployments as a ResourceList with the policies.
func writeList(w io.Writer, n int) {
	fmt.Fprint(w, "apiVersion: config.kubernetes.io/v1\nkind: ResourceList\nitems:\n")
	for i := range n {
		writeItem(w, fmt.Sprintf(deployment, i, i%20), "")
	}
	fmt.Fprint(w, "functionConfig:\n  apiVersion: oneloop.dev/v1alpha1\n  kind: ApplyPolicies\n  metadata:\n    name: policies\n  spec:\n    policies:\n")
	for _, p := range strings.Split(policies, "---\n") {
		writeItem(w, p, "    ")
	}
}

// writeItem writes a document as an element of a YAML sequence.
func writeItem(w io.Writer, doc, indent string) {
	lead := "- "
	for line := range strings.Lines(doc) {
		fmt.Fprint(w, indent, lead, line)
		lead = "  "
	}
}
