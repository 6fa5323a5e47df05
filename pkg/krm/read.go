package krm

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"go.yaml.in/yaml/v3"

	"github.com/oneloop-dev/oneloop/pkg/parallel"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// errUnusual says that a list can't be split by its lines.
var errUnusual = errors.New("unusual ResourceList")

// A section is a top-level entry of the list that is written back.
type section struct {
	text string     // with its key; or
	node *yaml.Node // without
}

// A pieceOfText is one item before it is read.
type pieceOfText struct {
	line       int
	start, end int
}

// readSplit reads a ResourceList as the runners write it: the lines of each
// section and item can be told by their indentation, so that every item is
// read by itself. It fails on everything else; each item also makes sure that
// it ends where it seems to.
func readSplit(text string) (*ResourceList, error) {
	list := &ResourceList{}
	kind := ""
	var items []pieceOfText
	var config pieceOfText
	seen := map[string]bool{}
	section := ""    // the key whose lines follow
	itemIndent := -1 // of the dashes
	sectionStart := 0
	closeSection := func(end int) {
		switch section {
		case "items":
			if len(items) > 0 {
				items[len(items)-1].end = end
			}
		case "functionConfig":
			config.end = end
			list.functionConfig.text = text[sectionStart:end]
		case "results":
			list.results.text = text[sectionStart:end]
		}
	}
	line := 0
	for i := 0; i < len(text); {
		line++
		next := len(text)
		if nl := strings.IndexByte(text[i:], '\n'); nl >= 0 {
			next = i + nl + 1
		}
		start := i
		l := text[start:next]
		i = next
		indent := 0
		for indent < len(l) && l[indent] == ' ' {
			indent++
		}
		switch {
		case indent == len(l) || l[indent] == '\n':
			continue
		case section == "items" && isDash(l[indent:]) && (itemIndent < 0 || indent == itemIndent):
			itemIndent = indent
			if len(items) > 0 {
				items[len(items)-1].end = start
			}
			if len(items) == resource.MaxResources {
				return nil, fmt.Errorf("-:%d: the ResourceList has more than %d items", line, resource.MaxResources)
			}
			items = append(items, pieceOfText{line: line, start: start})
			continue
		case indent > 0 && section != "" && (section != "items" || itemIndent >= 0 && indent > itemIndent):
			if section == "functionConfig" && config.start == 0 {
				config.start, config.line = start, line
			}
			continue
		case indent > 0:
			return nil, errUnusual
		}
		// A line at column 0.
		if line == 1 && l == "---\n" || section == "results" && isDash(l) {
			continue
		}
		key, value, ok := strings.Cut(strings.TrimSuffix(l, "\n"), ":")
		if !ok || seen[key] {
			return nil, errUnusual
		}
		closeSection(start)
		seen[key] = true
		section, sectionStart = "", start
		switch key {
		case "apiVersion", "kind":
			v := strings.TrimPrefix(value, " ")
			if strings.Trim(v, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789./") != "" || v == "" || v == value {
				return nil, errUnusual
			}
			if key == "kind" {
				kind = v
			} else {
				list.APIVersion = v
			}
		case "items", "functionConfig", "results":
			if v := strings.TrimSpace(value); key == "items" && v == "[]" {
				break
			} else if v != "" {
				return nil, errUnusual
			}
			section = key
		default:
			return nil, errUnusual
		}
	}
	closeSection(len(text))
	if checkWrapper(list.APIVersion, kind) != nil {
		return nil, errUnusual
	}
	if section, ok := strings.CutPrefix(list.functionConfig.text, "functionConfig:\n"); ok {
		// The config is read as an item: a dash takes the place of two blanks.
		if config.start == 0 || !strings.HasPrefix(section, "  ") {
			return nil, errUnusual
		}
		var err error
		if list.FunctionConfig, err = resource.ParseItem("-", config.line, "-"+section[1:]); err != nil {
			return nil, errUnusual
		}
	} else if list.functionConfig.text != "" {
		return nil, errUnusual
	}
	if len(items) > 0 {
		list.Items = make([]*resource.Resource, len(items))
	}
	var failed atomic.Bool
	parallel.Each(len(items), 16, func(i int) {
		if failed.Load() {
			return
		}
		r, err := resource.ParseItem("-", items[i].line, text[items[i].start:items[i].end])
		if err != nil {
			failed.Store(true)
			return
		}
		list.Items[i] = r
	})
	if failed.Load() {
		return nil, errUnusual
	}
	return list, nil
}

