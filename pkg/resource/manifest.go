package resource

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"

	"github.com/oneloop-dev/oneloop/pkg/fieldpath"
	"github.com/oneloop-dev/oneloop/pkg/jsonvalue"
)

// A Resource is one manifest. It keeps the text it was read from, and reads it
// again whenever it is asked something: that is faster than keeping a tree of
// nodes for thousands of manifests. It is safe for concurrent reads; Update
// must not run at the same time as anything else on the same resource.
type Resource struct {
	id          ID
	origin      Origin
	annotations []annotation

	text string // as read, or as Update left it
	// item: text is a list with one element, its dash included, as cut out of
	// a List or ResourceList.
	item bool
	// runner: the annotations of the runner are hidden from Object and survive
	// Update.
	runner bool
	// simple: the scanner reads text; otherwise yaml/v3 does.
	simple bool
	// canonical: text is what yaml/v3 writes.
	canonical bool
	changed   bool
	// misplaced: a namespace is written that is no text, and so not in id.
	misplaced bool
	// bare: BareTexts has something to tell.
	bare bool

	// firstLine is the line of the file that text starts at, behind what is
	// glued to it; 0 when it is not known.
	firstLine int
	// before and after are what text has around its own: comments from
	// documents that hold nothing else.
	before, after string
	// dedented is by how much the lines of text but the first were moved to the
	// left.
	dedented int
	// start and end are where the text stood in the normalized file, and docEnd
	// is where its document ended there; 0 when it has no place there.
	start, end, docEnd int
}

type annotation struct{ key, value string }

// ID returns the identity as it was read.
func (r *Resource) ID() ID { return r.id }

// Origin returns the place r was read from.
func (r *Resource) Origin() Origin { return r.origin }

// Changed reports whether Update changed anything.
func (r *Resource) Changed() bool { return r.changed }

// Annotation returns the value of an annotation as it was read, also of one
// that Object hides; "" when it is not there.
func (r *Resource) Annotation(key string) string {
	v, _ := r.annotation(key)
	return v
}

func (r *Resource) annotation(key string) (string, bool) {
	for _, a := range r.annotations {
		if a.key == key {
			return a.value, true
		}
	}
	return "", false
}

// LocalConfig reports whether r only exists on the client and never reaches a
// cluster: it has the annotation config.kubernetes.io/local-config with any
// value but "false", which is how kustomize decides.
func (r *Resource) LocalConfig() bool {
	v, ok := r.annotation("config.kubernetes.io/local-config")
	return ok && v != "false"
}

// Object returns the manifest as plain JSON values, by the rules of
// sigs.k8s.io/yaml, which kubectl and the API server follow: yes, on and y are
// true, dates are strings, whole numbers are int64. Only in metadata, where
// text alone can stand, yes, on and y are text. A key that is there twice is an
// error. The annotations that runners of functions add to the items of a
// ResourceList, and Helm to what it hands over, are left out. Every call returns
// values of its own.
func (r *Resource) Object() (Object, error) {
	o, err := r.object()
	if err == nil && r.runner {
		hideRunnerAnnotations(o)
	}
	return o, err
}

var trees = sync.Pool{New: func() any { return new(tree) }}

// object returns all values, those for runners included.
func (r *Resource) object() (Object, error) {
	var v any
	var err error
	if r.simple {
		t := trees.Get().(*tree)
		defer trees.Put(t)
		root, scanErr := r.scan(t)
		if scanErr != nil {
			return nil, scanErr
		}
		v, err = t.object(root)
	} else {
		n, decodeErr := decodeNode(r.text, r.item)
		if decodeErr != nil {
			return nil, r.fault(decodeErr)
		}
		v, err = manifestObject(n)
	}
	if err != nil {
		return nil, r.fault(err)
	}
	o, ok := v.(map[string]any)
	if !ok {
		return nil, r.fault(fmt.Errorf("expected a map, found %s", jsonvalue.Describe(v)))
	}
	return o, nil
}

