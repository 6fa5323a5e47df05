package differential

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// A kindOf is a type of JMESPath, as far as the generator tells them apart.
type kindOf int

const (
	text_ kindOf = iota
	number
	boolean
	texts
	objects
	object
	anything
)

// A root is a name that expressions may start with, and what it holds.
type root struct {
	name  string
	value any
}

func typeOf(v any) kindOf {
	switch v := v.(type) {
	case string:
		return text_
	case int64, float64:
		return number
	case bool:
		return boolean
	case map[string]any:
		return object
	case []any:
		for _, e := range v {
			switch e.(type) {
			case string:
				return texts
			case map[string]any:
				return objects
			}
		}
		return texts
	}
	return anything
}

var names = regexp.MustCompile(`request|element|images|[a-z_0-9]+\(|\bv\d|data|my_var`)

var identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func quote(key string) string {
	if identifier.MatchString(key) {
		return key
	}
	return `"` + key + `"`
}

// A place is an expression that leads to a value.
type place struct {
	expression string
	kind       kindOf
	value      any
}

// places lists what expressions can reach from the roots.
func (g *generator) places() []place {
	var out []place
	var down func(expression string, v any, depth int)
	down = func(expression string, v any, depth int) {
		out = append(out, place{expression, typeOf(v), v})
		if depth > 7 {
			return
		}
		switch v := v.(type) {
		case map[string]any:
			for _, k := range slices.Sorted(maps.Keys(v)) {
				down(expression+"."+quote(k), v[k], depth+1)
			}
		case []any:
			for i, e := range v {
				down(fmt.Sprintf("%s[%d]", expression, i), e, depth+1)
			}
			if len(v) > 0 {
				if m, ok := v[0].(map[string]any); ok {
					for _, k := range slices.Sorted(maps.Keys(m)) {
						var all []any
						for _, e := range v {
							if o, ok := e.(map[string]any); ok && o[k] != nil {
								all = append(all, o[k])
							}
						}
						out = append(out, place{expression + "[]." + quote(k), typeOf(all), all})
					}
				}
			}
		}
	}
	for _, r := range g.roots {
		down(r.name, r.value, 0)
	}
	return out
}

// reach returns an expression for a value of the type that exists.
func (g *generator) reach(k kindOf) (string, bool) {
	all := g.places()
	var of []place
	for _, p := range all {
		if p.kind == k || k == anything {
			of = append(of, p)
		}
	}
	if len(of) == 0 {
		return "", false
	}
	// The roots that came last, such as element, are what rules speak of most.
	if len(g.roots) > 1 && g.chance(0.5) {
		var near []place
		for _, p := range of {
			if !strings.HasPrefix(p.expression, g.roots[0].name) {
				near = append(near, p)
			}
		}
		if len(near) > 0 {
			of = near
		}
	}
	return of[g.IntN(len(of))].expression, true
}

// literal writes a value as JMESPath.
func literal(v any) string {
	if s, ok := v.(string); ok && !strings.ContainsAny(s, "'\\\n{}") {
		return "'" + s + "'"
	}
	b, _ := json.Marshal(v)
	return "`" + strings.ReplaceAll(string(b), "`", "\\`") + "`"
}

func (g *generator) literal(k kindOf) string {
	switch k {
	case text_:
		return literal(g.datum())
	case number:
		return literal(pick[any](g, 0, 1, 2, 3, -1, 1.5, 10, 100))
	case boolean:
		return literal(g.chance(0.5))
	case texts:
		return literal(g.list(0, 3, func() any { return g.datum() }))
	case objects:
		return literal(g.list(0, 2, func() any { return map[string]any{"name": g.name(), "value": g.datum()} }))
	case object:
		return literal(g.labels())
	}
	return g.literal(kindOf(g.IntN(int(anything))))
}

// A call is a function with the types that it takes and gives.
type call struct {
	name string
	args []kindOf
	out  kindOf
}

