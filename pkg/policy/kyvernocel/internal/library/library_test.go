package library

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/ext"
	"github.com/google/go-cmp/cmp"

	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// environment has the functions beside the parts of CEL that the tests use.
func environment(t testing.TB, namespace string) *cel.Env {
	t.Helper()
	options := []cel.EnvOption{
		cel.HomogeneousAggregateLiterals(), cel.EagerlyValidateDeclarations(true), cel.DefaultUTCTimeZone(true), cel.CrossTypeNumericComparisons(true),
		cel.OptionalTypes(), ext.Encoders(), ext.Strings(ext.StringsVersion(2)), ext.Math(),
		cel.Variable("object", cel.DynType),
	}
	env, err := cel.NewEnv(append(options, Options(namespace)...)...)
	if err != nil {
		t.Fatal(err)
	}
	return env
}

// evaluate returns the value as JSON text.
func evaluate(env *cel.Env, w *World, expression string) (string, error) {
	checked, issues := env.Compile(expression)
	if issues.Err() != nil {
		return "", issues.Err()
	}
	program, err := env.Program(checked)
	if err != nil {
		return "", err
	}
	values := w.Values()
	values["exceptions"] = Exceptions(nil, []string{"a"})
	values["object"] = map[string]any{"data": map[string]any{"k": "v"}}
	v, _, err := program.Eval(values)
	if err != nil {
		return "", err
	}
	plain, err := JSON(v)
	if err != nil {
		return "", err
	}
	b, err := json.Marshal(plain)
	return string(b), err
}

// The answers of the pure functions are those of Kyverno 1.19.1, recorded from
// a policy that writes them into a resource.
func TestFunctions(t *testing.T) {
	env := environment(t, "")
	at := time.Date(2026, 1, 31, 10, 20, 30, 0, time.UTC)
	w := &World{Facts: facts.New(), Now: func() time.Time { return at }}
	tests := []struct{ expression, want string }{
		{`hash.md5("a")`, `"0cc175b9c0f1b6a831c399e269772661"`},
		{`md5("a")`, `"0cc175b9c0f1b6a831c399e269772661"`},
		{`sha1("a")`, `"86f7e437faa5a7fce15d1ddcb9eaeaea377667b8"`},
		{`hash.sha1("a")`, `"86f7e437faa5a7fce15d1ddcb9eaeaea377667b8"`},
		{`hash.sha256("a")`, `"ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"`},
		{`sha256("a")`, `"ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"`},
		{`md5(object.data.k)`, `"9e3669d19b675bd57058fd4664205d2a"`},
		{`math.round(1.2345, 2)`, `1.23`},
		{`math.round(-1.5, 0)`, `-2`},
		{`math.round(15.0, -1)`, `20`},
		{`json.marshal(b"abc")`, `"\"YWJj\""`},
		{`json.marshal(timestamp("2024-01-01T00:00:00Z"))`, `"\"2024-01-01T00:00:00Z\""`},
		{`json.marshal(duration("90s"))`, `"90000000000"`},
		{`json.marshal("a")`, `"\"a\""`},
		{`json.marshal(5u)`, `"5"`},
		{`json.marshal(null)`, `"null"`},
		{`json.marshal(object.data)`, `"{\"k\":\"v\"}"`},
		{`json.marshal(optional.of(1))`, `"1"`},
		{`json.marshal(type(1))`, `"\"int\""`},
		{`json.unmarshal('{"a":1,"b":[1.5,null,"x"]}')`, `{"a":1,"b":[1.5,null,"x"]}`},
		{`json.unmarshal('{"a":1}').a == 1`, `true`},
		{`json.unmarshal('{"a":1,"a":2}')`, `{"a":2}`},
		{`yaml.parse("a: 1\nb: [yes, 012]\n")`, `{"a":1,"b":[true,10]}`},
		{`yaml.parse("")`, `null`},
		{`time.now()`, `"2026-01-31T10:20:30Z"`},
		{`time.now() > timestamp("2024-02-03T04:05:06Z")`, `true`},
		{`time.toCron(timestamp("2024-02-03T04:05:06Z"))`, `"5 4 3 2 6"`},
		{`time.truncate(timestamp("2024-02-03T04:05:06Z"), duration("1h"))`, `"2024-02-03T04:00:00Z"`},
		{`string(time.truncate(timestamp("2024-02-03T04:05:06Z"), duration("24h")))`, `"2024-02-03T00:00:00Z"`},
		{`listObjToMap([{"n":"a"}],[{"v":"x"}],"n","v")`, `{"a":"x"}`},
		{`transform.listObjToMap([{"n":"a"}],[{"v":1}],"n","v")`, `{"a":1}`},
		{`listObjToMap([{"n":"a"}],[{"w":1}],"n","v")`, `{"a":null}`},
		{`listObjToMap(json.unmarshal('[{"n":"a"}]'),json.unmarshal('[{"v":{"x":1}}]'),"n","v")`, `{"a":{"x":1}}`},
		{`base64.encode(gzip.compress("kyverno"))`, `"H4sIAAAAAAAA/8quLEstyssHBAAA///oD5wzBwAAAA=="`},
		{`gzip.decompress(gzip.compress("hello"))`, `"hello"`},
		{`parseServiceAccount("system:serviceaccount:ns:sa").Name`, `"sa"`},
		{`user.parseServiceAccount("system:serviceaccount:ns:sa:x").Name`, `"sa:x"`},
		{`parseServiceAccount("system:serviceaccount:ns:sa").Namespace`, `"ns"`},
		{`parseServiceAccount("bob").Name`, `""`},
		{`has(parseServiceAccount("bob").Name)`, `false`},
		{`type(parseServiceAccount("bob")) == type(parseServiceAccount("x"))`, `true`},
		{`parseServiceAccount("bob") == parseServiceAccount("x")`, `true`},
		{`object.data.orValue({"z":"y"})`, `{"k":"v"}`},
		{`object.?nope.orValue("d")`, `"d"`},
		{`object.?data.?k.orValue("d")`, `"v"`},
		{`optional.none().orValue(3)`, `3`},
		{`exceptions.allowedImages`, `[]`},
		{`exceptions.allowedValues.size()`, `1`},
		{`json.marshal(exceptions.allowedImages)`, `"[]"`},
		{`"a" in exceptions.allowedValues`, `true`},
	}
	for _, tt := range tests {
		got, err := evaluate(env, w, tt.expression)
		if err != nil {
			t.Errorf("%s: %v", tt.expression, err)
		} else if got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.expression, got, tt.want)
		}
	}
}

