package differential

import (
	"math/rand/v2"
)

// A generator makes samples. It knows what the rule that it writes looks at.
type generator struct {
	*rand.Rand
	view  map[string]any // the object as the rule's author thinks of it
	roots []root         // what expressions may start with
	depth int            // of foreach
}

func (g *generator) chance(p float64) bool { return g.Float64() < p }

func pick[T any](g *generator, from ...T) T { return from[g.IntN(len(from))] }

func (g *generator) list(least, most int, elem func() any) []any {
	out := []any{}
	for range least + g.IntN(most-least+1) {
		out = append(out, elem())
	}
	return out
}

func (g *generator) maybe(m map[string]any, p float64, key string, value func() any) {
	if g.chance(p) {
		m[key] = value()
	}
}

func (g *generator) name() string {
	return pick(g, "a", "b", "c", "app", "web-1", "web-2", "istio-proxy", "db")
}

func (g *generator) image() string {
	return pick(g, "nginx", "nginx:1.25", "nginx:latest", "ghcr.io/acme/app:v1.2.3", "registry.example.com:5000/x/y:2", "docker.io/library/redis",
		"busybox@sha256:4dbb1efc9c4f883128bd77839566dafbc05d0e2fb4af6ce1172b68170b1d57d9", "quay.io/a/b/c:v0.1@sha256:4dbb1efc9c4f883128bd77839566dafbc05d0e2fb4af6ce1172b68170b1d57d9")
}

// datum is a text that some function or operator can make use of.
func (g *generator) datum() string {
	return pick(g, "a", "b", "web-1", "true", "false", "False", "", "3", "10", "-1", "1.5", "250m", "1Gi", "512Mi", "100k", "1h", "90m", "1h30m", "10s", "1.2.3", "v1.10.0", "2.0.0-rc.1",
		"a,b,c", `["a","b"]`, `{"a":1,"b":[true]}`, "a: 1\nb: [x]\n", "aGVsbG8=", "2024-01-31T10:00:00Z", "2023-06-01T00:00:00+02:00", "nginx:1.25", "prod", "dev", "Prod", "w*", "?", "x y",
		"10.0.0.0/8", "https://example.com/x?y=1", "*.example.com", "0", "null", "é", "a/b~c", "1e3", "0x10")
}

func (g *generator) label() string {
	return pick(g, "app", "env", "team", "tier", "example.com/x", "app.kubernetes.io/name", "a.b", "v")
}

func (g *generator) labels() map[string]any {
	out := map[string]any{}
	for range g.IntN(4) {
		out[g.label()] = pick(g, "web", "db", "prod", "dev", "shop", "1", "true", "a")
	}
	return out
}

func (g *generator) annotations() map[string]any {
	out := map[string]any{}
	for range g.IntN(5) {
		out[pick(g, "note", "cpu", "ttl", "version", "example.com/json", "list", "count", "since", "a/b", "x")] = g.datum()
	}
	return out
}

func (g *generator) metadata() map[string]any {
	m := map[string]any{"name": g.name()}
	g.maybe(m, 0.8, "labels", func() any { return g.labels() })
	g.maybe(m, 0.7, "annotations", func() any { return g.annotations() })
	return m
}

func (g *generator) names(least, most int, elem func(name string) any) []any {
	var out []any
	perm := g.Perm(6)
	all := []string{"a", "b", "web-1", "db", "istio-proxy", "c"}
	for i := range least + g.IntN(most-least+1) {
		out = append(out, elem(all[perm[i]]))
	}
	if out == nil {
		out = []any{}
	}
	return out
}

