package differential

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// sample makes one resource and policies that mostly match it.
func (g *generator) sample() *sample {
	pods := g.chance(0.65)
	o, kind := g.resource(pods)
	s := &sample{Resource: o, Operation: pick(g, "CREATE", "CREATE", "CREATE", "CREATE", "UPDATE"), User: pick(g, "alice", "system:serviceaccount:shop:builder", "system:admin")}
	g.maybeRoles(s)
	if kind != "v1/Namespace" && g.chance(0.8) {
		ns := pick(g, "shop", "prod", "kube-system", "default")
		o["metadata"].(map[string]any)["namespace"] = ns
		s.Namespace = map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": ns, "labels": g.labels()}}
	}
	if g.chance(0.03) {
		meta := o["metadata"].(map[string]any)
		meta["generateName"] = g.name() + "-"
	}
	for i := range g.IntN(3) {
		data := map[string]any{}
		for range 1 + g.IntN(3) {
			data[pick(g, "a", "b", "list", "team")] = g.datum()
		}
		s.ConfigMaps = append(s.ConfigMaps, map[string]any{"apiVersion": "v1", "kind": "ConfigMap",
			"metadata": map[string]any{"name": fmt.Sprintf("cm%d", i), "namespace": pick(g, "shop", "default"), "labels": g.labels()}, "data": data})
	}
	n := pick(g, 1, 1, 1, 2, 2, 3)
	for i := range n {
		s.Policies = append(s.Policies, g.policy(s, kind, i))
	}
	if g.chance(0.08) {
		s.Exceptions = append(s.Exceptions, g.exception(s, kind))
	}
	return s
}

func (g *generator) maybeRoles(s *sample) {
	if g.chance(0.3) {
		s.Roles = []string{pick(g, "shop:editor", "default:viewer")}
	}
}

func (g *generator) policy(s *sample, kind string, i int) map[string]any {
	meta := map[string]any{"name": fmt.Sprintf("p%d", i)}
	spec := map[string]any{"background": g.chance(0.05)}
	p := map[string]any{"apiVersion": "kyverno.io/v1", "kind": "ClusterPolicy", "metadata": meta, "spec": spec}
	if ns := namespaceOf(s.Resource); ns != "" && g.chance(0.08) {
		p["kind"], meta["namespace"] = "Policy", pick(g, ns, ns, ns, "other")
	}
	if g.chance(0.15) {
		meta["annotations"] = map[string]any{"pod-policies.kyverno.io/autogen-controllers": pick(g, "none", "Deployment", "Deployment,CronJob", "DaemonSet,StatefulSet,Job", "CronJob", "ReplicaSet,Deployment")}
	}
	if g.chance(0.2) {
		spec["applyRules"] = pick(g, "One", "All", "One")
	}
	g.maybe(spec, 0.05, "mutateExistingOnPolicyUpdate", func() any { return false })
	g.maybe(spec, 0.05, "failurePolicy", func() any { return pick(g, "Fail", "Ignore") })
	var rules []any
	for j := range pick(g, 1, 1, 1, 2, 2, 3) {
		rules = append(rules, g.rule(s, kind, fmt.Sprintf("r%d", j)))
	}
	spec["rules"] = rules
	return p
}

