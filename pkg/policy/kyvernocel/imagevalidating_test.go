package kyvernocel

import (
	stdcmp "cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/oneloop-dev/oneloop/pkg/digest"
	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/resource"
	"github.com/oneloop-dev/oneloop/pkg/signature"
)

const (
	sum   = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	other = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

// images resolve every tag but "gone" to sum. Those of a repository with signed in
// its name are signed, those with unknown nobody knows about.
type images struct{}

func (images) Resolve(_ context.Context, tag name.Tag) (name.Digest, error) {
	if tag.TagStr() == "gone" {
		return name.Digest{}, fmt.Errorf("the digest of %s is %w", tag, digest.ErrMissing)
	}
	return tag.Digest(sum), nil
}

func (images) Verify(_ context.Context, image name.Digest, _ *signature.Attestor) error {
	switch {
	case strings.Contains(image.Name(), "unknown"):
		return fmt.Errorf("the signature of %s is %w", image, digest.ErrMissing)
	case strings.Contains(image.Name(), "/signed"):
		return nil
	}
	return fmt.Errorf("%s: %w", image, signature.ErrUnverified)
}

// imagePolicyText is an ImageValidatingPolicy for Pods with more of a spec.
func imagePolicyText(spec string) string {
	if !strings.Contains(spec, "attestors:") {
		spec += "  attestors: []\n"
	}
	if !strings.Contains(spec, "validations:") {
		spec += "  validations: []\n"
	}
	return `
apiVersion: policies.kyverno.io/v1
kind: ImageValidatingPolicy
metadata: {name: p}
spec:
  matchConstraints:
    resourceRules:
    - {apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}
` + spec
}

const quiet = "  validationConfigurations: {mutateDigest: false, verifyDigest: false, required: false}\n"

func pod(references ...string) string {
	text := "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n  containers:\n"
	for i, r := range references {
		text += fmt.Sprintf("  - {name: c%d, image: %q}\n", i, r)
	}
	return text
}

// run applies programs in order, and returns the resource that comes out.
func run(t testing.TB, programs []policy.Program, text string, resolver digest.Resolver) (resource.Object, []policy.Result) {
	t.Helper()
	o := object(t, text)
	var all []policy.Result
	for _, p := range programs {
		results, err := p.Apply(context.Background(), policy.Input{ID: resource.IDOf(o), Object: o, Facts: facts.New(), Digests: resolver})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range results {
			if r.Outcome == policy.Mutated {
				o = r.Object
			}
		}
		all = append(all, results...)
	}
	return o, all
}

// imagesOf returns the references of a Pod or a Pod template.
func imagesOf(o resource.Object) []string {
	spec, _ := o["spec"].(map[string]any)
	for _, step := range []string{"jobTemplate", "spec", "template", "spec"} {
		if next, ok := spec[step].(map[string]any); ok {
			spec = next
		}
	}
	var out []string
	for _, list := range []string{"initContainers", "containers", "ephemeralContainers"} {
		containers, _ := spec[list].([]any)
		for _, c := range containers {
			out = append(out, c.(map[string]any)["image"].(string))
		}
	}
	return out
}

func TestPin(t *testing.T) {
	on := "  validationConfigurations: {verifyDigest: false, required: false}\n"
	tests := []struct {
		name, spec, text string
		want             []string
		message          string // of a failure, or after "ignored: " of what does not count
	}{
		{"a tag", on, pod("ghcr.io/a:1"), []string{"ghcr.io/a:1@" + sum}, ""},
		{"in full", on, pod("nginx"), []string{"docker.io/nginx:latest@" + sum}, ""},
		{"a digest stays", on, pod("ghcr.io/a:1@" + other), []string{"ghcr.io/a:1@" + other}, ""},
		{"each by itself", on, pod("a:gone", "ghcr.io/b:1"), []string{"a:gone", "ghcr.io/b:1@" + sum}, "spec.containers[0].image: the digest of"},
		{"no reference", on, pod("UPPER"), []string{"UPPER"}, "UPPER"},
		{"by a glob", on + "  matchImageReferences: [{glob: 'docker.io/*'}]\n", pod("nginx:1", "ghcr.io/a:1"), []string{"docker.io/nginx:1@" + sum, "ghcr.io/a:1"}, ""},
		{"by an expression", on + "  matchImageReferences: [{expression: 'ref.endsWith(\":1\")'}]\n", pod("ghcr.io/a:1", "ghcr.io/a:2"), []string{"ghcr.io/a:1@" + sum, "ghcr.io/a:2"}, ""},
		{"by an expression that fails", on + "  matchImageReferences: [{expression: 'ref.split(\"@\")[1] == \"\"'}]\n", pod("ghcr.io/a:1"), []string{"ghcr.io/a:1"}, "index out of bounds"},
		{"of a Deployment", on, strings.Replace(strings.Replace(pod("ghcr.io/a:1"), "kind: Pod", "kind: Deployment", 1), "v1\n", "apps/v1\n", 1), nil, ""},
		{"of a template", on, "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: {template: {spec: {initContainers: [{name: i, image: 'ghcr.io/i:1'}], containers: [{name: c, image: 'ghcr.io/a:1'}]}}}", []string{"ghcr.io/i:1@" + sum, "ghcr.io/a:1@" + sum}, ""},
		{"of a CronJob", on, "apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: d}\nspec: {jobTemplate: {spec: {template: {spec: {containers: [{name: c, image: 'ghcr.io/a:1'}]}}}}}", []string{"ghcr.io/a:1@" + sum}, ""},
		{"conditions are rewritten for templates", on + "  matchConditions: [{name: c, expression: 'object.spec.hostPID && object.metadata.labels.a == \"b\"'}]\n",
			"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: {template: {metadata: {labels: {a: b}}, spec: {hostPID: true, containers: [{name: c, image: 'ghcr.io/a:1'}]}}}", []string{"ghcr.io/a:1@" + sum}, ""},
		{"but not the namespace", on + "  matchConditions: [{name: c, expression: 'object.metadata.namespace == \"default\"'}]\n",
			"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: {template: {spec: {containers: [{name: c, image: 'ghcr.io/a:1'}]}}}", []string{"ghcr.io/a:1@" + sum}, ""},
		{"a controller that is not chosen", on + "  autogen: {podControllers: {controllers: [cronjobs]}}\n", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: {template: {spec: {containers: [{name: c, image: 'ghcr.io/a:1'}]}}}", []string{"ghcr.io/a:1"}, ""},
		{"another kind", on, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: d}", nil, ""},
		{"a condition that is false", on + "  matchConditions: [{name: c, expression: 'false'}]\n", pod("ghcr.io/a:1"), []string{"ghcr.io/a:1"}, ""},
		{"a condition that fails", on + "  matchConditions: [{name: c, expression: 'object.nope == 1'}]\n", pod("ghcr.io/a:1"), []string{"ghcr.io/a:1"}, "no such key: nope"},
		{"a condition that may fail", on + "  failurePolicy: Ignore\n  matchConditions: [{name: c, expression: 'object.nope == 1'}]\n", pod("ghcr.io/a:1"), []string{"ghcr.io/a:1"}, "ignored: no such key: nope; failurePolicy: Ignore passes over it"},
		{"a reference without Deny", on + "  validationActions: [Audit]\n", pod("UPPER"), []string{"UPPER"}, "ignored: without Deny in validationActions the policy only reports it"},
		{"only what Denies is refused", on + "  validationActions: [Audit]\n", pod("a:gone"), []string{"a:gone"}, "the digest of"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			set := compiled(t, imagePolicyText(tt.spec))
			o, results := run(t, set.Programs, tt.text, images{})
			if tt.name != "of a Deployment" { // which has no containers where a Pod has them
				if d := cmp.Diff(tt.want, imagesOf(o)); d != "" {
					t.Errorf("(-want +got):\n%s", d)
				}
			}
			var failure, passedOver error
			for _, r := range results {
				failure, passedOver = stdcmp.Or(r.Err, failure), stdcmp.Or(r.Ignored, passedOver)
			}
			got, message := failure, tt.message
			if rest, ok := strings.CutPrefix(message, "ignored: "); ok {
				got, message = passedOver, rest
			}
			if message == "" && got != nil || message != "" && (got == nil || !strings.Contains(got.Error(), message)) {
				t.Errorf("error %v, want %q", got, message)
			}
			if failure != nil && passedOver != nil {
				t.Errorf("both %v and, ignored, %v", failure, passedOver)
			}
		})
	}
}

// publicKey returns a public key in PEM, indented for YAML.
func publicKey(t testing.TB) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	return strings.ReplaceAll(text, "\n", `\n`)
}

