package admission

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"sigs.k8s.io/structured-merge-diff/v6/schema"
)

// A generator makes values of the types of a schema, small ones with names of a
// small pool, so that what it makes meets.
type generator struct {
	*rand.Rand
	schema *schema.Schema
	faults float64 // how likely a value is of another type, null, or has a field of no type
	atomic float64 // how likely a field that is atomic is not left out
}

// All are base64 too, for fields that are bytes.
var words = []string{"aaaa", "bbbb", "cccc", ""}

func (g *generator) likely(p float64) bool { return g.Float64() < p }

func (g *generator) word() string { return words[g.IntN(len(words))] }

// junk is any JSON value.
func (g *generator) junk(depth int) any {
	switch n := g.IntN(8); {
	case n == 0:
		return nil
	case n == 1:
		return g.word()
	case n == 2:
		return int64(g.IntN(3))
	case n == 3:
		return float64(g.IntN(3)) + 0.5
	case n == 4:
		return g.likely(0.5)
	case n < 7 && depth < 3:
		m := map[string]any{}
		for range g.IntN(3) {
			m[g.word()] = g.junk(depth + 1)
		}
		return m
	case depth < 3:
		l := []any{}
		for range g.IntN(3) {
			l = append(l, g.junk(depth+1))
		}
		return l
	}
	return g.word()
}

// value returns a value of a type. Near, if not nil, is a value of that type
// that it should have to do with.
func (g *generator) value(ref schema.TypeRef, near any, depth int) any {
	if g.likely(g.faults) {
		return g.junk(0)
	}
	atom, ok := g.schema.Resolve(ref)
	if !ok {
		panic(fmt.Sprintf("type %v is not in the schema", ref))
	}
	name := ""
	if ref.NamedType != nil {
		name = *ref.NamedType
	}
	n := 0
	for _, is := range []bool{atom.Scalar != nil, atom.List != nil, atom.Map != nil} {
		if is {
			n++
		}
	}
	pick := g.IntN(n)
	if strings.HasSuffix(name, ".IntOrString") {
		pick = 0 // more than that does not fit into the Go type
	}
	if atom.Scalar != nil {
		if pick == 0 {
			return g.scalar(*atom.Scalar, name)
		}
		pick--
	}
	if atom.List != nil {
		if pick == 0 {
			near, _ := near.([]any)
			return g.list(atom.List, near, depth)
		}
	}
	if atom.Map == nil {
		return g.word()
	}
	nearMap, _ := near.(map[string]any)
	return g.object(atom.Map, nearMap, nil, depth)
}

func (g *generator) scalar(s schema.Scalar, name string) any {
	switch s {
	case schema.Numeric:
		return int64(g.IntN(3))
	case schema.Boolean:
		return g.likely(0.5)
	case schema.String:
		return g.word()
	}
	switch {
	case strings.HasSuffix(name, ".Quantity"):
		return []any{"1", "100m", int64(1), "1Gi"}[g.IntN(4)]
	case strings.HasSuffix(name, ".Time"):
		return "2026-01-02T03:04:05Z"
	case strings.HasSuffix(name, ".MicroTime"):
		return "2026-01-02T03:04:05.000001Z"
	case strings.HasSuffix(name, ".IntOrString"):
		return []any{"25%", int64(1)}[g.IntN(2)]
	}
	return []any{g.word(), int64(1), 1.5, true}[g.IntN(4)]
}

func (g *generator) list(l *schema.List, near []any, depth int) any {
	out := []any{}
	seen := map[string]bool{}
	n := g.IntN(4)
	if depth > 8 {
		n = g.IntN(2)
	}
	for range n {
		var element any
		var like any
		if len(near) > 0 && g.likely(0.7) {
			like = near[g.IntN(len(near))]
		}
		atom, _ := g.schema.Resolve(l.ElementType)
		if l.ElementRelationship == schema.Associative && atom.Map != nil && !g.likely(g.faults) {
			likeMap, _ := like.(map[string]any)
			element = g.object(atom.Map, likeMap, l.Keys, depth+1)
		} else {
			element = g.value(l.ElementType, like, depth+1)
		}
		id := fmt.Sprint(element)
		if m, ok := element.(map[string]any); ok && len(l.Keys) > 0 {
			id = ""
			for _, key := range l.Keys {
				id += fmt.Sprint(m[key]) + "\x00"
			}
		}
		if l.ElementRelationship == schema.Associative && seen[id] && !g.likely(g.faults*5) {
			continue
		}
		seen[id] = true
		out = append(out, element)
	}
	return out
}

func (g *generator) object(m *schema.Map, near map[string]any, keys []string, depth int) map[string]any {
	out := map[string]any{}
	most := 4
	if depth > 4 {
		most = 2
	}
	if depth > 10 {
		most = 0
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(near)) {
		if g.likely(0.6) {
			names = append(names, name)
		}
	}
	if n := len(m.Fields); n > 0 {
		for range g.IntN(most + 1) {
			names = append(names, m.Fields[g.IntN(n)].Name)
		}
	}
	for _, name := range names {
		field, ok := m.FindField(name)
		if !ok || g.isAtomic(field.Type) && !g.likely(g.atomic) {
			continue
		}
		out[name] = g.value(field.Type, near[name], depth+1)
	}
	for _, key := range keys {
		field, _ := m.FindField(key)
		switch {
		case near[key] != nil && g.likely(0.9):
			out[key] = near[key]
		case g.likely(0.95):
			out[key] = g.value(field.Type, nil, depth+1)
		case g.likely(0.5):
			delete(out, key)
		}
	}
	if (m.ElementType != schema.TypeRef{}) && depth < 12 {
		for range g.IntN(3) {
			key := g.word()
			out[key] = g.value(m.ElementType, near[key], depth+1)
		}
	}
	if g.likely(g.faults / 3) {
		out["noSuchField"] = g.junk(0)
	}
	return out
}

func (g *generator) isAtomic(ref schema.TypeRef) bool {
	atom, _ := g.schema.Resolve(ref)
	return atom.Map != nil && atom.Map.ElementRelationship == schema.Atomic || atom.List != nil && atom.List.ElementRelationship == schema.Atomic
}