// rule writes a rule for the object, or for the pods that it makes.
func (g *generator) rule(s *sample, kind, name string) map[string]any {
	g.view, g.depth = s.Resource, 0
	asPod := false
	spec, _ := s.Resource["spec"].(map[string]any)
	if kind == "batch/v1/CronJob" {
		job, _ := spec["jobTemplate"].(map[string]any)
		spec, _ = job["spec"].(map[string]any)
	}
	if t, ok := spec["template"].(map[string]any); ok && g.chance(0.7) {
		asPod = true
		g.view = map[string]any{"apiVersion": "v1", "kind": "Pod", "metadata": t["metadata"], "spec": t["spec"]}
		kind = "v1/Pod"
	}
	g.roots = []root{{"request.object", g.view}}
	if s.Operation == "UPDATE" {
		g.roots = append(g.roots, root{"request.oldObject", g.view})
	}
	r := map[string]any{"name": name, "match": g.match(s, kind, asPod, false)}
	if g.chance(0.12) {
		r["exclude"] = g.match(s, kind, asPod, true)
	}
	if g.chance(0.4) {
		r["context"] = g.context(s)
	}
	if g.chance(0.35) {
		r["preconditions"] = g.preconditions(false)
	}
	g.maybe(r, 0.03, "skipBackgroundRequests", func() any { return g.chance(0.5) })
	mutate := map[string]any{}
	switch n := g.IntN(10); {
	case n < 5:
		mutate["patchStrategicMerge"] = g.merge()
	case n < 7:
		mutate["patchesJson6902"] = g.operations(g.view, "")
	default:
		var loops []any
		for range pick(g, 1, 1, 1, 2) {
			loops = append(loops, g.loop(s))
		}
		mutate["foreach"] = loops
	}
	r["mutate"] = mutate
	return r
}

// kinds writes a kind in one of its forms.
func (g *generator) kind(gvk string, simple bool) string {
	parts := strings.Split(gvk, "/")
	kind, version, group := parts[len(parts)-1], parts[len(parts)-2], ""
	if len(parts) == 3 {
		group = parts[0]
	}
	if simple || g.chance(0.5) {
		return kind
	}
	if group == "" {
		return pick(g, version+"/"+kind, "*/"+kind, "*/"+version+"/"+kind, "*/*/"+kind, kind[:2]+"*", "v?/"+kind, "*", "v2/"+kind, "apps/v1/"+kind, kind+"/status", kind+"/*", "*/*", kind+".v1")
	}
	return pick(g, gvk, version+"/"+kind, "*/"+kind, group+"/*/"+kind, "*/"+version+"/"+kind, kind[:3]+"*", "*", "v1/"+kind, group+"/"+version+"/*", kind+"/scale", gvk+"/*")
}

func (g *generator) match(s *sample, kind string, asPod, exclude bool) map[string]any {
	filter := func(hit float64) map[string]any {
		res := map[string]any{}
		if !exclude || g.chance(0.7) {
			var kinds []any
			if !g.chance(hit) {
				kinds = append(kinds, pick(g, "Service", "Secret", "apps/v1/Deployment", "batch/*/Job"))
			}
			if len(kinds) == 0 || g.chance(0.3) {
				kinds = append(kinds, g.kind(kind, asPod || g.chance(0.5)))
			}
			res["kinds"] = kinds
		}
		extra := 0.12
		if asPod {
			extra = 0.02
		}
		if exclude {
			extra = 0.3
		}
		good := func(p float64) bool { return g.chance(p) != exclude }
		name, ns := nameOf(s.Resource), namespaceOf(s.Resource)
		g.maybe(res, extra, "names", func() any {
			if good(0.8) {
				return []any{pick(g, name, name[:1]+"*", "*", "?*", "*"+name), "zz"}
			}
			return []any{"zz", "y*"}
		})
		if res["names"] == nil {
			g.maybe(res, extra/3, "name", func() any { return pick(g, name, "*", name[:1]+"*", "zz") })
		}
		if ns != "" || g.chance(0.3) {
			g.maybe(res, extra*1.3, "namespaces", func() any {
				if ns != "" && good(0.8) {
					return []any{pick(g, ns, ns[:1]+"*", "*")}
				}
				return []any{pick(g, "zz", "x*", "default")}
			})
			g.maybe(res, extra, "namespaceSelector", func() any {
				labels := map[string]any{"kubernetes.io/metadata.name": ns}
				if s.Namespace != nil {
					if l, ok := s.Namespace["metadata"].(map[string]any)["labels"].(map[string]any); ok {
						maps.Copy(labels, l)
					}
				}
				return g.selector(labels, good(0.8))
			})
		}
		meta, _ := s.Resource["metadata"].(map[string]any)
		g.maybe(res, extra, "selector", func() any {
			labels, _ := meta["labels"].(map[string]any)
			return g.selector(labels, good(0.8))
		})
		g.maybe(res, extra/2, "annotations", func() any {
			out := map[string]any{}
			annotations, _ := meta["annotations"].(map[string]any)
			for _, k := range slices.Sorted(maps.Keys(annotations)) {
				out[pick(g, k, k, k[:1]+"*")] = pick(g, annotations[k].(string), "*", "?*")
				break
			}
			if len(out) == 0 {
				out["note"] = "*"
			}
			return out
		})
		g.maybe(res, 0.12, "operations", func() any {
			if good(0.85) {
				return []any{s.Operation, "DELETE"}
			}
			return []any{pick(g, "CREATE", "UPDATE", "DELETE", "CONNECT")}
		})
		f := map[string]any{}
		if len(res) > 0 {
			f["resources"] = res
		}
		g.maybe(f, 0.04, "subjects", func() any {
			return []any{map[string]any{"kind": pick(g, "User", "Group"), "name": pick(g, s.User, "system:authenticated", "nobody")}}
		})
		g.maybe(f, 0.03, "roles", func() any { return []any{pick(g, "shop:editor", "*:viewer", "other:x")} })
		g.maybe(f, 0.02, "clusterRoles", func() any { return []any{"admin"} })
		return f
	}
	hit := 0.97
	if exclude {
		hit = 0.6
	}
	switch n := g.IntN(10); {
	case n < 6:
		var all []any
		for range pick(g, 1, 1, 2, 3) {
			all = append(all, filter(hit-0.1))
		}
		return map[string]any{"any": all}
	case n < 8:
		var all []any
		for range pick(g, 1, 1, 2) {
			all = append(all, filter(hit))
		}
		return map[string]any{"all": all}
	}
	return filter(hit)
}