func (g *generator) container(name string) any {
	m := map[string]any{"name": name, "image": g.image()}
	g.maybe(m, 0.3, "args", func() any { return g.list(0, 3, func() any { return g.datum() }) })
	g.maybe(m, 0.3, "command", func() any { return g.list(1, 2, func() any { return pick(g, "sh", "-c", "sleep") }) })
	g.maybe(m, 0.5, "env", func() any {
		return g.names(0, 3, func(n string) any {
			if g.chance(0.2) {
				return map[string]any{"name": n, "valueFrom": map[string]any{"fieldRef": map[string]any{"fieldPath": "metadata.name"}}}
			}
			return map[string]any{"name": n, "value": g.datum()}
		})
	})
	g.maybe(m, 0.5, "ports", func() any {
		var out []any
		for _, p := range g.Perm(3)[:g.IntN(3)] {
			port := map[string]any{"containerPort": int64([]int{80, 443, 8080}[p])}
			g.maybe(port, 0.5, "protocol", func() any { return pick(g, "TCP", "UDP") })
			g.maybe(port, 0.5, "name", func() any { return pick(g, "http", "https", "web") })
			out = append(out, port)
		}
		return append([]any{}, out...)
	})
	g.maybe(m, 0.5, "resources", func() any {
		r := map[string]any{}
		for _, k := range []string{"limits", "requests"} {
			g.maybe(r, 0.7, k, func() any {
				v := map[string]any{}
				g.maybe(v, 0.7, "memory", func() any { return pick[any](g, "1Gi", "512Mi", "100M", int64(1024)) })
				g.maybe(v, 0.7, "cpu", func() any { return pick[any](g, "250m", "1", int64(2), 0.5) })
				return v
			})
		}
		return r
	})
	g.maybe(m, 0.4, "securityContext", g.security)
	g.maybe(m, 0.3, "volumeMounts", func() any {
		return g.names(0, 2, func(n string) any { return map[string]any{"name": n, "mountPath": "/" + n} })
	})
	g.maybe(m, 0.2, "imagePullPolicy", func() any { return pick(g, "Always", "IfNotPresent") })
	return m
}

func (g *generator) security() any {
	m := map[string]any{}
	g.maybe(m, 0.5, "runAsNonRoot", func() any { return g.chance(0.5) })
	g.maybe(m, 0.5, "runAsUser", func() any { return int64(pick(g, 0, 1000, 3000)) })
	g.maybe(m, 0.4, "capabilities", func() any {
		return map[string]any{"drop": g.list(0, 2, func() any { return pick(g, "ALL", "NET_RAW") }), "add": g.list(0, 2, func() any { return pick(g, "NET_ADMIN", "SYS_TIME") })}
	})
	return m
}

func (g *generator) volume(name string) any {
	m := map[string]any{"name": name}
	switch g.IntN(3) {
	case 0:
		m["emptyDir"] = map[string]any{}
	case 1:
		m["hostPath"] = map[string]any{"path": pick(g, "/var", "/etc", "/var/run/docker.sock")}
	case 2:
		m["configMap"] = map[string]any{"name": g.name(), "items": g.list(0, 2, func() any { return map[string]any{"key": g.name(), "path": "p"} })}
	}
	return m
}

func (g *generator) podSpec() map[string]any {
	m := map[string]any{"containers": g.names(1, 3, g.container)}
	g.maybe(m, 0.4, "initContainers", func() any { return g.names(0, 2, g.container) })
	g.maybe(m, 0.1, "ephemeralContainers", func() any { return g.names(0, 1, g.container) })
	g.maybe(m, 0.5, "volumes", func() any { return g.names(0, 3, g.volume) })
	g.maybe(m, 0.4, "securityContext", g.security)
	g.maybe(m, 0.3, "hostNetwork", func() any { return g.chance(0.5) })
	g.maybe(m, 0.3, "tolerations", func() any {
		return g.list(0, 2, func() any { return map[string]any{"key": g.name(), "operator": "Exists", "effect": "NoSchedule"} })
	})
	g.maybe(m, 0.3, "nodeSelector", func() any { return g.labels() })
	g.maybe(m, 0.3, "imagePullSecrets", func() any { return g.names(0, 2, func(n string) any { return map[string]any{"name": n} }) })
	g.maybe(m, 0.3, "serviceAccountName", func() any { return g.name() })
	g.maybe(m, 0.3, "terminationGracePeriodSeconds", func() any { return int64(g.IntN(60)) })
	g.maybe(m, 0.2, "priority", func() any { return int64(g.IntN(3)) })
	g.maybe(m, 0.2, "hostAliases", func() any {
		return g.list(0, 2, func() any {
			return map[string]any{"ip": pick(g, "10.0.0.1", "127.0.0.1"), "hostnames": []any{"a.example.com"}}
		})
	})
	return m
}

