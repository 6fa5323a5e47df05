package gatekeeper

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/decode"
	"github.com/oneloop-dev/oneloop/pkg/facts"
	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/policy"
	"github.com/oneloop-dev/oneloop/pkg/policy/internal/constraints"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// A document is an object of Gatekeeper as it is written; S is its spec.
type document[S any] struct {
	APIVersion string          `json:"apiVersion"`
	Kind       string          `json:"kind"`
	Metadata   policy.Metadata `json:"metadata"`
	Spec       S               `json:"spec"`
	Status     any             `json:"status,omitempty"`
}

type assignSpec struct {
	ApplyTo    []applyTo `json:"applyTo,omitempty"`
	Match      match     `json:"match,omitempty"`
	Location   string    `json:"location,omitempty"`
	Parameters struct {
		PathTests []pathTest `json:"pathTests,omitempty"`
		Assign    assigned   `json:"assign,omitempty"`
	} `json:"parameters,omitempty"`
}

type metadataSpec struct {
	Match      match  `json:"match,omitempty"`
	Location   string `json:"location,omitempty"`
	Parameters struct {
		Assign assigned `json:"assign,omitempty"`
	} `json:"parameters,omitempty"`
}

type setSpec struct {
	ApplyTo    []applyTo `json:"applyTo,omitempty"`
	Match      match     `json:"match,omitempty"`
	Location   string    `json:"location,omitempty"`
	Parameters struct {
		PathTests []pathTest `json:"pathTests,omitempty"`
		Operation string     `json:"operation,omitempty" enum:"merge,prune"`
		Values    struct {
			FromList []any `json:"fromList,omitempty"`
		} `json:"values,omitempty"`
	} `json:"parameters,omitempty"`
}

type imageSpec struct {
	ApplyTo    []applyTo `json:"applyTo,omitempty"`
	Match      match     `json:"match,omitempty"`
	Location   string    `json:"location,omitempty"`
	Parameters struct {
		PathTests    []pathTest `json:"pathTests,omitempty"`
		AssignDomain string     `json:"assignDomain,omitempty"`
		AssignPath   string     `json:"assignPath,omitempty"`
		AssignTag    string     `json:"assignTag,omitempty"`
	} `json:"parameters,omitempty"`
}

// A pathTest wants a field on the way to the location to be there, or not to be.
type pathTest struct {
	SubPath   string    `json:"subPath,omitempty"`
	Condition condition `json:"condition,omitempty" enum:"MustExist,MustNotExist"`

	location location // SubPath
}

// An assigned is what a field is set to: one of its fields.
type assigned struct {
	Value        any           `json:"value,omitempty"`
	FromMetadata *fromMetadata `json:"fromMetadata,omitempty"`
	ExternalData *external     `json:"externalData,omitempty"`
}

type fromMetadata struct {
	Field string `json:"field,omitempty" enum:"name,namespace"`
}

// A mutator is compiled.
type mutator struct {
	ref     policy.Ref
	line    int // of the location
	at      location
	tests   tests
	applyTo []applyTo // nil for any kind
	match   match
	set     setter
	end     form // what it says of the field at the end of its location
	alone   bool // no other mutator may lead beyond that field
}

// String names m and where it stands.
func (m *mutator) String() string {
	if at := m.ref.Origin.String(); at != "" {
		return fmt.Sprintf("%s (%s)", m.ref.ID, at)
	}
	return m.ref.ID.String()
}

// selects reports whether m may change objects of a kind.
func (m *mutator) selects(k resource.Kind) bool {
	return m.match.Source != "Generated" && m.match.selects(k) &&
		(m.applyTo == nil || slices.ContainsFunc(m.applyTo, func(a applyTo) bool { return a.selects(k) }))
}

