package admission

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"sigs.k8s.io/structured-merge-diff/v6/schema"
)

// A sample is an object and what meets it.
type sample struct {
	of       target
	object   map[string]any
	around   []map[string]any // Namespaces and ConfigMaps
	policies []map[string]any
	bindings []map[string]any
}

// A target is a kind with the name of its resource.
type target struct {
	*served
	plural  string
	cluster bool
}

// plurals are the kinds of samples.
var plurals = map[string]string{
	"v1/Pod": "pods", "v1/ConfigMap": "configmaps", "v1/Service": "services", "v1/Namespace": "namespaces",
	"v1/ServiceAccount": "serviceaccounts", "v1/PersistentVolumeClaim": "persistentvolumeclaims", "v1/Node": "nodes",
	"apps/v1/Deployment": "deployments", "apps/v1/StatefulSet": "statefulsets", "apps/v1/DaemonSet": "daemonsets",
	"batch/v1/Job": "jobs", "batch/v1/CronJob": "cronjobs", "networking.k8s.io/v1/Ingress": "ingresses",
	"networking.k8s.io/v1/NetworkPolicy": "networkpolicies", "rbac.authorization.k8s.io/v1/Role": "roles",
	"rbac.authorization.k8s.io/v1/ClusterRole": "clusterroles", "policy/v1/PodDisruptionBudget": "poddisruptionbudgets",
	"storage.k8s.io/v1/StorageClass": "storageclasses", "autoscaling/v2/HorizontalPodAutoscaler": "horizontalpodautoscalers",
}

var clusterScoped = []string{"Namespace", "Node", "ClusterRole", "StorageClass"}

// A policyGenerator makes samples.
type policyGenerator struct {
	*generator
	of     target
	object map[string]any

	fits func(map[string]any) (map[string]any, error)

	params    bool     // the policy has a paramKind
	variables []string // that can be used
}

func (g *policyGenerator) one(from ...string) string { return from[g.IntN(len(from))] }

// labels are few, so that selectors meet them.
func (g *policyGenerator) labels() map[string]any {
	out := map[string]any{}
	for range g.IntN(3) {
		out[g.one("app", "tier", "env")] = g.one("a", "b")
	}
	return out
}

func newSample(r *rand.Rand, of target, fits func(map[string]any) (map[string]any, error)) (*sample, bool) {
	g := &policyGenerator{generator: &generator{Rand: r, schema: of.schema, atomic: 1}, of: of, fits: fits}
	object, ok := g.value(of.ref, nil, 0).(map[string]any)
	if !ok {
		return nil, false
	}
	meta, _ := object["metadata"].(map[string]any)
	if meta == nil {
		meta = map[string]any{}
		object["metadata"] = meta
	}
	object["apiVersion"], object["kind"] = of.kind.APIVersion(), of.kind.Kind
	meta["name"] = "thing"
	delete(meta, "generateName")
	delete(meta, "namespace")
	delete(meta, "managedFields")
	if !of.cluster {
		meta["namespace"] = "here"
	}
	meta["labels"] = g.labels()
	object, err := fits(object)
	if err != nil {
		return nil, false
	}
	g.object = clone(object)
	s := &sample{of: of, object: g.object}
	for _, name := range []string{"here", "there"} {
		labels := g.labels()
		labels["kubernetes.io/metadata.name"] = name
		s.around = append(s.around, map[string]any{
			"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": name, "labels": labels},
			"spec": map[string]any{"finalizers": []any{"kubernetes"}}, "status": map[string]any{"phase": "Active"},
		})
	}
	for i := range g.IntN(4) {
		s.around = append(s.around, map[string]any{
			"apiVersion": "v1", "kind": "ConfigMap",
			"metadata": map[string]any{"name": "param" + strconv.Itoa(i), "namespace": g.one("here", "here", "there"), "labels": g.labels()},
			"data":     map[string]any{"a": g.one("1", "x"), "b": "y"},
		})
	}
	for i := range 1 + g.IntN(3) {
		name := "p" + strconv.Itoa(i)
		s.policies = append(s.policies, g.policy(name))
		for j := range 1 + g.IntN(5)/4 {
			s.bindings = append(s.bindings, g.binding(name, name+"-"+strconv.Itoa(j)))
		}
	}
	return s, true
}

