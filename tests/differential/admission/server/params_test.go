package server

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	admissionregistration "k8s.io/api/admissionregistration/v1"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/admission/plugin/policy/generic"
	"k8s.io/apiserver/pkg/admission/plugin/policy/mutating"
	"k8s.io/apiserver/pkg/authentication/user"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/kubernetes/scheme"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/cache"
)

// TestParamsAfterAnotherPolicy shows what the recording param-own-namespace of
// the conformance corpus is an exception for: an API server that has dropped a
// policy no longer sees new params of its kind, since it starts the informer of
// a kind once and stops it with the policy. One that has not finds the param, as
// oneloop does.
func TestParamsAfterAnotherPolicy(t *testing.T) {
	for _, test := range []struct {
		name  string
		again bool // another policy with the same kind of params came and went
		want  map[string]any
	}{
		{"fresh", false, map[string]any{"v": "0", "from": "shop-value"}},
		{"after another policy", true, map[string]any{"v": "0"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newCluster(t)
			if test.again {
				policy, binding := withParams("earlier")
				c.create(policy, binding)
				params := c.hooks("earlier")[0].ParamInformer.Informer()
				if !cache.WaitForCacheSync(c.Context().Done(), params.HasSynced) {
					t.Fatal("the informer of the params does not start")
				}
				c.delete(policy, binding)
				c.hooks()
				c.until(func() bool { return params.IsStopped() })
			}
			c.create(&core.ConfigMap{
				ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "settings"},
				Data:       map[string]string{"value": "shop-value"},
			})
			policy, binding := withParams("p")
			c.create(policy, binding)
			hooks := c.hooks("p")
			if !cache.WaitForCacheSync(c.Context().Done(), hooks[0].ParamInformer.Informer().HasSynced) {
				t.Fatal("the params are not read")
			}

			world := &World{
				Namespaces: []*core.Namespace{{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}},
				User:       &user.DefaultInfo{Name: "admin"},
				hooks:      hooks,
			}
			got, denied, err := Admit(c.Context(), world, &Request{
				Kind:       core.SchemeGroupVersion.WithKind("ConfigMap"),
				Resource:   core.SchemeGroupVersion.WithResource("configmaps"),
				Namespaced: true,
				Object: map[string]any{
					"apiVersion": "v1", "kind": "ConfigMap",
					"metadata": map[string]any{"namespace": "shop", "name": "a"},
					"data":     map[string]any{"v": "0"},
				},
			})
			if err != nil || denied != nil {
				t.Fatal(denied, err)
			}
			if diff := cmp.Diff(test.want, got["data"]); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// withParams returns a policy that copies a value of its param, the ConfigMap
// settings of the object's namespace.
func withParams(name string) (*mutating.Policy, *mutating.PolicyBinding) {
	allow, exact, fail := admissionregistration.AllowAction, admissionregistration.Exact, admissionregistration.Fail
	everything := &metav1.LabelSelector{}
	policy := &mutating.Policy{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionregistration.MutatingAdmissionPolicySpec{
			FailurePolicy:      &fail,
			ReinvocationPolicy: admissionregistration.NeverReinvocationPolicy,
			ParamKind:          &admissionregistration.ParamKind{APIVersion: "v1", Kind: "ConfigMap"},
			MatchConstraints: &admissionregistration.MatchResources{
				MatchPolicy: &exact, NamespaceSelector: everything, ObjectSelector: everything,
				ResourceRules: []admissionregistration.NamedRuleWithOperations{{
					ResourceNames: []string{"a"},
					RuleWithOperations: admissionregistration.RuleWithOperations{
						Operations: []admissionregistration.OperationType{admissionregistration.Create},
						Rule: admissionregistration.Rule{
							APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"configmaps"},
						},
					},
				}},
			},
			Mutations: []admissionregistration.Mutation{{
				PatchType: admissionregistration.PatchTypeApplyConfiguration,
				ApplyConfiguration: &admissionregistration.ApplyConfiguration{
					Expression: `Object{data: {"from": params.data.value}}`,
				},
			}},
		},
	}
	binding := &mutating.PolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name + "-b"},
		Spec: admissionregistration.MutatingAdmissionPolicyBindingSpec{
			PolicyName: name,
			ParamRef:   &admissionregistration.ParamRef{Name: "settings", ParameterNotFoundAction: &allow},
		},
	}
	return policy, binding
}

