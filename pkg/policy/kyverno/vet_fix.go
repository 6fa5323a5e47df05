package kyverno

import (
	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
)

// The fixes of deprecated spellings. Each changes a document so that Kyverno does
// the same with it; one that was done before changes nothing.

// mapAt returns the map at a path, nil when there is none.
func mapAt(o map[string]any, path fieldpath.Path) map[string]any {
	v, _ := fieldpath.Get(o, path)
	m, _ := v.(map[string]any)
	return m
}

// moved takes the value of a field of the map at path to where put says. What is
// there already stays: Kyverno reads it first.
func moved(path fieldpath.Path, field string, put func(m map[string]any, value any)) func(map[string]any) {
	return func(o map[string]any) {
		m := mapAt(o, path)
		if value, ok := m[field]; ok {
			delete(m, field)
			put(m, value)
		}
	}
}

// into puts a value into a map of m under a name.
func into(block, name string) func(m map[string]any, value any) {
	return func(m map[string]any, value any) {
		below, ok := m[block].(map[string]any)
		if !ok {
			below = map[string]any{}
			m[block] = below
		}
		setMissing(below, name, value)
	}
}

func setMissing(m map[string]any, name string, value any) {
	if m[name] == nil {
		m[name] = value
	}
}

// renamed gives a field another name.
func renamed(name string) func(m map[string]any, value any) {
	return func(m map[string]any, value any) { setMissing(m, name, value) }
}

// listed puts a value into a list of one under another name.
func listed(name string) func(m map[string]any, value any) {
	return func(m map[string]any, value any) { setMissing(m, name, []any{value}) }
}

func dropped(map[string]any, any) {}

// eachRule calls f for a block of each rule of a spec that has it.
func eachRule(s map[string]any, block string, f func(map[string]any)) {
	rules, _ := s["rules"].([]any)
	for _, r := range rules {
		rule, _ := r.(map[string]any)
		switch b := rule[block].(type) {
		case map[string]any:
			f(b)
		case []any:
			for _, e := range b {
				if m, ok := e.(map[string]any); ok {
					f(m)
				}
			}
		}
	}
}

// actionsIntoRules sets the failure action of the rules that have none.
func actionsIntoRules(s map[string]any, action any) {
	for _, block := range []string{"validate", "verifyImages"} {
		eachRule(s, block, func(b map[string]any) { setMissing(b, "failureAction", action) })
	}
}

// targetsIntoRules sets mutateExistingOnPolicyUpdate of the rules with targets.
func targetsIntoRules(s map[string]any, value any) {
	eachRule(s, "mutate", func(b map[string]any) {
		if b["targets"] != nil && value == true {
			setMissing(b, "mutateExistingOnPolicyUpdate", value)
		}
	})
}

// existingIntoRules sets generateExisting of the rules that generate.
func existingIntoRules(s map[string]any, value any) {
	eachRule(s, "generate", func(b map[string]any) {
		if value == true {
			setMissing(b, "generateExisting", value)
		}
	})
}

// intoAny moves what stands in a block of match or exclude by itself into the only
// filter of any.
func intoAny(path fieldpath.Path) func(map[string]any) {
	return func(o map[string]any) {
		m := mapAt(o, path)
		if m == nil || m["any"] != nil || m["all"] != nil {
			return
		}
		filter := map[string]any{}
		for _, s := range blockSpellings {
			if value, ok := m[s.field]; ok {
				filter[s.field] = value
				delete(m, s.field)
			}
		}
		if len(filter) > 0 {
			m["any"] = []any{filter}
		}
	}
}

// written sets a field of the map at path.
func written(path fieldpath.Path, field string, value any) func(map[string]any) {
	return func(o map[string]any) {
		if m := mapAt(o, path); m != nil {
			m[field] = value
		}
	}
}