// matches reports whether m changes the object of a.
func (m *mutator) matches(a *admission, o resource.Object) (bool, error) {
	if m.applyTo != nil && !slices.ContainsFunc(m.applyTo, func(to applyTo) bool { return to.selects(a.kind) && to.during(a.operation) }) {
		return false, nil
	}
	return m.match.matches(a, o)
}

// A reading collects the faults of a document.
type reading struct {
	source *resource.Resource
	ref    policy.Ref
	faults []*policy.Error
}

func newReading(d *resource.Resource) *reading {
	return &reading{source: d, ref: policy.Ref{ID: d.ID(), Origin: d.Origin()}}
}

func (r *reading) fault(at fieldpath.Path, format string, args ...any) {
	r.faults = append(r.faults, &policy.Error{Policy: r.ref, Line: r.source.Line(at), Path: at, Err: fmt.Errorf(format, args...)})
}

// decode reads the document; it reports whether it could.
func (r *reading) decode(versions []string, into any) bool {
	id := r.ref.ID
	if !slices.Contains(versions, id.Kind.Version) {
		r.fault(fieldpath.Path{}.Key("apiVersion"), "there is no version %q of %s; expected %s/%s", id.Kind.Version, id.Kind.Kind, id.Kind.Group, versions[0])
	}
	o, err := r.source.Object()
	if err != nil {
		r.fault(nil, "%w", err)
		return false
	}
	for _, f := range decode.Document(map[string]any(o), into, r.source.BareWord) {
		r.fault(f.Path, "%s", f.Message)
	}
	return len(r.faults) == 0
}

var (
	spec       = fieldpath.Path{}.Key("spec")
	parameters = spec.Key("parameters")
)

// compileMutator returns nil when there are faults.
func compileMutator(d *resource.Resource) (*mutator, []error) {
	r := newReading(d)
	m := &mutator{ref: r.ref, line: d.Line(spec.Key("location"))}
	kind := r.ref.ID.Kind.Kind
	switch kind {
	case "Assign":
		var doc document[assignSpec]
		if r.decode(versions[kind], &doc) {
			r.assign(m, &doc.Spec)
		}
	case "AssignMetadata":
		var doc document[metadataSpec]
		if r.decode(versions[kind], &doc) {
			r.assignMetadata(m, &doc.Spec)
		}
	case "ModifySet":
		var doc document[setSpec]
		if r.decode(versions[kind], &doc) {
			r.modifySet(m, &doc.Spec)
		}
	case "AssignImage":
		var doc document[imageSpec]
		if r.decode(versions[kind], &doc) {
			r.assignImage(m, &doc.Spec)
		}
	default:
		r.fault(nil, "%s has no kind %s; expected Assign, AssignMetadata, ModifySet or AssignImage", mutations, kind)
	}
	if name := r.ref.ID.Name; len(name) > 63 {
		r.fault(fieldpath.Path{}.Key("metadata").Key("name"), "a name of %d characters; expected at most 63", len(name))
	}
	if len(r.faults) > 0 {
		return nil, r.inOrder()
	}
	return m, nil
}

// inOrder returns the faults by line.
func (r *reading) inOrder() []error {
	slices.SortStableFunc(r.faults, func(a, b *policy.Error) int { return a.Line - b.Line })
	out := make([]error, len(r.faults))
	for i, f := range r.faults {
		out[i] = f
	}
	return out
}

// location reads a location; nil when it is none.
func (r *reading) location(at fieldpath.Path, text string) location {
	if text == "" {
		r.fault(at, "expected the place of a field, such as spec.containers[name: web].image")
		return nil
	}
	l, err := parseLocation(text)
	if err != nil {
		r.fault(at, "%.80q %w", text, err)
		return nil
	}
	return l
}

// objectLocation reads the location of what is no metadata; nil when it is none.
func (r *reading) objectLocation(text string) location {
	at := spec.Key("location")
	l := r.location(at, text)
	switch {
	case l == nil:
		return nil
	case l[0] == node{field: "metadata"}:
		r.fault(at, "%s does not change metadata; use AssignMetadata for labels and annotations", r.ref.ID.Kind.Kind)
		return nil
	}
	return l
}

