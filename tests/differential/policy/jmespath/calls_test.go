// Package jmespath_test compares the functions of expressions with Kyverno's
// own, call by call: the same arguments give the same value, or both fail.
package jmespath_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/big"
	random "math/rand/v2"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	parser "github.com/kyverno/go-jmespath"
	"github.com/kyverno/kyverno/pkg/config"
	theirs "github.com/kyverno/kyverno/pkg/engine/jmespath"
	ours "github.com/oneloop-dev/oneloop/pkg/expr/jmespath"
)

var (
	seed  = flag.Uint64("seed", 1, "of the generator")
	calls = flag.Int("calls", 1000, "per function")
)

// standard are the functions that Kyverno's fork of go-jmespath brings, with
// the types of their arguments. It has the name amp for map in the table, but
// the function itself under map.
var standard = map[string][]string{
	"abs": {"number"}, "avg": {"array"}, "ceil": {"number"}, "contains": {"array|string", "any"},
	"ends_with": {"string", "string"}, "floor": {"number"}, "join": {"string", "array"},
	"keys": {"object"}, "length": {"string|array|object"}, "map": {"expression", "array"},
	"max": {"array"}, "max_by": {"array", "expression"}, "merge": {"object", "object"},
	"min": {"array"}, "min_by": {"array", "expression"}, "not_null": {"any", "any"},
	"reverse": {"array|string"}, "sort": {"array"}, "sort_by": {"array", "expression"},
	"starts_with": {"string", "string"}, "to_array": {"any"}, "to_number": {"any"},
	"to_string": {"any"}, "type": {"any"}, "values": {"object"},
}

// functions returns all functions of Kyverno with the types of their arguments.
func functions() map[string][]string {
	out := maps.Clone(standard)
	for _, f := range theirs.GetFunctions(config.NewDefaultConfiguration(false)) {
		var params []string
		for _, a := range f.Arguments {
			var types []string
			for _, t := range a.Types {
				types = append(types, string(t))
			}
			params = append(params, strings.Join(types, "|"))
		}
		out[f.Name] = params
	}
	return out
}

func TestSameFunctions(t *testing.T) {
	var have []string
	for _, f := range ours.Functions() {
		have = append(have, f.Name)
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(functions())), have); diff != "" {
		t.Errorf("-Kyverno +oneloop:\n%s", diff)
	}
}

