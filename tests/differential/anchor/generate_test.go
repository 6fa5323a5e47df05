package differential

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
)

type generator struct {
	*rand.Rand
	lists int // depth within lists
}

func (g *generator) chance(p float64) bool { return g.Float64() < p }

func pick[T any](g *generator, from ...T) T { return from[g.IntN(len(from))] }

func (g *generator) name() string { return pick(g, "a", "b", "c", "app", "web-1") }

func (g *generator) scalar() any {
	return pick[any](g, "a", "b", "web-1", "nginx:1.2", "", "true", "3", "10Mi", "1h", "0.5", "(x)", "<(y)", "z*",
		true, false, int64(0), int64(1), int64(3), int64(80), int64(1000), 1.5, 0.25, nil)
}

func (g *generator) strings() map[string]any {
	out := map[string]any{}
	for range g.IntN(4) {
		out[pick(g, "a", "b", "app", "web-1", "example.com/x")] = g.scalar()
	}
	return out
}

func (g *generator) list(most int, elem func() any) []any {
	out := []any{}
	for range g.IntN(most + 1) {
		out = append(out, elem())
	}
	return out
}

func (g *generator) maybe(m map[string]any, key string, make func() any) {
	if g.chance(0.5) {
		m[key] = make()
	}
}

func (g *generator) container() any {
	m := map[string]any{}
	if g.chance(0.97) {
		m["name"] = g.name()
	}
	g.maybe(m, "image", func() any { return pick[any](g, "nginx:1.2", "redis", "ghcr.io/a/b:v1") })
	g.maybe(m, "args", func() any { return g.list(2, g.scalar) })
	g.maybe(m, "env", func() any {
		return g.list(3, func() any { return map[string]any{"name": g.name(), "value": g.scalar()} })
	})
	g.maybe(m, "ports", func() any {
		return g.list(2, func() any {
			return map[string]any{"containerPort": int64(pick(g, 80, 443)), "protocol": pick(g, "TCP", "UDP")}
		})
	})
	g.maybe(m, "securityContext", g.security)
	g.maybe(m, "resources", func() any {
		return map[string]any{"limits": map[string]any{"memory": pick[any](g, "1Gi", "512Mi", int64(5))}, "requests": g.strings()}
	})
	return m
}

func (g *generator) security() any {
	m := map[string]any{}
	g.maybe(m, "runAsNonRoot", func() any { return g.chance(0.5) })
	g.maybe(m, "runAsUser", func() any { return int64(pick(g, 0, 1000, 3000)) })
	g.maybe(m, "capabilities", func() any { return map[string]any{"drop": g.list(2, g.scalar)} })
	return m
}

func (g *generator) volume() any {
	m := map[string]any{"name": g.name()}
	switch g.IntN(3) {
	case 0:
		m["emptyDir"] = map[string]any{}
	case 1:
		m["hostPath"] = map[string]any{"path": pick(g, "/var", "/etc")}
	case 2:
		m["configMap"] = map[string]any{"name": g.name(), "items": g.list(2, func() any { return map[string]any{"key": g.name()} })}
	}
	return m
}

func (g *generator) metadata() map[string]any {
	m := map[string]any{"name": g.name()}
	g.maybe(m, "labels", func() any { return g.strings() })
	g.maybe(m, "annotations", func() any { return g.strings() })
	return m
}

func (g *generator) podSpec() map[string]any {
	m := map[string]any{"containers": g.list(3, g.container)}
	g.maybe(m, "initContainers", func() any { return g.list(2, g.container) })
	g.maybe(m, "volumes", func() any { return g.list(3, g.volume) })
	g.maybe(m, "securityContext", g.security)
	g.maybe(m, "hostNetwork", func() any { return g.chance(0.5) })
	g.maybe(m, "tolerations", func() any {
		return g.list(2, func() any { return map[string]any{"key": g.name(), "operator": "Exists"} })
	})
	g.maybe(m, "nodeSelector", func() any { return g.strings() })
	return m
}

func (g *generator) object() map[string]any {
	switch g.IntN(4) {
	case 0:
		return map[string]any{"apiVersion": "v1", "kind": "Pod", "metadata": g.metadata(), "spec": g.podSpec()}
	case 1:
		return map[string]any{"apiVersion": "v1", "kind": "Service", "metadata": g.metadata(), "spec": map[string]any{"type": pick(g, "LoadBalancer", "ClusterIP"),
			"ports": g.list(2, func() any { return map[string]any{"port": int64(pick(g, 80, 443)), "name": g.name()} })}}
	case 2:
		return map[string]any{"apiVersion": "example.com/v1", "kind": "Thing", "metadata": g.metadata(), "spec": map[string]any{"things": g.list(3, g.container), "nested": g.podSpec(),
			"lists": g.list(2, func() any { return g.list(2, g.container) })}}
	}
	return map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": g.metadata(),
		"spec": map[string]any{"replicas": int64(g.IntN(4)), "template": map[string]any{"metadata": g.metadata(), "spec": g.podSpec()}}}
}