var calls = []call{
	{"compare", []kindOf{text_, text_}, number},
	{"equal_fold", []kindOf{text_, text_}, boolean},
	{"replace", []kindOf{text_, text_, text_, number}, text_},
	{"replace_all", []kindOf{text_, text_, text_}, text_},
	{"to_upper", []kindOf{text_}, text_},
	{"to_lower", []kindOf{text_}, text_},
	{"trim", []kindOf{text_, text_}, text_},
	{"trim_prefix", []kindOf{text_, text_}, text_},
	{"split", []kindOf{text_, text_}, texts},
	{"regex_replace_all", []kindOf{text_, text_, text_}, text_},
	{"regex_replace_all_literal", []kindOf{text_, text_, text_}, text_},
	{"regex_match", []kindOf{text_, text_}, boolean},
	{"regex_match", []kindOf{text_, number}, boolean},
	{"pattern_match", []kindOf{text_, text_}, boolean},
	{"pattern_match", []kindOf{text_, number}, boolean},
	{"label_match", []kindOf{object, object}, boolean},
	{"to_boolean", []kindOf{text_}, boolean},
	{"add", []kindOf{number, number}, number},
	{"add", []kindOf{text_, text_}, anything},
	{"sum", []kindOf{texts}, anything},
	{"subtract", []kindOf{number, number}, number},
	{"subtract", []kindOf{text_, text_}, anything},
	{"multiply", []kindOf{number, number}, number},
	{"multiply", []kindOf{text_, number}, anything},
	{"divide", []kindOf{number, number}, number},
	{"divide", []kindOf{text_, text_}, anything},
	{"modulo", []kindOf{number, number}, number},
	{"modulo", []kindOf{text_, text_}, anything},
	{"round", []kindOf{number, number}, number},
	{"base64_decode", []kindOf{text_}, text_},
	{"base64_encode", []kindOf{text_}, text_},
	{"path_canonicalize", []kindOf{text_}, text_},
	{"truncate", []kindOf{text_, number}, text_},
	{"semver_compare", []kindOf{text_, text_}, boolean},
	{"parse_json", []kindOf{text_}, anything},
	{"parse_yaml", []kindOf{text_}, anything},
	{"lookup", []kindOf{object, text_}, anything},
	{"lookup", []kindOf{texts, number}, anything},
	{"items", []kindOf{object, text_, text_}, objects},
	{"object_from_lists", []kindOf{texts, texts}, object},
	{"image_normalize", []kindOf{text_}, text_},
	{"is_external_url", []kindOf{text_}, boolean},
	{"sha256", []kindOf{text_}, text_},
	{"sha1", []kindOf{text_}, text_},
	{"md5", []kindOf{text_}, text_},
	{"time_parse", []kindOf{text_, text_}, text_},
	{"time_to_cron", []kindOf{text_}, text_},
	{"time_add", []kindOf{text_, text_}, text_},
	{"time_diff", []kindOf{text_, text_}, text_},
	{"time_before", []kindOf{text_, text_}, boolean},
	{"time_after", []kindOf{text_, text_}, boolean},
	{"time_between", []kindOf{text_, text_, text_}, boolean},
	{"time_truncate", []kindOf{text_, text_}, text_},
	{"time_utc", []kindOf{text_}, text_},
	{"abs", []kindOf{number}, number},
	{"avg", []kindOf{anything}, number},
	{"ceil", []kindOf{number}, number},
	{"floor", []kindOf{number}, number},
	{"contains", []kindOf{texts, text_}, boolean},
	{"contains", []kindOf{text_, text_}, boolean},
	{"ends_with", []kindOf{text_, text_}, boolean},
	{"starts_with", []kindOf{text_, text_}, boolean},
	{"join", []kindOf{text_, texts}, text_},
	{"keys", []kindOf{object}, texts},
	{"values", []kindOf{object}, texts},
	{"length", []kindOf{anything}, number},
	{"length", []kindOf{texts}, number},
	{"max", []kindOf{texts}, text_},
	{"min", []kindOf{texts}, text_},
	{"merge", []kindOf{object, object}, object},
	{"not_null", []kindOf{anything, text_}, anything},
	{"reverse", []kindOf{texts}, texts},
	{"reverse", []kindOf{text_}, text_},
	{"sort", []kindOf{texts}, texts},
	{"to_array", []kindOf{anything}, texts},
	{"to_number", []kindOf{text_}, number},
	{"to_string", []kindOf{anything}, text_},
	{"type", []kindOf{anything}, text_},
}

