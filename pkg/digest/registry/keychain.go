package registry

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/authn"
)

// A dockerKeychain is authn.DefaultKeychain, asked once for each host: it starts
// credential helpers, which are programs, for each repository, and one after the
// other. Where a configuration has credentials for a repository, as podman's may,
// it is asked for each repository of that host.
type dockerKeychain struct {
	mu    sync.Mutex
	hosts map[string]func() (authn.Authenticator, error)
	text  func() string
}

func newDockerKeychain() *dockerKeychain {
	return &dockerKeychain{
		hosts: map[string]func() (authn.Authenticator, error){},
		text:  sync.OnceValue(configurations),
	}
}

// Resolve implements authn.Keychain.
func (k *dockerKeychain) Resolve(target authn.Resource) (authn.Authenticator, error) {
	return k.ResolveContext(context.Background(), target)
}

// ResolveContext implements authn.ContextKeychain.
func (k *dockerKeychain) ResolveContext(ctx context.Context, target authn.Resource) (authn.Authenticator, error) {
	host := target.RegistryStr()
	if strings.Contains(k.text(), `"`+host+"/") {
		return authn.Resolve(ctx, authn.DefaultKeychain, target)
	}
	k.mu.Lock()
	ask, ok := k.hosts[host]
	if !ok {
		ask = sync.OnceValues(func() (authn.Authenticator, error) {
			return authn.DefaultKeychain.Resolve(wholeRegistry(host))
		})
		k.hosts[host] = ask
	}
	k.mu.Unlock()
	return ask()
}

// wholeRegistry stands for all repositories of a host.
type wholeRegistry string

func (r wholeRegistry) String() string      { return string(r) }
func (r wholeRegistry) RegistryStr() string { return string(r) }

// configurations returns the texts of the files that authn.DefaultKeychain may
// read; those that can't be read are its to complain about.
func configurations() string {
	home, _ := os.UserHomeDir()
	var text strings.Builder
	for _, file := range []string{
		filepath.Join(os.Getenv("DOCKER_CONFIG"), "config.json"),
		filepath.Join(home, ".docker", "config.json"),
		os.Getenv("REGISTRY_AUTH_FILE"),
		filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "containers", "auth.json"),
		filepath.Join(os.Getenv("XDG_CONFIG_HOME"), "containers", "auth.json"),
		filepath.Join(home, ".config", "containers", "auth.json"),
	} {
		if data, err := os.ReadFile(file); err == nil {
			text.Write(data)
		}
	}
	return text.String()
}
