package cli

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/oneloop-dev/oneloop/pkg/config"
	"github.com/oneloop-dev/oneloop/pkg/digest"
	"github.com/oneloop-dev/oneloop/pkg/digest/lock"
	"github.com/oneloop-dev/oneloop/pkg/digest/registry"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// maxRequests is how many registry requests run at once.
const maxRequests = 8

// A digestSource says where the digests of a run come from.
type digestSource struct {
	mode     string
	platform string
	mirrors  map[string]string
	insecure []string
	allow    []string
	// referenced are hosts that image references name.
	referenced []string
	caFiles    []string
	ca         []byte // PEM, besides the files
	cacheDir   string
	pinAll     bool
	// record takes down what registries answer; nil: nobody wants to know.
	record *digest.Recorder
}

// resolver composes the sources of digests as the mode says. atHand is the part
// that answers without asking anybody, and nil when that is all. lockHint and
// networkHint tell, in the words of the caller's options, what to give.
func (d digestSource) resolver(locks []*resource.Resource, lockHint, networkHint string) (all, atHand digest.Resolver, err error) {
	if d.mode == "" {
		d.mode = config.Modes[0]
	}
	if !slices.Contains(config.Modes, d.mode) {
		return nil, nil, fmt.Errorf("digest mode %q: expected %s", d.mode, strings.Join(config.Modes, ", "))
	}
	var parsed []*lock.Lock
	var locked []digest.Resolver
	var errs []error
	for _, r := range locks {
		l, err := lock.Parse(r)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		parsed, locked = append(parsed, l), append(locked, l.Resolver())
	}
	if err := errors.Join(append(errs, lock.Agree(parsed...))...); err != nil {
		return nil, nil, err
	}
	none := digest.None(fmt.Sprintf("write a lock with oneloop lock and give it in %s, or allow to ask the registry: %s", lockHint, networkHint))
	switch d.mode {
	case "Off":
		return digest.Off{}, nil, nil
	case "Locked":
		return digest.First(append(locked, none)...), nil, nil
	case "Resolve":
		locked = nil
	}
	if len(d.allow) == 0 {
		return nil, nil, fmt.Errorf("digest mode %s needs the registries' hosts in network.allow (--allow-host)", d.mode)
	}
	asked, err := d.registry()
	if err != nil {
		return nil, nil, err
	}
	var source digest.Resolver = asked
	if d.record != nil {
		source = d.record.Record(asked)
	}
	ask := digest.Memo(digest.Limit(source, maxRequests))
	return digest.First(slices.Concat(locked, []digest.Resolver{ask})...),
		digest.First(append(locked, none)...), nil
}

// registry asks the registries, and nobody who is not allowed.
func (d digestSource) registry(more ...registry.Option) (*registry.Registry, error) {
	roots, err := d.authorities()
	if err != nil {
		return nil, err
	}
	return registry.New(append([]registry.Option{
		registry.WithAllow(d.allow...),
		registry.WithReferenced(d.referenced...),
		registry.WithRootCAs(roots),
		registry.WithCache(d.cacheDir),
		registry.WithMirrors(d.mirrors),
		registry.WithInsecure(d.insecure...),
		registry.WithPlatform(d.platform),
	}, more...)...), nil
}

// authorities are those of the system and those that the user adds; nil when
// there is nothing to add.
func (d digestSource) authorities() (*x509.CertPool, error) {
	var pool *x509.CertPool
	var err error
	if len(d.ca) > 0 {
		if pool, err = registry.AddCAs(pool, d.ca); err != nil {
			return nil, fmt.Errorf("network.ca: %w", err)
		}
	}
	for _, file := range d.caFiles {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		if pool, err = registry.AddCAs(pool, text); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	return pool, nil
}

// connectionFlags are those of all commands that may speak to registries.
func (d *digestSource) connectionFlags(f *pflag.FlagSet) {
	f.StringArrayVar(&d.insecure, "insecure-registry", nil, "registry to speak to over plain HTTP (repeatable)")
	f.StringArrayVar(&d.caFiles, "registry-ca", nil, "file with certificates of authorities to trust besides those of the system (repeatable)")
}

// flags are those of all commands that may ask registries for digests.
func (d *digestSource) flags(f *pflag.FlagSet) {
	f.BoolVar(&d.pinAll, "pin-all", false, "pin every image, also those that no policy asks for")
	f.StringArrayVar(&d.allow, "allow-host", nil, "host that may be asked for digests (repeatable)")
	f.StringToStringVar(&d.mirrors, "mirror", nil, "ask another host for a registry, as REGISTRY=HOST (repeatable)")
	d.connectionFlags(f)
	f.StringVar(&d.cacheDir, "cache-dir", "", "keep manifests in this folder, by digest, and ask for none twice")
	f.StringVar(&d.platform, "platform", "", "resolve to the digest of one platform, such as linux/amd64, not of the index")
}
