package kyverno

import (
	"fmt"
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/facts"
)

// missingUser says how to declare a requester.
func missingUser(variable string) error {
	return fmt.Errorf("%s is not known at render time: %w; declare a requester with --facts, as in\n%s", variable, facts.ErrMissing, indent(`apiVersion: cli.kyverno.io/v1alpha1
kind: UserInfo
metadata: {name: requester}
userInfo: {username: ana, groups: [system:authenticated]}
roles: []
clusterRoles: []
`))
}

// missingConfigMap says how to declare a ConfigMap.
func missingConfigMap(namespace, name string) error {
	return fmt.Errorf("ConfigMap %s/%s is not known at render time: %w; add it to the manifests, or give it with --facts, as in\n%s", namespace, name, facts.ErrMissing, indent(fmt.Sprintf(`apiVersion: v1
kind: ConfigMap
metadata: {name: %s, namespace: %s}
data: {}
`, name, namespace)))
}

// missingCall says how to record the answer of an API call.
func missingCall(method, urlPath string) error {
	verb := ""
	if method != "GET" {
		verb = "\n    method: " + method
	}
	return fmt.Errorf("the answer of %s %s is not known at render time: %w; record it (kubectl get --raw shows it) and give it with --facts, as in\n%s", method, urlPath, facts.ErrMissing, indent(fmt.Sprintf(`apiVersion: oneloop.dev/v1alpha1
kind: ClusterFacts
metadata: {name: facts}
spec:
  apiCalls:
  - urlPath: %q%s
    response: {}
`, urlPath, verb)))
}

// missingGlobal says how to declare the value of a GlobalContextEntry.
func missingGlobal(name string) error {
	return fmt.Errorf("the value of GlobalContextEntry %s is not known at render time: %w; give it with --facts, as in\n%s", name, facts.ErrMissing, indent(fmt.Sprintf(`apiVersion: oneloop.dev/v1alpha1
kind: ClusterFacts
metadata: {name: facts}
spec:
  globalContext:
    %s: []
`, name)))
}

func indent(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n  ")
}
