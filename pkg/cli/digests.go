package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

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
	none := digest.None(fmt.Sprintf("give it in %s, or allow to ask the registry: %s", lockHint, networkHint))
	switch d.mode {
	case "Off":
		return digest.Off{}, nil
	case "Locked":
		return digest.First(append(locked, none)...), nil
	}
	if len(d.allow) == 0 {
		return nil, fmt.Errorf("digest mode %s needs the registries' hosts in network.allow (--allow-host)", d.mode)
	}
	ask := digest.Memo(digest.Limit(registry.New(
		registry.WithAllow(d.allow...),
		registry.WithMirrors(d.mirrors),
		registry.WithInsecure(d.insecure...),
		registry.WithPlatform(d.platform),
	), maxRequests))
	if d.mode == "Resolve" {
		return ask, nil
	}
	return digest.First(append(locked, ask)...), nil
}
