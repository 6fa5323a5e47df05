package image

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/jsonvalue"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// A Field is one place in an object that names an image.
type Field struct {
	Reference
	// Group is initContainers, containers, ephemeralContainers, or the name of
	// an Extractor.
	Group string
	// Key is the name of the container. For an extractor without a key it is
	// the Pointer.
	Key string
	// At is where the reference stands in the object.
	At fieldpath.Path
}

// Pointer is At in the form of Kyverno's jsonPointer, in which nothing is
// escaped.
func (f Field) Pointer() string { return pointer(f.At) }

// Values returns the field as Kyverno's `images` variable shows it. Registry,
// tag and digest are missing where they are empty.
func (f Field) Values() map[string]any {
	v := map[string]any{
		"name":             f.Name,
		"path":             f.Path,
		"reference":        f.Full,
		"referenceWithTag": f.FullWithTag,
		"jsonPointer":      f.Pointer(),
	}
	if f.Registry != "" {
		v["registry"] = f.Registry
	}
	if f.Tag != "" {
		v["tag"] = f.Tag
	}
	if f.Digest != "" {
		v["digest"] = f.Digest
	}
	return v
}

// A Group is the images of one list of containers, or those of one Extractor.
type Group struct {
	Name   string
	Fields []Field // in the order of the object
}

// Variables returns groups as Kyverno's `images` variable: group name to
// container name to the field's Values. It is nil when there are no images:
// Kyverno does not set the variable then.
func Variables(groups []Group) map[string]any {
	if len(groups) == 0 {
		return nil
	}
	out := make(map[string]any, len(groups))
	for _, g := range groups {
		fields := make(map[string]any, len(g.Fields))
		for _, f := range g.Fields {
			fields[f.Key] = f.Values()
		}
		out[g.Name] = fields
	}
	return out
}

// An Extractor tells where objects hold images. Make it with NewExtractor.
type Extractor struct {
	// Name is the group that the images are listed under.
	Name      string
	steps     []string // map keys, and * for all elements of a list or map
	value     string   // the key that holds the reference
	key       string   // the key that holds the element's name; "" for none
	transform func(any) (any, error)
}

// NewExtractor returns the extractor of an imageExtractors entry of a Kyverno
// rule. path is slash-separated, with * for every element of a list or map;
// value is the field below it that holds the reference, by default the last
// part of path; key is the field that names the element; name defaults to
// "custom". transform, when not nil, turns what the field holds into a
// reference (Kyverno's jmesPath).
func NewExtractor(path, value, key, name string, transform func(any) (any, error)) (Extractor, error) {
	e := Extractor{Name: name, value: value, key: key, transform: transform}
	if e.Name == "" {
		e.Name = "custom"
	}
	for step := range strings.SplitSeq(path, "/") {
		if step = strings.Trim(step, " "); step != "" {
			e.steps = append(e.steps, step)
		}
	}
	if e.value == "" {
		if len(e.steps) == 0 {
			return Extractor{}, fmt.Errorf("path %q names no field: expected one such as /spec/steps/*/image", path)
		}
		e.value = e.steps[len(e.steps)-1]
		e.steps = e.steps[:len(e.steps)-1]
	}
	return e, nil
}

// podSpec returns the extractors of a Pod specification below steps.
func podSpec(steps ...string) []Extractor {
	var out []Extractor
	for _, list := range [...]string{"initContainers", "containers", "ephemeralContainers"} {
		out = append(out, Extractor{
			Name:  list,
			steps: append(slices.Clone(steps), list, "*"),
			value: "image",
			key:   "name",
		})
	}
	return out
}

var (
	podExtractors        = podSpec("spec")
	controllerExtractors = podSpec("spec", "template", "spec")
	cronJobExtractors    = podSpec("spec", "jobTemplate", "spec", "template", "spec")
)

// Extractors returns the extractors of Pods and their controllers; nil for
// other kinds. Like Kyverno it goes by the name of the kind alone.
func Extractors(kind resource.Kind) []Extractor {
	switch kind.Kind {
	case "Pod":
		return podExtractors
	case "DaemonSet", "Deployment", "ReplicaSet", "ReplicationController", "StatefulSet", "Job":
		return controllerExtractors
	case "CronJob":
		return cronJobExtractors
	}
	return nil
}

// Groups finds the images of an object of kind with the extractors given, or
// those of Extractors when none are. Groups come in the order of the
// extractors and only when they have images; of two with one name, or two
// containers of one name, the later replaces the earlier, as in Kyverno. An
// absent or blank reference is passed over; one that cannot be read, and a
// container without a name, are errors.
func Groups(kind resource.Kind, o resource.Object, extractors ...Extractor) ([]Group, error) {
	if len(extractors) == 0 {
		extractors = Extractors(kind)
	}
	var groups []Group
	for _, e := range extractors {
		g := Group{Name: e.Name}
		if err := e.extract(o, &g); err != nil {
			return nil, err
		}
		if len(g.Fields) == 0 {
			continue
		}
		if i := slices.IndexFunc(groups, func(old Group) bool { return old.Name == g.Name }); i >= 0 {
			groups[i] = g
			continue
		}
		groups = append(groups, g)
	}
	return groups, nil
}

