package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/builtin"
	"github.com/oneloop-dev/oneloop/pkg/diff"
	"github.com/oneloop-dev/oneloop/pkg/load"
	"github.com/oneloop-dev/oneloop/pkg/pipeline"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// suggestions returns the lines that the fix of each finding changes, "" where
// there is none.
func suggestions(docs []*resource.Resource, findings []policy.Finding) ([]string, error) {
	out := make([]string, len(findings))
	for i, f := range findings {
		doc := documentOf(docs, f)
		if f.Fix == nil || doc == nil {
			continue
		}
		fixed := *doc
		if err := fix(&fixed, f); err != nil {
			return nil, err
		}
		var err error
		if out[i], err = diff.Lines(doc, &fixed); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// documentOf returns the document that a finding is about, nil when there is none.
func documentOf(docs []*resource.Resource, f policy.Finding) *resource.Resource {
	for _, d := range docs {
		if d.Origin() == f.Policy.Origin && d.ID() == f.Policy.ID {
			return d
		}
	}
	return nil
}

// losesComment reports whether lines that go have a comment that none of the new
// lines has. Such a fix is for a person, who knows where the comment belongs.
func losesComment(lines string) bool {
	kept := map[string]bool{}
	var gone []string
	for line := range strings.Lines(lines) {
		i := strings.Index(line, "#")
		switch {
		case i < 0:
		case line[0] == '+':
			kept[line[i:]] = true
		default:
			gone = append(gone, line[i:])
		}
	}
	return slices.ContainsFunc(gone, func(comment string) bool { return !kept[comment] })
}

func fix(doc *resource.Resource, f policy.Finding) error {
	o, err := doc.Object()
	if err != nil {
		return err
	}
	f.Fix(o)
	return doc.Update(o)
}

// fixPolicies rewrites the files of policies where findings have a fix.
func fixPolicies(s *streams, args []string) error {
	names, err := load.Names(args)
	if err != nil {
		return err
	}
	var sources []load.Source
	var docs []*resource.Resource
	for _, name := range names {
		source, err := load.Read(name)
		if err != nil {
			return err
		}
		sources = append(sources, source)
		docs = append(docs, source.Resources...)
	}
	// A fix may move what another one is about: then that one comes next time.
	for changed := true; changed; {
		changed = false
		for _, f := range pipeline.Vet(builtin.Languages, docs) {
			doc := documentOf(docs, f)
			if f.Fix == nil || doc == nil {
				continue
			}
			fixed := *doc
			if err := fix(&fixed, f); err != nil {
				return err
			}
			lines, err := diff.Lines(doc, &fixed)
			if err != nil {
				return err
			}
			if lines != "" && !losesComment(lines) {
				*doc, changed = fixed, true
			}
		}
	}
	all, err := rewrites(sources, pipeline.Output{Resources: docs})
	if err != nil {
		return err
	}
	if err := writeInPlace(all); err != nil {
		return err
	}
	for _, w := range all {
		fmt.Fprintf(s.err, "%s: %s rewritten\n", w.Name, plural(w.changed, "policy"))
	}
	return nil
}
