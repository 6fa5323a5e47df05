// Package registry resolves image tags by asking registries, through
// go-containerregistry.
//
// It reaches only hosts it was allowed to reach (WithAllow), checks the
// address of every connection, sends credentials to nobody but the registry
// they belong to and that registry's token service, and refuses a manifest
// whose bytes do not hash to its digest.
package registry

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/oneloop-dev/oneloop/pkg/digest"
)

// A Registry is a digest.Resolver and a digest.Inspector that asks the
// registry a reference names, or its mirror. It serves many goroutines; wrap
// it in digest.Memo so that each reference is asked once.
type Registry struct {
	o      options
	puller func() (*remote.Puller, error)
}

var (
	_ digest.Resolver  = (*Registry)(nil)
	_ digest.Inspector = (*Registry)(nil)
	_ digest.Describer = (*Registry)(nil)
)

type options struct {
	keychain authn.Keychain
	platform string
	mirrors  map[string]string
	insecure []string
	allow    []string
	roots    *x509.CertPool
	timeout  time.Duration
	backoff  time.Duration
}

// An Option sets one thing about a Registry.
type Option func(*options)

// WithAllow names the hosts that may be reached: registries, mirrors, token
// services, and where they redirect to. Without it no host may.
//
// An entry is host, host:port (only that port), or *.domain (its subdomains,
// on public addresses only). A host that is allowed by name may have a private
// address; it may have a loopback address only when it is itself one, or is
// localhost. Link-local and metadata addresses are never reached. Allowing
// docker.io allows the hosts of Docker Hub.
func WithAllow(hosts ...string) Option {
	return func(o *options) { o.allow = append(o.allow, hosts...) }
}

// WithMirrors tells where to ask instead of a registry: from its host to a
// host, with or without a path before the repository. Digests are still
// returned in the name of the registry.
func WithMirrors(mirrors map[string]string) Option {
	return func(o *options) { o.mirrors = mirrors }
}

// WithInsecure names registries (host, or host:port) that may be asked over
// TLS without verification, and over plain HTTP. Loopback hosts need not be
// named to be asked over plain HTTP.
func WithInsecure(hosts ...string) Option {
	return func(o *options) { o.insecure = append(o.insecure, hosts...) }
}

// WithPlatform makes tags of indexes resolve to the manifest of one platform,
// such as linux/arm64, instead of the index. The empty string is the index.
// It also chooses the platform that Inspect shows; linux/amd64 by default.
func WithPlatform(platform string) Option {
	return func(o *options) { o.platform = platform }
}

// WithKeychain sets where credentials come from. The default is
// authn.DefaultKeychain: the configuration of docker or podman, with its
// credential helpers.
func WithKeychain(k authn.Keychain) Option {
	return func(o *options) { o.keychain = k }
}

// WithRootCAs sets the certificate authorities that registries are verified
// by, instead of the system's.
func WithRootCAs(pool *x509.CertPool) Option {
	return func(o *options) { o.roots = pool }
}

// WithTimeout bounds one Resolve or Inspect, with all its requests and
// repetitions. The default is two minutes.
func WithTimeout(d time.Duration) Option {
	return func(o *options) { o.timeout = d }
}

// WithBackoff sets how long to wait before the first repetition of a request
// that failed for the moment; the time doubles with each. The default is half
// a second. A Retry-After of the registry takes precedence.
func WithBackoff(d time.Duration) Option {
	return func(o *options) { o.backoff = d }
}

// New returns a Registry. It reads no file and opens no connection before it
// is asked.
func New(opts ...Option) *Registry {
	o := options{
		keychain: authn.DefaultKeychain,
		timeout:  2 * time.Minute,
		backoff:  500 * time.Millisecond,
	}
	for _, opt := range opts {
		opt(&o)
	}
	r := &Registry{o: o}
	r.puller = sync.OnceValues(func() (*remote.Puller, error) {
		guard, err := newGuard(o.allow, o.insecure)
		if err != nil {
			return nil, err
		}
		return remote.NewPuller(
			remote.WithAuthFromKeychain(o.keychain),
			remote.WithTransport(newTransport(guard, o)),
			remote.WithUserAgent("oneloop"),
			// The transport repeats requests itself.
			remote.WithRetryStatusCodes(),
			remote.WithRetryPredicate(func(error) bool { return false }),
		)
	})
	return r
}

// Resolve asks for the digest that tag points at.
func (r *Registry) Resolve(ctx context.Context, tag name.Tag) (name.Digest, error) {
	d, err := r.Describe(ctx, tag)
	return d.Digest, err
}

