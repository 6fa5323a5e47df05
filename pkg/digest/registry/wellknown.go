package registry

// wellKnown says, for public registries that need more than one host, which
// ones: without it, nobody could allow them by their name. For every other
// registry the error names the host to allow.
var wellKnown = map[string]struct {
	// with are the hosts of the same service, its token service included: who
	// allows the registry allows them.
	with []string
	// redirects are patterns of the hosts that it redirects to. They are reached
	// only on its behalf, at public addresses, over TLS and without credentials.
	redirects []string
}{
	"index.docker.io": {
		with:      []string{"docker.io", "index.docker.io", "registry-1.docker.io", "auth.docker.io"},
		redirects: []string{"production.cloudflare.docker.com", "production.cloudfront.docker.com", "*.r2.cloudflarestorage.com"},
	},
	// Manifests come from Google's registries, configurations also from Amazon's
	// storage.
	"registry.k8s.io":     {redirects: []string{"*.pkg.dev", "*.amazonaws.com"}},
	"ghcr.io":             {redirects: []string{"pkg-containers.githubusercontent.com"}},
	"quay.io":             {redirects: []string{"*.quay.io"}},
	"mcr.microsoft.com":   {redirects: []string{"*.data.mcr.microsoft.com"}},
	"public.ecr.aws":      {redirects: []string{"*.cloudfront.net"}},
	"registry.gitlab.com": {with: []string{"gitlab.com"}},
}