// Fields is Groups by group name and container name.
func Fields(kind resource.Kind, o resource.Object, extractors ...Extractor) (map[string]map[string]Field, error) {
	groups, err := Groups(kind, o, extractors...)
	if err != nil {
		return nil, err
	}
	out := make(map[string]map[string]Field, len(groups))
	for _, g := range groups {
		fields := make(map[string]Field, len(g.Fields))
		for _, f := range g.Fields {
			fields[f.Key] = f
		}
		out[g.Name] = fields
	}
	return out, nil
}

// extract appends the images of o to g.
func (e Extractor) extract(o resource.Object, g *Group) error {
	return walk(o, e.steps, nil, func(m map[string]any, at fieldpath.Path) error {
		f := Field{Group: g.Name, At: at.Key(e.value)}
		var ok bool
		if e.key == "" {
			f.Key = f.Pointer()
		} else if f.Key, ok = m[e.key].(string); !ok {
			return fmt.Errorf("%s: expected a string that names the element", describe(at.Key(e.key)))
		}
		reference, ok := m[e.value].(string)
		if !ok || strings.TrimSpace(reference) == "" {
			return nil
		}
		if e.transform != nil {
			result, err := e.transform(reference)
			if err != nil {
				return fmt.Errorf("%s: %w", describe(f.At), err)
			}
			if reference, ok = result.(string); !ok {
				return fmt.Errorf("%s: expected jmesPath to give a string, found %s", describe(f.At), jsonvalue.Type(result))
			}
		}
		var err error
		if f.Reference, err = Parse(reference); err != nil {
			return fmt.Errorf("%s: %w", describe(f.At), err)
		}
		if i := slices.IndexFunc(g.Fields, func(old Field) bool { return old.Key == f.Key }); i >= 0 {
			g.Fields[i] = f
			return nil
		}
		g.Fields = append(g.Fields, f)
		return nil
	})
}

// walk calls found for each map that steps lead to.
func walk(v any, steps []string, at fieldpath.Path, found func(m map[string]any, at fieldpath.Path) error) error {
	if v == nil {
		return nil
	}
	if len(steps) > 0 && steps[0] == "*" {
		switch v := v.(type) {
		case []any:
			for i, element := range v {
				var err error
				switch element.(type) {
				case map[string]any:
					err = walk(element, steps[1:], at.Index(i), found)
				case []any: // lists of lists are seen as one
					err = walk(element, steps, at.Index(i), found)
				}
				if err != nil {
					return err
				}
			}
			return nil
		case map[string]any:
			for _, k := range slices.Sorted(maps.Keys(v)) {
				switch v[k].(type) {
				case map[string]any, []any:
					if err := walk(v[k], steps[1:], at.Key(k), found); err != nil {
						return err
					}
				}
			}
			return nil
		}
	}
	m, ok := v.(map[string]any)
	if !ok {
		return fmt.Errorf("%s: expected a map on the way to an image, found %s", describe(at), jsonvalue.Type(v))
	}
	if len(steps) > 0 {
		return walk(m[steps[0]], steps[1:], at.Key(steps[0]), found)
	}
	return found(m, at)
}

func describe(at fieldpath.Path) string {
	if len(at) == 0 {
		return "the object"
	}
	return at.String()
}

func pointer(at fieldpath.Path) string {
	var b strings.Builder
	for _, s := range at {
		b.WriteByte('/')
		if s.IsIndex() {
			b.WriteString(strconv.Itoa(s.Index()))
		} else {
			b.WriteString(s.Key())
		}
	}
	return b.String()
}

var errNotPinnable = errors.New("no field to write to")

// Pin returns o with the reference at a path replaced; o is not modified, and
// what does not change is shared with it.
func Pin(o resource.Object, at fieldpath.Path, reference string) (resource.Object, error) {
	out, err := set(o, at, reference)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", at, err)
	}
	return out.(resource.Object), nil
}

// set returns v with value at path, copying the maps and lists on the way.
func set(v any, path fieldpath.Path, value any) (any, error) {
	if len(path) == 0 {
		return value, nil
	}
	step := path[0]
	switch v := v.(type) {
	case map[string]any:
		if step.IsIndex() {
			return nil, errNotPinnable
		}
		child, err := set(v[step.Key()], path[1:], value)
		if err != nil {
			return nil, err
		}
		v = maps.Clone(v)
		v[step.Key()] = child
		return v, nil
	case []any:
		if !step.IsIndex() || step.Index() >= len(v) {
			return nil, errNotPinnable
		}
		child, err := set(v[step.Index()], path[1:], value)
		if err != nil {
			return nil, err
		}
		v = slices.Clone(v)
		v[step.Index()] = child
		return v, nil
	}
	return nil, errNotPinnable
}
