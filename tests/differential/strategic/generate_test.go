package strategic_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// A source makes random values of one type.
type source func(g *generator, patch bool) any

// A generator makes objects and patches that resemble what people write, with
// faults strewn in: nulls, empty values, missing and repeated merge keys,
// values of wrong types, directives at any place.
type generator struct {
	*rand.Rand
	faults   float64
	anything source
}

func (g *generator) chance(p float64) bool { return g.Float64() < p }

func pick[T any](g *generator, from ...T) T { return from[g.IntN(len(from))] }

func words(list ...string) source {
	return func(g *generator, _ bool) any { return pick(g, list...) }
}

func constant(v any) source { return func(*generator, bool) any { return v } }

func integer(g *generator, _ bool) any { return int64(pick(g, 0, 1, 2, 53, 80, 443, 8080)) }

func boolean(g *generator, _ bool) any { return g.chance(0.5) }

// scalar includes texts that a YAML parser might take for something else.
func scalar(g *generator, _ bool) any {
	return pick[any](g, "a", "b", "", "true", "null", "~", "3", "0777", "1e3", "1_000", "0x1f", "yes", "on", "<<", "=",
		"2001-01-01", "a: b", "- a", "#x", "*a", "&a", "!a", "x\ny", " lead", "trail ", "tab\t", "é😀", "'q'", `"q"`, `\`,
		"<b>&</b>", "{a}", "[a]", "%", "@", "`", "-", "?", ".inf", ".nan", "12:30:45", "0b1", "+1", "a\u2028b",
		true, false, int64(0), int64(3), int64(-7), int64(1)<<53, 1.5, 1e21, -0.25, 1e-7)
}

func list(elem source, most int) source {
	return func(g *generator, patch bool) any {
		out := []any{}
		for range g.IntN(most + 1) {
			out = append(out, g.value(elem, patch))
		}
		if patch && g.chance(0.06) {
			d := map[string]any{"$patch": pick[any](g, "delete", "replace", "merge", "merge", "other", nil, int64(1), map[string]any{})}
			if g.chance(0.2) {
				d["name"] = "a"
			}
			i := g.IntN(len(out) + 1)
			out = append(out[:i], append([]any{d}, out[i:]...)...)
		}
		return out
	}
}

// fields makes a map from pairs of a name and a source. A name with "!" is
// nearly always there.
func fields(pairs ...any) source {
	return func(g *generator, patch bool) any {
		out := map[string]any{}
		for i := 0; i < len(pairs); i += 2 {
			name, always := strings.CutSuffix(pairs[i].(string), "!")
			p := 0.25
			if always {
				p = 1 - g.faults
			}
			if g.chance(p) {
				out[name] = g.value(pairs[i+1].(source), patch)
			}
		}
		if g.chance(0.05) {
			out["unknownField"] = g.value(g.anything, patch)
		}
		if patch && g.chance(0.05) {
			out["$patch"] = pick[any](g, "delete", "replace", "merge", "merge", "replace", "nonsense", nil, true)
		}
		return out
	}
}

func free(g *generator, patch bool) any { return g.anything(g, patch) }

func anything(g *generator, patch bool) any {
	switch g.IntN(6) {
	case 0:
		return fields("a", source(free), "b", source(free), "name", source(scalar))(g, patch)
	case 1:
		return list(free, 3)(g, patch)
	case 2:
		return fields("apiVersion!", words("v1", "apps/v1"), "kind!", words("Pod", "Deployment", "Foo"), "spec!", podSpec, "metadata", metadata)(g, patch)
	}
	return scalar(g, patch)
}

// value makes a value, or now and then something else.
func (g *generator) value(s source, patch bool) any {
	if g.chance(g.faults) {
		switch g.IntN(8) {
		case 0, 1, 2:
			return nil
		case 3:
			return map[string]any{}
		case 4:
			return []any{}
		case 5:
			return "odd"
		case 6:
			return int64(9)
		default:
			return map[string]any{"odd": "x"}
		}
	}
	return s(g, patch)
}