func TestCheck(t *testing.T) {
	key := publicKey(t)
	signed := "  attestors:\n  - name: us\n    cosign: {key: {data: \"" + key + "\"}, ctlog: {insecureIgnoreTlog: true}}\n"
	verifies := "  validations: [{expression: 'images.containers.all(i, verifyImageSignatures(i, [attestors.us]) > 0)', message: not signed}]\n"
	validation := func(text string) string { return quiet + "  validations: [{expression: '" + text + "'}]\n" }
	tests := []struct {
		name, spec, text string
		outcome          policy.Outcome
		message          string
	}{
		{"all is on, and a digest is missing", "  validationConfigurations: {mutateDigest: false}\n", pod("a:1"), policy.Denied, "image a:1 does not have a digest"},
		{"required, and nobody verifies", "  validationConfigurations: {mutateDigest: false, verifyDigest: false}\n", pod("a:1"), policy.Denied, "image a:1 is not verified: no policy performed a signature or attestation check on it"},
		{"not chosen", "  matchImageReferences: [{glob: 'ghcr.io/*'}]\n", pod("a:1"), policy.Passed, "success"},
		// As in Kyverno: the reference as it is written.
		{"chosen as it is written", "  matchImageReferences: [{glob: 'docker.io/*'}]\n  validationConfigurations: {mutateDigest: false}\n", pod("a:1"), policy.Passed, "success"},
		{"nothing is asked", quiet, pod("a:1"), policy.Passed, "success"},
		{"lists", validation(`images.containers == ["a:1", "b"] && images.initContainers == [] && images.ephemeralContainers == []`), pod("a:1", "b"), policy.Passed, ""},
		{"lists of the policy", quiet + "  images: [{name: mine, expression: 'object.spec.containers.map(c, c.image + \":x\")'}]\n  validations: [{expression: 'images.mine == [\"a:x\"]'}]\n", pod("a"), policy.Passed, ""},
		{"a list that is none", quiet + "  images: [{name: mine, expression: 'object.metadata.name'}]\n", pod("a"), policy.Failed, "expected a list of image references"},
		{"attestations", quiet + "  attestations: [{name: sbom, referrer: {type: x}}]\n  validations: [{expression: 'attestations.sbom == \"sbom\"'}]\n", pod("a"), policy.Passed, ""},
		{"a message", quiet + "  validations: [{expression: 'false', message: wrong}]\n", pod("a"), policy.Denied, "wrong"},
		{"a message by expression", quiet + "  variables: [{name: v, expression: '1'}]\n  validations: [{expression: 'false', message: wrong, messageExpression: 'string(variables.v) + images.containers[0]'}]\n", pod("a"), policy.Denied, "1a"},
		{"no message", quiet + "  validations: [{expression: 'true'}, {expression: 'false'}]\n", pod("a"), policy.Denied, "CEL expression validation failed at index 1"},
		{"an error", validation("object.nope == 1"), pod("a"), policy.Failed, "no such key: nope"},
		{"a container without image", quiet, "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c}]}", policy.Failed, "containers[0] has no image"},
		{"signed", quiet + signed + verifies, pod("ghcr.io/signed:1"), policy.Passed, ""},
		{"signed and required", signed + verifies, pod("ghcr.io/signed:1@" + sum), policy.Passed, ""},
		{"not signed", quiet + signed + verifies, pod("ghcr.io/a:1"), policy.Denied, "not signed"},
		{"not signed, and the validation does not mind", "  validationConfigurations: {mutateDigest: false, verifyDigest: false}\n" + signed + "  validations: [{expression: 'images.containers.all(i, verifyImageSignatures(i, [attestors.us]) >= 0)'}]\n",
			pod("ghcr.io/a:1"), policy.Denied, "image ghcr.io/a:1 failed signature or attestation verification"},
		{"nobody knows", quiet + signed + verifies, pod("ghcr.io/unknown:1"), policy.Failed, "the signature of ghcr.io/unknown@" + sum + " is not in the lock"},
		{"an image that is not chosen is not signed", quiet + "  matchImageReferences: [{glob: 'ghcr.io/*'}]\n" + signed + "  validations: [{expression: 'verifyImageSignatures(\"quay.io/signed:1\", [attestors.us]) == 0'}]\n", pod("a"), policy.Passed, ""},
		{"no attestors", validation("verifyImageSignatures(images.containers[0], []) == 0"), pod("a"), policy.Passed, ""},
		{"an attestor that there is not", quiet + signed + "  validations: [{expression: 'verifyImageSignatures(\"a\", [attestors.them]) > 0'}]\n", pod("a"), policy.Failed, "no such key: them"},
		{"no attestor", validation(`verifyImageSignatures("a", ["us"]) > 0`), pod("a"), policy.Failed, "expected a list of attestors"},
		{"a key by expression", quiet + "  variables: [{name: k, expression: '\"" + key + "\"'}]\n  attestors: [{name: us, cosign: {key: {expression: variables.k}, ctlog: {insecureIgnoreTlog: true}}}]\n" + verifies, pod("ghcr.io/signed:1"), policy.Passed, ""},
		{"a key that is none", quiet + "  attestors: [{name: us, cosign: {key: {data: x}, ctlog: {insecureIgnoreTlog: true}}}]\n" + verifies, pod("ghcr.io/signed:1"), policy.Failed, "attestor us of image ghcr.io/signed:1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			set := compiled(t, imagePolicyText(tt.spec))
			_, results := run(t, set.Checks, tt.text, images{})
			if len(results) != 1 {
				t.Fatalf("%d results", len(results))
			}
			r := results[0]
			if r.Outcome != tt.outcome || !strings.Contains(r.Message, tt.message) {
				t.Errorf("outcome %d, %s; want %d, %s", r.Outcome, r.Message, tt.outcome, tt.message)
			}
			if r.Rule != "p" || (r.Err == nil) != (tt.outcome == policy.Passed) {
				t.Errorf("rule %q, error %v", r.Rule, r.Err)
			}
		})
	}
}