func (g *policyGenerator) policy(name string) map[string]any {
	g.params, g.variables = g.likely(0.25), nil
	spec := map[string]any{
		"failurePolicy":      g.one("Fail", "Fail", "Ignore"),
		"reinvocationPolicy": g.one("Never", "IfNeeded"),
		"matchConstraints":   g.constraints(true),
	}
	if g.params {
		spec["paramKind"] = map[string]any{"apiVersion": "v1", "kind": "ConfigMap"}
	}
	var variables []any
	for i := range g.IntN(6) / 2 {
		name := "v" + strconv.Itoa(i)
		text := g.text()
		if g.likely(0.2) {
			text = g.number()
		}
		variables = append(variables, map[string]any{"name": name, "expression": text})
		g.variables = append(g.variables, name)
	}
	if variables != nil {
		spec["variables"] = variables
	}
	if g.likely(0.3) {
		var conditions []any
		for i := range 1 + g.IntN(3) {
			conditions = append(conditions, map[string]any{"name": "c" + strconv.Itoa(i), "expression": g.condition()})
		}
		spec["matchConditions"] = conditions
	}
	var mutations []any
	for range 1 + g.IntN(5)/2 {
		if g.likely(0.55) {
			mutations = append(mutations, map[string]any{"patchType": "ApplyConfiguration", "applyConfiguration": map[string]any{"expression": g.apply()}})
		} else {
			mutations = append(mutations, map[string]any{"patchType": "JSONPatch", "jsonPatch": map[string]any{"expression": g.jsonPatch()}})
		}
	}
	spec["mutations"] = mutations
	return map[string]any{
		"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicy",
		"metadata": map[string]any{"name": name}, "spec": spec,
	}
}

func (g *policyGenerator) binding(policy, name string) map[string]any {
	spec := map[string]any{"policyName": policy}
	if g.likely(0.3) {
		spec["matchResources"] = g.constraints(g.likely(0.5))
	}
	if g.params && g.likely(0.9) {
		ref := map[string]any{"parameterNotFoundAction": g.one("Allow", "Deny")}
		if g.likely(0.6) {
			ref["name"] = g.one("param0", "param1", "nothing")
		} else {
			ref["selector"] = g.selector()
		}
		if g.likely(0.3) {
			ref["namespace"] = g.one("here", "there")
		}
		spec["paramRef"] = ref
	}
	return map[string]any{
		"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicyBinding",
		"metadata": map[string]any{"name": name}, "spec": spec,
	}
}

func (g *policyGenerator) constraints(rules bool) map[string]any {
	out := map[string]any{}
	if rules {
		out["resourceRules"] = []any{g.rule(0.97)}
		if g.likely(0.2) {
			out["resourceRules"] = []any{g.rule(0.2), g.rule(0.97)}
		}
	}
	if g.likely(0.1) {
		out["excludeResourceRules"] = []any{g.rule(0.4)}
	}
	if g.likely(0.15) {
		out["objectSelector"] = g.selector()
	}
	if g.likely(0.15) {
		out["namespaceSelector"] = g.selector()
	}
	if g.likely(0.2) {
		out["matchPolicy"] = g.one("Exact", "Equivalent")
	}
	return out
}

