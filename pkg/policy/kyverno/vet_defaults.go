package kyverno

import (
	"fmt"
	"slices"

	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/internal/defaulted"
	"github.com/oneloop-dev/oneloop/pkg/policy/internal/kindname"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/pattern"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno/internal/spec"
	"github.com/oneloop-dev/oneloop/pkg/wildcard"
)

// defaults finds the anchors of patches that ask for fields that every object in a
// cluster has, and a manifest may lack: here the rule does something else.
func (v *vetting) defaults(r *spec.Rule) {
	if r.Mutation == nil {
		return
	}
	kinds := r.Match.Kinds()
	if r.Mutation.Targets != nil {
		kinds = nil
		for _, t := range r.Mutation.Targets {
			kinds = append(kinds, t.Kind)
		}
	}
	d := &defaultsVetting{vetting: v}
	for _, k := range kinds {
		if s, err := kindname.Parse(k); err == nil {
			d.kinds = append(d.kinds, s.Kind)
		}
	}
	at := r.Path.Key("mutate")
	d.patch(at.Key("patchStrategicMerge"), nil, r.Mutation.PatchStrategicMerge)
	d.loops(at.Key("foreach"), r.Mutation.ForEach)
}

type defaultsVetting struct {
	*vetting
	kinds []string
}

func (d *defaultsVetting) loops(at fieldpath.Path, loops []spec.ForEachMutation) {
	for i := range loops {
		d.patch(at.Index(i).Key("patchStrategicMerge"), nil, loops[i].PatchStrategicMerge)
		d.loops(at.Index(i).Key("foreach"), loops[i].ForEach)
	}
}

// patch looks at the part of a patch that stands at a path of the policy, and is
// for a field of the object.
func (d *defaultsVetting) patch(at fieldpath.Path, field []string, v any) {
	switch v := v.(type) {
	case []any:
		for i, e := range v {
			d.patch(at.Index(i), field, e)
		}
	case map[string]any:
		for key, e := range v {
			name := key
			anchor, ok := pattern.ParseAnchor(key)
			if ok {
				name = anchor.Key
			}
			below := append(slices.Clip(field), name)
			if ok {
				d.anchor(at.Key(key), anchor, below, e)
			}
			d.patch(at.Key(key), below, e)
		}
	}
}

func (d *defaultsVetting) anchor(at fieldpath.Path, a pattern.Anchor, field []string, asked any) {
	for _, kind := range d.kinds {
		value, ok := defaulted.Field(kind, field...)
		switch {
		case !ok:
			continue
		case a.Modifier == pattern.AddIfAbsent:
			d.addf(at, policy.Noted, policy.Warning,
				"in a cluster the API server fills in %s before, so that +() never adds it; here it is added where a manifest lacks it: write it without +(), or into the manifests", a.Key)
		case a.Holds() && holdsFor(asked, value):
			d.addf(at, policy.Noted, policy.Warning,
				"in a cluster the API server fills in %s before, and the condition holds; here it does not where a manifest lacks it: write it into the manifests, or ask for something else", a.Key)
		}
		return
	}
}

// holdsFor reports whether a condition asks for a value that is filled in.
func holdsFor(asked any, value string) bool {
	text := fmt.Sprint(asked)
	switch value {
	case defaulted.Depends:
		return text == "*" || text == "?*"
	case defaulted.Struct, defaulted.Empty:
		m, ok := asked.(map[string]any)
		return ok && len(m) == 0 || text == "*"
	}
	return wildcard.Match(text, value)
}
