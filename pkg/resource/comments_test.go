package resource

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A writer makes manifests with comments in all places where people put them.
type writer struct {
	*rand.Rand
	b     strings.Builder
	level int // how untidy it is: 0 to 2
}

func (w *writer) scalar() string {
	all := []string{"x", "1", "'q'", `"d"`, "true", "a b", "{}", "[]", "a#b", "\"#\""}
	return all[w.IntN(len(all))]
}

func (w *writer) lineComment() string {
	switch w.IntN(8) {
	case 0:
		return " # line"
	case 1:
		return []string{" #x", "  # far", " # trailing ", " #"}[w.IntN(2+w.level)]
	}
	return ""
}

func (w *writer) comments(col int) {
	for w.IntN(6) == 0 {
		indent := col
		if w.level > 0 && w.IntN(4) == 0 {
			indent = w.IntN(8)
		}
		fmt.Fprintf(&w.b, "%*s# c%d\n", indent, "", w.IntN(9))
		if w.IntN(3*(3-w.level)) == 0 {
			w.b.WriteString("\n")
		}
	}
	if w.IntN(30) == 0 {
		w.b.WriteString("\n")
	}
}

func (w *writer) mapping(col, depth int, inline bool) {
	for i := range 1 + w.IntN(3) {
		if i > 0 || !inline {
			w.comments(col)
			fmt.Fprintf(&w.b, "%*s", col, "")
		}
		fmt.Fprintf(&w.b, "k%d:", i)
		w.value(col, depth)
	}
}

func (w *writer) value(col, depth int) {
	n := w.IntN(10)
	switch {
	case n < 2 && depth > 0:
		if w.IntN(12) == 0 {
			w.b.WriteString(w.lineComment())
		}
		w.b.WriteString("\n")
		w.mapping(col+2, depth-1, false)
	case n < 5 && depth > 0:
		if w.IntN(12) == 0 {
			w.b.WriteString(w.lineComment())
		}
		w.b.WriteString("\n")
		w.list(col, depth-1)
	case n == 5:
		w.b.WriteString(w.lineComment() + "\n")
	case n == 6:
		fmt.Fprintf(&w.b, " |\n%*s# text\n%*sy\n", col+2, "", col+2, "")
	default:
		fmt.Fprintf(&w.b, " %s%s\n", w.scalar(), w.lineComment())
	}
}

func (w *writer) list(col, depth int) {
	for range 1 + w.IntN(3) {
		w.comments(col)
		fmt.Fprintf(&w.b, "%*s-", col, "")
		switch w.IntN(5) {
		case 0, 1:
			if w.IntN(3) == 0 {
				fmt.Fprintf(&w.b, " # dash\n%*s", col+2, "")
			} else {
				w.b.WriteString(" ")
			}
			w.mapping(col+2, depth-1, true)
		case 2:
			if depth > 0 {
				fmt.Fprintf(&w.b, " - %s%s\n", w.scalar(), w.lineComment())
				continue
			}
			fallthrough
		default:
			fmt.Fprintf(&w.b, " %s%s\n", w.scalar(), w.lineComment())
		}
	}
}

func commented(seed uint64) string {
	w := writer{Rand: rand.New(rand.NewPCG(seed, 2))}
	w.level = w.IntN(3)
	w.mapping(0, 3, false)
	return w.b.String()
}

// Texts with comments count as canonical only where yaml/v3 writes them back
// as they were, which it often does not.
func TestCanonicalComments(t *testing.T) {
	canonical := 0
	for seed := range uint64(5000) {
		text := commented(seed)
		checkScan(t, text)
		var tr tree
		if strings.Contains(text, "#") && tr.scanDocument(text, false) == nil && tr.canonical {
			canonical++
		}
	}
	if canonical < 500 {
		t.Errorf("only %d canonical texts had comments", canonical)
	}
	t.Logf("%d canonical texts had comments", canonical)
}

func FuzzComments(f *testing.F) {
	f.Add(uint64(1), uint64(1))
	f.Fuzz(func(t *testing.T, seed, change uint64) {
		text := commented(seed)
		checkScan(t, text)
		checkUpdate(t, text, change)
	})
}

// Items that are read one by one come out as they do when yaml/v3 reads and
// writes the whole list.
func TestItemsByThemselves(t *testing.T) {
	apart := 0
	for seed := range uint64(2000) {
		var whole, got strings.Builder
		whole.WriteString("items:\n")
		got.WriteString("items:\n")
		var err error
		for i := range uint64(3) {
			var item strings.Builder
			item.WriteString("- ")
			for line := range strings.Lines(commented(seed*3 + i)) {
				if item.Len() > 2 && line != "\n" {
					item.WriteString("  ")
				}
				item.WriteString(line)
			}
			whole.WriteString(item.String())
			r, itemErr := ParseItem("-", 1, item.String())
			if itemErr != nil {
				err = itemErr
				continue
			}
			text, itemErr := r.AppendItem(nil)
			if itemErr != nil {
				t.Fatal(itemErr)
			}
			got.Write(text)
		}
		if err != nil {
			continue
		}
		apart++
		want, err := throughNodes(whole.String())
		if err != nil {
			t.Fatalf("%v\n%s", err, whole.String())
		}
		if d := cmp.Diff(want, got.String()); d != "" {
			t.Fatalf("seed %d (-whole +apart):\n%s\n%s", seed, d, whole.String())
		}
	}
	if apart < 300 {
		t.Errorf("only %d lists could be taken apart", apart)
	}
}
