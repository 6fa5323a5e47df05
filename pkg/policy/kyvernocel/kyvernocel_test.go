package kyvernocel_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oneloop-dev/oneloop/pkg/digest"
	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/jsonvalue"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyvernocel"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// apply runs one policy on an object with the given facts.
func apply(t *testing.T, f *facts.Facts, policyText, object string) []policy.Result {
	t.Helper()
	docs, err := resource.Parse("policy.yaml", []byte(policyText))
	if err != nil {
		t.Fatal(err)
	}
	set, err := kyvernocel.Language.Compile(docs)
	if err != nil {
		t.Fatal(err)
	}
	rs, err := resource.Parse("object.yaml", []byte(object))
	if err != nil {
		t.Fatal(err)
	}
	o, err := rs[0].Object()
	if err != nil {
		t.Fatal(err)
	}
	before := jsonvalue.Clone(o)
	defer func() {
		if d := cmp.Diff(before, any(o)); d != "" {
			t.Errorf("the object that the policy got was modified:\n%s", d)
		}
	}()
	var out []policy.Result
	for _, p := range set.Programs {
		if !p.Selects(rs[0].ID().Kind) {
			continue
		}
		results, err := p.Apply(context.Background(), policy.Input{ID: rs[0].ID(), Object: o, Facts: f, Digests: digest.None("test"), Now: f.Now})
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, results...)
	}
	return out
}

const configMap = `
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, labels: {a: b}}
data: {k: v}
`

// patching is a policy that writes the value of an expression into the data.
func patching(expression string) string {
	return fmt.Sprintf(`
apiVersion: policies.kyverno.io/v1
kind: MutatingPolicy
metadata: {name: p}
spec:
  matchConstraints:
    resourceRules:
    - {apiGroups: [""], apiVersions: [v1], operations: ["*"], resources: [configmaps]}
  mutations:
  - patchType: JSONPatch
    jsonPatch:
      expression: |
        [JSONPatch{op: "add", path: "/data/r", value: %s}]
`, expression)
}

