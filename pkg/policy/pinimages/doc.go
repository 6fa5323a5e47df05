// Package pinimages evaluates PinImages, which needs no Kyverno.
//
// Every image of the kinds it knows gets the digest that its tag points at,
// written behind the reference as it stands: web:1.4 becomes web:1.4@sha256:...
//
//	apiVersion: oneloop.dev/v1alpha1
//	kind: PinImages
//	metadata:
//	  name: pin
//	spec:
//	  images: ["ghcr.io/team/*"]      # which references; default all
//	  skip: ["*:dev"]                 # which are left alone
//	  extractors:                     # fields of other kinds
//	  - apiVersion: tekton.dev/v1
//	    kind: Task
//	    path: /spec/steps/*/image
//
// It knows Pod, PodTemplate, ReplicationController, DaemonSet, Deployment,
// ReplicaSet, StatefulSet, Job, CronJob, Argo's Rollout and Knative's Service,
// Configuration and Revision: containers, initContainers, ephemeralContainers and
// image volumes. Containers in other kinds are named in a warning.
//
// It runs after the mutations of all other policies and before their checks, so
// that what a policy adds is pinned and a rule that demands digests finds them.
package pinimages