// rule returns a rule whose parts each match the object so likely.
func (g *policyGenerator) rule(likely float64) map[string]any {
	part := func(right, wrong string) []any {
		switch {
		case g.likely(0.15):
			return []any{"*"}
		case g.likely(0.1):
			return []any{wrong, right}
		case g.likely(likely):
			return []any{right}
		}
		return []any{wrong}
	}
	resources := part(g.of.plural, "things")
	if g.likely(0.05) {
		resources = []any{g.of.plural + "/" + g.one("*", "status")}
	}
	rule := map[string]any{
		"apiGroups": part(g.of.kind.Group, "example.com"), "apiVersions": part(g.of.kind.Version, "v9"),
		"resources": resources, "operations": part("CREATE", "UPDATE"),
	}
	if g.likely(0.1) {
		rule["scope"] = g.one("*", "Namespaced", "Cluster")
	}
	if g.likely(0.1) {
		rule["resourceNames"] = []any{g.one("thing", "other")}
	}
	return rule
}

func (g *policyGenerator) selector() map[string]any {
	out := map[string]any{}
	if g.likely(0.5) {
		out["matchLabels"] = map[string]any{g.one("app", "tier", "env"): g.one("a", "b")}
	}
	if g.likely(0.5) {
		expression := map[string]any{"key": g.one("app", "tier", "env"), "operator": g.one("In", "NotIn", "Exists", "DoesNotExist")}
		if expression["operator"] == "In" || expression["operator"] == "NotIn" {
			expression["values"] = []any{g.one("a", "b")}
		}
		out["matchExpressions"] = []any{expression}
	}
	return out
}

// isName reports whether CEL can select the field.
func isName(s string) bool {
	for i, r := range s {
		if !(r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || i > 0 && r >= '0' && r <= '9') {
			return false
		}
	}
	return s != "" && s != "namespace" && s != "continue" && s != "const" && s != "default" && s != "type" || s == "type"
}

// place is an expression for some value in the object.
func (g *policyGenerator) place(wanted func(any) bool) (string, bool) {
	var found []string
	var walk func(path string, v any)
	walk = func(path string, v any) {
		if wanted(v) {
			found = append(found, path)
		}
		switch v := v.(type) {
		case map[string]any:
			for _, key := range slices.Sorted(maps.Keys(v)) {
				if isName(key) {
					walk(path+"."+key, v[key])
				} else {
					walk(path+"["+strconv.Quote(key)+"]", v[key])
				}
			}
		case []any:
			for i, element := range v {
				walk(path+"["+strconv.Itoa(i)+"]", element)
			}
		}
	}
	walk("object", g.object)
	if len(found) == 0 {
		return "", false
	}
	return found[g.IntN(len(found))], true
}

func isText(v any) bool   { _, ok := v.(string); return ok }
func isNumber(v any) bool { _, ok := v.(int64); return ok }
func isList(v any) bool   { _, ok := v.([]any); return ok }
func isMap(v any) bool    { _, ok := v.(map[string]any); return ok }