func (g *generator) selector(labels map[string]any, fits bool) map[string]any {
	out := map[string]any{}
	keys := slices.Sorted(maps.Keys(labels))
	if len(keys) == 0 || !fits {
		if g.chance(0.5) {
			out["matchLabels"] = map[string]any{g.label(): pick(g, "web", "*", "w*", "zz", "?*")}
		} else {
			out["matchExpressions"] = []any{map[string]any{"key": g.label(), "operator": pick(g, "Exists", "DoesNotExist")},
				map[string]any{"key": g.label(), "operator": pick(g, "In", "NotIn"), "values": []any{pick(g, "web", "prod", "*", "w*")}}}
		}
		return out
	}
	k := keys[g.IntN(len(keys))]
	v := fmt.Sprint(labels[k])
	if g.chance(0.6) {
		out["matchLabels"] = map[string]any{pick(g, k, k, k, k[:1]+"*", "*"): pick(g, v, v, "*", "?*", v[:min(1, len(v))]+"*")}
	}
	if len(out) == 0 || g.chance(0.3) {
		out["matchExpressions"] = []any{pick(g,
			map[string]any{"key": k, "operator": "Exists"},
			map[string]any{"key": k, "operator": "In", "values": []any{v, "zz"}},
			map[string]any{"key": k, "operator": "NotIn", "values": []any{"zz", "yy"}},
			map[string]any{"key": "none", "operator": "DoesNotExist"},
			map[string]any{"key": k, "operator": "In", "values": []any{"w*", "*"}},
			map[string]any{"key": k, "operator": "NotIn", "values": []any{"*"}},
		)}
	}
	return out
}