// Kyverno fails on these, too.
func TestFaults(t *testing.T) {
	env := environment(t, "")
	w := &World{Facts: facts.New()}
	tests := []struct{ expression, want string }{
		{`json.marshal({1:"x"})`, "the key of a map has to be a string, found int"},
		{doubled(40, `json.marshal(x40)`), "too large"},
		{doubled(40, `resource.Post("v1", "configmaps", "shop", {"a": x40})`), "too large"},
		{doubled(40, `http.Post("https://example.com", x40)`), "too large"},
		{`json.unmarshal('nope')`, "invalid character 'o' in literal null"},
		{`json.unmarshal(5)`, "expected a string, found int"},
		{`json.unmarshal('1 2')`, "invalid character '2' after top-level value"},
		{`yaml.parse("a: [")`, "yaml.parse: "},
		{`yaml.parse(5)`, "found no matching overload"},
		{`listObjToMap([{"n":"a"}],[],"n","v")`, "expected two lists of the same length, found 1 keys and 0 values"},
		{`listObjToMap([{"n":1}],[{"v":1}],"n","v")`, `the field "n" at index 0 of the keys is no string`},
		{`listObjToMap([1],[2],"n","v")`, "expected lists of objects, found something else at index 0"},
		{`gzip.decompress(b"nope")`, "unexpected EOF"},
		{`gzip.compress(5)`, "expected a string, found int"},
		{`parseServiceAccount("bob").name`, "undefined field 'name'"},
		{`object.nope.orValue("d")`, "no such key: nope"},
		{`x509.decode("x")`, "the text is not PEM"},
		{`exceptions.other`, "undefined field 'other'"},
		{`math.round(1, 2)`, "found no matching overload"},
		{`resource.Get("v1", "configmaps", "x")`, "found no matching overload"},
		// What is looked up has no type that a comprehension takes.
		{`resource.List("v1", "configmaps", "").items.map(c, c.metadata.name)`, "cannot be range of a comprehension"},
		{`resource.Get("v1", "configmaps", "default", "x") == null`, "found no matching overload"},
		{`http.Client("x")`, "the bundle has no certificate"},
		// What only a cluster knows, or what changes from run to run.
		{`random()`, "derive the text from the resource"},
		{`random.random("[a-z]{3}")`, "derive the text from the resource"},
		{`time.now()`, `now: "2026-01-31T00:00:00Z"`},
		{`time.now() == time.now() || true`, ""},
	}
	for _, tt := range tests {
		_, err := evaluate(env, w, tt.expression)
		if tt.want == "" {
			if err != nil {
				t.Errorf("%s: %v", tt.expression, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want an error with %q", tt.expression, err, tt.want)
		}
	}
	if _, err := evaluate(env, w, "random()"); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("random: %v does not wrap ErrUnsupported", err)
	}
	if _, err := evaluate(env, w, "time.now()"); !errors.Is(err, facts.ErrMissing) {
		t.Errorf("time.now: %v does not wrap ErrMissing", err)
	}
}

func known(t testing.TB, text string) *facts.Facts {
	t.Helper()
	docs, err := resource.Parse("facts.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	f := facts.New()
	if err := f.AddDocuments(docs); err != nil {
		t.Fatal(err)
	}
	return f
}

const cluster = `
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: shop, labels: {app: web, tier: a}}
data: {level: debug}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {level: info}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: oneloop.dev/v1alpha1
kind: ClusterFacts
metadata: {name: facts}
spec:
  globalContext:
    teams: {names: [a, b]}
  apiCalls:
  - urlPath: /api/v1/namespaces/shop/secrets/gone
    error: secrets "gone" not found
  - urlPath: /api/v1/namespaces/shop/secrets/locked
    error: forbidden
  - urlPath: /api/v1/namespaces/shop/pods/web/status
    response: {status: {phase: Running}}
  - urlPath: /apis/authorization.k8s.io/v1/subjectaccessreviews
    method: POST
    data: {kind: SubjectAccessReview, spec: {user: ana}}
    response: {status: {allowed: true}}
  - urlPath: https://example.com/teams
    response: {teams: [x]}
  - urlPath: https://example.com/teams
    method: POST
    response: {ok: true}
`

func TestLookUps(t *testing.T) {
	f := known(t, cluster)
	tests := []struct {
		namespace, expression, want string
	}{
		{"", `resource.Get("v1", "configmaps", "shop", "settings").data.level`, `"debug"`},
		{"", `resource.get("v1", "configmaps", "default", "settings").data.level`, `"info"`},
		{"", `resource.get("v1", "configmaps", "default", "settings").metadata.namespace`, `"default"`},
		{"", `resource.Get("v1", "namespaces", "", "shop").metadata.name`, `"shop"`},
		{"", `resource.Get(resource.ToGVR("v1", "ConfigMap"), "shop", "settings").data.level`, `"debug"`},
		{"shop", `resource.get("v1", "configmaps", "settings").data.level`, `"debug"`},
		{"shop", `resource.get(resource.toGVR("v1", "ConfigMap"), "settings").data.level`, `"debug"`},
		{"", `resource.Get("v1", "pods/status", "shop", "web").status.phase`, `"Running"`},
		{"", `resource.Get("v1", "secrets", "shop", "gone")`, `null`},
		{"", `dyn(resource.List("v1", "configmaps", "").items).map(c, c.metadata.namespace)`, `["shop","default"]`},
		{"", `resource.List("v1", "configmaps", "").kind`, `"ConfigMapList"`},
		{"", `resource.list("v1", "configmaps", "shop").items.size()`, `1`},
		{"", `resource.List("v1", "configmaps", "none").items`, `[]`},
		{"", `dyn(resource.List("v1", "configmaps", "", {"app": "web"}).items).map(c, c.metadata.namespace)`, `["shop"]`},
		{"", `resource.List(resource.ToGVR("v1", "ConfigMap"), "", {"app": "web", "tier": "b"}).items`, `[]`},
		{"", `resource.List(resource.ToGVR("v1", "ConfigMap"), "shop").items.size()`, `1`},
		{"shop", `dyn(resource.List("v1", "configmaps").items).map(c, c.data.level)`, `["debug"]`},
		{"shop", `resource.List("v1", "configmaps", {"app": "other"}).items`, `[]`},
		{"shop", `resource.List(resource.ToGVR("v1", "ConfigMap"), {"app": "web"}).items.size()`, `1`},
		{"", `resource.Post("authorization.k8s.io/v1", "subjectaccessreviews", {"kind": dyn("SubjectAccessReview"), "spec": dyn({"user": "ana"})}).status.allowed`, `true`},
		{"", `globalContext.Get("teams").names`, `["a","b"]`},
		{"", `globalContext.get("teams", "names")`, `["a","b"]`},
		{"", `http.Get("https://example.com/teams").teams`, `["x"]`},
		{"", `http.get("https://example.com/teams", {"Accept": "application/json"}).teams`, `["x"]`},
		{"", `http.Client("").Post("https://example.com/teams", {"a": 1}).ok`, `true`},
		{"", `http.post("https://example.com/teams", {"a": 1}, {"h": "v"}).ok`, `true`},
	}
	for _, tt := range tests {
		w := &World{Facts: f, Namespace: tt.namespace}
		got, err := evaluate(environment(t, tt.namespace), w, tt.expression)
		if err != nil {
			t.Errorf("%s: %v", tt.expression, err)
		} else if got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.expression, got, tt.want)
		}
	}
}