// patch makes a patch that resembles the object: fields of it, others, anchors
// on some of the keys.
func (g *generator) patch(object map[string]any) map[string]any {
	other := g.object()
	if g.chance(0.7) {
		for other["kind"] != object["kind"] {
			other = g.object()
		}
	}
	delete(other, "apiVersion")
	delete(other, "kind")
	anchors := pick(g, 0.05, 0.1, 0.25)
	return g.root(object, other, anchors, "+", "+", "", "", "<", "=", "X", "^")
}

func (g *generator) validatePattern(object map[string]any) map[string]any {
	other := map[string]any{}
	if g.chance(0.3) {
		other = g.object()
	}
	return g.root(object, other, pick(g, 0.1, 0.3), "", "", "<", "=", "X", "^", "+")
}

func (g *generator) root(object, other any, anchors float64, modifiers ...string) map[string]any {
	for {
		if m, ok := g.resemble(object, other, anchors, modifiers...).(map[string]any); ok {
			return m
		}
	}
}

func (g *generator) resemble(object, other any, anchors float64, modifiers ...string) any {
	if g.chance(0.01) {
		return pick[any](g, nil, "odd", map[string]any{}, []any{}, []any{map[string]any{}})
	}
	switch o := other.(type) {
	case map[string]any:
		from, _ := object.(map[string]any)
		out := map[string]any{}
		both := maps.Clone(o)
		for k, v := range from {
			if _, ok := both[k]; !ok || g.chance(0.6) {
				both[k] = v
			}
		}
		for _, key := range slices.Sorted(maps.Keys(both)) {
			if !g.chance(0.45) && key != "spec" && key != "template" && key != "containers" {
				continue
			}
			v := g.resemble(from[key], both[key], anchors, modifiers...)
			name := key
			if g.lists == 0 && g.chance(0.08) {
				name = pick(g, key[:1]+"*", "*", key[:len(key)-1]+"?")
			}
			p := anchors
			if key == "name" {
				p = max(p, 0.5)
			}
			if g.chance(p) {
				name = pick(g, modifiers...) + "(" + name + ")"
				if g.chance(0.02) {
					name = " " + name
				}
				// A field given twice, with an anchor and without. Not within
				// lists: there Kyverno takes the first, or fails, depending
				// on what the merge of the other elements does to the element.
				if g.lists == 0 && g.chance(0.03) {
					out[key] = g.scalar()
				}
			}
			out[name] = v
		}
		return out
	case []any:
		from, _ := object.([]any)
		if len(from) > 0 && g.chance(0.7) {
			o = from
		}
		out := []any{}
		g.lists++
		defer func() { g.lists-- }()
		for i, e := range o {
			if i == 0 || g.chance(0.3) {
				var f any
				if i < len(from) {
					f = from[i]
				}
				out = append(out, g.resemble(f, e, anchors, modifiers...))
			}
		}
		return out
	}
	switch {
	case g.chance(0.3):
		return g.matchPattern()
	case g.chance(0.3) && object != nil:
		return object
	}
	return other
}

var operands = []string{"a", "b", "nginx:*", "*", "?", "", "?*", "web-1", "web-*", "*:latest", "0", "1", "3", "80", "1000", "1.5", "-1", "+2", "1e3", "10Mi", "1Gi", "512Mi", "0.5",
	"100m", "1h", "90m", "1h30m", "2s", "1µs", "m", "k", "E", "Ki", "h", "true", "false", "null", "4294", ".5", "5.", "1.G", "--1", "1-", "é", "\n", "1 0"}

// matchPattern makes a pattern for a scalar.
func (g *generator) matchPattern() any {
	if g.chance(0.15) {
		return pick[any](g, true, false, int64(0), int64(3), int64(80), 1.5, 3.0, nil)
	}
	var b strings.Builder
	for i := range 1 + g.IntN(3)*g.IntN(2) {
		if i > 0 {
			b.WriteString(pick(g, "|", "&", " | ", " & ", "  &"))
		}
		b.WriteString(pick(g, "", "", "", "", ">", "<", ">=", "<=", "!", "> ", ">= ", "!=", "! ", "-", "="))
		b.WriteString(pick(g, operands...))
		if g.chance(0.2) {
			b.WriteString(pick(g, "-", "!-", " - ", "- "))
			b.WriteString(pick(g, operands...))
		}
	}
	return b.String()
}

func (g *generator) matchValue() any {
	switch g.IntN(10) {
	case 0:
		return pick[any](g, true, false, nil, map[string]any{}, map[string]any{"a": "b"}, []any{}, []any{"a"})
	case 1, 2:
		return pick[any](g, int64(0), int64(1), int64(3), int64(80), int64(-1), int64(1000), 1.5, 3.0, 0.25, 1e21, -0.5)
	case 3:
		return g.matchPattern()
	}
	return pick(g, operands...)
}
