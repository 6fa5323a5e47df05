package gatekeeper

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
)

// A generator makes mutators and objects of a small world, so that they meet.
type generator struct {
	*rand.Rand
	odd float64 // how likely a location takes a field for something else than it is
}

func (g *generator) likely(p float64) bool { return g.Float64() < p }

func pick[T any](g *generator, list ...T) T { return list[g.IntN(len(list))] }

var words = []string{"web", "db", "sidecar", "a", "b", "nginx", "registry.example.com/web:1", "localhost:5000/db", "team/app@sha256:" + hex, ":v1", ""}

const hex = "0123456789abcdef0123456789abcdef"

func (g *generator) word() string { return words[g.IntN(len(words))] }

// A shape is what the value of a field looks like.
type shape struct {
	fields map[string]*shape // a map
	key    string            // of a list of maps, with the fields
	set    bool              // a list of scalars
}

func (s *shape) names() []string { return slices.Sorted(maps.Keys(s.fields)) }

var (
	scalar    = &shape{}
	container = &shape{key: "name", fields: map[string]*shape{
		"name": scalar, "image": scalar, "args": {set: true},
		"ports": {key: "containerPort", fields: map[string]*shape{"containerPort": scalar, "protocol": scalar, "name": scalar}},
		"env":   {key: "name", fields: map[string]*shape{"name": scalar, "value": scalar}},
		"m":     {fields: map[string]*shape{"x": scalar, "y y": scalar}},
	}}
	spec = &shape{fields: map[string]*shape{
		"containers": container, "initContainers": container, "a": scalar, "b": scalar, "set": {set: true},
		"m": {fields: map[string]*shape{"x": scalar, "0": scalar, "deep": {fields: map[string]*shape{"x": scalar, "set": {set: true}}}}},
	}}
)

func (g *generator) scalar() any {
	switch g.IntN(8) {
	case 0:
		return int64(g.IntN(3) + 80)
	case 1:
		return g.likely(0.5)
	case 2:
		return float64(g.IntN(3)) + 0.5
	}
	return g.word()
}

// value returns a value of a shape; with some faults, one of another.
func (g *generator) value(s *shape, faults float64) any {
	if g.likely(faults) {
		return pick[any](g, nil, "web", int64(80), []any{}, map[string]any{}, []any{"web", nil}, []any{map[string]any{"name": "web"}})
	}
	switch {
	case s.set:
		out := []any{}
		for range g.IntN(4) {
			out = append(out, g.scalar())
		}
		return out
	case s.key != "":
		out := []any{}
		for range g.IntN(3) {
			m := g.fields(s, faults)
			if !g.likely(0.1) {
				m[s.key] = g.keyValue(s.key)
			}
			out = append(out, m)
		}
		return out
	case s.fields != nil:
		return g.fields(s, faults)
	}
	return g.scalar()
}

func (g *generator) keyValue(key string) any {
	if key == "containerPort" {
		return int64(80 + g.IntN(2))
	}
	return pick[any](g, "web", "db", "sidecar")
}

func (g *generator) fields(s *shape, faults float64) map[string]any {
	out := map[string]any{}
	for _, name := range s.names() {
		if g.likely(0.4) {
			out[name] = g.value(s.fields[name], faults)
		}
	}
	return out
}

// A kind is a kind of objects.
type kind struct {
	group, version, kind string
	cluster              bool
}

var kinds = []kind{
	{"", "v1", "Thing", false}, {"", "v1", "Thing", false}, {"", "v1", "Pod", false}, {"apps", "v1", "Deployment", false}, {"example.com", "v1", "Widget", false},
	{"", "v1", "Namespace", true}, {"rbac.authorization.k8s.io", "v1", "ClusterRole", true},
}

func (k kind) apiVersion() string {
	if k.group == "" {
		return k.version
	}
	return k.group + "/" + k.version
}

var namespaces = []string{"shop", "shop-test", "prod"}

func (g *generator) labels() map[string]any {
	out := map[string]any{}
	for _, name := range []string{"team", "stage", "y/y"} {
		if g.likely(0.4) {
			out[name] = pick[any](g, "web", "db")
		}
	}
	if g.likely(0.02) {
		out["odd"] = true
	}
	return out
}

func (g *generator) object() (map[string]any, kind) {
	k := pick(g, kinds...)
	meta := map[string]any{"name": pick(g, "web", "web-1", "db")}
	if g.likely(0.1) {
		meta = map[string]any{"generateName": pick(g, "web-", "db-")}
	}
	if k.kind == "Namespace" {
		meta = map[string]any{"name": pick(g, namespaces...)}
	}
	if !k.cluster && g.likely(0.8) {
		meta["namespace"] = pick(g, namespaces...)
	}
	if g.likely(0.7) {
		meta["labels"] = g.labels()
	}
	if g.likely(0.3) {
		meta["annotations"] = map[string]any{"note": "web"}
	}
	if g.likely(0.01) {
		meta["labels"] = pick[any](g, "web", nil, []any{})
	}
	o := map[string]any{"apiVersion": k.apiVersion(), "kind": k.kind, "metadata": meta}
	if g.likely(0.95) {
		o["spec"] = g.value(spec, 0.03)
	}
	return o, k
}