// Describe asks for the digest that tag points at and for what it is of.
func (r *Registry) Describe(ctx context.Context, tag name.Tag) (digest.Description, error) {
	ctx, cancel := context.WithTimeout(ctx, r.o.timeout)
	defer cancel()
	d, err := r.describe(ctx, tag)
	if err != nil {
		return digest.Description{}, explain(tag, err)
	}
	return d, nil
}

func (r *Registry) describe(ctx context.Context, tag name.Tag) (digest.Description, error) {
	var none digest.Description
	puller, err := r.puller()
	if err != nil {
		return none, err
	}
	at, err := r.at(tag)
	if err != nil {
		return none, err
	}
	is := func(d v1.Hash, mediaType types.MediaType) digest.Description {
		return digest.Description{Digest: tag.Context().Digest(d.String()), MediaType: string(mediaType)}
	}
	if r.o.platform == "" {
		d, err := puller.Head(ctx, at)
		if err == nil && d.Digest.Algorithm == "sha256" && !schema1(d.MediaType) {
			return is(d.Digest, d.MediaType), nil
		}
		if err != nil && final(ctx, err) {
			return none, err
		}
		// Registries exist that answer HEAD with an error, or without a digest.
	}
	d, err := puller.Get(ctx, at)
	if err != nil {
		return none, err
	}
	if schema1(d.MediaType) {
		return none, errSchema1
	}
	if r.o.platform == "" {
		return is(d.Digest, d.MediaType), nil
	}
	chosen, err := r.choose(ctx, puller, at, d)
	if err != nil {
		return none, err
	}
	out := is(chosen.digest, chosen.mediaType)
	if d.MediaType.IsIndex() {
		out.Platform = r.o.platform
	}
	return out, nil
}

// Inspect asks for the manifest and the configuration of ref.
func (r *Registry) Inspect(ctx context.Context, ref name.Reference) (digest.Image, error) {
	ctx, cancel := context.WithTimeout(ctx, r.o.timeout)
	defer cancel()
	image, err := r.inspect(ctx, ref)
	if err != nil {
		return digest.Image{}, explain(ref, err)
	}
	return image, nil
}

func (r *Registry) inspect(ctx context.Context, ref name.Reference) (digest.Image, error) {
	var image digest.Image
	puller, err := r.puller()
	if err != nil {
		return image, err
	}
	at, err := r.at(ref)
	if err != nil {
		return image, err
	}
	d, err := puller.Get(ctx, at)
	if err != nil {
		return image, err
	}
	if schema1(d.MediaType) {
		return image, errSchema1
	}
	chosen, err := r.choose(ctx, puller, at, d)
	if err != nil {
		return image, err
	}
	image.Digest = ref.Context().Digest(d.Digest.String())
	if _, pinned := ref.(name.Digest); !pinned && r.o.platform != "" {
		image.Digest = ref.Context().Digest(chosen.digest.String())
	}
	image.MediaType = string(d.MediaType)
	if d.MediaType.IsIndex() {
		if image.ManifestList, err = decode(d.Manifest); err != nil {
			return image, fmt.Errorf("the index is no JSON: %w", err)
		}
	}
	if image.Manifest, err = decode(chosen.manifest); err != nil {
		return image, fmt.Errorf("the manifest is no JSON: %w", err)
	}
	if image.Config, err = decode(chosen.config); err != nil {
		return image, fmt.Errorf("the configuration is no JSON: %w", err)
	}
	return image, nil
}

// A choice is the manifest of one platform.
type choice struct {
	digest           v1.Hash
	mediaType        types.MediaType
	manifest, config []byte // config is read only where it is needed
}

// choose returns the manifest of the wanted platform: d itself, or what the
// index d lists for it. A single manifest must be of the platform that was
// asked for by name: a digest of another one would not run.
func (r *Registry) choose(ctx context.Context, puller *remote.Puller, at name.Reference, d *remote.Descriptor) (choice, error) {
	want := v1.Platform{OS: "linux", Architecture: "amd64"}
	if r.o.platform != "" {
		p, err := v1.ParsePlatform(r.o.platform)
		if err != nil {
			return choice{}, fmt.Errorf("platform %q: expected os/architecture[/variant]: %w", r.o.platform, err)
		}
		want = *p
	}
	if d.MediaType.IsIndex() {
		index, err := v1.ParseIndexManifest(strings.NewReader(string(d.Manifest)))
		if err != nil {
			return choice{}, fmt.Errorf("the index is not understood: %w", err)
		}
		child, err := pick(index, want)
		if err != nil {
			return choice{}, err
		}
		if d, err = puller.Get(ctx, at.Context().Digest(child.String())); err != nil {
			return choice{}, err
		}
		if schema1(d.MediaType) || d.MediaType.IsIndex() {
			return choice{}, fmt.Errorf("the index lists %s for %s: expected an image manifest", d.MediaType, want)
		}
	}
	image, err := d.Image()
	if err != nil {
		return choice{}, err
	}
	c := choice{digest: d.Digest, mediaType: d.MediaType, manifest: d.Manifest}
	if c.config, err = image.RawConfigFile(); err != nil {
		return choice{}, fmt.Errorf("configuration: %w", err)
	}
	if r.o.platform != "" {
		var is v1.Platform
		if err := json.Unmarshal(c.config, &is); err == nil && is.OS != "" && !is.Satisfies(want) {
			return choice{}, fmt.Errorf("it is an image for %s only: expected %s", is, want)
		}
	}
	return c, nil
}