// context makes entries and adds them to what expressions may start with.
func (g *generator) context(s *sample) []any {
	var out []any
	for i := range 1 + g.IntN(3) {
		name := fmt.Sprintf("v%d", i)
		if g.chance(0.12) {
			name = pick(g, "v0", "data", "my_var", "x")
		}
		if len(s.ConfigMaps) > 0 && g.chance(0.3) {
			cm := s.ConfigMaps[g.IntN(len(s.ConfigMaps))]
			ref := map[string]any{"name": nameOf(cm), "namespace": namespaceOf(cm)}
			if g.chance(0.1) {
				ref["name"] = "{{ to_lower('" + nameOf(cm) + "') }}"
			}
			out = append(out, map[string]any{"name": name, "configMap": ref})
			g.roots = append(g.roots, root{name + ".data", cm["data"]})
			continue
		}
		v := map[string]any{}
		k := kindOf(g.IntN(int(anything) + 1))
		var value any
		if g.chance(0.5) {
			value = g.value(k, 0.4)
			v["value"] = value
			g.maybe(v, 0.25, "jmesPath", func() any {
				return pick(g, "@", "to_string(@)", "keys(@)", "length(@)", "a", "[0]", "name", "[].name", "to_array(@)", "{{ to_lower('A') }}", "x || 'y'", "to_number(@)")
			})
		} else {
			v["jmesPath"] = g.expression(k, 2)
			if g.chance(0.06) {
				v["jmesPath"] = "request.object.{{ to_lower('Metadata') }}.name"
			}
		}
		if v["jmesPath"] != nil {
			g.maybe(v, 0.5, "default", func() any { return g.value(k, 0.2) })
		}
		out = append(out, map[string]any{"name": name, "variable": v})
		if value == nil {
			value = v["default"]
		}
		if value == nil {
			value = sampleOf(k)
		}
		g.roots = append(g.roots, root{name, value})
	}
	return out
}

func sampleOf(k kindOf) any {
	switch k {
	case text_:
		return "x"
	case number:
		return int64(1)
	case boolean:
		return true
	case texts:
		return []any{"a", "b"}
	case objects:
		return []any{map[string]any{"name": "a", "value": "b"}}
	case object:
		return map[string]any{"a": "b", "app": "web"}
	}
	return nil
}

var operators = []string{"Equal", "Equals", "NotEqual", "NotEquals", "In", "AnyIn", "AllIn", "NotIn", "AnyNotIn", "AllNotIn",
	"GreaterThan", "GreaterThanOrEquals", "LessThan", "LessThanOrEquals",
	"DurationGreaterThan", "DurationGreaterThanOrEquals", "DurationLessThan", "DurationLessThanOrEquals"}

func (g *generator) condition() map[string]any {
	op := pick(g, operators...)
	c := map[string]any{"operator": op}
	switch {
	case g.chance(0.55):
		// One that likely holds.
		switch {
		case strings.Contains(op, "Not"):
			c["key"], c["value"] = g.variable(text_), pick[any](g, "zz", []any{"zz", "yy*"}, "zz*")
			if !strings.HasSuffix(op, "In") {
				c["value"] = "zz"
			}
		case strings.HasSuffix(op, "In"):
			p, ok := g.reach(pick(g, text_, texts, number))
			if !ok {
				p = "request.operation"
			}
			c["key"], c["value"] = "{{ "+p+" }}", pick[any](g, "{{ "+p+" }}", []any{"*"}, []any{"{{ " + p + " | to_string(@) }}", "?*", "web-1"}, "*", "{{ to_array("+p+") }}")
		case strings.HasPrefix(op, "Equal"):
			p, ok := g.reach(anything)
			if !ok {
				p = "request.operation"
			}
			c["key"], c["value"] = "{{ "+p+" }}", pick(g, "{{ "+p+" }}", "*", "?*")
		case strings.Contains(op, "Greater"):
			c["key"], c["value"] = pick[any](g, int64(100), "100", "2h", "1Gi", "3000s", "2.0.0", 99.5), pick[any](g, int64(1), "1", "1h", "100Mi", int64(60), "1.2.3", 0.5)
		default:
			c["key"], c["value"] = pick[any](g, int64(1), "1", "1h", "100Mi", "1.0.0", "10s"), pick[any](g, int64(100), "100", "2h", "1Gi", "2.0.0", 99.5)
		}
	default:
		k := kindOf(g.IntN(int(anything) + 1))
		c["key"] = g.value(k, 0.8)
		switch {
		case strings.HasSuffix(op, "In") && g.chance(0.6):
			c["value"] = g.list(1, 3, func() any {
				return pick[any](g, g.datum(), g.datum(), int64(3), "1-10", "10Mi-2Gi", "!1-5", "1h-2h", "w*", true, 1.5, ">=2", "1!-10")
			})
		case strings.HasSuffix(op, "In") && g.chance(0.3):
			c["value"] = pick(g, "1-10", "1Mi-2Gi", "1h-3h", "*", "a, b", `["a","b"]`, "web-?", "0!-5", ">1 & <9", "a|b")
		default:
			c["value"] = g.value(pick(g, k, k, kindOf(g.IntN(int(anything)+1))), 0.3)
		}
	}
	g.maybe(c, 0.05, "message", func() any { return "m {{ request.operation }}" })
	return c
}

