package diff

import (
	"fmt"
	"io"
	"strings"
)

// WriteMarkdown writes what policies change as a comment for a pull request:
// title, and a table for each resource that opens on a click. It is no longer
// than limit bytes: resources whose tables do not fit any more are left out, and
// counted. When nothing changes, nothing is written.
func WriteMarkdown(w io.Writer, title string, groups []Group, limit int) error {
	if len(groups) == 0 {
		return nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, "### %s\n", title)
	const (
		reserve  = 200 // for the last line
		smallest = 120 // table
	)
	resources, fields := 0, 0
	for _, g := range groups {
		block := ""
		if b.Len()+smallest+reserve <= limit {
			block = markdownGroup(g)
		}
		if block == "" || b.Len()+len(block)+reserve > limit {
			resources++
			fields += len(g.Fields)
			continue
		}
		b.WriteString(block)
	}
	if resources > 0 {
		fmt.Fprintf(&b, "\n**%s with %s left out**, because a comment can't be longer.\n", count(resources, "resource"), count(fields, "change"))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func markdownGroup(g Group) string {
	var b strings.Builder
	at := ""
	if s := g.Origin.String(); s != "" {
		at = " · " + escapeHTML(printable(s))
	}
	fmt.Fprintf(&b, "\n<details><summary><b>%s</b>%s · %s</summary>\n\n", escapeHTML(printable(g.Resource.String())), at, count(len(g.Fields), "change"))
	b.WriteString("| field | before | after | rule |\n|---|---|---|---|\n")
	for _, d := range g.Fields {
		if d.Path == nil {
			fmt.Fprintf(&b, "| (the resource) | | generated | %s |\n", cell(d.After.By()))
			continue
		}
		before, after := "", ""
		if !d.Before.Absent {
			before = code(d.Before.Text())
		}
		if !d.After.Absent {
			after = code(d.After.Text())
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", code(d.Field()), before, after, cell(d.After.By()))
	}
	b.WriteString("\n</details>\n")
	return b.String()
}

var escapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

func escapeHTML(s string) string { return escapes.Replace(s) }

// cell makes text safe for a cell of a table.
func cell(s string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ").Replace(escapeHTML(s))
}

// code is text as code in a cell of a table, in which a backtick and a bar need
// help.
func code(s string) string {
	s = strings.NewReplacer("|", `\|`, "\n", " ").Replace(s)
	fence := "`"
	for strings.Contains(s, fence) {
		fence += "`"
	}
	if len(fence) > 1 {
		s = " " + s + " "
	}
	return fence + s + fence
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
