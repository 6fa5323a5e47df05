package differential

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"

	kyvernov1 "github.com/kyverno/kyverno/api/kyverno/v1"
	kyvernov2 "github.com/kyverno/kyverno/api/kyverno/v2"
	"github.com/kyverno/kyverno/pkg/config"
	"github.com/kyverno/kyverno/pkg/engine"
	engineapi "github.com/kyverno/kyverno/pkg/engine/api"
	"github.com/kyverno/kyverno/pkg/engine/factories"
	"github.com/kyverno/kyverno/pkg/engine/jmespath"
	"github.com/kyverno/kyverno/pkg/engine/policycontext"
	"github.com/kyverno/kyverno/pkg/exceptions"
	imageverifycache "github.com/kyverno/kyverno/pkg/image/verification/cache"
	validation "github.com/kyverno/kyverno/pkg/validation/policy"
	"github.com/oneloop-dev/oneloop/pkg/resource"
	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"
)

// A mode is a way to put a resource before Kyverno's engine.
type mode int

const (
	// As the admission controller does: one request, whose context all
	// policies share.
	admission mode = iota
	// As the command line does: a new context for each policy.
	commandLine
)

var (
	kyvernoConfig   = config.NewDefaultConfiguration(false)
	kyvernoJMESPath = plainNumbers{jmespath.New(kyvernoConfig)}
)

// plainNumbers is Kyverno's JMESPath, but for the numbers of the object. In the
// first rule of a request they are float64; once a rule has run they are int64,
// which most functions and comparisons refuse. In oneloop a number stays a
// number, see pkg/expr/jmespath; to compare all else, so it does here.
type plainNumbers struct{ jmespath.Interface }

type plainQuery struct{ jmespath.Query }

func (p plainNumbers) Query(s string) (jmespath.Query, error) {
	q, err := p.Interface.Query(s)
	return plainQuery{q}, err
}

func (p plainNumbers) Search(s string, data any) (any, error) {
	return p.Interface.Search(s, floats(data))
}

func (q plainQuery) Search(data any) (any, error) { return q.Query.Search(floats(data)) }

// floats copies v with float64 for int64.
func floats(v any) any {
	switch v := v.(type) {
	case int64:
		return float64(v)
	case int:
		return float64(v)
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = floats(e)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = floats(e)
		}
		return out
	}
	return v
}

// errRejected is wrapped by the errors of policies that Kyverno's webhook for
// policies refuses.
var errRejected = errors.New("rejected")

// errCrash is wrapped by the errors of runs in which Kyverno crashes.
var errCrash = errors.New("crash")

// kyvernoPolicy decodes a policy as the API server would store it.
func kyvernoPolicy(p map[string]any) (kyvernov1.PolicyInterface, error) {
	b, err := yaml.YAMLToJSON([]byte(text(p)))
	if err != nil {
		return nil, err
	}
	var out kyvernov1.PolicyInterface
	switch p["kind"] {
	case "ClusterPolicy":
		out = &kyvernov1.ClusterPolicy{}
	case "Policy":
		out = &kyvernov1.Policy{}
	default:
		return nil, fmt.Errorf("kind %v", p["kind"])
	}
	if err := yaml.UnmarshalStrict(b, out); err != nil {
		return nil, fmt.Errorf("%w: %w", errRejected, err)
	}
	return out, nil
}

// validate is Kyverno's webhook for policies.
func validate(p kyvernov1.PolicyInterface) (err error) {
	defer func() {
		if e := recover(); e != nil {
			err = fmt.Errorf("%w: crash: %v", errRejected, e)
		}
	}()
	_, err = validation.Validate(p, nil, nil, true, "", "")
	if err != nil {
		return fmt.Errorf("%w: %w", errRejected, err)
	}
	return nil
}

type configMaps []map[string]any

func (c configMaps) Get(_ context.Context, namespace, name string) (*corev1.ConfigMap, error) {
	for _, o := range c {
		if nameOf(o) == name && namespaceOf(o) == namespace {
			out := &corev1.ConfigMap{}
			return out, runtime.DefaultUnstructuredConverter.FromUnstructured(o, out)
		}
	}
	return nil, fmt.Errorf("configmap %s/%s not found", namespace, name)
}

type exceptionList []*kyvernov2.PolicyException

func (l exceptionList) List(labels.Selector) ([]*kyvernov2.PolicyException, error) { return l, nil }

// A reference runs one sample with Kyverno's engine.
type reference struct {
	sample   *sample
	policies []kyvernov1.PolicyInterface
	engine   engineapi.Engine
	labels   map[string]string // of the namespace
	info     kyvernov2.RequestInfo
}