// Line returns the line of the deepest part of p that exists, counted in the
// file that r was read from; 0 when it is not known.
func (r *Resource) Line(p fieldpath.Path) int { return r.Lines(p)[0] }

// Lines is Line for several paths, which costs little more than for one.
func (r *Resource) Lines(paths ...fieldpath.Path) []int {
	out := make([]int, len(paths))
	for i := range out {
		out[i] = r.origin.Line
	}
	if r.firstLine == 0 || r.changed {
		return out // the text is not what the file holds
	}
	if !r.simple {
		if root, err := decodeNode(r.text, r.item); err == nil {
			for i, p := range paths {
				out[i] = r.nodeLine(root, p)
			}
		}
		return out
	}
	t := trees.Get().(*tree)
	defer trees.Put(t)
	if t.scanDocument(r.text, r.item) != nil {
		return out
	}
	for i, p := range paths {
		out[i] = r.scannedLine(t, p)
	}
	return out
}

// scannedLine is Line for what the scanner read.
func (r *Resource) scannedLine(t *tree, p fieldpath.Path) int {
	n := int32(0)
	if r.item {
		n = t.nodes[0].first
	}
	at := t.nodes[n].val
	if r.item {
		at = t.nodes[n].start
	}
	for _, step := range p {
		if n = t.below(n, step); n == 0 {
			break
		}
		at = t.nodes[n].start
	}
	return r.line(int(at))
}

// line turns an offset in the text into a line of the file.
func (r *Resource) line(offset int) int {
	return r.lineOf(1 + strings.Count(r.text[:min(offset, len(r.text))], "\n"))
}

// lineOf turns a line of the text, counted from 1, into a line of the file.
func (r *Resource) lineOf(n int) int {
	if r.firstLine == 0 {
		return 0
	}
	return r.firstLine + max(n-1-strings.Count(r.before, "\n"), 0)
}

// nodeLine is Line for what the scanner does not read.
func (r *Resource) nodeLine(n *yaml.Node, p fieldpath.Path) int {
	line := n.Line
	for _, step := range p {
		n = resolveAlias(n)
		found := false
		if step.IsIndex() {
			if found = isSequence(n) && step.Index() < len(n.Content); found {
				n = n.Content[step.Index()]
				line = n.Line
			}
		} else if isMapping(n) {
			for i := 0; i+1 < len(n.Content) && !found; i += 2 {
				if key, err := nodeKey(n.Content[i]); err == nil && key == step.Key() {
					line = n.Content[i].Line
					n = n.Content[i+1]
					found = true
				}
			}
		}
		if !found {
			break
		}
	}
	return r.lineOf(line)
}

// fault names file and line of an error of the scanner or of yaml/v3.
func (r *Resource) fault(err error) error {
	at := Origin{File: r.origin.File, Line: r.origin.Line}
	var scan *scanError
	var node *nodeError
	switch {
	case errors.As(err, &scan):
		// What is missing at the end is missing behind the last word.
		offset := min(scan.offset, len(r.text))
		if strings.TrimSpace(r.text[offset:]) == "" {
			offset = len(strings.TrimRight(r.text[:offset], " \n"))
		}
		at.Line = r.line(offset)
	case errors.As(err, &node):
		at.Line, err = r.lineOf(node.line), node.err
	default:
		text := strings.TrimPrefix(err.Error(), "yaml: ")
		if m := yamlLine().FindStringSubmatch(text); m != nil {
			n, _ := strconv.Atoi(m[1])
			at.Line = r.lineOf(n)
			text = strings.TrimPrefix(text, m[0])
		} else if name, ok := strings.CutPrefix(text, "unknown anchor '"); ok {
			// yaml/v3 does not tell where.
			name, _, _ = strings.Cut(name, "'")
			if i := strings.Index(r.text, "*"+name); i >= 0 {
				at.Line = r.line(i)
			}
		}
		err = errors.New(text)
	}
	if where := at.String(); where != "" {
		return fmt.Errorf("%s: %w", where, err)
	}
	return err
}

var yamlLine = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^line (\d+): `) })
