package jmespath

import (
	"errors"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func search(t testing.TB, expr string, data any) (any, error) {
	t.Helper()
	q, err := Compile(expr)
	if err != nil {
		t.Fatal(err)
	}
	return q.Search(data, Env{})
}

func TestSyntaxErrors(t *testing.T) {
	for expr, want := range map[string]string{
		"":                        `JMESPath expression "", offset 0: incomplete expression`,
		"a.":                      `JMESPath expression "a.", offset 2: expected identifier, lbracket, or lbrace`,
		"a b":                     `JMESPath expression "a b", offset 2: unexpected token at the end of the expression: a name`,
		"length(a":                `JMESPath expression "length(a", offset 8: incomplete expression`,
		"a[0":                     `JMESPath expression "a[0", offset 3: expected "]", received: the end of the expression`,
		"a ~ b":                   `JMESPath expression "a ~ b", offset 2: unknown char: '~'`,
		"a == 'x":                 `JMESPath expression "a == 'x", offset 7: unclosed delimiter: '`,
		"'`' == `{]`":             "JMESPath expression \"'`' == `{]`\", offset 8: JSON literal: invalid character ']' looking for beginning of object key string",
		`a."\q"`:                  `JMESPath expression "a.\"\\q\"", offset 3: quoted identifier: invalid character 'q' in string escape code`,
		"a[99999999999999999]":    "", // fits
		"a[99999999999999999999]": `JMESPath expression "a[99999999999999999999]", offset 2: "99999999999999999999" is not an index`,
		"[*]a":                    `JMESPath expression "[*]a", offset 3: unexpected token at the end of the expression: a name`,
		"a[*]*":                   `JMESPath expression "a[*]*", offset 4: unexpected token`,
	} {
		_, err := Compile(expr)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("Compile(%q):\n got %s\nwant %s", expr, got, want)
		}
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	for expr, want := range map[string]string{
		"a.b.zz.c":                               `key "zz" does not exist in a.b.zz.c`,
		"to_uper(@)":                             `unknown function to_uper; did you mean to_upper?`,
		"frobnicate(@)":                          `unknown function frobnicate`,
		"to_upper(`1`)":                          `function to_upper: argument 1 is a number, expected string`,
		"to_upper(missing)":                      `function to_upper: argument 1 is null, expected string`,
		"length(`1`)":                            `function length: argument 1 is a number, expected string|array|object`,
		"join(',', `[1]`)":                       `function join: argument 2 is a list, expected array[string]`,
		"replace('a', 'b')":                      `function replace: got 2 arguments, expected 4: replace(string, string, string, number) string`,
		"merge()":                                `function merge: got 0 arguments, expected at least 1`,
		"add('1Gi', `1`)":                        `function add: a quantity does not go with a number`,
		"add('1Gi', 'x')":                        `function add: argument 2, "x", is neither a quantity such as 512Mi nor a duration such as 1h30m`,
		"map(&to_upper(@), [`1`])":               `function map: function to_upper: argument 1 is a number, expected string`,
		"time_utc('yesterday')":                  `function time_utc: argument 1 is not a time in RFC 3339: parsing time "yesterday" as "2006-01-02T15:04:05Z07:00": cannot parse "yesterday" as "2006"`,
		"random('[a-z]')":                        `function random: it makes the output differ from run to run; derive the value from the resource instead, for example with sha256 or truncate: unsupported operation`,
		"time_now()":                             `function time_now: it reads the clock, which would make the output differ from run to run; give the run a fixed time: unsupported operation`,
		"is_external_url('https://example.com')": `function is_external_url: it asks DNS for the host "example.com", which would make the output differ from run to run; give an IP address: unsupported operation`,
		"sort_by(`[{\"a\":1},{}]`, &a)":          `function sort_by: the expression gives null for element 1, expected a number or a string`,
		"avg(`[]`)":                              `the result holds NaN, which is not a number in JSON`,
		"&a":                                     `the result is an unevaluated expression: & may only stand before an argument of sort_by, max_by, min_by or map`,
	} {
		_, err := search(t, expr, map[string]any{"a": map[string]any{"b": map[string]any{}}})
		if err == nil || err.Error() != want {
			t.Errorf("%s:\n got %v\nwant %s", expr, err, want)
		}
	}
}

// No projection, filter or alternative may hide that something was not
// evaluated.
func TestUnsupportedIsNeverHidden(t *testing.T) {
	for _, call := range []string{"random('[a-z]')", "time_now()", "time_now_utc()", "time_since('', '2024-01-01T00:00:00Z', '')", "is_external_url('http://example.com')"} {
		for _, expr := range []string{"%", "%[]", "%[?a]", "%.*", "% || 'x'", "% && 'x'", "!%", "[%]", "{a: %}", "map(&%, list)", "to_string(%)", "list[?%]", "@ | %", "list[*].[%]", "sort_by(list, &%)"} {
			expr = strings.ReplaceAll(expr, "%", call)
			_, err := search(t, expr, map[string]any{"list": []any{int64(1), int64(2)}})
			if !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("%s: %v, expected an error that wraps ErrUnsupported", expr, err)
			}
		}
	}
}