// newReference fails with errRejected when Kyverno refuses one of the policies.
func newReference(s *sample) (*reference, error) {
	r := &reference{sample: s, info: kyvernov2.RequestInfo{
		Roles:             s.Roles,
		AdmissionUserInfo: authenticationv1.UserInfo{Username: s.User, Groups: []string{"system:authenticated"}},
	}}
	for _, p := range s.Policies {
		k, err := kyvernoPolicy(p)
		if err != nil {
			return nil, err
		}
		if err := validate(k.CreateDeepCopy()); err != nil {
			return nil, err
		}
		r.policies = append(r.policies, k)
	}
	var list exceptionList
	for _, e := range s.Exceptions {
		x := &kyvernov2.PolicyException{}
		if err := yaml.UnmarshalStrict([]byte(text(e)), x); err != nil {
			return nil, fmt.Errorf("%w: %w", errRejected, err)
		}
		if errs := x.Validate(); len(errs) > 0 {
			return nil, fmt.Errorf("%w: %w", errRejected, errs.ToAggregate())
		}
		list = append(list, x)
	}
	r.labels = map[string]string{}
	if ns := s.Namespace; ns != nil {
		u := unstructured.Unstructured{Object: ns}
		maps.Copy(r.labels, u.GetLabels())
	}
	isCluster := false
	r.engine = engine.NewEngine(kyvernoConfig, kyvernoJMESPath, nil,
		factories.DefaultRegistryClientFactory(nil, nil), imageverifycache.DisabledImageVerifyCache(),
		factories.DefaultContextLoaderFactory(configMaps(s.ConfigMaps)), exceptions.New(list), &isCluster)
	return r, nil
}

// object returns the resource as the API server hands it over: with a namespace.
func (r *reference) object() (*unstructured.Unstructured, error) {
	b, err := json.Marshal(r.sample.Resource)
	if err != nil {
		return nil, err
	}
	u := &unstructured.Unstructured{}
	if err := u.UnmarshalJSON(b); err != nil {
		return nil, err
	}
	if u.GetNamespace() == "" && !resource.ClusterScoped(resource.IDOf(u.Object).Kind) {
		u.SetNamespace("default")
	}
	return u, nil
}

// run applies the policies and stops behind the first that fails: in a cluster
// the request would have been denied.
func (r *reference) run(m mode) (steps []step, err error) {
	defer func() {
		if e := recover(); e != nil {
			err = fmt.Errorf("%w: %v", errCrash, e)
		}
	}()
	u, err := r.object()
	if err != nil {
		return nil, err
	}
	if ns := u.GetNamespace(); ns != "" {
		r.labels["kubernetes.io/metadata.name"] = ns
	}
	gvk := u.GroupVersionKind()
	var shared *policycontext.PolicyContext
	current := *u
	for _, p := range r.policies {
		if !p.GetSpec().HasMutateStandard() {
			steps = append(steps, step{policy: p.GetName(), object: current.Object})
			continue
		}
		var pc *policycontext.PolicyContext
		switch m {
		case admission:
			if shared == nil {
				if shared, err = r.request(u, gvk); err != nil {
					return nil, err
				}
			}
			pc = shared
		case commandLine:
			op := kyvernov1.AdmissionOperation(r.sample.Operation)
			if pc, err = policycontext.NewPolicyContext(kyvernoJMESPath, current, op, &r.info, kyvernoConfig); err != nil {
				return nil, err
			}
			if op == kyvernov1.Update {
				old := current.DeepCopy()
				pc = pc.WithOldResource(*old)
				if err := pc.JSONContext().AddOldResource(old.Object); err != nil {
					return nil, err
				}
			}
			pc = pc.WithResourceKind(gvk, "")
		}
		pc = pc.WithPolicy(p).WithNamespaceLabels(r.labels)
		if u.GetKind() == "Namespace" {
			pc = pc.WithNamespaceLabels(nil)
		}
		response := r.engine.Mutate(context.Background(), pc)
		s := step{policy: p.GetName()}
		for _, rule := range response.PolicyResponse.Rules {
			s.rules = append(s.rules, ruleResult{rule.Name(), string(rule.Status()), rule.Message()})
		}
		current = response.PatchedResource
		s.object = current.Object
		steps = append(steps, s)
		if s.failed() {
			break
		}
		if m == admission {
			shared = pc.WithNewResource(current)
			if err := shared.JSONContext().AddResource(current.Object); err != nil {
				return nil, err
			}
		}
	}
	return steps, nil
}

func (r *reference) request(u *unstructured.Unstructured, gvk schema.GroupVersionKind) (*policycontext.PolicyContext, error) {
	b, err := u.MarshalJSON()
	if err != nil {
		return nil, err
	}
	kind := metav1.GroupVersionKind{Group: gvk.Group, Version: gvk.Version, Kind: gvk.Kind}
	gvr := metav1.GroupVersionResource{Group: gvk.Group, Version: gvk.Version, Resource: strings.ToLower(gvk.Kind) + "s"}
	no := false
	req := admissionv1.AdmissionRequest{
		UID: "1", Kind: kind, RequestKind: &kind, Resource: gvr, RequestResource: &gvr,
		Name: u.GetName(), Namespace: u.GetNamespace(), Operation: admissionv1.Operation(r.sample.Operation),
		UserInfo: r.info.AdmissionUserInfo, Object: runtime.RawExtension{Raw: b}, DryRun: &no,
	}
	if gvk.Kind == "Namespace" {
		req.Namespace = u.GetName()
	}
	if req.Operation == admissionv1.Update {
		req.OldObject = runtime.RawExtension{Raw: b}
	}
	return policycontext.NewPolicyContextFromAdmissionRequest(kyvernoJMESPath, req, r.info, gvk, kyvernoConfig)
}
