// Package server runs MutatingAdmissionPolicies with the code of the API server
// of Kubernetes 1.36, without one.
package server

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	_ "unsafe" // for compilePolicy

	admissionregistration "k8s.io/api/admissionregistration/v1"
	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/apiserver/pkg/admission"
	plugincel "k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/policy/matching"
	"k8s.io/apiserver/pkg/admission/plugin/policy/mutating"
	"k8s.io/apiserver/pkg/admission/plugin/policy/mutating/patch"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/matchconditions"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/cel/environment"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/cache"

	listers "k8s.io/client-go/listers/core/v1"

	"github.com/oneloop-dev/oneloop/tests/differential/admission/schema/table"
)

// compilePolicy is that of the plugin, which does not export it.
//
//go:linkname compilePolicy k8s.io/apiserver/pkg/admission/plugin/policy/mutating.compilePolicy
func compilePolicy(*admissionregistration.MutatingAdmissionPolicy) mutating.PolicyEvaluator

// A World is what is in the cluster beside the object.
type World struct {
	Namespaces []*core.Namespace
	Params     []*core.ConfigMap
	Policies   []*admissionregistration.MutatingAdmissionPolicy
	Bindings   []*admissionregistration.MutatingAdmissionPolicyBinding
	User       user.Info

	hooks []mutating.PolicyHook // once they are compiled
}

// compile compiles the policies.
func (w *World) compile() error {
	if w.hooks != nil {
		return nil
	}
	params, err := newParams(w.Params)
	if err != nil {
		return err
	}
	for _, p := range w.Policies {
		hook := mutating.PolicyHook{Policy: p, Evaluator: compilePolicy(p)}
		if p.Spec.ParamKind != nil {
			hook.ParamInformer, hook.ParamScope = params, meta.RESTScopeNamespace
		}
		if hook.Evaluator.Error != nil {
			hook.ConfigurationError = hook.Evaluator.Error
		}
		for _, b := range w.Bindings {
			if b.Spec.PolicyName == p.Name {
				hook.Bindings = append(hook.Bindings, b)
			}
		}
		if len(hook.Bindings) > 0 {
			w.hooks = append(w.hooks, hook)
		}
	}
	return nil
}

// A Request is the creation of an object.
type Request struct {
	Kind       schema.GroupVersionKind
	Resource   schema.GroupVersionResource
	Namespaced bool
	Object     map[string]any
}

// Fits reports whether the object decodes as the kind, and returns it as the API
// server sees it.
func Fits(kind schema.GroupVersionKind, object map[string]any) (map[string]any, error) {
	decoded, err := decode(kind, object)
	if err != nil {
		return nil, err
	}
	return encode(decoded)
}

func decode(kind schema.GroupVersionKind, object map[string]any) (runtime.Object, error) {
	if !scheme.Scheme.Recognizes(kind) {
		return &unstructured.Unstructured{Object: runtime.DeepCopyJSON(object)}, nil
	}
	out, err := scheme.Scheme.New(kind)
	if err != nil {
		return nil, err
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(runtime.DeepCopyJSON(object), out); err != nil {
		return nil, err
	}
	out.GetObjectKind().SetGroupVersionKind(kind)
	return out, nil
}

func encode(object runtime.Object) (map[string]any, error) {
	return runtime.DefaultUnstructuredConverter.ToUnstructured(object)
}

// ErrPanic is wrapped where the API server would have lost the request.
var ErrPanic = errors.New("the API server panics")

// Admit returns the object that the policies make of that of the request, or the
// messages with which they deny it. The error is for what a cluster could not be
// asked.
func Admit(ctx context.Context, w *World, r *Request) (object map[string]any, denied []string, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%w: %v", ErrPanic, v)
		}
	}()
	typed, err := decode(r.Kind, r.Object)
	if err != nil {
		return nil, nil, err
	}
	accessor, err := meta.Accessor(typed)
	if err != nil {
		return nil, nil, err
	}
	namespaces := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{})
	for _, n := range w.Namespaces {
		if err := namespaces.Add(n); err != nil {
			return nil, nil, err
		}
	}
	matcher := matching.NewMatcher(listers.NewNamespaceLister(namespaces), nobody())
	converters, err := builtIn()
	if err != nil {
		return nil, nil, err
	}
	dispatcher := mutating.NewDispatcher(nil, matcher, converters)

	if err := w.compile(); err != nil {
		return nil, nil, err
	}
	namespace := accessor.GetNamespace()
	if r.Kind.Group == "" && r.Kind.Kind == "Namespace" {
		namespace = accessor.GetName()
	}
	attributes := admission.NewAttributesRecord(typed, nil, r.Kind, namespace, accessor.GetName(), r.Resource, "",
		admission.Create, &metav1.CreateOptions{TypeMeta: metav1.TypeMeta{APIVersion: "meta.k8s.io/v1", Kind: "CreateOptions"}}, false, w.User)
	var again admission.ReinvocationContext = attributes.GetReinvocationContext()
	err = dispatcher.Dispatch(ctx, attributes, objects{}, w.hooks)
	if err == nil && again.ShouldReinvoke() {
		again.SetIsReinvoke()
		err = dispatcher.Dispatch(ctx, attributes, objects{}, w.hooks)
	}
	if err != nil {
		var status *apierrors.StatusError
		if !errors.As(err, &status) {
			return nil, nil, err
		}
		if status.ErrStatus.Details == nil || len(status.ErrStatus.Details.Causes) == 0 || status.ErrStatus.Reason == metav1.StatusReasonInternalError {
			return nil, []string{status.ErrStatus.Message}, nil
		}
		for _, cause := range status.ErrStatus.Details.Causes {
			denied = append(denied, cause.Message)
		}
		return nil, denied, nil
	}
	object, err = encode(attributes.GetObject())
	return object, nil, err
}