func (g *generator) preconditions(loop bool) any {
	list := func(most int) []any {
		return g.list(1, most, func() any { return g.condition() })
	}
	switch n := g.IntN(10); {
	case n == 0 && !loop:
		return list(2)
	case n < 4:
		return map[string]any{"all": list(2)}
	case n == 4:
		return map[string]any{"all": list(2), "any": list(3)}
	}
	return map[string]any{"any": list(4)}
}

// merge makes a strategic merge patch for what the rule looks at.
func (g *generator) merge() any {
	out := map[string]any{}
	anchors := pick(g, 0.03, 0.08, 0.25)
	resembled, _ := g.resemble(g.view, 0, anchors).(map[string]any)
	if g.chance(0.65) {
		maps.Copy(out, resembled)
	}
	delete(out, "apiVersion")
	delete(out, "kind")
	if m, ok := out["metadata"].(map[string]any); ok {
		delete(m, "name")
		delete(m, "namespace")
	}
	key := func(k string) string {
		if g.chance(0.3) {
			return "+(" + k + ")"
		}
		return k
	}
	if len(out) == 0 || g.chance(0.6) {
		meta, ok := out["metadata"].(map[string]any)
		if !ok {
			meta = map[string]any{}
			out["metadata"] = meta
		}
		values := map[string]any{}
		for range 1 + g.IntN(2) {
			k := g.label()
			if g.chance(0.06) {
				k = "{{ request.operation }}" + pick(g, "", "-x")
			}
			v := g.value(text_, 0.55)
			if g.chance(0.01) {
				v = nil
			}
			values[key(k)] = v
		}
		if g.chance(0.05) {
			values["first"] = pick[any](g, "1", "{{ request.operation }}", int64(1))
			values["second"] = pick(g, "$(./../first)", "$(./../first)-x", "a $(./../first) b", "$(./../../../metadata)", "$(./../third)", "$(./../first)$(./../first)")
		}
		meta[key(pick(g, "labels", "annotations", "annotations"))] = values
	}
	if g.chance(0.02) {
		out["<(kind)"] = pick(g, "Pod", "*", "!Pod", "Deploy*")
	}
	if g.chance(0.015) {
		return text(out)
	}
	return out
}

