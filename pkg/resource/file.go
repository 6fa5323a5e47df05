package resource

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Rewrite returns a file with the changes of the resources that Parse read
// from it: their texts take the place of the old ones, and every other byte
// stays, a byte order mark, \r\n and the documents' separators included.
// Resources that did not change need not be given.
//
// It fails when a changed resource has no place of its own in the file, as an
// item of a List that is written with anchors.
func Rewrite(data []byte, changed []*Resource) ([]byte, error) {
	body, bom := bytes.CutPrefix(data, []byte("\xef\xbb\xbf"))
	text, err := Text("", data)
	if err != nil {
		return nil, err
	}
	crlf := strings.Count(text, "\n") > 0 && bytes.Count(body, []byte("\r\n")) == strings.Count(text, "\n")
	ordered := slices.Clone(changed)
	slices.SortFunc(ordered, func(a, b *Resource) int { return a.start - b.start })
	out := make([]byte, 0, len(data)+len(data)/8)
	at := 0
	for _, r := range ordered {
		if !r.changed {
			continue
		}
		own, err := r.ownText(text)
		if err == nil && r.start < at {
			err = errors.New("it is given twice")
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %s can't be changed in its place: %w", r.origin, r.id, err)
		}
		out = append(out, text[at:r.start]...)
		out = append(out, own...)
		at = r.end
	}
	if at == 0 {
		return data, nil
	}
	out = append(out, text[at:]...)
	if crlf {
		out = bytes.ReplaceAll(out, []byte("\n"), []byte("\r\n"))
	} else if bytes.IndexByte(body, '\r') >= 0 {
		return nil, errors.New("the file mixes kinds of line breaks; use one of them")
	}
	if bom {
		out = append([]byte("\xef\xbb\xbf"), out...)
	}
	return out, nil
}

// ownText returns the text of r as it stands in its file, whose text was file.
func (r *Resource) ownText(file string) (string, error) {
	if r.end <= r.start || r.end > len(file) {
		return "", errors.New("it has no place of its own in the file")
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
