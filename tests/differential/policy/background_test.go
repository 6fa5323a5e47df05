package differential

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"github.com/kyverno/kyverno/pkg/background/generate"
	"github.com/kyverno/kyverno/pkg/clients/dclient"
	"github.com/kyverno/kyverno/pkg/engine"
	"github.com/kyverno/kyverno/pkg/engine/adapters"
	engineapi "github.com/kyverno/kyverno/pkg/engine/api"
	"github.com/kyverno/kyverno/pkg/engine/factories"
	"github.com/kyverno/kyverno/pkg/exceptions"
	imageverifycache "github.com/kyverno/kyverno/pkg/image/verification/cache"
	"github.com/oneloop-dev/oneloop/pkg/digest"
	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/pipeline"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/kyverno"
	"github.com/oneloop-dev/oneloop/pkg/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// What rules with targets and rules that generate act on: kinds that no
// trigger has, so that what they change triggers nothing.
var others = map[schema.GroupVersionResource]string{
	{Version: "v1", Resource: "configmaps"}: "ConfigMapList",
	{Version: "v1", Resource: "secrets"}:    "SecretList",
}

// backgroundSample makes a trigger, objects beside it and one policy with one
// rule that mutates or generates those.
func (g *generator) backgroundSample() *sample {
	o, kind := g.resource(g.chance(0.5))
	for slices.Contains([]string{"v1/ConfigMap", "v1/Secret", "v1/Namespace"}, kind) {
		o, kind = g.resource(g.chance(0.5))
	}
	o["metadata"].(map[string]any)["namespace"] = "shop"
	s := &sample{Resource: o, Operation: "CREATE", User: "alice"}
	for i := range 1 + g.IntN(4) {
		data := map[string]any{}
		for range g.IntN(4) {
			data[pick(g, "a", "b", "list", "team")] = g.datum()
		}
		meta := g.metadata()
		meta["name"], meta["namespace"] = fmt.Sprintf("o%d", i), pick(g, "shop", "default", "prod")
		s.Others = append(s.Others, map[string]any{"apiVersion": "v1", "kind": pick(g, "ConfigMap", "ConfigMap", "Secret"), "metadata": meta, "data": data})
	}
	g.view = s.Others[g.IntN(len(s.Others))]
	g.roots = []root{{"request.object", o}}
	name := strings.Split(kind, "/")
	r := map[string]any{"name": "r0", "match": map[string]any{"any": []any{map[string]any{"resources": map[string]any{"kinds": []any{name[len(name)-1]}}}}}}
	if g.chance(0.25) {
		r["context"] = g.context(&sample{})
	}
	if g.chance(0.15) {
		r["preconditions"] = g.preconditions(false)
	}
	if g.chance(0.5) {
		r["mutate"] = g.targets(s)
		if r["mutate"].(map[string]any)["foreach"] != nil {
			r = onlyTarget(r)
		}
	} else {
		r["generate"] = g.generation()
	}
	s.Policies = []map[string]any{{"apiVersion": "kyverno.io/v1", "kind": "ClusterPolicy",
		"metadata": map[string]any{"name": "p0", "annotations": map[string]any{"pod-policies.kyverno.io/autogen-controllers": "none"}},
		"spec":     map[string]any{"background": false, "rules": []any{r}}}}
	return s
}

// onlyTarget lets a rule speak of the target alone. Here oneloop means to
// differ: once a foreach has changed a target, Kyverno shows the target in place
// of the trigger as request.object, to what follows and to the other targets.
// In oneloop request.object is always the trigger, as it is without foreach.
func onlyTarget(r map[string]any) map[string]any {
	delete(r, "context")
	delete(r, "preconditions")
	b, err := json.Marshal(r)
	if err != nil {
		panic(err)
	}
	t := strings.NewReplacer("request.object", "target", "images.", "target.", "request.oldObject", "target").Replace(string(b))
	out := map[string]any{}
	if err := json.Unmarshal([]byte(t), &out); err != nil {
		panic(err)
	}
	return out
}

