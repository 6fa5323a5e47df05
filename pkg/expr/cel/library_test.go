package cel_test

import (
	"strings"
	"testing"

	"github.com/oneloop-dev/oneloop/pkg/expr/cel"
)

// TestLibraries states what the API server's own tables state of its CEL
// libraries: that they are there, with its types and errors.
func TestLibraries(t *testing.T) {
	env, err := cel.Admission()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		expression string
		fails      string // part of the error; "": the expression is true
	}{
		// Quantities.
		{expression: `isQuantity("20") && isQuantity("20Mi") && isQuantity("-1.5Gi") && isQuantity("1e3")`},
		{expression: `!isQuantity("20Mo") && !isQuantity("10 000M") && !isQuantity("")`},
		{expression: `quantity("12").asInteger() == 12`},
		{expression: `quantity("1Mi").isInteger() && !quantity("0.5").isInteger() && !quantity("9999999999999999999999999999999999999G").isInteger()`},
		{expression: `quantity("50.703k").asApproximateFloat() == 50703.0`},
		{expression: `quantity("200M").compareTo(quantity("0.2G")) == 0 && quantity("50M").compareTo(quantity("50Mi")) == -1`},
		{expression: `quantity("1Gi").isGreaterThan(quantity("1G")) && quantity("1G").isLessThan(quantity("1Gi"))`},
		{expression: `quantity("50k").add(quantity("20")) == quantity("50020") && quantity("50k").add(20) == quantity("50020")`},
		{expression: `quantity("50k").sub(quantity("20")) == quantity("49980") && quantity("50k").sub(-50) == quantity("50050")`},
		{expression: `sign(quantity("-5")) == -1 && sign(quantity("0")) == 0 && sign(quantity("5Gi")) == 1`},
		{expression: `quantity("10Mo") == quantity("1")`, fails: "quantities must match the regular expression"},
		{expression: `quantity("0.5").asInteger() == 1`, fails: "cannot convert value to integer"},

		// Addresses.
		{expression: `isIP("192.168.0.1") && isIP("2001:db8::abcd") && !isIP("192.168.0.1.0") && !isIP("192.168.0.0/16")`},
		{expression: `ip("192.168.0.1").family() == 4 && ip("2001:db8::68").family() == 6`},
		{expression: `ip.isCanonical("127.0.0.1") && ip.isCanonical("2001:db8::abcd") && !ip.isCanonical("2001:DB8::ABCD")`},
		{expression: `ip("0.0.0.0").isUnspecified() && ip("127.0.0.1").isLoopback() && ip("224.0.0.1").isLinkLocalMulticast()`},
		{expression: `ip("169.254.169.254").isLinkLocalUnicast() && ip("192.168.0.1").isGlobalUnicast() && !ip("255.255.255.255").isGlobalUnicast()`},
		{expression: `ip("2001:db8::abcd") == ip("2001:DB8::ABCD") && string(ip("2001:DB8::ABCD")) == "2001:db8::abcd"`},
		{expression: `type(ip("10.0.0.1")) == net.IP`},
		{expression: `ip("192.168.0.1.0").family() == 4`, fails: "IP Address"},
		{expression: `ip("::ffff:1.2.3.4").family() == 6`, fails: "IPv4-mapped IPv6 address"},

		// Networks.
		{expression: `isCIDR("192.168.0.0/24") && isCIDR("2001:db8::/32") && !isCIDR("192.168.0.0/") && !isCIDR("192.168.0.1")`},
		{expression: `cidr("192.168.0.0/24").containsIP("192.168.0.1") && cidr("192.168.0.0/24").containsIP(ip("192.168.0.255"))`},
		{expression: `!cidr("192.168.0.0/24").containsIP("192.168.1.1")`},
		{expression: `cidr("192.168.0.0/24").containsCIDR("192.168.0.0/25") && !cidr("192.168.0.0/24").containsCIDR(cidr("192.168.0.0/23"))`},
		{expression: `cidr("192.168.0.1/24").ip() == ip("192.168.0.1") && cidr("192.168.0.1/24").masked() == cidr("192.168.0.0/24")`},
		{expression: `cidr("192.168.0.0/24").prefixLength() == 24 && string(cidr("192.168.0.0/24")) == "192.168.0.0/24"`},
		{expression: `cidr("192.168.0.0/33").prefixLength() == 33`, fails: "network address parse error"},

		// Formats.
		{expression: `!format.dns1123Label().validate("web-1").hasValue() && format.dns1123Label().validate("Web").hasValue()`},
		{expression: `!format.dns1123Subdomain().validate("a.b").hasValue() && format.dns1123Subdomain().validate("a..b").hasValue()`},
		{expression: `!format.dns1035Label().validate("a1").hasValue() && format.dns1035Label().validate("1a").hasValue()`},
		{expression: `!format.qualifiedName().validate("example.com/name").hasValue() && format.qualifiedName().validate("/").hasValue()`},
		{expression: `!format.labelValue().validate("a_b").hasValue() && format.labelValue().validate("a b").hasValue()`},
		{expression: `!format.uuid().validate("123e4567-e89b-12d3-a456-426614174000").hasValue() && format.uuid().validate("123").hasValue()`},
		{expression: `!format.byte().validate("aGVsbG8=").hasValue() && format.byte().validate("not base64!").hasValue()`},
		{expression: `!format.date().validate("2026-11-23").hasValue() && format.date().validate("23.11.2026").hasValue()`},
		{expression: `!format.datetime().validate("2026-11-23T10:00:00Z").hasValue() && format.datetime().validate("noon").hasValue()`},
		{expression: `!format.uri().validate("http://example.com").hasValue() && format.uri().validate("example").hasValue()`},
		{expression: `format.named("dns1123Label").value().validate("Web").hasValue() && !format.named("nothing").hasValue()`},

		// Versions.
		{expression: `isSemver("1.2.3-beta.1+build") && !isSemver("v1.2.3") && !isSemver("1.2") && isSemver("v1.2", true)`},
		{expression: `semver("1.2.3").major() == 1 && semver("1.2.3").minor() == 2 && semver("1.2.3").patch() == 3`},
		{expression: `semver("1.2.3").compareTo(semver("2.0.0")) == -1 && semver("1.2.3") == semver("1.2.3")`},
		{expression: `semver("1.2.3").isLessThan(semver("1.2.4")) && semver("1.2.3").isGreaterThan(semver("1.2.3-rc.1"))`},
		{expression: `semver("v01.01", true) == semver("1.1.0")`},
		{expression: `semver("three") == semver("1.0.0")`, fails: "No Major.Minor.Patch elements found"},

		// Lists, texts, addresses of the web.
		{expression: `[1, 2, 3].sum() == 6 && [0.5, 1.5].max() == 1.5 && ["b", "a"].min() == "a" && ["a", "b"].isSorted()`},
		{expression: `["a", "b", "a"].indexOf("a") == 0 && ["a", "b", "a"].lastIndexOf("a") == 2 && [].sum() == 0`},
		{expression: `[1, 2] + [3] == [1, 2, 3] && sets.contains([1, 2, 3], [2]) && !sets.intersects([1], [2]) && sets.equivalent([1, 1], [1])`},
		{expression: `"abc 123 def 456".find("[0-9]+") == "123" && "abc 123 def 456".findAll("[0-9]+", 1) == ["123"]`},
		{expression: `"a-b".replace("-", "_") == "a_b" && "A".lowerAscii() == "a" && ["a", "b"].join("/") == "a/b" && " a ".trim() == "a"`},
		{expression: `url("https://user@example.com:80/path?q=a").getHostname() == "example.com" && url("https://example.com/a%20b").getEscapedPath() == "/a%20b"`},
		{expression: `url("https://example.com/?k=a&k=b").getQuery()["k"] == ["a", "b"] && !isURL("../relative") && !isURL("https://a:b:c/")`},
		{expression: `[].min() == 1`, fails: "min called on empty list"},
		{expression: `"a".find("(") == ""`, fails: "error parsing regexp"},

		// What the API server leaves out.
		{expression: `cel.bind(a, 1, a) == 1`, fails: "undeclared reference to 'cel'"},
		{expression: `math.greatest(1, 2) == 2`, fails: "undeclared reference to 'math'"},
		{expression: `base64.encode(b"a") == "YQ=="`, fails: "undeclared reference to 'base64'"},
	} {
		t.Run(tt.expression, func(t *testing.T) {
			p, err := env.Compile(tt.expression, cel.Bool)
			holds := false
			if err == nil {
				holds, err = p.EvalBool(t.Context(), cel.Variables{}, cel.Conditions())
			}
			switch {
			case tt.fails == "" && (err != nil || !holds):
				t.Errorf("%t, %v", holds, err)
			case tt.fails != "" && (err == nil || !strings.Contains(err.Error(), tt.fails)):
				t.Errorf("%t, %v; want an error about %q", holds, err, tt.fails)
			}
		})
	}
}