// keepsKey refuses a location that leads to the key field of list elements.
func (r *reading) keepsKey(l location) {
	if n := len(l); n > 1 && l[n-2].list && !l[n-1].list && l[n-1].field == l[n-2].field {
		r.fault(spec.Key("location"), "%s is the key by which the elements of the list are found, and can't be changed", l[n-1].field)
	}
}

func (r *reading) pathTests(at location, list []pathTest) tests {
	path := parameters.Key("pathTests")
	whole := true
	for i := range list {
		list[i].location = r.location(path.Index(i).Key("subPath"), list[i].SubPath)
		if list[i].Condition == "" {
			r.fault(path.Index(i), "expected a condition: MustExist or MustNotExist")
		}
		whole = whole && list[i].location != nil
	}
	if !whole || at == nil {
		return nil
	}
	out, err := newTests(at, list)
	if err != nil {
		r.fault(path, "%w", err)
	}
	return out
}

func (r *reading) applyTo(list []applyTo) []applyTo {
	path := spec.Key("applyTo")
	if len(list) == 0 {
		r.fault(path, "expected the kinds that it applies to, as in [{groups: [apps], versions: [v1], kinds: [Deployment]}]")
	}
	for i, a := range list {
		at := path.Index(i)
		for _, f := range []struct {
			name string
			list []string
		}{{"groups", a.Groups}, {"versions", a.Versions}, {"kinds", a.Kinds}} {
			if len(f.list) == 0 {
				r.fault(at, "expected %s; applyTo knows no wildcards, and the core group is \"\"", f.name)
			}
		}
		at = at.Key("operations")
		for j, operation := range a.Operations {
			switch {
			case operation != "*" && !slices.Contains(operations, operation):
				r.fault(at.Index(j), "expected CREATE, UPDATE or *, found %q", operation)
			case slices.Contains(a.Operations[:j], operation):
				r.fault(at.Index(j), "%s is there twice", operation)
			}
		}
		if len(a.Operations) > 1 && slices.Contains(a.Operations, "*") {
			r.fault(at, "* stands for all operations; write it alone")
		}
	}
	return list
}

func (r *reading) match(m match) match {
	path := spec.Key("match")
	r.patterns(path.Key("namespaces"), m.Namespaces)
	r.patterns(path.Key("excludedNamespaces"), m.ExcludedNamespaces)
	r.pattern(path.Key("name"), m.Name)
	selector := func(at fieldpath.Path, s *constraints.Selector) {
		for _, f := range s.Faults(at) {
			r.fault(f.Path, "%s", f.Message)
		}
	}
	selector(path.Key("labelSelector"), m.LabelSelector)
	selector(path.Key("namespaceSelector"), m.NamespaceSelector)
	// Faults has found what is wrong with them.
	if m.LabelSelector != nil {
		m.labels, _ = m.LabelSelector.Compile()
	}
	if m.NamespaceSelector != nil {
		m.namespaceLabels, _ = m.NamespaceSelector.Compile()
	}
	return m
}

func (r *reading) patterns(at fieldpath.Path, list []pattern) {
	for i, p := range list {
		r.pattern(at.Index(i), p)
	}
}

func (r *reading) pattern(at fieldpath.Path, p pattern) {
	if !patternForm().MatchString(string(p)) {
		r.fault(at, "expected lower-case letters, digits and -, maybe with a * at the beginning or the end; found %q", p)
	}
}