func (g *generator) targets(s *sample) map[string]any {
	trigger := g.roots
	var list []any
	used := map[string]bool{}
	for range pick(g, 1, 1, 1, 2) {
		g.roots = trigger
		target := s.Others[g.IntN(len(s.Others))]
		// No object twice: in a cluster the second update is one of an object
		// that changed meanwhile, which the API server refuses.
		if used[target["kind"].(string)] {
			continue
		}
		used[target["kind"].(string)] = true
		t := map[string]any{"apiVersion": "v1", "kind": target["kind"]}
		g.maybe(t, 0.6, "namespace", func() any {
			return pick(g, namespaceOf(target), namespaceOf(target), "*", "{{ request.object.metadata.namespace }}", "s*")
		})
		g.maybe(t, 0.5, "name", func() any { return pick(g, nameOf(target), "o*", "o?", "{{ to_lower('"+nameOf(target)+"') }}") })
		if t["name"] == nil && g.chance(0.3) {
			labels, _ := target["metadata"].(map[string]any)["labels"].(map[string]any)
			if len(labels) > 0 {
				t["selector"] = map[string]any{"matchLabels": labels}
			}
		}
		g.roots = append(slices.Clone(trigger), root{"target", target})
		g.maybe(t, 0.25, "preconditions", func() any { return g.preconditions(true) })
		list = append(list, t)
	}
	g.roots = append(slices.Clone(trigger), root{"target", g.view})
	m := map[string]any{"targets": list}
	switch g.IntN(3) {
	case 0:
		m["patchStrategicMerge"] = g.merge()
	case 1:
		m["patchesJson6902"] = g.operations(g.view, "")
	default:
		l := g.loop(s)
		m["foreach"] = []any{l}
	}
	return m
}

func (g *generator) generation() map[string]any {
	one := func(name string) map[string]any {
		out := map[string]any{"apiVersion": "v1", "kind": pick(g, "ConfigMap", "ConfigMap", "Secret"), "namespace": pick(g, "new", "prod", "{{ request.object.metadata.namespace }}"), "name": name}
		switch g.IntN(3) {
		case 0:
			out["kind"] = g.view["kind"]
			out["clone"] = map[string]any{"namespace": namespaceOf(g.view), "name": nameOf(g.view)}
		case 1:
			for _, k := range []string{"apiVersion", "kind", "name"} {
				delete(out, k)
			}
			list := map[string]any{"namespace": namespaceOf(g.view), "kinds": []any{"v1/" + g.view["kind"].(string)}}
			labels, _ := g.view["metadata"].(map[string]any)["labels"].(map[string]any)
			if len(labels) > 0 && g.chance(0.5) {
				list["selector"] = map[string]any{"matchLabels": labels}
			}
			out["cloneList"] = list
		default:
			data := map[string]any{}
			for range g.IntN(4) {
				data[pick(g, "a", "b", "list")] = g.value(pick(g, text_, text_, number, texts), 0.5)
			}
			out["data"] = map[string]any{"metadata": map[string]any{"labels": g.labels(), "annotations": g.annotations()}, "data": data}
		}
		return out
	}
	if g.chance(0.3) {
		trigger := g.roots
		defer func() { g.roots = trigger }()
		list := pick(g, "['x','y']", "request.object.spec.containers[].name", "keys(request.object.metadata.labels || `{}`)")
		g.roots = append(slices.Clone(trigger), root{"element", "x"}, root{"elementIndex", int64(0)})
		f := one("new-{{ elementIndex }}")
		f["list"] = list
		g.maybe(f, 0.2, "preconditions", func() any { return g.preconditions(true) })
		return map[string]any{"synchronize": g.chance(0.5), "foreach": []any{f}}
	}
	out := one(pick(g, "new", "new", "o0", "new-{{ request.object.metadata.name }}"))
	out["synchronize"] = g.chance(0.5)
	return out
}

