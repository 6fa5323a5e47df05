// Package config reads the functionConfig of the KRM function: kind
// ApplyPolicies, or a ConfigMap with the same keys.
package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/oneloop-dev/oneloop/pkg/decode"
	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// Kind is the kind of a functionConfig with options.
var Kind = resource.Kind{Group: "oneloop.dev", Version: "v1alpha1", Kind: "ApplyPolicies"}

// ApplyPolicies is the functionConfig of a run with many policies or options.
type ApplyPolicies struct {
	APIVersion string         `json:"apiVersion"`
	Kind       string         `json:"kind"`
	Metadata   map[string]any `json:"metadata,omitempty"`
	Spec       Spec           `json:"spec"`
}

// A Spec says which policies apply and what they may know and do.
type Spec struct {
	// Mode is Transform (the default), or Validate: answer no items, and fail
	// when a policy would change or refuse something. Validate is for
	// kustomize's validators list.
	Mode string `json:"mode,omitempty" enum:"Transform,Validate"`
	// Policies are policy objects of any supported kind.
	Policies []map[string]any `json:"policies,omitempty"`
	// PolicyFiles are files, folders or globs below the working directory.
	PolicyFiles []string `json:"policyFiles,omitempty"`
	// PoliciesFromItems also applies the policies found among the items.
	PoliciesFromItems bool `json:"policiesFromItems,omitempty"`
	// ClusterFacts are what the cluster would have known.
	ClusterFacts facts.Spec `json:"clusterFacts,omitempty"`
	// Images says where the digests of image tags come from.
	Images Images `json:"images,omitempty"`
	// Network says which hosts may be reached; by default none.
	Network Network `json:"network,omitempty"`
	// ControllerLabels gives generated resources the labels by which Kyverno's
	// controllers find them again.
	ControllerLabels bool `json:"controllerLabels,omitempty"`
	// DefaultResourceFilters leaves alone what a default install of Kyverno
	// never sees.
	DefaultResourceFilters bool `json:"defaultResourceFilters,omitempty"`
	// OnUnsupported is Error (the default) or Warn: what to do about a rule
	// that can't be evaluated at render time.
	OnUnsupported string `json:"onUnsupported,omitempty" enum:"Error,Warn"`
	// Verify says what to prove about the result.
	Verify Verify `json:"verify,omitempty"`
	// Results is Changes (the default), Failures or None: what goes into the
	// results of the ResourceList. Errors always do; Failures adds warnings.
	Results string `json:"results,omitempty" enum:"Changes,Failures,None"`
}

// Verify says what has to hold for the result; where it does not, that is a
// failure of the policies.
type Verify struct {
	// FixedPoint asks for a second pass, which must not change anything.
	FixedPoint bool `json:"fixedPoint,omitempty"`
	// Order asks that the result does not depend on an order of policies that no
	// cluster promises.
	Order bool `json:"order,omitempty"`
}

// Images says where the digests of image tags come from.
type Images struct {
	// Mode is Locked (the default: from the lock alone), LockedOrResolve (what
	// the lock lacks comes from the registry), Resolve (all from the registry)
	// or Off (digest rules are skipped).
	Mode string `json:"mode,omitempty" enum:"Locked,LockedOrResolve,Resolve,Off"`
	// PinAll pins every image, as a PinImages policy without a spec does.
	PinAll bool `json:"pinAll,omitempty"`
	// LockFile is a file with an ImageLock, below the working directory.
	LockFile string `json:"lockFile,omitempty"`
	// Lock is an ImageLock, inline: for containers without a mount.
	Lock map[string]any `json:"lock,omitempty"`
	// Platform, such as linux/amd64, asks for the digest of one platform, not of
	// the index.
	Platform string `json:"platform,omitempty"`
	// Mirrors name the host to ask instead of a registry.
	Mirrors map[string]string `json:"mirrors,omitempty"`
	// InsecureRegistries are asked over plain HTTP.
	InsecureRegistries []string `json:"insecureRegistries,omitempty"`
}

// Network says which hosts digest resolution may reach, and whom to trust there.
type Network struct {
	// Allow lists the hosts that may be asked; none: no host.
	Allow []string `json:"allow,omitempty"`
	// CAFile is a PEM file below the working directory, with authorities to trust
	// besides those of the system.
	CAFile string `json:"caFile,omitempty"`
	// CA is the same, inline.
	CA string `json:"ca,omitempty"`
}

// Read returns the options of a functionConfig of kind ApplyPolicies or
// ConfigMap. The error joins all faults, each with its path and, where the
// runner kept it, file and line.
func Read(r *resource.Resource) (*Spec, error) {
	o, err := r.Object()
	if err != nil {
		return nil, err
	}
	var c ApplyPolicies
	var prefix fieldpath.Path
	if r.ID().Kind == (resource.Kind{Version: "v1", Kind: "ConfigMap"}) {
		prefix = fieldpath.Path{fieldpath.Key("data")}
		spec, err := fromData(r, o)
		if err != nil {
			return nil, err
		}
		if err := faults(r, prefix, decode.Strict(spec, &c.Spec)); err != nil {
			return nil, err
		}
	} else {
		if err := faults(r, nil, decode.Strict(o, &c)); err != nil {
			return nil, err
		}
		prefix = fieldpath.Path{fieldpath.Key("spec")}
	}
	if err := faults(r, prefix, c.Spec.check()); err != nil {
		return nil, err
	}
	return &c.Spec, nil
}

// fromData parses each value of a ConfigMap's data as one YAML document.
func fromData(r *resource.Resource, o resource.Object) (map[string]any, error) {
	data, _ := o["data"].(map[string]any)
	spec := map[string]any{}
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(data)) {
		text, ok := data[key].(string)
		if !ok {
			spec[key] = data[key]
			continue
		}
		var value any
		err := yaml.UnmarshalStrict([]byte(text), &value)
		if err == nil && strings.Contains(strings.TrimPrefix(text, "---"), "\n---") {
			err = errors.New("expected one document, found ---; write several policies as a list")
		}
		if err != nil {
			path := fieldpath.Path{fieldpath.Key("data"), fieldpath.Key(key)}
			errs = append(errs, fmt.Errorf("%s at %s: expected YAML text: %w", describe(r, path), path, err))
		}
		spec[key] = value
	}
	return spec, errors.Join(errs...)
}

// check returns what is wrong with values that fit their types.
func (s *Spec) check() []decode.Fault {
	var out []decode.Fault
	for _, f := range s.ClusterFacts.Faults() {
		out = append(out, decode.Fault{Path: append(fieldpath.Path{fieldpath.Key("clusterFacts")}, f.Path...), Message: f.Message})
	}
	return out
}

// Modes are the values of images.mode; the first is the default.
var Modes = decode.Words[Images]("mode")

func faults(r *resource.Resource, prefix fieldpath.Path, found []decode.Fault) error {
	var errs []error
	for _, f := range found {
		path := append(slices.Clone(prefix), f.Path...)
		errs = append(errs, fmt.Errorf("%s at %s: %s", describe(r, path), path, f.Message))
	}
	return errors.Join(errs...)
}

func describe(r *resource.Resource, path fieldpath.Path) string {
	at := r.Origin()
	if at.File == "" {
		return "functionConfig " + r.ID().String()
	}
	if line := r.Line(path); line > 0 {
		at.Line = line
	}
	if at.File == "functionConfig" { // what a runner kept no file of
		return at.String() + " " + r.ID().String()
	}
	return at.String() + ": functionConfig " + r.ID().String()
}