// assigned reads what a field is set to; nil when there are faults.
func (r *reading) assigned(a *assigned) setter {
	at := parameters.Key("assign")
	given := 0
	for _, is := range []bool{a.Value != nil, a.FromMetadata != nil, a.ExternalData != nil} {
		if is {
			given++
		}
	}
	switch {
	case given != 1:
		r.fault(at, "expected one of value, fromMetadata and externalData, found %d", given)
	case a.FromMetadata != nil:
		if a.FromMetadata.Field == "" {
			r.fault(at.Key("fromMetadata"), "expected a field: name or namespace")
		}
		return metadataField(a.FromMetadata.Field)
	case a.ExternalData != nil:
		r.external(at.Key("externalData"), a.ExternalData)
		return *a.ExternalData
	default:
		return constant{floats(a.Value)}
	}
	return nil
}

func (r *reading) assign(m *mutator, s *assignSpec) {
	m.at = r.objectLocation(s.Location)
	m.set = r.assigned(&s.Parameters.Assign)
	m.alone = s.Parameters.Assign.ExternalData != nil
	m.tests = r.pathTests(m.at, s.Parameters.PathTests)
	m.applyTo, m.match = r.applyTo(s.ApplyTo), r.match(s.Match)
	if m.at == nil || m.set == nil {
		return
	}
	r.keepsKey(m.at)
	if last := m.at[len(m.at)-1]; last.list {
		r.element(last, m.set)
	}
}

// element checks what is assigned to an element of a list.
func (r *reading) element(at node, set setter) {
	value := parameters.Key("assign").Key("value")
	c, isValue := set.(constant)
	m, isMap := c.value.(map[string]any)
	switch {
	case at.all():
		r.fault(spec.Key("location"), "it ends in all elements of a list; end it in one of them, or in a field of them")
	case !isValue:
		r.fault(parameters.Key("assign"), "an element of a list is assigned as a whole: expected a value")
	case !isMap:
		r.fault(value, "an element of the list is a map with its key %s", at.field)
	case m[at.field] == at.key:
	default:
		if key, ok := m[at.field].(float); ok && int64(key) == at.key {
			r.fault(value.Key(at.field), "Gatekeeper refuses this: it reads an integer in a value as a float, which is not the key of the location; let the location go on to a field of the element, which is then added with its key")
			return
		}
		r.fault(value, "expected %s: %v in it, as in the location", at.field, at.key)
	}
}

func (r *reading) assignMetadata(m *mutator, s *metadataSpec) {
	at := spec.Key("location")
	if l := r.location(at, s.Location); l != nil {
		if len(l) != 3 || (!location{{field: "metadata"}, {field: "labels"}}.begins(l) && !location{{field: "metadata"}, {field: "annotations"}}.begins(l)) || l[2].list {
			r.fault(at, "expected metadata.labels.KEY or metadata.annotations.KEY, found %s; quote a key with dots or slashes", l)
			return
		}
		m.at, m.tests = l, tests{len(l) - 1: mustNotExist} // it never overwrites
	}
	m.match = r.match(s.Match)
	m.set = r.assigned(&s.Parameters.Assign)
	switch set := m.set.(type) {
	case constant:
		if _, ok := set.value.(string); !ok {
			r.fault(parameters.Key("assign").Key("value"), "labels and annotations are strings; quote it")
		}
	case external:
		if set.DataSource != username {
			r.fault(parameters.Key("assign").Key("externalData").Key("dataSource"), "AssignMetadata takes dataSource: Username alone")
		}
	}
}

func (r *reading) modifySet(m *mutator, s *setSpec) {
	m.at, m.end = r.objectLocation(s.Location), aSet
	if m.at != nil && m.at[len(m.at)-1].list {
		r.fault(spec.Key("location"), "a set is a list without keys: expected a field at the end")
	}
	values := s.Parameters.Values.FromList
	if len(values) == 0 {
		at := parameters.Key("values").Key("fromList")
		r.faults = append(r.faults, &policy.Error{Policy: r.ref, Line: r.source.Line(at), Path: at, Err: policy.Failing(errors.New("expected a list of values: without one it changes nothing, or writes null"))})
	}
	m.set = merge(values)
	if s.Parameters.Operation == "prune" {
		m.set = prune(values)
	}
	m.tests = r.pathTests(m.at, s.Parameters.PathTests)
	m.applyTo, m.match = r.applyTo(s.ApplyTo), r.match(s.Match)
}

