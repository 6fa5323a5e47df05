package cli

import (
	"errors"
	"fmt"
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
	pinAll   bool
}

// resolver composes the sources of digests as the mode says. lockHint and
// networkHint tell, in the words of the caller's options, what to give.
func (d digestSource) resolver(locks []*resource.Resource, lockHint, networkHint string) (digest.Resolver, error) {
	if d.mode == "" {
		d.mode = config.Modes[0]
	}
	if !slices.Contains(config.Modes, d.mode) {
		return nil, fmt.Errorf("digest mode %q: expected %s", d.mode, strings.Join(config.Modes, ", "))
	}
	var locked []digest.Resolver
	var errs []error
	for _, r := range locks {
		l, err := lock.Parse(r)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		locked = append(locked, l.Resolver())
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	none := digest.None(fmt.Sprintf("write a lock with oneloop lock and give it in %s, or allow to ask the registry: %s", lockHint, networkHint))
	switch d.mode {
	case "Off":
		return digest.Off{}, nil
	case "Locked":
		return digest.First(append(locked, none)...), nil
	}
	if len(d.allow) == 0 {
		return nil, fmt.Errorf("digest mode %s needs the registries' hosts in network.allow (--allow-host)", d.mode)
	}
	ask := digest.Memo(digest.Limit(d.registry(), maxRequests))
	if d.mode == "Resolve" {
		return ask, nil
	}
	return digest.First(append(locked, ask)...), nil
}

// registry asks the registries, and nobody who is not allowed.
func (d digestSource) registry() *registry.Registry {
	return registry.New(
		registry.WithAllow(d.allow...),
		registry.WithMirrors(d.mirrors),
		registry.WithInsecure(d.insecure...),
		registry.WithPlatform(d.platform),
	)
}

// flags are those of all commands that may ask registries.
func (d *digestSource) flags(f *pflag.FlagSet) {
	f.BoolVar(&d.pinAll, "pin-all", false, "pin every image, also those that no policy asks for")
	f.StringArrayVar(&d.allow, "allow-host", nil, "host that may be asked for digests (repeatable)")
	f.StringArrayVar(&d.insecure, "insecure-registry", nil, "registry to ask over plain HTTP (repeatable)")
	f.StringToStringVar(&d.mirrors, "mirror", nil, "ask another host for a registry, as REGISTRY=HOST (repeatable)")
	f.StringVar(&d.platform, "platform", "", "resolve to the digest of one platform, such as linux/amd64, not of the index")
}
