package kyverno

import (
	"encoding/json"
	"errors"
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

// missingRequest says how to give what the API server makes up for a request.
func missingRequest(variable string) error {
	value := "value"
	if variable == "request.options" {
		value = "{fieldManager: helm}"
	}
	return fmt.Errorf("%s is not known at render time: %w; give it with --facts, as in\n%s", variable, facts.ErrMissing, indent(fmt.Sprintf(`apiVersion: cli.kyverno.io/v1alpha1
kind: Values
metadata: {name: values}
globalValues:
  %s: %s
`, variable, value)))
}

// assigned says why a field of the metadata has no value.
func assigned(field string) error {
	return fmt.Errorf("metadata.%s is assigned by the API server, so that no manifest has it: %w; leave the rule to the cluster, or write it without that field", field, errors.ErrUnsupported)
}

// missingConfigMap says how to declare a ConfigMap.
func missingConfigMap(namespace, name string) error {
	return fmt.Errorf("ConfigMap %s/%s is not known at render time: %w; add it to the manifests, or give it with --facts, as in\n%s", namespace, name, facts.ErrMissing, indent(fmt.Sprintf(`apiVersion: v1
kind: ConfigMap
metadata: {name: %s, namespace: %s}
data: {}
`, name, namespace)))
}

// missingObject says how to declare an object that a rule needs; what tells
// what for, and kind is apiVersion/Kind.
func missingObject(what, kind, namespace, name string) error {
	i := strings.LastIndexByte(kind, '/')
	apiVersion, id, at := kind[:max(i, 0)], name, ""
	kind = kind[i+1:]
	if namespace != "" {
		id, at = namespace+"/"+name, ", namespace: "+namespace
	}
	return fmt.Errorf("%s %s %s is not known at render time: %w; add it to the manifests, or give it with --facts, as in\n%s", what, kind, id, facts.ErrMissing, indent(fmt.Sprintf(`apiVersion: %s
kind: %s
metadata: {name: %s%s}
`, apiVersion, kind, name, at)))
}

// missingList says how to declare the objects that a rule copies.
func missingList(kind, namespace string) error {
	where := ""
	if namespace != "" {
		where = " in namespace " + namespace
	}
	return fmt.Errorf("no %s%s is known at render time: %w; add those to clone to the manifests, or give them with --facts", kind, where, facts.ErrMissing)
}

// missingCall says how to record the answer of an API call. data is what it
// sends, nil for nothing.
func missingCall(method, urlPath string, data any) error {
	verb := ""
	if method != "GET" {
		verb = "\n    method: " + method
	}
	if data != nil {
		if text, err := json.Marshal(data); err == nil {
			verb += "\n    data: " + string(text)
		}
	}
	record := "kubectl get --raw"
	if strings.Contains(urlPath, "://") {
		record = "curl"
	}
	return fmt.Errorf("the answer of %s %s is not known at render time: %w; record it (%s shows it) and give it with --facts, as in\n%s", method, urlPath, facts.ErrMissing, record, indent(fmt.Sprintf(`apiVersion: oneloop.dev/v1alpha1
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