var (
	name     = words("a", "b", "c", "d")
	text     = source(scalar)
	number   = source(integer)
	flag     = source(boolean)
	labels   = fields("a", text, "b", text, "app.kubernetes.io/name", text, "3", text, "true", text, "null", text, "<<", text)
	metadata = fields("name!", name, "namespace", name, "labels", labels, "annotations", labels,
		"finalizers", list(words("x", "y", "z", ""), 3),
		"ownerReferences", list(fields("uid!", words("u1", "u2", "u3"), "name", name, "kind", words("ReplicaSet"), "apiVersion", words("apps/v1"), "controller", flag), 3),
		"managedFields", list(fields("manager", name), 2))
	selector  = fields("matchLabels", labels, "matchExpressions", list(fields("key!", name, "operator", words("In"), "values", list(text, 2)), 2))
	quantity  = fields("cpu", text, "memory", text)
	probe     = fields("httpGet", fields("path", text, "port", text, "httpHeaders", list(fields("name!", name, "value", text), 2)), "exec", fields("command", list(text, 2)), "periodSeconds", number)
	env       = list(fields("name!", name, "value", text, "valueFrom", fields("fieldRef", fields("fieldPath", text), "secretKeyRef", fields("name", name, "optional", flag))), 4)
	security  = fields("runAsNonRoot", flag, "runAsUser", number, "capabilities", fields("drop", list(text, 2), "add", list(text, 2)), "seccompProfile", fields("type", text), "appArmorProfile", fields("type", text))
	container = fields("name!", name, "image", text, "args", list(text, 3), "env", env, "envFrom", list(fields("prefix", name), 2),
		"ports", list(fields("containerPort!", number, "protocol", words("TCP", "UDP", ""), "name", name, "hostPort", number), 4),
		"volumeMounts", list(fields("mountPath!", words("/a", "/b", "/c"), "name!", name, "readOnly", flag), 3),
		"volumeDevices", list(fields("devicePath!", words("/a", "/b"), "name", name), 2),
		"resources", fields("limits", quantity, "requests", quantity), "securityContext", security, "livenessProbe", probe,
		"lifecycle", fields("preStop", probe))
	claimSpec = fields("accessModes", list(text, 2), "resources", fields("requests", quantity), "selector", selector, "dataSource", fields("apiVersion!", words("v1", "apps/v1"), "kind!", words("Pod", "Deployment"), "name", name))
	volume    = fields("name!", name, "emptyDir", fields("medium", text), "configMap", fields("name", name, "items", list(fields("key!", name, "path", text), 2)),
		"projected", fields("sources", list(fields("secret", fields("name", name)), 2)), "hostPath", fields("path", text),
		"ephemeral", fields("volumeClaimTemplate", fields("metadata", metadata, "spec", claimSpec)), "csi", fields("driver", text, "volumeAttributes", labels))
	podSpec = fields("containers!", list(container, 4), "initContainers", list(container, 3), "ephemeralContainers", list(container, 2),
		"volumes", list(volume, 4), "imagePullSecrets", list(fields("name!", name), 3), "hostAliases", list(fields("ip!", words("1.1.1.1", "2.2.2.2"), "hostnames", list(text, 2)), 3),
		"tolerations", list(fields("key", name, "operator", text), 2), "nodeSelector", labels, "securityContext", security,
		"topologySpreadConstraints", list(fields("topologyKey!", words("zone", "node"), "whenUnsatisfiable", words("DoNotSchedule", "ScheduleAnyway"), "maxSkew", number, "labelSelector", selector), 3),
		"affinity", fields("nodeAffinity", fields("requiredDuringSchedulingIgnoredDuringExecution", fields("nodeSelectorTerms", list(fields("matchExpressions", list(fields("key", name), 2)), 2))),
			"podAntiAffinity", fields("preferredDuringSchedulingIgnoredDuringExecution", list(fields("weight", number), 2))),
		"automountServiceAccountToken", flag, "terminationGracePeriodSeconds", number, "restartPolicy", text, "dnsConfig", fields("options", list(fields("name!", name, "value", text), 2)),
		"readinessGates", list(fields("conditionType!", name), 2), "os", fields("name", name), "overhead", quantity)
	podTemplate = fields("metadata", metadata, "spec!", podSpec)
	conditions  = list(fields("type!", words("Ready", "Available"), "status", text), 3)
	workload    = fields("replicas", number, "selector", selector, "template!", podTemplate, "strategy", fields("type", text, "rollingUpdate", fields("maxSurge", text)),
		"volumeClaimTemplates", list(fields("metadata!", metadata, "spec", claimSpec), 2))
	jobSpec = fields("template!", podTemplate, "backoffLimit", number)
	webhook = fields("name!", name, "rules", list(fields("operations", list(text, 2)), 2), "namespaceSelector", selector, "clientConfig", fields("service", fields("name", name), "url", text), "matchConditions", list(fields("name!", name), 2))
)