// TestNotVerified: what can't be verified is an error that says so, never a pass
// and never a count of zero.
func TestNotVerified(t *testing.T) {
	for attestor, want := range map[string]string{
		"notary: {certs: {value: x}}":                                         "Notary",
		"cosign: {keyless: {identities: []}}":                                 "keyless",
		"cosign: {key: {kms: 'awskms://x'}}":                                  "key management system",
		"cosign: {}":                                                          "without key and certificate",
		"cosign: {key: {data: x}, source: {tagPrefix: x}}":                    "tagPrefix",
		"cosign: {key: {data: x}, ctlog: {tsaCertChain: x}}":                  "tsaCertChain",
		"cosign: {key: {data: x}, ctlog: {url: 'https://rekor.example.com'}}": "rekorPubKey",
		"cosign: {key: {data: x}, tuf: {mirror: 'https://tuf.example.com'}}":  "TUF",
	} {
		set := compiled(t, imagePolicyText(quiet+"  attestors: [{name: us, "+attestor+"}]\n  validations: [{expression: 'verifyImageSignatures(images.containers[0], [attestors.us]) >= 0'}]\n"))
		_, results := run(t, set.Checks, pod("ghcr.io/signed:1"), images{})
		if err := results[0].Err; err == nil || !strings.Contains(err.Error(), want) || !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s: %v, want %q", attestor, err, want)
		}
	}
	for _, expression := range []string{
		`verifyAttestationSignatures(images.containers[0], "sbom", []) >= 0`, `extractPayload(images.containers[0], "sbom") != null`, `getImageData(images.containers[0]) != null`,
	} {
		set := compiled(t, imagePolicyText(quiet+"  validations: [{expression: '"+expression+"'}]\n"))
		_, results := run(t, set.Checks, pod("ghcr.io/signed:1"), images{})
		if err := results[0].Err; !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s: %v", expression, err)
		}
	}
}

