package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/spf13/cobra"

	"github.com/oneloop-dev/oneloop/pkg/artifact"
	"github.com/oneloop-dev/oneloop/pkg/digest"
	"github.com/oneloop-dev/oneloop/pkg/digest/registry"
	"github.com/oneloop-dev/oneloop/pkg/load"
	"github.com/oneloop-dev/oneloop/pkg/pipeline"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// pushTimeout bounds the push of one tag.
const pushTimeout = 5 * time.Minute

// pushOptions are the flags of push.
type pushOptions struct {
	registry    digestSource
	path        string
	tags        []string
	source      string
	revision    string
	created     string
	annotations []string
	format      string
}

func pushCommand(s *streams) *cobra.Command {
	var o pushOptions
	cmd := &cobra.Command{
		Use:   "push oci://HOST/REPOSITORY:TAG [flags]",
		Short: "Push rendered manifests as an OCI artifact that Flux applies",
		Long: `Push rendered manifests as an OCI artifact that Flux applies.

The artifact is what flux push artifact makes: a folder, a file, or what comes on
standard input, under the name manifests.yaml. Nothing is rendered. The same
files give the same digest everywhere, and a tag that has it already is left
alone. What is printed is the reference with the digest, for cosign and others.

All files of a folder go in but hidden ones, of which .sourceignore does: Flux
heeds it. No manifests at all are an error, as Flux would delete what it applied.
That a command before a pipe died halfway can't be seen: in CI, push a file.

Credentials are those of docker and podman, with their credential helpers.`,
		Example: `  # What CI rendered, with where it comes from
  oneloop push oci://ghcr.io/team/shop:$(git rev-parse --short HEAD) --tag latest -f rendered/ \
    --source "$(git remote get-url origin)" --revision "main@sha1:$(git rev-parse HEAD)"

  # A stream
  oneloop render -p policies/ manifests/ | oneloop push oci://ghcr.io/team/shop:v1.4.2 -f -

  # Signed
  cosign sign "$(oneloop push oci://ghcr.io/team/shop:v1.4.2 -f rendered/)"`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, name := range []string{"source", "revision"} {
				if f := cmd.Flags().Lookup(name); f.Changed && f.Value.String() == "" {
					return fmt.Errorf("--%s is empty: did the command fail that should have said it?", name)
				}
			}
			return runPush(cmd.Context(), s, o, args[0])
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.path, "path", "f", "-", "folder or file of manifests, or -")
	f.StringArrayVar(&o.tags, "tag", nil, "another tag for the same artifact (repeatable)")
	f.StringVar(&o.source, "source", "", "where the manifests come from, such as the URL of the repository")
	f.StringVar(&o.revision, "revision", "", "revision there, such as main@sha1:COMMIT")
	f.StringVar(&o.created, "created", "", "time of creation, such as 2026-01-31T00:00:00Z; by default SOURCE_DATE_EPOCH, or 1970-01-01T00:00:00Z")
	f.StringArrayVarP(&o.annotations, "annotations", "a", nil, "annotation of the artifact, as KEY=VALUE (repeatable)")
	f.StringVarP(&o.format, "output", "o", "text", "form of the reference: text or json")
	f.StringArrayVar(&o.registry.allow, "allow-host", nil, "host that may be reached besides the registry, such as its token service (repeatable)")
	o.registry.connectionFlags(f)
	return cmd
}

func runPush(ctx context.Context, s *streams, o pushOptions, target string) error {
	if o.format != "text" && o.format != "json" {
		return fmt.Errorf("--output %q: expected text or json", o.format)
	}
	tags, err := pushTags(target, o.tags)
	if err != nil {
		return err
	}
	created, err := creation(o.created, os.Getenv("SOURCE_DATE_EPOCH"))
	if err != nil {
		return err
	}
	annotations, err := o.annotate(s)
	if err != nil {
		return err
	}
	c, err := readContent(s, o.path)
	if err != nil {
		return err
	}
	a, err := artifact.New(c.files, created, annotations)
	if err != nil {
		return fmt.Errorf("%s: %w", o.path, err)
	}
	o.registry.allow = append(o.registry.allow, tags[0].RegistryStr())
	r, err := o.registry.registry(registry.WithTimeout(pushTimeout))
	if err != nil {
		return err
	}
	for i, tag := range tags {
		progress := newProgress(s.err, "pushing", len(tags))
		progress.at(i, digest.Reference(tag))
		changed, err := r.Push(ctx, tag, a)
		progress.end()
		if err != nil {
			return err
		}
		what := "unchanged"
		if changed {
			what = "pushed"
		}
		if i == 0 {
			what += ", " + c.String()
		}
		fmt.Fprintf(s.err, "%s: %s\n", digest.Reference(tag), what)
	}
	return o.print(s, tags[0], a.Manifest.Digest)
}

