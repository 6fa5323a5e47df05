package autogen

import "strings"

// qualified maps the kinds of controllers to the form that derived rules match.
func qualified(kind string) string {
	switch kind {
	case "DaemonSet", "Deployment", "StatefulSet", "ReplicaSet":
		return "apps/v1/" + kind
	case "Job", "CronJob":
		return "batch/v1/" + kind
	case "ReplicationController", "Pod":
		return "v1/" + kind
	}
	return kind
}

// kept lists the fields of a rule that derived rules have as they are.
var kept = []string{"context", "preconditions", "celPreconditions", "skipBackgroundRequests", "reportProperties"}

// move copies a rule, with its kinds replaced and its patch or pattern put
// under spec.<template>. It reports false for rules that have nothing to move.
// With every set, the kinds of all filters are replaced, not only of those
// that name Pod.
func move(raw map[string]any, name, template string, kinds []string, every bool) (map[string]any, bool) {
	list := make([]any, len(kinds))
	for i, k := range kinds {
		list[i] = qualified(k)
	}
	out := map[string]any{"name": name}
	for _, field := range kept {
		if v, ok := raw[field]; ok {
			out[field] = v
		}
	}
	match, _ := raw["match"].(map[string]any)
	out["match"] = replaceKinds(match, list, every, true)
	if exclude, ok := raw["exclude"].(map[string]any); ok {
		out["exclude"] = replaceKinds(exclude, list, every, false)
	}
	wrap := func(v any) any {
		return map[string]any{"spec": map[string]any{template: v}}
	}

	if mutate, _ := raw["mutate"].(map[string]any); mutate != nil {
		if patch := mutate["patchStrategicMerge"]; patch != nil {
			out["mutate"] = map[string]any{"patchStrategicMerge": wrap(patch)}
			return out, true
		}
		if loops, _ := mutate["foreach"].([]any); len(loops) > 0 {
			moved := make([]any, len(loops))
			for i, l := range loops {
				loop, _ := l.(map[string]any)
				m := map[string]any{"patchStrategicMerge": wrap(loop["patchStrategicMerge"])}
				copyFields(m, loop, "list", "context", "preconditions")
				moved[i] = m
			}
			out["mutate"] = map[string]any{"foreach": moved}
			return out, true
		}
	}
	if validate, _ := raw["validate"].(map[string]any); validate != nil {
		if moved, ok := moveValidation(validate, wrap); ok {
			out["validate"] = moved
			return out, true
		}
	}
	if images, ok := raw["verifyImages"]; ok && images != nil {
		out["verifyImages"] = images
		return out, true
	}
	return nil, false
}

// moveValidation keeps the first thing that a validate rule checks with.
func moveValidation(validate map[string]any, wrap func(any) any) (map[string]any, bool) {
	out := map[string]any{}
	copyFields(out, validate, "message", "failureAction", "failureActionOverrides", "allowExistingViolations")
	if v := validate["pattern"]; v != nil {
		out["pattern"] = wrap(v)
		return out, true
	}
	for _, field := range []string{"deny", "podSecurity"} {
		if v := validate[field]; v != nil {
			out[field] = v
			return out, true
		}
	}
	if v := validate["anyPattern"]; v != nil {
		patterns, _ := v.([]any)
		moved := make([]any, len(patterns))
		for i, p := range patterns {
			moved[i] = wrap(p)
		}
		out["anyPattern"] = moved
		return out, true
	}
	if v, _ := validate["foreach"].([]any); len(v) > 0 {
		out["foreach"] = v
		return out, true
	}
	if validate["cel"] != nil {
		return validate, true
	}
	return nil, false
}

func copyFields(to, from map[string]any, fields ...string) {
	for _, f := range fields {
		if v, ok := from[f]; ok {
			to[f] = v
		}
	}
}

// replaceKinds replaces the kinds of the filters that name Pod, or of every
// filter. Kinds beside any and all are replaced under match, and under exclude
// only when there were some.
func replaceKinds(block map[string]any, kinds []any, every, match bool) map[string]any {
	out := map[string]any{}
	for k, v := range block {
		out[k] = v
	}
	for _, field := range []string{"any", "all"} {
		filters, _ := block[field].([]any)
		if len(filters) == 0 {
			continue
		}
		moved := make([]any, len(filters))
		for i, f := range filters {
			filter, _ := f.(map[string]any)
			if every || containsPod(kindsOf(filter)) {
				filter = withKinds(filter, kinds)
			}
			moved[i] = filter
		}
		out[field] = moved
		return out
	}
	if match || len(kindsOf(block)) > 0 {
		return withKinds(out, kinds)
	}
	return out
}

func kindsOf(filter map[string]any) []string {
	resources, _ := filter["resources"].(map[string]any)
	list, _ := resources["kinds"].([]any)
	var kinds []string
	for _, k := range list {
		if s, ok := k.(string); ok {
			kinds = append(kinds, s)
		}
	}
	return kinds
}

func withKinds(filter map[string]any, kinds []any) map[string]any {
	resources := map[string]any{}
	old, _ := filter["resources"].(map[string]any)
	for k, v := range old {
		resources[k] = v
	}
	resources["kinds"] = kinds
	out := map[string]any{}
	for k, v := range filter {
		out[k] = v
	}
	out["resources"] = resources
	return out
}

// replacements lists pairs of texts: where a rule speaks of the pod it must
// speak of the template. They apply one after another.
func replacements(template string, cel bool) [][2]string {
	before := "request."
	if cel {
		before = ""
	}
	var pairs [][2]string
	for _, part := range []string{"spec", "metadata"} {
		for _, object := range []string{"object.", "oldObject."} {
			pairs = append(pairs, [2]string{before + object + part, before + object + template + "." + part})
		}
	}
	return pairs
}

// shift replaces texts in all strings of v, keys included.
func shift(v any, pairs [][2]string) any {
	switch v := v.(type) {
	case string:
		for _, p := range pairs {
			v = strings.ReplaceAll(v, p[0], p[1])
		}
		return v
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = shift(e, pairs)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[shift(k, pairs).(string)] = shift(e, pairs)
		}
		return out
	}
	return v
}