// TestCustomWorkloads: Kyverno looks for Pods in them to check, and pins none.
func TestCustomWorkloads(t *testing.T) {
	set := compiled(t, imagePolicyText("  autogen: {podControllers: {controllers: [jobsets.v1alpha2.jobset.x-k8s.io]}}\n"))
	text := "apiVersion: jobset.x-k8s.io/v1alpha2\nkind: JobSet\nmetadata: {name: j}\nspec: {replicatedJobs: [{template: {spec: {containers: [{name: c, image: 'a:1'}]}}}]}"
	o, results := run(t, set.Admission(), text, images{})
	if len(results) != 2 || results[0].Outcome != policy.Skipped || !errors.Is(results[1].Err, errors.ErrUnsupported) {
		t.Errorf("results %+v", results)
	}
	if d := cmp.Diff(object(t, text), o); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// TestRequiredAcrossPolicies: that an image is verified may be the merit of another
// policy, wherever it stands.
func TestRequiredAcrossPolicies(t *testing.T) {
	required := strings.Replace(imagePolicyText("  validationConfigurations: {mutateDigest: false, verifyDigest: false}\n"), "name: p", "name: required", 1)
	verifying := imagePolicyText(quiet + "  matchImageReferences: [{glob: 'ghcr.io/*'}]\n  attestors: [{name: us, cosign: {key: {data: \"" + publicKey(t) + "\"}, ctlog: {insecureIgnoreTlog: true}}}]\n" +
		"  validations: [{expression: 'images.containers.all(i, verifyImageSignatures(i, [attestors.us]) >= 0)'}]\n")
	for _, text := range []string{required + "---" + verifying, verifying + "---" + required} {
		set := compiled(t, text)
		for image, want := range map[string]string{
			"ghcr.io/signed:1":  "",
			"ghcr.io/a:1":       "image ghcr.io/a:1 failed signature or attestation verification",
			"quay.io/a:1":       "image quay.io/a:1 is not verified: no policy performed",
			"ghcr.io/unknown:1": "is not in the lock",
		} {
			_, results := run(t, set.Checks, pod(image), images{})
			for _, r := range results {
				if r.Rule != "required" {
					continue
				}
				if want == "" && r.Err != nil || want != "" && !strings.Contains(r.Message, want) {
					t.Errorf("%s: %s, %v; want %q", image, r.Message, r.Err, want)
				}
			}
		}
	}
}

func TestImagePoliciesOfANamespace(t *testing.T) {
	text := strings.NewReplacer("kind: Image", "kind: NamespacedImage", "{name: p}", "{name: p, namespace: shop}").Replace(imagePolicyText("  validationConfigurations: {required: false}\n"))
	set := compiled(t, text)
	for namespace, want := range map[string]string{"shop": "docker.io/a:1@" + sum, "other": "a:1"} {
		o, _ := run(t, set.Programs, strings.Replace(pod("a:1"), "{name: web}", "{name: web, namespace: "+namespace+"}", 1), images{})
		if got := imagesOf(o); got[0] != want {
			t.Errorf("in %s: %s, want %s", namespace, got[0], want)
		}
	}
}

// TestDigestsOff: without digests tags stay, and nothing is claimed.
func TestDigestsOff(t *testing.T) {
	set := compiled(t, imagePolicyText("  attestors: [{name: us, cosign: {key: {data: \""+publicKey(t)+"\"}, ctlog: {insecureIgnoreTlog: true}}}]\n"+
		"  validations: [{expression: 'images.containers.all(i, verifyImageSignatures(i, [attestors.us]) > 0)'}]\n"))
	o, results := run(t, set.Admission(), pod("a:1"), digest.Off{})
	if got := imagesOf(o); got[0] != "a:1" {
		t.Errorf("the image is %s", got[0])
	}
	for _, r := range results {
		if r.Outcome != policy.Skipped || r.Err != nil {
			t.Errorf("rule %s: outcome %d, %s", r.Rule, r.Outcome, r.Message)
		}
	}
}

func TestImageExceptions(t *testing.T) {
	exception := func(more string) string {
		return "---\napiVersion: policies.kyverno.io/v1\nkind: PolicyException\nmetadata: {name: e, namespace: x}\nspec:\n  policyRefs: [{name: p, kind: ImageValidatingPolicy}]\n" + more
	}
	spec := imagePolicyText("  validationConfigurations: {required: false}\n")
	for _, tt := range []struct{ more, image string }{
		{"", "a:1"},
		{"  matchConditions: [{name: c, expression: 'object.metadata.name == \"web\"'}]\n", "a:1"},
		{"  matchConditions: [{name: c, expression: 'object.metadata.name == \"db\"'}]\n", "docker.io/a:1@" + sum},
		// As in Kyverno, what allows only some images does not exempt from anything.
		{"  images: ['a:*']\n", "docker.io/a:1@" + sum},
	} {
		set := compiled(t, spec+exception(tt.more))
		o, results := run(t, set.Admission(), pod("a:1"), images{})
		if got := imagesOf(o); got[0] != tt.image {
			t.Errorf("%s: the image is %s, want %s", tt.more, got[0], tt.image)
		}
		if last := results[len(results)-1]; (last.Rule == "exception") != (tt.image == "a:1") {
			t.Errorf("%s: rule %s, %s", tt.more, last.Rule, last.Message)
		}
	}
}

func TestImageValidatingPolicyFaults(t *testing.T) {
	for _, tt := range []struct{ spec, want string }{
		{"  matchImageReferences: [{}]\n", "expected either a glob or an expression"},
		{"  matchImageReferences: [{glob: a, expression: 'true'}]\n", "expected either a glob or an expression"},
		{"  matchImageReferences: [{glob: '[a'}]\n", "spec.matchImageReferences[0].glob: a [ without ]"},
		{"  matchImageReferences: [{expression: 'nope'}]\n", "spec.matchImageReferences[0].expression: "},
		{"  matchImageReferences: [{expression: 'ref'}]\n", "must evaluate to bool"},
		{"  attestors: [{name: a}]\n", "expected either cosign or notary"},
		{"  attestors: [{cosign: {}}]\n", "name is missing"},
		{"  attestors: [{name: a, cosign: {key: {expression: nope}}}]\n", "spec.attestors[0].cosign.key.expression: "},
		{"  validations: [{expression: ''}]\n", "expression is missing"},
		{"  validations: [{expression: '1'}]\n", "must evaluate to bool"},
		{"  validations: [{expression: 'true', messageExpression: '1'}]\n", "must evaluate to string"},
		{"  validationActions: [Block]\n", "expected one of Deny, Audit, Warn"},
		{"  failurePolicy: Never\n", "expected one of Ignore, Fail"},
		{"  evaluation: {mode: XML}\n", "expected one of Kubernetes, JSON"},
		{"  verifyImages: []\n", "verifyImages"},
	} {
		set, err := compile(parse(t, imagePolicyText(tt.spec)))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.spec, err, tt.want)
		}
		if len(set.Admission()) > 0 {
			t.Errorf("%s: there is a program", tt.spec)
		}
	}
	for _, spec := range []string{"  evaluation: {mode: JSON}\n", "  evaluation: {admission: {enabled: false}}\n"} {
		set := compiled(t, imagePolicyText(spec))
		if len(set.Admission()) > 0 || len(set.Notices) != 1 {
			t.Errorf("%s: %d programs, %d notices", spec, len(set.Admission()), len(set.Notices))
		}
	}
}
