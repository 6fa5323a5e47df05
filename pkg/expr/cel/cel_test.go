package cel_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/oneloop-dev/oneloop/pkg/expr/cel"
)

var errNobody = errors.New("nobody said who asks")

func variables() cel.Variables {
	kind := map[string]any{"group": "apps", "version": "v1", "kind": "Deployment"}
	return cel.Variables{
		"object": map[string]any{
			"metadata": map[string]any{"name": "web", "labels": map[string]any{"team": "blue"}},
			"spec":     map[string]any{"replicas": int64(3), "ratio": 0.5, "list": []any{"a", "b"}},
		},
		"request": map[string]any{
			"kind": kind, "requestKind": kind, "name": "web", "namespace": "shop", "operation": "CREATE", "dryRun": false,
			"userInfo": cel.Unknown(errNobody),
		},
		"authorizer": cel.Unknown(errors.ErrUnsupported),
	}
}

func TestConditions(t *testing.T) {
	env, err := cel.Admission()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		expression string
		want       bool
		fails      string // part of the error of compiling or evaluating
		is         error
	}{
		{expression: `object.metadata.name == 'web'`, want: true},
		{expression: `object.spec.replicas > 2 && object.spec.ratio < 1`, want: true},
		{expression: `object.spec.replicas == 3.0`, want: true},
		{expression: `object.spec.list.exists(x, x == 'b')`, want: true},
		{expression: `oldObject == null`, want: true},
		{expression: `namespaceObject == null`, want: true},
		{expression: `request.operation == 'CREATE' && request.namespace.startsWith('sh')`, want: true},
		{expression: `request.kind.kind == 'Pod'`, want: false},
		{expression: `has(object.metadata.annotations)`, want: false},
		{expression: `!('app' in object.metadata.labels)`, want: true},
		{expression: `object.?metadata.annotations['a'].orValue('none') == 'none'`, want: true},
		{expression: `'10Mi' == '10Mi' && quantity('1Gi').isGreaterThan(quantity('1Mi'))`, want: true},
		{expression: `url('https://example.com/a').getHost() == 'example.com'`, want: true},
		{expression: `ip('10.0.0.1').family() == 4`, want: true},
		{expression: `'a.b'.find('[a-z]') == 'a'`, want: true},
		{expression: `format.dns1123Label().validate('web') == optional.none()`, want: true},
		{expression: `isSemver('1.2.3')`, want: true},

		// Short cuts come by what is not known.
		{expression: `request.namespace == 'other' && request.userInfo.username == 'x'`, want: false},
		{expression: `request.userInfo.username == 'x' || true`, want: true},
		{expression: `request.userInfo.username == 'x'`, fails: "nobody said", is: errNobody},
		{expression: `request.userInfo.groups.exists(g, g == 'x')`, fails: "nobody said", is: errNobody},
		{expression: `has(request.userInfo.username)`, fails: "nobody said", is: errNobody},
		{expression: `authorizer.group('').resource('pods').check('get').allowed()`, fails: "unsupported", is: errors.ErrUnsupported},

		{expression: `object.metadata.none == 'x'`, fails: "no such key: none"},
		{expression: `object.spec.replicas / 0 == 1`, fails: "division by zero"},
		{expression: `object.`, fails: "compilation failed: ERROR: <input>:1:8: Syntax error"},
		{expression: `object.metadata.name`, fails: "must evaluate to bool but got dyn"},
		{expression: `request.uid == ''`, fails: "undefined field 'uid'"},
		{expression: `nobody == 1`, fails: "undeclared reference to 'nobody'"},
		{expression: `[1,2,3,4,5,6,7,8,9,10].all(a, [1,2,3,4,5,6,7,8,9,10].all(b, [1,2,3,4,5,6,7,8,9,10].all(c, ` +
			`[1,2,3,4,5,6,7,8,9,10].all(d, [1,2,3,4,5,6,7,8,9,10].all(e, [1,2,3,4,5,6,7,8,9,10].all(f, true))))))`, fails: "cost"},
	} {
		t.Run(tt.expression, func(t *testing.T) {
			p, err := env.Compile(tt.expression, cel.Bool)
			var got bool
			if err == nil {
				got, err = p.EvalBool(t.Context(), variables(), cel.Conditions())
			}
			switch {
			case tt.fails == "" && (err != nil || got != tt.want):
				t.Errorf("got %t, %v; want %t", got, err, tt.want)
			case tt.fails != "" && (err == nil || !strings.Contains(err.Error(), tt.fails)):
				t.Errorf("got %t, %v; want an error about %s", got, err, tt.fails)
			case tt.is != nil && !errors.Is(err, tt.is):
				t.Errorf("%v does not wrap %v", err, tt.is)
			}
		})
	}
}

// The expressions about one request share a budget.
func TestBudget(t *testing.T) {
	env, err := cel.Admission()
	if err != nil {
		t.Fatal(err)
	}
	p, err := env.Compile(`[1,2,3,4,5,6,7,8,9,10].all(a, [1,2,3,4,5,6,7,8,9,10].all(b, [1,2,3,4,5,6,7,8,9,10].all(c, `+
		`[1,2,3,4,5,6,7,8,9,10].all(d, true))))`, cel.Bool)
	if err != nil {
		t.Fatal(err)
	}
	b := cel.Conditions()
	for i := range 1000 {
		if _, err := p.EvalBool(t.Context(), nil, b); err != nil {
			if i < 2 || !errors.Is(err, cel.ErrBudget) {
				t.Errorf("call %d: %v", i, err)
			}
			return
		}
	}
	t.Error("1,000 calls did not use the budget up")
}

func FuzzCompile(f *testing.F) {
	for _, seed := range []string{`object.metadata.name == 'web'`, `object.spec.list.map(x, x + 'b').size() > 1`, `'a'.matches('(a+)+$')`, "\x00", `[[[`} {
		f.Add(seed)
	}
	env, err := cel.Admission()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, expression string) {
		p, err := env.Compile(expression, cel.Bool)
		if err != nil {
			return
		}
		_, _ = p.EvalBool(t.Context(), variables(), cel.Conditions())
	})
}