// print prints the reference, as flux push artifact does.
func (o pushOptions) print(s *streams, tag name.Tag, hash string) error {
	ref := digest.Reference(tag.Context().Digest(hash))
	if o.format == "text" {
		_, err := fmt.Fprintln(s.out, ref)
		return err
	}
	repository, _, _ := strings.Cut(ref, "@")
	out := json.NewEncoder(s.out)
	out.SetIndent("", "  ")
	return out.Encode(struct {
		URL        string `json:"url"`
		Repository string `json:"repository"`
		Tag        string `json:"tag"`
		Digest     string `json:"digest"`
	}{"oci://" + ref, repository, tag.TagStr(), hash})
}

// pushTags returns what to push to: the target first.
func pushTags(target string, more []string) ([]name.Tag, error) {
	ref, ok := strings.CutPrefix(target, "oci://")
	first, err := name.NewTag(ref, name.StrictValidation)
	if !ok || err != nil {
		return nil, fmt.Errorf("%s: expected oci://HOST/REPOSITORY:TAG, such as oci://ghcr.io/team/shop:v1", target)
	}
	out := []name.Tag{first}
	for _, t := range more {
		tag, err := name.NewTag(first.Context().Name()+":"+t, name.StrictValidation)
		if err != nil || strings.ContainsAny(t, ":/@") {
			return nil, fmt.Errorf("--tag %q: expected a tag alone, such as latest", t)
		}
		if !slices.Contains(out, tag) {
			out = append(out, tag)
		}
	}
	return out, nil
}

// creation is the time that the artifact says it was made at. It is never the
// time of day, which would make another artifact of the same manifests.
func creation(flag, epoch string) (time.Time, error) {
	if flag != "" {
		t, err := time.Parse(time.RFC3339, flag)
		if err != nil {
			return t, fmt.Errorf("--created %q: expected a time such as 2026-01-31T00:00:00Z", flag)
		}
		return t, nil
	}
	if epoch == "" {
		return time.Unix(0, 0), nil
	}
	seconds, err := strconv.ParseUint(epoch, 10, 32)
	if err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH is %q: expected seconds since 1970", epoch)
	}
	return time.Unix(int64(seconds), 0), nil
}

// annotate returns the annotations but for the time.
func (o pushOptions) annotate(s *streams) (map[string]string, error) {
	flags := map[string]string{artifact.SourceKey: "--source", artifact.RevisionKey: "--revision", artifact.CreatedKey: "--created"}
	out := map[string]string{}
	for _, a := range o.annotations {
		key, value, ok := strings.Cut(a, "=")
		if _, twice := out[key]; !ok || key == "" || value == "" || twice {
			return nil, fmt.Errorf("--annotations %q: expected KEY=VALUE, each key once", a)
		}
		if flag := flags[key]; flag != "" {
			return nil, fmt.Errorf("--annotations %q: use %s", a, flag)
		}
		out[key] = value
	}
	if o.source != "" {
		source, secret := withoutPassword(o.source)
		if secret {
			// CI systems clone with a token in the URL.
			s.warn("--source: the log-in in the URL is left out, as everybody who can pull would read it")
		}
		out[artifact.SourceKey] = source
	}
	if o.revision != "" {
		out[artifact.RevisionKey] = o.revision
	}
	return out, nil
}

// withoutPassword drops the user from a URL that has a password, or a token in
// place of the user. Passwords need not be well-formed.
func withoutPassword(source string) (string, bool) {
	scheme, rest, ok := strings.Cut(source, "://")
	authority := rest
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority = rest[:i]
	}
	at := strings.LastIndexByte(authority, '@')
	if !ok || at < 0 {
		return source, false
	}
	if !strings.Contains(authority[:at], ":") && !strings.HasPrefix(strings.ToLower(scheme), "http") {
		return source, false // ssh://git@...
	}
	return scheme + "://" + rest[at+1:], true
}

