package main

import (
	"regexp"
	"slices"

	"github.com/oneloop-dev/oneloop/pkg/expr/jmespath"
)

// A feature is a part of the language; uses finds it in a line of an outline.
type feature struct {
	area, name string
	uses       *regexp.Regexp
}

// features are the parts of the ClusterPolicy language, in the order in which
// the matrix shows them.
func features() []feature {
	var out []feature
	area := ""
	add := func(name, uses string) { out = append(out, feature{area, name, regexp.MustCompile(uses)}) }

	area = "rules"
	add("`mutate.patchStrategicMerge`", `mutate\.patchStrategicMerge$`)
	add("`mutate.patchesJson6902`", `mutate\.patchesJson6902`)
	add("`mutate.foreach` with a strategic merge", `mutate\.foreach\[\].*\.patchStrategicMerge$`)
	add("`mutate.foreach` with JSON patches", `mutate\.foreach\[\].*\.patchesJson6902`)
	add("`foreach` in `foreach`", `\.foreach\[\]\.foreach`)
	add("`foreach` with `order`", `\.foreach\[\]\.order: `)
	add("`foreach` with preconditions", `\.foreach\[\]\.preconditions`)
	add("`foreach` with context", `\.foreach\[\]\.context`)
	add("`mutate.targets`", `mutate\.targets`)
	add("`mutate.targets` by selector", `mutate\.targets\[\]\.selector`)
	add("`mutate.targets` with preconditions", `mutate\.targets\[\]\.preconditions`)
	add("`mutate.targets` with context", `mutate\.targets\[\]\.context`)
	add("`generate.data`", `generate\.data$`)
	add("`generate.clone`", `generate\.clone$`)
	add("`generate.cloneList`", `generate\.cloneList$`)
	add("`generate.foreach`", `generate\.foreach$`)
	add("`generate.synchronize`", `generate\.synchronize: true`)
	add("`verifyImages`", `\.verifyImages$`)
	add("`verifyImages` without `mutateDigest`", `verifyImages\[\]\.mutateDigest: false`)
	add("`verifyImages` with `skipImageReferences`", `verifyImages\[\]\.skipImageReferences`)
	add("`verifyImages` with attestors", `verifyImages\[\]\.attestors`)
	add("`verifyImages` with `imageRegistryCredentials`", `verifyImages\[\]\.imageRegistryCredentials`)
	add("`applyRules: One`", `spec\.applyRules: One`)
	add("`imageExtractors`", `\.imageExtractors`)

	area = "anchors"
	add("condition `(field)`", `\.\([^)]*\)(:|$|\.|\[)`)
	add("add if absent `+(field)`", `\.\+\(`)
	add("global `<(field)`", `\.<\(`)
	add("existence `^(field)`", `\.\^\(`)
	add("equality `=(field)`", `\.=\(`)
	add("negation `X(field)`", `\.X\(`)
	add("deletion by `null`", `mutate\..*: <nil>$`)

	area = "selection"
	add("`match.any`", `match\.any$`)
	add("`match.all`", `match\.all$`)
	add("`match.resources`", `match\.resources$`)
	add("`exclude`", `\.exclude$`)
	add("wildcards in names", `(match|exclude)\..*\.(names\[\]|name): .*[*?]`)
	add("kinds with group or version", `(match|exclude)\..*\.kinds\[\]: .*/`)
	add("kinds with wildcards", `(match|exclude)\..*\.kinds\[\]: .*\*`)
	add("`selector`", `(match|exclude)\..*\.selector$`)
	add("`namespaceSelector`", `(match|exclude)\..*\.namespaceSelector$`)
	add("`annotations`", `(match|exclude)\..*\.annotations$`)
	add("`operations`", `(match|exclude)\..*\.operations`)
	add("`subjects`, `roles`, `clusterRoles`", `(match|exclude)\..*\.(subjects|roles|clusterRoles)`)
	add("`preconditions`", `rules\[\]\.preconditions`)
	add("`celPreconditions`", `\.celPreconditions`)
	add("`webhookConfiguration.matchConditions`", `\.matchConditions`)
	add("`PolicyException`", `^PolicyException$`)
	add("namespaced `Policy`", `^Policy$`)

	area = "operators"
	for _, operator := range []string{
		"Equals", "NotEquals", "Equal", "NotEqual", "In", "AnyIn", "AllIn", "NotIn", "AnyNotIn", "AllNotIn",
		"GreaterThan", "GreaterThanOrEquals", "LessThan", "LessThanOrEquals",
		"DurationGreaterThan", "DurationGreaterThanOrEquals", "DurationLessThan", "DurationLessThanOrEquals",
	} {
		add("`"+operator+"`", `\.operator: `+operator+`$`)
	}

	area = "autogen"
	add("rules for controllers", `^result of autogen-`)
	add("rules for CronJobs", `^result of autogen-cronjob-`)
	add("`pod-policies.kyverno.io/autogen-controllers`", `pod-policies\.kyverno\.io/autogen-controllers`)

	area = "context"
	add("`variable`", `\.context\[\]\.variable$`)
	add("`configMap`", `\.context\[\]\.configMap$`)
	add("`apiCall` of a path", `\.context\[\]\.apiCall\.urlPath`)
	add("`apiCall` of a service", `\.context\[\]\.apiCall\.service`)
	add("`imageRegistry`", `\.context\[\]\.imageRegistry$`)
	add("`globalReference`", `\.context\[\]\.globalReference$`)

	area = "variables"
	add("`request.object`", `\{\{.*request\.object`)
	add("`request.oldObject`", `\{\{.*request\.oldObject`)
	add("`request.operation`", `\{\{.*request\.operation`)
	add("`request.namespace`", `\{\{.*request\.namespace`)
	add("`request.userInfo`", `\{\{.*request\.userInfo`)
	add("`request.roles`, `request.clusterRoles`", `\{\{.*request\.(roles|clusterRoles)`)
	add("`serviceAccountName`, `serviceAccountNamespace`", `\{\{.*serviceAccountName`)
	add("`element`, `elementIndex`", `\{\{.*element`)
	add("`target`", `\{\{.*target\b`)
	add("`images`", `\{\{.*\bimages\b`)
	add("`@`", `\{\{.*@`)
	add("default by `||`", `\{\{.*\|\|`)
	add("`$(field)`", `\$\([./]`)
	add("escaped", `\\\{\{|\\\$\(`)

	area = "JMESPath functions"
	for _, f := range jmespath.Functions() {
		add("`"+f.Name+"`", `: .*\b`+regexp.QuoteMeta(f.Name)+`\(`)
	}
	return slices.Clip(out)
}
