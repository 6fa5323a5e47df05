package diff

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/oneloop-dev/oneloop/pkg/resource"
)

// WriteUnified writes the text of each resource that differs as a unified diff.
// One with hidden values is named and not shown. Groups are the differences
// between before and after.
func WriteUnified(w io.Writer, groups []Group, before, after []*resource.Resource, color bool) error {
	was, is := byID(before), byID(after)
	buffered := bufio.NewWriter(w)
	for _, g := range groups {
		var texts [2][]byte
		names := [2]string{"/dev/null", "/dev/null"}
		for i, r := range []*resource.Resource{was[g.Resource], is[g.Resource]} {
			if r == nil {
				continue
			}
			var err error
			if texts[i], err = r.AppendYAML(nil); err != nil {
				return err
			}
			names[i] = printable(g.Resource.String())
			if at := g.Origin.String(); at != "" && i == 0 {
				names[i] += " (" + printable(at) + ")"
			}
		}
		if g.Hidden() {
			fmt.Fprintf(buffered, "%s differs, and is not shown: values of a Secret are in it\n", printable(g.Resource.String()))
			continue
		}
		text := string(diff.Diff(names[0], texts[0], names[1], texts[1]))
		if color {
			text = colored(text)
		}
		fmt.Fprint(buffered, text)
	}
	return buffered.Flush()
}

// colored colours the lines of a unified diff.
func colored(text string) string {
	var b strings.Builder
	heads := 0 // lines above the first hunk
	for line := range strings.Lines(text) {
		switch {
		case strings.HasPrefix(line, "@@"):
			heads = 3
			b.WriteString(paint(cyan, line))
		case heads < 3:
			heads++
			b.WriteString(paint(bold, line))
		case strings.HasPrefix(line, "+"):
			b.WriteString(paint(green, line))
		case strings.HasPrefix(line, "-"):
			b.WriteString(paint(red, line))
		default:
			b.WriteString(line)
		}
	}
	return b.String()
}

// Lines returns the lines in which the text of a resource differs from how it was,
// with - and + in front.
func Lines(before, after *resource.Resource) (string, error) {
	was, err := before.AppendYAML(nil)
	if err != nil {
		return "", err
	}
	is, err := after.AppendYAML(nil)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	head := true
	for line := range strings.Lines(string(diff.Diff("before", was, "after", is))) {
		switch {
		case strings.HasPrefix(line, "@@"):
			head = false
		case !head && (line[0] == '-' || line[0] == '+'):
			b.WriteString(line)
		}
	}
	return b.String(), nil
}
