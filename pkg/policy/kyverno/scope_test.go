package kyverno

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSplitKey(t *testing.T) {
	for key, want := range map[string][]string{
		"a":         {"a"},
		"a.b.c":     {"a", "b", "c"},
		`a."b.c".d`: {"a", "b.c", "d"},
		`"a.b"`:     {"a.b"},
		`a."b`:      {"a", `"b`},
		`a.b"c`:     {"a", `b"c`},
		"request.":  {"request", ""},
	} {
		if d := cmp.Diff(want, splitKey(key)); d != "" {
			t.Errorf("%s (-want +got):\n%s", key, d)
		}
	}
}

func TestServiceAccount(t *testing.T) {
	for user, want := range map[string][2]string{
		"system:serviceaccount:shop:deployer": {"deployer", "shop"},
		"system:serviceaccount:shop":          {"", ""},
		"ana":                                 {"", ""},
		"system:serviceaccount:":              {"", ""},
		"system:serviceaccount:shop:a:b":      {"a", "shop"},
		// Kyverno does not look at what it takes off.
		"https://login.example.com:shop:ana": {"shop", "com"},
		"system:node:worker-7.example:a":     {"a", "xample"},
	} {
		name, namespace := serviceAccount(user)
		if got := [2]string{name, namespace}; got != want {
			t.Errorf("%s: got %v, want %v", user, got, want)
		}
	}
}

func TestOwnNamespace(t *testing.T) {
	for path, ok := range map[string]bool{
		"/api/v1/namespaces/shop/pods":              true,
		"/api/v1/namespaces/other/pods":             false,
		"/api/v1/pods":                              false,
		"/api/v1/namespaces/shop/../other/pods":     false,
		"/api/v1/namespaces/shop/%2e%2e/other/pods": false,
	} {
		if err := ownNamespace(path, "shop"); (err == nil) != ok {
			t.Errorf("%s: got %v", path, err)
		}
	}
	if err := ownNamespace("/version", ""); err != nil {
		t.Errorf("a ClusterPolicy may ask for everything, got %v", err)
	}
}
