package cli

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/oneloop-dev/oneloop/pkg/digest"
	"github.com/oneloop-dev/oneloop/pkg/digest/lock"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// compare is --check: it names each reference that the lock lacks and each tag
// that points elsewhere than the lock says.
func (l *locking) compare(ctx context.Context) error {
	var findings []string
	var locked []name.Tag
	for _, ref := range slices.Sorted(maps.Keys(l.asked)) {
		if _, ok := l.was[ref]; ok {
			locked = append(locked, l.asked[ref])
			continue
		}
		finding := ref + " is missing"
		if at := l.at[ref]; at != "" {
			finding = at + ": " + finding
		}
		findings = append(findings, finding)
	}
	for _, v := range l.verified {
		findings = append(findings, fmt.Sprintf("the signature of %s by %s is missing", digest.Reference(v.Image), v.By))
	}
	if l.offline {
		for _, key := range slices.Sorted(maps.Keys(l.wanted)) {
			if _, ok := l.signed[key]; !ok {
				findings = append(findings, fmt.Sprintf("no signature of %s by %s is recorded", digest.Reference(l.wanted[key].Image), l.wanted[key].By))
			}
		}
	}
	if !l.offline {
		now, err := l.ask(ctx, locked)
		if err != nil {
			return err
		}
		for _, ref := range slices.Sorted(maps.Keys(now)) {
			if was := l.was[ref]; was.Digest != now[ref].Digest && was.Platform == now[ref].Platform {
				findings = append(findings, fmt.Sprintf("%s moved from %s to %s", ref, was.Digest, now[ref].Digest))
			}
		}
	}
	for _, f := range findings {
		fmt.Fprintf(l.err, "%s: %s\n", l.file, f)
	}
	if len(findings) == 0 {
		how := "all as the registries say"
		if l.offline {
			how = "none missing; the registries were not asked"
		}
		fmt.Fprintf(l.err, "%s: %s, %s\n", l.file, plural(len(l.asked), "reference"), how)
		return nil
	}
	fmt.Fprintf(l.err, "%s: %s to settle; run oneloop lock, and --update for what moved\n", l.file, plural(len(findings), "reference"))
	return &reportedError{ExitChanges}
}

// write writes the lock and says in one line what it did.
func (l *locking) write() error {
	var set []lock.Entry
	added, moved := 0, 0
	for _, ref := range slices.Sorted(maps.Keys(l.known)) {
		now := l.known[ref]
		was, ok := l.was[ref]
		switch {
		case !ok:
			added++
			note := ""
			if !strings.Contains(now.MediaType, "index") && !strings.Contains(now.MediaType, "manifest.list") && now.Platform == "" {
				note = " (for a single platform)"
			}
			fmt.Fprintf(l.err, "%s: added %s@%s%s\n", l.file, ref, now.Digest, note)
		case was.Digest != now.Digest:
			moved++
			fmt.Fprintf(l.err, "%s: %s moved from %s to %s\n", l.file, ref, was.Digest, now.Digest)
		case was == now || was.Reference != ref && was.Digest == now.Digest:
			continue // its text stays
		}
		set = append(set, now)
	}
	unused := 0
	drop := func(e lock.Entry) bool {
		tag, err := name.NewTag(e.Reference)
		if err != nil {
			return false
		}
		_, asked := l.asked[digest.Reference(tag)]
		if !asked {
			unused++
		}
		return !asked && l.prune
	}
	changed, err := lock.Write(l.doc, set, drop)
	if err != nil {
		return err
	}
	signed, err := l.writeSignatures()
	if err != nil {
		return err
	}
	if changed || signed || l.isNew {
		if err := replaceFile(l.file, func(w io.Writer) error { return l.writeDoc(w) }); err != nil {
			return err
		}
	}
	if l.component != "" {
		if err := l.writeComponent(); err != nil {
			return err
		}
	}
	summary := fmt.Sprintf("%s: %s, %d added, %d moved", l.file, plural(len(l.asked), "reference"), added, moved)
	switch {
	case unused > 0 && l.prune:
		summary += fmt.Sprintf(", %d removed", unused)
	case unused > 0:
		summary += fmt.Sprintf("; %d not asked for (--prune removes them)", unused)
	}
	if len(l.asked) == 0 && !l.digests.pinAll {
		summary += "; no policy asks for the digest of a tag in these manifests (--pin-all asks for all)"
	}
	fmt.Fprintln(l.err, summary)
	return nil
}

