// Package registry speaks to registries, through go-containerregistry: it
// resolves image tags, reads what images say and who signed them, and pushes
// artifacts.
//
// It reaches only hosts it was allowed to reach (WithAllow), checks the
// address of every connection, sends credentials to nobody but the registry
// they belong to and that registry's token service, and refuses a manifest
// whose bytes do not hash to its digest.
package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode"

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
	o       options
	options func() ([]remote.Option, error)
	puller  func() (*remote.Puller, error)
	pusher  func() (*remote.Pusher, error)
	// denied has the errors of repositories that may not be read, by name: to log
	// in again for each of their tags could lock an account.
	denied sync.Map
	// signed has the signatures of images, so that one look serves all attestors.
	signed sync.Map
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
	named    []string
	cache    cache
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
// localhost. Link-local and metadata addresses are never reached. A few public
// registries bring along the hosts that they can't do without (wellknown.go).
func WithAllow(hosts ...string) Option {
	return func(o *options) { o.allow = append(o.allow, hosts...) }
}

// WithReferenced names hosts that may be reached because image references name
// them, and for no other reason. Their names may not lead to a private address.
func WithReferenced(hosts ...string) Option {
	return func(o *options) { o.named = append(o.named, hosts...) }
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

// WithKeychain sets where credentials come from. The default is the
// configuration of docker or podman, with its credential helpers.
func WithKeychain(k authn.Keychain) Option {
	return func(o *options) { o.keychain = k }
}

// WithRootCAs sets the certificate authorities that registries are verified
// by, instead of the system's; AddCAs makes one of both.
func WithRootCAs(pool *x509.CertPool) Option {
	return func(o *options) { o.roots = pool }
}

// WithCache keeps manifests and configurations in a folder, by digest, so that
// what has been read once is not asked for again. By default nothing is kept.
func WithCache(dir string) Option {
	return func(o *options) { o.cache = cache(dir) }
}

// WithTimeout bounds one Resolve, Inspect or Push, with all its requests and
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
		keychain: newDockerKeychain(),
		timeout:  2 * time.Minute,
		backoff:  500 * time.Millisecond,
	}
	for _, opt := range opts {
		opt(&o)
	}
	r := &Registry{o: o}
	r.options = sync.OnceValues(func() ([]remote.Option, error) {
		guard, err := newGuard(o.allow, o.named, o.insecure)
		if err != nil {
			return nil, err
		}
		return []remote.Option{
			remote.WithAuthFromKeychain(o.keychain),
			remote.WithTransport(newTransport(guard, o)),
			remote.WithUserAgent("oneloop"),
			// The transport repeats requests itself.
			remote.WithRetryStatusCodes(),
			remote.WithRetryPredicate(func(error) bool { return false }),
		}, nil
	})
	r.puller = sync.OnceValues(func() (*remote.Puller, error) {
		opts, err := r.options()
		if err != nil {
			return nil, err
		}
		return remote.NewPuller(opts...)
	})
	r.pusher = sync.OnceValues(func() (*remote.Pusher, error) {
		opts, err := r.options()
		if err != nil {
			return nil, err
		}
		return remote.NewPusher(opts...)
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
	d, err := oncePerRepository(r, tag, func() (digest.Description, error) { return r.describe(ctx, tag) })
	if err != nil {
		return digest.Description{}, explain(tag, err)
	}
	return d, nil
}

// oncePerRepository asks, unless the repository of ref was denied before.
func oncePerRepository[T any](r *Registry, ref name.Reference, ask func() (T, error)) (T, error) {
	repo := ref.Context().Name()
	if err, ok := r.denied.Load(repo); ok {
		var none T
		return none, err.(error)
	}
	answer, err := ask()
	var t *transport.Error
	if errors.As(err, &t) && (t.StatusCode == http.StatusUnauthorized || t.StatusCode == http.StatusForbidden) {
		r.denied.Store(repo, err)
	}
	return answer, err
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
	ctx = context.WithValue(ctx, askedRegistry{}, at.Context().RegistryStr())
	is := func(d v1.Hash, mediaType types.MediaType) digest.Description {
		return digest.Description{Digest: tag.Context().Digest(d.String()), MediaType: string(mediaType)}
	}
	if r.o.platform == "" {
		d, err := puller.Head(ctx, at)
		if err == nil && d.Digest.Algorithm == "sha256" && isManifest(mediaTypeOf(d.MediaType)) {
			return is(d.Digest, mediaTypeOf(d.MediaType)), nil
		}
		if err != nil && final(ctx, err) {
			return none, err
		}
		// Registries exist that answer HEAD with an error, or without a digest.
	}
	m, err := r.manifest(ctx, puller, at)
	if err != nil {
		return none, err
	}
	if r.o.platform == "" {
		return is(m.digest, m.mediaType), nil
	}
	chosen, err := r.choose(ctx, puller, at.Context(), m)
	if err != nil {
		return none, err
	}
	out := is(chosen.digest, chosen.mediaType)
	if m.mediaType.IsIndex() {
		out.Platform = r.o.platform
	}
	return out, nil
}

// Inspect asks for the manifest and the configuration of ref.
func (r *Registry) Inspect(ctx context.Context, ref name.Reference) (digest.Image, error) {
	ctx, cancel := context.WithTimeout(ctx, r.o.timeout)
	defer cancel()
	image, err := oncePerRepository(r, ref, func() (digest.Image, error) { return r.inspect(ctx, ref) })
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
	ctx = context.WithValue(ctx, askedRegistry{}, at.Context().RegistryStr())
	m, err := r.manifest(ctx, puller, at)
	if err != nil {
		return image, err
	}
	chosen, err := r.choose(ctx, puller, at.Context(), m)
	if err != nil {
		return image, err
	}
	named := m
	if _, pinned := ref.(name.Digest); !pinned && r.o.platform != "" && m.mediaType.IsIndex() {
		named, image.Platform = chosen.manifest, r.o.platform
	}
	image.Digest = ref.Context().Digest(named.digest.String())
	image.MediaType = string(named.mediaType)
	if m.mediaType.IsIndex() {
		if image.ManifestList, err = decode(m.data); err != nil {
			return image, fmt.Errorf("the index is no JSON: %w", err)
		}
	}
	if image.Manifest, err = decode(chosen.data); err != nil {
		return image, fmt.Errorf("the manifest is no JSON: %w", err)
	}
	if image.Config, err = decode(chosen.config); err != nil {
		return image, fmt.Errorf("the configuration is no JSON: %w", err)
	}
	return image, nil
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
		repo, err = name.NewRepository(mirror + "/" + path + repo.RepositoryStr())
		if err != nil {
			return nil, fmt.Errorf("mirror %q of %s: expected host or host/path: %w", to, from, err)
		}
		break
	}
	repo, err := r.scheme(repo)
	if err != nil {
		return nil, err
	}
	switch ref := ref.(type) {
	case name.Tag:
		return repo.Tag(ref.TagStr()), nil
	case name.Digest:
		return repo.Digest(ref.DigestStr()), nil
	}
	return nil, fmt.Errorf("%T: expected a tag or a digest", ref)
}