// What expressions see, and how values come out, was recorded from Kyverno 1.19.1;
// but for the options of a request, which it has in a cluster only.
func TestValues(t *testing.T) {
	created := facts.New()
	if err := created.Declare(facts.Spec{UserInfo: &facts.Requester{}}); err != nil {
		t.Fatal(err)
	}
	updated := created.Clone()
	updated.Request.Operation = "UPDATE"
	for _, tt := range []struct {
		facts      *facts.Facts
		expression string
		want       any
	}{
		{created, `request.operation`, "CREATE"},
		{created, `request.kind.kind`, "ConfigMap"},
		{created, `request.resource.resource`, "configmaps"},
		{created, `request.requestKind.kind`, "ConfigMap"},
		{created, `request.name`, "settings"},
		{created, `request.namespace`, "default"},
		{created, `request.dryRun`, false},
		{created, `has(request.userInfo)`, true},
		{created, `has(request.userInfo.username)`, false},
		{created, `has(request.options)`, true},
		{created, `has(request.subResource)`, false},
		{created, `request.object.metadata.name`, "settings"},
		{created, `object.metadata.namespace`, "default"},
		{created, `has(request.oldObject)`, true},
		{created, `json.marshal(oldObject)`, "{}"},
		{created, `oldObject == null`, false},
		{updated, `request.oldObject.metadata.name`, "settings"},
		{updated, `oldObject == object`, true},
		{created, `json.marshal(exceptions.allowedImages)`, "[]"},
		{created, `9007199254740993`, "9007199254740993"},
		{created, `1.0`, int64(1)},
		{created, `5u`, int64(5)},
		{created, `b"abc"`, "YWJj"},
		{created, `duration("90s")`, "90s"},
		{created, `timestamp("2024-01-01T00:00:00Z")`, "2024-01-01T00:00:00Z"},
		{created, `object.metadata.labels`, map[string]any{"a": "b"}},
		{created, `Object.r{a: {"b": 1}}`, map[string]any{"a": map[string]any{"b": int64(1)}}},
		{created, `optional.of(1)`, int64(1)},
		{created, `1 > 0 ? dyn("a") : dyn(1)`, "a"},
		{created, `math.greatest(1,2)`, int64(2)},
		{created, `[3,1,2].sort()`, []any{int64(1), int64(2), int64(3)}},
		{created, `lists.range(3)`, []any{int64(0), int64(1), int64(2)}},
		{created, `"a-b".split("-").map(x, x.upperAscii())`, []any{"A", "B"}},
		{created, `cel.bind(x, 1, x+1)`, int64(2)},
		{created, `regex.replace("abc","b","x")`, "axc"},
		{created, `sets.contains([1],[1])`, true},
		{created, `quantity("1Gi").asInteger()`, int64(1073741824)},
		{created, `semver("1.2.3").major()`, int64(1)},
		{created, `ip("10.0.0.1").family()`, int64(4)},
		{created, `url("https://a.b/c").getHost()`, "a.b"},
		{created, `jsonpatch.escapeKey("a/b~c")`, "a~1b~0c"},
		{created, `{"a":1}.transformMap(k, v, v+1)`, map[string]any{"a": int64(2)}},
		{created, `strings.quote("a")`, `"a"`},
		{created, `[1,1].distinct()`, []any{int64(1)}},
	} {
		results := apply(t, tt.facts, patching(tt.expression), configMap)
		if len(results) == 0 || results[0].Outcome != policy.Mutated {
			t.Errorf("%s: %+v", tt.expression, results)
			continue
		}
		data, _ := results[0].Object["data"].(map[string]any)
		if d := cmp.Diff(tt.want, data["r"]); d != "" && !resource.Equal(tt.want, data["r"]) {
			t.Errorf("%s (-want +got):\n%s", tt.expression, d)
		}
	}
}

func TestErrors(t *testing.T) {
	for expression, want := range map[string]string{
		`object.nope`:                    "no such key: nope",
		`namespaceObject.metadata.name`:  "namespaceObject: Namespace default is not known at render time",
		`request.userInfo.username`:      "request.userInfo is not known at render time",
		`Object.r{a: [1,2], b: null}`:    "could not marshal to JSON",
		`type(1)`:                        "could not marshal to JSON",
		`quantity("1Gi")`:                "could not marshal to JSON",
		`[Object.r{a: 1}]`:               `write the element as {"key": value}`,
		`variables`:                      "could not marshal to JSON",
		`resource.ToGVR("v1", "Secret")`: "could not marshal to JSON",
	} {
		results := apply(t, facts.New(), patching(expression), configMap)
		if len(results) != 1 || results[0].Err == nil || !strings.Contains(results[0].Err.Error(), want) {
			t.Errorf("%s: %+v; want %q", expression, results, want)
		}
	}
	for expression, want := range map[string]string{
		`authorizer`:      "undeclared reference to 'authorizer'",
		`params`:          "undeclared reference to 'params'",
		`"abc".reverse()`: "found no matching overload for 'reverse'",
		`[1, [2]]`:        "expected type 'int' but found 'list(int)'",
		`variables.x`:     "undefined field 'x'",
	} {
		docs, err := resource.Parse("policy.yaml", []byte(patching(expression)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := kyvernocel.Language.Compile(docs); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", expression, err, want)
		}
	}
}

// A long evaluation is stopped by the cost limit of the API server.
func TestCostLimit(t *testing.T) {
	long := `lists.range(10000).map(x, lists.range(10000).map(y, x * y).sum()).sum()`
	results := apply(t, facts.New(), patching(long), configMap)
	if len(results) != 1 || results[0].Err == nil || !strings.Contains(results[0].Err.Error(), "cost limit") {
		t.Errorf("%+v", results)
	}
}