// nobody is the client that the matcher asks for namespaces that it does not
// know.
var nobody = sync.OnceValue(func() kubernetes.Interface { return fake.NewClientset() })

// converters has the schemas of the built-in kinds.
type converters map[schema.GroupVersion]managedfields.TypeConverter

func (c converters) Run(context.Context) {}

func (c converters) GetTypeConverter(kind schema.GroupVersionKind) managedfields.TypeConverter {
	return c[kind.GroupVersion()]
}

var builtIn = sync.OnceValues(func() (converters, error) {
	documents, err := table.Documents()
	if err != nil {
		return nil, err
	}
	out := converters{}
	for path, document := range documents {
		converter, err := managedfields.NewTypeConverter(document.Components.Schemas, false)
		if err != nil {
			return nil, err
		}
		_, name, _ := strings.Cut(path, "/")
		version, err := schema.ParseGroupVersion(name)
		if err != nil {
			return nil, err
		}
		out[version] = converter
	}
	return out, nil
})

// objects converts between Go objects. Nothing is defaulted: manifests are as
// they are written.
type objects struct{}

func (objects) GetObjectCreater() runtime.ObjectCreater     { return scheme.Scheme }
func (objects) GetObjectTyper() runtime.ObjectTyper         { return scheme.Scheme }
func (objects) GetObjectDefaulter() runtime.ObjectDefaulter { return runtime.NewScheme() }
func (objects) GetObjectConvertor() runtime.ObjectConvertor { return convertor{scheme.Scheme} }
func (objects) GetEquivalentResourceMapper() runtime.EquivalentResourceMapper {
	return runtime.NewEquivalentResourceRegistry()
}

type convertor struct{ *runtime.Scheme }

// Convert copies an object to one of the same type: there is no internal version
// of the kinds here.
func (c convertor) Convert(in, out, _ any) error {
	from, to := reflect.ValueOf(in), reflect.ValueOf(out)
	if from.Type() != to.Type() {
		return fmt.Errorf("%T cannot be converted to %T", in, out)
	}
	to.Elem().Set(reflect.ValueOf(in.(runtime.Object).DeepCopyObject()).Elem())
	return nil
}

// newParams is an informer that has seen all ConfigMaps.
func newParams(list []*core.ConfigMap) (informers.GenericInformer, error) {
	indexer := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	for _, c := range list {
		if err := indexer.Add(c); err != nil {
			return nil, err
		}
	}
	return informer{indexer: indexer}, nil
}

type informer struct {
	cache.SharedIndexInformer
	indexer cache.Indexer
}

func (i informer) Informer() cache.SharedIndexInformer { return i }
func (i informer) HasSynced() bool                     { return true }
func (i informer) Lister() cache.GenericLister {
	return cache.NewGenericLister(i.indexer, schema.GroupResource{Resource: "configmaps"})
}

// Compile returns what is wrong with the expressions of a policy, for which the
// API server refuses to store it.
func Compile(p *admissionregistration.MutatingAdmissionPolicy) []string {
	var faults []string
	compile := func(compiler plugincel.Compiler, e plugincel.ExpressionAccessor, patches bool) {
		options := plugincel.OptionalVariableDeclarations{HasParams: p.Spec.ParamKind != nil, HasAuthorizer: true, HasPatchTypes: patches}
		if result := compiler.CompileCELExpression(e, options, environment.NewExpressions); result.Error != nil {
			faults = append(faults, result.Error.Detail)
		}
	}
	base := environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion())
	plain := plugincel.NewCompiler(base)
	for i := range p.Spec.MatchConditions {
		compile(plain, (*matchconditions.MatchCondition)(&p.Spec.MatchConditions[i]), false)
	}
	composed, err := plugincel.NewCompositedCompiler(base)
	if err != nil {
		return append(faults, err.Error())
	}
	for _, v := range p.Spec.Variables {
		result := composed.CompileAndStoreVariable(&mutating.Variable{Name: v.Name, Expression: v.Expression},
			plugincel.OptionalVariableDeclarations{HasParams: p.Spec.ParamKind != nil, HasAuthorizer: true}, environment.NewExpressions)
		if result.Error != nil {
			faults = append(faults, result.Error.Detail)
		}
	}
	if len(faults) > 0 {
		return faults // of a variable: what uses it has others
	}
	for _, m := range p.Spec.Mutations {
		switch {
		case m.ApplyConfiguration != nil:
			compile(composed, &patch.ApplyConfigurationCondition{Expression: strings.TrimSpace(m.ApplyConfiguration.Expression)}, true)
		case m.JSONPatch != nil:
			compile(composed, &patch.JSONPatchCondition{Expression: strings.TrimSpace(m.JSONPatch.Expression)}, true)
		}
	}
	return faults
}