// backgroundKyverno returns the objects beside the trigger as Kyverno's
// background controller leaves them.
func backgroundKyverno(s *sample) (out map[string]any, failure error, err error) {
	defer func() {
		if e := recover(); e != nil {
			err = fmt.Errorf("%w: %v", errCrash, e)
		}
	}()
	ref, err := newReference(s)
	if err != nil {
		return nil, nil, err
	}
	var objects []runtime.Object
	for _, o := range s.clone().Others {
		objects = append(objects, &unstructured.Unstructured{Object: o})
	}
	client, err := dclient.NewFakeClient(runtime.NewScheme(), others, objects...)
	if err != nil {
		return nil, nil, err
	}
	client.SetDiscovery(dclient.NewFakeDiscoveryClient(nil))
	no := false
	eng := engine.NewEngine(kyvernoConfig, kyvernoJMESPath, adapters.Client(client),
		factories.DefaultRegistryClientFactory(nil, nil), imageverifycache.DisabledImageVerifyCache(),
		factories.DefaultContextLoaderFactory(configMaps(nil)), exceptions.New(exceptionList(nil)), &no)
	u, err := ref.object()
	if err != nil {
		return nil, nil, err
	}
	pc, err := ref.request(u, u.GroupVersionKind())
	if err != nil {
		return nil, nil, err
	}
	pc = pc.WithPolicy(ref.policies[0]).WithNamespaceLabels(map[string]string{"kubernetes.io/metadata.name": "shop"}).WithAdmissionOperation(false)
	ctx := context.Background()
	if ref.policies[0].GetSpec().HasGenerate() {
		for _, r := range eng.Generate(ctx, pc).PolicyResponse.Rules {
			switch r.Status() {
			case engineapi.RuleStatusPass:
				_, err := generate.NewGenerateControllerWithOnlyClient(client, eng).ApplyGeneratePolicy(logr.Discard(), pc, []string{r.Name()})
				failure = errors.Join(failure, err)
			case engineapi.RuleStatusError, engineapi.RuleStatusFail:
				failure = errors.Join(failure, errors.New(r.Message()))
			}
		}
	} else {
		for _, r := range eng.Mutate(ctx, pc).PolicyResponse.Rules {
			switch r.Status() {
			case engineapi.RuleStatusPass:
				t, _, _ := r.PatchedTarget()
				_, err := client.UpdateResource(ctx, t.GetAPIVersion(), t.GetKind(), t.GetNamespace(), t, false)
				failure = errors.Join(failure, err)
			case engineapi.RuleStatusError, engineapi.RuleStatusFail:
				failure = errors.Join(failure, errors.New(r.Message()))
			}
		}
	}
	out = map[string]any{}
	for gvr := range others {
		list, err := client.GetDynamicInterface().Resource(gvr).List(ctx, metav1.ListOptions{})
		if err != nil {
			return nil, failure, err
		}
		for i := range list.Items {
			add(out, list.Items[i].Object)
		}
	}
	return out, failure, nil
}

// add puts o into all under its identity, without what Kyverno's controller
// notes in labels.
func add(all map[string]any, o map[string]any) {
	o, _ = plain(o).(map[string]any)
	meta, _ := o["metadata"].(map[string]any)
	if labels, ok := meta["labels"].(map[string]any); ok {
		maps.DeleteFunc(labels, func(k string, _ any) bool {
			return strings.HasPrefix(k, "generate.kyverno.io/") || k == "app.kubernetes.io/managed-by"
		})
		if len(labels) == 0 {
			delete(meta, "labels")
		}
	}
	for _, k := range []string{"resourceVersion", "creationTimestamp"} {
		delete(meta, k)
	}
	if a, ok := meta["annotations"].(map[string]any); ok && len(a) == 0 {
		delete(meta, "annotations")
	}
	all[fmt.Sprintf("%s %s/%s", o["kind"], meta["namespace"], meta["name"])] = o
}