// expression writes one of the type, more or less.
func (g *generator) expression(k kindOf, depth int) string {
	if g.chance(0.02) {
		k = kindOf(g.IntN(int(anything) + 1))
	}
	if depth <= 0 || g.chance(0.35) {
		return g.leaf(k)
	}
	sub := func(k kindOf) string { return g.expression(k, depth-1) }
	switch g.IntN(14) {
	case 0, 1, 2, 3, 4, 5:
		var of []call
		for _, c := range calls {
			if c.out == k || c.out == anything && g.chance(0.1) || k == anything {
				of = append(of, c)
			}
		}
		if len(of) == 0 {
			break
		}
		c := of[g.IntN(len(of))]
		args := make([]string, len(c.args))
		for i, a := range c.args {
			args[i] = sub(a)
			switch {
			case strings.HasPrefix(c.name, "time_") && g.chance(0.8):
				args[i] = literal(pick(g, "2024-01-31T10:00:00Z", "2023-06-01T00:00:00+02:00", "1h", "30m", "-24h", "2006-01-02T15:04:05Z07:00"))
			case strings.HasPrefix(c.name, "regex") && i == 0 && g.chance(0.8):
				args[i] = literal(pick(g, "^(.+)$", "[a-z]+", "^w.*", "(a)(b)?", "\\\\d+", ":.*$", "^$"))
			case c.name == "semver_compare" && g.chance(0.7):
				args[i] = literal(pick(g, "1.2.3", ">1.0.0", "1.x", "<2.0.0 || >3", "=1.2.3"))
			case c.name == "pattern_match" && i == 0:
				args[i] = literal(pick(g, "*", "w*", "?*", "a", "1*"))
			case c.name == "split" && i == 1 && g.chance(0.8):
				args[i] = literal(pick(g, ",", "/", ":", "-", ""))
			case c.name == "items" && i > 0 && g.chance(0.8):
				args[i] = literal([]string{"", "key", "value"}[i])
			}
		}
		if g.chance(0.03) {
			args = append(args, sub(anything))
		}
		if g.chance(0.15) {
			return args[0] + " | " + c.name + "(" + strings.Join(append([]string{"@"}, args[1:]...), ", ") + ")"
		}
		return c.name + "(" + strings.Join(args, ", ") + ")"
	case 6:
		return sub(k) + " || " + sub(k)
	case 7:
		if k == boolean || k == anything {
			t := kindOf(g.IntN(3))
			return sub(t) + pick(g, " == ", " != ", " < ", " >= ") + sub(t)
		}
	case 8:
		if k == boolean {
			return pick(g, "!", "!!") + "(" + sub(boolean) + ")"
		}
		return sub(boolean) + " && " + sub(k)
	case 9:
		switch k {
		case object:
			return fmt.Sprintf("{a: %s, %s: %s}", sub(anything), pick(g, "b", `"x.y"`), sub(text_))
		case texts:
			return fmt.Sprintf("[%s, %s]", sub(text_), sub(text_))
		case objects:
			return sub(objects) + pick(g, "[?name=='a']", "[?name!='a']", "[0:1]", "[::-1]", "[?contains(name, 'web')]", "[*]", "[]", " | sort_by(@, &name)", "[-1:]")
		case text_:
			return sub(texts) + pick(g, " | [0]", " | [-1]", " | join(',', @)", " | max(@)")
		case number:
			return "length(" + sub(objects) + ")"
		}
	case 10:
		if list, ok := g.reach(objects); ok {
			switch k {
			case texts:
				return pick(g, list+"[].name", "map(&name, "+list+")", list+"[*].name | sort(@)", list+"[?name].name", "keys("+list+"[0])")
			case text_:
				return pick(g, list+"[0].name", "max_by("+list+", &name).name", "min_by("+list+", &name).name", list+"[?name=='a'] | [0].name", "to_string("+list+"[].name)")
			case number:
				return pick(g, "length("+list+")", "length("+list+"[?name=='a'])")
			}
		}
	case 11:
		if k == text_ || k == anything {
			return "to_string(" + sub(anything) + ")"
		}
	case 12:
		if o, ok := g.reach(object); ok {
			switch k {
			case texts:
				return pick(g, "keys("+o+")", o+".*", "values("+o+")")
			case object:
				return "merge(" + o + ", " + sub(object) + ")"
			case boolean:
				return "contains(keys(" + o + "), " + sub(text_) + ")"
			case objects:
				return "items(" + o + ", 'key', 'value')"
			}
		}
	}
	return g.leaf(k)
}

