package pipeline

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// Vet returns what there is to know about policies before they are applied: the
// faults of Compile, and what the languages themselves find. Findings stand in
// the order of the documents, and within one by line.
func Vet(languages []policy.Language, docs []*resource.Resource) []policy.Finding {
	set, err := Compile(languages, docs)
	var out []policy.Finding
	refused := map[string]bool{}
	place := func(f *policy.Finding) string { return fmt.Sprint(f.Policy.Origin, f.Path) }
	for _, e := range Flatten(err) {
		f := policy.FindingOf(e)
		if known := foreign(f.Policy.ID.Kind); known != "" && !Claimed(languages, f.Policy.ID.Kind) {
			f.Check = policy.Unsupported
			f.Message = fmt.Sprintf("%s, %s, is not evaluated yet: rendering refuses it; keep it apart from the policies to render with", f.Policy.ID.Kind, known)
		}
		out = append(out, f)
		refused[place(&f)] = true
	}
	for _, n := range set.Notices {
		out = append(out, policy.Finding{Policy: n.Policy, Check: policy.Noted, Severity: policy.Note, Message: n.Message})
	}
	for _, l := range languages {
		if l.Vet == nil {
			continue
		}
		var own []*resource.Resource
		for _, d := range docs {
			if l.Claims(d.ID().Kind) {
				own = append(own, d)
			}
		}
		if len(own) == 0 {
			continue
		}
		for _, f := range l.Vet(own) {
			// Where a policy is refused anyway, once is enough.
			if f.Check != policy.Rejected || !refused[place(&f)] {
				out = append(out, f)
			}
		}
	}
	return sorted(docs, out)
}

// foreign names the family of policies that a kind belongs to, "" for what is
// no policy at all.
func foreign(k resource.Kind) string {
	switch k.Group {
	case "kyverno.io":
		return "a kind of Kyverno"
	case "admissionregistration.k8s.io":
		return "a kind of Kubernetes' admission"
	}
	return ""
}

// sorted puts findings into the order in which a reader meets their places, and
// drops those that are there twice.
func sorted(docs []*resource.Resource, findings []policy.Finding) []policy.Finding {
	type place struct{ file, doc, line int }
	files := map[string]int{}
	order := map[resource.Origin]int{}
	for i, d := range docs {
		o := d.Origin()
		if _, ok := files[o.File]; !ok {
			files[o.File] = i
		}
		if _, ok := order[o]; !ok {
			order[o] = i
		}
	}
	at := func(f *policy.Finding) place {
		o := f.Policy.Origin
		line := f.Line
		if line == 0 {
			line = o.Line
		}
		return place{files[o.File], order[o], line}
	}
	slices.SortStableFunc(findings, func(a, b policy.Finding) int {
		x, y := at(&a), at(&b)
		return cmp.Or(cmp.Compare(x.file, y.file), cmp.Compare(x.doc, y.doc), cmp.Compare(x.line, y.line), cmp.Compare(b.Severity, a.Severity))
	})
	seen := map[string]bool{}
	return slices.DeleteFunc(findings, func(f policy.Finding) bool {
		key := fmt.Sprint(f.Check, f.Error().Error())
		was := seen[key]
		seen[key] = true
		return was
	})
}