func (g *policyGenerator) text() string {
	switch g.IntN(22) {
	case 0, 1:
		if at, ok := g.place(isText); ok {
			return at
		}
	case 2:
		return "object.metadata.name"
	case 3:
		return g.one(`request.name`, `request.namespace`, `request.kind.kind`, `request.operation`, `request.resource.resource`, `request.userInfo.username`, `request.kind.group`, `request.resource.version`, `request.options.kind`)
	case 4:
		return g.one(`namespaceObject.metadata.name`, `namespaceObject.metadata.labels["app"]`, `namespaceObject.status.phase`)
	case 5:
		if len(g.variables) > 0 {
			return "variables." + g.variables[g.IntN(len(g.variables))]
		}
	case 6:
		if g.params {
			return g.one(`params.data.a`, `params.metadata.name`, `params.data["b"]`, `(params == null ? "none" : params.data.a)`)
		}
	case 7:
		return "(" + g.condition() + " ? " + g.text() + " : " + g.text() + ")"
	case 8:
		return "(" + g.text() + " + " + g.text() + ")"
	case 9:
		return "string(" + g.number() + ")"
	case 10:
		return `object.?metadata.?labels["app"].orValue("none")`
	case 11:
		return g.text() + g.one(`.upperAscii()`, `.replace("a", "b")`, `.substring(0, 1)`, `.split("a").join("-")`, `.charAt(0)`, `.trim()`)
	case 12:
		return `object.metadata.labels["` + g.one("app", "tier", "env") + `"]`
	case 13:
		if at, ok := g.place(isList); ok {
			return at + `.map(x, string(x)).join("-")`
		}
	case 14:
		if at, ok := g.place(isMap); ok { // the API server walks through maps in any order
			return "string(" + at + `.map(k, k).filter(k, k != "a").size())`
		}
	case 15:
		return g.one(`object.spec.noSuchField`, `object.noSuch.field`, `oldObject.metadata.name`, `"%d-%s".format([1, "x"])`, `(quantity("1Gi").isInteger() ? "y" : "n")`, `url("https://a/b").getHost()`, `("x".matches("[a-z]") ? "a" : "b")`)
	case 16:
		if g.likely(0.05) {
			return g.one("variables.nothing", "1 + 1", "unknown", `"x".matches("[") ? "a" : "b"`, `"a" +`)
		}
	}
	return strconv.Quote(g.one("aaaa", "bbbb", "x", ""))
}

func (g *policyGenerator) number() string {
	switch g.IntN(12) {
	case 0:
		if at, ok := g.place(isNumber); ok {
			return at
		}
	case 1:
		if at, ok := g.place(isList); ok {
			return "size(" + at + ")"
		}
	case 2:
		if at, ok := g.place(isMap); ok {
			return at + ".size()"
		}
	case 3:
		return "(" + g.number() + g.one(" + ", " * ", " - ", " % ", " / ") + g.number() + ")"
	case 4:
		if g.likely(0.8) {
			return `int("4")`
		}
		return "int(" + g.text() + ")"
	case 5:
		return g.one("2147483648", "9007199254740993", "-1", "7")
	}
	return strconv.Itoa(g.IntN(4))
}

func (g *policyGenerator) condition() string {
	switch g.IntN(14) {
	case 0:
		return g.text() + g.one(" == ", " != ", " < ") + g.text()
	case 1:
		return g.number() + g.one(" == ", " > ", " <= ") + g.number()
	case 2:
		if at, ok := g.place(func(any) bool { return true }); ok && strings.LastIndexByte(at, '.') > strings.LastIndexByte(at, ']') {
			return "has(" + at + ")"
		}
	case 3:
		return "has(object." + g.one("spec", "metadata.labels", "metadata.annotations", "status", "data") + ")"
	case 4:
		return `"` + g.one("app", "tier") + `" in object.metadata.labels`
	case 5:
		return "!(" + g.condition() + ")"
	case 6:
		return "(" + g.condition() + g.one(" && ", " || ") + g.condition() + ")"
	case 7:
		if at, ok := g.place(isList); ok {
			return at + g.one(".exists(x, x == \"aaaa\")", ".all(x, has(x.name))", ".exists_one(x, true)")
		}
	case 8:
		return g.one("params != null", "oldObject == null", "namespaceObject != null", "request.dryRun", "1 / 0 == 1", "object.spec.noSuchField == 1", `object.?spec.?noSuchField.hasValue()`)
	}
	return g.one("true", "true", "false")
}

