package resource

import (
	"bytes"
	"fmt"
	"maps"
	"strings"
	"testing"

	"sigs.k8s.io/kustomize/kyaml/kio"
	"sigs.k8s.io/kustomize/kyaml/yaml"
	sigsyaml "sigs.k8s.io/yaml"
)

// deployment is of the size and shape of what charts render.
func deployment(i int) string {
	return fmt.Sprintf(`apiVersion: apps/v1
kind: Deployment
metadata:
  name: web-%d
  namespace: shop
  labels:
    app.kubernetes.io/name: web
    app.kubernetes.io/instance: web-%[1]d
spec:
  replicas: 2
  selector:
    matchLabels:
      app.kubernetes.io/instance: web-%[1]d
  template:
    metadata:
      labels:
        app.kubernetes.io/name: web
        app.kubernetes.io/instance: web-%[1]d
    spec:
      containers:
      - name: web
        image: registry.example.com/shop/web:1.2.%[1]d
        args:
        - --listen=:8080
        - --verbose
        ports:
        - containerPort: 8080
          name: http
        env:
        - name: MODE
          value: "production"
        - name: POD_NAME
          valueFrom:
            fieldRef:
              fieldPath: metadata.name
        resources:
          limits:
            cpu: 500m
            memory: 128Mi
        volumeMounts:
        - mountPath: /etc/web
          name: config
      volumes:
      - name: config
        configMap:
          name: web-%[1]d
`, i)
}

func deployments(n int) []byte {
	var docs []string
	for i := range n {
		docs = append(docs, deployment(i))
	}
	return []byte(strings.Join(docs, "---\n"))
}

func BenchmarkParse(b *testing.B) {
	data := deployments(1000)
	b.Run("1000", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Parse("", data); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("1000/kyaml", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := kio.FromBytes(data); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkObject(b *testing.B) {
	text := deployment(1)
	r := parseOne(b, text)
	b.Run("one", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := r.Object(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("one/yamlv3", func(b *testing.B) {
		hard := *r
		hard.simple = false
		b.ReportAllocs()
		for b.Loop() {
			if _, err := hard.Object(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("one/sigs", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var o map[string]any
			if err := sigsyaml.Unmarshal([]byte(text), &o); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// patched is what two typical rules make of a deployment.
func patched(o Object) Object {
	after := maps.Clone(o)
	meta := maps.Clone(o["metadata"].(map[string]any))
	labels := maps.Clone(meta["labels"].(map[string]any))
	labels["team"] = "shop"
	meta["labels"] = labels
	after["metadata"] = meta
	spec := maps.Clone(o["spec"].(map[string]any))
	spec["revisionHistoryLimit"] = int64(3)
	after["spec"] = spec
	return after
}

func BenchmarkDiff(b *testing.B) {
	o := object(b, parseOne(b, deployment(1)))
	after := patched(o)
	b.ReportAllocs()
	for b.Loop() {
		if len(Diff(o, after)) != 2 {
			b.Fatal("wrong")
		}
	}
}

func BenchmarkUpdate(b *testing.B) {
	text := deployment(1)
	b.Run("one", func(b *testing.B) {
		r := parseOne(b, text)
		after := patched(object(b, r))
		b.ReportAllocs()
		for b.Loop() {
			fresh := *r
			if err := fresh.Update(after); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("one/yamlv3", func(b *testing.B) {
		r := parseOne(b, text)
		after := patched(object(b, r))
		b.ReportAllocs()
		for b.Loop() {
			fresh := *r
			fresh.simple = false
			if err := fresh.Update(after); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	text := deployment(1)
	r := parseOne(b, text)
	b.Run("item", func(b *testing.B) {
		b.ReportAllocs()
		var buf []byte
		var err error
		for b.Loop() {
			if buf, err = r.AppendItem(buf[:0]); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("item/yamlv3", func(b *testing.B) {
		hard := *r
		hard.canonical = false
		b.ReportAllocs()
		for b.Loop() {
			if _, err := hard.AppendItem(nil); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("item/kyaml", func(b *testing.B) {
		n := yaml.MustParse(text)
		b.ReportAllocs()
		for b.Loop() {
			w := kio.ByteWriter{Writer: new(bytes.Buffer), WrappingKind: "ResourceList", WrappingAPIVersion: "config.kubernetes.io/v1"}
			if err := w.Write([]*yaml.RNode{n}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