// words are arguments that mean something to some function.
var words = map[string][]string{
	"quantity": {"1", "0", "-1", "1Gi", "512Mi", "1.5Gi", "100m", "250m", "2k", "1e3", "1E3", "12E", "0.1", "1n", "1u", "1.0000001Ki", "9223372036854775807", "9223372036854775808Gi", "-0", "+5", ".5", "5.", "1 Gi", "1Kib", "1e", "0x10", "1_000", "1e-3", "1e-12", "0Mi", "1500m", "3Ti"},
	"duration": {"1h", "30m", "1h30m", "-24h", "1.5s", "100ms", "1us", "1µs", "0", "0s", "10ns", "1d", "1h ", "2562047h47m16.854775807s", "2562047h47m17s", "+3m", ".5h", "1h1", "5e3s"},
	"time":     {"2024-01-31T10:00:00Z", "2023-06-01T00:00:00+02:00", "2024-02-29T23:59:60Z", "2024-02-29T23:59:59.123456789Z", "2023-02-29T00:00:00Z", "2024-01-31", "2024-01-31T10:00:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2024-01-31t10:00:00z", "2024-01-31T1:00:00Z", "2024-01-31T10:00:00,5Z", "1970-01-01T00:00:00-23:59"},
	"layout":   {"2006-01-02T15:04:05Z07:00", "Mon Jan _2 15:04:05 2006", "Mon, 02 Jan 2006 15:04:05 MST", "2006-01-02", "1", "123456789", "-5", "", "15:04"},
	"stamp":    {"Mon Jan  2 15:04:05 2023", "Mon, 02 Jan 2023 15:04:05 MST", "Mon, 02 Jan 2023 15:04:05 CEST", "2023-01-02", "1702691171", "-1", "99999999999999999999", "1e9", "15:04", "24:00"},
	"regex":    {"^(.+)$", "[a-z]+", "(a)(b)?", "\\d+", "", "(", "(?i)ABC", "a{2,1}", "(?P<x>a)", "\\", ".*", "a*", "[^", "(?=a)", "\\pL", "é"},
	"template": {"$1", "${1}x", "$1x", "$$", "$0-$0", "${x}", "$", "${", "\\1"},
	"glob":     {"*", "?", "a*", "*a*b*", "??", "a?c", "**", "*.example.com", "é?"},
	"version":  {"1.2.3", "v1.2.3", "1.2", "1.2.3-rc.1", "1.2.3+build", "01.2.3", "4.1.3", "", "0.0.0", "1.2.3.4"},
	"range":    {">1.0.0", ">=1.2.3 <2.0.0", "1.x", "<2.0.0 || >3", "=1.2.3", "!1.2.3", "~1.2", "^1", "1.2.x", ">1.x", "<1.x.x", "x", ">= 1.2.3", ">1.2.3-rc.1", "|| >1", "1.2.3 - 2", ">1.0.0 !1.2.3 || 4.1.x", "==1.2.3", ">=1.2"},
	"json":     {`{"a":1,"b":[true,null,"x"]}`, `[1,2.5,1e400]`, `1`, `"x"`, `null`, ``, `{`, `{"a":1}{`, `{"a":1,"a":2}`, `[1,]`, `12345678901234567890`, "\"\\ud800\"", " 1 ", "-0", "NaN"},
	"yaml":     {"a: 1\nb: [x, ~]", "- 1\n- y\n- 0x1F", "a: &x {b: 1}\nc: *x", "a: 1\na: 2", "1: x\n2.5: y\ntrue: z", "---\na: 1\n---\nb: 2", "# nothing", "a: |\n  text", "<<: {a: 1}\nb: 2", "a: 2024-01-01", "a: !!binary aGk=", "a:\tb", "yes", "1e3", "0o17", "017", ".inf", "? [a]\n: b", "null: 1", "a: 12345678901234567890", "'", "*x", "? {a: 1}\n: b", "on: off", "a: 1_000", "0b11", "a: !!set {x}", "a: -.5", "-0"},
	"base64":   {"aGVsbG8=", "aGVsbG8", "aGVs\nbG8=", "_-8=", "/+8=", "====", "", "gICA", " aGk=", "aGk= "},
	"path":     {"/a//b/../c", "./a/", "", "/", "..", "a/./b", "//a", "/../a", "a\\b", "a/../.."},
	"url":      {"http://10.0.0.1", "https://8.8.8.8:443/x", "http://[::1]", "http://[::ffff:10.0.0.1]", "http://[fe80::1%25eth0]:8", "http://127.0.0.1", "http://192.168.1.1/", "http://0.0.0.0", "http://[::]", "http://169.254.1.1", "http://[fd00::1]", "http://010.0.0.1", "http://[::ffff:8.8.8.8]", "http://%", "http://[::1", "http://1.2.3.4:x", "http://[fc00::1%25x]", "http://[64:ff9b::a00:1]", "//10.0.0.1", "http://user@127.0.0.2"},
	"image":    {"nginx", "nginx:1.25", "docker.io/library/nginx", "ghcr.io/a/b:c", "localhost:5000/x", "localhost/x", "registry.k8s.io/pause@sha256:" + strings.Repeat("ab", 32), "a/b:t@sha256:" + strings.Repeat("ab", 32), "A/b", "a/B", "nginx:", "nginx:-x", "a//b", "a.b", "a.b/c", "", "x:1/y", "[::1]:5000/a", "a__b/c--d", "a_-b", "x@sha256:12", "x@md5:" + strings.Repeat("ab", 16), "foo/bar/baz", "UPPER", "UPPER/x", strings.Repeat("a/", 150) + "a", "x:" + strings.Repeat("t", 128), "x:" + strings.Repeat("t", 129), "https://a/b", "a:1:2", " nginx", "docker.io/nginx", "index.docker.io/nginx", "x@sha512:" + strings.Repeat("ab", 64), "a:b@"},
	"number":   {"1", "1.5", "-1", "1e3", "0x1p-2", "Inf", "nan", "1_0", "", "0x1F", "1e400", "00012", " 1", "12345678901234567890"},
	"text":     {"", "a", "abc", "Abc", "a,b,,c", "a/b", "hello world", "ÉÈ", "ß", "İ", "日本語", "a\x00b", "true", "TRUE", "False", "tru", "é", "aaa", "\t a \n", "K", "kubernetes", "😀x"},
}