func TestClock(t *testing.T) {
	now := time.Date(2026, 1, 31, 23, 30, 0, 0, time.FixedZone("", 3600))
	env := Env{Now: func() time.Time { return now }}
	for expr, want := range map[string]string{
		"time_now()":     "2026-01-31T23:30:00+01:00",
		"time_now_utc()": "2026-01-31T22:30:00Z",
		"time_since('', '2026-01-31T22:00:00Z', '')":  "30m0s",
		"time_since('2006-01-02', '2026-01-31', '')":  "22h30m0s",
		"time_add(time_now_utc(), '24h')":             "2026-02-01T22:30:00Z",
		"time_to_cron(time_add(time_now_utc(),'1h'))": "30 23 31 1 6",
		"time_now('ignored')":                         "2026-01-31T23:30:00+01:00",
	} {
		q, err := Compile(expr)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := q.Search(nil, env); got != want || err != nil {
			t.Errorf("%s: got %v, %v, want %s", expr, got, err, want)
		}
	}
}

func TestNumbers(t *testing.T) {
	data := map[string]any{
		"int": int64(3), "float": 3.0, "half": 2.5,
		"big": int64(math.MaxInt64), "big2": int64(math.MaxInt64 - 1), "min": int64(math.MinInt64),
		"ints": []any{int64(3), int64(1), int64(2)}, "mixed": []any{int64(3), 1.0, 2.5},
	}
	for expr, want := range map[string]any{
		// What the data holds comes out as it is.
		"int": int64(3), "float": 3.0, "big": int64(math.MaxInt64),
		// What is made here is an int64 if it can be.
		"`3`": int64(3), "`3.0`": int64(3), "`2.5`": 2.5, "`9007199254740993`": int64(1 << 53), "`1e300`": 1e300,
		"length(ints)": int64(3), "add(int, float)": int64(6), "add(half, half)": int64(5), "divide(int, `2`)": 1.5,
		"compare('a', 'b')": int64(-1), "[compare('b', 'a')]": []any{int64(1)}, "to_number('7')": int64(7),
		"parse_json('[1, 1.5]')": []any{int64(1), 1.5}, "parse_yaml('{a: 1}')": map[string]any{"a": int64(1)},
		"items(`[\"x\"]`, 'i', 'v')": []any{map[string]any{"i": int64(0), "v": "x"}},
		// Both types are one.
		"int == float": true, "int == `3`": true, "float == `3`": true, "int < half": false, "int > half": true,
		"mixed == `[3, 1, 2.5]`": true, "contains(ints, `2.0`)": true, "contains(mixed, `1`)": true,
		"max(mixed)": int64(3), "min(mixed)": 1.0, "sort(ints)": []any{int64(1), int64(2), int64(3)}, "sort(mixed)": []any{1.0, 2.5, int64(3)},
		"sum(mixed)": 6.5, "avg(ints)": int64(2), "type(int)": "number", "type(float)": "number",
		"to_string(int)": "3", "to_string(float)": "3", "to_string(half)": "2.5", "to_string(mixed)": "[3,1,2.5]",
		"abs(int)": int64(3), "abs(min)": 9.223372036854775808e18, "ceil(half)": int64(3), "floor(int)": int64(3), "round(half, `0`)": int64(3),
		// Digits survive until arithmetic.
		"to_string(big)": "9223372036854775807", "big > big2": true, "big == big2": false, "max([big2, big])": int64(math.MaxInt64),
	} {
		got, err := search(t, expr, data)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v, -want +got:\n%s", expr, err, diff)
		}
	}
}