func (g *generator) template() map[string]any {
	meta := g.metadata()
	delete(meta, "name")
	return map[string]any{"metadata": meta, "spec": g.podSpec()}
}

// resource makes an object and returns its kind in the group/version/kind form.
func (g *generator) resource(pods bool) (o map[string]any, kind string) {
	of := func(apiVersion, kind string, spec map[string]any) (map[string]any, string) {
		o := map[string]any{"apiVersion": apiVersion, "kind": kind, "metadata": g.metadata()}
		if spec != nil {
			o["spec"] = spec
		}
		return o, apiVersion + "/" + kind
	}
	n := g.IntN(16)
	if pods {
		n = g.IntN(9)
	}
	selector := map[string]any{"matchLabels": map[string]any{"app": "web"}}
	switch n {
	case 0, 1, 2, 3, 4:
		return of("v1", "Pod", g.podSpec())
	case 5, 6:
		return of("apps/v1", pick(g, "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"), map[string]any{"replicas": int64(g.IntN(4)), "selector": selector, "template": g.template()})
	case 7:
		return of("batch/v1", "CronJob", map[string]any{"schedule": "0 * * * *", "jobTemplate": map[string]any{"spec": map[string]any{"template": g.template()}}})
	case 8:
		return of("batch/v1", "Job", map[string]any{"backoffLimit": int64(4), "template": g.template()})
	case 9, 10:
		return of("v1", "Service", map[string]any{"type": pick(g, "LoadBalancer", "ClusterIP", "NodePort"), "selector": g.labels(),
			"ports": g.list(0, 2, func() any {
				return map[string]any{"port": int64(pick(g, 80, 443)), "name": g.name(), "targetPort": pick[any](g, int64(8080), "http")}
			}),
			"externalIPs": g.list(0, 2, func() any { return pick(g, "10.1.2.3", "1.2.3.4") })})
	case 11:
		o, k := of("v1", "ConfigMap", nil)
		data := map[string]any{}
		for range g.IntN(5) {
			data[pick(g, "a", "b", "key.txt", "list", "json")] = g.datum()
		}
		o["data"] = data
		return o, k
	case 12:
		return of("v1", "Namespace", nil)
	case 13:
		return of("networking.k8s.io/v1", "Ingress", map[string]any{"ingressClassName": "nginx",
			"tls": g.list(0, 1, func() any { return map[string]any{"hosts": []any{"a.example.com"}, "secretName": g.name()} }),
			"rules": g.list(0, 2, func() any {
				return map[string]any{"host": pick(g, "a.example.com", "b.example.com"), "http": map[string]any{"paths": g.list(1, 2, func() any {
					return map[string]any{"path": "/" + g.name(), "pathType": "Prefix", "backend": map[string]any{"service": map[string]any{"name": g.name(), "port": map[string]any{"number": int64(80)}}}}
				})}}
			})})
	default:
		return of("example.com/v1alpha1", "Widget", map[string]any{"size": int64(g.IntN(5)), "ratio": pick[any](g, 0.5, 2.0, int64(1)), "on": g.chance(0.5),
			"parts":  g.names(0, 3, g.container),
			"nested": map[string]any{"list": g.list(0, 3, func() any { return g.datum() }), "matrix": g.list(0, 2, func() any { return g.list(0, 2, func() any { return int64(g.IntN(9)) }) }), "empty": map[string]any{}, "none": nil},
			"limits": map[string]any{"cpu": "500m", "memory": "2Gi", "ttl": "2h"}})
	}
}
