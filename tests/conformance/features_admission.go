package main

import "regexp"

// admissionFeatures are the parts of Kubernetes' MutatingAdmissionPolicy.
func admissionFeatures() []feature {
	var out []feature
	area := ""
	add := func(name, uses string) { out = append(out, feature{area, name, regexp.MustCompile(uses)}) }
	inCEL := func(name, text string) { add(name, `xpression: (?s:.*)`+text) }

	area = "policies"
	for _, version := range []string{"v1", "v1beta1", "v1alpha1"} {
		add("version `"+version+"`", `^MutatingAdmissionPolicy\.apiVersion: admissionregistration\.k8s\.io/`+version+`$`)
	}
	add("`ApplyConfiguration`", `mutations\[\]\.patchType: ApplyConfiguration`)
	add("`JSONPatch`", `mutations\[\]\.patchType: JSONPatch`)
	add("`variables`", `^MutatingAdmissionPolicy\.spec\.variables$`)
	add("`matchConditions`", `^MutatingAdmissionPolicy\.spec\.matchConditions$`)
	add("`failurePolicy: Ignore`", `spec\.failurePolicy: Ignore`)
	add("`reinvocationPolicy: IfNeeded`", `spec\.reinvocationPolicy: IfNeeded`)
	add("`paramKind`", `spec\.paramKind$`)

	area = "bindings"
	add("`MutatingAdmissionPolicyBinding`", `^MutatingAdmissionPolicyBinding$`)
	add("`matchResources`", `^MutatingAdmissionPolicyBinding\.spec\.matchResources$`)
	add("`paramRef.name`", `paramRef\.name: `)
	add("`paramRef.selector`", `paramRef\.selector$`)
	add("`paramRef.namespace`", `paramRef\.namespace: `)
	add("`parameterNotFoundAction: Allow`", `parameterNotFoundAction: Allow`)
	add("`parameterNotFoundAction: Deny`", `parameterNotFoundAction: Deny`)

	area = "selection"
	add("`resourceRules` with `resourceNames`", `resourceRules\[\]\.resourceNames$`)
	add("wildcards in `resourceRules`", `resourceRules\[\]\.(apiGroups|apiVersions|resources|operations)\[\]: \*`)
	add("subresources in `resourceRules`", `resourceRules\[\]\.resources\[\]: .*/`)
	add("`excludeResourceRules`", `\.excludeResourceRules$`)
	add("`scope`", `resourceRules\[\]\.scope`)
	add("`objectSelector`", `\.objectSelector$`)
	add("`namespaceSelector`", `\.namespaceSelector$`)
	add("`matchPolicy: Exact`", `\.matchPolicy: Exact`)
	add("`matchPolicy: Equivalent`", `\.matchPolicy: Equivalent`)

	area = "expressions"
	inCEL("`request`", `\brequest\.`)
	inCEL("`oldObject`", `\boldObject\b`)
	inCEL("`namespaceObject`", `\bnamespaceObject\b`)
	inCEL("`params`", `\bparams\.`)
	inCEL("`variables`", `\bvariables\.`)
	inCEL("`authorizer`", `\bauthorizer\b`)
	inCEL("`jsonpatch.escapeKey`", `\bjsonpatch\.escapeKey\(`)
	inCEL("optional fields `?field: `", `\?\w+:`)
	inCEL("optional values `.?field`, `[?key]`", `(\.\?|\[\?)`)
	inCEL("macros of two variables", `\b(transformMap|transformList|existsOne)\(`)
	inCEL("quantities", `\bquantity\(`)
	return out
}