// resemble makes a patch that resembles a part of the object.
func (g *generator) resemble(v any, lists int, anchors float64) any {
	if g.chance(0.01) {
		return pick[any](g, nil, "odd", map[string]any{}, []any{}, []any{map[string]any{}})
	}
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		keys := slices.Sorted(maps.Keys(v))
		for _, k := range keys {
			e := v[k]
			_, deep := e.([]any)
			if m, ok := e.(map[string]any); ok {
				deep = len(m) > 0
			}
			p := 0.18
			if deep {
				p = 0.45
			}
			if k == "name" && lists > 0 {
				p = 0.85
			}
			if !g.chance(p) {
				continue
			}
			name := k
			value := g.resemble(e, lists, anchors)
			if m, ok := value.(map[string]any); ok && (k == "labels" || k == "annotations") && g.chance(0.97) {
				for _, key := range slices.Sorted(maps.Keys(m)) {
					if _, ok := m[key].(string); !ok {
						m[key] = g.value(text_, 0.4)
					}
				}
			}
			a := anchors
			if k == "name" && lists > 0 {
				a = 0.5
			}
			if g.chance(a) {
				// Conditions are of use where they hold.
				anchor := pick(g, "", "", "", "+", "+", "<", "=", "X", "^")
				name = anchor + "(" + k + ")"
				if _, isMap := value.(map[string]any); !isMap && anchor == "" && g.chance(0.7) {
					value = pick[any](g, e, "?*", "*", e)
				}
			} else if g.chance(0.04) {
				value = nil
			}
			out[name] = value
		}
		for range g.IntN(3) * g.IntN(2) {
			k := pick(g, "priorityClassName", "dnsPolicy", "hostIPC", "extra", "imagePullPolicy", "labels", "a", "b", "env", "volumes", "tolerations", "nodeSelector")
			if g.chance(0.4) {
				k = "+(" + k + ")"
			}
			if _, ok := out[k]; ok {
				continue
			}
			var value any
			switch {
			case strings.Contains(k, "env"), strings.Contains(k, "volumes"):
				value = []any{map[string]any{"name": g.name(), "value": g.value(text_, 0.4)}}
			case strings.Contains(k, "tolerations"):
				value = []any{map[string]any{"key": "k", "operator": "Exists"}}
			default:
				value = g.value(pick(g, text_, text_, number, boolean, object), 0.35)
			}
			out[k] = value
		}
		return out
	case []any:
		out := []any{}
		for i, e := range v {
			if i == 0 || g.chance(0.25) {
				out = append(out, g.resemble(e, lists+1, anchors))
			}
		}
		if g.chance(0.15) && len(v) > 0 {
			if _, ok := v[0].(map[string]any); ok {
				out = append(out, map[string]any{"name": pick(g, "new", "sidecar"), "image": g.value(text_, 0.3)})
			} else {
				out = append(out, g.value(text_, 0.3))
			}
		}
		return out
	case nil:
		return g.value(text_, 0.3)
	}
	if g.chance(0.5) {
		return g.value(typeOf(v), 0.5)
	}
	return v
}

func pointer(parts []string) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString("/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(p))
	}
	return b.String()
}

// operations makes a JSON patch for o; below is where o stands.
func (g *generator) operations(o any, below string) string {
	var paths [][]string
	var down func(v any, path []string)
	down = func(v any, path []string) {
		if len(path) > 0 {
			paths = append(paths, path)
		}
		at := func(k string) []string { return append(slices.Clone(path), k) }
		switch v := v.(type) {
		case map[string]any:
			for _, k := range slices.Sorted(maps.Keys(v)) {
				if len(path) == 0 && (k == "apiVersion" || k == "kind") || len(path) == 1 && (k == "name" || k == "namespace") && path[0] == "metadata" {
					continue
				}
				down(v[k], at(k))
			}
		case []any:
			for i, e := range v {
				down(e, at(fmt.Sprint(i)))
			}
		}
	}
	down(o, nil)
	path := func() string {
		if len(paths) == 0 || g.chance(0.1) {
			return pick(g, "/metadata/labels/new", "/metadata/annotations/example.com~1y", "/spec/missing/deep", "/spec/containers/-", "/spec/containers/-1", "/spec/containers/0/env/-", "/spec/containers/7", "/data/x", "/metadata/labels", "", "/spec/volumes/0", "/a~0b", "/spec/list/0", "/spec/list/-")
		}
		p := slices.Clone(paths[g.IntN(len(paths))])
		last := len(p) - 1
		switch {
		case g.chance(0.15):
			p = append(p, pick(g, "new", "-", "0", "x/y", "-1"))
		case g.chance(0.15):
			p[last] = pick(g, "new", "-", "0", "1", "-1", "01", "a b")
		}
		return pointer(p)
	}
	var ops []any
	for range pick(g, 1, 1, 2, 3) {
		op := pick(g, "add", "add", "add", "replace", "remove", "copy", "move", "test")
		at := below + path()
		m := map[string]any{"op": op, "path": at}
		switch op {
		case "add", "replace", "test":
			m["value"] = g.value(kindOf(g.IntN(int(anything)+1)), 0.4)
			if g.chance(0.5) {
				m["value"] = g.value(text_, 0.5)
			}
			if g.chance(0.03) {
				m["value"] = nil
			}
			if g.chance(0.02) {
				delete(m, "value")
			}
		case "copy", "move":
			m["from"] = below + path()
			if g.chance(0.5) {
				m["path"] = pick(g, "/metadata/annotations/moved", "/metadata/labels/moved", "/spec/moved")
			}
		}
		ops = append(ops, m)
	}
	if g.chance(0.35) {
		b, _ := json.Marshal(ops)
		return strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(string(b))
	}
	return text(ops)
}

