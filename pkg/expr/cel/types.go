package cel

import (
	apiservercel "k8s.io/apiserver/pkg/cel"
)

// requestType is the type of request: an AdmissionRequest without uid, object and
// oldObject, as in the API server.
func requestType() *apiservercel.DeclType {
	str, list := apiservercel.StringType, apiservercel.NewListType(apiservercel.StringType, -1)
	kind := object("kubernetes.GroupVersionKind", required("group", str), required("version", str), required("kind", str))
	resource := object("kubernetes.GroupVersionResource", required("group", str), required("version", str), required("resource", str))
	user := object("kubernetes.UserInfo", optional("username", str), optional("uid", str), optional("groups", list),
		optional("extra", apiservercel.NewMapType(str, list, -1)))
	return object("kubernetes.AdmissionRequest",
		required("kind", kind), required("resource", resource), optional("subResource", str),
		required("requestKind", kind), required("requestResource", resource), optional("requestSubResource", str),
		required("name", str), optional("namespace", str), required("operation", str), required("userInfo", user),
		optional("dryRun", apiservercel.BoolType), optional("options", apiservercel.DynType))
}

// namespaceType is the type of namespaceObject, which has fewer fields than a
// Namespace.
func namespaceType() *apiservercel.DeclType {
	str, time, list := apiservercel.StringType, apiservercel.TimestampType, apiservercel.NewListType(apiservercel.StringType, -1)
	texts := apiservercel.NewMapType(str, str, -1)
	condition := object("kubernetes.NamespaceCondition", required("status", str), required("type", str),
		required("lastTransitionTime", time), required("message", str), required("reason", str))
	return object("kubernetes.Namespace",
		required("metadata", object("kubernetes.NamespaceMetadata",
			required("name", str), required("generateName", str), required("namespace", str),
			required("labels", texts), required("annotations", texts), required("UID", str),
			required("creationTimestamp", time), required("deletionGracePeriodSeconds", apiservercel.IntType),
			required("deletionTimestamp", time), required("generation", apiservercel.IntType),
			required("resourceVersion", str), required("finalizers", list))),
		required("spec", object("kubernetes.NamespaceSpec", required("finalizers", list))),
		required("status", object("kubernetes.NamespaceStatus",
			required("conditions", apiservercel.NewListType(condition, -1)), required("phase", str))))
}

func object(name string, fields ...*apiservercel.DeclField) *apiservercel.DeclType {
	byName := make(map[string]*apiservercel.DeclField, len(fields))
	for _, f := range fields {
		byName[f.Name] = f
	}
	return apiservercel.NewObjectType(name, byName)
}

func required(name string, t *apiservercel.DeclType) *apiservercel.DeclField {
	return apiservercel.NewDeclField(name, t, true, nil, nil)
}

func optional(name string, t *apiservercel.DeclType) *apiservercel.DeclField {
	return apiservercel.NewDeclField(name, t, false, nil, nil)
}
