// Package kyvernocel evaluates Kyverno's policies in CEL, group policies.kyverno.io.
//
// The language is that of Kyverno 1.19, versions v1alpha1, v1beta1 and v1, which
// have the same fields. Results are those of Kyverno's admission controller for a
// resource that is created; what a cluster would have known has to be declared as
// a fact.
package kyvernocel
