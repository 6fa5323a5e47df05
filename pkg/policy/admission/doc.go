// Package admission evaluates Kubernetes' MutatingAdmissionPolicy and its bindings.
//
// The kinds are those of group admissionregistration.k8s.io, versions v1, v1beta1
// and v1alpha1, which have the same fields. Results and errors are those of the
// API server of Kubernetes 1.36 for a resource that is created.
//
//	apiVersion: admissionregistration.k8s.io/v1
//	kind: MutatingAdmissionPolicy
//	metadata: {name: sidecar}
//	spec:
//	  matchConstraints:
//	    resourceRules:
//	    - {apiGroups: [apps], apiVersions: [v1], operations: [CREATE], resources: [deployments]}
//	  failurePolicy: Fail
//	  reinvocationPolicy: Never
//	  mutations:
//	  - patchType: ApplyConfiguration
//	    applyConfiguration:
//	      expression: >
//	        Object{spec: Object.spec{template: Object.spec.template{spec: Object.spec.template.spec{
//	          containers: [Object.spec.template.spec.containers{name: "agent", image: "example.com/agent:1"}]}}}}
//	---
//	apiVersion: admissionregistration.k8s.io/v1
//	kind: MutatingAdmissionPolicyBinding
//	metadata: {name: sidecar}
//	spec: {policyName: sidecar}
//
// A policy that no binding names does nothing, as in a cluster, and a notice says
// so. The annotation oneloop.dev/apply-unbound: "true" applies it as a binding
// without restrictions would. ValidatingAdmissionPolicy changes no manifest; a
// notice says that it is not evaluated.
//
// # Order
//
// These policies run before those of all other languages, as in the API server,
// which calls webhooks after them. Among themselves they run in the order in which
// they are given, the bindings of a policy likewise, and the params of a binding by
// name; a cluster promises no order.
//
// All policies are matched before the first runs: an objectSelector does not see
// the label that an earlier policy sets, a match condition does. When all have run
// and one of them has evaluated a mutation, those with reinvocationPolicy: IfNeeded
// run once more, also when nothing changed in between. One that appends to a list
// so appends twice: let it look whether its element is there.
//
// # Matching
//
// resourceRules and excludeResourceRules compare operations, groups, versions,
// plural names (of custom resources those of their CustomResourceDefinition),
// scope and resourceNames. pods/ephemeralcontainers and other subresources are no
// objects of a manifest and match nothing. With matchPolicy: Equivalent, the
// default, a rule for another version matches, too: custom resources without a
// conversion webhook are shown in that version, a HorizontalPodAutoscaler where it
// can be, and all else is an error.
//
// The labels of a namespace come from its Namespace among the manifests or the
// facts. Where they decide and are not known, that is an error.
//
// # Params
//
// The objects that paramRef names or selects are looked up among the manifests and
// the facts, and the policy runs once for each. What is not there counts as missing
// in the cluster: parameterNotFoundAction decides. A paramKind that is not built in
// needs its CustomResourceDefinition, or an object of it.
//
// # Expressions
//
// CEL has the functions, types and limits of the API server: object, oldObject,
// request, namespaceObject, params and variables, each variable evaluated once per
// mutation when it is first used. Expressions are compiled when the policy is read;
// what does not compile, or is no Object or list of JSONPatch, is refused with the
// words of the API server, and so is any field that it refuses.
//
// object is the manifest as it is written, with the structs that the API server
// always has, such as status and the resources of a container, as {}. What it fills
// in by default is not there, so that "no such key" may be an error here and not in
// a cluster.
// Write the field into the manifest, or ask with has() or object.?spec. The
// authorizer is only known in a cluster, and request.userInfo once a requester is
// declared.
//
// # Mutations
//
// An ApplyConfiguration is merged by the schema of the kind, built in or of a
// CustomResourceDefinition: lists with keys element by element, atomic lists, maps
// and structs not at all. A JSONPatch is applied as RFC 6902 says; when a test in
// it fails it changes nothing. Its integers beyond 53 bits become text.
//
// The mutations of a policy run in order, each on the result of the one before.
// One that fails does not keep the others from running. With failurePolicy: Fail
// the request is then denied, here a failed rule; with Ignore what succeeded stays.
//
// # Results
//
//	pass   the policy changed the resource; the message names the binding
//	skip   nothing to change, a match condition is false, no params, or errors that
//	       failurePolicy: Ignore passes over, and a warning tells
//	fail   no params, and parameterNotFoundAction: Deny
//	error  something could not be evaluated; admission would deny the request
//
// The name of a rule is that of its policy.
package admission
