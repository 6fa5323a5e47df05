package facts

import (
	"encoding/json"
	"fmt"
	"strings"
)

// MissingUser says how to declare a requester.
func MissingUser(variable string) error {
	return fmt.Errorf("%s is not known at render time: %w; declare a requester with --facts, as in\n%s", variable, ErrMissing, indent(`apiVersion: cli.kyverno.io/v1alpha1
kind: UserInfo
metadata: {name: requester}
userInfo: {username: ana, groups: [system:authenticated]}
roles: []
clusterRoles: []
`))
}

// MissingNamespace says how to declare the labels of a namespace; place is what
// has the selector. Where the namespace may be one that was assumed, it says how
// to name the right one.
func (f *Facts) MissingNamespace(place, namespace string) error {
	assumed := ""
	if namespace == assumedNamespace && f.DefaultNamespace == assumedNamespace {
		assumed = "if the manifest names no namespace, tell which one it is for with --default-namespace, or with defaultNamespace of ClusterFacts; "
	}
	return fmt.Errorf("%s has a namespaceSelector, and the labels of namespace %q are not known: %w; %sadd its Namespace to the manifests, or give it with --facts, as in\n%s", place, namespace, ErrMissing, assumed, indent(fmt.Sprintf(`apiVersion: v1
kind: Namespace
metadata:
  name: %s
  labels: {}
`, namespace)))
}

// MissingTime says how to declare the time of the request; function is what asks
// for it.
func MissingTime(function string) error {
	return fmt.Errorf("%s asks for the time, and rendering has none, so that it gives the same each time: %w; declare one with --facts, as in\n%s", function, ErrMissing, indent(`apiVersion: oneloop.dev/v1alpha1
kind: ClusterFacts
metadata: {name: facts}
spec:
  now: "2026-01-31T00:00:00Z"
`))
}

// MissingObject says how to declare an object that a rule needs; what tells
// what for, and kind is apiVersion/Kind.
func MissingObject(what, kind, namespace, name string) error {
	i := strings.LastIndexByte(kind, '/')
	apiVersion, id, at := kind[:max(i, 0)], name, ""
	kind = kind[i+1:]
	if namespace != "" {
		id, at = namespace+"/"+name, ", namespace: "+namespace
	}
	return fmt.Errorf("%s %s %s is not known at render time: %w; add it to the manifests, or give it with --facts, as in\n%s", what, kind, id, ErrMissing, indent(fmt.Sprintf(`apiVersion: %s
kind: %s
metadata: {name: %s%s}
`, apiVersion, kind, name, at)))
}

// MissingCall says how to record the answer of an API call. data is what it
// sends, nil for nothing.
func MissingCall(method, urlPath string, data any) error {
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
	return fmt.Errorf("the answer of %s %s is not known at render time: %w; record it (%s shows it) and give it with --facts, as in\n%s", method, urlPath, ErrMissing, record, indent(fmt.Sprintf(`apiVersion: oneloop.dev/v1alpha1
kind: ClusterFacts
metadata: {name: facts}
spec:
  apiCalls:
  - urlPath: %q%s
    response: {}
`, urlPath, verb)))
}

// MissingGlobal says how to declare the value of a GlobalContextEntry.
func MissingGlobal(name string) error {
	return fmt.Errorf("the value of GlobalContextEntry %s is not known at render time: %w; give it with --facts, as in\n%s", name, ErrMissing, indent(fmt.Sprintf(`apiVersion: oneloop.dev/v1alpha1
kind: ClusterFacts
metadata: {name: facts}
spec:
  globalContext:
    %s: []
`, name)))
}

// MissingImage says how to declare what a registry tells of an image.
func MissingImage(reference string) error {
	return fmt.Errorf("manifest and configuration of image %s are not known at render time, and a lock holds digests only: %w; "+
		"set images.mode to LockedOrResolve or Resolve, with the registry's host in network.allow, or give them with --facts, as in\n%s", reference, ErrMissing, indent(fmt.Sprintf(`apiVersion: oneloop.dev/v1alpha1
kind: ClusterFacts
metadata: {name: facts}
spec:
  images:
  - image: %s
    manifest: {}
    config: {}
`, reference)))
}

func indent(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n  ")
}
