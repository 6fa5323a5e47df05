package pipeline

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// Claimed reports whether some language reads documents of kind k as policies.
func Claimed(languages []policy.Language, k resource.Kind) bool {
	return slices.ContainsFunc(languages, func(l policy.Language) bool { return l.Claims(k) })
}

// ForVersion returns the languages as a version of Kubernetes has them, such as
// "1.34"; "" is the newest.
func ForVersion(languages []policy.Language, kubernetes string) ([]policy.Language, error) {
	if kubernetes == "" {
		return languages, nil
	}
	out := slices.Clone(languages)
	var errs []error
	for i, l := range out {
		if l.ForVersion == nil {
			continue
		}
		var err error
		if out[i], err = l.ForVersion(kubernetes); err != nil {
			errs = append(errs, fmt.Errorf("kubernetesVersion of the cluster facts: %w", err))
		}
	}
	return out, errors.Join(errs...)
}

// noPolicy says that no language has kind, and which one has its name. Folders of
// policies often hold a kustomization, too.
func noPolicy(kind resource.Kind, languages []policy.Language) error {
	switch {
	case kind.Kind == "":
		return fmt.Errorf("the document has no kind, and so is no policy; expected a kind of %s", names(languages))
	case kind.Group == "kustomize.config.k8s.io":
		return errors.New("this is a kustomization and no policy: name the files of the policies, as in -p 'policies/*-policy.yaml', or give what it builds, as in kustomize build policies | oneloop render -p - MANIFESTS")
	}
	namesakes := slices.DeleteFunc(slices.Clone(languages), func(l policy.Language) bool { return !slices.Contains(l.Kinds, kind.Kind) })
	if len(namesakes) > 0 {
		return fmt.Errorf("%s is not a kind of policy, but %s is one of %s: mend its apiVersion", kind, kind.Kind, names(namesakes))
	}
	return fmt.Errorf("%s is not a kind of policy; expected a kind of %s", kind, names(languages))
}

// Compile hands every document to the language that claims it and joins the
// sets in the order of languages, which is the order in which languages run.
//
// The error joins the faults of all documents; a document that no language
// claims is one, and so is a second one of a kind and name with other content,
// since a cluster has only one of them. One with the same content is left out.
// The Set holds what did compile, so that a caller may report
// the faults that wrap errors.ErrUnsupported and go on.
func Compile(languages []policy.Language, docs []*resource.Resource) (policy.Set, error) {
	byLanguage := make([][]*resource.Resource, len(languages))
	var errs []error
	seen := map[resource.ID]*resource.Resource{}
	for _, d := range docs {
		i := slices.IndexFunc(languages, func(l policy.Language) bool { return l.Claims(d.ID().Kind) })
		if i < 0 {
			errs = append(errs, &policy.Error{
				Policy: policy.Ref{ID: d.ID(), Origin: d.Origin()},
				Err:    noPolicy(d.ID().Kind, languages),
			})
			continue
		}
		id := d.ID()
		id.Kind.Version = "" // one object, whatever its version
		if other := seen[id]; other != nil && id.Name != "" {
			if err := twice(d, other); err != nil {
				errs = append(errs, err)
			}
			continue
		}
		seen[id] = d
		byLanguage[i] = append(byLanguage[i], d)
	}
	var all policy.Set
	for i, l := range languages {
		if len(byLanguage[i]) == 0 {
			continue
		}
		set, err := l.Compile(byLanguage[i])
		if err != nil {
			errs = append(errs, err)
		}
		all.Programs = append(all.Programs, set.Programs...)
		all.Checks = append(all.Checks, set.Checks...)
		all.Generate = append(all.Generate, set.Generate...)
		all.MutateExisting = append(all.MutateExisting, set.MutateExisting...)
		all.Notices = append(all.Notices, set.Notices...)
	}
	return all, errors.Join(errs...)
}

// twice is the error about a document that has the kind and name of another one,
// or nil when it says the same.
func twice(d, other *resource.Resource) error {
	was, err := other.Object()
	if err != nil {
		return nil //nolint:nilerr // its language says so
	}
	o, err := d.Object()
	if err == nil && resource.Equal(was, o) {
		return nil
	}
	if err == nil {
		err = fmt.Errorf("a cluster has one of this kind and name, and another one is at %s; remove or rename one", other.Origin())
	}
	return &policy.Error{Policy: policy.Ref{ID: d.ID(), Origin: d.Origin()}, Err: err}
}

func names(languages []policy.Language) string {
	var titles []string
	for _, l := range languages {
		title, _, _ := strings.Cut(l.Doc, "\n")
		titles = append(titles, fmt.Sprintf("%s (%s)", l.Name, strings.TrimSpace(title)))
	}
	return strings.Join(titles, ", ")
}

// Unsupported splits a Compile error into the faults that only say that
// something can't be evaluated at render time, and all others.
func Unsupported(err error) (unsupported, rest []error) {
	for _, e := range Flatten(err) {
		if errors.Is(e, errors.ErrUnsupported) {
			unsupported = append(unsupported, e)
		} else {
			rest = append(rest, e)
		}
	}
	return unsupported, rest
}

// Flatten returns the single faults of a tree of joined errors, in order.
func Flatten(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || errorText(joined) {
		return []error{err}
	}
	var out []error
	for _, e := range joined.Unwrap() {
		out = append(out, Flatten(e)...)
	}
	return out
}

// errorText reports whether a multi-error has a text of its own, as those of
// fmt.Errorf with several %w have, and so is one fault.
func errorText(joined interface{ Unwrap() []error }) bool {
	var parts []string
	for _, e := range joined.Unwrap() {
		parts = append(parts, e.Error())
	}
	return joined.(error).Error() != strings.Join(parts, "\n")
}
