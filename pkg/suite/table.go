package suite

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A Table writes what came of suites for people, as kyverno test does: a table
// for each suite, and below it what is to be said about failures.
type Table struct {
	Color    bool
	Detailed bool // a column with the messages
}

// Write writes the tables of runs, and counts the verdicts in the last line.
func (t Table) Write(w io.Writer, runs []*Run, total Summary) error {
	var b strings.Builder
	for _, run := range runs {
		if len(run.Verdicts) == 0 {
			continue
		}
		b.WriteString(run.Title() + "\n")
		t.rows(&b, run.Verdicts)
		for _, v := range run.Verdicts {
			t.failure(&b, v)
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "Test Summary: %s\n", total)
	_, err := io.WriteString(w, b.String())
	return err
}

// The colours of a terminal.
const (
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
)

func (t Table) paint(color, text string) string {
	if !t.Color || color == "" || text == "" {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}

var statusColors = []string{Pass: green, Fail: red, Excluded: yellow, NotEvaluated: yellow}

func (t Table) rows(b *strings.Builder, verdicts []Verdict) {
	head := []string{"ID", "POLICY", "RULE", "RESOURCE", "RESULT", "REASON"}
	if t.Detailed {
		head = append(head, "MESSAGE")
	}
	rows := [][]string{head}
	for i := range verdicts {
		v := &verdicts[i]
		row := []string{strconv.Itoa(v.ID), v.Policy, v.Rule, v.Place(), v.Status.title(), v.Reason}
		if t.Detailed {
			row = append(row, v.Message)
		}
		for j := range row {
			row[j] = printable(row[j])
		}
		rows = append(rows, row)
	}
	widths := make([]int, len(head))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	border := "│"
	for _, n := range widths {
		border += strings.Repeat("─", n+2) + "│"
	}
	for i, row := range rows {
		if i < 2 {
			b.WriteString(border + "\n")
		}
		b.WriteString("│")
		for j, cell := range row {
			color := ""
			switch {
			case i == 0:
			case j == 4:
				color = statusColors[verdicts[i-1].Status]
			case j > 0 && j < 4:
				color = cyan
			}
			b.WriteString(" " + t.paint(color, cell) + strings.Repeat(" ", widths[j]-utf8.RuneCountInString(cell)) + " │")
		}
		b.WriteString("\n")
	}
	b.WriteString(border + "\n")
}

// failure says why an expectation failed, as far as the table does not.
func (t Table) failure(b *strings.Builder, v Verdict) {
	if v.Status != Fail || v.Message == "" && v.Diff == "" {
		return
	}
	fmt.Fprintf(b, "\n%d: %s\n", v.ID, t.paint(red, strings.ReplaceAll(printableLines(v.Message), "\n", "\n   ")))
	for line := range strings.Lines(v.Diff) {
		color := ""
		switch line[0] {
		case '-':
			color = red
		case '+':
			color = green
		}
		b.WriteString("   " + t.paint(color, printable(strings.TrimSuffix(line, "\n"))) + "\n")
	}
}

// printable replaces what would end a line or steer a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, s)
}

func printableLines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = printable(lines[i])
	}
	return strings.Join(lines, "\n")
}
