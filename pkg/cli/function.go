package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"

	"github.com/oneloop-dev/oneloop/pkg/builtin"
	"github.com/oneloop-dev/oneloop/pkg/config"
	"github.com/oneloop-dev/oneloop/pkg/digest"
	"github.com/oneloop-dev/oneloop/pkg/digest/lock"
	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/krm"
	"github.com/oneloop-dev/oneloop/pkg/load"
	"github.com/oneloop-dev/oneloop/pkg/pipeline"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno"
	"github.com/oneloop-dev/oneloop/pkg/policy/pinimages"
	"github.com/oneloop-dev/oneloop/pkg/report"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// runFunction is the KRM function. It writes a ResourceList whatever happens:
// when something fails, the items as they came and the errors in results.
func runFunction(ctx context.Context, s *streams, root string) error {
	input, err := io.ReadAll(s.in)
	if err != nil {
		return err
	}
	list, err := krm.Read(input)
	if err != nil {
		return err
	}
	results, err := applyList(ctx, s, root, list)
	if errors.Is(err, facts.ErrMissing) {
		// The errors speak of --facts, which the function does not have.
		err = errors.Join(err, fmt.Errorf("%w: where an error says --facts, give the function clusterFacts, or a ClusterFacts among the items", facts.ErrMissing))
	}
	if err != nil {
		// Items may be half-way changed: hand out what came in.
		untouched, readErr := krm.Read(input)
		if readErr != nil {
			return readErr
		}
		list = untouched
	}
	var out bytes.Buffer
	if writeErr := list.Write(&out, results); writeErr != nil {
		return errors.Join(err, writeErr)
	}
	if _, writeErr := s.out.Write(out.Bytes()); writeErr != nil {
		return errors.Join(err, writeErr)
	}
	return err
}

// applyList applies the policies of the functionConfig to the items. The
// results tell what happened, also when the error is not nil.
func applyList(ctx context.Context, s *streams, root string, list *krm.ResourceList) ([]krm.Result, error) {
	spec, policies, err := functionConfig(list)
	if err != nil {
		return errorResults(err), err
	}
	p, err := functionPlan(spec, policies, root, list)
	if err != nil {
		return errorResults(err), err
	}
	if err := check(list.Items, packageOf); err != nil {
		return errorResults(err), err
	}
	out, err := p.apply(ctx, s, list.Items)
	entries := out.Entries
	var locked []krm.Result
	if err == nil {
		err = failures(entries)
	}
	if err == nil && spec.Mode == "Validate" {
		if err = refuseChanges(entries); err == nil {
			list.Items = nil
		}
	} else if err == nil {
		list.Items = out.Resources
		locked, err = p.writeLock(ctx)
	}
	which := spec.Results
	if err != nil && which != "None" {
		which = "Failures" // the items come back as they came: nothing changed
	}
	results := entryResults(entries, which)
	if which == "" || which == "Changes" {
		results = append(results, locked...)
	}
	if err != nil && len(failed(entries)) == 0 {
		results = append(results, errorResults(err)...)
	}
	return results, err
}

// packageOf names the folder of an item: kpt hands a function the packages
// below its own, too, and two packages may be variants of one.
func packageOf(r *resource.Resource) string {
	return path.Dir(r.Origin().File)
}

// functionConfig returns the options and the inline policies of the four forms
// of functionConfig.
func functionConfig(list *krm.ResourceList) (*config.Spec, []*resource.Resource, error) {
	fc := list.FunctionConfig
	switch {
	case fc == nil:
		return &config.Spec{PoliciesFromItems: true}, nil, nil
	case pipeline.Claimed(builtin.Languages, fc.ID().Kind):
		return &config.Spec{}, []*resource.Resource{fc}, nil
	case fc.ID().Kind == config.Kind, fc.ID().Kind == resource.Kind{Version: "v1", Kind: "ConfigMap"}:
	default:
		return nil, nil, fmt.Errorf("functionConfig %s: expected %s, a ConfigMap with the same keys, or a policy; found %s",
			fc.ID(), config.Kind, fc.ID().Kind)
	}
	spec, err := config.Read(fc)
	if err != nil {
		return nil, nil, err
	}
	var policies []*resource.Resource
	var errs []error
	for i, o := range spec.Policies {
		r, err := resource.New(o)
		if err != nil {
			errs = append(errs, fmt.Errorf("functionConfig %s at policies[%d]: %w", fc.ID(), i, err))
			continue
		}
		policies = append(policies, r)
	}
	return spec, policies, errors.Join(errs...)
}