func (g *generator) leaf(k kindOf) string {
	switch {
	case g.chance(0.05):
		return g.missing()
	case g.chance(0.12):
		return g.missing() + " || " + g.literal(k)
	case g.chance(0.2):
		return g.literal(k)
	}
	if k == text_ && g.chance(0.08) {
		return pick(g, "request.operation", "request.namespace", "request.userInfo.username", "serviceAccountName", "request.kind.kind", "request.name")
	}
	if k == text_ && g.chance(0.06) {
		return pick(g, "images.containers.*.registry | [0]", "images.containers.a.tag", "images.containers.*.name | [0]", "images.initContainers.*.path | [0]", "images.containers.*.reference | [-1]")
	}
	if e, ok := g.reach(k); ok {
		return e
	}
	return g.literal(k)
}

func (g *generator) missing() string {
	r := g.roots[g.IntN(len(g.roots))]
	return r.name + pick(g, ".missing", ".metadata.missing", ".metadata.labels.nope", ".spec.nope.deeper", ".spec.containers[9]", `."x/y"`)
}

// variable writes an expression as variable.
func (g *generator) variable(k kindOf) string {
	e := g.expression(k, g.IntN(4))
	for range 5 {
		// Kyverno refuses variables without any name.
		if names.MatchString(e) {
			break
		}
		e = g.expression(k, g.IntN(4))
	}
	if g.chance(0.03) {
		// A variable within a variable.
		e = pick(g, "request.object.metadata.labels.{{ request.object.metadata.name }} || 'x'", "request.object.{{ to_lower('Metadata') }}.name",
			"to_lower('{{ request.object.metadata.name }}-x')", "to_upper('{{ request.operation }}')", "request.object.spec.containers[{{ length('') }}].name")
	}
	space := pick(g, " ", " ", " ", "", "  ")
	open := "{{"
	if g.chance(0.01) {
		open = "{{-"
	}
	return open + space + e + space + "}}"
}

// value makes a value for a patch or a condition: plain, or with variables.
func (g *generator) value(k kindOf, variables float64) any {
	if g.chance(variables) {
		switch {
		case k == text_ && g.chance(0.35):
			t := pick(g, "x-", "", "a/b:", "é ") + g.variable(kindOf(g.IntN(3))) + pick(g, "", "-y", " z", ".")
			if g.chance(0.2) {
				t += g.variable(text_)
			}
			return t
		case k == text_ && g.chance(0.05):
			return pick(g, `\{{ request.object.metadata.name }}`, `a \{{x}} {{ request.operation }}`, `{{ to_upper('\{{ y }}') }}`, "{ {x} }", "{{}}", "}}", `\\{{ request.operation }}`)
		case k == text_ && g.chance(0.015):
			return pick(g, "$(./../a)", "$(./a)", "$(../b)", "x$(./../name)", `\$(x)`, "$(/mutate)", "$(./../../metadata/labels/app)", "$(./../name)-{{ request.operation }}")
		case k == text_ && g.chance(0.04):
			return pick(g, "{{ @ }}", "{{@}}", "{{@}}-x", "{{ @ }}")
		}
		return g.variable(k)
	}
	switch k {
	case text_:
		return g.datum()
	case number:
		return pick[any](g, int64(0), int64(1), int64(3), int64(80), int64(1000), 1.5)
	case boolean:
		return g.chance(0.5)
	case texts:
		return g.list(0, 3, func() any { return g.datum() })
	case objects:
		return g.list(0, 2, func() any { return map[string]any{"name": g.name(), "value": g.datum()} })
	case object:
		return g.labels()
	}
	return g.value(kindOf(g.IntN(int(anything))), variables)
}