// What nobody knows is an error with what to declare, never an empty answer.
func TestUnknown(t *testing.T) {
	f := known(t, cluster)
	tests := []struct {
		namespace, expression, want string
		missing                     bool
	}{
		{"", `resource.Get("v1", "configmaps", "shop", "other")`, "metadata: {name: other, namespace: shop}", true},
		{"", `resource.Get("apps/v1", "deployments", "shop", "web")`, "apiVersion: apps/v1\n  kind: Deployment\n", true},
		{"", `resource.Get("acme.io/v1", "widgets", "shop", "web")`, `urlPath: "/apis/acme.io/v1/namespaces/shop/widgets/web"`, true},
		{"", `resource.Get("v1", "pods/log", "shop", "web")`, `urlPath: "/api/v1/namespaces/shop/pods/web/log"`, true},
		{"", `resource.Get("v1", "configmaps", "", "settings")`, "a ConfigMap is in a namespace", false},
		{"", `resource.Get("v1", "configmaps", "shop", "")`, "the name is empty", false},
		{"", `resource.Get("v1", "ConfigMap", "shop", "x")`, `expected the name of a resource such as configmaps, found "ConfigMap"`, false},
		{"", `resource.Get("a/b/c", "configmaps", "shop", "x")`, "expected an apiVersion", false},
		{"", `resource.Get("v1", "secrets", "shop", "locked")`, "GET /api/v1/namespaces/shop/secrets/locked failed, as the facts say: forbidden", false},
		{"", `resource.List("v1", "secrets", "shop")`, `urlPath: "/api/v1/namespaces/shop/secrets"`, true},
		{"", `resource.Post("v1", "configmaps", "shop", {"a": dyn(1)})`, "method: POST\n      data: {\"a\":1}", true},
		{"", `globalContext.Get("other")`, "other: []", true},
		{"", `globalContext.Get("teams", "other")`, `has no projection "other"`, true},
		{"shop", `globalContext.Get("teams")`, "not allowed in the policies of a namespace", false},
		{"", `http.Get("https://example.com/other")`, `urlPath: "https://example.com/other"`, true},
		{"shop", `http.Get("https://example.com/teams")`, "not allowed in the policies of a namespace", false},
	}
	for _, tt := range tests {
		w := &World{Facts: f, Namespace: tt.namespace}
		_, err := evaluate(environment(t, tt.namespace), w, tt.expression)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want an error with %q", tt.expression, err, tt.want)
		} else if errors.Is(err, facts.ErrMissing) != tt.missing {
			t.Errorf("%s: %v: wraps ErrMissing: %t", tt.expression, err, !tt.missing)
		}
	}
	complete := f.Clone()
	complete.Complete = true
	for expression, want := range map[string]string{
		`resource.Get("v1", "configmaps", "shop", "other")`: "null",
		`resource.List("v1", "secrets", "shop").items`:      "[]",
	} {
		if got, err := evaluate(environment(t, ""), &World{Facts: complete}, expression); err != nil || got != want {
			t.Errorf("%s where all is known: got %s, %v; want %s", expression, got, err, want)
		}
	}
}

// What x509.decode gives of a certificate and of a request was recorded from
// Kyverno 1.19.1; it takes RSA keys only.
func TestX509(t *testing.T) {
	env := environment(t, "")
	w := &World{Facts: facts.New()}
	decode := func(name string) (string, error) {
		text, err := os.ReadFile("testdata/" + name + ".pem")
		if err != nil {
			t.Fatal(err)
		}
		return evaluate(env, w, fmt.Sprintf("x509.decode(%q)", text))
	}
	for _, name := range []string{"certificate", "request"} {
		got, err := decode(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		recorded, err := os.ReadFile("testdata/" + name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		var a, b any
		if err := errors.Join(json.Unmarshal(recorded, &a), json.Unmarshal([]byte(got), &b)); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(a, b); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
	if _, err := decode("elliptic"); err == nil || !strings.Contains(err.Error(), "the public key is not RSA") {
		t.Errorf("another key: %v", err)
	}
}