func jsonProps(g *generator, patch bool) any {
	p := source(jsonProps)
	return fields("type", text, "required", list(text, 2), "enum", list(text, 2), "properties", fields("spec", p, "a", p), "items", p, "default", source(free))(g, patch)
}

type kindSource struct {
	apiVersion, kind string
	body             []any
}

var kindSources = []kindSource{
	{"v1", "Pod", []any{"metadata!", metadata, "spec!", podSpec, "status", fields("conditions", conditions, "podIPs", list(fields("ip!", words("1", "2")), 2))}},
	{"v1", "Pod", []any{"metadata!", metadata, "spec!", podSpec}},
	{"apps/v1", "Deployment", []any{"metadata!", metadata, "spec!", workload, "status", fields("conditions", conditions)}},
	{"apps/v1", "Deployment", []any{"metadata!", metadata, "spec!", workload}},
	{"apps/v1", "StatefulSet", []any{"metadata!", metadata, "spec!", workload}},
	{"apps/v1", "DaemonSet", []any{"metadata!", metadata, "spec!", workload}},
	{"apps/v1", "ReplicaSet", []any{"metadata!", metadata, "spec!", workload}},
	{"batch/v1", "Job", []any{"metadata!", metadata, "spec!", jobSpec}},
	{"batch/v1", "CronJob", []any{"metadata!", metadata, "spec!", fields("schedule", text, "jobTemplate!", fields("metadata", metadata, "spec!", jobSpec))}},
	{"batch/v1beta1", "CronJob", []any{"metadata!", metadata, "spec!", fields("schedule", text, "jobTemplate!", fields("metadata", metadata, "spec!", jobSpec))}},
	{"v1", "Service", []any{"metadata!", metadata, "spec!", fields("type", text, "selector", labels, "externalIPs", list(text, 2),
		"ports", list(fields("port!", number, "protocol", words("TCP", "UDP"), "targetPort", text, "name", name), 4))}},
	{"v1", "ServiceAccount", []any{"metadata!", metadata, "secrets", list(fields("name!", name, "namespace", name), 3), "imagePullSecrets", list(fields("name!", name), 3)}},
	{"v1", "ConfigMap", []any{"metadata!", metadata, "data!", labels, "binaryData", labels}},
	{"v1", "Secret", []any{"metadata!", metadata, "data!", labels, "stringData", labels}},
	{"v1", "Namespace", []any{"metadata!", metadata, "spec", fields("finalizers", list(text, 2))}},
	{"v1", "Node", []any{"metadata!", metadata, "spec!", fields("podCIDRs", list(text, 3), "taints", list(fields("key", name), 2)), "status", fields("addresses", list(fields("type!", words("InternalIP", "Hostname"), "address", text), 3), "conditions", conditions)}},
	{"v1", "PersistentVolumeClaim", []any{"metadata!", metadata, "spec!", claimSpec, "status", fields("conditions", conditions)}},
	{"v1", "ReplicationController", []any{"metadata!", metadata, "spec!", fields("selector", labels, "template", podTemplate)}},
	{"v1", "PodTemplate", []any{"metadata!", metadata, "template!", podTemplate}},
	{"v1", "List", []any{"metadata", metadata, "items!", list(fields("apiVersion!", words("v1"), "kind!", words("Pod"), "spec!", podSpec), 2)}},
	{"networking.k8s.io/v1", "Ingress", []any{"metadata!", metadata, "spec!", fields("rules", list(fields("host", text), 2), "tls", list(fields("hosts", list(text, 2)), 2), "defaultBackend", fields("service", fields("name", name, "port", fields("number", number))))}},
	{"networking.k8s.io/v1", "NetworkPolicy", []any{"metadata!", metadata, "spec!", fields("podSelector", selector, "ingress", list(fields("ports", list(fields("port", number), 2)), 2))}},
	{"admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", []any{"metadata!", metadata, "webhooks!", list(webhook, 3)}},
	{"admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", []any{"metadata!", metadata, "webhooks!", list(webhook, 3)}},
	{"rbac.authorization.k8s.io/v1", "ClusterRoleBinding", []any{"metadata!", metadata, "roleRef", fields("name", name), "subjects", list(fields("kind!", words("Group"), "name!", name, "apiGroup", text), 3)}},
	{"rbac.authorization.k8s.io/v1", "ClusterRole", []any{"metadata!", metadata, "rules!", list(fields("verbs", list(text, 2)), 3), "aggregationRule", fields("clusterRoleSelectors", list(selector, 2))}},
	{"policy/v1", "PodDisruptionBudget", []any{"metadata!", metadata, "spec!", fields("selector", selector, "minAvailable", text)}},
	{"autoscaling/v2", "HorizontalPodAutoscaler", []any{"metadata!", metadata, "spec!", fields("metrics", list(fields("type!", name), 2), "scaleTargetRef", fields("apiVersion!", words("apps/v1"), "kind!", words("Deployment"), "name!", name))}},
	{"autoscaling/v1", "HorizontalPodAutoscaler", []any{"metadata!", metadata, "spec!", fields("maxReplicas", number, "scaleTargetRef", fields("apiVersion!", words("apps/v1"), "kind!", words("Deployment"), "name!", name, "spec", workload))}},
	{"storage.k8s.io/v1", "CSINode", []any{"metadata!", metadata, "spec!", fields("drivers", list(fields("name!", name, "nodeID", text, "allocatable", fields("count", number)), 3))}},
	{"apiextensions.k8s.io/v1", "CustomResourceDefinition", []any{"metadata!", metadata, "spec!", fields("group", text, "names", fields("kind", text, "shortNames", list(text, 2)), "versions", list(fields("name!", name, "served", flag), 2)), "status", fields("conditions", conditions)}},
	{"apiextensions.k8s.io/v1beta1", "CustomResourceDefinition", []any{"metadata!", metadata, "spec!", fields("validation!", fields("openAPIV3Schema!", source(jsonProps)))}},
	{"apps/v1", "ControllerRevision", []any{"metadata!", metadata, "data!", source(free), "revision", number}},
	{"argoproj.io/v1alpha1", "Rollout", []any{"metadata!", metadata, "spec!", workload}},
	{"example.com/v1", "Wrapper", []any{"metadata!", metadata, "spec!", source(free), "template!", fields("apiVersion!", words("v1", "apps/v1", "batch/v1"), "kind!", words("Pod", "Deployment", "CronJob"), "metadata", metadata, "spec!", podSpec)}},
	{"kustomize.config.k8s.io/v1beta1", "Kustomization", []any{"metadata", metadata, "configMapGenerator", list(fields("name!", name, "literals", list(text, 2)), 3), "resources", list(text, 2)}},
}

// pair makes an object and a patch for it. The patch mostly has the object's
// apiVersion and kind, or none.
func (g *generator) pair() (k kindSource, object, patch map[string]any) {
	k = kindSources[g.IntN(len(kindSources))]
	object, _ = fields(k.body...)(g, false).(map[string]any)
	object["apiVersion"], object["kind"] = k.apiVersion, k.kind
	patch, _ = fields(k.body...)(g, true).(map[string]any)
	switch g.IntN(10) {
	case 0:
		patch["apiVersion"], patch["kind"] = k.apiVersion, k.kind
	case 1:
		patch["metadata"] = nil
	case 2:
		patch = map[string]any{}
	}
	return k, object, patch
}

func (k kindSource) String() string { return fmt.Sprintf("%s/%s", k.apiVersion, k.kind) }