// writeSignatures records what was verified, and forgets what is of a digest
// that a tag moved away from.
func (l *locking) writeSignatures() (bool, error) {
	var set []lock.Signature
	for _, v := range l.verified {
		s := lock.NewSignature(v)
		fmt.Fprintf(l.err, "%s: %s is signed by %s\n", l.file, s.Image, s.By)
		set = append(set, s)
	}
	moved := map[string]bool{}
	for ref, was := range l.was {
		if now := l.known[ref]; now.Digest != was.Digest {
			moved[was.Digest] = true
		}
	}
	for _, e := range l.known {
		delete(moved, e.Digest)
	}
	return lock.WriteSignatures(l.doc, set, func(s lock.Signature) bool {
		_, d, _ := strings.Cut(s.Image, "@")
		_, wanted := l.wanted[signatureKey(s)]
		return !wanted && (l.prune || moved[d])
	})
}

// writeDoc writes the lock: a new one with a word about what it is.
func (l *locking) writeDoc(w io.Writer) error {
	if l.isNew {
		text, err := l.doc.AppendYAML([]byte("# The digests of the images that policies pin. Written by oneloop lock.\n"))
		if err != nil {
			return err
		}
		_, err = w.Write(text)
		return err
	}
	data, err := os.ReadFile(l.file)
	if err != nil {
		return err
	}
	text, err := resource.Rewrite(data, []*resource.Resource{l.doc})
	if err != nil {
		return err
	}
	_, err = w.Write(text)
	return err
}

// writeComponent writes the digests that were asked for as a kustomize
// Component, whose images transformer goes by name and not by tag.
func (l *locking) writeComponent() error {
	type pin struct{ ref, tag, digest string }
	byName := map[string][]pin{}
	for ref, tag := range l.asked {
		e, ok := l.known[ref]
		if !ok {
			continue
		}
		// The name as kustomize finds it in a manifest.
		names := []string{strings.TrimSuffix(ref, ":"+tag.TagStr())}
		if short, ok := strings.CutPrefix(names[0], "docker.io/"); ok {
			names = append(names, short, strings.TrimPrefix(short, "library/"))
		}
		slices.Sort(names)
		for _, n := range slices.Compact(names) {
			byName[n] = append(byName[n], pin{ref, tag.TagStr(), e.Digest})
		}
	}
	var images []any
	for _, n := range slices.Sorted(maps.Keys(byName)) {
		pins := byName[n]
		slices.SortFunc(pins, func(a, b pin) int { return strings.Compare(a.ref, b.ref) })
		if len(pins) > 1 {
			var tags []string
			for _, p := range pins {
				tags = append(tags, p.tag)
			}
			return fmt.Errorf("--component: %s is used with the tags %s, and kustomize's images go by name alone; use one tag, or render with the lock", n, strings.Join(tags, ", "))
		}
		images = append(images, map[string]any{"name": n, "newTag": pins[0].tag, "digest": pins[0].digest})
	}
	o := map[string]any{"apiVersion": "kustomize.config.k8s.io/v1alpha1", "kind": "Component"}
	if len(images) > 0 {
		o["images"] = images
	}
	r, err := resource.New(o)
	if err != nil {
		return err
	}
	text, err := r.AppendYAML([]byte("# The digests of " + l.file + ". Written by oneloop lock.\n"))
	if err != nil {
		return err
	}
	return replaceFile(l.component, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
}