// pick returns the first manifest of an index that runs on the platform, as
// container runtimes do.
func pick(index *v1.IndexManifest, want v1.Platform) (v1.Hash, error) {
	var have []string
	for _, m := range index.Manifests {
		// An entry without a platform counts as linux/amd64, as in
		// go-containerregistry and Kyverno.
		p := v1.Platform{OS: "linux", Architecture: "amd64"}
		if m.Platform != nil {
			p = *m.Platform
		}
		if p.Satisfies(want) {
			return m.Digest, nil
		}
		if p.OS != "unknown" {
			have = append(have, p.String())
		}
	}
	return v1.Hash{}, fmt.Errorf("the index has no image for %s, only for %s", want, strings.Join(have, ", "))
}

// at returns the reference to ask for: ref, or the same in the mirror of its
// registry.
func (r *Registry) at(ref name.Reference) (name.Reference, error) {
	repo := ref.Context()
	host := repo.RegistryStr()
	for from, to := range r.o.mirrors {
		if canonicalHost(from) != canonicalHost(host) {
			continue
		}
		to = strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(to, "https://"), "http://"), "/")
		var err error
		mirror, path, _ := strings.Cut(to, "/")
		if path != "" {
			path += "/"
		}
		host = mirror
		repo, err = name.NewRepository(mirror + "/" + path + repo.RepositoryStr())
		if err != nil {
			return nil, fmt.Errorf("mirror %q of %s: expected host or host/path: %w", to, from, err)
		}
		break
	}
	// The name decides whether plain HTTP is tried at all.
	for _, insecure := range r.o.insecure {
		if hostMatches(insecure, host) {
			registry, err := name.NewRegistry(repo.RegistryStr(), name.Insecure)
			if err != nil {
				return nil, err
			}
			repo.Registry = registry
			break
		}
	}
	switch ref := ref.(type) {
	case name.Tag:
		return repo.Tag(ref.TagStr()), nil
	case name.Digest:
		return repo.Digest(ref.DigestStr()), nil
	}
	return nil, fmt.Errorf("%T: expected a tag or a digest", ref)
}

var errSchema1 = fmt.Errorf("it is a schema 1 image, whose digest cannot be pulled: push it again with a current client: %w", errors.ErrUnsupported)

func schema1(t types.MediaType) bool {
	return t == types.DockerManifestSchema1 || t == types.DockerManifestSchema1Signed
}

// final reports whether asking once more, in another way, is pointless.
func final(ctx context.Context, err error) bool {
	if ctx.Err() != nil {
		return true
	}
	var refused *refusedError
	if errors.As(err, &refused) {
		return true
	}
	var t *transport.Error
	if errors.As(err, &t) {
		switch t.StatusCode {
		case http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests:
			return true
		}
		return t.StatusCode >= 500
	}
	return false
}

// explain says which reference could not be resolved, why, and what to do.
func explain(ref name.Reference, err error) error {
	var t *transport.Error
	if errors.As(err, &t) {
		switch t.StatusCode {
		case http.StatusUnauthorized, http.StatusForbidden:
			return fmt.Errorf("ask the registry for %s: %w (log in with `docker login %s`, or check that the image exists)",
				ref.Name(), err, ref.Context().RegistryStr())
		case http.StatusTooManyRequests:
			return fmt.Errorf("ask the registry for %s: %w (log in for a higher limit, ask a mirror, or lock the image)", ref.Name(), err)
		case http.StatusNotFound:
			return fmt.Errorf("ask the registry for %s: no such image: %w", ref.Name(), err)
		}
	}
	return fmt.Errorf("ask the registry for %s: %w", ref.Name(), err)
}

// decode reads JSON into plain values: integers become int64.
func decode(data []byte) (any, error) {
	d := json.NewDecoder(strings.NewReader(string(data)))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	return numbers(v), nil
}

func numbers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			v[k] = numbers(e)
		}
	case []any:
		for i, e := range v {
			v[i] = numbers(e)
		}
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return i
		}
		f, _ := v.Float64()
		return f
	}
	return v
}
