package main

import "regexp"

// mutatingFeatures are the parts of Kyverno's MutatingPolicy.
func mutatingFeatures() []feature {
	var out []feature
	area := ""
	add := func(name, uses string) { out = append(out, feature{area, name, regexp.MustCompile(uses)}) }
	inCEL := func(name, text string) { add(name, `xpression: (?s:.*)`+text) }

	area = "policies"
	add("`ApplyConfiguration`", `mutations\[\]\.patchType: ApplyConfiguration`)
	add("`JSONPatch`", `mutations\[\]\.patchType: JSONPatch`)
	add("`variables`", `spec\.variables$`)
	add("`matchConditions`", `MutatingPolicy\.spec\.matchConditions$`)
	add("`failurePolicy: Ignore`", `spec\.failurePolicy: Ignore`)
	add("`evaluation.useServerSideApply`", `evaluation\.useServerSideApply: true`)
	add("`evaluation.admission`", `evaluation\.admission\.enabled: false`)
	add("`evaluation.mutateExisting`", `evaluation\.mutateExisting\.enabled: true`)
	add("`targetMatchConstraints` by rules", `targetMatchConstraints\.resourceRules$`)
	add("`targetMatchConstraints` by expression", `targetMatchConstraints\.expression`)
	add("`targetMatchConditions`", `spec\.targetMatchConditions$`)
	add("`auditAnnotations`", `spec\.auditAnnotations$`)
	add("`PolicyException`", `^PolicyException$`)
	add("`NamespacedMutatingPolicy`", `^NamespacedMutatingPolicy$`)

	area = "selection"
	add("`resourceRules` with `resourceNames`", `resourceRules\[\]\.resourceNames$`)
	add("wildcards in `resourceRules`", `resourceRules\[\]\.(apiGroups|apiVersions|resources|operations)\[\]: \*`)
	add("`excludeResourceRules`", `\.excludeResourceRules$`)
	add("`objectSelector`", `\.objectSelector$`)
	add("`namespaceSelector`", `\.namespaceSelector$`)
	add("policies for Pods, which autogen copies", `resourceRules\[\]\.resources\[\]: pods$`)
	add("`autogen.podControllers`", `autogen\.podControllers`)

	area = "expressions"
	inCEL("`request`", `\brequest\.`)
	inCEL("`oldObject`", `\boldObject\b`)
	inCEL("`namespaceObject`", `\bnamespaceObject\b`)
	inCEL("`exceptions`", `\bexceptions\.`)
	inCEL("`resource`", `\bresource\.`)
	inCEL("`globalContext`", `\bglobalContext\.`)
	inCEL("`http`", `\bhttp\.`)
	inCEL("`image`", `\bimage\(`)
	inCEL("`image.getMetadata`", `\bimage\.[gG]etMetadata\(`)
	inCEL("`orValue` of what is no optional", `\.orValue\(`)
	inCEL("hashes", `\b(md5|sha1|sha256)\(`)
	inCEL("`json`, `yaml`", `\b(json\.(un)?marshal|yaml\.parse)\(`)
	inCEL("`random`", `\brandom\(`)
	inCEL("`time`", `\btime\.`)
	inCEL("`x509`", `\bx509\.`)
	inCEL("`listObjToMap`", `\blistObjToMap\(`)
	inCEL("`gzip`", `\bgzip\.`)
	inCEL("`parseServiceAccount`", `\bparseServiceAccount\(`)
	inCEL("CEL's own extensions", `\b(cel\.bind|base64\.|math\.|regex\.|sets\.|lists\.)`)
	return out
}
