//go:build e2e

package e2e

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"flag"
	"io"
	"os"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/payload"
)

// newKeys NAME... makes keys: NAME.key, and the environment variable NAME with the
// public key as it stands in quotes.
func newKeys(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: newkey NAME...")
	}
	for _, arg := range args {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		ts.Check(err)
		private, err := cryptoutils.MarshalPrivateKeyToPEM(key)
		ts.Check(err)
		ts.Check(os.WriteFile(ts.MkAbs(arg+".key"), private, 0o600))
		public, err := cryptoutils.MarshalPublicKeyToPEM(key.Public())
		ts.Check(err)
		ts.Setenv(arg, strings.ReplaceAll(string(public), "\n", `\n`))
	}
}

// sign [-of DIGEST] [-tampered] [-referrer] KEY REFERENCE signs an image as cosign
// does, beside the signatures that it has: with a payload that names another
// digest, with a payload that was changed afterwards, or as a referrer.
func sign(ts *testscript.TestScript, neg bool, args []string) {
	f := flag.NewFlagSet("sign", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	of := f.String("of", "", "")
	tampered := f.Bool("tampered", false, "")
	referrer := f.Bool("referrer", false, "")
	if err := f.Parse(args); err != nil || neg || f.NArg() != 2 {
		ts.Fatalf("usage: sign [-of DIGEST] [-tampered] [-referrer] KEY REFERENCE")
	}
	key, err := cryptoutils.UnmarshalPEMToPrivateKey([]byte(ts.ReadFile(f.Arg(0)+".key")), nil)
	ts.Check(err)
	signer, err := signature.LoadSigner(key, crypto.SHA256)
	ts.Check(err)
	ref, err := name.ParseReference(f.Arg(1))
	ts.Check(err)
	image, err := remote.Get(ref)
	ts.Check(err)
	subject := ref.Context().Digest(image.Digest.String())
	named := subject
	if *of != "" {
		named = ref.Context().Digest(*of)
	}
	text, err := payload.Cosign{Image: named}.MarshalJSON()
	ts.Check(err)
	raw, err := signer.SignMessage(bytes.NewReader(text))
	ts.Check(err)
	if *tampered {
		text = bytes.ReplaceAll(text, []byte(named.DigestStr()), []byte(subject.DigestStr()))
		text = append(text, '\n')
	}
	layer := mutate.Addendum{
		Layer:       static.NewLayer(text, "application/vnd.dev.cosign.simplesigning.v1+json"),
		MediaType:   "application/vnd.dev.cosign.simplesigning.v1+json",
		Annotations: map[string]string{"dev.cosignproject.cosign/signature": base64.StdEncoding.EncodeToString(raw)},
	}
	tag := ref.Context().Tag(strings.Replace(subject.DigestStr(), ":", "-", 1) + ".sig")
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	if *referrer {
		base = mutate.ConfigMediaType(base, "application/vnd.dev.cosign.artifact.sig.v1+json")
	} else if was, err := remote.Image(tag); err == nil {
		base = was
	}
	signatures, err := mutate.Append(base, layer)
	ts.Check(err)
	if !*referrer {
		ts.Check(remote.Write(tag, signatures))
		return
	}
	refers, ok := mutate.Subject(signatures, v1.Descriptor{MediaType: image.MediaType, Size: image.Size, Digest: image.Digest}).(v1.Image)
	if !ok {
		ts.Fatalf("a manifest with a subject is no image")
	}
	digest, err := refers.Digest()
	ts.Check(err)
	ts.Check(remote.Write(ref.Context().Digest(digest.String()), refers))
}