// topics are the words that each function reads, by argument.
var topics = map[string][]string{
	"add": {"quantity duration", "quantity duration"}, "subtract": {"quantity duration", "quantity duration"},
	"multiply": {"quantity duration", "quantity duration"}, "divide": {"quantity duration", "quantity duration"},
	"modulo": {"quantity duration", "quantity duration"}, "sum": {"quantity"},
	"time_add": {"time", "duration"}, "time_truncate": {"time", "duration"}, "time_after": {"time", "time"},
	"time_before": {"time", "time"}, "time_between": {"time", "time", "time"}, "time_diff": {"time", "time"},
	"time_parse": {"layout", "stamp time"}, "time_since": {"layout", "stamp time", "stamp time"},
	"time_to_cron": {"time"}, "time_utc": {"time"},
	"regex_match": {"regex", "text number"}, "regex_replace_all": {"regex", "text", "template text"},
	"regex_replace_all_literal": {"regex", "text", "template text"}, "pattern_match": {"glob", "text number"},
	"semver_compare": {"version", "range version"}, "parse_json": {"json"}, "parse_yaml": {"yaml json"},
	"base64_decode": {"base64"}, "path_canonicalize": {"path"}, "is_external_url": {"url"},
	"image_normalize": {"image"}, "to_number": {"number"}, "x509_decode": {"pem"},
}

type generator struct {
	*random.Rand
	functions map[string][]string
	names     []string // of functions that may stand in others
}

func pick[T any](g generator, of []T) T { return of[g.IntN(len(of))] }

func (g generator) chance(p float64) bool { return g.Float64() < p }

// word is one of the topic, now and then with a letter too many or too few.
func (g generator) word(topic string) string {
	if topic == "" {
		topic = pick(g, slices.Sorted(maps.Keys(words)))
	}
	s := pick(g, words[pick(g, strings.Fields(topic))])
	if r := []rune(s); g.chance(0.25) {
		at := g.IntN(len(r) + 1)
		switch g.IntN(3) {
		case 0:
			s = string(r[:at]) + pick(g, strings.Split("0 1 9 . - + : / @ a Z x * ? e m M é _ , =", " ")) + string(r[at:])
		case 1:
			if at < len(r) {
				s = string(r[:at]) + string(r[at+1:])
			}
		default:
			s = string(r[at:]) + string(r[:at])
		}
	}
	if large.MatchString(s) {
		return ""
	}
	return s
}

// large are exponents that Kyverno writes out, whatever time it takes.
var large = regexp.MustCompile(`[eE][+-]?[0-9]{4,}`)

var numbers = []float64{0, 1, 2, 3, -1, -2, 1.5, 0.1, -0.5, 2.5, 10, 100, 1e3, 1e6, 1e15, 1 << 53, 1<<53 + 2, 1e18, 1e19, -1e19, 1e300, 1e-7, 123456789, 0.30000000000000004, 3.14159, 16777217}

// value makes one of the type, arguments of any depth included.
func (g generator) value(kind, topic string, depth int) any {
	switch kind {
	case "string":
		return g.word(topic)
	case "number":
		return pick(g, numbers)
	case "boolean":
		return g.chance(0.5)
	case "object":
		out := map[string]any{}
		for range g.IntN(4) {
			out[pick(g, []string{"a", "b", "c", "app", "x.y/z", ""})] = g.value(g.kind(depth), topic, depth-1)
		}
		return out
	case "array", "array[string]":
		out := []any{}
		kind := pick(g, []string{"string", "string", "number", "object", "any"})
		for range g.IntN(5) {
			k := kind
			if k == "any" {
				k = g.kind(depth)
			}
			out = append(out, g.value(k, topic, depth-1))
		}
		return out
	case "any":
		return g.value(g.kind(depth), topic, depth-1)
	}
	return nil
}

func (g generator) kind(depth int) string {
	if depth <= 0 {
		return pick(g, []string{"string", "string", "number", "boolean", "null"})
	}
	return pick(g, []string{"string", "string", "string", "number", "number", "boolean", "null", "object", "array"})
}

// literal writes v as JMESPath.
func literal(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return "`" + strings.ReplaceAll(string(b), "`", "\\`") + "`"
}