// loop makes one element of foreach.
func (g *generator) loop(s *sample) map[string]any {
	depth := g.depth
	g.depth++
	saved := slices.Clone(g.roots)
	defer func() { g.depth, g.roots = depth, saved }()
	l := map[string]any{}
	type source struct {
		list    string
		element any
		path    string // of the elements in the object, with a place for the index
	}
	var sources []source
	var down func(expression, path string, v any, n int)
	down = func(expression, path string, v any, n int) {
		switch v := v.(type) {
		case map[string]any:
			for _, k := range slices.Sorted(maps.Keys(v)) {
				down(expression+"."+quote(k), path+pointer([]string{k}), v[k], n+1)
			}
			if len(v) > 0 && n > 0 && n < 5 {
				sources = append(sources, source{"items(" + expression + ", 'key', 'value')", map[string]any{"key": "app", "value": "web"}, ""},
					source{"keys(" + expression + ")", "app", ""}, source{expression, v, ""})
			}
		case []any:
			var e any
			if len(v) > 0 {
				e = v[g.IntN(len(v))]
			}
			w := 1
			if _, ok := e.(map[string]any); ok {
				w = 5
			}
			for range w {
				sources = append(sources, source{expression, e, path})
			}
			if len(v) > 0 {
				down(expression+"[0]", path+"/0", v[0], n+1)
			}
		}
	}
	if depth == 0 {
		down("request.object", "", g.view, 0)
	} else {
		for _, r := range saved {
			if r.name == fmt.Sprintf("element%d", depth-1) {
				down(pick(g, r.name, "element"), "", r.value, 1)
			}
		}
	}
	src := source{"`[\"a\",\"b\"]`", "a", ""}
	if len(sources) > 0 {
		src = sources[g.IntN(len(sources))]
	}
	switch {
	case g.chance(0.05):
		src = source{g.expression(pick(g, texts, objects, anything), 2), "a", ""}
	case g.chance(0.05):
		src = source{"request.object.spec.[containers, initContainers][]", map[string]any{"name": "a", "image": "nginx"}, ""}
	case g.chance(0.04):
		src.list += " || `[]`"
	case g.chance(0.04):
		src.list = "{{ " + src.list + " }}"
	case g.chance(0.05):
		src.list += pick(g, "[?name!='db']", "[0:1]", " | [-1]", "[::-1]", "[].name", "[*].image", " | to_string(@)", " | [`null`, @]")
	}
	l["list"] = src.list
	element := src.element
	g.roots = append(g.roots, root{"element", element}, root{fmt.Sprintf("element%d", depth), element}, root{"elementIndex", int64(0)})
	g.maybe(l, 0.25, "order", func() any { return pick(g, "Ascending", "Descending") })
	if g.chance(0.2) {
		l["context"] = g.context(s)
	}
	g.maybe(l, 0.3, "preconditions", func() any { return g.preconditions(true) })
	if depth < 2 && g.chance(0.2) {
		var inner []any
		for range pick(g, 1, 1, 2) {
			inner = append(inner, g.loop(s))
		}
		l["foreach"] = inner
		if g.chance(0.95) {
			// Kyverno refuses them beside a nested foreach.
			delete(l, "context")
			delete(l, "preconditions")
		}
		return l
	}
	index := pick(g, "elementIndex", fmt.Sprintf("elementIndex%d", depth))
	named := false
	if m, ok := element.(map[string]any); ok {
		_, named = m["name"].(string)
	}
	switch {
	case g.chance(0.5):
		if named && src.path != "" && g.chance(0.6) {
			// A patch of the element by its name.
			inner, _ := g.resemble(element, 0, 0.05).(map[string]any)
			if inner == nil {
				inner = map[string]any{}
			}
			for _, k := range slices.Sorted(maps.Keys(inner)) {
				if strings.Contains(k, "name") {
					delete(inner, k)
				}
			}
			inner[pick(g, "name", "(name)", "name")] = "{{ element.name }}"
			inner["image"] = g.value(text_, 0.6)
			var patch any = []any{inner}
			parts := strings.Split(strings.Trim(src.path, "/"), "/")
			ok := true
			for i := len(parts) - 1; i >= 0; i-- {
				if parts[i] == "0" {
					patch = []any{patch}
					ok = ok && i > 0
					continue
				}
				patch = map[string]any{strings.NewReplacer("~1", "/", "~0", "~").Replace(parts[i]): patch}
			}
			if ok {
				l["patchStrategicMerge"] = patch
				break
			}
		}
		l["patchStrategicMerge"] = g.merge()
	default:
		var ops []any
		value := g.value(pick(g, text_, text_, number, object), 0.6)
		if src.path != "" && g.chance(0.7) {
			at := src.path + "/{{" + index + "}}"
			switch g.IntN(5) {
			case 0:
				ops = append(ops, map[string]any{"op": "remove", "path": at})
			case 1:
				ops = append(ops, map[string]any{"op": "replace", "path": at, "value": value})
			case 2:
				ops = append(ops, map[string]any{"op": "add", "path": src.path + "/-", "value": value})
			default:
				ops = append(ops, map[string]any{"op": pick(g, "add", "replace"), "path": at + "/" + pick(g, "image", "name", "extra", "value", "env/-", "ports", "securityContext"), "value": value})
			}
		} else {
			k := pick(g, "x-{{"+index+"}}", "n{{ element0 | to_string(@) | length(@) }}", "fixed", "{{ element.name || 'none' }}")
			ops = append(ops, map[string]any{"op": "add", "path": "/metadata/" + pick(g, "labels", "annotations") + "/" + k, "value": value})
		}
		if g.chance(0.15) {
			l["patchesJson6902"] = g.operations(g.view, "")
		} else if g.chance(0.3) {
			b, _ := json.Marshal(ops)
			l["patchesJson6902"] = string(b)
		} else {
			l["patchesJson6902"] = text(ops)
		}
	}
	return l
}