func (r *reading) assignImage(m *mutator, s *imageSpec) {
	p := &s.Parameters
	m.at, m.end, m.alone = r.objectLocation(s.Location), aText, true
	if m.at != nil && m.at[len(m.at)-1].list {
		r.fault(spec.Key("location"), "an image is a text: expected a field at the end")
	}
	r.keepsKey(m.at)
	parts := imageParts{p.AssignDomain, p.AssignPath, p.AssignTag}
	if field, err := parts.check(); err != nil {
		at := parameters
		if field != "" {
			at = at.Key(field)
		}
		r.fault(at, "%w", err)
	}
	m.set = parts
	m.tests = r.pathTests(m.at, p.PathTests)
	m.applyTo, m.match = r.applyTo(s.ApplyTo), r.match(s.Match)
}

// A config is what Gatekeeper's Config says that matters here.
type config struct {
	id       resource.ID
	excluded []pattern
}

// configAmong returns the Config among the facts, nil for none. What is wrong in it
// is nobody's policy, and excludes nothing.
func configAmong(f *facts.Facts) (*config, error) {
	objects, err := f.List(configuring, "Config", "")
	if err != nil {
		return nil, err
	}
	for _, o := range objects {
		c := &config{id: resource.IDOf(o)}
		if c.id.Name != configName {
			continue
		}
		spec, _ := o["spec"].(map[string]any)
		entries, _ := spec["match"].([]any)
		for _, e := range entries {
			entry, _ := e.(map[string]any)
			processes, _ := entry["processes"].([]any)
			if !slices.Contains(processes, any("*")) && !slices.Contains(processes, any(process)) {
				continue
			}
			excluded, _ := entry["excludedNamespaces"].([]any)
			for _, v := range excluded {
				if text, ok := v.(string); ok {
					c.excluded = append(c.excluded, pattern(text))
				}
			}
		}
		return c, nil
	}
	return nil, nil
}

// configName is the only name of a Config that Gatekeeper reads, process the part
// of it that mutators run in.
const (
	configName = "config"
	process    = "mutation-webhook"
)

type configSpec struct {
	Match []struct {
		Processes          []string  `json:"processes,omitempty"`
		ExcludedNamespaces []pattern `json:"excludedNamespaces,omitempty"`
	} `json:"match,omitempty"`
	Sync       any `json:"sync,omitempty"`
	Validation any `json:"validation,omitempty"`
	Readiness  any `json:"readiness,omitempty"`
}

// processes are those that Gatekeeper excludes namespaces from.
var processes = []string{"*", process, "webhook", "audit", "sync"}

func compileConfig(d *resource.Resource) (*config, []error) {
	r := newReading(d)
	var doc document[configSpec]
	if !r.decode([]string{"v1alpha1"}, &doc) {
		return nil, r.inOrder()
	}
	c := &config{id: r.ref.ID}
	if name := r.ref.ID.Name; name != configName {
		r.fault(fieldpath.Path{}.Key("metadata").Key("name"), "Gatekeeper reads the Config with the name config alone, found %q", name)
	}
	for i, m := range doc.Spec.Match {
		at := spec.Key("match").Index(i)
		r.patterns(at.Key("excludedNamespaces"), m.ExcludedNamespaces)
		for j, p := range m.Processes {
			if !slices.Contains(processes, p) {
				r.fault(at.Key("processes").Index(j), "expected %s, found %q", strings.Join(processes, ", "), p)
			}
		}
		if slices.Contains(m.Processes, "*") || slices.Contains(m.Processes, process) {
			c.excluded = append(c.excluded, m.ExcludedNamespaces...)
		}
	}
	return c, r.inOrder()
}