// backgroundProduct is the same with oneloop.
func backgroundProduct(s *sample) (out map[string]any, failure error, err error) {
	docs, err := parse("policy.yaml", s.Policies...)
	if err != nil {
		return nil, nil, err
	}
	set, err := pipeline.Compile([]policy.Language{kyverno.Language}, docs)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", errRefused, err)
	}
	resources, err := parse("resource.yaml", append([]map[string]any{s.Resource}, s.Others...)...)
	if err != nil {
		return nil, nil, err
	}
	known := facts.New()
	known.Complete = true
	known.AddResources(resources...)
	if err := known.Declare(facts.Spec{Operation: s.Operation, UserInfo: &facts.Requester{
		UserInfo: facts.UserInfo{Username: s.User, Groups: []string{"system:authenticated"}}}}); err != nil {
		return nil, nil, err
	}
	done, err := pipeline.Apply(context.Background(), resources, pipeline.Options{
		Set: set, Facts: known, Digests: digest.None("test"), KeepGoing: true, Workers: 1})
	if err != nil {
		return nil, nil, err
	}
	for _, e := range done.Entries {
		failure = errors.Join(failure, e.Err)
	}
	out = map[string]any{}
	for _, r := range done.Resources {
		o, err := r.Object()
		if err != nil {
			return nil, nil, err
		}
		if k := resource.IDOf(o).Kind.Kind; k == "ConfigMap" || k == "Secret" {
			add(out, o)
		}
	}
	return out, failure, nil
}

// backgroundDiff tells what differs; done is false when there is nothing to
// compare, because Kyverno or oneloop refuses the policy.
func backgroundDiff(s *sample) (difference, how string) {
	for range 10 {
		want, failure, err := backgroundKyverno(s)
		if err != nil {
			return "", "Kyverno rejects or crashes"
		}
		got, refusal, err := backgroundProduct(s)
		if err != nil {
			if intended(err) != nil {
				return "", "intended"
			}
			return "oneloop: " + err.Error() + "\nKyverno accepts", "different"
		}
		switch {
		case failure != nil && refusal != nil:
			return "", "both fail"
		case refusal != nil && intended(refusal) != nil:
			return "", "intended"
		case failure != nil || refusal != nil:
			difference = fmt.Sprintf("Kyverno: %v\noneloop: %v", failure, refusal)
		default:
			difference = cmp.Diff(want, got)
		}
		if difference == "" {
			before := map[string]any{}
			for _, o := range s.Others {
				add(before, o)
			}
			if cmp.Equal(before, want) {
				return "", "both leave all as it is"
			}
			return "", "both change the same"
		}
	}
	return difference, "different"
}

func TestBackgroundEqualsKyverno(t *testing.T) {
	hows, differences := map[string]int{}, 0
	start := time.Now()
	for i := 0; *campaign == 0 && i < *samples/5 || *campaign > 0 && time.Since(start) < *campaign; i++ {
		if *one >= 0 {
			if i > 0 {
				break
			}
			i = *one
		}
		g := &generator{Rand: rand.New(rand.NewPCG(*seed, uint64(i)))}
		s := g.backgroundSample()
		rule := s.Policies[0]["spec"].(map[string]any)["rules"].([]any)[0].(map[string]any)
		what := "targets"
		if gen, ok := rule["generate"].(map[string]any); ok {
			what = "generate"
			for _, k := range []string{"clone", "cloneList", "data", "foreach"} {
				if gen[k] != nil {
					what += " " + k
				}
			}
		}
		d, how := backgroundDiff(s)
		hows[what+": "+how]++
		if d == "" {
			continue
		}
		t.Errorf("background sample %d of seed %d: %s\n%s", i, *seed, s, d)
		if differences++; differences >= *most {
			t.Fatalf("stopped after %d differences: %v", differences, hows)
		}
	}
	t.Logf("seed %d, %s, %d differences:", *seed, time.Since(start).Round(time.Second), differences)
	for _, k := range slices.Sorted(maps.Keys(hows)) {
		t.Logf("%6d %s", hows[k], k)
	}
}
