package kyverno

import (
	"fmt"
	"maps"
	"slices"

	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// removed says once that the kinds have no future.
func (v *vetting) removed(kind string) {
	if v.told {
		return
	}
	v.told = true
	v.addf(fieldpath.Path{}.Key("kind"), policy.Deprecated, policy.Note,
		"Kyverno 1.20 removes kind %s; its successors are MutatingPolicy, GeneratingPolicy, ImageValidatingPolicy and ValidatingPolicy of policies.kyverno.io", kind)
}

func (v *vetting) deprecated(path fieldpath.Path, fix func(map[string]any), format string, args ...any) {
	v.add(path, policy.Finding{Check: policy.Deprecated, Severity: policy.Warning, Message: fmt.Sprintf(format, args...), Fix: fix})
}

// A spelling is a field that Kyverno still reads, and what to write instead.
type spelling struct {
	field, instead string
	put            func(m map[string]any, value any) // where its value goes; nil: a person decides
}

var (
	specSpellings = []spelling{
		{"validationFailureAction", "set failureAction under validate, or under each entry of verifyImages, of the rules", actionsIntoRules},
		{"validationFailureActionOverrides", "set failureActionOverrides under validate of the rules", nil},
		{"failurePolicy", "set failurePolicy under webhookConfiguration", into("webhookConfiguration", "failurePolicy")},
		{"webhookTimeoutSeconds", "set timeoutSeconds under webhookConfiguration", into("webhookConfiguration", "timeoutSeconds")},
		{"schemaValidation", "remove it; it does nothing", dropped},
		{"mutateExistingOnPolicyUpdate", "set mutateExistingOnPolicyUpdate under mutate of the rules", targetsIntoRules},
		{"generateExisting", "set generateExisting under generate of the rules", existingIntoRules},
	}
	blockSpellings = []spelling{
		{"resources", "move it into a filter of any", nil},
		{"subjects", "move it into a filter of any", nil},
		{"roles", "move it into a filter of any", nil},
		{"clusterRoles", "move it into a filter of any", nil},
	}
	imageSpellings = []spelling{
		{"image", "list it under imageReferences", listed("imageReferences")},
		{"key", "set keys under an entry of attestors", nil},
		{"roots", "set keyless.roots under an entry of attestors", nil},
		{"subject", "set keyless.subject under an entry of attestors", nil},
		{"issuer", "set keyless.issuer under an entry of attestors", nil},
		{"additionalExtensions", "set keyless.additionalExtensions under an entry of attestors", nil},
		{"annotations", "set annotations under an entry of attestors", nil},
	}
)

// old reports the fields of a map at path that have a newer spelling. Fix is that
// of the spellings that have none of their own; it may be nil.
func (v *vetting) old(path fieldpath.Path, value any, spellings []spelling, fix func(map[string]any)) {
	m, _ := value.(map[string]any)
	for _, s := range spellings {
		if m[s.field] == nil {
			continue
		}
		fix := fix
		if s.put != nil {
			fix = moved(path, s.field, s.put)
		}
		v.deprecated(path.Key(s.field), fix, "%s is deprecated: %s", s.field, s.instead)
	}
}

// spellings finds the deprecated ones of a policy, which may have faults.
func (v *vetting) spellings(o resource.Object) {
	at := fieldpath.Path{}.Key("spec")
	s, _ := o["spec"].(map[string]any)
	v.old(at, s, specSpellings, nil)
	rules, _ := s["rules"].([]any)
	for i, e := range rules {
		r, _ := e.(map[string]any)
		v.rule, _ = r["name"].(string)
		v.ruleSpellings(at.Key("rules").Index(i), r)
	}
	v.rule = ""
}

func (v *vetting) ruleSpellings(path fieldpath.Path, r map[string]any) {
	for _, name := range []string{"match", "exclude"} {
		v.old(path.Key(name), r[name], blockSpellings, intoAny(path.Key(name)))
		v.names(path.Key(name), r[name])
	}
	if _, ok := r["preconditions"].([]any); ok {
		list := moved(path, "preconditions", func(m map[string]any, value any) { m["preconditions"] = map[string]any{"all": value} })
		v.deprecated(path.Key("preconditions"), list, "a list of preconditions is deprecated: put it under all")
	}
	images, _ := r["verifyImages"].([]any)
	for i, e := range images {
		at := path.Key("verifyImages").Index(i)
		v.old(at, e, imageSpellings, nil)
		m, _ := e.(map[string]any)
		attestations, _ := m["attestations"].([]any)
		for j, a := range attestations {
			v.old(at.Key("attestations").Index(j), a, []spelling{{"predicateType", "write type", renamed("type")}}, nil)
		}
	}
	v.actions(path, r)
	for _, name := range slices.Sorted(maps.Keys(r)) {
		if name != "match" && name != "exclude" {
			v.operators(path.Key(name), r[name])
		}
	}
}

// names finds name for names in the filters of a block.
func (v *vetting) names(path fieldpath.Path, value any) {
	switch value := value.(type) {
	case []any:
		for i, e := range value {
			v.names(path.Index(i), e)
		}
	case map[string]any:
		for _, key := range []string{"any", "all"} {
			v.names(path.Key(key), value[key])
		}
		if name, ok := value["resources"].(map[string]any); ok && name["name"] != nil {
			v.deprecated(path.Key("resources").Key("name"), moved(path.Key("resources"), "name", listed("names")), "name is deprecated: write names: [%v]", name["name"])
		}
	}
}

// actions finds failure actions in lower case.
func (v *vetting) actions(path fieldpath.Path, r map[string]any) {
	validate, _ := r["validate"].(map[string]any)
	at := path.Key("validate").Key("failureAction")
	switch validate["failureAction"] {
	case "audit":
		v.deprecated(at, written(path.Key("validate"), "failureAction", "Audit"), "audit is deprecated: write Audit")
	case "enforce":
		v.deprecated(at, written(path.Key("validate"), "failureAction", "Enforce"), "enforce is deprecated: write Enforce")
	}
}

// successors has the operators to write instead of deprecated ones.
var successors = map[string]string{
	"Equal":    "Equals",
	"NotEqual": "NotEquals",
	"In":       "AnyIn, or AllIn when the key is a list",
	"NotIn":    "AnyNotIn or AllNotIn, which differ when the key is a list",
}

// operators finds deprecated operators of conditions: they have a key beside.
func (v *vetting) operators(path fieldpath.Path, value any) {
	switch value := value.(type) {
	case []any:
		for i, e := range value {
			v.operators(path.Index(i), e)
		}
	case map[string]any:
		operator, _ := value["operator"].(string)
		if _, isCondition := value["key"]; isCondition && successors[operator] != "" && value["values"] == nil {
			var fix func(map[string]any)
			if operator == "Equal" || operator == "NotEqual" {
				fix = written(path, "operator", successors[operator])
			}
			v.deprecated(path.Key("operator"), fix, "the operator %s is deprecated: write %s", operator, successors[operator])
		}
		for _, key := range slices.Sorted(maps.Keys(value)) {
			if key != "patchStrategicMerge" && key != "data" {
				v.operators(path.Key(key), value[key])
			}
		}
	}
}
