package main

// A family is a set of policy kinds whose cases all have to pass.
type family struct {
	name     string // of the groups
	title    string // in the matrix
	kinds    string // for the judge
	features func() []feature
}

// families are those that are evaluated.
var families = []family{
	{"clusterpolicy", "ClusterPolicy and Policy", "ClusterPolicy,Policy", features},
	{"mutatingadmissionpolicy", "MutatingAdmissionPolicy", "MutatingAdmissionPolicy,MutatingAdmissionPolicyBinding", admissionFeatures},
	{"mutatingpolicy", "MutatingPolicy", "MutatingPolicy,NamespacedMutatingPolicy", mutatingFeatures},
	{"generatingpolicy", "GeneratingPolicy", "GeneratingPolicy,NamespacedGeneratingPolicy", generatingFeatures},
	{"imagevalidatingpolicy", "ImageValidatingPolicy", "ImageValidatingPolicy,NamespacedImageValidatingPolicy", imageFeatures},
}
