// Package gatekeeper evaluates Gatekeeper's mutators.
//
// The kinds are Assign, AssignMetadata and ModifySet of mutations.gatekeeper.sh,
// versions v1, v1beta1 and v1alpha1, which have the same fields, and AssignImage of
// v1alpha1. Results are those of the webhook of Gatekeeper 3.23 for a resource that
// is created; what a cluster would have known has to be declared as a fact.
//
//	apiVersion: mutations.gatekeeper.sh/v1
//	kind: Assign
//	metadata: {name: no-escalation}
//	spec:
//	  applyTo:
//	  - {groups: [""], versions: [v1], kinds: [Pod]}
//	  match:
//	    namespaces: [shop, "shop-*"]
//	  location: "spec.containers[name: *].securityContext.allowPrivilegeEscalation"
//	  parameters:
//	    pathTests:
//	    - subPath: "spec.containers[name: *].securityContext.allowPrivilegeEscalation"
//	      condition: MustNotExist
//	    assign: {value: false}
//
// A mutator is about the kinds that it names and no others: one for Pods leaves the
// templates of Deployments alone, as in a cluster, where it changes the Pods when
// they are made. To see its effect in a manifest, write one for the Deployment, too.
//
// # Locations
//
// A location is fields with dots between them. A list is followed by the key field
// of its elements and its value: ports[containerPort: 8080], containers[name: *].
// An integer is only equal to an integer, a word only to a string. Names are letters,
// digits, - and _; others, and those that begin with a digit, stand in single or
// double quotes, in which \ takes the next character as it is.
//
// What is missing on the way is added: maps, lists, and elements with their key,
// but none for *. Something else than a map or a list in the way is an error.
// Each of pathTests names a beginning of the location that must or must not be
// there; where it does not hold, the mutator leaves the field alone.
//
// A mutator sees the manifest as it is written, with the structs that the API server
// always sends to a webhook, such as status and the resources of a container, as {}:
// a test that wants these missing never holds. What the API server fills in by default
// is not there, so that a test that wants imagePullPolicy missing, which never holds in
// a cluster, does here.
//
// What a mutator adds and the kind does not have is dropped with a warning, as by the
// API server: so a location for Pods in a mutator for Deployments shows. The schemas
// are those of Kubernetes 1.36 and of the CustomResourceDefinitions among manifests
// and facts.
//
// # Mutators
//
//	Assign          sets a field, or a whole element of a list, outside of metadata
//	AssignMetadata  adds a label or an annotation and never overwrites one
//	ModifySet       adds values that a list lacks (operation: merge), or removes
//	                them (prune)
//	AssignImage     sets domain, path or tag of an image, each by itself; a tag
//	                begins with : or is @ and a digest
//
// assign is a value, the name or namespace of the resource (fromMetadata), or the
// answer of a provider (externalData).
//
// # Order
//
// All mutators together are one system. They run by kind (Assign, AssignImage,
// AssignMetadata, ModifySet) and then by name, wherever they stand in the files, and
// all over again until a round changes nothing: a label that one adds may make
// another match. Where that has no end, or one of them fails, it is an error, and
// none has changed anything. A webhook that fails lets the resource pass as it was
// with failurePolicy: Ignore, which Gatekeeper's chart sets; rendering fails.
//
// Mutators that do not agree about what a field is are an error that names them: one
// takes it for a map, another for a list; two find the elements of a list by other
// keys; or one goes below a field that an AssignImage or externalData sets. In a
// cluster Gatekeeper applies none of them and says so in their status.
//
// Webhooks run after Kubernetes' own policies. Among themselves the API server calls
// them by the names of their MutatingWebhookConfigurations, which are up to the
// cluster. With the names of both projects' charts gatekeeper-... comes before
// kyverno-..., and so it is here. Where a cluster has others and both change one field,
// render with Kyverno's policies first and give the result to a second run with the
// mutators.
//
// # Matching
//
// applyTo compares group, version and kind as they are written, without wildcards,
// and operations. match narrows it down: kinds, scope, namespaces,
// excludedNamespaces, name (each with a * at the beginning or the end), labelSelector,
// namespaceSelector. It looks at the resource as the mutators before have left it. The
// labels of a namespace come from its Namespace among the manifests or the facts;
// where they decide and are not known, that is an error. source: Generated is about
// what ExpansionTemplates make up, which is never stored: a notice.
//
// Gatekeeper leaves alone its own kinds, those of webhooks and admission policies, the
// namespace gatekeeper-system, namespaces whose Namespace has the label
// admission.gatekeeper.sh/ignore, and those that a Config among the policies or the
// facts excludes from the process mutation-webhook or *. A namespace nobody described
// is taken to have no such label.
//
// # External data
//
// The Provider is given among the policies or the facts, and what it answers as an
// apiCall of the facts with its URL: all keys in one answer, or several answers, each
// with the request as data.
//
//	apiVersion: oneloop.dev/v1alpha1
//	kind: ClusterFacts
//	metadata: {name: facts}
//	spec:
//	  apiCalls:
//	  - urlPath: https://images.example.com/resolve
//	    method: POST
//	    response:
//	      response:
//	        idempotent: true
//	        items:
//	        - {key: "web:1", value: "web:1@sha256:..."}
//	        - {key: "db:1", error: "unknown"}
//
// failurePolicy counts for what is recorded as an error: of an item, as error of the
// apiCall in place of a response, or as systemError. What is not recorded is an error
// that says what to record.
//
// # Other kinds
//
// Constraints, their templates, ExpansionTemplates and all else of Gatekeeper change
// no manifest; a notice says so.
//
// # Results
//
//	pass   the mutator changed the resource
//	warn   what it adds is dropped
//	skip   it matched and there was nothing to change, or Gatekeeper does not see
//	       the namespace
//	error  it could not be applied
//
// The name of a rule is that of its mutator.
package gatekeeper