// Kyverno's order is that of Go's maps.
func TestQuantitiesOfAnySize(t *testing.T) {
	zeros := strings.Repeat("0", 300)
	for expr, want := range map[string]any{
		"add('1e-912', '.5')":        "500000001e-9",
		"add('-1e-912', '.5')":       "499999999e-9",
		"add('0e-912', '.5')":        "500m",
		"add('2" + zeros + "', '1')": "2" + zeros[1:] + "1",
	} {
		if got, err := search(t, expr, nil); err != nil || got != want {
			t.Errorf("%s: %v, %v, want %v", expr, got, err, want)
		}
	}
}

func TestMapsAreVisitedInKeyOrder(t *testing.T) {
	data := map[string]any{"m": map[string]any{}}
	for _, k := range strings.Split("q w e r t z u i o p a s d f g h j k l", " ") {
		data["m"].(map[string]any)[k] = k
	}
	want := []any{}
	for _, k := range strings.Split("a d e f g h i j k l o p q r s t u w z", " ") {
		want = append(want, k)
	}
	for _, expr := range []string{"keys(m)", "values(m)", "m.*", "map(&k, items(m, 'k', 'v'))"} {
		got, err := search(t, expr, data)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v, -want +got:\n%s", expr, err, diff)
		}
	}
}

func TestInputIsNotModified(t *testing.T) {
	fresh := func() any {
		return map[string]any{"l": []any{int64(3), int64(1)}, "o": []any{map[string]any{"n": "b"}, map[string]any{"n": "a"}}, "m": map[string]any{"a": int64(1)}}
	}
	for _, expr := range []string{"sort_by(o, &n)", "sort(l)", "reverse(l)", "merge(m, {b: 'x'})", "o[].n", "l[::-1]", "[l, items(m, 'k', 'v')]", "{a: l, b: compare('a', 'b')}", "to_array(l)"} {
		data := fresh()
		if _, err := search(t, expr, data); err != nil {
			t.Errorf("%s: %v", expr, err)
		}
		if diff := cmp.Diff(fresh(), data); diff != "" {
			t.Errorf("%s modified its input:\n%s", expr, diff)
		}
	}
}