// call writes a call of the function and puts the arguments that it reads into
// data. Calls stand within calls up to the depth.
func (g generator) call(name string, data map[string]any, depth int) string {
	params := slices.Clone(g.functions[name])
	if g.chance(0.03) {
		params = append(params, "any")
	}
	if g.chance(0.03) && len(params) > 0 {
		params = params[:len(params)-1]
	}
	args := make([]string, len(params))
	for i, p := range params {
		topic := ""
		if t := topics[name]; i < len(t) && g.chance(0.85) {
			topic = t[i]
		}
		kind := pick(g, strings.Split(p, "|"))
		if kind == "any" && topic != "" && g.chance(0.7) {
			kind = pick(g, []string{"string", "string", "number"})
		}
		if kind == "expression" {
			args[i] = "&" + pick(g, []string{"@", "a", "b", "to_string(@)", "length(@)", "zz", "type(@)", "to_number(@)", "a.b", "abs(@)"})
			if g.chance(0.95) {
				continue
			}
		}
		if g.chance(0.07) {
			kind = g.kind(2)
		}
		v := g.value(kind, topic, 2)
		switch {
		case depth > 0 && g.chance(0.15):
			args[i] = g.call(pick(g, g.names), data, depth-1)
		case g.chance(0.03):
			// What functions return is not always what the data could hold.
			args[i] = pick(g, []string{"compare('a', 'b')", "items(`{\"a\": 1, \"b\": \"x\"}`, 'key', 'value')", "items(`[1, 2]`, 'key', 'value')", "&a", "avg(`[]`)", "missing", "length('ab')", "to_array('x')", "split('a,b', ',')", "keys(@)[0:0]", "items(`{}`, 'k', 'v')", "to_array(compare('a', 'b'))", "values(`{\"a\": 1}`)", "[compare('b', 'a')]", "@"})
		case g.chance(0.4):
			args[i] = literal(v)
		default:
			key := fmt.Sprintf("v%d", len(data))
			args[i], data[key] = key, v
		}
	}
	return name + "(" + strings.Join(args, ", ") + ")"
}

// An answer is what came of a call.
type answer struct {
	Value    any
	Failed   bool
	NotFound bool // and why: Kyverno goes on after this failure alone
}

func asJSON(v any) (any, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var out any
	return out, json.Unmarshal(b, &out)
}

// ask evaluates with Kyverno. What JSON can't express is a failure there too, a
// step later.
func ask(engine theirs.Interface, expr string, data any) (a answer, err error, panicked bool) {
	defer func() { panicked = recover() != nil }()
	v, err := engine.Search(expr, data)
	if err == nil {
		v, err = asJSON(v)
	}
	if err != nil {
		var missing parser.NotFoundError
		return answer{Failed: true, NotFound: errors.As(err, &missing)}, err, false
	}
	return answer{Value: v}, nil, false
}

// unordered sorts what keys and values return, which Kyverno gives in random
// order, when it is the whole answer.
func unordered(a answer) answer {
	list, ok := a.Value.([]any)
	if !ok {
		return a
	}
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b any) int { return strings.Compare(literal(a), literal(b)) })
	a.Value = list
	return a
}

// whole gives numbers the type that oneloop reads them with.
func whole(v any) any {
	switch v := v.(type) {
	case float64:
		if v == float64(int64(v)) && v < 1<<53 && v > -(1<<53) {
			return int64(v)
		}
	case map[string]any:
		out := map[string]any{}
		for k, e := range v {
			out[k] = whole(e)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = whole(e)
		}
		return out
	}
	return v
}

// resolves reports whether the call would ask DNS in Kyverno.
func resolves(name string, data map[string]any) bool {
	if name != "is_external_url" {
		return false
	}
	s, ok := data["v0"].(string)
	u, err := url.Parse(s)
	return !ok || err == nil && net.ParseIP(u.Hostname()) == nil
}