// A cluster has the API server's own source of policies over a client without a
// server.
type cluster struct {
	*testing.T
	client *fake.Clientset
	source generic.Source[mutating.PolicyHook]
}

func newCluster(t *testing.T) *cluster {
	c := &cluster{T: t, client: fake.NewSimpleClientset()}
	// What is created between the list and the watch of an informer is lost with
	// this client: nothing is, until both informers watch.
	watching := make(chan struct{}, 100)
	c.client.PrependWatchReactor("*", func(action clienttesting.Action) (bool, watch.Interface, error) {
		w, err := c.client.Tracker().Watch(action.GetResource(), action.GetNamespace())
		watching <- struct{}{}
		return true, w, err
	})
	factory := informers.NewSharedInformerFactory(kubernetes.Interface(c.client), 0)
	kinds := meta.NewDefaultRESTMapper(nil)
	kinds.Add(core.SchemeGroupVersion.WithKind("ConfigMap"), meta.RESTScopeNamespace)
	registration := factory.Admissionregistration().V1()
	c.source = generic.NewPolicySource(
		registration.MutatingAdmissionPolicies().Informer(),
		registration.MutatingAdmissionPolicyBindings().Informer(),
		mutating.NewMutatingAdmissionPolicyAccessor,
		mutating.NewMutatingAdmissionPolicyBindingAccessor,
		compilePolicy,
		factory,
		dynamicfake.NewSimpleDynamicClient(runtime.NewScheme()),
		kinds,
	)
	factory.Start(c.Context().Done())
	go c.source.Run(c.Context())
	for range 2 {
		select {
		case <-watching:
		case <-time.After(time.Minute):
			t.Fatal("the policies are not watched")
		}
	}
	return c
}

// create creates objects.
func (c *cluster) create(objects ...runtime.Object) {
	c.Helper()
	for _, object := range objects {
		resource, _, namespace := c.identify(object)
		if err := c.client.Tracker().Create(resource, object, namespace); err != nil {
			c.Fatal(err)
		}
	}
}

// delete deletes objects.
func (c *cluster) delete(objects ...runtime.Object) {
	c.Helper()
	for _, object := range objects {
		resource, name, namespace := c.identify(object)
		if err := c.client.Tracker().Delete(resource, namespace, name); err != nil {
			c.Fatal(err)
		}
	}
}

func (c *cluster) identify(object runtime.Object) (resource schema.GroupVersionResource, name, namespace string) {
	c.Helper()
	kinds, _, err := scheme.Scheme.ObjectKinds(object)
	if err != nil {
		c.Fatal(err)
	}
	accessor, err := meta.Accessor(object)
	if err != nil {
		c.Fatal(err)
	}
	resource, _ = meta.UnsafeGuessKindToResource(kinds[0])
	return resource, accessor.GetName(), accessor.GetNamespace()
}

// hooks returns what the API server runs, once it is the policies of the names.
func (c *cluster) hooks(names ...string) []mutating.PolicyHook {
	c.Helper()
	var hooks []mutating.PolicyHook
	c.until(func() bool {
		if !c.source.HasSynced() {
			return false
		}
		hooks = c.source.Hooks()
		return slices.EqualFunc(hooks, names, func(h mutating.PolicyHook, name string) bool { return h.Policy.Name == name })
	})
	return hooks
}

// until waits for a condition.
func (c *cluster) until(holds func() bool) {
	c.Helper()
	err := wait.PollUntilContextTimeout(c.Context(), 10*time.Millisecond, time.Minute, true, func(context.Context) (bool, error) { return holds(), nil })
	if err != nil {
		c.Fatal(err)
	}
}