// One query serves many goroutines, each with its own clock.
func TestConcurrentSearches(t *testing.T) {
	q, err := Compile("[time_now_utc(), regex_replace_all('a+', name, 'b'), semver_compare('1.2.3', '>=1.0.0'), sort_by(`[{\"v\":2},{\"v\":1}]`, &v)[0].v]")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			now := time.Unix(int64(i), 0)
			want := []any{now.UTC().Format(time.RFC3339), "xb", true, int64(1)}
			for range 200 {
				got, err := q.Search(map[string]any{"name": "xaa"}, Env{Now: func() time.Time { return now }})
				if diff := cmp.Diff(want, got); diff != "" || err != nil {
					t.Errorf("%v, -want +got:\n%s", err, diff)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestHostileExpressionsAreRefused(t *testing.T) {
	for name, expr := range map[string]string{
		"parentheses": strings.Repeat("(", 15000),
		"closed":      strings.Repeat("(", 2000) + "a" + strings.Repeat(")", 2000), // parentheses leave no trace
		"lists":       strings.Repeat("[", 2000) + "a" + strings.Repeat("]", 2000),
		"not":         strings.Repeat("!", 2000) + "a",
		"references":  strings.Repeat("&", 2000) + "a",
		"projections": "a" + strings.Repeat("[*]", 2000),
		"pipes":       strings.Repeat("a|", 2000) + "a",
		"code":        strings.Repeat("a||", 10000) + "a",
		"text":        "'" + strings.Repeat("x", maxExpression) + "'",
		"json":        "`" + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + "`",
	} {
		if _, err := Compile(expr); (err == nil) != (name == "closed") {
			t.Errorf("%s: %v", name, err)
		} else if err != nil && len(err.Error()) > 500 {
			t.Errorf("%s: the error has %d bytes", name, len(err.Error()))
		}
	}
	// A long literal is not hostile: Kyverno substitutes values as text.
	if _, err := Compile("to_upper('" + strings.Repeat("x", 1<<20) + "')"); err != nil {
		t.Error(err)
	}
}

func TestHostileSearchesEnd(t *testing.T) {
	long := strings.Repeat("a", 1<<20)
	double := func(step string, n int) string { return "@" + strings.Repeat(" | "+step, n) }
	for name, c := range map[string]struct {
		expr string
		data any
	}{
		"elements":         {double("[@, @][]", 60), "x"},
		"shared":           {double("[@, @]", 60), "x"},
		"shared in string": {double("[@, @]", 60) + " | to_string(@)", "x"},
		"shared compared":  {double("[@, @]", 60) + " | @ == [@[0], @[1]]", "x"},
		"shared members":   {double("[@, @]", 60) + " | contains(@, [@[0][0], @[0][0]])", "x"},
		"shared objects":   {double("{a: @, b: @}", 60), "x"},
		"join":             {double("join('', [@, @])", 60), "x"},
		"replace":          {"replace_all(@, 'a', @)", long},
		"replace empty":    {"replace_all(@, '', @)", long},
		"template":         {"regex_replace_all('.*', @, '" + strings.Repeat("$0", 1000) + "')", long},
		"literal template": {"regex_replace_all_literal('a', @, @)", long},
		"nested maps":      {"map(&map(&map(&map(&a, `[1,2]`), LIST), LIST), LIST)", nil},
	} {
		expr := strings.ReplaceAll(c.expr, "LIST", "`["+strings.Repeat("1,", 400)+"1]`")
		q, err := Compile(expr)
		if err != nil {
			t.Fatal(err)
		}
		// The text of 1 MiB must still pass.
		if _, err = q.search(c.data, &run{left: maxWork / 8}); !errors.Is(err, errWork) {
			t.Errorf("%s: %v, expected to run out of work", name, err)
		}
	}
	// The reference needs forever for these.
	for expr, want := range map[string]any{
		"pattern_match('" + strings.Repeat("a*", 30) + "b', '" + strings.Repeat("a", 200) + "')": false,
	} {
		if got, err := search(t, expr, nil); got != want || err != nil {
			t.Errorf("%s: %v, %v", expr, got, err)
		}
	}
	for _, expr := range []string{"add('1e2147483648', '1')", "add('1e-2147483648', '1')", "add('1', '1e99999999999999999999')", "multiply('1E+1000000', `2`)", "a[1::9223372036854775807]", "a[::-9223372036854775808]"} {
		_, err := search(t, expr, map[string]any{"a": []any{int64(1), int64(2), int64(3)}})
		if isSlice := expr[0:2] == "a["; (err == nil) != isSlice {
			t.Errorf("%s: %v", expr, err)
		}
	}
}

func TestVet(t *testing.T) {
	for expr, want := range map[string]string{
		"a || to_upper(b)":       "",
		"a || to_uper(b)":        "unknown function to_uper; did you mean to_upper?",
		"a || length(a, b)":      "function length: got 2 arguments, expected 1: length(string|array|object) number",
		"map(&random('x'), a)":   "function random: " + errRandom.Error(),
		"foo(a) && [bar(b)]":     "unknown function foo\nunknown function bar",
		"a[?nosuch(@)] | `1`(a)": "unknown function nosuch\nonly a name can be called as a function",
	} {
		q, err := Compile(expr)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if err := q.Vet(); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s:\n got %s\nwant %s", expr, got, want)
		}
	}
}

func TestFunctions(t *testing.T) {
	// What Kyverno 1.19.1 registers, and what the fork brings.
	const names = `abs add avg base64_decode base64_encode ceil compare contains divide ends_with equal_fold floor
		image_normalize is_external_url items join keys label_match length lookup map max max_by md5 merge min min_by
		modulo multiply not_null object_from_lists parse_json parse_yaml path_canonicalize pattern_match random
		regex_match regex_replace_all regex_replace_all_literal replace replace_all reverse round semver_compare sha1
		sha256 sort sort_by split starts_with subtract sum time_add time_after time_before time_between time_diff
		time_now time_now_utc time_parse time_since time_to_cron time_truncate time_utc to_array to_boolean to_lower
		to_number to_string to_upper trim trim_prefix truncate type values x509_decode`
	var got []string
	for _, f := range Functions() {
		got = append(got, f.Name)
		if !strings.HasPrefix(f.Signature, f.Name+"(") || strings.HasSuffix(f.Signature, " ") || f.Note == "" {
			t.Errorf("incomplete: %+v", f)
		}
	}
	if diff := cmp.Diff(strings.Fields(names), got); diff != "" {
		t.Error(diff)
	}
	for _, f := range Functions() {
		if f.Name == "merge" && f.Signature != "merge(object...) object" {
			t.Error(f.Signature)
		}
	}
}

func TestString(t *testing.T) {
	const expr = " a . b "
	q, err := Compile(expr)
	if err != nil {
		t.Fatal(err)
	}
	if q.String() != expr {
		t.Errorf("got %q", q.String())
	}
}

var benchmarkData = decodeData()

func decodeData() any {
	containers := []any{}
	for _, n := range []string{"web", "sidecar", "proxy"} {
		containers = append(containers, map[string]any{"name": n, "image": "registry.example/team/" + n + ":1.2.3", "resources": map[string]any{"limits": map[string]any{"memory": "512Mi"}}})
	}
	return map[string]any{"request": map[string]any{"operation": "CREATE", "object": map[string]any{
		"metadata": map[string]any{"name": "web", "labels": map[string]any{"app": "web", "tier": "front"}},
		"spec":     map[string]any{"replicas": int64(3), "containers": containers},
	}}}
}

var benchmarkExpressions = []struct{ name, expr string }{
	{"path", "request.object.metadata.name"},
	{"missing", "request.object.metadata.annotations.team"},
	{"default", "request.object.metadata.labels.team || 'none'"},
	{"images", "request.object.spec.[initContainers, containers][].image"},
	{"filter", "request.object.spec.containers[?name=='web'].image | [0]"},
	{"regex", "regex_replace_all('^[^/]+', request.object.spec.containers[0].image, 'mirror')"},
	{"sum", "sum(request.object.spec.containers[*].resources.limits.memory)"},
	{"arithmetic", "add(request.object.spec.replicas, `1`)"},
}

func BenchmarkCompile(b *testing.B) {
	for _, e := range benchmarkExpressions {
		b.Run(e.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Compile(e.expr); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSearch(b *testing.B) {
	for _, e := range benchmarkExpressions {
		b.Run(e.name, func(b *testing.B) {
			q, err := Compile(e.expr)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := q.Search(benchmarkData, Env{}); err != nil && !IsNotFound(err) {
					b.Fatal(err)
				}
			}
		})
	}
}