// location returns the text of a location, the shape at its end, its elements and
// what the end of it is, when that is an element of a list.
func (g *generator) location() (text string, end *shape, element map[string]any, prefixes []string) {
	at := spec
	parts := []string{"spec"}
	for at.fields != nil && (len(parts) < 2 || g.likely(0.85)) {
		element = nil
		name := pick(g, at.names()...)
		if g.likely(g.odd) {
			name = pick(g, "other", "name", "containers")
		}
		next := at.fields[name]
		if next == nil {
			next = pick(g, scalar, container)
		}
		parts = append(parts, "."+g.name(name))
		if next.key != "" && !g.likely(2*g.odd) || g.likely(g.odd) {
			key := next.key
			if key == "" || g.likely(g.odd) {
				key = pick(g, "name", "x")
			}
			value := g.keyValue(key)
			element = map[string]any{key: value}
			written := fmt.Sprint(value)
			if _, ok := value.(string); ok {
				written = g.name(written)
			}
			if g.likely(0.3) {
				written = "*"
			}
			parts = append(parts, "["+g.space()+g.name(key)+g.space()+":"+g.space()+written+"]")
		}
		at = next
	}
	for i := range parts {
		prefixes = append(prefixes, strings.Join(parts[:i+1], ""))
	}
	text = strings.Join(parts, "")
	if g.likely(0.01) { // broken
		i := g.IntN(len(text))
		text = text[:i] + pick(g, "", ".", "[", "*", "\"", "é", "1", " x", ":") + text[i+g.IntN(2):]
	}
	return text, at, element, prefixes
}

func (g *generator) space() string { return pick(g, "", "", " ", "\n") }

// name writes a word of a location.
func (g *generator) name(s string) string {
	if strings.ContainsAny(s, " 0/") || g.likely(0.1) {
		q := pick(g, `"`, "'")
		return q + s + q
	}
	return s
}

func (g *generator) some(p float64, list ...any) []any {
	var out []any
	for _, v := range list {
		if g.likely(p) {
			out = append(out, v)
		}
	}
	return out
}

func (g *generator) selector() map[string]any {
	out := map[string]any{}
	if g.likely(0.5) {
		out["matchLabels"] = map[string]any{pick(g, "team", "stage"): pick(g, "web", "db")}
	}
	if g.likely(0.5) {
		operator := pick(g, "In", "NotIn", "Exists", "DoesNotExist")
		e := map[string]any{"key": pick(g, "team", "stage"), "operator": operator}
		if strings.HasSuffix(operator, "In") {
			e["values"] = []any{pick(g, "web", "db")}
		}
		out["matchExpressions"] = []any{e}
	}
	return out
}

func (g *generator) match() map[string]any {
	out := map[string]any{}
	set := func(p float64, name string, v any) {
		if g.likely(p) {
			out[name] = v
		}
	}
	globs := []any{"shop", "shop-*", "*-test", "*ho*", "*", "prod", "web", "web-*", ""}
	k := pick(g, kinds...)
	set(0.3, "kinds", []any{map[string]any{"apiGroups": g.some(0.6, k.group, "*"), "kinds": g.some(0.6, k.kind, "*", "Pod")}})
	set(0.15, "scope", pick(g, "Namespaced", "Cluster", "*", "cluster"))
	set(0.15, "namespaces", g.some(0.5, pick(g, globs...), pick(g, globs...)))
	set(0.1, "excludedNamespaces", g.some(0.5, pick(g, globs...)))
	set(0.15, "labelSelector", g.selector())
	set(0.15, "namespaceSelector", g.selector())
	set(0.1, "name", pick(g, globs...))
	set(0.1, "source", pick(g, "All", "Original", "Generated"))
	return out
}

func (g *generator) applyTo(of kind) []any {
	var out []any
	for range 1 + g.IntN(2) {
		k := of
		if g.likely(0.2) {
			k = pick(g, kinds...)
		}
		a := map[string]any{"groups": append(g.some(0.1, "apps"), k.group), "versions": []any{k.version}, "kinds": append(g.some(0.1, "Widget"), k.kind)}
		if g.likely(0.2) {
			a["operations"] = []any{pick(g, "CREATE", "UPDATE", "*")}
			if g.likely(0.05) {
				a["operations"] = g.some(0.7, pick(g, "CREATE", "UPDATE", "*", "CREATE"), pick(g, "UPDATE", "UPDATE", "DELETE"))
			}
		}
		if g.likely(0.005) {
			delete(a, pick(g, "groups", "versions", "kinds"))
		}
		out = append(out, a)
	}
	return out
}

