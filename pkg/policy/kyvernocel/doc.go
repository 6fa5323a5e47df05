// Package kyvernocel evaluates Kyverno's policies in CEL, group policies.kyverno.io.
//
// The language is that of Kyverno 1.19, versions v1alpha1, v1beta1 and v1, which
// have the same fields. Results are those of Kyverno's admission controller for a
// resource that is created; what a cluster would have known has to be declared as
// a fact.
//
// # MutatingPolicy
//
// Policies run in the order of the documents, each on what the ones before have
// made. In each, in this order:
//
//	matchConstraints  versions as they are written, whatever matchPolicy says; a
//	                  name may be the beginning of generateName; selectors of
//	                  namespaces ask for the labels of Namespaces that are known
//	exceptions        of PolicyException, before there are variables
//	matchConditions   one that is false leaves the resource alone, whatever errors
//	                  the others have; they may use variables
//	mutations         each on what the one before has made
//	auditAnnotations  nothing is kept of them, but an error counts
//
// object is the manifest as it is written, with the structs that the API server
// always sends to a webhook, such as status and the resources of a container, as {}.
// What it fills in by default is not there.
//
// A variable gets its value when it is first used, and keeps it for the whole
// policy; object advances from mutation to mutation, request.object does not. An
// error of any part discards all that the policy did. Then the resource is refused,
// or, with failurePolicy: Ignore, passes as it was with a warning; but what only a
// cluster knows is an error all the same.
//
// ApplyConfiguration is a structured merge by the schema of Kubernetes 1.36, or of
// the CustomResourceDefinitions among manifests and facts; atomic lists and maps
// need evaluation.useServerSideApply. JSONPatch is strict: a parent has to be there,
// and a test that does not hold leaves out its mutation. What a JSON patch adds and
// the kind does not have is dropped with a warning, as by the API server; Kyverno's
// command line keeps it.
//
// A NamespacedMutatingPolicy is about its namespace. Its resource functions take no
// namespace, and it has neither globalContext nor http.
//
// A policy for Pods, with one rule and without names, exclusions and objectSelector,
// is copied to daemonsets, deployments, replicasets, statefulsets, jobs and cronjobs,
// or to those of autogen.podControllers.controllers. As in Kyverno, object.spec and
// the labels and annotations of object and Object are rewritten as text in conditions
// and apply configurations, and an Object{ at the beginning is wrapped. Variables,
// JSON patches, optional fields and Object.metadata{ are not: vet warns of them.
//
// With evaluation.mutateExisting and targetMatchConstraints a policy leaves its
// trigger alone and changes other resources of the run, chosen by rules, whatever
// their operations, or by an expression. They are object, the trigger is
// request.object, and targetMatchConditions are asked. Without targets, what exists
// is what is rendered: the policy runs on each resource as at admission, also when
// evaluation.admission is disabled. evaluation.mode: JSON is about other payloads and
// a notice; reinvocationPolicy means nothing to Kyverno's engine.
//
// # PolicyException
//
// One without images and allowedValues exempts from the policies that it names;
// others show as exceptions.allowedImages and exceptions.allowedValues. With
// expiresAt it needs a declared time.
//
// # Functions
//
// Those of the API server, CEL's own extensions bindings, encoders, math, protos and
// regex, and Kyverno's, with and without their prefixes; x.orValue(y) is x where x is
// no optional. Maps are walked through in the order of their keys.
//
//	resource.Get, List     from the manifests and facts, or a recorded answer
//	                       (apiCalls) with the path of the API server; a list holds
//	                       what is known of a kind; an error "not found" is null
//	resource.Post          a recorded answer with the same data
//	globalContext.Get      globalContext of the facts; a projection is a field
//	http.Get, Post         a recorded answer with the URL
//	image.getMetadata      images of the facts, or the registry
//	time.now               the declared time
//	random                 an error: the output would differ from run to run
//
// # GeneratingPolicy
//
// A resource that a GeneratingPolicy matches, and whose conditions hold, is a
// trigger. Conditions come before the variables and don't know them. The entries
// of generate run in order, each an expression or a template.
//
//	generate:
//	- expression: generator.apply(object.metadata.name, [variables.quota])
//	- template:
//	    interpolate: cel
//	    value: |
//	      apiVersion: v1
//	      kind: ConfigMap
//	      metadata:
//	        name: (( object.metadata.name ))-config
//	        namespace: (( object.metadata.name ))
//	        labels: (( variables.labels ))
//	      data: {note: \(( no placeholder ))}
//
// generator.apply takes a namespace and a list of objects; those of a List count
// one by one, and a cluster-scoped object has no namespace. In lists and maps of
// these expressions values of different types may stand side by side. A template
// is YAML 1.2: yes is a string. A placeholder that is the whole value may be
// anything, one in a text is a scalar, and a key is no place for one. Each object
// of a template goes to the namespace that it names.
//
// What is generated follows its trigger in the output, is admitted as any other
// resource, and triggers only policies with skipBackgroundRequests: false. One that
// is there already stays, or is replaced when evaluation.synchronize is enabled;
// with useServerSideApply it is merged. Sources of copies are looked up with
// resource.get and resource.list among the manifests and the facts. A copy loses
// uid, resourceVersion, creationTimestamp, managedFields and selfLink, in another
// namespace ownerReferences, and the labels of Kyverno's controller. Every resource
// of the run is a trigger, so that generateExisting makes no difference;
// orphanDownstreamOnPolicyDelete neither.
//
// A NamespacedGeneratingPolicy has triggers in its namespace only and generates
// there; its generator.apply takes no namespace. Elsewhere, or for a cluster-scoped
// kind, it is an error. So is an object of a namespaced kind without a namespace.
//
// # ImageValidatingPolicy
//
// As in Kyverno such a policy runs twice. When all policies that change resources
// have run, it writes digests (mutateDigest): for the images of containers,
// initContainers and ephemeralContainers of Pods and what makes Pods, if
// matchImageReferences choose them and they have none, as registry/path:tag@digest.
// Nothing is verified then. The digests come from the lock or from the registry.
// Autogen copies a policy for Pods; all its texts are rewritten. The Pods in custom
// workloads that it names are not pinned, as in Kyverno, and to check them is an
// error.
//
// When that is done, images are checked: that they have digests (verifyDigest),
// that the validations hold, and that some policy has verified a signature of each
// image (required). In validations, images.containers and the like are references
// as they are written, and matchImageReferences compares them as such: nginx is not
// docker.io/nginx:latest there. A resource that fails is refused, unless
// validationActions has no Deny; then it is only reported.
//
// verifyImageSignatures really verifies, and oneloop lock records it: attestors
// with a public key or a certificate of cosign, with the transparency log or
// without. Signatures are those in their usual place, not in bundles. Keyless
// attestors, those of Notary, keys in a key management system, signed timestamps
// and attestations can't be verified at render time; what asks for them is an
// error, never a pass. With onUnsupported: Warn such a check is left out with a
// warning, and the digests are written all the same. With images.mode: Off tags
// stay as they are, and that is not held against them.
package kyvernocel
