// Package kyverno evaluates Kyverno's ClusterPolicy and Policy.
//
// The language is that of Kyverno 1.19, versions v1 and v2beta1 of group
// kyverno.io, which is frozen. PolicyException (v2, v2beta1) belongs to it.
// Results are those of Kyverno's admission controller for a resource that is
// created; what a cluster would have known has to be declared as a fact.
//
// # Rules
//
//	mutate        patchStrategicMerge, patchesJson6902 and foreach are evaluated
//	verifyImages  tags are pinned (mutateDigest) and digests demanded
//	              (verifyDigest, required); attestors are verified when they
//	              are keys or certificates, and an error when they are not, as
//	              are attestations
//	validate      changes no manifest: a notice says that it is not evaluated
//	generate      data, clone, cloneList and foreach
//	mutate with targets
//	              over the resources of the run
//
// Rules run in the order of the documents and of the rules in them: first
// mutate of all policies, then verifyImages of all. Each rule sees the resource
// as the ones before left it, also when it is matched. With applyRules: One a
// policy stops after its first rule that did something. A rule whose patch
// fails ends its policy for that resource.
//
// # Rules that act on other resources
//
// When all resources are admitted, generate rules and then mutate rules with
// targets run, each for one trigger after another. Every resource is a trigger.
// What such a rule generates or changes is admitted in turn, as CREATE or as
// UPDATE with its old object, and triggers only rules that set
// skipBackgroundRequests: false.
//
// A generated resource that is there already stays, or is replaced when the
// rule synchronizes; with useServerSideApply of the policy it is merged. Data
// without metadata.labels that are all text loses its labels, as in Kyverno. A
// copy loses uid, resourceVersion, creationTimestamp, managedFields and
// selfLink, in another namespace ownerReferences, and the labels of Kyverno's
// controller; a resource is not copied onto itself.
//
// A target is seen as target, the trigger as request.object; {{ @ }} leads into
// the target. Labels are not asked of a target that is named with its
// namespace. One that only the facts have is a warning, since it can't be
// changed here; one that is named and unknown is an error.
//
// Rules for Pods are copied for the kinds of pod controllers (autogen), unless
// the annotation pod-policies.kyverno.io/autogen-controllers says otherwise;
// the copies are named autogen-RULE and autogen-cronjob-RULE.
//
// The match conditions of webhookConfiguration decide about the policy as a
// whole, once a rule of it matches. They are CEL, evaluated as by the API server
// before it calls the webhook; with failurePolicy: Ignore an error in them lets
// the resource pass.
//
// # Results
//
//	pass   the rule changed the resource, or images are as demanded
//	skip   nothing to change, preconditions not met, a foreach without
//	       elements, a PolicyException
//	fail   an image lacks what verifyImages demands
//	error  something could not be evaluated, such as a variable without value,
//	       also in preconditions; admission would refuse the resource
//
// # What rules see
//
// request.object is the resource, request.operation CREATE unless the facts
// declare another, request.namespace its namespace. A resource without a
// namespace, of a kind that has one, is seen in the default namespace (also in
// request.object.metadata.namespace), which is not written into it.
// request.oldObject is null; for UPDATE it equals the object. A mutate rule
// skips an object that is being deleted. request.userInfo, request.roles,
// request.clusterRoles, serviceAccountName and serviceAccountNamespace exist
// once a requester is declared.
//
// images is read from the resource as it was before all policies. In a
// foreach, element and elementIndex belong to the innermost loop, element0,
// element1 and so on to the loops from the outermost one. A loop changes the
// resource in each round, but request.object is what it was before the loop.
// The elements of a patchStrategicMerge are taken from the last to the first,
// unless order says otherwise.
//
// # Context entries
//
// An entry is loaded when a variable first needs it; an entry may use those
// above it, and an earlier one of its own name.
//
//	variable         value, jmesPath and default
//	configMap        a ConfigMap of the manifests or of the facts
//	apiCall          a recorded answer of the facts (apiCalls). A GET of one
//	                 object is also answered from the manifests and facts; so is
//	                 a list, once they hold an object of that kind: it then has
//	                 the objects that they hold, and no others
//	globalReference  a value of the facts (globalContext)
//	imageRegistry    the digest comes from the lock or from the registry; the
//	                 manifest and configuration only from the registry
//
// What is not known is an error that says how to declare it, and no default
// hides it. Values files of Kyverno's command line may stand for all entries
// but variables.
//
// # Variables
//
// {{ expression }} is JMESPath with Kyverno's functions. A text that is one
// variable takes over its type. Variables may be nested; \{{ is a literal {{.
// {{- expression }} brings in a text in which variables are left alone. {{ @ }}
// is the value of the resource at the place of the patch, $(./../key) a value
// of the rule itself, and \$( a literal $(. Functions that read the clock need
// a declared time, and random is refused: the output would differ from run to
// run.
package kyverno
