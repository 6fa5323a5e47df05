package resource

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// An Addition is resources that are new to a file: each becomes a document,
// behind the one that Behind stands in.
type Addition struct {
	Behind *Resource
	New    []*Resource
}

// Rewrite returns a file with the changes of the resources that Parse read
// from it: their texts take the place of the old ones, and every other byte
// stays, a byte order mark, line ends and the documents' separators included.
// Lines that are new end as the line above them does, and a file without a line
// break at its end gets none. Resources that did not change need not be given,
// but for the last one of a file when there is something to add.
//
// The result is read again, and compared with what it has to say, before it
// counts. It fails when a changed resource has no place of its own in the file, as an
// item of a List that is written with anchors, and when there is something to
// add to a JSON file, which holds one document.
func Rewrite(data []byte, changed []*Resource, added ...Addition) ([]byte, error) {
	text, err := Text("", data)
	if err != nil {
		return nil, err
	}
	var edits []edit
	for _, r := range changed {
		if !r.changed {
			continue
		}
		own, err := r.ownText(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %s can't be changed in its place: %w", r.origin, r.id, err)
		}
		edits = append(edits, edit{r.start, r.end, own, r})
	}
	documents, err := additions(text, added)
	if err != nil {
		return nil, err
	}
	if len(documents) > 0 && documents[len(documents)-1].end == len(text) && !strings.HasSuffix(text, "\n") {
		last := slices.IndexFunc(changed, func(r *Resource) bool { return r.end == len(text) })
		if last < 0 {
			return nil, fmt.Errorf("%s: the file ends without a line break, and something has to follow; end it with one", added[0].Behind.origin.File)
		}
		if r := changed[last]; !r.changed {
			// A block of text must not get the line break that now follows.
			own, err := r.ownText(text)
			if err != nil {
				return nil, fmt.Errorf("%s: nothing can follow %s: %w", r.origin, r.id, err)
			}
			edits = append(edits, edit{r.start, r.end, own, r})
		}
	}
	edits = append(edits, documents...)
	if len(edits) == 0 {
		return data, nil
	}
	// An addition may stand where a document starts that follows it.
	slices.SortStableFunc(edits, func(a, b edit) int {
		return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.end, b.end))
	})
	for i, e := range edits[1:] {
		if e.start < edits[i].end {
			return nil, fmt.Errorf("%s: %s can't be changed in its place: it is given twice", e.resource.origin, e.resource.id)
		}
	}
	body, bom := bytes.CutPrefix(data, []byte("\xef\xbb\xbf"))
	out := make([]byte, 0, len(data)+len(data)/8)
	if bom {
		out = append(out, "\xef\xbb\xbf"...)
	}
	s := source{raw: string(body)}
	for _, e := range edits {
		out = append(out, s.to(e.start)...)
		out = appendLines(out, s.to(e.end), e.text)
	}
	out = append(out, s.raw[s.at:]...)
	if err := reread(text, out, changed, added); err != nil {
		return nil, err
	}
	return out, nil
}

// errRewritten is the bug that reread looks for.
var errRewritten = errors.New("the file would not say what was asked for; please report it with the file and the policy")

// reread holds a rewritten file against what it has to say: what it said
// before, but for the resources that changed, and with those that are new.
func reread(before string, after []byte, changed []*Resource, added []Addition) error {
	was, err := Parse("", []byte(before))
	if err != nil {
		return err
	}
	is, err := Parse("", after)
	if err != nil {
		return fmt.Errorf("%w: %w", errRewritten, err)
	}
	same := func(want *Resource) bool {
		if len(is) == 0 {
			return false
		}
		a, err := want.object()
		if err != nil {
			return false
		}
		b, err := is[0].object()
		is = is[1:]
		return err == nil && Equal(a, b)
	}
	at := map[int]*Resource{}
	for _, r := range changed {
		if r.changed {
			at[r.start] = r
		}
	}
	behind := map[int][]*Resource{}
	for _, a := range added {
		behind[a.Behind.docEnd] = append(behind[a.Behind.docEnd], a.New...)
	}
	for i, r := range was {
		if c := at[r.start]; c != nil && c.end == r.end {
			r = c
		}
		if !same(r) {
			return fmt.Errorf("%s: %w", r.id, errRewritten)
		}
		if i+1 < len(was) && was[i+1].docEnd == r.docEnd {
			continue // in the same document
		}
		for _, n := range behind[r.docEnd] {
			if !same(n) {
				return fmt.Errorf("%s: %w", n.id, errRewritten)
			}
		}
	}
	if len(is) > 0 {
		return fmt.Errorf("%s: %w", is[0].id, errRewritten)
	}
	return nil
}

// An edit replaces a piece of a normalized text.
type edit struct {
	start, end int
	text       string
	resource   *Resource
}