// functionPlan reads what the options name. Files are found below root.
func functionPlan(spec *config.Spec, policies []*resource.Resource, root string, list *krm.ResourceList) (plan, error) {
	known := facts.New()
	source := digestSource{
		mode: spec.Images.Mode, platform: spec.Images.Platform, mirrors: spec.Images.Mirrors,
		insecure: spec.Images.InsecureRegistries, allow: spec.Network.Allow, ca: []byte(spec.Network.CA),
	}
	var errs []error
	if file := spec.Network.CAFile; file != "" {
		text, err := load.FileBelow(root, file)
		source.ca, errs = slices.Concat(source.ca, []byte("\n"), text), append(errs, err)
	}
	files := func(names []string) []*resource.Resource {
		if len(names) == 0 {
			return nil
		}
		docs, err := load.Below(root, names)
		errs = append(errs, err)
		return docs
	}
	policies = append(policies, files(spec.PolicyFiles)...)
	if spec.Images.PinAll {
		all, err := pinimages.All()
		policies, errs = append(policies, all), append(errs, err)
	}
	errs = append(errs, known.AddDocuments(files(spec.ClusterFacts.Files)), known.Declare(spec.ClusterFacts))
	if spec.DefaultResourceFilters {
		errs = append(errs, known.Declare(facts.Spec{ResourceFilters: kyverno.DefaultResourceFilters}))
	}
	var locks []*resource.Resource
	if spec.Images.LockFile != "" {
		docs, err := load.Below(root, []string{spec.Images.LockFile})
		locks, errs = docs, append(errs, withoutLock(err))
	}
	if len(spec.Images.Lock) > 0 {
		r, err := resource.New(spec.Images.Lock)
		if err == nil {
			locks = append(locks, r)
		}
		errs = append(errs, err)
	}
	var written *resource.Resource
	for _, item := range list.Items {
		kind := item.ID().Kind
		switch {
		case kind == lock.Kind:
			locks = append(locks, item)
			if written == nil {
				written, source.record = item, &digest.Recorder{}
			}
		case kind.Group == "oneloop.dev" && kind.Kind == "ClusterFacts":
			errs = append(errs, known.AddDocuments([]*resource.Resource{item}))
		case spec.PoliciesFromItems && pipeline.Claimed(builtin.Languages, kind):
			policies = append(policies, item)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return plan{}, err
	}
	digests, atHand, err := source.resolver(locks, "images.lock or images.lockFile", "images.mode: LockedOrResolve with the registry in network.allow")
	if err != nil {
		return plan{}, err
	}
	return plan{
		policies:        policies,
		facts:           known,
		atHand:          atHand,
		digests:         digests,
		warnUnsupported: spec.OnUnsupported == "Warn",
		config:          functionConfigs(list),

		controllerLabels: spec.ControllerLabels,
		verification:     verification{fixedPoint: spec.Verify.FixedPoint, order: spec.Verify.Order},
		noChanges:        spec.Mode != "Validate" && (spec.Results == "None" || spec.Results == "Failures"),

		lock:     written,
		lookedUp: source.record,
	}, nil
}

// writeLock writes what registries answered into the lock among the items, so
// that a runner that stores items stores the lock with them.
func (p plan) writeLock(ctx context.Context) ([]krm.Result, error) {
	if p.lock == nil {
		return nil, nil
	}
	was, err := lock.Parse(p.lock)
	if err != nil {
		return nil, err
	}
	known := was.Resolver()
	var found []lock.Entry
	var results []krm.Result
	for _, a := range p.lookedUp.Answers() {
		e := lock.Entry{Reference: digest.Reference(a.Tag), Digest: a.Digest.DigestStr(), MediaType: a.MediaType, Platform: a.Platform}
		if d, err := known.Resolve(ctx, a.Tag); err == nil && d.DigestStr() == e.Digest {
			continue // its text stays
		}
		found = append(found, e)
		r := krm.Result{Severity: "info", Message: "locked " + e.Reference + "@" + e.Digest}
		refer(&r, p.lock.ID(), p.lock.Origin())
		results = append(results, r)
	}
	if _, err := lock.Write(p.lock, found, nil); err != nil {
		return results, err
	}
	var signed []lock.Signature
	for _, v := range p.lookedUp.Verified() {
		signed = append(signed, lock.NewSignature(v))
	}
	_, err = lock.WriteSignatures(p.lock, signed, nil)
	return results, err
}

// functionConfigs tells which items configure a function: the functionConfig
// itself, which kpt also hands over as an item, and the files that a Kptfile
// names under configPath.
func functionConfigs(list *krm.ResourceList) func(*resource.Resource) bool {
	named := map[string]bool{}
	for _, item := range list.Items {
		if item.ID().Kind.Kind != "Kptfile" {
			continue
		}
		o, err := item.Object()
		if err != nil {
			continue // not a Kptfile that kpt would have read
		}
		pipeline, _ := o["pipeline"].(map[string]any)
		for _, stage := range []string{"mutators", "validators"} {
			functions, _ := pipeline[stage].([]any)
			for _, f := range functions {
				function, _ := f.(map[string]any)
				if name, ok := function["configPath"].(string); ok {
					named[inPackage(item, path.Join(path.Dir(filePath(item)), name))] = true
				}
			}
		}
	}
	fc := list.FunctionConfig
	return func(r *resource.Resource) bool {
		return fc != nil && r.ID() == fc.ID() || filePath(r) != "" && named[inPackage(r, filePath(r))]
	}
}

// filePath is where kpt read an item, relative to its package.
func filePath(r *resource.Resource) string {
	if p := r.Annotation("internal.config.kubernetes.io/path"); p != "" {
		return p
	}
	return r.Annotation("config.kubernetes.io/path")
}

// inPackage tells files of one name in several packages apart.
func inPackage(r *resource.Resource, file string) string {
	return r.Annotation("internal.config.kubernetes.io/package-path") + "\x00" + file
}

// refuseChanges turns every change into an error: the answer of a validator.
func refuseChanges(entries []report.Entry) error {
	var errs []error
	for _, e := range entries {
		count, refused := len(e.Changes), &policy.Error{Policy: e.Policy, Rule: e.Rule, Resource: e.Resource}
		if count > 0 {
			refused.Path = e.Changes[0].Path
		}
		for _, t := range e.Targets {
			count += len(t.Changes)
		}
		if count > 0 {
			refused.Err = fmt.Errorf("the policy would make %s; render the manifests with it", plural(count, "change"))
			errs = append(errs, &policyError{refused})
		}
	}
	return errors.Join(errs...)
}

func failed(entries []report.Entry) []report.Entry {
	var out []report.Entry
	for _, e := range entries {
		if e.Err != nil {
			out = append(out, e)
		}
	}
	return out
}

// errorResults says in results what also goes to standard error.
func errorResults(err error) []krm.Result {
	var out []krm.Result
	for _, e := range pipeline.Flatten(err) {
		out = append(out, krm.Result{Message: e.Error(), Severity: "error"})
	}
	return out
}

// entryResults turns entries into the results of a ResourceList: one for each
// failure and notice, and with "Changes" one for each changed field.
func entryResults(entries []report.Entry, which string) []krm.Result {
	var out []krm.Result
	for _, e := range entries {
		base := krm.Result{Tags: map[string]string{"policy": e.Policy.Key()}}
		if e.Rule != "" {
			base.Tags["rule"] = e.Rule
		}
		if e.Resource.Kind.Kind != "" {
			refer(&base, e.Resource, e.Origin)
		}
		if e.Ignored != nil && which != "None" {
			warning := base
			warning.Severity, warning.Message = "warning", e.Ignored.Error()
			out = append(out, warning)
		}
		switch {
		case e.Err != nil:
			base.Severity, base.Message = "error", e.Err.Error()
			out = append(out, base)
		case which == "None":
		case e.Outcome == policy.Noticed:
			base.Severity, base.Message = "warning", e.Message
			out = append(out, base)
		case which != "Failures":
			for _, c := range e.Changes {
				out = append(out, changeResult(base, fmt.Sprintf("policy %s, rule %s", e.Policy.Key(), e.Rule), c))
			}
			for _, t := range e.Targets {
				about := base
				refer(&about, t.Resource, t.Origin)
				message := fmt.Sprintf("policy %s, rule %s, because of %s", e.Policy.Key(), e.Rule, e.Resource)
				if t.Generated {
					about.Severity, about.Message = "info", "generated by "+message
					out = append(out, about)
					continue
				}
				for _, c := range t.Changes {
					out = append(out, changeResult(about, message, c))
				}
			}
		}
	}
	return out
}

// refer makes a resource what a result is about.
func refer(r *krm.Result, id resource.ID, origin resource.Origin) {
	r.ResourceRef = &krm.ResourceRef{
		APIVersion: id.Kind.APIVersion(), Kind: id.Kind.Kind, Namespace: id.Namespace, Name: id.Name,
	}
	r.File = nil
	if origin.File != "" && origin.File != "-" {
		r.File = &krm.File{Path: origin.File}
	}
}

func changeResult(about krm.Result, message string, c resource.Change) krm.Result {
	about.Severity, about.Message = "info", message
	about.Field = &krm.Field{Path: c.Path.String(), CurrentValue: c.Before, ProposedValue: c.After}
	return about
}
