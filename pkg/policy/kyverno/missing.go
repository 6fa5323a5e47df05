package kyverno

import (
	"errors"
	"fmt"
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/facts"
)

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

// missingList says how to declare the objects that a rule copies.
func missingList(kind, namespace string) error {
	where := ""
	if namespace != "" {
		where = " in namespace " + namespace
	}
	return fmt.Errorf("no %s%s is known at render time: %w; add those to clone to the manifests, or give them with --facts", kind, where, facts.ErrMissing)
}

func indent(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n  ")
}