func isDash(s string) bool {
	return s[0] == '-' && (len(s) == 1 || s[1] == ' ' || s[1] == '\n')
}

// maxWhole bounds what is read through yaml/v3, which takes a hundred times the
// memory.
const maxWhole = 2 * resource.MaxUnusual

// readWhole reads a ResourceList through yaml/v3.
func readWhole(text string) (list *ResourceList, err error) {
	doc, err := decode(text)
	if err != nil {
		return nil, err
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("-:%d: expected a ResourceList, which is a map", root.Line)
	}
	if root.Style&yaml.FlowStyle != 0 {
		// JSON. Runners keep the style of what they get, and flow style is not
		// for people.
		blockStyle(root)
	}
	list = &ResourceList{}
	fields := map[string]*yaml.Node{}
	for i := 0; i+1 < len(root.Content); i += 2 {
		key := root.Content[i].Value
		if fields[key] != nil {
			return nil, fmt.Errorf("-:%d: the key %q is there twice", root.Content[i].Line, key)
		}
		fields[key] = root.Content[i+1]
	}
	scalar := func(key string) string {
		if n := fields[key]; n != nil && n.Kind == yaml.ScalarNode {
			return n.Value
		}
		return ""
	}
	list.APIVersion = scalar("apiVersion")
	if err := checkWrapper(list.APIVersion, scalar("kind")); err != nil {
		return nil, err
	}
	if n := fields["functionConfig"]; n != nil && n.ShortTag() != "!!null" {
		list.functionConfig.node = n
		copied := *n
		if list.FunctionConfig, err = resource.NodeItem("-", &copied); err != nil {
			return nil, fmt.Errorf("functionConfig: %w", err)
		}
	}
	if n := fields["results"]; n != nil {
		list.results.node = n
	}
	items := fields["items"]
	if items == nil || items.ShortTag() == "!!null" {
		return list, nil
	}
	if items.Kind != yaml.SequenceNode {
		return nil, fmt.Errorf("-:%d: items: expected a list", items.Line)
	}
	var errs []error
	for i, n := range items.Content {
		r, err := resource.NodeItem("-", n)
		if err != nil {
			errs = append(errs, fmt.Errorf("items[%d]: %w", i, err))
		}
		list.Items = append(list.Items, r)
		items.Content[i] = nil // the text takes its place
	}
	return list, errors.Join(errs...)
}

var yamlLine = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^yaml: line (\d+): `) })

// decode reads a text that must hold one document.
func decode(text string) (doc *yaml.Node, err error) {
	defer func() {
		if p := recover(); p != nil { // yaml/v3 has done so on malformed texts
			doc, err = nil, fmt.Errorf("standard input: malformed YAML: %v", p)
		}
	}()
	if len(text) > maxWhole {
		return nil, fmt.Errorf("standard input: the ResourceList has comments between items, anchors or other unusual YAML and is larger than the limit of %d MiB for such", maxWhole>>20)
	}
	dec := yaml.NewDecoder(strings.NewReader(text))
	doc = new(yaml.Node)
	if err := dec.Decode(doc); err != nil {
		if m := yamlLine().FindStringSubmatch(err.Error()); m != nil {
			n, _ := strconv.Atoi(m[1])
			return nil, fmt.Errorf("-:%d: %s", n, strings.TrimPrefix(err.Error(), m[0]))
		}
		if err == io.EOF {
			err = errors.New("found only comments")
		}
		return nil, fmt.Errorf("standard input: expected a ResourceList: %w", err)
	}
	if len(doc.Content) == 0 {
		return nil, errors.New("standard input: expected a ResourceList, found an empty document")
	}
	if err := dec.Decode(new(yaml.Node)); err != io.EOF {
		return nil, errors.New("standard input: expected one document, a ResourceList; found several")
	}
	return doc, nil
}

// blockStyle turns what was JSON into YAML as people write it.
func blockStyle(n *yaml.Node) {
	switch n.Kind {
	case yaml.MappingNode, yaml.SequenceNode:
		n.Style &^= yaml.FlowStyle
	case yaml.ScalarNode:
		if n.Style&yaml.DoubleQuotedStyle != 0 && n.ShortTag() == "!!str" {
			n.Style = resource.StringStyle(n.Value)
		}
	}
	for _, c := range n.Content {
		blockStyle(c)
	}
}
