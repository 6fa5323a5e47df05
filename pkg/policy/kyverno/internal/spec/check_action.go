package spec

import (
	"slices"
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

func (c *checker) mutation(r *Rule) {
	m, path := r.Mutation, r.Path.Key("mutate")
	found := names(part{"patchStrategicMerge", m.PatchStrategicMerge != nil},
		part{"patchesJson6902", m.PatchesJSON6902 != ""}, part{"foreach", len(m.ForEach) > 0})
	switch {
	case len(found) == 0:
		c.unseen(func() {
			c.errorf(path, "expected exactly one of patchStrategicMerge, patchesJson6902 and foreach, found none")
		})
	case len(found) > 1:
		c.errorf(path, "expected exactly one of patchStrategicMerge, patchesJson6902 and foreach, found %s", list(found))
	}
	existing := c.policy.Spec.MutateExistingOnPolicyUpdate || m.MutateExistingOnPolicyUpdate != nil && *m.MutateExistingOnPolicyUpdate
	if existing && len(m.Targets) == 0 {
		c.errorf(path, "targets is missing; mutateExistingOnPolicyUpdate needs it")
	}
	for i := range m.Targets {
		t, tp := &m.Targets[i], path.Key("targets").Index(i)
		if own := c.policy.Metadata.Namespace; c.policy.Namespaced() && t.Namespace != "" && t.Namespace != own {
			c.errorf(tp.Key("namespace"), "the targets of a Policy are in its own namespace %q, found %q", own, t.Namespace)
		}
		c.selector(tp.Key("selector"), t.Selector)
		c.unseen(func() { c.conditions(tp.Key("preconditions"), t.Preconditions, false) })
	}
	c.labelsAreText(path.Key("patchStrategicMerge"), m.PatchStrategicMerge, false)
	// Of foreach, Kyverno looks at the first patch alone; in the others, and in
	// a nested foreach, it takes null, which removes.
	first := true
	for i := range m.ForEach {
		c.labelsAreText(path.Key("foreach").Index(i).Key("patchStrategicMerge"), m.ForEach[i].PatchStrategicMerge, !first)
		if _, ok := m.ForEach[i].PatchStrategicMerge.(map[string]any); ok {
			first = false
		}
	}
	c.forEach(path.Key("foreach"), m.ForEach)
}

func (c *checker) forEach(path fieldpath.Path, loops []ForEachMutation) {
	for i := range loops {
		f, fp := &loops[i], path.Index(i)
		c.oneOf(fp.Key("order"), f.Order, "Ascending", "Descending")
		c.conditions(fp.Key("preconditions"), f.Preconditions, false)
		patches := names(part{"patchStrategicMerge", f.PatchStrategicMerge != nil}, part{"patchesJson6902", f.PatchesJSON6902 != ""})
		switch {
		case len(f.ForEach) > 0:
			if len(patches) > 0 || f.Context != nil || f.Preconditions != nil {
				c.errorf(fp, "beside a nested foreach only list and order are allowed")
			}
			c.forEach(fp.Key("foreach"), f.ForEach)
		case len(patches) != 1:
			c.errorf(fp, "expected exactly one of patchStrategicMerge, patchesJson6902 and foreach, found %s", list(patches))
		}
	}
}

// labelsAreText refuses labels and annotations whose values are not text, as a
// missing pair of quotes makes them. With null, it takes null.
func (c *checker) labelsAreText(path fieldpath.Path, patch any, null bool) {
	for _, field := range []string{"labels", "annotations"} {
		p := fieldpath.Path{fieldpath.Key("metadata"), fieldpath.Key(field)}
		v, _ := fieldpath.Get(patch, p)
		m, _ := v.(map[string]any)
		for k, v := range m {
			if _, ok := v.(string); !ok && (v != nil || !null) {
				c.errorf(path.Key("metadata").Key(field).Key(k), "expected text, found %v; put it in quotes", v)
			}
		}
	}
}

func (c *checker) generation(r *Rule) {
	g, path := r.Generation, r.Path.Key("generate")
	found := names(part{"data", g.Data != nil}, part{"clone", g.Clone != (CloneFrom{})},
		part{"cloneList", g.CloneList.Kinds != nil}, part{"foreach", g.ForEach != nil})
	if len(found) > 1 {
		c.errorf(path, "expected only one of data, clone, cloneList and foreach, found %s", list(found))
		return
	}
	if g.Kind != "" && slices.Contains(r.Match.Resources.Kinds, g.Kind) {
		c.errorf(path.Key("kind"), "the rule matches the kind %s that it generates", g.Kind)
	}
	if g.ForEach == nil {
		c.generatePattern(path, &g.GeneratePattern)
	}
	for i := range g.ForEach {
		fp := path.Key("foreach").Index(i)
		c.unseen(func() { c.conditions(fp.Key("preconditions"), g.ForEach[i].Preconditions, false) })
		c.generatePattern(fp, &g.ForEach[i].GeneratePattern)
	}
}

func (c *checker) generatePattern(path fieldpath.Path, g *GeneratePattern) {
	if len(g.CloneList.Kinds) > 0 {
		c.cloneList(path.Key("cloneList"), &g.CloneList)
		return
	}
	c.required(path, "kind", g.Kind)
	c.required(path, "name", g.Name)
	c.required(path, "apiVersion", g.APIVersion)
	if g.Kind == "" || g.APIVersion == "" || hasVariable(g.APIVersion+g.Kind) {
		return
	}
	own, kind := c.policy.Metadata.Namespace, resource.ParseKind(g.APIVersion, g.Kind)
	if resource.ClusterScoped(kind) {
		switch {
		case c.policy.Namespaced():
			c.errorf(path.Key("kind"), "a Policy can only generate kinds that have a namespace; %s has none", g.Kind)
		case g.Namespace != "":
			c.errorf(path.Key("namespace"), "%s has no namespace; remove it", g.Kind)
		}
		return
	}
	if c.policy.Namespaced() {
		if g.Namespace != own {
			c.errorf(path.Key("namespace"), "a Policy can only generate into its own namespace %q, found %q", own, g.Namespace)
		}
		if g.Clone.Name != "" && g.Clone.Namespace != own {
			c.errorf(path.Key("clone").Key("namespace"), "a Policy can only clone from its own namespace %q, found %q", own, g.Clone.Namespace)
		}
	}
	if g.Namespace == "" && builtin(kind) {
		c.errorf(path, "namespace is missing; %s needs one", g.Kind)
	}
}

func (c *checker) cloneList(path fieldpath.Path, l *CloneList) {
	own, clustered := c.policy.Metadata.Namespace, 0
	for _, k := range l.Kinds {
		if resource.ClusterScoped(parseKind(k)) {
			clustered++
		}
	}
	switch {
	case clustered > 0 && clustered < len(l.Kinds):
		c.errorf(path.Key("kinds"), "kinds with and without namespace must not be mixed")
	case clustered > 0 && c.policy.Namespaced():
		c.errorf(path.Key("kinds"), "a Policy can only clone kinds that have a namespace")
	case clustered > 0 && l.Namespace != "":
		c.errorf(path.Key("namespace"), "these kinds have no namespace; remove it")
	case clustered == 0 && l.Namespace == "":
		c.errorf(path, "namespace is missing; it tells where the sources are")
	case c.policy.Namespaced() && l.Namespace != own:
		c.errorf(path.Key("namespace"), "a Policy can only clone from its own namespace %q, found %q", own, l.Namespace)
	}
	c.selector(path.Key("selector"), l.Selector)
}

// builtin reports whether k belongs to a group of Kubernetes itself whose
// scopes are known without asking a cluster.
func builtin(k resource.Kind) bool {
	switch k.Group {
	case "", "apps", "batch", "autoscaling", "policy", "networking.k8s.io", "rbac.authorization.k8s.io":
		return true
	}
	return false
}

func (c *checker) verifyImages(r *Rule) {
	// Kyverno keeps an image's failure action for the images after it.
	action := c.policy.Spec.ValidationFailureAction
	for i := range r.VerifyImages {
		v, path := &r.VerifyImages[i], r.Path.Key("verifyImages").Index(i)
		if v.FailureAction != "" {
			action = v.FailureAction
		}
		c.oneOf(path.Key("failureAction"), v.FailureAction, "Audit", "Enforce")
		c.oneOf(path.Key("type"), v.Type, "Cosign", "SigstoreBundle", "Notary")
		if !strings.EqualFold(action, "Enforce") && v.MutatesDigest() {
			c.errorf(path, "mutateDigest, which is true unless set, needs the failure action Enforce; set failureAction: Enforce or mutateDigest: false")
		}
		if len(v.References()) == 0 {
			c.errorf(path, "imageReferences is missing; expected patterns such as ghcr.io/example/*")
		}
		c.attestors(path.Key("attestors"), v.Attestors)
		for j := range v.Attestations {
			ap := path.Key("attestations").Index(j)
			c.attestors(ap.Key("attestors"), v.Attestations[j].Attestors)
			for k, conditions := range v.Attestations[j].Conditions {
				c.conditions(ap.Key("conditions").Index(k), conditions, false)
			}
		}
		if v.Validation.Deny != nil {
			c.conditions(path.Key("validate").Key("deny").Key("conditions"), v.Validation.Deny.Conditions, true)
		}
		c.credentials(path.Key("imageRegistryCredentials"), v.ImageRegistryCredentials)
		if v.Type == "Notary" && slices.ContainsFunc(v.Attestors, notForNotary) {
			c.errorf(path.Key("attestors"), "the type Notary takes certificates only")
		}
	}
}

func notForNotary(s AttestorSet) bool {
	return slices.ContainsFunc(s.Entries, func(a Attestor) bool { return a.Keyless != nil || a.Keys != nil })
}

func (c *checker) attestors(path fieldpath.Path, sets []AttestorSet) {
	for i := range sets {
		s, sp := &sets[i], path.Index(i)
		if s.Count != nil && (*s.Count < 1 || *s.Count > len(s.Entries)) {
			c.errorf(sp.Key("count"), "expected 1 to %d, the number of entries, found %d", len(s.Entries), *s.Count)
		}
		if len(s.Entries) == 0 {
			c.errorf(sp, "entries is missing; expected at least one")
		}
		for j := range s.Entries {
			c.attestor(sp.Key("entries").Index(j), &s.Entries[j])
		}
	}
}

func (c *checker) attestor(path fieldpath.Path, a *Attestor) {
	found := names(part{"keys", a.Keys != nil}, part{"certificates", a.Certificates != nil},
		part{"keyless", a.Keyless != nil}, part{"attestor", a.Attestor != nil})
	if len(found) != 1 {
		c.errorf(path, "expected exactly one of keys, certificates, keyless and attestor, found %s", list(found))
		return
	}
	switch {
	case a.Keys != nil && a.Keys.PublicKeys == "" && a.Keys.KMS == "" && a.Keys.Secret == nil:
		c.errorf(path.Key("keys"), "expected publicKeys, kms or secret")
	case a.Certificates != nil && a.Certificates.Certificate == "" && a.Certificates.CertificateChain == "":
		c.errorf(path.Key("certificates"), "expected cert or certChain")
	case a.Keyless != nil && a.Keyless.Rekor == nil && a.Keyless.Roots == "":
		c.errorf(path.Key("keyless"), "expected rekor or roots")
	case a.Keyless != nil && a.Keyless.Rekor != nil:
		c.required(path.Key("keyless").Key("rekor"), "url", a.Keyless.Rekor.URL)
	}
}

// validation checks the shape of the rule only: validate rules change no
// manifest.
func (c *checker) validation(r *Rule) {
	v, path := r.Validation, r.Path.Key("validate")
	c.oneOf(path.Key("failureAction"), v.FailureAction, "Audit", "Enforce")
	c.overrides(path.Key("failureActionOverrides"), v.FailureActionOverrides)
	if v.Deny != nil {
		c.conditions(path.Key("deny").Key("conditions"), v.Deny.Conditions, true)
	}
}
