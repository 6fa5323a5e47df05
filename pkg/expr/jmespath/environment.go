package jmespath

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
)

// environmentFunctions are those whose answer depends on more than their
// arguments.
var environmentFunctions = []function{
	{name: "is_external_url", params: []kind{aString}, boolean: true, note: "whether the URL's host, an IP address, is neither loopback nor private", body: isExternalURL},
	{name: "random", params: []kind{aString}, result: aString, note: "never available: it would make the output differ from run to run", body: random, never: errRandom},
}

var errRandom = fmt.Errorf("it makes the output differ from run to run; derive the value from the resource instead, for example with sha256 or truncate: %w", errors.ErrUnsupported)

func random(_ *run, args []any) (any, error) {
	if args[0].(string) == "" {
		return nil, errors.New("the pattern is empty")
	}
	return nil, errRandom
}

func isExternalURL(_ *run, args []any) (any, error) {
	u, err := url.Parse(args[0].(string))
	if err != nil {
		return nil, err
	}
	host := u.Hostname()
	if host == "" {
		return nil, fmt.Errorf("%q has no host", args[0])
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return nil, fmt.Errorf("it asks DNS for the host %q, which would make the output differ from run to run; give an IP address: %w", host, errors.ErrUnsupported)
	}
	ip = ip.WithZone("").Unmap()
	return !ip.IsLoopback() && !ip.IsPrivate(), nil
}