// additions returns the edits that write new documents.
func additions(text string, added []Addition) ([]edit, error) {
	var out []edit
	known := map[int]int{} // by the offset, the edit
	isJSON := sync.OnceValue(func() bool { return json.Valid([]byte(text)) })
	for _, a := range added {
		at := a.Behind.docEnd
		switch {
		case len(a.New) == 0:
			continue
		case at == 0 || at > len(text):
			return nil, fmt.Errorf("%s: %s has no place of its own in the file, so %s can't follow it; write it as a document", a.Behind.origin, a.Behind.id, a.New[0].id)
		case isJSON():
			return nil, fmt.Errorf("%s: %s can't follow %s: a JSON file holds one document; write the file as YAML", a.Behind.origin, a.New[0].id, a.Behind.id)
		}
		var b strings.Builder
		// One that ends without a line break has none behind it either.
		open := at == len(text) && !strings.HasSuffix(text, "\n")
		if open {
			b.WriteByte('\n')
		}
		for _, r := range a.New {
			own, err := r.AppendYAML(nil)
			if err != nil {
				return nil, err
			}
			b.WriteString("---\n")
			b.Write(own)
			if !bytes.HasSuffix(own, []byte("\n")) {
				b.WriteByte('\n')
			}
		}
		written := b.String()
		if open {
			written = strings.TrimSuffix(written, "\n")
		}
		if i, ok := known[at]; ok {
			if open {
				out[i].text += "\n"
				written = strings.TrimPrefix(written, "\n")
			}
			out[i].text += written
			continue
		}
		known[at] = len(out)
		out = append(out, edit{at, at, written, a.New[0]})
	}
	slices.SortStableFunc(out, func(a, b edit) int { return cmp.Compare(a.start, b.start) })
	return out, nil
}

// A source hands out a file piece by piece, by offsets in its normalized text.
type source struct {
	raw            string
	at, normalized int // how far it is read, in raw and in the normalized text
}

// to returns what stands up to an offset in the normalized text.
func (s *source) to(offset int) string {
	start := s.at
	for s.normalized < offset {
		n := offset - s.normalized
		i := strings.IndexByte(s.raw[s.at:s.at+n], '\r')
		if i < 0 {
			s.at += n
			s.normalized = offset
			break
		}
		s.at += i + 1
		if s.at < len(s.raw) && s.raw[s.at] == '\n' {
			s.at++
		}
		s.normalized += i + 1
	}
	return s.raw[start:s.at]
}

// appendLines appends a text whose lines end in \n. Each gets the end that it
// had in old, and a new one that of the line above it.
func appendLines(out []byte, old, text string) []byte {
	previous := lineEnd(out)
	if previous != "\r" && previous != "\r\n" && strings.IndexByte(old, '\r') < 0 {
		return append(out, text...)
	}
	var before, after []any
	var ends []string
	for old != "" {
		i := strings.IndexAny(old, "\r\n")
		if i < 0 {
			before, ends = append(before, old), append(ends, "")
			break
		}
		end := "\n"
		if strings.HasPrefix(old[i:], "\r\n") {
			end = "\r\n"
		} else if old[i] == '\r' {
			end = "\r"
		}
		before, ends = append(before, old[:i]), append(ends, end)
		old = old[i+len(end):]
	}
	lines := strings.SplitAfter(text, "\n")
	for _, line := range lines {
		after = append(after, strings.TrimSuffix(line, "\n"))
	}
	if previous == "" && len(ends) > 0 {
		previous = ends[0]
	}
	if previous == "" {
		previous = "\n"
	}
	pairs := make([]int, len(after))
	alignEqual(before, after, pairs)
	for i, line := range lines {
		body, ended := strings.CutSuffix(line, "\n")
		out = append(out, body...)
		if !ended {
			continue
		}
		if old := pairs[i]; old >= 0 && ends[old] != "" {
			previous = ends[old]
		}
		out = append(out, previous...)
	}
	return out
}

// lineEnd returns how the last complete line of a text ends; "" if it has none.
func lineEnd(text []byte) string {
	i := bytes.LastIndexAny(text, "\r\n")
	switch {
	case i < 0:
		return ""
	case text[i] == '\n' && (i == 0 || text[i-1] != '\r'):
		return "\n"
	case text[i] == '\r':
		return "\r"
	}
	return "\r\n"
}

// ownText returns the text of r as it stands in its file, whose text was file.
func (r *Resource) ownText(file string) (string, error) {
	if r.end <= r.start || r.end > len(file) {
		return "", errors.New("it has no place of its own in the file, as with anchors in a List; write it as a document")
	}
	old := file[r.start:r.end]
	own := r.text
	own, before := strings.CutPrefix(own, r.before)
	own, after := strings.CutSuffix(own, r.after)
	if !before || !after {
		return "", errors.New("the comments of the documents around it got mixed up with it")
	}
	if strings.HasPrefix(old, "---") && !strings.HasPrefix(own, "---") {
		// The document starts on the line of its marker.
		if strings.HasPrefix(own, "   ") {
			own = "---" + own[3:]
		} else {
			own = "---\n" + own
		}
	}
	if r.dedented > 0 {
		own = strings.TrimSuffix(own, "\n")
		own = strings.ReplaceAll(own, "\n", "\n"+strings.Repeat(" ", r.dedented))
	} else if !strings.HasSuffix(own, "\n") {
		own += "\n"
	}
	if !strings.HasSuffix(old, "\n") {
		own = strings.TrimSuffix(own, "\n")
	}
	return own, nil
}