func (g *generator) exception(s *sample, kind string) map[string]any {
	g.roots = []root{{"request.object", s.Resource}}
	p := s.Policies[g.IntN(len(s.Policies))]
	name := nameOf(p)
	if ns := namespaceOf(p); ns != "" {
		name = ns + "/" + name
	}
	spec := map[string]any{
		"exceptions": []any{map[string]any{"policyName": name, "ruleNames": g.list(1, 2, func() any { return pick(g, "r0", "r1", "r*", "*", "autogen-r0", "autogen-*") })}},
		"match":      map[string]any{pick(g, "any", "all"): []any{map[string]any{"resources": map[string]any{"kinds": []any{g.kind(kind, g.chance(0.7))}}}}},
	}
	if g.chance(0.3) {
		m := g.match(s, kind, false, false)
		if m["any"] != nil || m["all"] != nil {
			spec["match"] = m
		}
	}
	if g.chance(0.3) {
		spec["conditions"] = map[string]any{pick(g, "any", "all"): g.list(1, 2, func() any { return g.condition() })}
	}
	return map[string]any{"apiVersion": pick(g, "kyverno.io/v2", "kyverno.io/v2beta1"), "kind": "PolicyException", "metadata": map[string]any{"name": "e", "namespace": "default"}, "spec": spec}
}