// A content is what goes into an artifact.
type content struct {
	files     map[string][]byte
	manifests int
	hidden    []string // left out
}

// String tells how much it is.
func (c content) String() string {
	out := fmt.Sprintf("%s in %s", plural(c.manifests, "manifest"), plural(len(c.files), "file"))
	if n := len(c.hidden); n > 5 {
		return fmt.Sprintf("%s; left out as hidden: %s and %d more", out, strings.Join(c.hidden[:5], ", "), n-5)
	} else if n > 0 {
		return out + "; left out as hidden: " + strings.Join(c.hidden, ", ")
	}
	return out
}

const (
	noManifests = "no manifests that Flux would apply: it would delete what it applied before"
	unbuildable = "; Flux can't build a folder like that without a kustomization.yaml"
)

// readContent reads what goes into the artifact.
func readContent(s *streams, from string) (content, error) {
	var src load.Source
	var err error
	as := "manifests.yaml"
	if from == "-" {
		if interactive(s.in) {
			return content{}, errors.New("no manifests on standard input; name a folder or a file with -f")
		}
		src, err = load.Stdin(s.in)
		from = "standard input"
	} else {
		info, statErr := os.Stat(from)
		if statErr != nil {
			return content{}, statErr
		}
		if info.IsDir() {
			return readFolder(s, from)
		}
		if as = filepath.Base(from); !fluxReads(as) {
			return content{}, fmt.Errorf("%s: Flux reads *.yaml and *.yml and no other manifests: rename it", from)
		}
		src, err = load.Read(from)
	}
	if err == nil {
		err = check(src.Resources, nil)
	}
	if err != nil {
		return content{}, err
	}
	c := content{files: map[string][]byte{as: src.Data}}
	for _, r := range src.Resources {
		if !r.LocalConfig() {
			c.manifests++
		}
	}
	if c.manifests == 0 {
		return c, fmt.Errorf("%s: %s", from, noManifests)
	}
	return c, nil
}

// readFolder reads all files. What only a kustomization can make sense of is not
// looked at.
func readFolder(s *streams, dir string) (content, error) {
	files, hidden, err := load.Folder(dir, ".sourceignore")
	if err != nil {
		return content{}, err
	}
	c := content{files: files, hidden: hidden}
	nonempty := slices.ContainsFunc(slices.Collect(maps.Keys(files)), isKustomizationFile)
	var plain []*resource.Resource
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if !fluxReads(name) {
			continue
		}
		kustomized := underKustomization(files, name)
		rs, err := resource.Parse(filepath.Join(dir, filepath.FromSlash(name)), files[name])
		nonempty = nonempty || err != nil
		if err != nil && !kustomized {
			s.warn(err.Error() + unbuildable)
		}
		for _, r := range rs {
			if r.Annotation("config.kubernetes.io/function") != "" {
				s.warn(fmt.Sprintf("%s: Flux runs no functions, and builds no kustomization that lists this one: push what is rendered", r.Origin()))
			}
			if isKustomization(r) || r.LocalConfig() {
				continue
			}
			err := r.Complete()
			if err == nil {
				c.manifests++
			}
			switch {
			case kustomized:
			case err != nil:
				s.warn(err.Error() + unbuildable)
			default:
				plain = append(plain, r)
			}
		}
	}
	if c.manifests == 0 && !nonempty {
		return c, fmt.Errorf("%s: %s", dir, noManifests)
	}
	for _, err := range pipeline.Flatten(unique(plain, nil)) {
		s.warn(err.Error() + unbuildable)
	}
	return c, nil
}

// fluxReads reports whether Flux takes a file of this name for manifests.
func fluxReads(name string) bool {
	switch path.Ext(name) {
	case ".yaml", ".yml":
		return true
	}
	return false
}

// underKustomization reports whether a kustomization says which files of a
// folder, or of one above it, are built. Without one, Flux builds all of them.
func underKustomization(files map[string][]byte, name string) bool {
	for dir := path.Dir(name); ; dir = path.Dir(dir) {
		for _, k := range kustomizationFiles {
			if _, ok := files[path.Join(dir, k)]; ok {
				return true
			}
		}
		if dir == "." {
			return false
		}
	}
}