// scheme returns repo with the name that decides whether plain HTTP is tried at
// all.
func (r *Registry) scheme(repo name.Repository) (name.Repository, error) {
	if !matchesAny(r.o.insecure, repo.RegistryStr()) {
		return repo, nil
	}
	registry, err := name.NewRegistry(repo.RegistryStr(), name.Insecure)
	if err != nil {
		return repo, err
	}
	repo.Registry = registry
	return repo, nil
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
	hint := hintFor(err)
	var t *transport.Error
	switch {
	case !errors.As(err, &t):
	case t.StatusCode == http.StatusUnauthorized, t.StatusCode == http.StatusForbidden:
		hint = fmt.Sprintf(" (log in with `docker login %s`, or check that the image exists)", ref.Context().RegistryStr())
	case t.StatusCode == http.StatusTooManyRequests:
		hint = " (log in for a higher limit, ask a mirror, or lock the image)"
	case t.StatusCode == http.StatusNotFound:
		return fmt.Errorf("ask the registry for %s: no such image: %w", digest.Reference(ref), oneLine{err})
	}
	return fmt.Errorf("ask the registry for %s: %w%s", digest.Reference(ref), oneLine{err}, hint)
}

// hintFor says what to do about a connection that was not made.
func hintFor(err error) string {
	var cert *tls.CertificateVerificationError
	if errors.As(err, &cert) {
		return " (trust its authority with network.ca or --registry-ca)"
	}
	return ""
}

// oneLine is an error in whose text a server had its say: it moves no cursor and
// fills no screen.
type oneLine struct{ error }

func (e oneLine) Unwrap() error { return e.error }

func (e oneLine) Error() string {
	text := strings.Join(strings.FieldsFunc(e.error.Error(), func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r)
	}), " ")
	if len(text) > 1000 {
		text = strings.ToValidUTF8(text[:1000], "") + "..."
	}
	return text
}
