package resource

import (
	"maps"
	"strings"
)

// helmAnnotation is what Helm 4 gives all that it hands to a post-renderer.
const helmAnnotation = "postrenderer.helm.sh/postrender-filename"

// runnerAnnotation reports whether an annotation was added by the runner of a
// function or post-renderer for its own use. Policies must not see it: it is
// gone before anything reaches a cluster.
func runnerAnnotation(key string) bool {
	switch key {
	case helmAnnotation,
		"config.kubernetes.io/index", "config.kubernetes.io/path", "config.kubernetes.io/origin",
		"config.k8s.io/id", "alpha.config.kubernetes.io/transformations":
		return true
	}
	return strings.HasPrefix(key, "internal.config.kubernetes.io/") ||
		strings.HasPrefix(key, "kustomize.config.k8s.io/")
}

// hideRunnerAnnotations removes the runner annotations of an object, and the
// maps that they leave empty.
func hideRunnerAnnotations(o Object) {
	meta, ok := o["metadata"].(map[string]any)
	if !ok {
		return
	}
	all, ok := meta["annotations"].(map[string]any)
	if !ok || len(all) == 0 {
		return
	}
	maps.DeleteFunc(all, func(k string, _ any) bool { return runnerAnnotation(k) })
	if len(all) == 0 {
		delete(meta, "annotations")
	}
}

// keepRunnerAnnotations returns after with the runner annotations of before.
// Others of the kind may be added, such as kustomize.config.k8s.io/needs-hash.
func keepRunnerAnnotations(before, after Object) Object {
	meta, _ := before["metadata"].(map[string]any)
	all, _ := meta["annotations"].(map[string]any)
	kept := map[string]any{}
	for k, v := range all {
		if runnerAnnotation(k) {
			kept[k] = v
		}
	}
	if moved(before, after) {
		for _, key := range pairing {
			delete(kept, key)
		}
	}
	afterMeta, ok := after["metadata"].(map[string]any)
	if !ok && after["metadata"] != nil {
		return after
	}
	afterAll, ok := afterMeta["annotations"].(map[string]any)
	if !ok && afterMeta["annotations"] != nil {
		return after
	}
	out := maps.Clone(after)
	outMeta := maps.Clone(afterMeta)
	outAll := maps.Clone(afterAll)
	// Functions must not set these.
	maps.DeleteFunc(outAll, func(k string, _ any) bool { return strings.HasPrefix(k, "internal.config.kubernetes.io/") })
	if len(kept) > 0 {
		if outMeta == nil {
			outMeta = map[string]any{}
		}
		if outAll == nil {
			outAll = map[string]any{}
		}
		maps.Copy(outAll, kept)
	}
	if outAll != nil {
		outMeta["annotations"] = outAll
	}
	if outMeta != nil {
		out["metadata"] = outMeta
	}
	return out
}

// pairing are the annotations by which the runners built on kyaml, such as kpt,
// find the input of an item, to copy its comments and the order of its fields:
// from each list element to the one that has its place now.
var pairing = []string{"internal.config.kubernetes.io/id", "config.k8s.io/id"}

// moved reports whether some list element has another place than before, so
// that what is copied by place would end up with a wrong element. The text has
// all comments where they belong.
func moved(before, after any) bool {
	if Equal(before, after) {
		return false
	}
	switch b := before.(type) {
	case map[string]any:
		a, _ := after.(map[string]any)
		for k, v := range a {
			if moved(b[k], v) {
				return true
			}
		}
	case []any:
		a, _ := after.([]any)
		for j, i := range align(b, a) {
			if i != j && (i >= 0 || j < len(b)) || i >= 0 && moved(b[i], a[j]) {
				return true
			}
		}
	}
	return false
}
