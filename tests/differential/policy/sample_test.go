package differential

import (
	"encoding/json"
	"fmt"
	"strings"

	"sigs.k8s.io/yaml"
)

// A sample is one resource, the policies that apply to it and what a cluster
// would have known. It is plain JSON, so that it can be printed and cut down.
type sample struct {
	Policies   []map[string]any `json:"policies"`
	Exceptions []map[string]any `json:"exceptions,omitempty"`
	Resource   map[string]any   `json:"resource"`
	Namespace  map[string]any   `json:"namespaceObject,omitempty"` // of the resource
	ConfigMaps []map[string]any `json:"configMaps,omitempty"`
	Others     []map[string]any `json:"others,omitempty"` // that targets or generate rules act on
	Operation  string           `json:"operation"`
	User       string           `json:"user,omitempty"`
	Roles      []string         `json:"roles,omitempty"`
}

func (s *sample) clone() *sample {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	out := &sample{}
	if err := json.Unmarshal(b, out); err != nil {
		panic(err)
	}
	return out
}

// String returns the sample as documents that both programs read.
func (s *sample) String() string {
	var b strings.Builder
	doc := func(v any) {
		fmt.Fprintf(&b, "---\n%s", text(v))
	}
	for _, p := range s.Policies {
		doc(p)
	}
	for _, e := range s.Exceptions {
		doc(e)
	}
	doc(s.Resource)
	for _, o := range s.Others {
		doc(o)
	}
	if s.Namespace != nil {
		doc(s.Namespace)
	}
	for _, c := range s.ConfigMaps {
		doc(c)
	}
	fmt.Fprintf(&b, "# operation %s, user %s, roles %s\n", s.Operation, s.User, s.Roles)
	return b.String()
}

func text(v any) string {
	b, err := yaml.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func namespaceOf(o map[string]any) string {
	m, _ := o["metadata"].(map[string]any)
	s, _ := m["namespace"].(string)
	return s
}

func nameOf(o map[string]any) string {
	m, _ := o["metadata"].(map[string]any)
	s, _ := m["name"].(string)
	return s
}

// plain makes values comparable: all numbers float64.
func plain(v any) any {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	var out any
	if err := json.Unmarshal(b, &out); err != nil {
		panic(err)
	}
	return out
}

// A step is how one policy ended on the resource.
type step struct {
	policy string
	rules  []ruleResult
	object map[string]any // after the policy
	moves  bool           // whether the policy has operations that move
}

type ruleResult struct{ name, status, message string }

func (s *step) failed() bool {
	for _, r := range s.rules {
		if r.status == "error" || r.status == "fail" {
			return true
		}
	}
	return false
}

func (s *step) statuses() string {
	var b strings.Builder
	for _, r := range s.rules {
		fmt.Fprintf(&b, "%s/%s: %s\n", s.policy, r.name, r.status)
	}
	return b.String()
}

func (s *step) details() string {
	var b strings.Builder
	for _, r := range s.rules {
		fmt.Fprintf(&b, "\t%s/%s: %s: %s\n", s.policy, r.name, r.status, r.message)
	}
	return b.String()
}
