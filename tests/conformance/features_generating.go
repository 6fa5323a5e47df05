package main

import "regexp"

// generatingFeatures are the parts of Kyverno's GeneratingPolicy.
func generatingFeatures() []feature {
	var out []feature
	area := ""
	add := func(name, uses string) { out = append(out, feature{area, name, regexp.MustCompile(uses)}) }
	inCEL := func(name, text string) { add(name, `xpression: (?s:.*)`+text) }

	area = "policies"
	add("`generate` by expressions", `generate\[\]\.expression`)
	add("`generate` by templates", `generate\[\]\.template\.value`)
	add("templates with placeholders", `template\.interpolate: cel`)
	add("`variables`", `spec\.variables$`)
	add("`matchConditions`", `GeneratingPolicy\.spec\.matchConditions$`)
	add("`evaluation.synchronize`", `evaluation\.synchronize\.enabled: true`)
	add("`evaluation.generateExisting`", `evaluation\.generateExisting\.enabled: true`)
	add("`evaluation.admission`", `evaluation\.admission\.enabled: false`)
	add("`useServerSideApply`", `spec\.useServerSideApply: true`)
	add("`auditAnnotations`", `spec\.auditAnnotations$`)
	add("`PolicyException`", `^PolicyException$`)
	add("`NamespacedGeneratingPolicy`", `^NamespacedGeneratingPolicy$`)

	area = "selection"
	add("`resourceRules` with `resourceNames`", `resourceRules\[\]\.resourceNames$`)
	add("`excludeResourceRules`", `\.excludeResourceRules$`)
	add("`objectSelector`", `\.objectSelector$`)
	add("`namespaceSelector`", `\.namespaceSelector$`)

	area = "expressions"
	inCEL("`generator.apply`", `\bgenerator\.[aA]pply\(`)
	inCEL("`resource.get` as source", `\bresource\.[gG]et\(`)
	inCEL("`resource.list` as source", `\bresource\.[lL]ist\(`)
	inCEL("one for each element", `\.all\(`)
	inCEL("`request`", `\brequest\.`)
	inCEL("`oldObject`", `\boldObject\b`)
	inCEL("`namespaceObject`", `\bnamespaceObject\b`)
	inCEL("`exceptions`", `\bexceptions\.`)
	inCEL("`globalContext`", `\bglobalContext\.`)
	inCEL("`http`", `\bhttp\.`)
	inCEL("optional fields", `\[\?|\.\?`)
	return out
}

// imageFeatures are the parts of Kyverno's ImageValidatingPolicy, but for what is
// refused: Notary, keyless signatures and attestations. No case here depends on
// who signed.
func imageFeatures() []feature {
	var out []feature
	area := ""
	add := func(name, uses string) { out = append(out, feature{area, name, regexp.MustCompile(uses)}) }
	inCEL := func(name, text string) { add(name, `xpression: (?s:.*)`+text) }

	area = "policies"
	add("`mutateDigest` switched off", `validationConfigurations\.mutateDigest: false`)
	add("`verifyDigest` switched off", `validationConfigurations\.verifyDigest: false`)
	add("`required` switched off", `validationConfigurations\.required: false`)
	add("`matchImageReferences` by glob", `matchImageReferences\[\]\.glob`)
	add("`matchImageReferences` by expression", `matchImageReferences\[\]\.expression`)
	add("`images`", `ImageValidatingPolicy\.spec\.images$`)
	add("`variables`", `spec\.variables$`)
	add("`matchConditions`", `ImageValidatingPolicy\.spec\.matchConditions$`)
	add("policies for Pods, which autogen copies", `resourceRules\[\]\.resources\[\]: pods$`)
	add("`PolicyException`", `^PolicyException$`)
	add("`NamespacedImageValidatingPolicy`", `^NamespacedImageValidatingPolicy$`)

	area = "attestors"
	add("cosign keys", `attestors\[\]\.cosign\.key$`)
	add("cosign certificates", `attestors\[\]\.cosign\.certificate$`)

	area = "expressions"
	inCEL("`resource`", `\bresource\.`)
	inCEL("`image`", `\bimage\(`)
	inCEL("`image.getMetadata`", `\bimage\.[gG]etMetadata\(`)
	return out
}