// apply returns an ApplyConfiguration.
func (g *policyGenerator) apply() string {
	g.faults, g.atomic = 0, 0
	if g.likely(0.1) {
		g.faults = 0.02
	}
	if g.likely(0.1) {
		g.atomic = 0.3
	}
	if g.likely(0.1) {
		return g.condition() + " ? " + g.apply() + " : Object{}"
	}
	change, ok := g.value(g.of.ref, g.object, 0).(map[string]any)
	if !ok {
		change = map[string]any{}
	}
	delete(change, "apiVersion")
	delete(change, "kind")
	if g.likely(0.9) {
		// It is about something that others decide.
		if meta, ok := change["metadata"].(map[string]any); ok {
			for _, name := range []string{"name", "namespace", "generateName", "managedFields"} {
				delete(meta, name)
			}
		}
	}
	if g.likely(0.4) {
		meta, _ := change["metadata"].(map[string]any)
		if meta == nil {
			meta = map[string]any{}
		}
		change["metadata"] = meta
		meta[g.one("labels", "annotations")] = g.labels()
	}
	g.faults = 0
	return g.expression(g.of.ref, change, "Object")
}

// expression writes a value as CEL.
func (g *policyGenerator) expression(ref schema.TypeRef, v any, typeName string) string {
	atom, _ := g.schema.Resolve(ref)
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		if g.likely(0.3) {
			return g.text()
		}
		return strconv.Quote(v)
	case int64:
		if g.likely(0.2) {
			return g.number()
		}
		return strconv.FormatInt(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case bool:
		if g.likely(0.2) {
			return g.condition()
		}
		return strconv.FormatBool(v)
	case []any:
		var element schema.TypeRef
		if atom.List != nil {
			element = atom.List.ElementType
		}
		parts := make([]string, len(v))
		for i, e := range v {
			parts[i] = g.expression(element, e, typeName)
		}
		out := "[" + strings.Join(parts, ", ") + "]"
		if len(v) > 0 && g.likely(0.1) {
			out += ".filter(x, " + g.condition() + ")"
		}
		return out
	case map[string]any:
		structure := atom.Map != nil && len(atom.Map.Fields) > 0
		if g.likely(0.02) {
			structure = !structure
		}
		if g.likely(0.01) {
			typeName += "x"
		}
		var parts []string
		for _, key := range slices.Sorted(maps.Keys(v)) {
			var field schema.TypeRef
			if atom.Map != nil {
				field = atom.Map.ElementType
				if f, ok := atom.Map.FindField(key); ok {
					field = f.Type
				}
			}
			value := g.expression(field, v[key], typeName+"."+key)
			switch {
			case !structure:
				parts = append(parts, strconv.Quote(key)+": "+value)
			case isName(key) && g.likely(0.05):
				parts = append(parts, "?"+key+": optional.of("+value+")")
			case isName(key):
				parts = append(parts, key+": "+value)
			}
		}
		if structure {
			return typeName + "{" + strings.Join(parts, ", ") + "}"
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return fmt.Sprint(v)
}

// pointer is one of a value in the object, or near one.
func (g *policyGenerator) pointer() string {
	var found []string
	var walk func(path string, v any)
	walk = func(path string, v any) {
		found = append(found, path)
		switch v := v.(type) {
		case map[string]any:
			for _, key := range slices.Sorted(maps.Keys(v)) {
				walk(path+"/"+strings.NewReplacer("~", "~0", "/", "~1").Replace(key), v[key])
			}
			found = append(found, path+"/"+g.one("labels", "annotations", "spec", "aaaa", "name"))
		case []any:
			for i, element := range v {
				walk(path+"/"+strconv.Itoa(i), element)
			}
			found = append(found, path+"/-", path+"/"+strconv.Itoa(len(v)))
		}
	}
	walk("", g.object)
	// Not the object as such, nor its type: an object of another type is no
	// result of a policy.
	found = slices.DeleteFunc(found, func(path string) bool { return path == "" || path == "/kind" || path == "/apiVersion" })
	if g.likely(0.3) {
		return "/metadata/" + g.one("labels", "annotations", "labels/app", "labels/new", "annotations/a", "labels/a~1b")
	}
	return found[g.IntN(len(found))]
}

// jsonPatch returns a JSONPatch.
func (g *policyGenerator) jsonPatch() string {
	var parts []string
	for range 1 + g.IntN(3) {
		parts = append(parts, g.operation())
	}
	out := "[" + strings.Join(parts, ", ") + "]"
	switch {
	case g.likely(0.1):
		return g.condition() + " ? " + out + " : []"
	case g.likely(0.05):
		return "has(object.metadata.labels) ? [] : " + out
	case g.likely(0.05):
		return out + " + [" + g.operation() + "]"
	case g.likely(0.05):
		return `object.metadata.labels.map(k, JSONPatch{op: "add", path: "/metadata/annotations", value: {k: "x"}})`
	}
	return out
}

// exists reports whether a pointer is of a value that is not null.
func (g *policyGenerator) exists(pointer string) bool {
	v := any(g.object)
	for _, key := range strings.Split(pointer, "/")[1:] {
		switch holder := v.(type) {
		case map[string]any:
			v = holder[strings.NewReplacer("~1", "/", "~0", "~").Replace(key)]
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i >= len(holder) {
				return false
			}
			v = holder[i]
		default:
			return false
		}
	}
	return v != nil
}

// removable is a pointer to what is gone once it is removed. The API server has
// some fields of Go objects always, which it shows as null or {}.
func (g *policyGenerator) removable() string {
	for range 20 {
		pointer := g.pointer()
		path := strings.Split(pointer, "/")[1:]
		object := clone(g.object)
		holder := any(object)
		for _, key := range path[:len(path)-1] {
			switch v := holder.(type) {
			case map[string]any:
				holder = v[strings.NewReplacer("~1", "/", "~0", "~").Replace(key)]
			case []any:
				i, err := strconv.Atoi(key)
				if err != nil || i >= len(v) {
					return pointer
				}
				holder = v[i]
			}
		}
		m, ok := holder.(map[string]any)
		key := strings.NewReplacer("~1", "/", "~0", "~").Replace(path[len(path)-1])
		if !ok || m[key] == nil {
			if _, null := m[key]; null {
				continue
			}
			return pointer
		}
		delete(m, key)
		before := text(object)
		if after, err := g.fits(object); err == nil && text(after) == before {
			return pointer
		}
	}
	return "/metadata/labels"
}

func (g *policyGenerator) operation() string {
	pointer := strconv.Quote(g.pointer())
	if g.likely(0.1) {
		pointer = `"/metadata/labels/" + jsonpatch.escapeKey("a/b~" + ` + g.text() + `)`
	}
	switch op := g.one("add", "add", "add", "add", "replace", "replace", "remove", "test", "move", "copy"); op {
	case "remove":
		return `JSONPatch{op: "remove", path: ` + strconv.Quote(g.removable()) + `}`
	case "move":
		return `JSONPatch{op: "move", from: ` + strconv.Quote(g.removable()) + `, path: ` + pointer + `}`
	case "copy":
		// Of a field that is not there it copies a null, which a field that Go
		// always has turns into {} and the like: only into labels then.
		from := g.pointer()
		if !g.exists(from) {
			pointer = `"/metadata/labels/` + g.one("app", "new") + `"`
		}
		return `JSONPatch{op: "copy", from: ` + strconv.Quote(from) + `, path: ` + pointer + `}`
	default:
		if g.likely(0.01) {
			op = "merge"
		}
		return `JSONPatch{op: "` + op + `", path: ` + pointer + `, value: ` + g.patchValue() + `}`
	}
}

func (g *policyGenerator) patchValue() string {
	switch g.IntN(10) {
	case 0:
		return g.number()
	case 1:
		return g.condition()
	case 2:
		return `{"a": ` + g.text() + `}`
	case 3:
		return `[` + g.text() + `]`
	case 4:
		return g.one(`Object{}`, `Object.metadata{labels: {"app": "z"}}`, `Object.spec{}`, `Object.spec.containers{name: "n", image: "i"}`, `null`, `{}`)
	case 5:
		if at, ok := g.place(func(any) bool { return true }); ok {
			return at
		}
	}
	return g.text()
}
