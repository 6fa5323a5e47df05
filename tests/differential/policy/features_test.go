package differential

import (
	"encoding/json"
	"regexp"
	"strings"
)

var (
	functionCall  = regexp.MustCompile(`\b([a-z_0-9]+)\(`)
	referenceText = regexp.MustCompile(`\$\([./]`)
)

// features names what a sample uses.
func features(s *sample) map[string]bool {
	f := map[string]bool{"resource " + s.Resource["kind"].(string): true, "operation " + s.Operation: true}
	if len(s.Policies) > 1 {
		f["several policies"] = true
	}
	if len(s.Exceptions) > 0 {
		f["exception"] = true
	}
	for _, p := range s.Policies {
		f["policy "+p["kind"].(string)] = true
		spec, _ := p["spec"].(map[string]any)
		rules, _ := spec["rules"].([]any)
		if len(rules) > 1 {
			f["several rules"] = true
		}
		if spec["applyRules"] == "One" {
			f["applyRules One"] = true
		}
		if m, ok := p["metadata"].(map[string]any); ok && m["annotations"] != nil {
			f["autogen annotation"] = true
		}
		for _, r := range rules {
			rule, _ := r.(map[string]any)
			for _, block := range []string{"match", "exclude"} {
				walk(rule[block], func(key string, v any) {
					if key != "" && key != "resources" {
						f[block+" "+key] = true
					}
				})
			}
			rest := map[string]any{}
			for k, v := range rule {
				if k != "match" && k != "exclude" {
					rest[k] = v
				}
			}
			walk(rest, func(key string, v any) {
				switch key {
				case "operator":
					if s, ok := v.(string); ok {
						f["operator "+s] = true
					}
				case "op", "patchesJson6902", "patchStrategicMerge", "foreach", "preconditions", "order", "configMap", "variable", "jmesPath", "default":
					f[key] = true
				}
				if i := strings.Index(key, "("); i >= 0 && strings.HasSuffix(strings.TrimSpace(key), ")") && i < 3 {
					f["anchor "+strings.TrimSpace(key[:i])+"()"] = true
				}
				if v == nil && key != "" {
					f["null"] = true
				}
				t, ok := v.(string)
				if !ok {
					return
				}
				if key == "patchesJson6902" {
					for _, op := range []string{"add", "remove", "replace", "copy", "move", "test"} {
						if strings.Contains(t, "op: "+op) || strings.Contains(t, `"op":"`+op+`"`) {
							f["op "+op] = true
						}
					}
					if strings.HasPrefix(strings.TrimSpace(t), "[") {
						f["JSON patch as JSON"] = true
					}
				}
				if strings.Contains(t, "{{") || key == "jmesPath" || key == "list" {
					for _, m := range functionCall.FindAllStringSubmatch(t, -1) {
						f["function "+m[1]] = true
					}
				}
				if strings.Contains(t, "{{") {
					f["variable in text"] = true
				}
				if strings.Contains(t, `\{{`) {
					f["escaped variable"] = true
				}
				if strings.Contains(t, "{{-") {
					f["{{- variable"] = true
				}
				if referenceText.MatchString(t) {
					f["$() reference"] = true
				}
				for _, name := range []string{"element0", "element1", "elementIndex", "images.", "request.userInfo", "request.roles", "serviceAccountName", "request.namespace", "request.operation", "@"} {
					if strings.Contains(t, name) {
						f["uses "+name] = true
					}
				}
			})
			if fe, ok := rule["mutate"].(map[string]any); ok {
				if l, ok := fe["foreach"].([]any); ok {
					b, _ := json.Marshal(l)
					if strings.Count(string(b), `"foreach"`) > 0 {
						f["foreach nested"] = true
					}
				}
			}
		}
	}
	return f
}

// walk calls do for every key and value below v.
func walk(v any, do func(key string, v any)) {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			do(k, e)
			walk(e, do)
		}
	case []any:
		for _, e := range v {
			if _, ok := e.(string); ok {
				do("", e)
			}
			walk(e, do)
		}
	}
}
