package krm

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/oneloop-dev/oneloop/pkg/parallel"
	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// A Result is one finding of a function, as in the KRM functions
// specification.
type Result struct {
	Message     string            `json:"message"`
	Severity    string            `json:"severity,omitempty"` // error, warning or info
	ResourceRef *ResourceRef      `json:"resourceRef,omitempty"`
	Field       *Field            `json:"field,omitempty"`
	File        *File             `json:"file,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
}

// A ResourceRef names the resource that a result is about.
type ResourceRef struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace,omitempty"`
	Name       string `json:"name"`
}

// A Field is the place that a result is about. Values are plain JSON values;
// nil means that there is none.
type Field struct {
	Path          string `json:"path"`
	CurrentValue  any    `json:"currentValue,omitempty"`
	ProposedValue any    `json:"proposedValue,omitempty"`
}

// A File is the file that a result is about: a path with slashes, relative to
// the package, and the index of the document in it.
type File struct {
	Path  string `json:"path"`
	Index int    `json:"index,omitempty"`
}

// chunk is how many items are written at a time: enough to keep all processors
// at work, few enough to keep the memory small.
const chunk = 512

// Write writes the list and the results. Items that nobody updated come out as
// a kyaml function that does nothing writes them. Without results, those of
// the input are written, as kyaml does.
func (l *ResourceList) Write(w io.Writer, results []Result) error {
	var buf bytes.Buffer
	fmt.Fprintf(&buf, "apiVersion: %s\nkind: ResourceList\n", l.APIVersion)
	if len(l.Items) == 0 {
		buf.WriteString("items: []\n")
	} else {
		buf.WriteString("items:\n")
	}
	for start := 0; start < len(l.Items); start += chunk {
		items := l.Items[start:min(start+chunk, len(l.Items))]
		texts := make([][]byte, len(items))
		errs := make([]error, len(items))
		parallel.Each(len(items), 16, func(i int) { texts[i], errs[i] = items[i].AppendItem(nil) })
		for i, text := range texts {
			if errs[i] != nil {
				return errs[i]
			}
			buf.Write(text)
		}
		if _, err := buf.WriteTo(w); err != nil {
			return err
		}
	}
	text, err := l.functionConfig.encode("functionConfig")
	if err != nil {
		return err
	}
	buf.Write(text)
	if len(results) == 0 {
		if text, err = l.results.encode("results"); err != nil {
			return err
		}
		buf.Write(text)
	} else {
		buf.WriteString("results:\n")
	}
	for i := range results {
		if text, err = results[i].append(text[:0]); err != nil {
			return fmt.Errorf("results[%d]: %w", i, err)
		}
		buf.Write(text)
	}
	_, err = buf.WriteTo(w)
	return err
}

// append writes a result as an element of the list. The fields come in the
// order of the specification.
func (r *Result) append(b []byte) ([]byte, error) {
	var err error
	value := func(indent, key string, v any) {
		if err == nil && v != nil {
			b = append(b, indent...)
			b = append(b, key...)
			b = append(b, ':')
			b, err = resource.AppendValue(b, v, len(indent))
		}
	}
	field := func(indent, key, text string) {
		if text != "" {
			value(indent, key, text)
		}
	}
	b = append(b, "- message:"...)
	b, err = resource.AppendValue(b, r.Message, 2)
	field("  ", "severity", r.Severity)
	if ref := r.ResourceRef; ref != nil {
		b = append(b, "  resourceRef:\n"...)
		field("    ", "apiVersion", ref.APIVersion)
		field("    ", "kind", ref.Kind)
		field("    ", "namespace", ref.Namespace)
		field("    ", "name", ref.Name)
	}
	if f := r.Field; f != nil {
		b = append(b, "  field:\n"...)
		field("    ", "path", f.Path)
		value("    ", "currentValue", f.CurrentValue)
		value("    ", "proposedValue", f.ProposedValue)
	}
	if f := r.File; f != nil {
		b = append(b, "  file:\n"...)
		field("    ", "path", f.Path)
		if f.Index != 0 {
			value("    ", "index", int64(f.Index))
		}
	}
	if len(r.Tags) > 0 {
		b = append(b, "  tags:\n"...)
		for _, k := range slices.Sorted(maps.Keys(r.Tags)) {
			b = resource.AppendKey(append(b, "    "...), k)
			b = append(b, ':')
			if b, err = resource.AppendValue(b, r.Tags[k], 4); err != nil {
				return nil, err
			}
		}
	}
	return b, err
}

// encode writes a section as kyaml does, with its key.
func (s section) encode(key string) ([]byte, error) {
	n := s.node
	if n == nil {
		if s.text == "" {
			return nil, nil
		}
		var doc yaml.Node
		if err := yaml.Unmarshal([]byte(s.text), &doc); err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		if len(doc.Content) == 0 || len(doc.Content[0].Content) != 2 {
			return nil, fmt.Errorf("%s: expected one key, found %q", key, strings.TrimSpace(s.text))
		}
		n = doc.Content[0].Content[1]
	}
	return encode(&yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{{Kind: yaml.ScalarNode, Value: key}, n}})
}

// encode writes a value as kyaml does.
func encode(v any) (text []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			text, err = nil, fmt.Errorf("can't write YAML: %v", p)
		}
	}()
	var buf bytes.Buffer
	enc := yaml.NewEncoder(&buf)
	enc.SetIndent(2)
	enc.CompactSeqIndent()
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	if err := enc.Close(); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}