// TestCalls makes calls of every function with arguments of all types. What is
// left out is counted: it is what the documentation of the package names as
// different.
func TestCalls(t *testing.T) {
	words["pem"] = certificates(t)
	engine := theirs.New(config.NewDefaultConfiguration(false))
	g := generator{Rand: random.New(random.NewPCG(*seed, 2)), functions: functions()}
	var functions []string
	for _, name := range slices.Sorted(maps.Keys(g.functions)) {
		switch name {
		case "random", "time_now", "time_now_utc":
			continue // different each time
		}
		functions = append(functions, name)
		switch name {
		case "keys", "values", "is_external_url", "sort_by":
			continue // random order, DNS, and a changed argument
		}
		g.names = append(g.names, name)
	}
	var compared, values, panics, reference, unsupported int
	for _, name := range functions {
		differences, good := 0, 0
		for range *calls {
			data := map[string]any{}
			expr := g.call(name, data, 2)
			if resolves(name, data) {
				unsupported++
				continue
			}
			got, err := search(expr, data)
			switch {
			case errors.Is(err, errors.ErrUnsupported):
				unsupported++
				continue
			case err != nil && strings.Contains(err.Error(), "unevaluated expression"):
				reference++
				continue
			}
			want, theirErr, panicked := ask(engine, expr, data)
			if panicked {
				panics++
				continue
			}
			compared++
			if !want.Failed {
				values++
				good++
			}
			if name == "keys" || name == "values" {
				want, got = unordered(want), unordered(got)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				if differences++; differences <= 3 {
					t.Errorf("%s on %s\n-Kyverno (%v) +oneloop (%v):\n%s", expr, literal(data), theirErr, err, diff)
				}
			}
		}
		if differences > 3 {
			t.Errorf("%s: %d differences", name, differences)
		}
		if good == 0 {
			t.Errorf("%s: no call gives a value, so nothing was compared", name)
		}
	}
	t.Logf("seed %d: %d calls of %d functions compared, of which %d gave a value; left out: %d where Kyverno panics, %d with a bare &expression as result, %d that need a clock or DNS",
		*seed, compared, len(functions), values, panics, reference, unsupported)
}

// search evaluates with oneloop.
func search(expr string, data map[string]any) (answer, error) {
	q, err := ours.Compile(expr)
	if err != nil {
		return answer{Failed: true}, err
	}
	v, err := q.Search(whole(data), ours.Env{})
	if err == nil {
		v, err = asJSON(v)
	}
	if err != nil {
		return answer{Failed: true, NotFound: ours.IsNotFound(err)}, err
	}
	return answer{Value: v}, nil
}

// certificates makes some of every kind.
func certificates(t *testing.T) []string {
	t.Helper()
	must := func(b []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	subject := pkix.Name{CommonName: "example", Organization: []string{"A", "B"}, Country: []string{"CH"}}
	where, err := url.Parse("spiffe://example/a")
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: new(big.Int).Lsh(big.NewInt(3), 100), Subject: subject,
		NotBefore: time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC), NotAfter: time.Date(2051, 1, 1, 0, 0, 0, 0, time.UTC),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IsCA: true, BasicConstraintsValid: true, MaxPathLen: 2,
		DNSNames: []string{"a.example", "*.b.example"}, IPAddresses: []net.IP{net.IPv4(10, 0, 0, 1), net.IPv6loopback},
		EmailAddresses: []string{"a@example"}, URIs: []*url.URL{where}, PermittedDNSDomains: []string{".example"},
		CRLDistributionPoints: []string{"http://example/crl"},
	}
	request := &x509.CertificateRequest{Subject: subject, DNSNames: []string{"a.example"}, IPAddresses: []net.IP{net.IPv4(10, 0, 0, 1)}, URIs: []*url.URL{where}}
	block := func(kind string, b []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}))
	}
	rsaCert := must(x509.CreateCertificate(rand.Reader, template, template, &rsaKey.PublicKey, rsaKey))
	rsaRequest := must(x509.CreateCertificateRequest(rand.Reader, request, rsaKey))
	pss := *template
	pss.SignatureAlgorithm = x509.SHA256WithRSAPSS
	out := []string{
		block("CERTIFICATE", rsaCert),
		"leading text\n" + block("CERTIFICATE", rsaCert) + "trailing text",
		block("CERTIFICATE", must(x509.CreateCertificate(rand.Reader, &pss, &pss, &rsaKey.PublicKey, rsaKey))),
		block("CERTIFICATE", must(x509.CreateCertificate(rand.Reader, template, template, &rsaKey.PublicKey, ecKey))),
		block("CERTIFICATE REQUEST", rsaRequest),
		block("CERTIFICATE", must(x509.CreateCertificate(rand.Reader, template, template, &ecKey.PublicKey, ecKey))),
		block("CERTIFICATE", must(x509.CreateCertificate(rand.Reader, template, template, edKey.Public(), edKey))),
		block("CERTIFICATE REQUEST", must(x509.CreateCertificateRequest(rand.Reader, request, ecKey))),
		block("NEW CERTIFICATE REQUEST", rsaRequest),
		block("CERTIFICATE", rsaRequest),
		block("CERTIFICATE REQUEST", rsaCert),
		block("CERTIFICATE", append(slices.Clone(rsaCert), 0)),
		block("CERTIFICATE", nil),
		block("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&rsaKey.PublicKey)),
		block("CERTIFICATE", rsaCert) + block("CERTIFICATE REQUEST", rsaRequest),
		"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
		"",
	}
	return out
}