func (g *generator) pathTests(prefixes []string) []any {
	var out []any
	if g.likely(0.7) {
		return nil
	}
	for range 1 + g.IntN(2) {
		sub := pick(g, prefixes...)
		if g.likely(0.02) {
			sub = "spec.other"
		}
		out = append(out, map[string]any{"subPath": sub, "condition": pick(g, "MustExist", "MustNotExist")})
	}
	return out
}

func (g *generator) external() map[string]any {
	out := map[string]any{
		"provider": pick(g, "upper", "broken", "strange"), "dataSource": pick(g, "ValueAtLocation", "ValueAtLocation", "Username"),
		"failurePolicy": pick(g, "Fail", "Ignore", "UseDefault"),
	}
	if g.likely(0.9) {
		out["default"] = "fallback"
	}
	return out
}

// assign is what a mutator sets a field to.
func (g *generator) assign(end *shape, element map[string]any, external float64) map[string]any {
	switch {
	case g.likely(external):
		return map[string]any{"externalData": g.external()}
	case g.likely(0.1):
		return map[string]any{"fromMetadata": map[string]any{"field": pick(g, "name", "namespace")}}
	case g.likely(0.01):
		return map[string]any{}
	}
	if element == nil || g.likely(0.1) {
		v := g.value(end, 0.05)
		if v == nil {
			v = "none"
		}
		return map[string]any{"value": v}
	}
	value := g.fields(end, 0.03)
	for k, v := range element {
		if g.likely(0.95) {
			value[k] = v
		}
	}
	return map[string]any{"value": value}
}

// mutator returns one that is mostly about objects of a kind.
func (g *generator) mutator(of kind, n int) map[string]any {
	typ := pick(g, "Assign", "Assign", "Assign", "AssignMetadata", "ModifySet", "AssignImage")
	text, end, element, prefixes := g.location()
	s := map[string]any{"location": text, "match": g.match()}
	parameters := map[string]any{}
	if tests := g.pathTests(prefixes); tests != nil && typ != "AssignMetadata" {
		parameters["pathTests"] = tests
	}
	version := pick(g, "v1", "v1beta1", "v1alpha1")
	switch typ {
	case "Assign":
		parameters["assign"] = g.assign(end, element, 0.15)
	case "AssignMetadata":
		s["location"] = pick(g, "metadata.labels.team", "metadata.labels.stage", `metadata.annotations."y/y"`, "metadata.annotations.note")
		if g.likely(0.05) {
			s["location"] = pick(g, "metadata.labels", "spec.a", "metadata.labels[team: x].y", "metadata.labels.x[team: x]", "metadata.name.x")
		}
		parameters["assign"] = map[string]any{"value": pick[any](g, "web", "db", "web", "db", "web", "db", "web", int64(1))}
		if g.likely(0.1) {
			parameters["assign"] = g.assign(scalar, nil, 0.5)
		}
	case "ModifySet":
		if !end.set && g.likely(0.8) { // elsewhere
			for !end.set || element != nil {
				text, end, element, prefixes = g.location()
			}
			s["location"] = text
			delete(parameters, "pathTests")
			if tests := g.pathTests(prefixes); tests != nil {
				parameters["pathTests"] = tests
			}
		}
		parameters["operation"] = pick(g, "merge", "prune")
		list := []any{g.scalar()}
		for range g.IntN(3) {
			list = append(list, g.scalar())
		}
		parameters["values"] = map[string]any{"fromList": list}
	case "AssignImage":
		version = "v1alpha1"
		if g.likely(0.8) {
			list := pick(g, "spec.containers", "spec.initContainers") + pick(g, "[name: web]", "[name: *]")
			s["location"] = list + ".image"
			delete(parameters, "pathTests")
			if tests := g.pathTests([]string{"spec", list, list + ".image"}); tests != nil {
				parameters["pathTests"] = tests
			}
		}
		for name, list := range map[string][]string{
			"assignDomain": {"registry.example.com", "localhost:5000", "mirror.example.com:443", "nodots", "a/b.c", ""},
			"assignPath":   {"team/app", "a__b/c-d", "app", "Upper", "registry.example.com/app", ""},
			"assignTag":    {":v2", "@sha256:" + hex, "v2", ":", "@sha256:12", ""},
		} {
			v := pick(g, list[:3]...)
			if g.likely(0.1) {
				v = pick(g, list...)
			}
			if g.likely(0.5) && !(v == "v2" && g.likely(0.9)) {
				parameters[name] = v
			}
		}
	}
	s["parameters"] = parameters
	if typ != "AssignMetadata" {
		s["applyTo"] = g.applyTo(of)
	}
	return map[string]any{
		"apiVersion": "mutations.gatekeeper.sh/" + version, "kind": typ,
		"metadata": map[string]any{"name": fmt.Sprintf("m%d", n)}, "spec": s,
	}
}
